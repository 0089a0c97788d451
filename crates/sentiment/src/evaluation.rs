//! Comparison of models: all of them in one table, per restaurant, and by the number of training reviews
//! of the restaurant (the balance experiment of arXiv 2201.07999, figure 7b, with intervals).

mod evaluate;
mod explain;
mod page;

#[cfg(test)]
mod tests;

pub use evaluate::{CountBin, EvaluateOptions, ModelEvaluation, RestaurantScore, evaluate};
pub use explain::Explained;
pub use page::page;
