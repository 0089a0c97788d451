//! Growing a tree: the best split of every node, exactly.
//!
//! Columns of TF-IDF weights are nearly all zeros. Only the other values of a node's rows are sorted,
//! its zeros are one step among them, and a column that is constant in a node is not looked at again
//! below it: under most nodes hardly any column varies.

use bestof_tasks::rng::SeededRng;

use super::super::matrix::Matrix;
use super::Node;

/// The numbers of a matrix, one column behind the other: a split looks at one column of many rows.
pub(in super::super) struct Columns {
    rows: usize,
    width: usize,
    values: Vec<f32>,
}

impl Columns {
    pub(in super::super) fn new(x: &Matrix) -> Self {
        let (rows, width) = (x.rows(), x.width());
        let mut values = vec![0.0; rows * width];
        for row in 0..rows {
            for (column, &value) in x.row(row).iter().enumerate() {
                values[column * rows + row] = value;
            }
        }
        Self { rows, width, values }
    }

    fn column(&self, index: usize) -> &[f32] {
        &self.values[index * self.rows..(index + 1) * self.rows]
    }

    pub(in super::super) fn width(&self) -> usize {
        self.width
    }
}

/// How trees are grown.
///
/// A split maximises `sum_k l_k^2 / n_l + sum_k h_k^2 / n_h`, with the sums `l` and `h` of the targets of
/// the `n_l` rows that go low and the `n_h` that go high. Where a row has a one for its class it is the
/// split of least gini impurity, with one number per row that of least squared error.
pub(in super::super) struct Growth<'a, const K: usize> {
    pub(in super::super) columns: &'a Columns,
    /// What leaves should have in common, `[rows]`.
    pub(in super::super) targets: &'a [[f64; K]],
    /// Most splits above a leaf.
    pub(in super::super) depth: usize,
    /// Columns that a node draws; it draws further ones while all of them are constant in its rows.
    pub(in super::super) tried: usize,
}

/// What the search for splits keeps from node to node.
struct Search<'d> {
    draw: &'d mut SeededRng,
    /// All columns, in the order of the last draw.
    order: Vec<usize>,
    /// Whether a column is known to be constant in the node's rows, and which became so, oldest first.
    constant: Vec<bool>,
    trail: Vec<usize>,
    /// Values of a column other than zero with their rows.
    values: Vec<(f32, u32)>,
}

impl Search<'_> {
    /// Forgets the constant columns beyond the first `kept`.
    fn forget(&mut self, kept: usize) {
        for column in self.trail.drain(kept..) {
            self.constant[column] = false;
        }
    }
}

enum Task {
    /// The node of rows `from..to`, the high child of a node or not.
    Node { from: usize, to: usize, depth: usize, high_of: Option<usize> },
    /// The children of a node are done: their rows' constant columns are forgotten.
    Forget(usize),
}

impl<const K: usize> Growth<'_, K> {
    /// A tree of `rows`, which may repeat; `leaf` says what the rows of a leaf have in common. The rows
    /// are reordered.
    pub(in super::super) fn grow<L>(
        &self,
        rows: &mut [u32],
        draw: &mut SeededRng,
        mut leaf: impl FnMut(&[u32]) -> L,
    ) -> Vec<Node<L>> {
        let width = self.columns.width;
        let mut search = Search {
            draw,
            order: (0..width).collect(),
            constant: vec![false; width],
            trail: Vec::new(),
            values: Vec::new(),
        };
        let mut nodes: Vec<Node<L>> = Vec::new();
        let mut tasks = vec![Task::Node { from: 0, to: rows.len(), depth: 0, high_of: None }];
        // A list of tasks in place of recursion: a tree may be as deep as it has rows.
        while let Some(task) = tasks.pop() {
            let (from, to, depth) = match task {
                Task::Forget(kept) => {
                    search.forget(kept);
                    continue;
                }
                Task::Node { from, to, depth, high_of } => {
                    let index = nodes.len();
                    if let Some(Node::Split { high, .. }) =
                        high_of.and_then(|parent| nodes.get_mut(parent))
                    {
                        *high = index;
                    }
                    (from, to, depth)
                }
            };
            let own = &mut rows[from..to];
            let kept = search.trail.len();
            let varied = own.iter().any(|&row| self.target(row) != self.target(own[0]));
            let split =
                if depth < self.depth && varied { self.best_split(own, &mut search) } else { None };
            let Some((column, at)) = split else {
                search.forget(kept);
                nodes.push(Node::Leaf(leaf(own)));
                continue;
            };
            let values = self.columns.column(column);
            let middle = from + partition(own, |row| f64::from(values[row as usize]) <= at);
            let index = nodes.len();
            nodes.push(Node::Split { column, at, low: index + 1, high: 0 });
            tasks.push(Task::Forget(kept));
            let depth = depth + 1;
            tasks.push(Task::Node { from: middle, to, depth, high_of: Some(index) });
            tasks.push(Task::Node { from, to: middle, depth, high_of: None });
        }
        nodes
    }

    fn target(&self, row: u32) -> &[f64; K] {
        &self.targets[row as usize]
    }

    /// Column and threshold of the best split; `None` if every column is constant in `rows`.
    fn best_split(&self, rows: &[u32], search: &mut Search<'_>) -> Option<(usize, f64)> {
        let width = self.columns.width;
        let mut whole = [0.0; K];
        for &row in rows {
            add(&mut whole, self.target(row), 1.0);
        }
        let mut best: Option<(f64, usize, f64)> = None;
        for position in 0..width {
            if position >= self.tried && best.is_some() {
                break;
            }
            let drawn = position + search.draw.index(width - position);
            search.order.swap(position, drawn);
            let column = search.order[position];
            if search.constant[column] {
                continue;
            }
            match self.best_threshold(column, rows, &whole, &mut search.values) {
                None => {
                    search.constant[column] = true;
                    search.trail.push(column);
                }
                Some((score, at)) => {
                    if best.is_none_or(|(most, ..)| score > most) {
                        best = Some((score, column, at));
                    }
                }
            }
        }
        best.map(|(_, column, at)| (column, at))
    }

    /// The score and the threshold of the best split by a column; `None` if it is constant in `rows`,
    /// whose targets sum up to `whole`.
    fn best_threshold(
        &self,
        column: usize,
        rows: &[u32],
        whole: &[f64; K],
        found: &mut Vec<(f32, u32)>,
    ) -> Option<(f64, f64)> {
        let values = self.columns.column(column);
        found.clear();
        let pairs = rows.iter().map(|&row| (values[row as usize], row));
        found.extend(pairs.filter(|(value, _)| *value != 0.0));
        let zeros = rows.len() - found.len();
        if found.is_empty() {
            return None;
        }
        found.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut of_zeros = *whole;
        for (_, row) in &*found {
            add(&mut of_zeros, self.target(*row), -1.0);
        }
        let (negative, positive) = found.split_at(found.partition_point(|(value, _)| *value < 0.0));
        let one = |&(value, row): &(f32, u32)| (value, self.target(row), 1);
        let zeros = (zeros > 0).then_some((0.0, &of_zeros, zeros));
        let steps = negative.iter().map(one).chain(zeros).chain(positive.iter().map(one));
        let (mut low, mut count) = ([0.0; K], 0);
        let mut last = f32::NAN;
        let mut best: Option<(f64, f64)> = None;
        for (value, sums, rows_here) in steps {
            if value > last {
                let (left, right) = (count as f64, (rows.len() - count) as f64);
                let score = (0..K)
                    .map(|k| low[k] * low[k] / left + (whole[k] - low[k]).powi(2) / right)
                    .sum();
                if best.is_none_or(|(most, _)| score > most) {
                    best = Some((score, f64::midpoint(last.into(), value.into())));
                }
            }
            add(&mut low, sums, 1.0);
            count += rows_here;
            last = value;
        }
        best
    }
}

fn add<const K: usize>(sums: &mut [f64; K], values: &[f64; K], sign: f64) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += sign * value;
    }
}

/// Puts the rows that go low before the others, and returns how many they are.
fn partition(rows: &mut [u32], goes_low: impl Fn(u32) -> bool) -> usize {
    let mut low = 0;
    for index in 0..rows.len() {
        if goes_low(rows[index]) {
            rows.swap(low, index);
            low += 1;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::super::leaf_of;
    use super::*;

    fn tree(
        rows: &[Vec<f32>],
        targets: &[[f64; 1]],
        depth: usize,
        tried: usize,
    ) -> Vec<Node<Vec<u32>>> {
        let columns = Columns::new(&Matrix::from_rows(rows).unwrap());
        let mut all: Vec<u32> = (0..rows.len() as u32).collect();
        let mut draw = SeededRng::new(1, 0);
        Growth { columns: &columns, targets, depth, tried }.grow(&mut all, &mut draw, |rows| {
            let mut rows = rows.to_vec();
            rows.sort_unstable();
            rows
        })
    }

    #[test]
    fn the_best_split_by_hand_with_zeros_among_the_values() {
        // Targets 5, 5 at -2 and 0, then 0, 0 at 1 and 3: the best threshold is between 0 and 1.
        let rows = [vec![1.0], vec![-2.0], vec![3.0], vec![0.0]];
        let nodes = tree(&rows, &[[0.0], [5.0], [0.0], [5.0]], 9, 1);
        let split = Node::Split { column: 0, at: 0.5, low: 1, high: 2 };
        assert_eq!(nodes, [split, Node::Leaf(vec![1, 3]), Node::Leaf(vec![0, 2])]);
    }

    #[test]
    fn constant_columns_are_passed_over_until_one_varies() {
        // One column is drawn, and eleven of twelve are constant.
        let row = |value: f32| (0..12).map(|i| if i == 7 { value } else { 2.0 }).collect();
        let nodes = tree(&[row(0.0), row(4.0)], &[[0.0], [1.0]], 9, 1);
        assert!(matches!(nodes[0], Node::Split { column: 7, at: 2.0, .. }), "{nodes:?}");
        let nodes = tree(&[row(1.0), row(1.0)], &[[0.0], [1.0]], 9, 1);
        assert_eq!(nodes, [Node::Leaf(vec![0, 1])]);
    }

    #[test]
    fn leaves_are_even_and_no_deeper_than_allowed() {
        let mut draw = SeededRng::new(3, 0);
        let mut number = || draw.index(4) as f32 - 1.0;
        let rows: Vec<Vec<f32>> = (0..200).map(|_| (0..6).map(|_| number()).collect()).collect();
        let parity = |row: &Vec<f32>| [f64::from((row[0] + row[1]).rem_euclid(2.0))];
        let targets: Vec<[f64; 1]> = rows.iter().map(parity).collect();
        for (depth, tried) in [(usize::MAX, 6), (usize::MAX, 2), (2, 6)] {
            let nodes = tree(&rows, &targets, depth, tried);
            let mut seen = 0;
            for node in &nodes {
                let Node::Leaf(own) = node else { continue };
                seen += own.len();
                for &row in own {
                    assert_eq!(leaf_of(&nodes, &rows[row as usize]), own);
                    let same = targets[row as usize] == targets[own[0] as usize];
                    assert!(same || depth == 2, "{own:?}");
                }
            }
            assert_eq!(seen, 200);
            assert!(depth > 2 || nodes.len() <= 7, "{}", nodes.len());
        }
    }
}
