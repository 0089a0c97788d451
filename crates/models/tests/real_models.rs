//! Real models against transformers 5.23.
//!
//! Compiled with the feature `real-models` only, and then failing, not passing over, when the
//! folder named by `BESTOF_REAL_MODELS` or a model in it is missing.
#![cfg(feature = "real-models")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

use std::path::PathBuf;

use bestof_checkpoints::Tokenizer;
use bestof_closeness::largest_difference;
use bestof_models::Device;
use bestof_models::encoder::{Encoder, EncoderBatch};
use burn::tensor::Tensor;
use serde_json::Value;

fn folder(name: &str) -> PathBuf {
    let root = std::env::var_os("BESTOF_REAL_MODELS")
        .expect("BESTOF_REAL_MODELS names the folder that holds the fetched models");
    PathBuf::from(root).join(name)
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// The largest difference between recorded starts of vectors and `found`, one vector for each.
fn difference_from(recorded: &Value, found: impl Fn(&Value) -> Vec<f32>) -> f64 {
    let recorded = recorded.as_array().unwrap();
    assert!(!recorded.is_empty());
    let (mut starts, mut expected) = (Vec::new(), Vec::new());
    for entry in recorded {
        let (found, values) = (found(entry), numbers(&entry["values"]));
        assert!(found.len() > values.len() && !values.is_empty());
        starts.push(found[..values.len()].to_vec());
        expected.push(values);
    }
    largest_difference(starts, expected)
}

fn index(entry: &Value, field: &str) -> usize {
    entry[field].as_u64().unwrap() as usize
}

fn vector<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

#[test]
fn minilm_embeds_sentences_as_transformers_does() {
    let recorded: Value =
        serde_json::from_str(include_str!("fixtures/real/minilm-l6-v2.json")).unwrap();
    let dir = folder("minilm-l6-v2");
    let tokenizer = Tokenizer::from_dir(&dir).unwrap();
    let sentences = recorded["sentences"].as_array().unwrap();
    let ids: Vec<Vec<u32>> =
        sentences.iter().map(|s| tokenizer.encode(s.as_str().unwrap(), true).unwrap()).collect();
    for (ids, expected) in ids.iter().zip(recorded["ids"].as_array().unwrap()) {
        assert_eq!(ids.iter().map(|id| f64::from(*id)).collect::<Vec<_>>(), numbers(expected));
    }
    let (model, report) = Encoder::open(&dir, &Device::flex()).unwrap();
    assert!(report.unused.is_empty(), "{report:?}");
    let batch = EncoderBatch::pad(&ids, model.config().pad_token_id).unwrap();
    let output = model.forward(&batch, None).unwrap();

    // Both sides compute in f32; transformers' own two attention kernels differ by 2e-6.
    let hidden = difference_from(&recorded["last_hidden_state"], |entry| {
        let (row, token) = (index(entry, "row"), index(entry, "token"));
        vector(output.last_hidden_state.clone().slice([row..row + 1, token..token + 1]))
    });
    let row = |tensor: &Tensor<2>, at: usize| vector(tensor.clone().slice_dim(0, at..at + 1));
    let pooler = output.pooler_output.clone().unwrap();
    let pooled =
        difference_from(&recorded["pooler_output"], |entry| row(&pooler, index(entry, "row")));
    let means = batch.mean_pool(output.last_hidden_state.clone());
    let mean = difference_from(&recorded["mean_pooled"], |entry| row(&means, index(entry, "row")));
    println!("last_hidden_state {hidden:e}, pooler_output {pooled:e}, mean_pooled {mean:e}");
    assert!(hidden < 2e-5 && pooled < 2e-5 && mean < 2e-5, "{hidden:e} {pooled:e} {mean:e}");

    let means: Vec<Vec<f32>> = (0..ids.len()).map(|at| row(&means, at)).collect();
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    for (a, cosines) in means.iter().zip(recorded["cosines"].as_array().unwrap()) {
        for (b, expected) in means.iter().zip(numbers(cosines)) {
            let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
            assert!((cosine - expected).abs() < 1e-5, "{cosine} {expected}");
        }
    }
}
