//! Documents that come as pages: `HotpotQA` (arXiv 1809.09600) and `TriviaQA` (arXiv 1705.03551).

use serde_json::Value;

use super::matching::Answer;
use crate::rows::{Fields, RowProblem, wrong_type};

/// Where `TriviaQA` has its documents.
pub(super) const PAGES: [&str; 2] = ["entity_pages", "search_results"];

const A_VALUE: &str = r#"{"value": text, "aliases": [text, ...]}"#;
const PAGE_LISTS: &str = "lists of titles and of texts, one entry a page";

/// The pages of `HotpotQA` as one document, a paragraph a page with its title above; `None` for any other
/// form. On the hub they are `{"title": [..], "sentences": [[..], ..]}`, with its authors `[[title, [..]], ..]`.
pub(super) fn hotpot(value: &Value) -> Option<String> {
    let pages: Vec<(&str, Vec<&str>)> = match value {
        Value::Object(columns) => {
            let titles = columns.get("title")?.as_array()?;
            let sentences = columns.get("sentences")?.as_array()?;
            if titles.len() != sentences.len() {
                return None;
            }
            let pages = titles.iter().zip(sentences);
            pages.map(|(title, list)| page(title, list)).collect::<Option<_>>()?
        }
        Value::Array(pages) => pages
            .iter()
            .map(|pair| match pair {
                Value::Array(pair) if pair.len() == 2 => page(&pair[0], &pair[1]),
                Value::Object(columns) => page(columns.get("title")?, columns.get("sentences")?),
                _ => None,
            })
            .collect::<Option<_>>()?,
        _ => return None,
    };
    if pages.is_empty() {
        return None;
    }
    let pages: Vec<String> =
        pages.iter().map(|(title, text)| format!("{title}\n{}", text.concat())).collect();
    Some(pages.join("\n\n"))
}

fn page<'a>(title: &'a Value, sentences: &'a Value) -> Option<(&'a str, Vec<&'a str>)> {
    let sentences = sentences.as_array()?.iter().map(Value::as_str).collect::<Option<_>>()?;
    Some((title.as_str()?, sentences))
}

/// The value of a `TriviaQA` answer and its aliases, each once.
pub(super) fn trivia_answers(field: &str, value: &Value) -> Result<Vec<String>, RowProblem> {
    let first = value["value"].as_str().ok_or_else(|| wrong_type(field, value, A_VALUE))?;
    let mut answers = vec![first.to_owned()];
    for alias in value["aliases"].as_array().into_iter().flatten() {
        let alias = alias.as_str().ok_or_else(|| wrong_type(field, value, A_VALUE))?;
        if !answers.iter().any(|answer| answer == alias) {
            answers.push(alias.to_owned());
        }
    }
    Ok(answers)
}

/// Title and text of the first page that has an answer, or of the first page.
pub(super) fn trivia_page(
    fields: &mut Fields,
    answers: &[String],
) -> Result<(Option<String>, String), RowProblem> {
    let mut pages = Vec::new();
    for (field, text) in PAGES.into_iter().zip(["wiki_context", "search_context"]) {
        let Some(value) = fields.take_optional(field) else { continue };
        let list = |name: &str| value[name].as_array().cloned().unwrap_or_default();
        let (titles, texts) = (list("title"), list(text));
        for (at, text) in texts.iter().enumerate() {
            let text = text.as_str().ok_or_else(|| wrong_type(field, &value, PAGE_LISTS))?;
            let title = titles.get(at).and_then(Value::as_str).map(str::to_owned);
            pages.push((title, text.to_owned()));
        }
    }
    let has =
        |text: &str| answers.iter().any(|answer| !Answer::new(answer).occurrences(text).is_empty());
    let found = pages.iter().position(|(_, text)| has(text)).unwrap_or(0);
    if pages.is_empty() {
        return Err(RowProblem::Empty { field: PAGES[0].to_owned() });
    }
    Ok(pages.swap_remove(found))
}
