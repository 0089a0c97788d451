//! The tensor form: values of the formula, gradients of the formula, for every loss.

use bestof_closeness::{Tolerance, assert_close_in};
use bestof_losses::{
    CompletionTokens, Dpop, Kto, Label, LossError, LossName, LossParameters, PairConstants,
    PairLogps, PolicyLoss, PreferenceLoss, RatioLevel, SampledCompletion, UnpairedConstants,
    UnpairedLogps, attach, attach_policy, attach_unpaired, terms_of_batch,
};
use burn::tensor::{DType, Device, Tensor, TensorData};

fn pairs() -> Vec<PairLogps> {
    // At the kink, above the reference, below it, far below it.
    [(-20.0, -25.0), (-18.5, -27.0), (-20.25, -24.0), (-28.0, -60.0)]
        .map(|(chosen, rejected)| PairLogps {
            chosen,
            rejected,
            ref_chosen: -20.0,
            ref_rejected: -25.0,
            chosen_len: 10,
            rejected_len: 12,
        })
        .to_vec()
}

fn constants() -> Vec<PairConstants> {
    pairs()
        .iter()
        .map(|pair| PairConstants {
            ref_chosen: pair.ref_chosen,
            ref_rejected: pair.ref_rejected,
            chosen_len: pair.chosen_len,
            rejected_len: pair.rejected_len,
        })
        .collect()
}

fn tensor(values: Vec<f64>, dtype: DType, device: &Device) -> Tensor<1> {
    let length = values.len();
    Tensor::from_data(TensorData::new(values, [length]), (device, dtype))
}

fn numbers(tensor: Tensor<1>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

#[test]
fn value_and_gradient_are_those_of_the_formula() {
    let device = Device::flex().autodiff();
    for (dtype, tolerance) in [(DType::F64, 1e-14), (DType::F32, 1e-6)] {
        for name in LossName::ALL {
            let loss = name.build(&LossParameters::of(name)).unwrap();
            let expected = terms_of_batch(loss.as_ref(), &pairs()).unwrap();
            let logps = |field: fn(&PairLogps) -> f64| {
                tensor(pairs().iter().map(field).collect(), dtype, &device).require_grad()
            };
            let (chosen, rejected) = (logps(|pair| pair.chosen), logps(|pair| pair.rejected));
            let attached =
                attach(loss.as_ref(), chosen.clone(), rejected.clone(), &constants()).unwrap();
            assert_eq!(attached.terms, expected);
            let tolerance = Tolerance::relative(tolerance).with_floor(1.0);
            let mean = expected.iter().map(|terms| terms.loss).sum::<f64>() / 4.0;
            assert_close_in(name, numbers(attached.loss.clone().detach()), [mean], tolerance);
            let gradients = attached.loss.backward();
            for (tensor, wanted) in [
                (&chosen, expected.iter().map(|t| t.grad_chosen / 4.0).collect::<Vec<_>>()),
                (&rejected, expected.iter().map(|t| t.grad_rejected / 4.0).collect()),
            ] {
                let found = numbers(tensor.grad(&gradients).unwrap());
                assert_close_in(name, found, wanted, tolerance);
            }
        }
    }
}

/// The graph above the log-probabilities is differentiated too: here they are affine in `x`.
#[test]
fn the_chain_rule_goes_on_above() {
    let device = Device::flex().autodiff();
    let loss = Dpop::new(0.3, 50.0).unwrap();
    let x = tensor(vec![0.5, -0.75], DType::F64, &device).require_grad();
    let chosen = x.clone() * 2.0 - 20.0;
    let rejected = x.clone() * -3.0 - 25.0;
    let constants =
        [PairConstants { ref_chosen: -20.0, ref_rejected: -25.0, ..Default::default() }; 2];
    let gradients = attach(&loss, chosen, rejected, &constants).unwrap().loss.backward();
    let found = numbers(x.grad(&gradients).unwrap());
    for (x, found) in [0.5, -0.75].into_iter().zip(found) {
        let terms = loss
            .terms(&PairLogps {
                chosen: 2.0 * x - 20.0,
                rejected: -3.0 * x - 25.0,
                ref_chosen: -20.0,
                ref_rejected: -25.0,
                ..PairLogps::default()
            })
            .unwrap();
        let wanted = f64::midpoint(2.0 * terms.grad_chosen, -3.0 * terms.grad_rejected);
        assert!((found - wanted).abs() < 1e-12, "{found} {wanted}");
    }
}

#[test]
fn wrong_sizes_and_values_are_refused() {
    let device = Device::flex().autodiff();
    let loss = Dpop::new(0.3, 50.0).unwrap();
    let of = |values: &[f64]| tensor(values.to_vec(), DType::F64, &device);
    let one = [PairConstants::default()];
    let refused = |chosen: &[f64], rejected: &[f64]| {
        attach(&loss, of(chosen), of(rejected), &one).unwrap_err()
    };
    assert!(matches!(refused(&[-1.0, -2.0], &[-1.0, -2.0]), LossError::BatchSize { found: 1, .. }));
    assert!(matches!(refused(&[-1.0], &[-1.0, -2.0]), LossError::BatchSize { found: 2, .. }));
    assert!(matches!(refused(&[-1.0], &[f64::NAN]), LossError::InPair { index: 0, .. }));
}

#[test]
fn kto_attaches_to_labelled_completions() {
    let device = Device::flex().autodiff();
    let kto = Kto::new(0.2).unwrap().with_weights(1.5, 0.5).unwrap();
    let logps = [-17.5, -21.25, -20.0];
    let labels = [Label::Desirable, Label::Undesirable, Label::Desirable];
    let constants = labels.map(|label| UnpairedConstants { ref_logp: -20.0, label });
    let rows: Vec<UnpairedLogps> = logps
        .into_iter()
        .zip(labels)
        .map(|(logp, label)| UnpairedLogps { logp, ref_logp: -20.0, label })
        .collect();
    let expected = kto.batch(&rows, 0.75).unwrap();
    let leaf = tensor(logps.to_vec(), DType::F64, &device).require_grad();
    let attached = attach_unpaired(&kto, leaf.clone(), &constants, 0.75).unwrap();
    assert_eq!(attached.terms, expected);
    let tolerance = Tolerance::relative(1e-14).with_floor(1.0);
    let mean = expected.iter().map(|terms| terms.loss).sum::<f64>() / 3.0;
    assert_close_in("kto", numbers(attached.loss.clone().detach()), [mean], tolerance);
    let wanted: Vec<f64> = expected.iter().map(|terms| terms.grad / 3.0).collect();
    let gradients = attached.loss.backward();
    assert_close_in("kto", numbers(leaf.grad(&gradients).unwrap()), wanted, tolerance);
    let short = attach_unpaired(&kto, leaf, &constants[1..], 0.75).unwrap_err();
    assert!(matches!(short, LossError::BatchSize { found: 2, expected: 3, .. }), "{short}");
}

/// Two completions that share their first token, under every part of the policy loss.
#[test]
fn the_policy_loss_attaches_to_tokens() {
    let device = Device::flex().autodiff();
    let policy = PolicyLoss::default()
        .with_kl_coefficient(0.2)
        .with_entropy_coefficient(0.1)
        .with_ratio(RatioLevel::Token);
    let (logps, entropies) = ([-1.0, -0.5, -2.0], [0.7, 0.3, 1.1]);
    let (old, reference) = ([-1.1, -0.4], [-0.9, -0.6]);
    let completions = [
        CompletionTokens {
            tokens: &[0, 1],
            weight: 0.25,
            share: 0.5,
            scale: 0.5,
            old_logps: Some(&old),
            sampler_weights: Some(&[0.5, 1.0]),
            reference: Some(&reference),
        },
        CompletionTokens {
            tokens: &[0, 2],
            weight: -0.75,
            share: 0.5,
            old_logps: Some(&old),
            reference: Some(&reference),
            ..CompletionTokens::default()
        },
    ];
    let (mut total, mut by_logp, mut by_entropy) = (0.0, [0.0; 3], [0.0; 3]);
    let divisor = 4.0;
    for completion in &completions {
        let of = |values: &[f64; 3]| completion.tokens.iter().map(|&at| values[at]).collect();
        let (own_logps, own_entropies): (Vec<f64>, Vec<f64>) = (of(&logps), of(&entropies));
        let sampled = SampledCompletion {
            weight: completion.weight,
            share: completion.share,
            scale: completion.scale,
            logprobs: &own_logps,
            old_logps: completion.old_logps,
            sampler_weights: completion.sampler_weights,
            reference: completion.reference,
            entropies: Some(&own_entropies),
        };
        let mut gradient = [0.0; 2];
        let terms = policy.terms(&sampled, &mut gradient).unwrap();
        total += terms.loss / divisor;
        for (&at, slope) in completion.tokens.iter().zip(gradient) {
            by_logp[at] += slope / divisor;
            by_entropy[at] += terms.by_entropy / divisor;
        }
    }
    let leaf = |values: &[f64]| tensor(values.to_vec(), DType::F64, &device).require_grad();
    let (logps, entropies) = (leaf(&logps), leaf(&entropies));
    let attached =
        attach_policy(&policy, logps.clone(), Some(entropies.clone()), &completions, divisor);
    let attached = attached.unwrap();
    assert_eq!(attached.terms.len(), 2);
    let value = numbers(attached.loss.clone().detach())[0];
    assert!((value - total).abs() < 1e-14, "{value} {total}");
    let gradients = attached.loss.backward();
    for (tensor, expected) in [(&logps, by_logp), (&entropies, by_entropy)] {
        let found = numbers(tensor.grad(&gradients).unwrap());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-14, "{found} {expected}");
        }
    }
    let missing = attach_policy(&policy, logps, None, &completions, divisor).unwrap_err();
    assert!(missing.to_string().contains("entropies"), "{missing}");
}
