//! The bases that are compared, and the factors that trained models are evaluated at.

use bestof_positional::RopeParams;
use bestof_trainer::config::ExtendSection;

/// Where truncation's or power scaling's exponent is not one of the paper's: its 0.5.
const POWER: f64 = 0.5;

/// How a model is extended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Basis {
    /// As commands have it.
    pub(super) method: &'static str,
    /// How many times longer, where the method has a factor.
    pub(super) factor: Option<f64>,
    /// Factors to evaluate the trained model at, besides that of training.
    pub(super) eval_factors: &'static [f64],
    /// Factors to evaluate the untrained model at.
    pub(super) untrained_factors: &'static [f64],
}

const fn basis(method: &'static str, factor: Option<f64>) -> Basis {
    Basis { method, factor, eval_factors: &[], untrained_factors: &[] }
}

/// Plain RoPE.
pub(super) const PLAIN: Basis = Basis { untrained_factors: &[2.0], ..basis("default", None) };
/// Linear scaling by 4.
pub(super) const LINEAR: Basis =
    Basis { eval_factors: &[6.0, 8.0, 16.0], ..basis("linear", Some(4.0)) };
/// Linear scaling by 8.
const LINEAR_8: Basis = Basis { eval_factors: &[6.0, 12.0, 16.0], ..basis("linear", Some(8.0)) };
/// YaRN by 4.
pub(super) const YARN: Basis = basis("yarn", Some(4.0));
/// The truncated basis.
pub(super) const TRUNCATED: Basis = basis("truncated", None);
/// Power scaling.
pub(super) const POWERED: Basis = basis("power", None);
/// Positions drawn at random in training, linear scaling by 4.
pub(super) const RANDOMIZED: Basis = basis("randomized", Some(4.0));

/// Every basis, in the order of the tables.
pub(super) const ALL: [Basis; 12] = [
    PLAIN,
    LINEAR,
    LINEAR_8,
    basis("ntk", Some(4.0)),
    basis("ntk", Some(8.0)),
    basis("dynamic", Some(4.0)),
    YARN,
    basis("yarn", Some(8.0)),
    POWERED,
    TRUNCATED,
    basis("truncated", Some(4.0)),
    RANDOMIZED,
];

/// Linear scaling, and what was better in earlier studies: these are trained at other lengths and for
/// more steps too.
pub(super) const FURTHER: [Basis; 3] = [LINEAR, TRUNCATED, YARN];

/// Those that are extended by 4 or have no factor: the paper's comparison, and what it leaves out.
pub(super) fn rivals_of_linear() -> impl Iterator<Item = Basis> {
    ALL.into_iter().filter(|basis| *basis != LINEAR && basis.factor.is_none_or(|f| f == 4.0))
}

impl Basis {
    /// As tables have it: `linear 4`.
    pub(super) fn label(&self) -> String {
        let name = match self.method {
            "default" => "plain RoPE",
            "ntk" => "NTK-aware",
            "dynamic" => "dynamic NTK",
            "yarn" => "YaRN",
            "power" => "power 0.5",
            "randomized" => "random positions, linear",
            method => method,
        };
        match self.factor {
            Some(factor) if self.method == "truncated" => format!("{name}, linear {factor}"),
            Some(factor) => format!("{name} {factor}"),
            None => name.to_owned(),
        }
    }

    /// The name of its run's folder.
    pub(super) fn folder(&self) -> String {
        match self.factor {
            Some(factor) => format!("{}-{factor}", self.method),
            None => self.method.to_owned(),
        }
    }

    /// Whether the model can be evaluated on it without training.
    pub(super) fn needs_training(&self) -> bool {
        self.method == RANDOMIZED.method
    }

    /// The section of a configuration, for a model that sees `length` tokens afterwards.
    pub(super) fn section(&self, length: usize) -> ExtendSection {
        ExtendSection {
            params: RopeParams {
                factor: self.factor,
                power: (self.method == POWERED.method).then_some(POWER),
                ..RopeParams::default()
            },
            // A factor says how far it reaches.
            length: (self.factor.is_none() && *self != PLAIN).then_some(length),
            ..ExtendSection::new(self.method)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_basis_has_a_name_and_a_section_that_is_one() {
        let names: HashSet<String> = ALL.iter().map(Basis::label).collect();
        let folders: HashSet<String> = ALL.iter().map(Basis::folder).collect();
        assert_eq!((names.len(), folders.len()), (ALL.len(), ALL.len()));
        for basis in ALL {
            basis.section(512).extension().unwrap();
        }
        assert_eq!(LINEAR.label(), "linear 4");
        assert_eq!(POWERED.section(512).params.power, Some(0.5));
        assert_eq!(rivals_of_linear().count(), 8);
    }
}
