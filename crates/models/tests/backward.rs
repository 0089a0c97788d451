//! Gradients against finite differences, and what training needs of parameters.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use bestof_kernels::host_values;
use bestof_models::{
    CausalLm, Decoder, ForwardOptions, LoraConfig, ModelError, TokenForest, parameters,
};
use burn::module::Module;
use common::{
    Gradients, apart, close, flat, gradient_difference, gradients_of, logps, run, trainable,
    values, weighted, with_lora, with_lora_of,
};

const TEXT: [u32; 9] = [3, 14, 15, 92, 65, 35, 89, 79, 32];

/// `sum_i w_i logp_i` with weights of both signs.
fn objective(model: &Decoder) -> f64 {
    let logps = logps(model, &TokenForest::text(&TEXT), &ForwardOptions::default());
    logps.iter().zip(weights()).map(|(l, w)| f64::from(*l) * f64::from(w)).sum()
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
        parameters::update(&mut model, &mut |name, value| {
            let length = value.dims()[0];
            let delta: Vec<f32> = (0..length).map(|i| sign * step * direction(name, i)).collect();
            let delta = flat(delta, &value.device());
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
    let options = ForwardOptions::default().with_checkpoint_layers(checkpoint);
    let logps = model.token_logps(&TokenForest::text(&TEXT), &options).unwrap();
    let gradients = gradients_of(model, &weighted(logps, &weights()));
    for info in parameters::trainable(model) {
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
    let options = ForwardOptions::default().with_entropies(true);
    let scores = model.valid().token_scores(&forest, &options).unwrap();
    let entropies = host_values(scores.entropies.unwrap());
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
        let options = ForwardOptions::default().with_checkpoint_layers(lora).with_entropies(true);
        let text = TokenForest::text(&TEXT);
        let scores = model.token_scores(&text, &options).unwrap();
        let bonus = weighted(scores.entropies.unwrap(), &entropy_weights());
        let gradients = gradients_of(&model, &weighted(scores.logps, &weights()).add(bonus));
        let plain = model.token_logps(&text, &options).unwrap();
        let plain = gradients_of(&model, &weighted(plain, &weights()));
        let mut moved_by_entropy = 0.0_f64;
        for info in parameters::trainable(&model) {
            let only =
                |other: &str, i: usize| if other == info.name { wave(other, i) } else { 0.0 };
            let numeric = along_of(&model, &only, 1e-3, &objective_with_entropies);
            let project = |gradients: &Gradients| -> f64 {
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
    }
}

#[test]
fn gradients_of_every_parameter_match_finite_differences() {
    for name in [
        "llama-tied-theta100k",
        "llama-bias-headdim16",
        "gemma2",
        "gemma3",
        "mistral-window",
        "qwen3",
        "smollm3",
        "phi3-window",
    ] {
        check_directions(&trainable(name), false);
    }
}

#[test]
fn gradients_of_adapters_match_finite_differences() {
    check_directions(&with_lora("gemma2", 0.0), false);
    check_directions(&with_lora("llama-gqa-untied", 0.0), true);
}

/// `DoRA` is held to PEFT in `peft.rs`: its gradient leaves out that of a norm.
#[test]
fn gradients_of_other_adapters_match_finite_differences() {
    let ranks = vec![("v_proj".to_owned(), 2), ("mlp.*".to_owned(), 1)];
    let config = || LoraConfig::default().with_r(3).with_alpha(3.0).with_rslora(true);
    let biased = config().with_bias(true).with_rank_pattern(ranks);
    check_directions(&with_lora_of("gemma2", &biased), false);
    check_directions(&with_lora_of("llama-bias-headdim16", &biased), true);
    let whole = ["lm_head", "embed_tokens", "norm"].map(str::to_owned).to_vec();
    let whole = config().with_targets("model.*_proj").with_modules_to_save(whole);
    check_directions(&with_lora_of("llama-tied-theta100k", &whole), false);
    check_directions(&with_lora_of("gemma3", &whole), true);
}

#[test]
fn checkpointing_changes_nothing_under_dropout() {
    let model = with_lora("llama-gqa-untied", 0.3);
    let groups = vec![vec![(TEXT.to_vec(), 2)]];
    let options = |checkpoint_layers| {
        ForwardOptions::default()
            .with_dropout_seed(Some(11))
            .with_checkpoint_layers(checkpoint_layers)
    };
    let (plain, a) = run(&model, &groups, &[1.0], &options(false));
    let (again, b) = run(&model, &groups, &[1.0], &options(true));
    assert!(close(&plain[0], &again[0], 1e-6));
    assert!(gradient_difference(&model, &a, &b) < 1e-5);
    let other = options(false).with_dropout_seed(Some(12));
    let (other, _) = run(&model, &groups, &[1.0], &other);
    assert!(apart(&plain[0], &other[0], 1e-6), "another seed, another mask");
    let (evaluated, _) = run(&model, &groups, &[1.0], &ForwardOptions::default());
    assert!(apart(&plain[0], &evaluated[0], 1e-6), "no seed, no mask");
}

#[test]
fn wrong_uses_are_errors() {
    let model = trainable("llama-tied-theta100k");
    let options = ForwardOptions::default();
    let outside = model.token_logps(&TokenForest::text(&[1, 500]), &options);
    assert!(matches!(outside, Err(ModelError::TokenOutOfRange { token: 500, node: 1, .. })));
    let row = model.logits(&TokenForest::text(&[1, 2]), &[2], &options);
    assert!(matches!(row, Err(ModelError::RowOutOfRange { row: 2, nodes: 2 })));
    let error = parameters::values(&model, "model.norm.wieght").unwrap_err().to_string();
    assert!(error.contains("model.norm.weight"), "{error}");
    let nothing = model.token_logps(&TokenForest::default(), &options).unwrap();
    assert_eq!(nothing.dims(), [0]);
}
