//! Encoders, BERT, RoBERTa, DistilBERT and ModernBERT, with their heads: hidden states of tokens, a vector or logits per text.
//!
//! ```
//! use std::path::Path;
//! use bestof_models::encoder::{EncoderBatch, EncoderForSequenceClassification};
//! use bestof_models::open_device;
//!
//! let dir = Path::new("tests/fixtures/parity/bert-classifier5");
//! let (model, report) = EncoderForSequenceClassification::open(dir, &open_device("cpu")?)?;
//! assert!(report.unused.is_empty());
//!
//! let batch = EncoderBatch::pad(&[vec![2, 17, 3], vec![2, 3]], 0)?;
//! let logits = model.forward(&batch, None)?;
//! assert_eq!(logits.dims(), [2, 5]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A custom head is a burn module around an [`Encoder`]:
//!
//! ```
//! use bestof_models::encoder::{Dense, Encoder, EncoderBatch, EncoderConfig, Loader};
//! use bestof_models::parameters;
//! use burn::module::Module;
//!
//! #[derive(Module, Debug)]
//! struct Tagger {
//!     encoder: Encoder,
//!     tags: Dense,
//! }
//!
//! let device = bestof_models::open_device("cpu")?;
//! let config = EncoderConfig {
//!     vocab_size: 50, hidden_size: 8, num_layers: 1, num_heads: 2, intermediate_size: 16,
//!     ..EncoderConfig::default()
//! };
//! let tags = Dense::load(&mut Loader::drawing(7, 0.02, &device), "tags", [8, 3])?;
//! let tagger = Tagger { encoder: Encoder::fresh(&config, 7, &device)?, tags };
//!
//! let batch = EncoderBatch::pad(&[vec![1, 2, 3, 4]], config.pad_token_id)?;
//! let hidden = tagger.encoder.forward(&batch, None)?.last_hidden_state;
//! assert_eq!(tagger.tags.forward(hidden.reshape([4, 8])).dims(), [4, 3]);
//!
//! let names: Vec<_> = parameters::all(&tagger).into_iter().map(|info| info.name).collect();
//! assert!(names.contains(&"bert.encoder.layer.0.attention.self.query.weight".to_owned()));
//! assert!(names.contains(&"tags.bias".to_owned()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod activation;
mod batch;
mod bert;
mod classifier;
mod config;
mod distilbert;
mod error;
mod family;
mod labels;
mod loader;
mod masked_lm;
mod model;
mod modernbert;
mod modernbert_options;
mod parts;
mod pass;
mod pooler;
mod post_norm;
mod save;
mod tokens;
mod values;
mod windows;

pub use activation::EncoderActivation;
pub use batch::EncoderBatch;
pub use classifier::EncoderForSequenceClassification;
pub use config::EncoderConfig;
pub use error::EncoderError;
pub use family::{EncoderFamily, EncoderTask};
pub use loader::{Fill, LoadReport, Loader};
pub use masked_lm::EncoderForMaskedLm;
pub use model::{Encoder, EncoderOutput};
pub use modernbert_options::ModernBertOptions;
pub use parts::{Dense, dropout};
pub use pooler::RowPooler;
pub use save::save;
pub use tokens::EncoderTokens;
