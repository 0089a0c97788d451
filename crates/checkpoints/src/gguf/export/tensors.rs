//! The tensors of a model folder under GGUF's names, planned and written.

use bestof_blocks::{GgmlType, quantize_blocks};
use std::collections::HashMap;

use bestof_files::StagedFile;

use super::super::architecture::{Change, TensorRule};
use super::super::entries::{self, Entries};
use super::super::error::GgufError;
use super::config::ModelConfig;
use super::rope::ExportRope;
use super::text_half::TextHalf;
use crate::conversion::{Progress, count};
use crate::error::CheckpointError;
use crate::stored::TensorInfo;
use crate::weights::Weights;

const ALIGNMENT: usize = 32;
const VERSION: u32 = 3;

/// All tensors of the file, in its order.
pub(super) struct Tensors {
    list: Vec<Planned>,
    head_dim: usize,
}

struct Planned {
    name: String,
    shape: Vec<usize>,
    ggml_type: GgmlType,
    source: Source,
}

enum Source {
    /// A tensor of the folder, and the change that reading it back undoes.
    Weights {
        name: String,
        change: Change,
    },
    Values(Vec<f32>),
}

impl Planned {
    fn bytes(&self) -> usize {
        self.ggml_type.bytes_of(self.shape.iter().product())
    }
}

impl Tensors {
    pub(super) fn plan(
        model: &ModelConfig<'_>,
        text_half: &TextHalf<'_>,
        rope: &ExportRope,
        ggml_type: GgmlType,
    ) -> Result<Self, GgufError> {
        let mut left: HashMap<&str, &TensorInfo> =
            text_half.by_name().iter().map(|(name, info)| (name.as_str(), *info)).collect();
        // Transformers 4.31 and before stored these with the model; they follow from the basis.
        left.retain(|name, _| !name.ends_with(".rotary_emb.inv_freq"));
        if model.tied {
            left.remove("lm_head.weight");
        }
        let has = |name: &str| match name {
            "output.weight" => !model.tied,
            "blk.0.attn_q.bias" => text_half.get("model.layers.0.self_attn.q_proj.bias").is_some(),
            "blk.0.ffn_gate.bias" => text_half.get("model.layers.0.mlp.gate_proj.bias").is_some(),
            _ => false,
        };
        let mut list = Vec::new();
        let mut add = |gguf: String, hf: String, rule: &TensorRule| -> Result<(), GgufError> {
            let shape: Vec<usize> = rule.shape.iter().map(|size| model.sizes.of(*size)).collect();
            let Some(info) = left.remove(hf.as_str()) else {
                return Err(GgufError::MissingTensor { tensor: hf });
            };
            if info.shape != shape {
                let (tensor, found) = (info.name.clone(), info.shape.clone());
                return Err(GgufError::WrongShape { tensor, found, expected: shape });
            }
            let output = gguf == "output.weight" || (model.tied && gguf == "token_embd.weight");
            let source = Source::Weights { name: info.name.clone(), change: rule.change };
            let ggml_type = type_of(&shape, ggml_type, output);
            list.push(Planned { name: gguf, shape, ggml_type, source });
            Ok(())
        };
        for rule in model.family.outer_rules(&has) {
            add(rule.gguf.to_owned(), rule.hf.to_owned(), &rule)?;
        }
        for layer in 0..model.sizes.layers {
            for rule in model.family.layer_rules(&has) {
                let hf = format!("model.layers.{layer}.{}", rule.hf);
                add(format!("blk.{layer}.{}", rule.gguf), hf, &rule)?;
            }
        }
        if let Some(tensor) = left.into_values().map(|info| &info.name).min() {
            let (tensor, model_type) = (tensor.clone(), model.model_type().to_owned());
            return Err(GgufError::StrayTensor { tensor, model_type });
        }
        list.extend(rope.factors.iter().map(|(name, values)| Planned {
            name: (*name).to_owned(),
            shape: vec![values.len()],
            ggml_type: GgmlType::F32,
            source: Source::Values(values.clone()),
        }));
        Ok(Self { list, head_dim: model.sizes.head_dim })
    }

    /// Number of parameters, divisors of frequencies left out.
    pub(super) fn parameters(&self) -> u64 {
        let weights = self.list.iter().filter(|t| matches!(t.source, Source::Weights { .. }));
        weights.map(|tensor| tensor.shape.iter().product::<usize>() as u64).sum()
    }

    pub(super) fn types(&self) -> Vec<(String, usize)> {
        let mut counts = Vec::new();
        for tensor in &self.list {
            count(&mut counts, tensor.ggml_type.name().to_owned());
        }
        counts
    }

    /// Writes the whole file: header, metadata, entries of the tensors, their data.
    pub(super) fn write(
        &self,
        weights: &Weights,
        metadata: &Entries,
        file: &mut StagedFile<'_>,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), CheckpointError> {
        let mut head = b"GGUF".to_vec();
        head.extend(VERSION.to_le_bytes());
        head.extend((self.list.len() as u64).to_le_bytes());
        head.extend(metadata.count.to_le_bytes());
        head.extend(&metadata.bytes);
        let mut offset = 0;
        for tensor in &self.list {
            let kind = tensor.ggml_type.number();
            head.extend(entries::tensor(&tensor.name, &tensor.shape, kind, offset as u64));
            offset += tensor.bytes().next_multiple_of(ALIGNMENT);
        }
        head.resize(head.len().next_multiple_of(ALIGNMENT), 0);
        file.push(&head)?;

        let (mut values_done, values_total) = (0, self.parameters());
        for tensor in &self.list {
            let mut bytes = Vec::with_capacity(tensor.bytes().next_multiple_of(ALIGNMENT));
            match &tensor.source {
                Source::Values(values) => encode(tensor, values, &mut bytes, weights)?,
                Source::Weights { name, change } => {
                    let values = weights.read_f32(name, &tensor.shape)?;
                    values_done += values.len() as u64;
                    encode(tensor, &self.changed(values, tensor, *change), &mut bytes, weights)?;
                    progress(Progress { tensor: name, values_done, values_total });
                }
            }
            bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
            file.push(&bytes)?;
        }
        Ok(())
    }

    fn changed(&self, mut values: Vec<f32>, tensor: &Planned, change: Change) -> Vec<f32> {
        match change {
            Change::Nothing => values,
            Change::MinusOne => {
                for value in &mut values {
                    *value += 1.0;
                }
                values
            }
            Change::Unpair => {
                let width = if tensor.shape.len() == 1 { 1 } else { tensor.shape[1] };
                pair(&values, width, self.head_dim)
            }
        }
    }
}

fn encode(
    tensor: &Planned,
    values: &[f32],
    bytes: &mut Vec<u8>,
    weights: &Weights,
) -> Result<(), CheckpointError> {
    quantize_blocks(tensor.ggml_type, values, bytes).map_err(|problem| CheckpointError::Gguf {
        path: weights.path().to_path_buf(),
        source: Box::new(GgufError::InTensor {
            tensor: tensor.name.clone(),
            problem: Box::new(problem.into()),
        }),
    })
}

/// Vectors stay `F32`, as llama.cpp asks for.
fn type_of(shape: &[usize], wanted: GgmlType, output: bool) -> GgmlType {
    let [_, row] = shape else { return GgmlType::F32 };
    match wanted {
        _ if !row.is_multiple_of(wanted.block_values()) => GgmlType::F16,
        GgmlType::Q4_0 if output => GgmlType::Q8_0,
        wanted => wanted,
    }
}

/// Reorders rows of heads: rotated pairs become neighbours.
///
/// ```text
/// new row h·D + 2j + p  =  old row h·D + p·D/2 + j      p in {0, 1}, j < D/2
/// ```
fn pair(rows: &[f32], width: usize, head_dim: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(rows.len());
    for head in rows.chunks_exact(width * head_dim) {
        for pair in 0..head_dim / 2 {
            for member in 0..2 {
                let row = member * head_dim / 2 + pair;
                out.extend_from_slice(&head[row * width..(row + 1) * width]);
            }
        }
    }
    out
}
