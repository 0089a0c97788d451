//! The hierarchical attention network: a text's vector from its sentences', each from its words'.

use bestof_models::ModelError;
use bestof_models::encoder::{Fill, Loader};
use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::attention::AttentionPooling;
use super::batch::TextBatch;
use super::gru::{BiGru, Steps};
use super::init::Init;
use super::settings::SentimentSection;
use bestof_kernels::indices;

/// Hierarchical attention.
///
/// Nothing is computed for padding: a step of a recurrence covers the sentences that reach it.
///
/// Source: Yang et al. 2016, "Hierarchical Attention Networks for Document Classification", NAACL.
#[derive(Module, Debug)]
pub(super) struct Han {
    /// `[words, width]`
    pub(super) words: Param<Tensor<2>>,
    pub(super) word_gru: BiGru,
    pub(super) word_attention: AttentionPooling,
    pub(super) sentence_gru: BiGru,
    pub(super) sentence_attention: AttentionPooling,
}

impl Han {
    pub(super) fn load(
        loader: &mut Loader<'_>,
        init: Init,
        words: usize,
        settings: &SentimentSection,
    ) -> Result<Self, ModelError> {
        let (inputs, hidden) = (settings.word_width, settings.hidden_width);
        init.set_deviation(loader, 0.1);
        Ok(Self {
            words: loader.parameter("han.words", [words, inputs], Fill::Normal)?,
            word_gru: BiGru::load(loader, init, "han.word_gru", inputs, hidden)?,
            word_attention: AttentionPooling::load(loader, init, "han.word_attention", 2 * hidden)?,
            sentence_gru: BiGru::load(loader, init, "han.sentence_gru", 2 * hidden, hidden)?,
            sentence_attention: AttentionPooling::load(
                loader,
                init,
                "han.sentence_attention",
                2 * hidden,
            )?,
        })
    }

    /// The word vectors, `[words, width]`.
    pub(super) fn word_vectors(&self, batch: &TextBatch) -> Tensor<2> {
        let words = self.words.val();
        let device = words.device();
        words.select(0, indices(&batch.ids, &device))
    }

    /// `[texts, 2 hidden]` of word vectors `[words, width]`.
    pub(super) fn forward(&self, words: &Tensor<2>, batch: &TextBatch) -> Tensor<2> {
        let states = self.word_gru.forward(words, &Steps::of(&batch.sentences));
        let sentences = self.word_attention.forward(states, &batch.sentences);
        let states = self.sentence_gru.forward(&sentences, &Steps::of(&batch.texts));
        self.sentence_attention.forward(states, &batch.texts)
    }
}
