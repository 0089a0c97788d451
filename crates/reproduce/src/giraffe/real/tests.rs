//! The whole study on a model of one layer: to its end, interrupted, and with other settings.

use std::fs;
use std::path::Path;

use super::settings::{Settings, Training};
use super::small::small_model;
use super::{of, study};
use crate::{Options, Progress, ReproduceError, Silent, Verdict};

fn small(dir: &Path) -> Settings {
    Settings {
        model: small_model(dir),
        lengths: [950, 1250, 1550],
        questions: 3,
        choices: 3,
        training: Training { steps: 1, windows: [900, 900], lookups: 2, rate: 1e-3 },
    }
}

/// Hears what is told, and stops the training when it is told to.
#[derive(Default)]
struct Heard {
    notices: Vec<String>,
    steps: usize,
}

impl Progress for Heard {
    fn notice(&mut self, text: &str) {
        self.notices.push(text.to_owned());
    }

    fn step(&mut self, _: &bestof_trainer::progress::StepProgress) {
        self.steps += 1;
    }
}

impl Heard {
    /// Passes that were made, not taken up.
    fn passes(&self) -> usize {
        self.notices.iter().filter(|notice| notice.contains(" found, ")).count()
    }
}

#[test]
fn a_study_that_was_cut_short_goes_on_and_comes_to_the_same() -> Result<(), ReproduceError> {
    let dir = tempfile::tempdir().unwrap();
    let settings = small(dir.path());
    let options = Options { full: true, seeds: Some(2), ..Options::new(dir.path().join("out")) };
    let mut heard = Heard::default();
    let whole = of("giraffe", &settings, &options, &mut heard)?;
    assert_eq!((heard.passes(), heard.steps), (36, 1));
    assert_eq!(whole.all_claims().len(), 6);
    // Random weights find nothing, and nothing can be said of bases.
    assert_ne!(whole.all_claims()[0].verdict, Verdict::Holds);
    assert!(whole.all_claims()[1..].iter().all(|claim| claim.verdict == Verdict::Unclear));
    let numbers = &whole.to_json()["numbers"];
    let cells = numbers["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 18);
    assert!(cells.iter().all(|cell| cell["asked"] == 6));
    // Each basis, and training, changes what the model says at least a little.
    let nats: std::collections::HashSet<String> = cells
        .iter()
        .filter(|cell| cell["length"] == 1550)
        .map(|cell| cell["nats"].to_string())
        .collect();
    assert_eq!(nats.len(), 6);
    let html = whole.to_report().to_html();
    for part in ["linear 2, trained", "Comparisons", "Cost", "1550 tokens"] {
        assert!(html.contains(part), "{part}");
    }

    let passes = options.out.join("passes");
    for name in ["plain-950-0.json", "yarn-2-1550-1.json"] {
        fs::remove_file(passes.join(name)).unwrap();
    }
    let half = fs::read_to_string(passes.join("truncated-1250-1.json")).unwrap();
    fs::write(passes.join("truncated-1250-1.json"), &half[..half.len() / 2]).unwrap();
    let mut heard = Heard::default();
    let again = of("giraffe", &settings, &options, &mut heard)?;
    assert_eq!((heard.passes(), heard.steps), (3, 0), "{:?}", heard.notices);
    assert_eq!(again.to_json(), whole.to_json());

    // Elsewhere and from nothing, the same.
    let elsewhere = Options { out: dir.path().join("elsewhere"), ..options };
    assert_eq!(of("giraffe", &settings, &elsewhere, &mut Silent)?.to_json(), whole.to_json());
    Ok(())
}

#[test]
fn other_settings_are_told_and_start_anew() -> Result<(), ReproduceError> {
    let dir = tempfile::tempdir().unwrap();
    let settings = small(dir.path());
    let options = Options::new(dir.path().join("out"));
    study::run(&settings, 1, &options, &mut Silent)?;
    let told = |heard: &Heard| {
        heard.notices.iter().filter(|notice| notice.contains("other settings")).count()
    };

    let other = Options { seed: 1, ..options.clone() };
    let mut heard = Heard::default();
    study::run(&settings, 1, &other, &mut heard)?;
    assert_eq!((heard.passes(), heard.steps, told(&heard)), (18, 1, 19));

    // Another training leaves the untrained passes.
    let mut longer = settings.clone();
    longer.training.rate = 2e-3;
    let mut heard = Heard::default();
    study::run(&longer, 1, &other, &mut heard)?;
    assert_eq!((heard.passes(), heard.steps, told(&heard)), (3, 1, 4), "{:?}", heard.notices);
    Ok(())
}

#[test]
fn a_model_that_converses_learns_the_answers_of_every_window() -> Result<(), ReproduceError> {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = small(dir.path());
    let turns = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}\
                 {% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
    fs::write(settings.model.join("chat_template.jinja"), turns).unwrap();
    settings.training = Training { steps: 2, windows: [1300, 1400], lookups: 2, rate: 1e-3 };
    let options = Options::new(dir.path().join("out"));
    let study = study::run(&settings, 1, &options, &mut Silent)?;
    // Both windows, each once and whole.
    assert_eq!(study.trained.losses.len(), 2);
    assert!((2500..=2750).contains(&study.trained.tokens), "{}", study.trained.tokens);
    Ok(())
}
