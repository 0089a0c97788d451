//! Which keys of `adapter_config.json` are read, play no part, or say that an adapter is of a kind
//! that is not computed here.

use bestof_suggest::nearest;
use serde_json::{Map, Value};

use crate::error::ModelError;
use crate::family::fields::is_off;

/// Keys that become settings.
const READ: [&str; 15] = [
    "r",
    "lora_alpha",
    "lora_dropout",
    "target_modules",
    "exclude_modules",
    "rank_pattern",
    "alpha_pattern",
    "use_rslora",
    "use_dora",
    "lora_bias",
    "bias",
    "layers_to_transform",
    "layers_pattern",
    "modules_to_save",
    "ensure_weight_tying",
];

/// Keys that say where an adapter comes from, how it was begun or trained, or settings of a kind that
/// another key switches on. `fan_in_fan_out` is of GPT-2's layers alone: PEFT sets it to false for
/// all that are in a decoder of the families here.
const NEUTRAL: [&str; 22] = [
    "peft_type",
    "task_type",
    "peft_version",
    "base_model_name_or_path",
    "revision",
    "auto_mapping",
    "inference_mode",
    "fan_in_fan_out",
    "init_lora_weights",
    "loftq_config",
    "eva_config",
    "corda_config",
    "lora_ga_config",
    "megatron_core",
    "qalora_group_size",
    "runtime_config",
    // Of ms-swift, for training.
    "lora_dtype",
    "lorap_lr_ratio",
    "lorap_emb_lr",
    // Of PEFT before 0.3, in the form of other layers.
    "enable_lora",
    "merge_weights",
    "custom_modules",
];

/// Keys that must be off: null, false or empty.
const REFUSED: [(&str, &str); 11] = [
    (
        "layer_replication",
        "the adapter's model has some layers of --model more than once; save it with its layers as a model of its \
         own (PEFT's `merge_and_unload`) and score that",
    ),
    (
        "alora_invocation_tokens",
        "an activated LoRA changes only the tokens after its invocation tokens, and here an adapter changes all; \
         train a plain LoRA",
    ),
    (
        "target_parameters",
        "adapters on parameters that are no linear layer, such as stacked experts, are not computed here; merge \
         them with PEFT (`merge_and_unload`) and use the merged folder",
    ),
    (
        "trainable_token_indices",
        "single rows of the embeddings were trained; merge them with PEFT (`merge_and_unload`) and use the merged \
         folder, or train `modules_to_save` = [\"embed_tokens\"]",
    ),
    (
        "use_qalora",
        "QALoRA averages the inputs over groups for a quantised base; merge it with PEFT and use the merged folder",
    ),
    (
        "megatron_config",
        "layers of Megatron's are split over processes; convert to a plain LoRA first",
    ),
    (
        "velora_config",
        "`VeLoRA` is not computed here; merge the adapter with PEFT and use the merged folder",
    ),
    (
        "monteclora_config",
        "`MonteCLoRA` is not computed here; merge the adapter with PEFT and use the merged folder",
    ),
    (
        "use_bdlora",
        "block-diagonal factors are not computed here; merge the adapter with PEFT and use that folder",
    ),
    (
        "arrow_config",
        "Arrow chooses among several adapters by token, and here one is used; give the adapter itself to --adapter",
    ),
    (
        "kasa_config",
        "`KaSA` changes the base's weights; merge the adapter with PEFT and use the merged folder",
    ),
];

/// Values of `init_lora_weights` that say how factors were drawn, and nothing of the base.
const BEGINNINGS: [&str; 3] = ["gaussian", "eva", "orthogonal"];

/// Values of `init_lora_weights` that change the base when training begins.
const CHANGED_BASE: [&str; 6] = ["pissa", "olora", "corda", "loftq", "lora_ga", "mica"];

/// Refuses what is not plain LoRA or one of its kinds that are computed here, by name.
pub(super) fn check(fields: &Map<String, Value>) -> Result<(), ModelError> {
    let kind = |field: &str, found: &Value, reason: &str| {
        let (field, found, reason) = (field.to_owned(), shown(found), reason.to_owned());
        Err(ModelError::AdapterKind { field, found, reason })
    };
    let get = |field: &str| fields.get(field).unwrap_or(&Value::Null);
    if get("peft_type") != "LORA" {
        let reason = "only adapters of the type \"LORA\" are read; merge another into its model with PEFT \
                      (`merge_and_unload`), where its type can be merged, and use the merged folder";
        return kind("peft_type", get("peft_type"), reason);
    }
    let task = get("task_type");
    if !(task.is_null() || task == "CAUSAL_LM" || task == "FEATURE_EXTRACTION") {
        let reason = "the adapter is of a model with another head; expected \"CAUSAL_LM\"";
        return kind("task_type", task, reason);
    }
    for (field, reason) in REFUSED {
        if !is_off(get(field)) {
            return kind(field, get(field), reason);
        }
    }
    beginning(get("init_lora_weights"))?;
    for (field, found) in fields {
        let refused = REFUSED.iter().any(|(name, _)| name == field);
        let known = READ.contains(&field.as_str()) || NEUTRAL.contains(&field.as_str()) || refused;
        if !known && !is_off(found) {
            let names = READ.iter().chain(&NEUTRAL).copied();
            let hint = nearest(field, names).map(|near| format!("; did you mean `{near}`?"));
            return Err(field_error(
                field,
                found,
                &format!(
                    "no such key, or one that is off (null, false, empty): what it changes is not known here{}",
                    hint.unwrap_or_default()
                ),
            ));
        }
    }
    Ok(())
}

/// How the factors were begun may have changed the base, too: then they are relative to another one.
fn beginning(found: &Value) -> Result<(), ModelError> {
    let name = match found {
        Value::Null | Value::Bool(_) => return Ok(()),
        Value::String(name) => name.to_lowercase(),
        other => return Err(field_error("init_lora_weights", other, "true, false or a name")),
    };
    if BEGINNINGS.contains(&name.as_str()) {
        return Ok(());
    }
    let base = CHANGED_BASE
        .iter()
        .find(|kind| **kind == name || name.starts_with(&format!("{kind}_niter_")));
    let reason = match base {
        Some(&"loftq") => {
            "LoftQ begins with the rest of a quantised base, so that the factors do not fit the base itself; if \
             --model is the base that LoftQ left, set `init_lora_weights` to true"
        }
        Some(_) => {
            "this beginning takes the first factors out of the base, so that the trained ones fit that residual and \
             not the base itself; convert the adapter with PEFT's `save_pretrained(..., \
             path_initial_model_for_weight_conversion=...)`, or, if --model is the residual, set \
             `init_lora_weights` to true"
        }
        None => {
            "it is not known whether this beginning changes the base; known not to are true, false, \"gaussian\", \
             \"eva\" and \"orthogonal\""
        }
    };
    Err(ModelError::AdapterKind {
        field: "init_lora_weights".to_owned(),
        found: shown(found),
        reason: reason.to_owned(),
    })
}

pub(super) fn field_error(field: &str, found: &Value, expected: &str) -> ModelError {
    ModelError::AdapterField {
        field: field.to_owned(),
        found: shown(found),
        expected: expected.to_owned(),
    }
}

/// A value for a message; a key that is not there is absent, not null.
fn shown(value: &Value) -> String {
    if value.is_null() {
        return "absent".to_owned();
    }
    let text = value.to_string();
    if text.chars().count() > 120 {
        let start: String = text.chars().take(120).collect();
        return format!("{start}…");
    }
    text
}
