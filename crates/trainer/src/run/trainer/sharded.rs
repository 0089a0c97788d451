//! Gradients summed over ranks, and an optimiser of which each rank keeps a part (`ZeRO` stage 1).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use bestof_kernels::host_values;
use bestof_models::parameters;
use burn::module::Module;
use burn::tensor::{Tensor, TensorData};

use crate::communicator::{Communicator, OnTheWay, Ranks};
use crate::error::TrainError;
use crate::gradients::NamedGradients;
use crate::optimizer::{NamedAdamW, clip_factor};

/// The trained parameters in buckets, of each of which every rank updates a part.
///
/// A step sends the gradients of a bucket to the ranks that own its parts, which add them in f64 in the order of
/// the ranks, update their parts with their own moments, and send the new values to all: as many bytes as an
/// all-reduce, and `1 / size` of the moments on each rank.
///
/// Source: Rajbhandari et al. 2020, arXiv:1910.02054, section 5.1.
#[derive(Debug)]
pub(super) struct Shards {
    /// In the order in which a backward pass comes to know their gradients: the last layer's first.
    buckets: Vec<Bucket>,
    /// Bucket and place in it of each parameter, by name.
    places: BTreeMap<String, (usize, usize)>,
    rank: usize,
}

/// Buckets of gradients that are sent one after the other, each once it is whole.
pub(super) struct Outbox<'s, 'c> {
    shards: &'s Shards,
    communicator: &'c dyn Communicator,
    /// Of each bucket the values, none before the first is known, and how many parameters are missing; taken when
    /// it is sent.
    open: Vec<Option<(Vec<f32>, usize)>>,
    names: BTreeSet<String>,
    sent: Vec<OnTheWay<'c>>,
}

/// The gradients of an update on their way, and those that this rank has some of.
pub(super) struct InFlight<'c> {
    sent: Vec<OnTheWay<'c>>,
    names: BTreeSet<String>,
    /// The share of all values that was sent while the backward pass went on.
    pub(super) early: f64,
}

impl<'c> Outbox<'_, 'c> {
    /// Puts in the gradient of a parameter, and sends what is whole.
    pub(super) fn put(&mut self, name: String, values: &[f32]) -> Result<(), TrainError> {
        let Some(&(at, place)) = self.shards.places.get(&name) else { return Ok(()) };
        let twice = || TrainError::Communication {
            reason: format!("the gradient of `{name}` was known twice in one pass"),
        };
        let slice = &self.shards.buckets[at].parameters[place];
        let (flat, missing) = self.open[at].as_mut().ok_or_else(twice)?;
        if self.names.contains(&name) {
            return Err(twice());
        }
        flat.resize(self.shards.buckets[at].len(), 0.0);
        flat[slice.range.clone()].copy_from_slice(values);
        *missing -= 1;
        self.names.insert(name);
        while matches!(self.open.get(self.sent.len()), Some(Some((_, 0)))) {
            self.send()?;
        }
        Ok(())
    }

    /// Sends the next bucket as it is.
    fn send(&mut self) -> Result<(), TrainError> {
        let next = self.sent.len();
        if let Some((mut flat, _)) = self.open[next].take() {
            let bucket = &self.shards.buckets[next];
            flat.resize(bucket.len(), 0.0);
            self.sent.push(self.communicator.reduce_scatter(flat, &bucket.cuts)?);
        }
        Ok(())
    }

    /// Puts in what is left and sends all, zeros for parameters without a gradient here.
    pub(super) fn finish(mut self, rest: NamedGradients) -> Result<InFlight<'c>, TrainError> {
        let values = |buckets: &[Bucket]| buckets.iter().map(Bucket::len).sum::<usize>() as f64;
        let buckets = &self.shards.buckets;
        let early = values(&buckets[..self.sent.len()]) / values(buckets).max(1.0);
        for (name, gradient) in rest {
            self.put(name, &host_values(gradient))?;
        }
        while self.sent.len() < self.open.len() {
            self.send()?;
        }
        Ok(InFlight { sent: self.sent, names: self.names, early })
    }
}

/// Some parameters, one behind the other, cut among the ranks.
#[derive(Debug)]
struct Bucket {
    parameters: Vec<Slice>,
    /// Rank `r` has the values `cuts[r]..cuts[r + 1]`.
    cuts: Vec<usize>,
}

/// Where a parameter lies in its bucket.
#[derive(Debug)]
struct Slice {
    name: String,
    range: Range<usize>,
    /// Whether it has rank 2 or more, which decay.
    is_matrix: bool,
}

impl Bucket {
    fn of(parameters: Vec<Slice>, size: usize) -> Self {
        let len = parameters.last().map_or(0, |last| last.range.end);
        Self { parameters, cuts: (0..=size).map(|rank| len * rank / size).collect() }
    }

    fn len(&self) -> usize {
        self.cuts.last().copied().unwrap_or(0)
    }

    fn own(&self, rank: usize) -> Range<usize> {
        self.cuts[rank]..self.cuts[rank + 1]
    }

    /// Of each parameter the values within a rank's part, perhaps none, and where they are in the bucket.
    fn parts(&self, rank: usize) -> impl Iterator<Item = (&Slice, Range<usize>)> {
        let own = self.own(rank);
        self.parameters.iter().map(move |slice| (slice, slice.within(&own)))
    }
}

impl Slice {
    /// Its values within a range of the bucket, perhaps none.
    fn within(&self, range: &Range<usize>) -> Range<usize> {
        let within = |at: usize| at.clamp(range.start, range.end);
        within(self.range.start)..within(self.range.end)
    }
}

/// A range of a bucket as one of what begins at `start` in it; an empty one may lie elsewhere.
fn shifted(range: &Range<usize>, start: usize) -> Range<usize> {
    if range.is_empty() { 0..0 } else { range.start - start..range.end - start }
}

impl Shards {
    /// Those of the trained parameters of `model`.
    pub(super) fn new<M: Module>(model: &M, ranks: Ranks<'_>) -> Self {
        let (mut buckets, mut open, mut end) = (Vec::new(), Vec::new(), 0);
        let mut trained = parameters::trainable(model);
        trained.sort_by_key(|info| std::cmp::Reverse(layer(&info.name)));
        for info in trained {
            let len = info.len();
            if !open.is_empty() && end + len > ranks.communicator().bucket_values() {
                buckets.push(Bucket::of(std::mem::take(&mut open), ranks.size()));
                end = 0;
            }
            let is_matrix = info.shape.len() >= 2;
            open.push(Slice { name: info.name, range: end..end + len, is_matrix });
            end += len;
        }
        buckets.push(Bucket::of(open, ranks.size()));
        let mut places = BTreeMap::new();
        for (at, bucket) in buckets.iter().enumerate() {
            for (place, slice) in bucket.parameters.iter().enumerate() {
                places.insert(slice.name.clone(), (at, place));
            }
        }
        Self { buckets, places, rank: ranks.rank() }
    }

    /// What an update's gradients are sent through.
    pub(super) fn outbox<'c>(&self, communicator: &'c dyn Communicator) -> Outbox<'_, 'c> {
        let open = |bucket: &Bucket| Some((Vec::new(), bucket.parameters.len()));
        Outbox {
            shards: self,
            communicator,
            open: self.buckets.iter().map(open).collect(),
            names: BTreeSet::new(),
            sent: Vec::new(),
        }
    }

    fn parameters(&self) -> impl Iterator<Item = &Slice> {
        self.buckets.iter().flat_map(|bucket| &bucket.parameters)
    }

    /// One update from the gradients of all ranks; the norm of their sum, or `None` if no rank has a
    /// gradient, which leaves everything as it is.
    ///
    /// # Errors
    /// [`TrainError::GradientNotFinite`], before anything has been changed; what the ranks say.
    pub(super) fn step<M: Module>(
        &self,
        model: &mut M,
        optimizer: &mut NamedAdamW,
        in_flight: InFlight<'_>,
        ranks: Ranks<'_>,
        max_grad_norm: f64,
        learning_rate: &dyn Fn(&str) -> f64,
    ) -> Result<Option<f64>, TrainError> {
        let InFlight { sent, names, .. } = in_flight;
        let Some(present) = self.present(&names, ranks)? else { return Ok(None) };
        let communicator = ranks.communicator();
        let mut sums = Vec::with_capacity(sent.len());
        for sent in sent {
            sums.push(sent.wait()?);
        }
        let norm = self.norm(&sums, ranks)?;
        let scale = clip_factor(norm, max_grad_norm);
        optimizer.begin_step();
        for (bucket, sum) in self.buckets.iter().zip(sums) {
            let own = bucket.own(self.rank);
            let mut mine = vec![0.0; own.len()];
            for (slice, part) in bucket.parts(self.rank) {
                let here = shifted(&part, own.start);
                if !part.is_empty() {
                    let values = parameters::values(model, &slice.name)?;
                    let values = values.slice(shifted(&part, slice.range.start));
                    mine[here.clone()].copy_from_slice(&host_values(values));
                }
                // Also where nothing of it is this rank's: all have the names of a checkpoint.
                if present.contains(slice.name.as_str()) {
                    let rate = learning_rate(&slice.name);
                    let (values, gradient) = (&mut mine[here.clone()], &sum[here]);
                    optimizer.step_part(
                        &slice.name,
                        values,
                        gradient,
                        rate,
                        scale,
                        slice.is_matrix,
                    );
                }
            }
            let all = communicator.join(mine, &bucket.cuts)?;
            let mut new: BTreeMap<&str, &[f32]> = BTreeMap::new();
            for slice in &bucket.parameters {
                new.insert(&slice.name, &all[slice.range.clone()]);
            }
            parameters::update(model, &mut |name, old| match new.get(name) {
                Some(values) => Tensor::from_data(
                    TensorData::new(values.to_vec(), [values.len()]),
                    &old.device(),
                ),
                None => old,
            });
        }
        Ok(Some(norm))
    }

    /// The parameters that any rank has a gradient of; `None` if there are none.
    fn present(
        &self,
        names: &BTreeSet<String>,
        ranks: Ranks<'_>,
    ) -> Result<Option<BTreeSet<&str>>, TrainError> {
        let here: Vec<bool> = self.parameters().map(|slice| names.contains(&slice.name)).collect();
        let all = ranks.gather(here)?;
        let any = |at: usize| all.iter().any(|of_rank| of_rank[at]);
        let named = self.parameters().enumerate().filter(|(at, _)| any(*at));
        let present: BTreeSet<&str> = named.map(|(_, slice)| slice.name.as_str()).collect();
        Ok((!present.is_empty()).then_some(present))
    }

    /// The norm of all gradients, given this rank's parts of their sums.
    fn norm(&self, sums: &[Vec<f32>], ranks: Ranks<'_>) -> Result<f64, TrainError> {
        let mut square = 0.0;
        let mut bad = None;
        for (bucket, sum) in self.buckets.iter().zip(sums) {
            for (slice, part) in bucket.parts(self.rank) {
                let values = &sum[shifted(&part, bucket.own(self.rank).start)];
                let found: f64 = values.iter().map(|x| f64::from(*x).powi(2)).sum();
                if !found.is_finite() && bad.is_none() {
                    bad = Some(slice.name.clone());
                }
                square += found;
            }
        }
        let all = ranks.gather((square, bad))?;
        match all.iter().find_map(|(_, bad)| bad.clone()) {
            Some(parameter) => Err(TrainError::GradientNotFinite { parameter }),
            None => Ok(all.iter().map(|(square, _)| square).sum::<f64>().sqrt()),
        }
    }

    /// A parameter's moments whole, on every rank, from those of this rank's values.
    pub(super) fn gathered(
        &self,
        name: &str,
        mine: &[f32],
        ranks: Ranks<'_>,
    ) -> Result<Vec<f32>, TrainError> {
        let Some((bucket, slice)) = self.find(name) else { return Ok(mine.to_vec()) };
        let within =
            |cut: &usize| cut.clamp(&slice.range.start, &slice.range.end) - slice.range.start;
        let cuts: Vec<usize> = bucket.cuts.iter().map(within).collect();
        ranks.communicator().join(mine.to_vec(), &cuts)
    }

    /// Which values of a parameter this rank updates.
    pub(super) fn own(&self, name: &str) -> Range<usize> {
        self.find(name).map_or(0..0, |(bucket, slice)| {
            shifted(&slice.within(&bucket.own(self.rank)), slice.range.start)
        })
    }

    fn find(&self, name: &str) -> Option<(&Bucket, &Slice)> {
        let &(at, place) = self.places.get(name)?;
        Some((&self.buckets[at], &self.buckets[at].parameters[place]))
    }
}

/// The number of the layer that a parameter belongs to by its name, counted from 1; 0 for others.
fn layer(name: &str) -> usize {
    let mut parts = name.split('.').skip_while(|part| !["layers", "layer"].contains(part));
    parts.nth(1).and_then(|number| number.parse::<usize>().ok()).map_or(0, |number| number + 1)
}
