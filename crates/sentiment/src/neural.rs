//! Neural models of reviews: a pretrained encoder (BERT, RoBERTa, DistilBERT or ModernBERT), a
//! convolutional network and a hierarchical attention network,
//! each on text alone or with meta features, with one task or several.
//!
//! ```text
//! text ──► text encoder ──► T ─┐                     ┌─► stars       cross-entropy
//!                              ├─► J ─► dropout ─────┤
//! meta ──► meta encoder ──► D ─┘                     └─► sentiment   squared error
//! ```
//!
//! `T` is the pretrained encoder's pooled output, the output of the CNN's dense layer, or the HAN's text vector. `D = dropout(relu(W m + b))`, `J = relu(W [T; D] + b)`; without meta features the
//! heads take `T` itself. The loss is the sum of the tasks' losses with fixed or learned weights. Source: Guda, Srivastava & Karkhanis 2022, arXiv:2201.07999, section 4.
//!
//! [`train`] runs the training loop of `bestof_trainer`; [`crate::model::open`] opens the trained model as
//! a [`crate::Predictor`].

mod attention;
mod batch;
mod classifier;
mod cnn;
mod config;
mod encoded;
mod encoder;
mod gru;
mod han;
mod init;
mod integrated_gradients;
mod loss;
mod model;
mod outputs;
mod padding;
mod quadrature;
mod run;
mod settings;
mod shape;
mod task;
mod tokenizer;
mod train;
mod vocabulary;

#[cfg(test)]
mod families_tests;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

pub use classifier::NeuralClassifier;
pub use config::{NeuralConfig, NeuralRequest};
pub use settings::{ClassWeights, Pooling, SentimentSection, Weighting};
pub use train::{Trained, train};
