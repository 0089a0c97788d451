//! Parity of BERT: hidden states, pooled rows, and the logits of its heads.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use bestof_checkpoints::ModelFolder;
use bestof_models::Device;
use bestof_models::bert::{
    Bert, BertBatch, BertError, BertForMaskedLm, BertForSequenceClassification,
};

use super::expected::Expected;

pub(super) fn compare(
    folder: &ModelFolder,
    expected: &Expected,
    device: &Device,
) -> Result<BTreeMap<String, f64>> {
    expected.only(&["last_hidden_state", "pooler_output", "logits"], "BERT encoder")?;
    let mut batch =
        BertBatch::from_flat(expected.length, expected.ids.clone(), expected.mask.clone())?;
    if let Some(types) = &expected.types {
        batch = batch.with_types(&types.chunks(expected.length).collect::<Vec<_>>())?;
    }
    let every_row = vec![true; expected.rows];
    let mut differences = BTreeMap::new();
    let mut add = |key: &str, shape: &[usize], values: Vec<f32>, mask: &[bool]| {
        expected.compare(key, shape, &values, mask, &mut differences)
    };
    if expected.contains("last_hidden_state") || expected.contains("pooler_output") {
        let output = Bert::open(&folder.dir, device)?.0.forward(&batch, None)?;
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
            let pooled = output.pooler_output.ok_or(BertError::NoPooler)?;
            add("pooler_output", &pooled.dims(), pooled.into_data().iter().collect(), &every_row)?;
        }
    }
    if expected.contains("logits") {
        let architecture = &folder.config["architectures"][0];
        match architecture.as_str() {
            Some("BertForSequenceClassification") => {
                let (model, _) = BertForSequenceClassification::open(&folder.dir, device)?;
                let logits = model.forward(&batch, None)?;
                add("logits", &logits.dims(), logits.into_data().iter().collect(), &every_row)?;
            }
            Some("BertForMaskedLM") => {
                let (model, _) = BertForMaskedLm::open(&folder.dir, device)?;
                let logits = model.forward(&batch, None)?;
                add("logits", &logits.dims(), logits.into_data().iter().collect(), &expected.mask)?;
            }
            other => {
                let found = other.map_or_else(|| architecture.to_string(), str::to_owned);
                bail!(
                    "config.json: no logits are computed for architecture `{found}`; \
                     known are BertForSequenceClassification, BertForMaskedLM"
                );
            }
        }
    }
    Ok(differences)
}
