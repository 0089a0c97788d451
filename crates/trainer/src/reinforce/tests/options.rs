//! What is drawn, masked, shaped and synchronised.

use super::*;

#[test]
fn completions_that_were_cut_off_can_be_masked_and_still_count_for_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let weights = |overrides: &[&str]| -> (Vec<f64>, Vec<bool>) {
        let mut run = new_run(&config(dir.path(), overrides), Judge::Continuous);
        let mut groups = overlapping();
        for rollout in groups[0].rollouts.iter_mut().step_by(2) {
            rollout.finish = FinishReason::Eos;
        }
        inject(&mut run, 0, vec![groups.remove(0)]);
        let weighted = &run.batch.as_ref().unwrap().groups[&0];
        let cut = weighted.group.rollouts.iter().map(Rollout::is_truncated).collect();
        (weighted.weights.clone(), cut)
    };
    let (plain, cut) = weights(&[]);
    assert_eq!(cut, [false, true, false, true]);
    let (masked, _) = weights(&["objective.mask_truncated=true"]);
    let expected: Vec<f64> =
        plain.iter().zip(&cut).map(|(weight, cut)| if *cut { 0.0 } else { *weight }).collect();
    assert_eq!(masked, expected);
    assert!(plain[1] != 0.0);
}

#[test]
fn aggregations_scale_completions_by_their_length() {
    let dir = tempfile::tempdir().unwrap();
    let loss = |aggregation: &[&str]| {
        let mut run = new_run(&config(dir.path(), aggregation), Judge::Continuous);
        inject(&mut run, 0, overlapping());
        let found = run.accumulate(&[0, 3], &context(0, 2)).unwrap();
        found.metrics.mean("loss").unwrap()
    };
    let sum = loss(&[]);
    // Eight completions of 3, 4, 3, 2 and 2, 2, 2, 4 tokens.
    let mean = loss(&["objective.aggregation=token-mean"]);
    bestof_closeness::assert_close(mean, sum * 8.0 / 22.0, 1e-9);
    let constant =
        loss(&["objective.aggregation=constant-length", "objective.aggregation_length=5"]);
    bestof_closeness::assert_close(constant, sum / 5.0, 1e-9);
    let each = loss(&["objective.aggregation=sequence-mean"]);
    assert!((each - mean).abs() > 1e-3 && each.is_finite());
}

/// Pays completions of even rows alike, and others by their tokens.
#[test]
fn prompts_whose_completions_all_have_one_reward_are_drawn_again() {
    let dir = tempfile::tempdir().unwrap();
    let run = |rounds: &str| {
        let settings = [rounds, "objective.estimator=loo-minus-one"];
        let mut run = new_run(&config(dir.path(), &settings), Judge::Continuous);
        for problem in run.parts.train.items.iter_mut().step_by(2) {
            let verifier = Box::new(Judge::Constant(0.5));
            problem.verifiers = vec![WeightedVerifier { verifier, weight: 1.0 }];
        }
        run.begin_step(StepRows::alone(&[0, 1, 2, 4]), 3, Ranks::default(), &mut Silent).unwrap();
        let batch = run.batch.as_ref().unwrap();
        let rows: Vec<usize> = batch.groups.values().map(|weighted| weighted.group.row).collect();
        let signal = batch.groups.values().filter(|weighted| weighted.has_signal()).count();
        let found = run.accumulate(&[0, 1, 2, 4], &context(0, 4)).unwrap();
        assert!(!found.gradients.is_empty());
        (rows, signal, run.finish_step(Ranks::default()).unwrap().mean("prompts/redrawn").unwrap())
    };
    assert_eq!(run("objective.redraw_rounds=0"), (vec![0, 1, 2, 4], 1, 0.0));
    let (rows, signal, redrawn) = run("objective.redraw_rounds=20");
    assert_eq!(signal, 4, "{rows:?}");
    assert!(redrawn >= 3.0 && rows.iter().all(|row| row % 2 == 1), "{rows:?}");
    let distinct: std::collections::BTreeSet<&usize> = rows.iter().collect();
    assert_eq!(distinct.len(), 4, "no prompt stands in a step twice");
    assert_eq!(run("objective.redraw_rounds=20").0, rows, "the same prompts when it is resumed");
}

#[test]
fn every_prompt_can_have_a_k_of_its_own_from_what_it_passed_before() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path(), &["objective.estimator=centred"]);
    let objective = config.objective.as_mut().unwrap();
    objective.k = None;
    objective.k_schedule =
        Some(serde_json::from_str(r#"{"kind":"by-pass-rate","from":3,"to":1}"#).unwrap());
    let mut run = new_run(&config, Judge::Divides(2));
    run.pass_counts = BTreeMap::from([(0, (0, 40)), (1, (10, 40)), (2, (39, 40))]);
    run.begin_step(StepRows::alone(&[0, 1, 2, 3]), 5, Ranks::default(), &mut Silent).unwrap();
    let ks: Vec<usize> =
        run.batch.as_ref().unwrap().groups.values().map(|weighted| weighted.k).collect();
    assert_eq!(ks, [3, 3, 1, 3]);
    run.finish_step(Ranks::default()).unwrap();
    assert_eq!(run.pass_counts[&3].1, 4);
    let saved = run.save_state();
    let mut again = new_run(&config, Judge::Divides(2));
    again.restore_state(&saved).unwrap();
    assert_eq!(again.pass_counts, run.pass_counts);
}

#[test]
fn a_reference_that_follows_the_policy_is_part_of_checkpoints() {
    for overrides in [&["lora.r=3"][..], &[]] {
        let settings = [
            &["objective.kl_coefficient=0.3", "objective.reference_sync_steps=3"][..],
            &["train.save_steps=4"],
            overrides,
        ]
        .concat();
        let whole = tempfile::tempdir().unwrap();
        let (run, report) = trained(&config(whole.path(), &settings), Judge::Divides(2));
        let kl = report.curve("kl");
        // Steps 1, 4 and 7 begin with the reference equal to the policy.
        for (step, value) in kl {
            assert_eq!(value == 0.0, (step as u64 - 1).is_multiple_of(3), "step {step}: {value}");
        }
        let cut = tempfile::tempdir().unwrap();
        let configured = config(cut.path(), &settings);
        let mut stopped = new_run(&configured, Judge::Divides(2));
        let options = TrainOptions { resume: true, ..TrainOptions::default() };
        let settings = configured.train_settings();
        let error = train(&mut stopped, &settings, &options, &mut StopAfter(5, 0)).unwrap_err();
        assert!(matches!(error, TrainError::Stopped { step: 5, .. }));
        let mut resumed = new_run(&configured, Judge::Divides(2));
        train(&mut resumed, &settings, &options, &mut Silent).unwrap();
        assert_eq!(weights_of(resumed.model()), weights_of(run.model()), "{overrides:?}");
    }
}

/// Asks to stop once so many steps are made.
struct StopAfter(u64, u64);

impl Progress for StopAfter {
    fn step(&mut self, progress: &StepProgress) {
        self.1 = progress.step;
    }

    fn wants_stop(&mut self) -> bool {
        self.1 == self.0
    }
}

#[test]
fn settings_that_do_nothing_are_refused_by_name() {
    for (overrides, key) in [
        (&["objective.reference_sync_steps=3"][..], "objective.reference_sync_steps"),
        (&["objective.mini_batch_prompts=5"], "objective.mini_batch_prompts"),
        (&["objective.mini_batch_prompts=0"], "objective.mini_batch_prompts"),
        (&["objective.order=2"], "objective.order"),
        (&["objective.ratio_cap=2"], "objective.ratio_cap"),
        (&["objective.surrogate=truncated-is", "objective.epsilon=0.1"], "objective.epsilon"),
        (&["objective.partner_cap=0.5"], "objective.partner_cap"),
        (&["objective.partner_cap=2", "objective.off_policy=own-ratio"], "objective.partner_cap"),
        (&["objective.sampler_cap=nan"], "objective.sampler_cap"),
        (&["reward.overlong_buffer=5"], "reward.overlong_buffer"),
        (&["reward.overlong_penalty=2"], "reward.overlong_penalty"),
        (&["reward.length_penalty=-1"], "reward.length_penalty"),
        (&["reward.more=[{verifier=\"text\",weight=inf}]"], "reward.more"),
        (&["reward.more=[{verifier=\"program\"}]"], "reward.more"),
        (&["lora.r=2", "lora.dropout=0.1"], "lora.dropout"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
        let text = format!(
            "[model]\npath='m'\n[data]\ntrain='t'\n[output]\ndir={:?}\n[train]\n\
             per_device_train_batch_size=2\ngradient_accumulation_steps=2\n\
             [rollout]\nnum_generations=4\nmax_new_tokens=4\n[objective]\nestimator='plain'\nk=2\n",
            dir.path().display()
        );
        let read = RunConfig::from_toml(&text, &overrides)
            .and_then(|config| config.validate_kind(crate::config::RunKind::POLICY));
        let message = read.unwrap_err().to_string();
        assert!(message.contains(key), "{overrides:?}: {message}");
    }
}
