//! The findings in words: what to look at, and the report as text.

use std::fmt;

use super::inspection::Inspection;
use super::tokens::Colour;
use super::values::LengthSummary;

/// Below this median distance DPO is known to push the chosen answers down with the rejected ones.
///
/// DPOP's own examples lie at 0.065 (arXiv 2402.13228, section 5), its counter-examples near 0.9.
const SMALL_DISTANCE: f64 = 0.2;

pub(super) fn warnings(found: &Inspection) -> Vec<String> {
    let mut warnings = Warnings(Vec::new());
    warnings.about_rows(found);
    warnings.about_beginnings(found);
    warnings.about_ends(found);
    warnings.about_boundaries(found);
    warnings.about_pairs(found);
    warnings.0
}

struct Warnings(Vec<String>);

impl Warnings {
    fn push_if(&mut self, condition: bool, text: impl FnOnce() -> String) {
        if condition {
            self.0.push(text());
        }
    }

    fn about_rows(&mut self, found: &Inspection) {
        let (total, kept) = (found.rows.total, found.rows.kept);
        let left_out = total - kept;
        self.push_if(20 * left_out > total, || {
            format!("{left_out} of {total} rows ({}) are left out", percent(left_out, total))
        });
        let cut = found.tokens.truncated;
        self.push_if(cut > 0, || {
            format!("{cut} rows ({}) are cut to the maximum length", percent(cut, kept))
        });
        let same = &found.duplicates;
        self.push_if(same.exact + same.near > 0, || {
            format!("{} rows repeat an earlier one exactly, {} nearly", same.exact, same.near)
        });
    }

    fn about_beginnings(&mut self, found: &Inspection) {
        let (tokens, kept) = (&found.tokens, found.rows.kept);
        let twice = tokens.begin_with_bos_twice;
        self.push_if(twice > 0, || {
            format!(
                "{twice} rows begin with two beginning-of-text tokens; remove the one in the text"
            )
        });
        let without = kept.saturating_sub(tokens.begin_with_bos);
        let expected = tokens.begin_with_bos > 0 || !tokens.tokenizer_adds.is_empty();
        self.push_if(expected && without > 0, || {
            format!(
                "{without} of {kept} rows begin without the beginning-of-text token that others \
                 or the tokenizer's plain texts begin with"
            )
        });
    }

    fn about_ends(&mut self, found: &Inspection) {
        let tokens = &found.tokens;
        let without = tokens.completions - tokens.end_with_special;
        let none = tokens.completions > 0 && tokens.end_with_special == 0;
        self.push_if(none, || {
            "no completion ends with a special token: the model will not learn where to stop"
                .to_owned()
        });
        self.push_if(!none && without > 0, || {
            format!("{without} of {} completions end without a special token", tokens.completions)
        });
    }

    fn about_boundaries(&mut self, found: &Inspection) {
        let tokens = &found.tokens;
        let (apart, all) = (tokens.separate_boundaries, tokens.completions);
        self.push_if(apart > 0, || {
            format!(
                "{apart} completions ({}) merge with the end of their prompt and are encoded apart",
                percent(apart, all)
            )
        });
        let (spaced, glued) = (tokens.prompt_ends_in_space, tokens.nothing_between);
        self.push_if(spaced > 0, || {
            format!("{spaced} prompts end in white space, which belongs to the completion")
        });
        self.push_if(glued > 0, || {
            format!(
                "{glued} of {} rows have no space or line break between prompt and completion",
                found.rows.kept
            )
        });
    }

    fn about_pairs(&mut self, found: &Inspection) {
        let against = found.duplicates.contradictions;
        self.push_if(against > 0, || {
            format!(
                "{against} answers are chosen in one row and rejected in another of the same prompt"
            )
        });
        let Some(distances) = &found.edit_distances else { return };
        self.push_if(distances.median < SMALL_DISTANCE, || {
            format!(
                "half of the pairs differ in at most {:.1} % of their tokens: DPO tends to lower \
                 the chosen answers of such pairs too; `loss.name = \"dpop\"` keeps them up",
                100.0 * distances.median
            )
        });
    }
}

fn percent(part: usize, whole: usize) -> String {
    format!("{:.1} %", 100.0 * part as f64 / whole.max(1) as f64)
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_rows(f)?;
        self.write_lengths(f)?;
        self.write_tokens(f)?;
        self.write_pairs(f)?;
        let same = &self.duplicates;
        writeln!(
            f,
            "\nduplicates: {} exact, {} near, {} rows with a known prompt, {} contradictions",
            same.exact, same.near, same.same_prompt, same.contradictions
        )?;
        for found in &same.first {
            let how = if found.exact { "equals" } else { "nearly equals" };
            writeln!(f, "  line {} {how} line {}", found.line, found.earlier)?;
        }
        for warning in &self.warnings {
            writeln!(f, "\nlook at this: {warning}")?;
        }
        Ok(())
    }
}

impl Inspection {
    /// The examples as text, an empty line between them.
    pub fn render_examples(&self, colour: Colour) -> String {
        let rendered: Vec<String> =
            self.examples.iter().map(|example| example.render(colour)).collect();
        rendered.join("\n")
    }

    fn write_rows(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = &self.rows;
        let shapes: Vec<String> =
            rows.shapes.iter().map(|(shape, count)| format!("{count} {shape}")).collect();
        let shapes = if shapes.is_empty() { "none".to_owned() } else { shapes.join(", ") };
        writeln!(f, "{}: {} rows, {} usable ({shapes})", self.file, rows.total, rows.kept)?;
        for drop in &rows.drops {
            let lines: Vec<String> = drop.first_lines.iter().map(ToString::to_string).collect();
            let dots = if drop.count > lines.len() { ", ..." } else { "" };
            writeln!(
                f,
                "  {} dropped: {} (line {}{dots})",
                drop.count,
                drop.message,
                lines.join(", ")
            )?;
        }
        if rows.bad > 0 {
            writeln!(f, "  {} lines are no rows", rows.bad)?;
            for bad in &rows.bad_rows {
                writeln!(f, "    {}:{}: {}", self.file, bad.line, bad.problem)?;
            }
            if rows.bad > rows.bad_rows.len() {
                writeln!(f, "    and {} more", rows.bad - rows.bad_rows.len())?;
            }
        }
        Ok(())
    }

    fn write_lengths(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:<12}{:>8}{:>8}{:>8}{:>8}{:>10}",
            "tokens", "min", "median", "p95", "max", "mean"
        )?;
        let lengths = &self.lengths;
        let parts: [(&str, Option<LengthSummary>); 5] = [
            ("prompt", lengths.prompt),
            ("chosen", lengths.chosen),
            ("rejected", lengths.rejected),
            ("completion", lengths.completion),
            ("sequence", lengths.sequence),
        ];
        for (name, summary) in parts {
            if let Some(LengthSummary { min, median, p95, max, mean, .. }) = summary {
                writeln!(f, "{name:<12}{min:>8}{median:>8}{p95:>8}{max:>8}{mean:>10.1}")?;
            }
        }
        Ok(())
    }

    fn write_tokens(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tokens = &self.tokens;
        let adds = if tokens.tokenizer_adds.is_empty() {
            "nothing".to_owned()
        } else {
            tokens.tokenizer_adds.join(" ")
        };
        writeln!(
            f,
            "\nthe tokenizer puts {adds} before a text; {} of {} rows begin with a beginning-of-text token, {} with two",
            tokens.begin_with_bos, self.rows.kept, tokens.begin_with_bos_twice
        )?;
        writeln!(
            f,
            "{} of {} completions end with a special token; {} are encoded apart from their prompt",
            tokens.end_with_special, tokens.completions, tokens.separate_boundaries
        )
    }

    fn write_pairs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(sharing) = &self.sharing {
            writeln!(
                f,
                "\nshared beginnings: {:.1} % of {} tokens need not be computed; answers begin alike for {:.1} % of their tokens",
                100.0 * sharing.saved,
                sharing.tokens_apart,
                100.0 * sharing.shared_answer_start
            )?;
        }
        let Some(distances) = &self.edit_distances else { return Ok(()) };
        writeln!(
            f,
            "edit distance of the answers, in tokens: mean {:.3}, median {:.3}, p95 {:.3}",
            distances.mean, distances.median, distances.p95
        )?;
        let largest = distances.histogram.iter().max().copied().unwrap_or(0).max(1);
        for (bin, &count) in distances.histogram.iter().enumerate() {
            let (from, to) = (5 * bin, 5 * bin + 5);
            let bar = "#".repeat((40 * count).div_ceil(largest));
            writeln!(f, "  {from:>3} to {to:>3} % {count:>7} {bar}")?;
        }
        Ok(())
    }
}
