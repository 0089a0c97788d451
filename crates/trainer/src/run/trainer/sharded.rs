//! Gradients summed over ranks, and an optimiser of which each rank keeps a part (`ZeRO` stage 1).

use std::collections::BTreeMap;
use std::ops::Range;

use bestof_kernels::host_values;
use bestof_models::parameters;
use burn::module::Module;
use burn::tensor::{Tensor, TensorData};

use crate::communicator::{Ranks, Scattered};
use crate::error::TrainError;
use crate::gradients::NamedGradients;
use crate::optimizer::{NamedAdamW, clip_factor};

/// Values of a bucket; one with a larger parameter has only that.
const BUCKET_VALUES: usize = 4 << 20;

/// The trained parameters in buckets, of each of which every rank updates a part.
///
/// A step sends the gradients of a bucket to the ranks that own its parts, which add them in f64 in the order of
/// the ranks, update their parts with their own moments, and send the new values to all: as many bytes as an
/// all-reduce, and `1 / size` of the moments on each rank.
///
/// Source: Rajbhandari et al. 2020, arXiv:1910.02054, section 5.1.
#[derive(Debug)]
pub(super) struct Shards {
    buckets: Vec<Bucket>,
    rank: usize,
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
        let within = move |at: usize| at.clamp(own.start, own.end);
        let part = move |slice: &Slice| within(slice.range.start)..within(slice.range.end);
        self.parameters.iter().map(move |slice| (slice, part(slice)))
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
        for info in parameters::trainable(model) {
            let len = info.len();
            if !open.is_empty() && end + len > BUCKET_VALUES {
                buckets.push(Bucket::of(std::mem::take(&mut open), ranks.size()));
                end = 0;
            }
            let is_matrix = info.shape.len() >= 2;
            open.push(Slice { name: info.name, range: end..end + len, is_matrix });
            end += len;
        }
        buckets.push(Bucket::of(open, ranks.size()));
        Self { buckets, rank: ranks.rank() }
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
        mut gradients: NamedGradients,
        ranks: Ranks<'_>,
        max_grad_norm: f64,
        learning_rate: &dyn Fn(&str) -> f64,
    ) -> Result<Option<f64>, TrainError> {
        let Some(present) = self.present(&gradients, ranks)? else { return Ok(None) };
        let communicator = ranks.communicator();
        let mut sent: Vec<Box<dyn Scattered + '_>> = Vec::with_capacity(self.buckets.len());
        for bucket in &self.buckets {
            let mut flat = vec![0.0; bucket.len()];
            for slice in &bucket.parameters {
                if let Some(gradient) = gradients.remove(&slice.name) {
                    flat[slice.range.clone()].copy_from_slice(&host_values(gradient));
                }
            }
            sent.push(communicator.scatter(flat, &bucket.cuts)?);
        }
        let mut sums = Vec::with_capacity(sent.len());
        for sent in sent {
            sums.push(added(&sent.wait()?));
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
                    let values = host_values(parameters::values(model, &slice.name)?);
                    mine[here.clone()].copy_from_slice(&values[shifted(&part, slice.range.start)]);
                }
                // Also where nothing of it is this rank's: all have the names of a checkpoint.
                if present.contains_key(slice.name.as_str()) {
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
        gradients: &NamedGradients,
        ranks: Ranks<'_>,
    ) -> Result<Option<BTreeMap<&str, ()>>, TrainError> {
        let here: Vec<bool> =
            self.parameters().map(|slice| gradients.contains(&slice.name)).collect();
        let all = ranks.gather(here)?;
        let any = |at: usize| all.iter().any(|of_rank| of_rank[at]);
        let named = self.parameters().enumerate().filter(|(at, _)| any(*at));
        let present: BTreeMap<&str, ()> =
            named.map(|(_, slice)| (slice.name.as_str(), ())).collect();
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
        let found = self.find(name).and_then(|(bucket, slice)| {
            let (_, part) = bucket.parts(self.rank).find(|(of, _)| of.name == slice.name)?;
            Some(shifted(&part, slice.range.start))
        });
        found.unwrap_or(0..0)
    }

    fn find(&self, name: &str) -> Option<(&Bucket, &Slice)> {
        self.buckets.iter().find_map(|bucket| {
            Some((bucket, bucket.parameters.iter().find(|slice| slice.name == name)?))
        })
    }
}

/// Sums over ranks, in f64 and in their order.
fn added(parts: &[Vec<f32>]) -> Vec<f32> {
    let len = parts.first().map_or(0, Vec::len);
    let at = |i: usize| parts.iter().map(|part| f64::from(part[i])).sum::<f64>() as f32;
    (0..len).map(at).collect()
}
