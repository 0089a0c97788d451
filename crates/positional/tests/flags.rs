//! `RopeParams` as flags, as keys of a flattened map, and merged.

use bestof_positional::{OnScaled, RopeParams};
use clap::Parser;
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    params: RopeParams,
    #[arg(long, value_enum)]
    on_scaled: Option<OnScaled>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Section {
    method: String,
    #[serde(flatten)]
    params: RopeParams,
}

fn flags(text: &str) -> Result<Command, clap::Error> {
    Command::try_parse_from(["x"].into_iter().chain(text.split_whitespace()))
}

#[test]
fn every_parameter_is_a_flag() {
    let command = flags(
        "--factor 4 --truncate 64 --truncate-ramp false --a -1 --long-factor 1,2.5 --on-scaled compose",
    )
    .unwrap();
    let expected = RopeParams {
        factor: Some(4.0),
        truncate_length: Some(64),
        truncate: Some(false),
        a: Some(-1.0),
        long_factor: Some(vec![1.0, 2.5]),
        ..RopeParams::default()
    };
    assert_eq!(command.params, expected);
    assert_eq!(command.on_scaled, Some(OnScaled::Compose));
    assert_eq!(flags("").unwrap().params, RopeParams::default());
    let all: Vec<String> = RopeParams::NAMES
        .iter()
        .map(|name| match *name {
            "truncate_length" => "--truncate 1".to_owned(),
            "truncate" => "--truncate-ramp true".to_owned(),
            name => format!("--{} 1", name.replace('_', "-")),
        })
        .collect();
    let given = flags(&all.join(" ")).unwrap().params;
    assert!(given.given().eq(RopeParams::NAMES.iter().copied()));
    let error = flags("--factor four").unwrap_err().to_string();
    assert!(error.contains("--factor") && error.contains("four"), "{error}");
}

#[test]
fn a_flattened_section_keeps_keys_apart_and_names_a_wrong_one() {
    let map = json!({"method": "yarn", "factor": 4, "beta_fast": null, "truncate_length": 64});
    let section: Section = serde_json::from_value(map).unwrap();
    assert_eq!(section.params.given().collect::<Vec<_>>(), ["factor", "truncate_length"]);
    let written = serde_json::to_value(&section).unwrap();
    assert_eq!(written, json!({"method": "yarn", "factor": 4.0, "truncate_length": 64}));
    let wrong = json!({"method": "yarn", "beta_fast": "fast"});
    let error = serde_json::from_value::<Section>(wrong).unwrap_err().to_string();
    for part in ["`beta_fast`", "\"fast\"", "expected f64"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn flags_win_over_a_section() {
    let of = |factor, power| RopeParams { factor, power, ..RopeParams::default() };
    assert_eq!(of(Some(8.0), None).or(of(Some(4.0), Some(0.5))), of(Some(8.0), Some(0.5)));
}
