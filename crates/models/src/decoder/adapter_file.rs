//! Adapters in PEFT's files: `adapter_config.json` and `adapter_model.safetensors`.

use std::path::Path;

use bestof_checkpoints::{StoredType, TensorInfo, Weights, WeightsWriter};
use bestof_files::{recover_folder, write_file};
use bestof_kernels::host_values;
use burn::tensor::Tensor;
use serde_json::{Value, json};

use super::lora_config::LoraConfig;
use super::model::Decoder;
use crate::error::ModelError;
use crate::parameters::{self, ParameterInfo};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
/// PEFT wraps the model twice.
const PREFIX: &str = "base_model.model.";

impl Decoder {
    /// Writes the adapters as PEFT reads them. `base` is the model they belong to, by name or
    /// path.
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
        let mut tensors: Vec<(String, TensorInfo)> = self
            .adapter_parameters()
            .into_iter()
            .map(|ParameterInfo { name, shape }| {
                let stored = format!("{PREFIX}{}", self.names.in_checkpoint(&name));
                (name, TensorInfo { name: stored, dtype, shape })
            })
            .collect();
        tensors.sort_by(|a, b| a.1.name.cmp(&b.1.name));
        let infos = tensors.iter().map(|(_, info)| info.clone()).collect();
        let mut writer = WeightsWriter::create_file(dir, WEIGHTS, infos, None)?;
        for (name, info) in &tensors {
            writer.push(&info.name, &host_values(parameters::values(self, name)?))?;
        }
        writer.finish()?;
        let text = format!("{:#}\n", peft_config(config, base));
        let path = dir.join(CONFIG);
        write_file(&path, text.as_bytes())
            .map_err(|error| ModelError::Io { path, source: error.into_io() })
    }

    /// Attaches the adapters that a folder holds.
    ///
    /// # Errors
    /// A file that cannot be read, a kind of adapter that is not LoRA, or tensors that do not
    /// fit this model.
    pub fn load_adapter(&mut self, dir: &Path) -> Result<(), ModelError> {
        let path = dir.join(CONFIG);
        recover_folder(dir)
            .map_err(|error| ModelError::Io { path: path.clone(), source: error.into_io() })?;
        let text = std::fs::read_to_string(&path)
            .map_err(|source| ModelError::Io { path: path.clone(), source })?;
        let json: Value = serde_json::from_str(&text)
            .map_err(|error| adapter_field("the file", &error, "a JSON object"))?;
        let config = lora_config(&json)?;
        let weights = Weights::open(&dir.join(WEIGHTS))?;
        let mut fresh = self.clone();
        fresh.attach_lora(config)?;
        let mut failed = None;
        let device = fresh.device().without_autodiff();
        let names = fresh.names;
        let fresh = parameters::replace(fresh, &mut |name, shape| {
            if !name.contains(".lora_") {
                return None;
            }
            let stored = format!("{PREFIX}{}", names.in_checkpoint(name));
            match read_tensor(&weights, &stored, shape) {
                Ok(values) => Some(Tensor::from_data(values.as_slice(), &device)),
                Err(error) => {
                    failed.get_or_insert(error);
                    None
                }
            }
        });
        if let Some(error) = failed {
            return Err(error);
        }
        *self = fresh;
        Ok(())
    }

    fn adapter_parameters(&self) -> Vec<ParameterInfo> {
        let all = parameters::all(self);
        all.into_iter().filter(|info| info.name.contains(".lora_")).collect()
    }
}

const NO_ADAPTERS: ModelError =
    ModelError::Adapters { found: "no adapters are attached", fix: "attach some first" };

fn read_tensor(weights: &Weights, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
    match weights.info(name) {
        None => Err(ModelError::MissingTensor { name: name.to_owned(), shape: shape.to_vec() }),
        Some(info) if info.shape != shape => Err(ModelError::ShapeMismatch {
            name: name.to_owned(),
            found: info.shape.clone(),
            expected: shape.to_vec(),
        }),
        Some(_) => Ok(weights.read_f32(name, shape)?),
    }
}

fn peft_config(config: &LoraConfig, base: &str) -> Value {
    json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": config.r,
        "lora_alpha": config.alpha,
        "lora_dropout": config.dropout,
        "target_modules": config.target_names(),
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "modules_to_save": null,
        "use_dora": false,
        "use_rslora": false,
    })
}

/// The settings in a PEFT file; what changes the formula is refused rather than passed over.
fn lora_config(json: &Value) -> Result<LoraConfig, ModelError> {
    if json["peft_type"] != "LORA" {
        return Err(adapter_field("peft_type", &json["peft_type"], "\"LORA\""));
    }
    for off in ["use_dora", "use_rslora", "fan_in_fan_out"] {
        if json[off] == true {
            return Err(adapter_field(off, &json[off], "false"));
        }
    }
    for empty in ["modules_to_save", "rank_pattern", "alpha_pattern", "layers_to_transform"] {
        let value = &json[empty];
        let nothing = value.is_null()
            || value.as_object().is_some_and(serde_json::Map::is_empty)
            || value.as_array().is_some_and(Vec::is_empty);
        if !nothing {
            return Err(adapter_field(empty, value, "nothing"));
        }
    }
    if !(json["bias"].is_null() || json["bias"] == "none") {
        return Err(adapter_field("bias", &json["bias"], "\"none\""));
    }
    let r = json["r"].as_u64().filter(|r| (1..1 << 16).contains(r));
    let r = r.ok_or_else(|| adapter_field("r", &json["r"], "a whole number above 0"))? as usize;
    let alpha = json["lora_alpha"].as_f64();
    let alpha =
        alpha.ok_or_else(|| adapter_field("lora_alpha", &json["lora_alpha"], "a number"))?;
    let targets = match &json["target_modules"] {
        Value::String(one) => vec![one.clone()],
        Value::Array(many) => many.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        other => return Err(adapter_field("target_modules", other, "names of linear layers")),
    };
    let dropout = json["lora_dropout"].as_f64().unwrap_or(0.0);
    Ok(LoraConfig { r, alpha, dropout, targets, seed: 0 })
}

fn adapter_field(field: &str, found: &dyn std::fmt::Display, expected: &str) -> ModelError {
    ModelError::AdapterField {
        field: field.to_owned(),
        found: found.to_string(),
        expected: expected.to_owned(),
    }
}
