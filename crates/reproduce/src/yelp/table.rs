//! Table 1 of the paper: its rows, its columns and its figures.

use bestof_sentiment::classical::Inputs;
use bestof_sentiment::model::ModelKind;

/// Which question: the two labels, or the five stars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    Binary,
    Stars,
}

impl Label {
    pub(super) const ALL: [Self; 2] = [Self::Binary, Self::Stars];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Binary => "two labels",
            Self::Stars => "five stars",
        }
    }
}

pub(super) const INPUTS: [Inputs; 3] = [Inputs::Meta, Inputs::Text, Inputs::Joint];

/// A row of the table.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    pub(super) name: &'static str,
    /// The model of text alone; of meta features too, if it is a classical one.
    pub(super) text: ModelKind,
    /// The model of both.
    pub(super) joint: ModelKind,
    /// Accuracies in the paper on meta features, text and both, in per cent: two labels, five
    /// stars.
    paper: [Option<[f64; 2]>; 3],
}

impl Row {
    /// The model of these inputs, if there is one.
    pub(super) fn kind(&self, inputs: Inputs) -> Option<ModelKind> {
        match inputs {
            Inputs::Meta => self.text.is_classical().then_some(self.text),
            Inputs::Text => Some(self.text),
            Inputs::Joint => Some(self.joint),
        }
    }

    /// The paper's accuracy in per cent.
    pub(super) fn paper(&self, inputs: Inputs, label: Label) -> Option<f64> {
        let [meta, text, joint] = self.paper;
        let found = match inputs {
            Inputs::Meta => meta,
            Inputs::Text => text,
            Inputs::Joint => joint,
        };
        found.map(|[binary, stars]| if label == Label::Binary { binary } else { stars })
    }

    pub(super) fn is_classical(&self) -> bool {
        self.text.is_classical()
    }
}

/// The row of this name.
pub(super) fn row(name: &str) -> &'static Row {
    ROWS.iter().find(|row| row.name == name).unwrap_or(&ROWS[0])
}

const fn classical(
    name: &'static str,
    kind: ModelKind,
    meta: [f64; 2],
    text: [f64; 2],
    joint: [f64; 2],
) -> Row {
    Row { name, text: kind, joint: kind, paper: [Some(meta), Some(text), Some(joint)] }
}

const fn neural(name: &'static str, kinds: [ModelKind; 2], text: [f64; 2], joint: [f64; 2]) -> Row {
    Row { name, text: kinds[0], joint: kinds[1], paper: [None, Some(text), Some(joint)] }
}

/// Table 1 of Guda, Srivastava and Karkhanis 2022.
pub(super) static ROWS: [Row; 12] = [
    classical(
        "decision tree",
        ModelKind::DecisionTree,
        [65.42, 35.96],
        [70.3, 39.32],
        [72.66, 43.5],
    ),
    classical(
        "random forest",
        ModelKind::RandomForest,
        [68.80, 40.21],
        [74.1, 48.51],
        [75.17, 53.47],
    ),
    classical("kNN", ModelKind::Knn, [63.74, 34.2], [69.5, 38.5], [70.92, 46.42]),
    classical("SVM", ModelKind::Svm, [71.77, 43.25], [75.72, 53.56], [77.46, 55.10]),
    classical(
        "gradient boosting",
        ModelKind::GradientBoosting,
        [70.05, 42.34],
        [73.19, 51.56],
        [75.50, 53.33],
    ),
    classical("MLP", ModelKind::Mlp, [69.99, 41.99], [73.22, 51.25], [75.85, 52.01]),
    neural("CNN", [ModelKind::Cnn, ModelKind::CnnJoint], [81.17, 56.01], [82.25, 56.31]),
    neural("CNN-MT", [ModelKind::CnnMt, ModelKind::CnnMtJoint], [82.32, 56.99], [82.40, 56.80]),
    neural("HAN", [ModelKind::Han, ModelKind::HanJoint], [84.59, 58.33], [85.98, 59.25]),
    neural("HAN-MT", [ModelKind::HanMt, ModelKind::HanMtJoint], [85.91, 59.14], [85.95, 59.21]),
    neural("BERT", [ModelKind::Bert, ModelKind::BertJoint], [86.44, 59.96], [87.46, 60.87]),
    neural("BERT-MT", [ModelKind::BertMt, ModelKind::BertMtJoint], [87.81, 61.22], [87.82, 61.20]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_the_models_of_its_name() {
        for row in &ROWS {
            let name = row.name.to_lowercase().replace(' ', "-");
            assert_eq!(row.text.as_str(), name);
            let joint = if row.is_classical() { name } else { name + "-joint" };
            assert_eq!(row.joint.as_str(), joint);
            for inputs in INPUTS {
                assert_eq!(row.kind(inputs).is_some(), row.paper(inputs, Label::Stars).is_some());
            }
        }
        assert_eq!(row("BERT-MT").paper(Inputs::Joint, Label::Binary), Some(87.82));
    }
}
