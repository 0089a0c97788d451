//! Which configurations are those of mixtures of experts, so that they can be refused as such.

use bestof_positional::hf::text_config;
use serde_json::Value;

/// Fields that count experts, in the configurations of transformers' mixtures.
const COUNTS: [&str; 6] = [
    "num_experts",
    "num_local_experts",
    "n_routed_experts",
    "moe_num_experts",
    "num_experts_per_tok",
    "moe_topk",
];

/// Model types whose files may leave the number of experts to a default, and whose names do not speak
/// of it.
const NAMES: [&str; 14] = [
    "aria",
    "dbrx",
    "deepseek_v2",
    "deepseek_v3",
    "dots1",
    "gpt_oss",
    "jamba",
    "llama4",
    "llama4_text",
    "longcat_flash",
    "minimax",
    "mixtral",
    "qwen3_next",
    "switch_transformers",
];

/// What makes a configuration one of a mixture of experts: a field with its value, or its name.
pub(super) fn sign(config: &Value) -> Option<String> {
    for part in [config, text_config(config)] {
        let count = |key: &&str| part.get(*key).and_then(Value::as_u64).filter(|n| *n > 0);
        if let Some((key, n)) = COUNTS.iter().find_map(|key| Some((key, count(key)?))) {
            return Some(format!("`{key}` is {n}"));
        }
        let name = part.get("model_type").and_then(Value::as_str).unwrap_or_default();
        if name.contains("moe") || NAMES.contains(&name) {
            return Some("by its name".to_owned());
        }
    }
    None
}
