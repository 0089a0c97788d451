//! Models in fewer bits on the device that `BESTOF_DEVICE` names, beside the CPU.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use bestof_checkpoints::ModelFolder;
use bestof_closeness::{largest_difference, largest_magnitude};
use bestof_kernels::host_values;
use bestof_models::{
    CausalLm, Decoder, Device, Dtype, ForwardOptions, LoraConfig, ModelError, Precision,
    Quantization, Request, SamplingConfig, TokenForest, parameters,
};
use burn::optim::GradientsParams;
use burn::tensor::DType;
use support::device::{
    BACKWARD, FAMILIES, FORWARD, apart, checkpoint, device, fill_second_factors, generate,
};

/// A checkpoint in fewer bits, with adapters whose second factors are not zero.
fn at_rest(
    name: &str,
    precision: Precision,
    dora: bool,
    device: &Device,
) -> Result<Decoder, ModelError> {
    let folder = ModelFolder::open(&checkpoint(name)).unwrap();
    let mut model = Decoder::open_in(&folder, precision, &device.clone().autodiff())?;
    model.attach_lora(&LoraConfig::default().with_r(3).with_dora(dora))?;
    fill_second_factors(&mut model);
    Ok(model)
}

/// Log-probabilities, gradients of the adapters, and greedy text.
fn of_adapters(model: &Decoder) -> (Vec<f32>, Vec<Vec<f32>>, Vec<u32>) {
    let text = TokenForest::text(&[3, 14, 15, 92, 65, 35, 89, 79, 32, 38, 46]);
    let logps = model.token_logps(&text, &ForwardOptions::default()).unwrap();
    let values = host_values(logps.clone().inner());
    let gradients = GradientsParams::from_grads(logps.mean().neg().backward(), model);
    let gradients = parameters::named_gradients(model, gradients);
    let request = Request { prompt: vec![5, 17, 33, 2, 9], samples: 1, seed: 0 };
    let greedy = generate(model, &[request], &SamplingConfig::greedy(8)).remove(0).ids;
    (values, gradients.into_values().map(host_values).collect(), greedy)
}

#[test]
fn adapters_on_a_quantised_base_are_those_of_the_cpu() {
    for name in FAMILIES {
        for blocks in [Quantization::Q8_0, Quantization::Q4_0] {
            let precision = Precision::default().with_quantize(Some(blocks));
            let model = at_rest(name, precision, false, &device()).unwrap();
            assert!(!model.blocks().is_empty());
            let (logps, gradients, greedy) = of_adapters(&model);
            let of_cpu = at_rest(name, precision, false, &Device::flex()).unwrap();
            let (expected, expected_gradients, expected_greedy) = of_adapters(&of_cpu);
            let difference = apart(&logps, &expected);
            println!("{name} in {blocks}: log-probabilities {difference:e}");
            assert!(difference < FORWARD, "{name} in {blocks}: differ by {difference}");
            let largest = largest_magnitude(&expected_gradients);
            assert!(largest > 0.0);
            let difference = largest_difference(&gradients, &expected_gradients) / largest;
            println!("{name} in {blocks}: gradients {difference:e}");
            assert!(difference < BACKWARD, "{name} in {blocks}: gradients {difference}");
            assert_eq!(greedy, expected_greedy);
        }
    }
}

/// Products in 8 or 11 bits, against the CPU's in f32 with weights of the same bits.
#[test]
fn a_model_computes_in_sixteen_bits_or_says_that_it_cannot() {
    for (dtype, bound) in [(Dtype::F16, 2e-2), (Dtype::BF16, 1e-1)] {
        let precision = Precision::default().with_dtype(dtype);
        let type_of = if dtype == Dtype::F16 { DType::F16 } else { DType::BF16 };
        if !device().supports_dtype(type_of) {
            let error = at_rest("qwen2", precision, false, &device()).unwrap_err().to_string();
            assert!(error.contains(type_of.name()) && error.contains("f32"), "{error}");
            continue;
        }
        for (name, dora) in FAMILIES.into_iter().zip([false, true, false]) {
            let at = |device: &Device| at_rest(name, precision, dora, device).unwrap();
            let (logps, gradients, _) = of_adapters(&at(&device()));
            let (expected, expected_gradients, _) = of_adapters(&at(&Device::flex()));
            let difference = apart(&logps, &expected);
            println!("{name} in {dtype}: log-probabilities {difference:e}");
            assert!(difference < bound, "{name} in {dtype}: differ by {difference}");
            let largest = largest_magnitude(&expected_gradients);
            let difference = largest_difference(&gradients, &expected_gradients) / largest;
            println!("{name} in {dtype}: gradients {difference:e}");
            assert!(difference < 2.0 * bound, "{name} in {dtype}: gradients {difference}");
        }
    }
}
