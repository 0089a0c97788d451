//! The interface of all experiments.

use std::fmt::Debug;

use crate::{Options, Progress, ReproduceError, Reproduction};

/// One experiment of a paper. To add one: a module with a type of this trait, and its line in
/// [`EXPERIMENTS`](crate::EXPERIMENTS).
pub trait Experiment: Debug + Sync {
    /// The name on the command line.
    fn name(&self) -> &'static str;

    /// What it does, in one line.
    fn about(&self) -> &'static str;

    /// Whether it takes [`Options::data`].
    fn reads_data(&self) -> bool {
        false
    }

    /// Whether it starts from a pretrained model unless [`Options::pretrained`] forbids it.
    fn has_pretrained(&self) -> bool {
        false
    }

    /// Whether everything that [`run`](Self::run) needs and cannot make is there, which is told before anything is
    /// measured.
    ///
    /// # Errors
    /// What is missing, and how to get it.
    fn ready(&self, _options: &Options) -> Result<(), ReproduceError> {
        Ok(())
    }

    /// About how many minutes it takes at its small size on two idle cores of a server.
    fn minutes(&self) -> f64;

    /// Measures, and judges the claims. Equal options give equal results on one device.
    ///
    /// # Errors
    /// Whatever prevents the measurement; a claim that fails is no error.
    fn run(
        &self,
        options: &Options,
        progress: &mut dyn Progress,
    ) -> Result<Reproduction, ReproduceError>;
}
