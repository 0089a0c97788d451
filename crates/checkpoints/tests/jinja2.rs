//! Templates render as jinja2's sandbox renders them for transformers. The expected texts are
//! jinja2's own; `about` in the fixture says how they were made.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

use bestof_checkpoints::{ChatTemplate, SpecialTokens, TemplateOptions, TemplateValue};
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    data: TemplateValue,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    template: String,
    rendered: String,
}

#[test]
fn renders_as_jinja2_does() {
    let fixture: Fixture = serde_json::from_str(include_str!("fixtures/jinja2.json")).unwrap();
    let options = TemplateOptions {
        arguments: vec![
            ("data".to_owned(), fixture.data),
            ("missing_not".to_owned(), TemplateValue::new(&"")),
        ],
        ..TemplateOptions::default()
    };
    let mut wrong = Vec::new();
    for Case { template, rendered } in fixture.cases {
        let result = ChatTemplate::new(&template, &SpecialTokens::default())
            .and_then(|parsed| parsed.render_with::<TemplateValue>(&[], &options));
        match result {
            Ok(found) if found == rendered => {}
            Ok(found) => {
                wrong.push(format!("{template}\n  found    {found}\n  expected {rendered}"));
            }
            Err(error) => wrong.push(format!("{template}\n  {error}\n  expected {rendered}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn render(source: &str) -> Result<String, bestof_checkpoints::CheckpointError> {
    let template = ChatTemplate::new(source, &SpecialTokens::default())?;
    let messages: Vec<TemplateValue> =
        serde_json::from_str(r#"[{"role": "user", "content": "Hi"}]"#).unwrap();
    template.render(&messages, true)
}

// As jinja2 3.1.6 gives it.
#[test]
fn line_ends_are_normalised() {
    let source = "{% for m in messages %}\r\n<{{ m.role }}>\r\n{{ m.content }}\r{% endfor %}\r\n";
    assert_eq!(render(source).unwrap(), "<user>\nHi\n");
}

#[test]
fn unknown_arguments_of_filters_are_errors() {
    for source in [
        "{{ messages | tojson(indnt=2) }}",
        "{{ none | default('x', bool=true) }}",
        "{{ 'a'.split(separator=',') }}",
        "{{ missing | tojson }}",
    ] {
        assert!(render(source).is_err(), "{source}");
    }
}

#[test]
fn widths_ask_for_no_memory() {
    for source in [
        "{{ messages | tojson(indent=10000000000) }}",
        "{{ [1] | tojson(indent=1000000000) }}",
        "{{ 'a'.center(999999999) }}",
        "{{ 'a'.ljust(9223372036854775807) }}",
        "{{ 'a\t'.expandtabs(9223372036854775807) }}",
    ] {
        assert!(render(source).is_err(), "{source}");
    }
}

// As `apply_chat_template(..., continue_final_message=True)` cuts it.
#[test]
fn the_last_message_can_stay_open() {
    let source = "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}</s>{% endfor %}";
    let template = ChatTemplate::new(source, &SpecialTokens::default()).unwrap();
    let messages: Vec<TemplateValue> = serde_json::from_str(
        r#"[{"role": "user", "content": "q"}, {"role": "assistant", "content": "It is "}]"#,
    )
    .unwrap();
    let options = TemplateOptions { continue_final_message: true, ..TemplateOptions::default() };
    assert_eq!(template.render_with(&messages, &options).unwrap(), "<user>q</s><assistant>It is");
    let both = TemplateOptions { add_generation_prompt: true, ..options };
    assert!(template.render_with(&messages, &both).is_err());
}
