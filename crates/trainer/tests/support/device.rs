//! The device under test and the CPU beside it.

use std::path::{Path, PathBuf};

use bestof_closeness::{largest_difference, largest_magnitude};
use bestof_models::{
    AfterToken, CausalLm, Decoder, Device, Generation, Request, SamplingConfig, open_device,
    parameters,
};
use burn::tensor::{Tensor, TensorData};

/// Log-probabilities and logits, relative to the largest of them or absolute below 1, between the device
/// and the CPU.
pub(crate) const FORWARD: f64 = 5e-6;
/// Gradients, relative to the largest of the model, between the device and f64; or four times what the
/// CPU's f32 is apart from it.
pub(crate) const BACKWARD: f64 = 5e-6;

pub(crate) fn device_name() -> String {
    std::env::var("BESTOF_DEVICE").unwrap_or_else(|_| "cpu".to_owned())
}

/// The largest difference, relative to the largest expected value if that is above 1.
pub(crate) fn apart(found: &[f32], expected: &[f32]) -> f64 {
    largest_difference(found, expected) / largest_magnitude(expected).max(1.0)
}

pub(crate) fn device() -> Device {
    open_device(&device_name()).unwrap()
}

/// A checkpoint of transformers with what it computed.
pub(crate) fn checkpoint(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests/fixtures/parity").join(name)
}

pub(crate) fn generate(
    model: &Decoder,
    requests: &[Request],
    config: &SamplingConfig,
) -> Vec<Generation> {
    model.generate(requests, config, &mut |_| AfterToken::Continue).unwrap()
}

/// LLaMA with grouped queries, Gemma 2 with soft caps and windows, Qwen2 with biases.
pub(crate) const FAMILIES: [&str; 3] = ["llama-gqa-untied", "gemma2", "qwen2"];

/// Gives the second factors of adapters, which begin as zeros, other values.
pub(crate) fn fill_second_factors(model: &mut Decoder) {
    parameters::update(model, &mut |name, value| {
        let values = (0..value.dims()[0]).map(|i| (i * 37 % 101) as f32 / 1010.0 - 0.05);
        let data = TensorData::from(values.collect::<Vec<f32>>().as_slice());
        if name.contains("lora_B") { Tensor::from_data(data, &value.device()) } else { value }
    });
}
