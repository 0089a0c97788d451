//! A template's source, as jinja2 and transformers read it and as the engine needs it.

/// The filter that stands for `%` behind a text: printf-style formatting.
pub(crate) const PERCENT_FILTER: &str = "percent_format";

/// The filter that turns the text a loop runs over into its characters, so that the loop knows its end.
pub(crate) const LOOP_FILTER: &str = "loop_items";

/// The filter behind every value that gets a name. Of an attribute of a namespace it is told so.
pub(crate) const KEPT_FILTER: &str = "kept_value";

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
                let word = tag[2..tag.len() - 2]
                    .trim_start_matches(['-', '+'])
                    .trim_end_matches(['-', '+'])
                    .trim();
                match word {
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
                out.push_str(&kept(&loop_items(&percent_in_tag(tag))));
            }
            Part::Tag(text) | Part::Text(text) => out.push_str(text),
        }
    }
    out
}

/// A `for` tag with the filter behind what it runs over.
fn loop_items(tag: &str) -> String {
    let word = tag[2..].trim_start_matches(['-', '+']).trim_start();
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

/// A `set` tag with the filter behind its value; one without a value is left alone.
fn kept(tag: &str) -> String {
    let word = tag[2..].trim_start_matches(['-', '+']).trim_start();
    let (Some(named), true) = (word.strip_prefix("set "), tag.starts_with("{%")) else {
        return tag.to_owned();
    };
    let Some((target, _)) = named.split_once('=') else { return tag.to_owned() };
    // The name of a filter or a call before the sign: a block, whose value is a text.
    if target.contains(['|', '(', '%']) && !target.trim_start().starts_with('(') {
        return tag.to_owned();
    }
    let start = tag.len() - named.len() + target.len() + 1;
    let end = ["-%}", "+%}", "%}"].iter().find_map(|close| tag.strip_suffix(close)).map(str::len);
    let Some(value) = end.and_then(|end| tag.get(start..end)) else { return tag.to_owned() };
    let (head, close) = (&tag[..start], &tag[start + value.len()..]);
    let argument = if target.contains('.') { "(true)" } else { "" };
    format!("{head} ({})|{KEPT_FILTER}{argument} {close}", value.trim())
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

/// Length of one operand: a sign, a value, and what hangs on it (`.name`, `[…]`, `(…)`, `|filter`).
fn operand_length(text: &str) -> usize {
    let mut at = text.len() - text.trim_start_matches(['-', '+', ' ']).len();
    loop {
        let rest = &text[at..];
        at += match rest.chars().next() {
            Some('\'' | '"') => quoted(rest),
            Some('(' | '[' | '{') => bracketed(rest),
            Some('.' | '|') => 1 + rest[1..].len() - rest[1..].trim_start().len(),
            Some(c) if c.is_alphanumeric() || c == '_' => {
                rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
            }
            // Space before a filter's bar belongs to the operand.
            Some(c) if c.is_whitespace() && rest.trim_start().starts_with('|') => {
                rest.len() - rest.trim_start().len()
            }
            _ => return at,
        };
    }
}

/// Length of the text in quotes that stands first.
fn quoted(text: &str) -> usize {
    let mut chars = text.char_indices();
    let Some((_, quote)) = chars.next() else { return 0 };
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == quote {
            return at + 1;
        }
    }
    text.len()
}

/// Length of the brackets that open first.
fn bracketed(text: &str) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(c) = text[at..].chars().next() {
        match c {
            '\'' | '"' => {
                at += quoted(&text[at..]);
                continue;
            }
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += c.len_utf8();
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

enum Part<'a> {
    Text(&'a str),
    /// `{{ … }}`, `{% … %}` or `{# … #}`.
    Tag(&'a str),
}

/// Where the first tag opens.
fn tag_start(text: &str) -> Option<usize> {
    let opens = |at: &usize| text[at + 1..].starts_with(['{', '%', '#']);
    text.match_indices('{').map(|(at, _)| at).find(opens)
}

/// The source, cut at its tags; the ends of tags inside quotes do not count.
fn parts(source: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = source;
    while let Some(start) = tag_start(rest) {
        parts.push(Part::Text(&rest[..start]));
        let tag = &rest[start..];
        let close = match &tag[..2] {
            "{{" => "}}",
            "{%" => "%}",
            _ => "#}",
        };
        let mut at = 2;
        let end = loop {
            let inside = &tag[at..];
            if inside.starts_with(close) {
                break at + 2;
            }
            at += match inside.chars().next() {
                None => break tag.len(),
                Some('\'' | '"') if close != "#}" => quoted(inside),
                Some('{') if close == "}}" => bracketed(inside),
                Some(c) => c.len_utf8(),
            };
        };
        parts.push(Part::Tag(&tag[..end]));
        rest = &tag[end..];
    }
    parts.push(Part::Text(rest));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_get_names_are_looked_at() {
        let kept = |source: &str| with_filters(source).replace(KEPT_FILTER, "k");
        assert_eq!(kept("{%- set a = [1] -%}"), "{%- set a = ([1])|k -%}");
        assert_eq!(kept("{% set ns.a=b == c %}"), "{% set ns.a= (b == c)|k(true) %}");
        assert_eq!(kept("{% set a, b = 1, 2 %}"), "{% set a, b = (1, 2)|k %}");
        for block in
            ["{% set a %}", "{% set a | replace('=', '') %}", "{% set a = 1", "{% settle = 1 %}"]
        {
            assert_eq!(kept(block), block);
        }
    }

    #[test]
    fn percent_takes_one_operand() {
        let replaced = |source: &str| with_filters(source).replace(PERCENT_FILTER, "p");
        assert_eq!(replaced("{{ '%s' % a }}"), "{{ '%s'|p(a) }}");
        assert_eq!(replaced("{{ '%s' % a.b[0] + c }}"), "{{ '%s'|p(a.b[0]) + c }}");
        assert_eq!(replaced("{{ '%s%%' % (a, '%}') ~ b }}"), "{{ '%s%%'|p((a, '%}')) ~ b }}");
        assert_eq!(replaced("{{ '%s' % a | upper }}"), "{{ '%s'|p(a | upper) }}");
        for untouched in ["{{ 5 % 2 }}", "{% set a %}", "{# '%s' % a #}", "a 'b' % c", "{{ 'a'"] {
            assert_eq!(with_filters(untouched), untouched);
        }
    }
}
