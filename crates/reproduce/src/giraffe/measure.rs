//! What a model finds and how well it predicts, length by length.

use bestof_models::{CausalLm, Decoder, ForestBuilder, ForwardOptions, Sequence};
use bestof_tasks::rng::SeededRng;
use bestof_trainer::TrainError;
use serde::{Deserialize, Serialize};

use super::documents::{Examination, FIFTHS, examination, is_text, long_text};
use super::size::Size;
use crate::{ReproduceError, SmallLlama};

/// Streams of a repetition's seed.
const QUESTIONS: u64 = 3;
const TEXTS: u64 = 4;

/// What every model of a repetition is asked.
#[derive(Debug)]
pub(super) struct Questions {
    /// At each length.
    examinations: Vec<Vec<Examination>>,
    /// Each as long as the longest length.
    texts: Vec<Vec<u32>>,
}

impl Questions {
    pub(super) fn draw(size: &Size, seed: u64) -> Self {
        let of_length = |length| {
            let one = |at: usize| {
                // The same stream at every length.
                let mut draw = SeededRng::new(seed, QUESTIONS << 32 | at as u64);
                examination(&mut draw, length)
            };
            (0..size.documents).map(one).collect()
        };
        let mut draw = SeededRng::new(seed, TEXTS);
        Self {
            examinations: size.lengths().map(of_length).to_vec(),
            texts: (0..size.texts).map(|_| long_text(&mut draw, size.longest())).collect(),
        }
    }
}

/// What was measured at one length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct AtLength {
    /// Values found whole, and questions, in each fifth of the documents.
    pub(super) by_fifth: [(usize, usize); FIFTHS],
    /// Of the running text among the last tokens of texts, which are the same at every length.
    pub(super) perplexity: f64,
}

impl AtLength {
    /// Right answers, and questions.
    pub(super) fn total(&self) -> (usize, usize) {
        self.by_fifth.iter().fold((0, 0), |(hits, n), (h, m)| (hits + h, n + m))
    }

    /// Share of right answers.
    pub(super) fn accuracy(&self) -> f64 {
        let (hits, n) = self.total();
        hits as f64 / n as f64
    }
}

/// Measures a model, which has room for the longest length, at every length.
pub(super) fn measure(
    model: &Decoder,
    size: &Size,
    questions: &Questions,
) -> Result<Vec<AtLength>, ReproduceError> {
    let each = size.lengths().into_iter().zip(&questions.examinations);
    each.map(|(length, examinations)| {
        let mut by_fifth = [(0, 0); FIFTHS];
        for exam in examinations {
            for (fifth, right) in exam.fifths.iter().zip(answers(model, exam)?) {
                by_fifth[*fifth].0 += usize::from(right);
                by_fifth[*fifth].1 += 1;
            }
        }
        let perplexity = perplexity(model, &questions.texts, length, size.scored)?;
        Ok(AtLength { by_fifth, perplexity })
    })
    .collect::<Result<Vec<_>, TrainError>>()
    .map_err(ReproduceError::from)
}

/// Whether each value is what the model writes: both of its tokens the likeliest, the second after
/// the first. The document is computed once for all questions.
fn answers(model: &Decoder, exam: &Examination) -> Result<Vec<bool>, TrainError> {
    let sequences: Vec<Sequence<'_>> = exam
        .sequences
        .iter()
        .map(|tokens| Sequence { tokens, completion_start: exam.answers_at })
        .collect();
    let mut builder = ForestBuilder::new();
    let spans = builder.add_group(&sequences);
    let forest = builder.finish();
    let (rows, targets) = forest.target_rows()?;
    let logits = model.logits(&forest, &rows, &ForwardOptions::default())?;
    let likeliest: Vec<i64> = logits.argmax(1).into_data().iter().collect();
    let right = |at: &usize| {
        let target = &targets[*at];
        likeliest[target.row as usize] == i64::from(target.token)
    };
    Ok(spans.iter().map(|span| span.targets.iter().all(right)).collect())
}

/// Of the running text among the last `scored` tokens of each text, after as much of it as makes
/// `length` tokens.
fn perplexity(
    model: &Decoder,
    texts: &[Vec<u32>],
    length: usize,
    scored: usize,
) -> Result<f64, TrainError> {
    let (mut sum, mut count) = (0.0, 0.0);
    for text in texts {
        let tokens = end_of(text, length);
        let start = tokens.len() - scored;
        let mut builder = ForestBuilder::new();
        let spans = builder.add_group(&[Sequence { tokens: &tokens, completion_start: start }]);
        let forest = builder.finish();
        let logps = model.token_logps(&forest, &ForwardOptions::default())?;
        let logps: Vec<f64> = logps.into_data().iter().collect();
        for (token, target) in tokens[start..].iter().zip(&spans[0].targets) {
            if is_text(*token) {
                sum += logps[*target];
                count += 1.0;
            }
        }
    }
    Ok((-sum / count).exp())
}

/// The end of a text, `length` tokens with the one that begins every text.
fn end_of(text: &[u32], length: usize) -> Vec<u32> {
    [&[SmallLlama::BEGIN], &text[text.len() - (length - 1)..]].concat()
}

#[cfg(test)]
mod tests {
    use bestof_models::{DecoderConfig, open_device};

    use super::*;

    #[test]
    fn the_same_end_stands_after_shorter_and_longer_beginnings() {
        let text: Vec<u32> = (10..50).collect();
        let (short, long) = (end_of(&text, 11), end_of(&text, 31));
        assert_eq!((short.len(), long.len()), (11, 31));
        assert_eq!(short[0], SmallLlama::BEGIN);
        assert!(long.ends_with(&short[1..]) && short.ends_with(&[48, 49]));
    }

    /// A model that has learned nothing, asked by branches and question by question.
    #[test]
    fn questions_of_one_document_do_not_see_each_other() {
        let device = open_device("cpu").unwrap();
        let config = serde_json::json!({
            "model_type": "llama", "vocab_size": 42, "hidden_size": 16, "intermediate_size": 16,
            "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2,
            "initializer_range": 0.5,
        });
        let model = Decoder::random(DecoderConfig::from_hf(&config).unwrap(), 3, &device).unwrap();
        let exam = examination(&mut SeededRng::new(1, 0), 96);
        let alone = |at: usize| {
            let one = Examination {
                sequences: vec![exam.sequences[at].clone()],
                fifths: vec![exam.fifths[at]],
                ..exam.clone()
            };
            answers(&model, &one).unwrap()[0]
        };
        let each: Vec<bool> = (0..exam.sequences.len()).map(alone).collect();
        assert_eq!(answers(&model, &exam).unwrap(), each);
        // What it writes itself counts as right.
        let mut told = exam.clone();
        for tokens in &mut told.sequences {
            for at in exam.answers_at..tokens.len() {
                let forest = bestof_models::TokenForest::text(&tokens[..at]);
                let logits = model.logits(&forest, &[at as u32 - 1], &ForwardOptions::default());
                let likeliest = logits.unwrap().argmax(1).into_data().iter::<i64>().next().unwrap();
                tokens[at] = likeliest as u32;
            }
        }
        assert!(answers(&model, &told).unwrap().into_iter().all(|right| right));
        for tokens in &mut told.sequences {
            let last = tokens.len() - 1;
            tokens[last] = (tokens[last] + 1) % 42;
        }
        assert!(!answers(&model, &told).unwrap().into_iter().any(|right| right));
    }
}
