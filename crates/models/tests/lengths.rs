//! Bases whose frequencies depend on the length of the sequence, in forests.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use bestof_models::{
    AfterToken, CausalLm, Decoder, DecoderConfig, Device, ForwardOptions, ModelError, Request,
    SamplingConfig, TokenForest,
};
use common::{apart, close, forest, logps};
use serde_json::{Value, json};

/// A model that was trained at 16 positions.
fn model(rope_scaling: &Value) -> Decoder {
    let config = json!({
        "model_type": "llama", "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 16, "rope_theta": 10000.0, "rope_scaling": rope_scaling,
        "initializer_range": 0.2,
    });
    let mut config = DecoderConfig::from_hf(&config).unwrap();
    config.max_positions = 64;
    Decoder::random(config, 3, &Device::flex().autodiff()).unwrap()
}

fn dynamic() -> Value {
    json!({ "rope_type": "dynamic", "factor": 4.0 })
}

fn longrope() -> Value {
    json!({
        "rope_type": "longrope", "factor": 4.0, "original_max_position_embeddings": 16,
        "short_factor": [1.0, 1.0, 1.0, 1.0], "long_factor": [1.0, 2.0, 3.0, 4.0],
    })
}

/// A prompt and an answer of this many tokens.
fn sequence(answer: usize) -> (Vec<u32>, usize) {
    let prompt = (0..10).map(|i| i * 7 % 64);
    let answer = (0..answer as u32).map(|i| (i * i + 11 * answer as u32) % 64);
    (prompt.chain(answer).collect(), 10)
}

/// The log-probabilities of each sequence, out of trees as given.
fn of_trees(model: &Decoder, trees: &[Vec<(Vec<u32>, usize)>]) -> Vec<Vec<f32>> {
    let (forest, spans) = forest(trees);
    let values = logps(model, &forest, &ForwardOptions::default());
    let of = |targets: &Vec<usize>| targets.iter().map(|&i| values[i]).collect();
    spans.iter().flatten().map(|span| of(&span.targets)).collect()
}

#[test]
fn sequences_on_either_side_of_the_length_are_what_they_are_alone() {
    for rope in [dynamic(), longrope()] {
        let model = model(&rope);
        let (short, long) = (sequence(3), sequence(12));
        assert_eq!(model.length_key(13), model.length_key(16));
        assert_ne!(model.length_key(13), model.length_key(22));
        let together = of_trees(&model, &[vec![short.clone()], vec![long.clone()]]);
        for (sequence, found) in [short, long].into_iter().zip(&together) {
            let alone = logps(&model, &TokenForest::text(&sequence.0), &ForwardOptions::default());
            assert!(close(&alone[9..], found, 1e-6));
        }
        // The lengths make a difference that the tree would have hidden.
        let plain = self::model(&Value::Null);
        let text = TokenForest::text(&sequence(12).0);
        let of = |model: &Decoder| logps(model, &text, &ForwardOptions::default());
        assert!(apart(&of(&plain), &of(&model), 1e-3));
    }
}

#[test]
fn a_tree_that_would_need_two_rotations_is_refused() {
    for (rope, name) in [(dynamic(), "dynamic"), (longrope(), "longrope")] {
        let model = model(&rope);
        let refused = |tree: &[(Vec<u32>, usize)]| {
            let (forest, _) = forest(&[vec![sequence(2)], tree.to_vec()]);
            model.token_logps(&forest, &ForwardOptions::default()).unwrap_err()
        };
        let (short, long) = (sequence(3), sequence(12));
        let inner = (long.0[..12].to_vec(), 10);
        // Two branches, and a sequence that ends inside another.
        for (tree, lengths) in
            [([short.clone(), long.clone()], [13, 22]), ([long.clone(), inner], [12, 22])]
        {
            let error = refused(&tree);
            let ModelError::MixedLengths { tree, lengths: found, .. } = &error else {
                panic!("{error}")
            };
            assert_eq!((*tree, *found), (1, lengths));
            let text = error.to_string();
            for part in [name, "tree 1", "a tree of its own", &lengths[1].to_string()] {
                assert!(text.contains(part), "{part} is not in: {text}");
            }
        }
        // Of one class of lengths there is nothing to refuse.
        assert_eq!(of_trees(&model, &[vec![short, sequence(5)]]).len(), 2);
    }
    let plain = model(&Value::Null);
    assert_eq!(plain.length_key(3), plain.length_key(4000));
    assert_eq!(of_trees(&plain, &[vec![sequence(1), sequence(5)]]).len(), 2);
}

#[test]
fn rollouts_differ_from_the_whole_sequence_past_the_length_only() {
    let model = model(&dynamic());
    let gap = |answer: usize| {
        let (prompt, start) = (sequence(0).0, 10);
        let request = Request { prompt: prompt.clone(), samples: 1, seed: 5 };
        let sampling = SamplingConfig::default().with_max_new_tokens(answer);
        let drawn = model.generate(&[request], &sampling, &mut |_| AfterToken::Continue).unwrap();
        let whole = [prompt.as_slice(), &drawn[0].ids].concat();
        let scored = logps(&model, &TokenForest::text(&whole), &ForwardOptions::default());
        bestof_closeness::largest_difference(&scored[start - 1..], &drawn[0].logprobs)
    };
    assert!(gap(6) < 1e-5, "{}", gap(6));
    assert!(gap(30) > 1e-3, "{}", gap(30));
}
