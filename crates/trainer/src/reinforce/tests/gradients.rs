//! Exact gradients: against enumeration, separate sequences and the first update of a batch.

use super::*;

/// The expectation of the run's gradient over every batch of one-token completions is minus the
/// derivative of the exact objective, for every estimator that claims to be unbiased.
#[test]
fn the_expected_gradient_is_that_of_the_enumerated_objective() {
    let dir = tempfile::tempdir().unwrap();
    // Three tokens get nearly all the probability, so that 3^n batches are all that matter.
    let actions = [1_u32, 5, 6];
    let previous = 1_u32;
    let mut policy = Toy::new();
    parameters::update(&mut policy, &mut |name, old| {
        let mut values = host_values(old.clone());
        if name == "table.weight" {
            let row = previous as usize * VOCAB;
            for (token, value) in values[row..row + VOCAB].iter_mut().enumerate() {
                *value = match token {
                    1 => 0.3,
                    5 => -0.4,
                    6 => 0.8,
                    _ => -60.0,
                };
            }
        }
        Tensor::from_floats(values.as_slice(), &old.device())
    });
    let reward = |token: u32| value_of(&[token]);
    let chance =
        |logits: &[f64; 3], i: usize| logits[i].exp() / logits.iter().map(|x| x.exp()).sum::<f64>();
    let logits = [0.3_f64, -0.4, 0.8];
    for (estimator, k, n) in [
        (Estimator::Plain, 2, 3),
        (Estimator::Loo, 2, 3),
        (Estimator::LooMinusOne, 2, 3),
        (Estimator::LooMinusOne, 3, 3),
        (Estimator::Rloo, 1, 3),
        (Estimator::MaxAtN, 3, 3),
        (Estimator::Reinforce, 1, 2),
    ] {
        let overrides = [
            format!("objective.estimator={estimator}"),
            format!("rollout.num_generations={n}"),
            format!("objective.k={k}"),
        ];
        let mut config = config(dir.path(), &[]);
        let mut objective = config.objective.clone().unwrap();
        objective.estimator = estimator;
        objective.k = estimator.uses_k().then_some(k);
        config.objective = Some(objective);
        config.rollout.as_mut().unwrap().num_generations = n;
        let mut run = new_run(&config, Judge::Continuous);
        run.parts.model = policy.clone();
        // Row 0 asks [0, 1]: the next token is drawn after token 1.
        assert_eq!(run.parts.train.items[0].prompt_ids, [0, previous], "{overrides:?}");
        let mut expected = [0.0; 3];
        for batch in 0..3_usize.pow(n as u32) {
            let drawn: Vec<usize> = (0..n).map(|i| batch / 3_usize.pow(i as u32) % 3).collect();
            let rollouts = drawn.iter().map(|i| rollout(&[actions[*i]], Judge::Continuous));
            let group = Group { row: 0, rollouts: rollouts.collect() };
            inject(&mut run, 0, vec![group]);
            let found = run.accumulate(&[0], &context(0, 1)).unwrap();
            let found = NamedGradients::of(run.model(), found.gradients);
            let table = found.values("table.weight");
            let likely: f64 = drawn.iter().map(|i| chance(&logits, *i)).product();
            for (sum, action) in expected.iter_mut().zip(actions) {
                let at = previous as usize * VOCAB + action as usize;
                *sum += likely * table.get(at).copied().map_or(0.0, f64::from);
            }
        }
        // E[max of k] by enumeration of all k-tuples, and its derivative by central differences.
        let value = |logits: &[f64; 3]| -> f64 {
            (0..3_usize.pow(k as u32))
                .map(|tuple| {
                    let drawn = (0..k).map(|i| tuple / 3_usize.pow(i as u32) % 3);
                    let best = drawn.clone().map(|i| reward(actions[i])).fold(f64::MIN, f64::max);
                    drawn.map(|i| chance(logits, i)).product::<f64>() * best
                })
                .sum()
        };
        for (i, found) in expected.into_iter().enumerate() {
            let moved = |by: f64| {
                let mut logits = logits;
                logits[i] += by;
                value(&logits)
            };
            let exact = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((found + exact).abs() < 1e-6, "{estimator} k {k}: {found} against {}", -exact);
        }
    }
}

/// The loss of given completions as a function of the model, from separate sequences.
fn loss_apart(
    run: &ReinforceRun<Toy>,
    model: &Toy,
    old: &Toy,
    groups: &[(Group, Vec<f64>)],
) -> f64 {
    let temperature = run.parts.sampler.sampling.temperature;
    let options = ForwardOptions::default().with_temperature(temperature);
    let logps = |model: &Toy, row: usize, ids: &[u32], options: &ForwardOptions| -> Vec<f64> {
        let prompt = &run.parts.train.items[row].prompt_ids;
        let tokens = [prompt.as_slice(), ids].concat();
        let mut builder = bestof_models::ForestBuilder::new();
        builder.add_group(&[bestof_models::Sequence {
            tokens: &tokens,
            completion_start: prompt.len(),
        }]);
        let logps = model.valid().token_logps(&builder.finish(), options).unwrap();
        host_values(logps).into_iter().map(f64::from).collect()
    };
    let mut total = 0.0;
    for (group, weights) in groups {
        for (rollout, weight) in group.rollouts.iter().zip(weights) {
            let prompt = &run.parts.train.items[group.row].prompt_ids;
            let before = [&prompt[prompt.len() - 1..], &rollout.ids].concat();
            let entropies: Vec<f64> = before[..rollout.ids.len()]
                .iter()
                .map(|previous| model.entropy(*previous, &options))
                .collect();
            let now = logps(model, group.row, &rollout.ids, &options);
            let then = logps(old, group.row, &rollout.ids, &options);
            let anchor = match &run.parts.reference {
                Some(frozen) => logps(frozen, group.row, &rollout.ids, &options),
                None => logps(model, group.row, &rollout.ids, &options.with_adapters(false)),
            };
            let completion = bestof_losses::SampledCompletion {
                weight: *weight,
                share: 1.0 / weights.len() as f64,
                logprobs: &now,
                old_logps: Some(&then),
                reference: Some(&anchor),
                entropies: Some(&entropies),
                ..Default::default()
            };
            total += run.loss.terms(&completion, &mut vec![0.0; now.len()]).unwrap().loss;
        }
    }
    total / groups.len() as f64
}

#[test]
fn a_tree_of_completions_gives_the_gradient_of_separate_ones_duplicates_included() {
    let dir = tempfile::tempdir().unwrap();
    for overrides in [
        &[][..],
        &["train.max_tokens_per_forward=6"],
        &[
            "rollout.temperature=0.6",
            "objective.kl_coefficient=0.2",
            "objective.entropy_coefficient=0.3",
        ],
        &[
            "objective.kl_coefficient=0.2",
            "objective.kl_estimator=k2",
            "objective.entropy_coefficient=0.3",
        ],
        &["objective.kl_coefficient=0.2", "lora.r=3", "objective.ratio=sequence"],
        &["objective.estimator=grpo", "objective.ratio=sequence-mean"],
    ] {
        let mut settings = vec!["objective.updates_per_batch=2", "objective.epsilon=0.9"];
        settings.extend(overrides);
        let mut configured = config(dir.path(), &settings);
        if overrides.iter().any(|text| text.contains("grpo")) {
            configured.objective.as_mut().unwrap().k = None;
        }
        let mut run = new_run(&configured, Judge::Continuous);
        // A policy apart from its reference, and then one apart from that which sampled.
        let shift = |run: &mut ReinforceRun<Toy>, by: f32| {
            parameters::update(run.model_mut(), &mut |_, old| {
                let values: Vec<f32> = host_values(old.clone())
                    .iter()
                    .enumerate()
                    .map(|(i, x)| x + by * (i as f32 * 0.37).sin())
                    .collect();
                Tensor::from_floats(values.as_slice(), &old.device())
            });
        };
        shift(&mut run, 0.3);
        inject(&mut run, 0, overlapping());
        let first = run.accumulate(&[0, 3], &context(0, 2)).unwrap();
        let old = run.model().clone();
        let weighted = |run: &ReinforceRun<Toy>| -> Vec<(Group, Vec<f64>)> {
            let groups = run.batch.as_ref().unwrap().groups.values();
            groups.map(|weighted| (weighted.group.clone(), weighted.weights.clone())).collect()
        };
        let of_first = weighted(&run);
        for (update, found) in [(0, first), {
            shift(&mut run, 0.1);
            (1, run.accumulate(&[0, 3], &context(1, 2)).unwrap())
        }] {
            let model = if update == 0 { old.clone() } else { run.model().clone() };
            let weighted = if update == 0 { of_first.clone() } else { weighted(&run) };
            let loss = found.metrics.mean("loss").unwrap();
            let apart = loss_apart(&run, &model, &old, &weighted);
            assert!((loss - apart).abs() < 1e-5, "{overrides:?}: {loss} against {apart}");
            let gradients = NamedGradients::of(run.model(), found.gradients);
            for info in parameters::trainable(&model) {
                let gradient = gradients.values(&info.name);
                for at in (0..info.len()).step_by(5) {
                    let moved = |by: f32| {
                        let mut model = model.clone();
                        parameters::update(&mut model, &mut |name, tensor| {
                            let mut values = host_values(tensor.clone());
                            if name == info.name {
                                values[at] += by;
                            }
                            Tensor::from_floats(values.as_slice(), &tensor.device())
                        });
                        loss_apart(&run, &model, &old, &weighted)
                    };
                    let numeric = (moved(4e-3) - moved(-4e-3)) / 8e-3;
                    let exact = f64::from(gradient[at]);
                    assert!(
                        (numeric - exact).abs() < 2e-4 + 2e-3 * exact.abs(),
                        "{overrides:?} update {update} {}[{at}]: {numeric} against {exact}",
                        info.name
                    );
                }
            }
        }
    }
}

#[test]
fn the_first_update_is_on_policy_and_later_ones_are_clipped() {
    let dir = tempfile::tempdir().unwrap();
    let settings =
        ["objective.updates_per_batch=3", "train.learning_rate=0.5", "objective.epsilon=0.05"];
    let config = config(dir.path(), &settings);
    let mut run = new_run(&config, Judge::Divides(2));
    run.begin_step(StepRows::alone(&[0, 1, 2, 3]), 0, Ranks::default(), &mut Silent).unwrap();
    let first = run.accumulate(&[0, 1, 2, 3], &context(0, 4)).unwrap();
    assert_eq!(first.metrics.mean("clip_ratio"), Some(0.0));
    // Nothing has moved: the second update's ratios are 1 to the last bit, its gradient the same.
    let second = run.accumulate(&[0, 1, 2, 3], &context(1, 4)).unwrap();
    assert_eq!(second.metrics.mean("loss"), first.metrics.mean("loss"));
    let first = NamedGradients::of(run.model(), first.gradients);
    let second = NamedGradients::of(run.model(), second.gradients);
    for name in ["bias", "table.weight"] {
        assert!(first.values(name).iter().any(|x| *x != 0.0));
        assert_eq!(first.values(name), second.values(name));
    }
    let (_, report) = trained(&config, Judge::Divides(2));
    assert!(report.last("clip_ratio").unwrap() > 0.0, "large steps reach the bounds");
    assert_eq!(report.curve("loss").len(), 8, "a step counts once");
}

#[test]
fn a_policy_at_a_temperature_is_sampled_as_it_is_trained() {
    let dir = tempfile::tempdir().unwrap();
    for overrides in [&["rollout.temperature=0.5"][..], &["rollout.temperature=1.6", "lora.r=2"]] {
        let mut run = new_run(&config(dir.path(), overrides), Judge::Divides(2));
        run.begin_step(StepRows::alone(&[0, 1, 2, 3]), 0, Ranks::default(), &mut Silent).unwrap();
        let sum = run.accumulate(&[0, 1, 2, 3], &context(0, 4)).unwrap();
        let gap = sum.metrics.mean("rollout_gap").unwrap();
        assert!(gap < 1e-5, "{overrides:?}: {gap}");
        assert_eq!(sum.metrics.mean("sampling_gap"), Some(0.0));
        // At another temperature it would be another policy.
        run.parts.sampler.sampling.temperature = 1.0;
        let other = run.accumulate(&[0, 1, 2, 3], &context(0, 4)).unwrap();
        assert!(other.metrics.mean("rollout_gap").unwrap() > 0.05);
    }
}

#[test]
fn completions_on_either_side_of_a_length_are_those_of_one_tree() {
    let dir = tempfile::tempdir().unwrap();
    for budget in [4096, 8, 6] {
        let overrides = [format!("train.max_tokens_per_forward={budget}")];
        let config = config(dir.path(), &[&overrides[0]]);
        let found = [usize::MAX, 6].map(|long_from| {
            let mut run = new_run(&config, Judge::Continuous);
            run.parts.model.long_from = long_from;
            inject(&mut run, 0, overlapping());
            let sum = run.accumulate(&[0, 3], &context(0, 2)).unwrap();
            let gradients = NamedGradients::of(run.model(), sum.gradients);
            (sum.metrics.mean("loss").unwrap(), gradients.values("table.weight"))
        });
        let [(loss, gradient), (apart, by_length)] = found;
        assert!((loss - apart).abs() < 1e-6, "{budget}: {loss} against {apart}");
        for (a, b) in gradient.iter().zip(&by_length) {
            assert!((a - b).abs() < 1e-6, "{budget}");
        }
    }
}

#[test]
fn every_row_has_its_own_dropout_masks() {
    let dir = tempfile::tempdir().unwrap();
    let run = |dropout: &str, prompts: usize| {
        let overrides = ["lora.r=4", dropout, "train.max_tokens_per_forward=4"];
        let mut run = new_run(&config(dir.path(), &overrides), Judge::Continuous);
        parameters::update(run.model_mut(), &mut |_, old| old.add_scalar(0.3));
        // The same prompt and the same completions under many names.
        run.parts.train.items = (0..prompts)
            .map(|_| Problem::judged_by(vec![0, 1], Box::new(Judge::Continuous)))
            .collect();
        let group = |row| Group {
            row,
            rollouts: [[5_u32, END], [6, END]].map(|ids| rollout(&ids, Judge::Continuous)).to_vec(),
        };
        inject(&mut run, 0, (0..prompts).map(group).collect());
        let rows: Vec<usize> = (0..prompts).collect();
        let sum = run.accumulate(&rows, &context(0, prompts)).unwrap();
        NamedGradients::of(run.model(), sum.gradients).values("table.lora_B.weight")
    };
    let apart = |a: &[f32], b: &[f32]| a.iter().zip(b).any(|(a, b)| (a - b).abs() > 1e-4);
    assert!(!apart(&run("lora.dropout=0.0", 1), &run("lora.dropout=0.0", 16)));
    assert!(apart(&run("lora.dropout=0.5", 1), &run("lora.dropout=0.5", 16)));
}
