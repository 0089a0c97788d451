//! A forest gives what separate sequences give: log-probabilities and gradients.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use bestof_kernels::host_values;
use bestof_models::{CausalLm, ForwardOptions, TokenForest};
use burn::module::Module;
use common::{Gradients, close, forest, gradient_difference, logps, run, trainable, with_lora};
use proptest::prelude::*;

/// f32 sums in another order, over at most a few hundred terms.
const TOLERANCE: f64 = 2e-5;

/// One family of each kind: plain, biases, both windows with soft caps, norms of queries and keys, layers
/// without RoPE, fused projections.
const MODELS: [&str; 7] = [
    "llama-tied-theta100k",
    "llama-bias-headdim16",
    "gemma2",
    "gemma3",
    "mistral-window",
    "smollm3-window-bias",
    "phi3-window",
];

/// Groups of sequences over few tokens, so that they share prefixes.
fn groups() -> impl Strategy<Value = Vec<Vec<(Vec<u32>, usize)>>> {
    let shared = prop::collection::vec(0u32..128, 1..12);
    let tail = prop::collection::vec(0u32..3, 1..14);
    let group =
        (shared, prop::collection::vec((tail, 0usize..14), 1..4)).prop_map(|(shared, tails)| {
            tails
                .into_iter()
                .map(|(tail, start)| {
                    let start = start.min(shared.len() + tail.len() - 1);
                    (shared.iter().copied().chain(tail).collect(), start)
                })
                .collect::<Vec<_>>()
        });
    prop::collection::vec(group, 1..3)
}

fn separately(
    model: &bestof_models::Decoder,
    groups: &[Vec<(Vec<u32>, usize)>],
    weights: &[f32],
    options: &ForwardOptions,
) -> (Vec<Vec<f32>>, Gradients) {
    let mut logprobs = Vec::new();
    let mut sum = Gradients::new();
    for (sequence, weight) in groups.iter().flatten().zip(weights) {
        let alone = vec![vec![sequence.clone()]];
        let (values, gradients) = run(model, &alone, &[*weight], options);
        logprobs.extend(values);
        for (name, gradient) in gradients {
            let kept = sum.remove(&name);
            sum.insert(
                name,
                match kept {
                    Some(kept) => kept.add(gradient),
                    None => gradient,
                },
            );
        }
    }
    (logprobs, sum)
}

fn compare(model: &bestof_models::Decoder, groups: &[Vec<(Vec<u32>, usize)>], checkpoint: bool) {
    let weights: Vec<f32> = (0..9).map(|i| 0.7 - 0.3 * i as f32).collect();
    let options = ForwardOptions::default().with_checkpoint_layers(checkpoint);
    let (together, gradients) = run(model, groups, &weights, &options);
    let (apart, sum) = separately(model, groups, &weights, &ForwardOptions::default());
    for (a, b) in together.iter().zip(&apart) {
        assert!(close(a, b, TOLERANCE), "{a:?} and {b:?}");
    }
    if apart.iter().any(|l| !l.is_empty()) {
        let difference = gradient_difference(model, &gradients, &sum);
        assert!(difference < TOLERANCE, "gradients differ by {difference}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn forests_equal_separate_sequences(groups in groups()) {
        for name in MODELS {
            compare(&trainable(name), &groups, false);
        }
    }

    #[test]
    fn forests_equal_separate_sequences_under_lora(groups in groups()) {
        for name in ["llama-gqa-untied", "gemma3"] {
            compare(&with_lora(name, 0.0), &groups, false);
        }
    }

    #[test]
    fn checkpointed_layers_give_the_same_gradients(groups in groups()) {
        compare(&trainable("gemma2"), &groups, true);
        compare(&with_lora("llama-tied-theta100k", 0.0), &groups, true);
    }
}

#[test]
fn long_paths_are_computed_in_blocks_that_fit_together() {
    // Longer than one block of queries, so that blocks, their masks and windows meet.
    let tokens: Vec<u32> = (0..300).map(|i| (i * i + 3 * i) % 128).collect();
    let mut other = tokens.clone();
    other[299] = 5;
    for name in ["mistral-window", "gemma2", "llama-tied-theta100k"] {
        let model = trainable(name);
        let path = logps(&model, &TokenForest::text(&tokens), &ForwardOptions::default());
        // The same sequence in a tree that branches at its end.
        let group = vec![(tokens.clone(), 1), (other.clone(), 1)];
        let (forest, spans) = forest(&[group]);
        let tree = logps(&model, &forest, &ForwardOptions::default());
        let tree: Vec<f32> = spans[0][0].targets.iter().map(|&i| tree[i]).collect();
        assert!(close(&path, &tree, TOLERANCE), "{name}");
    }
}

#[test]
fn later_and_sibling_tokens_leave_earlier_ones_alone() {
    let model = trainable("gemma2");
    let short = TokenForest::text(&[3, 1, 4, 1, 5]);
    let base = logps(&model, &short, &ForwardOptions::default());
    let long = TokenForest::text(&[3, 1, 4, 1, 5, 9, 2, 6]);
    let longer = logps(&model, &long, &ForwardOptions::default());
    assert!(close(&base, &longer[..base.len()], 1e-6));
    for sibling in [0, 77] {
        let group = vec![(vec![3, 1, 4, 1, 5], 1), (vec![3, 1, sibling, 8, 8, 8], 3)];
        let (forest, spans) = forest(&[group]);
        let values = logps(&model, &forest, &ForwardOptions::default());
        let values: Vec<f32> = spans[0][0].targets.iter().map(|&i| values[i]).collect();
        assert!(close(&base, &values, 1e-6));
    }
}

#[test]
fn entropies_are_those_of_the_logits() {
    let model = trainable("gemma2");
    let forest = TokenForest::text(&[3, 1, 4, 1, 5, 9]);
    let options = ForwardOptions::default().with_entropies(true);
    let scores = model.valid().token_scores(&forest, &options).unwrap();
    let entropies = host_values(scores.entropies.unwrap());
    let logits = host_values(model.logits(&forest, &[0, 1, 2, 3, 4], &options).unwrap());
    assert_eq!(logits.len(), 5 * model.vocab_size());
    for (row, entropy) in logits.chunks(model.vocab_size()).zip(&entropies) {
        let sum: f64 = row.iter().map(|l| f64::from(*l).exp()).sum();
        let expected: f64 =
            row.iter().map(|l| f64::from(*l).exp() / sum).map(|p| -p * p.ln()).sum();
        assert!((f64::from(*entropy) - expected).abs() < 1e-5);
    }
    let traced = model.token_scores(&forest, &options).unwrap();
    assert_eq!(host_values(traced.entropies.unwrap()), entropies, "with a graph and without");
}
