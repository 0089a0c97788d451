//! The parts of the loop, as they are before the first step.

use std::time::Instant;

use crate::communicator::Communicator;
use crate::config::RunConfig;
use crate::data::DataOrder;
use crate::metric::MetricSums;
use crate::optimizer::NamedAdamW;
use crate::progress::Progress;
use crate::run::TrainingRun;
use crate::run::folder::RunFolder;
use crate::schedule::{Schedule, ScheduleSettings};
use crate::state::{RunState, VERSION};

/// A run with everything that belongs to it while it is made.
pub(super) struct Trainer<'a, R: TrainingRun> {
    pub(super) run: &'a mut R,
    pub(super) config: &'a RunConfig,
    pub(super) communicator: &'a dyn Communicator,
    pub(super) folder: RunFolder,
    pub(super) progress: &'a mut dyn Progress,
    pub(super) optimizer: NamedAdamW,
    pub(super) schedule: Schedule,
    pub(super) order: DataOrder,
    pub(super) global_batch: usize,
    pub(super) state: RunState,
    pub(super) pace: Pace,
    pub(super) last_train: Vec<(String, f64)>,
    pub(super) last_eval: Vec<(String, f64)>,
    /// Whether the weights are those of an unfinished step.
    pub(super) between_updates: bool,
}

/// What is measured by the clock, and therefore not saved.
pub(super) struct Pace {
    pub(super) started: Instant,
    pub(super) first_step: u64,
    pub(super) window_started: Instant,
    pub(super) window_tokens: u64,
}

impl<'a, R: TrainingRun> Trainer<'a, R> {
    pub(super) fn new(
        run: &'a mut R,
        config: &'a RunConfig,
        communicator: &'a dyn Communicator,
        folder: RunFolder,
        progress: &'a mut dyn Progress,
    ) -> Self {
        let train = &config.train;
        let global_batch = train.per_device_train_batch_size
            * train.gradient_accumulation_steps
            * communicator.size();
        let rows = run.row_count();
        let order = if config.data.shuffle {
            DataOrder::shuffled(rows, train.seed)
        } else {
            DataOrder::sequential(rows)
        };
        let total_steps = u64::try_from(train.max_steps).unwrap_or_else(|_| {
            (train.num_train_epochs * rows.div_ceil(global_batch) as f64).ceil() as u64
        });
        let state = RunState {
            version: VERSION,
            step: 0,
            epoch: 0.0,
            order: order.state(),
            seed: train.seed,
            total_steps,
            optimizer_step: 0,
            num_tokens: 0,
            pending: MetricSums::default(),
            best: None,
            evaluations_since_best: 0,
            fingerprint: run.fingerprint(),
            extra: serde_json::Value::Null,
        };
        let now = Instant::now();
        Self {
            optimizer: NamedAdamW::new(train.into()),
            schedule: ScheduleSettings::from(train).over(total_steps),
            pace: Pace { started: now, first_step: 0, window_started: now, window_tokens: 0 },
            last_train: Vec::new(),
            last_eval: Vec::new(),
            between_updates: false,
            run,
            config,
            communicator,
            folder,
            progress,
            order,
            global_batch,
            state,
        }
    }
}
