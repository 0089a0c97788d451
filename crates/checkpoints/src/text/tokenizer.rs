//! Text to token ids and back, by the model's own `tokenizer.json`.

use std::collections::HashSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bestof_files::guarded;

use super::special_tokens::SpecialTokens;
use super::tokenizer_growth::Growth;
use super::worker::{self, Failure};
use super::{tokenizer_checks, tokenizer_setup};
use crate::error::CheckpointError;
use crate::generation_config::GenerationConfig;
use crate::json;

/// A model's tokenizer, with the ids of its special tokens.
///
/// Truncation and padding that a `tokenizer.json` may ask for are switched off: what is encoded is
/// always the whole text.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: Arc<tokenizers::Tokenizer>,
    growth: Growth,
    /// Whether texts are encoded under the eyes of a clock: the file has regular expressions of its own.
    watched: bool,
    path: PathBuf,
    special: SpecialTokens,
    special_ids: HashSet<u32>,
    max_id: u32,
    max_token_bytes: usize,
}

/// What a run of white space or of unknown characters, which some tokenizers take for one token, is
/// counted as at most.
const RUN_BYTES: usize = 256;

impl Tokenizer {
    /// The tokenizer of a model folder: `tokenizer.json`, with special tokens from
    /// `tokenizer_config.json`, `special_tokens_map.json`, or the ids in `generation_config.json`
    /// and `config.json`, in this order. As in transformers, tokens of `added_tokens_decoder` in
    /// `tokenizer_config.json` are added, and with the classes of LLaMA and Gemma `add_bos_token` and
    /// `add_eos_token` say what stands around a text.
    ///
    /// # Errors
    /// No `tokenizer.json`, a file that does not parse or that would hurt (ids, tokens around a text, regular
    /// expressions, scores), or an added token with another id than listed.
    pub fn from_dir(dir: &Path) -> Result<Self, CheckpointError> {
        let path = dir.join("tokenizer.json");
        if !path.exists() {
            let sentencepiece = dir.join("tokenizer.model").is_file();
            return Err(CheckpointError::NoTokenizer { dir: dir.to_path_buf(), sentencepiece });
        }
        let text = json::read_text(&path)?;
        let bad = |source| CheckpointError::BadTokenizer { path: path.clone(), source };
        let checked = tokenizer_checks::before(&path, &text)?;
        let (mut inner, checked) = watched(move || {
            let mut inner = tokenizers::Tokenizer::from_bytes(text)?;
            inner.with_padding(None);
            inner.with_truncation(None)?;
            tokenizer_checks::probe(&checked)?;
            Ok((inner, checked))
        })
        .map_err(bad)?;

        let mut special = SpecialTokens::from_dir(dir)?;
        let ids = GenerationConfig::from_dir(dir)?;
        let text = |id: Option<u32>| id.and_then(|id| inner.id_to_token(id));
        special.bos = special.bos.or_else(|| text(ids.bos_token_id));
        special.eos = special.eos.or_else(|| text(ids.eos_token_ids.first().copied()));
        special.pad = special.pad.or_else(|| text(ids.pad_token_id));
        tokenizer_setup::apply(&mut inner, &special, dir)?;
        tokenizer_checks::after(&path, &checked, &inner)?;
        let growth = Growth::new(inner.get_normalizer()).map_err(bad)?;
        let vocabulary = inner.get_vocab(true);
        let max_id = vocabulary.values().copied().max().unwrap_or(0);
        let max_token_bytes = vocabulary.keys().map(String::len).max().unwrap_or(0).max(RUN_BYTES);
        let added = inner.get_added_tokens_decoder();
        let special_ids =
            added.iter().filter(|(_, token)| token.special).map(|(id, _)| *id).collect();
        let watched = !checked.published;
        let inner = Arc::new(inner);
        Ok(Self { inner, growth, watched, path, special, special_ids, max_id, max_token_bytes })
    }

    /// The token ids of a text. With `add_special` its post-processor's tokens are added, such as
    /// BOS; leave it off for text that a chat template has rendered, which already
    /// holds those tokens.
    ///
    /// # Errors
    /// The tokenizer cannot express the text (no unknown token), makes it too long, or takes too long.
    pub fn encode(&self, text: &str, add_special: bool) -> Result<Vec<u32>, CheckpointError> {
        self.growth.check(text).map_err(|source| self.bad(source))?;
        let encode = move |inner: &tokenizers::Tokenizer, text: &str| {
            Ok(inner.encode_fast(text, add_special)?.get_ids().to_vec())
        };
        self.work(text, encode)
    }

    /// Token ids, each with its byte range in the text.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_with_offsets(
        &self,
        text: &str,
        add_special: bool,
    ) -> Result<Vec<(u32, Range<usize>)>, CheckpointError> {
        self.growth.check(text).map_err(|source| self.bad(source))?;
        let encode =
            move |inner: &tokenizers::Tokenizer, text: &str| inner.encode(text, add_special);
        let encoding = self.work(text, encode)?;
        let ranges = encoding.get_offsets().iter().map(|&(start, end)| start..end);
        Ok(encoding.get_ids().iter().copied().zip(ranges).collect())
    }

    /// Ids and segment numbers of two texts together, as a sentence-pair model reads them.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_pair(
        &self,
        first: &str,
        second: &str,
    ) -> Result<(Vec<u32>, Vec<u32>), CheckpointError> {
        for text in [first, second] {
            self.growth.check(text).map_err(|source| self.bad(source))?;
        }
        let second = second.to_owned();
        let encode = move |inner: &tokenizers::Tokenizer, first: &str| {
            inner.encode_fast((first, second.as_str()), true)
        };
        let encoding = self.work(first, encode)?;
        Ok((encoding.get_ids().to_vec(), encoding.get_type_ids().to_vec()))
    }

    /// The text of token ids, special tokens left out if asked for; ids without a token are skipped.
    ///
    /// # Errors
    /// The tokenizer's decoder fails.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String, CheckpointError> {
        guarded(|| self.inner.decode(ids, skip_special))
            .unwrap_or_else(|said| Err(gave_up(&said)))
            .map_err(|source| self.bad(source))
    }

    /// The vocabulary entry of each id, as it is stored (`Ġthe`, `▁the`, `<0x0A>`, …); `<?ID>` for
    /// an id without an entry.
    pub fn pieces(&self, ids: &[u32]) -> Vec<String> {
        ids.iter()
            .map(|&id| self.inner.id_to_token(id).unwrap_or_else(|| format!("<?{id}>")))
            .collect()
    }

    /// The id of a vocabulary entry.
    pub fn id_of(&self, piece: &str) -> Option<u32> {
        self.inner.token_to_id(piece)
    }

    /// Whether an id is a special token, which `decode` can leave out.
    pub fn is_special(&self, id: u32) -> bool {
        self.special_ids.contains(&id)
    }

    /// One more than the largest id.
    pub fn vocab_size(&self) -> usize {
        self.max_id as usize + 1
    }

    /// The bytes of text that a token stands for at most: those of the longest entry, and no fewer than 256,
    /// for the runs of white space or unknown characters that some tokenizers take for one token. A text of
    /// more than `n` times as many bytes has more than `n` tokens.
    pub fn max_token_bytes(&self) -> usize {
        self.max_token_bytes
    }

    /// Checks that every id that text becomes has a row in an embedding of `rows` rows.
    ///
    /// Special tokens may exceed it: Gemma 3's text models share a tokenizer whose image token they
    /// have no row for, and text has that id only where it spells the token out.
    ///
    /// # Errors
    /// [`CheckpointError::TokenBeyondVocabulary`].
    pub fn check_fits(&self, rows: usize) -> Result<(), CheckpointError> {
        if self.vocab_size() <= rows {
            return Ok(());
        }
        let beyond = |id: u32| id as usize >= rows && !self.is_special(id);
        let vocabulary = self.inner.get_vocab(true).into_iter();
        match vocabulary.filter(|(_, id)| beyond(*id)).max_by_key(|(_, id)| *id) {
            None => Ok(()),
            Some((token, id)) => {
                Err(CheckpointError::TokenBeyondVocabulary { token, id, vocab_size: rows })
            }
        }
    }

    /// The special tokens' texts.
    pub fn special_tokens(&self) -> &SpecialTokens {
        &self.special
    }

    /// Id of the token that begins a sequence.
    pub fn bos_id(&self) -> Option<u32> {
        self.id_of_special(self.special.bos.as_deref())
    }

    /// Id of the token that ends a sequence.
    pub fn eos_id(&self) -> Option<u32> {
        self.id_of_special(self.special.eos.as_deref())
    }

    /// Id of the padding token.
    pub fn pad_id(&self) -> Option<u32> {
        self.id_of_special(self.special.pad.as_deref())
    }

    /// Id of the unknown token.
    pub fn unk_id(&self) -> Option<u32> {
        self.id_of_special(self.special.unk.as_deref())
    }

    /// Id of the token that stands for one to be guessed.
    pub fn mask_id(&self) -> Option<u32> {
        self.id_of_special(self.special.mask.as_deref())
    }

    fn id_of_special(&self, text: Option<&str>) -> Option<u32> {
        text.and_then(|text| self.inner.token_to_id(text))
    }

    /// Encodes; every call of the library on a text goes through here.
    fn work<T: Send + 'static>(
        &self,
        text: &str,
        encode: impl FnOnce(&tokenizers::Tokenizer, &str) -> tokenizers::Result<T> + Send + 'static,
    ) -> Result<T, CheckpointError> {
        let encoded = if self.watched {
            let (inner, text) = (Arc::clone(&self.inner), text.to_owned());
            watched(move || encode(&inner, &text))
        } else {
            guarded(|| encode(&self.inner, text)).unwrap_or_else(|said| Err(gave_up(&said)))
        };
        encoded.map_err(|source| self.bad(source))
    }

    fn bad(&self, source: tokenizers::Error) -> CheckpointError {
        CheckpointError::BadTokenizer { path: self.path.clone(), source }
    }
}

/// What the library returns within the time that is left to it.
fn watched<T: Send + 'static>(
    work: impl FnOnce() -> tokenizers::Result<T> + Send + 'static,
) -> tokenizers::Result<T> {
    worker::run(work).unwrap_or_else(|failure| {
        Err(match failure {
            Failure::Panicked(said) => gave_up(&said),
            Failure::TooSlow(seconds) => format!(
                "it takes more than {seconds} seconds; simplify its regular expressions, or cut the text"
            )
            .into(),
            Failure::NoThread(source) => source.into(),
        })
    })
}

fn gave_up(said: &str) -> tokenizers::Error {
    let hint = if said.contains("limit") {
        "simplify its regular expressions"
    } else {
        "fetch or save the file again"
    };
    format!("the tokenizer library gave up: {said}; {hint}").into()
}
