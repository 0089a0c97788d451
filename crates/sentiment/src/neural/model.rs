//! The whole model: text encoder, meta encoder, joint layer, heads.

use bestof_models::ModelError;
use bestof_models::bert::{Bert, BertError, Dense, Fill, Loader, dropout};
use burn::module::{Module, Param};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use super::batch::{Inputs, Texts};
use super::cnn::Cnn;
use super::error::NeuralError;
use super::han::Han;
use super::loss::Task;
use super::settings::{Pooling, SentimentSection, Weighting};
use crate::model::{Architecture, Labels};
use crate::predictions::STARS;

/// Tell the dropouts of the heads and of the meta encoder from those of the text encoder.
const META_SLOT: u64 = 11;
const HEAD_SLOT: u64 = 12;

/// Everything that decides which parameters a model has.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shape {
    pub(super) settings: SentimentSection,
    /// Meta features of a row.
    pub(super) meta_features: usize,
    /// Words known, for CNN and HAN.
    pub(super) words: usize,
}

impl Shape {
    pub(super) fn joint(&self) -> bool {
        self.settings.kind.is_joint()
    }

    pub(super) fn multi_task(&self) -> bool {
        self.settings.kind.is_multi_task()
    }

    /// The tasks that are learned, labels first.
    pub(super) fn tasks(&self) -> Vec<Task> {
        let mut tasks = match self.settings.labels {
            Labels::Stars => vec![Task::Stars],
            Labels::Binary => vec![Task::Binary],
            Labels::Both => vec![Task::Stars, Task::Binary],
        };
        if self.multi_task() {
            tasks.push(Task::Sentiment);
        }
        tasks
    }

    /// Whether the weights of the tasks are learned.
    pub(super) fn learns_weights(&self) -> bool {
        self.tasks().len() > 1 && self.settings.weighting == Weighting::Learned
    }
}

/// Where the parameters come from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Start {
    /// A checkpoint has all of them.
    Stored,
    /// Those that the checkpoint lacks are drawn from this seed.
    Drawn(u64),
}

impl Start {
    /// From here on, parameters that are drawn have this standard deviation.
    pub(super) fn deviation(self, loader: &mut Loader<'_>, deviation: f64) {
        if let Self::Drawn(seed) = self {
            loader.draw_missing(seed, deviation);
        }
    }
}

/// A linear layer whose outputs start with the variance of its inputs.
pub(super) fn dense(
    loader: &mut Loader<'_>,
    start: Start,
    name: &str,
    sizes: [usize; 2],
) -> Result<Dense, ModelError> {
    start.deviation(loader, (sizes[0] as f64).sqrt().recip());
    Dense::load(loader, name, sizes)
}

/// A neural model of reviews.
///
/// Its parameters have the names they have in `model.safetensors`: those of the encoder begin with
/// `bert.` and are otherwise the names that transformers gives them.
#[derive(Module, Debug)]
pub struct NeuralModel {
    bert: Option<Bert>,
    cnn: Option<Cnn>,
    han: Option<Han>,
    meta: Option<Dense>,
    joint: Option<Dense>,
    stars: Option<Dense>,
    binary: Option<Dense>,
    sentiment: Option<Dense>,
    /// `[tasks]`
    log_variances: Option<Param<Tensor<1>>>,
    #[module(skip)]
    shape: Shape,
}

/// What the heads say, a row each.
#[derive(Debug, Clone)]
pub(super) struct Outputs {
    /// Logits, `[rows, 5]`.
    pub(super) stars: Option<Tensor<2>>,
    /// Logits, `[rows, 2]`.
    pub(super) binary: Option<Tensor<2>>,
    /// The standardised score, `[rows]`.
    pub(super) sentiment: Option<Tensor<1>>,
}

impl NeuralModel {
    /// The model whose parameters `loader` makes, around an encoder that is loaded already.
    pub(super) fn load(
        loader: &mut Loader<'_>,
        start: Start,
        shape: &Shape,
        bert: Option<Bert>,
    ) -> Result<Self, NeuralError> {
        let (settings, kind) = (&shape.settings, shape.settings.kind);
        let bert = bert.map(|bert| fit_pooler(bert, settings.pooling, start)).transpose()?;
        if let Some(bert) = &bert
            && settings.max_length > bert.config().max_positions
        {
            let (found, max) = (settings.max_length, bert.config().max_positions);
            return Err(NeuralError::TooLong { found, max });
        }
        let is = |architecture| kind.architecture() == Some(architecture);
        let cnn = is(Architecture::Cnn)
            .then(|| Cnn::load(loader, start, shape.words, settings))
            .transpose()?;
        let han = is(Architecture::Han)
            .then(|| Han::load(loader, start, shape.words, settings))
            .transpose()?;
        let text_width = match &bert {
            Some(bert) => bert.config().hidden_size,
            None if cnn.is_some() => settings.joint_width,
            None => 2 * settings.hidden_width,
        };
        let (mut meta, mut joint, mut width) = (None, None, text_width);
        if kind.is_joint() {
            let sizes = [shape.meta_features, settings.meta_width];
            meta = Some(dense(loader, start, "meta", sizes)?);
            let sizes = [text_width + settings.meta_width, settings.joint_width];
            joint = Some(dense(loader, start, "joint", sizes)?);
            width = settings.joint_width;
        }
        let tasks = shape.tasks();
        let mut head = |task: Task, outputs| -> Result<Option<Dense>, ModelError> {
            if !tasks.contains(&task) {
                return Ok(None);
            }
            dense(loader, start, task.name(), [width, outputs]).map(Some)
        };
        let stars = head(Task::Stars, STARS)?;
        let binary = head(Task::Binary, 2)?;
        let sentiment = head(Task::Sentiment, 1)?;
        let log_variances = if shape.learns_weights() {
            Some(loader.parameter("log_variances", [tasks.len()], Fill::Zeros)?)
        } else {
            None
        };
        let shape = shape.clone();
        Ok(Self { bert, cnn, han, meta, joint, stars, binary, sentiment, log_variances, shape })
    }

    pub(super) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The encoder of a BERT model.
    pub fn bert(&self) -> Option<&Bert> {
        self.bert.as_ref()
    }

    /// The device that inputs go to.
    pub(super) fn word_device(&self) -> Device {
        let head = self.stars.as_ref().or(self.binary.as_ref());
        head.map_or_else(Device::default, |head| head.weight.val().device())
    }

    /// The learned log-variances of the tasks, `[tasks]`.
    pub(super) fn log_variances(&self) -> Option<Tensor<1>> {
        self.log_variances.as_ref().map(Param::val)
    }

    /// The vectors that stand for the words or word pieces of `texts`, `[tokens, width]`.
    pub(super) fn word_vectors(&self, texts: &Texts) -> Result<Tensor<2>, NeuralError> {
        match (texts, &self.bert, &self.cnn, &self.han) {
            (Texts::Pieces(batch), Some(bert), ..) => Ok(bert.word_vectors(batch)?),
            (Texts::Words(batch), _, Some(cnn), _) => Ok(cnn.word_vectors(batch)),
            (Texts::Words(batch), _, _, Some(han)) => Ok(han.word_vectors(batch)),
            _ => unreachable!("texts are encoded for the encoder there is"),
        }
    }

    /// What the heads say of `inputs`. With a seed, values are dropped as in training.
    pub(super) fn forward(
        &self,
        inputs: &Inputs,
        seed: Option<u64>,
    ) -> Result<Outputs, NeuralError> {
        let words = self.word_vectors(&inputs.texts)?;
        self.forward_words(words, inputs.meta.clone(), &inputs.texts, seed)
    }

    /// The same for texts with other word vectors and meta features than their own.
    pub(super) fn forward_words(
        &self,
        words: Tensor<2>,
        meta: Option<Tensor<2>>,
        texts: &Texts,
        seed: Option<u64>,
    ) -> Result<Outputs, NeuralError> {
        let share = self.shape.settings.dropout;
        let drop = |x: Tensor<2>, slot: u64, number: u64| match seed {
            Some(seed) => dropout(x, share, &[seed, slot, number]),
            None => x,
        };
        let text = match (texts, &self.bert, &self.cnn, &self.han) {
            (Texts::Pieces(batch), Some(bert), ..) => {
                let tokens = bert.encode_words(words, batch, seed)?;
                match self.shape.settings.pooling {
                    Pooling::Mean => tokens.mean(),
                    Pooling::Pooler => bert.pool(&tokens).ok_or(BertError::NoPooler)?,
                }
            }
            (Texts::Words(batch), _, Some(cnn), _) => cnn.forward(words, batch, share, seed),
            (Texts::Words(batch), _, _, Some(han)) => han.forward(&words, batch),
            _ => unreachable!("texts are encoded for the encoder there is"),
        };
        let trunk = match (&self.meta, &self.joint, meta) {
            (Some(encoder), Some(joint), Some(meta)) => {
                let meta = drop(relu(encoder.forward(meta)), META_SLOT, 0);
                relu(joint.forward(Tensor::cat(vec![text, meta], 1)))
            }
            _ => text,
        };
        let head = |head: &Option<Dense>, number: u64| {
            head.as_ref().map(|head| head.forward(drop(trunk.clone(), HEAD_SLOT, number)))
        };
        let sentiment = head(&self.sentiment, 2).map(|score| score.reshape([-1]));
        Ok(Outputs { stars: head(&self.stars, 0), binary: head(&self.binary, 1), sentiment })
    }
}

/// The encoder with the pooler that `pooling` needs, and no other.
fn fit_pooler(bert: Bert, pooling: Pooling, start: Start) -> Result<Bert, BertError> {
    match (pooling, start) {
        (Pooling::Mean, _) => Ok(bert.without_pooler()),
        (Pooling::Pooler, Start::Drawn(seed)) => bert.with_fresh_pooler(seed),
        (Pooling::Pooler, Start::Stored) => Ok(bert),
    }
}
