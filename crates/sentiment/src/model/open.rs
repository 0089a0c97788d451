//! Opening a model folder of any kind.

use std::path::{Path, PathBuf};

use bestof_files::recover_folder;
use bestof_trainer::export::FINAL;

use super::card::{MODEL_FILE, ModelCard};
use super::predictor::Predictor;
use crate::classical::ClassicalModel;
use crate::error::SentimentError;
use crate::neural::NeuralClassifier;

/// Opens a model folder of any kind, or the run folder of a neural model, whose model is in `final`.
/// Neural models are loaded on `device`, as `cpu` or `cuda:0`.
///
/// # Errors
/// [`SentimentError::NotAModel`], a damaged file, or a device that is not available.
pub fn open(folder: &Path, device: &str) -> Result<Box<dyn Predictor>, SentimentError> {
    let folder = folder_of(folder)?;
    Ok(if ModelCard::load(&folder)?.kind.is_classical() {
        Box::new(ClassicalModel::load(&folder)?)
    } else {
        Box::new(NeuralClassifier::open(&folder, device)?)
    })
}

/// Opens the folder of a classical model.
///
/// # Errors
/// [`SentimentError::NotAModel`], [`SentimentError::NoColumns`] for a neural model, or a damaged file.
pub fn open_classical(folder: &Path) -> Result<ClassicalModel, SentimentError> {
    let folder = folder_of(folder)?;
    match ModelCard::load(&folder)?.kind {
        kind if kind.is_classical() => ClassicalModel::load(&folder),
        kind => Err(SentimentError::NoColumns { kind: kind.as_str() }),
    }
}

/// The folder with the model: of a run that in it.
fn folder_of(folder: &Path) -> Result<PathBuf, SentimentError> {
    let trained = folder.join(FINAL);
    recover_folder(&trained)?;
    let of_run = !folder.join(MODEL_FILE).is_file() && trained.join(MODEL_FILE).is_file();
    Ok(if of_run { trained } else { folder.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelKind;

    #[test]
    fn folders_without_a_model_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = ModelCard::load(folder.path()).unwrap_err().to_string();
        assert!(error.contains("sentiment.json"), "{error}");
        let card = ModelCard::new(ModelKind::Bert, "text", 1);
        card.save(folder.path()).unwrap();
        assert_eq!(ModelCard::load(folder.path()).unwrap(), card);
        let error = open_classical(folder.path()).unwrap_err().to_string();
        assert!(error.contains("`bert` is a neural model"), "{error}");
        // The rest of the folder is missing.
        let error = open(folder.path(), "cpu").err().unwrap().to_string();
        assert!(error.contains("neural.json"), "{error}");
    }
}
