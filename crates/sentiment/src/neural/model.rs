//! The whole network: text encoder, meta encoder, joint layer, heads.

use bestof_models::ModelError;
use bestof_models::encoder::{Dense, EncoderFamily, EncoderTask, Fill, Loader, RowPooler, dropout};
use burn::module::{Module, Param};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use serde_json::json;

use super::batch::{Batch, TextBatch};
use super::encoder::TextEncoder;
use super::init::Init;
use super::outputs::Outputs;
use super::shape::ModelShape;
use super::task::Task;
use crate::error::SentimentError;
use crate::predictions::STARS;

/// Keys of the dropouts of the heads and of the meta encoder: every dropout of a model has its own.
const META_DROPOUT_KEY: u64 = 11;
const HEAD_DROPOUT_KEY: u64 = 12;

/// A network that reads reviews.
///
/// Its parameters have the names they have in `model.safetensors`: those of a pretrained encoder are the
/// names that transformers gives them in a model that has a head.
#[derive(Module, Debug)]
pub(super) struct NeuralModel {
    encoder: TextEncoder,
    pooler: Option<RowPooler>,
    meta: Option<Dense>,
    joint: Option<Dense>,
    stars: Option<Dense>,
    binary: Option<Dense>,
    sentiment: Option<Dense>,
    /// `[tasks]`
    log_variances: Option<Param<Tensor<1>>>,
    #[module(skip)]
    shape: ModelShape,
    /// The parameters that started from random weights.
    #[module(skip)]
    drawn: Vec<String>,
}

impl NeuralModel {
    /// The model around `encoder` with its pooler; all other parameters are made by `loader`.
    pub(super) fn load(
        loader: &mut Loader<'_>,
        init: Init,
        shape: ModelShape,
        (encoder, pooler): (TextEncoder, Option<RowPooler>),
    ) -> Result<Self, ModelError> {
        let settings = &shape.settings;
        let text_width = encoder.width(settings);
        let (mut meta, mut joint, mut width) = (None, None, text_width);
        if shape.joint() {
            let sizes = [shape.meta_features, settings.meta_width];
            meta = Some(init.dense(loader, "meta", sizes)?);
            let sizes = [text_width + settings.meta_width, settings.joint_width];
            joint = Some(init.dense(loader, "joint", sizes)?);
            width = settings.joint_width;
        }
        let tasks = shape.tasks();
        let mut head = |task: Task, outputs| {
            let needed = tasks.contains(&task);
            needed.then(|| init.dense(loader, task.name(), [width, outputs])).transpose()
        };
        let stars = head(Task::Stars, STARS)?;
        let binary = head(Task::Binary, 2)?;
        let sentiment = head(Task::Sentiment, 1)?;
        let log_variances = if shape.learns_weights() {
            Some(loader.parameter("log_variances", [tasks.len()], Fill::Zeros)?)
        } else {
            None
        };
        let drawn = loader.fresh().to_vec();
        Ok(Self {
            encoder,
            pooler,
            meta,
            joint,
            stars,
            binary,
            sentiment,
            log_variances,
            shape,
            drawn,
        })
    }

    pub(super) fn shape(&self) -> &ModelShape {
        &self.shape
    }

    /// Whether a parameter started from random weights: a head always did, a pooler where the checkpoint
    /// has none.
    pub(super) fn is_drawn(&self, parameter: &str) -> bool {
        self.drawn.iter().any(|name| name == parameter)
    }

    /// Whether nothing is added to word vectors before they are normalised, as ModernBERT has it.
    pub(super) fn normalises_words(&self) -> bool {
        match &self.encoder {
            TextEncoder::Pretrained(encoder) => {
                encoder.config().family == EncoderFamily::ModernBert
            }
            TextEncoder::Cnn(_) | TextEncoder::Han(_) => false,
        }
    }

    /// The `config.json` of a checkpoint: that of a pretrained encoder, otherwise a `model_type` that no
    /// other program knows.
    pub(super) fn config_json(&self) -> serde_json::Value {
        match &self.encoder {
            TextEncoder::Pretrained(encoder) => encoder.config().to_hf(EncoderTask::Encoder),
            TextEncoder::Cnn(_) | TextEncoder::Han(_) => {
                json!({ "model_type": format!("bestof-{}", self.shape.settings.kind) })
            }
        }
    }

    /// The device of the inputs.
    pub(super) fn device(&self) -> Device {
        let head = self.stars.as_ref().or(self.binary.as_ref());
        head.map_or_else(Device::default, |head| head.weight.val().device())
    }

    /// The learned log-variances of the tasks, `[tasks]`.
    pub(super) fn log_variances(&self) -> Option<Tensor<1>> {
        self.log_variances.as_ref().map(Param::val)
    }

    /// The vectors of the words or word pieces of `texts`, `[tokens, word width]`.
    pub(super) fn word_vectors(&self, texts: &TextBatch) -> Result<Tensor<2>, SentimentError> {
        self.encoder.word_vectors(texts)
    }

    /// The outputs of the heads. With a seed, values are dropped as in training.
    pub(super) fn forward(
        &self,
        batch: &Batch,
        seed: Option<u64>,
    ) -> Result<Outputs, SentimentError> {
        let words = self.word_vectors(&batch.texts)?;
        self.forward_words(words, batch.meta.clone(), &batch.texts, seed)
    }

    /// As [`NeuralModel::forward`], with word vectors and meta features other than the texts' own.
    pub(super) fn forward_words(
        &self,
        words: Tensor<2>,
        meta: Option<Tensor<2>>,
        texts: &TextBatch,
        seed: Option<u64>,
    ) -> Result<Outputs, SentimentError> {
        let settings = &self.shape.settings;
        let drop = |x: Tensor<2>, key: u64, head: u64| match seed {
            Some(seed) => dropout(x, &texts.dropout(settings.dropout, [seed, key, head])),
            None => x,
        };
        let text = self.encoder.forward(self.pooler.as_ref(), words, texts, settings, seed)?;
        let trunk = match (&self.meta, &self.joint, meta) {
            (Some(encoder), Some(joint), Some(meta)) => {
                let meta = drop(relu(encoder.forward(meta)), META_DROPOUT_KEY, 0);
                relu(joint.forward(Tensor::cat(vec![text, meta], 1)))
            }
            _ => text,
        };
        let head = |head: &Option<Dense>, number: u64| {
            head.as_ref().map(|head| head.forward(drop(trunk.clone(), HEAD_DROPOUT_KEY, number)))
        };
        let sentiment = head(&self.sentiment, 2).map(|score| score.reshape([-1]));
        Ok(Outputs { stars: head(&self.stars, 0), binary: head(&self.binary, 1), sentiment })
    }
}
