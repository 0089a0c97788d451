//! Tiny models and comparisons that several test files share.
#![allow(dead_code, reason = "each test file uses some of these")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bestof_checkpoints::ModelFolder;
use bestof_closeness::{largest_difference, largest_magnitude};
use bestof_kernels::host_values;
use bestof_models::{
    CausalLm, Decoder, Device, ForestBuilder, ForwardOptions, LoraConfig, Sequence, SequenceSpan,
    TokenForest, parameters,
};
use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};

/// Gradients by parameter name, flat.
pub(crate) type Gradients = BTreeMap<String, Tensor<1>>;

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
    let config = LoraConfig::default().with_r(3).with_alpha(5.0).with_dropout(dropout);
    with_lora_of(name, &config)
}

/// The same with adapters of other settings.
pub(crate) fn with_lora_of(name: &str, config: &LoraConfig) -> Decoder {
    let mut model = trainable(name);
    model.attach_lora(config).unwrap();
    let mut next = 0.0_f32;
    parameters::update(&mut model, &mut |name, value| {
        if name.contains("lora_B") {
            let length = value.dims()[0];
            let values: Vec<f32> = (0..length)
                .map(|_| {
                    next = (next * 1.37 + 0.113) % 0.2;
                    next - 0.1
                })
                .collect();
            flat(values, &value.device())
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

pub(crate) fn flat(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let length = values.len();
    Tensor::from_data(TensorData::new(values, [length]), device)
}

/// Log-probabilities of a forest's targets, without a graph.
pub(crate) fn logps(model: &Decoder, forest: &TokenForest, options: &ForwardOptions) -> Vec<f32> {
    host_values(model.valid().token_logps(forest, options).unwrap())
}

/// `sum_i weights_i * values_i`.
pub(crate) fn weighted(values: Tensor<1>, weights: &[f32]) -> Tensor<1> {
    let weights = flat(weights.to_vec(), &values.device());
    values.mul(weights).sum()
}

/// The gradients of a loss by a model's parameters.
pub(crate) fn gradients_of(model: &Decoder, loss: &Tensor<1>) -> Gradients {
    let gradients = GradientsParams::from_grads(loss.backward(), model);
    parameters::named_gradients(model, gradients)
}

/// Log-probabilities and gradients of `sum_i weight_i * logp(sequence i)`.
pub(crate) fn run(
    model: &Decoder,
    groups: &[Vec<(Vec<u32>, usize)>],
    weights: &[f32],
    options: &ForwardOptions,
) -> (Vec<Vec<f32>>, Gradients) {
    let (forest, spans) = forest(groups);
    let logps = model.token_logps(&forest, options).unwrap();
    let by_token = host_values(logps.clone());
    let spans: Vec<SequenceSpan> = spans.into_iter().flatten().collect();
    let values =
        spans.iter().map(|span| span.targets.iter().map(|&i| by_token[i]).collect()).collect();
    let mut by_target = vec![0.0; by_token.len()];
    for (span, weight) in spans.iter().zip(weights) {
        span.add_weight(*weight, &mut by_target);
    }
    if by_target.is_empty() {
        return (values, Gradients::new());
    }
    (values, gradients_of(model, &weighted(logps, &by_target)))
}

pub(crate) fn values(gradients: &Gradients, name: &str) -> Option<Vec<f32>> {
    gradients.get(name).map(|g| g.to_data().iter::<f32>().collect())
}

/// The largest difference between two sets of gradients, relative to the largest gradient; NaN if
/// there is a NaN in either.
pub(crate) fn gradient_difference(model: &Decoder, a: &Gradients, b: &Gradients) -> f64 {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for info in parameters::trainable(model) {
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
