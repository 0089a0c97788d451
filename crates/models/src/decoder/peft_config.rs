//! `adapter_config.json`: an adapter's settings as PEFT writes them.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::lora_config::{LoraConfig, ModuleNames};
use super::peft_keys::{check, field_error};
use crate::error::ModelError;
use crate::family::fields::is_off;

impl LoraConfig {
    /// The text of `adapter_config.json` for adapters on the model `base`, by name or path, with
    /// patterns in their order.
    pub fn to_peft(&self, base: &str) -> String {
        let config = PeftConfig {
            peft_type: "LORA",
            task_type: "CAUSAL_LM",
            base_model_name_or_path: base,
            auto_mapping: (),
            revision: (),
            inference_mode: true,
            r: self.r,
            lora_alpha: self.alpha,
            lora_dropout: self.dropout,
            target_modules: &self.targets,
            exclude_modules: self.exclude.as_ref(),
            bias: "none",
            fan_in_fan_out: false,
            init_lora_weights: true,
            modules_to_save: some(&self.modules_to_save),
            layers_to_transform: self.layers_to_transform.as_deref(),
            layers_pattern: some(&self.layers_pattern),
            rank_pattern: &self.rank_pattern,
            alpha_pattern: &self.alpha_pattern,
            use_dora: self.dora,
            use_rslora: self.rslora,
            lora_bias: self.bias,
        };
        serde_json::to_string_pretty(&config).unwrap_or_default() + "\n"
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

const RANK: &str = "a whole number from 1 to 65535";

fn rank(value: &Value) -> Option<usize> {
    value.as_u64().filter(|r| (1..1 << 16).contains(r)).map(|r| r as usize)
}

fn is_tied(module: &str) -> bool {
    module.ends_with("embed_tokens") || module.ends_with("lm_head")
}

/// `adapter_config.json` as it is written.
#[derive(Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the file's own keys")]
struct PeftConfig<'a> {
    peft_type: &'a str,
    task_type: &'a str,
    base_model_name_or_path: &'a str,
    auto_mapping: (),
    revision: (),
    inference_mode: bool,
    r: usize,
    lora_alpha: f64,
    lora_dropout: f64,
    target_modules: &'a ModuleNames,
    exclude_modules: Option<&'a ModuleNames>,
    bias: &'a str,
    fan_in_fan_out: bool,
    init_lora_weights: bool,
    modules_to_save: Option<&'a [String]>,
    layers_to_transform: Option<&'a [usize]>,
    layers_pattern: Option<&'a [String]>,
    #[serde(serialize_with = "in_order")]
    rank_pattern: &'a [(String, usize)],
    #[serde(serialize_with = "in_order")]
    alpha_pattern: &'a [(String, f64)],
    use_dora: bool,
    use_rslora: bool,
    lora_bias: bool,
}

/// Nothing for no names, as PEFT has it.
fn some(names: &[String]) -> Option<&[String]> {
    (!names.is_empty()).then_some(names)
}

fn in_order<T: Serialize, S: Serializer>(
    pattern: &[(String, T)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pattern.iter().map(|(key, value)| (key, value)))
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As `LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"], r=4)` of PEFT 0.21.2 is saved.
    const PEFT: &str = r#"{
        "alora_invocation_tokens": null, "alpha_pattern": {}, "arrow_config": null,
        "auto_mapping": null, "base_model_name_or_path": null, "bias": "none",
        "corda_config": null, "ensure_weight_tying": false, "eva_config": null,
        "exclude_modules": null, "fan_in_fan_out": false, "inference_mode": false,
        "init_lora_weights": true, "kasa_config": null, "layer_replication": null,
        "layers_pattern": null, "layers_to_transform": null, "loftq_config": {}, "lora_alpha": 8,
        "lora_bias": false, "lora_dropout": 0.0, "lora_ga_config": null, "megatron_config": null,
        "megatron_core": "megatron.core", "modules_to_save": null, "monteclora_config": null,
        "peft_type": "LORA", "peft_version": "0.21.2", "qalora_group_size": 16, "r": 4,
        "rank_pattern": {}, "revision": null, "target_modules": ["q_proj"],
        "target_parameters": null, "task_type": "CAUSAL_LM", "trainable_token_indices": null,
        "use_bdlora": null, "use_dora": false, "use_qalora": false, "use_rslora": false,
        "velora_config": null }"#;

    fn with(key: &str, value: Value) -> Result<LoraConfig, ModelError> {
        let mut config: Value = serde_json::from_str(PEFT).unwrap();
        config[key] = value;
        LoraConfig::from_peft(&config.to_string())
    }

    #[test]
    fn the_defaults_of_peft_are_read() {
        let expected = LoraConfig::default().with_r(4).with_alpha(8.0);
        let targets = vec!["q_proj".to_owned()];
        assert_eq!(LoraConfig::from_peft(PEFT).unwrap(), expected.with_targets(targets));
    }

    #[test]
    fn kinds_that_are_not_computed_are_refused_for_what_they_are() {
        for (key, value, expected) in [
            ("peft_type", json!("IA3"), "type \"LORA\""),
            ("task_type", json!("SEQ_CLS"), "another head"),
            ("init_lora_weights", json!("pissa"), "residual"),
            ("init_lora_weights", json!("pissa_niter_16"), "residual"),
            ("init_lora_weights", json!("olora"), "residual"),
            ("init_lora_weights", json!("corda"), "residual"),
            ("init_lora_weights", json!("loftq"), "LoftQ"),
            ("init_lora_weights", json!("new"), "not known whether"),
            ("init_lora_weights", json!(3), "true, false or a name"),
            ("layer_replication", json!([[0, 2], [1, 2]]), "more than once"),
            ("alora_invocation_tokens", json!([5, 6]), "activated LoRA"),
            ("target_parameters", json!(["experts.up"]), "no linear layer"),
            ("trainable_token_indices", json!([3]), "single rows"),
            ("trainable_token_indices", json!({"embed_tokens": [3]}), "single rows"),
            ("use_qalora", json!(true), "QALoRA"),
            ("use_bdlora", json!({"nblocks": 2}), "block-diagonal"),
            ("arrow_config", json!({"top_k": 3}), "Arrow"),
            ("velora_config", json!({"a": 1}), "VeLoRA"),
            ("megatron_config", json!({"a": 1}), "Megatron"),
            ("bias", json!("some"), "lora_only"),
            ("r", json!(0), "`r` is 0"),
            ("r", json!(2.5), "whole number"),
            ("lora_alpha", json!("8"), "`lora_alpha`"),
            ("lora_dropout", json!(1.5), "dropout"),
            ("target_modules", Value::Null, "`target_modules` is absent"),
            ("target_modules", json!([3]), "a list of strings"),
            ("rank_pattern", json!({"q_proj": "four"}), "`rank_pattern.q_proj`"),
            ("rank_pattern", json!([1]), "an object of patterns"),
            ("use_dora", json!("yes"), "true or false"),
            ("use_rslorra", json!(true), "did you mean `use_rslora`"),
            ("some_new_kind", json!(true), "`some_new_kind`"),
        ] {
            let error = with(key, value.clone()).unwrap_err().to_string();
            assert!(error.contains(expected), "{key} = {value}: {error}");
            assert!(error.contains("adapter_config.json") || key == "lora_dropout", "{error}");
        }
    }

    #[test]
    fn what_plays_no_part_or_is_off_passes() {
        for (key, value) in [
            ("init_lora_weights", json!("gaussian")),
            ("init_lora_weights", json!(false)),
            ("fan_in_fan_out", json!(true)),
            ("auto_mapping", json!({"unsloth_fixed": true})),
            ("task_type", Value::Null),
            ("some_new_kind", json!(false)),
            ("layer_replication", json!([])),
            ("loftq_config", json!({"loftq_bits": 4})),
        ] {
            with(key, value.clone()).unwrap_or_else(|error| panic!("{key} = {value}: {error}"));
        }
    }

    #[test]
    fn patterns_keep_their_order() {
        let text =
            PEFT.replace(r#""rank_pattern": {}"#, r#""rank_pattern": {"v_proj": 2, "a": 3}"#);
        let config = LoraConfig::from_peft(&text).unwrap();
        let ranks = vec![("v_proj".to_owned(), 2), ("a".to_owned(), 3)];
        assert_eq!(config.rank_pattern, ranks);
        assert_eq!(LoraConfig::from_peft(&config.to_peft("base")).unwrap(), config);
    }
}
