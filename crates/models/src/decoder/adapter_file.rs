//! Adapters in PEFT's files: `adapter_config.json` and `adapter_model.safetensors`.

use std::collections::BTreeMap;
use std::path::Path;

use bestof_checkpoints::{StoredType, TensorInfo, Weights, WeightsWriter};
use bestof_files::{FileKind, expect_folder, read_text, recover_folder, write_file};
use bestof_kernels::host_values;
use burn::module::Param;
use burn::tensor::Tensor;

use super::adapter_tensors::{AdapterTensors, PREFIX};
use super::build::parameter;
use super::lora_config::LoraConfig;
use super::lora_modules::LoraModules;
use super::model::Decoder;
use super::names::TensorNames;
use super::trained_whole::{EMBEDDINGS, HEAD};
use crate::block::projection::{LoraFactor, Projection};
use crate::block::weight::WeightParam;
use crate::error::ModelError;
use crate::parameters::{self, ParameterInfo};

/// Name of the settings in an adapter's folder.
pub const ADAPTER_CONFIG: &str = "adapter_config.json";
/// Name of the tensors in an adapter's folder.
pub const ADAPTER_WEIGHTS: &str = "adapter_model.safetensors";

/// A rank that needs no tensor of its size: another shape or a missing tensor is told apart later.
const GRANTED_RANK: usize = 256;

impl Decoder {
    /// Writes the adapters, and what is trained whole with them, as PEFT reads them. `base` is the
    /// model they belong to, by name or path.
    ///
    /// # Errors
    /// No adapters, or a file that cannot be written.
    pub fn save_adapter(
        &self,
        dir: &Path,
        base: &str,
        dtype: StoredType,
    ) -> Result<(), ModelError> {
        let config = self.lora.as_ref().ok_or(NO_ADAPTERS)?;
        let config = config.clone().with_targets(self.spelled_targets(&config.targets));
        let mut stored = self.adapter_tensors();
        let mut tensors: Vec<(String, TensorInfo)> = parameters::all(self)
            .into_iter()
            .filter_map(|ParameterInfo { name, shape }| {
                let stored = stored.remove(&name)?;
                Some((name, TensorInfo { name: stored, dtype, shape }))
            })
            .collect();
        tensors.sort_by(|a, b| a.1.name.cmp(&b.1.name));
        let infos = tensors.iter().map(|(_, info)| info.clone()).collect();
        let mut writer = WeightsWriter::create_file(dir, ADAPTER_WEIGHTS, infos, None)?;
        for (name, info) in &tensors {
            writer.push(&info.name, &host_values(parameters::values(self, name)?))?;
        }
        writer.finish()?;
        let path = dir.join(ADAPTER_CONFIG);
        write_file(&path, config.to_peft(base).as_bytes())
            .map_err(|error| ModelError::Io { path, source: error.into_io() })
    }

    /// What PEFT's files call the parameters that belong to the adapters, or are trained whole with
    /// them, by the parameters' names.
    pub fn adapter_tensors(&self) -> BTreeMap<String, String> {
        let stored = |name: &str| {
            let stored = self.adapter_names.in_checkpoint(name);
            match stored.rsplit_once('.') {
                // PEFT wraps a layer that it adapts.
                Some((module, leaf)) if self.is_in_adapted_layer(name) => {
                    format!("{PREFIX}{module}.base_layer.{leaf}")
                }
                _ => format!("{PREFIX}{stored}"),
            }
        };
        parameters::all(self)
            .into_iter()
            .map(|info| info.name)
            .filter(|name| name.contains(".lora_") || self.base.contains_key(name))
            .map(|name| (name.clone(), stored(&name)))
            .collect()
    }

    /// Whether a parameter is the weight or bias of a linear layer with an adapter.
    fn is_in_adapted_layer(&self, parameter: &str) -> bool {
        parameter.rsplit_once('.').is_some_and(|(layer, leaf)| {
            let layer = self.projection(layer);
            ["weight", "bias"].contains(&leaf) && layer.is_some_and(|layer| layer.lora_A.is_some())
        })
    }

    /// Attaches the adapters that a folder holds. What the file has whole, as embeddings or
    /// modules that were saved, takes the place of the base's parameters while adapters are on; so
    /// do embeddings and vocabulary projection with adapters of their own, which are computed into
    /// whole matrices. Every tensor of the file is used.
    ///
    /// # Errors
    /// A file that cannot be read, a kind of adapter that is not LoRA, tensors that do not fit this
    /// model, that are not finite, or that would not be used.
    pub fn load_adapter(&mut self, dir: &Path) -> Result<(), ModelError> {
        expect_folder(dir).map_err(|source| ModelError::Io { path: dir.to_owned(), source })?;
        let path = dir.join(ADAPTER_CONFIG);
        recover_folder(dir)
            .map_err(|error| ModelError::Io { path: path.clone(), source: error.into_io() })?;
        let text =
            read_text(&path).map_err(|source| ModelError::Io { path: path.clone(), source })?;
        let config = LoraConfig::from_peft(&text)?;
        let weights = open(dir)?;
        let mut tensors = AdapterTensors::new(&weights);
        let names = tensors.names(self.names, |names| self.module_names(names));
        let modules = LoraModules::new(&config)?;
        modules.check_saved(&self.module_names(names))?;
        self.check_ranks(&tensors, &modules, names)?;
        let mut fresh = self.clone();
        fresh.attach(&modules, names)?;
        fresh.read_factors(&mut tensors)?;
        fresh.read_whole(&mut tensors, &modules)?;
        tensors.finish()?;
        *self = fresh;
        Ok(())
    }

    /// Holds ranks to those of the file's tensors before room is made for them.
    fn check_ranks(
        &self,
        tensors: &AdapterTensors<'_>,
        modules: &LoraModules<'_>,
        names: TensorNames,
    ) -> Result<(), ModelError> {
        let most = tensors.largest_rank();
        for module in self.module_names(names) {
            if !modules.targets(&module)? {
                continue;
            }
            let (rank, _) = modules.rank_and_alpha(&module)?;
            if rank > most.max(GRANTED_RANK) {
                return Err(ModelError::AdapterField {
                    field: format!("r (or rank_pattern) of {module}"),
                    found: rank.to_string(),
                    expected: format!("at most {most}, the largest in adapter_model.safetensors"),
                });
            }
        }
        Ok(())
    }

    /// Reads the factors, biases and magnitudes of the adapters on linear layers.
    fn read_factors(&mut self, tensors: &mut AdapterTensors<'_>) -> Result<(), ModelError> {
        let (names, device) = (self.adapter_names, self.device().without_autodiff());
        let mut values = BTreeMap::new();
        for ParameterInfo { name, shape } in parameters::all(self) {
            if name.contains(".lora_") {
                let stored = names.in_checkpoint(&name);
                let long = format!("{stored}.weight");
                values.insert(name, tensors.need(&[stored, long], &shape)?);
            }
        }
        *self = parameters::replace(self.clone(), &mut |name, _| {
            values.remove(name).map(|values| Tensor::from_data(values.as_slice(), &device))
        });
        Ok(())
    }

    /// Reads what the file has whole, and computes what it has adapters of on embeddings and
    /// vocabulary projection.
    fn read_whole(
        &mut self,
        tensors: &mut AdapterTensors<'_>,
        modules: &LoraModules<'_>,
    ) -> Result<(), ModelError> {
        let names = self.adapter_names;
        let adapted: Vec<&str> = [EMBEDDINGS, HEAD]
            .into_iter()
            .filter_map(|name| {
                let module = names.in_checkpoint(name);
                let module = module.trim_end_matches(".weight");
                modules.targets(module).map(|targeted| targeted.then_some(name)).transpose()
            })
            .collect::<Result<_, _>>()?;
        if self.config().tied_embeddings && !adapted.is_empty() {
            self.untie();
        }
        let shapes = self
            .tensors()
            .into_iter()
            .filter(|info| !info.name.contains(".lora_"))
            .map(|info| (info.name, info.shape));
        let shapes: Vec<(String, Vec<usize>)> = shapes.collect();
        let mut values = tensors.take_whole(&shapes, |name| stored_whole(names, name))?;
        for name in self.base.keys() {
            if !values.contains_key(name) {
                let shape = shapes.iter().find(|(other, _)| other == name);
                tensors.need(&stored_whole(names, name), shape.map_or(&[], |(_, shape)| shape))?;
            }
        }
        if self.lm_head.is_none()
            && let Some(head) = self.tied_head(tensors, &values)?
        {
            values.insert(EMBEDDINGS.to_owned(), head);
        }
        self.replace_whole(values)?;
        let mut computed = BTreeMap::new();
        for name in adapted {
            let values = self.with_adapter(name, tensors, modules)?;
            computed.insert(name.to_owned(), values);
            if let Some(lora) = &mut self.lora {
                let module = name.trim_end_matches(".weight");
                let module = module.rsplit('.').next().unwrap_or(module);
                lora.modules_to_save.push(module.to_owned());
            }
        }
        self.replace_whole(computed)
    }

    /// The vocabulary projection that the file has for a model which ties it to the embeddings.
    fn tied_head(
        &self,
        tensors: &mut AdapterTensors<'_>,
        values: &BTreeMap<String, Vec<f32>>,
    ) -> Result<Option<Vec<f32>>, ModelError> {
        let stored = stored_whole(self.adapter_names, HEAD);
        let head = tensors.take(&stored, &self.model.embed_tokens.weight.dims())?;
        match (&head, values.get(EMBEDDINGS)) {
            (Some(head), Some(embeddings)) if head != embeddings => Err(ModelError::AdapterTensor {
                name: format!("{PREFIX}{}", stored[0]),
                problem: "differs from the file's embeddings, and the model ties the two; name both in \
                          `modules_to_save` if they were trained as two matrices"
                    .to_owned(),
            }),
            _ => Ok(head),
        }
    }

    /// Embeddings or vocabulary projection with the adapter that the file has for them.
    fn with_adapter(
        &self,
        name: &str,
        tensors: &mut AdapterTensors<'_>,
        modules: &LoraModules<'_>,
    ) -> Result<Vec<f32>, ModelError> {
        let config = modules.config();
        let names = self.adapter_names;
        let module = names.in_checkpoint(name);
        let module = module.trim_end_matches(".weight");
        let (r, alpha) = modules.rank_and_alpha(module)?;
        let embeddings = name == EMBEDDINGS;
        let matrix = match &self.lm_head {
            Some(head) if !embeddings => &head.weight,
            _ => &self.model.embed_tokens.weight,
        };
        // PEFT's adapter of embeddings is one of the transposed matrix.
        let turned = |x: Tensor<2>| if embeddings { x.transpose() } else { x };
        let weight = turned(matrix.values());
        let ([out, inputs], device) = (weight.dims(), weight.device());
        let suffixes = if embeddings {
            ["lora_embedding_A", "lora_embedding_B"]
        } else {
            ["lora_A.weight", "lora_B.weight"]
        };
        let [a, b] = suffixes.map(|suffix| [format!("{module}.{suffix}")]);
        let factor =
            |values, shape| LoraFactor { weight: parameter(values, shape, &device), bias: None };
        let mut projection =
            Projection::new(WeightParam::Parameter(Param::from_tensor(weight)), None);
        projection.lora_A = Some(factor(tensors.need(&a, &[r, inputs])?, [r, inputs]));
        projection.lora_B = Some(factor(tensors.need(&b, &[out, r])?, [out, r]));
        projection.lora_scale = config.scale(r, alpha);
        if config.dora {
            let short = format!("{module}.lora_magnitude_vector");
            let values = tensors.need(&[short.clone(), format!("{short}.weight")], &[out])?;
            projection.lora_magnitude_vector = Some(parameter(values, [out], &device));
        }
        Ok(host_values(turned(projection.merged_weight())))
    }
}

const NO_ADAPTERS: ModelError =
    ModelError::Adapters { found: "no adapters are attached", fix: "attach some first" };

/// Opens an adapter's weights.
fn open(dir: &Path) -> Result<Weights, ModelError> {
    let path = dir.join(ADAPTER_WEIGHTS);
    if !path.exists() && dir.join("adapter_model.bin").exists() {
        return Err(ModelError::AdapterTensor {
            name: "adapter_model.bin".to_owned(),
            problem: "is a pickle, which is not read; load it with PEFT and save it with \
                      `save_pretrained(..., safe_serialization=True)`"
                .to_owned(),
        });
    }
    if path.is_dir() {
        return Err(ModelError::Io { path, source: FileKind::Folder.refused() });
    }
    Ok(Weights::open(&path)?)
}

/// What PEFT calls a parameter that it stores whole, without its prefix; the names of versions and
/// of the ways in which it can come to be stored.
fn stored_whole(names: TensorNames, parameter: &str) -> Vec<String> {
    let stored = names.in_checkpoint(parameter);
    let (module, leaf) = stored.rsplit_once('.').unwrap_or((&stored, ""));
    let inner = |wrapper: &str| format!("{module}.{wrapper}.{leaf}");
    vec![stored.clone(), inner("modules_to_save"), inner("base_layer")]
}
