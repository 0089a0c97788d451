//! Models that see a review as one row of numbers: meta features, TF-IDF weights, or both.
//!
//! smartcore fits trees, neighbours and boosting. Logistic regression, support vectors and the
//! multi-layer perceptron are ours, because rows of TF-IDF weights are nearly all zeros and the
//! library's dense solvers took minutes where these take seconds. What is kept is a small
//! form of our own for each, checked when it is read, so that a damaged model file is an error and
//! a newer library cannot change what a saved model says.

mod boosting;
mod head;
mod knn;
mod logistic;
mod matrix;
mod mlp;
mod model;
mod svm;
mod tfidf;
mod trees;

pub use boosting::Boosting;
pub use head::{Classifier, FitOptions, Head};
pub use knn::NearestNeighbours;
pub use logistic::Logistic;
pub use matrix::Matrix;
pub use mlp::Perceptron;
pub use model::{ClassicalModel, Inputs, TrainOptions};
pub use svm::SupportVectors;
pub use tfidf::{TfIdf, TfIdfOptions};
pub use trees::{DecisionTree, RandomForest};

use crate::error::SentimentError;

/// A failure of the library, in its words.
fn library(what: &'static str) -> impl FnOnce(smartcore::error::Failed) -> SentimentError {
    move |failed| SentimentError::Fit { what, message: failed.to_string() }
}

/// A part of a saved model that cannot be.
fn damaged(what: &'static str) -> SentimentError {
    SentimentError::DamagedModel { what }
}
