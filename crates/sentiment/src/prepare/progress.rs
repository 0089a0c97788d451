//! Progress of a preparation.

use std::time::{Duration, Instant};

/// Rows between two reports.
const EVERY: u64 = 4096;

/// Progress of a preparation.
#[derive(Debug, Clone, PartialEq)]
pub struct PrepareProgress {
    /// The stage: `businesses`, `reviews`, `users` or `writing`.
    pub stage: &'static str,
    /// Bytes read of the stage's file, or rows written.
    pub done: u64,
    /// Bytes of the file, or rows to write.
    pub total: u64,
    /// Rows kept so far.
    pub kept: u64,
    /// Estimated remaining time of the stage, once some of it is done.
    pub time_left: Option<Duration>,
}

/// Times the stages and reports their progress.
pub(super) struct StageTimer<'a> {
    listener: &'a mut dyn FnMut(&PrepareProgress),
    stage: &'static str,
    total: u64,
    started: Instant,
    calls: u64,
}

impl<'a> StageTimer<'a> {
    pub(super) fn new(listener: &'a mut dyn FnMut(&PrepareProgress)) -> Self {
        Self { listener, stage: "", total: 0, started: Instant::now(), calls: 0 }
    }

    pub(super) fn stage(&mut self, stage: &'static str, total: u64) {
        (self.stage, self.total, self.calls) = (stage, total, 0);
        self.started = Instant::now();
        self.report(0, 0);
    }

    /// Called for each row; reports every few thousand rows, and at the end.
    pub(super) fn update(&mut self, done: u64, kept: u64) {
        self.calls += 1;
        if self.calls.is_multiple_of(EVERY) || done >= self.total {
            self.report(done, kept);
        }
    }

    fn report(&mut self, done: u64, kept: u64) {
        let spent = self.started.elapsed().as_secs_f64();
        let left = self.total.saturating_sub(done) as f64;
        let time_left = (done > 0 && spent > 0.0)
            .then(|| Duration::try_from_secs_f64(left / done as f64 * spent).ok())
            .flatten();
        let (stage, total) = (self.stage, self.total);
        (self.listener)(&PrepareProgress { stage, done, total, kept, time_left });
    }
}
