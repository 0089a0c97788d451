//! The network that reads the text.

use bestof_models::ModelError;
use bestof_models::bert::{Bert, BertBatch, BertError, Loader};
use burn::module::Module;
use burn::tensor::Tensor;

use super::batch::TextBatch;
use super::cnn::Cnn;
use super::han::Han;
use super::init::Init;
use super::settings::{Pooling, SentimentSection};
use crate::error::SentimentError;

/// A text encoder. The names of its parameters begin with the variant's name in lower case.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a model has a single encoder")]
pub(super) enum TextEncoder {
    Bert(Bert),
    Cnn(Cnn),
    Han(Han),
}

impl TextEncoder {
    /// A pretrained BERT with the pooler that `settings` need, and no other.
    ///
    /// # Errors
    /// [`SentimentError::TooLong`], or a pooler that cannot be made.
    pub(super) fn bert(
        bert: Bert,
        init: Init,
        settings: &SentimentSection,
    ) -> Result<Self, SentimentError> {
        let bert = match (settings.pooling, init) {
            (Pooling::Mean, _) => bert.without_pooler(),
            (Pooling::Pooler, Init::Random(seed)) => bert.with_fresh_pooler(seed)?,
            (Pooling::Pooler, Init::Stored) => bert,
        };
        let (found, max) = (settings.max_length, bert.config().max_positions);
        if found > max {
            return Err(SentimentError::TooLong { found, max });
        }
        Ok(Self::Bert(bert))
    }

    /// A CNN for a vocabulary of `words` words.
    pub(super) fn cnn(
        loader: &mut Loader<'_>,
        init: Init,
        words: usize,
        settings: &SentimentSection,
    ) -> Result<Self, ModelError> {
        Cnn::load(loader, init, words, settings).map(Self::Cnn)
    }

    /// A HAN for a vocabulary of `words` words.
    pub(super) fn han(
        loader: &mut Loader<'_>,
        init: Init,
        words: usize,
        settings: &SentimentSection,
    ) -> Result<Self, ModelError> {
        Han::load(loader, init, words, settings).map(Self::Han)
    }

    /// Width of a text's vector.
    pub(super) fn width(&self, settings: &SentimentSection) -> usize {
        match self {
            Self::Bert(bert) => bert.config().hidden_size,
            Self::Cnn(_) => settings.joint_width,
            Self::Han(_) => 2 * settings.hidden_width,
        }
    }

    /// The vectors of the words or word pieces of `texts`, `[tokens, word width]`.
    pub(super) fn word_vectors(&self, texts: &TextBatch) -> Result<Tensor<2>, SentimentError> {
        Ok(match self {
            Self::Bert(bert) => bert.word_vectors(&pieces(texts)?)?,
            Self::Cnn(cnn) => cnn.word_vectors(texts),
            Self::Han(han) => han.word_vectors(texts),
        })
    }

    /// The vectors `[texts, width]` of texts with these word vectors. With a seed, values are dropped
    /// as in training.
    pub(super) fn forward(
        &self,
        words: Tensor<2>,
        texts: &TextBatch,
        settings: &SentimentSection,
        seed: Option<u64>,
    ) -> Result<Tensor<2>, SentimentError> {
        Ok(match self {
            Self::Bert(bert) => {
                let tokens = bert.encode_words(words, &pieces(texts)?, seed)?;
                match settings.pooling {
                    Pooling::Mean => tokens.mean(),
                    Pooling::Pooler => bert.pool(&tokens).ok_or(BertError::NoPooler)?,
                }
            }
            Self::Cnn(cnn) => cnn.forward(words, texts, settings.dropout, seed),
            Self::Han(han) => han.forward(&words, texts),
        })
    }
}

/// The texts as BERT takes them. Padding is never computed, so its token id does not matter.
fn pieces(texts: &TextBatch) -> Result<BertBatch, BertError> {
    BertBatch::pad(&texts.rows(), 0)
}
