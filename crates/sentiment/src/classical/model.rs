//! A classical model with its vocabulary: fitted on a dataset, saved, loaded.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use bestof_files::StagedFile;
use serde::{Deserialize, Serialize};

use super::head::ClassifierHead;
use super::matrix::Matrix;
use super::options::{ClassicalOptions, Inputs};
use super::tfidf::TfIdf;
use crate::dataset::{Dataset, Example};
use crate::error::SentimentError;
use crate::features::FeatureSpec;
use crate::model::{Labels, ModelCard, Predictor};
use crate::predictions::{Predictions, STARS};

/// Name of the file with the fitted parts.
const PARTS_FILE: &str = "classical.json";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Parts {
    inputs: Inputs,
    terms: Option<TfIdf>,
    stars: Option<ClassifierHead>,
    positive: Option<ClassifierHead>,
}

/// A fitted classical model, with a classifier for each kind of label.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassicalModel {
    card: ModelCard,
    features: FeatureSpec,
    parts: Parts,
}

/// The training rows of a model as numbers, ready to be fitted to.
#[derive(Debug)]
pub struct TrainingRows<'a> {
    data: &'a Dataset,
    options: ClassicalOptions,
    parts: Parts,
    x: Matrix,
}

impl<'a> TrainingRows<'a> {
    /// Fits the vocabulary to the training part, and turns its rows into numbers.
    ///
    /// # Errors
    /// [`SentimentError::NoStars`] for stars of rows without them, [`SentimentError::TooLarge`] for more numbers than
    /// a matrix holds.
    pub fn new(data: &'a Dataset, options: &ClassicalOptions) -> Result<Self, SentimentError> {
        options.labels.expect_in(data)?;
        let texts = data.examples.iter().map(|example| example.text.as_str());
        let terms = (options.inputs != Inputs::Meta).then(|| TfIdf::fit(texts, &options.terms));
        let parts = Parts { inputs: options.inputs, terms, stars: None, positive: None };
        let x = parts.matrix(&data.examples, &data.features)?;
        Ok(Self { data, options: *options, parts, x })
    }

    /// Fits the model.
    ///
    /// # Errors
    /// [`SentimentError::NoRows`] for an empty part or a model without input columns,
    /// [`SentimentError::NotClassical`] for a neural kind.
    pub fn fit(self) -> Result<ClassicalModel, SentimentError> {
        let Self { data, options, mut parts, x } = self;
        let head = |labels: Vec<u8>, classes| {
            ClassifierHead::fit(options.kind, &x, &labels, classes, &options.fit)
        };
        if options.labels != Labels::Binary {
            let labels = data.examples.iter().map(|e| e.stars.clamp(1, STARS as u8) - 1).collect();
            parts.stars = Some(head(labels, STARS)?);
        }
        if options.labels != Labels::Stars {
            let labels = data.examples.iter().map(|e| u8::from(e.positive)).collect();
            parts.positive = Some(head(labels, 2)?);
        }
        let mut card = ModelCard::new(options.kind, options.inputs.as_str(), options.fit.seed);
        let head = parts.stars.as_ref().or(parts.positive.as_ref());
        (card.trained_on, card.available) =
            head.map_or((0, 0), |head| (head.trained_on, head.available));
        card.restaurants = data.training_counts();
        Ok(ClassicalModel { card, features: data.features.clone(), parts })
    }
}

impl ClassicalModel {
    /// Fits a model to the training part: [`TrainingRows`], then their fit.
    ///
    /// # Errors
    /// Those of [`TrainingRows::new`] and [`TrainingRows::fit`].
    pub fn fit(data: &Dataset, options: &ClassicalOptions) -> Result<Self, SentimentError> {
        TrainingRows::new(data, options)?.fit()
    }

    /// Number of input columns: meta features and terms.
    pub fn width(&self) -> usize {
        self.parts.width(&self.features)
    }

    /// The names of the input columns: those of the meta features, then `term` and a term each.
    pub fn columns(&self) -> Vec<String> {
        let mut names = match self.parts.inputs {
            Inputs::Text => Vec::new(),
            Inputs::Meta | Inputs::Joint => self.features.names(),
        };
        let terms = self.parts.terms.iter().flat_map(TfIdf::terms);
        names.extend(terms.map(|term| format!("term {term}")));
        names
    }

    /// The input columns of `examples`.
    pub(super) fn matrix(&self, examples: &[Example]) -> Result<Matrix, SentimentError> {
        self.parts.matrix(examples, &self.features)
    }

    /// Writes the model into `folder`, which is created if it does not exist.
    pub fn save(&self, folder: &Path) -> Result<(), SentimentError> {
        std::fs::create_dir_all(folder).map_err(SentimentError::io("create", folder))?;
        let path = folder.join(PARTS_FILE);
        let mut file = StagedFile::create(&path)?;
        serde_json::to_writer(&mut file, &self.parts)
            .map_err(|source| SentimentError::BadJson { path: path.clone(), source })?;
        file.persist()?;
        self.features.save(folder)?;
        self.card.save(folder)
    }

    /// Reads a model that [`ClassicalModel::save`] wrote.
    pub(crate) fn load(folder: &Path) -> Result<Self, SentimentError> {
        let card = ModelCard::load(folder)?;
        let features = FeatureSpec::load(folder)?;
        let path = folder.join(PARTS_FILE);
        let file = File::open(&path).map_err(SentimentError::io("open", &path))?;
        let mut parts: Parts = serde_json::from_reader(BufReader::new(file))
            .map_err(|source| SentimentError::BadJson { path: path.clone(), source })?;
        if let Some(terms) = &mut parts.terms {
            terms.build_index();
            terms.check()?;
        }
        if parts.terms.is_some() != (parts.inputs != Inputs::Meta) {
            return Err(SentimentError::damaged("vocabulary"));
        }
        let width = parts.width(&features);
        if parts.stars.is_none() && parts.positive.is_none() {
            return Err(SentimentError::damaged("heads"));
        }
        if let Some(head) = &parts.stars {
            head.check(width, STARS)?;
        }
        if let Some(head) = &parts.positive {
            head.check(width, 2)?;
        }
        Ok(Self { card, features, parts })
    }
}

impl Parts {
    /// Number of input columns.
    fn width(&self, features: &FeatureSpec) -> usize {
        let meta = if self.inputs == Inputs::Text { 0 } else { features.width() };
        meta + self.terms.as_ref().map_or(0, |terms| terms.terms().len())
    }

    /// The input columns of `examples`.
    fn matrix(
        &self,
        examples: &[Example],
        features: &FeatureSpec,
    ) -> Result<Matrix, SentimentError> {
        let meta = if self.inputs == Inputs::Text { 0 } else { features.width() };
        let width = self.width(features);
        let mut matrix = Matrix::zeros(examples.len(), width)?;
        for (index, example) in examples.iter().enumerate() {
            let row = matrix.row_mut(index);
            if meta > 0 {
                if example.meta.len() != meta {
                    return Err(SentimentError::Width {
                        found: example.meta.len(),
                        expected: meta,
                    });
                }
                row[..meta].copy_from_slice(&example.meta);
            }
            if let Some(terms) = &self.terms {
                terms.fill(&example.text, &mut row[meta..]);
            }
        }
        Ok(matrix)
    }
}

impl Predictor for ClassicalModel {
    fn card(&self) -> &ModelCard {
        &self.card
    }

    fn features(&self) -> &FeatureSpec {
        &self.features
    }

    fn predict(&self, examples: &[Example]) -> Result<Predictions, SentimentError> {
        let x = self.parts.matrix(examples, &self.features)?;
        let stars = self.parts.stars.as_ref().map(|head| head.predict_proba(&x)).transpose()?;
        let positive =
            self.parts.positive.as_ref().map(|head| head.predict_proba(&x)).transpose()?;
        let five = |row: Vec<f32>| {
            let mut all = [0.0; STARS];
            all.iter_mut().zip(row).for_each(|(all, p)| *all = p);
            all
        };
        Ok(Predictions {
            stars: stars.map(|rows| rows.into_iter().map(five).collect()),
            positive: positive.map(|rows| rows.into_iter().map(|row| row[1]).collect()),
            sentiment: None,
        })
    }
}
