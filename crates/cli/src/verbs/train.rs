//! `sft`, `prefer` and `reinforce`: runs from a configuration file.

use std::path::PathBuf;

use anyhow::Result;
use bestof_trainer::config::RunConfig;
use bestof_trainer::launch::{Finished, preference, reinforce, supervised};
use bestof_trainer::run::TrainOptions;
use serde_json::json;

use crate::console;
use crate::progress::Bars;
use crate::ranks;

/// What every kind of run is told.
#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    /// The run's settings, as TOML
    #[arg(long)]
    pub(super) config: PathBuf,
    /// Override a setting, as `train.learning_rate=1e-5`; may be given several times
    #[arg(long = "set", value_name = "KEY.PATH=VALUE")]
    pub(super) set: Vec<String>,
    /// Go on from the run's newest whole checkpoint
    #[arg(long)]
    pub(super) resume: bool,
    /// Which processor does the work, in place of `model.device`
    #[arg(long, env = "BESTOF_DEVICE")]
    pub(super) device: Option<String>,
    /// Print one JSON object when the run is done
    #[arg(long)]
    pub(super) json: bool,
}

/// Supervised fine-tuning on completions or texts
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cargo xtask sft --config docs/examples/sft.toml --set train.learning_rate=1e-5"
)]
pub(crate) struct Sft {
    #[command(flatten)]
    run: RunArgs,
}

/// Preference optimisation on pairs (DPO, DPOP, IPO, hinge, cDPO, robust DPO, SimPO, ORPO, KTO) or labelled answers (KTO)
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cargo xtask prefer --config docs/examples/prefer.toml --set loss.name=dpop --set output.dir=runs/dpop"
)]
pub(crate) struct Prefer {
    #[command(flatten)]
    run: RunArgs,
    /// End with an error once chosen answers keep losing probability
    #[arg(long)]
    fail_on_displacement: bool,
}

/// Policy-gradient training on verifiable rewards: PKPO (best of k), RLOO, GRPO and others
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  cargo xtask reinforce --config docs/examples/reinforce.toml --set rollout.num_generations=16 --set output.dir=runs/pkpo"
)]
pub(crate) struct Reinforce {
    #[command(flatten)]
    run: RunArgs,
}

impl RunArgs {
    pub(super) fn config(&self, more: &[&str]) -> Result<RunConfig> {
        let mut set = self.set.clone();
        if let Some(device) = &self.device {
            set.push(format!("model.device={device}"));
        }
        set.extend(more.iter().map(|&text| text.to_owned()));
        Ok(RunConfig::from_file(&self.config, &set)?)
    }

    pub(super) fn options(&self) -> TrainOptions<'static> {
        TrainOptions { resume: self.resume, ranks: ranks::ranks(), ..TrainOptions::default() }
    }

    pub(super) fn show(&self, finished: &Finished) -> Result<()> {
        finished.data.iter().for_each(console::left_out);
        if self.json {
            return console::json(&json!({
                "model": finished.model,
                "report": finished.report,
                "results": finished.summary.to_json(),
            }));
        }
        console::line(&format!("model  {}", finished.model.display()))?;
        console::line(&format!("report {}", finished.report.display()))
    }
}

impl Sft {
    pub(crate) fn run(self) -> Result<()> {
        let config = self.run.config(&[])?;
        self.run.show(&supervised(&config, &self.run.options(), &mut Bars::resumable())?)
    }
}

impl Prefer {
    pub(crate) fn run(self) -> Result<()> {
        let more: &[&str] =
            if self.fail_on_displacement { &["displacement.fail=true"] } else { &[] };
        let config = self.run.config(more)?;
        self.run.show(&preference(&config, &self.run.options(), &mut Bars::resumable())?)
    }
}

impl Reinforce {
    pub(crate) fn run(self) -> Result<()> {
        let config = self.run.config(&[])?;
        self.run.show(&reinforce(&config, &self.run.options(), &mut Bars::resumable())?)
    }
}
