//! The rows of a classical model for other programs: the numbers that it reads, as it reads them.

use std::io::Write;
use std::path::Path;

use bestof_files::StagedFile;

use super::model::ClassicalModel;
use crate::dataset::Dataset;
use crate::error::SentimentError;
use crate::model::{Labels, Predictor};

/// Rows that are turned into numbers at a time: a dense matrix of all would need much memory.
const ROWS: usize = 512;

impl ClassicalModel {
    /// Writes `data` in the svmlight format, one line a row: the label, then `column:value` for each
    /// number that is not 0, columns counted from 1 in the order of [`ClassicalModel::columns`].
    ///
    /// The label is the number of stars with [`Labels::Stars`], otherwise 1 for positive reviews and 0 for
    /// the others. A value is read back as the same f32.
    ///
    /// # Errors
    /// [`SentimentError::OtherFeatures`] for rows of another preparation, [`SentimentError::NoStars`], or
    /// a file that cannot be written.
    pub fn write_rows(
        &self,
        data: &Dataset,
        labels: Labels,
        path: &Path,
    ) -> Result<(), SentimentError> {
        if *self.features() != data.features {
            let model = self.card().kind.as_str().to_owned();
            return Err(SentimentError::OtherFeatures { model });
        }
        labels.expect_in(data)?;
        let failed = || SentimentError::io("write", path);
        let mut file = StagedFile::create(path)?;
        for examples in data.examples.chunks(ROWS) {
            let matrix = self.matrix(examples)?;
            for (index, example) in examples.iter().enumerate() {
                let label = match labels {
                    Labels::Stars => example.stars,
                    Labels::Binary | Labels::Both => u8::from(example.positive),
                };
                write!(file, "{label}").map_err(failed())?;
                let values = (1..).zip(matrix.row(index)).filter(|(_, value)| **value != 0.0);
                for (column, value) in values {
                    write!(file, " {column}:{value}").map_err(failed())?;
                }
                writeln!(file).map_err(failed())?;
            }
        }
        Ok(file.persist()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classical::{ClassicalOptions, Inputs};
    use crate::model::ModelKind;

    #[test]
    fn rows_are_those_that_the_model_reads() {
        let texts = ["Good soup", "bad soup", "good bread", "bad bread, bad soup"];
        let data = Dataset::from_texts(texts.into_iter().zip([5, 1, 4, 2]));
        let mut options = ClassicalOptions::new(ModelKind::DecisionTree, Inputs::Text);
        options.terms.min_documents = 1;
        let model = ClassicalModel::fit(&data, &options).unwrap();
        assert_eq!(model.columns(), ["term bad", "term bread", "term good", "term soup"]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.svm");
        let written = |labels| {
            model.write_rows(&data, labels, &path).unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let (stars, binary) = (written(Labels::Stars), written(Labels::Binary));
        let matrix = model.matrix(&data.examples).unwrap();
        for (row, line) in stars.iter().enumerate() {
            let mut pieces = line.split(' ');
            assert_eq!(pieces.next(), Some(["5", "1", "4", "2"][row]));
            let mut values = [0.0_f32; 4];
            for piece in pieces {
                let (column, value) = piece.split_once(':').unwrap();
                values[column.parse::<usize>().unwrap() - 1] = value.parse().unwrap();
            }
            assert_eq!(values, matrix.row(row));
        }
        let labels: Vec<_> = binary.iter().map(|line| &line[..1]).collect();
        assert_eq!(labels, ["1", "0", "1", "0"]);
        let mut other = data.clone();
        other.features.seed = 9;
        assert!(model.write_rows(&other, Labels::Stars, &path).is_err());
    }
}
