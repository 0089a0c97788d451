//! Every loss against golden numbers: 73 pairs, checked there in 60-digit arithmetic.

#![expect(clippy::unwrap_used, reason = "a malformed golden file should stop the test")]

use bestof_closeness::{Tolerance, assert_close, assert_close_in, largest_relative_difference};
use bestof_losses::{Dpop, LossName, LossParameters, PairLogps, PreferenceLoss, PreferenceTerms};
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/dpop.json")).unwrap()
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("no number `{key}`"))
}

fn pair(case: &Value) -> PairLogps {
    PairLogps {
        chosen: number(case, "logp_w"),
        rejected: number(case, "logp_l"),
        ref_chosen: number(case, "ref_w"),
        ref_rejected: number(case, "ref_l"),
        chosen_len: number(case, "len_w") as usize,
        rejected_len: number(case, "len_l") as usize,
    }
}

/// The keys of the file name some parameters after the loss that reads them.
fn parameters(case: &Value, name: LossName) -> LossParameters {
    LossParameters::of(name)
        .with_beta(number(case, if name == LossName::Simpo { "simpo_beta" } else { "beta" }))
        .with_lambda(number(case, if name == LossName::Orpo { "orpo_lambda" } else { "lambda" }))
        .with_gamma(number(case, "simpo_gamma"))
        .with_label_smoothing(number(case, "label_smoothing"))
        .with_kto_z0(number(case, "kto_z0"))
}

/// The tolerance the file states for f64.
const TOLERANCE: Tolerance = Tolerance::relative(1e-12).with_floor(1.0);

fn assert_terms(what: &str, found: &PreferenceTerms, expected: &Value) {
    for (field, value) in [
        ("loss", found.loss),
        ("grad_logp_w", found.grad_chosen),
        ("grad_logp_l", found.grad_rejected),
    ] {
        assert_close_in(format!("{what}: {field}"), value, number(expected, field), TOLERANCE);
    }
}

fn evaluate(case: &Value, name: LossName) -> PreferenceTerms {
    name.build(&parameters(case, name)).unwrap().terms(&pair(case)).unwrap()
}

#[test]
fn every_loss_of_every_case() {
    let key = |name: LossName| match name {
        LossName::Ipo => "ipo_sum".to_owned(),
        other => other.as_str().replace('-', "_"),
    };
    let golden = golden();
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 73);
    for case in cases {
        for name in LossName::ALL {
            let what = format!("{} of {}", name, case["name"]);
            assert_terms(&what, &evaluate(case, name), &case["results"][key(name)]);
        }
    }
}

#[test]
fn ratios_penalty_and_rewards() {
    for case in golden()["cases"].as_array().unwrap() {
        let terms = evaluate(case, LossName::Dpop);
        for (key, found) in [
            ("h", pair(case).log_ratio_difference()),
            ("penalty", terms.penalty),
            ("implicit_reward_w", terms.reward_chosen),
            ("implicit_reward_l", terms.reward_rejected),
        ] {
            let what = format!("{key} of {}", case["name"]);
            assert_close_in(what, found, number(case, key), TOLERANCE);
        }
        assert_eq!(evaluate(case, LossName::Dpo).penalty, 0.0);
    }
}

#[test]
fn the_odds_ratio_term_is_orpo_without_its_likelihood() {
    for case in golden()["cases"].as_array().unwrap() {
        let pair = pair(case);
        let weight = number(case, "orpo_lambda");
        let orpo = evaluate(case, LossName::Orpo);
        let expected = &case["results"]["orpo_or_term"];
        let odds_loss = (orpo.loss + pair.chosen / pair.chosen_len as f64) / weight;
        let odds_grad = (orpo.grad_chosen + 1.0 / pair.chosen_len as f64) / weight;
        // The difference cancels digits that the division by the weight then shows.
        for (found, key) in [
            (odds_loss, "loss"),
            (odds_grad, "grad_logp_w"),
            (orpo.grad_rejected / weight, "grad_logp_l"),
        ] {
            assert!((found - number(expected, key)).abs() < 1e-11, "{key} of {}", case["name"]);
        }
    }
}

#[test]
fn misplaced_penalties_are_other_losses() {
    let mut told_apart = [0, 0];
    for case in golden()["cases"].as_array().unwrap() {
        let ours = evaluate(case, LossName::Dpop);
        let right = &case["results"]["dpop"];
        for (count, wrong) in
            told_apart.iter_mut().zip(["dpop_outside_logsigmoid", "dpop_lambda_not_scaled_by_beta"])
        {
            let wrong = &case["results"][wrong];
            let numbers = |of: &Value| [number(of, "loss"), number(of, "grad_logp_w")];
            let differs =
                |found: [f64; 2]| largest_relative_difference(found, numbers(wrong), 1.0) > 1e-12;
            let file_differs = differs(numbers(right));
            let we_differ = differs([ours.loss, ours.grad_chosen]);
            assert_eq!(file_differs, we_differ, "{}", case["name"]);
            *count += usize::from(we_differ);
        }
    }
    assert!(told_apart.iter().all(|&count| count > 20), "told apart: {told_apart:?}");
}

#[test]
fn the_kink_takes_the_right_derivative() {
    let mut kinks = 0;
    for case in golden()["cases"].as_array().unwrap() {
        let expected = &case["results"]["dpop"];
        if expected["kink"] != true {
            continue;
        }
        kinks += 1;
        let ours = evaluate(case, LossName::Dpop).grad_chosen;
        assert_close(ours, number(expected, "grad_logp_w_right"), TOLERANCE);
        // One step of the grid below the reference, the other side holds.
        let mut below = pair(case);
        below.chosen = below.ref_chosen.next_down();
        let left = LossName::Dpop
            .build(&parameters(case, LossName::Dpop))
            .and_then(|loss| loss.terms(&below))
            .unwrap()
            .grad_chosen;
        assert_close(left, number(expected, "grad_logp_w_left"), Tolerance::relative(1e-9));
    }
    assert!(kinks > 0);
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let total: f64 = logits.iter().map(|x| x.exp()).sum();
    logits.iter().map(|x| x.exp() / total).collect()
}

/// `[time, vocabulary]` probabilities, and the summed log-probability of `tokens`.
fn read_context(case: &Value, logits: &str, tokens: &str) -> (Vec<Vec<f64>>, Vec<usize>, f64) {
    let tokens: Vec<usize> =
        case[tokens].as_array().unwrap().iter().map(|t| t.as_u64().unwrap() as usize).collect();
    let probabilities: Vec<Vec<f64>> = case[logits]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            softmax(
                &row.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect::<Vec<_>>(),
            )
        })
        .collect();
    let logp = tokens.iter().zip(&probabilities).map(|(&token, row)| row[token].ln()).sum();
    (probabilities, tokens, logp)
}

/// What each logit would feel, where the two contexts share their logits (section 3 of the paper).
#[test]
fn token_level_directions() {
    for case in golden()["token_level"].as_array().unwrap() {
        let (s_w, tokens_w, chosen) =
            read_context(case, "logits_in_chosen_context", "chosen_tokens");
        let (s_l, tokens_l, rejected) =
            read_context(case, "logits_in_rejected_context", "rejected_tokens");
        let (_, _, ref_chosen) =
            read_context(case, "ref_logits_in_chosen_context", "chosen_tokens");
        let (_, _, ref_rejected) =
            read_context(case, "ref_logits_in_rejected_context", "rejected_tokens");
        for (key, value) in [
            ("logp_w", chosen),
            ("logp_l", rejected),
            ("ref_w", ref_chosen),
            ("ref_l", ref_rejected),
        ] {
            assert_close_in(key, value, number(case, key), TOLERANCE);
        }
        let pair = PairLogps { chosen, rejected, ref_chosen, ref_rejected, ..PairLogps::default() };
        let beta = number(case, "beta");
        for (lambda, loss_key, update_key) in
            [(0.0, "dpo_loss", "update_dpo"), (number(case, "lambda"), "dpop_loss", "update_dpop")]
        {
            let terms = Dpop::new(beta, lambda).unwrap().terms(&pair).unwrap();
            assert_close_in(loss_key, terms.loss, number(case, loss_key), TOLERANCE);
            for (t, row) in case[update_key].as_array().unwrap().iter().enumerate() {
                for (j, expected) in row.as_array().unwrap().iter().enumerate() {
                    let hit = |tokens: &[usize]| f64::from(u8::from(tokens[t] == j));
                    let update = -terms.grad_chosen * (hit(&tokens_w) - s_w[t][j])
                        - terms.grad_rejected * (hit(&tokens_l) - s_l[t][j]);
                    let expected = expected.as_f64().unwrap();
                    assert_close_in(format!("{update_key}[{t}][{j}]"), update, expected, TOLERANCE);
                }
            }
        }
    }
}
