//! What holds for every basis and every head.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use bestof_positional::{
    DynamicNtk, Linear, Llama3, LongRope, Method, Ntk, Power, Randomized, RopeConfig, RopeParams,
    RopeScaling, RopeTable, RotaryLayout, Thresholds, Truncated, XPos, Yarn, rotate, scale_pairs,
};
use proptest::prelude::*;

const LAYOUTS: [RotaryLayout; 2] = [RotaryLayout::HalfSplit, RotaryLayout::Interleaved];
const DIM: usize = 16;

/// Some scaling of every kind, on a head of 16.
fn scaling() -> impl Strategy<Value = RopeScaling> {
    let list = || prop::collection::vec(0.5..64.0_f64, DIM / 2);
    let method = prop::sample::select(Method::ALL.to_vec());
    (method, 1.0..32.0_f64, 0.0..3.0_f64, 16_usize..4096, list(), list()).prop_map(
        |(method, factor, power, length, short, long)| {
            let params = RopeParams {
                factor: Some(factor),
                power: Some(power),
                b: Some(0.02),
                truncate_length: Some(2048),
                original_max_position_embeddings: Some(length),
                low_freq_factor: Some(1.0),
                high_freq_factor: Some(1.0 + factor),
                short_factor: Some(short),
                long_factor: Some(long),
                ..RopeParams::default()
            };
            RopeScaling::from_params(method, &params, None).unwrap()
        },
    )
}

fn head() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(-2.0..2.0_f64, DIM)
}

fn table(scaling: RopeScaling, theta: f64, length: usize) -> RopeTable {
    let config = RopeConfig { scaling, ..RopeConfig::new(DIM, theta) };
    config.build().unwrap().table(length)
}

fn turned(layout: RotaryLayout, head: &[f64], table: &RopeTable, position: f64) -> Vec<f64> {
    let mut head = head.to_vec();
    rotate(layout, &mut head, table, position).unwrap();
    head
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

proptest! {
    #[test]
    fn scores_depend_on_distance_alone(
        scaling in scaling(), q in head(), k in head(),
        n in 0_u32..5000, m in 0_u32..5000, shift in 0_u32..5000,
    ) {
        let table = table(scaling, 10_000.0, 8192);
        for layout in LAYOUTS {
            let score = |shift: u32| {
                let turned = |head, at| turned(layout, head, &table, f64::from(at + shift));
                dot(&turned(&q, n), &turned(&k, m))
            };
            prop_assert!((score(0) - score(shift)).abs() < 1e-8 * table.attention_factor.powi(2));
        }
    }

    #[test]
    fn rotation_keeps_norms_up_to_the_attention_factor(
        scaling in scaling(), q in head(), n in 0_u32..100_000, length in 1_usize..20_000,
    ) {
        let table = table(scaling, 500_000.0, length);
        let norm = dot(&q, &q).sqrt() * table.attention_factor;
        for layout in LAYOUTS {
            let turned = turned(layout, &q, &table, f64::from(n));
            prop_assert!((dot(&turned, &turned).sqrt() - norm).abs() < 1e-12 * (1.0 + norm));
        }
    }

    #[test]
    fn xpos_scores_fade_with_distance_and_depend_on_nothing_else(
        q in head(), k in head(), n in 0_u32..3000, m in 0_u32..3000, shift in 0_u32..1000,
        centre in 0_u32..2000,
    ) {
        let rule = XPos { centre: f64::from(centre), ..XPos::default() };
        let config = RopeConfig { scaling: RopeScaling::XPos(rule), ..RopeConfig::new(DIM, 1e4) };
        let (shape, table) = (config.shape().unwrap(), config.build().unwrap().table(0));
        for layout in LAYOUTS {
            let score = |n: u32, m: u32| {
                let (n, m) = (f64::from(n), f64::from(m));
                let (mut q, mut k) = (turned(layout, &q, &table, n), turned(layout, &k, &table, m));
                scale_pairs(layout, &mut q, &rule.query_scale(&shape, n)).unwrap();
                scale_pairs(layout, &mut k, &rule.key_scale(&shape, m)).unwrap();
                dot(&q, &k)
            };
            let (n, m) = (n.max(m), n.min(m));
            let tolerance = 1e-7;
            prop_assert!((score(n, m) - score(n + shift, m + shift)).abs() < tolerance);
            let bound: f64 = rule.zeta(&shape).iter().enumerate().map(|(j, zeta)| {
                let (a, b) = layout.pair(j, DIM / 2);
                zeta.powf(f64::from(n - m) / rule.scale_base)
                    * q[a].hypot(q[b]) * k[a].hypot(k[b])
            }).sum();
            prop_assert!(score(n, m).abs() <= bound + tolerance);
        }
    }

    #[test]
    fn a_factor_of_1_changes_nothing(theta in 2.0..1e7_f64, length in 2_usize..100_000) {
        let lists = LongRope {
            short_factor: vec![1.0; DIM / 2],
            long_factor: vec![1.0; DIM / 2],
            original_max_position_embeddings: length,
            factor: Some(1.0),
            attention_factor: None,
        };
        let plain = table(RopeScaling::Default, theta, length);
        let unchanged = [
            RopeScaling::Linear(Linear { factor: 1.0 }),
            RopeScaling::Ntk(Ntk { factor: 1.0 }),
            RopeScaling::Dynamic(DynamicNtk { factor: 1.0, original_max_position_embeddings: length }),
            RopeScaling::Yarn(Yarn::new(1.0, length)),
            RopeScaling::Llama3(Llama3 {
                factor: 1.0, low_freq_factor: 1.0, high_freq_factor: 4.0,
                original_max_position_embeddings: length,
            }),
            RopeScaling::LongRope(lists),
            RopeScaling::Power(Power { power: 0.0, factor: 1.0 }),
            RopeScaling::Truncated(Truncated {
                thresholds: Thresholds { a: 0.0, b: 0.0, rho: 0.0 }, factor: 1.0,
            }),
            RopeScaling::Randomized(Randomized::default()),
        ];
        for scaling in unchanged {
            let found = table(scaling.clone(), theta, length);
            prop_assert_eq!(found.attention_factor, 1.0);
            for (f, g) in found.inv_freq.iter().zip(&plain.inv_freq) {
                prop_assert!((f - g).abs() <= 1e-14 * g, "{:?}: {} {}", scaling, f, g);
            }
        }
    }

    #[test]
    fn a_factor_near_1_changes_little(theta in 100.0..1e7_f64, length in 64_usize..100_000) {
        let factor = 1.0 + 1e-9;
        let plain = table(RopeScaling::Default, theta, length);
        let params = RopeParams {
            factor: Some(factor),
            original_max_position_embeddings: Some(length),
            low_freq_factor: Some(1.0),
            high_freq_factor: Some(4.0),
            ..RopeParams::default()
        };
        let methods = [Method::Linear, Method::Ntk, Method::Dynamic, Method::Yarn, Method::Llama3];
        for method in methods {
            let found = table(RopeScaling::from_params(method, &params, None).unwrap(), theta, length);
            prop_assert!((found.attention_factor - 1.0).abs() < 1e-8);
            for (f, g) in found.inv_freq.iter().zip(&plain.inv_freq) {
                prop_assert!((f - g).abs() <= 1e-8 * g);
            }
        }
    }

    #[test]
    fn frequencies_fall_and_never_rise_with_the_factor(
        scaling in scaling(), theta in 10.0..1e7_f64, length in 1_usize..20_000,
    ) {
        let free_lists = matches!(scaling, RopeScaling::LongRope(_));
        let table = table(scaling, theta, length).inv_freq;
        prop_assert_eq!(table.len(), DIM / 2);
        let plain = RopeConfig::new(DIM, theta).shape().unwrap().inv_freq();
        for (j, f) in table.iter().enumerate() {
            prop_assert!(f.is_finite() && *f >= 0.0);
            if !free_lists {
                prop_assert!(*f <= plain[j] * (1.0 + 1e-12));
                prop_assert!(j == 0 || *f <= table[j - 1] * (1.0 + 1e-12), "{:?}", table);
            }
        }
    }

    #[test]
    fn drawn_positions_rise_within_the_length(
        draws in prop::collection::vec(0.0..1.0_f64, 1..200), step in 0.0..1.9_f64,
    ) {
        let rule = Randomized { factor: 1.0, smallest_step: step };
        let length = draws.len();
        let positions = rule.positions(&draws, length).unwrap();
        prop_assert_eq!(&positions, &rule.positions(&draws, length).unwrap());
        prop_assert!(positions.windows(2).all(|pair| pair[0] <= pair[1]));
        prop_assert!(positions.iter().all(|p| *p >= 0.0 && *p <= length as f64 * (1.0 + 1e-12)));
        // Never stretched: each stays at or below the plain sum of its steps.
        let mut sum = 0.0;
        for (draw, position) in draws.iter().zip(&positions) {
            sum += step + (2.0 - step) * draw;
            prop_assert!(*position <= sum * (1.0 + 1e-12));
        }
    }

    #[test]
    fn a_partial_head_turns_only_its_first_part(q in head(), n in 1_u32..1000) {
        let config = RopeConfig { partial_rotary_factor: 0.5, ..RopeConfig::new(DIM, 1e4) };
        let table = config.build().unwrap().table(0);
        let small = RopeConfig::new(DIM / 2, 1e4).build().unwrap().table(0);
        prop_assert_eq!(&table, &small);
        for layout in LAYOUTS {
            let turned_head = turned(layout, &q, &table, f64::from(n));
            prop_assert_eq!(&turned_head[DIM / 2..], &q[DIM / 2..]);
            let part = turned(layout, &q[..DIM / 2], &small, f64::from(n));
            prop_assert_eq!(&turned_head[..DIM / 2], &part[..]);
        }
    }

    #[test]
    fn tables_of_cosines_are_the_rotation(scaling in scaling(), n in 0_u32..4096) {
        let table = table(scaling, 1e4, 4096);
        let (cos, sin) = table.cos_sin([0.0, f64::from(n)]);
        prop_assert_eq!(cos.len(), DIM);
        for j in 0..DIM / 2 {
            let mut head = vec![0.0; DIM];
            head[j] = 1.0;
            let head = turned(RotaryLayout::HalfSplit, &head, &table, f64::from(n));
            prop_assert_eq!(cos[DIM / 2 + j], head[j] as f32);
            prop_assert_eq!(sin[DIM / 2 + j], head[j + DIM / 2] as f32);
            prop_assert_eq!((cos[j], sin[j]), (table.attention_factor as f32, 0.0));
        }
    }
}

#[test]
fn a_head_too_short_to_rotate_is_refused() {
    let table = table(RopeScaling::Default, 1e4, 0);
    assert!(rotate(RotaryLayout::HalfSplit, &mut [0.0; DIM - 1], &table, 1.0).is_err());
    assert!(scale_pairs(RotaryLayout::Interleaved, &mut [0.0; 3], &[1.0, 1.0]).is_err());
}
