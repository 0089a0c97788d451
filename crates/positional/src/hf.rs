//! RoPE settings of Hugging Face configs, in both spellings: read, written, and changed.
//!
//! An extended checkpoint's config has one entry of ours, which other loaders pass over:
//!
//! ```json
//! "bestof": {
//!   "rope_frequencies": "<SHA-256 of the frequency table>",
//!   "rope": {"rope_type": "power", "power": 0.5, "factor": 4.0},
//!   "length": 8192
//! }
//! ```
//!
//! `rope_frequencies` (a map by layer type where these differ) lets a loader check that the weights
//! run on the frequencies they were trained with. `rope` names the rule behind a basis that had to be
//! written as `longrope`, and `length` is the longest sequence where `max_position_embeddings` must
//! hold another number (`dynamic`). `no_rope_layers` says which layers go without RoPE, for model types
//! whose own config cannot say it: 1 for a layer that rotates and 0 for one that does not, as in
//! `SmolLM3`'s. A stock loader of such a type passes over the entry and rotates all layers.
//!
//! Up to transformers 4 a config has `rope_theta` and `rope_scaling`; transformers 5 puts both into
//! `rope_parameters`, flat or one map per layer type. Where both are present `rope_scaling`
//! wins, as it does there. Gemma 3's older configs add `rope_local_base_freq` for sliding layers.
//!
//! ```
//! use bestof_positional::hf::{HfDefaults, HfRope, Spelling};
//! let mut config = serde_json::json!({
//!     "hidden_size": 4096, "num_attention_heads": 32, "max_position_embeddings": 4096,
//!     "rope_theta": 10000.0, "rope_scaling": {"type": "linear", "factor": 4.0},
//! });
//! let read = HfRope::read(&config, &HfDefaults::default())?;
//! read.layers.write(&mut config, Spelling::RopeParameters)?;
//! assert_eq!(config["rope_parameters"]["rope_type"], "linear");
//! assert_eq!(HfRope::read(&config, &HfDefaults::default())?.layers, read.layers);
//! # Ok::<(), bestof_positional::RopeError>(())
//! ```

use alloc::collections::BTreeMap;
use alloc::string::String;

use crate::RopeConfig;

mod defaults;
mod extension;
mod lock;
mod no_rope;
mod read;
mod write;

pub use defaults::{HfDefaults, text_config};
pub use extension::{Extended, Extension, with_factor};
pub use lock::{CONFIG_KEY, RopeLock};
pub use no_rope::NoRope;
pub use read::HfRope;

/// Type of the layers that attend to all tokens before.
pub const FULL_ATTENTION: &str = "full_attention";
/// Type of the layers that attend within a sliding window.
pub const SLIDING_ATTENTION: &str = "sliding_attention";

/// One basis for all layers, or one per layer type.
#[derive(Debug, Clone, PartialEq)]
pub enum LayerRopes {
    /// The same for all layers.
    Uniform(RopeConfig),
    /// By layer type; layers of a type without an entry do not rotate.
    PerLayerType(BTreeMap<String, RopeConfig>),
}

impl LayerRopes {
    /// The settings of a layer type; `None` if its layers do not rotate.
    pub fn get(&self, layer_type: &str) -> Option<&RopeConfig> {
        match self {
            Self::Uniform(config) => Some(config),
            Self::PerLayerType(configs) => configs.get(layer_type),
        }
    }

    /// The settings of each layer type, once.
    pub fn iter(&self) -> impl Iterator<Item = &RopeConfig> {
        let (one, many) = match self {
            Self::Uniform(config) => (Some(config), None),
            Self::PerLayerType(configs) => (None, Some(configs.values())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}

/// Which keys to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Spelling {
    /// `rope_theta` and `rope_scaling`: transformers 4, and read by 5 as well.
    RopeScaling,
    /// `rope_parameters`: transformers 5 only.
    RopeParameters,
    /// Both, saying the same.
    #[default]
    Both,
}
