//! The real models against transformers: same ids, same texts, same chats.
//!
//! Compiled with the feature `real-models` only, and then failing, not passing over, when the
//! folder named by `BESTOF_REAL_MODELS` or a model in it is missing.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

use std::path::PathBuf;

use bestof_checkpoints::{Message, ModelFolder, TensorInfo};
use serde_json::Value;

const SMOLLM2: (&str, &str) =
    ("smollm2-135m-instruct", include_str!("fixtures/real/smollm2-135m-instruct.json"));
const GEMMA3: (&str, &str) = ("gemma3-270m", include_str!("fixtures/real/gemma3-270m.json"));

fn open((name, fixture): (&str, &str)) -> (ModelFolder, Value) {
    let root = std::env::var_os("BESTOF_REAL_MODELS")
        .expect("BESTOF_REAL_MODELS names the folder that holds the converted models");
    let dir = PathBuf::from(root).join(name);
    let folder = ModelFolder::open(&dir).unwrap_or_else(|e| panic!("{e}"));
    (folder, serde_json::from_str(fixture).unwrap())
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

fn check_tokenizer(model: (&str, &str)) {
    let (folder, expected) = open(model);
    let tokenizer = folder.tokenizer().unwrap();
    for prompt in expected["prompts"].as_array().unwrap() {
        let (name, text) = (&prompt["name"], prompt["text"].as_str().unwrap());
        let found = tokenizer.encode(text, true).unwrap();
        assert_eq!(found, ids(&prompt["ids"]), "{name}: {:?}", tokenizer.pieces(&found));
        assert_eq!(tokenizer.decode(&found, false).unwrap(), prompt["decoded"], "{name}");
        assert_eq!(
            tokenizer.decode(&found, true).unwrap(),
            prompt["decoded_skip_special"],
            "{name}"
        );
    }
    for row in expected["completions"].as_array().unwrap() {
        let prompt = row["prompt"].as_str().unwrap();
        let whole = format!("{prompt}{}", row["completion"].as_str().unwrap());
        assert_eq!(tokenizer.encode(prompt, true).unwrap(), ids(&row["prompt_ids"]), "{prompt}");
        let both = [ids(&row["prompt_ids"]), ids(&row["completion_ids"])].concat();
        assert_eq!(tokenizer.encode(&whole, true).unwrap(), both, "{whole}");
    }
    tokenizer.check_fits(folder.config["vocab_size"].as_u64().unwrap() as usize).unwrap();
}

#[test]
fn smollm2_tokenizes_as_transformers_does() {
    check_tokenizer(SMOLLM2);
}

#[test]
fn gemma3_tokenizes_as_transformers_does() {
    check_tokenizer(GEMMA3);
}

#[test]
fn smollm2_renders_chats_as_transformers_does() {
    let (folder, expected) = open(SMOLLM2);
    let template = folder.chat_template.unwrap();
    for chat in expected["chats"].as_array().unwrap() {
        let messages: Vec<Message> = serde_json::from_value(chat["messages"].clone()).unwrap();
        assert_eq!(template.render(&messages, true).unwrap(), chat["rendered"]);
        assert_eq!(
            template.render(&messages, false).unwrap(),
            chat["rendered_no_generation_prompt"]
        );
    }
}

#[test]
fn special_ids_are_those_of_the_vocabulary() {
    let (smollm2, _) = open(SMOLLM2);
    let tokenizer = smollm2.tokenizer().unwrap();
    assert_eq!(
        (tokenizer.bos_id(), tokenizer.eos_id(), tokenizer.pad_id()),
        (Some(1), Some(2), Some(2))
    );
    assert_eq!(smollm2.generation.eos_token_ids, [2]);
    let (gemma3, _) = open(GEMMA3);
    let tokenizer = gemma3.tokenizer().unwrap();
    assert_eq!(
        (tokenizer.bos_id(), tokenizer.eos_id(), tokenizer.pad_id()),
        (Some(2), Some(1), Some(0))
    );
    assert!(gemma3.chat_template.is_none(), "the base model has no template");
}

#[test]
fn weights_have_the_shapes_of_the_configuration() {
    for (model, parameters, tensors) in [(SMOLLM2, 134_515_008, 272), (GEMMA3, 268_098_176, 236)] {
        let (folder, _) = open(model);
        let weights = folder.weights().unwrap();
        let size = |field: &str| folder.config[field].as_u64().unwrap() as usize;
        let (hidden, kv) = (size("hidden_size"), size("num_key_value_heads") * size("head_dim"));
        assert_eq!(weights.infos().iter().map(TensorInfo::len).sum::<usize>(), parameters);
        assert_eq!(weights.infos().len(), tensors);
        let k = weights.read_f32("model.layers.0.self_attn.k_proj.weight", &[kv, hidden]).unwrap();
        assert!(k.iter().all(|value| value.is_finite()));
        assert!(!weights.contains("lm_head.weight"), "the head is tied to the embedding");
    }
}
