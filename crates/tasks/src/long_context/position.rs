//! Positions of the answer and of the question in a prompt.

use serde::{Deserialize, Serialize};

/// Share of the document that counts as its start, and as its end.
pub(super) const BAND: f64 = 0.1;

/// The paper's three placements of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// In the first tenth of the document.
    Start,
    /// At random between the two.
    Middle,
    /// In the last tenth.
    End,
}

impl Placement {
    /// All three, in the order of the published rows.
    pub const ALL: [Self; 3] = [Self::Start, Self::Middle, Self::End];

    /// Whether this depth (0 to 1) belongs to the placement.
    pub fn holds(self, depth: f64) -> bool {
        match self {
            Self::Start => depth <= BAND,
            Self::Middle => depth > BAND && depth < 1.0 - BAND,
            Self::End => depth >= 1.0 - BAND,
        }
    }
}

/// Whether the question is asked after the document or before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QuestionPosition {
    /// Document first, then the question.
    #[default]
    After,
    /// Question first, then the document.
    Before,
}

/// One of the paper's six variants of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Variant {
    /// Placement of the answer; `None` if a depth was requested instead.
    pub placement: Option<Placement>,
    /// Position of the question.
    pub question: QuestionPosition,
}

impl Variant {
    /// The variant of row `index` (from 0) of the published files: two rows each for start, middle
    /// and end, the question after the document in the even ones.
    pub(super) fn of_published_row(index: usize) -> Self {
        Self {
            placement: Some(Placement::ALL[index % 6 / 2]),
            question: if index.is_multiple_of(2) {
                QuestionPosition::After
            } else {
                QuestionPosition::Before
            },
        }
    }
}

/// A requested depth: 0 is the beginning of the document or record, 1 its end.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DepthTarget {
    /// Anywhere, all depths equally likely.
    Uniform,
    /// At this depth, as near as whole lines and sentences allow.
    At(f64),
    /// At one of the paper's placements.
    Placement(Placement),
}

impl DepthTarget {
    /// The chosen depth, if one was chosen.
    pub fn depth(self) -> Option<f64> {
        if let Self::At(depth) = self { Some(depth) } else { None }
    }

    /// The placement, if one was chosen.
    pub fn placement(self) -> Option<Placement> {
        if let Self::Placement(placement) = self { Some(placement) } else { None }
    }

    /// Index of the target among `count` lines; `share` in `[0, 1)` is the case's random number.
    pub(super) fn index(self, count: usize, share: f64) -> usize {
        let last = count.saturating_sub(1);
        // One in ten at most: rounding down keeps depth `i / last` within the band.
        let edge = last / 10;
        let among = |low: usize, high: usize| low + (share * (high - low + 1) as f64) as usize;
        let index = match self {
            Self::Uniform => among(0, last),
            Self::At(depth) => (depth * last as f64).round() as usize,
            Self::Placement(Placement::Start) => among(0, edge),
            Self::Placement(Placement::End) => among(last - edge, last),
            Self::Placement(Placement::Middle) if last > 2 * edge + 1 => {
                among(edge + 1, last - edge - 1)
            }
            Self::Placement(Placement::Middle) => last / 2,
        };
        index.min(last)
    }

    /// The depth a text is cut for; the bands are aimed at in their middle, so that whole
    /// sentences on either side keep the answer inside.
    pub(super) fn aim(self, share: f64) -> f64 {
        match self {
            Self::Uniform => share,
            Self::At(depth) => depth,
            Self::Placement(Placement::Start) => BAND / 2.0,
            Self::Placement(Placement::Middle) => 2.0 * BAND + share * (1.0 - 4.0 * BAND),
            Self::Placement(Placement::End) => 1.0 - BAND / 2.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn published_rows_come_in_groups_of_six() {
        let variants: Vec<Variant> = (0..12).map(Variant::of_published_row).collect();
        assert_eq!(variants[..6], variants[6..]);
        assert_eq!(variants[0].placement, Some(Placement::Start));
        assert_eq!(variants[0].question, QuestionPosition::After);
        assert_eq!(variants[3].placement, Some(Placement::Middle));
        assert_eq!(variants[3].question, QuestionPosition::Before);
        assert_eq!(variants[5].placement, Some(Placement::End));
    }

    proptest! {
        #[test]
        fn indices_stay_in_range_and_in_their_band(count in 0_usize..3000, share in 0.0..1.0_f64, depth in 0.0..=1.0_f64) {
            let last = count.saturating_sub(1);
            for target in [DepthTarget::Uniform, DepthTarget::At(depth)] {
                prop_assert!(target.index(count, share) <= last);
            }
            let off = (DepthTarget::At(depth).index(count, share) as f64 - depth * last as f64).abs();
            prop_assert!(off <= 0.5 + 1e-9);
            // Among fewer than four lines none is in the middle band.
            for placement in Placement::ALL.into_iter().filter(|_| count >= 4) {
                let index = DepthTarget::Placement(placement).index(count, share);
                prop_assert!(placement.holds(index as f64 / last as f64), "{placement:?} {index} of {count}");
            }
        }

        #[test]
        fn aims_lie_in_their_band(share in 0.0..1.0_f64) {
            for placement in Placement::ALL {
                prop_assert!(placement.holds(DepthTarget::Placement(placement).aim(share)));
            }
        }
    }
}
