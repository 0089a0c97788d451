//! Records of lines and many questions about each, in token ids.
//!
//! All questions about a record have it as their beginning. A model reads that once, and every
//! question with its answer is a short branch behind it.

use bestof_checkpoints::ModelFolder;
use bestof_tasks::long_context::DepthTarget;
use bestof_tasks::long_context::lines::LineRecord;
use bestof_tasks::rng::{SeededRng, Split};
use bestof_tasks::rows::{ChatMessage, Content};
use bestof_trainer::TrainError;
use bestof_trainer::data::{EncodeOptions, Encoder, Refusal};

use crate::ReproduceError;

/// Tokens by which a sequence about another line may be longer: keys and values differ in length.
const SLACK: usize = 64;

/// Digits of the values that are asked for, and of those beside them: four in five of a record have
/// as many.
const DIGITS: usize = 5;
/// Stream of the draw of the values beside the right one, away from those of records.
const BESIDE: u64 = 1 << 40;

/// A question with values of its record, one of which is right.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Question {
    /// Prompt and beginning of the answer.
    pub(super) ids: Vec<u32>,
    /// The right value, then others of the record, each in as many tokens.
    pub(super) values: Vec<Vec<u32>>,
    /// Where the line stands, 0 the beginning of the record, 1 its end.
    pub(super) depth: f64,
}

/// What records are written for: a model's tokenizer and chat template.
pub(super) struct Writer<'a> {
    encoder: Encoder<'a>,
    chat: bool,
}

impl<'a> Writer<'a> {
    /// For the model of a folder, which is addressed in a conversation if it has a chat template.
    pub(super) fn new(folder: &'a ModelFolder) -> Result<Self, ReproduceError> {
        let tokenizer = folder.tokenizer().map_err(TrainError::from)?;
        let template = folder.chat_template.as_ref();
        let encoder = Encoder::new(tokenizer, template, EncodeOptions::scoring())
            .map_err(TrainError::from)?;
        Ok(Self { encoder, chat: template.is_some() })
    }

    /// Whether the model is addressed in a conversation.
    pub(super) fn converses(&self) -> bool {
        self.chat
    }

    /// Tokens of a text; one that cannot be encoded counts as too long for anything.
    pub(super) fn count(&self, text: &str) -> usize {
        self.encoder.tokenizer().encode(text, false).map_or(usize::MAX / 2, |ids| ids.len())
    }

    /// Whether a token continues a number.
    pub(super) fn continues_number(&self, token: u32) -> bool {
        let text = self.encoder.tokenizer().decode(&[token], false).unwrap_or_default();
        text.starts_with(|first: char| first.is_ascii_digit())
    }

    /// Record number `item` of a seed, with which no sequence about any of its lines is longer than
    /// `length` tokens, `after` tokens being left for what follows.
    pub(super) fn record(
        &self,
        (seed, item): (u64, u64),
        split: Split,
        length: usize,
        after: usize,
    ) -> Result<LineRecord, ReproduceError> {
        let (first, count) = (DepthTarget::At(0.0), |text: &str| self.count(text));
        let short = LineRecord::generate(seed, item, split, 1, first)?;
        let around = self.prompt(&short, 0)?.len().saturating_sub(self.count(&short.text()));
        let room = length.saturating_sub(around + DIGITS + SLACK + after).max(1);
        Ok(LineRecord::generate_to_length(seed, item, split, room, first, &count)?)
    }

    /// As many questions about a record, their lines spread over it, each with `choices` values.
    pub(super) fn questions(
        &self,
        record: &LineRecord,
        (seed, item): (u64, u64),
        count: usize,
        choices: usize,
    ) -> Result<Vec<Question>, ReproduceError> {
        let lines = &record.lines;
        let askable: Vec<usize> =
            (0..lines.len()).filter(|line| lines[*line].1.to_string().len() == DIGITS).collect();
        if askable.len() < count.max(choices) {
            let reason = format!("{} values of {DIGITS} digits are too few", askable.len());
            return Err(TrainError::Prompt { item: item as usize, reason }.into());
        }
        let mut draw = SeededRng::new(seed, item ^ BESIDE);
        let mut questions = Vec::with_capacity(count);
        for place in spread(askable.len(), count) {
            let mut beside = draw.sample(askable.len() - 1, choices - 1);
            for other in &mut beside {
                *other += usize::from(*other >= place);
            }
            let chosen = std::iter::once(place).chain(beside).map(|place| askable[place]);
            questions.push(self.question(record, &chosen.collect::<Vec<_>>())?);
        }
        Ok(questions)
    }

    /// The question for the first of these lines.
    fn question(&self, record: &LineRecord, chosen: &[usize]) -> Result<Question, ReproduceError> {
        let target = chosen[0];
        let ids = self.prompt(record, target)?;
        let value = |line: &usize| {
            let value = record.lines[*line].1;
            let tokens = self.encoder.tokenizer().encode(&value.to_string(), false);
            let tokens = tokens.map_err(TrainError::from)?;
            // Some tokenizers begin every text with a token of its own.
            let digits = tokens[tokens.len().saturating_sub(DIGITS)..].to_vec();
            let said = self.encoder.tokenizer().decode(&digits, false).map_err(TrainError::from)?;
            if said == value.to_string() && digits.len() == DIGITS {
                return Ok(digits);
            }
            let reason = "its tokenizer does not have each digit of a number as a token".to_owned();
            Err(TrainError::Prompt { item: target, reason }.into())
        };
        let values = chosen.iter().map(value).collect::<Result<_, ReproduceError>>()?;
        let last = record.lines.len().saturating_sub(1).max(1);
        Ok(Question { ids, values, depth: target as f64 / last as f64 })
    }

    /// The prompt that asks for a line, and the beginning of the answer.
    fn prompt(&self, record: &LineRecord, target: usize) -> Result<Vec<u32>, ReproduceError> {
        let mut asked = record.clone();
        asked.target = target;
        let prompt = if self.chat {
            Content::Messages(vec![ChatMessage::user(asked.text())])
        } else {
            Content::Text(asked.text())
        };
        let opening = self.opening(&record.lines[target].0);
        self.encoder.encode_started(&prompt, &opening).map_err(|refusal| unfit(target, &refusal))
    }

    /// What the answer begins with, so that only the value is left to say.
    pub(super) fn opening(&self, key: &str) -> String {
        let space = if self.chat { "" } else { " " };
        format!("{space}The <REGISTER_CONTENT> in line {key} is <")
    }
}

/// As many places, evenly from the first to the last.
pub(super) fn spread(places: usize, count: usize) -> impl Iterator<Item = usize> {
    let (last, gaps) = (places.saturating_sub(1), count.saturating_sub(1).max(1));
    (0..count).map(move |at| (at * last + gaps / 2) / gaps)
}

fn unfit(item: usize, refusal: &Refusal) -> ReproduceError {
    let reason = match refusal {
        Refusal::Dropped(reason) => reason.to_string(),
        Refusal::Bad(problem) => problem.to_string(),
        other => format!("{other:?}"),
    };
    TrainError::Prompt { item, reason }.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::giraffe::real::small::small_model;

    #[test]
    fn questions_share_the_record_and_fit_their_length() {
        let dir = tempfile::tempdir().unwrap();
        let folder = ModelFolder::open(&small_model(dir.path())).unwrap();
        let writer = Writer::new(&folder).unwrap();
        let (length, number) = (1500, (3, 0));
        let record = writer.record(number, Split::HeldOut, length, 0).unwrap();
        let questions = writer.questions(&record, number, 5, 4).unwrap();
        let before = record.text().find("Tell me").unwrap();
        let depths: Vec<f64> = questions.iter().map(|question| question.depth).collect();
        assert!(depths[0] < 0.3 && depths[4] > 0.7, "{depths:?}");
        assert!(depths.windows(2).all(|pair| pair[0] < pair[1]), "{depths:?}");
        let tokenizer = folder.tokenizer().unwrap();
        let said = |ids: &[u32]| tokenizer.decode(ids, true).unwrap();
        for question in &questions {
            assert_eq!(question.ids[..before], questions[0].ids[..before]);
            let tokens = question.ids.len() + DIGITS;
            assert!((length - 2 * SLACK - 60..=length).contains(&tokens), "{tokens}");
            let values: Vec<String> = question.values.iter().map(|ids| said(ids)).collect();
            let text = said(&question.ids);
            let key = text.rsplit_once("line ").unwrap().1.split_once(' ').unwrap().0;
            assert!(text.contains(&format!("line {key}: REGISTER_CONTENT is <{}>", values[0])));
            assert!(text.contains(&format!("in line {key}? I need the number. The <")), "{text}");
            let distinct: std::collections::HashSet<&String> = values.iter().collect();
            assert_eq!(distinct.len(), 4);
            assert!(values.iter().all(|value| text.contains(&format!("is <{value}>\n"))));
        }
        assert_eq!(questions, writer.questions(&record, number, 5, 4).unwrap());
        let error = writer.questions(&record, number, 500, 4).unwrap_err().to_string();
        assert!(error.contains("are too few"), "{error}");
    }

    #[test]
    fn a_record_is_the_same_every_time_and_another_under_another_number() {
        let dir = tempfile::tempdir().unwrap();
        let folder = ModelFolder::open(&small_model(dir.path())).unwrap();
        let writer = Writer::new(&folder).unwrap();
        let record = |item| writer.record((3, item), Split::HeldOut, 1200, 100).unwrap();
        assert_eq!(record(0), record(0));
        assert_ne!(record(0).lines, record(1).lines);
    }

    #[test]
    fn digits_continue_numbers_and_nothing_else_does() {
        let dir = tempfile::tempdir().unwrap();
        let folder = ModelFolder::open(&small_model(dir.path())).unwrap();
        let writer = Writer::new(&folder).unwrap();
        let ids = folder.tokenizer().unwrap().encode("7>a", false).unwrap();
        let ids = &ids[ids.len() - 3..];
        assert_eq!(
            ids.iter().map(|id| writer.continues_number(*id)).collect::<Vec<_>>(),
            [true, false, false]
        );
        assert!(!writer.continues_number(crate::SmallLlama::END));
    }

    #[test]
    fn places_are_spread_evenly() {
        assert_eq!(spread(101, 5).collect::<Vec<_>>(), [0, 25, 50, 75, 100]);
        assert_eq!(spread(7, 3).collect::<Vec<_>>(), [0, 3, 6]);
        assert_eq!(spread(9, 1).collect::<Vec<_>>(), [0]);
    }
}
