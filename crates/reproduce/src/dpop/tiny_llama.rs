//! A small LLaMA with a token a character, written as a model folder before anything is trained.

use std::fs;
use std::path::Path;

use bestof_checkpoints::StoredType;
use bestof_models::{Decoder, DecoderConfig, open_device};
use bestof_trainer::TrainError;
use serde_json::{Map, Value, json};

use crate::ReproduceError;

/// Ids of the marks before the characters.
const UNKNOWN: u32 = 0;
const BEGIN: u32 = 1;
pub(crate) const END: u32 = 2;
/// Longest sequence, in tokens.
const CONTEXT: usize = 128;

/// How large the model is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) width: usize,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
}

/// Writes configuration, tokenizer and random weights.
pub(crate) fn write(dir: &Path, shape: Shape, seed: u64) -> Result<(), ReproduceError> {
    fs::create_dir_all(dir).map_err(ReproduceError::io("cannot create", dir))?;
    let vocab = vocabulary();
    let config = json!({
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "dtype": "float32",
        "vocab_size": vocab.len(), "hidden_size": shape.width,
        "intermediate_size": 2 * shape.width, "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads, "num_key_value_heads": shape.heads,
        "max_position_embeddings": CONTEXT, "rms_norm_eps": 1e-5, "rope_theta": 10_000.0,
        "tie_word_embeddings": true, "bos_token_id": BEGIN, "eos_token_id": END,
    });
    let device = open_device("cpu").map_err(TrainError::from)?;
    let shape = DecoderConfig::from_hf(&config).map_err(TrainError::from)?;
    let model = Decoder::random(shape, seed, &device).map_err(TrainError::from)?;
    model.save(dir, StoredType::F32, None).map_err(TrainError::from)?;
    for (file, contents) in [
        ("config.json", config),
        ("generation_config.json", json!({"bos_token_id": BEGIN, "eos_token_id": END})),
        ("tokenizer.json", tokenizer(&vocab)),
        (
            "tokenizer_config.json",
            json!({
                "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
                "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": CONTEXT,
            }),
        ),
    ] {
        let path = dir.join(file);
        fs::write(&path, format!("{contents:#}\n"))
            .map_err(ReproduceError::io("cannot write", &path))?;
    }
    Ok(())
}

/// Three marks, the line feed, and the printable characters of ASCII.
fn vocabulary() -> Map<String, Value> {
    let marks = ["<unk>", "<s>", "</s>", "\n"].map(str::to_owned).into_iter();
    let characters = (b' '..=b'~').map(|byte| char::from(byte).to_string());
    marks.chain(characters).zip(0..).map(|(piece, id)| (piece, json!(id))).collect()
}

fn tokenizer(vocab: &Map<String, Value>) -> Value {
    let marks: Vec<Value> = [("<unk>", UNKNOWN), ("<s>", BEGIN), ("</s>", END)]
        .into_iter()
        .map(|(piece, id)| {
            json!({"id": id, "content": piece, "single_word": false, "lstrip": false,
                   "rstrip": false, "normalized": false, "special": true})
        })
        .collect();
    let begin = json!({"SpecialToken": {"id": "<s>", "type_id": 0}});
    let text = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": marks,
        "normalizer": null,
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "[\\s\\S]"},
                          "behavior": "Isolated", "invert": false},
        "post_processor": {"type": "TemplateProcessing",
            "single": [begin, text("A")], "pair": [begin, text("A"), text("B")],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [BEGIN], "tokens": ["<s>"]}}},
        "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"},
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bestof_checkpoints::ModelFolder;

    #[test]
    fn the_folder_opens_and_every_character_is_a_token() {
        let dir = tempfile::tempdir().unwrap();
        let shape = Shape { width: 16, layers: 1, heads: 2 };
        write(dir.path(), shape, 1).unwrap();
        let folder = ModelFolder::open(dir.path()).unwrap();
        let tokenizer = folder.tokenizer().unwrap();
        let text = "7+5=12\n#### 12";
        let ids = tokenizer.encode(text, true).unwrap();
        assert_eq!(ids.len(), 1 + text.len());
        assert_eq!((ids[0], tokenizer.eos_id()), (BEGIN, Some(END)));
        assert_eq!(tokenizer.decode(&ids, true).unwrap(), text);
        let device = open_device("cpu").unwrap();
        let model = Decoder::open(&folder, &device).unwrap();
        tokenizer.check_fits(model.config().vocab_size).unwrap();
    }
}
