//! Runs as the paper has them, their opposite, and runs without an effect.

use Verdict::{DoesNot, Holds, Unclear};

use super::*;

/// The verdicts in order.
fn verdicts(claims: &[Claim]) -> Vec<Verdict> {
    claims.iter().map(|claim| claim.verdict).collect()
}

const EXTENDED: Extending = Extending { times: 2, steps: 600 };

/// Four repetitions in which `of` says each model's accuracies in percent, by basis, training and factor.
fn found(of: impl Fn(Basis, bool, Option<f64>) -> [usize; 4]) -> Vec<Found> {
    let one = |basis: Basis, trained: Option<Extending>, eval_factor, repetition| Found {
        basis,
        trained,
        eval_factor,
        repetition,
        at: of(basis, trained.is_some(), eval_factor)
            .map(|percent| AtLength {
                by_fifth: [(percent + repetition % 2, 100), (0, 0), (0, 0), (0, 0), (0, 0)],
                perplexity: 4.0,
            })
            .to_vec(),
    };
    let mut all = Vec::new();
    for repetition in 0..4 {
        for basis in ALL {
            let factors =
                |list: &'static [f64]| std::iter::once(None).chain(list.iter().copied().map(Some));
            all.extend(factors(basis.untrained_factors).map(|f| one(basis, None, f, repetition)));
            let trained = factors(basis.eval_factors);
            all.extend(trained.map(|f| one(basis, Some(EXTENDED), f, repetition)));
        }
        for extending in Size::small().further {
            all.extend(FURTHER.map(|basis| one(basis, Some(extending), None, repetition)));
        }
    }
    all
}

#[test]
fn runs_as_the_paper_has_them_make_every_claim_hold() {
    let all = found(|basis, trained, factor| match (basis, trained, factor) {
        (PLAIN, false, None) => [90, 5, 5, 5],
        (PLAIN, false, _) => [80, 40, 0, 0],
        (LINEAR, true, None) => [90, 90, 80, 0],
        (LINEAR, true, Some(16.0)) => [20, 20, 10, 5],
        (LINEAR, true, _) => [80, 80, 70, 40],
        (TRUNCATED, true, _) => [60, 50, 30, 20],
        (_, true, _) => [70, 60, 50, 0],
        _ => [0; 4],
    });
    assert_eq!(verdicts(&claims(&all, &Size::small())), [Holds; JUDGED]);
}

#[test]
fn every_claim_can_come_out_against_the_paper() {
    let all = found(|basis, trained, factor| match (basis, trained, factor) {
        (PLAIN, false, None) => [90, 90, 90, 90],
        (LINEAR, true, Some(8.0)) => [10, 10, 10, 10],
        (LINEAR, true, None) => [70, 70, 70, 70],
        (TRUNCATED, true, _) => [90, 90, 0, 0],
        (_, true, _) => [80, 80, 80, 80],
        _ => [0; 4],
    });
    let against = claims(&all, &Size::small());
    let mut expected = [DoesNot; JUDGED];
    // Accuracies differ here, and perplexities do not.
    expected[9] = Holds;
    // The model that is extended is as it should be.
    expected[0] = Holds;
    assert_eq!(verdicts(&against), expected);
    let mut same = found(|_, trained, _| if trained { [50; 4] } else { [90; 4] });
    for found in same.iter_mut().filter(|found| found.basis == TRUNCATED) {
        found.at[FOUR_TIMES].perplexity = 400.0;
    }
    assert_eq!(claims(&same, &Size::small())[9].verdict, DoesNot);
}

#[test]
fn without_a_model_that_looks_things_up_nothing_is_told() {
    let all = found(|_, _, _| [5; 4]);
    let mut expected = [Unclear; JUDGED];
    expected[0] = DoesNot;
    assert_eq!(verdicts(&claims(&all, &Size::small())), expected);
}

#[test]
fn where_no_basis_differs_no_basis_is_better() {
    // Everything is found by all, and everything is found by none beyond the first length.
    for at in [[95, 95, 95, 95], [95, 0, 0, 0]] {
        let judged = verdicts(&claims(&found(|_, _, _| at), &Size::small()));
        for claim in [2, 3, 4, 6, 7, 9, 10, 11, 12, 13] {
            assert_ne!(judged[claim], Holds, "{claim} of {at:?}");
        }
    }
    let mut nan = found(|_, _, _| [95; 4]);
    for found in &mut nan {
        found.at[TWICE].by_fifth = [(0, 0); 5];
    }
    let judged = verdicts(&claims(&nan, &Size::small()));
    assert!(![1, 2, 3, 4, 6, 10, 11, 12, 13].into_iter().any(|claim| judged[claim] == Holds));
}

#[test]
fn one_repetition_says_nothing() {
    let mut all = found(|_, _, _| [50; 4]);
    all.retain(|found| found.repetition == 0);
    assert_eq!(verdicts(&claims(&all, &Size::small())), [Unclear; JUDGED]);
}
