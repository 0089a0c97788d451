//! What must not be done silently: double scaling, ignored parameters, changed frequencies.

use bestof_positional::{
    Composed, DroPe, DynamicNtk, Linear, LongRope, Method, NoPe, Ntk, OnScaled, Power,
    PowerTruncated, Randomized, RopeConfig, RopeError, RopeParams, RopeScaling, Thresholds,
    Truncated, XPos, Yarn,
};

fn with(scaling: RopeScaling) -> RopeConfig {
    RopeConfig { max_position_embeddings: Some(4096), scaling, ..RopeConfig::new(64, 10_000.0) }
}

fn head() -> RopeConfig {
    RopeConfig::new(64, 1e4)
}

fn drope(factor: f64, logit_slope: f64) -> DroPe {
    DroPe { original_max_position_embeddings: 1024, factor, logit_slope }
}

fn linear(factor: f64) -> RopeScaling {
    RopeScaling::Linear(Linear { factor })
}

#[test]
fn stacking_by_parameters_equals_composing() {
    let params = RopeParams {
        factor: Some(4.0),
        power: Some(0.5),
        truncate_length: Some(2048),
        ..RopeParams::default()
    };
    let stacked = head().with_method(Method::PowerTruncated, &params).unwrap();
    for method in [Method::Power, Method::Truncated] {
        assert_eq!(head().with_method(method, &params).unwrap(), stacked);
    }
    let thresholds = Thresholds::for_length(2048);
    let composed = RopeConfig::new(64, 1e4)
        .extend(linear(4.0), OnScaled::Refuse)
        .and_then(|c| {
            c.extend(RopeScaling::Power(Power { power: 0.5, factor: 1.0 }), OnScaled::Compose)
        })
        .and_then(|c| {
            let cut = RopeScaling::Truncated(Truncated { thresholds, factor: 1.0 });
            c.extend(cut, OnScaled::Compose)
        })
        .unwrap();
    let tables = [&stacked, &composed].map(|config| config.build().unwrap().table(0));
    assert_eq!(tables[0], tables[1]);
    // Thresholds read frequencies that are already divided and powered, by hand:
    for (j, found) in tables[0].inv_freq.iter().enumerate() {
        let x = 2.0 * j as f64 / 64.0;
        let g = 1e4_f64.powf(-x) / 4.0 * (1.0 - x).sqrt();
        let t = core::f64::consts::TAU / 2048.0;
        let expected = if g >= t {
            g
        } else if g > t / 8.0 {
            t / 16.0
        } else {
            0.0
        };
        assert!((found - expected).abs() <= 1e-13 * expected, "{j}: {found} {expected}");
    }
}

#[test]
fn a_scaled_model_is_scaled_again_only_on_request() {
    let yarn = with(RopeScaling::Yarn(Yarn::new(4.0, 1024)));
    let refused = yarn.extend(linear(2.0), OnScaled::default()).unwrap_err();
    assert!(refused.to_string().contains("already uses rope type `yarn`"), "{refused}");
    assert_eq!(yarn.extend(linear(2.0), OnScaled::Replace).unwrap().scaling, linear(2.0));
    let composed = yarn.extend(linear(2.0), OnScaled::Compose).unwrap();
    let (once, twice) = (yarn.build().unwrap().table(0), composed.build().unwrap().table(0));
    assert_eq!(once.attention_factor, twice.attention_factor);
    for (f, g) in once.inv_freq.iter().zip(&twice.inv_freq) {
        assert_eq!(f / 2.0, *g);
    }
    assert_eq!(composed.scaling.factor(), Some(8.0));
    let ntk = yarn.extend(RopeScaling::Ntk(Ntk { factor: 2.0 }), OnScaled::Compose).unwrap_err();
    assert!(matches!(ntk, RopeError::CannotCompose { current: "yarn", requested: "ntk" }));
    let by_hand = with(RopeScaling::Composed(Composed {
        first: linear(2.0).into(),
        then: RopeScaling::Yarn(Yarn::new(4.0, 1024)).into(),
    }));
    assert!(matches!(by_hand.build(), Err(RopeError::CannotCompose { .. })));
}

#[test]
fn exports_say_what_they_cannot_carry() {
    let dynamic = DynamicNtk { factor: 2.0, original_max_position_embeddings: 4096 };
    let on_dynamic =
        with(RopeScaling::Dynamic(dynamic)).extend(linear(2.0), OnScaled::Compose).unwrap();
    let neither = [
        with(RopeScaling::XPos(XPos::default())),
        with(RopeScaling::Randomized(Randomized::default())),
        on_dynamic,
    ];
    for config in neither {
        let error = config.portable().unwrap_err();
        assert!(matches!(error, RopeError::NotExpressible { .. }), "{error}");
        assert!(matches!(config.gguf_rope_freqs(), Err(RopeError::NotExpressible { .. })));
    }
    let random = with(RopeScaling::Randomized(Randomized { factor: 4.0, smallest_step: 0.0 }));
    assert!(random.portable().unwrap_err().to_string().contains("export `default`, or `linear`"));
    let warm = with(RopeScaling::Yarn(Yarn::new(4.0, 1024)));
    assert!(warm.gguf_rope_freqs().unwrap_err().to_string().contains("attention factor"));
    let nameless = RopeConfig {
        max_position_embeddings: None,
        ..with(RopeScaling::Power(Power { power: 1.0, factor: 1.0 }))
    };
    assert!(nameless.portable().unwrap_err().to_string().contains("`max_position_embeddings`"));
}

#[test]
fn exports_keep_frequencies_and_attention_factor() {
    let thresholds = Thresholds::for_length(2048);
    let warm = with(RopeScaling::Yarn(Yarn::new(4.0, 1024)));
    let configs = [
        with(RopeScaling::Ntk(Ntk { factor: 4.0 })),
        with(RopeScaling::Power(Power { power: 0.1, factor: 2.0 })),
        with(RopeScaling::Power(Power { power: 400.0, factor: 1.0 })),
        with(RopeScaling::Truncated(Truncated { thresholds, factor: 4.0 })),
        with(RopeScaling::PowerTruncated(PowerTruncated { power: 0.5, thresholds, factor: 1.0 })),
        warm.extend(linear(3.0), OnScaled::Compose).unwrap(),
        with(RopeScaling::NoPe(NoPe)),
        with(RopeScaling::DroPe(drope(4.0, 0.5))),
    ];
    for config in configs {
        let exported = config.portable().unwrap();
        assert!(exported.scaling.is_known_to_transformers());
        let tables = [&config, &exported].map(|c| c.build().unwrap().table(5000));
        assert_eq!(tables[0].attention_factor, tables[1].attention_factor);
        for (f, g) in tables[0].inv_freq.iter().zip(&tables[1].inv_freq) {
            assert!((f - g).abs() <= 1e-13 * f + 1e-29, "{config:?}: {f} {g}");
        }
        assert_eq!(config.frequency_hash(), exported.frequency_hash());
        if tables[0].attention_factor == 1.0 {
            let divisors = config.gguf_rope_freqs().unwrap();
            let plain = config.shape().unwrap().inv_freq();
            for ((f, e), g) in plain.iter().zip(&divisors).zip(&tables[0].inv_freq) {
                assert!((f / e - g).abs() <= 1e-13 * g + 1e-29);
            }
        }
    }
    let standard = with(linear(2.0));
    assert_eq!(standard.portable().unwrap(), standard);
}

#[test]
fn a_lock_opens_only_for_its_own_frequencies() {
    let hash = with(linear(4.0)).frequency_hash().unwrap();
    assert_eq!(hash.len(), 64);
    with(linear(4.0)).build().unwrap().verify_frequency_hash(&hash).unwrap();
    let long_lists = |last| LongRope {
        short_factor: vec![1.0; 32],
        long_factor: [vec![1.0; 31], vec![last]].concat(),
        original_max_position_embeddings: 2048,
        factor: Some(2.0),
        attention_factor: None,
    };
    let dynamic = |factor| DynamicNtk { factor, original_max_position_embeddings: 4096 };
    let others = [
        with(RopeScaling::Default),
        with(linear(4.001)),
        with(RopeScaling::Yarn(Yarn::new(4.0, 1024))),
        with(RopeScaling::Yarn(Yarn { attention_factor: Some(1.0), ..Yarn::new(4.0, 1024) })),
        with(RopeScaling::Dynamic(dynamic(2.0))),
        with(RopeScaling::Dynamic(dynamic(4.0))),
        with(RopeScaling::LongRope(long_lists(1.0))),
        with(RopeScaling::LongRope(long_lists(2.0))),
        with(RopeScaling::XPos(XPos::default())),
        with(RopeScaling::XPos(XPos { scale_base: 128.0, ..XPos::default() })),
        RopeConfig { partial_rotary_factor: 0.5, ..with(linear(4.0)) },
    ];
    let mut hashes: Vec<String> =
        others.iter().map(|config| config.frequency_hash().unwrap()).collect();
    for (config, other) in others.iter().zip(&hashes) {
        let error = config.build().unwrap().verify_frequency_hash(&hash).unwrap_err();
        assert_eq!(
            error,
            RopeError::FrequencyMismatch { expected: hash.clone(), found: other.clone() }
        );
    }
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), others.len());
}

#[test]
fn the_hash_of_plain_rope_never_changes() {
    // SHA-256 over the tag, 2.0, 1.0, 0.01, 1.0 as little-endian f32, computed apart from this crate.
    let hash = RopeConfig::new(4, 10_000.0).frequency_hash().unwrap();
    assert_eq!(hash, "5761cfd2edd502f86fe9a12def25a947a6b258096055b4bb034192b6b54b51e7");
}

#[test]
fn a_parameter_that_would_be_ignored_is_refused() {
    let params = RopeParams { factor: Some(2.0), beta_fast: Some(32.0), ..RopeParams::default() };
    let head = RopeConfig { max_position_embeddings: Some(4096), ..head() };
    let error = head.with_method(Method::Linear, &params).unwrap_err();
    assert_eq!(
        error.to_string(),
        "rope type `linear` does not use `beta_fast`; drop it (it takes: factor)"
    );
    head.with_method(Method::Yarn, &params).unwrap();
    let plain = RopeParams { factor: Some(2.0), ..RopeParams::default() };
    let error = head.with_method(Method::Default, &plain).unwrap_err();
    assert!(error.to_string().contains("no parameters"), "{error}");
    let half = RopeParams { partial_rotary_factor: Some(0.5), ..plain };
    let config = head.with_method(Method::Linear, &half).unwrap();
    assert_eq!(config.partial_rotary_factor, 0.5, "it belongs to the head, whatever the method");
}

#[test]
fn values_out_of_range_are_refused_by_name() {
    let thresholds = Thresholds { a: 0.2, b: 0.1, rho: 0.0 };
    let cases = [
        (linear(f64::NAN), "`factor` NaN"),
        (RopeScaling::Power(Power { power: -1.0, factor: 1.0 }), "`power` -1"),
        (
            RopeScaling::Truncated(Truncated { thresholds, factor: 1.0 }),
            "`a` (0.2) at most `b` (0.1)",
        ),
        (
            RopeScaling::Truncated(Truncated {
                thresholds: Thresholds::for_length(2048),
                factor: 400.0,
            }),
            "truncate every pair",
        ),
        (RopeScaling::Yarn(Yarn::new(4.0, 0)), "`original_max_position_embeddings` 0"),
        (
            RopeScaling::Yarn(Yarn { beta_slow: 64.0, ..Yarn::new(4.0, 32) }),
            "`beta_slow` (64) at most",
        ),
        (
            RopeScaling::Yarn(Yarn { attention_factor: Some(0.0), ..Yarn::new(4.0, 32) }),
            "`attention_factor` 0",
        ),
        (RopeScaling::XPos(XPos { scale_base: 0.0, ..XPos::default() }), "`scale_base` 0"),
        (
            RopeScaling::Randomized(Randomized { factor: 1.0, smallest_step: 2.0 }),
            "`smallest_step` 2",
        ),
        (RopeScaling::DroPe(drope(0.5, 0.0)), "`factor` 0.5"),
        (RopeScaling::DroPe(drope(2.0, -0.1)), "`logit_slope` -0.1"),
        (RopeScaling::DroPe(drope(2.0, f64::NAN)), "`logit_slope` NaN"),
    ];
    for (scaling, expected) in cases {
        let message = with(scaling).build().unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    let ntk =
        RopeConfig { scaling: RopeScaling::Ntk(Ntk { factor: 2.0 }), ..RopeConfig::new(2, 1e4) };
    assert!(matches!(ntk.build(), Err(RopeError::OnePair { .. })));
    let nowhere = RopeParams::default();
    let error = RopeScaling::from_params(Method::Truncated, &nowhere, None).unwrap_err();
    assert!(error.to_string().contains("`truncate_length`"), "{error}");
    let at_zero = RopeParams { truncate_length: Some(0), ..nowhere };
    let error = RopeScaling::from_params(Method::Truncated, &at_zero, None).unwrap_err();
    assert!(error.to_string().contains("`truncate_length` 0"), "{error}");
}

#[test]
fn draws_outside_the_unit_interval_are_refused() {
    let rule = Randomized::default();
    for bad in [1.0, -0.1, f64::NAN] {
        let error = rule.positions(&[0.5, bad], 2).unwrap_err();
        assert!(matches!(error, RopeError::Uniform { index: 1, .. }), "{error}");
    }
    assert_eq!(rule.positions(&[], 4).unwrap(), Vec::<f64>::new());
    let apart = Randomized { smallest_step: 0.5, ..rule };
    assert_eq!(apart.positions(&[0.0, 0.0], 4).unwrap(), [0.5, 1.0]);
}

#[test]
fn tables_change_exactly_when_their_key_does() {
    let long = LongRope {
        short_factor: vec![1.0; 32],
        long_factor: vec![2.0; 32],
        original_max_position_embeddings: 100,
        factor: Some(2.0),
        attention_factor: None,
    };
    let dynamic = DynamicNtk { factor: 2.0, original_max_position_embeddings: 100 };
    for scaling in [RopeScaling::LongRope(long), RopeScaling::Dynamic(dynamic), linear(2.0)] {
        let rope = with(scaling).build().unwrap();
        for (n, m) in [(0, 1), (1, 100), (100, 101), (101, 102), (99, 5000)] {
            let same_key = rope.length_key(n) == rope.length_key(m);
            assert_eq!(same_key, rope.table(n) == rope.table(m), "{rope:?} {n} {m}");
        }
    }
}
