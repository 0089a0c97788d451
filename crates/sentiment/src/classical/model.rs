//! A classical model with its vocabulary: fitted on a dataset, saved, loaded, asked.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use bestof_files::StagedFile;
use serde::{Deserialize, Serialize};

use super::{FitOptions, Head, Matrix, TfIdf, TfIdfOptions, damaged};
use crate::dataset::{Dataset, Example};
use crate::error::SentimentError;
use crate::features::FeatureSpec;
use crate::model::{Labels, ModelCard, ModelKind, Predictor};
use crate::predictions::{Predictions, STARS};

/// Name of the file with the fitted parts.
const PARTS_FILE: &str = "classical.json";

/// What a model sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inputs {
    /// Meta features alone.
    Meta,
    /// The text alone.
    Text,
    /// Both, one after the other.
    Joint,
}

impl Inputs {
    /// The name on a command line and in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Text => "text",
            Self::Joint => "joint",
        }
    }
}

/// How a classical model is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrainOptions {
    /// Which model.
    pub kind: ModelKind,
    /// What it sees.
    pub inputs: Inputs,
    /// What it answers; each is a model of its own.
    pub labels: Labels,
    /// The vocabulary.
    pub terms: TfIdfOptions,
    /// Seed and limit of the fit.
    pub fit: FitOptions,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Parts {
    inputs: Inputs,
    terms: Option<TfIdf>,
    stars: Option<Head>,
    positive: Option<Head>,
}

/// A fitted classical model.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassicalModel {
    card: ModelCard,
    features: FeatureSpec,
    parts: Parts,
}

impl ClassicalModel {
    /// Fits a model to the training part.
    ///
    /// # Errors
    /// [`SentimentError::NoRows`] for an empty part or a model without a single input column, or
    /// what [`Head::fit`] says.
    pub fn fit(data: &Dataset, options: &TrainOptions) -> Result<Self, SentimentError> {
        let texts = data.examples.iter().map(|example| example.text.as_str());
        let terms = (options.inputs != Inputs::Meta).then(|| TfIdf::fit(texts, &options.terms));
        let mut parts = Parts { inputs: options.inputs, terms, stars: None, positive: None };
        let x = parts.matrix(&data.examples, &data.features)?;
        let head =
            |labels: Vec<u8>, classes| Head::fit(options.kind, &x, &labels, classes, &options.fit);
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
        Ok(Self { card, features: data.features.clone(), parts })
    }

    /// Columns of a row: meta features and terms, as far as the model sees them.
    pub fn width(&self) -> usize {
        self.parts.width(&self.features)
    }

    /// Writes the model into `folder`, which is made if it is not there.
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
    pub fn load(folder: &Path) -> Result<Self, SentimentError> {
        let card = ModelCard::load(folder)?;
        let features = FeatureSpec::load(folder)?;
        let path = folder.join(PARTS_FILE);
        let file = File::open(&path).map_err(SentimentError::io("open", &path))?;
        let mut parts: Parts = serde_json::from_reader(BufReader::new(file))
            .map_err(|source| SentimentError::BadJson { path: path.clone(), source })?;
        if let Some(terms) = &mut parts.terms {
            terms.index();
            terms.check()?;
        }
        if parts.terms.is_some() != (parts.inputs != Inputs::Meta) {
            return Err(damaged("vocabulary"));
        }
        let width = parts.width(&features);
        if parts.stars.is_none() && parts.positive.is_none() {
            return Err(damaged("heads"));
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
    fn width(&self, features: &FeatureSpec) -> usize {
        let meta = if self.inputs == Inputs::Text { 0 } else { features.width() };
        meta + self.terms.as_ref().map_or(0, |terms| terms.terms().len())
    }

    fn matrix(
        &self,
        examples: &[Example],
        features: &FeatureSpec,
    ) -> Result<Matrix, SentimentError> {
        let meta = if self.inputs == Inputs::Text { 0 } else { features.width() };
        let width = self.width(features);
        let mut made = Matrix::zeros(examples.len(), width)?;
        for (index, example) in examples.iter().enumerate() {
            let row = made.row_mut(index);
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
        Ok(made)
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
