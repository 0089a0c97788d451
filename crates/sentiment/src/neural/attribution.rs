//! How much each word adds to what a model says: integrated gradients.

use std::ops::Range;

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use serde::{Deserialize, Serialize};

use super::batch::{Texts, constant, floats};
use super::classifier::Classifier;
use super::error::NeuralError;
use super::model::Outputs;
use super::quadrature::gauss_legendre;
use super::reader::{ReadText, TextReader};
use super::rows::Row;
use crate::Example;

/// Points on the path that go through the model together.
const POINTS_A_PASS: usize = 16;

/// What is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributionTarget {
    /// The probability of this many stars, 1 to 5.
    Stars(u8),
    /// The probability of a positive review.
    Positive,
    /// The sentiment score, standardised.
    Sentiment,
}

/// A word and what it adds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WordAttribution {
    /// The bytes of the text.
    pub range: Range<usize>,
    /// What it adds to the answer; below 0 it speaks against it.
    pub value: f64,
}

/// Where an answer comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribution {
    /// The words that were read, in the order of the text.
    pub words: Vec<WordAttribution>,
    /// What the marks at beginning and end add.
    pub marks: f64,
    /// What each meta feature adds, in the order of the features; empty for models of text alone.
    pub meta: Vec<f64>,
    /// The answer, `f(x)`.
    pub value: f64,
    /// The answer to nothing, `f(x')`: no words, mean meta features.
    pub baseline: f64,
}

impl Attribution {
    /// What is attributed altogether.
    pub fn sum(&self) -> f64 {
        self.words.iter().map(|word| word.value).sum::<f64>()
            + self.marks
            + self.meta.iter().sum::<f64>()
    }

    /// What is left between the attributions and `f(x) - f(x')`; 0 but for the error of the
    /// integral, which falls with the number of points.
    pub fn gap(&self) -> f64 {
        self.sum() - (self.value - self.baseline)
    }
}

impl Classifier {
    /// Integrated gradients of one answer by the words and meta features of `example`.
    ///
    /// ```text
    /// a_i = (x_i - x'_i) int_0^1 df/dx_i (x' + t (x - x')) dt        sum_i a_i = f(x) - f(x')
    /// ```
    ///
    /// `x` are word vectors and meta features. In the baseline `x'` every word vector is 0 and every
    /// meta feature is the training mean; BERT's marks stay. The integral is taken at `points`
    /// places by the rule of Gauss and Legendre; 32 are enough for BERT.
    ///
    /// Source: Sundararajan, Taly & Yan 2017, arXiv:1703.01365, equation 1.
    ///
    /// # Errors
    /// [`NeuralError::NoHead`] if the model does not answer that, or features that do not fit.
    pub fn attribute(
        &self,
        example: &Example,
        target: AttributionTarget,
        points: usize,
    ) -> Result<Attribution, NeuralError> {
        let model = &self.model;
        let shape = model.shape();
        let inputs = Row::inputs(example, &self.reader, shape)?;
        let (text, places) = self.reader.read_with_places(&example.text)?;
        let words = self.model.word_vectors(&Texts::new(&[&text], shape)?)?;
        let [tokens, width] = words.dims();
        let x = floats(words);
        let base = self.baseline(&x, &text, width);
        let path = Path { x: &x, base: &base, meta: &inputs.meta, tokens, width };

        let rule = gauss_legendre(points.max(1));
        let mut slopes = vec![0.0; x.len()];
        let mut meta_slopes = vec![0.0; inputs.meta.len()];
        for part in rule.chunks(POINTS_A_PASS) {
            let texts = Texts::new(&vec![&text; part.len()], shape)?;
            let (words, meta) = path.points(part.iter().map(|(at, _)| *at), &self.device);
            let words = words.autodiff().require_grad();
            let meta = meta.map(|meta| meta.autodiff().require_grad());
            let outputs = model.forward_words(words.clone(), meta.clone(), &texts, None)?;
            let weights = part.iter().map(|(_, weight)| *weight as f32).collect();
            let weights = constant(weights, [part.len()], &self.device);
            let grads = answer(outputs, target)?.mul(weights).sum().backward();
            add(&mut slopes, words.grad(&grads));
            if let Some(meta) = meta {
                add(&mut meta_slopes, meta.grad(&grads));
            }
        }
        let ends = rows_of(&path, &text, target, self)?;
        let values: Vec<f64> = (0..tokens)
            .map(|token| {
                (token * width..(token + 1) * width)
                    .map(|i| slopes[i] * f64::from(x[i] - base[i]))
                    .sum()
            })
            .collect();
        let meta = inputs.meta.iter().zip(&meta_slopes).map(|(x, s)| f64::from(*x) * s).collect();
        let (words, marks) = by_word(&example.text, &places, &values);
        Ok(Attribution { words, marks, meta, value: ends[1], baseline: ends[0] })
    }

    /// The word vectors of nothing: 0, but for the marks that every text has.
    fn baseline(&self, x: &[f32], text: &ReadText, width: usize) -> Vec<f32> {
        let mut base = vec![0.0; x.len()];
        if matches!(self.reader, TextReader::Pieces { .. }) && text.ids.len() >= 2 {
            let last = (text.ids.len() - 1) * width;
            base[..width].copy_from_slice(&x[..width]);
            base[last..].copy_from_slice(&x[last..]);
        }
        base
    }
}

/// The straight line from baseline to input.
struct Path<'a> {
    x: &'a [f32],
    base: &'a [f32],
    meta: &'a [f32],
    tokens: usize,
    width: usize,
}

impl Path<'_> {
    fn points(
        &self,
        at: impl Iterator<Item = f64>,
        device: &burn::tensor::Device,
    ) -> (Tensor<2>, Option<Tensor<2>>) {
        let (mut words, mut meta, mut count) = (Vec::new(), Vec::new(), 0);
        for at in at {
            let at = at as f32;
            words.extend(self.x.iter().zip(self.base).map(|(x, base)| base + at * (x - base)));
            meta.extend(self.meta.iter().map(|x| at * x));
            count += 1;
        }
        let words = constant(words, [count * self.tokens, self.width], device);
        let features = self.meta.len();
        let meta = (features > 0).then(|| constant(meta, [count, features], device));
        (words, meta)
    }
}

/// The answers to the baseline and to the input.
fn rows_of(
    path: &Path<'_>,
    text: &ReadText,
    target: AttributionTarget,
    classifier: &Classifier,
) -> Result<Vec<f64>, NeuralError> {
    let texts = Texts::new(&[text, text], classifier.model.shape())?;
    let (words, meta) = path.points([0.0, 1.0].into_iter(), &classifier.device);
    let outputs = classifier.model.forward_words(words, meta, &texts, None)?;
    Ok(floats(answer(outputs, target)?).into_iter().map(f64::from).collect())
}

/// The answer asked about, `[rows]`.
fn answer(outputs: Outputs, target: AttributionTarget) -> Result<Tensor<1>, NeuralError> {
    let has = [
        ("stars", outputs.stars.is_some()),
        ("positive", outputs.stars.is_some() || outputs.binary.is_some()),
        ("sentiment", outputs.sentiment.is_some()),
    ];
    let share = |logits: Tensor<2>, columns: Range<usize>| {
        softmax(logits, 1).slice_dim(1, columns).sum_dim(1).reshape([-1])
    };
    let found = match target {
        AttributionTarget::Stars(stars @ 1..=5) => {
            let class = usize::from(stars) - 1;
            outputs.stars.map(|logits| share(logits, class..class + 1))
        }
        AttributionTarget::Stars(_) => None,
        AttributionTarget::Positive => match outputs.binary {
            Some(logits) => Some(share(logits, 1..2)),
            None => outputs.stars.map(|logits| share(logits, 3..5)),
        },
        AttributionTarget::Sentiment => outputs.sentiment,
    };
    found.ok_or_else(|| NeuralError::NoHead {
        asked: match target {
            AttributionTarget::Stars(stars) => format!("{stars} stars"),
            AttributionTarget::Positive => "positive".to_owned(),
            AttributionTarget::Sentiment => "sentiment".to_owned(),
        },
        has: has.iter().filter(|(_, has)| *has).map(|(name, _)| *name).collect(),
    })
}

/// Adds the slopes of all points, which are of the same inputs.
fn add(sum: &mut [f64], slopes: Option<Tensor<2>>) {
    let Some(slopes) = slopes else { return };
    for slopes in floats(slopes).chunks_exact(sum.len()) {
        for (sum, slope) in sum.iter_mut().zip(slopes) {
            *sum += f64::from(*slope);
        }
    }
}

/// Pieces of one word taken together, and what belongs to no word.
fn by_word(text: &str, places: &[Range<usize>], values: &[f64]) -> (Vec<WordAttribution>, f64) {
    let (mut words, mut marks): (Vec<WordAttribution>, f64) = (Vec::new(), 0.0);
    for (place, &value) in places.iter().zip(values) {
        if place.is_empty() {
            marks += value;
            continue;
        }
        match words.last_mut() {
            Some(last) if last.range.end == place.start && inside_word(text, place.start) => {
                last.range.end = place.end;
                last.value += value;
            }
            _ => words.push(WordAttribution { range: place.clone(), value }),
        }
    }
    (words, marks)
}

/// Whether letters or digits stand on both sides of a place.
fn inside_word(text: &str, at: usize) -> bool {
    let before = text.get(..at).and_then(|text| text.chars().next_back());
    let after = text.get(at..).and_then(|text| text.chars().next());
    before.zip(after).is_some_and(|(a, b)| a.is_alphanumeric() && b.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_a_word_are_added_and_marks_are_apart() {
        let text = "unbelievably good!";
        let places = [0..0, 0..2, 2..12, 13..17, 17..18, 0..0];
        let (words, marks) = by_word(text, &places, &[0.5, 1.0, 2.0, 3.0, 4.0, 0.25]);
        let found: Vec<(&str, f64)> =
            words.iter().map(|word| (&text[word.range.clone()], word.value)).collect();
        assert_eq!(found, [("unbelievably", 3.0), ("good", 3.0), ("!", 4.0)]);
        assert_eq!(marks, 0.75);
    }
}
