//! `reproduce`: the papers' claims at the size of this machine, each measured and judged.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bestof_reproduce::{EXPERIMENTS, Experiment, Options, Pace, REPORT_FILE, experiment, finished};
use serde_json::{Value, json};

use crate::bounds::at_most;
use crate::console::{self, Usage};
use crate::device::DeviceArg;
use crate::progress::Bars;

/// The name that stands for every experiment.
const ALL: &str = "all";

/// Measure the claims of a paper here, and say of each whether it holds
#[derive(Debug, clap::Args)]
#[command(after_help = help())]
pub(crate) struct Reproduce {
    /// The names of reproductions, or `all`
    #[arg(required = true)]
    names: Vec<String>,
    /// At full size, where there is one: real models, hours instead of minutes
    #[arg(long)]
    full: bool,
    /// The folder for report and runs; with several names or `all`, the folder of their folders
    /// [default: runs/reproduce/NAME]
    #[arg(long)]
    out: Option<PathBuf>,
    /// Everything random follows from it
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Repetitions with seeds of their own, at least 2 [default: the reproduction's choice]
    #[arg(long, value_parser = at_most::<1000>)]
    seeds: Option<usize>,
    /// Your own data in place of made-up ones, for `yelp`: the folder of the unpacked Yelp Open
    /// Dataset, or a CSV file with `text` and `stars`
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Start from small models of random weights where `yelp` starts from a pretrained one
    #[arg(long)]
    no_pretrained: bool,
    #[command(flatten)]
    device: DeviceArg,
    /// Print one JSON object with claims, verdicts and everything measured
    #[arg(long)]
    json: bool,
}

fn help() -> String {
    let names: Vec<String> = EXPERIMENTS
        .iter()
        .map(|experiment| format!("  {:<10} {}", experiment.name(), experiment.about()))
        .collect();
    format!(
        "Reproductions:\n{}\n  {ALL:<10} each of them in turn; of several, those that an earlier start has measured are kept\n\n\
         A claim that does not hold is a result: the exit code is 0.\n\n\
         Example:\n  cargo xtask reproduce pkpo-toy\n\n\
         The report is runs/reproduce/pkpo-toy/report.html.",
        names.join("\n")
    )
}

impl Reproduce {
    pub(crate) fn run(self) -> Result<()> {
        if self.seeds.is_some_and(|seeds| seeds < 2) {
            return Err(Usage("--seeds: an interval needs at least 2".into()).into());
        }
        let chosen: Vec<&dyn Experiment> = if self.names == [ALL] {
            EXPERIMENTS.to_vec()
        } else {
            let named = self.names.iter().map(|name| experiment(name));
            named.collect::<Result<_, _>>().map_err(|e| Usage(e.to_string()))?
        };
        if self.data.is_some() && !chosen.iter().any(|experiment| experiment.reads_data()) {
            let readers = EXPERIMENTS.iter().filter(|experiment| experiment.reads_data());
            let readers: Vec<_> = readers.map(|experiment| experiment.name()).collect();
            let message = format!("--data: only {} reads data", readers.join(", "));
            return Err(Usage(message).into());
        }
        if self.no_pretrained
            && self.names != [ALL]
            && let Some(other) = chosen.iter().find(|experiment| !experiment.has_pretrained())
        {
            let pretrained = EXPERIMENTS.iter().filter(|experiment| experiment.has_pretrained());
            let names: Vec<_> = pretrained.map(|experiment| experiment.name()).collect();
            let (name, names) = (other.name(), names.join(", "));
            let message = format!(
                "--no-pretrained: `{name}` has no pretrained model; it is for {names} alone"
            );
            return Err(Usage(message).into());
        }
        let usual = |experiment: &dyn Experiment| match (&self.out, chosen.len()) {
            (None, _) => Path::new("runs/reproduce").join(experiment.name()),
            (Some(out), 1) => out.clone(),
            (Some(out), _) => out.join(experiment.name()),
        };
        let options: Vec<Options> =
            chosen.iter().map(|experiment| self.options(&usual(*experiment))).collect();
        // What is missing should not be missed after the others have run.
        for (experiment, options) in chosen.iter().zip(&options) {
            experiment.ready(options).with_context(|| experiment.name())?;
        }
        let mut documents = Vec::with_capacity(chosen.len());
        // The experiments' own estimates count as a minute that has run.
        let (started, estimated) = (Instant::now(), Duration::from_mins(1));
        let mut pace = Pace::new(chosen.iter().map(|experiment| experiment.minutes()).chain([1.0]));
        pace.done(1.0);
        for (experiment, options) in chosen.iter().zip(&options) {
            let kept = if chosen.len() > 1 { finished(*experiment, options) } else { None };
            documents.push(if let Some(document) = kept {
                pace.skip(experiment.minutes());
                self.take_up(document, &options.out)?
            } else {
                let document = self.one(*experiment, options)?;
                pace.done(experiment.minutes());
                document
            });
            let left = pace.left(started.elapsed() + estimated);
            if let Some(left) = left.filter(|_| !self.full) {
                console::note(&format!("about {left} left"));
            }
        }
        match (self.json, &documents[..]) {
            (false, _) => Ok(()),
            (true, [document]) => console::json(document),
            (true, documents) => console::json(&json!({"reproductions": documents})),
        }
    }

    fn options(&self, out: &Path) -> Options {
        Options {
            full: self.full,
            seed: self.seed,
            seeds: self.seeds,
            data: self.data.clone(),
            pretrained: !self.no_pretrained,
            device: self.device.device.clone(),
            ..Options::new(out)
        }
    }

    /// Runs an experiment, writes its folder, and prints it unless it goes into a document.
    fn one(&self, chosen: &dyn Experiment, options: &Options) -> Result<Value> {
        let started = Instant::now();
        let name = chosen.name();
        console::note(&format!("{name}: {}", chosen.about()));
        let outcome = chosen.run(options, &mut Bars::named(name)).with_context(|| name)?;
        let written = outcome.write(&options.out)?;
        let seconds = started.elapsed().as_secs_f64();
        let mut document = outcome.to_json();
        document["report"] = json!(written.report);
        document["seconds"] = json!(seconds);
        if !self.json {
            print(&document)?;
        }
        Ok(document)
    }

    /// What an earlier start has measured, printed unless it goes into a document.
    fn take_up(&self, mut document: Value, out: &Path) -> Result<Value> {
        let name = document["reproduction"].as_str().unwrap_or_default();
        console::note(&format!(
            "{name}: measured by an earlier start with the same options; remove {} to measure it again",
            out.display()
        ));
        document["report"] = json!(out.join(REPORT_FILE));
        document["seconds"] = Value::Null;
        if !self.json {
            print(&document)?;
        }
        Ok(document)
    }
}

fn print(document: &Value) -> Result<()> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    console::line(&format!("{}\n", text(&document["title"])))?;
    for claim in document["claims"].as_array().into_iter().flatten() {
        console::line(&format!("{:<13} {}", text(&claim["verdict"]), text(&claim["claim"])))?;
        console::line(&format!("{:<13} {}\n", "", text(&claim["measured"])))?;
    }
    console::line(&format!("report  {}", text(&document["report"])))?;
    match document["seconds"].as_f64() {
        Some(seconds) => console::line(&format!("took    {seconds:.1} s")),
        None => Ok(()),
    }
}
