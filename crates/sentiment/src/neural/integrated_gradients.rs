//! Integrated gradients: how much each word and meta feature adds to an answer.

use std::ops::Range;

use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};

use super::batch::TextBatch;
use super::encoded::EncodedReview;
use super::model::NeuralModel;
use super::outputs::Outputs;
use super::quadrature::gauss_legendre;
use super::tokenizer::{EncodedText, ReviewTokenizer};
use crate::attribution::{Attribution, AttributionTarget, WordAttribution};
use crate::dataset::Example;
use crate::error::SentimentError;
use bestof_kernels::{constant, host_values};

/// Points of the path that go through the model together.
const POINTS_PER_PASS: usize = 16;

/// Integrated gradients of one answer with respect to the word vectors and meta features of `example`.
///
/// ```text
/// a_i = (x_i - x'_i) int_0^1 df/dx_i (x' + t (x - x')) dt        sum_i a_i = f(x) - f(x')
/// ```
///
/// `x` are word vectors and meta features. In the baseline `x'` every word vector is 0 and every meta
/// feature is the training mean; special tokens stay. An encoder that normalises word vectors by
/// themselves would see the same words all along the way to 0, so that with ModernBERT every word vector of
/// the baseline is that of the mask token, if there is one. The integral is a Gauss-Legendre sum of `points`
/// terms; 32 are enough for a pretrained encoder.
///
/// Source: Sundararajan, Taly & Yan 2017, arXiv:1703.01365, equation 1.
///
/// # Errors
/// [`SentimentError::NoHead`] if the model does not give that answer, features that do not fit, or
/// [`SentimentError::NotFinite`] for weights whose answers or gradients are no numbers.
pub(super) fn integrated_gradients(
    model: &NeuralModel,
    tokenizer: &ReviewTokenizer,
    example: &Example,
    target: AttributionTarget,
    points: usize,
) -> Result<Attribution, SentimentError> {
    let (shape, device) = (model.shape(), model.device());
    let inputs = EncodedReview::inputs(example, tokenizer, shape)?;
    let (text, offsets) = tokenizer.encode_with_offsets(&example.text)?;
    let words = model.word_vectors(&TextBatch::new([&text]))?;
    let [tokens, width] = words.dims();
    let x = host_values(words);
    let base = baseline(model, tokenizer, &x, width)?;
    let path = Path { x: &x, base: &base, meta: &inputs.meta, tokens, width, device: &device };

    let rule = gauss_legendre(points.max(1));
    let mut slopes = vec![0.0; x.len()];
    let mut meta_slopes = vec![0.0; inputs.meta.len()];
    for part in rule.chunks(POINTS_PER_PASS) {
        let texts = TextBatch::new(vec![&text; part.len()]);
        let (words, meta) = path.points(part.iter().map(|(at, _)| *at));
        let words = words.autodiff().require_grad();
        let meta = meta.map(|meta| meta.autodiff().require_grad());
        let outputs = model.forward_words(words.clone(), meta.clone(), &texts, None)?;
        let weights = part.iter().map(|(_, weight)| *weight as f32).collect();
        let weights = constant(weights, [part.len()], &device);
        let grads = answer(outputs, target)?.mul(weights).sum().backward();
        add(&mut slopes, words.grad(&grads));
        if let Some(meta) = meta {
            add(&mut meta_slopes, meta.grad(&grads));
        }
    }
    let texts = TextBatch::new([&text, &text]);
    let (ends, meta) = path.points([0.0, 1.0].into_iter());
    let ends = host_values(answer(model.forward_words(ends, meta, &texts, None)?, target)?);
    let values: Vec<f64> = (0..tokens)
        .map(|token| {
            (token * width..(token + 1) * width)
                .map(|i| slopes[i] * f64::from(x[i] - base[i]))
                .sum()
        })
        .collect();
    let meta = inputs.meta.iter().zip(&meta_slopes).map(|(x, s)| f64::from(*x) * s).collect();
    let (words, marks) = by_word(&example.text, &offsets, &values);
    let found = Attribution { words, marks, meta, value: ends[1].into(), baseline: ends[0].into() };
    check_finite(&found, example.row)?;
    Ok(found)
}

/// Refuses contributions and answers that are no finite numbers: nothing could be compared with them.
fn check_finite(found: &Attribution, row: u64) -> Result<(), SentimentError> {
    let words = found.words.iter().map(|word| ("the contribution of a word", word.value));
    let meta = found.meta.iter().map(|value| ("the contribution of a meta feature", *value));
    let others = [
        ("the contribution of the special tokens", found.marks),
        ("the answer", found.value),
        ("the answer to the baseline", found.baseline),
    ];
    match words.chain(meta).chain(others).find(|(_, value)| !value.is_finite()) {
        Some((what, value)) => Err(SentimentError::NotFinite { row, what, value: value as f32 }),
        None => Ok(()),
    }
}

/// The word vectors of no words, for those of a text, `[tokens * width]`: the same for special tokens,
/// which every text has.
fn baseline(
    model: &NeuralModel,
    tokenizer: &ReviewTokenizer,
    x: &[f32],
    width: usize,
) -> Result<Vec<f32>, SentimentError> {
    let none = match tokenizer.mask_id().filter(|_| model.normalises_words()) {
        Some(id) => {
            let mask = EncodedText { ids: vec![id], sentences: vec![1] };
            host_values(model.word_vectors(&TextBatch::new([&mask]))?)
        }
        None => vec![0.0; width],
    };
    let mut base = none.repeat(x.len() / width);
    let [before, behind] = tokenizer.marks().map(|marks| marks * width);
    if x.len() >= before + behind {
        let end = x.len() - behind;
        base[..before].copy_from_slice(&x[..before]);
        base[end..].copy_from_slice(&x[end..]);
    }
    Ok(base)
}

/// The straight line from the baseline to the input.
struct Path<'a> {
    x: &'a [f32],
    base: &'a [f32],
    meta: &'a [f32],
    tokens: usize,
    width: usize,
    device: &'a Device,
}

impl Path<'_> {
    /// Word vectors `[points * tokens, width]` and meta features `[points, features]` at the points
    /// `at` of the line, each in `[0, 1]`.
    fn points(&self, at: impl Iterator<Item = f64>) -> (Tensor<2>, Option<Tensor<2>>) {
        let (mut words, mut meta, mut count) = (Vec::new(), Vec::new(), 0);
        for at in at {
            let at = at as f32;
            words.extend(self.x.iter().zip(self.base).map(|(x, base)| base + at * (x - base)));
            meta.extend(self.meta.iter().map(|x| at * x));
            count += 1;
        }
        let words = constant(words, [count * self.tokens, self.width], self.device);
        let features = self.meta.len();
        let meta = (features > 0).then(|| constant(meta, [count, features], self.device));
        (words, meta)
    }
}

/// The answer `target`, `[rows]`.
fn answer(outputs: Outputs, target: AttributionTarget) -> Result<Tensor<1>, SentimentError> {
    let has = [
        ("stars", outputs.stars.is_some()),
        ("positive", outputs.stars.is_some() || outputs.binary.is_some()),
        ("sentiment", outputs.sentiment.is_some()),
    ];
    let probability = |logits: Tensor<2>, columns: Range<usize>| {
        softmax(logits, 1).slice_dim(1, columns).sum_dim(1).reshape([-1])
    };
    let found = match target {
        AttributionTarget::Stars(stars @ 1..=5) => {
            let class = usize::from(stars) - 1;
            outputs.stars.map(|logits| probability(logits, class..class + 1))
        }
        AttributionTarget::Stars(_) => None,
        AttributionTarget::Positive => match outputs.binary {
            Some(logits) => Some(probability(logits, 1..2)),
            None => outputs.stars.map(|logits| probability(logits, 3..5)),
        },
        AttributionTarget::Sentiment => outputs.sentiment,
    };
    found.ok_or_else(|| SentimentError::NoHead {
        asked: match target {
            AttributionTarget::Stars(stars) => format!("{stars} stars"),
            AttributionTarget::Positive => "positive".to_owned(),
            AttributionTarget::Sentiment => "sentiment".to_owned(),
        },
        has: has.iter().filter(|(_, has)| *has).map(|(name, _)| *name).collect(),
    })
}

/// Adds the gradients at all points, `[points * inputs]`, to their sum, `[inputs]`.
fn add(sum: &mut [f64], gradients: Option<Tensor<2>>) {
    let Some(gradients) = gradients else { return };
    for gradient in host_values(gradients).chunks_exact(sum.len()) {
        for (sum, gradient) in sum.iter_mut().zip(gradient) {
            *sum += f64::from(*gradient);
        }
    }
}

/// The contributions of the tokens of each word added up, and the sum of those of special tokens.
fn by_word(text: &str, offsets: &[Range<usize>], values: &[f64]) -> (Vec<WordAttribution>, f64) {
    let (mut words, mut marks): (Vec<WordAttribution>, f64) = (Vec::new(), 0.0);
    for (range, &value) in offsets.iter().zip(values) {
        if range.is_empty() {
            marks += value;
            continue;
        }
        match words.last_mut() {
            // Tokens that are bytes of one letter have the range of the letter each.
            Some(last)
                if range.start < last.range.end
                    || last.range.end == range.start && inside_word(text, range.start) =>
            {
                last.range.end = range.end;
                last.value += value;
            }
            _ => words.push(WordAttribution { range: range.clone(), value }),
        }
    }
    (words, marks)
}

/// Whether letters or digits stand on both sides of the byte `at`.
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
        let offsets = [0..0, 0..2, 2..12, 13..17, 17..18, 0..0];
        let (words, marks) = by_word(text, &offsets, &[0.5, 1.0, 2.0, 3.0, 4.0, 0.25]);
        let found: Vec<(&str, f64)> =
            words.iter().map(|word| (&text[word.range.clone()], word.value)).collect();
        assert_eq!(found, [("unbelievably", 3.0), ("good", 3.0), ("!", 4.0)]);
        assert_eq!(marks, 0.75);
    }

    #[test]
    fn what_is_no_number_is_refused_by_name() {
        type Break = fn(&mut Attribution);
        let word = WordAttribution { range: 0..1, value: 0.5 };
        let (words, meta) = (vec![word], vec![0.25, 0.5]);
        let right = Attribution { words, marks: 0.0, meta, value: 1.0, baseline: 0.0 };
        assert!(check_finite(&right, 7).is_ok());
        let cases: [(&str, Break); 5] = [
            ("of a word is NaN", |found| found.words[0].value = f64::NAN),
            ("of a meta feature is inf", |found| found.meta[1] = f64::INFINITY),
            ("of the special tokens is NaN", |found| found.marks = f64::NAN),
            ("the answer is -inf", |found| found.value = f64::NEG_INFINITY),
            ("the answer to the baseline is NaN", |found| found.baseline = f64::NAN),
        ];
        for (expected, change) in cases {
            let mut found = right.clone();
            change(&mut found);
            let said = check_finite(&found, 7).unwrap_err().to_string();
            assert!(said.starts_with("row 7: ") && said.contains(expected), "{said}");
        }
    }

    #[test]
    fn bytes_of_a_letter_belong_to_its_word() {
        let text = "ol\u{e9} \u{1f44d}";
        // Two bytes of a letter, a space by itself, four bytes of a picture.
        let offsets = [0..2, 2..4, 2..4, 5..5, 5..9, 5..9, 5..9, 5..9];
        let (words, marks) = by_word(text, &offsets, &[1.0; 8]);
        let found: Vec<(&str, f64)> =
            words.iter().map(|word| (&text[word.range.clone()], word.value)).collect();
        assert_eq!(found, [("ol\u{e9}", 3.0), ("\u{1f44d}", 4.0)]);
        assert_eq!(marks, 1.0);
    }
}
