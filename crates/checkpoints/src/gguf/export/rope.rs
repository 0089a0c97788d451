//! The rotary settings of `config.json` as GGUF metadata and tensors.

use std::f64::consts::PI;

use serde_json::{Map, Value};

use super::super::architecture::Family;
use super::super::entries::Entries;
use super::super::error::GgufError;
use super::refuse::{bad_setting, inexpressible};

/// The base of Gemma 3's layers with full attention, and of those with a window.
const GEMMA3_THETA: f64 = 1_000_000.0;
const GEMMA3_LOCAL_THETA: f64 = 10_000.0;
const THETA: f64 = 10_000.0;

/// The rotary settings of a file.
#[derive(Debug, PartialEq)]
pub(super) struct ExportRope {
    head_dim: usize,
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
    pub(super) fn read(
        config: &Value,
        family: Family,
        head_dim: usize,
        context: usize,
    ) -> Result<Self, GgufError> {
        let partial = &config["partial_rotary_factor"];
        if !partial.is_null() && partial.as_f64() != Some(1.0) {
            let reason = "llama.cpp rotates whole heads in these families";
            return Err(inexpressible("partial_rotary_factor", partial, reason));
        }
        let gemma3 = family == Family::Gemma3;
        // Transformers 5 nests the settings by kind of layer; 4 has them in several fields.
        let newer = &config["rope_parameters"];
        let nested = newer.get("full_attention");
        let parameters = nested.unwrap_or(newer);
        let old = &config["rope_scaling"];
        let (name, scaling) = match (parameters, old) {
            (Value::Object(parameters), _) => ("rope_parameters", parameters.clone()),
            (_, Value::Object(old)) => ("rope_scaling", old.clone()),
            _ => ("rope_scaling", Map::new()),
        };
        let theta = |values: [&Value; 2], default: f64| -> Result<f64, GgufError> {
            match values.into_iter().find(|value| !value.is_null()) {
                None => Ok(default),
                Some(value) => value
                    .as_f64()
                    .filter(|theta| *theta > 0.0)
                    .ok_or_else(|| bad_setting("rope_theta", value, "a number above zero")),
            }
        };
        let global = if gemma3 { GEMMA3_THETA } else { THETA };
        let theta_full = theta([&parameters["rope_theta"], &config["rope_theta"]], global)?;
        let local = &newer["sliding_attention"];
        let local_theta = if gemma3 {
            let kind = local["rope_type"].as_str().unwrap_or("default");
            if kind != "default" {
                let reason = "llama.cpp scales the layers with full attention only";
                return Err(inexpressible("sliding_attention.rope_type", kind, reason));
            }
            let values = [&local["rope_theta"], &config["rope_local_base_freq"]];
            Some(theta(values, GEMMA3_LOCAL_THETA)?)
        } else {
            None
        };
        let mut rope = Self {
            head_dim,
            theta: theta_full,
            local_theta,
            scaling: None,
            original_context: None,
            factors: Vec::new(),
        };
        let source = Scaling { name, values: &scaling, config };
        rope.add_scaling(&source, family, context)?;
        Ok(rope)
    }

    fn add_scaling(
        &mut self,
        source: &Scaling<'_>,
        family: Family,
        context: usize,
    ) -> Result<(), GgufError> {
        let llama = matches!(family, Family::Llama | Family::Mistral);
        let kind = source.kind();
        match kind {
            "default" => source.only(&[]),
            "linear" => {
                source.only(&["factor"])?;
                self.scaling = Some(("linear", vec![("factor", source.required("factor")?)]));
                Ok(())
            }
            "yarn" => self.add_yarn(source),
            "llama3" if llama => self.add_llama3(source),
            "longrope" if llama => self.add_longrope(source, context),
            "llama3" | "longrope" => {
                let reason = "llama.cpp reads divisors of frequencies in the llama family only";
                Err(inexpressible(source.field("rope_type"), kind, reason))
            }
            _ => {
                let reason = "written are default, linear, yarn, llama3 and longrope";
                Err(inexpressible(source.field("rope_type"), kind, reason))
            }
        }
    }

    fn add_yarn(&mut self, source: &Scaling<'_>) -> Result<(), GgufError> {
        let original = "original_max_position_embeddings";
        source.only(&["factor", original, "attention_factor", "beta_fast", "beta_slow"])?;
        let factor = source.required("factor")?;
        // What llama.cpp multiplies queries and keys by, and transformers' default.
        let computed = 0.1 * factor.max(1.0).ln() + 1.0;
        if let Some(found) = source.number("attention_factor")?
            && (found / computed - 1.0).abs() > 1e-6
        {
            let reason = format!("llama.cpp computes {computed} for the factor {factor}");
            return Err(inexpressible(source.field("attention_factor"), found, reason));
        }
        let mut numbers = vec![("factor", factor)];
        for (field, key, default) in
            [("beta_fast", "yarn_beta_fast", 32.0), ("beta_slow", "yarn_beta_slow", 1.0)]
        {
            // Files without the keys have the defaults.
            if let Some(found) = source.number(field)?.filter(|found| *found != default) {
                numbers.push((key, found));
            }
        }
        self.scaling = Some(("yarn", numbers));
        self.original_context = Some(source.original()?);
        Ok(())
    }

    /// Llama 3's rule as divisors, one per pair:
    ///
    /// ```text
    /// divisor_i = 1                            if original / wavelength_i > high
    ///           = f                            if original / wavelength_i < low
    ///           = 1 / ((1 - s) / f + s)        otherwise
    /// s         = (original / wavelength_i - low) / (high - low)
    /// ```
    fn add_llama3(&mut self, source: &Scaling<'_>) -> Result<(), GgufError> {
        let (low, high) = ("low_freq_factor", "high_freq_factor");
        source.only(&["factor", "original_max_position_embeddings", low, high])?;
        let factor = source.required("factor")?;
        let (low, high) = (source.required(low)?, source.required(high)?);
        let original = source.original()? as f64;
        let half = self.head_dim / 2;
        let divisors = (0..half).map(|i| {
            let turns = original / (2.0 * PI * self.theta.powf(i as f64 / half as f64));
            let smooth = ((turns - low) / (high - low)).clamp(0.0, 1.0);
            (1.0 / ((1.0 - smooth) / factor + smooth)) as f32
        });
        self.factors.push(("rope_freqs.weight", divisors.collect()));
        Ok(())
    }

    fn add_longrope(&mut self, source: &Scaling<'_>, context: usize) -> Result<(), GgufError> {
        let lists = [
            ("short_factor", "rope_factors_short.weight"),
            ("long_factor", "rope_factors_long.weight"),
        ];
        let original = "original_max_position_embeddings";
        let known = ["factor", "attention_factor", original, lists[0].0, lists[1].0];
        source.only(&known)?;
        let half = self.head_dim / 2;
        for (field, tensor) in lists {
            let numbers = source.values.get(field).and_then(Value::as_array);
            let list: Option<Vec<f32>> = numbers
                .map(|list| list.iter().map(|n| n.as_f64().map(|n| n as f32)).collect())
                .unwrap_or_default();
            let Some(list) = list.filter(|list| list.len() == half) else {
                let expected = format!("a list of {half} numbers, one per pair");
                let found = source.values.get(field).unwrap_or(&Value::Null);
                return Err(bad_setting(source.field(field), found, expected));
            };
            self.factors.push((tensor, list));
        }
        let original = source.original()?;
        let factor = source.number("factor")?.unwrap_or(context as f64 / original as f64);
        let computed =
            if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / (original as f64).ln()).sqrt() };
        let attention = source.number("attention_factor")?.unwrap_or(computed);
        self.scaling = Some(("longrope", vec![("attn_factor", attention)]));
        self.original_context = Some(original);
        Ok(())
    }

    pub(super) fn write(&self, architecture: &str, entries: &mut Entries) {
        let key = |name: &str| format!("{architecture}.rope.{name}");
        entries.u32(&key("dimension_count"), self.head_dim as u32);
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

/// Scaling in a configuration.
struct Scaling<'a> {
    /// The field of the configuration.
    name: &'static str,
    values: &'a Map<String, Value>,
    config: &'a Value,
}

impl Scaling<'_> {
    fn kind(&self) -> &str {
        let named =
            ["rope_type", "type"].into_iter().find_map(|key| self.values.get(key)?.as_str());
        match named.unwrap_or("default") {
            // Its name before it was published.
            "su" => "longrope",
            kind => kind,
        }
    }

    fn field(&self, name: &str) -> String {
        format!("{}.{name}", self.name)
    }

    /// Refuses keys that are not among `known`, nor about all kinds of scaling.
    fn only(&self, known: &[&str]) -> Result<(), GgufError> {
        let common = ["rope_type", "type", "rope_theta"];
        let other = self.values.iter().find(|(key, value)| {
            !common.contains(&key.as_str()) && !known.contains(&key.as_str()) && !value.is_null()
        });
        match other {
            None => Ok(()),
            Some((key, value)) => {
                let reason = format!("nothing stands for it beside the type {}", self.kind());
                Err(inexpressible(self.field(key), value, reason))
            }
        }
    }

    fn number(&self, name: &str) -> Result<Option<f64>, GgufError> {
        match self.values.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_f64().filter(|number| *number > 0.0) {
                Some(number) => Ok(Some(number)),
                None => Err(bad_setting(self.field(name), value, "a number above zero")),
            },
        }
    }

    fn required(&self, name: &str) -> Result<f64, GgufError> {
        self.number(name)?
            .ok_or_else(|| bad_setting(self.field(name), &Value::Null, "a number above zero"))
    }

    /// The context length before the model was extended, beside the scaling or in the configuration.
    fn original(&self) -> Result<usize, GgufError> {
        let field = "original_max_position_embeddings";
        let value = match self.values.get(field) {
            None | Some(Value::Null) => &self.config[field],
            Some(value) => value,
        };
        let length = value.as_u64().and_then(|length| u32::try_from(length).ok());
        match length {
            Some(length) if length > 0 => Ok(length as usize),
            _ => Err(bad_setting(self.field(field), value, "a count of tokens")),
        }
    }
}
