//! Log-probabilities and entropies at a temperature: the softmax of capped logits over it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use bestof_kernels::host_values;
use bestof_models::{CausalLm, Decoder, ForwardOptions, ModelError, TokenForest, parameters};
use burn::module::Module;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, TensorData};
use common::{
    apart, close, flat, gradient_difference, gradients_of, logps, trainable, weighted, with_lora,
};

const TOKENS: [u32; 7] = [3, 1, 4, 1, 5, 9, 2];
const TEMPERATURES: [f64; 4] = [0.3, 0.7, 1.0, 2.5];

fn rows() -> Vec<u32> {
    (0..TOKENS.len() as u32 - 1).collect()
}

/// Log-probability of each next token and entropy before it, from logits in f64.
fn by_hand(logits: &[Vec<f64>]) -> (Vec<f32>, Vec<f32>) {
    let of = |(row, target): (&Vec<f64>, &u32)| {
        let max = row.iter().copied().fold(f64::MIN, f64::max);
        let log_sum = max + row.iter().map(|l| (l - max).exp()).sum::<f64>().ln();
        let entropy: f64 = row.iter().map(|l| -(l - log_sum) * (l - log_sum).exp()).sum();
        ((row[*target as usize] - log_sum) as f32, entropy as f32)
    };
    logits.iter().zip(&TOKENS[1..]).map(of).unzip()
}

fn logits(model: &Decoder, options: &ForwardOptions) -> Vec<Vec<f64>> {
    let logits = model.valid().logits(&TokenForest::text(&TOKENS), &rows(), options).unwrap();
    let logits: Vec<f64> = host_values(logits).into_iter().map(f64::from).collect();
    logits.chunks(model.vocab_size()).map(<[f64]>::to_vec).collect()
}

fn map(logits: &[Vec<f64>], of: impl Fn(f64) -> f64) -> Vec<Vec<f64>> {
    logits.iter().map(|row| row.iter().map(|l| of(*l)).collect()).collect()
}

fn at(temperature: f64) -> ForwardOptions {
    ForwardOptions::default().with_entropies(true).with_temperature(temperature)
}

fn scores(model: &Decoder, options: &ForwardOptions) -> (Vec<f32>, Vec<f32>) {
    let scores = model.valid().token_scores(&TokenForest::text(&TOKENS), options).unwrap();
    (host_values(scores.logps), host_values(scores.entropies.unwrap()))
}

#[test]
fn scores_are_those_of_the_capped_logits_over_the_temperature() {
    for name in ["gemma2", "llama-gqa-untied"] {
        let model = trainable(name);
        let cap = model.config().final_softcap;
        assert_eq!(cap.is_some(), name == "gemma2");
        for temperature in TEMPERATURES {
            let options = at(temperature);
            let logits = logits(&model, &options);
            let (found, entropies) = scores(&model, &options);
            let (expected, by_entropy) = by_hand(&map(&logits, |l| l / temperature));
            assert!(close(&found, &expected, 2e-5), "{name} {temperature}");
            assert!(close(&entropies, &by_entropy, 2e-5), "{name} {temperature}");
            let text = TokenForest::text(&TOKENS);
            assert_eq!(logps(&model, &text, &options), found, "with entropies and without");
            let Some(cap) = cap else { continue };
            if temperature == 1.0 {
                continue;
            }
            // Divided first and capped then, logits are others, and are seen to be.
            let wrong = map(&logits, |l| {
                let plain = cap * (l / cap).atanh();
                cap * (plain / temperature / cap).tanh()
            });
            let (wrong, wrong_entropies) = by_hand(&wrong);
            assert!(apart(&found, &wrong, 1e-4), "{temperature}");
            assert!(apart(&entropies, &wrong_entropies, 1e-4), "{temperature}");
        }
    }
}

#[test]
fn at_temperature_1_nothing_is_computed_otherwise() {
    let model = with_lora("gemma2", 0.0);
    let text = TokenForest::text(&TOKENS);
    let (rows, targets) = text.target_rows().unwrap();
    let options = ForwardOptions::default().with_entropies(true);
    let hidden = model.hidden_states(&text, &rows, &options).unwrap();
    let scores = model.vocabulary().score(hidden, &targets, true);
    let same = model.token_scores(&text, &options.with_temperature(1.0)).unwrap();
    assert_eq!(host_values(scores.logps.clone()), host_values(same.logps.clone()));
    let entropies = |scores: bestof_kernels::TokenScores| host_values(scores.entropies.unwrap());
    assert_eq!(entropies(scores.clone()), entropies(same.clone()));
    let (a, b) =
        (gradients_of(&model, &scores.logps.sum()), gradients_of(&model, &same.logps.sum()));
    assert_eq!(gradient_difference(&model, &a, &b), 0.0);
}

#[test]
fn hidden_states_and_logits_have_no_temperature() {
    let model = trainable("gemma2");
    assert_eq!(logits(&model, &at(0.25)), logits(&model, &ForwardOptions::default()));
    let hidden = |options: &ForwardOptions| {
        host_values(model.hidden_states(&TokenForest::text(&TOKENS), &rows(), options).unwrap())
    };
    assert_eq!(hidden(&at(0.25)), hidden(&ForwardOptions::default()));
}

/// `sum_i w_i logp_i + v_i H_i` of what is scored, by closed form, and of logits, by burn's.
#[test]
fn gradients_are_those_of_the_divided_logits() {
    const WEIGHTS: [f32; 6] = [0.7, -0.4, 1.1, 0.3, -0.9, 0.5];
    const BONUS: [f32; 6] = [0.2, 0.6, -0.3, 0.8, 0.1, -0.5];
    for (model, temperature) in
        [(trainable("gemma2"), 0.6), (trainable("gemma2"), 1.7), (with_lora("gemma3", 0.0), 0.6)]
    {
        let text = TokenForest::text(&TOKENS);
        let options = at(temperature);
        let scores = model.token_scores(&text, &options).unwrap();
        let loss =
            weighted(scores.logps, &WEIGHTS).add(weighted(scores.entropies.unwrap(), &BONUS));
        let found = gradients_of(&model, &loss);

        let logits = model.logits(&text, &rows(), &ForwardOptions::default()).unwrap();
        let logps = log_softmax(logits.div_scalar(temperature), 1);
        let device = logps.device();
        let next: Vec<i64> = TOKENS[1..].iter().map(|token| i64::from(*token)).collect();
        let next = Tensor::<2, Int>::from_data(TensorData::new(next, [6, 1]), &device);
        let of_tokens = logps.clone().gather(1, next).squeeze_dim::<1>(1);
        let entropies = logps.clone().exp().mul(logps).sum_dim(1).squeeze_dim::<1>(1).neg();
        let plain = weighted(of_tokens, &WEIGHTS).add(weighted(entropies, &BONUS));
        let expected = gradients_of(&model, &plain);
        let difference = gradient_difference(&model, &found, &expected);
        assert!(difference < 2e-5, "{temperature}: {difference}");
    }
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let temperature = 0.6;
    let model = trainable("gemma2");
    let text = TokenForest::text(&TOKENS);
    let loss = model.token_logps(&text, &at(temperature)).unwrap().sum();
    let gradients = gradients_of(&model, &loss);
    let name = "model.norm.weight";
    let gradient = common::values(&gradients, name).unwrap();
    let largest = gradient.iter().fold(0.0_f32, |m, g| m.max(g.abs()));
    let value = |at: usize, by: f32| -> f64 {
        let mut moved = model.clone();
        parameters::update(&mut moved, &mut |of, old| {
            if of != name {
                return old;
            }
            let mut values = host_values(old.clone());
            values[at] += by;
            flat(values, &old.device())
        });
        let logits = map(&logits(&moved, &ForwardOptions::default()), |l| l / temperature);
        by_hand(&logits).0.iter().map(|logp| f64::from(*logp)).sum()
    };
    for at in (0..gradient.len()).step_by(5) {
        let h = 1e-2;
        let numeric = (value(at, h) - value(at, -h)) / f64::from(2.0 * h);
        let found = f64::from(gradient[at]);
        assert!(
            (found - numeric).abs() < 2e-3 * f64::from(largest) + 1e-3 * numeric.abs(),
            "{at}: {found} against {numeric}"
        );
    }
}

#[test]
fn a_temperature_out_of_range_is_refused_by_name() {
    let model = trainable("gemma2");
    for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = model.token_logps(&TokenForest::text(&TOKENS), &at(temperature)).unwrap_err();
        assert!(
            matches!(error, ModelError::InvalidOption { setting: "temperature", .. }),
            "{error}"
        );
        assert!(error.to_string().contains("`temperature`"), "{error}");
    }
}
