//! The passes: every arm reads every record once and answers all questions about it.

use std::path::PathBuf;
use std::time::Instant;

use bestof_checkpoints::ModelFolder;
use bestof_models::{Decoder, open_device};
use bestof_tasks::rng::Split;
use bestof_trainer::TrainError;
use serde::{Deserialize, Serialize};

use super::arm::Arm;
use super::reading::{Answered, read};
use super::records::Writer;
use super::settings::Settings;
use super::shares::{Answers, spread_over_records};
use super::training::{Trained, trained};
use crate::kept::{keep, taken_up};
use crate::{Options, Progress, ReproduceError};

/// Tokens at which attention costs as much as everything else: that of 30 layers with 9 heads of 64
/// channels beside 106 million weights. Estimates of time need no more than this.
const EVEN: f64 = 6_100.0;
/// Forward passes that a step of training with recomputation costs.
const STEP: f64 = 4.0;

/// What one pass gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Pass {
    /// Of each question, by depth.
    pub(super) answered: Vec<Answered>,
    /// Tokens that were computed.
    pub(super) tokens: usize,
    /// Seconds it took.
    pub(super) seconds: f64,
}

/// What an arm did at one length.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cell {
    pub(super) arm: Arm,
    /// Place of the length among those of the settings.
    pub(super) place: usize,
    /// One pass for each record.
    pub(super) passes: Vec<Pass>,
}

/// Everything that was measured.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Study {
    pub(super) cells: Vec<Cell>,
    pub(super) trained: Trained,
    /// Of the whole study; see [`spread_over_records`].
    pub(super) spread: f64,
}

impl Study {
    /// A study of these cells.
    pub(super) fn new(cells: Vec<Cell>, trained: Trained) -> Self {
        let answers: Vec<Answers> = cells.iter().map(Cell::answers).collect();
        Self { cells, trained, spread: spread_over_records(answers.iter()) }
    }

    /// The answers of an arm at some of the lengths, record by record.
    pub(super) fn answers(&self, arm: Arm, places: &[usize]) -> Answers {
        places
            .iter()
            .flat_map(|place| self.cells.iter().filter(move |cell| cell.place == *place))
            .filter(|cell| cell.arm == arm)
            .flat_map(Cell::answers)
            .collect()
    }
}

impl Cell {
    /// Which values were found, record by record.
    pub(super) fn answers(&self) -> Answers {
        self.of_each(|answered| answered.found)
    }

    /// Which values were said, token by likeliest token, record by record.
    pub(super) fn said(&self) -> Answers {
        self.of_each(|answered| answered.said)
    }

    fn of_each(&self, part: impl Fn(&Answered) -> bool) -> Answers {
        self.passes.iter().map(|pass| pass.answered.iter().map(&part).collect()).collect()
    }

    /// Mean of `-ln p` of the values.
    pub(super) fn nats(&self) -> f64 {
        let all = || self.passes.iter().flat_map(|pass| &pass.answered);
        all().map(|answered| answered.nats).sum::<f64>() / all().count() as f64
    }
}

/// A pass to be made.
#[derive(Debug, Clone, Copy)]
struct Job {
    arm: Arm,
    place: usize,
    record: usize,
}

/// Makes every pass that is not kept, record by record, and trains before the first trained one.
pub(super) fn run(
    settings: &Settings,
    records: usize,
    options: &Options,
    progress: &mut dyn Progress,
) -> Result<Study, ReproduceError> {
    let base = ModelFolder::open(&settings.model).map_err(TrainError::from)?;
    let made_with = format!(
        "bestof-reproduce {}, seed {}, device {}, model {}",
        env!("CARGO_PKG_VERSION"),
        options.seed,
        options.device,
        base.files_hash().map_err(TrainError::from)?,
    );
    let pace = Pace::new(settings, records);
    let mut work = Work { settings, options, pace, passes: Vec::new() };
    let places = 0..settings.lengths.len();
    let mut learned = None;
    for record in 0..records {
        for arm in Arm::untrained() {
            for place in places.clone() {
                work.pass(Job { arm, place, record }, &base, &made_with, progress)?;
            }
        }
        let (folder, made_with, _) = match &mut learned {
            Some(learned) => learned,
            none => none.insert(work.learned(&base, &made_with, progress)?),
        };
        for place in places.clone() {
            work.pass(Job { arm: Arm::Trained, place, record }, folder, made_with, progress)?;
        }
    }
    let trained = learned.map_or_else(Trained::default, |(_, _, trained)| trained);
    let passes = work.passes;
    let mut cells = Vec::new();
    for arm in Arm::ALL {
        for place in places.clone() {
            let of = passes.iter().filter(|(job, _)| (job.arm, job.place) == (arm, place));
            cells.push(Cell { arm, place, passes: of.map(|(_, pass)| pass.clone()).collect() });
        }
    }
    Ok(Study::new(cells, trained))
}

struct Work<'a> {
    settings: &'a Settings,
    options: &'a Options,
    pace: Pace,
    passes: Vec<(Job, Pass)>,
}

impl Work<'_> {
    /// The trained model, what its passes are made with, and what training took.
    fn learned(
        &mut self,
        base: &ModelFolder,
        made_with: &str,
        progress: &mut dyn Progress,
    ) -> Result<(ModelFolder, String, Trained), ReproduceError> {
        let (folder, took) = trained(self.settings, self.options, base, made_with, progress)?;
        self.pace.trained(&took);
        let folder = ModelFolder::open(&folder).map_err(TrainError::from)?;
        let hash = folder.files_hash().map_err(TrainError::from)?;
        Ok((folder, format!("{made_with}, trained {hash}"), took))
    }

    /// Makes a pass, or takes up the one that is kept.
    fn pass(
        &mut self,
        job: Job,
        base: &ModelFolder,
        made_with: &str,
        progress: &mut dyn Progress,
    ) -> Result<(), ReproduceError> {
        let Settings { lengths, questions, choices, .. } = self.settings;
        let (length, arm) = (lengths[job.place], job.arm);
        let made_with = format!(
            "{made_with}\n{}, length {length}, record {}, {questions} questions, {choices} choices",
            arm.name(),
            job.record
        );
        let name = format!("{}-{length}-{}.json", arm.name(), job.record);
        let file: PathBuf = self.options.out.join("passes").join(name);
        let kept = taken_up(&file, &made_with, progress);
        let made = kept.is_none();
        let pass = match kept {
            Some(pass) => pass,
            None => self.read(job, base)?,
        };
        if made {
            keep(&file, &made_with, &pass)?;
        }
        self.pace.passed(length, pass.seconds);
        if made {
            let of = |part: fn(&Answered) -> bool| pass.answered.iter().filter(|a| part(a)).count();
            progress.notice(&format!(
                "{}, {length} tokens, record {}: {} of {} found, {} said, {:.0} s; {} passes of {} done, about {:.1} hours left",
                arm.label(),
                job.record,
                of(|answered| answered.found),
                pass.answered.len(),
                of(|answered| answered.said),
                pass.seconds,
                self.passes.len() + 1,
                self.pace.passes,
                self.pace.hours_left(),
            ));
        }
        self.passes.push((job, pass));
        Ok(())
    }

    fn read(&self, job: Job, base: &ModelFolder) -> Result<Pass, ReproduceError> {
        let started = Instant::now();
        let settings = self.settings;
        let writer = Writer::new(base)?;
        // Another record at every length, the same one for every arm.
        let number = (self.options.seed, (job.place << 16 | job.record) as u64);
        let Settings { lengths, questions, choices, .. } = settings;
        let record = writer.record(number, Split::HeldOut, lengths[job.place], 0)?;
        let questions = writer.questions(&record, number, *questions, *choices)?;
        let device = open_device(&self.options.device).map_err(TrainError::from)?;
        let model = Decoder::open(&job.arm.put_on(base)?, &device).map_err(TrainError::from)?;
        let continues = |token| writer.continues_number(token);
        let (answered, tokens) = read(&model, &questions, &continues)?;
        Ok(Pass { answered, tokens, seconds: started.elapsed().as_secs_f64() })
    }
}

/// How long the rest will take.
struct Pace {
    /// Work in all, in tokens of short passes, and what is done of it, with its seconds.
    all: f64,
    done: f64,
    seconds: f64,
    training: f64,
    passes: usize,
}

impl Pace {
    fn new(settings: &Settings, records: usize) -> Self {
        let arms = Arm::ALL.len();
        let each: f64 = settings.lengths.iter().map(|length| work(*length)).sum();
        let training = STEP * settings.windows().into_iter().map(work).sum::<f64>();
        Self {
            all: (arms * records) as f64 * each + training,
            done: 0.0,
            seconds: 0.0,
            training,
            passes: arms * records * settings.lengths.len(),
        }
    }

    fn passed(&mut self, length: usize, seconds: f64) {
        self.done += work(length);
        self.seconds += seconds;
    }

    fn trained(&mut self, trained: &Trained) {
        self.done += self.training;
        self.seconds += trained.seconds;
    }

    fn hours_left(&self) -> f64 {
        (self.all - self.done) * self.seconds / self.done / 3600.0
    }
}

/// What a forward pass over so many tokens costs, in tokens of a short one.
fn work(tokens: usize) -> f64 {
    tokens as f64 * (1.0 + tokens as f64 / EVEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_takes_as_long_as_its_share_of_the_work() {
        let mut pace = Pace::new(&Settings::smollm2(), 3);
        let all = pace.all;
        pace.passed(6_100, 3600.0);
        assert!((pace.hours_left() - (all / (2.0 * 6_100.0) - 1.0)).abs() < 1e-6);
        assert_eq!(pace.passes, 54);
    }
}
