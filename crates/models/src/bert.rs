//! The BERT encoder with its heads: hidden states of tokens, a vector or logits per text.
//!
//! ```
//! use std::path::Path;
//! use bestof_models::bert::{BertBatch, BertForSequenceClassification};
//! use bestof_models::open_device;
//!
//! let dir = Path::new("tests/fixtures/parity/bert-classifier5");
//! let (model, report) = BertForSequenceClassification::open(dir, &open_device("cpu")?)?;
//! assert!(report.unused.is_empty());
//!
//! let batch = BertBatch::pad(&[vec![2, 17, 3], vec![2, 3]], 0)?;
//! let logits = model.forward(&batch, None)?;
//! assert_eq!(logits.dims(), [2, 5]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A custom head is a burn module around a [`Bert`]:
//!
//! ```
//! use bestof_models::bert::{Bert, BertBatch, BertConfig, Dense, Loader};
//! use bestof_models::parameters;
//! use burn::module::Module;
//!
//! #[derive(Module, Debug)]
//! struct Tagger {
//!     bert: Bert,
//!     tags: Dense,
//! }
//!
//! let device = bestof_models::open_device("cpu")?;
//! let config = BertConfig {
//!     vocab_size: 50, hidden_size: 8, num_layers: 1, num_heads: 2, intermediate_size: 16,
//!     ..BertConfig::default()
//! };
//! let tags = Dense::load(&mut Loader::drawing(7, 0.02, &device), "tags", [8, 3])?;
//! let tagger = Tagger { bert: Bert::fresh(&config, 7, &device)?, tags };
//!
//! let batch = BertBatch::pad(&[vec![1, 2, 3, 4]], config.pad_token_id)?;
//! let hidden = tagger.bert.forward(&batch, None)?.last_hidden_state;
//! assert_eq!(tagger.tags.forward(hidden.reshape([4, 8])).dims(), [4, 3]);
//!
//! let names: Vec<_> = parameters::all(&tagger).into_iter().map(|info| info.name).collect();
//! assert!(names.contains(&"bert.encoder.layer.0.attention.self.query.weight".to_owned()));
//! assert!(names.contains(&"tags.bias".to_owned()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod batch;
mod config;
mod encoder;
mod error;
mod heads;
mod loader;
mod parts;
mod save;
mod tokens;

pub use batch::BertBatch;
pub use config::{BertActivation, BertConfig};
pub use encoder::{Bert, BertOutput};
pub use error::BertError;
pub use heads::{BertForMaskedLm, BertForSequenceClassification};
pub use loader::{Fill, LoadReport, Loader};
pub use parts::{Dense, dropout};
pub use save::save;
pub use tokens::BertTokens;
