//! The places of a template at which a value can come to hold others many times over.

use super::template_syntax::{bracketed, is_word, opening, quoted, word_length};

/// The filter behind every product, and on every value that gets a name: a list in which others are repeated takes no
/// room, but its text does. Of an attribute of a namespace it is told so.
pub(crate) const KEPT_FILTER: &str = "kept_value";

/// Words behind which an expression begins; behind any other a bracket belongs to what is before it.
const WORDS: [&str; 14] = [
    "and",
    "call",
    "elif",
    "else",
    "filter",
    "for",
    "if",
    "in",
    "is",
    "not",
    "or",
    "recursive",
    "set",
    "with",
];

/// One product of an expression, perhaps of a single factor.
#[derive(Default)]
struct Product {
    start: usize,
    /// Of the last factor; 0 as long as it is not read.
    end: usize,
    /// Whether a factor was begun, and whether the last one may be over.
    begun: bool,
    complete: bool,
    multiplied: bool,
}

/// An expression, or a tag, with the filter behind its products.
///
/// A product begins with its first factor: behind a bracket, a sign of lower precedence, or another operand, which then
/// is a word of the tag.
pub(crate) fn products(text: &str) -> String {
    let mut inserted: Vec<(usize, &str)> = Vec::new();
    let mut finish = |product: Product| {
        if product.multiplied && product.complete {
            inserted.extend([
                (product.start, "("),
                (product.end, ")|"),
                (product.end, KEPT_FILTER),
            ]);
        }
    };
    let (mut product, mut outer) = (Product::default(), Vec::new());
    // Whether a point or a bar joins what comes to what was before, and the word before.
    let (mut joined, mut word) = (false, "");
    let mut at = 0;
    loop {
        let rest = text[at..].trim_start();
        let blank = at < text.len() - rest.len();
        at = text.len() - rest.len();
        let Some(c) = rest.chars().next() else { break };
        let sign = ["**", "*", "//", "/", "%"].into_iter().find(|&sign| rest.starts_with(sign));
        if let Some(sign) = sign.filter(|_| product.complete && !rest.starts_with("%}")) {
            product.multiplied |= sign == "*";
            (product.complete, joined) = (false, false);
            at += sign.len();
            continue;
        }
        let opens = "([{".contains(c);
        let called = opens && product.complete && !(blank && WORDS.contains(&word));
        let operand = opens || is_word(c) || "'\"".contains(c);
        if operand && !joined && !called {
            if product.complete {
                finish(std::mem::take(&mut product));
            }
            if !product.begun {
                (product.begun, product.start) = (true, at);
            }
        }
        let length = match c {
            '\'' | '"' => quoted(rest),
            _ if is_word(c) => word_length(rest),
            _ => c.len_utf8(),
        };
        word = if is_word(c) { &rest[..length] } else { "" };
        at += length;
        if opens {
            outer.push(std::mem::take(&mut product));
        } else if operand {
            (product.complete, product.end) = (true, at);
        } else if ")]}".contains(c) {
            finish(std::mem::replace(&mut product, outer.pop().unwrap_or_default()));
            (product.complete, product.end) = (product.begun, at);
        } else if product.begun
            && (product.complete && ".|".contains(c) || !product.complete && "+-".contains(c))
        {
            // A part of the operand, or the sign of a factor.
            joined = product.complete;
            continue;
        } else {
            finish(std::mem::take(&mut product));
        }
        joined = false;
    }
    finish(product);
    outer.into_iter().for_each(finish);
    inserted.sort_by_key(|(place, _)| *place);
    let (mut out, mut from) = (String::with_capacity(text.len()), 0);
    for (place, added) in inserted {
        out.extend([&text[from..place], added]);
        from = place;
    }
    out + &text[from..]
}

/// A `set` tag with the filter behind its value; one without a value is left alone.
pub(crate) fn kept(tag: &str) -> String {
    let word = opening(tag);
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
    let word = opening(tag);
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
            ("{{ a | f (b * c) * d.e | g }}", "{{ (a | f ((b * c)|k) * d.e | g)|k }}"),
            ("{% for x in [1] * n %}", "{% for x in ([1] * n)|k %}"),
            ("{% elif a.b[1] * f(x=2 * 3) %}", "{% elif (a.b[1] * f(x=(2 * 3)|k))|k %}"),
        ] {
            assert_eq!(kept(source), expected);
        }
        for untouched in
            ["{{ a / b % c }}", "{{ 'a * b' }}", "{{ a **b }}", "{{ * a }}", "{{ a *", "{{ (a * ["]
        {
            assert_eq!(products(untouched), untouched);
        }
        // As many levels as a template has room for take no longer than as many tags.
        let deep = "[".repeat(1 << 17);
        assert_eq!(products(&deep), deep);
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
