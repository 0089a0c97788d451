//! Gradients against finite differences, and what training needs of parameters.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use bestof_models::{CausalLm, Decoder, ForwardOptions, ModelError, TokenForest, Trainable};
use common::{apart, close, gradient_difference, run, trainable, values, with_lora};

const TEXT: [u32; 9] = [3, 14, 15, 92, 65, 35, 89, 79, 32];

/// `sum_i w_i logp_i` with weights of both signs.
fn objective(model: &Decoder) -> f64 {
    let forest = TokenForest::text(&TEXT);
    let logprobs = model.logprobs(&forest, &ForwardOptions::default()).unwrap();
    logprobs.iter().zip(weights()).map(|(l, w)| f64::from(*l) * f64::from(w)).sum()
}

fn weights() -> Vec<f32> {
    (0..8).map(|i| [1.0, -0.5, 0.25][i % 3]).collect()
}

/// The derivative along a direction, by a central difference.
fn along(model: &Decoder, direction: &dyn Fn(&str, usize) -> f32, step: f32) -> f64 {
    along_of(model, direction, step, &objective)
}

fn along_of(
    model: &Decoder,
    direction: &dyn Fn(&str, usize) -> f32,
    step: f32,
    objective: &dyn Fn(&Decoder) -> f64,
) -> f64 {
    let moved = |sign: f32| {
        let mut model = model.clone();
        model.update_parameters(&mut |name, value| {
            let length = value.dims()[0];
            let delta: Vec<f32> = (0..length).map(|i| sign * step * direction(name, i)).collect();
            let delta = bestof_models::tensor_from(&delta, &value.device());
            value.add(delta)
        });
        objective(&model)
    };
    (moved(1.0) - moved(-1.0)) / (2.0 * f64::from(step))
}

/// A direction that differs between entries and parameters, of size about 1 each.
fn wave(name: &str, i: usize) -> f32 {
    let phase: u32 = name.bytes().map(u32::from).sum();
    ((i as f32) * 0.7 + phase as f32).sin()
}

fn check_directions(model: &Decoder, checkpoint: bool) {
    let options = ForwardOptions { checkpoint_layers: checkpoint, ..ForwardOptions::default() };
    let pass = model.forward(&TokenForest::text(&TEXT), &options).unwrap();
    let gradients = pass.backward(&weights()).unwrap();
    for info in model.trainable_parameters() {
        let only = |name: &str, i: usize| if name == info.name { wave(name, i) } else { 0.0 };
        let numeric = along(model, &only, 1e-3);
        let gradient = values(&gradients, &info.name).expect("every parameter has a gradient");
        let exact: f64 = gradient
            .iter()
            .enumerate()
            .map(|(i, g)| f64::from(*g) * f64::from(wave(&info.name, i)))
            .sum();
        // The objective's eighth digit over twice the step, and the third derivative.
        let tolerance = 3e-3 + 2e-3 * exact.abs();
        assert!(
            (numeric - exact).abs() < tolerance,
            "{}: {numeric} by differences, {exact} by the backward pass",
            info.name
        );
    }
}

/// Weights of the entropies, of both signs and with zeros.
fn entropy_weights() -> Vec<f32> {
    (0..8).map(|i| [0.0, 0.7, -0.4, 0.0, 1.0][i % 5]).collect()
}

/// `sum_i w_i logp_i + e_i H_i`.
fn objective_with_entropies(model: &Decoder) -> f64 {
    let forest = TokenForest::text(&TEXT);
    let options = ForwardOptions { entropies: true, ..ForwardOptions::default() };
    let (_, entropies) = model.logprobs_and_entropies(&forest, &options).unwrap();
    let bonus: f64 =
        entropies.iter().zip(entropy_weights()).map(|(h, e)| f64::from(*h) * f64::from(e)).sum();
    objective(model) + bonus
}

#[test]
fn gradients_of_entropies_match_finite_differences() {
    for (name, lora) in
        [("llama-tied-theta100k", false), ("gemma2", false), ("llama-gqa-untied", true)]
    {
        let model = if lora { with_lora(name, 0.0) } else { trainable(name) };
        let options = ForwardOptions { checkpoint_layers: lora, ..ForwardOptions::default() };
        let pass = model.forward(&TokenForest::text(&TEXT), &options).unwrap();
        let gradients = pass.backward_with_entropies(&weights(), &entropy_weights()).unwrap();
        let plain = model.forward(&TokenForest::text(&TEXT), &options).unwrap();
        let plain = plain.backward(&weights()).unwrap();
        let mut moved_by_entropy = 0.0_f64;
        for info in model.trainable_parameters() {
            let only =
                |other: &str, i: usize| if other == info.name { wave(other, i) } else { 0.0 };
            let numeric = along_of(&model, &only, 1e-3, &objective_with_entropies);
            let project = |gradients: &bestof_models::Gradients| -> f64 {
                let gradient = values(gradients, &info.name).unwrap();
                let terms = gradient.iter().enumerate();
                terms.map(|(i, g)| f64::from(*g) * f64::from(wave(&info.name, i))).sum()
            };
            let exact = project(&gradients);
            moved_by_entropy = moved_by_entropy.max((exact - project(&plain)).abs());
            let tolerance = 3e-3 + 2e-3 * exact.abs();
            assert!(
                (numeric - exact).abs() < tolerance,
                "{name} {}: {numeric} by differences, {exact} by the backward pass",
                info.name
            );
        }
        assert!(moved_by_entropy > 0.05, "{name}: entropies change nothing: {moved_by_entropy}");
        let pass = model.forward(&TokenForest::text(&TEXT), &options).unwrap();
        assert!(matches!(
            pass.backward_with_entropies(&weights(), &[]),
            Err(ModelError::WeightCount { found: 0, expected: 8 })
        ));
    }
}

#[test]
fn gradients_of_every_parameter_match_finite_differences() {
    for name in
        ["llama-tied-theta100k", "llama-bias-headdim16", "gemma2", "gemma3", "mistral-window"]
    {
        check_directions(&trainable(name), false);
    }
}

#[test]
fn gradients_of_adapters_match_finite_differences() {
    check_directions(&with_lora("gemma2", 0.0), false);
    check_directions(&with_lora("llama-gqa-untied", 0.0), true);
}

#[test]
fn checkpointing_changes_nothing_under_dropout() {
    let model = with_lora("llama-gqa-untied", 0.3);
    let groups = vec![vec![(TEXT.to_vec(), 2)]];
    let options = |checkpoint_layers| ForwardOptions {
        dropout_seed: Some(11),
        checkpoint_layers,
        ..ForwardOptions::default()
    };
    let (plain, a) = run(&model, &groups, &[1.0], &options(false));
    let (again, b) = run(&model, &groups, &[1.0], &options(true));
    assert!(close(&plain[0], &again[0], 1e-6));
    assert!(gradient_difference(&model, &a, &b) < 1e-5);
    let other = ForwardOptions { dropout_seed: Some(12), ..options(false) };
    let (other, _) = run(&model, &groups, &[1.0], &other);
    assert!(apart(&plain[0], &other[0], 1e-6), "another seed, another mask");
    let (evaluated, _) = run(&model, &groups, &[1.0], &ForwardOptions::default());
    assert!(apart(&plain[0], &evaluated[0], 1e-6), "no seed, no mask");
}

#[test]
fn gradients_add_scale_and_have_a_norm() {
    let model = trainable("llama-tied-theta100k");
    let groups = vec![vec![(TEXT.to_vec(), 1)]];
    let (_, one) = run(&model, &groups, &[1.0], &ForwardOptions::default());
    let (_, minus_two) = run(&model, &groups, &[-2.0], &ForwardOptions::default());
    let norm = one.global_norm();
    let by_hand: f64 = one
        .iter()
        .flat_map(|(_, g)| g.to_data().iter::<f32>().collect::<Vec<_>>())
        .map(|g| f64::from(g).powi(2))
        .sum::<f64>()
        .sqrt();
    assert!((norm - by_hand).abs() < 1e-4 * by_hand);
    assert!((minus_two.global_norm() - 2.0 * norm).abs() < 1e-4 * norm);
    let mut sum = one.clone().scale(2.0);
    sum.accumulate(minus_two);
    assert!(sum.global_norm() < 1e-4 * norm);
}

#[test]
fn wrong_uses_are_errors() {
    let model = trainable("llama-tied-theta100k");
    let pass = model.forward(&TokenForest::text(&TEXT), &ForwardOptions::default()).unwrap();
    assert!(matches!(
        pass.backward(&[1.0]),
        Err(ModelError::WeightCount { found: 1, expected: 8 })
    ));
    let outside = model.logprobs(&TokenForest::text(&[1, 500]), &ForwardOptions::default());
    assert!(matches!(outside, Err(ModelError::TokenOutOfRange { token: 500, node: 1, .. })));
    let error = model.parameter("model.norm.wieght").unwrap_err().to_string();
    assert!(error.contains("model.norm.weight"), "{error}");
    let nothing = model.forward(&TokenForest::default(), &ForwardOptions::default()).unwrap();
    assert!(nothing.logprobs().is_empty() && nothing.backward(&[]).unwrap().is_empty());
}
