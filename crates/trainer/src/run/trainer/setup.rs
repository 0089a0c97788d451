//! The parts of the loop, as they are before the first step.

use std::time::Instant;

use super::sharded::Shards;
use crate::communicator::{Ranks, Traffic};
use crate::data::DataOrder;
use crate::metric::MetricSums;
use crate::optimizer::NamedAdamW;
use crate::progress::Progress;
use crate::run::TrainingRun;
use crate::run::folder::RunFolder;
use crate::run::settings::TrainSettings;
use crate::run::summary::Spent;
use crate::schedule::Schedule;
use crate::state::{RunState, VERSION};

/// A run with everything that belongs to it while it is made.
pub(super) struct Trainer<'a, R: TrainingRun> {
    pub(super) run: &'a mut R,
    pub(super) settings: &'a TrainSettings,
    pub(super) ranks: Ranks<'a>,
    pub(super) folder: RunFolder,
    pub(super) progress: &'a mut dyn Progress,
    pub(super) optimizer: NamedAdamW,
    /// Which rank updates what; `None` with a single rank.
    pub(super) shards: Option<Shards>,
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
    pub(super) spent: Spent,
    pub(super) first_step: u64,
    pub(super) window_started: Instant,
    pub(super) window_tokens: u64,
    /// Exchanged up to the last line of metrics, and at which step that was.
    pub(super) traffic: Traffic,
    pub(super) logged_step: u64,
    /// Sum over updates since then of the share of gradients that was sent early, and their number.
    pub(super) early: f64,
    pub(super) updates: u64,
}

impl<'a, R: TrainingRun> Trainer<'a, R> {
    pub(super) fn new(
        run: &'a mut R,
        settings: &'a TrainSettings,
        ranks: Ranks<'a>,
        folder: RunFolder,
        progress: &'a mut dyn Progress,
    ) -> Self {
        let global_batch = settings.global_batch();
        let rows = run.row_count();
        let order = if let Some(mix) = settings.mix.clone() {
            DataOrder::mixed(mix, settings.seed)
        } else if settings.shuffle {
            DataOrder::shuffled(rows, settings.seed)
        } else {
            DataOrder::sequential(rows)
        };
        let total_steps = settings.total_steps(rows, global_batch);
        let state = RunState {
            version: VERSION,
            step: 0,
            epoch: 0.0,
            order: order.state(),
            seed: settings.seed,
            total_steps,
            optimizer_step: 0,
            num_tokens: 0,
            pending: MetricSums::default(),
            best: None,
            evaluations_since_best: 0,
            fingerprint: run.fingerprint(),
            base: settings.base.clone(),
            has_reference: false,
            metrics_rows: 0,
            extra: serde_json::Value::Null,
        };
        let now = Instant::now();
        Self {
            optimizer: NamedAdamW::new(settings.optimizer),
            shards: (!ranks.is_alone()).then(|| Shards::new(run.model(), ranks)),
            schedule: settings.schedule.over(total_steps),
            pace: Pace {
                started: now,
                spent: Spent::default(),
                first_step: 0,
                window_started: now,
                window_tokens: 0,
                traffic: Traffic::default(),
                logged_step: 0,
                early: 0.0,
                updates: 0,
            },
            last_train: Vec::new(),
            last_eval: Vec::new(),
            between_updates: false,
            run,
            settings,
            ranks,
            folder,
            progress,
            order,
            global_batch,
            state,
        }
    }
}
