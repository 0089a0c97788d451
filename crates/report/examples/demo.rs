//! Writes three pages from made-up runs into the folder given: one run, several compared, and
//! every block by hand. To look at when a block changes.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use bestof_report::{
    ColouredText, DisplacedPair, Finding, Findings, HeatMap, Histogram, MetricRow, MetricsWriter,
    Plot, Report, RunFolder, RunMetadata, Sample, SamplesWriter, Scale, Section, Series, Text,
    Tone, Verdict,
};

const STEPS: u64 = 400;

/// Noise in `[-1, 1]` that is the same on every machine.
fn noise(seed: u64) -> f64 {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)) as f64 / u64::MAX as f64 * 2.0 - 1.0
}

/// A made-up preference run whose chosen answers drift by `drift` nats.
fn preference_run(dir: &Path, drift: f64, lambda: f64, seed: u64) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(dir)?;
    fs::write(
        dir.join("config.toml"),
        format!(
            "seed = 1\n\n[model]\npath = \"models/smollm2-135m-instruct\"\n\n[loss]\nname = \"{}\"\nbeta = 0.3\nlambda = {lambda:.1}\n",
            if lambda > 0.0 { "dpop" } else { "dpo" }
        ),
    )?;
    let mut metrics = MetricsWriter::create(dir)?;
    for step in 1..=STEPS {
        let t = step as f64 / STEPS as f64;
        let n = |i: u64| noise(seed * 1_000_003 + step * 31 + i);
        let reference = -34.0 + 2.0 * noise(step * 7 + 5);
        let chosen = drift * t.sqrt() + 0.8 * n(1);
        let rejected = drift * t.sqrt() - 18.0 * t + 1.5 * n(2);
        let margin = 0.3 * (chosen - rejected);
        let mut row = MetricRow::new(step)
            .with("loss", (1.0 + (-margin).exp()).ln() + 0.01 * n(3).abs())
            .with("logps/chosen", reference + chosen)
            .with("logps/rejected", reference - 3.0 + rejected)
            .with("logps/chosen_vs_ref", chosen)
            .with("rewards/chosen", 0.3 * chosen)
            .with("rewards/rejected", 0.3 * rejected)
            .with("rewards/margins", margin)
            .with("rewards/accuracies", (0.5 + 0.5 * t.sqrt() + 0.12 * n(4)).clamp(0.0, 1.0))
            .with("displacement", (0.5 - drift * t * 0.04 + 0.1 * n(5)).clamp(0.0, 1.0))
            .with("grad_norm", 6.0 * (-2.0 * t).exp() + n(6).abs())
            .with("learning_rate", 5e-6 * (t * 10.0).min(1.0) * (1.0 - t).max(0.02))
            .with("tokens_per_second", 900.0 + 60.0 * n(7))
            .with("epoch", t * 2.0);
        if step % 50 == 0 {
            row.push_eval([("loss", (1.0 + (-margin).exp()).ln() + 0.04)]);
        }
        metrics.write(&row)?;
    }
    let mut samples = SamplesWriter::create(dir)?;
    for (step, answer) in [
        (0, " Natalia sold 48 / 2 = <<48/2=24>>24 clips in May.\n#### 24"),
        (STEPS, " Natalia sold 48 / 2 = 24 clips in May, and 48 + 24 = 72 altogether.\n#### 72"),
    ] {
        let reward = if step == 0 { 0.0 } else { 1.0 };
        samples.write(
            &Sample::new(
                step,
                "Natalia sold clips to 48 of her friends in April, and then she sold half as many \
                 clips in May. How many clips did Natalia sell altogether in April and May?",
                answer,
            )
            .with("reward", reward)
            .with("finish", "eos"),
        )?;
        samples.write(&Sample::new(
            step,
            "Write <b>bold</b> & \"quoted\" markup.",
            "<script>alert('no')</script>",
        ))?;
    }
    metadata(drift).write(dir)?;
    Ok(())
}

fn metadata(drift: f64) -> RunMetadata {
    let data =
        [("model", "SmolLM2-135M-Instruct"), ("pairs", "1,024"), ("mean tokens, chosen", "87.4")];
    let mut metadata = RunMetadata {
        data: data.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        ..RunMetadata::default()
    };
    metadata.findings.push(Finding::new(
        "Chosen answers stay as likely as before training",
        format!("{drift:+.1} nats against the reference at the end"),
        if drift < 0.0 { Verdict::DoesNot } else { Verdict::Holds },
    ));
    if drift < 0.0 {
        metadata.displaced = (0..3)
            .map(|i| DisplacedPair {
                row: 41 * i + 7,
                prompt: "What is 12 + 30?".into(),
                chosen: "12 + 30 = 42. The answer is 42.".into(),
                rejected: "12 + 30 = 43. The answer is 43.".into(),
                edit_distance: 2,
                first_differing_token: Some(6),
                chosen_logp_change: drift - 3.0 + i as f64,
            })
            .collect();
    }
    metadata.edit_distances =
        (1..30).map(|d| (d, (900.0 * (-0.25 * d as f64).exp()) as u64)).collect();
    metadata
}

fn heat_map() -> HeatMap {
    let lengths = ["2k", "4k", "8k", "16k", "32k"];
    let mut heat = HeatMap::new("LongChat lines: accuracy", "context length", lengths)
        .row_label("depth")
        .percent();
    for depth in 0..5_u32 {
        let row = (0..5_u32).map(|length| {
            let accuracy = 1.1 - 0.2 * f64::from(length) - 0.05 * f64::from(depth);
            ((depth, length) != (4, 4)).then_some(accuracy.clamp(0.0, 1.0))
        });
        heat = heat.row(format!("{} %", depth * 25), row);
    }
    heat
}

fn blocks() -> Report {
    let pass =
        |p: f64| (1..=16).map(|k| (f64::from(k), 1.0 - (1.0 - p).powi(k))).collect::<Vec<_>>();
    let band =
        |p: f64| pass(p).into_iter().map(|(k, v)| (k, v - 0.06, (v + 0.05).min(1.0))).collect();
    let perplexity = |slope: f64| {
        (0..6).map(|i| (1024.0 * 2_f64.powi(i), 8.0 + slope * 2_f64.powi(i))).collect()
    };
    Report::new("Reproductions")
        .subtitle("every claim at the size of this machine")
        .section(Section::new("Verdicts").element(Findings::new([
            Finding::new(
                "Training for pass@8 raises pass@8 above training for pass@1",
                "0.93 (0.91 to 0.95) against 0.74 (0.70 to 0.78)",
                Verdict::Holds,
            ),
            Finding::new(
                "Truncated bases extrapolate further than linear scaling",
                "perplexity at 32k: 11.2 against 9.8",
                Verdict::DoesNot,
            ),
            Finding::new(
                "Multi-task training helps the rarer task",
                "F1 +0.4 (-0.6 to +1.4)",
                Verdict::Unclear,
            ),
        ])))
        .section(
            Section::new("Pass@k")
                .element(Text::new(
                    "Unbiased estimates from 64 samples a problem; bands are 95 % intervals.",
                ))
                .element(
                    Plot::new("pass@k")
                        .x_label("k")
                        .percent()
                        .series(Series::new("base", pass(0.08)).band(band(0.08)))
                        .series(Series::new("trained for k = 8", pass(0.2)).band(band(0.2))),
                )
                .element(
                    Plot::new("Perplexity by length")
                        .x_label("tokens")
                        .x_scale(Scale::Log)
                        .y_scale(Scale::Log)
                        .series(Series::new("linear", perplexity(0.2)).marked())
                        .series(Series::new("none", perplexity(30.0)).marked())
                        .reference("before", 8.0),
                ),
        )
        .section(Section::new("Long context").element(heat_map()))
        .section(
            Section::new("Data")
                .element(
                    ColouredText::new("Row 0: tokens and loss mask")
                        .span(
                            "<|im_start|>user\n12 + 30 =<|im_end|>\n<|im_start|>assistant\n",
                            Tone::Muted,
                        )
                        .span_with_hover("42", Tone::Accent, "id 2982, log-probability -0.31")
                        .span_with_hover(".", Tone::Weight(0.3), "id 30")
                        .span_with_hover(" not 43", Tone::Bad, "id 31")
                        .span_with_hover("<|im_end|>", Tone::Good, "id 2"),
                )
                .element(Histogram::new(
                    "Completion lengths",
                    "tokens",
                    (10..700).map(|n| (n, 700 - n)),
                ))
                .element(Text::warning(
                    "17 rows were dropped: 12 too long, 5 with the same answers.",
                )),
        )
}

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(std::env::args_os().nth(1).ok_or("name a folder to write to")?);
    let runs = [("dpo", -21.0, 0.0, 1), ("dpop-5", 1.0, 5.0, 2), ("dpop-50", 3.0, 50.0, 3)];
    let mut folders = Vec::new();
    for (name, drift, lambda, seed) in runs {
        preference_run(&out.join(name), drift, lambda, seed)?;
        folders.push(RunFolder::open(&out.join(name))?);
    }
    Report::from_runs(&folders[..1]).write(&out.join("one.html"))?;
    Report::from_runs(&folders).write(&out.join("compared.html"))?;
    blocks().write(&out.join("blocks.html"))?;
    Ok(())
}
