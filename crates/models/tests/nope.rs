//! Models without RoPE, whole and in some layers, against transformers 5.24: there the rotary
//! embedding of the tiny checkpoints was replaced by cosine `sqrt(beta)` and sine 0. Recorded with
//! `fixtures/record_nope.py`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::unreadable_literal, reason = "golden numbers, as they were printed")]

mod common;

use bestof_checkpoints::ModelFolder;
use bestof_closeness::largest_difference;
use bestof_kernels::host_values;
use bestof_models::{
    AfterToken, CausalLm, Decoder, DecoderConfig, Device, ForwardOptions, ModelError, Request,
    SamplingConfig, TokenForest,
};
use bestof_positional::hf::{Extension, HfRope, NoRope};
use bestof_positional::{Method, RopeError, RopeParams};
use serde_json::json;

/// Both sides compute in f32; the numbers below have six decimals.
const TOLERANCE: f64 = 1e-5;

const LLAMA: &str = "llama-gqa-untied";

/// The first row of the fixture's `input_ids`.
fn first_row(name: &str) -> Vec<u32> {
    let path = common::folder(name).join("expected.safetensors");
    let (shape, ids) =
        bestof_checkpoints::Weights::open(&path).unwrap().read_i64("input_ids").unwrap();
    ids[..shape[1]].iter().map(|&id| id as u32).collect()
}

fn changed(name: &str, extension: &Extension) -> Decoder {
    let mut folder = ModelFolder::open(&common::folder(name)).unwrap();
    folder.config = extension.apply(&folder.config).unwrap().config;
    Decoder::open(&folder, &Device::flex()).unwrap()
}

fn check(name: &str, extension: &Extension, logps: &[f32], greedy: &[u32]) {
    let (model, row) = (changed(name, extension), first_row(name));
    let forest = TokenForest::text(&row);
    let found = host_values(model.token_logps(&forest, &ForwardOptions::default()).unwrap());
    assert_eq!(found.len(), logps.len());
    let difference = largest_difference(&found, logps);
    assert!(difference < TOLERANCE, "{name}: {difference}");
    let request = Request { prompt: row[..8].to_vec(), samples: 1, seed: 0 };
    let sampling = SamplingConfig::greedy(greedy.len()).with_prefill_chunk(3);
    let drawn = model.generate(&[request], &sampling, &mut |_| AfterToken::Continue).unwrap();
    assert_eq!(drawn[0].ids, greedy, "{name}");
}

const DROPPED: [f32; 23] = [
    -4.828534, -4.452485, -6.038918, -6.215755, -5.098392, -5.369837, -5.002909, -5.423847,
    -5.904283, -5.284262, -4.832119, -5.704833, -6.28099, -5.207782, -3.472279, -5.519945,
    -3.734843, -4.958649, -4.306988, -5.568865, -5.089632, -5.212815, -5.640221,
];

#[test]
fn dropped_from_every_layer() {
    let greedy = [49, 69, 107, 115, 115, 115, 115, 115, 39, 107, 56, 49];
    for method in [Method::NoPe, Method::DroPe] {
        let extension = Extension::new(method, RopeParams::default());
        check(LLAMA, &extension, &DROPPED, &greedy);
    }
}

#[test]
fn with_scores_scaled_for_a_context_four_times_as_long() {
    let params = RopeParams { factor: Some(4.0), logit_slope: Some(0.5), ..RopeParams::default() };
    // beta = 1 + 0.5 ln 4
    let logps = [
        -4.828534, -4.535204, -6.002084, -6.660425, -5.07663, -5.492846, -4.931153, -5.677381,
        -5.767334, -5.439224, -5.024682, -5.576811, -6.47225, -5.220951, -3.461588, -5.210092,
        -3.793331, -5.320319, -4.696287, -5.899035, -5.384401, -5.208812, -5.720414,
    ];
    let greedy = [49, 65, 107, 106, 49, 65, 107, 115, 20, 42, 65, 107];
    check(LLAMA, &Extension::new(Method::DroPe, params), &logps, &greedy);
}

#[test]
fn dropped_from_one_layer_of_two() {
    let no_rope = NoRope { no_rope_layer_interval: Some(2), ..NoRope::default() };
    let extension = Extension { no_rope, ..Extension::new(Method::Default, RopeParams::default()) };
    let logps = [
        -4.828534, -4.706729, -6.034492, -6.274702, -5.31515, -5.689118, -4.827391, -5.29821,
        -5.793433, -5.357473, -4.684515, -5.65009, -6.114146, -4.523937, -3.471061, -5.523664,
        -3.884336, -5.146037, -3.739496, -4.788139, -5.187098, -5.377007, -5.649672,
    ];
    check(LLAMA, &extension, &logps, &[49, 69, 107, 115, 60, 49, 69, 127, 106, 72, 67, 72]);
}

#[test]
fn dropped_from_layers_with_and_without_a_window() {
    let logps = [
        -5.000405, -4.809597, -3.337373, -4.144955, -5.126665, -5.781235, -4.473485, -4.480772,
        -5.021502, -5.321927, -3.800216, -4.485714, -4.921949, -5.114606, -4.927942, -5.518215,
        -5.147598, -5.12189, -5.100243, -5.893362, -5.317986, -5.793203, -5.566816, -5.460808,
        -6.290576, -5.683605, -4.695771, -5.275478, -4.263944, -5.060863, -3.03035, -5.530069,
        -4.759643, -5.868236, -5.85611, -5.498807, -5.465126, -5.379786, -4.502255,
    ];
    let greedy = [24, 24, 24, 24, 24, 24, 75, 75, 75, 75, 75, 75];
    let extension = Extension::new(Method::DroPe, RopeParams::default());
    check("gemma3", &extension, &logps, &greedy);
}

/// Norm and first entry of gradients of the row's log-probability, by torch in f64.
#[test]
fn gradients_with_one_layer_of_two_dropped() {
    let expected = [
        ("model.layers.0.self_attn.q_proj.weight", 12.386_635_26, -0.130_178_03),
        ("model.layers.0.self_attn.k_proj.weight", 14.643_337_46, 0.263_501_39),
        ("model.layers.1.self_attn.q_proj.weight", 4.520_240_22, -0.077_821_39),
        ("model.layers.1.self_attn.k_proj.weight", 4.885_539_64, 0.226_805_62),
        ("model.layers.1.self_attn.o_proj.weight", 16.145_036_48, 0.696_424_77),
    ];
    let no_rope = NoRope { no_rope_layer_interval: Some(2), ..NoRope::default() };
    let extension = Extension { no_rope, ..Extension::new(Method::Default, RopeParams::default()) };
    let mut folder = ModelFolder::open(&common::folder(LLAMA)).unwrap();
    folder.config = extension.apply(&folder.config).unwrap().config;
    let model = Decoder::open(&folder, &Device::flex().autodiff()).unwrap();
    let forest = TokenForest::text(&first_row(LLAMA));
    for checkpoint_layers in [false, true] {
        let options = ForwardOptions::default().with_checkpoint_layers(checkpoint_layers);
        let logps = model.token_logps(&forest, &options).unwrap();
        let gradients = common::gradients_of(&model, &logps.sum());
        for (name, norm, first) in expected {
            let found = common::values(&gradients, name).unwrap();
            let length = found.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
            assert!((length - norm).abs() < 1e-4 * norm, "{name}: {length} {norm}");
            assert!((f64::from(found[0]) - first).abs() < 1e-4, "{name}: {} {first}", found[0]);
        }
    }
}

#[test]
fn other_settings_leave_dropped_layers_as_they_are() {
    let config = ModelFolder::open(&common::folder(LLAMA)).unwrap().config;
    let no_rope = NoRope { no_rope_layers: Some(vec![0, 1]), ..NoRope::default() };
    let extension = Extension { no_rope, ..Extension::new(Method::Default, RopeParams::default()) };
    let config = extension.apply(&config).unwrap().config;
    let settings = HfRope::of_model(&config).unwrap().layers;
    let decoder = DecoderConfig::from_hf(&config).unwrap().with_ropes(&settings).unwrap();
    let ropes: Vec<Option<usize>> = decoder.layers.iter().map(|layer| layer.rope).collect();
    assert_eq!(ropes, [None, Some(0)]);
}

#[test]
fn a_list_for_another_model_is_refused() {
    let mut config = ModelFolder::open(&common::folder(LLAMA)).unwrap().config;
    config["bestof"] = json!({ "no_rope_layers": [1, 1, 0] });
    config["num_hidden_layers"] = json!(4);
    let error = DecoderConfig::from_hf(&config).unwrap_err();
    let count = RopeError::LayerCount { found: 3, layers: 4 };
    assert!(matches!(error, ModelError::Rope(ref found) if *found == count), "{error}");
}
