//! What the files of single families mean: defaults of transformers 5.24's configuration classes, layers,
//! rotations, and what is refused.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use bestof_checkpoints::{ModelFolder, StoredType, TensorInfo, Weights, WeightsWriter};
use bestof_kernels::host_values;
use bestof_models::{
    CausalLm, Decoder, DecoderConfig, Device, ForwardOptions, LoraConfig, TokenForest, parameters,
};
use serde_json::{Value, json};

fn read(config: &Value) -> DecoderConfig {
    DecoderConfig::from_hf(config).unwrap_or_else(|error| panic!("{config}: {error}"))
}

fn refused(config: &Value, expected: &str) {
    let said = DecoderConfig::from_hf(config).unwrap_err().to_string();
    assert!(said.contains(expected), "{config}: {said}");
}

fn windows(config: &DecoderConfig) -> Vec<Option<usize>> {
    config.layers.iter().map(|layer| layer.window).collect()
}

fn rotated(config: &DecoderConfig) -> Vec<bool> {
    config.layers.iter().map(|layer| layer.rope.is_some()).collect()
}

/// As `Qwen3Config()` and the like say.
#[test]
fn an_empty_file_has_the_defaults_of_the_class() {
    for (model_type, sizes, heads, length, theta) in [
        ("qwen3", [151_936, 4096, 22_016, 32], [32, 32, 128], 32_768, 1e4),
        ("smollm3", [128_256, 2048, 11_008, 36], [16, 4, 128], 32_768, 2e6),
        ("phi3", [32_064, 3072, 8192, 32], [32, 32, 96], 4096, 1e4),
        ("gemma3_text", [262_208, 2304, 9216, 26], [8, 4, 256], 131_072, 1e6),
    ] {
        let c = read(&json!({ "model_type": model_type }));
        assert_eq!([c.vocab_size, c.hidden_size, c.intermediate_size, c.layers.len()], sizes);
        assert_eq!([c.num_heads, c.num_kv_heads, c.head_dim], heads, "{model_type}");
        assert_eq!((c.max_positions, c.ropes[0].shape().theta()), (length, theta), "{model_type}");
        assert_eq!(c.rms_norm_eps, if model_type == "phi3" { 1e-5 } else { 1e-6 });
        assert_eq!(c.tied_embeddings, ["smollm3", "gemma3_text"].contains(&model_type));
        assert!(!c.qkv_bias && !c.output_bias && !c.mlp_bias, "{model_type}");
    }
}

#[test]
fn qwen3_has_windows_where_it_is_asked_to() {
    let file = json!({
        "model_type": "qwen3", "num_hidden_layers": 3, "sliding_window": 64, "max_window_layers": 1,
    });
    assert_eq!(windows(&read(&file)), [None; 3]);
    let mut with = file.clone();
    with["use_sliding_window"] = json!(true);
    assert_eq!(windows(&read(&with)), [None, Some(64), Some(64)]);
    with["layer_types"] = json!(["sliding_attention", "full_attention", "full_attention"]);
    assert_eq!(windows(&read(&with)), [Some(64), None, None]);
    with["use_sliding_window"] = json!(false);
    refused(&with, "layer_types");
    with["layer_types"] = Value::Null;
    with["max_window_layers"] = json!("two");
    refused(&with, "`max_window_layers` is \"two\"");
    let biased = read(&json!({"model_type": "qwen3", "attention_bias": true}));
    assert!(biased.qkv_bias && biased.output_bias && biased.qk_norms && biased.norm_offset == 0.0);
}

#[test]
fn smollm3_rotates_some_layers_only() {
    let file = json!({"model_type": "smollm3", "num_hidden_layers": 5});
    assert_eq!(rotated(&read(&file)), [true, true, true, false, true]);
    let with = |key: &str, value: Value| {
        let mut file = file.clone();
        file[key] = value;
        file
    };
    let interval = with("no_rope_layer_interval", json!(2));
    assert_eq!(rotated(&read(&interval)), [true, false, true, false, true]);
    // More than there are layers, as transformers allows.
    let listed = with("no_rope_layers", json!([0, 1, 1, 1, 0, 1]));
    assert_eq!(rotated(&read(&listed)), [false, true, true, true, false]);
    for wrong in [json!([1, 1]), json!([1, 1, 1, 1, 2]), json!([true, true, true, true, true])] {
        refused(&with("no_rope_layers", wrong), "no_rope_layers");
    }
    refused(&with("no_rope_layer_interval", json!(0)), "no_rope_layer_interval");

    // Windows are for the layers without rotation.
    let mut windowed = with("use_sliding_window", json!(true));
    windowed["sliding_window"] = json!(16);
    assert_eq!(windows(&read(&windowed)), [None, None, None, Some(16), None]);

    // Another basis does not reach layers that have none.
    let settings =
        bestof_positional::hf::HfRope::of_model(&with("rope_theta", json!(1e6))).unwrap();
    let changed = read(&file).with_ropes(&settings.layers).unwrap();
    assert_eq!(rotated(&changed), [true, true, true, false, true]);
}

#[test]
fn phi3_reads_what_its_files_say() {
    let file = json!({"model_type": "phi3", "hidden_size": 64, "num_attention_heads": 4,
        "num_hidden_layers": 2, "sliding_window": 2047, "partial_rotary_factor": 0.75,
        "max_position_embeddings": 8192,
        "rope_scaling": {"type": "longrope", "short_factor": vec![1.0; 6], "long_factor": vec![2.0; 6]}});
    let config = read(&file);
    assert_eq!(windows(&config), [Some(2047); 2]);
    assert!(config.fused_projections);
    let rope = &config.ropes[0];
    assert_eq!((rope.shape().pairs(), config.max_positions), (6, 8192));
    // The length before is 4096 by default: sqrt(1 + ln 2 / ln 4096).
    assert!((rope.basis().attention_factor() - 1.040_832_999_733_066).abs() < 1e-12);
    assert_ne!(rope.length_key(4096), rope.length_key(4097));
    // Transformers takes the first files' names of the rule for the same.
    for name in ["su", "yarn"] {
        let mut old = file.clone();
        old["rope_scaling"]["type"] = json!(name);
        let old = read(&old);
        assert_eq!(old.ropes[0].table(5000).inv_freq, rope.table(5000).inv_freq, "{name}");
    }
    for (key, value) in [
        ("resid_pdrop", json!(0.1)),
        ("embd_pdrop", json!(0.1)),
        ("attention_dropout", json!(0.1)),
        ("attention_bias", json!(true)),
        ("full_attn_mod", json!(2)),
        ("interpolate_factor", json!(0.5)),
        ("lm_head_bias", json!(true)),
        ("embd_layer", json!({"embedding_cls": "tune_image"})),
    ] {
        let mut file = file.clone();
        file[key] = value;
        refused(&file, key);
    }
    let mut short = file;
    short["rope_scaling"]["short_factor"] = json!([1.0]);
    refused(&short, "short_factor");
}

/// The file of google/gemma-3-4b-it, in transformers 4's spelling and in that of 5.
#[test]
fn gemma3_is_scaled_in_its_full_layers_in_both_spellings() {
    let text = |rope: Value| {
        let mut text = json!({"model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10_240,
            "num_hidden_layers": 34, "sliding_window": 1024});
        text.as_object_mut().unwrap().extend(rope.as_object().unwrap().clone());
        json!({"model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"],
            "mm_tokens_per_image": 256, "boi_token_index": 255_999, "eoi_token_index": 256_000,
            "image_token_index": 262_144, "vision_config": {"hidden_size": 1152}, "text_config": text})
    };
    let old = read(&text(json!({"rope_scaling": {"factor": 8.0, "rope_type": "linear"}})));
    let new = read(&text(json!({"rope_parameters": {
        "full_attention": {"factor": 8.0, "rope_theta": 1_000_000.0, "rope_type": "linear"},
        "sliding_attention": {"rope_theta": 10_000.0, "rope_type": "default"}}})));
    for config in [&old, &new] {
        assert_eq!(config.layers[5].window, None);
        assert_eq!(config.layers[33].window, Some(1024));
        assert_eq!(config.attention_scale, 1.0 / 16.0);
        assert_eq!([config.num_heads, config.num_kv_heads, config.head_dim], [8, 4, 256]);
        let of = |layer: usize| config.ropes[config.layers[layer].rope.unwrap()].table(0).inv_freq;
        // 1000000^(-2/256) / 8 and 10000^(-2/256).
        assert!((of(5)[1] - 0.112_210_891_555_914_28).abs() < 1e-12, "{}", of(5)[1]);
        assert!((of(33)[1] - 0.930_572_040_929_699).abs() < 1e-12, "{}", of(33)[1]);
    }
    let pattern = json!({"model_type": "gemma3_text", "num_hidden_layers": 4, "sliding_window": 8,
        "sliding_window_pattern": 2});
    assert_eq!(windows(&read(&pattern)), [Some(8), None, Some(8), None]);
}

#[test]
fn mixtures_of_experts_are_refused_as_such() {
    for model_type in
        ["qwen3_moe", "qwen2_moe", "mixtral", "llama4", "gpt_oss", "phimoe", "granitemoe"]
    {
        let said =
            DecoderConfig::from_hf(&json!({"model_type": model_type})).unwrap_err().to_string();
        assert!(said.contains(model_type) && said.contains("mixture of experts"), "{said}");
    }
    refused(&json!({"model_type": "newest", "num_experts": 64}), "`num_experts` is 64");
    refused(&json!({"model_type": "qwen3", "num_experts": 64}), "num_experts");
    for model_type in ["granite", "olmo2", "cohere"] {
        let said =
            DecoderConfig::from_hf(&json!({"model_type": model_type})).unwrap_err().to_string();
        assert!(said.contains("is not known") && said.contains("qwen3, smollm3, phi3"), "{said}");
    }
}

#[test]
fn all_linear_layers_of_phi3_are_its_fused_ones() {
    let mut model = common::with_lora_of("phi3-longrope", &LoraConfig::default().with_r(2));
    let dir = tempfile::tempdir().unwrap();
    model.save_adapter(dir.path(), "base", StoredType::F32).unwrap();
    let text = std::fs::read_to_string(dir.path().join(bestof_models::ADAPTER_CONFIG)).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(file["target_modules"], json!(["o_proj", "down_proj", "qkv_proj", "gate_up_proj"]));
    assert_eq!(model.adapter_tensors().len(), 2 * 4 * 2);
    model.detach_lora();
    let config = LoraConfig::default().with_targets(vec!["q_proj".to_owned()]);
    let said = model.attach_lora(&config).unwrap_err().to_string();
    assert!(said.contains("`q_proj`") && said.contains("o_proj, qkv_proj"), "{said}");
}

/// As transformers 5 calls the tensors of a multimodal model in memory, and some tools in files.
#[test]
fn multimodal_tensors_are_found_under_either_name() {
    let (from, dir) = (common::folder("gemma3-multimodal"), tempfile::tempdir().unwrap());
    let weights = Weights::open(&from).unwrap();
    let renamed = |name: &str| match name.strip_prefix("language_model.model.") {
        Some(rest) => format!("model.language_model.{rest}"),
        None => format!("model.{name}"),
    };
    let rename = |info: &TensorInfo| TensorInfo { name: renamed(&info.name), ..info.clone() };
    let infos = weights.infos().iter().map(rename).collect();
    let mut writer = WeightsWriter::create(dir.path(), infos, None).unwrap();
    for info in weights.infos() {
        let values = weights.read_f32(&info.name, &info.shape).unwrap();
        writer.push(&renamed(&info.name), &values).unwrap();
    }
    writer.finish().unwrap();
    std::fs::copy(from.join("config.json"), dir.path().join("config.json")).unwrap();
    let logps = |dir: &std::path::Path| {
        let model = Decoder::open(&ModelFolder::open(dir).unwrap(), &Device::flex()).unwrap();
        let text = TokenForest::text(&[5, 17, 33, 4, 90, 12, 8, 61, 7, 7, 22]);
        host_values(model.token_logps(&text, &ForwardOptions::default()).unwrap())
    };
    assert_eq!(logps(&from), logps(dir.path()));
}

#[test]
fn a_phi3_of_random_weights_is_made() {
    let config = read(&json!({"model_type": "phi3", "hidden_size": 32, "num_attention_heads": 4,
        "vocab_size": 64, "intermediate_size": 48, "num_hidden_layers": 1}));
    let model = Decoder::random(config, 3, &Device::flex()).unwrap();
    let names: Vec<String> = parameters::all(&model).into_iter().map(|info| info.name).collect();
    assert!(names.contains(&"model.layers.0.mlp.gate_up_proj.weight".to_owned()), "{names:?}");
}
