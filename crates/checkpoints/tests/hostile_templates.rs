//! Templates that ask for too much: each ends in an error that names its file and the limit.

use std::fmt::Write as _;

use bestof_checkpoints::{ChatTemplate, CheckpointError, Message, SpecialTokens};

fn render(source: &str) -> Result<String, CheckpointError> {
    let template = ChatTemplate::new(source, &SpecialTokens::default())?;
    template.render(&[Message::new("user", "Hi")], false)
}

/// The error of a source, which says in a few lines what is wrong.
fn refused(source: &str) -> CheckpointError {
    let shown: String = source.chars().take(100).collect();
    let error = render(source).map(|text| text.len()).expect_err(&shown);
    assert!(error.to_string().len() < 1000, "{shown}: {error}");
    error
}

/// Refused for the number of its steps.
fn endless(source: &str) {
    let error = refused(source);
    assert!(matches!(error, CheckpointError::TemplateEndless { .. }), "{error}");
    assert!(error.to_string().contains("chat_template.jinja"), "{error}");
}

/// A list of 2^60 numbers, two of which hold each other at every level, as `ns.NAME`.
fn doubled(name: &str) -> String {
    format!(
        "{{% set ns_{name}=namespace(x=[1]) %}}{{% for i in range(60) %}}\
         {{% set ns_{name}.x=[ns_{name}.x, ns_{name}.x] %}}{{% endfor %}}"
    )
}

/// A text of 32 MiB.
const LONG: &str = "{% set ns=namespace(x='aaaaaaaa') %}\
    {% for i in range(22) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}";

#[test]
fn values_without_end_are_not_written() {
    let list = doubled("a");
    for use_of in [
        "{{ ns_a.x }}",
        "{{ ns_a.x ~ '' }}",
        "{{ 'a' ~ ns_a.x }}",
        "{{ ns_a.x|string }}",
        "{{ ns_a.x|join }}",
        "{{ ''.join([ns_a.x, 1]) }}",
        "{{ ns_a.x|tojson }}",
        "{{ ns_a.x|tojson(indent=2) }}",
        "{{ '%s' % (ns_a.x,) }}",
        "{{ '{}'.format(ns_a.x) }}",
        "{{ ns_a.x|map('string')|list }}",
        "{{ ns_a.x in 'text' }}",
        "{{ ns_a.x|upper }}",
        "{{ ns_a.x|replace('1', '2') }}",
        "{{ ns_a.x|indent }}",
        "{{ ns_a.x|trim }}",
        "{{ ns_a.x|escape }}",
        "{{ raise_exception(ns_a.x) }}",
        "{{ 'a'.split(ns_a.x) }}",
        "{{ [1].index(ns_a.x) }}",
        "{{ [1]|tojson(indent=ns_a.x) }}",
        "{% filter upper %}{{ ns_a.x }}{% endfilter %}",
        "{{ ns_a.x|pprint }}",
        "{{ debug(ns_a.x) }}",
    ] {
        refused(&format!("{list}{use_of}"));
    }
    let once = refused(&format!("{list}{{{{ ns_a.x == 1 }}}}"));
    assert!(once.to_string().contains("more than 1000000 items"), "{once}");
    // A list that is repeated without being written down.
    refused("{{ [[1] * 99999999] * 99999999 }}");
}

#[test]
fn texts_without_end_are_not_made() {
    endless(
        "{% set ns=namespace(x='aaaaaaaa') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}",
    );
    for text in [
        "{{ 'a' * 99999999 }}{{ 'a' * 99999999 }}",
        "{{ 'a'.center(999999999) }}",
        "{{ 'a'.zfill(999999999) }}",
        "{{ '{:>999999999}'.format(1) }}",
        "{{ '%999999999d' % 1 }}",
        "{{ '%999999999d'|format(1) }}",
        "{{ '%*d' % (999999999, 1) }}",
        "{{ '%.999999999f' % 1.5 }}",
        "{{ '{:>{}}'.format(1, 999999999) }}",
        "{{ '{:>{w}}'.format(1, w=999999999) }}",
        "{{ '{0:{1}.{2}f}'.format(1.5, 999999999, 999999999) }}",
        "{{ ('\t' * 99999).expandtabs(99999) }}",
        "{{ ('a' * 99999)|replace('a', 'b' * 99999) }}",
        "{{ ('a' * 99999).replace('', 'b' * 99999) }}",
        "{{ ('a\n' * 99999)|indent(99999) }}",
        "{{ range(99999)|join('a' * 99999) }}",
        "{{ ('a' * 99999).join(range(99999)) }}",
        "{{ ('%Q%s%:z%9f%999f' * 1000000)|length }}{{ strftime_now('%Q%s%:z%9f%999f' * 1000000) }}",
        "{{ ([1] * 99999999)|tojson }}",
        "{{ ([1] * 99999999)|list }}",
        "{{ range(99999)|tojson(separators=('a' * 99999, ':')) }}",
        "{% for i in range(99999) %}{% for j in range(99999) %}{{ 'abcdefgh' }}{% endfor %}{% endfor %}",
    ] {
        refused(text);
    }
}

#[test]
fn reading_is_paid_for() {
    for read in [
        "{% for i in range(9999) %}{% for j in range(9999) %}{{ ns.x.find('b') }}{% endfor %}{% endfor %}",
        "{% for i in range(9999) %}{% for j in range(9999) %}{{ ns.x is endingwith('b') }}{{ ns.x.isspace() }}{% endfor %}{% endfor %}",
        "{{ ns.x.split('a')|length }}",
        "{{ ns.x.replace('a', ' ').split()|length }}",
        "{{ ns.x.replace('a', '\n').splitlines()|length }}",
        "{% for c in ns.x %}{% endfor %}",
        "{{ ns.x|list|length }}",
    ] {
        endless(&format!("{LONG}{read}"));
    }
}

#[test]
fn nesting_ends_in_an_error_or_a_text() {
    let deep = 60_000;
    for nested in [
        format!("{{{{ a{} }}}}", ".b".repeat(deep / 2)),
        format!("{{{{ 1{} }}}}", "~1".repeat(deep / 4)),
        format!("{{{{ {}1 }}}}", "-".repeat(deep)),
        format!("{{{{ {}1 }}}}", "not ".repeat(deep / 4)),
        format!("{{{{ {}1 }}}}", "(".repeat(deep)),
        format!("{{{{ {}1 }}}}", "[".repeat(deep)),
        format!("{{{{ {}1 }}}}", "{1:".repeat(deep / 3)),
        format!("{{{{ 1{} }}}}", "|abs".repeat(deep / 4)),
        format!("{{{{ 1{} }}}}", "()".repeat(deep / 2)),
        format!("{{{{ 1{} }}}}", "**1".repeat(deep / 3)),
        format!("{{{{ 1{} }}}}", " or 0".repeat(deep / 5)),
        format!("{{{{ 1{} }}}}", " if 0 else 0".repeat(deep / 12)),
        format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat(deep / 12)),
        "{% for x in [1] %}".repeat(deep / 18),
        "{% if 1 %}".repeat(deep / 10),
        "{{ '%s' % (".repeat(deep / 11),
        format!("{{% set x = [] %}}{}", "{% set x=[[[[[[[[[[x]]]]]]]]]] %}".repeat(deep / 34)),
        format!(
            "{{% macro f(x) %}}{}{{% endmacro %}}{{{{ f(1) }}}}",
            "{{ f([x]) }}".repeat(deep / 12)
        ),
    ] {
        // Either is right: what must not happen is the end of the process.
        let _ = render(&nested);
    }
    for endless in [
        "{% macro f(n) %}{{ f([n]) }}{% endmacro %}{{ f(1) }}",
        "{% for m in [[1]] recursive %}{{ loop([[m]]) }}{% endfor %}",
        "{% macro f(n) %}{% call f(n) %}{{ caller() }}{% endcall %}{% endmacro %}{{ f(1) }}",
        "{% block a %}{{ self.a() }}{% endblock %}",
        "{% include 'chat_template' %}",
        "{% import 'chat_template' as q %}{{ q }}",
        "{% extends 'chat_template' %}",
    ] {
        refused(endless);
    }
}

#[test]
fn values_nest_to_a_limit() {
    for level in
        ["[ns.x]", "{'a': ns.x}", "(ns.x,)", "namespace(a=ns.x)", "dict(a=ns.x)", "ns.x|batch(1)"]
    {
        let error = refused(&format!(
            "{{% set ns=namespace(x=[1]) %}}{{% for i in range(20000) %}}{{% set ns.x={level} %}}{{% endfor %}}{{{{ ns.x }}}}"
        ));
        let said = error.to_string();
        assert!(
            said.contains("128 levels") || said.contains("namespace cannot"),
            "{level}: {error}"
        );
    }
    let lazy = |level: &str| {
        render(&format!(
            "{{% set ns=namespace(x=range(3)) %}}{{% for i in range(2000) %}}{{% set ns.x={level} %}}{{% endfor %}}{{{{ ns.x }}}}"
        ))
    };
    assert_eq!(lazy("ns.x[::1]").unwrap(), "[0, 1, 2]");
    assert_eq!(lazy("ns.x[::-1]").unwrap(), "[0, 1, 2]");
    assert_eq!(lazy("ns.x|map('string')").unwrap(), "['0', '1', '2']");
    let error = refused(
        "{% set ns=namespace(x=[]) %}{% for i in range(110) %}{% set ns.x=[ns.x] %}{% endfor %}{{ ns.x|tojson }}",
    );
    assert!(error.to_string().contains("more than 100 levels"), "{error}");
    refused("{% set ns=namespace() %}{% set ns.x=ns %}{{ ns }}");
    refused("{% set ns=namespace() %}{% set ns.x=[ns] %}{{ ns }}");
}

#[test]
fn sources_cut_anywhere_are_refused_or_rendered() {
    for source in [
        "{%}",
        "{%",
        "{%éa",
        "{%-",
        "{% generation é",
        "{{ '%s' % é",
        "{{ \"",
        "{#",
        "{%😀%",
        "{% raw %}{%é",
        "{% for a in 'é",
    ] {
        let _ = render(source);
    }
    assert!(refused("{%}").to_string().starts_with("chat template, line 1: "));
    // Every prefix of a template with all that the reader of sources looks at.
    let source = "{%- generation -%}é{{ '%sé' % (a, 'é')|upper }}{% endgeneration %}\
        {% for é in 'é' if '}' recursive %}{# é #}{{ {'é': ['}']} }}{%+ endfor +%}";
    for (end, _) in source.char_indices() {
        let _ = render(&source[..end]);
    }
}

#[test]
fn long_sources_and_long_texts_name_file_and_limit() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |file: &str, text: &str| {
        std::fs::write(dir.path().join(file), text).unwrap();
        let template = ChatTemplate::from_dir(dir.path());
        let error = template
            .and_then(|template| template.unwrap().render(&[Message::new("user", "")], false));
        error.map(|text| text.len()).unwrap_err().to_string()
    };
    let error = refused("tokenizer_config.json", r#"{"chat_template": "{% for i in [1] %}"}"#);
    assert!(error.contains("tokenizer_config.json: chat template, line 1: "), "{error}");
    let error = refused("chat_template.jinja", &"a".repeat(300_000));
    assert!(
        error.contains(
            "chat_template.jinja: chat template: its source is 300000 bytes long, at most 131072"
        ),
        "{error}"
    );
    let text = "{{ 'a' * 8388608 }}{{ 'a' * 8388609 }}";
    let error = refused("chat_template.jinja", text);
    assert!(
        error.contains("its text is 16777217 bytes long, at most 16777216 are accepted"),
        "{error}"
    );
    let error = refused(
        "chat_template.jinja",
        "{% for i in range(99999) %}{% for i in range(99999) %}{% endfor %}{% endfor %}",
    );
    assert!(error.contains("more than 2000000 steps"), "{error}");
}

#[test]
fn long_conversations_are_rendered() {
    let source = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}\
        {{ m.content.split('</think>')[-1].lstrip('\n') | trim + '<|im_end|>' + '\n' }}{% endfor %}";
    let template = ChatTemplate::new(source, &SpecialTokens::default()).unwrap();
    let many: Vec<Message> = (0..20_000).map(|i| Message::new("user", i.to_string())).collect();
    let mut expected = String::new();
    for message in &many {
        writeln!(expected, "<|im_start|>user\n{}<|im_end|>", message.content).unwrap();
    }
    assert_eq!(template.render(&many, false).unwrap(), expected);
    let one = [Message::new("user", "word ".repeat(1_000_000))];
    assert_eq!(
        template.render(&one, false).unwrap().len(),
        5_000_000 - 1 + "<|im_start|>user\n<|im_end|>\n".len()
    );
}
