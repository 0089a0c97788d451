//! A question about a document.

/// A question, its answers and the document they stand in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QaItem {
    /// Line in the data file counted from 1, or number of the invented document.
    pub item: usize,
    /// The document's title.
    pub title: Option<String>,
    /// The question.
    pub question: String,
    /// Accepted answers.
    pub answers: Vec<String>,
    /// The document.
    pub document: String,
}
