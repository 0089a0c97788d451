//! Positions drawn at random in training, so that a model meets large distances in short texts.

use bestof_positional::{Randomized, RopeError};

use crate::error::ModelError;
use crate::forest::TokenForest;
use bestof_kernels::Random;

/// How the positions of a forest are drawn: the random walk of [`Randomized`], one a tree.
///
/// ```text
/// t_i = t_parent(i) + e + (2 - e) u_i,   u_i ~ U[0, 1)
/// position_i = t_i * L / max(max_j t_j, L)
/// ```
///
/// On a path this is the published rule; in a tree, sequences share the positions of the prefix
/// that they share. All layers of a pass take the same positions. Source: Pal et al. 2023
/// (Giraffe), arXiv:2308.10882, section on randomised positions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RandomPositions {
    /// Seed of the draw.
    pub seed: u64,
    /// e: the smallest step between neighbours, in [0, 2).
    pub smallest_step: f64,
    /// L: the context length in training; a tree higher than that takes its height.
    pub length: usize,
}

impl RandomPositions {
    /// The position of every node, tree after tree.
    pub(crate) fn draw(&self, forest: &TokenForest) -> Result<Vec<f64>, ModelError> {
        if !(0.0..2.0).contains(&self.smallest_step) {
            return Err(ModelError::Rope(RopeError::OutOfRange {
                rope_type: "randomized",
                key: "smallest_step",
                value: self.smallest_step,
                expected: "in [0, 2), since steps are drawn between it and 2",
            }));
        }
        let rule = Randomized { factor: 1.0, smallest_step: self.smallest_step };
        let mut positions = Vec::with_capacity(forest.token_count());
        for (tree, row) in forest.trees().iter().zip(forest.keyed_rows()) {
            let mut random = Random::keyed(&[self.seed, row.key]);
            let first = positions.len();
            let mut furthest = 0.0_f64;
            for parent in tree.parents() {
                let before = parent.map_or(0.0, |parent| positions[first + parent]);
                // A walk of one step, too short to be shrunk.
                let step = rule.positions(&[random.uniform()], 2)?[0];
                positions.push(before + step);
                furthest = furthest.max(before + step);
            }
            let length = self.length.max(tree.height()) as f64;
            if furthest > length {
                for position in &mut positions[first..] {
                    *position *= length / furthest;
                }
            }
        }
        Ok(positions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest::{ForestBuilder, Sequence};

    fn uniforms(seed: u64, tree: u64, count: usize) -> Vec<f64> {
        let mut random = Random::keyed(&[seed, tree]);
        (0..count).map(|_| random.uniform()).collect()
    }

    #[test]
    fn a_path_takes_the_published_walk() {
        let forest = TokenForest::text(&[7; 40]);
        for (length, smallest_step) in [(40, 0.0), (20, 0.0), (400, 0.5)] {
            let drawing = RandomPositions { seed: 3, smallest_step, length };
            let drawn = drawing.draw(&forest).unwrap();
            let rule = Randomized { factor: 1.0, smallest_step };
            let expected = rule.positions(&uniforms(3, 0, 40), length.max(40)).unwrap();
            for (drawn, expected) in drawn.iter().zip(&expected) {
                assert!((drawn - expected).abs() < 1e-9);
            }
            assert!(drawn.is_sorted() && drawn[39] <= length.max(40) as f64 + 1e-9);
        }
    }

    #[test]
    fn siblings_start_from_the_same_parent_and_trees_have_their_own_draw() {
        let mut builder = ForestBuilder::new();
        for _ in 0..2 {
            builder.add_group(&[
                Sequence { tokens: &[1, 2, 3], completion_start: 1 },
                Sequence { tokens: &[1, 4], completion_start: 1 },
            ]);
        }
        let forest = builder.finish();
        let drawing = RandomPositions { seed: 1, smallest_step: 0.1, length: 100 };
        let drawn = drawing.draw(&forest).unwrap();
        assert_eq!(drawn.len(), 8);
        // Nodes 1, 2, 3 and 4, the last a child of the first.
        let step = |u: f64| 0.1 + 1.9 * u;
        let u = uniforms(1, 0, 4);
        assert!((drawn[3] - drawn[0] - step(u[3])).abs() < 1e-12);
        assert!((drawn[2] - drawn[1] - step(u[2])).abs() < 1e-12);
        assert_ne!(drawn[..4], drawn[4..]);
        assert_eq!(drawing.draw(&forest).unwrap(), drawn, "the seed decides");
        assert_ne!(RandomPositions { seed: 2, ..drawing }.draw(&forest).unwrap(), drawn);
    }

    #[test]
    fn steps_out_of_range_are_refused() {
        let drawing = RandomPositions { seed: 1, smallest_step: 2.0, length: 10 };
        let error = drawing.draw(&TokenForest::text(&[1, 2])).unwrap_err().to_string();
        assert!(error.contains("smallest_step") && error.contains("[0, 2)"), "{error}");
    }
}
