//! One prompt of RULER.

use serde::Serialize;

use super::RulerTask;

/// A prompt with the outputs that are asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RulerCase {
    /// The task.
    pub task: RulerTask,
    /// Line in the data file counted from 1, or index of the generated case.
    pub index: usize,
    /// The prompt, or the user's message.
    pub input: String,
    /// What the answer begins with: it follows the prompt, or opens the assistant's message.
    pub answer_prefix: String,
    /// What an answer has to say.
    pub outputs: Vec<String>,
    /// The longest answer, in tokens.
    pub max_new_tokens: usize,
    /// The requested length, in tokens with the answer; of rows as published, if at all.
    pub length: Option<usize>,
    /// Tokens of prompt and prefix by the caller's counter; `None` for rows.
    pub tokens: Option<usize>,
    /// Depth of the needle asked for, 0 at the beginning and 1 at the end, where there is one.
    pub depth: Option<f64>,
    /// The requested depth, if one was requested.
    pub depth_target: Option<f64>,
}

impl RulerCase {
    /// The score of a completion, 0 to 1.
    pub fn score(&self, completion: &str) -> f64 {
        self.task.matching().score(completion, &self.outputs)
    }

    /// The whole prompt as plain text.
    pub fn text(&self) -> String {
        format!("{}{}", self.input, self.answer_prefix)
    }
}
