//! Tokenizers, templates and weights are what transformers makes of a folder's files: tokens that only
//! `tokenizer_config.json` names, its flags, templates in other files, wrappers around weights.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

use std::fs;
use std::path::Path;

use bestof_checkpoints::{
    ChatTemplate, Message, StoredType, TensorInfo, Tokenizer, Weights, WeightsWriter,
};
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

/// A tokenizer of single letters that puts `<s>` in front, with what its configuration adds.
fn folder(config: &Value) -> TempDir {
    let dir = tempdir().unwrap();
    let vocab = json!({"<s>": 0, "</s>": 1, "H": 2, "i": 3, "a": 4, "b": 5});
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null,
        "pre_tokenizer": null, "decoder": null,
        "added_tokens": [{"id": 0, "content": "<s>", "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false, "special": true}],
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocab,
            "merges": []},
    });
    write(dir.path(), "tokenizer.json", &tokenizer);
    write(dir.path(), "tokenizer_config.json", config);
    dir
}

fn write(dir: &Path, name: &str, value: &Value) {
    fs::write(dir.join(name), value.to_string()).unwrap();
}

fn ids(config: &Value, text: &str) -> Vec<u32> {
    let dir = folder(config);
    Tokenizer::from_dir(dir.path()).unwrap().encode(text, true).unwrap()
}

#[test]
fn flags_of_the_llama_class_put_tokens_around_a_text() {
    let config = |class: &str, bos: Value, eos: Value| {
        json!({"tokenizer_class": class, "bos_token": "<s>", "eos_token": "</s>",
               "add_bos_token": bos, "add_eos_token": eos})
    };
    let (yes, no, absent) = (json!(true), json!(false), Value::Null);
    for class in ["LlamaTokenizerFast", "LlamaTokenizer", "GemmaTokenizerFast"] {
        assert_eq!(ids(&config(class, no.clone(), absent.clone()), "Hi"), [2, 3], "{class}");
        assert_eq!(ids(&config(class, no.clone(), yes.clone()), "Hi"), [2, 3, 1], "{class}");
        assert_eq!(ids(&config(class, yes.clone(), yes.clone()), "Hi"), [0, 2, 3, 1], "{class}");
        assert_eq!(ids(&config(class, absent.clone(), absent.clone()), "Hi"), [0, 2, 3], "{class}");
    }
    // The class of all other fast tokenizers leaves `tokenizer.json` as it is.
    assert_eq!(ids(&config("PreTrainedTokenizerFast", no, yes), "Hi"), [0, 2, 3]);
}

#[test]
fn tokens_of_the_configuration_alone_are_single_tokens() {
    let listed = |id: &str, token: &str, special: bool| json!({"added_tokens_decoder": {id: {"content": token, "special": special}}});
    assert_eq!(ids(&listed("6", "<|new|>", true), "a<|new|>b"), [0, 4, 6, 5]);
    assert_eq!(ids(&listed("6", "Hi", false), "aHib"), [0, 4, 6, 5]);
    let dir = folder(&listed("9", "<|new|>", true));
    let error = Tokenizer::from_dir(dir.path()).unwrap_err().to_string();
    assert!(error.contains("<|new|>") && error.contains('9') && error.contains('6'), "{error}");
}

#[test]
fn a_template_may_stand_in_a_file_of_its_own() {
    let talk = [Message::new("user", "Hi")];
    let render = |dir: &TempDir| {
        ChatTemplate::from_dir(dir.path()).unwrap().unwrap().render(&talk, true).unwrap()
    };
    let dir = folder(&json!({}));
    assert!(ChatTemplate::from_dir(dir.path()).unwrap().is_none());
    write(
        dir.path(),
        "chat_template.json",
        &json!({"chat_template": "X{{ messages[0].content }}"}),
    );
    assert_eq!(render(&dir), "XHi");
    fs::write(dir.path().join("chat_template.jinja"), "Y{{ messages[0].content }}").unwrap();
    assert_eq!(render(&dir), "YHi");
    let named = json!({"chat_template": [
        {"name": "rag", "template": "no"}, {"name": "default", "template": "D{{ messages[0].content }}"}]});
    assert_eq!(render(&folder(&named)), "DHi");
}

/// Weights of two tensors under these names.
fn weights(names: [&str; 2], values: [f32; 2]) -> TempDir {
    let dir = tempdir().unwrap();
    let info =
        |name: &str| TensorInfo { name: name.into(), dtype: StoredType::F32, shape: vec![1] };
    let mut writer = WeightsWriter::create(dir.path(), names.map(info).to_vec(), None).unwrap();
    for (name, value) in names.into_iter().zip(values) {
        writer.push(name, &[value]).unwrap();
    }
    writer.finish().unwrap();
    dir
}

#[test]
fn wrappers_leave_no_trace_in_names() {
    for names in [
        ["_orig_mod.model.a", "_orig_mod.model.b"],
        ["module.model.a", "module.model.b"],
        ["module._orig_mod.model.a", "module._orig_mod.model.b"],
        ["model._orig_mod.a", "model.b"],
    ] {
        let dir = weights(names, [1.0, 2.0]);
        let read = Weights::open(dir.path()).unwrap();
        assert_eq!(read.read_f32("model.a", &[1]).unwrap(), [1.0], "{names:?}");
        assert_eq!(read.read_f32("model.b", &[1]).unwrap(), [2.0], "{names:?}");
    }
    // A part that only one of the names has belongs to it.
    let dir = weights(["module.a", "b"], [1.0, 2.0]);
    assert_eq!(Weights::open(dir.path()).unwrap().read_f32("module.a", &[1]).unwrap(), [1.0]);
    let dir = weights(["_orig_mod.a", "a"], [1.0, 2.0]);
    assert!(Weights::open(dir.path()).is_err(), "two tensors would have one name");
}

#[test]
fn weights_that_are_not_finite_are_named() {
    for (value, shown) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        let dir = weights(["model.a", "model.b"], [1.0, value]);
        let read = Weights::open(dir.path()).unwrap();
        read.read_f32("model.a", &[1]).unwrap();
        let error = read.read_f32("model.b", &[1]).unwrap_err().to_string();
        assert!(error.contains("model.b holds") && error.contains(shown), "{error}");
    }
}

#[test]
fn missing_indices_and_pointers_are_what_the_message_is_about() {
    let dir = weights(["a", "b"], [1.0, 2.0]);
    let path = |name: &str| dir.path().join(name);
    fs::rename(path("model.safetensors"), path("model-00001-of-00002.safetensors")).unwrap();
    let error = Weights::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("model.safetensors.index.json"), "{error}");

    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n";
    for name in ["model.safetensors", "tokenizer.json"] {
        let dir = folder(&json!({}));
        fs::write(dir.path().join(name), pointer).unwrap();
        let error = match name {
            "tokenizer.json" => Tokenizer::from_dir(dir.path()).unwrap_err().to_string(),
            _ => Weights::open(dir.path()).unwrap_err().to_string(),
        };
        assert!(error.contains(name) && error.contains("git lfs pull"), "{error}");
    }
}
