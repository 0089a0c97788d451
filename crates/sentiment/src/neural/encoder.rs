//! The network that reads the text.

use bestof_models::ModelError;
use bestof_models::encoder::{Encoder, EncoderBatch, EncoderError, Loader, RowPooler};
use burn::module::Module;
use burn::tensor::Tensor;

use super::batch::TextBatch;
use super::cnn::Cnn;
use super::han::Han;
use super::init::Init;
use super::settings::{Pooling, SentimentSection};
use crate::error::SentimentError;

/// A text encoder. The names of its parameters begin with the variant's name in lower case, or with what
/// transformers gives them.
#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a model has a single encoder")]
pub(super) enum TextEncoder {
    Pretrained(Encoder),
    Cnn(Cnn),
    Han(Han),
}

impl TextEncoder {
    /// A pretrained encoder with the pooler that `settings` need, and no other.
    ///
    /// # Errors
    /// [`SentimentError::TooLong`], or a pooler that cannot be made.
    pub(super) fn pretrained(
        encoder: Encoder,
        loader: &mut Loader<'_>,
        init: Init,
        settings: &SentimentSection,
    ) -> Result<(Self, Option<RowPooler>), SentimentError> {
        let (found, max) = (settings.max_length, encoder.config().max_tokens());
        if found > max {
            return Err(SentimentError::TooLong { found, max });
        }
        let (encoder, pooler) = match settings.pooling {
            Pooling::Mean => (encoder.without_pooler(), None),
            Pooling::Pooler => {
                init.set_deviation(loader, encoder.config().initializer_range);
                encoder.with_row_pooler(loader)?
            }
        };
        Ok((Self::Pretrained(encoder), pooler))
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
            Self::Pretrained(encoder) => encoder.config().hidden_size,
            Self::Cnn(_) => settings.joint_width,
            Self::Han(_) => 2 * settings.hidden_width,
        }
    }

    /// The vectors of the words or word pieces of `texts`, `[tokens, word width]`.
    pub(super) fn word_vectors(&self, texts: &TextBatch) -> Result<Tensor<2>, SentimentError> {
        Ok(match self {
            Self::Pretrained(encoder) => encoder.word_vectors(&pieces(texts)?)?,
            Self::Cnn(cnn) => cnn.word_vectors(texts),
            Self::Han(han) => han.word_vectors(texts),
        })
    }

    /// The vectors `[texts, width]` of texts with these word vectors. With a seed, values are dropped
    /// as in training.
    pub(super) fn forward(
        &self,
        pooler: Option<&RowPooler>,
        words: Tensor<2>,
        texts: &TextBatch,
        settings: &SentimentSection,
        seed: Option<u64>,
    ) -> Result<Tensor<2>, SentimentError> {
        Ok(match self {
            Self::Pretrained(encoder) => {
                let tokens = encoder.encode_words(words, &pieces(texts)?, seed)?;
                match settings.pooling {
                    Pooling::Mean => tokens.mean(),
                    Pooling::Pooler => encoder.pool_rows(pooler, &tokens, seed)?,
                }
            }
            Self::Cnn(cnn) => cnn.forward(words, texts, settings.dropout, seed),
            Self::Han(han) => han.forward(&words, texts),
        })
    }
}

/// The texts as a pretrained encoder takes them. Padding is never computed, so its token id does not matter.
fn pieces(texts: &TextBatch) -> Result<EncoderBatch, EncoderError> {
    EncoderBatch::pad(&texts.rows(), 0)?.with_keys(&texts.keys)
}
