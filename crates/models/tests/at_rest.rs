//! Weights in fewer bits than 32: a model computes with the values that its blocks stand for.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bestof_blocks::{GgmlType, dequantize_blocks, quantize_blocks};
use bestof_checkpoints::gguf::{ConvertOptions, ExportOptions, convert, export};
use bestof_checkpoints::{ModelFolder, StoredType, Weights};
use bestof_kernels::host_values;
use bestof_models::{
    AfterToken, CausalLm, Decoder, Device, Dtype, ForwardOptions, LoraConfig, ModelError,
    Precision, Quantization, Request, SamplingConfig, TokenForest, parameters,
};
use burn::module::Module;
use common::{apart, close, flat, folder, gradient_difference, logps, run, trainable};
use serde_json::json;

const FAMILIES: [&str; 4] = ["llama-gqa-untied", "gemma2", "gemma3", "qwen2"];

fn precisions() -> [Precision; 4] {
    let plain = Precision::default();
    [
        plain.with_dtype(Dtype::BF16),
        plain.with_dtype(Dtype::F16),
        plain.with_quantize(Some(Quantization::Q8_0)),
        plain.with_quantize(Some(Quantization::Q4_0)),
    ]
}

fn open(name: &str, precision: Precision) -> Decoder {
    let folder = ModelFolder::open(&folder(name)).unwrap();
    Decoder::open_in(&folder, precision, &Device::flex().autodiff()).unwrap()
}

/// The type that a matrix of a name should rest in, said again: the projection onto the vocabulary keeps
/// 8 bits.
fn expected_type(precision: Precision, name: &str, tied: bool) -> GgmlType {
    let vocabulary = name.contains(if tied { "embed_tokens" } else { "lm_head" });
    match (precision.dtype, precision.quantize) {
        (Dtype::BF16, _) => GgmlType::BF16,
        (Dtype::F16, _) => GgmlType::F16,
        (_, Some(Quantization::Q4_0)) if !vocabulary => GgmlType::Q4_0,
        _ => GgmlType::Q8_0,
    }
}

/// The f32 model with its matrices rounded to what a precision can hold.
fn rounded(name: &str, precision: Precision) -> Decoder {
    let (base, device) = (trainable(name), Device::flex());
    let tied = base.config().tied_embeddings;
    parameters::replace(base.clone(), &mut |name, shape| {
        if shape.len() != 2 {
            return None;
        }
        let ggml_type = expected_type(precision, name, tied);
        let (mut bytes, mut values) = (Vec::new(), vec![0.0; shape.iter().product()]);
        let old = host_values(parameters::values(&base, name).unwrap());
        quantize_blocks(ggml_type, &old, &mut bytes).unwrap();
        dequantize_blocks(ggml_type, &bytes, &mut values).unwrap();
        Some(flat(values, &device))
    })
}

/// Adapters with a second factor that is not zero.
fn adapt(model: &mut Decoder, config: &LoraConfig) {
    model.attach_lora(config).unwrap();
    let mut next = 0.0_f32;
    parameters::update(model, &mut |name, value| {
        if !name.contains("lora_B") {
            return value;
        }
        let values = (0..value.dims()[0]).map(|_| {
            next = (next * 1.37 + 0.113) % 0.2;
            next - 0.1
        });
        flat(values.collect(), &value.device())
    });
}

fn text() -> TokenForest {
    TokenForest::text(&[3, 14, 15, 92, 65, 35, 89, 79, 32, 38, 46])
}

fn greedy(model: &Decoder) -> Vec<u32> {
    let request = Request { prompt: vec![5, 17, 33, 2, 9], samples: 1, seed: 0 };
    let config = SamplingConfig::greedy(12).with_prefill_chunk(3);
    model.generate(&[request], &config, &mut |_| AfterToken::Continue).unwrap()[0].ids.clone()
}

/// A copy of a checkpoint with a byte-level tokenizer, which a GGUF file must have.
fn with_tokenizer(from: &Path, to: &Path) -> PathBuf {
    fs::create_dir_all(to).unwrap();
    for file in ["config.json", "generation_config.json", "model.safetensors"] {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
    let printable = (b'!'..=b'~').map(|byte| char::from(byte).to_string());
    let pieces = printable.chain(["\u{120}", "\u{10a}", "<|endoftext|>"].map(str::to_owned));
    let vocab: serde_json::Map<String, serde_json::Value> =
        pieces.enumerate().map(|(id, piece)| (piece, id.into())).collect();
    let end = json!({"id": 96, "content": "<|endoftext|>", "single_word": false, "lstrip": false,
                     "rstrip": false, "normalized": false, "special": true});
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [end],
        "normalizer": null, "post_processor": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
                          "use_regex": true},
        "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
                    "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "fuse_unk": false,
                  "continuing_subword_prefix": null, "end_of_word_suffix": null,
                  "byte_fallback": false, "vocab": vocab, "merges": []},
    });
    fs::write(to.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    to.to_owned()
}

#[test]
fn a_model_at_rest_computes_with_the_values_of_its_blocks() {
    for name in FAMILIES {
        let plain = logps(&trainable(name), &text(), &ForwardOptions::default());
        for precision in precisions() {
            let (model, expected) = (open(name, precision), rounded(name, precision));
            for (info, ggml_type) in model.blocks() {
                assert_eq!(
                    ggml_type,
                    expected_type(precision, &info.name, model.config().tied_embeddings),
                    "{}",
                    info.name
                );
            }
            assert_eq!(
                model.blocks().len(),
                if name.starts_with("gemma") { 1 } else { 2 } + 7 * model.config().layers.len()
            );
            let options = ForwardOptions::default();
            let (found, wanted) =
                (logps(&model, &text(), &options), logps(&expected, &text(), &options));
            assert!(close(&found, &wanted, 2e-6), "{name} {precision:?}");
            assert!(apart(&found, &plain, 1e-6), "{name} {precision:?}: rounding is seen");
            assert_eq!(greedy(&model), greedy(&expected), "{name} {precision:?}");
        }
    }
}

#[test]
fn adapters_on_a_base_at_rest_have_the_gradients_of_those_on_its_values() {
    let groups =
        [vec![(vec![5, 6, 7, 8, 9, 10], 2), (vec![5, 6, 11, 12], 2)], vec![(vec![1, 2, 3], 1)]];
    for name in FAMILIES {
        for precision in precisions() {
            for dora in [false, true] {
                let config = LoraConfig::default().with_r(3).with_alpha(5.0).with_dora(dora);
                let (mut model, mut expected) = (open(name, precision), rounded(name, precision));
                adapt(&mut model, &config);
                adapt(&mut expected, &config);
                for layers in [false, true] {
                    let options = ForwardOptions::default().with_checkpoint_layers(layers);
                    let (a, da) = run(&model, &groups, &[1.0, -0.5, 0.7], &options);
                    let (b, db) = run(&expected, &groups, &[1.0, -0.5, 0.7], &options);
                    assert!(close(&a.concat(), &b.concat(), 2e-6), "{name} {precision:?} {dora}");
                    let difference = gradient_difference(&model, &da, &db);
                    assert!(difference < 1e-5, "{name} {precision:?} {dora}: {difference}");
                }
                let reference = ForwardOptions::reference();
                let plain = logps(&open(name, precision), &text(), &ForwardOptions::default());
                assert_eq!(logps(&model, &text(), &reference), plain);
                assert_eq!(greedy(&model), greedy(&expected), "{name} {precision:?} {dora}");
            }
        }
    }
}

#[test]
fn merging_widens_and_unmerging_gives_the_blocks_back() {
    let precision = Precision::default().with_quantize(Some(Quantization::Q4_0));
    let mut model = open("qwen2", precision);
    adapt(&mut model, &LoraConfig::default());
    let options = ForwardOptions::default();
    let (adapted, blocks) = (logps(&model, &text(), &options), model.blocks());
    model.merge_lora().unwrap();
    assert!(close(&adapted, &logps(&model, &text(), &options), 1e-5));
    assert_eq!(model.blocks().len(), 2, "embeddings and vocabulary projection");
    model.unmerge_lora().unwrap();
    assert_eq!(model.blocks(), blocks);
    assert_eq!(adapted, logps(&model, &text(), &options));
}

#[test]
fn a_base_at_rest_is_written_in_the_type_asked_for_with_its_adapters_in_it() {
    let precision = Precision::default().with_quantize(Some(Quantization::Q8_0));
    let (mut model, mut expected) = (open("gemma3", precision), rounded("gemma3", precision));
    for model in [&mut model, &mut expected] {
        adapt(model, &LoraConfig::default());
    }
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    model.save(dir.path(), StoredType::F32, None).unwrap();
    expected.save(other.path(), StoredType::F32, None).unwrap();
    let (found, wanted) =
        (Weights::open(dir.path()).unwrap(), Weights::open(other.path()).unwrap());
    assert_eq!(found.infos(), wanted.infos());
    for info in wanted.infos() {
        let read = |weights: &Weights| weights.read_f32(&info.name, &info.shape).unwrap();
        assert_eq!(read(&found), read(&wanted), "{}", info.name);
    }
}

#[test]
fn modules_that_are_saved_whole_are_trained_in_f32() {
    let precision = Precision::default().with_quantize(Some(Quantization::Q8_0));
    let mut model = open("gemma2", precision);
    let whole = vec!["embed_tokens".to_owned(), "down_proj".to_owned()];
    let before = logps(&model, &text(), &ForwardOptions::default());
    model.attach_lora(&LoraConfig::default().with_modules_to_save(whole)).unwrap();
    assert!(close(&before, &logps(&model, &text(), &ForwardOptions::default()), 1e-6));
    let trained: BTreeMap<String, Vec<usize>> =
        parameters::trainable(&model).into_iter().map(|info| (info.name, info.shape)).collect();
    assert_eq!(trained["model.embed_tokens.weight"], [128, 32]);
    assert_eq!(trained["model.layers.0.mlp.down_proj.weight"], [32, 64]);
    assert!(model.blocks().iter().all(|(info, _)| !trained.contains_key(&info.name)));
    model.detach_lora();
    assert!(close(&before, &logps(&model, &text(), &ForwardOptions::default()), 1e-6));
}

/// Of a llama, whose rows of queries and keys a GGUF file has in another order, and of Gemma, whose norms
/// it has with 1 added.
#[test]
fn a_gguf_file_is_the_folder_that_it_converts_to() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["llama-gqa-untied", "gemma3"] {
        for ggml_type in [GgmlType::F32, GgmlType::F16, GgmlType::Q8_0, GgmlType::Q4_0] {
            let source = with_tokenizer(&folder(name), &dir.path().join(name));
            let file = dir.path().join(format!("{name}.{ggml_type}.gguf"));
            let folder = ModelFolder::open(&source).unwrap();
            export(&folder, &file, ExportOptions::new(ggml_type), &mut |_| ()).unwrap();
            let out = dir.path().join(format!("{name}.{ggml_type}"));
            convert(&file, &out, &ConvertOptions::default(), &mut |_| ()).unwrap();
            let device = Device::flex();
            let (direct, converted) =
                (ModelFolder::open(&file).unwrap(), ModelFolder::open(&out).unwrap());
            let direct = Decoder::open(&direct, &device).unwrap();
            let converted = Decoder::open(&converted, &device).unwrap();
            let options = ForwardOptions::default();
            let (found, wanted) =
                (logps(&direct, &text(), &options), logps(&converted, &text(), &options));
            assert!(close(&found, &wanted, 2e-6), "{name} {ggml_type}");
            assert_eq!(direct.blocks().is_empty(), ggml_type.block_values() == 1);
            assert_eq!(greedy(&direct), greedy(&converted));
        }
    }
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let source = with_tokenizer(&folder("llama-gqa-untied"), &dir.path().join("whole"));
    let file = dir.path().join("model.gguf");
    let options = ExportOptions::new(GgmlType::Q4_0);
    export(&ModelFolder::open(&source).unwrap(), &file, options, &mut |_| ()).unwrap();
    let folder = ModelFolder::open(&file).unwrap();
    let device = Device::flex();
    let trained = Precision::default().with_trained(true);
    let error = Decoder::open_in(&folder, trained, &device).unwrap_err();
    assert!(matches!(error, ModelError::TrainedBlocks { .. }), "{error}");
    assert!(error.to_string().contains("[lora]"), "{error}");
    let twice = Precision::default().with_quantize(Some(Quantization::Q8_0));
    let error = Decoder::open_in(&folder, twice, &device).unwrap_err();
    assert!(matches!(error, ModelError::QuantizedTwice { .. }), "{error}");
    let error = "q5_0".parse::<Quantization>().unwrap_err().to_string();
    assert!(error.contains("q8_0 and q4_0"), "{error}");
}

#[test]
fn what_is_trained_whole_is_f32() {
    let precision = Precision::default().with_dtype(Dtype::BF16).with_trained(true);
    let model = open("llama-gqa-untied", precision);
    assert!(model.blocks().is_empty());
    assert_eq!(parameters::trainable(&model).len(), 2 * 9 + 3);
    let plain = trainable("llama-gqa-untied");
    let options = ForwardOptions::default();
    assert_eq!(logps(&model, &text(), &options), logps(&plain, &text(), &options));
    assert_eq!(model.clone().valid().blocks().len(), 0);
}
