//! Model folders: tokenizers, generation settings, companions, hashes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

use std::fs;
use std::path::Path;

use bestof_checkpoints::gguf::ConvertOptions;
use bestof_checkpoints::{
    CheckpointError, GenerationConfig, ModelFolder, StoredType, TensorInfo, Tokenizer,
    WeightsWriter,
};
use serde_json::json;
use tempfile::{TempDir, tempdir};

fn write(dir: &Path, name: &str, text: &str) {
    fs::write(dir.join(name), text).unwrap();
}

/// An uncased `WordPiece` tokenizer that pads to 8 and cuts to 4, as sentence encoders ship them.
fn bert() -> TempDir {
    let dir = tempdir().unwrap();
    let special = |id: u32, content: &str| {
        json!({ "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true })
    };
    let vocab = json!({ "[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "good": 4, "food": 5, "##ie": 6,
                        "!": 7, "cafe": 8 });
    let single = json!([{ "SpecialToken": { "id": "[CLS]", "type_id": 0 } }, { "Sequence": { "id": "A", "type_id": 0 } },
                        { "SpecialToken": { "id": "[SEP]", "type_id": 0 } }]);
    let mut pair = single.as_array().unwrap().clone();
    pair.push(json!({ "Sequence": { "id": "B", "type_id": 1 } }));
    pair.push(json!({ "SpecialToken": { "id": "[SEP]", "type_id": 1 } }));
    let tokenizer = json!({
        "version": "1.0",
        "truncation": { "direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0 },
        "padding": { "strategy": { "Fixed": 8 }, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
                     "pad_type_id": 0, "pad_token": "[PAD]" },
        "added_tokens": [special(0, "[PAD]"), special(1, "[UNK]"), special(2, "[CLS]"), special(3, "[SEP]")],
        "normalizer": { "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                        "strip_accents": null, "lowercase": true },
        "pre_tokenizer": { "type": "BertPreTokenizer" },
        "post_processor": { "type": "TemplateProcessing", "single": single, "pair": pair,
            "special_tokens": { "[CLS]": { "id": "[CLS]", "ids": [2], "tokens": ["[CLS]"] },
                                "[SEP]": { "id": "[SEP]", "ids": [3], "tokens": ["[SEP]"] } } },
        "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
        "model": { "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                   "max_input_chars_per_word": 100, "vocab": vocab },
    });
    write(dir.path(), "tokenizer.json", &tokenizer.to_string());
    write(dir.path(), "config.json", r#"{"model_type": "bert", "pad_token_id": 0}"#);
    dir
}

#[test]
fn bert_lower_cases_and_neither_pads_nor_cuts() {
    let dir = bert();
    let tokenizer = Tokenizer::from_dir(dir.path()).unwrap();
    let ids = tokenizer.encode("GOOD foodie, Café!", true).unwrap();
    assert_eq!(ids, [2, 4, 5, 6, 1, 8, 7, 3]);
    assert_eq!(
        tokenizer.pieces(&ids),
        ["[CLS]", "good", "food", "##ie", "[UNK]", "cafe", "!", "[SEP]"]
    );
    assert_eq!(tokenizer.encode("good", false).unwrap(), [4]);
    assert_eq!(tokenizer.decode(&ids, true).unwrap(), "good foodie cafe!");
    assert_eq!(
        tokenizer.encode_pair("good", "food").unwrap(),
        (vec![2, 4, 3, 5, 3], vec![0, 0, 0, 1, 1])
    );
    let spans = tokenizer.encode_with_offsets("GOOD foodie", false).unwrap();
    assert_eq!(spans, [(4, 0..4), (5, 5..9), (6, 9..11)]);
    assert_eq!(tokenizer.pieces(&[4, 99]), ["good", "<?99>"]);
    assert_eq!(tokenizer.id_of("food"), Some(5));
}

#[test]
fn special_tokens_come_from_the_first_file_that_names_them() {
    let dir = bert();
    let pad = |dir: &TempDir| Tokenizer::from_dir(dir.path()).unwrap().pad_id();
    assert_eq!(pad(&dir), Some(0), "config.json");
    write(dir.path(), "generation_config.json", r#"{"pad_token_id": 7, "eos_token_id": [3, 5]}"#);
    assert_eq!(pad(&dir), Some(7));
    assert_eq!(Tokenizer::from_dir(dir.path()).unwrap().eos_id(), Some(3));
    write(
        dir.path(),
        "special_tokens_map.json",
        r#"{"pad_token": {"content": "food", "lstrip": false}}"#,
    );
    assert_eq!(pad(&dir), Some(5));
    let tokens = r#"{"pad_token": "good", "unk_token": null, "mask_token": "food"}"#;
    write(dir.path(), "tokenizer_config.json", tokens);
    let tokenizer = Tokenizer::from_dir(dir.path()).unwrap();
    let found = [tokenizer.pad_id(), tokenizer.unk_id(), tokenizer.mask_id()];
    assert_eq!(found, [Some(4), None, Some(5)]);
    write(dir.path(), "tokenizer_config.json", r#"{"pad_token": 4}"#);
    let error = Tokenizer::from_dir(dir.path()).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "tokenizer_config.json: pad_token is 4, expected a text, or an object with a content"
        ),
        "{error}"
    );
}

#[test]
fn a_tokenizer_larger_than_the_embedding_is_found() {
    let dir = bert();
    let tokenizer = Tokenizer::from_dir(dir.path()).unwrap();
    tokenizer.check_fits(9).unwrap();
    let error = tokenizer.check_fits(8).unwrap_err();
    assert!(
        matches!(&error, CheckpointError::TokenBeyondVocabulary { id: 8, vocab_size: 8, token } if token == "cafe")
    );

    let path = dir.path().join("tokenizer.json");
    let mut file: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let mut image = file["added_tokens"][0].clone();
    (image["id"], image["content"]) = (json!(9), json!("[IMAGE]"));
    file["added_tokens"].as_array_mut().unwrap().push(image);
    write(dir.path(), "tokenizer.json", &file.to_string());
    let tokenizer = Tokenizer::from_dir(dir.path()).unwrap();
    assert_eq!(tokenizer.vocab_size(), 10);
    tokenizer.check_fits(9).unwrap();
    assert!(matches!(
        tokenizer.check_fits(8),
        Err(CheckpointError::TokenBeyondVocabulary { id: 8, .. })
    ));
}

#[test]
fn a_folder_without_a_tokenizer_says_what_to_do() {
    let dir = tempdir().unwrap();
    write(dir.path(), "config.json", "{}");
    let folder = ModelFolder::open(dir.path()).unwrap();
    assert!(folder.tokenizer.is_none() && folder.model_type().is_none());
    assert!(matches!(folder.tokenizer(), Err(CheckpointError::NoTokenizer { .. })));
    write(dir.path(), "tokenizer.model", "");
    let error = ModelFolder::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("save_pretrained(DIR)"), "{error}");
    write(dir.path(), "tokenizer.json", "{}");
    assert!(matches!(ModelFolder::open(dir.path()), Err(CheckpointError::BadTokenizer { .. })));
}

#[test]
fn a_folder_needs_a_configuration() {
    let dir = tempdir().unwrap();
    let error = ModelFolder::open(dir.path()).unwrap_err();
    assert!(matches!(error, CheckpointError::NoConfig { .. }));
    assert!(error.to_string().contains("bestof convert"));
    fs::write(dir.path().join("adapter_config.json"), "{}").unwrap();
    let error = ModelFolder::open(dir.path()).unwrap_err();
    assert!(matches!(error, CheckpointError::AdapterFolder { .. }));
    assert!(error.to_string().contains("holds a PEFT adapter"), "{error}");
    write(dir.path(), "config.json", "{\n  \"a\": 1,\n}");
    let error = ModelFolder::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("config.json: line 3, column 1"), "{error}");
    write(dir.path(), "config.json", "[1]");
    assert!(matches!(ModelFolder::open(dir.path()), Err(CheckpointError::BadField { .. })));
}

#[test]
fn generation_settings_fall_back_to_the_configuration() {
    let dir = tempdir().unwrap();
    assert_eq!(GenerationConfig::from_dir(dir.path()).unwrap(), GenerationConfig::default());
    write(dir.path(), "config.json", r#"{"eos_token_id": 2, "bos_token_id": 1}"#);
    let config = GenerationConfig::from_dir(dir.path()).unwrap();
    assert_eq!(
        (config.eos_token_ids, config.bos_token_id, config.pad_token_id),
        (vec![2], Some(1), None)
    );
    write(
        dir.path(),
        "generation_config.json",
        r#"{"eos_token_id": [3, 4], "temperature": 0.6, "top_k": 20, "top_p": 0.9, "min_p": 0.1, "do_sample": true,
            "repetition_penalty": 1.1, "max_new_tokens": 64}"#,
    );
    let config = GenerationConfig::from_dir(dir.path()).unwrap();
    assert_eq!((config.eos_token_ids, config.bos_token_id), (vec![3, 4], Some(1)));
    assert_eq!(
        (config.temperature, config.top_k, config.top_p, config.min_p),
        (Some(0.6), Some(20), Some(0.9), Some(0.1))
    );
    assert_eq!(
        (config.do_sample, config.repetition_penalty, config.max_new_tokens),
        (Some(true), Some(1.1), Some(64))
    );
    for (text, expected) in [
        (
            r#"{"eos_token_id": "x"}"#,
            "eos_token_id is \"x\", expected a token id or a list of them",
        ),
        (
            r#"{"eos_token_id": [1, -1]}"#,
            "eos_token_id is [1,-1], expected a token id or a list of them",
        ),
        (r#"{"top_k": 0.5}"#, "top_k is 0.5, expected a whole number, 0 or more"),
        (r#"{"temperature": "hot"}"#, "temperature is \"hot\", expected a number"),
        (
            r#"{"pad_token_id": 4294967296}"#,
            "pad_token_id is 4294967296, expected a token id (0 to 4294967295)",
        ),
    ] {
        write(dir.path(), "generation_config.json", text);
        let error = GenerationConfig::from_dir(dir.path()).unwrap_err().to_string();
        assert!(error.ends_with(expected), "{error}");
    }
}

#[test]
fn companions_are_copied_and_weights_are_not() {
    let dir = bert();
    write(dir.path(), "vocab.txt", "[PAD]");
    write(dir.path(), "chat_template.jinja", "x");
    write(dir.path(), "model.safetensors", "weights");
    write(dir.path(), "notes.md", "not ours");
    let folder = ModelFolder::open(dir.path()).unwrap();
    let out = dir.path().join("deep").join("out");
    let copies = folder.copy_companions(&out).unwrap();
    let mut names: Vec<_> = fs::read_dir(&out)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["chat_template.jinja", "config.json", "tokenizer.json", "vocab.txt"]);
    assert_eq!(copies.len(), names.len());
    for name in names {
        assert_eq!(fs::read(out.join(&name)).unwrap(), fs::read(dir.path().join(&name)).unwrap());
    }
    assert_eq!(
        ModelFolder::open(&out).unwrap().tokenizer_hash().unwrap(),
        folder.tokenizer_hash().unwrap()
    );
}

#[test]
fn hashes_follow_the_files() {
    let dir = bert();
    let folder = ModelFolder::open(dir.path()).unwrap();
    let before = folder.tokenizer_hash().unwrap();
    write(dir.path(), "config.json", r#"{"model_type": "other"}"#);
    assert_eq!(folder.tokenizer_hash().unwrap(), before);
    write(dir.path(), "chat_template.jinja", "x");
    assert_ne!(folder.tokenizer_hash().unwrap(), before, "the template is part of it");
    assert!(matches!(folder.files_hash(), Err(CheckpointError::NoWeights { .. })));
    let header = br#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#;
    let weights = |byte: u8| [&(header.len() as u64).to_le_bytes()[..], header, &[byte]].concat();
    fs::write(dir.path().join("model.safetensors"), weights(1)).unwrap();
    let whole = folder.files_hash().unwrap();
    fs::write(dir.path().join("model.safetensors"), weights(2)).unwrap();
    assert_ne!(folder.files_hash().unwrap(), whole);
    assert_eq!(whole.len(), 64);
}

#[test]
fn a_folder_is_written_again_in_another_format() {
    let dir = bert();
    write(dir.path(), "config.json", r#"{"model_type": "bert", "torch_dtype": "float32"}"#);
    let info = |name: &str, dtype| TensorInfo { name: name.into(), dtype, shape: vec![2] };
    let infos = vec![info("weight", StoredType::F32), info("position_ids", StoredType::I64)];
    let mut writer = WeightsWriter::create(dir.path(), infos, None).unwrap();
    writer.push("weight", &[1.5, -2.0]).unwrap();
    writer
        .push_bytes("position_ids", &[0_i64.to_le_bytes(), 1_i64.to_le_bytes()].concat())
        .unwrap();
    writer.finish().unwrap();

    let options = ConvertOptions { dtype: StoredType::BF16, max_shard_bytes: Some(4) };
    let folder = ModelFolder::open(dir.path()).unwrap();
    let (out, mut seen) = (dir.path().join("out"), Vec::new());
    let done = folder
        .rewrite(&out, &options, &mut |step| seen.push((step.values_done, step.values_total)))
        .unwrap();
    assert_eq!((done.parameters, done.tensors, done.model_type.as_str()), (4, 2, "bert"));
    assert_eq!(done.source_types, [("I64".to_owned(), 1), ("F32".to_owned(), 1)]);
    assert_eq!(seen, [(2, 4), (4, 4)]);

    let copy = ModelFolder::open(&out).unwrap();
    assert_eq!(copy.config, json!({ "model_type": "bert", "torch_dtype": "bfloat16" }));
    let weights = copy.weights().unwrap();
    assert_eq!(weights.info("weight").unwrap().dtype, StoredType::BF16);
    assert_eq!(weights.read_f32("weight", &[2]).unwrap(), [1.5, -2.0]);
    assert_eq!(weights.read_i64("position_ids").unwrap().1, [0, 1]);
    assert_eq!(copy.tokenizer().unwrap().encode("good", false).unwrap(), [4]);
    assert!(matches!(
        folder.rewrite(&out, &options, &mut |_| {}),
        Err(CheckpointError::OutputExists { .. })
    ));
    let integers = ConvertOptions { dtype: StoredType::U8, ..options };
    assert!(matches!(
        folder.rewrite(&dir.path().join("other"), &integers, &mut |_| {}),
        Err(CheckpointError::UnwritableType { .. })
    ));
}
