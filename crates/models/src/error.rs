//! What can go wrong between a checkpoint folder and its numbers.

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// `config.json` names a model type that no family here reads.
    #[error("model_type `{found}` is not known; known are {}", known.join(", "))]
    UnknownModelType {
        /// The value in the file.
        found: String,
        /// The values that are read.
        known: Vec<&'static str>,
    },
    /// `config.json` is that of a mixture of experts, of which none is computed here.
    #[error(
        "model_type `{found}` is a mixture of experts ({sign}), and these are not computed here; known are the \
         dense {}",
        known.join(", ")
    )]
    MixtureOfExperts {
        /// The value in the file.
        found: String,
        /// What it was recognised by.
        sign: String,
        /// The values that are read.
        known: Vec<&'static str>,
    },
    /// A field of `config.json` has a value that makes no model.
    #[error("config.json: `{field}` is {found}, expected {expected}")]
    InvalidField {
        /// The field.
        field: String,
        /// The value in the file.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// The RoPE settings of `config.json` make no basis, or not the one the checkpoint is locked to.
    #[error("config.json: {0}")]
    Rope(#[from] bestof_positional::RopeError),
    /// Reading or writing a checkpoint failed.
    #[error(transparent)]
    Checkpoint(#[from] bestof_checkpoints::CheckpointError),
    /// The weights are quantized in a format that is not read.
    #[error(
        "config.json has a quantization_config ({method}), and weights in this format are not read; take the model \
         it was made from, or dequantize it with transformers (`model.dequantize()`) and save it in bfloat16"
    )]
    Quantized {
        /// `quant_method`, such as `gptq`, `awq` or `bitsandbytes`.
        method: String,
    },
    /// A field of `config.json` that nothing reads.
    #[error(
        "config.json: {field} is {found}, which is not used for the model type {model_type}; remove it if it does \
         not change what the model computes"
    )]
    UnusedField {
        /// The field.
        field: String,
        /// Its value, as JSON.
        found: String,
        /// The model type.
        model_type: &'static str,
    },
    /// The checkpoint was saved with something wrapped around the model.
    #[error(
        "the checkpoint has no tensor `{name}` but `{found}`: save the model without what is wrapped around it"
    )]
    WrappedTensor {
        /// The tensor's name.
        name: String,
        /// The name it has instead.
        found: String,
    },
    /// The checkpoint lacks a tensor the configuration calls for.
    #[error("the checkpoint has no tensor `{name}`; config.json calls for it with shape {shape:?}")]
    MissingTensor {
        /// The tensor's name in the checkpoint.
        name: String,
        /// The shape it should have.
        shape: Vec<usize>,
    },
    /// The checkpoint has tensors that the configuration does not call for.
    #[error(
        "the checkpoint has a tensor `{name}`{}, which a model of config.json's kind does not use; leaving it out \
         would change the model",
        more(*others)
    )]
    UnusedTensor {
        /// The first one's name.
        name: String,
        /// How many more there are.
        others: usize,
    },
    /// A tensor has another shape than the configuration says.
    #[error("tensor `{name}` has shape {found:?}, config.json calls for {expected:?}")]
    ShapeMismatch {
        /// The tensor's name in the checkpoint.
        name: String,
        /// The shape in the checkpoint.
        found: Vec<usize>,
        /// The shape by the configuration.
        expected: Vec<usize>,
    },
    /// A token id lies outside the vocabulary.
    #[error("token {token} is outside the vocabulary of {vocab_size} (tree {tree}, node {node})")]
    TokenOutOfRange {
        /// The token id.
        token: u32,
        /// The number of known tokens.
        vocab_size: usize,
        /// The tree, or the request, that holds it.
        tree: usize,
        /// Its index there.
        node: usize,
    },
    /// A target of a forest is a root, or no node at all.
    #[error("target node {node} of tree {tree} has no ancestor to be predicted from")]
    RootTarget {
        /// The tree.
        tree: usize,
        /// The node.
        node: usize,
    },
    /// A prompt has no token to continue from.
    #[error("request {request} has an empty prompt; give it at least one token, such as BOS")]
    EmptyPrompt {
        /// The request's index.
        request: usize,
    },
    /// The logits after a prompt, or after tokens drawn, are no numbers.
    #[error(
        "request {request}: after {drawn} new tokens the model's log-probabilities are {found}; its weights are damaged, \
         or overflow in the float type they are computed in"
    )]
    LogitsNotFinite {
        /// The request's index.
        request: usize,
        /// New tokens before.
        drawn: usize,
        /// The log-probability of the token that would have been next.
        found: f32,
    },
    /// A sampling setting is out of range.
    #[error("sampling setting `{setting}` is {found}, expected {expected}")]
    InvalidSampling {
        /// The setting.
        setting: &'static str,
        /// Its value.
        found: f64,
        /// What it should be.
        expected: &'static str,
    },
    /// An option of a forward pass is out of range.
    #[error("forward option `{setting}` is {found}, expected {expected}")]
    InvalidOption {
        /// The option.
        setting: &'static str,
        /// Its value.
        found: f64,
        /// What it should be.
        expected: &'static str,
    },
    /// A tree has sequences whose lengths call for different rotations of the tokens they share.
    #[error(
        "tree {tree} has sequences of {} and {} tokens, and the RoPE basis `{rope_type}` has other \
         frequencies at the one length than at the other; give each of them a tree of its own, or \
         use a basis that is the same at all lengths, such as `ntk` or `yarn`",
        lengths[0], lengths[1]
    )]
    MixedLengths {
        /// The kind of basis.
        rope_type: &'static str,
        /// The tree.
        tree: usize,
        /// Two of the lengths.
        lengths: [usize; 2],
    },
    /// A row of hidden states or logits is no node of the forest.
    #[error("row {row} is asked for of a forest of {nodes} nodes")]
    RowOutOfRange {
        /// The row.
        row: u32,
        /// Nodes of the forest.
        nodes: usize,
    },
    /// A model of a user's own could not compute.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
    /// No parameter has this name.
    #[error("no parameter is called `{name}`{}", suggestion.as_ref().map(|s| format!("; did you mean `{s}`?")).unwrap_or_default())]
    UnknownParameter {
        /// The name given.
        name: String,
        /// The nearest name there is.
        suggestion: Option<String>,
    },
    /// A LoRA target is no linear layer of the model.
    #[error(
        "`{target}` fits no linear layer of the model; known are all-linear, {} (embed_tokens, lm_head and \
         norms are trained whole, by modules_to_save)",
        known.join(", ")
    )]
    UnknownTarget {
        /// The target given.
        target: String,
        /// The suffixes that exist.
        known: Vec<String>,
    },
    /// What names modules is no regular expression, or takes too long to match.
    #[error("LoRA: `{pattern}` is not usable as a regular expression: {reason}")]
    LoraPattern {
        /// The expression given.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A LoRA setting is out of range.
    #[error("LoRA setting `{setting}` is {found}, expected {expected}")]
    InvalidLora {
        /// The setting.
        setting: String,
        /// Its value.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A field of `adapter_config.json` says what is not read here.
    #[error("adapter_config.json: `{field}` is {found}, expected {expected}")]
    AdapterField {
        /// The field.
        field: String,
        /// Its value.
        found: String,
        /// What is read.
        expected: String,
    },
    /// `adapter_config.json` describes an adapter of a kind that is not computed here.
    #[error("adapter_config.json: `{field}` is {found}: {reason}")]
    AdapterKind {
        /// The field.
        field: String,
        /// Its value.
        found: String,
        /// Why it is not read, and what to do.
        reason: String,
    },
    /// A tensor of `adapter_model.safetensors` is missing, has no place, or is damaged.
    #[error("adapter_model.safetensors: tensor `{name}` {problem}")]
    AdapterTensor {
        /// The tensor's name in the file.
        name: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A tensor cannot lie in the format asked for.
    #[error("tensor `{name}`: {source}")]
    Blocks {
        /// The tensor's name in the checkpoint.
        name: String,
        /// Why.
        source: bestof_blocks::BlockError,
    },
    /// Weights that are to be trained are stored in blocks.
    #[error(
        "tensor `{name}` is stored in blocks of {ggml_type}, which cannot be trained; train adapters on it \
         (`[lora]`), or convert the model to a folder first (`bestof convert`)"
    )]
    TrainedBlocks {
        /// The tensor's name in the checkpoint.
        name: String,
        /// The type of the blocks.
        ggml_type: bestof_blocks::GgmlType,
    },
    /// Blocks that are to be rounded to other blocks.
    #[error(
        "tensor `{name}` is stored in blocks of {ggml_type} already; leave `quantize` out to keep them"
    )]
    QuantizedTwice {
        /// The tensor's name in the checkpoint.
        name: String,
        /// The type of the blocks.
        ggml_type: bestof_blocks::GgmlType,
    },
    /// The device does not compute in a float type.
    #[error(transparent)]
    Device(#[from] crate::device::DeviceError),
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Adapters are attached already, or there are none.
    #[error("{found}; {fix}")]
    Adapters {
        /// The state the model is in.
        found: &'static str,
        /// What to do first.
        fix: &'static str,
    },
}

/// Words for how many more there are of something.
fn more(others: usize) -> String {
    if others == 0 { String::new() } else { format!(" and {others} more") }
}
