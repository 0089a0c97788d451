//! What an environment is.

use std::fmt::Debug;
use std::ops::RangeInclusive;

use crate::rows::ChatMessage;
use crate::verify::Verification;

/// Why an episode that went on after its last turn has the least reward.
pub const NO_REWARD: &str = "the environment gave no reward after the last turn";

/// The other side of conversations about one problem: tools, a user, a game.
///
/// A conversation begins with the problem's prompt. The policy says a turn; the environment answers with
/// messages, as of a tool, whereupon it is the policy's turn again, or ends the episode with its reward.
///
/// ```
/// use bestof_tasks::environment::{Environment, EnvironmentReply, Episode};
/// use bestof_tasks::rows::ChatMessage;
/// use bestof_tasks::verify::Verification;
///
/// /// Says "warmer" until the number is 7.
/// #[derive(Debug)]
/// struct Guess;
///
/// impl Environment for Guess {
///     fn begin(&self) -> Box<dyn Episode + '_> {
///         Box::new(Guess)
///     }
/// }
///
/// impl Episode for Guess {
///     fn respond(&mut self, messages: &[ChatMessage], last: bool) -> EnvironmentReply {
///         match messages.last().map(ChatMessage::text) {
///             Some("7") => EnvironmentReply::End(Verification::right("it is")),
///             _ if last => EnvironmentReply::End(Verification::wrong("not found in time")),
///             _ => EnvironmentReply::Messages(vec![ChatMessage::user("warmer")]),
///         }
///     }
/// }
///
/// let mut messages = vec![ChatMessage::user("Which number?"), ChatMessage::assistant("5")];
/// let mut episode = Guess.begin();
/// let EnvironmentReply::Messages(more) = episode.respond(&messages, false) else { panic!() };
/// messages.extend(more);
/// messages.push(ChatMessage::assistant("7"));
/// let EnvironmentReply::End(found) = episode.respond(&messages, true) else { panic!() };
/// assert_eq!(found.reward, 1.0);
/// ```
pub trait Environment: Debug + Send + Sync {
    /// Lowest and highest reward.
    fn range(&self) -> RangeInclusive<f64> {
        0.0..=1.0
    }

    /// The end of an episode that has no reward, which counts as the least one, and why it has none.
    fn unrewarded(&self, why: &str) -> Verification {
        Verification { reward: *self.range().start(), ..Verification::cannot_tell(why) }
    }

    /// A new episode. Episodes know nothing of each other and may run at the same time.
    fn begin(&self) -> Box<dyn Episode + '_>;
}

/// One conversation with an environment.
pub trait Episode: Send {
    /// What follows a turn of the policy, which is the last of `messages`, the whole conversation. After the
    /// `last` turn there is no other, and only a reward is of use. No turn makes it panic or run without bound.
    fn respond(&mut self, messages: &[ChatMessage], last: bool) -> EnvironmentReply;
}

/// What follows a turn of the policy.
#[derive(Debug, Clone, PartialEq)]
pub enum EnvironmentReply {
    /// Messages, at least one and none of the role `assistant`; then it is the policy's turn again.
    Messages(Vec<ChatMessage>),
    /// The end, with the reward of the whole episode.
    End(Verification),
}
