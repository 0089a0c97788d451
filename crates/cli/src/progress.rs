//! Bars and remarks of scoring and training, on stderr.

use std::time::Duration;

use bestof_trainer::displacement::DisplacementWarning;
use bestof_trainer::progress::{Progress, StepProgress};
use indicatif::{HumanDuration, ProgressBar};

use crate::console;
use crate::signals;

/// Draws what a run tells.
#[derive(Debug)]
pub(crate) struct Bars {
    rows: Option<(String, ProgressBar)>,
    steps: Option<ProgressBar>,
    /// Whether a run can be gone on with.
    resumable: bool,
    prefix: String,
}

impl Bars {
    /// Bars without a name.
    pub(crate) fn new() -> Self {
        Self::named("")
    }

    /// Bars of a run that can be gone on with. A signal stops it after a step.
    pub(crate) fn resumable() -> Self {
        Self { resumable: true, ..Self::new() }
    }

    /// Bars of a run with a name, for when several follow each other.
    pub(crate) fn named(name: &str) -> Self {
        let prefix = if name.is_empty() { String::new() } else { format!("{name}: ") };
        Self { rows: None, steps: None, resumable: false, prefix }
    }

    fn clear_rows(&mut self) {
        if let Some((_, bar)) = self.rows.take() {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Bars {
    fn rows(&mut self, what: &str, done: usize, total: usize) {
        if self.rows.as_ref().is_none_or(|(name, _)| name != what) {
            self.clear_rows();
            let template =
                format!("{}{what} {{wide_bar}} {{pos}} of {{len}} rows {{eta}}", self.prefix);
            self.rows = Some((what.to_owned(), console::bar(total as u64, &template)));
        }
        if let Some((_, bar)) = &self.rows {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        }
        if done == total {
            self.clear_rows();
        }
    }

    fn step(&mut self, progress: &StepProgress) {
        let prefix = &self.prefix;
        let bar = self.steps.get_or_insert_with(|| {
            let template = format!("{prefix}step {{pos}} of {{len}} {{wide_bar}} {{msg}}");
            console::bar(progress.total_steps, &template)
        });
        bar.set_position(progress.step);
        let left = Duration::from_secs(progress.time_left.as_secs());
        bar.set_message(format!(
            "loss {:.4}  {:.0} tokens/s  {} left",
            progress.loss,
            progress.tokens_per_second,
            HumanDuration(left)
        ));
        if progress.step >= progress.total_steps {
            bar.finish_and_clear();
            self.steps = None;
        }
    }

    fn evaluated(&mut self, step: u64, metrics: &[(String, f64)]) {
        let shown: Vec<String> = metrics
            .iter()
            .filter(|(name, _)| {
                let names =
                    ["loss", "rewards/accuracies", "logps/chosen_vs_ref", "perplexity", "reward"];
                names.contains(&name.as_str())
                    || name.strip_prefix("pass@").is_some_and(|k| k.parse::<usize>().is_ok())
            })
            .map(|(name, value)| format!("{name} {value:.4}"))
            .collect();
        self.say(&format!("evaluation at step {step}: {}", shown.join("  ")));
    }

    fn displaced(&mut self, warning: &DisplacementWarning) {
        self.say(&format!("warning: {warning}"));
    }

    fn notice(&mut self, text: &str) {
        self.say(text);
    }

    fn stepping(&mut self, stepping: bool) {
        signals::stepping(stepping && self.resumable);
        if !stepping && let Some(bar) = self.steps.take() {
            bar.finish_and_clear();
        }
    }

    fn wants_stop(&mut self) -> bool {
        self.resumable && signals::wants_stop()
    }
}

impl Bars {
    fn say(&self, text: &str) {
        let text = format!("{}{text}", self.prefix);
        match &self.steps {
            Some(bar) => bar.suspend(|| console::note(&text)),
            None => console::note(&text),
        }
    }
}
