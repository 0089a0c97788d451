//! Sampling with a cache against the forward pass, and what a seed promises.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod common;

use bestof_models::{
    AfterToken, CausalLm, Decoder, FinishReason, ForestBuilder, ForwardOptions, Generation,
    Request, SamplingConfig, Sequence,
};
use common::{close, logps, trainable, with_lora};

fn sample(model: &Decoder, requests: &[Request], config: &SamplingConfig) -> Vec<Generation> {
    model.generate(requests, config, &mut |_| AfterToken::Continue).unwrap()
}

fn requests() -> Vec<Request> {
    vec![
        Request { prompt: vec![5, 6, 7], samples: 3, seed: 1 },
        Request { prompt: vec![9; 11], samples: 1, seed: 2 },
        Request { prompt: vec![100, 2], samples: 2, seed: 3 },
    ]
}

fn config(max_new_tokens: usize) -> SamplingConfig {
    SamplingConfig::default().with_max_new_tokens(max_new_tokens).with_prefill_chunk(4)
}

#[test]
fn decoding_with_a_cache_equals_the_forward_pass() {
    // 40 steps: more than the cache has room for at first, and than any window.
    for name in [
        "gemma2",
        "gemma3",
        "mistral-window",
        "llama-yarn4",
        "llama-bias-headdim16",
        "smollm3-window-bias",
        "phi3-window",
        "qwen3-window-bias",
    ] {
        let model = trainable(name);
        for generation in sample(&model, &requests(), &config(40)) {
            let prompt = &requests()[generation.request].prompt;
            let tokens: Vec<u32> = prompt.iter().chain(&generation.ids).copied().collect();
            let mut builder = ForestBuilder::new();
            let sequence = Sequence { tokens: &tokens, completion_start: prompt.len() };
            builder.add_group(&[sequence]);
            let forest = builder.finish();
            let logprobs = logps(&model, &forest, &ForwardOptions::default());
            assert!(close(&logprobs, &generation.logprobs, 1e-4), "{name}");
        }
    }
}

/// Below 15 tokens this model has other frequencies, and its keys are computed again at that length.
#[test]
fn a_basis_that_changes_with_the_length_is_renewed_in_the_cache() {
    let (model, short) = (trainable("phi3-longrope"), 14);
    let (mut compared, mut crossed) = (0, 0);
    for generation in sample(&model, &requests(), &config(24)) {
        let prompt = &requests()[generation.request].prompt;
        let tokens: Vec<u32> = prompt.iter().chain(&generation.ids).copied().collect();
        let mut builder = ForestBuilder::new();
        builder.add_group(&[Sequence { tokens: &tokens, completion_start: prompt.len() }]);
        let whole = logps(&model, &builder.finish(), &ForwardOptions::default());
        let first = (short + 1_usize).saturating_sub(prompt.len());
        let (whole, sampled) = (&whole[first..], &generation.logprobs[first..]);
        assert!(close(whole, sampled, 1e-4), "prompt of {}: {whole:?} {sampled:?}", prompt.len());
        compared += whole.len();
        crossed += usize::from(first > 0);
    }
    assert!(compared > 20 && crossed > 1, "{compared} {crossed}");
}

#[test]
fn a_seed_gives_the_same_tokens_whatever_the_batch() {
    let model = trainable("gemma3");
    let together = sample(&model, &requests(), &config(12));
    assert_eq!(together.len(), 6);
    assert_ne!(together[0].ids, together[1].ids);
    let one_by_one = config(12).with_max_batch(1);
    let ids = |generations: &[Generation]| -> Vec<Vec<u32>> {
        generations.iter().map(|g| g.ids.clone()).collect()
    };
    assert_eq!(ids(&together), ids(&sample(&model, &requests(), &one_by_one)));
    let alone = sample(&model, &requests()[2..], &config(12));
    assert_eq!(ids(&together[4..]), ids(&alone));
}

/// Samples end after different numbers of tokens, and others take their places in the batch.
#[test]
fn what_enters_the_batch_late_is_drawn_as_if_it_had_been_there_from_the_start() {
    for name in ["gemma3", "llama-yarn4", "qwen3-window-bias", "phi3-longrope"] {
        let model = trainable(name);
        let mut asked = requests();
        asked.push(Request { prompt: vec![17; 13], samples: 5, seed: 4 });
        let drawn = |max_batch: usize| {
            let config = config(24).with_max_batch(max_batch);
            model
                .generate(&asked, &config, &mut |token| {
                    // By request, sample and token, so that it does not depend on the batch.
                    let number = token.token as usize + token.sample + token.request;
                    let ends = number.is_multiple_of(7);
                    if ends { AfterToken::EndSequence } else { AfterToken::Continue }
                })
                .unwrap()
        };
        let whole = drawn(64);
        assert_eq!(whole.len(), 11);
        let lengths: Vec<usize> = whole.iter().map(|generation| generation.ids.len()).collect();
        assert!(lengths.iter().any(|length| *length != lengths[0]), "{name}: {lengths:?}");
        for max_batch in [1, 2, 3, 5, 10] {
            assert_eq!(drawn(max_batch), whole, "{name}, {max_batch} at a time");
        }
    }
}

#[test]
fn samples_end_for_the_reason_they_name() {
    let model = trainable("llama-tied-theta100k");
    let free = sample(&model, &requests(), &config(9));
    assert!(free.iter().all(|g| g.finish == FinishReason::Length && g.ids.len() == 9));

    // What was sampled freely ends at the same token once that is an end token.
    let eos = free[0].ids[4];
    let ended = sample(&model, &requests(), &config(9).with_eos_token_ids(vec![127, eos]));
    for (free, ended) in free.iter().zip(&ended) {
        let end = free.ids.iter().position(|&id| id == eos || id == 127);
        let expected = &free.ids[..end.map_or(9, |end| end + 1)];
        assert_eq!(ended.ids, expected);
        assert_eq!(ended.finish == FinishReason::Eos, end.is_some());
    }

    let stop = free[3].ids[2..4].to_vec();
    let stopped =
        sample(&model, &requests(), &config(9).with_stop_sequences(vec![vec![], stop.clone()]));
    assert_eq!(stopped[3].finish, FinishReason::Stop);
    assert!(stopped[3].ids.ends_with(&stop) && stopped[3].ids.len() <= 4);

    let long = Request { prompt: vec![7; 60], samples: 1, seed: 0 };
    let context = sample(&model, &[long], &config(9));
    assert_eq!((context[0].finish, context[0].ids.len()), (FinishReason::Context, 4));
    let none = sample(&model, &requests(), &config(0));
    assert!(none.iter().all(|g| g.ids.is_empty() && g.finish == FinishReason::Length));
}

#[test]
fn the_listener_hears_every_token_and_can_break_off() {
    let model = trainable("llama-tied-theta100k");
    let mut heard = vec![Vec::new(); 3];
    let generations = model
        .generate(&requests()[..1], &config(6), &mut |token| {
            heard[token.sample].push(token.token);
            AfterToken::Continue
        })
        .unwrap();
    for (heard, generation) in heard.iter().zip(&generations) {
        assert_eq!(heard, &generation.ids);
    }
    let mut count = 0;
    let broken = model
        .generate(&requests(), &config(6), &mut |_| {
            count += 1;
            if count == 8 { AfterToken::EndAll } else { AfterToken::Continue }
        })
        .unwrap();
    assert_eq!(broken.len(), 6);
    assert!(broken.iter().all(|g| g.finish == FinishReason::Interrupted && g.ids.len() == 2));
}

#[test]
fn the_listener_can_end_one_sequence_while_the_others_go_on() {
    let model = trainable("llama-tied-theta100k");
    let free = sample(&model, &requests(), &config(9));
    let mut counts = std::collections::HashMap::new();
    let ended = model
        .generate(&requests(), &config(9), &mut |token| {
            let count = counts.entry((token.request, token.sample)).or_insert(0);
            *count += 1;
            let ends = (token.request, token.sample, *count) == (0, 1, 4) || token.request == 2;
            if ends { AfterToken::EndSequence } else { AfterToken::Continue }
        })
        .unwrap();
    for (free, ended) in free.iter().zip(&ended) {
        let (length, reason) = match (free.request, free.sample) {
            (0, 1) => (4, FinishReason::Stop),
            (2, _) => (1, FinishReason::Stop),
            _ => (9, FinishReason::Length),
        };
        assert_eq!((&ended.ids[..], ended.finish), (&free.ids[..length], reason));
        assert_eq!(ended.logprobs, free.logprobs[..length]);
    }
    // An end token is the better reason.
    let config = config(9).with_eos_token_ids(vec![free[0].ids[0]]);
    let ended = model.generate(&requests()[..1], &config, &mut |_| AfterToken::EndSequence);
    assert_eq!(ended.unwrap()[0].finish, FinishReason::Eos);
}

#[test]
fn tempered_log_probabilities_are_those_of_the_forward_pass_at_the_temperature() {
    let model = trainable("gemma2");
    let cold = config(12).with_temperature(0.6);
    for config in [cold.clone(), cold.with_top_k(Some(5)), config(12).with_top_p(Some(0.7))] {
        for generation in sample(&model, &requests(), &config) {
            let prompt = &requests()[generation.request].prompt;
            let tokens: Vec<u32> = prompt.iter().chain(&generation.ids).copied().collect();
            let options = ForwardOptions::default().with_temperature(config.temperature);
            let found = logps(&model, &bestof_models::TokenForest::text(&tokens), &options);
            assert!(close(&found[prompt.len() - 1..], &generation.tempered_logprobs, 1e-4));
        }
    }
}

#[test]
fn adapters_take_part_unless_switched_off() {
    let model = with_lora("llama-gqa-untied", 0.0);
    let base = trainable("llama-gqa-untied");
    let ids = |model: &Decoder, adapters| -> Vec<Vec<u32>> {
        sample(model, &requests(), &config(8).with_adapters(adapters))
            .into_iter()
            .map(|g| g.ids)
            .collect()
    };
    assert_eq!(ids(&base, true), ids(&model, false));
    assert_ne!(ids(&base, true), ids(&model, true));
}

#[test]
fn bad_requests_are_refused() {
    let model = trainable("llama-tied-theta100k");
    let run = |request: Request, config: &SamplingConfig| {
        model.generate(&[request], config, &mut |_| AfterToken::Continue).unwrap_err().to_string()
    };
    let good = Request { prompt: vec![1], samples: 1, seed: 0 };
    let empty = Request { prompt: vec![], ..good.clone() };
    assert!(run(empty, &config(1)).contains("empty prompt"));
    let outside = Request { prompt: vec![1, 128], ..good.clone() };
    assert!(run(outside, &config(1)).contains("token 128"));
    let cold = config(1).with_temperature(-1.0);
    assert!(run(good, &cold).contains("temperature"));
}
