//! Rotary position settings: from GGUF metadata to both spellings of `config.json`.

use bestof_positional::{Llama3, RopeConfig, RopeScaling};
use serde_json::{Map, Value, json};

use super::error::GgufError;
use super::metadata::{Metadata, bad_value, required};

/// The rotary base and scaling of a file.
#[derive(Debug)]
pub(super) struct Rope {
    pub(super) theta: f64,
    /// The share of each head that is rotated, where that is not all of it.
    pub(super) share: Option<f64>,
    pub(super) scaling: Option<Map<String, Value>>,
}

/// Divisors of the frequencies that some files store as tensors.
#[derive(Debug, Default)]
pub(super) struct StoredFactors {
    /// `rope_freqs.weight`: for every length.
    pub(super) all: Option<Vec<f32>>,
    /// `rope_factors_short.weight`: up to the original length.
    pub(super) short: Option<Vec<f32>>,
    /// `rope_factors_long.weight`: beyond it.
    pub(super) long: Option<Vec<f32>>,
}

/// What rotary settings depend on besides their own metadata.
#[derive(Debug)]
pub(super) struct RopeContext<'a> {
    /// Dimension of a head.
    pub(super) head_dim: usize,
    /// Whether fewer dimensions may be rotated.
    pub(super) in_part: bool,
    /// The model's context length in tokens.
    pub(super) length: usize,
    /// Base where the metadata names none.
    pub(super) default_theta: f64,
    /// Divisors stored as tensors.
    pub(super) factors: &'a StoredFactors,
}

/// The length Llama 3.1 and later were extended from, which their GGUF files do not hold.
const LLAMA3_ORIGINAL_LENGTH: usize = 8192;
const LLAMA3_LOW: f64 = 1.0;
const LLAMA3_HIGH: f64 = 4.0;

impl Rope {
    pub(super) fn read(
        metadata: &Metadata,
        architecture: &str,
        context: &RopeContext<'_>,
    ) -> Result<Self, GgufError> {
        let key = |name: &str| format!("{architecture}.rope.{name}");
        let theta = metadata.number(&key("freq_base"))?.map_or(context.default_theta, shortest);
        if theta <= 0.0 {
            return Err(bad_value(&key("freq_base"), theta.to_string(), "more than zero"));
        }
        let head_dim = context.head_dim;
        let rotated = metadata.count(&key("dimension_count"))?.unwrap_or(head_dim);
        let in_part = context.in_part && rotated > 0 && rotated < head_dim;
        if rotated != head_dim && !(in_part && rotated.is_multiple_of(2)) {
            let detail = format!("{rotated} of {head_dim} dimensions of a head are rotated");
            return Err(GgufError::Unsupported { what: "partial rotation", detail });
        }
        let stored = stored_scaling(metadata, &key, theta, rotated / 2, context)?;
        let scaling = match stored {
            Some(scaling) => Some(scaling),
            None => named_scaling(metadata, &key)?,
        };
        Ok(Self { theta, share: in_part.then(|| share(rotated, head_dim)), scaling })
    }

    /// `rope_parameters`, the newer spelling: base and scaling together.
    pub(super) fn parameters(&self) -> Value {
        let mut parameters =
            self.scaling.clone().unwrap_or_else(|| object(json!({ "rope_type": "default" })));
        parameters.insert("rope_theta".into(), self.theta.into());
        if let Some(share) = self.share {
            parameters.insert("partial_rotary_factor".into(), share.into());
        }
        parameters.into()
    }

    /// `rope_scaling`, the older spelling.
    pub(super) fn scaling(&self) -> Value {
        self.scaling.clone().map_or(Value::Null, Value::from)
    }
}

/// The factor whose product with the dimension, rounded down, is the number of rotated dimensions.
fn share(rotated: usize, head_dim: usize) -> f64 {
    let exact = rotated as f64 / head_dim as f64;
    if (exact * head_dim as f64) as usize == rotated {
        exact
    } else {
        (rotated as f64 + 0.5) / head_dim as f64
    }
}

/// The shortest decimal that is the same `f32`: metadata holds `1e-5` as `9.99999975e-6`.
pub(super) fn shortest(number: f64) -> f64 {
    (number as f32).to_string().parse().unwrap_or(number)
}

fn named_scaling(
    metadata: &Metadata,
    key: &impl Fn(&str) -> String,
) -> Result<Option<Map<String, Value>>, GgufError> {
    let old_linear = metadata.number(&key("scale_linear"))?.filter(|factor| *factor != 1.0);
    let kind = metadata.text(&key("scaling.type"))?.unwrap_or(if old_linear.is_some() {
        "linear"
    } else {
        "none"
    });
    let factor_key = key("scaling.factor");
    let factor = || -> Result<f64, GgufError> {
        let factor = required(metadata.number(&factor_key)?.or(old_linear), &factor_key)?;
        if factor > 0.0 {
            Ok(shortest(factor))
        } else {
            Err(bad_value(&factor_key, factor.to_string(), "more than zero"))
        }
    };
    match kind {
        "none" => Ok(None),
        "linear" => Ok(Some(object(json!({ "rope_type": "linear", "factor": factor()? })))),
        "yarn" => {
            let mut scaling = object(json!({ "rope_type": "yarn", "factor": factor()? }));
            for (name, field) in [
                ("scaling.yarn_beta_fast", "beta_fast"),
                ("scaling.yarn_beta_slow", "beta_slow"),
                ("scaling.attn_factor", "attention_factor"),
            ] {
                if let Some(number) = metadata.number(&key(name))? {
                    scaling.insert(field.into(), shortest(number).into());
                }
            }
            if let Some(length) = metadata.count(&key("scaling.original_context_length"))? {
                scaling.insert("original_max_position_embeddings".into(), length.into());
            }
            Ok(Some(scaling))
        }
        other => Err(bad_value(&key("scaling.type"), format!("{other:?}"), "none, linear or yarn")),
    }
}

/// Scaling by the stored divisors: Llama 3's rule where it gives just these, else every divisor.
fn stored_scaling(
    metadata: &Metadata,
    key: &impl Fn(&str) -> String,
    theta: f64,
    pairs: usize,
    context: &RopeContext<'_>,
) -> Result<Option<Map<String, Value>>, GgufError> {
    let factors = context.factors;
    let original =
        metadata.count(&key("scaling.original_context_length"))?.filter(|length| *length > 0);
    for (factors, tensor) in [
        (&factors.all, "rope_freqs.weight"),
        (&factors.short, "rope_factors_short.weight"),
        (&factors.long, "rope_factors_long.weight"),
    ] {
        if let Some(list) = factors
            && list.len() != pairs
        {
            let (found, expected) = (vec![list.len()], vec![pairs]);
            return Err(GgufError::WrongShape { tensor: tensor.to_owned(), found, expected });
        }
    }
    if let Some(all) = &factors.all {
        if all.iter().all(|divisor| *divisor == 1.0) {
            return Ok(None);
        }
        let llama3 = llama3(all, theta, original.unwrap_or(LLAMA3_ORIGINAL_LENGTH));
        // The same divisors for every length, whatever length counts as the original one.
        return Ok(Some(
            llama3.unwrap_or_else(|| longrope(all, all, context.length, 1.0, Some(1.0))),
        ));
    }
    match (&factors.short, &factors.long) {
        (Some(short), Some(long)) => {
            let attention = metadata.number(&key("scaling.attn_factor"))?.map(shortest);
            let original = original.unwrap_or(context.length);
            let factor = context.length as f64 / original as f64;
            Ok(Some(longrope(short, long, original, factor, attention)))
        }
        (None, None) => Ok(None),
        (short, _) => {
            let missing = if short.is_some() {
                "rope_factors_long.weight"
            } else {
                "rope_factors_short.weight"
            };
            Err(GgufError::MissingTensor { tensor: missing.to_owned() })
        }
    }
}

/// Llama 3's scaling, if it divides the frequencies by just these factors.
fn llama3(factors: &[f32], theta: f64, original: usize) -> Option<Map<String, Value>> {
    let largest = f64::from(*factors.last()?);
    let scaling = RopeScaling::Llama3(Llama3 {
        factor: largest,
        low_freq_factor: LLAMA3_LOW,
        high_freq_factor: LLAMA3_HIGH,
        original_max_position_embeddings: original,
    });
    let rope = RopeConfig { scaling, ..RopeConfig::new(2 * factors.len(), theta) };
    let expected = rope.gguf_rope_freqs().ok()?;
    let same = factors
        .iter()
        .zip(expected)
        .all(|(found, expected)| (f64::from(*found) / expected - 1.0).abs() < 1e-4);
    same.then(|| {
        object(json!({
            "rope_type": "llama3",
            "factor": shortest(largest),
            "low_freq_factor": LLAMA3_LOW,
            "high_freq_factor": LLAMA3_HIGH,
            "original_max_position_embeddings": original,
        }))
    })
}

fn longrope(
    short: &[f32],
    long: &[f32],
    original: usize,
    factor: f64,
    attention: Option<f64>,
) -> Map<String, Value> {
    let list =
        |factors: &[f32]| factors.iter().map(|&f| shortest(f64::from(f))).collect::<Vec<_>>();
    let mut scaling = object(json!({
        "rope_type": "longrope",
        "factor": factor,
        "short_factor": list(short),
        "long_factor": list(long),
        "original_max_position_embeddings": original,
    }));
    if let Some(attention) = attention {
        scaling.insert("attention_factor".into(), attention.into());
    }
    scaling
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
