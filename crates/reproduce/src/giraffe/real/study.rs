//! The passes: every arm reads every record once and answers all questions about it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

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
use crate::{Options, Pace, Progress, ReproduceError};

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
    let timed = Timed::new(settings, records);
    let mut work = Work { settings, options, timed, passes: Vec::new() };
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
    timed: Timed,
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
        self.timed.done(self.timed.training, took.seconds);
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
        self.timed.done(work(length), pass.seconds);
        if made {
            let of = |part: fn(&Answered) -> bool| pass.answered.iter().filter(|a| part(a)).count();
            progress.notice(&format!(
                "{}, {length} tokens, record {}: {} of {} found, {} said, {:.0} s; {} passes of {} done{}",
                arm.label(),
                job.record,
                of(|answered| answered.found),
                pass.answered.len(),
                of(|answered| answered.said),
                pass.seconds,
                self.passes.len() + 1,
                self.timed.passes,
                self.timed.left(),
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

/// What the passes and the training cost, each by its work in tokens of short passes, and the seconds
/// that those done took, whichever start made them.
struct Timed {
    pace: Pace,
    took: Duration,
    training: f64,
    passes: usize,
}

impl Timed {
    fn new(settings: &Settings, records: usize) -> Self {
        let runs = Arm::ALL.len() * records;
        let each: f64 = settings.lengths.iter().map(|length| work(*length)).sum();
        let training = STEP * settings.windows().into_iter().map(work).sum::<f64>();
        Self {
            pace: Pace::new([runs as f64 * each, training]),
            took: Duration::ZERO,
            training,
            passes: runs * settings.lengths.len(),
        }
    }

    fn done(&mut self, work: f64, seconds: f64) {
        self.pace.done(work);
        self.took += Duration::from_secs_f64(seconds);
    }

    /// The time left, in words to follow others.
    fn left(&self) -> String {
        self.pace.left(self.took).map_or_else(String::new, |left| format!(", about {left} left"))
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
        let settings = Settings { lengths: [6_100; 3], ..Settings::smollm2() };
        let mut timed = Timed::new(&settings, 3);
        assert_eq!((timed.passes, timed.left()), (54, String::new()));
        timed.done(timed.training, 3600.0);
        // Eight windows of 10,000 to 12,000 tokens, four times as dear, against 54 passes of 12,200.
        let minutes = 60.0 * 54.0 * 12_200.0 / timed.training;
        assert_eq!(timed.left(), format!(", about {minutes:.0} min left"));
    }
}
