//! Texts with `{name}` placeholders.

/// `template` with each `{name}` replaced by what `write` appends for it.
pub(crate) fn fill(template: &str, mut write: impl FnMut(&str, &mut String)) -> String {
    let mut text = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        write(name, &mut text);
        rest = after;
    }
    text + rest
}
