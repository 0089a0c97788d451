//! A small LLaMA made from nothing: random weights, a tokenizer with one token a character.
//!
//! It is a model folder like any other, so that everything that is shown on it is shown by the
//! commands that users have.

use std::fs;
use std::path::Path;

use bestof_checkpoints::StoredType;
use bestof_files::write_file;
use bestof_models::{Decoder, DecoderConfig, open_device};
use bestof_trainer::TrainError;
use serde_json::{Map, Value, json};

use crate::ReproduceError;

/// What stands before the alphabet in the vocabulary.
const SPECIAL: [&str; 3] = ["<unk>", "<s>", "</s>"];

/// The shape of a small LLaMA.
///
/// ```
/// use bestof_checkpoints::ModelFolder;
/// use bestof_reproduce::SmallLlama;
///
/// let dir = tempfile::tempdir()?;
/// let shape = SmallLlama {
///     alphabet: "0123456789+=\n", width: 16, inner: 32, layers: 1, heads: 2, context: 32,
///     rope_theta: 10_000.0, initializer_range: 0.02,
/// };
/// shape.write(dir.path(), 0)?;
/// let folder = ModelFolder::open(dir.path())?;
/// assert_eq!(folder.tokenizer()?.encode("1+1=2", true)?.len(), 6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SmallLlama {
    /// Every character it can read or write, each once.
    pub alphabet: &'static str,
    /// Width of the hidden state.
    pub width: usize,
    /// Width inside the MLPs.
    pub inner: usize,
    /// Layers.
    pub layers: usize,
    /// Attention heads; they share the width evenly.
    pub heads: usize,
    /// Longest sequence.
    pub context: usize,
    /// Base of RoPE.
    pub rope_theta: f64,
    /// Standard deviation of the first weights.
    pub initializer_range: f64,
}

impl SmallLlama {
    /// The line break and the printable characters of ASCII.
    pub const ASCII: &'static str = "\n !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~";
    /// The token that begins a text.
    pub const BEGIN: u32 = 1;
    /// The token that ends a text.
    pub const END: u32 = 2;
    /// The token of the first character of the alphabet; the others follow.
    pub const FIRST: u32 = SPECIAL.len() as u32;

    /// Writes the folder, weights drawn by `seed`.
    ///
    /// # Errors
    /// A shape that makes no model, or what the disk says.
    pub fn write(&self, dir: &Path, seed: u64) -> Result<(), ReproduceError> {
        fs::create_dir_all(dir).map_err(ReproduceError::io("cannot create", dir))?;
        let config = self.config();
        let shape = DecoderConfig::from_hf(&config).map_err(TrainError::from)?;
        let device = open_device("cpu").map_err(TrainError::from)?;
        let model = Decoder::random(shape, seed, &device).map_err(TrainError::from)?;
        model.save(dir, StoredType::F32, None).map_err(TrainError::from)?;
        let files = [
            ("config.json", config),
            ("tokenizer.json", self.tokenizer()),
            ("tokenizer_config.json", self.tokenizer_config()),
            (
                "generation_config.json",
                json!({"bos_token_id": Self::BEGIN, "eos_token_id": Self::END}),
            ),
        ];
        for (name, value) in files {
            write_file(&dir.join(name), format!("{value:#}\n").as_bytes())?;
        }
        Ok(())
    }

    fn config(&self) -> Value {
        json!({
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": SPECIAL.len() + self.alphabet.chars().count(),
            "hidden_size": self.width,
            "intermediate_size": self.inner,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.heads,
            "max_position_embeddings": self.context,
            "rope_theta": self.rope_theta,
            "initializer_range": self.initializer_range,
            "rms_norm_eps": 1e-5,
            "hidden_act": "silu",
            "tie_word_embeddings": true,
            "bos_token_id": Self::BEGIN,
            "eos_token_id": Self::END,
            "dtype": "float32",
        })
    }

    fn tokenizer(&self) -> Value {
        let characters = self.alphabet.chars().map(String::from);
        let vocabulary: Map<String, Value> = SPECIAL
            .map(str::to_owned)
            .into_iter()
            .chain(characters)
            .enumerate()
            .map(|(id, piece)| (piece, json!(id)))
            .collect();
        let special: Vec<Value> = SPECIAL
            .iter()
            .enumerate()
            .map(|(id, piece)| {
                json!({"id": id, "content": piece, "single_word": false, "lstrip": false,
                       "rstrip": false, "normalized": false, "special": true})
            })
            .collect();
        let begin = json!({"SpecialToken": {"id": "<s>", "type_id": 0}});
        let sequence = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
        json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": special,
            "normalizer": null,
            "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "[\\s\\S]"},
                              "behavior": "Isolated", "invert": false},
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [begin, sequence("A")],
                "pair": [begin, sequence("A"), sequence("B")],
                "special_tokens": {"<s>": {"id": "<s>", "ids": [Self::BEGIN], "tokens": ["<s>"]}},
            },
            "decoder": {"type": "Fuse"},
            "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"},
        })
    }

    fn tokenizer_config(&self) -> Value {
        json!({
            "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
            "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": self.context,
        })
    }
}

#[cfg(test)]
mod tests {
    use bestof_checkpoints::ModelFolder;

    use super::*;

    const SHAPE: SmallLlama = SmallLlama {
        alphabet: "abc \n",
        width: 8,
        inner: 16,
        layers: 2,
        heads: 2,
        context: 16,
        rope_theta: 10_000.0,
        initializer_range: 0.02,
    };

    #[test]
    fn the_folder_opens_and_the_seed_decides_the_weights() {
        let dir = tempfile::tempdir().unwrap();
        let weights = |name: &str, seed: u64| {
            let path = dir.path().join(name);
            SHAPE.write(&path, seed).unwrap();
            let folder = ModelFolder::open(&path).unwrap();
            let device = open_device("cpu").unwrap();
            Decoder::open(&folder, &device).unwrap();
            let tokenizer = folder.tokenizer().unwrap();
            let ids = tokenizer.encode("cab\n", true).unwrap();
            assert_eq!(ids, [1, 5, 3, 4, 7]);
            assert_eq!(tokenizer.decode(&ids, true).unwrap(), "cab\n");
            assert_eq!(folder.generation.eos_token_ids, [2]);
            folder.weights().unwrap().content_hash().unwrap()
        };
        assert_eq!(weights("a", 1), weights("b", 1));
        assert_ne!(weights("a", 1), weights("c", 2));
    }

    #[test]
    fn a_shape_that_makes_no_model_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let odd = SmallLlama { heads: 8, ..SHAPE };
        assert!(odd.write(dir.path(), 0).is_err());
    }
}
