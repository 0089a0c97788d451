//! RoPE settings of Hugging Face configs, in both spellings.
//!
//! Up to transformers 4 a config says `rope_theta` and `rope_scaling`; transformers 5 puts both into
//! `rope_parameters`, flat or one map for each kind of layer. Where both are present `rope_scaling`
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
use alloc::vec::Vec;

use crate::RopeConfig;

mod fields;
mod read;
mod write;

/// The layers that attend to everything.
pub const FULL_ATTENTION: &str = "full_attention";
/// The layers that attend within a window.
pub const SLIDING_ATTENTION: &str = "sliding_attention";

/// What a family assumes where its config says nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HfDefaults {
    /// Base of the layers; 10000 for most families, 1000000 for Gemma 3.
    pub rope_theta: f64,
    /// Base of sliding layers, for families where those have their own: 10000 for Gemma 3.
    pub local_rope_theta: Option<f64>,
}

impl Default for HfDefaults {
    fn default() -> Self {
        Self { rope_theta: 10_000.0, local_rope_theta: None }
    }
}

impl HfDefaults {
    /// Gemma 3's.
    pub fn gemma3() -> Self {
        Self { rope_theta: 1_000_000.0, local_rope_theta: Some(10_000.0) }
    }
}

/// The settings of a config, and what of it was passed over.
#[derive(Debug, Clone, PartialEq)]
pub struct HfRope {
    /// The settings.
    pub layers: LayerRopes,
    /// Keys of the RoPE maps that the rope type does not read; transformers warns of these too.
    pub unrecognised: Vec<String>,
}

/// One basis for all layers, or one for each kind.
#[derive(Debug, Clone, PartialEq)]
pub enum LayerRopes {
    /// All layers alike.
    Uniform(RopeConfig),
    /// By layer type; kinds without an entry do not rotate.
    PerLayerType(BTreeMap<String, RopeConfig>),
}

impl LayerRopes {
    /// The settings of a kind of layer; `None` if it does not rotate.
    pub fn get(&self, layer_type: &str) -> Option<&RopeConfig> {
        match self {
            Self::Uniform(config) => Some(config),
            Self::PerLayerType(configs) => configs.get(layer_type),
        }
    }

    /// Every kind's settings once.
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
