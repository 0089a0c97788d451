//! Ranks that train together: the trainer's side of an existing engine such as MPI.

use std::fmt::Debug;

use crate::error::TrainError;

/// Exchange between the ranks of a data-parallel run.
///
/// Every rank calls the same methods in the same order. One rank ([`SingleRank`]) costs nothing.
pub trait Communicator: Debug {
    /// This rank, from 0.
    fn rank(&self) -> usize;

    /// Number of ranks.
    fn size(&self) -> usize;

    /// Replaces `values` by their sum over ranks, the same bits on each.
    ///
    /// # Errors
    /// [`TrainError::Communication`].
    fn all_reduce_f32(&self, values: &mut [f32]) -> Result<(), TrainError>;

    /// Replaces `values` by their sum over ranks, the same bits on each.
    ///
    /// # Errors
    /// [`TrainError::Communication`].
    fn all_reduce_f64(&self, values: &mut [f64]) -> Result<(), TrainError>;

    /// Replaces `values` on every rank by those of rank `root`.
    ///
    /// # Errors
    /// [`TrainError::Communication`].
    fn broadcast_f32(&self, root: usize, values: &mut [f32]) -> Result<(), TrainError>;
}

/// The only rank there is: sums and broadcasts leave the values as they are.
#[derive(Debug, Clone, Copy, Default)]
pub struct SingleRank;

impl Communicator for SingleRank {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn all_reduce_f32(&self, _: &mut [f32]) -> Result<(), TrainError> {
        Ok(())
    }

    fn all_reduce_f64(&self, _: &mut [f64]) -> Result<(), TrainError> {
        Ok(())
    }

    fn broadcast_f32(&self, _: usize, _: &mut [f32]) -> Result<(), TrainError> {
        Ok(())
    }
}
