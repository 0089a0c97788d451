//! `reproduce`: the papers' claims at the size of this machine, each measured and judged.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use bestof_reproduce::{EXPERIMENTS, Experiment, Options, Reproduction, Written, experiment, word};
use serde_json::{Value, json};

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
    #[arg(long)]
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
        "Reproductions:\n{}\n  {ALL:<10} each of them in turn\n\n\
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
        for (experiment, options) in chosen.iter().zip(&options) {
            documents.push(self.one(*experiment, options)?);
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
        if !self.json {
            print(&outcome, &written, seconds)?;
        }
        let mut document = outcome.to_json();
        document["report"] = json!(written.report);
        document["seconds"] = json!(seconds);
        Ok(document)
    }
}

fn print(outcome: &Reproduction, written: &Written, seconds: f64) -> Result<()> {
    console::line(&format!("{}\n", outcome.title()))?;
    for claim in outcome.all_claims() {
        console::line(&format!("{:<13} {}", word(claim.verdict), claim.claim))?;
        console::line(&format!("{:<13} {}\n", "", claim.measured))?;
    }
    console::line(&format!("report  {}\ntook    {seconds:.1} s", written.report.display()))
}
