//! `sft`, `prefer`, `evaluate` and `report` end to end on a tiny model.

mod support;

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::model::{pairs, take_apart};
use support::run::{TrainBench, metrics};
use support::{bestof, command, has_keys, text, words};

#[test]
fn a_supervised_run_leaves_a_model_that_loads_and_says_what_it_learned() {
    let bench = TrainBench::new();
    let done = bench.run("sft", "sft", &[]).json();
    has_keys(&done, &["model", "report", "results"]);
    assert_eq!(done["results"]["global_step"], 6);
    let run = bench.run_dir("sft");
    for file in ["config.toml", "metrics.jsonl", "report.html", "train_results.json"] {
        assert!(run.join(file).exists(), "{file}");
    }
    let names = |dir: &Path| -> Vec<(String, Value)> {
        let (header, _) = take_apart(&dir.join("model.safetensors"));
        let tensors =
            header.as_object().unwrap().iter().filter(|(name, _)| *name != "__metadata__");
        tensors.map(|(name, about)| (name.clone(), about["shape"].clone())).collect()
    };
    let trained = run.join("final");
    assert_eq!(text(&trained), done["model"].as_str().unwrap());
    assert_eq!(names(&trained), names(&bench.model));
    let generated = format!("generate --model {} --prompt 1 --max-new-tokens 3", trained.display());
    assert_eq!(bestof(words(&generated)).code, 0);

    let perplexity = |model: &Path| {
        let flags = format!(
            "evaluate perplexity --json --model {} --data {}",
            model.display(),
            bench.completions
        );
        let estimate = bestof(words(&flags)).json();
        has_keys(&estimate, &["metric", "value", "low", "high", "n"]);
        let [low, value, high] =
            ["low", "value", "high"].map(|name| estimate[name].as_f64().unwrap());
        assert!(low <= value && value <= high, "{estimate}");
        value
    };
    assert!(perplexity(&trained) < perplexity(&bench.model) - 1.0);
    bench.run("sft", "sft", &[]).refuses(1, &["already holds a run", "resume it"]);
}

#[test]
fn a_preference_run_is_measured_against_the_model_it_began_with() {
    let bench = TrainBench::new();
    let sets = ["lora.r=4", "loss.name=dpop", "loss.lambda=5.0"];
    let done = bench.run("prefer", "dpop", &sets).json();
    for metric in ["train_rewards/margins", "train_displacement", "eval_rewards/accuracies"] {
        assert!(done["results"][metric].is_number(), "{metric} is not in {done}");
    }
    let flags = format!(
        "evaluate preference --json --model {} --data {}",
        bench.run_dir("dpop").join("final").display(),
        bench.pairs
    );
    let alone = bestof(words(&flags)).lines();
    assert_eq!(bestof(words(&format!("{flags} --beta 0.3"))).code, 2, "beta scales nothing");
    let against = format!("{flags} --beta 0.3 --reference {}", bench.model.display());
    let estimates = bestof(words(&against)).lines();
    assert!(alone.len() < estimates.len());
    let names: Vec<&str> = estimates.iter().map(|e| e["metric"].as_str().unwrap()).collect();
    for name in ["logps/accuracies", "rewards/accuracies", "rewards/margins", "displacement"] {
        assert!(names.contains(&name), "{names:?}");
    }
    for estimate in &estimates {
        has_keys(estimate, &["metric", "value", "low", "high", "n"]);
        assert_eq!(estimate["n"], 24);
    }
}

#[test]
fn every_loss_trains() {
    let bench = TrainBench::new();
    let losses =
        ["dpo", "dpop", "ipo", "ipo-avg", "hinge", "cdpo", "robust", "simpo", "orpo", "kto-pair"];
    for loss in losses {
        let name = format!("loss.name={loss}");
        let done = bench.run("prefer", loss, &[&name, "lora.r=2", "train.max_steps=2"]).json();
        assert!(done["results"]["train_loss"].is_number(), "{loss}: {done}");
    }
}

#[test]
fn a_killed_run_resumes_to_the_numbers_of_one_that_was_not() {
    let bench = TrainBench::new();
    let sets = ["train.max_steps=120", "train.save_steps=10", "train.eval_steps=15", "lora.r=2"];
    bench.run("prefer", "straight", &sets).json();

    let mut child = command(bench.args("prefer", "killed", &sets))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (started, first) =
        (Instant::now(), bench.run_dir("killed").join("checkpoints/step-000010"));
    while !first.exists() && started.elapsed() < Duration::from_mins(1) {
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    bench.run("prefer", "killed", &sets).refuses(1, &["already holds a run", "resume"]);
    // What a crash may leave: the newest checkpoint damaged, and a half-written one.
    let checkpoints = bench.run_dir("killed").join("checkpoints");
    fs::create_dir_all(checkpoints.join("step-009999")).unwrap();
    fs::write(checkpoints.join("step-009999/state.json"), "{").unwrap();
    let resumed = bench.run("prefer", "killed", &[&sets[..], &["--resume"]].concat());
    assert_eq!(resumed.json()["results"]["global_step"], 120);
    assert!(resumed.stderr.contains("step-009999 passed over"), "{}", resumed.stderr);

    let (straight, killed) = (bench.run_dir("straight"), bench.run_dir("killed"));
    assert_eq!(metrics(&straight), metrics(&killed));
    let weights = |run: &Path| fs::read(run.join("final/model.safetensors")).unwrap();
    assert!(weights(&straight) == weights(&killed), "not the same weights");

    let changed = [&sets[..], &["--resume", "train.learning_rate=1e-3"]].concat();
    bench
        .run("prefer", "killed", &changed)
        .refuses(1, &["other settings", "`train.learning_rate` was 0.005 and is now 0.001"]);
    fs::write(&bench.pairs, pairs(23)).unwrap();
    bench
        .run("prefer", "killed", &[&sets[..], &["--resume"]].concat())
        .refuses(1, &["rows are not those the run was started with"]);
}

#[test]
fn displacement_can_end_a_run_which_still_leaves_its_report() {
    let bench = TrainBench::new();
    let sets = [
        "--fail-on-displacement",
        "displacement.threshold=0.0",
        "displacement.patience=1",
        "train.learning_rate=0.05",
        "loss.beta=1.0",
    ];
    let done = bench.run("prefer", "hard", &sets);
    done.refuses(
        1,
        &[
            "less likely than under the reference",
            "loss.name = \"dpop\"",
            "pairs.jsonl:",
            "first at token",
        ],
    );
    // Once as it happens, and once as the error that ends the run.
    assert_eq!(done.stderr.matches("less likely than under the reference").count(), 2);
    assert!(!done.stderr.contains('\u{1b}'), "no colours where nobody sees them");
    assert!(bench.run_dir("hard").join("report.html").exists());
}

#[test]
fn one_page_compares_two_runs() {
    let bench = TrainBench::new();
    for loss in ["dpo", "dpop"] {
        bench.run("prefer", loss, &[&format!("loss.name={loss}"), "lora.r=2"]).json();
    }
    let [dpo, dpop] = ["dpo", "dpop"].map(|name| text(&bench.run_dir(name)));
    let page = text(&bench.dir.path().join("compare.html"));
    let done = bestof(["report", &dpo, &dpop, "--out", &page, "--json"]).json();
    assert_eq!(done["report"], page.as_str());
    let html = fs::read_to_string(&page).unwrap();
    assert!(html.contains("<svg") && html.contains("dpop"));
    assert!(!html.contains("http://") || !html.contains("<script src"), "self-contained");
    let alone = bestof(["report", &dpo, "--json"]).json();
    assert_eq!(alone["report"], format!("{dpo}/report.html"));
    let absent = text(&bench.dir.path().join("absent"));
    bestof(["report", &absent, "--json"]).refuses(1, &["absent"]);
    assert_eq!(bestof(["report"]).code, 2);
}
