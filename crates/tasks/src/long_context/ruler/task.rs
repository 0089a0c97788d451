//! RULER's tasks by their published names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Matching;
use super::needles::{Haystack, Needles};
use super::values::Value;

/// A task of RULER's `synthetic.yaml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RulerTask {
    /// One number in repeated noise.
    #[serde(rename = "niah_single_1")]
    NiahSingle1,
    /// One number in running text.
    #[serde(rename = "niah_single_2")]
    NiahSingle2,
    /// One UUID in running text.
    #[serde(rename = "niah_single_3")]
    NiahSingle3,
    /// One of four numbers in running text.
    #[serde(rename = "niah_multikey_1")]
    NiahMultikey1,
    /// One number among as many others as fit.
    #[serde(rename = "niah_multikey_2")]
    NiahMultikey2,
    /// One UUID under a UUID, among as many others as fit.
    #[serde(rename = "niah_multikey_3")]
    NiahMultikey3,
    /// Four numbers under one key, in running text.
    NiahMultivalue,
    /// Four numbers under four keys, all asked for, in running text.
    NiahMultiquery,
    /// Variable tracking: the five names of a chain of assignments.
    Vt,
    /// Common words extraction: the ten most common words of a list.
    Cwe,
    /// Frequent words extraction: the three most frequent coded words.
    Fwe,
    /// Questions of `SQuAD` among paragraphs; from rows only.
    #[serde(rename = "qa_1")]
    Qa1,
    /// Questions of `HotpotQA` among paragraphs; from rows only.
    #[serde(rename = "qa_2")]
    Qa2,
}

impl RulerTask {
    /// The tasks that are generated here, in RULER's order.
    pub const GENERATED: [Self; 11] = [
        Self::NiahSingle1,
        Self::NiahSingle2,
        Self::NiahSingle3,
        Self::NiahMultikey1,
        Self::NiahMultikey2,
        Self::NiahMultikey3,
        Self::NiahMultivalue,
        Self::NiahMultiquery,
        Self::Vt,
        Self::Cwe,
        Self::Fwe,
    ];

    /// All tasks, in RULER's order.
    pub const ALL: [Self; 13] = [
        Self::NiahSingle1,
        Self::NiahSingle2,
        Self::NiahSingle3,
        Self::NiahMultikey1,
        Self::NiahMultikey2,
        Self::NiahMultikey3,
        Self::NiahMultivalue,
        Self::NiahMultiquery,
        Self::Vt,
        Self::Cwe,
        Self::Fwe,
        Self::Qa1,
        Self::Qa2,
    ];

    /// The published name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NiahSingle1 => "niah_single_1",
            Self::NiahSingle2 => "niah_single_2",
            Self::NiahSingle3 => "niah_single_3",
            Self::NiahMultikey1 => "niah_multikey_1",
            Self::NiahMultikey2 => "niah_multikey_2",
            Self::NiahMultikey3 => "niah_multikey_3",
            Self::NiahMultivalue => "niah_multivalue",
            Self::NiahMultiquery => "niah_multiquery",
            Self::Vt => "vt",
            Self::Cwe => "cwe",
            Self::Fwe => "fwe",
            Self::Qa1 => "qa_1",
            Self::Qa2 => "qa_2",
        }
    }

    /// The longest answer in tokens (`tokens_to_generate`).
    pub fn max_new_tokens(self) -> usize {
        match self {
            Self::Vt => 30,
            Self::Cwe => 120,
            Self::Fwe => 50,
            Self::Qa1 | Self::Qa2 => 32,
            _ => 128,
        }
    }

    /// How an answer is compared with the outputs.
    pub fn matching(self) -> Matching {
        match self {
            Self::Qa1 | Self::Qa2 => Matching::Part,
            _ => Matching::All,
        }
    }

    /// Whether one needle is asked for, which can be put at a depth.
    pub fn has_depth(self) -> bool {
        self.needles().is_some_and(|needles| needles.queries * needles.values == 1)
    }

    /// Whether its haystack is running text.
    pub fn has_essay(self) -> bool {
        self.needles().is_some_and(|needles| needles.haystack == Haystack::Essay)
    }

    /// What is hidden, for the tasks of needles.
    pub(super) fn needles(self) -> Option<Needles> {
        let plain = Needles {
            haystack: Haystack::Essay,
            key: Value::Words,
            value: Value::Numbers,
            keys: 1,
            values: 1,
            queries: 1,
        };
        Some(match self {
            Self::NiahSingle1 => Needles { haystack: Haystack::Noise, ..plain },
            Self::NiahSingle2 => plain,
            Self::NiahSingle3 => Needles { value: Value::Uuids, ..plain },
            Self::NiahMultikey1 => Needles { keys: 4, ..plain },
            Self::NiahMultikey2 => Needles { haystack: Haystack::Needles, ..plain },
            Self::NiahMultikey3 => Needles {
                haystack: Haystack::Needles,
                key: Value::Uuids,
                value: Value::Uuids,
                ..plain
            },
            Self::NiahMultivalue => Needles { values: 4, ..plain },
            Self::NiahMultiquery => Needles { keys: 4, queries: 4, ..plain },
            _ => return None,
        })
    }
}

impl fmt::Display for RulerTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for RulerTask {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|task| task.name() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::name);
            let near = bestof_suggest::nearest(text, known);
            let near =
                near.map_or_else(|| ".".to_owned(), |near| format!("; did you mean `{near}`?"));
            format!("unknown task `{text}`{near} Known are {}", known.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_and_serialised_alike() {
        for task in RulerTask::ALL {
            assert_eq!(task.name().parse(), Ok(task));
            assert_eq!(serde_json::to_value(task).unwrap(), task.name());
        }
        let known = "Known are niah_single_1, niah_single_2, niah_single_3, niah_multikey_1, \
            niah_multikey_2, niah_multikey_3, niah_multivalue, niah_multiquery, vt, cwe, fwe, qa_1, qa_2";
        let error = |name: &str| name.parse::<RulerTask>().unwrap_err();
        assert_eq!(
            error("niah_single_4"),
            format!("unknown task `niah_single_4`; did you mean `niah_single_1`? {known}")
        );
        assert_eq!(error("squad"), format!("unknown task `squad`. {known}"));
    }
}
