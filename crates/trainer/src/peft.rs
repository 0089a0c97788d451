//! What PEFT calls adapter files, tensors and settings.

use std::path::Path;

use bestof_models::LoraConfig;
use serde_json::{Value, json};

/// Name of the weights in an adapter folder.
pub(crate) const WEIGHTS_FILE: &str = "adapter_model.safetensors";
/// Name of the configuration in an adapter folder.
pub(crate) const CONFIG_FILE: &str = "adapter_config.json";

/// PEFT's own wrapper, and the causal-LM model inside it.
const PREFIX: &str = "base_model.model.";

/// PEFT's name of an adapter parameter.
pub(crate) fn stored_name(parameter: &str) -> String {
    format!("{PREFIX}{parameter}")
}

/// `adapter_config.json` of the adapters a run trains on the model in `base`.
pub(crate) fn adapter_config(lora: &LoraConfig, base: &Path) -> Value {
    json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base.display().to_string(),
        "r": lora.r,
        "lora_alpha": lora.alpha,
        "lora_dropout": lora.dropout,
        "target_modules": lora.targets,
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "modules_to_save": null,
        "use_dora": false,
        "use_rslora": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_peft() {
        assert_eq!(
            stored_name("model.layers.0.self_attn.q_proj.lora_A.weight"),
            "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
        );
    }
}
