//! The rotary settings of `config.json` as GGUF metadata and tensors.

use bestof_positional::hf::{FULL_ATTENTION, HfRope, LayerRopes, NoRope, SLIDING_ATTENTION};
use bestof_positional::{LongRope, RopeBasis as _, RopeConfig, RopeScaling, Yarn};
use serde_json::Value;

use super::super::architecture::Family;
use super::super::config::SMOLLM3_NO_ROPE_INTERVAL;
use super::super::entries::Entries;
use super::super::error::GgufError;
use super::refuse::inexpressible;

/// The rotary settings of a file.
#[derive(Debug, PartialEq)]
pub(super) struct ExportRope {
    /// How many dimensions of a head are rotated.
    rotated: usize,
    theta: f64,
    /// Base of the layers with a sliding window, where it is another one.
    local_theta: Option<f64>,
    /// `rope.scaling.type` and numbers beside it.
    scaling: Option<(&'static str, Vec<(&'static str, f64)>)>,
    original_context: Option<usize>,
    /// Tensors of divisors of the frequencies.
    pub(super) factors: Vec<(&'static str, Vec<f32>)>,
}

impl ExportRope {
    /// What the model computes with, by the one reader of rotary settings.
    pub(super) fn read(config: &Value, family: Family, layers: usize) -> Result<Self, GgufError> {
        let read = HfRope::of_model(config)?;
        if let Some(key) = read.unrecognised.first() {
            let reason = "nothing stands for it beside this type of scaling";
            return Err(inexpressible("the key of rotary settings", key, reason));
        }
        check_no_rope(config, &read.no_rope, family, layers)?;
        let (full, local) = match &read.layers {
            LayerRopes::Uniform(rope) => (Some(rope), None),
            layers @ LayerRopes::PerLayerType(_) => {
                (layers.get(FULL_ATTENTION), layers.get(SLIDING_ATTENTION))
            }
        };
        let Some(full) = full else {
            let reason = "llama.cpp rotates the layers with full attention";
            return Err(inexpressible("full_attention", "missing", reason));
        };
        if let Some(local) = local.filter(|local| local.scaling != RopeScaling::Default) {
            let (field, kind) = ("sliding_attention.rope_type", local.scaling.rope_type());
            let reason = "llama.cpp scales the layers with full attention only";
            return Err(inexpressible(field, kind, reason));
        }
        if full.partial_rotary_factor != 1.0 && !family.rotates_in_part() {
            let reason = "llama.cpp rotates whole heads in this family";
            return Err(inexpressible("partial_rotary_factor", full.partial_rotary_factor, reason));
        }
        let mut rope = Self {
            rotated: full.shape()?.rotary_dim(),
            theta: full.rope_theta,
            local_theta: local.map(|local| local.rope_theta),
            scaling: None,
            original_context: None,
            factors: Vec::new(),
        };
        rope.add_scaling(full, family)?;
        Ok(rope)
    }

    fn add_scaling(&mut self, config: &RopeConfig, family: Family) -> Result<(), GgufError> {
        let llama = matches!(family, Family::Llama | Family::Mistral);
        let two_lists = llama || family == Family::Phi3;
        let attention = config.build()?.basis().attention_factor();
        match &config.scaling {
            RopeScaling::Default => {}
            RopeScaling::Linear(rule) => {
                self.scaling = Some(("linear", vec![("factor", rule.factor)]));
            }
            RopeScaling::Yarn(rule) => self.add_yarn(rule, attention)?,
            RopeScaling::Llama3(_) if llama => {
                let divisors = config.gguf_rope_freqs()?;
                self.factors.push(("rope_freqs.weight", as_f32(&divisors)));
            }
            RopeScaling::LongRope(rule) if two_lists => self.add_longrope(rule, attention),
            RopeScaling::Llama3(_) | RopeScaling::LongRope(_) => {
                let reason = "llama.cpp reads no such divisors of frequencies in this family";
                return Err(inexpressible("rope_type", config.scaling.rope_type(), reason));
            }
            other => {
                let reason = "written are default, linear, yarn, llama3 and longrope";
                return Err(inexpressible("rope_type", other.rope_type(), reason));
            }
        }
        Ok(())
    }

    fn add_yarn(&mut self, rule: &Yarn, attention: f64) -> Result<(), GgufError> {
        // What llama.cpp multiplies queries and keys by, and transformers' default.
        let computed = 0.1 * rule.factor.max(1.0).ln() + 1.0;
        if (attention / computed - 1.0).abs() > 1e-6 {
            let reason = format!("llama.cpp computes {computed} for the factor {}", rule.factor);
            return Err(inexpressible("attention_factor", attention, reason));
        }
        if !rule.truncate {
            let reason = "llama.cpp rounds the ends of the ramp to whole pairs";
            return Err(inexpressible("truncate", rule.truncate, reason));
        }
        let mut numbers = vec![("factor", rule.factor)];
        // Files without the keys have the defaults.
        let plain = Yarn::new(rule.factor, rule.original_max_position_embeddings);
        for (key, number, default) in [
            ("yarn_beta_fast", rule.beta_fast, plain.beta_fast),
            ("yarn_beta_slow", rule.beta_slow, plain.beta_slow),
        ] {
            if number != default {
                numbers.push((key, number));
            }
        }
        self.scaling = Some(("yarn", numbers));
        self.original_context = Some(rule.original_max_position_embeddings);
        Ok(())
    }

    fn add_longrope(&mut self, rule: &LongRope, attention: f64) {
        self.factors.push(("rope_factors_short.weight", as_f32(&rule.short_factor)));
        self.factors.push(("rope_factors_long.weight", as_f32(&rule.long_factor)));
        self.scaling = Some(("longrope", vec![("attn_factor", attention)]));
        self.original_context = Some(rule.original_max_position_embeddings);
    }

    pub(super) fn write(&self, architecture: &str, entries: &mut Entries) {
        let key = |name: &str| format!("{architecture}.rope.{name}");
        entries.u32(&key("dimension_count"), self.rotated as u32);
        entries.f32(&key("freq_base"), self.theta);
        if let Some(local) = self.local_theta {
            entries.f32(&key("freq_base_swa"), local);
        }
        if let Some((kind, numbers)) = &self.scaling {
            entries.text(&key("scaling.type"), kind);
            for (name, number) in numbers {
                entries.f32(&key(&format!("scaling.{name}")), *number);
            }
        }
        if let Some(original) = self.original_context {
            entries.u32(&key("scaling.original_context_length"), original as u32);
        }
    }
}

/// Refuses layers without RoPE, given from 0, that are not those that llama.cpp does not rotate.
fn check_no_rope(
    config: &Value,
    no_rope: &[usize],
    family: Family,
    layers: usize,
) -> Result<(), GgufError> {
    if family != Family::SmolLm3 {
        return no_rope.first().map_or(Ok(()), |layer| {
            let reason = "llama.cpp rotates every layer of these families";
            let found = format!("0 for layer {layer} (from 0)");
            Err(inexpressible("no_rope_layers", found, reason))
        });
    }
    let interval = Some(SMOLLM3_NO_ROPE_INTERVAL);
    let every = NoRope { no_rope_layer_interval: interval, ..NoRope::default() };
    if no_rope == every.indices(layers)? {
        return Ok(());
    }
    let list = "no_rope_layers";
    let field = if config[list].is_null() { "no_rope_layer_interval" } else { list };
    let reason = "llama.cpp leaves the rotation out of every fourth layer and of no other";
    Err(inexpressible(field, &config[field], reason))
}

fn as_f32(divisors: &[f64]) -> Vec<f32> {
    divisors.iter().map(|divisor| *divisor as f32).collect()
}
