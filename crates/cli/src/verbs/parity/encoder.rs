//! Parity of encoders: hidden states, pooled rows, and the logits of their heads.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use bestof_checkpoints::ModelFolder;
use bestof_models::Device;
use bestof_models::encoder::{
    Encoder, EncoderBatch, EncoderError, EncoderFamily, EncoderForMaskedLm,
    EncoderForSequenceClassification, EncoderTask, LoadReport,
};

use super::expected::Expected;

pub(super) fn compare(
    folder: &ModelFolder,
    family: EncoderFamily,
    expected: &Expected,
    device: &Device,
) -> Result<BTreeMap<String, f64>> {
    let model = format!("{} encoder", family.model_type());
    expected.only(&["last_hidden_state", "pooler_output", "logits"], &model)?;
    let mut batch =
        EncoderBatch::from_flat(expected.length, expected.ids.clone(), expected.mask.clone())?;
    if let Some(types) = &expected.types {
        batch = batch.with_types(&types.chunks(expected.length).collect::<Vec<_>>())?;
    }
    let every_row = vec![true; expected.rows];
    let mut differences = BTreeMap::new();
    let mut add = |key: &str, shape: &[usize], values: Vec<f32>, mask: &[bool]| {
        expected.compare(key, shape, &values, mask, &mut differences)
    };
    if expected.contains("last_hidden_state") || expected.contains("pooler_output") {
        let output = Encoder::open(&folder.dir, device)?.0.forward(&batch, None)?;
        if expected.contains("last_hidden_state") {
            let hidden = output.last_hidden_state;
            add(
                "last_hidden_state",
                &hidden.dims(),
                hidden.into_data().iter().collect(),
                &expected.mask,
            )?;
        }
        if expected.contains("pooler_output") {
            let pooled = output.pooler_output.ok_or(EncoderError::NoPooler)?;
            add("pooler_output", &pooled.dims(), pooled.into_data().iter().collect(), &every_row)?;
        }
    }
    if expected.contains("logits") {
        let architecture = &folder.config["architectures"][0];
        let class = |task| family.class(task);
        let task = EncoderTask::ALL.into_iter().find(|task| *architecture == class(*task));
        match task {
            Some(EncoderTask::SequenceClassification) => {
                let (model, report) = EncoderForSequenceClassification::open(&folder.dir, device)?;
                refuse_unused(&report)?;
                let logits = model.forward(&batch, None)?;
                add("logits", &logits.dims(), logits.into_data().iter().collect(), &every_row)?;
            }
            Some(EncoderTask::MaskedLm) => {
                let (model, report) = EncoderForMaskedLm::open(&folder.dir, device)?;
                refuse_unused(&report)?;
                let logits = model.forward(&batch, None)?;
                add("logits", &logits.dims(), logits.into_data().iter().collect(), &expected.mask)?;
            }
            Some(EncoderTask::Encoder) | None => {
                let found =
                    architecture.as_str().map_or_else(|| architecture.to_string(), str::to_owned);
                bail!(
                    "config.json: no logits are computed for architecture `{found}`; known are {}, {}",
                    class(EncoderTask::SequenceClassification),
                    class(EncoderTask::MaskedLm)
                );
            }
        }
    }
    Ok(differences)
}

/// Refuses a checkpoint with tensors that neither encoder nor head have, such as those of another head.
fn refuse_unused(report: &LoadReport) -> Result<()> {
    match report.unused.first() {
        None => Ok(()),
        Some(name) => bail!("the checkpoint has a tensor `{name}` that nothing here computes with"),
    }
}
