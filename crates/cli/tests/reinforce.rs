//! `reinforce`, `evaluate pass-at-k` and `puzzles` end to end on a tiny model, and what can be wrong with them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::model::{json_lines, set, take_apart};
use support::run::{Bench, metrics, questions, read_lines};
use support::{bestof, command, finish, has_keys, text, words};

fn weights(run: &Path) -> Vec<u8> {
    fs::read(run.join("final/model.safetensors")).unwrap()
}

#[test]
fn a_run_leaves_a_model_its_curves_and_what_was_said() {
    let bench = Bench::new();
    for (name, more) in [
        (
            "full",
            &[
                "objective.kl_coefficient=0.05",
                "objective.entropy_coefficient=0.01",
                "train.eval_on_start=true",
            ][..],
        ),
        (
            "lora",
            &[
                "lora.r=4",
                "objective.updates_per_batch=2",
                "objective.kl_coefficient=0.05",
                "objective.entropy_coefficient=0.01",
            ],
        ),
    ] {
        let done = bench.run(name, more).json();
        has_keys(&done, &["model", "report", "results"]);
        assert_eq!(done["results"]["global_step"], 4);
        assert_eq!(done["results"]["best_metric_name"], "eval_pass@2");
        for metric in
            ["train_reward", "train_pass@1", "train_k", "train_kl", "eval_pass@4", "eval_entropy"]
        {
            assert!(done["results"][metric].is_number(), "{metric} is not in {done}");
        }
        let run = bench.run_dir(name);
        for file in
            ["config.toml", "metrics.jsonl", "samples.jsonl", "report.html", "train_results.json"]
        {
            assert!(run.join(file).exists(), "{file}");
        }
        let (header, _) = take_apart(&run.join("final/model.safetensors"));
        assert!(header.get("lm_head.weight").is_some());
        assert_eq!(run.join("adapter").exists(), name == "lora");
        let samples = read_lines(&run.join("samples.jsonl"));
        for field in [
            "step",
            "prompt",
            "completion",
            "reward",
            "outcome",
            "reason",
            "finish",
            "row",
            "answer",
            "set",
        ] {
            assert!(samples[0].get(field).is_some(), "{field} is not in {}", samples[0]);
        }
        let train = samples.iter().filter(|sample| sample["set"] == "train").count();
        assert_eq!(train, 16, "four a step");
        let first = metrics(&run).into_iter().find(|row| row.get("kl").is_some()).unwrap();
        assert_eq!(first["kl"], 0.0, "policy and reference are the same function at the start");
        let kl: Vec<f64> = metrics(&run)
            .iter()
            .filter_map(|row| Some(row.get("kl")?.as_f64().unwrap_or(f64::NAN)))
            .collect();
        assert!(kl.iter().all(|kl| kl.is_finite()), "{kl:?}");
        assert!(kl.iter().any(|kl| *kl > 0.0), "the reference stays where it was: {kl:?}");
        let gap = first["rollout_gap"].as_f64().unwrap();
        assert!((0.0..1e-4).contains(&gap), "sampling and training are the same model: {gap}");
        let resolved = fs::read_to_string(run.join("config.toml")).unwrap();
        for key in ["temperature = 1.0", "kl_estimator = \"k3\"", "verifier = \"number\""] {
            assert!(resolved.contains(key), "{key} is not in\n{resolved}");
        }
        let html = fs::read_to_string(run.join("report.html")).unwrap();
        assert!(html.contains("pass@k") && html.contains("Completions"), "the report shows them");
    }
    assert!(weights(&bench.run_dir("full")) != weights(&bench.run_dir("lora")));
}

#[test]
fn a_killed_run_resumes_to_the_numbers_of_one_that_was_not() {
    let bench = Bench::new();
    let sets = ["train.max_steps=40", "train.save_steps=5", "train.eval_steps=10"];
    bench.run("straight", &sets).json();
    let mut child = command(bench.args("killed", &sets))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (started, first) =
        (Instant::now(), bench.run_dir("killed").join("checkpoints/step-000005"));
    while !first.exists() && started.elapsed() < Duration::from_mins(1) {
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let resumed = bench.run("killed", &[&sets[..], &["--resume"]].concat()).json();
    assert_eq!(resumed["results"]["global_step"], 40);
    let (straight, killed) = (bench.run_dir("straight"), bench.run_dir("killed"));
    assert_eq!(metrics(&straight), metrics(&killed));
    let samples = |run: &Path| fs::read(run.join("samples.jsonl")).unwrap();
    assert!(samples(&straight) == samples(&killed), "not the same samples");
    assert!(weights(&straight) == weights(&killed), "not the same weights");
    let rewarded = metrics(&straight).iter().any(|row| row["reward"].as_f64() > Some(0.0));
    let before = take_apart(&bench.model.join("model.safetensors")).1;
    let after = take_apart(&straight.join("final/model.safetensors")).1;
    assert!(rewarded && before != after, "there was nothing to compare");

    let mut one_thread = command(bench.args("one-thread", &sets));
    one_thread.env("RAYON_NUM_THREADS", "1");
    finish(one_thread, b"").json();
    assert_eq!(metrics(&straight), metrics(&bench.run_dir("one-thread")));
    assert!(weights(&straight) == weights(&bench.run_dir("one-thread")), "threads change numbers");

    let changed = [&sets[..], &["--resume", "objective.k=3"]].concat();
    bench.run("killed", &changed).refuses(1, &["`objective.k` was 2 and is now 3"]);
    let rows = fs::read_to_string(&bench.rows).unwrap().replace("\"answer\":3", "\"answer\":4");
    fs::write(&bench.rows, rows).unwrap();
    bench
        .run("killed", &[&sets[..], &["--resume"]].concat())
        .refuses(1, &["rows are not those the run was started with"]);
}

#[test]
fn settings_that_cannot_be_meant_are_refused_before_a_model_is_opened() {
    let bench = Bench::new();
    fs::remove_dir_all(&bench.model).unwrap();
    for (sets, parts) in [
        (
            &["rollout.num_generations=1"][..],
            &["loo-minus-one", "num_generations` = 1", "k = 2 exceeds"][..],
        ),
        (&["objective.k=5"], &["k = 5 exceeds the 4 samples"]),
        (&["objective.estimator=loo", "objective.k=4"], &["`loo` needs at least 5 samples"]),
        (&["objective.estimator=rloo"], &["objective.k", "reads no k"]),
        (&["objective.k_schedule.kind=step"], &["missing field"]),
        (&["objective.kl_estimator=k4"], &["k4", "k1, k2, k3"]),
        (&["objective.epsilon=0.0"], &["clip.low", "above 0"]),
        (&["rollout.temperature=0"], &["rollout.temperature", "above 0"]),
        (&["rollout.num_generation=2"], &["did you mean `rollout.num_generations`"]),
        (&["reward.verifier=nmuber"], &["no verifier has this name: `nmuber`", "program"]),
        (
            &["reward.verifier=program", "reward.command=[\"/no/such/program\"]"],
            &["/no/such/program"],
        ),
        (&["lora.dropout=0.1"], &["lora.dropout", "without dropout"]),
        (&["loss.name=dpo"], &["only preference runs"]),
    ] {
        bench.run("refused", sets).refuses(1, parts);
    }
    assert!(!bench.run_dir("refused").exists());
    let mut sft = bench.args("refused", &[]);
    "sft".clone_into(&mut sft[0]);
    bestof(sft).refuses(1, &["only policy-gradient runs"]);
}

#[test]
fn one_completion_a_prompt_will_do_where_the_estimator_needs_no_other() {
    let bench = Bench::new();
    let sets = [
        "rollout.num_generations=1",
        "objective.estimator=plain",
        "objective.k=1",
        "train.max_steps=2",
    ];
    let done = bench.run("single", &sets).json();
    assert_eq!(done["results"]["train_reward_std"], 0.0);
    assert!(done["results"]["train_pass@1"].is_number());
}

#[test]
fn prompts_without_an_answer_are_named_or_left_out() {
    let bench = Bench::new();
    let mut rows = questions(8);
    rows += "{\"prompt\": \"9 =\"}\n{\"prompt\": \"8 =\", \"answer\": \"\"}\n";
    rows += "{\"prompt\": \"7 =\", \"answer\": \"none\"}\n";
    fs::write(&bench.rows, rows).unwrap();
    bench.run("bad", &[]).refuses(
        1,
        &[
            "rows.jsonl:9: field `answer` is missing",
            "rows.jsonl:10:",
            "rows.jsonl:11:",
            "reward.verifier",
            "--skip-bad-rows",
        ],
    );
    let done = bench.run("skipped", &["data.skip_bad_rows=true", "train.max_steps=1"]);
    assert_eq!(done.json()["results"]["global_step"], 1);
    assert!(done.stderr.contains("rows.jsonl:11"), "{}", done.stderr);
}

#[test]
fn equal_rewards_change_no_weight() {
    let bench = Bench::new();
    // The tiny model never says this.
    let rows =
        json_lines((0..12).map(|n| json!({"prompt": format!("{n} ="), "answer": 123_456_789})));
    fs::write(&bench.rows, rows).unwrap();
    let done = bench.run("equal", &["output.dtype=float32", "train.weight_decay=0.5"]).json();
    assert_eq!(done["results"]["train_skipped_updates"], 1.0);
    assert_eq!(done["results"]["train_frac_reward_zero_std"], 1.0);
    let tensors = |path: PathBuf| take_apart(&path).1;
    let before = tensors(bench.model.join("model.safetensors"));
    assert!(tensors(bench.run_dir("equal").join("final/model.safetensors")) == before);
}

#[cfg(unix)]
#[test]
fn bad_verifiers_cost_rewards_and_not_the_run() {
    for (script, reason, timeouts) in [
        ("echo it broke >&2; exit 3\n", "it broke", false),
        ("echo nonsense\n", "no reply", false),
        ("sleep 60\n", "took longer", true),
    ] {
        let bench = Bench::new();
        let verifier = bench.verifier(script);
        let mut sets: Vec<&str> = verifier.iter().map(String::as_str).collect();
        sets.extend(["reward.low=-1.0", "train.max_steps=1", "reward.workers=12"]);
        let done = bench.run("faulty", &sets);
        assert!(done.stderr.contains(reason), "{}", done.stderr);
        let results = &done.json()["results"];
        assert_eq!(results["train_verifier/failures"], 12.0);
        assert_eq!(results["train_verifier/timeouts"], if timeouts { 12.0 } else { 0.0 });
        assert_eq!(results["train_reward"], -1.0, "the least reward");
        assert_eq!(results["train_skipped_updates"], 1.0);
        let samples = read_lines(&bench.run_dir("faulty").join("samples.jsonl"));
        let failed = samples.iter().filter(|s| s["set"] == "train");
        assert_eq!(failed.clone().count(), 12, "each failed verification is written down");
        assert!(failed.clone().all(|s| s["reason"].as_str().unwrap().contains(reason)));
    }
}

#[cfg(unix)]
#[test]
fn a_program_is_told_prompt_answer_and_completion_and_is_believed() {
    let bench = Bench::new();
    let seen = bench.dir.path().join("seen");
    let script = format!("mkdir -p {0}; cat > {0}/$$; echo '{{\"reward\": 0.25}}'\n", text(&seen));
    let verifier = bench.verifier(&script);
    let mut sets: Vec<&str> = verifier.iter().map(String::as_str).collect();
    sets.extend(["train.max_steps=1", "reward.time_limit=20", "reward.pass_at=0.25"]);
    let results = &bench.run("program", &sets).json()["results"];
    assert_eq!((&results["train_reward"], &results["train_pass@1"]), (&json!(0.25), &json!(1.0)));
    let request = fs::read_dir(&seen).unwrap().next().unwrap().unwrap();
    let request: Value = serde_json::from_slice(&fs::read(request.path()).unwrap()).unwrap();
    has_keys(&request, &["prompt", "answer", "completion"]);
}

#[test]
fn completions_that_never_end_are_counted() {
    let bench = Bench::new();
    for file in ["generation_config.json", "config.json"] {
        set(&bench.model, file, "eos_token_id", Value::Null);
    }
    set(&bench.model, "tokenizer_config.json", "eos_token", Value::Null);
    let done = bench.run("endless", &["train.max_steps=1"]);
    assert!(done.stderr.contains("no token that ends a text"), "{}", done.stderr);
    let results = &done.json()["results"];
    assert_eq!(results["train_completions/clipped_ratio"], 1.0);
    assert_eq!(results["train_completions/mean_length"], 6.0);
}

#[test]
fn pass_at_k_has_intervals_and_its_samples_can_be_kept() {
    let bench = Bench::new();
    let out = bench.dir.path().join("samples.jsonl");
    let flags = |more: &str| {
        words(&format!(
            "evaluate pass-at-k --json --model {} --data {} --samples 4 --max-new-tokens 6 {more}",
            bench.model.display(),
            bench.rows
        ))
    };
    let done = bestof(flags(&format!("--samples-out {}", out.display()))).lines();
    let names: Vec<&str> = done.iter().map(|e| e["metric"].as_str().unwrap()).collect();
    assert_eq!(&names[..3], ["pass@1", "pass@2", "pass@4"]);
    assert!(names.contains(&"verifier/failures") && names.contains(&"completions/clipped_ratio"));
    for estimate in &done {
        has_keys(estimate, &["metric", "value", "low", "high", "n"]);
        let [low, value, high] =
            ["low", "value", "high"].map(|name| estimate[name].as_f64().unwrap());
        assert!(low <= value && value <= high, "{estimate}");
    }
    assert!(done[..3].iter().all(|estimate| estimate["n"] == 12));
    // What was written is what was counted.
    let samples = read_lines(&out);
    assert_eq!(samples.len(), 48);
    let mean = samples.iter().map(|s| s["reward"].as_f64().unwrap()).sum::<f64>() / 48.0;
    assert!((mean - done[0]["value"].as_f64().unwrap()).abs() < 1e-12);
    assert_eq!(bestof(flags("")).lines(), done, "the same seed, the same numbers");
    assert_ne!(bestof(flags("--seed 7")).lines(), done);
    assert_eq!(bestof(flags("--k 3")).lines()[0]["metric"], "pass@3");
    bestof(flags("--k 5")).refuses(2, &["--k 5", "--samples 4"]);
    bestof(flags("--temperature 0")).refuses(2, &["temperature"]);
    bestof(flags("--time-limit 3"))
        .refuses(2, &["built-in verifier", "does not read --time-limit", "--verifier program"]);
    bestof(flags("--memory-limit 3")).refuses(2, &["does not read --memory-limit", "leave it out"]);
    bestof(flags("--verifier program")).refuses(2, &["reward.command"]);
    assert_eq!(bestof(flags("--verifier best")).code, 2);
    let failing = bestof(flags("--verifier program --command sh -c false"));
    let failures =
        failing.lines().into_iter().find(|e| e["metric"] == "verifier/failures").unwrap();
    assert_eq!((&failures["value"], &failures["n"]), (&json!(1.0), &json!(48)));
    assert!(failing.stderr.contains("48 verifications failed"), "{}", failing.stderr);
}

#[test]
fn puzzles_are_rows_that_runs_take() {
    let bench = Bench::new();
    let out = bench.dir.path().join("puzzles.jsonl");
    for (task, verifier, more) in [
        ("countdown", "countdown", ""),
        ("chain-sum", "number", "--level 1"),
        ("grid", "grid", "--level 1"),
        ("arithmetic", "number", "--chat --held-out"),
    ] {
        let flags =
            format!("puzzles build --task {task} --count 4 --out {} --json {more}", out.display());
        let built = bestof(words(&flags)).json();
        has_keys(&built, &["out", "rows", "task", "verifier"]);
        assert_eq!((&built["rows"], &built["verifier"]), (&json!(4), &json!(verifier)));
        let evaluate = format!(
            "evaluate pass-at-k --json --model {} --data {} --verifier {verifier} --samples 2 --max-new-tokens 2",
            bench.model.display(),
            out.display()
        );
        assert_eq!(bestof(words(&evaluate)).lines()[0]["metric"], "pass@1", "{task}");
        let first = fs::read(&out).unwrap();
        bestof(words(&flags)).json();
        assert!(fs::read(&out).unwrap() == first, "{task}: a seed stands for its puzzles");
    }
    let build =
        |more: &str| bestof(words(&format!("puzzles build --out {} {more}", out.display())));
    build("--task countdown --count 10000001").refuses(2, &["10000001", "10000000"]);
    build("--task chain-sum --level 1 --count 100000").refuses(1, &["different puzzles"]);
    assert_eq!(build("--task sudoku").code, 2);
    assert_eq!(build("--task grid --level 9").code, 2);
}
