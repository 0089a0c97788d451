//! Rows that go through a model together.

use bestof_models::bert::BertBatch;
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::error::NeuralError;
use super::model::Shape;
use super::reader::ReadText;
use super::rows::Row;
use crate::model::Architecture;

/// The inputs of some rows.
#[derive(Debug, Clone)]
pub(super) struct Inputs {
    pub(super) texts: Texts,
    /// `[rows, features]`, for models with meta features.
    pub(super) meta: Option<Tensor<2>>,
}

/// Texts for one kind of encoder.
#[derive(Debug, Clone)]
pub(super) enum Texts {
    Pieces(BertBatch),
    Words(WordBatch),
}

/// Words one behind the other.
#[derive(Debug, Clone, Default)]
pub(super) struct WordBatch {
    pub(super) ids: Vec<u32>,
    /// Words of each sentence, over all texts.
    pub(super) sentences: Vec<usize>,
    /// Sentences of each text.
    pub(super) texts: Vec<usize>,
}

impl Inputs {
    pub(super) fn new<'r>(
        rows: impl IntoIterator<Item = &'r Row>,
        shape: &Shape,
        device: &Device,
    ) -> Result<Self, NeuralError> {
        let rows: Vec<&Row> = rows.into_iter().collect();
        let texts: Vec<&ReadText> = rows.iter().map(|row| &row.text).collect();
        let meta = shape.joint().then(|| {
            let values: Vec<f32> = rows.iter().flat_map(|row| &row.meta).copied().collect();
            constant(values, [rows.len(), shape.meta_features], device)
        });
        Ok(Self { texts: Texts::new(&texts, shape)?, meta })
    }
}

impl Texts {
    pub(super) fn new(texts: &[&ReadText], shape: &Shape) -> Result<Self, NeuralError> {
        if shape.settings.kind.architecture() == Some(Architecture::Bert) {
            let ids: Vec<&[u32]> = texts.iter().map(|text| text.ids.as_slice()).collect();
            // What fills rows up is never computed, so any token will do.
            return Ok(Self::Pieces(BertBatch::pad(&ids, 0)?));
        }
        let mut batch = WordBatch::default();
        for text in texts {
            batch.ids.extend(&text.ids);
            batch.sentences.extend(text.sentences.iter().map(|words| *words as usize));
            batch.texts.push(text.sentences.len());
        }
        Ok(Self::Words(batch))
    }
}

/// Values on `device`, without automatic differentiation.
pub(super) fn constant<const D: usize>(
    values: Vec<f32>,
    shape: [usize; D],
    device: &Device,
) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), &device.clone().without_autodiff())
}

/// Indices on `device`.
pub(super) fn indices(values: &[u32], device: &Device) -> Tensor<1, Int> {
    let values: Vec<i32> = values.iter().map(|value| *value as i32).collect();
    let length = values.len();
    Tensor::from_data(TensorData::new(values, [length]), &device.clone().without_autodiff())
}

/// The values of a tensor, flat.
pub(super) fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}
