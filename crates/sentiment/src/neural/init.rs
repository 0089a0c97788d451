//! Initial values of parameters.

use bestof_models::ModelError;
use bestof_models::encoder::{Dense, Loader};

/// Where a [`Loader`] takes the parameters from that a pretrained encoder does not have.
#[derive(Debug, Clone, Copy)]
pub(super) enum Init {
    /// The checkpoint has all of them.
    Stored,
    /// Those that the checkpoint lacks are drawn from this seed.
    Random(u64),
}

impl Init {
    /// Sets the standard deviation of the parameters drawn from here on.
    pub(super) fn set_deviation(self, loader: &mut Loader<'_>, deviation: f64) {
        if let Self::Random(seed) = self {
            loader.draw_missing(seed, deviation);
        }
    }

    /// A linear layer `[inputs, outputs]` with weights of standard deviation `1 / sqrt(inputs)`:
    /// its outputs start with the variance of its inputs.
    pub(super) fn dense(
        self,
        loader: &mut Loader<'_>,
        name: &str,
        sizes: [usize; 2],
    ) -> Result<Dense, ModelError> {
        self.set_deviation(loader, (sizes[0] as f64).sqrt().recip());
        Dense::load(loader, name, sizes)
    }
}
