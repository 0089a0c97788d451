//! What is compared: bases, factors of evaluation, and training.

use bestof_checkpoints::ModelFolder;
use bestof_models::ModelError;
use bestof_positional::hf::with_factor;
use bestof_positional::{RopeError, RopeParams};
use bestof_trainer::TrainError;
use bestof_trainer::config::ExtendSection;

use crate::ReproduceError;

/// How many times longer the model becomes.
pub(super) const FACTOR: f64 = 2.0;
/// The larger factor, of evaluation alone.
pub(super) const LARGER: f64 = 3.0;

/// One way to use the model on texts that are longer than those it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arm {
    /// As it is.
    Plain,
    /// Linear scaling.
    Linear,
    /// The same, evaluated at the larger factor.
    LinearLarger,
    /// YaRN.
    Yarn,
    /// The truncated basis, whose length is that of pre-training.
    Truncated,
    /// Linear scaling after training.
    Trained,
}

impl Arm {
    /// All of them, in the order of tables.
    pub(super) const ALL: [Self; 6] =
        [Self::Plain, Self::Linear, Self::LinearLarger, Self::Yarn, Self::Truncated, Self::Trained];

    /// Those that take no training.
    pub(super) fn untrained() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|arm| *arm != Self::Trained)
    }

    /// As tables have it.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Plain => "plain RoPE",
            Self::Linear => "linear 2",
            Self::LinearLarger => "linear 2, evaluated at 3",
            Self::Yarn => "YaRN 2",
            Self::Truncated => "truncated",
            Self::Trained => "linear 2, trained",
        }
    }

    /// As files have it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Linear => "linear-2",
            Self::LinearLarger => "linear-2-at-3",
            Self::Yarn => "yarn-2",
            Self::Truncated => "truncated",
            Self::Trained => "linear-2-trained",
        }
    }

    /// The section of a configuration that changes the basis of a model to this one, which is to see
    /// [`FACTOR`] times as many tokens; `None` for the model as it is.
    pub(super) fn section(self, base: &ModelFolder) -> Option<ExtendSection> {
        let length = base.config["max_position_embeddings"].as_f64().unwrap_or(f64::NAN);
        let of = |method: &str, factor: Option<f64>| ExtendSection {
            params: RopeParams { factor, ..RopeParams::default() },
            // A factor says how far it reaches.
            length: factor.is_none().then_some((FACTOR * length) as usize),
            ..ExtendSection::new(method)
        };
        match self {
            Self::Plain => None,
            Self::Linear | Self::LinearLarger | Self::Trained => Some(of("linear", Some(FACTOR))),
            Self::Yarn => Some(of("yarn", Some(FACTOR))),
            Self::Truncated => Some(of("truncated", None)),
        }
    }

    /// The model on this basis. `base` is the model itself, for a trained arm what training left.
    pub(super) fn put_on(self, base: &ModelFolder) -> Result<ModelFolder, ReproduceError> {
        let mut folder = base.clone();
        if self != Self::Trained {
            folder.config =
                self.config(base).map_err(ModelError::from).map_err(TrainError::from)?;
        }
        Ok(folder)
    }

    fn config(self, base: &ModelFolder) -> Result<serde_json::Value, RopeError> {
        let Some(section) = self.section(base) else { return Ok(base.config.clone()) };
        let config = section.extension()?.apply(&base.config)?.config;
        if self == Self::LinearLarger { with_factor(&config, LARGER) } else { Ok(config) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::giraffe::real::small::small_model;

    #[test]
    fn every_arm_has_names_and_a_basis_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let folder = ModelFolder::open(&small_model(dir.path())).unwrap();
        let (mut labels, mut names, mut bases) = (HashSet::new(), HashSet::new(), HashSet::new());
        for arm in Arm::untrained() {
            labels.insert(arm.label());
            names.insert(arm.name());
            let config = arm.put_on(&folder).unwrap().config;
            bases.insert(config["rope_scaling"].to_string());
        }
        assert_eq!((labels.len(), names.len(), bases.len()), (5, 5, 5));
        let factor =
            |arm: Arm| arm.put_on(&folder).unwrap().config["rope_scaling"]["factor"].clone();
        assert_eq!((factor(Arm::Linear), factor(Arm::LinearLarger)), (2.0.into(), 3.0.into()));
        assert_eq!(Arm::Plain.put_on(&folder).unwrap().config, folder.config);
    }
}
