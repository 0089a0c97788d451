//! How long a text becomes by a tokenizer's normalizers, found before they are run.

use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::normalizers::replace::ReplacePattern;
use tokenizers::utils::SysRegex;
use tokenizers::{Error, NormalizedString, Normalizer};

/// Bytes of a normalized text; the library needs sixteen more for each.
const LONGEST: usize = 64 << 20;
/// Bytes that one byte becomes at most in a form of Unicode, or by a map of SentencePiece: U+FDFA is 33 for 3.
const UNICODE: usize = 11;

/// The stages of a normalizer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Growth {
    stages: Vec<Stage>,
}

#[derive(Debug, Clone)]
struct Stage {
    normalizer: NormalizerWrapper,
    /// What a replacement looks for.
    pattern: Option<ReplacePattern>,
}

impl Growth {
    pub(crate) fn new(normalizer: Option<&NormalizerWrapper>) -> Result<Self, Error> {
        let mut stages = Vec::new();
        let mut rest: Vec<&NormalizerWrapper> = normalizer.into_iter().collect();
        while let Some(normalizer) = rest.pop() {
            if let NormalizerWrapper::Sequence(sequence) = normalizer {
                rest.extend(sequence.as_ref().iter().rev());
                continue;
            }
            let pattern = match normalizer {
                // The library shows the pattern in its file only.
                NormalizerWrapper::Replace(replace) => {
                    let mut fields = serde_json::to_value(replace)?;
                    Some(serde_json::from_value(fields["pattern"].take())?)
                }
                _ => None,
            };
            stages.push(Stage { normalizer: normalizer.clone(), pattern });
        }
        Ok(Self { stages })
    }

    /// Refuses a text that a normalizer would make too long.
    ///
    /// A bound that costs nothing is enough for nearly all texts. Only where it is not, stages are run one by
    /// one, and what each makes of the text is counted before.
    pub(crate) fn check(&self, text: &str) -> Result<(), Error> {
        let bound = self.stages.iter().fold(text.len(), |length, stage| stage.at_most(length));
        if bound <= LONGEST {
            return Ok(());
        }
        let mut normalized = NormalizedString::from(text);
        for stage in &self.stages {
            let length = stage.length_of(normalized.get())?;
            if length > LONGEST {
                return Err(format!(
                    "the normalizer makes {length} bytes of a text of {}, at most {LONGEST} are accepted; \
                     cut the text, or correct normalizer",
                    text.len()
                )
                .into());
            }
            stage.normalizer.normalize(&mut normalized)?;
        }
        Ok(())
    }
}

impl Stage {
    /// A bound of what becomes of `length` bytes.
    fn at_most(&self, length: usize) -> usize {
        match (&self.normalizer, &self.pattern) {
            (NormalizerWrapper::Replace(replace), pattern) => {
                let shortest = match pattern {
                    Some(ReplacePattern::String(text)) => text.len(),
                    _ => 0,
                };
                let matches = length.checked_div(shortest).unwrap_or(length.saturating_add(1));
                length.saturating_add(matches.saturating_mul(replace.content.len()))
            }
            (NormalizerWrapper::Prepend(prepend), _) => {
                length.saturating_add(prepend.prepend.len())
            }
            (NormalizerWrapper::StripNormalizer(_) | NormalizerWrapper::StripAccents(_), _) => {
                length
            }
            (NormalizerWrapper::ByteLevel(_), _) => length.saturating_mul(2),
            _ => length.saturating_mul(UNICODE),
        }
    }

    /// The length of a text after the stage; of a form of Unicode, which is bounded anyway, that before.
    fn length_of(&self, text: &str) -> Result<usize, Error> {
        let matches = match &self.pattern {
            None if matches!(self.normalizer, NormalizerWrapper::Prepend(_)) => {
                return Ok(self.at_most(text.len()));
            }
            None => return Ok(text.len()),
            // An empty pattern is found between any two characters.
            Some(ReplacePattern::String(pattern)) => text.matches(pattern.as_str()).count(),
            Some(ReplacePattern::Regex(pattern)) => SysRegex::new(pattern)?.find_iter(text).count(),
        };
        let NormalizerWrapper::Replace(replace) = &self.normalizer else { return Ok(text.len()) };
        Ok(text.len().saturating_add(matches.saturating_mul(replace.content.len())))
    }
}
