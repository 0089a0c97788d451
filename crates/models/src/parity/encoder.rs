//! Parity of BERT: hidden states, pooled rows, and the logits of its heads.

use std::collections::BTreeMap;

use bestof_checkpoints::ModelFolder;
use burn::tensor::{Device, Tensor};
use serde_json::Value;

use super::ParityError;
use super::expected::Expected;
use crate::bert::{Bert, BertBatch, BertError, BertForMaskedLm, BertForSequenceClassification};
use bestof_kernels::host_values;

pub(super) fn compare(
    folder: &ModelFolder,
    expected: &Expected,
    device: &Device,
) -> Result<BTreeMap<String, f64>, ParityError> {
    expected.only(&["last_hidden_state", "pooler_output", "logits"], "BERT encoder")?;
    let mut batch =
        BertBatch::from_flat(expected.length, expected.ids.clone(), expected.mask.clone())?;
    if let Some(types) = &expected.types {
        batch = batch.with_types(&types.chunks(expected.length).collect::<Vec<_>>())?;
    }
    let mut differences = BTreeMap::new();
    if expected.wants("last_hidden_state") || expected.wants("pooler_output") {
        let output = Bert::open(&folder.dir, device)?.0.forward(&batch, None)?;
        if expected.wants("last_hidden_state") {
            let hidden = output.last_hidden_state;
            add(expected, "last_hidden_state", hidden, &expected.mask, &mut differences)?;
        }
        if expected.wants("pooler_output") {
            let pooled = output.pooler_output.ok_or(BertError::NoPooler)?;
            let all = vec![true; expected.rows];
            add(expected, "pooler_output", pooled, &all, &mut differences)?;
        }
    }
    if expected.wants("logits") {
        let architecture = &folder.config["architectures"][0];
        match architecture.as_str() {
            Some("BertForSequenceClassification") => {
                let (model, _) = BertForSequenceClassification::open(&folder.dir, device)?;
                let logits = model.forward(&batch, None)?;
                let all = vec![true; expected.rows];
                add(expected, "logits", logits, &all, &mut differences)?;
            }
            Some("BertForMaskedLM") => {
                let (model, _) = BertForMaskedLm::open(&folder.dir, device)?;
                let logits = model.forward(&batch, None)?;
                add(expected, "logits", logits, &expected.mask, &mut differences)?;
            }
            _ => return Err(unknown_head(architecture)),
        }
    }
    Ok(differences)
}

fn unknown_head(architecture: &Value) -> ParityError {
    let found = architecture.as_str().map_or_else(|| architecture.to_string(), str::to_owned);
    ParityError::UnknownHead { found }
}

fn add<const D: usize>(
    expected: &Expected,
    key: &str,
    found: Tensor<D>,
    seen: &[bool],
    differences: &mut BTreeMap<String, f64>,
) -> Result<(), ParityError> {
    let shape = found.dims();
    expected.compare(key, &shape, &host_values(found), seen, differences)
}
