//! The convolutional network: convolution over words, maximum over time, a dense layer.

use bestof_models::ModelError;
use bestof_models::encoder::{Dense, Fill, Loader, dropout};
use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;

use super::batch::TextBatch;
use super::init::Init;
use super::padding::padded_indices;
use super::settings::SentimentSection;
use bestof_kernels::{constant, indices};

/// Key of the dropout between the layers: every dropout of a model has its own.
const DROPOUT_KEY: u64 = 7;

/// Convolution over words, maximum over time, a dense layer.
///
/// ```text
/// c_t = relu(W [x_t .. x_(t+k-1)] + b)     T = relu(V dropout(max_t c_t) + d)
/// ```
///
/// Source: Kim 2014, arXiv:1408.5882, section 2.
#[derive(Module, Debug)]
pub(super) struct Cnn {
    /// `[words, width]`
    pub(super) words: Param<Tensor<2>>,
    /// `[filters, filter width * width]`
    pub(super) filters: Dense,
    pub(super) dense: Dense,
}

impl Cnn {
    pub(super) fn load(
        loader: &mut Loader<'_>,
        init: Init,
        words: usize,
        settings: &SentimentSection,
    ) -> Result<Self, ModelError> {
        let SentimentSection { word_width, filters, filter_width, joint_width, .. } = *settings;
        init.set_deviation(loader, 0.1);
        Ok(Self {
            words: loader.parameter("cnn.words", [words, word_width], Fill::Normal)?,
            filters: init.dense(loader, "cnn.filters", [filter_width * word_width, filters])?,
            dense: init.dense(loader, "cnn.dense", [filters, joint_width])?,
        })
    }

    /// The word vectors, `[words, width]`.
    pub(super) fn word_vectors(&self, batch: &TextBatch) -> Tensor<2> {
        let words = self.words.val();
        let device = words.device();
        words.select(0, indices(&batch.ids, &device))
    }

    /// `[texts, dense width]` of word vectors `[words, width]`; with a seed, a share of the maxima is
    /// dropped as in training.
    pub(super) fn forward(
        &self,
        words: Tensor<2>,
        batch: &TextBatch,
        share: f64,
        seed: Option<u64>,
    ) -> Tensor<2> {
        let [count, width] = words.dims();
        let device = words.device();
        let span = self.filters.weight.dims()[1] / width;
        let (window_words, windows) = windows(&batch.sentences, span, count);
        let zeros = constant(vec![0.0; width], [1, width], &device);
        let words = Tensor::cat(vec![words, zeros], 0).select(0, indices(&window_words, &device));
        let total: usize = windows.iter().sum();
        let responses = relu(self.filters.forward(words.reshape([total, span * width])));
        // No response is below 0, so a row of zeros changes no maximum.
        let filters = responses.dims()[1];
        let zeros = constant(vec![0.0; filters], [1, filters], &device);
        let padded = padded_indices(&windows, total);
        let longest = padded.len() / windows.len().max(1);
        let responses = Tensor::cat(vec![responses, zeros], 0).select(0, indices(&padded, &device));
        let largest = responses.reshape([windows.len(), longest, filters]).max_dim(1);
        let mut x = largest.reshape([windows.len(), filters]);
        if let Some(seed) = seed {
            x = dropout(x, &batch.dropout(share, [seed, DROPOUT_KEY, 0]));
        }
        relu(self.dense.forward(x))
    }
}

/// The indices of the words under every window of `span` words, and the number of windows of each
/// text. A text shorter than a window is padded with the index `words`.
fn windows(texts: &[usize], span: usize, words: usize) -> (Vec<u32>, Vec<usize>) {
    let (mut window_words, mut counts) = (Vec::new(), Vec::with_capacity(texts.len()));
    let mut start = 0;
    for &length in texts {
        let count = (length + 1).saturating_sub(span).max(1);
        for window in 0..count {
            window_words.extend(
                (window..window + span)
                    .map(|at| if at < length { (start + at) as u32 } else { words as u32 }),
            );
        }
        counts.push(count);
        start += length;
    }
    (window_words, counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bestof_kernels::host_values;
    use bestof_models::Device;

    /// `max(x, 0)` that keeps NaN.
    fn rectified(x: f64) -> f64 {
        if x < 0.0 { 0.0 } else { x }
    }

    #[test]
    fn responses_are_those_of_each_text_by_itself_in_f64() {
        let device = Device::flex();
        let settings = SentimentSection {
            word_width: 2,
            filters: 5,
            filter_width: 3,
            joint_width: 4,
            ..SentimentSection::default()
        };
        let mut loader = Loader::drawing(2, 0.7, &device);
        let cnn = Cnn::load(&mut loader, Init::Random(2), 9, &settings).unwrap();
        let batch = TextBatch {
            ids: vec![1, 2, 3, 4, 5, 8, 6, 7],
            sentences: vec![5, 1, 2],
            texts: vec![1, 1, 1],
            keys: vec![0, 1, 2],
        };
        let found = host_values(cnn.forward(cnn.word_vectors(&batch), &batch, 0.0, None));
        let read = |dense: &Dense| (host_values(dense.weight.val()), host_values(dense.bias.val()));
        let (table, (filters, biases), (weights, shifts)) =
            (host_values(cnn.words.val()), read(&cnn.filters), read(&cnn.dense));
        let mut start = 0;
        for (text, &length) in batch.sentences.iter().enumerate() {
            let ids = &batch.ids[start..start + length];
            start += length;
            // A text shorter than the window is followed by zeros.
            let word = |at: usize, i: usize| {
                ids.get(at).map_or(0.0, |id| f64::from(table[*id as usize * 2 + i]))
            };
            let response = |filter: usize, from: usize| -> f64 {
                let sum: f64 = (0..6)
                    .map(|i| f64::from(filters[filter * 6 + i]) * word(from + i / 2, i % 2))
                    .sum();
                rectified(sum + f64::from(biases[filter]))
            };
            let last = length.saturating_sub(3);
            let largest: Vec<f64> = (0..5)
                .map(|f| (0..=last).map(|from| response(f, from)).max_by(f64::total_cmp).unwrap())
                .collect();
            for out in 0..4 {
                let sum: f64 = (0..5).map(|f| f64::from(weights[out * 5 + f]) * largest[f]).sum();
                let expected = rectified(sum + f64::from(shifts[out]));
                let found = f64::from(found[text * 4 + out]);
                assert!((found - expected).abs() < 1e-6, "{found} {expected}");
            }
        }
    }
}
