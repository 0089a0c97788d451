//! Chat templates in the styles that published models use, against texts worked out by hand.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its own functions included")]

use bestof_checkpoints::{
    ChatTemplate, CheckpointError, Message, SpecialTokens, TemplateOptions, TemplateValue,
};

fn special(bos: &str, eos: &str) -> SpecialTokens {
    let dir = tempfile::tempdir().unwrap();
    let config =
        serde_json::json!({ "bos_token": bos, "eos_token": { "content": eos, "special": true } });
    std::fs::write(dir.path().join("tokenizer_config.json"), config.to_string()).unwrap();
    SpecialTokens::from_dir(dir.path()).unwrap()
}

fn messages(turns: &[(&str, &str)]) -> Vec<Message> {
    turns.iter().map(|(role, content)| Message::new(*role, *content)).collect()
}

fn render(source: &str, turns: &[(&str, &str)], open: bool) -> Result<String, CheckpointError> {
    ChatTemplate::new(source, &special("<s>", "</s>"))?.render(&messages(turns), open)
}

/// Renders a template with no messages.
fn text(source: &str) -> String {
    render(source, &[], false).unwrap()
}

#[test]
fn llama2_style() {
    let source = include_str!("fixtures/templates/llama2.jinja");
    let turns =
        [("system", " Be kind. "), ("user", "Hi "), ("assistant", "\nHello"), ("user", "Bye")];
    assert_eq!(
        render(source, &turns, true).unwrap(),
        "<s>[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nHi [/INST] Hello </s><s>[INST] Bye [/INST]"
    );
    assert_eq!(render(source, &turns[1..2], true).unwrap(), "<s>[INST] Hi [/INST]");
}

#[test]
fn a_template_may_refuse() {
    let source = include_str!("fixtures/templates/llama2.jinja");
    let error = render(source, &[("user", "a"), ("user", "b")], true).unwrap_err();
    assert!(matches!(&error, CheckpointError::TemplateRefused { message }
        if message == "user and assistant have to take turns"));
    assert_eq!(
        error.to_string(),
        "the chat template refuses these messages: user and assistant have to take turns"
    );
}

#[test]
fn llama3_style() {
    let source = include_str!("fixtures/templates/llama3.jinja");
    let turns =
        [("system", "Be kind."), ("user", " Hi "), ("tool", "skipped"), ("assistant", "Hello")];
    let rendered = render(source, &turns, true).unwrap();
    let (head, tail) = rendered.split_once("Today Date: ").unwrap();
    assert_eq!(head, "<s><|start_header_id|>system<|end_header_id|>\n\n");
    let (date, tail) = tail.split_once("\n\n").unwrap();
    let words: Vec<&str> = date.split(' ').collect();
    assert_eq!(words.iter().map(|word| word.len()).collect::<Vec<_>>(), [2, 3, 4], "{date}");
    assert_eq!(
        tail,
        "Be kind.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>\
         <|start_header_id|>assistant<|end_header_id|>\n\nHello<|eot_id|>\
         <|start_header_id|>assistant<|end_header_id|>\n\n"
    );
}

#[test]
fn gemma_style() {
    let source = include_str!("fixtures/templates/gemma.jinja");
    let turns = [("system", "Be kind."), ("user", "Hi "), ("assistant", " Hello")];
    assert_eq!(
        render(source, &turns, true).unwrap(),
        "<s><start_of_turn>user\nBe kind.\n\nHi<end_of_turn>\n<start_of_turn>model\nHello<end_of_turn>\n\
         <start_of_turn>model\n"
    );
    assert!(matches!(
        render(source, &[("assistant", "Hello")], false),
        Err(CheckpointError::TemplateRefused { .. })
    ));
}

#[test]
fn chatml_style_with_a_generation_block() {
    let source = include_str!("fixtures/templates/chatml.jinja");
    let turns = [("user", "Hi"), ("assistant", "<think>hm</think>\n\nHello")];
    assert_eq!(
        render(source, &turns, true).unwrap(),
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n\
         <|im_start|>assistant\nHello<|im_end|>\n<|im_start|>assistant\n"
    );
}

#[test]
fn generation_blocks_are_found_in_the_text_they_render() {
    let source = "{% for m in messages %}\n[{{ m.role }}]\n  {%- if m.role == 'assistant' %}\n    {%- generation %}\n \
                  {{ m.content | trim }};\n    {% endgeneration %}\n  {%- else %} {{ m.content }}{% endif %}\n{% endfor %}";
    let template = ChatTemplate::new(source, &SpecialTokens::default()).unwrap();
    let messages = [
        Message::new("user", "ü"),
        Message::new("assistant", " a "),
        Message::new("user", "b"),
        Message::new("assistant", "c"),
    ];
    let (text, marked) = template.render_marked(&messages).unwrap();
    assert_eq!(text, template.render(&messages, false).unwrap());
    let marked: Vec<&str> = marked.into_iter().map(|range| text[range].trim()).collect();
    assert_eq!(marked, ["a;", "c;"], "{text}");

    let outside = source
        .replace("{%- generation", "{% filter upper %}{%- generation")
        .replace("{% endgeneration %}", "{% endgeneration %}{% endfilter %}");
    let template = ChatTemplate::new(&outside, &SpecialTokens::default()).unwrap();
    assert_eq!(template.render_marked(&messages).unwrap().1.len(), 2);
    let forged = [Message::new("assistant", "\u{FDD1}")];
    let error = template.render_marked(&forged).unwrap_err();
    assert!(matches!(error, CheckpointError::TemplateMarks), "{error}");
    let plain = ChatTemplate::new("{{ messages[0].content }}", &SpecialTokens::default()).unwrap();
    assert!(!plain.has_marks() && template.has_marks());
    assert_eq!(plain.render_marked(&messages).unwrap(), ("ü".to_owned(), Vec::new()));
}

#[test]
fn blocks_are_trimmed_as_in_transformers() {
    // The newline after a block tag and the spaces before it go; those around an expression stay.
    assert_eq!(text("a\n  {% if true %}\nb\n  {% endif %}\n  {{ 'c' }}\nd"), "a\nb\n  c\nd");
    // One newline at the very end of a template goes too.
    assert_eq!(text("x\n\n"), "x\n");
}

#[test]
fn python_methods_and_json_work() {
    assert_eq!(
        text("{{ {'b': 1, 'a': [true, none, 'ü<\"']} | tojson }}"),
        r#"{"b": 1, "a": [true, null, "ü<\""]}"#
    );
    assert_eq!(
        text("{{ {'a': [1, 2], 'b': {}} | tojson(indent=2) }}"),
        "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {}\n}"
    );
    assert_eq!(
        text("{% for k, v in {'z': 1, 'a': 2}.items() %}{{ k }}={{ v }};{% endfor %}"),
        "z=1;a=2;"
    );
    assert_eq!(
        text("{{ 'a-b'.split('-')[1].upper() }}{{ 'xxa'.lstrip('x') }}{{ 'ab'.startswith('a') }}"),
        "BaTrue"
    );
    assert_eq!(
        text("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}"),
        "01"
    );
    assert_eq!(text("{% set l = [1, 2, 3] %}{{ l[::-1] | join(',') }}{{ l[-1] }}"), "3,2,13");
    assert_eq!(text("{%- macro m(x) -%}<{{ x }}>{%- endmacro -%}{{ m('a') }}"), "<a>");
    assert_eq!(text("{{ tools is none }}{{ nothing is defined }}{{ documents }}"), "TrueFalseNone");
}

#[test]
fn errors_name_the_line() {
    let error = ChatTemplate::new("a\n{% if %}", &SpecialTokens::default()).unwrap_err();
    assert!(error.to_string().starts_with("chat template, line 2: "), "{error}");
    let error = render("a\nb\n{{ messages[3].role.strip() }}", &[], false).unwrap_err();
    assert!(matches!(error, CheckpointError::Template { line: Some(3), .. }), "{error}");
    let error = render("{{ strftime_now('%!') }}", &[], false).unwrap_err();
    assert!(error.to_string().contains("strftime_now"), "{error}");
}

#[test]
fn a_template_that_never_ends_is_stopped() {
    let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% set d = c %}{% endfor %}{% endfor %}{% endfor %}";
    assert!(matches!(render(endless, &[], false), Err(CheckpointError::TemplateEndless { .. })));
}

#[test]
fn the_folder_says_where_the_template_is() {
    let dir = tempfile::tempdir().unwrap();
    assert!(ChatTemplate::from_dir(dir.path()).unwrap().is_none());
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("tokenizer_config.json", r#"{"chat_template": "one"}"#);
    let template = || ChatTemplate::from_dir(dir.path()).unwrap().unwrap();
    assert_eq!(template().render::<bestof_checkpoints::Message>(&[], false).unwrap(), "one");
    write(
        "tokenizer_config.json",
        r#"{"chat_template": [{"name": "tool_use", "template": "x"}, {"name": "default", "template": "two{{ eos_token }}"}], "eos_token": "!"}"#,
    );
    assert_eq!(template().render::<bestof_checkpoints::Message>(&[], false).unwrap(), "two!");
    write("chat_template.jinja", "three");
    assert_eq!(template().source(), "three");
    std::fs::remove_file(dir.path().join("chat_template.jinja")).unwrap();
    write("tokenizer_config.json", r#"{"chat_template": 7}"#);
    let error = ChatTemplate::from_dir(dir.path()).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("chat_template is 7, expected a template, or a list with one named default")
    );
}

#[derive(serde::Deserialize)]
struct Case {
    template: String,
    messages: Vec<TemplateValue>,
    tools: Option<TemplateValue>,
    arguments: std::collections::BTreeMap<String, TemplateValue>,
    add_generation_prompt: bool,
    rendered: Option<String>,
    refused: Option<String>,
}

/// What the templates of Qwen3, `SmolLM3`, Gemma 3, Phi-4-mini and Llama 3.2 use, rendered by transformers
/// 5.24 (`fixtures/templates/record.py`).
#[test]
fn features_of_published_templates_render_as_in_transformers() {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("fixtures/templates/rendered.json")).unwrap();
    assert_eq!(cases.len(), 160);
    for (number, case) in cases.into_iter().enumerate() {
        let source = match case.template.as_str() {
            "thoughts" => include_str!("fixtures/templates/thoughts.jinja"),
            "modes" => include_str!("fixtures/templates/modes.jinja"),
            "parts" => include_str!("fixtures/templates/parts.jinja"),
            "inline" => include_str!("fixtures/templates/inline.jinja"),
            _ => include_str!("fixtures/templates/functions.jinja"),
        };
        let options = TemplateOptions {
            add_generation_prompt: case.add_generation_prompt,
            tools: case.tools,
            arguments: case.arguments.into_iter().collect(),
            ..TemplateOptions::default()
        };
        let template = ChatTemplate::new(source, &special("<s>", "</s>")).unwrap();
        let found = template.render_with(&case.messages, &options);
        match (found, case.rendered, case.refused) {
            (Ok(found), Some(right), None) => assert_eq!(found, right, "case {number}"),
            (Err(_), None, Some(_)) => {}
            (found, right, refused) => {
                panic!("case {number}, {}: {found:?} is not {right:?} {refused:?}", case.template)
            }
        }
    }
}
