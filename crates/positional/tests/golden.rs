//! Every rule against golden numbers: `golden/rope.json`, whose `meta` says how they were made.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use bestof_closeness::{Tolerance, assert_close_in};
use bestof_positional::{
    Composed, Method, Randomized, RopeConfig, RopeParams, RopeScaling, RopeTable, RotaryLayout,
    RotaryShape, STANDSTILL_DIVISOR, Thresholds, Truncated, XPos, Yarn, rotate, scale_pairs,
};
use serde_json::Value;

/// Both sides are f64; a few roundings of powers separate them.
const CLOSE: Tolerance = Tolerance::relative(1e-12);
/// Sums of rotated entries cancel, so these are compared on the scale of the entries, about 1.
const NEAR: Tolerance = Tolerance::absolute(1e-11);

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/rope.json")).unwrap()
}

fn list(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// A golden case as a command line would ask for it.
fn config_of(case: &Value) -> RopeConfig {
    let p = &case["params"];
    let number = |key: &str| p[key].as_f64();
    let count = |key: &str| p[key].as_u64().map(|n| n as usize);
    let params = RopeParams {
        factor: number("factor").or(number("scale")),
        power: number("k"),
        a: number("a"),
        b: number("b"),
        rho: number("rho"),
        original_max_position_embeddings: count("original_max_position_embeddings"),
        low_freq_factor: number("low_freq_factor"),
        high_freq_factor: number("high_freq_factor"),
        beta_fast: number("beta_fast"),
        beta_slow: number("beta_slow"),
        mscale: number("mscale"),
        mscale_all_dim: number("mscale_all_dim"),
        short_factor: p.get("short_factor").map(list),
        long_factor: p.get("long_factor").map(list),
        partial_rotary_factor: number("partial_rotary_factor"),
        ..RopeParams::default()
    };
    let method: Method = case["method"].as_str().unwrap().parse().unwrap();
    let head_dim = case["dim"].as_u64().unwrap() as usize;
    let base = case["base"].as_f64().unwrap();
    let max_position_embeddings = count("max_position_embeddings");
    let head = RopeConfig { max_position_embeddings, ..RopeConfig::new(head_dim, base) };
    head.with_method(method, &params).unwrap()
}

fn table_of(case: &Value) -> RopeTable {
    let length = case["seq_len"].as_u64().unwrap_or(0) as usize;
    config_of(case).build().unwrap().table(length)
}

#[test]
fn every_case_agrees() {
    let golden = golden();
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 42);
    for case in cases {
        let id = case["id"].as_str().unwrap();
        let table = table_of(case);
        assert_close_in(id, &table.inv_freq, list(&case["inv_freq"]), CLOSE);
        let factor = case["attention_factor"].as_f64().unwrap();
        assert_close_in(id, table.attention_factor, factor, CLOSE);
    }
}

#[test]
fn truncation_by_training_length_is_the_released_preset() {
    let golden = golden();
    let mut presets = 0;
    for case in golden["cases"].as_array().unwrap() {
        let Some(length) = case["params"]["train_len"].as_u64() else { continue };
        presets += 1;
        let thresholds = Thresholds::for_length(length as usize);
        let expected = ["a", "b", "rho"].map(|key| case["params"][key].as_f64().unwrap());
        assert_close_in(
            "thresholds",
            [thresholds.a, thresholds.b, thresholds.rho],
            expected,
            CLOSE,
        );
        let table = table_of(case).inv_freq;
        let kept = table.iter().filter(|f| **f >= thresholds.b).count();
        let zero = table.iter().filter(|f| **f == 0.0).count();
        assert_eq!(kept as u64, case["n_kept"].as_u64().unwrap());
        assert_eq!(zero as u64, case["n_zero"].as_u64().unwrap());
        assert_eq!((table.len() - kept - zero) as u64, case["n_rho"].as_u64().unwrap());
    }
    assert_eq!(presets, 4);
}

#[test]
fn yarn_ramps_run_between_the_golden_pairs() {
    let golden = golden();
    let mut seen = 0;
    for case in golden["cases"].as_array().unwrap() {
        let RopeScaling::Yarn(rule) = config_of(case).scaling else { continue };
        let shape = config_of(case).shape().unwrap();
        let (low, high) = rule.correction_range(&shape);
        assert_eq!([low, high].to_vec(), list(&case["correction_range"]), "{}", case["id"]);
        let open = Yarn { truncate: false, ..rule }.correction_range(&shape);
        assert!(open.0 >= low && open.0 < low + 1.0 && open.1 <= high && open.1 > high - 1.0);
        seen += 1;
    }
    assert_eq!(seen, 7);
}

#[test]
fn llama3_divisors_for_gguf_agree() {
    let golden = golden();
    let mut seen = 0;
    for case in golden["cases"].as_array().unwrap() {
        let Some(expected) = case.get("gguf_rope_freqs") else { continue };
        let found = config_of(case).gguf_rope_freqs().unwrap();
        assert_close_in(case["id"].as_str().unwrap(), &found, list(expected), CLOSE);
        seen += 1;
    }
    assert_eq!(seen, 2);
}

#[test]
fn carriers_agree_and_come_back() {
    let golden = golden();
    let carriers = golden["carriers"].as_array().unwrap();
    assert_eq!(carriers.len(), 3);
    let cut = |thresholds| RopeScaling::Truncated(Truncated { thresholds, factor: 1.0 });
    let half = RopeParams { power: Some(0.5), ..RopeParams::default() };
    let scalings = [
        RopeScaling::from_params(Method::Power, &half, None).unwrap(),
        cut(Thresholds::for_length(2048)),
        cut(Thresholds { a: 0.005, b: 0.05, rho: 0.002 }),
    ];
    for (carrier, scaling) in carriers.iter().zip(scalings) {
        let id = carrier["id"].as_str().unwrap();
        let config = RopeConfig {
            max_position_embeddings: Some(8192),
            scaling,
            ..RopeConfig::new(8, carrier["base"].as_f64().unwrap())
        };
        let divisors = list(&carrier["divisors"]);
        assert_close_in(
            id,
            &config.build().unwrap().table(0).inv_freq,
            list(&carrier["inv_freq"]),
            CLOSE,
        );
        assert_close_in(id, config.gguf_rope_freqs().unwrap(), &divisors, CLOSE);

        let exported = config.portable().unwrap();
        let RopeScaling::LongRope(rule) = &exported.scaling else { panic!("{id}") };
        assert_close_in(id, &rule.short_factor, &divisors, CLOSE);
        assert_eq!(rule.short_factor, rule.long_factor);
        assert_eq!((rule.factor, rule.attention_factor), (Some(1.0), Some(1.0)));
        assert_eq!(rule.original_max_position_embeddings, 8192);
        let rope = exported.build().unwrap();
        for length in [0, 8192, 8193, 1 << 20] {
            let table = rope.table(length);
            assert_close_in(id, &table.inv_freq, list(&carrier["inv_freq_after_roundtrip"]), CLOSE);
            assert_eq!(table.attention_factor, 1.0);
        }
        assert_eq!(exported.frequency_hash(), config.frequency_hash(), "{id}");
    }
    assert!((STANDSTILL_DIVISOR as f32).is_finite());
}

#[test]
fn rotations_agree_in_both_layouts() {
    let golden = golden();
    let table = RopeConfig::new(8, 10_000.0).build().unwrap().table(0);
    let cases = golden["rotation"].as_array().unwrap();
    assert_eq!(cases.len(), 5);
    let layouts =
        [(RotaryLayout::HalfSplit, "half_split"), (RotaryLayout::Interleaved, "interleaved")];
    for case in cases {
        for (layout, name) in layouts {
            let turned = |vector: &str, position: &str| {
                let mut head = list(&golden[vector]);
                rotate(layout, &mut head, &table, case[position].as_f64().unwrap()).unwrap();
                head
            };
            let (q, k) = (turned("rotation_q", "pos_q"), turned("rotation_k", "pos_k"));
            assert_close_in(name, &q, list(&case[format!("q_{name}")]), NEAR);
            assert_close_in(name, &k, list(&case[format!("k_{name}")]), NEAR);
            assert_close_in(
                name,
                [dot(&q, &k)],
                [case[format!("dot_{name}")].as_f64().unwrap()],
                NEAR,
            );
        }
    }
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

#[test]
fn xpos_agrees() {
    let golden = golden();
    let xpos = &golden["xpos"];
    let shape = RotaryShape::new(xpos["dim"].as_u64().unwrap() as usize, 10_000.0).unwrap();
    let plain = XPos {
        gamma: xpos["gamma"].as_f64().unwrap(),
        scale_base: xpos["scale_base"].as_f64().unwrap(),
        centre: 0.0,
    };
    assert_eq!(plain, XPos::default());
    assert_close_in("zeta", plain.zeta(&shape), list(&xpos["zeta"]), CLOSE);
    let table = RopeConfig::new(8, 10_000.0).build().unwrap().table(0);
    let cases = xpos["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let rule =
            XPos { centre: XPos::centre_of(case["length"].as_u64().unwrap() as usize), ..plain };
        assert_eq!(-rule.centre, case["centre_offset"].as_f64().unwrap());
        let (n, m) = (case["pos_q"].as_f64().unwrap(), case["pos_k"].as_f64().unwrap());
        let (on_q, on_k) = (rule.query_scale(&shape, n), rule.key_scale(&shape, m));
        assert_close_in("scale_q", &on_q, list(&case["scale_q"]), CLOSE);
        assert_close_in("scale_k", &on_k, list(&case["scale_k"]), CLOSE);
        let product: Vec<f64> = on_q.iter().zip(&on_k).map(|(q, k)| q * k).collect();
        assert_close_in("closed form", &product, list(&case["dot_closed_form_scale"]), CLOSE);
        let turned = |vector: &str, position: f64, scales: &[f64]| {
            let mut head = list(&golden[vector]);
            rotate(RotaryLayout::Interleaved, &mut head, &table, position).unwrap();
            scale_pairs(RotaryLayout::Interleaved, &mut head, scales).unwrap();
            head
        };
        let (q, k) = (turned("rotation_q", n, &on_q), turned("rotation_k", m, &on_k));
        assert_close_in("q", &q, list(&case["q"]), NEAR);
        assert_close_in("k", &k, list(&case["k"]), NEAR);
        assert_close_in("dot", [dot(&q, &k)], [case["dot"].as_f64().unwrap()], NEAR);
    }
}

#[test]
fn random_positions_agree() {
    let golden = golden();
    let cases = golden["random_positions"].as_array().unwrap();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let length = case["length"].as_u64().unwrap() as usize;
        let found = Randomized::default().positions(&list(&case["u"]), length).unwrap();
        assert_close_in("positions", &found, list(&case["positions"]), CLOSE);
    }
}

#[test]
fn a_composition_on_two_lists_exports_both() {
    let golden = golden();
    let case = |id: &str| {
        let cases = golden["cases"].as_array().unwrap();
        config_of(cases.iter().find(|case| case["id"] == id).unwrap())
    };
    let first = case("longrope-d8-n4096");
    let then = RopeParams { power: Some(0.5), factor: Some(2.0), ..RopeParams::default() };
    let then = RopeScaling::from_params(Method::Power, &then, None).unwrap();
    let scaling =
        RopeScaling::Composed(Composed { first: first.scaling.clone().into(), then: then.into() });
    let config = RopeConfig { scaling, ..first.clone() };
    let exported = config.portable().unwrap().build().unwrap();
    let (rope, inner) = (config.build().unwrap(), first.build().unwrap());
    for length in [4096, 4097] {
        let expected: Vec<f64> = (inner.table(length).inv_freq.iter().enumerate())
            .map(|(j, f)| f / 2.0 * (1.0 - 2.0 * j as f64 / 8.0).sqrt())
            .collect();
        assert_close_in("composed", &rope.table(length).inv_freq, &expected, CLOSE);
        assert_close_in("exported", &exported.table(length).inv_freq, &expected, CLOSE);
        let factor = exported.table(length).attention_factor;
        assert_close_in("factor", factor, inner.table(0).attention_factor, CLOSE);
    }
    assert_eq!(exported.frequency_hash(), rope.frequency_hash());
}
