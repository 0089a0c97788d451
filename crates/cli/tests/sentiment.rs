//! `sentiment` from made-up reviews to answers, and what it says when something is wrong.

mod support;

use std::path::Path;
use std::sync::LazyLock;

use serde_json::Value;
use support::model::{put_together, take_apart};
use support::{Done, bert::tiny_bert, bestof, has_keys, text, words, write};
use tempfile::TempDir;

/// Generated reviews with a prepared folder and a trained model.
struct World {
    dir: TempDir,
}

#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
static WORLD: LazyLock<World> = LazyLock::new(|| {
    let world = World { dir: tempfile::tempdir().unwrap() };
    let (data, prepared, model) = (world.path("data"), world.path("prepared"), world.path("model"));
    let made = run(&format!("generate --reviews 900 --seed 3 --out {data} --json")).json();
    has_keys(&made, &["files", "stars", "of_restaurants", "likeness"]);
    let told = run(&format!("prepare --data {data} --out {prepared} --json")).json();
    assert_eq!(told["kept"], made["of_restaurants"]);
    assert_eq!(
        told["left_out"]["yelp_academic_dataset_review.json"]["counts"],
        serde_json::json!({})
    );
    let trained =
        run(&format!("train --model logistic --terms 200 --data {prepared} --out {model} --json"));
    has_keys(
        &trained.json(),
        &[
            "out",
            "model",
            "inputs",
            "width",
            "features_seconds",
            "fit_seconds",
            "predict_seconds",
            "trained_on",
            "available",
            "validation",
        ],
    );
    world
});

impl World {
    fn path(&self, name: &str) -> String {
        text(&self.dir.path().join(name))
    }
}

fn run(line: &str) -> Done {
    bestof(words(&format!("sentiment {line}")))
}

#[test]
fn models_are_judged_side_by_side() {
    let (prepared, model, tree) = (WORLD.path("prepared"), WORLD.path("model"), WORLD.path("tree"));
    run(&format!(
        "train --model decision-tree --inputs meta --max-rows 100 --data {prepared} --out {tree} --json"
    ))
    .json();
    let page = WORLD.path("models.html");
    let judged = run(&format!(
        "evaluate --data {prepared} --model {model} --model {tree} --resamples 50 --report {page} --json"
    ))
    .lines();
    assert_eq!(judged.len(), 2);
    has_keys(&judged[0], &["part", "n", "model"]);
    let scores = |row: &Value| row["model"]["scores"]["positive"].clone();
    let (first, second) = (scores(&judged[0]), scores(&judged[1]));
    assert_eq!(first["n"], judged[0]["n"]);
    assert_eq!(first["majority"], second["majority"]);
    assert!(first["accuracy"]["value"].as_f64() > first["majority"].as_f64());
    let interval = &first["macro_f1"];
    assert!(interval["low"].as_f64() < interval["high"].as_f64());
    assert_eq!(judged[1]["model"]["trained_on"], 100);
    assert!(std::fs::read_to_string(page).unwrap().contains("All models"));
    let shown = run(&format!("evaluate --data {prepared} --model {model} --resamples 20"));
    assert!(shown.code == 0 && shown.stdout.contains("majority"), "{}", shown.stdout);
}

#[test]
fn answers_come_in_order_and_bad_rows_are_counted() {
    let input = write(
        WORLD.dir.path(),
        "reviews.jsonl",
        "{\"text\": \"Superb ramen, lovely staff.\", \"id\": \"a\"}\nnot json\n{\"text\": \"\"}\n{\"text\": \"Dreadful.\"}\n",
    );
    let done = run(&format!("predict --model {} --input {input} --json", WORLD.path("model")));
    let rows = done.lines();
    assert_eq!(rows.iter().map(|row| row["line"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 4]);
    let keys = ["line", "id", "stars", "star_probabilities", "positive", "positive_probability"];
    has_keys(&rows[0], &keys);
    assert!(rows[0]["positive_probability"].as_f64() > rows[1]["positive_probability"].as_f64());
    for part in ["2 rows left out", "1 malformed", "1 empty text", "line 2", "line 3"] {
        assert!(done.stderr.contains(part), "{part}: {}", done.stderr);
    }
    let empty = write(WORLD.dir.path(), "empty.jsonl", "\n");
    run(&format!("predict --model {} --input {empty}", WORLD.path("model")))
        .refuses(1, &["no row", "empty.jsonl"]);
}

/// A run of `train` on the shared data with a tiny BERT.
fn train_bert(out: &str, more: &str) -> Done {
    let bert = text(&tiny_bert(WORLD.dir.path()));
    run(&format!(
        "train --model bert-mt-joint --encoder {bert} --max-length 16 --epochs 1 --learning-rate 1e-3 \
         --batch 64 --data {} --out {out} --set train.save_steps=4 --set sentiment.meta_width=8 \
         --set sentiment.joint_width=8 --json {more}",
        WORLD.path("prepared")
    ))
}

#[test]
fn a_neural_model_is_trained_judged_explained_and_asked_beside_a_classical_one() {
    let (prepared, model, out) =
        (WORLD.path("prepared"), WORLD.path("model"), WORLD.path("bert-run"));
    let flags = "--loss-weights learned --class-weights balanced --early-stopping 3 --seed 4";
    let told = train_bert(&out, flags).json();
    has_keys(
        &told,
        &[
            "out",
            "model",
            "inputs",
            "predict_seconds",
            "trained_on",
            "available",
            "validation",
            "folder",
            "report",
            "results",
        ],
    );
    assert_eq!((&told["model"], &told["inputs"]), (&"bert-mt-joint".into(), &"joint".into()));
    assert_eq!(told["trained_on"], told["available"]);
    let config = std::fs::read_to_string(Path::new(&out).join("config.toml")).unwrap();
    for line in [
        "early_stopping_patience = 3",
        "load_best_model_at_end = true",
        "eval_steps = 50",
        "class_weights = \"balanced\"",
        "max_length = 16",
        "seed = 4",
    ] {
        assert!(config.contains(line), "{line}: {config}");
    }

    let page = WORLD.path("both.html");
    let judged = run(&format!(
        "evaluate --data {prepared} --model {model} --model {out} --resamples 20 --explain 2 --report {page} --json"
    ))
    .lines();
    assert_eq!(judged[1]["model"]["name"], "bert-run");
    assert_eq!(judged[1]["model"]["kind"], "bert-mt-joint");
    assert!(judged[1]["model"]["scores"]["sentiment"]["n"].as_u64() > Some(0));
    let explained = judged[1]["model"]["explained"].as_array().unwrap();
    assert_eq!(explained.len(), 2);
    assert!(judged[0]["model"].get("explained").is_none());
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("Integrated gradients") && page.contains("class=\"coloured\""));

    let input =
        write(WORLD.dir.path(), "ask.jsonl", "{\"text\": \"Superb ramen.\"}\n{\"text\": 3}\n");
    let folder = told["folder"].as_str().unwrap();
    let answers = run(&format!("predict --model {folder} --input {input}"));
    let rows = answers.lines();
    assert!(rows.len() == 1 && answers.stderr.contains("1 row"), "{}", answers.stderr);
    assert!(rows[0]["sentiment"].as_f64().is_some());
    assert_eq!(rows, run(&format!("predict --model {out} --input {input}")).lines());
}

#[test]
fn a_neural_run_goes_on_from_its_checkpoint_and_refuses_another_configuration() {
    let out = WORLD.path("resumed");
    let first = train_bert(&out, "").json();
    let again = train_bert(&out, "--resume").json();
    assert_eq!(first["validation"], again["validation"]);
    train_bert(&out, "--resume --set train.learning_rate=1e-2").refuses(1, &["learning_rate"]);
}

#[test]
fn a_small_cnn_needs_no_encoder() {
    let out = WORLD.path("cnn");
    let told = run(&format!(
        "train --model cnn --epochs 1 --set sentiment.filters=4 --set sentiment.word_width=4 --data {} --out {out}",
        WORLD.path("prepared")
    ));
    assert!(told.code == 0 && told.stdout.contains("five stars"), "{}{}", told.stdout, told.stderr);

    let weights = Path::new(&out).join("final/model.safetensors");
    let (header, mut tensors) = take_apart(&weights);
    tensors.chunks_exact_mut(4).for_each(|value| value.copy_from_slice(&f32::MAX.to_le_bytes()));
    put_together(&weights, &header, &tensors);
    run(&format!("evaluate --data {} --model {out}", WORLD.path("prepared")))
        .refuses(1, &["row ", "probability", "NaN"]);
    let input = write(WORLD.dir.path(), "one.jsonl", "{\"text\": \"The food was good.\"}\n");
    run(&format!("predict --model {out} --input {input}")).refuses(1, &["row 1", "NaN"]);
}

#[test]
fn flags_of_the_other_sort_of_model_are_refused() {
    let line = |flags: &str| {
        let (prepared, out) = (WORLD.path("prepared"), WORLD.path("never"));
        run(&format!("train --data {prepared} --out {out} {flags}"))
    };
    line("--model svm --epochs 2").refuses(2, &["--epochs", "svm"]);
    line("--model bert --terms 20").refuses(2, &["--terms", "bert"]);
    line("--model han --encoder x").refuses(2, &["--encoder", "random weights"]);
    line("--model bert --encoder no/such").refuses(1, &["no/such"]);
    line("--model cnn --learning-rate -1").refuses(1, &["learning_rate"]);
    line("--model cnn --set sentiment.filtres=3").refuses(1, &["sentiment.filters"]);
    line("--model cnn --set sentiment.kind=svm --config no.toml").refuses(1, &["no.toml"]);
    assert!(!Path::new(&WORLD.path("never")).exists());
}

#[test]
fn inputs_that_contain_the_answer_are_refused() {
    let line = |features: &str| {
        format!(
            "prepare --data {} --out {} --features {features}",
            WORLD.path("data"),
            WORLD.path("no")
        )
    };
    run(&line("useful,business_stars")).refuses(2, &["business_stars", "mean of its reviews"]);
    run(&line("average_stars")).refuses(2, &["average_stars", "mean"]);
    run(&line("usefulness")).refuses(2, &["usefulness", "useful, funny, cool"]);
}

#[test]
fn wrong_folders_files_and_names_say_how_to_mend_them() {
    let (prepared, model, data) = (WORLD.path("prepared"), WORLD.path("model"), WORLD.path("data"));
    let out = WORLD.path("out");
    run(&format!("train --model bayes --data {prepared} --out {out}"))
        .refuses(2, &["bayes", "gradient-boosting", "bert-mt-joint"]);
    run(&format!("train --model knn --data {data} --out {out}"))
        .refuses(1, &["no prepared folder", "train.parquet"]);
    run(&format!("evaluate --data {prepared} --model {data}")).refuses(1, &["sentiment.json"]);
    run(&format!("prepare --data {model} --out {out}"))
        .refuses(1, &["business.json", "features.json"]);
    let csv = write(WORLD.dir.path(), "other.csv", "id,note,points\n1,Good,5\n");
    run(&format!("prepare --csv {csv} --out {out}")).refuses(1, &["`text`", "id, note, points"]);
    run(&format!("predict --model {model} --input {csv}"))
        .refuses(1, &["`text`", "id, note, points"]);
    run(&format!("generate --users 0 --out {out}")).refuses(2, &["0 users"]);
    run(&format!("generate --meta-effects 2.5 --out {out}")).refuses(2, &["meta effects of 2.5"]);
    run(&format!("generate --text-effect=-1 --out {out}")).refuses(2, &["text's effect of -1"]);
    run(&format!("prepare --out {out}")).refuses_usage();
}

#[test]
fn strengths_of_planted_effects_are_flags_and_told_beside_published_counts() {
    let lexicon_and_stars = |flags: &str| {
        let out = WORLD.path("strengths");
        let made = run(&format!("generate --reviews 900 --out {out} --json {flags}")).json();
        let figures = made["likeness"].as_array().unwrap().clone();
        let found = figures.iter().find(|one| one["figure"].as_str().unwrap().contains("lexicon"));
        found.unwrap()["made_up"].as_f64().unwrap()
    };
    assert!(lexicon_and_stars("--text-effect 0 --meta-effects 0").abs() < 0.15);
    assert!(lexicon_and_stars("--seed 1") > 0.35);
    let told = run(&format!("generate --reviews 300 --out {}", WORLD.path("told")));
    for part in ["of restaurants", "published", "words of a review, mean"] {
        assert!(told.stdout.contains(part), "{}", told.stdout);
    }
}

#[test]
fn another_preparation_is_no_test_for_a_model() {
    let other = WORLD.path("other");
    run(&format!("prepare --data {} --seed 9 --out {other} --json", WORLD.path("data"))).json();
    run(&format!("evaluate --data {other} --model {}", WORLD.path("model")))
        .refuses(1, &["another preparation"]);
}

#[test]
fn every_action_has_help_with_an_example() {
    for action in ["", "generate", "prepare", "train", "evaluate", "predict", "features"] {
        let help = run(&format!("{action} --help"));
        assert_eq!(help.code, 0);
        assert!(help.stdout.contains("cargo xtask sentiment"), "{action}: {}", help.stdout);
    }
    assert!(Path::new(&WORLD.path("prepared")).join("summary.html").is_file());
}

#[test]
fn a_table_of_two_classes_in_given_parts_is_learned_and_exported() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| text(&dir.path().join(name));
    let row = |i: usize| {
        let (word, part) =
            (["awful", "lovely"][i % 2], ["train", "train", "test", "validation"][i / 2 % 4]);
        format!("the {word} soup number {i},{},{part}\n", i % 2)
    };
    let rows = (0..64).map(row).collect::<String>();
    let (prepared, model) = (path("prepared"), path("model"));
    let table = write(dir.path(), "t.csv", format!("text,label,part\n{rows}"));
    let told = run(&format!("prepare --csv {table} --split part --out {prepared} --json")).json();
    assert_eq!(
        (&told["parts"]["train"]["rows"], &told["parts"]["test"]["rows"]),
        (&32.into(), &16.into())
    );
    run(&format!("train --model logistic --data {prepared} --out {model}"))
        .refuses(1, &["two classes", "--labels binary"]);
    run(&format!("train --model cnn --data {prepared} --out {}", path("cnn")))
        .refuses(1, &["two classes", "--labels binary"]);
    let trained = run(&format!(
        "train --model logistic --inputs text --labels binary --data {prepared} --out {model} --json"
    ));
    let trained = trained.json();
    for seconds in ["features_seconds", "fit_seconds", "predict_seconds"] {
        assert!(trained[seconds].as_f64() > Some(0.0), "{trained}");
    }
    let scores =
        run(&format!("evaluate --data {prepared} --model {model} --resamples 20 --json")).json();
    assert_eq!(scores["model"]["scores"]["positive"]["accuracy"]["value"], 1.0);
    let cnn = format!(
        "train --model cnn --labels binary --epochs 1 --data {prepared} --out {}",
        path("cnn")
    );
    assert_eq!(
        run(&format!("{cnn} --set sentiment.filters=4 --set sentiment.word_width=4")).code,
        0
    );

    let out = path("features");
    let told =
        run(&format!("features --data {prepared} --model {model} --out {out} --json")).json();
    assert_eq!((&told["rows"]["train"], &told["columns"]), (&32.into(), &trained["width"]));
    let columns = std::fs::read_to_string(path("features/columns.txt")).unwrap();
    assert!(columns.lines().any(|name| name == "term lovely"), "{columns}");
    let rows = std::fs::read_to_string(path("features/test.svm")).unwrap();
    assert_eq!(rows.lines().count(), 16);
    assert!(rows.lines().all(|row| row.starts_with("0 ") || row.starts_with("1 ")), "{rows}");
    run(&format!("features --data {prepared} --model {} --out {out}", path("cnn")))
        .refuses(1, &["neural"]);
    run(&format!("prepare --data {} --split part --out {out}", WORLD.path("data")))
        .refuses(2, &["--csv"]);
}

trait Refusal {
    fn refuses_usage(&self);
}

impl Refusal for Done {
    /// Refused by the command line's own parser.
    fn refuses_usage(&self) {
        assert_eq!((self.code, self.stdout.as_str()), (2, ""), "{}", self.stderr);
    }
}
