//! The order in which rows are visited: a function of seed and epoch, with a place to resume at.

use bestof_tasks::rng::SeededRng;
use serde::{Deserialize, Serialize};

use super::{DataError, Mix};

/// Rows in the order of training: every epoch a permutation of its own.
///
/// The permutation of an epoch depends on seed, epoch and number of rows alone, so that a position
/// is three numbers and a resumed run sees what an unbroken one would have seen.
///
/// ```
/// use bestof_trainer::data::DataOrder;
///
/// let mut order = DataOrder::shuffled(4, 7);
/// let first: Vec<usize> = (0..6).filter_map(|_| order.next_row()).collect();
/// let saved = order.state();
/// let mut resumed = DataOrder::restored(saved, 4, 7)?;
/// assert_eq!(resumed.next_row(), order.next_row());
/// # Ok::<(), bestof_trainer::data::DataError>(())
/// ```
#[derive(Debug, Clone)]
pub struct DataOrder {
    state: OrderState,
    mix: Option<Mix>,
    permutation: Vec<u32>,
}

/// Where an order stands; what a checkpoint keeps of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderState {
    /// Number of rows.
    pub rows: usize,
    /// Seed of the permutations.
    pub seed: u64,
    /// Whether rows are permuted at all.
    pub shuffled: bool,
    /// Epoch of the next row, from 0.
    pub epoch: u64,
    /// Place of the next row in its epoch, from 0.
    pub position: usize,
}

impl DataOrder {
    /// A new order that permutes the rows anew in every epoch.
    pub fn shuffled(rows: usize, seed: u64) -> Self {
        Self::at(OrderState { rows, seed, shuffled: true, epoch: 0, position: 0 }, None)
    }

    /// A new order of several files in the shares of `mix`.
    pub fn mixed(mix: Mix, seed: u64) -> Self {
        let rows = mix.draws().iter().sum();
        Self::at(OrderState { rows, seed, shuffled: true, epoch: 0, position: 0 }, Some(mix))
    }

    /// The order of the file, in every epoch.
    pub fn sequential(rows: usize) -> Self {
        Self::at(OrderState { rows, seed: 0, shuffled: false, epoch: 0, position: 0 }, None)
    }

    /// The order as it stood when `state` was taken.
    ///
    /// # Errors
    /// [`DataError::OtherData`] if `state` belongs to another number of rows or another seed,
    /// [`DataError::BadPosition`] if it lies outside them.
    pub fn restored(state: OrderState, rows: usize, seed: u64) -> Result<Self, DataError> {
        let of_run = OrderState { rows, seed, ..state };
        Self { state: of_run, mix: None, permutation: Vec::new() }.resumed(state)
    }

    /// The order of the same rows as it stood when `state` was taken.
    ///
    /// # Errors
    /// As [`DataOrder::restored`].
    pub fn resumed(&self, state: OrderState) -> Result<Self, DataError> {
        let OrderState { rows, seed, .. } = self.state;
        if state.rows != rows || (state.shuffled && state.seed != seed) {
            let (saved_rows, saved_seed) = (state.rows, state.seed);
            return Err(DataError::OtherData { saved_rows, saved_seed, rows, seed });
        }
        if state.position > rows {
            return Err(DataError::BadPosition { position: state.position, rows });
        }
        Ok(Self::at(state, self.mix.clone()))
    }

    fn at(state: OrderState, mix: Option<Mix>) -> Self {
        Self { permutation: permutation(&state, mix.as_ref()), state, mix }
    }

    /// The index of the next row, or `None` if there are no rows at all.
    pub fn next_row(&mut self) -> Option<usize> {
        if self.state.rows == 0 {
            return None;
        }
        if self.state.position == self.state.rows {
            self.state.position = 0;
            self.state.epoch += 1;
            self.permutation = permutation(&self.state, self.mix.as_ref());
        }
        let position = self.state.position;
        self.state.position += 1;
        Some(self.permutation.get(position).map_or(position, |&row| row as usize))
    }

    /// The next `count` rows; an epoch's end does not end them.
    pub fn next_rows(&mut self, count: usize) -> Vec<usize> {
        (0..count).map_while(|_| self.next_row()).collect()
    }

    /// Where the order stands now.
    pub fn state(&self) -> OrderState {
        self.state
    }

    /// Epochs done, with the begun one as a fraction.
    pub fn epochs(&self) -> f64 {
        self.state.epoch as f64 + self.state.position as f64 / self.state.rows.max(1) as f64
    }
}

/// The permutation of the state's epoch; empty for the file's own order.
fn permutation(state: &OrderState, mix: Option<&Mix>) -> Vec<u32> {
    if !state.shuffled {
        return Vec::new();
    }
    if let Some(mix) = mix {
        return mix.epoch(state.seed, state.epoch);
    }
    let mut rows: Vec<u32> = (0..state.rows as u32).collect();
    SeededRng::new(state.seed, state.epoch).shuffle(&mut rows);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_epoch_is_another_permutation() {
        let mut order = DataOrder::shuffled(50, 3);
        let epochs: Vec<Vec<usize>> = (0..4).map(|_| order.next_rows(50)).collect();
        for epoch in &epochs {
            let mut sorted = epoch.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..50).collect::<Vec<_>>());
        }
        assert!(epochs.windows(2).all(|pair| pair[0] != pair[1]));
        assert_ne!(epochs[0], (0..50).collect::<Vec<_>>());
        assert_eq!(order.epochs(), 4.0);
        assert_ne!(DataOrder::shuffled(50, 4).next_rows(50), epochs[0]);
    }

    #[test]
    fn seeds_stand_for_the_same_order_for_ever() {
        assert_eq!(DataOrder::shuffled(8, 42).next_rows(12), PINNED);
    }

    /// The first twelve rows of eight with seed 42, as the first release drew them.
    const PINNED: [usize; 12] = [4, 7, 0, 1, 3, 2, 6, 5, 6, 3, 7, 0];

    #[test]
    fn the_files_order_repeats() {
        assert_eq!(DataOrder::sequential(3).next_rows(7), [0, 1, 2, 0, 1, 2, 0]);
        assert_eq!(DataOrder::sequential(0).next_row(), None);
        assert_eq!(DataOrder::shuffled(0, 1).next_row(), None);
    }

    #[test]
    fn positions_of_other_data_are_refused() {
        let state = DataOrder::shuffled(5, 1).state();
        assert!(matches!(DataOrder::restored(state, 6, 1), Err(DataError::OtherData { .. })));
        assert!(matches!(DataOrder::restored(state, 5, 2), Err(DataError::OtherData { .. })));
        let beyond = OrderState { position: 6, ..state };
        assert!(matches!(DataOrder::restored(beyond, 5, 1), Err(DataError::BadPosition { .. })));
    }

    proptest! {
        #[test]
        fn resuming_anywhere_changes_nothing(
            rows in 1_usize..30, seed: u64, before in 0_usize..90, after in 0_usize..60,
        ) {
            let mut unbroken = DataOrder::shuffled(rows, seed);
            unbroken.next_rows(before);
            let saved = serde_json::to_string(&unbroken.state()).unwrap();
            let state = serde_json::from_str(&saved).unwrap();
            let mut resumed = DataOrder::restored(state, rows, seed).unwrap();
            prop_assert_eq!(resumed.next_rows(after), unbroken.next_rows(after));
            prop_assert_eq!(resumed.state(), unbroken.state());

            let begin = || DataOrder::mixed(Mix::new(&[rows, 3], &[1.0, 2.0]), seed);
            let mut unbroken = begin();
            unbroken.next_rows(before);
            let mut resumed = begin().resumed(unbroken.state()).unwrap();
            prop_assert_eq!(resumed.next_rows(after), unbroken.next_rows(after));
        }
    }
}
