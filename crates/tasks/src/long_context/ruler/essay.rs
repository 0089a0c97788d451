//! Running text that hides a needle.

use super::super::documents::InventedDocuments;
use crate::rng::Split;

/// Words of running text, without end: a text from the caller, again and again, or generated documents
/// about invented places and people, one after another.
#[derive(Debug, Clone)]
pub struct Essay {
    words: Vec<String>,
    /// Where more words come from, and the next document; `None` for a text that is repeated.
    documents: Option<(InventedDocuments, u64)>,
}

impl Essay {
    /// Generated documents of a seed.
    pub fn invented(seed: u64) -> Self {
        let documents = InventedDocuments::new(seed, Split::HeldOut);
        Self { words: Vec::new(), documents: Some((documents, 0)) }
    }

    /// A text, such as the essays that RULER downloads; `None` if it has no word.
    pub fn of_text(text: &str) -> Option<Self> {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        (!words.is_empty()).then_some(Self { words, documents: None })
    }

    /// Word number `index`.
    pub(super) fn word(&mut self, index: usize) -> &str {
        if let Some((documents, next)) = &mut self.documents {
            while self.words.len() <= index {
                let document = documents.document(*next);
                *next += 1;
                let words = document.paragraphs.iter().flat_map(|text| text.split_whitespace());
                self.words.extend(words.map(str::to_owned));
            }
        }
        let count = self.words.len();
        &self.words[index % count.max(1)]
    }

    /// The sentences of the first `count` words; the last may be cut short.
    pub(super) fn sentences(&mut self, count: usize) -> Vec<String> {
        let mut sentences = Vec::new();
        let mut open = String::new();
        for index in 0..count {
            let word = self.word(index);
            if !open.is_empty() {
                open.push(' ');
            }
            open.push_str(word);
            if word.trim_end_matches(['"', '\'', ')', '”', '’']).ends_with(['.', '!', '?']) {
                sentences.push(std::mem::take(&mut open));
            }
        }
        if !open.is_empty() {
            sentences.push(open);
        }
        sentences
    }

    /// The first `count` words.
    pub(super) fn text(&mut self, count: usize) -> String {
        self.sentences(count).join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_repeated_and_split_at_its_sentences() {
        let mut essay = Essay::of_text("One two.\nThree (four!) five").unwrap();
        assert_eq!(essay.sentences(7), ["One two.", "Three (four!)", "five One two."]);
        assert!(Essay::of_text(" \n").is_none());
    }

    #[test]
    fn generated_text_has_as_many_words_as_asked_and_no_end() {
        let mut essay = Essay::invented(3);
        let text = essay.text(1500);
        assert_eq!(text.split_whitespace().count(), 1500);
        assert_eq!(Essay::invented(3).text(1500), text);
        assert_ne!(Essay::invented(4).text(1500), text);
        assert!(essay.sentences(1500).len() > 40);
    }
}
