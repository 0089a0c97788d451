//! Settings as our own documents: a run's config, not a model's.

use bestof_positional::{Linear, Method, RopeConfig, RopeScaling, RotaryLayout};
use serde_json::{from_value, json, to_value};

#[test]
fn a_config_is_a_readable_document() {
    let config = RopeConfig {
        scaling: RopeScaling::Linear(Linear { factor: 4.0 }),
        ..RopeConfig::new(8, 1e4)
    };
    let document = json!({
        "head_dim": 8, "rope_theta": 1e4, "partial_rotary_factor": 1.0,
        "scaling": {"rope_type": "linear", "factor": 4.0},
    });
    assert_eq!(to_value(&config).unwrap(), document);
    assert_eq!(from_value::<RopeConfig>(document).unwrap(), config);
    let short = from_value::<RopeConfig>(json!({"head_dim": 8, "rope_theta": 1e4})).unwrap();
    assert_eq!(short, RopeConfig::new(8, 1e4));
    assert_eq!(to_value(Method::LongRope).unwrap(), json!("longrope"));
    assert_eq!(from_value::<Method>(json!("su")).unwrap(), Method::LongRope);
    assert_eq!(to_value(RotaryLayout::HalfSplit).unwrap(), json!("half_split"));
}

#[test]
fn unknown_and_unused_keys_are_refused() {
    let cases = [
        (json!({"rope_type": "linear", "factor": 2.0, "facter": 2.0}), "facter"),
        (json!({"rope_type": "linear", "factor": 2.0, "power": 2.0}), "does not use `power`"),
        (json!({"rope_type": "yarm"}), "unknown rope type `yarm`"),
        (json!({"factor": 2.0}), "rope_type"),
        (json!({"rope_type": "linear"}), "`factor`"),
        (json!({"rope_type": "composed", "first": {"rope_type": "default"}}), "then"),
        (
            json!({"rope_type": "composed", "first": {"rope_type": "default"},
                   "then": {"rope_type": "power", "power": 1.0}, "last": 3}),
            "`last`",
        ),
    ];
    for (document, expected) in cases {
        let message = from_value::<RopeScaling>(document.clone()).unwrap_err().to_string();
        assert!(message.contains(expected), "{document}: {message}");
    }
}
