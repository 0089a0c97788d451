//! `adapter_config.json`: an adapter's settings as PEFT writes them.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value, json};

use super::lora_config::{ALL_LINEAR, LoraConfig, ModuleNames, projection_names};
use super::peft_keys::{check, field_error, is_off};
use crate::error::ModelError;

impl LoraConfig {
    /// The contents of `adapter_config.json` for adapters on the model `base`, by name or path.
    pub fn to_peft(&self, base: &str) -> Value {
        let all = |end: &String| end == ALL_LINEAR;
        let targets = match &self.targets {
            ModuleNames::Pattern(pattern) if pattern != ALL_LINEAR => json!(pattern),
            ModuleNames::Ends(ends) if !ends.iter().any(all) => json!(ends),
            _ => json!(projection_names()),
        };
        let list = |names: &[String]| if names.is_empty() { Value::Null } else { json!(names) };
        json!({
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": base,
            "auto_mapping": null,
            "revision": null,
            "inference_mode": true,
            "r": self.r,
            "lora_alpha": self.alpha,
            "lora_dropout": self.dropout,
            "target_modules": targets,
            "exclude_modules": self.exclude,
            "bias": "none",
            "fan_in_fan_out": false,
            "init_lora_weights": true,
            "modules_to_save": list(&self.modules_to_save),
            "layers_to_transform": self.layers_to_transform,
            "layers_pattern": list(&self.layers_pattern),
            "rank_pattern": object(&self.rank_pattern),
            "alpha_pattern": object(&self.alpha_pattern),
            "use_dora": self.dora,
            "use_rslora": self.rslora,
            "lora_bias": self.bias,
        })
    }

    /// The settings in an `adapter_config.json`. Every key in it is read, known to play no part, or
    /// off: null, false or empty.
    ///
    /// # Errors
    /// [`ModelError::AdapterKind`] for adapters that are not computed here,
    /// [`ModelError::AdapterField`] for a value that is none, and what
    /// [`validate`](Self::validate) says.
    pub fn from_peft(text: &str) -> Result<Self, ModelError> {
        let unreadable = |error: serde_json::Error| ModelError::AdapterField {
            field: "the file".to_owned(),
            found: error.to_string(),
            expected: "a JSON object".to_owned(),
        };
        let fields: Map<String, Value> = serde_json::from_str(text).map_err(unreadable)?;
        check(&fields)?;
        let fields = Fields(&fields);
        let patterns: Patterns = serde_json::from_str(text).map_err(unreadable)?;
        let ranks = patterns.rank_pattern.0.into_iter().map(|(key, r)| {
            let field = format!("rank_pattern.{key}");
            rank(&r).ok_or_else(|| field_error(&field, &r, RANK)).map(|r| (key, r))
        });
        let alphas = patterns.alpha_pattern.0.into_iter().map(|(key, alpha)| {
            let field = format!("alpha_pattern.{key}");
            let number = alpha.as_f64().ok_or_else(|| field_error(&field, &alpha, "a number"));
            number.map(|alpha| (key, alpha))
        });
        let r = fields.get("r");
        let bias = fields.get("bias");
        if !(bias.is_null() || ["none", "all", "lora_only"].iter().any(|known| bias == known)) {
            return Err(field_error("bias", bias, "\"none\", \"all\" or \"lora_only\""));
        }
        let targets = fields.modules("target_modules")?;
        let config = Self {
            r: rank(r).ok_or_else(|| field_error("r", r, RANK))?,
            alpha: fields.number("lora_alpha", 8.0)?,
            dropout: fields.number("lora_dropout", 0.0)?,
            targets: targets.ok_or_else(|| {
                field_error(
                    "target_modules",
                    fields.get("target_modules"),
                    "names of linear layers",
                )
            })?,
            exclude: fields.modules("exclude_modules")?,
            rank_pattern: ranks.collect::<Result<_, _>>()?,
            alpha_pattern: alphas.collect::<Result<_, _>>()?,
            rslora: fields.flag("use_rslora")?,
            dora: fields.flag("use_dora")?,
            bias: fields.flag("lora_bias")?,
            layers_to_transform: fields.layers()?,
            layers_pattern: fields.names("layers_pattern")?,
            modules_to_save: fields.names("modules_to_save")?,
            seed: 0,
        };
        if fields.flag("ensure_weight_tying")? && config.modules_to_save.iter().any(|m| is_tied(m))
        {
            let (field, found) = ("ensure_weight_tying".to_owned(), "true".to_owned());
            let reason = "embeddings and vocabulary projection that are trained whole are two matrices here; merge \
                          the adapter with PEFT (`merge_and_unload`) and use the merged folder"
                .to_owned();
            return Err(ModelError::AdapterKind { field, found, reason });
        }
        config.validate()?;
        Ok(config)
    }
}

const RANK: &str = "a whole number above 0";

fn rank(value: &Value) -> Option<usize> {
    value.as_u64().filter(|r| (1..1 << 16).contains(r)).map(|r| r as usize)
}

fn is_tied(module: &str) -> bool {
    module.ends_with("embed_tokens") || module.ends_with("lm_head")
}

fn object<T: Copy + Into<Value>>(pattern: &[(String, T)]) -> Value {
    Value::Object(pattern.iter().map(|(key, value)| (key.clone(), (*value).into())).collect())
}

/// The keys of the file, typed.
struct Fields<'a>(&'a Map<String, Value>);

impl Fields<'_> {
    fn get(&self, field: &str) -> &Value {
        self.0.get(field).unwrap_or(&Value::Null)
    }

    fn number(&self, field: &str, absent: f64) -> Result<f64, ModelError> {
        let found = self.get(field);
        if found.is_null() {
            return Ok(absent);
        }
        found.as_f64().ok_or_else(|| field_error(field, found, "a number"))
    }

    fn flag(&self, field: &str) -> Result<bool, ModelError> {
        let found = self.get(field);
        if found.is_null() {
            return Ok(false);
        }
        found.as_bool().ok_or_else(|| field_error(field, found, "true or false"))
    }

    /// Names of modules; an empty list is none.
    fn modules(&self, field: &str) -> Result<Option<ModuleNames>, ModelError> {
        let found = self.get(field);
        if is_off(found) {
            return Ok(None);
        }
        if let Value::String(pattern) = found {
            return Ok(Some(ModuleNames::Pattern(pattern.clone())));
        }
        self.names(field).map(|names| Some(names.into()))
    }

    /// A name or a list of them.
    fn names(&self, field: &str) -> Result<Vec<String>, ModelError> {
        let expected = || field_error(field, self.get(field), "a string, or a list of strings");
        let name = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(expected);
        match self.get(field) {
            off if is_off(off) => Ok(Vec::new()),
            Value::Array(names) => names.iter().map(name).collect(),
            one => Ok(vec![name(one)?]),
        }
    }

    /// The number of a layer or a list of them; an empty list is all layers.
    fn layers(&self) -> Result<Option<Vec<usize>>, ModelError> {
        let field = "layers_to_transform";
        let expected =
            || field_error(field, self.get(field), "a layer's number, or a list of them");
        let number = |value: &Value| value.as_u64().map(|n| n as usize).ok_or_else(expected);
        match self.get(field) {
            off if is_off(off) => Ok(None),
            Value::Array(layers) => layers.iter().map(number).collect::<Result<_, _>>().map(Some),
            one => Ok(Some(vec![number(one)?])),
        }
    }
}

/// The keys whose order counts: the first pattern that matches a module holds.
#[derive(serde::Deserialize)]
struct Patterns {
    #[serde(default)]
    rank_pattern: InOrder<Value>,
    #[serde(default)]
    alpha_pattern: InOrder<Value>,
}

/// An object's keys in the order of the file.
struct InOrder<T>(Vec<(String, T)>);

impl<T> Default for InOrder<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for InOrder<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Entries(PhantomData))
    }
}

struct Entries<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
    type Value = InOrder<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of patterns, or null")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(InOrder::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(InOrder(entries))
    }
}
