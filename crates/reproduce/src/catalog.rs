//! The list of experiments.

use crate::dpop::Dpop;
use crate::giraffe::Giraffe;
use crate::pkpo::{PKPO, PKPO_UPDATES};
use crate::pkpo_toy::PkpoToy;
use crate::yelp::Yelp;
use crate::{Experiment, ReproduceError};

/// Every experiment, in the order of `reproduce all`.
pub static EXPERIMENTS: &[&dyn Experiment] =
    &[&PkpoToy, &PKPO, &PKPO_UPDATES, &Dpop, &Giraffe, &Yelp];

/// The experiment with this name.
///
/// # Errors
/// `Unknown`, with the nearest name.
///
/// ```
/// use bestof_reproduce::{Options, Silent, experiment};
///
/// assert_eq!(experiment("pkpo-toy")?.name(), "pkpo-toy");
/// let error = experiment("pkpo_toy").unwrap_err().to_string();
/// assert!(error.contains("did you mean `pkpo-toy`?"));
/// # Ok::<(), bestof_reproduce::ReproduceError>(())
/// ```
pub fn experiment(name: &str) -> Result<&'static dyn Experiment, ReproduceError> {
    if let Some(found) = EXPERIMENTS.iter().find(|experiment| experiment.name() == name) {
        return Ok(*found);
    }
    let names = || EXPERIMENTS.iter().map(|experiment| experiment.name());
    let hint = match bestof_suggest::nearest(name, names()) {
        Some(known) => format!("did you mean `{known}`?"),
        None => format!("there are {}", names().collect::<Vec<_>>().join(", ")),
    };
    Err(ReproduceError::Unknown { name: name.to_owned(), hint })
}
