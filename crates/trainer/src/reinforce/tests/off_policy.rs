//! Updates by a policy that has moved from the one that sampled: exact gradients by enumeration.

use super::*;

/// Three tokens that have nearly all the probability, so that 3^n batches are all that matter.
const ACTIONS: [u32; 3] = [1, 5, 6];
/// Row 0 asks [0, 1]: the next token is drawn after token 1.
const PREVIOUS: u32 = 1;
const OLD: [f64; 3] = [0.3, -0.4, 0.8];
const NEW: [f64; 3] = [0.9, 0.1, -0.2];

fn with_logits(logits: [f64; 3]) -> Toy {
    let mut policy = Toy::new();
    parameters::update(&mut policy, &mut |name, old| {
        let mut values = host_values(old.clone());
        if name == "table.weight" {
            let row = PREVIOUS as usize * VOCAB;
            values[row..row + VOCAB].fill(-60.0);
            for (action, logit) in ACTIONS.into_iter().zip(logits) {
                values[row + action as usize] = logit as f32;
            }
        }
        Tensor::from_floats(values.as_slice(), &old.device())
    });
    policy
}

fn chances(logits: [f64; 3], temperature: f64) -> [f64; 3] {
    let sum: f64 = logits.iter().map(|x| (x / temperature).exp()).sum();
    logits.map(|x| (x / temperature).exp() / sum)
}

/// `E[max of k]` at these logits, by enumeration of all k-tuples.
fn best_of(k: usize, logits: [f64; 3], temperature: f64) -> f64 {
    let chances = chances(logits, temperature);
    (0..3_usize.pow(k as u32))
        .map(|tuple| {
            let drawn = || (0..k).map(move |i| tuple / 3_usize.pow(i as u32) % 3);
            let best = drawn().map(|i| value_of(&[ACTIONS[i]])).fold(f64::MIN, f64::max);
            drawn().map(|i| chances[i]).product::<f64>() * best
        })
        .sum()
}

/// The derivative of a function of the logits, by central differences.
fn slopes(value: impl Fn([f64; 3]) -> f64) -> [f64; 3] {
    std::array::from_fn(|i| {
        let moved = |by: f64| {
            let mut logits = NEW;
            logits[i] += by;
            value(logits)
        };
        (moved(1e-5) - moved(-1e-5)) / 2e-5
    })
}

/// How an update is set up.
struct Case<'a> {
    estimator: Estimator,
    k: Option<usize>,
    n: usize,
    temperature: f64,
    overrides: &'a [&'a str],
}

/// Minus the expected gradient, by the logits, of the update that the policy `NEW` makes of batches
/// that `OLD` has sampled.
fn expected_update(case: &Case<'_>) -> [f64; 3] {
    let dir = tempfile::tempdir().unwrap();
    let (n, samples) = (case.n, format!("rollout.num_generations={}", case.n));
    let wide = ["objective.epsilon=1", "objective.epsilon_high=1e9", "objective.ratio=sequence"];
    let mut overrides = vec!["objective.updates_per_batch=2", samples.as_str()];
    overrides.extend(wide);
    overrides.extend(case.overrides);
    let mut config = config(dir.path(), &overrides);
    let objective = config.objective.as_mut().unwrap();
    objective.estimator = case.estimator;
    objective.k = case.k;
    let mut run = new_run(&config, Judge::Continuous);
    run.parts.sampler.sampling = SamplingConfig::default().with_temperature(case.temperature);
    assert_eq!(run.parts.train.items[0].prompt_ids, [0, PREVIOUS]);
    let (old, new) = (with_logits(OLD), with_logits(NEW));
    let old_chances = chances(OLD, case.temperature);
    let mut expected = [0.0; 3];
    for batch in 0..3_usize.pow(n as u32) {
        let drawn: Vec<usize> = (0..n).map(|i| batch / 3_usize.pow(i as u32) % 3).collect();
        let rollouts = drawn.iter().map(|i| rollout(&[ACTIONS[*i]], Judge::Continuous)).collect();
        run.parts.model = old.clone();
        inject(&mut run, 0, vec![Group { row: 0, rollouts }]);
        run.accumulate(&[0], &context(0, 1)).unwrap();
        run.parts.model = new.clone();
        let found = run.accumulate(&[0], &context(1, 1)).unwrap();
        let table = NamedGradients::of(run.model(), found.gradients).values("table.weight");
        let likely: f64 = drawn.iter().map(|i| old_chances[*i]).product();
        for (sum, action) in expected.iter_mut().zip(ACTIONS) {
            let at = PREVIOUS as usize * VOCAB + action as usize;
            *sum -= likely * table.get(at).copied().map_or(0.0, f64::from);
        }
    }
    expected
}

fn largest_gap(a: [f64; 3], b: [f64; 3]) -> f64 {
    bestof_closeness::largest_difference(a, b)
}

#[test]
fn the_expected_later_update_is_the_gradient_at_the_policy_as_it_is() {
    for (estimator, k, n) in [
        (Estimator::Plain, Some(2), 3),
        (Estimator::Loo, Some(2), 3),
        (Estimator::LooMinusOne, Some(2), 3),
        (Estimator::LooMinusOne, Some(3), 3),
        (Estimator::Centred, Some(2), 4),
        (Estimator::MaxAtN, None, 3),
        (Estimator::Rloo, None, 3),
    ] {
        for temperature in [1.0, 1.7] {
            let best = k.unwrap_or(if estimator == Estimator::MaxAtN { n } else { 1 });
            let exact = slopes(|logits| best_of(best, logits, temperature));
            let case = Case { estimator, k, n, temperature, overrides: &[] };
            let gap = largest_gap(expected_update(&case), exact);
            assert!(gap < 2e-6, "{estimator} {k:?} n {n} at {temperature}: {gap}");
        }
    }
}

#[test]
fn every_tree_and_surrogate_gives_the_same_update() {
    let exact = slopes(|logits| best_of(2, logits, 1.0));
    for overrides in [
        // Each completion in a tree of its own: weights need all trees first.
        &["train.max_tokens_per_forward=3"][..],
        &["objective.surrogate=cispo"],
    ] {
        let case = Case {
            estimator: Estimator::LooMinusOne,
            k: Some(2),
            n: 3,
            temperature: 1.0,
            overrides,
        };
        let gap = largest_gap(expected_update(&case), exact);
        assert!(gap < 2e-6, "{overrides:?}: {gap}");
    }
}

#[test]
fn harmonic_updates_follow_the_sum_over_k() {
    let exact = slopes(|logits| (1..=2).map(|k| best_of(k, logits, 1.0) / k as f64).sum::<f64>());
    let case = Case {
        estimator: Estimator::Harmonic,
        k: None,
        n: 4,
        temperature: 1.0,
        overrides: &["objective.estimator=harmonic", "objective.order=2"],
    };
    let gap = largest_gap(expected_update(&case), exact);
    assert!(gap < 2e-6, "{gap}");
}

/// The rule of other programs is the gradient of another objective: one new sample, the others old.
#[test]
fn own_ratios_alone_follow_the_best_of_one_new_and_old_samples() {
    let old = chances(OLD, 1.0);
    let surrogate = slopes(|logits| {
        let new = chances(logits, 1.0);
        let pairs = (0..3).flat_map(|i| (0..3).map(move |j| (i, j)));
        pairs
            .map(|(i, j)| {
                let best = value_of(&[ACTIONS[i]]).max(value_of(&[ACTIONS[j]]));
                2.0 * new[i] * old[j] * best
            })
            .sum()
    });
    let exact = slopes(|logits| best_of(2, logits, 1.0));
    let case = Case {
        estimator: Estimator::LooMinusOne,
        k: Some(2),
        n: 3,
        temperature: 1.0,
        overrides: &["objective.off_policy=own-ratio"],
    };
    let found = expected_update(&case);
    assert!(largest_gap(found, surrogate) < 2e-6);
    let size = bestof_closeness::largest_magnitude(exact);
    assert!(largest_gap(found, exact) > 0.2 * size, "it is not the gradient of max@k: {found:?}");
}

#[test]
fn weights_come_from_whole_completions_whatever_the_own_ratio_is_taken_of() {
    let dir = tempfile::tempdir().unwrap();
    let weights = |ratio: &str| -> Vec<f64> {
        let name = format!("objective.ratio={ratio}");
        let settings = ["objective.updates_per_batch=2", &name];
        let mut run = new_run(&config(dir.path(), &settings), Judge::Continuous);
        run.begin_step(StepRows::alone(&[0, 3]), 0, Ranks::default(), &mut Silent).unwrap();
        run.accumulate(&[0, 3], &context(0, 2)).unwrap();
        parameters::update(run.model_mut(), &mut |_, old| old.mul_scalar(1.3));
        let second = run.accumulate(&[0, 3], &context(1, 2)).unwrap();
        assert!(second.metrics.mean("ratio/mean_product").is_some_and(|mean| mean != 1.0));
        let groups = &run.batch.as_ref().unwrap().groups;
        groups.values().flat_map(|weighted| weighted.weights.clone()).collect()
    };
    let token = weights("token");
    assert_eq!(token, weights("sequence"));
    assert_eq!(token, weights("sequence-mean"));
    assert!(token.iter().any(|weight| *weight != 0.0));
}

#[test]
fn mini_batches_are_prompts_and_only_the_first_is_on_policy() {
    let dir = tempfile::tempdir().unwrap();
    let settings = ["objective.mini_batch_prompts=3", "objective.updates_per_batch=2"];
    let config = config(dir.path(), &settings);
    let mut run = new_run(&config, Judge::Continuous);
    let rows = [0, 1, 2, 3];
    let updates: Vec<Vec<usize>> = run.updates(&rows).iter().map(|part| part.to_vec()).collect();
    assert_eq!(updates, [vec![0, 1, 2], vec![3], vec![0, 1, 2], vec![3]]);
    run.begin_step(StepRows::alone(&rows), 0, Ranks::default(), &mut Silent).unwrap();
    let ratios = |run: &mut ReinforceRun<Toy>, update: usize| {
        let slots = updates[update].clone();
        let sum = run.accumulate(&slots, &context(update, slots.len())).unwrap();
        (sum.metrics.mean("ratio/mean_product"), sum.metrics.mean("reward").is_some(), sum.tokens)
    };
    let (first, seen, tokens) = ratios(&mut run, 0);
    assert!(first.is_none() && seen && tokens > 0);
    parameters::update(run.model_mut(), &mut |_, old| old.mul_scalar(1.3));
    let (second, seen, _) = ratios(&mut run, 1);
    assert!(second.is_some_and(|mean| mean != 1.0) && seen, "{second:?}");
    let (third, seen, tokens) = ratios(&mut run, 2);
    assert!(third.is_some() && !seen && tokens == 0, "completions are counted once");
}

/// With masks that turn components of the adapter off, every update is by ratios; without any
/// movement and without masks all of them are 1.
#[test]
fn dropout_is_corrected_for_by_ratios_from_the_first_update_on() {
    let dir = tempfile::tempdir().unwrap();
    let product = |dropout: &str| {
        let settings = ["lora.r=4", dropout, "objective.ratio=sequence"];
        let config = config(dir.path(), &settings);
        let mut run = new_run(&config, Judge::Continuous);
        parameters::update(run.model_mut(), &mut |_, old| old.add_scalar(0.3));
        run.begin_step(StepRows::alone(&[0, 3]), 0, Ranks::default(), &mut Silent).unwrap();
        let first = run.accumulate(&[0, 3], &context(0, 2)).unwrap();
        first.metrics.mean("ratio/mean_product")
    };
    assert_eq!(product("lora.dropout=0"), None);
    assert!(product("lora.dropout=0.5").is_some_and(|mean| (mean - 1.0).abs() > 1e-3));
}

#[test]
fn cuts_are_weighed_by_what_the_sampler_drew() {
    let dir = tempfile::tempdir().unwrap();
    let gradient = |overrides: &[&str], drawn: f32| {
        let mut run = new_run(&config(dir.path(), overrides), Judge::Continuous);
        let mut groups = overlapping();
        let options = ForwardOptions::default();
        for group in &mut groups {
            for rollout in &mut group.rollouts {
                // As if each token was drawn from a distribution that had `drawn` nats more for it.
                let prompt = run.parts.train.items[group.row].prompt_ids.clone();
                let tokens = [prompt.as_slice(), &rollout.ids].concat();
                let forest = bestof_models::TokenForest::text(&tokens);
                let logps =
                    host_values(run.model().valid().token_logps(&forest, &options).unwrap());
                let own = &logps[prompt.len() - 1..];
                rollout.sampling_logprobs = own.iter().map(|logp| logp + drawn).collect();
            }
        }
        inject(&mut run, 0, groups);
        let found = run.accumulate(&[0, 3], &context(0, 2)).unwrap();
        NamedGradients::of(run.model(), found.gradients).values("table.weight")
    };
    let plain = gradient(&[], 0.0);
    let halved: Vec<f32> = plain.iter().map(|slope| slope * 0.5).collect();
    let weighed = gradient(&["objective.sampler_cap=2"], std::f32::consts::LN_2);
    bestof_closeness::assert_close(weighed, halved, 1e-6);
    // The sampler had too little of these tokens: weights would be 8, and are bounded by 2.
    let doubled: Vec<f32> = plain.iter().map(|slope| slope * 2.0).collect();
    let capped = gradient(&["objective.sampler_cap=2"], -(8.0_f32.ln()));
    bestof_closeness::assert_close(capped, doubled, 1e-5);
}
