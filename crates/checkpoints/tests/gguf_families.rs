//! What is particular to single families in GGUF files, both ways: names, settings, what is refused. The
//! rules are those of llama.cpp's `convert_hf_to_gguf.py` and of its `src/models`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use bestof_checkpoints::gguf::{
    ConvertOptions, ExportOptions, Exported, GgmlType, convert, export,
};
use bestof_checkpoints::{
    CheckpointError, ModelFolder, StoredType, TensorInfo, Weights, WeightsWriter,
};
use serde_json::{Value, json};
use support::*;
use tempfile::{TempDir, tempdir};

fn converted(builder: &GgufBuilder) -> (TempDir, PathBuf, Value, Weights) {
    let dir = tempdir().unwrap();
    let out = dir.path().join("folder");
    convert(&builder.write(dir.path()), &out, &ConvertOptions::default(), &mut |_| ()).unwrap();
    let folder = ModelFolder::open(&out).unwrap();
    let weights = folder.weights().unwrap();
    (dir, out, folder.config, weights)
}

fn said(builder: &GgufBuilder) -> String {
    let dir = tempdir().unwrap();
    let out = dir.path().join("folder");
    let options = ConvertOptions::default();
    convert(&builder.write(dir.path()), &out, &options, &mut |_| ()).unwrap_err().to_string()
}

fn write(folder: &Path) -> Result<Exported, CheckpointError> {
    let out = folder.with_extension("gguf");
    let options = ExportOptions::new(GgmlType::F32);
    export(&ModelFolder::open(folder).unwrap(), &out, options, &mut |_| ())
}

fn set(folder: &Path, field: &str, value: Value) {
    let path = folder.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config[field] = value;
    fs::write(path, config.to_string()).unwrap();
}

fn check(config: &Value, expected: &Value) {
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&config[field], value, "{field}");
    }
}

fn is_stored_as(weights: &Weights, builder: &GgufBuilder, gguf: &str, hf: &str) {
    let shape = weights.info(hf).unwrap().shape.clone();
    assert_eq!(weights.read_f32(hf, &shape).unwrap(), values_of(builder, gguf), "{hf}");
}

#[test]
fn qwen3_keeps_its_rows_and_its_norms() {
    let builder = model("qwen3");
    let (_dir, _, config, weights) = converted(&builder);
    check(
        &config,
        &json!({ "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "attention_bias": false,
                 "head_dim": 8, "use_sliding_window": false, "sliding_window": null }),
    );
    for (gguf, hf) in [
        ("attn_q", "q_proj"),
        ("attn_k", "k_proj"),
        ("attn_q_norm", "q_norm"),
        ("attn_k_norm", "k_norm"),
    ] {
        let hf = format!("model.layers.1.self_attn.{hf}.weight");
        is_stored_as(&weights, &builder, &format!("blk.1.{gguf}.weight"), &hf);
    }
    assert_eq!(weights.infos().len(), builder.tensors.len());
}

#[test]
fn smollm3_rotates_all_layers_but_every_fourth() {
    let builder = model("smollm3");
    let (_dir, folder, config, weights) = converted(&builder);
    check(
        &config,
        &json!({ "architectures": ["SmolLM3ForCausalLM"], "model_type": "smollm3", "no_rope_layers": [1, 1],
                 "no_rope_layer_interval": 4, "mlp_bias": false, "rope_theta": 500_000.0 }),
    );
    // As Llama's, rows of queries lie in pairs there: the second row of the first head is its fifth here.
    let stored = values_of(&builder, "blk.0.attn_q.weight");
    let queries = weights.read_f32("model.layers.0.self_attn.q_proj.weight", &[32, 32]).unwrap();
    assert_eq!(queries[4 * HIDDEN..][..HIDDEN], stored[HIDDEN..][..HIDDEN]);

    set(&folder, "no_rope_layers", json!([1, 0]));
    let error = write(&folder).unwrap_err().to_string();
    assert!(error.contains("no_rope_layers is [1,0]") && error.contains("fourth"), "{error}");
    set(&folder, "no_rope_layers", Value::Null);
    set(&folder, "no_rope_layer_interval", json!(2));
    let error = write(&folder).unwrap_err().to_string();
    assert!(error.contains("no_rope_layer_interval is 2"), "{error}");
    set(&folder, "no_rope_layer_interval", Value::Null);
    set(&folder, "use_sliding_window", json!(true));
    let error = write(&folder).unwrap_err().to_string();
    assert!(error.contains("use_sliding_window is true"), "{error}");
    set(&folder, "use_sliding_window", json!(false));
    assert_eq!(write(&folder).unwrap().architecture, "smollm3");
}

#[test]
fn phi3_is_fused_and_rotated_in_part() {
    let mut builder = model("phi3");
    builder
        .set("phi3.rope.dimension_count", Meta::U32(6))
        .set("phi3.attention.sliding_window", Meta::U32(100))
        .set("phi3.rope.scaling.original_context_length", Meta::U32(64))
        .set("phi3.rope.scaling.attn_factor", Meta::F32(1.19));
    builder.tensor("rope_factors_short.weight", &[3], Stored::F32, &[1.0, 1.1, 1.2]);
    builder.tensor("rope_factors_long.weight", &[3], Stored::F32, &[1.0, 2.0, 4.0]);
    let (_dir, folder, config, weights) = converted(&builder);
    let scaling = json!({
        "rope_type": "longrope", "factor": 4.0, "attention_factor": 1.19, "short_factor": [1.0, 1.1, 1.2],
        "long_factor": [1.0, 2.0, 4.0], "original_max_position_embeddings": 64,
    });
    check(
        &config,
        &json!({ "architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "partial_rotary_factor": 0.75,
                 "original_max_position_embeddings": 64, "sliding_window": 100, "rope_scaling": scaling }),
    );
    assert_eq!(config["rope_parameters"]["partial_rotary_factor"], 0.75);
    is_stored_as(
        &weights,
        &builder,
        "blk.1.attn_qkv.weight",
        "model.layers.1.self_attn.qkv_proj.weight",
    );
    is_stored_as(
        &weights,
        &builder,
        "blk.1.ffn_up.weight",
        "model.layers.1.mlp.gate_up_proj.weight",
    );
    assert_eq!(weights.infos().len(), builder.tensors.len() - 2);

    let written = write(&folder).unwrap();
    assert_eq!(written.architecture, "phi3");
    assert!(written.warnings[0].contains("100 tokens"), "{:?}", written.warnings);
    let again = folder.with_extension("again");
    convert(&written.path, &again, &ConvertOptions::default(), &mut |_| ()).unwrap();
    let text = |dir: &Path| fs::read_to_string(dir.join("config.json")).unwrap();
    assert_eq!(text(&folder), text(&again));

    builder.set("phi3.rope.dimension_count", Meta::U32(10));
    assert!(said(&builder).contains("10 of 8 dimensions"), "{}", said(&builder));
    let mut qwen = model("qwen3");
    qwen.set("qwen3.rope.dimension_count", Meta::U32(6));
    assert!(said(&qwen).contains("6 of 8 dimensions"), "{}", said(&qwen));
}

#[test]
fn mixtures_of_experts_are_refused_as_such() {
    for architecture in ["llama", "qwen3moe", "phimoe", "gpt-oss"] {
        let mut builder = model(architecture);
        builder.set(&format!("{architecture}.expert_count"), Meta::U32(8));
        let said = said(&builder);
        let key = format!("{architecture}.expert_count is 8");
        assert!(said.contains("a mixture of experts") && said.contains(&key), "{said}");
    }
}

/// As transformers 4.50 and 5 store a Gemma 3 of 4B and more; the file is that of the text half alone.
#[test]
fn of_a_multimodal_gemma3_the_text_half_is_written() {
    let mut builder = model("gemma3");
    builder.set("gemma3.attention.sliding_window", Meta::U32(64));
    let (_dir, folder, text, plain) = converted(&builder);
    set(&folder, "query_pre_attn_scalar", json!(8));
    let written = write(&folder).unwrap();
    assert_eq!(written.warnings, Vec::<String>::new());
    let expected = fs::read(&written.path).unwrap();
    fs::remove_file(&written.path).unwrap();
    let read = |info: &TensorInfo| plain.read_f32(&info.name, &info.shape).unwrap();
    let values: Vec<Vec<f32>> = plain.infos().iter().map(read).collect();
    for (body, vision) in [
        ("language_model.model.", "vision_tower.w"),
        ("model.language_model.", "model.vision_tower.w"),
    ] {
        let mut infos = plain.infos().to_vec();
        for info in &mut infos {
            info.name = info.name.replacen("model.", body, 1);
            info.dtype = StoredType::F32;
        }
        let mut other = infos[0].clone();
        (other.name, other.shape) = (vision.to_owned(), vec![2]);
        infos.push(other);
        let mut writer = WeightsWriter::create(&folder, infos, None).unwrap();
        for (info, values) in plain.infos().iter().zip(&values) {
            writer.push(&info.name.replacen("model.", body, 1), values).unwrap();
        }
        writer.push(vision, &[1.0, 2.0]).unwrap();
        writer.finish().unwrap();
        let mut inner = text.clone();
        inner["query_pre_attn_scalar"] = json!(8);
        // The defaults of transformers' class are those of another size.
        let config = json!({ "model_type": "gemma3", "text_config": inner, "vision_config": {} });
        fs::write(folder.join("config.json"), config.to_string()).unwrap();
        let written = write(&folder).unwrap();
        assert!(written.warnings[0].contains(vision), "{:?}", written.warnings);
        assert!(fs::read(&written.path).unwrap() == expected, "{body}");
        fs::remove_file(&written.path).unwrap();
    }
}
