//! Tiny models and comparisons that several test files share.
#![allow(dead_code, reason = "each test file uses some of these")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};

use bestof_checkpoints::ModelFolder;
use bestof_closeness::{largest_difference, largest_magnitude};
use bestof_models::{
    CausalLm, Decoder, Device, ForestBuilder, ForwardOptions, Gradients, LoraConfig, Sequence,
    SequenceSpan, TokenForest, Trainable,
};

pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity").join(name)
}

/// A parity checkpoint on an autodiff device.
pub(crate) fn trainable(name: &str) -> Decoder {
    let folder = ModelFolder::open(&folder(name)).unwrap();
    Decoder::open(&folder, &Device::flex().autodiff()).unwrap()
}

/// The same with adapters whose second factors are not zero.
pub(crate) fn with_lora(name: &str, dropout: f64) -> Decoder {
    let mut model = trainable(name);
    model.attach_lora(LoraConfig { r: 3, alpha: 5.0, dropout, ..LoraConfig::default() }).unwrap();
    let mut next = 0.0_f32;
    model.update_parameters(&mut |name, value| {
        if name.contains("lora_B") {
            let length = value.dims()[0];
            let values: Vec<f32> = (0..length)
                .map(|_| {
                    next = (next * 1.37 + 0.113) % 0.2;
                    next - 0.1
                })
                .collect();
            bestof_models::tensor_from(&values, &value.device())
        } else {
            value
        }
    });
    model
}

pub(crate) fn forest(groups: &[Vec<(Vec<u32>, usize)>]) -> (TokenForest, Vec<Vec<SequenceSpan>>) {
    let mut builder = ForestBuilder::new();
    let spans = groups
        .iter()
        .map(|group| {
            let sequences: Vec<Sequence<'_>> = group
                .iter()
                .map(|(tokens, start)| Sequence { tokens, completion_start: *start })
                .collect();
            builder.add_group(&sequences)
        })
        .collect();
    (builder.finish(), spans)
}

/// Log-probabilities and gradients of `sum_i weight_i * logp(sequence i)`.
pub(crate) fn run(
    model: &Decoder,
    groups: &[Vec<(Vec<u32>, usize)>],
    weights: &[f32],
    options: &ForwardOptions,
) -> (Vec<Vec<f32>>, Gradients) {
    let (forest, spans) = forest(groups);
    let pass = model.forward(&forest, options).unwrap();
    let spans: Vec<SequenceSpan> = spans.into_iter().flatten().collect();
    let values = spans
        .iter()
        .map(|span| span.wanted.iter().map(|&i| pass.logprobs()[i]).collect())
        .collect();
    let mut by_token = vec![0.0; pass.logprobs().len()];
    for (span, weight) in spans.iter().zip(weights) {
        span.add_weight(*weight, &mut by_token);
    }
    (values, pass.backward(&by_token).unwrap())
}

pub(crate) fn values(gradients: &Gradients, name: &str) -> Option<Vec<f32>> {
    gradients.get(name).map(|g| g.to_data().iter::<f32>().collect())
}

/// The largest difference between two sets of gradients, relative to the largest gradient; NaN if
/// there is a NaN in either.
pub(crate) fn gradient_difference(model: &Decoder, a: &Gradients, b: &Gradients) -> f64 {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for info in model.trainable_parameters() {
        let zeros = || vec![0.0; info.len()];
        first.push(values(a, &info.name).unwrap_or_else(zeros));
        second.push(values(b, &info.name).unwrap_or_else(zeros));
        assert_eq!(first.last().map(Vec::len), second.last().map(Vec::len), "{}", info.name);
    }
    let largest = largest_magnitude(&first);
    assert!(largest > 0.0, "no gradient at all");
    largest_difference(first, second) / largest
}

/// Whether no pair differs by more than `tolerance`; NaN is neither close nor apart.
pub(crate) fn close(a: &[f32], b: &[f32], tolerance: f64) -> bool {
    largest_difference(a, b) <= tolerance
}

/// Whether a pair differs by more than `tolerance`.
pub(crate) fn apart(a: &[f32], b: &[f32], tolerance: f64) -> bool {
    largest_difference(a, b) > tolerance
}
