//! A trained model of any kind: its description, and the interface all of them have.

mod card;
mod kind;
mod open;
mod predictor;

pub use card::ModelCard;
pub use kind::{Architecture, Labels, ModelKind};
pub use open::{open, open_classical};
pub use predictor::Predictor;

#[cfg(test)]
pub(crate) use card::MODEL_FILE;
