//! How much memory a model and a step of training need, before anything is loaded.

use bestof_blocks::GgmlType;
use bestof_checkpoints::{StoredType, TensorInfo};
use bestof_kernels::Vocabulary;

use super::lora_config::LoraConfig;
use super::lora_modules::LoraModules;
use super::names::TensorNames;
use super::unused::is_read;
use crate::config::DecoderConfig;
use crate::error::ModelError;
use crate::precision::Precision;

/// Bytes that a model and one forward and backward pass take on the CPU.
///
/// ```text
/// weights       every tensor in its format
/// trained       4 (values, gradients, two moments of AdamW) x 4 bytes per trained value, less the
///               values that are weights already
/// activations   tokens x layers x 4 bytes x (6 width + 3 queries + 4 keys + 4 inner + ranks),
///               or tokens x layers x 4 bytes x width where layers are computed again
/// moment        4 bytes x (3 chunks of logits + tokens x 3 width), or what two layers keep if they
///               are computed again and it is more
/// ```
///
/// A test holds the sum to peaks of processes. Not in it: the program (some 30 MiB), rows of data, a
/// second model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Footprint {
    /// Weights as they rest.
    pub weights: u64,
    /// Trained values, their gradients and the optimiser's state, beyond `weights`.
    pub trained: u64,
    /// What the backward pass needs of the forward pass.
    pub activations: u64,
    /// What exists for a moment: the projection onto the vocabulary, a layer computed again.
    pub moment: u64,
}

/// What is trained, and how much at a time.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct StepShape<'a> {
    /// Adapters; without any every weight is trained.
    pub lora: Option<&'a LoraConfig>,
    /// Tokens in one forward pass.
    pub tokens: usize,
    /// Whether layers are computed again in the backward pass.
    pub checkpoint_layers: bool,
}

impl<'a> StepShape<'a> {
    /// A step over `tokens` tokens in one forward pass.
    pub fn new(lora: Option<&'a LoraConfig>, tokens: usize) -> Self {
        Self { lora, tokens, checkpoint_layers: false }
    }

    /// With layers computed again in the backward pass.
    #[must_use]
    pub fn with_checkpoint_layers(self, checkpoint_layers: bool) -> Self {
        Self { checkpoint_layers, ..self }
    }
}

impl Footprint {
    /// The weights and a step of training.
    ///
    /// # Errors
    /// Adapters whose settings make no sense.
    pub fn of_step(
        config: &DecoderConfig,
        tensors: &[TensorInfo],
        precision: Precision,
        step: StepShape<'_>,
    ) -> Result<Self, ModelError> {
        let names = TensorNames::among(|name| tensors.iter().any(|tensor| tensor.name == name));
        let tensors: Vec<&TensorInfo> =
            tensors.iter().filter(|tensor| is_read(&tensor.name, names, config)).collect();
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        let (queries, keys) =
            (config.num_heads * config.head_dim, config.num_kv_heads * config.head_dim);
        let mut per_token = 6 * width + 3 * queries + 4 * keys + 4 * inner;
        let all: usize = tensors.iter().map(|tensor| tensor.len()).sum();
        let mut trained = 3 * 4 * all as u64;
        if let Some(lora) = step.lora {
            let (values, ranks) = adapters(&tensors, lora)?;
            trained = 4 * 4 * values as u64;
            per_token += ranks / config.layers.len().max(1);
        }
        let (layers, tokens) = (config.layers.len(), step.tokens);
        let rows = Vocabulary::rows_at_a_time(config.vocab_size).min(tokens.max(1));
        let logits = 3 * rows * config.vocab_size + 3 * tokens * width;
        let (kept, moment) = if step.checkpoint_layers {
            (tokens * layers * width, logits.max(2 * tokens * per_token))
        } else {
            (tokens * layers * per_token, logits)
        };
        let projection =
            if config.tied_embeddings { "embed_tokens.weight" } else { "lm_head.weight" };
        let bytes = |tensor: &&TensorInfo| resident(tensor, precision, projection);
        Ok(Self {
            weights: tensors.iter().map(bytes).sum(),
            trained,
            activations: 4 * kept as u64,
            moment: 4 * moment as u64,
        })
    }

    /// All of it.
    pub fn total(self) -> u64 {
        self.weights + self.trained + self.activations + self.moment
    }
}

/// Values of the adapters, and the sum of their ranks.
fn adapters(tensors: &[&TensorInfo], lora: &LoraConfig) -> Result<(usize, usize), ModelError> {
    let modules = LoraModules::new(lora)?;
    let (mut values, mut ranks) = (0, 0);
    for tensor in tensors {
        let Some(module) = tensor.name.strip_suffix(".weight") else { continue };
        if modules.saves(&tensor.name) {
            values += tensor.len();
        } else if let [out, inputs] = tensor.shape[..]
            && module.ends_with("_proj")
            && modules.targets(module)?
        {
            let (r, _) = modules.rank_and_alpha(module)?;
            let vectors = usize::from(lora.dora) + usize::from(lora.bias);
            values += r * (out + inputs) + vectors * out;
            ranks += r;
        }
    }
    Ok((values, ranks))
}

/// Bytes of a tensor of a checkpoint once it is loaded; `projection` ends the name of that onto the
/// vocabulary.
fn resident(tensor: &TensorInfo, precision: Precision, projection: &str) -> u64 {
    let ggml_type = match (tensor.dtype, &tensor.shape[..]) {
        (StoredType::Blocks(blocks), _) => blocks,
        (_, [_, width]) => precision.of_matrix(*width, tensor.name.ends_with(projection)),
        _ => GgmlType::F32,
    };
    ggml_type.bytes_of(tensor.len()) as u64
}
