//! The folder that `prepare` writes.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use bestof_files::expect_folder;
use serde::{Deserialize, Serialize};

use super::columns::{PartWriter, read_part};
use super::{Dataset, Example, Part};
use crate::error::SentimentError;
use crate::features::{FEATURES_FILE, FeatureSpec};

/// Name of the file with one restaurant per line.
const RESTAURANTS_FILE: &str = "restaurants.jsonl";

/// A restaurant of a prepared folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restaurant {
    /// Its index, as in [`Example::business`].
    pub business: u32,
    /// The data set's id of it.
    pub id: String,
    /// Number of its reviews in the training part.
    pub train: u64,
    /// Number of its reviews in the validation part.
    pub validation: u64,
    /// Number of its reviews in the test part.
    pub test: u64,
}

/// A folder of prepared rows: `train.parquet`, `validation.parquet`, `test.parquet`,
/// `features.json` and `restaurants.jsonl`.
#[derive(Debug, Clone)]
pub struct Prepared {
    folder: PathBuf,
    features: FeatureSpec,
}

impl Prepared {
    /// Opens a prepared folder.
    ///
    /// # Errors
    /// [`SentimentError::NotPrepared`] for another folder, or a damaged `features.json`.
    pub fn open(folder: &Path) -> Result<Self, SentimentError> {
        expect_folder(folder).map_err(SentimentError::io("open", folder))?;
        let files = Part::ALL.map(file_name);
        let required = files.iter().map(String::as_str).chain([FEATURES_FILE, RESTAURANTS_FILE]);
        for file in required {
            if !folder.join(file).is_file() {
                let (path, file) = (folder.to_owned(), file.to_owned());
                return Err(SentimentError::NotPrepared { path, file });
            }
        }
        Ok(Self { folder: folder.to_owned(), features: FeatureSpec::load(folder)? })
    }

    /// The description of the rows' meta features.
    pub fn features(&self) -> &FeatureSpec {
        &self.features
    }

    /// All rows of one part.
    ///
    /// # Errors
    /// A file that cannot be read or has other columns.
    pub fn part(&self, part: Part) -> Result<Dataset, SentimentError> {
        let examples = read_part(&self.folder.join(file_name(part)), &self.features)?;
        Ok(Dataset { examples, features: self.features.clone() })
    }

    /// Every restaurant, in the order of its index.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn restaurants(&self) -> Result<Vec<Restaurant>, SentimentError> {
        let path = self.folder.join(RESTAURANTS_FILE);
        let file = File::open(&path).map_err(SentimentError::io("open", &path))?;
        let mut restaurants = Vec::new();
        for line in BufReader::new(file).lines() {
            let line = line.map_err(SentimentError::io("read", &path))?;
            let restaurant = serde_json::from_str(&line)
                .map_err(|source| SentimentError::BadJson { path: path.clone(), source })?;
            restaurants.push(restaurant);
        }
        Ok(restaurants)
    }
}

fn file_name(part: Part) -> String {
    format!("{}.parquet", part.as_str())
}

/// Writes a prepared folder row by row; it can be opened after [`PreparedWriter::finish`].
pub(crate) struct PreparedWriter {
    folder: PathBuf,
    features: FeatureSpec,
    parts: [PartWriter; 3],
    restaurants: Vec<Restaurant>,
}

impl std::fmt::Debug for PreparedWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PreparedWriter").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl PreparedWriter {
    /// Starts a folder, which is created if it does not exist, for restaurants with these ids, in the
    /// order of their indices. The `features.json` of an earlier run is removed first, so that an
    /// interrupted run leaves no folder that can be opened.
    pub(crate) fn create(
        folder: &Path,
        features: &FeatureSpec,
        restaurants: impl IntoIterator<Item = String>,
    ) -> Result<Self, SentimentError> {
        std::fs::create_dir_all(folder).map_err(SentimentError::io("create", folder))?;
        let old = folder.join(FEATURES_FILE);
        match std::fs::remove_file(&old) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(SentimentError::io("remove", &old)(error));
            }
            _ => {}
        }
        let writer = |part| PartWriter::create(&folder.join(file_name(part)), features);
        let restaurant = |(business, id)| Restaurant {
            business: business as u32,
            id,
            train: 0,
            validation: 0,
            test: 0,
        };
        Ok(Self {
            folder: folder.to_owned(),
            features: features.clone(),
            parts: [writer(Part::Train)?, writer(Part::Validation)?, writer(Part::Test)?],
            restaurants: restaurants.into_iter().enumerate().map(restaurant).collect(),
        })
    }

    /// Adds a row to a part.
    pub(crate) fn push(&mut self, part: Part, example: Example) -> Result<(), SentimentError> {
        if let Some(restaurant) = self.restaurants.get_mut(example.business as usize) {
            match part {
                Part::Train => restaurant.train += 1,
                Part::Validation => restaurant.validation += 1,
                Part::Test => restaurant.test += 1,
            }
        }
        let path = || self.folder.join(file_name(part));
        self.parts[part as usize]
            .push(example)
            .map_err(|source| SentimentError::parquet("write", path(), source))
    }

    /// Completes every file; `features.json`, without which the folder cannot be opened, comes last.
    pub(crate) fn finish(self) -> Result<Prepared, SentimentError> {
        for (writer, part) in self.parts.into_iter().zip(Part::ALL) {
            let path = self.folder.join(file_name(part));
            writer.finish().map_err(|source| SentimentError::parquet("write", path, source))?;
        }
        let path = self.folder.join(RESTAURANTS_FILE);
        let file = File::create(&path).map_err(SentimentError::io("create", &path))?;
        let mut file = BufWriter::new(file);
        for restaurant in &self.restaurants {
            let line = serde_json::to_string(restaurant)
                .map_err(|source| SentimentError::BadJson { path: path.clone(), source })?;
            writeln!(file, "{line}").map_err(SentimentError::io("write", &path))?;
        }
        file.flush().map_err(SentimentError::io("write", &path))?;
        self.features.save(&self.folder)?;
        Ok(Prepared { folder: self.folder, features: self.features })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::{Column, Feature, Scaler};

    fn features() -> FeatureSpec {
        let columns = vec![
            Column::Number { feature: Feature::Useful, scaler: Scaler { mean: 0.5, std: 2.0 } },
            Column::Category { name: "tex-mex, \"quoted\"; food".into() },
        ];
        FeatureSpec::new(columns, Scaler { mean: 0.1, std: 1.5 }, "test 1")
    }

    fn example(row: u64) -> Example {
        let stars = (row % 5) as u8 + 1;
        Example {
            row,
            text: format!("Text number {row}, with ünïcode and \"quotes\"\n"),
            meta: vec![row as f32 / 7.0, f32::from(row.is_multiple_of(2))],
            stars,
            positive: stars >= 4,
            sentiment: row as f32 * -0.25,
            sentiment_raw: row as f32 * 0.5,
            business: (row % 3) as u32,
        }
    }

    fn write(folder: &Path, rows: u64) -> Prepared {
        let names = ["a", "b", "c"].map(str::to_owned);
        let mut writer = PreparedWriter::create(folder, &features(), names).unwrap();
        for row in 0..rows {
            let part = if row % 10 < 7 { Part::Train } else { Part::Test };
            writer.push(part, example(row)).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn rows_are_read_as_written_over_several_row_groups() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 30_000);
        let prepared = Prepared::open(folder.path()).unwrap();
        assert_eq!(prepared.features(), &features());
        let train = prepared.part(Part::Train).unwrap();
        assert_eq!((train.len(), prepared.part(Part::Validation).unwrap().len()), (21_000, 0));
        let expected: Vec<Example> = (0..30_000).filter(|row| row % 10 < 7).map(example).collect();
        assert!(train.examples == expected);
        let restaurants = prepared.restaurants().unwrap();
        assert_eq!(restaurants[1].id, "b");
        assert_eq!(
            restaurants.iter().map(|r| (r.train, r.test)).collect::<Vec<_>>(),
            [(7000, 3000); 3]
        );
    }

    #[test]
    fn other_folders_and_damaged_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = Prepared::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("train.parquet") && error.contains("prepare --out"), "{error}");

        let prepared = write(folder.path(), 100);
        let path = folder.path().join("test.parquet");
        let bytes = std::fs::read(&path).unwrap();
        for cut in [0, 3, bytes.len() / 2, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let error = prepared.part(Part::Test).unwrap_err().to_string();
            assert!(error.contains("test.parquet"), "{error}");
        }

        let mut other = features();
        other.columns.push(Column::UnknownCategory);
        other.save(folder.path()).unwrap();
        let error =
            Prepared::open(folder.path()).unwrap().part(Part::Train).unwrap_err().to_string();
        assert!(
            error.contains("`meta:category unknown`") && error.contains("meta:useful"),
            "{error}"
        );
    }
}
