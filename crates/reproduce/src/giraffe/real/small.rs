//! A model of one layer, for tests.

use std::path::{Path, PathBuf};

use crate::SmallLlama;

/// Writes a model for 1,000 signs with random weights.
pub(super) fn small_model(dir: &Path) -> PathBuf {
    let model = dir.join("model");
    let shape = SmallLlama {
        alphabet: SmallLlama::ASCII,
        width: 16,
        inner: 16,
        layers: 1,
        heads: 1,
        context: 1000,
        rope_theta: 10_000.0,
        initializer_range: 0.2,
    };
    shape.write(&model, 0).unwrap();
    model
}
