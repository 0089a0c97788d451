//! The prompt around an answering sentence: cut or padded to a length, the answer at a depth.

use super::super::length::{Fill, TokenCounter, fit};
use super::super::{Placement, QuestionPosition, SkipReason};
use super::padding::Padding;
use super::prepare::Prepared;
use super::units::{Join, Unit};

const INSTRUCTION: &str = "Answer the question from the document below, with a single word, a \
    number or a short phrase that stands in it.";

/// The requirements of a prompt.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Request {
    /// Most tokens.
    pub(in super::super) length: usize,
    /// Requested depth of the answer, 0 to 1.
    pub(in super::super) depth: f64,
    /// The placement it must have, if one was requested.
    pub(in super::super) placement: Option<Placement>,
    /// Position of the question.
    pub(in super::super) question: QuestionPosition,
    /// Whether a chat template marks the beginning of the answer.
    pub(in super::super) chat: bool,
}

/// A prompt.
#[derive(Debug, Clone)]
pub(in super::super) struct Assembled {
    pub(in super::super) text: String,
    pub(in super::super) tokens: usize,
    pub(in super::super) depth: f64,
}

/// The prompt with the document in it.
fn frame(question: &str, document: &str, request: &Request) -> String {
    match (request.question, request.chat) {
        (QuestionPosition::After, chat) => {
            let cue = if chat { "" } else { "\nAnswer:" };
            format!("{INSTRUCTION}\n\nDocument:\n{document}\n\nQuestion: {question}{cue}")
        }
        (QuestionPosition::Before, chat) => {
            let cue = if chat { "" } else { "\n\nAnswer:" };
            format!("{INSTRUCTION}\n\nQuestion: {question}\n\nDocument:\n{document}{cue}")
        }
    }
}

/// The prompt that `request` asks for.
pub(in super::super) fn assemble(
    prepared: &Prepared,
    padding: Padding<'_>,
    request: &Request,
    counter: &dyn TokenCounter,
) -> Result<Assembled, SkipReason> {
    let mut body = Body::new(prepared, padding, request, counter);
    body.fill_minor();
    let (units, tokens) =
        fit(&mut body, request.length).map_err(|needed| SkipReason::LongerThanTarget { needed })?;
    if body.exhausted {
        return Err(SkipReason::NoPadding);
    }
    let (document, at) = body.render(units);
    let length = prepared.answer_at.len();
    let room = document.len().saturating_sub(length);
    let depth = if room == 0 { 0.0 } else { at as f64 / room as f64 };
    if request.placement.is_some_and(|placement| !placement.holds(depth)) {
        return Err(SkipReason::OutOfBand);
    }
    let start = at - prepared.answer_at.start;
    let needle = start..start + prepared.needle.text.len();
    let stray = prepared
        .forbidden
        .iter()
        .flat_map(|answer| answer.occurrences(&document))
        .any(|found| found.start < needle.start || found.end > needle.end);
    if stray {
        return Err(SkipReason::StrayAnswer);
    }
    let text = frame(&prepared.question, &document, request);
    Ok(Assembled { text, tokens, depth })
}

/// What stands on one side of the answering sentence, the nearest first.
#[derive(Debug, Default)]
struct Side {
    units: Vec<Unit>,
    costs: Vec<usize>,
    /// Units of the answer's own document among them.
    own: usize,
    /// Units that come next: those of the own document, then of the current other one.
    queue: std::collections::VecDeque<Unit>,
    /// Units in the queue that are the own document's.
    own_left: usize,
}

struct Body<'a> {
    prepared: &'a Prepared,
    padding: Padding<'a>,
    request: &'a Request,
    counter: &'a dyn TokenCounter,
    before: Side,
    after: Side,
    /// Whether there was no text left to pad with.
    exhausted: bool,
}

impl<'a> Body<'a> {
    fn new(
        prepared: &'a Prepared,
        padding: Padding<'a>,
        request: &'a Request,
        counter: &'a dyn TokenCounter,
    ) -> Self {
        let own = |queue: std::collections::VecDeque<Unit>| Side {
            own_left: queue.len(),
            queue,
            ..Side::default()
        };
        Self {
            before: own(prepared.before.iter().rev().cloned().collect()),
            after: own(prepared.after.iter().cloned().collect()),
            prepared,
            padding,
            request,
            counter,
            exhausted: false,
        }
    }

    /// The side with the smaller share is filled first, so that the length depends only on the
    /// other one.
    fn minor_is_before(&self) -> bool {
        self.request.depth <= 0.5
    }

    fn side(&mut self, before: bool) -> &mut Side {
        if before { &mut self.before } else { &mut self.after }
    }

    /// Tokens of unit `index` of a side, which is fetched if need be.
    fn unit_cost(&mut self, before: bool, index: usize) -> Option<usize> {
        while self.side(before).units.len() <= index {
            if self.side(before).queue.is_empty() {
                let Some(mut units) = self.padding.next_document() else {
                    self.exhausted = true;
                    return None;
                };
                if before {
                    units.reverse();
                }
                self.side(before).queue.extend(units);
            }
            let counter = self.counter;
            let side = self.side(before);
            if let Some(unit) = side.queue.pop_front() {
                if side.own_left > 0 {
                    side.own_left -= 1;
                    side.own += 1;
                }
                side.costs.push(counter.count(&format!("{}{}", unit.join.text(), unit.text)));
                side.units.push(unit);
            }
        }
        self.side(before).costs.get(index).copied()
    }

    fn fill_minor(&mut self) {
        let (prepared, request) = (self.prepared, self.request);
        let needle = prepared.needle.text.as_str();
        let empty = self.counter.count(&frame(&prepared.question, "", request));
        let room = request.length.saturating_sub(empty);
        let heading = prepared.heading.as_ref().map_or(0, |unit| self.counter.count(&unit.text));
        let spare = room.saturating_sub(self.counter.count(needle) + heading);
        let before = self.minor_is_before();
        // The part of the answering sentence on this side counts towards the share.
        let (share, part) = if before {
            let part = self.counter.count(&needle[..prepared.answer_at.start]);
            (request.depth, part + heading)
        } else {
            (1.0 - request.depth, self.counter.count(&needle[prepared.answer_at.end..]))
        };
        let mut left = ((share * room as f64) as usize).saturating_sub(part).min(spare);
        let mut taken = 0;
        while let Some(cost) = self.unit_cost(before, taken) {
            if cost.max(1) > left {
                break;
            }
            left -= cost.max(1);
            taken += 1;
        }
        let side = self.side(before);
        // Sentences that do not fit are dropped: the side ends here.
        side.units.truncate(taken);
        side.own = side.own.min(taken);
    }

    /// The document with `units` units on the longer side, and where the answer begins in it.
    fn render(&self, units: usize) -> (String, usize) {
        let (before, after) = if self.minor_is_before() {
            (self.before.units.len(), units.min(self.after.units.len()))
        } else {
            (units.min(self.before.units.len()), self.after.units.len())
        };
        let mut text = String::new();
        let push = |text: &mut String, part: &str, join: Join| {
            if !text.is_empty() {
                text.push_str(join.text());
            }
            text.push_str(part);
        };
        let own = self.before.own.min(before);
        for unit in self.before.units[own..before].iter().rev() {
            push(&mut text, &unit.text, unit.join);
        }
        let mut join = Join::Paragraph;
        if let Some(heading) = &self.prepared.heading {
            push(&mut text, &heading.text, join);
            join = Join::Line;
        }
        let needle = &self.prepared.needle;
        for (index, unit) in self.before.units[..own].iter().rev().chain([needle]).enumerate() {
            push(&mut text, &unit.text, if index == 0 { join } else { unit.join });
        }
        let at = text.len() - needle.text.len() + self.prepared.answer_at.start;
        for (index, unit) in self.after.units[..after].iter().enumerate() {
            let foreign = index == self.after.own && index > 0 || self.after.own == 0 && index == 0;
            push(&mut text, &unit.text, if foreign { Join::Paragraph } else { unit.join });
        }
        (text, at)
    }
}

impl Fill for Body<'_> {
    fn cost(&mut self, index: usize) -> Option<usize> {
        self.unit_cost(!self.minor_is_before(), index)
    }

    fn total(&mut self, units: usize) -> usize {
        if units > 0 {
            let _ = self.cost(units - 1);
        }
        let (document, _) = self.render(units);
        self.counter.count(&frame(&self.prepared.question, &document, self.request))
    }
}
