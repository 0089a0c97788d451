//! Neural models of reviews: BERT, a convolutional network and a hierarchical attention network,
//! each on text alone or with meta features, with one task or several.
//!
//! ```text
//! text ──► text encoder ──► T ─┐                     ┌─► stars       cross-entropy
//!                              ├─► J ─► dropout ─────┤
//! meta ──► meta encoder ──► D ─┘                     └─► sentiment   squared error
//! ```
//!
//! `T` is BERT's pooled row, the largest responses of the CNN's filters, or the HAN's attended
//! sentences. `D = dropout(relu(W m + b))`, `J = relu(W [T; D] + b)`; without meta features the
//! heads sit on `T` itself. The two losses are added with fixed weights, or with weights that are
//! learned. Source: Guda, Srivastava & Karkhanis 2022, arXiv:2201.07999, section 4.
//!
//! Training is [`train`], on the loop of `bestof_trainer`; what it leaves is opened with
//! [`crate::model::open`] and asked as a [`crate::Predictor`].

mod attend;
mod attribution;
mod batch;
mod classifier;
mod cnn;
mod error;
mod gru;
mod han;
mod loss;
mod model;
mod quadrature;
mod reader;
mod rows;
mod run;
mod settings;
mod train;
mod vocabulary;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

pub use attribution::{Attribution, AttributionTarget, WordAttribution};
pub use classifier::{Classifier, SETTINGS_FILE, VOCABULARY_FILE};
pub use error::NeuralError;
pub use loss::{Task, weighted_sum};
pub use model::NeuralModel;
pub use reader::TextReader;
pub use run::NeuralRun;
pub use settings::{
    ClassWeights, NeuralConfig, NeuralRequest, Pooling, SentimentSection, Weighting,
};
pub use train::{Trained, train};
pub use vocabulary::Vocabulary;
