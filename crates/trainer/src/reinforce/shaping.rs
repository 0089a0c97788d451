//! What the length of a completion does to its reward.

/// Changes to a completion's reward for its length, after the verifiers.
///
/// ```text
/// reward' = reward - length_penalty T - overlong_penalty max(0, T - (L - B)) / B
/// ```
/// for `T` tokens, at most `L` and a buffer of `B`. A completion that was cut off has `truncated`
/// instead of `reward`, if that is given. A maximum over completions is then one of shaped rewards:
/// pass@k and shares of solved prompts still go by the verifiers.
///
/// Source of the second term: Yu et al. 2025, arXiv:2503.14476, equation 13, with penalty 1.
///
/// ```
/// use bestof_trainer::reinforce::RewardShaping;
///
/// let mut shaping = RewardShaping::default();
/// assert_eq!(shaping.shaped(1.0, 90, 100, false), 1.0);
/// shaping.overlong_buffer = 20;
/// shaping.truncated = Some(-1.0);
/// assert_eq!(shaping.shaped(1.0, 90, 100, false), 0.5);
/// assert_eq!(shaping.shaped(1.0, 100, 100, true), -2.0);
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RewardShaping {
    /// Reward of a completion that was cut off; `None` keeps what the verifiers say.
    pub truncated: Option<f64>,
    /// What each token costs.
    pub length_penalty: f64,
    /// Tokens before the longest completion over which the overlong penalty rises; 0 for none.
    pub overlong_buffer: usize,
    /// What the longest completions lose.
    pub overlong_penalty: f64,
}

impl Default for RewardShaping {
    /// Rewards stay as they are; with a buffer the overlong penalty is 1.
    fn default() -> Self {
        Self { truncated: None, length_penalty: 0.0, overlong_buffer: 0, overlong_penalty: 1.0 }
    }
}

impl RewardShaping {
    /// The reward of a completion of `tokens` tokens where `longest` are allowed.
    pub fn shaped(&self, reward: f64, tokens: usize, longest: usize, truncated: bool) -> f64 {
        let reward = self.truncated.filter(|_| truncated).unwrap_or(reward);
        let over = (tokens + self.overlong_buffer).saturating_sub(longest);
        let overlong = if over == 0 || self.overlong_buffer == 0 {
            0.0
        } else {
            self.overlong_penalty * over as f64 / self.overlong_buffer as f64
        };
        reward - self.length_penalty * tokens as f64 - overlong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn penalties_begin_at_the_buffer_and_add_up() {
        let shaping = RewardShaping {
            truncated: None,
            length_penalty: 0.25,
            overlong_buffer: 4,
            overlong_penalty: 2.0,
        };
        for (tokens, expected) in [(0, 3.0), (6, 1.5), (7, 3.0 - 1.75 - 0.5), (10, 3.0 - 2.5 - 2.0)]
        {
            assert_eq!(shaping.shaped(3.0, tokens, 10, false), expected, "{tokens}");
        }
        assert_eq!(RewardShaping::default().shaped(3.0, 10, 10, true), 3.0);
    }
}
