//! Configs in both spellings: what is read, what is written, what is refused.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;

use bestof_positional::hf::{
    FULL_ATTENTION, HfDefaults, HfRope, LayerRopes, SLIDING_ATTENTION, Spelling,
};
use bestof_positional::{
    Composed, DynamicNtk, Linear, Llama3, LongRope, Method, Power, RopeBasis, RopeConfig,
    RopeError, RopeParams, RopeScaling, XPos, Yarn,
};
use serde_json::{Value, json};

const SPELLINGS: [Spelling; 3] = [Spelling::RopeScaling, Spelling::RopeParameters, Spelling::Both];

/// A config of a small LLaMA around some RoPE keys.
fn llama(rope: &Value) -> Value {
    let mut config = json!({
        "model_type": "llama", "hidden_size": 32, "num_attention_heads": 4, "head_dim": 8,
        "max_position_embeddings": 128,
    });
    config.as_object_mut().unwrap().extend(rope.as_object().unwrap().clone());
    config
}

fn read(config: &Value) -> Result<HfRope, RopeError> {
    HfRope::read(config, &HfDefaults::default())
}

fn one(config: &Value) -> RopeConfig {
    match read(config).unwrap().layers {
        LayerRopes::Uniform(rope) => rope,
        LayerRopes::PerLayerType(_) => panic!("one map was expected"),
    }
}

fn refusal(rope: &Value) -> String {
    read(&llama(rope)).unwrap_err().to_string()
}

#[test]
fn both_spellings_mean_the_same() {
    let dynamic = DynamicNtk { factor: 4.0, original_max_position_embeddings: 128 };
    let expected = [
        (json!({"rope_type": "default"}), RopeScaling::Default),
        (json!({"rope_type": "linear", "factor": 4}), RopeScaling::Linear(Linear { factor: 4.0 })),
        (json!({"rope_type": "dynamic", "factor": 4.0}), RopeScaling::Dynamic(dynamic)),
        (
            json!({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}),
            RopeScaling::Yarn(Yarn::new(4.0, 32)),
        ),
        (
            json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                   "high_freq_factor": 4.0, "original_max_position_embeddings": 32}),
            RopeScaling::Llama3(Llama3 {
                factor: 8.0,
                low_freq_factor: 1.0,
                high_freq_factor: 4.0,
                original_max_position_embeddings: 32,
            }),
        ),
        (
            json!({"rope_type": "longrope", "factor": 4.0, "original_max_position_embeddings": 32,
                   "short_factor": [1, 1, 1, 1], "long_factor": [1.0, 1.5, 2.5, 4.0]}),
            RopeScaling::LongRope(LongRope {
                short_factor: vec![1.0; 4],
                long_factor: vec![1.0, 1.5, 2.5, 4.0],
                original_max_position_embeddings: 32,
                factor: Some(4.0),
                attention_factor: None,
            }),
        ),
    ];
    for (map, scaling) in expected {
        let mut parameters = map.clone();
        parameters["rope_theta"] = json!(500_000.0);
        let mut legacy = map.clone();
        let name = legacy.as_object_mut().unwrap().remove("rope_type").unwrap();
        legacy["type"] = if name == "longrope" { json!("su") } else { name };
        let config = RopeConfig {
            max_position_embeddings: Some(128),
            scaling,
            ..RopeConfig::new(8, 500_000.0)
        };
        assert_eq!(one(&llama(&json!({"rope_parameters": parameters}))), config);
        assert_eq!(one(&llama(&json!({"rope_theta": 5e5, "rope_scaling": map}))), config);
        assert_eq!(one(&llama(&json!({"rope_theta": 500_000, "rope_scaling": legacy}))), config);
    }
}

#[test]
fn fallbacks_are_those_of_transformers() {
    let plain = one(&llama(&json!({"head_dim": null, "rope_scaling": null})));
    assert_eq!(
        plain,
        RopeConfig { max_position_embeddings: Some(128), ..RopeConfig::new(8, 10_000.0) }
    );
    // rope_scaling wins over rope_parameters; an empty one does not count.
    let both = json!({"rope_scaling": {"rope_type": "linear", "factor": 2.0},
                      "rope_parameters": {"rope_type": "default", "rope_theta": 7e4}});
    assert_eq!(one(&llama(&both)).scaling, RopeScaling::Linear(Linear { factor: 2.0 }));
    let empty = json!({"rope_scaling": {}, "rope_parameters": {"rope_theta": 7e4}});
    assert_eq!(one(&llama(&empty)).rope_theta, 7e4);
    // The base within the map wins over the one beside it.
    let thetas = json!({"rope_theta": 2e4, "rope_parameters": {"rope_theta": 7e4}});
    assert_eq!(one(&llama(&thetas)).rope_theta, 7e4);

    let original =
        |rope: Value| one(&llama(&rope)).scaling.original_max_position_embeddings().unwrap();
    let yarn = |mut map: Value| {
        map["rope_type"] = json!("yarn");
        map["factor"] = json!(2.0);
        map
    };
    assert_eq!(original(json!({"rope_scaling": yarn(json!({}))})), 128);
    let inner = yarn(json!({"original_max_position_embeddings": 64}));
    assert_eq!(original(json!({"rope_scaling": inner})), 64);
    let outer = json!({"rope_scaling": inner, "original_max_position_embeddings": 16});
    assert_eq!(original(outer), 16);
    // `dynamic` divides by the model's own length whatever the map says.
    let dynamic = json!({"rope_type": "dynamic", "factor": 2.0,
                         "original_max_position_embeddings": 64});
    let found = read(&llama(&json!({"rope_scaling": dynamic}))).unwrap();
    assert_eq!(found.unrecognised, ["original_max_position_embeddings"]);
    assert_eq!(original(json!({"rope_scaling": dynamic})), 128);

    // A null factor of yarn, and a missing one of longrope, is the ratio of the lengths.
    let null_factor = json!({"rope_type": "yarn", "factor": null, "original_max_position_embeddings": 32,
                      "beta_fast": 0, "mscale": 0});
    let RopeScaling::Yarn(rule) = one(&llama(&json!({"rope_scaling": null_factor}))).scaling else {
        panic!("yarn")
    };
    assert_eq!((rule.factor, rule.beta_fast), (4.0, 32.0));
    let lists = json!({"rope_type": "longrope", "short_factor": [1, 1, 1, 1],
                       "long_factor": [2, 2, 2, 2], "original_max_position_embeddings": 32});
    let longrope = one(&llama(&json!({"rope_parameters": lists}))).scaling;
    assert_eq!(longrope.factor(), Some(4.0));
    let expected = (1.0 + 4_f64.ln() / 32_f64.ln()).sqrt();
    assert!((longrope.attention_factor() - expected).abs() < 1e-15);
    // A model whose length was cut below the original is not stretched.
    let cut = json!({"rope_parameters": lists, "max_position_embeddings": 16});
    assert_eq!(one(&llama(&cut)).scaling.attention_factor(), 1.0);
}

#[test]
fn partial_rotation_is_found_in_both_places() {
    let outer = one(&llama(&json!({"partial_rotary_factor": 0.5})));
    assert_eq!(outer.build().unwrap().table(0).inv_freq.len(), 2);
    let inner = json!({"rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.25},
                       "partial_rotary_factor": 0.5});
    assert_eq!(one(&llama(&inner)).build().unwrap().table(0).inv_freq.len(), 1);
    let proportional = json!({"rope_parameters": {"rope_type": "proportional", "rope_theta": 1e4,
                              "partial_rotary_factor": 0.5}});
    let table = one(&llama(&proportional)).build().unwrap().table(0);
    assert_eq!(table.inv_freq[2..], [0.0, 0.0]);
    assert!((table.inv_freq[1] - 0.1).abs() < 1e-15);
}

#[test]
fn gemma3_has_a_basis_for_each_kind_of_layer() {
    let nested = llama(&json!({
        "layer_types": ["sliding_attention", "full_attention"],
        "rope_parameters": {
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
        },
    }));
    let old = llama(&json!({
        "rope_theta": 1_000_000, "rope_local_base_freq": 10_000,
        "rope_scaling": {"rope_type": "linear", "factor": 8},
    }));
    let bare = llama(&json!({"rope_scaling": {"rope_type": "linear", "factor": 8.0}}));
    let gemma = HfDefaults::gemma3();
    let expected = read(&nested).unwrap();
    assert_eq!(read(&old).unwrap(), expected);
    assert_eq!(HfRope::read(&bare, &gemma).unwrap(), expected);
    assert_eq!(HfRope::read(&nested, &gemma).unwrap(), expected);
    let full = expected.layers.get(FULL_ATTENTION).unwrap();
    assert_eq!((full.rope_theta, full.scaling.factor()), (1e6, Some(8.0)));
    let sliding = expected.layers.get(SLIDING_ATTENTION).unwrap();
    assert_eq!((sliding.rope_theta, &sliding.scaling), (1e4, &RopeScaling::Default));
    assert!(expected.layers.get("linear_attention").is_none());
    assert_eq!(expected.layers.iter().count(), 2);

    for spelling in SPELLINGS {
        let mut config = nested.clone();
        expected.layers.write(&mut config, spelling).unwrap();
        assert_eq!(read(&config).unwrap(), expected, "{spelling:?}: {config}");
        assert_eq!(HfRope::read(&config, &gemma).unwrap(), expected, "{spelling:?}: {config}");
        let legacy = spelling != Spelling::RopeParameters;
        assert_eq!(config.get("rope_local_base_freq").is_some(), legacy);
        assert_eq!(config.get("rope_parameters").is_some(), spelling != Spelling::RopeScaling);
    }
}

#[test]
fn an_error_within_a_kind_of_layer_names_it() {
    let config = llama(&json!({"rope_parameters": {
        "full_attention": {"rope_type": "linear", "rope_theta": 1e6},
        "sliding_attention": null,
    }}));
    let message = read(&config).unwrap_err().to_string();
    assert!(message.contains("`full_attention`") && message.contains("`factor`"), "{message}");
}

#[test]
fn the_old_spelling_says_what_it_cannot_say() {
    let scaled = RopeConfig {
        scaling: RopeScaling::Linear(Linear { factor: 2.0 }),
        ..RopeConfig::new(8, 1e4)
    };
    let full = (FULL_ATTENTION.to_owned(), RopeConfig::new(8, 1e6));
    let sliding = LayerRopes::PerLayerType(BTreeMap::from([
        full.clone(),
        (SLIDING_ATTENTION.to_owned(), scaled),
    ]));
    let before = llama(&json!({"rope_theta": 3.0, "max_position_embeddings": null}));
    for layers in [sliding, LayerRopes::PerLayerType(BTreeMap::from([full]))] {
        let mut config = before.clone();
        let error = layers.write(&mut config, Spelling::RopeScaling).unwrap_err();
        assert!(error.to_string().contains("write rope_parameters"), "{error}");
        assert_eq!(config, before, "a refused write must leave the config alone");
        layers.write(&mut config, Spelling::RopeParameters).unwrap();
        assert_eq!(read(&config).unwrap().layers, layers);
    }
}

#[test]
fn yarn_truncate_stands_beside_nested_maps() {
    let rule = |truncate| RopeConfig {
        scaling: RopeScaling::Yarn(Yarn { truncate, ..Yarn::new(4.0, 32) }),
        max_position_embeddings: Some(128),
        ..RopeConfig::new(8, 1e4)
    };
    let kinds = |full, sliding| {
        let full = (FULL_ATTENTION.to_owned(), rule(full));
        let sliding = (SLIDING_ATTENTION.to_owned(), rule(sliding));
        LayerRopes::PerLayerType(BTreeMap::from([full, sliding]))
    };
    for truncate in [true, false] {
        let mut config = llama(&json!({}));
        let layers = kinds(truncate, truncate);
        layers.write(&mut config, Spelling::RopeParameters).unwrap();
        assert_eq!(config["rope_parameters"].get("truncate").is_some(), !truncate);
        assert_eq!(read(&config).unwrap().layers, layers);
    }
    // Within a map it has no effect in transformers, so it has none here, and is reported.
    let inner = json!({"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e4, "truncate": false,
                       "original_max_position_embeddings": 32});
    let nested = json!({"full_attention": inner, "sliding_attention": inner});
    let found = read(&llama(&json!({"rope_parameters": nested}))).unwrap();
    assert_eq!(found.layers, kinds(true, true));
    assert_eq!(found.unrecognised, ["full_attention.truncate", "sliding_attention.truncate"]);
    let error = kinds(true, false).write(&mut llama(&json!({})), Spelling::RopeParameters);
    assert!(matches!(error, Err(RopeError::NotExpressible { .. })));
}

#[test]
fn every_scaling_survives_every_spelling() {
    let params = RopeParams {
        factor: Some(4.0),
        power: Some(0.3),
        truncate_length: Some(64),
        original_max_position_embeddings: Some(48),
        low_freq_factor: Some(1.5),
        high_freq_factor: Some(3.5),
        beta_fast: Some(16.0),
        beta_slow: Some(2.0),
        truncate: Some(false),
        mscale: Some(1.0),
        mscale_all_dim: Some(0.7),
        short_factor: Some(vec![1.0, 1.1]),
        long_factor: Some(vec![1.2, 3.3]),
        gamma: Some(0.3),
        scale_base: Some(256.0),
        centre: Some(64.0),
        smallest_step: Some(0.1),
        ..RopeParams::default()
    };
    let mut scalings: Vec<RopeScaling> = Method::ALL
        .map(|method| RopeScaling::from_params(method, &params, Some(128)).unwrap())
        .into();
    for first in scalings.clone() {
        let then = RopeScaling::Power(Power { power: 0.5, factor: 2.0 }).into();
        scalings.push(RopeScaling::Composed(Composed { first: first.into(), then }));
    }
    for scaling in scalings {
        let proportional = matches!(&scaling, RopeScaling::Proportional(_));
        let length = match &scaling {
            RopeScaling::Dynamic(rule) => rule.original_max_position_embeddings,
            _ => 128,
        };
        let written = RopeConfig {
            max_position_embeddings: Some(length),
            partial_rotary_factor: if proportional { 1.0 } else { 0.5 },
            scaling,
            ..RopeConfig::new(8, 12_345.678)
        };
        for spelling in SPELLINGS {
            // Whatever another model left behind must not shine through.
            let mut config = llama(&json!({
                "rope_theta": 99.0, "rope_scaling": {"type": "linear", "factor": 9.0},
                "original_max_position_embeddings": 7, "partial_rotary_factor": 0.25,
            }));
            let layers = LayerRopes::Uniform(written.clone());
            layers.write(&mut config, spelling).unwrap();
            let text = serde_json::to_string(&config).unwrap();
            let config: Value = serde_json::from_str(&text).unwrap();
            let found = read(&config).unwrap();
            assert_eq!(found.layers, layers, "{spelling:?}: {config}");
            assert!(found.unrecognised.is_empty(), "{:?}", found.unrecognised);
        }
    }
}

#[test]
fn dynamic_is_written_with_the_length_it_divides_by() {
    let rule = DynamicNtk { factor: 4.0, original_max_position_embeddings: 2048 };
    let layers = LayerRopes::Uniform(RopeConfig {
        max_position_embeddings: Some(8192),
        scaling: RopeScaling::Dynamic(rule),
        ..RopeConfig::new(8, 1e4)
    });
    let mut config = llama(&json!({}));
    layers.write(&mut config, Spelling::Both).unwrap();
    assert_eq!(config["max_position_embeddings"], 2048);
    assert_eq!(one(&config).scaling, RopeScaling::Dynamic(rule));
}

#[test]
fn refusals_name_the_key_and_the_way_out() {
    let cases = [
        (json!({"rope_scaling": {"type": "yran", "factor": 2.0}}), "`yran`; known are default"),
        (json!({"rope_scaling": {"type": "linear"}}), "`linear` needs `factor`"),
        (
            json!({"rope_scaling": {"type": "linear", "factor": "4"}}),
            "`factor` in the config is \"4\"",
        ),
        (json!({"rope_scaling": {"type": "linear", "factor": 0.5}}), "at least 1"),
        (json!({"rope_scaling": {"type": "linear", "factor": 0}}), "`factor` 0"),
        (json!({"rope_scaling": {"type": 7}}), "a string"),
        (json!({"rope_scaling": "linear"}), "a map"),
        (json!({"rope_theta": 0}), "rope_theta 0"),
        (json!({"head_dim": 7}), "head dimension 7"),
        (json!({"head_dim": -8}), "whole number"),
        (json!({"head_dim": null, "num_attention_heads": 0}), "at least 1"),
        (json!({"head_dim": null, "hidden_size": null}), "no `hidden_size`"),
        (json!({"head_dim": 1e300}), "whole number"),
        (json!({"head_dim": 9_007_199_254_740_992_u64}), "at most 65536"),
        (json!({"partial_rotary_factor": 2.0}), "(0, 1]"),
        (
            json!({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}),
            "`llama3` needs `low_freq_factor`",
        ),
        (
            json!({"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 4,
                                    "high_freq_factor": 1}}),
            "`low_freq_factor` (4) below `high_freq_factor` (1)",
        ),
        (
            json!({"rope_scaling": {"rope_type": "longrope", "short_factor": [1.0],
                                    "long_factor": [1.0, 1.0, 1.0, 1.0]}}),
            "`short_factor` has 1 entries",
        ),
        (
            json!({"rope_scaling": {"rope_type": "longrope", "short_factor": [1, 1, 0, 1],
                                    "long_factor": [1, 1, 1, 1]}}),
            "`short_factor[2]` is 0",
        ),
        (json!({"rope_scaling": {"rope_type": "longrope"}}), "needs `short_factor`"),
        (
            json!({"rope_scaling": {"rope_type": "yarn", "factor": 2.0},
                   "max_position_embeddings": null}),
            "`original_max_position_embeddings`, or `max_position_embeddings`",
        ),
        (
            json!({"rope_scaling": {"rope_type": "truncated", "a": 1.0, "b": 2.0, "rho": 0.5}}),
            "truncate every pair",
        ),
        (json!({"rope_scaling": {"rope_type": "composed"}}), "`composed` needs `first`"),
    ];
    for (rope, expected) in cases {
        let message = refusal(&rope);
        assert!(message.contains(expected), "{rope}: {message}");
    }
    assert!(read(&json!([1])).unwrap_err().to_string().contains("`config`"));
}

#[test]
fn keys_that_are_not_read_are_reported() {
    let rope =
        json!({"rope_type": "linear", "factor": 2.0, "beta_fast": 32, "facter": 4, "x": null});
    let mut found = read(&llama(&json!({"rope_scaling": rope}))).unwrap().unrecognised;
    found.sort();
    assert_eq!(found, ["beta_fast", "facter"]);
    let nested = json!({"full_attention": {"rope_theta": 1e4, "power": 1}, "note": 3});
    let mut found = read(&llama(&json!({"rope_parameters": nested}))).unwrap().unrecognised;
    found.sort();
    assert_eq!(found, ["full_attention.power", "note"]);
}

#[test]
fn exports_read_back_with_the_same_frequencies() {
    let scaling = RopeScaling::Power(Power { power: 0.5, factor: 4.0 });
    let config = RopeConfig {
        max_position_embeddings: Some(8192),
        scaling,
        ..RopeConfig::new(64, 10_000.0)
    };
    let exported = config.portable().unwrap();
    for spelling in SPELLINGS {
        let mut file = llama(&json!({"head_dim": 64}));
        LayerRopes::Uniform(exported.clone()).write(&mut file, spelling).unwrap();
        let loaded = one(&file).build().unwrap();
        loaded.verify_frequency_hash(&config.frequency_hash().unwrap()).unwrap();
        let plain = config.build().unwrap().table(0);
        for length in [1, 8192, 100_000] {
            let table = loaded.table(length);
            for (found, expected) in table.inv_freq.iter().zip(&plain.inv_freq) {
                assert!((found - expected).abs() <= 1e-14 * expected);
            }
        }
    }
    let decaying = RopeConfig { scaling: RopeScaling::XPos(XPos::default()), ..config };
    assert!(decaying.portable().is_err());
}
