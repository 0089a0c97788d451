//! Models that take a review as one row of numbers: meta features, TF-IDF weights, or both.
//!
//! smartcore fits trees, nearest neighbours and boosting. Logistic regression, support vectors and the
//! multi-layer perceptron are written here: rows of TF-IDF weights are nearly all zeros, and smartcore's
//! dense solvers took minutes where these take seconds. A saved model has a format of its own, checked
//! when it is read, so that a damaged file is an error and a newer smartcore changes no predictions.

mod boosting;
mod head;
mod knn;
mod logistic;
mod matrix;
mod mlp;
mod model;
mod options;
mod svm;
mod tabular;
mod tfidf;
mod trees;

pub use model::ClassicalModel;
pub use options::{ClassicalOptions, FitOptions, Inputs};
pub use tfidf::TfIdfOptions;
