//! `quickstart`: the main job end to end. DPO and DPOP train the same small LLaMA on the same
//! pairs from the same seed, and what becomes of the chosen answers is laid side by side.

mod data;
mod outcome;
mod page;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use bestof_checkpoints::ModelFolder;
use bestof_tasks::arithmetic::{ArithmeticConfig, ArithmeticProblems, NumberSize};
use bestof_tasks::pairs::{PairOptions, PairSet, PromptForm, WorkedItem, corrupted_pairs};
use bestof_tasks::rng::Split;
use bestof_tasks::rows::{CompletionRow, PreferenceRow, write_rows};
use bestof_trainer::config::{RunConfig, toml_path, toml_text};
use bestof_trainer::launch::preference;
use bestof_trainer::run::TrainOptions;
use serde_json::json;

use self::data::Data;
use self::outcome::measure;
use crate::console;
use crate::device::DeviceArg;
use crate::fetch::{Connection, Source, fetch};
use crate::progress::Bars;

/// Pairs a step.
const BATCH: usize = 4;
/// How much there is of everything where the user does not say.
struct Size {
    pairs: usize,
    held_out: usize,
    learning_rate: f64,
    /// In a run, beside that at its start.
    evaluations: usize,
}

const QUICK: Size = Size { pairs: 80, held_out: 32, learning_rate: 4e-4, evaluations: 2 };
const FULL: Size = Size { pairs: 240, held_out: 48, learning_rate: 2e-4, evaluations: 4 };

/// What a pass over a pair takes, forward or as a third of a step, on two cores.
const SECONDS: f64 = 0.2;

/// Train a small LLaMA with DPO and with DPOP on pairs that differ in one number, and compare
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask quickstart\n  cargo xtask quickstart --full\n\nThe report is runs/quickstart/report.html."
)]
pub(crate) struct Quickstart {
    /// The folder for pairs, runs and report; what a former quickstart left there is replaced
    #[arg(long, default_value = "runs/quickstart")]
    out: PathBuf,
    /// A model's folder to use in place of the fetched SmolLM2-135M-Instruct
    #[arg(long)]
    model: Option<PathBuf>,
    /// Three times the training pairs and half as many held-out ones again, at half the learning rate
    #[arg(long)]
    full: bool,
    /// Training pairs [default: 80, with --full 240]
    #[arg(long)]
    pairs: Option<NonZeroUsize>,
    /// Held-out pairs [default: 32, with --full 48]
    #[arg(long)]
    held_out: Option<NonZeroUsize>,
    /// Passes over the training pairs
    #[arg(long, default_value_t = 1.0)]
    epochs: f64,
    /// Highest learning rate of both runs [default: 4e-4, with --full 2e-4]
    #[arg(long)]
    learning_rate: Option<f64>,
    /// Beta of both losses
    #[arg(long, default_value_t = 0.3)]
    beta: f64,
    /// Lambda of DPOP
    #[arg(long, default_value_t = 50.0)]
    lambda: f64,
    /// Seed of problems, corruptions, adapters and row order
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    device: DeviceArg,
    /// Print one JSON object with everything that was measured
    #[arg(long)]
    json: bool,
}

impl Quickstart {
    pub(crate) fn run(self) -> Result<()> {
        let started = Instant::now();
        let model = if let Some(dir) = &self.model {
            // Before the pairs are made, so that a wrong path costs nothing.
            ModelFolder::open(dir)?;
            dir.clone()
        } else {
            self.announce();
            console::note("1/5  the model: SmolLM2-135M-Instruct");
            let (name, here) = ("smollm2-135m-instruct", Path::new("."));
            fetch(name, Source::Any, here, false, Connection::default())?.dir
        };
        let work = Instant::now();
        console::note("2/5  the pairs: worked solutions, right and with one number wrong");
        let data = self.build_pairs()?;
        console::note("3/5  the model before training");
        let before = measure("before", &model, &model, &data, &self.device)?;
        console::note(&format!("     {}", page::in_a_line(&before)));
        let mut after = Vec::new();
        for (number, loss) in [(4, "dpo"), (5, "dpop")] {
            console::note(&format!("{number}/5  training with {}", loss.to_uppercase()));
            let config = self.config(&model, &data, loss)?;
            let fresh = &config.output.dir;
            if fresh.exists() {
                std::fs::remove_dir_all(fresh)?;
            }
            let options = TrainOptions::default();
            let finished = preference(&config, &options, &mut Bars::named(loss))?;
            let mut outcome = measure(loss, &finished.model, &model, &data, &self.device)?;
            outcome.seconds = finished.summary.train_runtime;
            outcome.pairs_per_second =
                finished.summary.epoch * self.pairs() as f64 / finished.summary.train_runtime;
            console::note(&format!("     {}", page::in_a_line(&outcome)));
            after.push(outcome);
        }
        let findings = outcome::findings(&before, &after[0], &after[1]);
        let report = self.out.join("report.html");
        page::write(&self.out, &before, &after, &findings, &report)?;
        if self.json {
            return console::json(&json!({
                "report": report,
                "before": before,
                "dpo": after[0],
                "dpop": after[1],
                "findings": findings.iter().map(outcome::as_json).collect::<Vec<_>>(),
                "mean_edit_distance": data.edit_distance,
                "seconds": work.elapsed().as_secs_f64(),
            }));
        }
        page::print(&before, &after, &findings)?;
        console::line(&format!(
            "\nreport  {}\ntook    {:.0} minutes ({:.0} with the download)",
            report.display(),
            work.elapsed().as_secs_f64() / 60.0,
            started.elapsed().as_secs_f64() / 60.0
        ))
    }

    fn size(&self) -> &'static Size {
        if self.full { &FULL } else { &QUICK }
    }

    fn pairs(&self) -> usize {
        self.pairs.map_or(self.size().pairs, NonZeroUsize::get)
    }

    fn held_out(&self) -> usize {
        self.held_out.map_or(self.size().held_out, NonZeroUsize::get)
    }

    /// Says what will happen and what it takes, by what it took on two cores of a Zen 5.
    fn announce(&self) {
        let evaluations = 2.0 + self.size().evaluations as f64;
        let work = 4.0 * self.epochs * self.pairs() as f64 + evaluations * self.held_out() as f64;
        let minutes = (2.0 * work * SECONDS / 60.0).ceil();
        console::note(&format!(
            "SmolLM2-135M-Instruct learns from {} pairs by DPO, then from its beginning by DPOP; {} other pairs show \
             what became of it.\nThat takes about {minutes:.0} minutes on two cores (more on old ones) beside the \
             download of 89 MiB, 1.7 GiB of disk and 1.7 GiB of memory.",
            self.pairs(),
            self.held_out()
        ));
    }

    /// Writes training pairs, held-out pairs and the held-out pairs' right solutions.
    fn build_pairs(&self) -> Result<Data> {
        std::fs::create_dir_all(&self.out)?;
        let path = |name: &str| self.out.join(name);
        let data = Data {
            train: path("pairs.jsonl"),
            held_out: path("held-out.jsonl"),
            solutions: path("held-out-solutions.jsonl"),
            edit_distance: 0.0,
        };
        let train = self.pairs_of(Split::Train, self.pairs())?;
        let held_out = self.pairs_of(Split::HeldOut, self.held_out())?;
        write_rows(&data.train, &rows(&train))?;
        write_rows(&data.held_out, &rows(&held_out))?;
        let solutions: Vec<_> = held_out
            .pairs
            .iter()
            .map(|pair| CompletionRow::new(pair.prompt.clone(), pair.chosen.clone()))
            .collect();
        write_rows(&data.solutions, &solutions)?;
        console::note(&format!("     {train}"));
        let edit_distance = train.mean_distance().map_or(0.0, |mean| mean.words);
        Ok(Data { edit_distance, ..data })
    }

    fn pairs_of(&self, split: Split, count: usize) -> Result<PairSet> {
        let config = ArithmeticConfig::default()
            .seed(self.seed)
            .steps(2..=3)
            .size(NumberSize::Small)
            .split(split);
        let problems = ArithmeticProblems::new(config)?.take_distinct(count)?;
        let items: Vec<WorkedItem> =
            problems.iter().enumerate().map(|(i, p)| WorkedItem::from_problem(i, p)).collect();
        let options = PairOptions::default().seed(self.seed).form(PromptForm::Chat);
        Ok(corrupted_pairs(&items, &options)?)
    }

    /// The settings of a run: the two differ in the loss alone.
    fn config(&self, model: &Path, data: &Data, loss: &str) -> Result<RunConfig> {
        let lambda =
            if loss == "dpop" { format!("lambda = {:?}\n", self.lambda) } else { String::new() };
        let text = format!(
            "[model]\npath = {}\ndevice = {}\n\
             [data]\ntrain = {}\neval = {}\nmax_length = 512\n\
             [output]\ndir = {}\n\
             [train]\nlearning_rate = {:?}\nnum_train_epochs = {:?}\nper_device_train_batch_size = {BATCH}\n\
             lr_scheduler_type = \"cosine\"\nwarmup_ratio = 0.1\neval_steps = {}\neval_on_start = true\n\
             save_steps = 0\nseed = {}\n\
             [lora]\nr = 16\nalpha = 32.0\n\
             [loss]\nname = {}\nbeta = {:?}\n{lambda}",
            toml_path(model),
            toml_text(&self.device.device),
            toml_path(&data.train),
            toml_path(&data.held_out),
            toml_path(&self.out.join(loss)),
            self.learning_rate.unwrap_or(self.size().learning_rate),
            self.epochs,
            (self.pairs() / BATCH).div_ceil(self.size().evaluations).max(1),
            self.seed,
            toml_text(loss),
            self.beta,
        );
        Ok(RunConfig::from_toml(&text, &[])?)
    }
}

fn rows(set: &PairSet) -> Vec<PreferenceRow> {
    set.pairs.iter().map(bestof_tasks::pairs::PreferencePair::to_row).collect()
}
