//! A template's source, as jinja2 and transformers read it and as the engine needs it.

use super::template_growth::{kept, kept_names, products};
use super::template_syntax::{Part, bracketed, opening, operand_length, parts, quoted, word};

/// The filter that stands for `%` behind a text: printf-style formatting.
pub(crate) const PERCENT_FILTER: &str = "percent_format";

/// The filter that turns the text a loop runs over into its characters, so that the loop knows its end.
pub(crate) const LOOP_FILTER: &str = "loop_items";

/// Line ends as jinja2 sees them: `\r\n` and `\r` are `\n`, in texts of the template too.
pub(crate) fn normal_line_ends(source: &str) -> String {
    source.replace("\r\n", "\n").replace('\r', "\n")
}

/// The source with `generation` blocks, by which transformers marks the assistant's part, replaced
/// by other blocks, with the same treatment of white space.
pub(crate) fn replace_generation_blocks(source: &str, open: &str, close: &str) -> String {
    let mut out = String::with_capacity(source.len());
    for part in parts(source) {
        match part {
            Part::Tag(tag) if tag.starts_with("{%") && tag.len() >= 4 && tag.ends_with("%}") => {
                match word(tag) {
                    "generation" => out.push_str(&tag.replacen("generation", open, 1)),
                    "endgeneration" => out.push_str(&tag.replacen("endgeneration", close, 1)),
                    _ => out.push_str(tag),
                }
            }
            Part::Tag(text) | Part::Text(text) => out.push_str(text),
        }
    }
    out
}

/// The source with filters for what the engine has not: `'text' % value`, and loops over texts.
pub(crate) fn with_filters(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    for part in parts(source) {
        match part {
            Part::Tag(tag) if !tag.starts_with("{#") => {
                let tag = products(&percent_in_tag(tag));
                out.push_str(&kept(&loop_items(&tag)));
                out.push_str(&kept_names(&tag));
            }
            Part::Tag(text) | Part::Text(text) => out.push_str(text),
        }
    }
    out
}

/// A `for` tag with the filter behind what it runs over.
fn loop_items(tag: &str) -> String {
    let word = opening(tag);
    let place = tag.find(" in ").filter(|_| tag.starts_with("{%") && word.starts_with("for "));
    let Some(start) = place.map(|place| place + " in ".len()) else { return tag.to_owned() };
    let mut at = start;
    while let Some(c) = tag[at..].chars().next() {
        let rest = &tag[at..];
        let over =
            ["%}", "-%}", "+%}", " if ", " recursive"].iter().any(|end| rest.starts_with(end));
        if over {
            return format!("{}({})|{LOOP_FILTER}{rest}", &tag[..start], tag[start..at].trim());
        }
        at += match c {
            '\'' | '"' => quoted(rest),
            '(' | '[' | '{' => bracketed(rest),
            _ => c.len_utf8(),
        };
    }
    tag.to_owned()
}

fn percent_in_tag(tag: &str) -> String {
    let mut out = String::with_capacity(tag.len());
    let mut rest = tag;
    while let Some(start) = rest.find(['\'', '"']) {
        let end = start + quoted(&rest[start..]);
        out.push_str(&rest[..end]);
        rest = &rest[end..];
        let behind = rest.trim_start();
        // `%}` and `-%}` close the tag.
        let Some(operand) = behind.strip_prefix('%').filter(|behind| !behind.starts_with('}'))
        else {
            continue;
        };
        let operand = operand.trim_start();
        let length = operand_length(operand);
        let operand_in_tag = percent_in_tag(&operand[..length]);
        out.extend(["|", PERCENT_FILTER, "(", &operand_in_tag, ")"]);
        rest = &operand[length..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_takes_one_operand() {
        let replaced = |source: &str| with_filters(source).replace(PERCENT_FILTER, "p");
        assert_eq!(replaced("{{ '%s' % a }}"), "{{ '%s'|p(a) }}");
        assert_eq!(replaced("{{ '%s' % a.b[0] + c }}"), "{{ '%s'|p(a.b[0]) + c }}");
        assert_eq!(replaced("{{ '%s%%' % (a, '%}') ~ b }}"), "{{ '%s%%'|p((a, '%}')) ~ b }}");
        assert_eq!(replaced("{{ '%s' % a | upper }}"), "{{ '%s'|p(a | upper) }}");
        for untouched in [
            "{{ 5 % 2 }}",
            "{% raw %}{{ '%s' % a * b }}{%- endraw %}",
            "{% set a %}",
            "{# '%s' % a #}",
            "a 'b' % c",
            "{{ 'a'",
        ] {
            assert_eq!(with_filters(untouched), untouched);
        }
    }
}
