//! The losses that are compared, and the settings of a run.

use std::path::Path;

use bestof_trainer::TrainError;
use bestof_trainer::config::{RunConfig, toml_path, toml_text};

use crate::ReproduceError;

/// A preference loss with its hyper-parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Recipe {
    loss: &'static str,
    beta: f64,
    lambda: Option<f64>,
}

pub(crate) const DPO: Recipe = Recipe { loss: "dpo", beta: 0.3, lambda: None };
pub(crate) const DPOP: Recipe = Recipe { loss: "dpop", beta: 0.3, lambda: Some(50.0) };
pub(crate) const IPO: Recipe = Recipe { loss: "ipo", beta: 0.3, lambda: None };
pub(crate) const HINGE: Recipe = Recipe { loss: "hinge", beta: 0.3, lambda: None };
/// The paper's ablation of beta.
pub(crate) const DPO_BETAS: [Recipe; 3] =
    [Recipe { beta: 0.1, ..DPO }, DPO, Recipe { beta: 1.0, ..DPO }];
/// The paper's ablation of lambda.
pub(crate) const DPOP_LAMBDAS: [Recipe; 3] =
    [Recipe { lambda: Some(5.0), ..DPOP }, DPOP, Recipe { lambda: Some(500.0), ..DPOP }];

impl Recipe {
    /// How people know it, as `DPOP, beta 0.3, lambda 50`.
    pub(crate) fn name(&self) -> String {
        let (loss, beta) = (self.loss.to_uppercase(), self.beta);
        match self.lambda {
            Some(lambda) => format!("{loss}, beta {beta}, lambda {lambda}"),
            None => format!("{loss}, beta {beta}"),
        }
    }

    /// The name of its run's folder.
    pub(crate) fn folder(&self) -> String {
        self.name().to_lowercase().replace(", ", "-").replace(' ', "-")
    }

    pub(crate) fn section(&self) -> String {
        let lambda = self.lambda.map_or(String::new(), |lambda| format!("lambda = {lambda:?}\n"));
        format!("[loss]\nname = \"{}\"\nbeta = {:?}\n{lambda}", self.loss, self.beta)
    }
}

/// The settings of one run; `loss` is empty for a supervised one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunPlan<'a> {
    pub(crate) model: &'a Path,
    pub(crate) device: &'a str,
    pub(crate) train: &'a Path,
    pub(crate) dir: &'a Path,
    pub(crate) steps: u64,
    pub(crate) batch: usize,
    pub(crate) learning_rate: f64,
    pub(crate) seed: u64,
    pub(crate) loss: &'a str,
}

impl RunPlan<'_> {
    pub(crate) fn config(&self) -> Result<RunConfig, ReproduceError> {
        let text = format!(
            "[model]\npath = {}\ndevice = {}\n[data]\ntrain = {}\n[output]\ndir = {}\n\
             [train]\nlearning_rate = {:?}\nmax_steps = {}\nper_device_train_batch_size = {}\n\
             lr_scheduler_type = \"cosine\"\nwarmup_ratio = 0.1\nlogging_steps = 10\n\
             save_steps = 0\nsave_total_limit = 1\nseed = {}\n{}",
            toml_path(self.model),
            toml_text(self.device),
            toml_path(self.train),
            toml_path(self.dir),
            self.learning_rate,
            self.steps,
            self.batch,
            self.seed,
            self.loss,
        );
        Ok(RunConfig::from_toml(&text, &[]).map_err(TrainError::from)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_differ_in_the_loss_alone() {
        let config = |recipe: &Recipe| {
            let loss = recipe.section();
            let plan = RunPlan {
                model: Path::new("a \"model\""),
                device: "cpu",
                train: Path::new("pairs.jsonl"),
                dir: Path::new("out"),
                steps: 3,
                batch: 2,
                learning_rate: 1e-3,
                seed: 7,
                loss: &loss,
            };
            plan.config().unwrap()
        };
        let dpo = config(&DPO);
        assert_eq!(dpo.model.path, Path::new("a \"model\""));
        assert_eq!((dpo.train.max_steps, dpo.train.seed), (3, 7));
        for recipe in [&DPO_BETAS[..], &DPOP_LAMBDAS, &[IPO, HINGE]].concat() {
            let found = config(&recipe);
            let loss = found.loss.clone().unwrap();
            assert_eq!((loss.name.as_str(), loss.beta), (recipe.loss, Some(recipe.beta)));
            assert_eq!(loss.lambda, recipe.lambda);
            assert_eq!(RunConfig { loss: dpo.loss.clone(), ..found }, dpo);
        }
        assert_eq!(DPOP.name(), "DPOP, beta 0.3, lambda 50");
        assert_eq!(DPOP.folder(), "dpop-beta-0.3-lambda-50");
    }
}
