//! From the `[loss]` section to the loss itself.

use bestof_losses::{LossName, LossParameters, PreferenceLoss};

use super::error::{ConfigError, ValueProblem};
use super::sections::LossSection;
use crate::error::TrainError;

impl LossSection {
    /// The loss, each absent parameter at the loss's published default.
    ///
    /// # Errors
    /// An unknown name, a value out of range, or a parameter that the loss does not read.
    pub fn build(&self) -> Result<Box<dyn PreferenceLoss>, TrainError> {
        let name: LossName = self.name.parse()?;
        let mut parameters = LossParameters::of(name);
        let given = [
            ("beta", "loss.beta", self.beta, &mut parameters.beta),
            ("lambda", "loss.lambda", self.lambda, &mut parameters.lambda),
            ("gamma", "loss.gamma", self.gamma, &mut parameters.gamma),
            (
                "label_smoothing",
                "loss.label_smoothing",
                self.label_smoothing,
                &mut parameters.label_smoothing,
            ),
            ("kto_z0", "loss.kto_z0", self.kto_z0, &mut parameters.kto_z0),
        ];
        let mut problems = Vec::new();
        for (field, key, value, parameter) in given {
            let Some(value) = value else { continue };
            *parameter = value;
            if !name.parameters().contains(&field) {
                problems.push(ValueProblem {
                    key,
                    found: value.to_string(),
                    expected: "absent: this loss does not read it",
                });
            }
        }
        if !problems.is_empty() {
            return Err(ConfigError::Values { problems }.into());
        }
        Ok(name.build(&parameters)?)
    }
}
