//! What to generate, how tokens are sampled, and what is returned.

use crate::error::ModelError;

/// A prompt and the number of continuations to sample from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The prompt's tokens; at least one.
    pub prompt: Vec<u32>,
    /// The number of continuations.
    pub samples: usize,
    /// Seed of this request's samples.
    pub seed: u64,
}

/// How tokens are sampled and when to stop.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SamplingConfig {
    /// Divides the logits; 0 takes the likeliest token.
    pub temperature: f64,
    /// Keep the `k` likeliest tokens.
    pub top_k: Option<usize>,
    /// Keep the likeliest tokens whose probabilities first reach this sum.
    pub top_p: Option<f64>,
    /// Keep tokens at least this many times as likely as the likeliest.
    pub min_p: Option<f64>,
    /// The longest continuation.
    pub max_new_tokens: usize,
    /// Any of these tokens ends a continuation (and is its last token).
    pub eos_token_ids: Vec<u32>,
    /// Any of these token sequences ends a continuation (and is its end).
    pub stop_sequences: Vec<Vec<u32>>,
    /// Whether attached LoRA adapters take part.
    pub adapters: bool,
    /// The number of sequences stepped together; the others wait.
    pub max_batch: usize,
    /// The number of prompt tokens computed at once.
    pub prefill_chunk: usize,
}

impl Default for SamplingConfig {
    /// Temperature 1, nothing cut off, 256 new tokens, no end token.
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_k: None,
            top_p: None,
            min_p: None,
            max_new_tokens: 256,
            eos_token_ids: Vec::new(),
            stop_sequences: Vec::new(),
            adapters: true,
            max_batch: 64,
            prefill_chunk: 512,
        }
    }
}

/// The filters that leave tokens out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filters {
    pub(crate) top_k: Option<usize>,
    pub(crate) top_p: Option<f64>,
    pub(crate) min_p: Option<f64>,
}

impl SamplingConfig {
    /// The filters that have an effect on a vocabulary of `vocab` tokens; `None` without any.
    pub(crate) fn filters(&self, vocab: usize) -> Option<Filters> {
        let top_k = self.top_k.filter(|&k| k < vocab);
        let top_p = self.top_p.filter(|&p| p < 1.0);
        let min_p = self.min_p.filter(|&p| p > 0.0);
        let any = top_k.is_some() || top_p.is_some() || min_p.is_some();
        any.then_some(Filters { top_k, top_p, min_p })
    }

    /// The likeliest token each time.
    pub fn greedy(max_new_tokens: usize) -> Self {
        Self::default().with_temperature(0.0).with_max_new_tokens(max_new_tokens)
    }

    /// Sets [`temperature`](Self::temperature).
    #[must_use]
    pub fn with_temperature(mut self, temperature: f64) -> Self {
        self.temperature = temperature;
        self
    }

    /// Sets [`top_k`](Self::top_k); `None` keeps all.
    #[must_use]
    pub fn with_top_k(mut self, top_k: Option<usize>) -> Self {
        self.top_k = top_k;
        self
    }

    /// Sets [`top_p`](Self::top_p); `None` keeps all.
    #[must_use]
    pub fn with_top_p(mut self, top_p: Option<f64>) -> Self {
        self.top_p = top_p;
        self
    }

    /// Sets [`min_p`](Self::min_p); `None` keeps all.
    #[must_use]
    pub fn with_min_p(mut self, min_p: Option<f64>) -> Self {
        self.min_p = min_p;
        self
    }

    /// Sets [`max_new_tokens`](Self::max_new_tokens).
    #[must_use]
    pub fn with_max_new_tokens(mut self, max_new_tokens: usize) -> Self {
        self.max_new_tokens = max_new_tokens;
        self
    }

    /// Sets [`eos_token_ids`](Self::eos_token_ids).
    #[must_use]
    pub fn with_eos_token_ids(mut self, eos_token_ids: Vec<u32>) -> Self {
        self.eos_token_ids = eos_token_ids;
        self
    }

    /// Sets [`stop_sequences`](Self::stop_sequences).
    #[must_use]
    pub fn with_stop_sequences(mut self, stop_sequences: Vec<Vec<u32>>) -> Self {
        self.stop_sequences = stop_sequences;
        self
    }

    /// Sets [`adapters`](Self::adapters).
    #[must_use]
    pub fn with_adapters(mut self, adapters: bool) -> Self {
        self.adapters = adapters;
        self
    }

    /// Sets [`max_batch`](Self::max_batch).
    #[must_use]
    pub fn with_max_batch(mut self, max_batch: usize) -> Self {
        self.max_batch = max_batch;
        self
    }

    /// Sets [`prefill_chunk`](Self::prefill_chunk).
    #[must_use]
    pub fn with_prefill_chunk(mut self, prefill_chunk: usize) -> Self {
        self.prefill_chunk = prefill_chunk;
        self
    }

    /// Checks that every setting is in range.
    ///
    /// # Errors
    /// [`ModelError::InvalidSampling`] names the setting.
    pub fn validate(&self) -> Result<(), ModelError> {
        let check = |setting, ok: bool, found: f64, expected| {
            if ok { Ok(()) } else { Err(ModelError::InvalidSampling { setting, found, expected }) }
        };
        let t = self.temperature;
        check("temperature", t.is_finite() && t >= 0.0, t, "a finite number, at least 0")?;
        check("top_k", self.top_k != Some(0), 0.0, "at least 1")?;
        let p = self.top_p.unwrap_or(1.0);
        check("top_p", p > 0.0 && p <= 1.0, p, "above 0, at most 1")?;
        let p = self.min_p.unwrap_or(0.0);
        check("min_p", (0.0..=1.0).contains(&p), p, "between 0 and 1")?;
        check("max_batch", self.max_batch > 0, 0.0, "at least 1")?;
        check("prefill_chunk", self.prefill_chunk > 0, 0.0, "at least 1")
    }
}

/// A token just sampled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NewToken {
    /// The request's index.
    pub request: usize,
    /// The sample's number within the request.
    pub sample: usize,
    /// The token.
    pub token: u32,
    /// Its log-probability under the model.
    pub logprob: f32,
}

/// How sampling goes on after a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AfterToken {
    /// With the next token, unless the sequence ends of itself.
    Continue,
    /// Without this sequence, which ends with the token; the others go on.
    EndSequence,
    /// Not at all.
    EndAll,
}

/// Why a continuation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FinishReason {
    /// An end token was sampled.
    Eos,
    /// A stop sequence was completed, or the listener ended the sequence.
    Stop,
    /// The longest length asked for was reached.
    Length,
    /// The model's longest sequence was reached.
    Context,
    /// The listener ended all.
    Interrupted,
}

impl FinishReason {
    /// The lower-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eos => "eos",
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Context => "context",
            Self::Interrupted => "interrupted",
        }
    }
}

/// A continuation.
#[derive(Debug, Clone, PartialEq)]
pub struct Generation {
    /// The request's index.
    pub request: usize,
    /// The sample's number within the request.
    pub sample: usize,
    /// The new tokens, an end token included.
    pub ids: Vec<u32>,
    /// The log-probability of each under the model (temperature 1, nothing cut off).
    pub logprobs: Vec<f32>,
    /// The log-probability of each under the model at the sampling temperature, nothing cut off: what
    /// [`ForwardOptions::temperature`](crate::ForwardOptions::temperature) trains at. 0 when greedy.
    pub tempered_logprobs: Vec<f32>,
    /// The log-probability of each under the distribution it was sampled from; 0 when greedy.
    pub sampling_logprobs: Vec<f32>,
    /// Why it ended.
    pub finish: FinishReason,
}
