//! Where the tags, operands, texts and brackets of a template end.

/// Length of one operand: a sign, a value, and what hangs on it (`.name`, `[…]`, `(…)`, `|filter`).
pub(crate) fn operand_length(text: &str) -> usize {
    let mut at = text.len() - text.trim_start_matches(['-', '+', ' ']).len();
    loop {
        let rest = &text[at..];
        at += match rest.chars().next() {
            Some('\'' | '"') => quoted(rest),
            Some('(' | '[' | '{') => bracketed(rest),
            Some('.' | '|') => 1 + rest[1..].len() - rest[1..].trim_start().len(),
            Some(c) if is_word(c) => word_length(rest),
            // Space before a filter's bar belongs to the operand.
            Some(c) if c.is_whitespace() && rest.trim_start().starts_with('|') => {
                rest.len() - rest.trim_start().len()
            }
            _ => return at,
        };
    }
}

/// Length of the name or number that stands first, with the sign of an exponent, as in `1e-5`.
pub(crate) fn word_length(text: &str) -> usize {
    let length = |text: &str| text.find(|c| !is_word(c)).unwrap_or(text.len());
    let word = length(text);
    let exponent =
        text.starts_with(|c: char| c.is_ascii_digit()) && text[..word].ends_with(['e', 'E']);
    let signed = exponent && text[word..].starts_with(['-', '+']);
    if signed { word + 1 + length(&text[word + 1..]) } else { word }
}

/// Length of the text in quotes that stands first.
pub(crate) fn quoted(text: &str) -> usize {
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
pub(crate) fn bracketed(text: &str) -> usize {
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

pub(crate) enum Part<'a> {
    Text(&'a str),
    /// `{{ … }}`, `{% … %}` or `{# … #}`.
    Tag(&'a str),
}

/// Where the first tag opens.
fn tag_start(text: &str) -> Option<usize> {
    let opens = |at: &usize| text[at + 1..].starts_with(['{', '%', '#']);
    text.match_indices('{').map(|(at, _)| at).find(opens)
}

/// A tag from its first word on.
pub(crate) fn opening(tag: &str) -> &str {
    tag.get(2..).unwrap_or_default().trim_start_matches(['-', '+']).trim_start()
}

/// What stands in a tag, without the signs that take white space away.
pub(crate) fn word(tag: &str) -> &str {
    let inside = opening(tag.strip_suffix("%}").unwrap_or(tag));
    inside.trim_end_matches(['-', '+']).trim_end()
}

/// The source, cut at its tags; the ends of tags inside quotes do not count, and `raw` blocks are text.
pub(crate) fn parts(source: &str) -> Vec<Part<'_>> {
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
        if close == "%}" && word(&tag[..end]) == "raw" {
            let ends = |at: &usize| opening(&rest[*at..]).starts_with("endraw");
            let end = rest.match_indices("{%").map(|(at, _)| at).find(ends).unwrap_or(rest.len());
            parts.push(Part::Text(&rest[..end]));
            rest = &rest[end..];
        }
    }
    parts.push(Part::Text(rest));
    parts
}

/// Whether a name can have this character.
pub(crate) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
