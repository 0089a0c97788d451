//! What the evaluations of long prompts share: lengths, room, rows and files.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use bestof_files::Output;
use bestof_positional::hf::{HfRope, LayerRopes};
use bestof_tasks::long_context::LongContextError;
use bestof_tasks::rows::{ReadOptions, Row, read_rows};
use bestof_trainer::data::Encoder;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::console::{self, Usage};
use crate::model::{ModelArg, Opened, template_of};
use crate::ranks::{is_first, ranks};

/// The message a chat template is measured with.
const PROBE: &str = "x";

/// The lengths asked for, or powers of two up to 8192, each within the model's context.
pub(super) fn lengths(asked: &[usize], longest: usize) -> Result<Vec<usize>> {
    let mut lengths = asked.to_vec();
    if lengths.is_empty() {
        lengths = [1024, 2048, 4096, 8192].into_iter().filter(|l| *l <= longest).collect();
        if lengths.is_empty() {
            lengths.push(longest);
        }
    }
    if let Some(length) = lengths.iter().find(|length| **length > longest) {
        bail!(Usage(format!(
            "--lengths {length}: the model sees {longest} tokens at most; change its basis with \
             `extend`, or evaluate at a larger factor with --eval-factor"
        )));
    }
    lengths.sort_unstable();
    lengths.dedup();
    Ok(lengths)
}

/// Tokens beside the prompt's text: the first ones or the template.
pub(super) fn around(opened: &Opened, encoder: &Encoder<'_>, chat: bool) -> Result<usize> {
    if !chat {
        return Ok(encoder.leading_ids().len());
    }
    let template = template_of(&opened.folder)?;
    let messages = [bestof_checkpoints::Message::new("user", PROBE)];
    let rendered = template.render(&messages, true)?;
    Ok(encoder.tokenizer().encode(&rendered, false)?.len())
}

/// What counts the tokens of a text; one that cannot be encoded is too long for any prompt.
pub(super) fn counter<'a>(encoder: &'a Encoder<'_>) -> impl Fn(&str) -> usize + 'a {
    let tokenizer = encoder.tokenizer();
    |text: &str| tokenizer.encode(text, false).map_or(usize::MAX / 2, |ids| ids.len())
}

/// A setting that makes no case is wrong usage.
pub(super) fn wrong(error: LongContextError) -> anyhow::Error {
    use LongContextError::{RulerTooShort, Setting, TooShort};
    match error {
        Setting { .. } | TooShort { .. } | RulerTooShort { .. } => Usage(error.to_string()).into(),
        other => other.into(),
    }
}

/// Rows with their lines; bad ones are listed where they may be left out.
pub(super) fn rows_of<R: Row>(path: &Path, options: &ReadOptions) -> Result<Vec<(usize, R)>> {
    let rows = read_rows::<R>(path, options)?;
    if !rows.skipped.is_empty() {
        console::note(&rows.skipped.to_string());
    }
    Ok(rows.lines.into_iter().zip(rows.rows).collect())
}

/// A file for answers, one JSON object a line.
pub(super) struct Samples(Option<Output>);

impl Samples {
    pub(super) fn create(path: Option<&Path>) -> Result<Self> {
        Ok(Self(path.filter(|_| is_first()).map(Output::create).transpose()?))
    }

    pub(super) fn write(&mut self, answer: &impl serde::Serialize) -> Result<()> {
        if let Some(file) = &mut self.0 {
            serde_json::to_writer(&mut *file, answer)?;
            writeln!(file).context("could not write the answers")?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<()> {
        match self.0 {
            Some(file) => Ok(file.finish()?),
            None => Ok(()),
        }
    }
}

/// Says how many prompts were not asked.
pub(super) fn note_left_out(too_long: usize) {
    if too_long > 0 {
        console::note(&format!(
            "{too_long} prompts left out: with the answer they are longer than the lengths asked for"
        ));
    }
}

/// The answers to cases that are dealt to the ranks.
pub(super) struct Answers<A> {
    samples: Samples,
    found: Vec<(usize, A)>,
    too_long: usize,
    met: usize,
}

impl<A: Serialize + DeserializeOwned> Answers<A> {
    /// None so far; they are written to a file, if one is named.
    pub(super) fn create(path: Option<&Path>) -> Result<Self> {
        let samples = Samples::create(path)?;
        Ok(Self { samples, found: Vec::new(), too_long: 0, met: 0 })
    }

    /// Takes the answer to the next case, or that the case was too long for one; `ask` is called on the rank
    /// whose case it is.
    pub(super) fn take(&mut self, ask: impl FnOnce() -> Result<Option<A>>) -> Result<()> {
        let ranks = ranks();
        let case = self.met;
        self.met += 1;
        if case % ranks.size() != ranks.rank() {
            return Ok(());
        }
        match ask()? {
            Some(answer) => {
                if ranks.is_alone() {
                    self.samples.write(&answer)?;
                }
                self.found.push((case, answer));
            }
            None => self.too_long += 1,
        }
        Ok(())
    }

    /// All answers in the order of their cases, and how many cases were too long.
    pub(super) fn finish(mut self) -> Result<(Vec<A>, usize)> {
        let ranks = ranks();
        if !ranks.is_alone() {
            // As text: some parts are written only where there is something to say.
            let mine = serde_json::to_string(&self.found)?;
            let (texts, too_long): (Vec<String>, Vec<usize>) =
                ranks.gather((mine, self.too_long))?.into_iter().unzip();
            self.too_long = too_long.iter().sum();
            self.found.clear();
            for text in texts {
                self.found.extend(serde_json::from_str::<Vec<(usize, A)>>(&text)?);
            }
            self.found.sort_by_key(|(case, _)| *case);
            for (_, answer) in &self.found {
                self.samples.write(answer)?;
            }
        }
        self.samples.finish()?;
        Ok((self.found.into_iter().map(|(_, answer)| answer).collect(), self.too_long))
    }
}

/// The model, its weights, basis and factor, as a page names them.
pub(super) fn model_facts(
    opened: &Opened,
    model: &ModelArg,
    factor: Option<f64>,
) -> Result<Vec<(String, String)>> {
    let basis = match HfRope::of_model(&opened.folder.config)?.layers {
        LayerRopes::Uniform(rope) => rope.scaling.describe(),
        LayerRopes::PerLayerType(ropes) => {
            let each =
                ropes.iter().map(|(kind, rope)| format!("{kind}: {}", rope.scaling.describe()));
            each.collect::<Vec<_>>().join("; ")
        }
    };
    let facts = [
        ("model", opened.folder.dir.display().to_string()),
        ("weights", opened.weights(model)),
        ("basis", basis),
        ("factor at evaluation", factor.map_or("as trained".to_owned(), |f| f.to_string())),
    ];
    Ok(facts.map(|(name, value)| (name.to_owned(), value)).to_vec())
}
