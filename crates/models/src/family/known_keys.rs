//! Every key of a `config.json` is read, says nothing about what the model computes, or is refused.

use serde_json::Value;

use bestof_positional::hf::{CONFIG_KEY, text_config};

use super::fields::is_off;
use crate::error::ModelError;

/// What all families read, RoPE's included.
const READ: [&str; 20] = [
    CONFIG_KEY,
    "head_dim",
    "hidden_size",
    "initializer_range",
    "intermediate_size",
    "layer_types",
    "max_position_embeddings",
    "model_type",
    "num_attention_heads",
    "num_hidden_layers",
    "num_key_value_heads",
    "original_max_position_embeddings",
    "partial_rotary_factor",
    "quantization_config",
    "rms_norm_eps",
    "rope_local_base_freq",
    "rope_parameters",
    "rope_scaling",
    "rope_theta",
    "tie_word_embeddings",
];

/// What is about other things than the computation of a decoder's logits: names and versions, ids of
/// tokens, defaults of generation, classification heads, how it is run.
const NEUTRAL: [&str; 87] = [
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_commit_hash",
    "_experts_implementation",
    "_flash_attn_2_enabled",
    "_name_or_path",
    "architectures",
    "attn_implementation",
    "auto_map",
    "bad_words_ids",
    "base_model_tp_plan",
    "begin_suppress_tokens",
    "cache_implementation",
    "chunk_size_feed_forward",
    "classifier_dropout",
    "custom_pipelines",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dtype",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "id2label",
    "is_decoder",
    "is_llama_config",
    "keys_to_ignore_at_inference",
    "label2id",
    "language",
    "length_penalty",
    "license",
    "max_length",
    "max_new_tokens",
    "max_sequence_length",
    "min_length",
    "min_p",
    "model_max_length",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_labels",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_past",
    "output_router_logits",
    "output_scores",
    "pad_token",
    "padding_side",
    "prefix",
    "pretraining_tp",
    "problem_type",
    "remove_invalid_values",
    "repetition_penalty",
    "return_dict",
    "return_dict_in_generate",
    "sep_token_id",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tokenizer_class",
    "tokenizer_model_max_length",
    "tokenizer_padding_side",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers.js_config",
    "transformers_version",
    "typical_p",
    "unsloth_fixed",
    "unsloth_tracked",
    "unsloth_version",
    "use_bfloat16",
    "use_cache",
    "use_flash_attention",
    "use_flash_attention_2",
    "use_flash_attn",
    "use_mistral_format",
    "use_return_dict",
    "vocab_size",
    "zero_point_quantization",
    "gradient_checkpointing",
];

/// What stands beside `text_config` and is about the other half of a multimodal model.
const MULTIMODAL: [&str; 8] = [
    "audio_config",
    "image_seq_length",
    "image_token_index",
    "mm_tokens_per_image",
    "projector_hidden_act",
    "text_config",
    "vision_config",
    "vision_feature_layer",
];

/// What single families read, or have no use for where transformers' class has none either.
fn own(model_type: &str) -> &'static [&'static str] {
    match model_type {
        "llama" => &["attention_bias", "hidden_act", "mlp_bias"],
        "mistral" => &["hidden_act", "sliding_window"],
        // Its sliding window counts with `use_sliding_window` only.
        "qwen2" => &["hidden_act", "max_window_layers", "sliding_window", "use_sliding_window"],
        "qwen3" => &[
            "attention_bias",
            "hidden_act",
            "max_window_layers",
            "sliding_window",
            "use_sliding_window",
        ],
        "smollm3" => &[
            "attention_bias",
            "hidden_act",
            // In the published file, left over from Qwen2.
            "max_window_layers",
            "mlp_bias",
            "no_rope_layer_interval",
            "no_rope_layers",
            "sliding_window",
            "use_sliding_window",
        ],
        "phi3" => &["full_attn_mod", "hidden_act", "interpolate_factor", "sliding_window"],
        _ => &[
            "_sliding_window_pattern",
            "attention_bias",
            "attn_logit_softcapping",
            "final_logit_softcapping",
            "hidden_act",
            "hidden_activation",
            "query_pre_attn_scalar",
            "sliding_window",
            "sliding_window_pattern",
        ],
    }
}

/// Whether a key is about other things than what a model computes.
pub(crate) fn is_neutral(key: &str) -> bool {
    NEUTRAL.contains(&key) || key.ends_with("_token_id") || key.ends_with("_token_index")
}

/// Refuses a key that nothing reads, unless its value is null, false, zero or empty.
pub(super) fn check(config: &Value, model_type: &'static str) -> Result<(), ModelError> {
    let text = text_config(config);
    let nested = !std::ptr::eq(text, config);
    let own = own(model_type);
    let inside = |key: &str| READ.contains(&key) || is_neutral(key) || own.contains(&key);
    let outside = |key: &str| inside(key) || MULTIMODAL.contains(&key);
    let unused = |part: &Value, known: &dyn Fn(&str) -> bool| {
        let fields = part.as_object().into_iter().flatten();
        let mut left = fields
            .filter(|(key, value)| !known(key) && !is_off(value) && value.as_f64() != Some(0.0));
        left.next().map(|(key, value)| (key.clone(), value.to_string()))
    };
    let found = unused(text, &inside)
        .map(|(key, value)| (if nested { format!("text_config.{key}") } else { key }, value))
        .or_else(|| if nested { unused(config, &outside) } else { None });
    match found {
        None => Ok(()),
        Some((field, found)) => Err(ModelError::UnusedField { field, found, model_type }),
    }
}

/// Refuses weights in a quantized format by its name, before their shapes are looked at.
pub(crate) fn refuse_quantized(config: &Value) -> Result<(), ModelError> {
    for part in [config, text_config(config)] {
        for key in ["quantization_config", "compression_config"] {
            let Some(found) = part.get(key).filter(|found| !is_off(found)) else { continue };
            let method = found.get("quant_method").and_then(Value::as_str);
            let on = |key| found.get(key).and_then(Value::as_bool);
            let bits = [on("load_in_4bit"), on("load_in_8bit")];
            let switched_off = bits.contains(&Some(false)) && !bits.contains(&Some(true));
            if matches!(method, None | Some("bitsandbytes")) && switched_off {
                continue;
            }
            let method = match method {
                Some(method) => method.to_owned(),
                None if bits.contains(&Some(true)) => "bitsandbytes".to_owned(),
                None => "no quant_method".to_owned(),
            };
            return Err(ModelError::Quantized { method });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DecoderConfig;
    use serde_json::json;

    fn error(config: &Value) -> String {
        DecoderConfig::from_hf(config).unwrap_err().to_string()
    }

    #[test]
    fn keys_that_change_the_computation_are_used_or_refused() {
        for (model_type, key, value) in [
            ("llama", "attn_logit_softcapping", json!(50.0)),
            ("llama", "sliding_window", json!(4096)),
            ("llama", "rope_interleaved", json!(true)),
            ("llama", "attention_dropout", json!(0.1)),
            ("llama", "logits_scaling", json!(8.0)),
            ("qwen2", "attention_bias", json!(true)),
            ("mistral", "num_local_experts", json!(8)),
            ("gemma3_text", "use_bidirectional_attention", json!(true)),
        ] {
            let config = json!({"model_type": model_type, key: value});
            assert!(error(&config).contains(key), "{config}: {}", error(&config));
        }
        let nested = json!({"model_type": "gemma3", "text_config": {"altup_num_inputs": 4}});
        assert!(error(&nested).contains("text_config.altup_num_inputs"), "{}", error(&nested));
    }

    // The keys are those of the files of SmolLM2 135M, Gemma 3 4B and of transformers 5.24's
    // `LlamaConfig().to_dict()`.
    #[test]
    fn keys_of_public_configs_are_known() {
        for config in [
            json!({"model_type": "llama", "architectures": ["LlamaForCausalLM"], "attention_bias": false,
                "attention_dropout": 0.0, "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu",
                "initializer_range": 0.041, "is_llama_config": true, "pad_token_id": 2, "pretraining_tp": 1,
                "rope_interleaved": false, "rope_scaling": null, "torch_dtype": "bfloat16",
                "transformers.js_config": {"kv_cache_dtype": {"q4f16": "float16"}},
                "transformers_version": "4.42.3", "use_cache": true}),
            json!({"model_type": "llama", "_name_or_path": "", "chunk_size_feed_forward": 0, "dtype": null,
                "id2label": {"0": "LABEL_0"}, "is_encoder_decoder": false, "label2id": {"LABEL_0": 0},
                "mlp_bias": false, "output_attentions": false, "output_hidden_states": false,
                "problem_type": null, "return_dict": true,
                "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"}}),
            json!({"model_type": "gemma3", "boi_token_index": 255_999, "eoi_token_index": 256_000,
                "eos_token_id": [1, 106], "image_token_index": 262_144, "initializer_range": 0.02,
                "mm_tokens_per_image": 256, "vision_config": {"hidden_size": 1152},
                "text_config": {"hidden_size": 2560, "model_type": "gemma3_text",
                    "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024}}),
        ] {
            DecoderConfig::from_hf(&config).unwrap();
        }
    }

    #[test]
    fn quantized_weights_are_named_first() {
        for method in ["gptq", "awq", "bitsandbytes", "fp8"] {
            let config =
                json!({"model_type": "llama", "quantization_config": {"quant_method": method}});
            assert!(error(&config).contains(method));
        }
        let off = json!({"model_type": "llama", "quantization_config":
            {"quant_method": "bitsandbytes", "load_in_4bit": false, "load_in_8bit": false}});
        DecoderConfig::from_hf(&off).unwrap();
    }

    // Lengths as in vLLM's `_get_and_verify_max_len`.
    #[test]
    fn the_context_counts_the_scaling() {
        let context = |model_type: &str, scaling: Value| {
            let config = json!({"model_type": model_type, "max_position_embeddings": 4096,
                "rope_scaling": scaling});
            DecoderConfig::from_hf(&config).unwrap().max_positions
        };
        assert_eq!(context("llama", json!({"type": "linear", "factor": 4.0})), 16384);
        assert_eq!(context("llama", json!({"type": "dynamic", "factor": 2.0})), 8192);
        let yarn = json!({"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 2048});
        assert_eq!(context("qwen2", yarn), 8192);
        let llama3 = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 1024});
        assert_eq!(context("llama", llama3), 4096);
        assert_eq!(context("gemma3_text", json!({"rope_type": "linear", "factor": 8.0})), 4096);
    }
}
