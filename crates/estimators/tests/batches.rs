//! Batches of groups, refusals, and memory.

use bestof_estimators::{
    Estimator, EstimatorError, LooMinusOne, Plain, RewardTransform, Rloo, Workspace,
};
use proptest::prelude::*;

fn groups() -> impl Strategy<Value = Vec<Vec<f64>>> {
    prop::collection::vec(prop::collection::vec(prop::bool::ANY.prop_map(f64::from), 4..12), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_batch_is_its_groups_one_by_one(groups in groups()) {
        let rewards = groups.concat();
        let mut offsets = vec![0];
        for group in &groups {
            offsets.push(offsets[offsets.len() - 1] + group.len());
        }
        let mut workspace = Workspace::new();
        for estimator in Estimator::ALL {
            let transform = estimator.build(3).unwrap();
            let mut weights = vec![f64::NAN; rewards.len()];
            transform
                .transform_groups_into(&rewards, &offsets, &mut weights, &mut workspace)
                .unwrap();
            let alone: Vec<f64> =
                groups.iter().flat_map(|g| transform.transform(g).unwrap()).collect();
            prop_assert_eq!(&weights, &alone);
        }
    }

    /// A workspace that served another size or k answers as a fresh one.
    #[test]
    fn workspaces_remember_nothing_that_matters(
        calls in prop::collection::vec((prop::collection::vec(-1.0..1.0_f64, 6..20), 2_usize..5), 1..10),
    ) {
        let mut workspace = Workspace::new();
        for (rewards, k) in calls {
            for estimator in [Estimator::Plain, Estimator::Loo, Estimator::LooMinusOne] {
                let transform = estimator.build(k).unwrap();
                let mut weights = vec![0.0; rewards.len()];
                transform.transform_into(&rewards, &mut weights, &mut workspace).unwrap();
                prop_assert_eq!(weights, transform.transform(&rewards).unwrap());
            }
        }
    }
}

#[test]
fn one_group_of_all_prompts_is_something_else() {
    let rewards = [0.0, 1.0, 0.0, 0.0, 1.0, 1.0];
    let transform = Plain::new(2).unwrap();
    let mut apart = [0.0; 6];
    let offsets = [0, 3, 6];
    transform.transform_groups_into(&rewards, &offsets, &mut apart, &mut Workspace::new()).unwrap();
    assert_ne!(transform.transform(&rewards).unwrap(), apart);
}

#[test]
fn nothing_is_allocated_after_set_up() {
    let rewards: Vec<f64> = (0..5000).map(|i| f64::from(u8::from(i * 31 % 97 < 9))).collect();
    let offsets = [0, 1000, 1064, 5000];
    let mut weights = vec![0.0; rewards.len()];
    let mut workspace = Workspace::with_capacity(rewards.len());
    for estimator in Estimator::ALL {
        let transform = estimator.build(16).unwrap();
        let counted = allocation_counter::measure(|| {
            transform.transform_into(&rewards, &mut weights, &mut workspace).unwrap();
            transform
                .transform_groups_into(&rewards, &offsets, &mut weights, &mut workspace)
                .unwrap();
        });
        assert_eq!(counted.count_total, 0, "{estimator}");
    }
    let counted = allocation_counter::measure(|| drop(Plain::new(16).unwrap().transform(&rewards)));
    assert!(counted.count_total > 0, "the counter must see an allocation");
}

#[test]
fn refusals_name_what_is_wrong_and_leave_the_buffer_alone() {
    let mut workspace = Workspace::new();
    let mut weights = [7.0; 4];
    let plain = Plain::new(2).unwrap();
    let mut refuse = |transform: &dyn RewardTransform, rewards: &[f64]| {
        let error = transform.transform_into(rewards, &mut weights, &mut workspace).unwrap_err();
        assert_eq!(weights, [7.0; 4]);
        error
    };
    assert!(matches!(
        refuse(&plain, &[0.0, 1.0, f64::NAN, 0.0]),
        EstimatorError::NonFiniteReward { index: 2, .. }
    ));
    assert_eq!(
        refuse(&plain, &[0.0, f64::NEG_INFINITY, 0.0, 0.0]),
        EstimatorError::NonFiniteReward { index: 1, value: f64::NEG_INFINITY }
    );
    assert_eq!(
        refuse(&Rloo, &[0.0, 0.0, 0.0, 1e301]),
        EstimatorError::RewardTooLarge { index: 3, value: 1e301 }
    );
    assert_eq!(
        refuse(&plain, &[0.0; 3]),
        EstimatorError::WrongBufferLength { expected: 3, found: 4 }
    );
    assert_eq!(
        refuse(&Plain::new(5).unwrap(), &[0.0; 4]),
        EstimatorError::KExceedsSamples { k: 5, n: 4 }
    );
    assert_eq!(
        refuse(Estimator::Loo.build(4).unwrap().as_ref(), &[0.0; 4]),
        EstimatorError::TooFewSamples { estimator: "loo", needed: 5, n: 4 }
    );
    assert_eq!(Plain::new(0), Err(EstimatorError::ZeroK));
    for estimator in Estimator::ALL {
        let transform = estimator.build(2).unwrap();
        assert!(transform.transform(&[]).is_err(), "{estimator} of nothing");
        assert!(transform.transform(&[f64::NAN; 4]).is_err(), "{estimator} of NaN");
    }
}

#[test]
fn bad_batches_say_where() {
    let mut workspace = Workspace::new();
    let mut weights = [7.0; 5];
    let mut refuse = |rewards: &[f64], offsets: &[usize]| {
        let transform = LooMinusOne::new(2).unwrap();
        let error = transform
            .transform_groups_into(rewards, offsets, &mut weights, &mut workspace)
            .unwrap_err();
        assert_eq!(weights, [7.0; 5]);
        error
    };
    let good = [0.0, 1.0, 0.5, 0.5, 1.0];
    assert_eq!(refuse(&good, &[]), EstimatorError::OffsetsEnd { expected: 5, found: 0 });
    assert_eq!(refuse(&good, &[0, 3]), EstimatorError::OffsetsEnd { expected: 5, found: 3 });
    assert!(matches!(refuse(&good, &[1, 5]), EstimatorError::BadOffset { index: 0, found: 1, .. }));
    assert_eq!(
        refuse(&good, &[0, 3, 2, 5]),
        EstimatorError::BadOffset { index: 2, found: 2, expected_at_least: 3 }
    );
    let error = refuse(&good, &[0, 4, 5]);
    assert_eq!(
        error.to_string(),
        "group 1: k = 2 exceeds the 1 samples: draw at least 2 samples or lower k"
    );
    let error = refuse(&[0.0, 1.0, 0.5, f64::INFINITY, 1.0], &[0, 2, 5]);
    assert!(error.to_string().starts_with("group 1: reward 1 is inf"), "{error}");
}
