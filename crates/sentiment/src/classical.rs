//! Models that take a review as one row of numbers: meta features, TF-IDF weights, or both.
//!
//! All are written here, since rows of TF-IDF weights are nearly all zeros, which solvers for dense rows
//! spend their time on. Settings are those of scikit-learn, beside which they are measured. A saved
//! model has a format of its own, checked when it is read, so that a damaged file is an error.

mod boosting;
mod distances;
mod export;
mod head;
mod knn;
mod lbfgs;
mod logistic;
mod matrix;
mod mlp;
mod model;
mod options;
mod sparse;
mod svm;
mod tabular;
mod tfidf;
mod tree;
mod trees;

pub use model::{ClassicalModel, TrainingRows};
pub use options::{ClassicalOptions, FitOptions, Inputs};
pub use tfidf::TfIdfOptions;
