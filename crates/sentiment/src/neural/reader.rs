//! From the text of a review to the numbers an encoder reads.

use std::ops::Range;
use std::path::Path;

use bestof_checkpoints::Tokenizer;

use super::error::NeuralError;
use super::settings::SentimentSection;
use super::vocabulary::{Vocabulary, sentences, words};
use crate::model::Architecture;

/// A text as an encoder reads it: numbers of words or word pieces, sentence by sentence.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct ReadText {
    pub(super) ids: Vec<u32>,
    /// Tokens of each sentence; one entry for encoders that do not tell sentences apart. Never
    /// empty, and none of them 0.
    pub(super) sentences: Vec<u32>,
}

/// Reads texts for one kind of encoder.
#[derive(Debug, Clone)]
pub enum TextReader {
    /// Word pieces, for BERT.
    Pieces {
        /// The encoder's own tokenizer.
        tokenizer: Box<Tokenizer>,
        /// Most pieces, marks included.
        max_length: usize,
    },
    /// Words in one row, for the CNN.
    Words {
        /// The words known.
        vocabulary: Vocabulary,
        /// Most words.
        max_length: usize,
    },
    /// Words in sentences, for the HAN.
    Sentences {
        /// The words known.
        vocabulary: Vocabulary,
        /// Most words of a sentence.
        max_words: usize,
        /// Most sentences.
        max_sentences: usize,
    },
}

impl TextReader {
    /// The reader of a BERT folder.
    ///
    /// # Errors
    /// No tokenizer, or [`NeuralError::Cased`].
    pub(super) fn pieces(dir: &Path, settings: &SentimentSection) -> Result<Self, NeuralError> {
        let tokenizer = Tokenizer::from_dir(dir)?;
        let (lower, upper) = (tokenizer.encode("the", false)?, tokenizer.encode("The", false)?);
        let unknown = tokenizer.unk_id();
        if upper.iter().any(|id| Some(*id) == unknown)
            && !lower.iter().any(|id| Some(*id) == unknown)
        {
            return Err(NeuralError::Cased { dir: dir.to_owned() });
        }
        Ok(Self::Pieces { tokenizer: Box::new(tokenizer), max_length: settings.max_length })
    }

    /// The reader of words for `settings`.
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

    /// The words known, where there is a list of them.
    pub(super) fn vocabulary(&self) -> Option<&Vocabulary> {
        match self {
            Self::Pieces { .. } => None,
            Self::Words { vocabulary, .. } | Self::Sentences { vocabulary, .. } => Some(vocabulary),
        }
    }

    /// A text as numbers, cut at its end.
    pub(super) fn read(&self, text: &str) -> Result<ReadText, NeuralError> {
        if let Self::Pieces { tokenizer, max_length } = self {
            let mut ids = tokenizer.encode(text, true)?;
            cut(&mut ids, *max_length);
            return Ok(whole(ids));
        }
        Ok(self.read_with_places(text)?.0)
    }

    /// The same with the bytes of the text that each number stands for; an empty range for marks.
    pub(super) fn read_with_places(
        &self,
        text: &str,
    ) -> Result<(ReadText, Vec<Range<usize>>), NeuralError> {
        let (read, places) = match self {
            Self::Pieces { tokenizer, max_length } => {
                let mut pieces = tokenizer.encode_with_offsets(text, true)?;
                cut(&mut pieces, *max_length);
                let (ids, places) = pieces.into_iter().unzip();
                (whole(ids), places)
            }
            Self::Words { vocabulary, max_length } => {
                let (ids, places) = words(text)
                    .take(*max_length)
                    .map(|(at, word)| (vocabulary.id(word), at..at + word.len()))
                    .unzip();
                (whole(ids), places)
            }
            Self::Sentences { vocabulary, max_words, max_sentences } => {
                let (mut read, mut places) = (ReadText::default(), Vec::new());
                for range in sentences(text).take(*max_sentences) {
                    let before = read.ids.len();
                    for (at, word) in words(&text[range.clone()]).take(*max_words) {
                        let at = range.start + at;
                        read.ids.push(vocabulary.id(word));
                        places.push(at..at + word.len());
                    }
                    read.sentences.push((read.ids.len() - before) as u32);
                }
                (read, places)
            }
        };
        if read.ids.is_empty() {
            // A text without words is one unknown word, so that there is something to read.
            return Ok((whole(vec![Vocabulary::UNKNOWN]), vec![Range::default()]));
        }
        Ok((read, places))
    }
}

fn whole(ids: Vec<u32>) -> ReadText {
    ReadText { sentences: vec![ids.len() as u32], ids }
}

/// Cuts at the end, but keeps the mark that stands there.
fn cut<T: Clone>(pieces: &mut Vec<T>, max_length: usize) {
    if pieces.len() > max_length
        && let Some(last) = pieces.last().cloned()
    {
        pieces.truncate(max_length - 1);
        pieces.push(last);
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn capitals_are_read_as_small_letters_and_long_texts_keep_their_end_mark() {
        let dir = fixture::bert_folder();
        let settings = SentimentSection { max_length: 5, ..SentimentSection::default() };
        let reader = TextReader::pieces(dir.path(), &settings).unwrap();
        let read = |text| reader.read(text).unwrap().ids;
        assert_eq!(read("GOOD Food"), read("good food"));
        let long = read("good food good food good food");
        assert_eq!((long.len(), long[0], long[4]), (5, fixture::CLS, fixture::SEP));
        assert_eq!(long[1..4], read("good food good")[1..4]);
        assert_eq!(read(""), [fixture::CLS, fixture::SEP]);
        let (with, places) = reader.read_with_places("good food").unwrap();
        assert_eq!((with.ids, &places[1..3]), (read("good food"), &[0..4, 5..9][..]));
    }

    #[test]
    fn a_tokenizer_that_keeps_capitals_is_refused() {
        let dir = fixture::bert_folder();
        let path = dir.path().join("tokenizer.json");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("\"lowercase\":true", "\"lowercase\":false")).unwrap();
        let refused = TextReader::pieces(dir.path(), &SentimentSection::default()).unwrap_err();
        assert!(matches!(refused, NeuralError::Cased { .. }), "{refused}");
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
        let reader = TextReader::words(vocabulary, &settings);
        let read = |text: &str| reader.read(text).unwrap();
        let none = ReadText { ids: vec![0], sentences: vec![1] };
        assert_eq!((read(""), read(" .,; \n")), (none.clone(), none));
        let two = read("Good soup food. Food. Good.");
        assert_eq!(two, ReadText { ids: vec![1, 0, 2], sentences: vec![2, 1] });
        assert_eq!(read(&"food ".repeat(50_000)).ids.len(), 2);
    }
}
