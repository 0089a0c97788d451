//! The rules by name, as command lines and configs spell them.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use crate::RopeError;

/// A rule without its parameters.
///
/// ```
/// use bestof_positional::Method;
/// let method: Method = "su".parse()?;
/// assert_eq!(method, Method::LongRope);
/// assert_eq!(method.to_string(), "longrope");
/// assert!("yran".parse::<Method>().unwrap_err().to_string().contains("yarn"));
/// # Ok::<(), bestof_positional::RopeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// Plain RoPE.
    Default,
    /// Linear scaling (position interpolation).
    Linear,
    /// NTK-aware with a fixed factor.
    Ntk,
    /// NTK-aware with a base that follows the length.
    Dynamic,
    /// `YaRN`.
    Yarn,
    /// LLaMA 3.1's rule.
    Llama3,
    /// `LongRoPE`.
    LongRope,
    /// Some pairs of a full head, the rest not rotating.
    Proportional,
    /// Giraffe's power scaling, with linear scaling and truncation where given.
    Power,
    /// Giraffe's truncated basis, with linear and power scaling where given.
    Truncated,
    /// Power scaling and truncation together.
    PowerTruncated,
    /// xPos.
    XPos,
    /// Randomised positions in training.
    Randomized,
    /// No positions.
    NoPe,
    /// Positions dropped from a trained model (`DroPE`).
    DroPe,
}

impl Method {
    /// Every method, in the order they are listed to users.
    pub const ALL: [Self; 15] = [
        Self::Default,
        Self::Linear,
        Self::Ntk,
        Self::Dynamic,
        Self::Yarn,
        Self::Llama3,
        Self::LongRope,
        Self::Proportional,
        Self::Power,
        Self::Truncated,
        Self::PowerTruncated,
        Self::XPos,
        Self::Randomized,
        Self::NoPe,
        Self::DroPe,
    ];

    /// Its name: Hugging Face's `rope_type` where there is one.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Linear => "linear",
            Self::Ntk => "ntk",
            Self::Dynamic => "dynamic",
            Self::Yarn => "yarn",
            Self::Llama3 => "llama3",
            Self::LongRope => "longrope",
            Self::Proportional => "proportional",
            Self::Power => "power",
            Self::Truncated => "truncated",
            Self::PowerTruncated => "power_truncated",
            Self::XPos => "xpos",
            Self::Randomized => "randomized",
            Self::NoPe => "nope",
            Self::DroPe => "drope",
        }
    }

    /// Other names it is known by.
    fn aliases(self) -> &'static [&'static str] {
        match self {
            Self::Default => &["none"],
            Self::Linear => &["position_interpolation", "pi"],
            Self::Ntk => &["ntk_static", "ntk_aware"],
            Self::Dynamic => &["dynamic_ntk", "ntk_dynamic"],
            Self::LongRope => &["su"],
            Self::Randomized => &["randomised", "random_positions"],
            Self::NoPe => &["no_rope"],
            _ => &[],
        }
    }

    /// The parameters it reads, spelled as in a config.
    pub fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Default | Self::NoPe => &[],
            Self::Linear | Self::Ntk => &["factor"],
            Self::Proportional => &["partial_rotary_factor", "factor"],
            Self::Dynamic => &["factor", "original_max_position_embeddings"],
            Self::Yarn => &[
                "factor",
                "original_max_position_embeddings",
                "beta_fast",
                "beta_slow",
                "truncate",
                "attention_factor",
                "mscale",
                "mscale_all_dim",
            ],
            Self::Llama3 => &[
                "factor",
                "low_freq_factor",
                "high_freq_factor",
                "original_max_position_embeddings",
            ],
            Self::LongRope => &[
                "short_factor",
                "long_factor",
                "original_max_position_embeddings",
                "factor",
                "attention_factor",
            ],
            Self::Power | Self::Truncated | Self::PowerTruncated => {
                &["factor", "power", "truncate_length", "a", "b", "rho"]
            }
            Self::XPos => &["gamma", "scale_base", "centre"],
            Self::Randomized => &["factor", "smallest_step"],
            Self::DroPe => &["factor", "logit_slope", "original_max_position_embeddings"],
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Method {
    type Err = RopeError;

    /// Case and the choice of `-` or `_` do not matter.
    fn from_str(text: &str) -> Result<Self, RopeError> {
        let name = text.trim().to_ascii_lowercase().replace('-', "_");
        let named = |method: &Self| {
            method.name() == name || method.aliases().iter().any(|alias| *alias == name)
        };
        Self::ALL.into_iter().find(named).ok_or_else(|| RopeError::UnknownRopeType {
            found: shortened(text),
            known: join(&Self::ALL.map(Self::name)),
        })
    }
}

/// Names with commas between.
pub(crate) fn join(names: &[&str]) -> String {
    names.to_vec().join(", ")
}

/// Text for an error message, cut to a readable length.
pub(crate) fn shortened(text: &str) -> String {
    const LIMIT: usize = 60;
    let head: Vec<char> = text.chars().take(LIMIT + 1).collect();
    if head.len() > LIMIT {
        head[..LIMIT].iter().collect::<String>() + "..."
    } else {
        text.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_found_by_its_names() {
        for method in Method::ALL {
            assert_eq!(method.name().parse(), Ok(method));
            for alias in method.aliases() {
                assert_eq!(alias.to_uppercase().replace('_', "-").parse(), Ok(method));
            }
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let message = "x".repeat(500).parse::<Method>().unwrap_err().to_string();
        assert!(message.len() < 300, "{message}");
        for method in Method::ALL {
            assert!(message.contains(method.name()), "{message}");
        }
    }
}
