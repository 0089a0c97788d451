//! Neural models: their flags, and the run.

use std::path::PathBuf;

use anyhow::Result;
use bestof_sentiment::dataset::Dataset;
use bestof_sentiment::model::{Architecture, ModelKind};
use bestof_sentiment::neural::{NeuralConfig, NeuralRequest, Trained, train};
use bestof_trainer::run::TrainOptions;
use serde_json::json;

use super::request::{LabelsArg, Request, TrainedModel};
use crate::bounds::{BATCH, TOKENS, at_most};
use crate::console::Usage;
use crate::progress::Bars;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Neural models")]
pub(super) struct Flags {
    /// The run's configuration, as TOML; flags take precedence
    #[arg(long)]
    config: Option<PathBuf>,
    /// Override a setting, as `sentiment.dropout=0.2`; may be repeated
    #[arg(long = "set", value_name = "KEY.PATH=VALUE")]
    set: Vec<String>,
    /// The folder of the pretrained encoder (BERT, RoBERTa, DistilBERT or ModernBERT), in the Hugging Face
    /// layout, in place of `model.path` [default: models/minilm-l6-v2]
    #[arg(long)]
    encoder: Option<PathBuf>,
    /// Epochs [default: 3 for BERT, 5 for CNN and HAN]
    #[arg(long, allow_negative_numbers = true)]
    epochs: Option<f64>,
    /// The highest learning rate [default: 5e-5 for BERT, 1e-3 for CNN and HAN]
    #[arg(long, allow_negative_numbers = true)]
    learning_rate: Option<f64>,
    /// Rows per step [default: 32]
    #[arg(long, value_parser = at_most::<BATCH>)]
    batch: Option<usize>,
    /// Longest text, in pieces of the encoder's tokenizer (BERT) or words (CNN) [default: 128]
    #[arg(long, value_parser = at_most::<TOKENS>)]
    max_length: Option<usize>,
    /// How the losses of stars and sentiment are weighted [default: learned]
    #[arg(long, value_enum)]
    loss_weights: Option<LossWeights>,
    /// Whether rarer labels have a larger weight [default: none]
    #[arg(long, value_enum)]
    class_weights: Option<ClassWeights>,
    /// Stop after this many evaluations without a lower validation loss, and return to the best weights;
    /// there is one every 50 steps by default (`train.eval_steps`)
    #[arg(long, value_name = "EVALUATIONS")]
    early_stopping: Option<u64>,
    /// Resume from the run's newest intact checkpoint
    #[arg(long)]
    resume: bool,
    /// The device, in place of `model.device`
    #[arg(long, env = "BESTOF_DEVICE")]
    device: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum LossWeights {
    Fixed,
    Learned,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ClassWeights {
    None,
    Balanced,
}

impl Flags {
    /// One of these flags that was given. The device is not one: it may come from the environment.
    pub(super) fn given(&self) -> Option<&'static str> {
        let given = [
            ("--config", self.config.is_some()),
            ("--set", !self.set.is_empty()),
            ("--encoder", self.encoder.is_some()),
            ("--epochs", self.epochs.is_some()),
            ("--learning-rate", self.learning_rate.is_some()),
            ("--batch", self.batch.is_some()),
            ("--max-length", self.max_length.is_some()),
            ("--loss-weights", self.loss_weights.is_some()),
            ("--class-weights", self.class_weights.is_some()),
            ("--early-stopping", self.early_stopping.is_some()),
            ("--resume", self.resume),
        ];
        given.into_iter().find_map(|(flag, given)| given.then_some(flag))
    }

    pub(super) fn learn(
        &self,
        request: &Request,
        kind: ModelKind,
        data: &Dataset,
        validation: &Dataset,
    ) -> Result<TrainedModel> {
        if self.encoder.is_some() && kind.architecture() != Some(Architecture::Bert) {
            let message =
                format!("--encoder is for BERT models, and {kind} starts from random weights");
            return Err(Usage(message).into());
        }
        let mut neural = NeuralRequest::default();
        neural.kind = Some(kind);
        neural.data = Some(&request.data);
        neural.output = Some(&request.out);
        neural.encoder = self.encoder.as_deref();
        let set = self.overrides(request);
        let config = match &self.config {
            Some(path) => NeuralConfig::from_file(path, &set, neural)?,
            None => NeuralConfig::from_toml("", &set, neural)?,
        };
        let options = TrainOptions {
            resume: self.resume,
            ranks: crate::ranks::ranks(),
            ..TrainOptions::default()
        };
        let Trained { summary, model, report, classifier } =
            train(&config, data, validation, &options, &mut Bars::resumable())?;
        Ok(TrainedModel {
            json: json!({"folder": model, "report": report, "results": summary.to_json()}),
            lines: vec![format!("report {}", report.display())],
            model: Box::new(classifier),
        })
    }

    /// The flags as settings, before those of `--set`.
    fn overrides(&self, request: &Request) -> Vec<String> {
        let mut set = Vec::new();
        let mut put = |key: &str, value: Option<String>| {
            set.extend(value.map(|value| format!("{key}={value}")));
        };
        let float = |value: f64| format!("{value:?}");
        let learned = |labels| match labels {
            LabelsArg::Stars => "stars",
            LabelsArg::Binary => "binary",
            LabelsArg::Both => "both",
        };
        let weighting = |weights| match weights {
            LossWeights::Fixed => "fixed",
            LossWeights::Learned => "learned",
        };
        let classes = |weights| match weights {
            ClassWeights::None => "none",
            ClassWeights::Balanced => "balanced",
        };
        put("sentiment.labels", request.labels.map(|labels| learned(labels).to_owned()));
        put("train.seed", request.seed.map(|seed| seed.to_string()));
        put("train.num_train_epochs", self.epochs.map(float));
        put("train.learning_rate", self.learning_rate.map(float));
        put("train.per_device_train_batch_size", self.batch.map(|rows| rows.to_string()));
        put("sentiment.max_length", self.max_length.map(|length| length.to_string()));
        put("sentiment.weighting", self.loss_weights.map(|w| weighting(w).to_owned()));
        put("sentiment.class_weights", self.class_weights.map(|w| classes(w).to_owned()));
        put("train.early_stopping_patience", self.early_stopping.map(|n| n.to_string()));
        put("train.load_best_model_at_end", self.early_stopping.map(|_| "true".to_owned()));
        put("model.device", self.device.clone());
        set.extend(self.set.iter().cloned());
        set
    }
}
