//! What an experiment leaves: claims, numbers and a page.

use std::fs;
use std::path::{Path, PathBuf};

use bestof_files::write_file;
use bestof_report::{Findings, Report, Section};
use serde_json::{Value, json};

use crate::{Claim, Design, Options, ReproduceError};

/// The page in a reproduction's folder.
pub const REPORT_FILE: &str = "report.html";
/// Claims and numbers in a reproduction's folder.
pub const CLAIMS_FILE: &str = "claims.json";

/// The outcome of an [`Experiment`](crate::Experiment).
#[derive(Debug, Clone)]
pub struct Reproduction {
    name: &'static str,
    title: String,
    source: String,
    seed: u64,
    full: bool,
    made_with: Value,
    design: Design,
    claims: Vec<Claim>,
    numbers: Value,
    sections: Vec<Section>,
}

/// Where a reproduction was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The page.
    pub report: PathBuf,
    /// Claims and numbers.
    pub claims: PathBuf,
}

impl Reproduction {
    /// An outcome without claims of the experiment with this name; `source` names paper and section,
    /// `design` what the verdicts will rest on.
    pub fn new(
        experiment: &'static str,
        options: &Options,
        title: impl Into<String>,
        source: impl Into<String>,
        design: Design,
    ) -> Self {
        Self {
            name: experiment,
            title: title.into(),
            source: source.into(),
            seed: options.seed,
            full: options.full,
            made_with: options.made_with(),
            design,
            claims: Vec::new(),
            numbers: Value::Null,
            sections: Vec::new(),
        }
    }

    /// The outcome with these claims after those it has.
    #[must_use]
    pub fn claims(mut self, claims: impl IntoIterator<Item = Claim>) -> Self {
        self.claims.extend(claims);
        self
    }

    /// The outcome with everything that was measured, in a form of the experiment's own.
    #[must_use]
    pub fn numbers(mut self, numbers: Value) -> Self {
        self.numbers = numbers;
        self
    }

    /// The outcome with one more section of its page, after the claims.
    #[must_use]
    pub fn section(mut self, section: Section) -> Self {
        self.sections.push(section);
        self
    }

    /// The experiment's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What the page is called.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The claims, in the order of the paper.
    pub fn all_claims(&self) -> &[Claim] {
        &self.claims
    }

    /// `{"reproduction", "title", "source", "seed", "full", "made_with", "design",
    /// "claims", "numbers"}`; `made_with` has version and options. Times are not
    /// in it, so that equal options give equal bytes.
    pub fn to_json(&self) -> Value {
        json!({
            "reproduction": self.name,
            "title": self.title,
            "source": self.source,
            "seed": self.seed,
            "full": self.full,
            "made_with": self.made_with,
            "design": self.design.to_json(),
            "claims": self.claims.iter().map(Claim::to_json).collect::<Vec<_>>(),
            "numbers": self.numbers,
        })
    }

    /// The page: claims first, then the design and the experiment's sections.
    pub fn to_report(&self) -> Report {
        let size = if self.full { ", full size" } else { "" };
        let cards = Findings::new(self.claims.iter().map(Claim::to_finding));
        let report = Report::new(&self.title)
            .subtitle(format!("{}; seed {}{size}", self.source, self.seed))
            .section(Section::new("Claims").element(cards))
            .section(self.design.section());
        self.sections.iter().fold(report, |report, section| report.section(section.clone()))
    }

    /// Writes `report.html` and `claims.json` into a folder, which is made if it is missing;
    /// earlier ones are replaced whole.
    ///
    /// # Errors
    /// `Report`, `Io`.
    pub fn write(&self, dir: &Path) -> Result<Written, ReproduceError> {
        fs::create_dir_all(dir).map_err(ReproduceError::io("cannot create", dir))?;
        let written = Written { report: dir.join(REPORT_FILE), claims: dir.join(CLAIMS_FILE) };
        self.to_report().write(&written.report)?;
        write_file(&written.claims, format!("{:#}\n", self.to_json()).as_bytes())?;
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Measured;

    fn design() -> Design {
        Design {
            seeds: "2, from 0".into(),
            varies: "everything".into(),
            correction: "none".into(),
            tried: "nothing".into(),
        }
    }

    #[test]
    fn a_folder_holds_the_claims_twice_for_people_and_for_programs() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("a/b");
        let low = Measured::of_seeds(&[-1.0, -1.1]);
        let claim = Claim::new("x < 0", "above 0", low.to_string(), low.is_above(0.5));
        let outcome =
            Reproduction::new("pkpo-toy", &Options::new(&out), "T & U", "a paper", design())
                .claims([claim])
                .numbers(json!({"x": low.to_json()}));
        for _ in 0..2 {
            let written = outcome.write(&out).unwrap();
            let page = fs::read_to_string(&written.report).unwrap();
            assert!(page.contains("T &amp; U") && page.contains("does not hold"), "{page}");
            assert!(page.contains("What the verdicts rest on"), "{page}");
            let text = fs::read_to_string(&written.claims).unwrap();
            let read: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(read, outcome.to_json());
            assert_eq!(read["claims"][0]["verdict"], "does not hold");
            assert_eq!(read["design"]["tried"], "nothing");
            assert_eq!(read["numbers"]["x"]["value"], -1.05);
        }
        assert_eq!(fs::read_dir(&out).unwrap().count(), 2);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("taken");
        fs::write(&file, "").unwrap();
        let outcome = Reproduction::new("pkpo-toy", &Options::new(&file), "T", "S", design());
        let error = outcome.write(&file).unwrap_err().to_string();
        assert!(error.contains("cannot create") && error.contains("taken"), "{error}");
    }
}
