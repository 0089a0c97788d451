//! What each aggregation makes of a batch, and its names.

use bestof_closeness::assert_close;
use bestof_losses::{Aggregation, CompletionTokens, KlEstimator, LossError, PolicyLoss};

/// Scales by hand, and a batch of two completions under each aggregation.
#[test]
fn aggregations_scale_surrogate_and_penalties() {
    let loss = PolicyLoss::default()
        .with_kl_coefficient(1.0)
        .with_kl(KlEstimator::K2)
        .with_entropy_coefficient(1.0);
    let logps = [-1.0, -2.0, -3.0, -4.0];
    let entropies = [0.5; 4];
    let lists: [(&[usize], &[f64]); 2] = [(&[0], &[-2.0]), (&[1, 2, 3], &[-3.0, -3.0, -3.0])];
    // Weights 1 and -2: surrogates 1 and -2 * 9. KL 1/2 and (1 + 0 + 1)/2. Entropies 0.5 and 1.5.
    // With shares of 1/2: 1 + 0.25 - 0.25 = 1, and -18 + 0.5 - 0.75 = -18.25.
    for (name, tokens, expected) in [
        ("sum", None, 1.0 - 18.25),
        ("token-mean", None, (1.0 - 18.25) / 2.0),
        ("sequence-mean", None, 1.0 - 18.25 / 3.0),
        ("constant-length", Some(10), (1.0 - 18.25) / 10.0),
    ] {
        let aggregation = Aggregation::named(name, tokens).unwrap();
        assert_eq!(aggregation.as_str(), name);
        assert_eq!(aggregation.needs_mean_length(), name == "token-mean");
        let completions: Vec<CompletionTokens<'_>> = lists
            .iter()
            .zip([1.0, -2.0])
            .map(|(&(tokens, reference), weight)| CompletionTokens {
                tokens,
                weight,
                share: 0.5,
                scale: aggregation.scale(tokens.len(), 2.0).unwrap(),
                reference: Some(reference),
                ..Default::default()
            })
            .collect();
        let batch = loss.batch(&logps, Some(&entropies), &completions, 1.0).unwrap();
        assert_close(batch.loss, expected, 1e-14);
        // By the first token: -1 + 0.5 (-1 + 2), and -0.5 by its entropy, both scaled.
        let scale = completions[0].scale;
        assert_close([batch.by_logp[0], batch.by_entropy[0]], [-0.5 * scale; 2], 1e-15);
        assert_eq!(batch.terms[0].kl, 0.5, "reported without the scale");
    }
}

#[test]
fn a_length_belongs_to_the_constant_and_a_mean_to_the_token_mean() {
    for name in Aggregation::NAMES {
        let tokens = (name == "constant-length").then_some(7);
        assert_eq!(Aggregation::named(name, tokens).unwrap().as_str(), name);
    }
    let refused = |name, tokens| Aggregation::named(name, tokens).unwrap_err();
    assert!(matches!(refused("sum", Some(3)), LossError::NotRead { by: "sum", .. }));
    assert!(matches!(refused("constant-length", None), LossError::Missing { .. }));
    assert!(matches!(refused("constant-length", Some(0)), LossError::Setting { .. }));
    assert!(matches!(refused("mean", None), LossError::UnknownChoice { .. }));
    for mean in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(Aggregation::TokenMean.scale(3, mean).is_err(), "{mean}");
        assert_eq!(Aggregation::Sum.scale(3, mean), Ok(1.0));
    }
}
