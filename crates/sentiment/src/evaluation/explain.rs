//! Reviews with the contribution of each of their words to the answer.

use bestof_report::{ColouredText, Tone};
use serde::{Deserialize, Serialize};

use crate::attribution::{AttributionTarget, WordAttribution};
use crate::dataset::Dataset;
use crate::error::SentimentError;
use crate::model::Predictor;
use crate::review::UNKNOWN_STARS;

/// Longest text that is explained, in bytes; a longer one would fill a page.
const LONGEST: usize = 1200;
/// Points of the integral.
const POINTS: usize = 32;
/// A word is coloured from this share of the largest contribution on.
const COLOURED: f64 = 0.1;

/// A review with the contributions to its probability of four or five stars.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explained {
    /// The text.
    pub text: String,
    /// Its stars, 1 to 5.
    pub stars: u8,
    /// Probability of four or five stars.
    pub positive: f64,
    /// The same for no words and mean meta features.
    pub baseline: f64,
    /// Contributions of the words that were read.
    pub words: Vec<WordAttribution>,
    /// Contributions of the meta features, the largest first; none for models of text alone.
    pub meta: Vec<(String, f64)>,
}

/// Explanations of the first reviews of each number of stars, `count` altogether; none from a model
/// without gradients.
pub(super) fn explain(
    model: &dyn Predictor,
    data: &Dataset,
    count: usize,
) -> Result<Vec<Explained>, SentimentError> {
    let names = data.features.names();
    let mut explained = Vec::new();
    for row in choose(data, count) {
        let example = &data.examples[row];
        let Some(found) = model.explain(example, AttributionTarget::Positive, POINTS)? else {
            return Ok(Vec::new());
        };
        let mut meta: Vec<(String, f64)> =
            names.iter().cloned().zip(found.meta.iter().copied()).collect();
        meta.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
        explained.push(Explained {
            text: example.text.clone(),
            stars: example.stars,
            positive: found.value,
            baseline: found.baseline,
            words: found.words,
            meta,
        });
    }
    Ok(explained)
}

/// Rows of one star, of two and so on in turn, each the first that is short enough; of a table of two
/// classes the first ones.
fn choose(data: &Dataset, count: usize) -> Vec<usize> {
    let of = |stars: u8| {
        let rows = data.examples.iter().enumerate();
        rows.filter(move |(_, row)| row.stars == stars && row.text.len() <= LONGEST)
    };
    let mut queues: Vec<_> =
        (UNKNOWN_STARS..=5).map(|stars| of(stars).map(|(index, _)| index)).collect();
    let mut chosen = Vec::new();
    loop {
        let before = chosen.len();
        for queue in &mut queues {
            if chosen.len() < count {
                chosen.extend(queue.next());
            }
        }
        if chosen.len() == before {
            return chosen;
        }
    }
}

impl Explained {
    /// The text with words of positive contribution marked as good, those of negative as bad, and what
    /// was not read muted.
    pub(super) fn to_coloured_text(&self) -> ColouredText {
        let stars = match self.stars {
            UNKNOWN_STARS => String::new(),
            stars => format!("{stars} of 5 stars. "),
        };
        let mut caption = format!(
            "{stars}Probability of a positive review: {:.2}, of no words {:.2}",
            self.positive, self.baseline
        );
        let meta: Vec<String> = self
            .meta
            .iter()
            .take(3)
            .filter(|(_, value)| value.abs() >= 0.005)
            .map(|(name, value)| format!("{name} {value:+.2}"))
            .collect();
        if !meta.is_empty() {
            caption.push_str("; beside the text: ");
            caption.push_str(&meta.join(", "));
        }
        let largest =
            self.words.iter().map(|word| word.value.abs()).max_by(f64::total_cmp).unwrap_or(0.0);
        let mut coloured = ColouredText::new(caption);
        let mut at = 0;
        for word in &self.words {
            let between = self.text.get(at..word.range.start).unwrap_or_default();
            let shown = self.text.get(word.range.clone()).unwrap_or_default();
            let tone = match word.value {
                value if value.abs() < COLOURED * largest => Tone::Plain,
                value if value > 0.0 => Tone::Good,
                value if value < 0.0 => Tone::Bad,
                _ => Tone::Plain,
            };
            if !between.is_empty() {
                coloured = coloured.span(between, Tone::Plain);
            }
            coloured = coloured.span_with_hover(shown, tone, format!("{:+.4}", word.value));
            at = word.range.end;
        }
        coloured.span(self.text.get(at..).unwrap_or_default(), Tone::Muted)
    }
}

#[cfg(test)]
mod tests {
    use bestof_report::{Report, Section};

    use super::*;
    use crate::dataset::Example;
    use crate::features::{FeatureSpec, Scaler};

    #[test]
    fn rows_of_each_number_of_stars_take_turns() {
        let row = |stars, length| Example { stars, text: "a".repeat(length), ..Example::default() };
        let examples =
            vec![row(5, 9), row(5, 9), row(1, LONGEST + 1), row(1, 9), row(5, 9), row(3, 1)];
        let features = FeatureSpec::new(Vec::new(), Scaler { mean: 0.0, std: 1.0 }, "none");
        let data = Dataset { examples, features };
        assert_eq!(choose(&data, 4), [3, 5, 0, 1]);
        assert_eq!(choose(&data, 99), [3, 5, 0, 1, 4]);
        assert_eq!(choose(&data, 0), [0; 0]);
    }

    #[test]
    fn words_are_coloured_by_what_they_add() {
        let word = |range, value| WordAttribution { range, value };
        let explained = Explained {
            text: "kind staff, <cold> soup and more".into(),
            stars: 2,
            positive: 0.4,
            baseline: 0.5,
            words: vec![word(0..4, 0.2), word(5..10, 0.01), word(13..17, -0.3), word(19..23, 0.0)],
            meta: vec![("useful".into(), -0.05), ("cool".into(), 0.001)],
        };
        let html = Report::new("t")
            .section(Section::new("s").element(explained.to_coloured_text()))
            .to_html();
        for part in [
            "<mark class=\"good\" title=\"+0.2000\">kind</mark>",
            "<span title=\"+0.0100\">staff</span>",
            "<mark class=\"bad\" title=\"-0.3000\">cold</mark>",
            ", &lt;",
            "<span class=\"muted\"> and more</span>",
            "useful -0.05",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        assert!(!html.contains("cool"));
    }
}
