//! Ranges of the values, all checked at once.

use bestof_models::Dtype;
use bestof_tasks::rows::known_columns;

use super::error::{ConfigError, UnknownKey};
use super::kind::RunKind;
use super::problems::Problems;
use super::run_config::RunConfig;

impl RunConfig {
    /// Checks every range and names all values outside theirs.
    ///
    /// # Errors
    /// [`ConfigError::Values`].
    pub fn validate(&self) -> Result<(), ConfigError> {
        let mut problems = Problems::default();
        self.check_places(&mut problems);
        self.check_optimizer(&mut problems);
        self.check_loop(&mut problems);
        self.check_optional_sections(&mut problems);
        self.check_policy_sections(&mut problems);
        problems.finish()
    }

    /// Checks that the sections belong to this kind of run, so that none is ignored silently.
    ///
    /// # Errors
    /// [`ConfigError::Values`]; [`ConfigError::UnknownKeys`] for a section of another crate's runs.
    pub fn validate_kind(&self, kind: RunKind) -> Result<(), ConfigError> {
        let foreign = self.foreign.keys().filter(|name| !kind.reads(name));
        let unknown: Vec<UnknownKey> =
            foreign.map(|name| UnknownKey { found: name.clone(), nearest: None }).collect();
        if !unknown.is_empty() {
            return Err(ConfigError::UnknownKeys { unknown });
        }
        let mut problems = Problems::default();
        if kind == RunKind::EXTENSION {
            problems.need(
                self.extend.is_some(),
                "extend",
                "absent",
                "a section with `method`, as `linear`, and its parameters",
            );
        } else {
            let only = "absent: only extension runs (`extend`) have it";
            problems.need(self.extend.is_none(), "extend", "present", only);
        }
        if kind != RunKind::PREFERENCE {
            let only = "absent: only preference runs have it";
            problems.need(self.loss.is_none(), "loss", "present", only);
            problems.need(self.displacement.is_none(), "displacement", "present", only);
        }
        if kind.is_of_this_crate() {
            self.check_held_out(&mut problems);
        } else {
            let only = "float32: only runs on rows of texts have others";
            let plain = self.model.dtype.parse() == Ok(Dtype::F32);
            problems.need(plain, "model.dtype", &self.model.dtype, only);
            let only = "auto: only runs on rows of texts have others";
            let auto = self.output.dtype == "auto";
            problems.need(auto, "output.dtype", &self.output.dtype, only);
            let only = "absent: only runs on rows of texts have it";
            problems.need(self.model.quantize.is_none(), "model.quantize", "present", only);
            problems.need(self.data.columns.is_empty(), "data.columns", "present", only);
            problems.need(self.data.weights.is_none(), "data.weights", "present", only);
            let files = self.data.train.paths().len();
            problems.need(files == 1, "data.train", format!("{files} files"), "one file");
        }
        if kind != RunKind::SUPERVISED {
            let only = "false: only supervised runs (`sft`) have it";
            let set = self.data.assistant_only_loss;
            problems.need(!set, "data.assistant_only_loss", set, only);
        }
        if kind == RunKind::POLICY {
            self.check_policy_run(&mut problems);
        } else {
            let only = "absent: only policy-gradient runs have it";
            problems.need(self.rollout.is_none(), "rollout", "present", only);
            problems.need(self.reward.is_none(), "reward", "present", only);
            problems.need(self.objective.is_none(), "objective", "present", only);
        }
        problems.finish()
    }

    /// What only evaluations would use needs rows to evaluate.
    fn check_held_out(&self, problems: &mut Problems) {
        if self.data.eval.is_some() || self.data.eval_fraction > 0.0 {
            return;
        }
        let train = &self.train;
        for (key, set) in [
            ("train.eval_steps", train.eval_steps > 0),
            ("train.eval_on_start", train.eval_on_start),
            ("train.early_stopping_patience", train.early_stopping_patience.is_some()),
            ("train.load_best_model_at_end", train.load_best_model_at_end),
        ] {
            let expected = "absent without held-out rows: set `data.eval` or `data.eval_fraction`";
            problems.need(!set, key, "present", expected);
        }
    }

    fn check_places(&self, problems: &mut Problems) {
        let path = &self.model.path;
        problems.need(!path.as_os_str().is_empty(), "model.path", "empty", "a model folder");
        self.check_formats(problems);
        problems.need(
            !self.output.dir.as_os_str().is_empty(),
            "output.dir",
            "empty",
            "a folder for the run",
        );
        self.check_files(problems);
        problems.need(
            (0.0..1.0).contains(&self.data.eval_fraction),
            "data.eval_fraction",
            self.data.eval_fraction,
            "a share in [0, 1)",
        );
        problems.need(
            self.data.eval.is_none() || self.data.eval_fraction == 0.0,
            "data.eval_fraction",
            self.data.eval_fraction,
            "0 when `data.eval` names a file",
        );
        problems.need(
            self.data.max_length >= 2,
            "data.max_length",
            self.data.max_length,
            "at least 2 tokens",
        );
    }

    fn check_files(&self, problems: &mut Problems) {
        let data = &self.data;
        let files = data.train.paths().len();
        problems.need(files > 0, "data.train", "an empty list", "at least one file");
        if let Some(eval) = &data.eval {
            let found = eval.paths().len();
            problems.need(found > 0, "data.eval", "an empty list", "at least one file");
        }
        if let Some(weights) = &data.weights {
            let found = format!("{weights:?}");
            let fits = weights.len() == files && weights.iter().all(|w| w.is_finite() && *w > 0.0);
            let expected = "a finite number above 0 for each entry of `data.train`";
            problems.need(fits, "data.weights", found, expected);
            let expected = "true with `data.weights`, which draws the rows";
            problems.need(data.shuffle, "data.shuffle", data.shuffle, expected);
        }
        for (name, column) in &data.columns {
            let known = column.is_empty() || known_columns().any(|known| known == name);
            let expected = "names of columns that rows have; they are listed in docs/data.md";
            problems.need(known, "data.columns", name, expected);
        }
    }

    fn check_optimizer(&self, problems: &mut Problems) {
        let train = &self.train;
        let finite_above = |x: f64, low: f64| x.is_finite() && x >= low;
        problems.need(
            finite_above(train.learning_rate, 0.0),
            "train.learning_rate",
            train.learning_rate,
            "a finite number, at least 0",
        );
        problems.need(
            finite_above(train.weight_decay, 0.0),
            "train.weight_decay",
            train.weight_decay,
            "a finite number, at least 0",
        );
        for (key, beta) in
            [("train.adam_beta1", train.adam_beta1), ("train.adam_beta2", train.adam_beta2)]
        {
            problems.need((0.0..1.0).contains(&beta), key, beta, "a number in [0, 1)");
        }
        problems.need(
            train.adam_epsilon.is_finite() && train.adam_epsilon > 0.0,
            "train.adam_epsilon",
            train.adam_epsilon,
            "a finite number above 0",
        );
        problems.need(
            finite_above(train.max_grad_norm, 0.0),
            "train.max_grad_norm",
            train.max_grad_norm,
            "a finite number, at least 0 (0 switches clipping off)",
        );
        problems.need(
            (0.0..=1.0).contains(&train.warmup_ratio),
            "train.warmup_ratio",
            train.warmup_ratio,
            "a share in [0, 1]",
        );
    }

    fn check_loop(&self, problems: &mut Problems) {
        let train = &self.train;
        problems.need(
            train.num_train_epochs > 0.0 && train.num_train_epochs <= 1e6,
            "train.num_train_epochs",
            train.num_train_epochs,
            "a number above 0, at most 1000000",
        );
        problems.need(
            train.max_steps == -1 || train.max_steps > 0,
            "train.max_steps",
            train.max_steps,
            "a number of steps above 0, or -1",
        );
        problems.count("train.per_device_train_batch_size", train.per_device_train_batch_size);
        problems.count("train.per_device_eval_batch_size", train.per_device_eval_batch_size);
        problems.count("train.gradient_accumulation_steps", train.gradient_accumulation_steps);
        problems.positive("train.max_tokens_per_forward", train.max_tokens_per_forward);
        problems.need(
            train.logging_steps > 0,
            "train.logging_steps",
            train.logging_steps,
            "at least 1",
        );
        problems.need(
            train.save_total_limit != Some(0),
            "train.save_total_limit",
            0,
            "at least 1, or absent to keep all",
        );
        problems.need(
            train.early_stopping_patience != Some(0),
            "train.early_stopping_patience",
            0,
            "at least 1, or absent to train to the end",
        );
        problems.need(
            i64::try_from(train.seed).is_ok(),
            "train.seed",
            train.seed,
            "below 2^63, the largest integer TOML can hold",
        );
    }

    fn check_optional_sections(&self, problems: &mut Problems) {
        if let Some(lora) = &self.lora {
            lora.check(problems);
        }
        if let Some(displacement) = &self.displacement {
            problems.need(
                displacement.threshold.is_finite() && displacement.threshold >= 0.0,
                "displacement.threshold",
                displacement.threshold,
                "a number of nats, at least 0",
            );
            problems.positive("displacement.patience", displacement.patience);
        }
        if let Some(extend) = &self.extend {
            extend.check(problems);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(overrides: &[&str]) -> Result<RunConfig, ConfigError> {
        let text = "[model]\npath='m'\n[data]\ntrain='t'\n[output]\ndir='o'\n";
        let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_owned()).collect();
        RunConfig::from_toml(text, &overrides)
    }

    #[test]
    fn every_bad_value_is_refused_under_its_name() {
        let cases = [
            ("model.path=\"\"", "model.path"),
            ("model.dtype=int4", "model.dtype"),
            ("model.quantize=q5_0", "model.quantize"),
            ("model.quantize=q8_0", "model.quantize"),
            ("train.master_dtype=bf16", "train.master_dtype"),
            ("output.dtype=int4", "output.dtype"),
            ("output.dtype=q4_k", "output.dtype"),
            ("data.eval_fraction=1.0", "data.eval_fraction"),
            ("data.max_length=1", "data.max_length"),
            ("train.learning_rate=-1", "train.learning_rate"),
            ("train.learning_rate=nan", "train.learning_rate"),
            ("train.weight_decay=inf", "train.weight_decay"),
            ("train.adam_beta2=1.0", "train.adam_beta2"),
            ("train.adam_epsilon=0", "train.adam_epsilon"),
            ("train.max_grad_norm=-0.1", "train.max_grad_norm"),
            ("train.warmup_ratio=1.5", "train.warmup_ratio"),
            ("train.num_train_epochs=0", "train.num_train_epochs"),
            ("train.max_steps=0", "train.max_steps"),
            ("train.per_device_train_batch_size=0", "train.per_device_train_batch_size"),
            ("train.per_device_train_batch_size=1048577", "train.per_device_train_batch_size"),
            (
                "train.per_device_eval_batch_size=9223372036854775807",
                "train.per_device_eval_batch_size",
            ),
            ("train.gradient_accumulation_steps=1048577", "train.gradient_accumulation_steps"),
            ("train.num_train_epochs=1e300", "train.num_train_epochs"),
            ("lora.r=65537", "lora.r"),
            ("lora.rank_pattern={q_proj=65537}", "lora.rank_pattern"),
            ("train.logging_steps=0", "train.logging_steps"),
            ("train.save_total_limit=0", "train.save_total_limit"),
            ("train.early_stopping_patience=0", "train.early_stopping_patience"),
            ("lora.r=0", "lora.r"),
            ("lora.dropout=1.0", "lora.dropout"),
            ("lora.target_modules=[]", "lora.target_modules"),
            ("displacement.patience=0", "displacement.patience"),
            ("extend.method=linaer", "extend.method"),
            ("extend={method='linear', length=1}", "extend.length"),
            ("extend={method='linear', stride=0}", "extend.stride"),
            ("extend={method='linear', train_length=8, stride=9}", "extend.stride"),
            ("extend={method='linear', smallest_step=2}", "extend.smallest_step"),
        ];
        for (override_text, key) in cases {
            match read(&[override_text]).unwrap_err() {
                ConfigError::Values { problems } => assert_eq!(problems[0].key, key),
                other => panic!("{override_text}: {other}"),
            }
        }
    }

    #[test]
    fn all_problems_come_at_once() {
        let Err(ConfigError::Values { problems }) =
            read(&["lora.r=0", "train.max_steps=0", "train.adam_beta1=2"])
        else {
            panic!()
        };
        assert_eq!(problems.len(), 3);
    }

    #[test]
    fn a_supervised_run_has_no_preference_loss() {
        let config = read(&["loss.name=dpo"]).unwrap();
        assert!(config.validate_kind(RunKind::SUPERVISED).is_err());
        assert!(config.validate_kind(RunKind::PREFERENCE).is_ok());
    }

    #[test]
    fn what_reads_evaluations_needs_held_out_rows() {
        let keys = [
            ("train.eval_steps", "5"),
            ("train.eval_on_start", "true"),
            ("train.early_stopping_patience", "2"),
            ("train.load_best_model_at_end", "true"),
        ];
        for (key, value) in keys {
            let set = format!("{key}={value}");
            let text = read(&[&set]).unwrap().validate_kind(RunKind::SUPERVISED).unwrap_err();
            assert!(text.to_string().contains(key), "{text}");
            for rows in ["data.eval=\"e\"", "data.eval_fraction=0.1"] {
                let config = read(&[&set, rows]).unwrap();
                config.validate_kind(RunKind::SUPERVISED).unwrap();
            }
        }
    }

    #[test]
    fn only_supervised_runs_learn_the_assistant_alone() {
        let config = read(&["data.assistant_only_loss=true"]).unwrap();
        assert!(config.validate_kind(RunKind::SUPERVISED).is_ok());
        for kind in [RunKind::PREFERENCE, RunKind::POLICY] {
            let text = config.validate_kind(kind).unwrap_err().to_string();
            assert!(text.contains("data.assistant_only_loss"), "{text}");
        }
    }

    #[test]
    fn number_formats_are_those_of_runs_on_rows_of_texts() {
        const TAGGER: RunKind = RunKind::new(&["tagger"]);
        read(&[]).unwrap().validate_kind(TAGGER).unwrap();
        for (key, value) in [("model.dtype", "bf16"), ("output.dtype", "float16")] {
            let config = read(&[&format!("{key}={value}")]).unwrap();
            config.validate_kind(RunKind::SUPERVISED).unwrap();
            let text = config.validate_kind(TAGGER).unwrap_err().to_string();
            assert!(text.contains(key) && text.contains(value), "{text}");
        }
    }

    #[test]
    fn only_extension_runs_change_the_basis() {
        let config = read(&["extend.method=linear"]).unwrap();
        assert!(config.validate_kind(RunKind::EXTENSION).is_ok());
        assert!(config.validate_kind(RunKind::SUPERVISED).is_err());
        let text = read(&[]).unwrap().validate_kind(RunKind::EXTENSION).unwrap_err().to_string();
        assert!(text.contains("extend") && text.contains("method"), "{text}");
    }
}
