//! Pages made from runs, whole and lacking.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

use std::fs;
use std::path::Path;

use bestof_report::{
    DisplacedPair, Finding, MetricRow, MetricsWriter, Report, RunFolder, RunMetadata, Sample,
    SamplesWriter, Verdict,
};

/// A run of 60 steps that logs what `metrics` says of a step.
fn run(dir: &Path, config: &str, metrics: impl Fn(f64) -> Vec<(&'static str, f64)>) -> RunFolder {
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join("config.toml"), config).unwrap();
    let mut writer = MetricsWriter::create(dir).unwrap();
    for step in 1..=60 {
        let mut row = MetricRow::new(step);
        for (name, value) in metrics(step as f64) {
            row.push(name, value);
        }
        writer.write(&row).unwrap();
    }
    RunFolder::open(dir).unwrap()
}

fn dpo(step: f64) -> Vec<(&'static str, f64)> {
    vec![
        ("loss", 1.0 / step),
        ("logps/chosen", -30.0 - step),
        ("logps/chosen_vs_ref", -step),
        ("rewards/accuracies", 0.5 + step / 120.0),
    ]
}

/// The page's markup is balanced and none of it came from data.
fn check(page: &str) {
    for element in ["section", "figure", "svg", "table", "div", "g", "article", "pre", "details"] {
        let opened = page.matches(&format!("<{element} ")).count()
            + page.matches(&format!("<{element}>")).count();
        let closed = page.matches(&format!("</{element}>")).count();
        assert_eq!(opened, closed, "{element}");
    }
    for foreign in ["<script", "<img", "<link", "http://", "https://", "url(", "@import"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert!(!page.contains("=\"NaN") && !page.contains("inf\""));
}

fn has_section(page: &str, title: &str) -> bool {
    page.contains(&format!("<h2>{title}</h2>"))
}

#[test]
fn one_run() {
    let dir = tempfile::tempdir().unwrap();
    let page = Report::from_runs(&[run(&dir.path().join("mine"), "seed = 1\n", dpo)]).to_html();
    check(&page);
    for title in ["Overview", "Loss and log-probabilities", "Implicit rewards", "Configuration"] {
        assert!(has_section(&page, title), "{title}");
    }
    for title in ["Samples", "Results", "Optimiser and speed", "Displacement"] {
        assert!(!has_section(&page, title), "{title}");
    }
    assert!(page.contains("<h1>mine</h1>"));
    assert!(page.contains("chosen under the reference"));
    assert!(page.contains("Since step 1, the chosen answers are less likely"));
    assert!(page.contains("100.0 %"));
}

#[test]
fn runs_that_measured_different_things() {
    let dir = tempfile::tempdir().unwrap();
    let a = run(&dir.path().join("a"), "seed = 1\n[loss]\nname = \"dpo\"\n", dpo);
    let b = run(&dir.path().join("b"), "seed = 1\n[loss]\nname = \"dpop\"\n", |step| {
        vec![("loss", 2.0 / step), ("pass@8", 0.5), ("pass@1", 0.25), ("my/own", f64::NAN)]
    });
    let empty = dir.path().join("c");
    fs::create_dir(&empty).unwrap();
    fs::write(empty.join("metrics.jsonl"), "").unwrap();
    let c = RunFolder::open(&empty).unwrap();

    let page = Report::from_runs(&[a, b, c]).to_html();
    check(&page);
    assert!(page.contains("<h1>3 runs compared</h1>"));
    assert!(has_section(&page, "Reward and pass@k") && has_section(&page, "Other metrics"));
    // The key that differs, and only that one.
    assert!(page.contains("<td class=\"\">loss.name</td>"));
    assert!(page.contains("my/own was not finite at step 1; 60 rows of 60"));
    // Curves of one name keep the colour of their run.
    assert!(page.contains("<i class=\"s1\"></i>b</li>"));
}

#[test]
fn nothing_at_all() {
    let page = Report::from_runs(&[]).to_html();
    check(&page);
    assert!(page.contains("No runs"));
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("config.toml"), "seed = 1\n").unwrap();
    let page = Report::from_runs(&[RunFolder::open(dir.path()).unwrap()]).to_html();
    check(&page);
    assert!(page.contains("no step was measured yet"));
}

#[test]
fn runs_of_one_name_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let runs: Vec<_> = ["x/run", "y/run"]
        .iter()
        .map(|name| run(&dir.path().join(name), "seed = 1\n", dpo))
        .collect();
    let page = Report::from_runs(&runs).to_html();
    assert!(page.contains("x/run and y/run compared"), "{}", &page[..600]);
    let twice = [runs[0].clone(), runs[0].clone()];
    assert!(Report::from_runs(&twice).to_html().contains("x/run and x/run (2) compared"));
}

#[test]
fn nothing_a_run_says_becomes_markup() {
    const EVIL: &str = "</pre><script>alert(1)</script><img src=x onerror=\"alert('2')\">";
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("<script>run");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("config.toml"), format!("key = '''{EVIL}'''\n")).unwrap();
    fs::write(
        dir.join("eval_results.json"),
        serde_json::to_string(&serde_json::json!({ EVIL: EVIL })).unwrap(),
    )
    .unwrap();
    let mut metrics = MetricsWriter::create(&dir).unwrap();
    metrics.write(&MetricRow::new(1).with(EVIL, f64::NAN).with("loss", 1.0)).unwrap();
    metrics.write(&MetricRow::new(2).with(EVIL, 1.0).with("loss", 1.0)).unwrap();
    let mut samples = SamplesWriter::create(&dir).unwrap();
    samples.write(&Sample::new(1, EVIL, EVIL).with(EVIL, EVIL)).unwrap();
    let mut metadata = RunMetadata::default();
    metadata.data.push((EVIL.into(), EVIL.into()));
    metadata.findings.push(Finding::new(EVIL, EVIL, Verdict::Unclear));
    metadata.displaced.push(DisplacedPair {
        row: 0,
        prompt: EVIL.into(),
        chosen: EVIL.repeat(9),
        rejected: EVIL.into(),
        edit_distance: 1,
        first_differing_token: None,
        chosen_logp_change: f64::MIN,
    });
    metadata.edit_distances.insert(1, u64::MAX);
    metadata.write(&dir).unwrap();

    let one = RunFolder::open(&dir).unwrap();
    for runs in [vec![one.clone()], vec![one.clone(), one]] {
        let page = Report::from_runs(&runs).to_html();
        check(&page);
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    }
}

#[test]
fn a_long_run_makes_a_small_page() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = run(dir.path(), "seed = 1\n", dpo);
    run.rows =
        (0..50_000).map(|step| MetricRow::new(step).with("loss", (step % 1013) as f64)).collect();
    run.samples = (0..2000).map(|i| Sample::new(i, format!("p{i}"), "x".repeat(9000))).collect();
    let page = Report::from_runs(&[run]).to_html();
    check(&page);
    assert!(page.len() < 150_000, "{} bytes", page.len());
    assert!(page.contains("1,988 more prompts") || page.contains("1988 more prompts"));
    assert!(page.contains("5000 more bytes not shown"));
}

#[test]
fn the_page_is_written_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.html");
    Report::new("First & <last>").write(&path).unwrap();
    let page = fs::read_to_string(&path).unwrap();
    check(&page);
    assert!(page.contains("<title>First &amp; &lt;last&gt;</title>"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    assert!(Report::new("x").write(&dir.path().join("no/such/report.html")).is_err());
}
