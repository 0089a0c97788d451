//! From the text of a review to the token ids of an encoder.

use std::ops::Range;
use std::path::Path;

use bestof_checkpoints::Tokenizer;

use super::settings::SentimentSection;
use super::vocabulary::{Vocabulary, sentences, words};
use crate::error::SentimentError;
use crate::model::Architecture;

/// Token ids of a text, sentence by sentence.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct EncodedText {
    pub(super) ids: Vec<u32>,
    /// Tokens of each sentence, each at least 1; one entry for encoders that do not divide a text
    /// into sentences. Never empty.
    pub(super) sentences: Vec<u32>,
}

/// Encodes texts for one kind of encoder.
#[derive(Debug, Clone)]
pub(super) enum ReviewTokenizer {
    /// Pieces of words, for pretrained encoders.
    Pieces {
        /// The encoder's own tokenizer.
        tokenizer: Box<Tokenizer>,
        /// Most pieces, special tokens included.
        max_length: usize,
        /// Special tokens before a text and behind it, such as `[CLS]` and `[SEP]`.
        marks: [usize; 2],
    },
    /// Words, for the CNN.
    Words {
        vocabulary: Vocabulary,
        /// Most words of a text.
        max_length: usize,
    },
    /// Words in sentences, for the HAN.
    Sentences {
        vocabulary: Vocabulary,
        /// Most words of a sentence.
        max_words: usize,
        /// Most sentences of a text.
        max_sentences: usize,
    },
}

impl ReviewTokenizer {
    /// The tokenizer in the folder of a pretrained encoder.
    ///
    /// # Errors
    /// No tokenizer, or [`SentimentError::Cased`].
    pub(super) fn pieces(dir: &Path, settings: &SentimentSection) -> Result<Self, SentimentError> {
        let tokenizer = Tokenizer::from_dir(dir)?;
        let (lower, upper) = (tokenizer.encode("the", false)?, tokenizer.encode("The", false)?);
        let unknown = tokenizer.unk_id();
        if upper.iter().any(|id| Some(*id) == unknown)
            && !lower.iter().any(|id| Some(*id) == unknown)
        {
            return Err(SentimentError::Cased { dir: dir.to_owned() });
        }
        let marked = tokenizer.encode("the", true)?;
        let before = marked.windows(lower.len().max(1)).position(|pieces| pieces == lower);
        let before = before.unwrap_or_default();
        let marks = [before, marked.len().saturating_sub(before + lower.len())];
        let (tokenizer, max_length) = (Box::new(tokenizer), settings.max_length);
        Ok(Self::Pieces { tokenizer, max_length, marks })
    }

    /// Checks that the vocabulary of an encoder, of `words` entries, has every piece.
    ///
    /// # Errors
    /// [`SentimentError::Checkpoint`] with the piece.
    pub(super) fn check_fits(&self, words: usize) -> Result<(), SentimentError> {
        match self {
            Self::Pieces { tokenizer, .. } => Ok(tokenizer.check_fits(words)?),
            Self::Words { .. } | Self::Sentences { .. } => Ok(()),
        }
    }

    /// Special tokens before a text and behind it, which every text has.
    pub(super) fn marks(&self) -> [usize; 2] {
        match self {
            Self::Pieces { marks, .. } => *marks,
            Self::Words { .. } | Self::Sentences { .. } => [0, 0],
        }
    }

    /// Words in sentences for a HAN, without sentences for a CNN.
    pub(super) fn words(vocabulary: Vocabulary, settings: &SentimentSection) -> Self {
        match settings.kind.architecture() {
            Some(Architecture::Han) => Self::Sentences {
                vocabulary,
                max_words: settings.max_words,
                max_sentences: settings.max_sentences,
            },
            _ => Self::Words { vocabulary, max_length: settings.max_length },
        }
    }

    /// The vocabulary of CNN and HAN.
    pub(super) fn vocabulary(&self) -> Option<&Vocabulary> {
        match self {
            Self::Pieces { .. } => None,
            Self::Words { vocabulary, .. } | Self::Sentences { vocabulary, .. } => Some(vocabulary),
        }
    }

    /// The token that stands for one to be guessed.
    pub(super) fn mask_id(&self) -> Option<u32> {
        match self {
            Self::Pieces { tokenizer, .. } => tokenizer.mask_id(),
            Self::Words { .. } | Self::Sentences { .. } => None,
        }
    }

    /// The token ids of a text, truncated at its end.
    pub(super) fn encode(&self, text: &str) -> Result<EncodedText, SentimentError> {
        if let Self::Pieces { tokenizer, max_length, marks: [_, behind] } = self {
            let mut ids = tokenizer.encode(text, true)?;
            truncate(&mut ids, *max_length, *behind);
            return Ok(one_sentence(ids));
        }
        Ok(self.encode_with_offsets(text)?.0)
    }

    /// The token ids with the byte range of each in the text; special tokens have an empty range.
    pub(super) fn encode_with_offsets(
        &self,
        text: &str,
    ) -> Result<(EncodedText, Vec<Range<usize>>), SentimentError> {
        let (encoded, offsets) = match self {
            Self::Pieces { tokenizer, max_length, marks: [_, behind] } => {
                let mut pieces = tokenizer.encode_with_offsets(text, true)?;
                truncate(&mut pieces, *max_length, *behind);
                let (ids, offsets) = pieces.into_iter().unzip();
                (one_sentence(ids), offsets)
            }
            Self::Words { vocabulary, max_length } => {
                let (ids, offsets) = words(text)
                    .take(*max_length)
                    .map(|(at, word)| (vocabulary.id(word), at..at + word.len()))
                    .unzip();
                (one_sentence(ids), offsets)
            }
            Self::Sentences { vocabulary, max_words, max_sentences } => {
                let (mut encoded, mut offsets) = (EncodedText::default(), Vec::new());
                for range in sentences(text).take(*max_sentences) {
                    let before = encoded.ids.len();
                    for (at, word) in words(&text[range.clone()]).take(*max_words) {
                        let at = range.start + at;
                        encoded.ids.push(vocabulary.id(word));
                        offsets.push(at..at + word.len());
                    }
                    encoded.sentences.push((encoded.ids.len() - before) as u32);
                }
                (encoded, offsets)
            }
        };
        if encoded.ids.is_empty() {
            // The networks take no empty text: one without words becomes one unknown word.
            return Ok((one_sentence(vec![Vocabulary::UNKNOWN]), vec![Range::default()]));
        }
        Ok((encoded, offsets))
    }
}

fn one_sentence(ids: Vec<u32>) -> EncodedText {
    EncodedText { sentences: vec![ids.len() as u32], ids }
}

/// Truncates a text before the special tokens behind it.
fn truncate<T>(pieces: &mut Vec<T>, max_length: usize, behind: usize) {
    let cut = pieces.len().saturating_sub(max_length);
    let end = pieces.len().saturating_sub(behind);
    pieces.drain(end.saturating_sub(cut)..end);
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn capitals_are_read_as_small_letters_and_long_texts_keep_their_end_mark() {
        let dir = fixture::bert_folder();
        let settings = SentimentSection { max_length: 5, ..SentimentSection::default() };
        let tokenizer = ReviewTokenizer::pieces(dir.path(), &settings).unwrap();
        let read = |text| tokenizer.encode(text).unwrap().ids;
        assert_eq!(read("GOOD Food"), read("good food"));
        let long = read("good food good food good food");
        assert_eq!((long.len(), long[0], long[4]), (5, fixture::CLS, fixture::SEP));
        assert_eq!(long[1..4], read("good food good")[1..4]);
        assert_eq!(read(""), [fixture::CLS, fixture::SEP]);
        let (with, offsets) = tokenizer.encode_with_offsets("good food").unwrap();
        assert_eq!((with.ids, &offsets[1..3]), (read("good food"), &[0..4, 5..9][..]));
    }

    #[test]
    fn a_tokenizer_that_keeps_capitals_is_refused() {
        let dir = fixture::bert_folder();
        let path = dir.path().join("tokenizer.json");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("\"lowercase\":true", "\"lowercase\":false")).unwrap();
        let refused =
            ReviewTokenizer::pieces(dir.path(), &SentimentSection::default()).unwrap_err();
        assert!(matches!(refused, SentimentError::Cased { .. }), "{refused}");
    }

    #[test]
    fn texts_without_words_and_long_ones_are_read() {
        let vocabulary = Vocabulary::from(vec!["good".to_owned(), "food".to_owned()]);
        let settings = SentimentSection {
            kind: "han".parse().unwrap(),
            max_words: 2,
            max_sentences: 2,
            ..SentimentSection::default()
        };
        let tokenizer = ReviewTokenizer::words(vocabulary, &settings);
        let read = |text: &str| tokenizer.encode(text).unwrap();
        let none = EncodedText { ids: vec![0], sentences: vec![1] };
        assert_eq!((read(""), read(" .,; \n")), (none.clone(), none));
        let two = read("Good soup food. Food. Good.");
        assert_eq!(two, EncodedText { ids: vec![1, 0, 2], sentences: vec![2, 1] });
        assert_eq!(read(&"food ".repeat(50_000)).ids.len(), 2);
    }
}
