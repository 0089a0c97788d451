//! Which sections a kind of run reads.

use super::run_config::RunConfig;

/// A kind of run: the optional sections that it reads, and that no other kind reads.
///
/// A crate with runs of its own defines a constant:
///
/// ```
/// use bestof_trainer::config::{RunConfig, RunKind, read_table};
///
/// const TAGGER: RunKind = RunKind::new(&["tagger"]);
///
/// let text = "[model]\npath='m'\n[data]\ntrain='d'\n[output]\ndir='o'\n[tagger]\nwidth=8\n";
/// let config = RunConfig::from_table(read_table(text, &[])?, TAGGER)?;
/// config.validate_kind(TAGGER)?;
/// assert_eq!(config.foreign["tagger"]["width"].as_integer(), Some(8));
/// assert!(RunConfig::from_toml(text, &[]).is_err());
/// # Ok::<(), bestof_trainer::config::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunKind {
    sections: &'static [&'static str],
}

impl RunKind {
    /// `sft`.
    pub const SUPERVISED: Self = Self::new(&[]);
    /// `prefer`.
    pub const PREFERENCE: Self = Self::new(&["loss", "displacement"]);
    /// `reinforce`.
    pub const POLICY: Self = Self::new(&["rollout", "reward", "objective"]);
    /// `extend`.
    pub const EXTENSION: Self = Self::new(&["extend"]);

    /// The kind that reads these sections.
    pub const fn new(sections: &'static [&'static str]) -> Self {
        Self { sections }
    }

    /// Whether it is one of the kinds above, whose rows are those of `[data]`.
    pub(super) fn is_of_this_crate(self) -> bool {
        [Self::SUPERVISED, Self::PREFERENCE, Self::POLICY, Self::EXTENSION].contains(&self)
    }

    /// Whether this kind reads the section `name`.
    pub(super) fn reads(self, name: &str) -> bool {
        self.sections.contains(&name)
    }
}

impl RunConfig {
    /// Whether a section of [`RunKind::POLICY`] is given.
    pub fn is_policy(&self) -> bool {
        self.rollout.is_some() || self.reward.is_some() || self.objective.is_some()
    }
}
