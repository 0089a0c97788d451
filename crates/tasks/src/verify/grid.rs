//! Grids of colours, rewarded by cell.

use crate::answer::{Marker, offer};
use crate::grid::Grid;

use super::verification::{Verification, Verifier, VerifierError};

/// The reward of a grid that is not entirely right.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum GridReward {
    /// The share of right cells; 0 for another shape.
    #[default]
    Cells,
    /// 0.
    WholeGrid,
}

/// Rewards a grid by the share of its cells that are right.
///
/// The grid is the last one in the marked answer part or, without a marker, in the completion.
#[derive(Debug, Clone)]
pub struct GridVerifier {
    expected: Grid,
    reward: GridReward,
}

impl GridVerifier {
    /// Verifier for the grid `expected`.
    pub fn new(expected: Grid, reward: GridReward) -> Self {
        Self { expected, reward }
    }

    /// Verifier for the grid written in `answer`.
    ///
    /// ```
    /// use bestof_tasks::verify::{GridReward, GridVerifier, Verifier};
    ///
    /// let verifier = GridVerifier::from_text("1 2\n3 4", GridReward::Cells)?;
    /// assert_eq!(verifier.verify("[[1, 2], [3, 0]]").reward, 0.75);
    /// # Ok::<(), bestof_tasks::verify::VerifierError>(())
    /// ```
    pub fn from_text(answer: &str, reward: GridReward) -> Result<Self, VerifierError> {
        match Grid::parse(answer) {
            Ok(expected) => Ok(Self { expected, reward }),
            Err(_) => Err(VerifierError::Answer {
                found: answer.chars().take(80).collect(),
                expected: "a grid of digits",
            }),
        }
    }
}

impl Verifier for GridVerifier {
    fn verify(&self, completion: &str) -> Verification {
        let offer = match offer(completion) {
            Ok(offer) => offer,
            Err(reason) => return Verification::cannot_tell(reason.to_string()),
        };
        if offer.marker == Some(Marker::Boxed) {
            return Verification::common(offer.answers.iter().map(|answer| self.judge(answer)));
        }
        // A grid takes several lines, so after a marker at the end of a line it is below it.
        let part = &completion[offer.range.clone()];
        if offer.marker.is_some() && Grid::parse(part).is_err() {
            return self.judge(&completion[offer.range.start..]);
        }
        self.judge(part)
    }
}

impl GridVerifier {
    fn judge(&self, part: &str) -> Verification {
        let grid = match Grid::parse(part) {
            Ok(grid) => grid,
            Err(error) => return Verification::cannot_tell(error.to_string()),
        };
        let Some(share) = self.expected.agreement(&grid) else {
            return Verification::wrong(format!(
                "{} by {} cells instead of {} by {}",
                grid.height(),
                grid.width(),
                self.expected.height(),
                self.expected.width()
            ));
        };
        let reason = format!("{:.1} % of the cells are right", 100.0 * share);
        match self.reward {
            GridReward::Cells => Verification::partial(share, reason),
            GridReward::WholeGrid if share < 1.0 => Verification::wrong(reason),
            GridReward::WholeGrid => Verification::right(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::VerificationOutcome::{CannotTell, Partial, Right, Wrong};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hard_cases() {
        let verifier = GridVerifier::from_text("1 2\n3 4", GridReward::Cells).unwrap();
        for (completion, outcome, reward) in [
            ("1 2\n3 4", Right, 1.0),
            ("The rule is a mirror.\n[[1,2],[3,4]]", Right, 1.0),
            ("<answer>\n1 2\n3 4\n</answer>", Right, 1.0),
            ("The answer is:\n1 2\n3 4", Right, 1.0),
            ("#### \n12\n34", Right, 1.0),
            ("1 2\n3 0", Partial, 0.75),
            ("0 0\n0 0", Wrong, 0.0),
            ("1 2 3 4", Wrong, 0.0),
            ("1 2\n3 4\n5 6", Wrong, 0.0),
            ("\\boxed{1 2\n3 4}", Right, 1.0),
            ("\\boxed{0 0\n0 0} or rather \\boxed{1 2\n3 4}", CannotTell, 0.0),
            ("\\boxed{0 2\n3 4} no: \\boxed{1 0\n0 4}", CannotTell, 0.0),
            // Boxes of the working, of another colour each, before what counts.
            ("\\boxed{0 0\n0 0} \\boxed{9 9\n9 9}. The answer is\n1 2\n3 4", Right, 1.0),
            (
                "<think>\\boxed{1}</think><answer>\\boxed{0 0\n0 0} \\boxed{9 9\n9 9}. The answer is\n1 2\n3 4</answer>",
                Right,
                1.0,
            ),
            ("The answer is not\n1 2\n3 4", CannotTell, 0.0),
            ("\\boxed{1 2\n3 4", CannotTell, 0.0),
            ("1 2\n3", CannotTell, 0.0),
            ("one two", CannotTell, 0.0),
            ("", CannotTell, 0.0),
        ] {
            let verdict = verifier.verify(completion);
            assert_eq!((verdict.outcome, verdict.reward), (outcome, reward), "{completion:?}");
        }
        let whole = GridVerifier::from_text("1 2\n3 4", GridReward::WholeGrid).unwrap();
        assert_eq!(whole.verify("1 2\n3 0").reward, 0.0);
        assert_eq!(whole.verify("1 2\n3 4").reward, 1.0);
        let line = GridVerifier::from_text("4 4 0 4", GridReward::Cells).unwrap();
        assert_eq!(line.verify("4 4 0 0").reward, 0.75);
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(text in "\\PC{0,40}|[0-4\\[\\], \\n#]{0,40}") {
            let verifier = GridVerifier::from_text("1 2\n3 4", GridReward::Cells).unwrap();
            prop_assert!((0.0..=1.0).contains(&verifier.verify(&text).reward));
        }
    }
}
