//! The places of a template at which a value can come to hold others many times over.

use crate::template_syntax::{bracketed, is_word, operand_length, quoted};

/// The filter behind every product, and on every value that gets a name: a list in which others are repeated takes no
/// room, but its text does. Of an attribute of a namespace it is told so.
pub(crate) const KEPT_FILTER: &str = "kept_value";

/// An expression, or a tag, with the filter behind its products.
///
/// A product begins with its first factor: behind a bracket, a sign of lower precedence, or another operand, which then
/// is a word of the tag.
pub(crate) fn products(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    // Where the product begins, whether it has a `*`, and whether its last factor has been read.
    let (mut start, mut multiplied, mut complete) = (None, false, false);
    loop {
        let space = rest.len() - rest.trim_start().len();
        let (blank, next) = rest.split_at(space);
        let sign = ["**", "*", "//", "/", "%"].into_iter().find(|&sign| next.starts_with(sign));
        if let Some(sign) = sign.filter(|_| complete && !next.starts_with("%}")) {
            multiplied |= sign == "*";
            complete = false;
            out.extend([blank, sign]);
            rest = &next[sign.len()..];
            continue;
        }
        let negative = next.starts_with(['-', '+']) && start.is_some() && !complete;
        let operand = negative || next.starts_with(|c| is_word(c) || "'\"([{".contains(c));
        if let Some(from) = start.filter(|_| complete || !operand) {
            if multiplied {
                out.insert(from, '(');
                out.extend([")|", KEPT_FILTER]);
            }
            (start, multiplied) = (None, false);
        }
        out.push_str(blank);
        let length = if operand {
            operand_length(next)
        } else {
            let Some(c) = next.chars().next() else { return out };
            c.len_utf8()
        };
        if operand {
            start = start.or(Some(out.len()));
            out.push_str(&products_in_brackets(&next[..length]));
        } else {
            out.push_str(&next[..length]);
        }
        complete = operand;
        rest = &next[length..];
    }
}

fn products_in_brackets(operand: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(operand.len()), operand);
    while let Some(at) = rest.find(['\'', '"', '(', '[', '{']) {
        let (before, opened) = rest.split_at(at);
        out.push_str(before);
        let length =
            if opened.starts_with(['\'', '"']) { quoted(opened) } else { bracketed(opened) };
        if opened.starts_with(['\'', '"']) {
            out.push_str(&opened[..length]);
        } else {
            out.push_str(&opened[..1]);
            out.push_str(&products(&opened[1..length]));
        }
        rest = &opened[length..];
    }
    out + rest
}

/// A `set` tag with the filter behind its value; one without a value is left alone.
pub(crate) fn kept(tag: &str) -> String {
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

/// Tags that look at what a macro, the block of a call, a `with` or a loop gives names to. They close as their tag does.
pub(crate) fn kept_names(tag: &str) -> String {
    let word = tag[2..].trim_start_matches(['-', '+']).trim_start();
    let block = || word.strip_prefix("call")?.trim_start().strip_prefix('(');
    let names = if !tag.starts_with("{%") {
        Vec::new()
    } else if let Some(named) = word.strip_prefix("for ") {
        let (targets, over) = named.split_once(" in ").unwrap_or_default();
        // What a name or a field holds has been looked at.
        let made = over.contains(['(', '[', '{']) || over.contains(" recursive");
        targets.split(|c| !is_word(c)).filter(|name| made && !name.is_empty()).collect()
    } else if let Some(named) = word.strip_prefix("with ") {
        assigned(named)
    } else if let Some((_, named)) = word.strip_prefix("macro ").and_then(|m| m.split_once('(')) {
        assigned(named)
    } else {
        block().map(assigned).unwrap_or_default()
    };
    let close = ["-%}", "+%}"].into_iter().find(|close| tag.ends_with(close)).unwrap_or("%}");
    let set = |name: &&str| ["{% set ", name, " = ", name, "|", KEPT_FILTER, " ", close].concat();
    names.iter().map(set).collect()
}

/// The names that a list of parameters or assignments begins with, up to the end of its tag or bracket.
fn assigned(list: &str) -> Vec<&str> {
    let (mut names, mut rest) = (Vec::new(), list);
    loop {
        let name = rest.trim_start();
        let end = name.find(|c| !is_word(c)).unwrap_or(name.len());
        if end > 0 {
            names.push(&name[..end]);
        }
        let mut at = 0;
        loop {
            at += match rest[at..].chars().next() {
                None | Some(')' | '}') => return names,
                Some(',') => break,
                Some('\'' | '"') => quoted(&rest[at..]),
                Some('(' | '[' | '{') => bracketed(&rest[at..]),
                Some(c) => c.len_utf8(),
            };
        }
        rest = &rest[at + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_get_names_are_looked_at() {
        let kept = |tag: &str| super::kept(tag).replace(KEPT_FILTER, "k");
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
    fn products_are_looked_at_once() {
        let kept = |tag: &str| products(tag).replace(KEPT_FILTER, "k");
        for (source, expected) in [
            ("{{ a * b }}", "{{ (a * b)|k }}"),
            ("{{- a*b*2 / c -}}", "{{- (a*b*2 / c)|k -}}"),
            ("{{ a - b * -c + d }}", "{{ a - (b * -c)|k + d }}"),
            ("{{ -a ** 2 * 1e-5 ~ '*' }}", "{{ -(a ** 2 * 1e-5)|k ~ '*' }}"),
            ("{{ [x * 2, (y * 3)|f(z * 4)] }}", "{{ [(x * 2)|k, ((y * 3)|k)|f((z * 4)|k)] }}"),
            ("{{ [[1] * 9] * 9 }}", "{{ ([([1] * 9)|k] * 9)|k }}"),
            ("{%- if not a * b >= c * d and e -%}", "{%- if not (a * b)|k >= (c * d)|k and e -%}"),
            ("{{ a if b * c else d * e }}", "{{ a if (b * c)|k else (d * e)|k }}"),
            ("{% elif a.b[1] * f(x=2 * 3) %}", "{% elif (a.b[1] * f(x=(2 * 3)|k))|k %}"),
        ] {
            assert_eq!(kept(source), expected);
        }
        for untouched in ["{{ a / b % c }}", "{{ 'a * b' }}", "{{ a **b }}"] {
            assert_eq!(products(untouched), untouched);
        }
    }

    #[test]
    fn names_given_by_other_tags_are_looked_at() {
        let after = |tag: &str| kept_names(tag).replace(KEPT_FILTER, "k");
        let one = "{% set x = x|k %}";
        assert_eq!(after("{% for x in [a] %}"), one);
        assert_eq!(
            after("{%- for (x, yé) in a recursive -%}"),
            "{% set x = x|k -%}{% set yé = yé|k -%}"
        );
        assert_eq!(
            after("{% with x = [',', (a, b)], y = 2 +%}"),
            "{% set x = x|k +%}{% set y = y|k +%}"
        );
        assert_eq!(after("{% macro f(x, y=[a, ')']) %}"), format!("{one}{{% set y = y|k %}}"));
        assert_eq!(after("{% call(x) f(a, b) %}"), one);
        for nothing in
            ["{% for x in a.b %}", "{% macro f() %}", "{% call f(x) %}", "{{ f(x) }}", "{% with %}"]
        {
            assert_eq!(after(nothing), "");
        }
    }
}
