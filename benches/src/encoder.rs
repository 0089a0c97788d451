//! MiniLM-L6 with three heads on the mean of its tokens: prediction and a step of fine-tuning.

use bestof_models::Device;
use bestof_models::encoder::{Dense, Encoder, EncoderBatch, EncoderConfig, EncoderError, Loader};
use bestof_trainer::optimizer::{AdamW, AdamWConfig};
use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, TensorData};

/// Classes of the heads.
const CLASSES: [usize; 3] = [4, 3, 2];

/// An encoder of MiniLM-L6's shape with heads of four, three and two classes.
#[derive(Module, Debug)]
pub struct MultiTask {
    encoder: Encoder,
    heads: Vec<Dense>,
}

impl MultiTask {
    /// The model with random weights.
    ///
    /// # Errors
    /// Those of the encoder.
    pub fn new(device: &Device) -> Result<Self, EncoderError> {
        let config = EncoderConfig {
            hidden_size: 384,
            num_layers: 6,
            intermediate_size: 1536,
            ..EncoderConfig::default()
        };
        let encoder = Encoder::fresh(&config, 1, device)?.without_pooler();
        let mut loader = Loader::drawing(1, 0.02, device);
        let heads = CLASSES
            .into_iter()
            .enumerate()
            .map(|(number, classes)| {
                Dense::load(&mut loader, &format!("heads.{number}"), [384, classes])
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { encoder, heads })
    }

    /// The logits of the heads.
    ///
    /// # Errors
    /// Those of the encoder.
    pub fn forward(
        &self,
        batch: &EncoderBatch,
        seed: Option<u64>,
    ) -> Result<Vec<Tensor<2>>, EncoderError> {
        let mean = self.encoder.encode(batch, seed)?.mean();
        Ok(self.heads.iter().map(|head| head.forward(mean.clone())).collect())
    }

    /// Forward, backward and `AdamW` on arbitrary labels, with dropout; the model after it and the loss.
    ///
    /// # Errors
    /// Those of the encoder.
    pub fn step(
        self,
        optimizer: &mut ModuleOptimizer,
        batch: &EncoderBatch,
        seed: u64,
    ) -> Result<(Self, f32), EncoderError> {
        let rows = batch.rows();
        let device = Device::flex();
        let losses =
            self.forward(batch, Some(seed))?.into_iter().zip(CLASSES).map(|(logits, classes)| {
                let labels: Vec<i32> = (0..rows).map(|row| (row % classes) as i32).collect();
                let labels: Tensor<2, Int> =
                    Tensor::from_data(TensorData::new(labels, [rows, 1]), &device);
                log_softmax(logits, 1).gather(1, labels).neg().mean()
            });
        let loss = Tensor::cat(losses.collect(), 0).sum();
        let value = loss.clone().into_scalar::<f32>();
        let gradients = GradientsParams::from_grads(loss.backward(), &self);
        Ok((optimizer.step(2e-5, self, gradients), value))
    }
}

/// The optimiser of the bench.
pub fn optimizer() -> ModuleOptimizer {
    AdamW::new(AdamWConfig { weight_decay: 0.01, ..AdamWConfig::default() }).into()
}

/// Rows of these numbers of tokens.
///
/// # Errors
/// A row without tokens.
pub fn rows(lengths: &[usize]) -> Result<EncoderBatch, EncoderError> {
    let rows: Vec<Vec<u32>> = lengths
        .iter()
        .enumerate()
        .map(|(row, length)| {
            (0..*length).map(|at| 1000 + ((at * 7919 + row * 104_729) % 29_000) as u32).collect()
        })
        .collect();
    EncoderBatch::pad(&rows, 0)
}

/// Sixteen rows of 128 tokens, and sixteen from 23 to 128 tokens.
pub fn batches() -> [(&'static str, Vec<usize>); 2] {
    [("128 tokens", vec![128; 16]), ("23 to 128 tokens", (0..16).map(|i| 23 + 7 * i).collect())]
}
