//! What training, scoring and sampling ask of a language model.

use bestof_kernels::{TokenScores, Vocabulary};
use burn::tensor::Tensor;

use crate::error::ModelError;
use crate::forest::TokenForest;
use crate::generate::{self, Recomputed};
use crate::positions::RandomPositions;
use crate::sampling::{AfterToken, Generation, NewToken, Request, SamplingConfig};

/// How a forward pass is run.
///
/// ```
/// use bestof_models::ForwardOptions;
/// let options = ForwardOptions::default().with_entropies(true).with_checkpoint_layers(true);
/// assert!(options.adapters && options.dropout_seed.is_none());
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ForwardOptions {
    /// Whether attached LoRA adapters take part. Without them the model is the one before
    /// training: the reference of a preference loss needs no second copy.
    pub adapters: bool,
    /// Seed of the LoRA dropout masks; `None` is evaluation, without dropout.
    pub dropout_seed: Option<u64>,
    /// Whether the backward pass computes each layer again instead of keeping what is inside it:
    /// the same gradients from a fraction of the memory, for about a third more time.
    pub checkpoint_layers: bool,
    /// Whether the entropy of each target's distribution is computed too.
    pub entropies: bool,
    /// Positions drawn at random in place of 0, 1, 2, …: for training only.
    pub random_positions: Option<RandomPositions>,
    /// Divides the logits, after their soft cap, that log-probabilities and entropies are made of;
    /// a finite number above 0. Hidden states and logits do not depend on it.
    pub temperature: f64,
}

impl Default for ForwardOptions {
    /// Adapters on, no dropout, nothing computed twice, no entropies, even positions, temperature 1.
    fn default() -> Self {
        Self {
            adapters: true,
            dropout_seed: None,
            checkpoint_layers: false,
            entropies: false,
            random_positions: None,
            temperature: 1.0,
        }
    }
}

impl ForwardOptions {
    /// The model without its adapters: the reference under LoRA.
    pub fn reference() -> Self {
        Self::default().with_adapters(false)
    }

    /// Sets [`adapters`](Self::adapters).
    #[must_use]
    pub fn with_adapters(mut self, adapters: bool) -> Self {
        self.adapters = adapters;
        self
    }

    /// Sets [`dropout_seed`](Self::dropout_seed).
    #[must_use]
    pub fn with_dropout_seed(mut self, dropout_seed: Option<u64>) -> Self {
        self.dropout_seed = dropout_seed;
        self
    }

    /// Sets [`checkpoint_layers`](Self::checkpoint_layers).
    #[must_use]
    pub fn with_checkpoint_layers(mut self, checkpoint_layers: bool) -> Self {
        self.checkpoint_layers = checkpoint_layers;
        self
    }

    /// Sets [`entropies`](Self::entropies).
    #[must_use]
    pub fn with_entropies(mut self, entropies: bool) -> Self {
        self.entropies = entropies;
        self
    }

    /// Sets [`random_positions`](Self::random_positions).
    #[must_use]
    pub fn with_random_positions(mut self, random_positions: RandomPositions) -> Self {
        self.random_positions = Some(random_positions);
        self
    }

    /// Sets [`temperature`](Self::temperature).
    #[must_use]
    pub fn with_temperature(mut self, temperature: f64) -> Self {
        self.temperature = temperature;
        self
    }

    /// Hidden states and vocabulary whose logits are `cap(h W^T) / T` of those given:
    /// `(c/T) tanh((l/T) / (c/T)) = cap(l) / T`. At temperature 1 they are those given.
    ///
    /// # Errors
    /// [`ModelError::InvalidOption`] for a temperature out of range.
    fn tempered(
        &self,
        hidden: Tensor<2>,
        vocabulary: Vocabulary,
    ) -> Result<(Tensor<2>, Vocabulary), ModelError> {
        let t = self.temperature;
        if !(t.is_finite() && t > 0.0) {
            let (setting, expected) = ("temperature", "a finite number above 0");
            return Err(ModelError::InvalidOption { setting, found: t, expected });
        }
        if t == 1.0 {
            return Ok((hidden, vocabulary));
        }
        let softcap = vocabulary.softcap.map(|cap| cap / t);
        Ok((hidden.div_scalar(t), Vocabulary { softcap, ..vocabulary }))
    }
}

/// A causal language model: token forests in, tensors on the model's device out.
///
/// Two methods say what the model computes: [`hidden_states`](Self::hidden_states) and the
/// [`vocabulary`](Self::vocabulary) that turns them into logits. The others follow from these. On
/// a device with automatic differentiation the tensors carry their graph, so that
/// `loss.backward()` reaches the model's parameters; on a plain device, and so for
/// [`Module::valid`](burn::module::Module::valid), none is kept.
///
/// ```
/// use bestof_models::{CausalLm, ForwardOptions, ModelError, TokenForest, Vocabulary};
/// use burn::module::Module;
/// use burn::nn::{Embedding, EmbeddingConfig};
/// use burn::tensor::{Device, Tensor};
///
/// /// What comes next depends on the last token only.
/// #[derive(Module, Debug)]
/// struct Bigram {
///     tokens: Embedding,
///     output: Embedding,
/// }
///
/// impl CausalLm for Bigram {
///     fn vocab_size(&self) -> usize {
///         self.output.weight.dims()[0]
///     }
///
///     fn max_positions(&self) -> usize {
///         usize::MAX
///     }
///
///     fn hidden_states(
///         &self,
///         forest: &TokenForest,
///         rows: &[u32],
///         _: &ForwardOptions,
///     ) -> Result<Tensor<2>, ModelError> {
///         let ids = bestof_models::indices(&forest.token_ids(), &self.tokens.weight.device());
///         let rows = bestof_models::indices(rows, &ids.device());
///         Ok(self.tokens.forward(ids.unsqueeze()).squeeze_dim::<2>(0).select(0, rows))
///     }
///
///     fn vocabulary(&self) -> Vocabulary {
///         Vocabulary { weight: self.output.weight.val().into(), softcap: None }
///     }
/// }
///
/// let device = Device::flex().autodiff();
/// let embedding = |device| EmbeddingConfig::new(50, 8).init(device);
/// let model = Bigram { tokens: embedding(&device), output: embedding(&device) };
/// let text = TokenForest::text(&[1, 2, 3]);
/// let logps = model.token_logps(&text, &ForwardOptions::default())?;
/// assert_eq!(logps.dims(), [2]); // of 2 and of 3
/// assert!(model.tokens.weight.val().grad(&logps.sum().backward()).is_some());
/// # Ok::<(), ModelError>(())
/// ```
pub trait CausalLm {
    /// The number of tokens the model knows.
    fn vocab_size(&self) -> usize;

    /// The longest sequence the model was made for, in tokens.
    fn max_positions(&self) -> usize;

    /// Sequences may share a tree if they agree in this number of their lengths: 0 for all
    /// lengths, unless positions are computed by the length of the sequence they are in.
    fn length_key(&self, length: usize) -> usize {
        let _ = length;
        0
    }

    /// The final hidden states, after the last norm, of some nodes of the forest,
    /// `[rows, width]`. Nodes are counted through the forest, tree after tree. The temperature of
    /// `options` plays no part.
    ///
    /// # Errors
    /// A token outside the vocabulary, a tree of sequences that may not share one, or options that
    /// the model has not got.
    fn hidden_states(
        &self,
        forest: &TokenForest,
        rows: &[u32],
        options: &ForwardOptions,
    ) -> Result<Tensor<2>, ModelError>;

    /// The projection from hidden states to logits.
    fn vocabulary(&self) -> Vocabulary;

    /// The projection under `options`; another one if the adapters, which the options may switch
    /// off, change it.
    fn vocabulary_under(&self, options: &ForwardOptions) -> Vocabulary {
        let _ = options;
        self.vocabulary()
    }

    /// The log-probability of each target of the forest given its ancestors, `[targets]`, in the
    /// order of [`TokenForest::targets`], in nats: under `softmax(cap(l) / T)`, `T` the temperature
    /// of `options`.
    ///
    /// # Errors
    /// A target without ancestors, a temperature out of range, or what
    /// [`hidden_states`](Self::hidden_states) says.
    fn token_logps(
        &self,
        forest: &TokenForest,
        options: &ForwardOptions,
    ) -> Result<Tensor<1>, ModelError> {
        let options = options.with_entropies(false);
        Ok(self.token_scores(forest, &options)?.logps)
    }

    /// The same with the entropies of the targets' distributions, `[targets]`, in nats, where
    /// [`ForwardOptions::entropies`] asks for them. `[nodes, vocab_size]` is never in memory at
    /// once, and the gradient is in closed form; see [`Vocabulary::score`].
    ///
    /// # Errors
    /// As [`token_logps`](Self::token_logps).
    fn token_scores(
        &self,
        forest: &TokenForest,
        options: &ForwardOptions,
    ) -> Result<TokenScores, ModelError> {
        let (rows, targets) = forest.target_rows()?;
        let hidden = self.hidden_states(forest, &rows, options)?;
        let (hidden, vocabulary) = options.tempered(hidden, self.vocabulary_under(options))?;
        Ok(vocabulary.score(hidden, &targets, options.entropies))
    }

    /// The logits of some nodes of the forest, `[rows, vocab_size]`, nodes counted as in
    /// [`hidden_states`](Self::hidden_states), soft-capped and at temperature 1 whatever `options`
    /// say. For all nodes of a long text this is the tensor that everything else here avoids.
    ///
    /// # Errors
    /// As [`hidden_states`](Self::hidden_states).
    fn logits(
        &self,
        forest: &TokenForest,
        rows: &[u32],
        options: &ForwardOptions,
    ) -> Result<Tensor<2>, ModelError> {
        Ok(self.vocabulary_under(options).logits(self.hidden_states(forest, rows, options)?))
    }

    /// Continuations of the requests' prompts, in the order of requests and samples.
    ///
    /// What is sampled for a request depends on its prompt, its seed, the sample's number and
    /// `config` only, not on the other requests. `on_token` hears of every token as it is
    /// sampled and says how to go on; where it ends all, what there is comes back.
    ///
    /// As provided, every step computes whole sequences again; [`Decoder`](crate::Decoder) keeps
    /// keys and values instead.
    ///
    /// # Errors
    /// A setting out of range, an empty prompt, a token outside the vocabulary, logits that are no numbers, or what
    /// [`hidden_states`](Self::hidden_states) says.
    fn generate(
        &self,
        requests: &[Request],
        config: &SamplingConfig,
        on_token: &mut dyn FnMut(NewToken) -> AfterToken,
    ) -> Result<Vec<Generation>, ModelError> {
        let logits = |forest: &TokenForest, rows: &[u32]| {
            let options = ForwardOptions::default().with_adapters(config.adapters);
            self.logits(forest, rows, &options)
        };
        let limits =
            generate::Limits { vocab_size: self.vocab_size(), max_positions: self.max_positions() };
        generate::generate(&mut Recomputed::new(&logits), limits, requests, config, on_token)
    }
}
