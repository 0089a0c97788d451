//! A small BERT made from nothing: random weights, and a tokenizer of the words of given texts.
//!
//! It is a model folder like any other, so that everything that is shown on it is shown by the
//! commands that users have.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use bestof_checkpoints::StoredType;
use bestof_files::write_file;
use bestof_models::encoder::{Encoder, EncoderConfig};
use bestof_models::open_device;
use bestof_trainer::TrainError;
use serde_json::{Map, Value, json};

use crate::ReproduceError;

/// What stands before the words in the vocabulary.
const SPECIAL: [&str; 4] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"];

/// The shape of a small BERT.
///
/// ```
/// use bestof_checkpoints::ModelFolder;
/// use bestof_reproduce::SmallBert;
///
/// let dir = tempfile::tempdir()?;
/// let shape = SmallBert { width: 16, inner: 32, layers: 1, heads: 2, context: 32, words: 100 };
/// shape.write(dir.path(), ["Good soup!", "good service"], 0)?;
/// let tokenizer = ModelFolder::open(dir.path())?.tokenizer()?.encode("GOOD soup", true)?;
/// assert_eq!(tokenizer.len(), 4); // with the marks at both ends
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SmallBert {
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
    /// Most words it knows, the most frequent ones.
    pub words: usize,
}

impl SmallBert {
    /// Writes the folder: weights drawn by `seed`, and the words and punctuation of `texts`.
    ///
    /// # Errors
    /// A shape that makes no model, or what the disk says.
    pub fn write<'t>(
        &self,
        dir: &Path,
        texts: impl IntoIterator<Item = &'t str>,
        seed: u64,
    ) -> Result<(), ReproduceError> {
        fs::create_dir_all(dir).map_err(ReproduceError::io("cannot create", dir))?;
        let words = frequent(texts, self.words);
        let config = EncoderConfig {
            vocab_size: SPECIAL.len() + words.len(),
            hidden_size: self.width,
            num_layers: self.layers,
            num_heads: self.heads,
            intermediate_size: self.inner,
            max_positions: self.context,
            ..EncoderConfig::default()
        };
        let device = open_device("cpu").map_err(TrainError::from)?;
        let bert = Encoder::fresh(&config, seed, &device).map_err(TrainError::from)?;
        bert.save(dir, StoredType::F32).map_err(TrainError::from)?;
        let marks = json!({"unk_token": "[UNK]", "pad_token": "[PAD]"});
        for (name, value) in
            [("tokenizer.json", tokenizer(&words)), ("tokenizer_config.json", marks)]
        {
            write_file(&dir.join(name), format!("{value:#}\n").as_bytes())?;
        }
        Ok(())
    }
}

/// The words and marks that BERT's rule cuts `texts` into, the most frequent first; of equals the
/// one that comes first in the alphabet.
fn frequent<'t>(texts: impl IntoIterator<Item = &'t str>, most: usize) -> Vec<String> {
    let mut counts: HashMap<String, u64> = HashMap::new();
    for text in texts {
        let text = text.to_lowercase();
        let marks = text.chars().filter(char::is_ascii_punctuation).map(String::from);
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        for piece in words.map(str::to_owned).chain(marks) {
            *counts.entry(piece).or_default() += 1;
        }
    }
    let mut found: Vec<(String, u64)> = counts.into_iter().collect();
    found.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    found.truncate(most);
    found.into_iter().map(|(word, _)| word).collect()
}

fn tokenizer(words: &[String]) -> Value {
    let pieces = SPECIAL.into_iter().chain(words.iter().map(String::as_str));
    let vocabulary: Map<String, Value> =
        pieces.enumerate().map(|(id, piece)| (piece.to_owned(), json!(id))).collect();
    let special: Vec<Value> = SPECIAL
        .iter()
        .enumerate()
        .map(|(id, piece)| {
            json!({"id": id, "content": piece, "single_word": false, "lstrip": false,
                   "rstrip": false, "normalized": false, "special": true})
        })
        .collect();
    let mark = |id: usize| json!({"SpecialToken": {"id": SPECIAL[id], "type_id": 0}});
    let named = |id: usize| json!({"id": SPECIAL[id], "ids": [id], "tokens": [SPECIAL[id]]});
    let sequence = json!({"Sequence": {"id": "A", "type_id": 0}});
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": special,
        "normalizer": {"type": "BertNormalizer", "clean_text": true,
                       "handle_chinese_chars": true, "strip_accents": false, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [mark(2), sequence, mark(3)],
            "pair": [mark(2), sequence, mark(3)],
            "special_tokens": {"[CLS]": named(2), "[SEP]": named(3)},
        },
        "decoder": null,
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocabulary},
    })
}

#[cfg(test)]
mod tests {
    use bestof_checkpoints::ModelFolder;

    use super::*;

    const SHAPE: SmallBert =
        SmallBert { width: 8, inner: 16, layers: 1, heads: 2, context: 16, words: 4 };

    #[test]
    fn the_folder_opens_and_the_seed_decides_the_weights() {
        let dir = tempfile::tempdir().unwrap();
        let texts = ["The soup wasn't hot.", "Soup, soup, and the rest."];
        let hash = |name: &str, seed: u64| {
            let path = dir.path().join(name);
            SHAPE.write(&path, texts, seed).unwrap();
            let folder = ModelFolder::open(&path).unwrap();
            let ids = folder.tokenizer().unwrap().encode("SOUP, the sauce.", true).unwrap();
            // Of three words and marks that occur twice, `soup` occurs three times.
            assert_eq!((ids[0], ids[1], ids[4], ids[6]), (2, 4, 1, 3));
            folder.weights().unwrap().content_hash().unwrap()
        };
        assert_eq!(hash("a", 1), hash("b", 1));
        assert_ne!(hash("a", 1), hash("c", 2));
        let odd = SmallBert { heads: 3, ..SHAPE };
        assert!(odd.write(&dir.path().join("d"), texts, 0).is_err());
    }
}
