//! Which modules an adapter's settings mean, by PEFT's rules.

use fancy_regex::Regex;

use super::lora_config::{ALL_LINEAR, LoraConfig, ModuleNames};
use crate::error::ModelError;

/// The settings' regular expressions, compiled.
#[derive(Debug)]
pub(super) struct LoraModules<'a> {
    config: &'a LoraConfig,
    targets: Names<'a>,
    exclude: Option<Names<'a>>,
    /// Names of modules that are trained whole, which get no adapter.
    whole: Vec<Regex>,
    /// One of them takes the layer's number out of a name.
    layers: Vec<Regex>,
    ranks: Vec<(Regex, usize)>,
    alphas: Vec<(Regex, f64)>,
}

#[derive(Debug)]
enum Names<'a> {
    AllLinear,
    Pattern(Regex),
    Ends(&'a [String]),
}

impl<'a> LoraModules<'a> {
    /// # Errors
    /// What is no regular expression.
    pub(super) fn new(config: &'a LoraConfig) -> Result<Self, ModelError> {
        let by_end = |key: &str| compile(&format!(r"\A(?:.*\.)?(?:{key})\z"), key);
        let layers = if config.layers_pattern.is_empty() {
            vec![compile(r"\A.*?\.[^.]*\.(\d+)\.", "layers_pattern")?]
        } else {
            let before = |p: &String| compile(&format!(r"\A(?:.*?\.)?(?:{p})\.(\d+)\."), p);
            config.layers_pattern.iter().map(before).collect::<Result<_, _>>()?
        };
        let whole = |name: &String| compile(&format!(r"\A(?:.*\.)?(?:{name})(?:\z|\.)"), name);
        Ok(Self {
            config,
            targets: Names::new(&config.targets)?,
            exclude: config.exclude.as_ref().map(Names::new).transpose()?,
            whole: config.modules_to_save.iter().map(whole).collect::<Result<_, _>>()?,
            layers,
            ranks: compiled(&config.rank_pattern, by_end)?,
            alphas: compiled(&config.alpha_pattern, by_end)?,
        })
    }

    /// The settings.
    pub(super) fn config(&self) -> &'a LoraConfig {
        self.config
    }

    /// Whether a linear layer or the embeddings get an adapter, by the module's whole name.
    pub(super) fn targets(&self, module: &str) -> Result<bool, ModelError> {
        if let Some(exclude) = &self.exclude
            && exclude.mean(module)?
        {
            return Ok(false);
        }
        for whole in &self.whole {
            if matches(whole, module)? {
                return Ok(false);
            }
        }
        if !self.targets.mean(module)? {
            return Ok(false);
        }
        // PEFT looks at the layer's number for ends of names, not for whole names.
        match (&self.config.layers_to_transform, &self.targets) {
            (Some(layers), Names::Ends(ends)) if !ends.iter().any(|end| end == module) => {
                self.is_in(module, layers)
            }
            (Some(layers), Names::AllLinear) => self.is_in(module, layers),
            _ => Ok(true),
        }
    }

    /// Whether a module lies in one of these layers.
    fn is_in(&self, module: &str, layers: &[usize]) -> Result<bool, ModelError> {
        for pattern in &self.layers {
            let found = pattern.captures(module).map_err(|error| no_match(pattern, &error))?;
            if let Some(number) = found.and_then(|groups| groups.iter().flatten().last()) {
                return Ok(number.as_str().parse().is_ok_and(|number| layers.contains(&number)));
            }
        }
        Ok(false)
    }

    /// The rank and alpha of a module's adapter.
    pub(super) fn rank_and_alpha(&self, module: &str) -> Result<(usize, f64), ModelError> {
        let r = first(&self.ranks, module)?.unwrap_or(self.config.r);
        let alpha = first(&self.alphas, module)?.unwrap_or(self.config.alpha);
        Ok((r, alpha))
    }

    /// Whether a parameter belongs to a module that is trained whole: one whose name, or that of a
    /// module around it, ends in one of the names given.
    pub(super) fn saves(&self, parameter: &str) -> bool {
        let mut module = parameter;
        while let Some((outer, _)) = module.rsplit_once('.') {
            if self.config.modules_to_save.iter().any(|name| outer.ends_with(name.as_str())) {
                return true;
            }
            module = outer;
        }
        false
    }

    /// Whether each name and pattern of the settings means something among these modules.
    ///
    /// # Errors
    /// [`ModelError::UnknownTarget`] for a target that means no linear layer, otherwise
    /// [`ModelError::InvalidLora`] with the setting.
    pub(super) fn check_used(&self, modules: &[String]) -> Result<(), ModelError> {
        let linear: Vec<&str> =
            modules.iter().map(String::as_str).filter(|m| is_linear(m)).collect();
        self.check_names(modules, &linear)?;
        let mut adapted = Vec::new();
        for module in &linear {
            if self.targets(module)? {
                adapted.push(*module);
            }
        }
        if adapted.is_empty() {
            let left = "names of linear layers that the other settings leave";
            return Err(unused("target_modules", format!("{:?}", self.config.targets), left));
        }
        for layer in self.config.layers_to_transform.iter().flatten() {
            if !any(&adapted, |module| self.is_in(module, &[*layer]))? {
                let expected = "the number, from 0, of a layer with targets in it";
                return Err(unused("layers_to_transform", layer.to_string(), expected));
            }
        }
        let ranks = self.ranks.iter().map(|(key, _)| key).zip(&self.config.rank_pattern);
        let ranks = ranks.map(|(regex, (key, _))| ("rank_pattern", regex, key));
        let alphas = self.alphas.iter().map(|(key, _)| key).zip(&self.config.alpha_pattern);
        let alphas = alphas.map(|(regex, (key, _))| ("alpha_pattern", regex, key));
        for (setting, regex, key) in ranks.chain(alphas) {
            if !any(&adapted, |module| matches(regex, module))? {
                return Err(unused(setting, key.clone(), "ends of names of targeted layers"));
            }
        }
        Ok(())
    }

    /// Whether each module that is trained whole is one of these.
    pub(super) fn check_saved(&self, modules: &[String]) -> Result<(), ModelError> {
        let saved = |name: &&String| modules.iter().any(|module| module.ends_with(name.as_str()));
        match self.config.modules_to_save.iter().find(|name| !saved(name)) {
            Some(name) => {
                let expected = "the end of a module's name, such as lm_head, embed_tokens or norm";
                Err(unused("modules_to_save", name.clone(), expected))
            }
            None => Ok(()),
        }
    }

    /// The names alone, each for itself.
    fn check_names(&self, modules: &[String], linear: &[&str]) -> Result<(), ModelError> {
        let unknown = |target: &str| {
            let mut known: Vec<String> = Vec::new();
            for name in linear.iter().filter_map(|module| module.rsplit('.').next()) {
                if !known.iter().any(|known| known == name) {
                    known.push(name.to_owned());
                }
            }
            Err(ModelError::UnknownTarget { target: target.to_owned(), known })
        };
        let means = |end: &String| end == ALL_LINEAR || linear.iter().any(|m| is_end(end, m));
        match &self.config.targets {
            ModuleNames::Ends(ends) => {
                if let Some(end) = ends.iter().find(|end| !means(end)) {
                    return unknown(end);
                }
            }
            ModuleNames::Pattern(pattern) => {
                if !any(linear, |module| self.targets.mean(module))? {
                    return unknown(pattern);
                }
            }
        }
        self.check_saved(modules)?;
        if let Some(exclude) = &self.exclude
            && !any(linear, |module| exclude.mean(module))?
        {
            let found = format!("{:?}", self.config.exclude);
            return Err(unused("exclude_modules", found, "names of linear layers"));
        }
        Ok(())
    }
}

fn unused(setting: &str, found: String, expected: &'static str) -> ModelError {
    ModelError::InvalidLora { setting: setting.to_owned(), found, expected }
}

fn any(
    modules: &[&str],
    holds: impl Fn(&str) -> Result<bool, ModelError>,
) -> Result<bool, ModelError> {
    for module in modules {
        if holds(module)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_linear(module: &str) -> bool {
    module.ends_with("_proj")
}

impl<'a> Names<'a> {
    fn new(names: &'a ModuleNames) -> Result<Self, ModelError> {
        Ok(match names {
            all if all.are_all_linear() => Self::AllLinear,
            ModuleNames::Pattern(pattern) => {
                Self::Pattern(compile(&format!(r"\A(?:{pattern})\z"), pattern)?)
            }
            ModuleNames::Ends(ends) => Self::Ends(ends),
        })
    }

    fn mean(&self, module: &str) -> Result<bool, ModelError> {
        Ok(match self {
            Self::AllLinear => is_linear(module),
            Self::Pattern(pattern) => matches(pattern, module)?,
            Self::Ends(ends) => ends.iter().any(|end| is_end(end, module)),
        })
    }
}

/// Whether a name is the whole of a module's, or an end of it after a dot.
fn is_end(end: &str, module: &str) -> bool {
    module.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn compiled<T: Copy>(
    pattern: &[(String, T)],
    compile: impl Fn(&str) -> Result<Regex, ModelError>,
) -> Result<Vec<(Regex, T)>, ModelError> {
    pattern.iter().map(|(key, value)| Ok((compile(key)?, *value))).collect()
}

fn first<T: Copy>(pattern: &[(Regex, T)], module: &str) -> Result<Option<T>, ModelError> {
    for (key, value) in pattern {
        if matches(key, module)? {
            return Ok(Some(*value));
        }
    }
    Ok(None)
}

fn compile(regex: &str, given: &str) -> Result<Regex, ModelError> {
    Regex::new(regex).map_err(|error| ModelError::LoraPattern {
        pattern: given.to_owned(),
        reason: error.to_string(),
    })
}

fn matches(pattern: &Regex, module: &str) -> Result<bool, ModelError> {
    pattern.is_match(module).map_err(|error| no_match(pattern, &error))
}

fn no_match(pattern: &Regex, error: &fancy_regex::Error) -> ModelError {
    ModelError::LoraPattern { pattern: pattern.as_str().to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: &str = "model.layers.11.mlp.up_proj";
    const Q: &str = "model.layers.1.self_attn.q_proj";

    fn targeted(config: &LoraConfig, module: &str) -> bool {
        LoraModules::new(config).unwrap().targets(module).unwrap()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    /// Each answer is that of `peft.tuners.tuners_utils.check_target_module_exists`, PEFT 0.21.2.
    #[test]
    fn targets_are_those_of_peft() {
        let lora = LoraConfig::default;
        let ends = |ends: &[&str]| lora().with_targets(names(ends));
        let cases = [
            (ends(&["q_proj"]), [true, false, false]),
            (ends(&["self_attn.q_proj"]), [true, false, false]),
            (ends(&["proj"]), [false, false, false]),
            (ends(&["model.layers.11.mlp.up_proj"]), [false, true, false]),
            (ends(&["lm_head"]), [false, false, true]),
            (lora(), [true, true, false]),
            (lora().with_targets("q_proj"), [false, false, false]),
            (lora().with_targets(r".*\.(q_proj|up_proj)$"), [true, true, false]),
            (lora().with_targets(r"model\.layers\.\d\..*_proj"), [true, false, false]),
            (lora().with_targets(r"^(?!.*mlp).*"), [true, false, true]),
            (lora().with_exclude(Some(names(&["q_proj"]).into())), [false, true, false]),
            (lora().with_exclude(Some("q_proj".into())), [true, true, false]),
            (lora().with_exclude(Some(r".*\.mlp\..*".into())), [true, false, false]),
            (lora().with_modules_to_save(names(&["mlp"])), [true, false, false]),
            (
                ends(&["q_proj", "up_proj"]).with_layers_to_transform(Some(vec![11])),
                [false, true, false],
            ),
            (
                ends(&["q_proj", "model.layers.11.mlp.up_proj"])
                    .with_layers_to_transform(Some(vec![1])),
                [true, true, false],
            ),
            (
                ends(&["q_proj", "up_proj"])
                    .with_layers_to_transform(Some(vec![1]))
                    .with_layers_pattern(names(&["blocks", "layers"])),
                [true, false, false],
            ),
            (
                ends(&["q_proj", "up_proj"])
                    .with_layers_to_transform(Some(vec![1]))
                    .with_layers_pattern(names(&["blocks"])),
                [false, false, false],
            ),
        ];
        for (config, expected) in cases {
            let found = [Q, UP, "lm_head"].map(|module| targeted(&config, module));
            assert_eq!(found, expected, "{config:?}");
        }
    }

    /// As `peft.utils.other.get_pattern_key`, PEFT 0.21.2.
    #[test]
    fn ranks_match_ends_of_names_and_the_first_holds() {
        let pattern = [("q_proj", 1), (r"layers\.\d+\.mlp\.up_proj", 2), ("^model.*", 3), ("x", 4)];
        let pattern = pattern.map(|(key, r)| (key.to_owned(), r)).to_vec();
        let config = LoraConfig::default().with_rank_pattern(pattern);
        let modules = LoraModules::new(&config).unwrap();
        let rank = |module: &str| modules.rank_and_alpha(module).unwrap().0;
        assert_eq!([rank(Q), rank(UP)], [1, 2]);
        assert_eq!(rank("model.layers.0.self_attn.k_proj"), 3);
        assert_eq!(rank("lm_head"), 16);
        assert_eq!(rank("proj_x"), 16, "an end begins after a dot");
    }

    #[test]
    fn what_means_nothing_is_refused_by_its_setting() {
        let modules = names(&[Q, UP, "model.layers.1.self_attn", "model.norm", "lm_head"]);
        let lora = LoraConfig::default;
        let one = |key: &str| vec![(key.to_owned(), 3)];
        let check = |config: &LoraConfig| LoraModules::new(config).unwrap().check_used(&modules);
        check(&lora().with_rank_pattern(one("up_proj"))).unwrap();
        check(&lora().with_layers_to_transform(Some(vec![11, 1]))).unwrap();
        for (config, expected) in [
            (lora().with_targets(names(&["q_proj", "qkv_proj"])), "`qkv_proj`"),
            (lora().with_targets("q_proj"), "`q_proj`"),
            (lora().with_targets(names(&["lm_head"])), "modules_to_save"),
            (lora().with_exclude(Some(".*_proj".into())), "`target_modules`"),
            (lora().with_exclude(Some(names(&["k_proj"]).into())), "`exclude_modules`"),
            (lora().with_layers_to_transform(Some(vec![1, 2])), "`layers_to_transform` is 2"),
            (lora().with_rank_pattern(one("k_proj")), "`rank_pattern` is k_proj"),
            (lora().with_alpha_pattern(vec![("proj".to_owned(), 2.0)]), "`alpha_pattern` is proj"),
            (lora().with_modules_to_save(names(&["score"])), "`modules_to_save` is score"),
        ] {
            let error = check(&config).unwrap_err().to_string();
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }

    #[test]
    fn what_is_saved_whole_is_a_module_or_lies_in_one() {
        let config = LoraConfig::default().with_modules_to_save(names(&["lm_head", "1.mlp"]));
        let modules = LoraModules::new(&config).unwrap();
        assert!(modules.saves("lm_head.weight"));
        assert!(modules.saves("model.layers.1.mlp.up_proj.weight"));
        assert!(!modules.saves("model.layers.0.mlp.up_proj.weight"));
        assert!(!modules.saves("model.embed_tokens.weight"));
    }
}
