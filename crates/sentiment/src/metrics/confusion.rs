//! The confusion matrix and the metrics computed from it.

use serde::{Deserialize, Serialize};

/// Counts of true class (row) against predicted class (column).
///
/// ```
/// use bestof_sentiment::metrics::ConfusionMatrix;
///
/// let matrix = ConfusionMatrix::of(2, &[0, 0, 0, 1], &[0, 0, 1, 1]);
/// assert_eq!(matrix.accuracy(), 0.75);
/// // Recalls 2/3 and 1.
/// assert!((matrix.balanced_accuracy() - 5.0 / 6.0).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfusionMatrix {
    /// `[classes][classes]`: rows are true classes, columns predicted ones.
    pub counts: Vec<Vec<u64>>,
}

impl ConfusionMatrix {
    /// The matrix of the classes `truth` against `predicted`; rows with a class outside `0..classes` are
    /// not counted.
    pub fn of(classes: usize, truth: &[usize], predicted: &[usize]) -> Self {
        let mut counts = vec![vec![0; classes]; classes];
        for (&true_class, &guess) in truth.iter().zip(predicted) {
            if true_class < classes && guess < classes {
                counts[true_class][guess] += 1;
            }
        }
        Self { counts }
    }

    /// The matrix with these counts, `[classes][classes]`.
    pub fn from_counts(counts: Vec<Vec<u64>>) -> Self {
        Self { counts }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.counts.len()
    }

    /// Number of rows.
    pub fn total(&self) -> u64 {
        self.counts.iter().flatten().sum()
    }

    /// Number of rows with a correct prediction.
    pub fn hits(&self) -> u64 {
        (0..self.classes()).map(|class| self.counts[class][class]).sum()
    }

    /// Number of rows of `class`.
    pub fn support(&self, class: usize) -> u64 {
        self.counts[class].iter().sum()
    }

    /// Number of rows predicted as `class`.
    pub fn predicted(&self, class: usize) -> u64 {
        self.counts.iter().map(|row| row[class]).sum()
    }

    /// Share of correct predictions; 0 without rows.
    pub fn accuracy(&self) -> f64 {
        ratio(self.hits(), self.total())
    }

    /// Share of correct predictions among the rows of `class`; 0 without such rows.
    pub fn recall(&self, class: usize) -> f64 {
        ratio(self.counts[class][class], self.support(class))
    }

    /// Share of correct predictions among the rows predicted as `class`; 0 without such rows.
    pub fn precision(&self, class: usize) -> f64 {
        ratio(self.counts[class][class], self.predicted(class))
    }

    /// Harmonic mean of precision and recall: `2 hits / (support + predicted)`.
    pub fn f1(&self, class: usize) -> f64 {
        ratio(2 * self.counts[class][class], self.support(class) + self.predicted(class))
    }

    /// Mean recall of the classes that occur.
    pub fn balanced_accuracy(&self) -> f64 {
        mean((0..self.classes()).filter(|&class| self.support(class) > 0).map(|c| self.recall(c)))
    }

    /// Mean F1 of the classes that occur or were predicted.
    pub fn macro_f1(&self) -> f64 {
        let occurs = |&class: &usize| self.support(class) + self.predicted(class) > 0;
        mean((0..self.classes()).filter(occurs).map(|class| self.f1(class)))
    }

    /// Mean F1 of the classes, weighted by their rows.
    pub fn weighted_f1(&self) -> f64 {
        let weighted = |class| self.f1(class) * self.support(class) as f64;
        let sum: f64 = (0..self.classes()).map(weighted).sum();
        if self.total() == 0 { 0.0 } else { sum / self.total() as f64 }
    }

    /// Mean distance between true and predicted class: for stars, the error in stars.
    pub fn mean_absolute_error(&self) -> f64 {
        let mut sum = 0;
        for (true_class, row) in self.counts.iter().enumerate() {
            for (guess, count) in row.iter().enumerate() {
                sum += true_class.abs_diff(guess) as u64 * count;
            }
        }
        ratio(sum, self.total())
    }

    /// Share of rows whose predicted class is at most `distance` away.
    pub fn within(&self, distance: usize) -> f64 {
        let mut near = 0;
        for (true_class, row) in self.counts.iter().enumerate() {
            let cells = row.iter().enumerate();
            near += cells
                .filter(|(guess, _)| true_class.abs_diff(*guess) <= distance)
                .map(|(_, count)| count)
                .sum::<u64>();
        }
        ratio(near, self.total())
    }

    /// Share of the most frequent true class: the accuracy of always predicting it.
    pub fn majority(&self) -> f64 {
        let largest = (0..self.classes()).map(|class| self.support(class)).max();
        ratio(largest.unwrap_or(0), self.total())
    }

    /// The matrix of groups of classes: class `c` belongs to group `group_of(c)`.
    #[must_use]
    pub fn folded(&self, groups: usize, group_of: impl Fn(usize) -> usize) -> Self {
        let mut counts = vec![vec![0; groups]; groups];
        for (true_class, row) in self.counts.iter().enumerate() {
            for (guess, count) in row.iter().enumerate() {
                counts[group_of(true_class)][group_of(guess)] += count;
            }
        }
        Self { counts }
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (count, sum) = values.fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + value));
    if count == 0.0 { 0.0 } else { sum / count }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Figure 7c of arXiv 2201.07999.
    fn paper() -> ConfusionMatrix {
        ConfusionMatrix::from_counts(vec![
            vec![287, 141, 25, 8, 2],
            vec![97, 298, 145, 27, 5],
            vec![14, 125, 409, 251, 41],
            vec![5, 26, 226, 1024, 515],
            vec![8, 10, 33, 500, 1282],
        ])
    }

    fn near(found: f64, expected: f64, digits: f64) {
        assert!((found - expected).abs() <= 0.5 * digits, "{found} {expected}");
    }

    #[test]
    fn figures_of_the_papers_matrix() {
        let matrix = paper();
        assert_eq!((matrix.total(), matrix.hits()), (5504, 3300));
        near(matrix.accuracy(), 0.5996, 1e-4);
        for (class, f1) in [0.657, 0.508, 0.488, 0.568, 0.697].into_iter().enumerate() {
            near(matrix.f1(class), f1, 2e-3);
        }
        near(matrix.macro_f1(), 0.584, 1e-3);
        near(matrix.within(1), 0.963, 1e-3);
        near(matrix.mean_absolute_error(), 0.446, 1e-3);
        near(matrix.majority(), 0.3330, 1e-4);
        let binary = matrix.folded(2, |class| usize::from(class >= 3));
        near(binary.accuracy(), 0.8834, 1e-4);
        near(binary.majority(), 0.6593, 1e-4);
    }

    #[test]
    fn figures_by_hand() {
        // Recalls 3/3, 0/2, 1/3; F1 of class 0: 2 * 3 / (3 + 4), of 2: 2 / (3 + 2).
        let truth = [0, 1, 2, 0, 1, 2, 2, 0];
        let guess = [0, 2, 1, 0, 0, 1, 2, 0];
        let matrix = ConfusionMatrix::of(3, &truth, &guess);
        near(matrix.balanced_accuracy(), 4.0 / 9.0, 1e-12);
        near(matrix.macro_f1(), (6.0 / 7.0 + 0.0 + 2.0 / 5.0) / 3.0, 1e-12);
        near(matrix.weighted_f1(), (3.0 * 6.0 / 7.0 + 3.0 * 2.0 / 5.0) / 8.0, 1e-12);
        near(matrix.precision(0), 0.75, 1e-12);
    }

    #[test]
    fn classes_that_do_not_occur_do_not_count() {
        let matrix = ConfusionMatrix::of(5, &[3, 4, 4], &[3, 4, 3]);
        near(matrix.balanced_accuracy(), 0.75, 1e-12);
        near(matrix.macro_f1(), 2.0 / 3.0, 1e-12);
        let none = ConfusionMatrix::of(5, &[], &[]);
        let figures = [none.accuracy(), none.macro_f1(), none.weighted_f1(), none.within(1)];
        assert_eq!(figures, [0.0; 4]);
    }
}
