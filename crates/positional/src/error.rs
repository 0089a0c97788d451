//! What can be wrong with a basis, a config or a call: the values at fault, and how to fix them.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

/// Why a RoPE setting was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RopeError {
    /// The head dimension is zero, odd or beyond any model.
    #[error(
        "head dimension {head_dim} cannot be rotated: RoPE turns pairs, so it must be even, \
         at least 2 and at most {max}; check `head_dim` (or hidden_size / num_attention_heads)"
    )]
    HeadDim {
        /// The dimension given.
        head_dim: usize,
        /// The largest one accepted.
        max: usize,
    },
    /// A partial rotary factor outside (0, 1].
    #[error(
        "partial_rotary_factor {value} must lie in (0, 1]: the share of each head that rotates; \
         leave it out to rotate the whole head"
    )]
    PartialRotaryFactor {
        /// The factor given.
        value: f64,
    },
    /// The partial rotary factor leaves no pair to rotate.
    #[error(
        "partial_rotary_factor {value} of head dimension {head_dim} leaves nothing to rotate; \
         at least one dimension is needed, so use {least} or more"
    )]
    NothingRotates {
        /// The head dimension.
        head_dim: usize,
        /// The factor given.
        value: f64,
        /// The smallest factor that rotates something.
        least: f64,
    },
    /// The base is not a finite number above 1.
    #[error(
        "rope_theta {theta} must be a finite number above 1 (10000 in LLaMA 1 and 2, 500000 in \
         LLaMA 3): frequencies are its powers"
    )]
    Theta {
        /// The base given.
        theta: f64,
    },
    /// A scaling factor below 1.
    #[error(
        "`factor` {factor} of rope type `{rope_type}` must be a finite number of at least 1: \
         it says how many times longer the context gets, so give 4 to go from 2048 to 8192"
    )]
    Factor {
        /// The rule.
        rope_type: &'static str,
        /// The factor given.
        factor: f64,
    },
    /// Another parameter is outside its range.
    #[error("`{key}` {value} of rope type `{rope_type}` must be {expected}")]
    OutOfRange {
        /// The rule.
        rope_type: &'static str,
        /// The parameter.
        key: &'static str,
        /// The value given.
        value: f64,
        /// The range, as text.
        expected: &'static str,
    },
    /// A rule that needs two pairs was given one.
    #[error(
        "rope type `{rope_type}` needs more than one pair, since its exponent is d/(d-2), and \
         only {rotary_dim} dimensions rotate; use `linear`, or rotate more of the head"
    )]
    OnePair {
        /// The rule.
        rope_type: &'static str,
        /// How many dimensions rotate.
        rotary_dim: usize,
    },
    /// A list of factors does not have one entry per pair.
    #[error(
        "`{key}` has {found} entries, but {rotary_dim} rotating dimensions make {expected} pairs; give {expected}"
    )]
    ListLength {
        /// The list.
        key: &'static str,
        /// Its length.
        found: usize,
        /// The number of pairs.
        expected: usize,
        /// How many dimensions rotate.
        rotary_dim: usize,
    },
    /// A list holds a factor that is not a finite number above 0.
    #[error(
        "`{key}[{index}]` is {value}: each entry divides a frequency and must be finite and above 0; \
         for a pair that should not rotate use a large number such as 1e30"
    )]
    ListValue {
        /// The list.
        key: &'static str,
        /// Position in it.
        index: usize,
        /// The value there.
        value: f64,
    },
    /// Two bounds are the wrong way round.
    #[error(
        "rope type `{rope_type}` needs `{low}` ({low_value}) {relation} `{high}` ({high_value}); swap them?"
    )]
    Order {
        /// The rule.
        rope_type: &'static str,
        /// The bound that should be lower.
        low: &'static str,
        /// Its value.
        low_value: f64,
        /// "below" or "at most".
        relation: &'static str,
        /// The bound that should be higher.
        high: &'static str,
        /// Its value.
        high_value: f64,
    },
    /// The truncation thresholds leave no pair at its own frequency.
    #[error(
        "the thresholds of `{rope_type}` truncate every pair: the highest frequency is {highest}, \
         and only frequencies of at least b = {b} are kept; lower `b` (a longer `truncate_length`) \
         or `factor`"
    )]
    TruncatesEverything {
        /// The rule.
        rope_type: &'static str,
        /// The upper threshold.
        b: f64,
        /// The highest frequency before truncation.
        highest: f64,
    },
    /// A required parameter is missing.
    #[error("rope type `{rope_type}` needs `{key}`, which is missing; add it")]
    MissingKey {
        /// The rule.
        rope_type: &'static str,
        /// The parameter, spelled as in a config.
        key: &'static str,
    },
    /// The length of pre-training is nowhere to be found.
    #[error(
        "rope type `{rope_type}` needs the length the model was trained at: give \
         `original_max_position_embeddings`, or `max_position_embeddings` to fall back on"
    )]
    MissingOriginalLength {
        /// The rule.
        rope_type: &'static str,
    },
    /// A parameter was given that the rule would not read.
    #[error("rope type `{rope_type}` does not use `{key}`; drop it (it takes: {accepted})")]
    UnusedParameter {
        /// The rule.
        rope_type: &'static str,
        /// The parameter that would have been ignored.
        key: &'static str,
        /// What the rule takes.
        accepted: String,
    },
    /// No rule of that name.
    #[error("unknown rope type `{found}`; known are {known}")]
    UnknownRopeType {
        /// The name given.
        found: String,
        /// The known names.
        known: String,
    },
    /// A config field is missing.
    #[error("the config has no `{key}`; {fix}")]
    MissingField {
        /// The field.
        key: &'static str,
        /// What to add.
        fix: &'static str,
    },
    /// A config field holds a value of the wrong type.
    #[error("`{key}` in the config is {found}, but {expected} is expected")]
    WrongType {
        /// The field.
        key: String,
        /// What is there, shortened.
        found: String,
        /// What should be there.
        expected: String,
    },
    /// Something is wrong with the settings of one layer type.
    #[error("in the RoPE settings of `{layer_type}` layers: {source}")]
    InLayer {
        /// The layer type.
        layer_type: String,
        /// What is wrong.
        source: Box<RopeError>,
    },
    /// The model's basis is scaled already and the caller did not say what to do about it.
    #[error(
        "the model already uses rope type `{current}`; applying `{requested}` too would scale twice. \
         Set `on_scaled` to say whether to `replace` the present scaling or to `compose` with it"
    )]
    AlreadyScaled {
        /// The scaling in place.
        current: &'static str,
        /// The scaling asked for.
        requested: &'static str,
    },
    /// The rule changes the base or depends on length, so it cannot act on a finished table.
    #[error(
        "`{requested}` cannot be composed with `{current}`: only linear, power and truncated act on \
         frequencies that are already there; replace the present scaling instead"
    )]
    CannotCompose {
        /// The scaling in place.
        current: &'static str,
        /// The scaling asked for.
        requested: &'static str,
    },
    /// A rotating basis for a model that goes without positions.
    #[error(
        "the model goes without RoPE (rope type `{current}`) and its weights were trained so; \
         `{requested}` would rotate them again: start from the model before RoPE was dropped, or \
         use `drope`"
    )]
    Dropped {
        /// The rule in place.
        current: &'static str,
        /// The rule asked for.
        requested: &'static str,
    },
    /// A layer that went without RoPE is to rotate.
    #[error(
        "layer {layer} (from 0) goes without RoPE and its weights were trained so, but {key} has it \
         rotate; more layers may be dropped, none put back"
    )]
    DroppedLayer {
        /// The layer.
        layer: usize,
        /// What was asked for.
        key: &'static str,
    },
    /// A list of layers does not fit the model.
    #[error(
        "`no_rope_layers` has {found} entries, but the model has {layers} layers; give one entry per \
         layer, 1 for a layer that rotates and 0 for one that does not"
    )]
    LayerCount {
        /// Entries given.
        found: usize,
        /// Layers of the model.
        layers: usize,
    },
    /// No single factor scales the rule's frequencies.
    #[error(
        "rope type `{rope_type}` has no factor that could be set: its frequencies are a list, a \
         composition, or not scaled by a factor; extend the model with a method that has one"
    )]
    NoFactor {
        /// The rule.
        rope_type: &'static str,
    },
    /// The target format cannot express the basis.
    #[error("rope type `{rope_type}` cannot be expressed in {target}: {reason}")]
    NotExpressible {
        /// The rule.
        rope_type: &'static str,
        /// The format.
        target: &'static str,
        /// Why not, and what to do instead.
        reason: &'static str,
    },
    /// The frequencies are not the ones a checkpoint was made with.
    #[error(
        "the RoPE frequencies hash to {found}, but the checkpoint was made with {expected}; \
         use the RoPE settings saved beside the checkpoint, or change the basis deliberately"
    )]
    FrequencyMismatch {
        /// The hash on record.
        expected: String,
        /// The hash of the present settings.
        found: String,
    },
    /// The RoPE settings are not those the checkpoint was locked to.
    #[error(
        "the RoPE settings of {layers} (rope type `{rope_type}`) give frequencies {found}, but the \
         weights belong to frequencies {expected} (`bestof.rope_frequencies`); restore the settings \
         that were written with them, change the basis deliberately with `extend`, or remove the entry \
         to run the weights on these frequencies anyway"
    )]
    Locked {
        /// The layer type, or "all layers".
        layers: String,
        /// The rule that the settings name now.
        rope_type: &'static str,
        /// Hash of the present frequencies.
        found: String,
        /// The hash the checkpoint records.
        expected: String,
    },
    /// Other layers go without RoPE than those the checkpoint was locked to.
    #[error(
        "the layers without RoPE are {found:?} (from 0), but the weights were trained without it in \
         layers {expected:?} (`bestof.no_rope_layers`); restore the settings that were written with them"
    )]
    LockedLayers {
        /// The layers by the present settings.
        found: Vec<usize>,
        /// The layers on record.
        expected: Vec<usize>,
    },
    /// A written config reads back to other frequencies than it was written for.
    #[error(
        "the written config gives inverse frequencies that differ by {difference:e} (relative) from \
         those of rope type `{rope_type}`; please report this with the config"
    )]
    WrittenOtherwise {
        /// The rule that was written.
        rope_type: &'static str,
        /// The largest relative difference of an inverse frequency.
        difference: f64,
    },
    /// A context length that the basis does not reach.
    #[error(
        "length {length} lies beyond what rope type `{rope_type}` reaches from {trained} positions, \
         which is {reach}; raise the factor to {factor:.4} or more, or lower the length"
    )]
    BeyondReach {
        /// The length asked for, in tokens.
        length: usize,
        /// The rule.
        rope_type: &'static str,
        /// The length before the extension.
        trained: usize,
        /// The longest sequence the basis makes room for.
        reach: usize,
        /// The smallest factor that suffices.
        factor: f64,
    },
    /// An extension that shortens the context.
    #[error(
        "length {length} is shorter than the {trained} positions the model has already; give a \
         longer one, or leave the length out to take it from the factor"
    )]
    Shortened {
        /// The length asked for, in tokens.
        length: usize,
        /// The model's length.
        trained: usize,
    },
    /// A head vector or a list of scales has the wrong length.
    #[error("a slice of {found} values was given where {expected} are needed")]
    SliceLength {
        /// Its length.
        found: usize,
        /// The least it must have.
        expected: usize,
    },
    /// A uniform random number is not in [0, 1).
    #[error("uniforms[{index}] is {value}; uniform random numbers must lie in [0, 1)")]
    Uniform {
        /// Position of the draw.
        index: usize,
        /// Its value.
        value: f64,
    },
}
