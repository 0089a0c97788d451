//! What runs exchange: whether all can go on, results of dealt rows, sums.

use bestof_models::{Device, DeviceError, open_device, open_device_of};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Communicator, SingleRank};
use crate::error::TrainError;
use crate::metric::MetricSums;

/// The ranks of a run, as its rows and results are shared among them.
///
/// With a single rank nothing is exchanged and nothing copied.
#[derive(Debug, Clone, Copy)]
pub struct Ranks<'a> {
    communicator: &'a dyn Communicator,
}

impl Default for Ranks<'_> {
    /// A single rank.
    fn default() -> Self {
        Self { communicator: &SingleRank }
    }
}

impl<'a> Ranks<'a> {
    /// The ranks that this communicator connects.
    pub fn new(communicator: &'a dyn Communicator) -> Self {
        Self { communicator }
    }

    /// This rank, from 0.
    pub fn rank(self) -> usize {
        self.communicator.rank()
    }

    /// Number of ranks.
    pub fn size(self) -> usize {
        self.communicator.size()
    }

    /// Whether there is no other rank.
    pub fn is_alone(self) -> bool {
        self.size() == 1
    }

    /// Whether this is rank 0, which writes what all share.
    pub fn is_first(self) -> bool {
        self.rank() == 0
    }

    /// The device called `name` that is this rank's.
    ///
    /// # Errors
    /// As [`open_device`].
    pub fn open_device(self, name: &str) -> Result<Device, DeviceError> {
        if self.is_alone() {
            return open_device(name);
        }
        open_device_of(name, self.communicator.local_rank())
    }

    /// The communicator.
    pub fn communicator(self) -> &'a dyn Communicator {
        self.communicator
    }

    /// A value of each rank, in the order of the ranks.
    ///
    /// # Errors
    /// As [`agree`](Self::agree), with what another rank hands to it at the time; [`TrainError::Communication`].
    pub fn gather<T: Serialize + DeserializeOwned>(self, mine: T) -> Result<Vec<T>, TrainError> {
        self.gather_each(Ok(mine))
    }

    /// A value of each rank, if it has one: else the error of the lowest rank that has none, with its number.
    ///
    /// What is exchanged says whether there is a value, so that a rank that fails where others already gather
    /// something else is heard, too.
    ///
    /// # Errors
    /// [`TrainError::OnRank`]; with a single rank, what `outcome` says.
    pub fn gather_each<T: Serialize + DeserializeOwned>(
        self,
        outcome: Result<T, TrainError>,
    ) -> Result<Vec<T>, TrainError> {
        let sent = match outcome {
            mine if self.is_alone() => return mine.map(|mine| vec![mine]),
            Err(error) if error.is_of_all_ranks() => return Err(error),
            // Nothing can be exchanged.
            Err(error @ TrainError::Communication { .. }) => return Err(error),
            Ok(mine) => Ok(postcard::to_stdvec(&mine).map_err(|e| unreadable(&e))?),
            Err(error) => Err(chain(&error)),
        };
        let sent = postcard::to_stdvec(&sent).map_err(|e| unreadable(&e))?;
        let received = self.communicator.all_gather(sent)?;
        let mut all = Vec::with_capacity(received.len());
        for (rank, bytes) in received.iter().enumerate() {
            let said: Result<&[u8], String> =
                postcard::from_bytes(bytes).map_err(|e| unreadable(&e))?;
            all.push(said.map_err(|reason| TrainError::OnRank { rank, reason })?);
        }
        all.into_iter()
            .map(|bytes| postcard::from_bytes(bytes).map_err(|e| unreadable(&e)))
            .collect()
    }

    /// Lets all ranks stop when one of them cannot go on: `outcome` if it is `Ok` on all of them, else the
    /// error of the lowest rank that has one, with its number.
    ///
    /// # Errors
    /// [`TrainError::OnRank`]; with a single rank, what `outcome` says.
    pub fn agree<T>(self, outcome: Result<T, TrainError>) -> Result<T, TrainError> {
        if self.is_alone() {
            return outcome;
        }
        let (mine, value) = match outcome {
            Ok(value) => (Ok(()), Some(value)),
            Err(error) => (Err(error), None),
        };
        self.gather_each(mine)?;
        match value {
            Some(value) => Ok(value),
            None => unreachable!("a rank with an error hears of it"),
        }
    }

    /// The metrics of all ranks together.
    ///
    /// # Errors
    /// [`TrainError::Communication`].
    pub fn merge(self, mine: MetricSums) -> Result<MetricSums, TrainError> {
        if self.is_alone() {
            return Ok(mine);
        }
        let mut sums = MetricSums::default();
        self.gather(mine)?.iter().for_each(|of_rank| sums.merge(of_rank));
        Ok(sums)
    }

    /// This rank's share of so many items: their numbers, every `size`-th from its own.
    pub fn share(self, items: usize) -> Vec<usize> {
        (self.rank()..items).step_by(self.size()).collect()
    }

    /// What `work` gives for each of so many items, in their order and on every rank; it is called with the
    /// numbers of this rank's share. All ranks stop with the first error.
    ///
    /// # Errors
    /// Those of `work`, as [`agree`](Self::agree) tells them.
    pub fn deal<T, F>(self, items: usize, work: F) -> Result<Vec<T>, TrainError>
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce(&[usize]) -> Result<Vec<T>, TrainError>,
    {
        let share = self.share(items);
        let mine = work(&share);
        if self.is_alone() {
            return mine;
        }
        let mut parts: Vec<_> = self.gather_each(mine)?.into_iter().map(Vec::into_iter).collect();
        let size = self.size();
        let all: Option<Vec<T>> = (0..items).map(|item| parts[item % size].next()).collect();
        all.ok_or_else(|| TrainError::Communication {
            reason: format!("the ranks gave fewer than {items} results together"),
        })
    }
}

/// Values that cannot be read: the ranks do not do the same things.
fn unreadable(error: &postcard::Error) -> TrainError {
    TrainError::Communication { reason: format!("what ranks exchange cannot be read: {error}") }
}

/// An error with its causes, each said once.
fn chain(error: &TrainError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::threads;
    use super::*;

    fn on_ranks<T: Send>(size: usize, work: impl Fn(Ranks<'_>) -> T + Sync) -> Vec<T> {
        threads(size, |rank| work(Ranks::new(&rank)))
    }

    #[test]
    fn items_are_dealt_once_and_come_back_in_order() {
        for size in 1..5 {
            for items in [0, 1, 2, 3, 7, 12] {
                let found = on_ranks(size, |ranks| {
                    let squares = |share: &[usize]| Ok(share.iter().map(|i| i * i).collect());
                    (ranks.share(items), ranks.deal(items, squares).unwrap())
                });
                let expected: Vec<usize> = (0..items).map(|i| i * i).collect();
                assert!(found.iter().all(|(_, all)| *all == expected));
                let mut dealt: Vec<usize> =
                    found.into_iter().flat_map(|(share, _)| share).collect();
                dealt.sort_unstable();
                assert_eq!(dealt, (0..items).collect::<Vec<_>>(), "{size} ranks");
            }
        }
    }

    #[test]
    fn the_lowest_rank_with_an_error_is_named_on_all() {
        let said = on_ranks(4, |ranks| {
            let outcome = match ranks.rank() {
                2 | 3 => Err(TrainError::NoRows { what: "its share" }),
                rank => Ok(rank),
            };
            ranks.agree(outcome).unwrap_err().to_string()
        });
        let expected =
            "rank 2: its share has no rows left after encoding; see the drop reasons of `inspect`";
        assert!(said.iter().all(|said| said == expected), "{said:?}");
        assert_eq!(on_ranks(3, |ranks| ranks.agree(Ok(7)).unwrap()), [7; 3]);
        let bad = on_ranks(2, |ranks| {
            let work = |share: &[usize]| match share {
                [1, ..] => Err(TrainError::NoRows { what: "b" }),
                share => Ok(share.to_vec()),
            };
            ranks.deal(5, work).is_err()
        });
        assert_eq!(bad, [true, true]);
    }

    #[test]
    fn a_rank_that_fails_where_others_gather_is_heard() {
        let said = on_ranks(3, |ranks| {
            let work = || {
                if ranks.rank() == 1 {
                    return Err(TrainError::NoRows { what: "b" });
                }
                ranks.deal(6, |share| Ok(share.to_vec()))
            };
            ranks.agree(work()).unwrap_err().to_string()
        });
        assert!(said.iter().all(|said| said.starts_with("rank 1: b has no rows")), "{said:?}");
    }

    #[test]
    fn values_come_in_the_order_of_the_ranks_and_metrics_are_added() {
        let found = on_ranks(4, |ranks| {
            let mut sums = MetricSums::default();
            if ranks.rank() != 1 {
                sums.add("loss", f64::from(ranks.rank() as u32), 2.0);
            }
            (ranks.gather(ranks.rank()).unwrap(), ranks.merge(sums).unwrap().mean("loss"))
        });
        assert!(found.iter().all(|found| *found == (vec![0, 1, 2, 3], Some(5.0 / 6.0))));
    }
}
