//! Tables.

use crate::html::{Html, esc};
use crate::number::{format_number, format_percent};

/// More rows are cut, and the table says so.
const MOST_ROWS: usize = 1000;

/// One cell of a [`Table`].
#[derive(Debug, Clone, Default)]
pub struct Cell {
    text: String,
    hover: String,
    numeric: bool,
    tone: &'static str,
}

impl Cell {
    /// Words, aligned left.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// A number with four significant digits, aligned right, every digit on hover.
    pub fn number(value: f64) -> Self {
        Self {
            text: format_number(value),
            hover: format!("{value}"),
            numeric: true,
            tone: if value.is_finite() { "" } else { "bad" },
        }
    }

    /// A share as a percentage, aligned right, every digit on hover.
    pub fn percent(share: f64) -> Self {
        Self { text: format_percent(share), ..Self::number(share) }
    }

    /// A number that is already formatted, aligned right.
    pub fn figures(text: impl Into<String>) -> Self {
        Self { text: text.into(), numeric: true, ..Self::default() }
    }

    /// A dash for what was not measured.
    pub fn missing() -> Self {
        Self { text: "–".into(), numeric: true, tone: "muted", ..Self::default() }
    }

    /// The cell marked as good, such as the best of its row.
    #[must_use]
    pub fn good(mut self) -> Self {
        self.tone = "good";
        self
    }

    /// The cell marked as bad.
    #[must_use]
    pub fn bad(mut self) -> Self {
        self.tone = "bad";
        self
    }

    /// The cell with a text shown on hover.
    #[must_use]
    pub fn hover(mut self, text: impl Into<String>) -> Self {
        self.hover = text.into();
        self
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        Self::number(value)
    }
}

/// A table with a caption, a header row and rows of cells.
#[derive(Debug, Clone)]
pub struct Table {
    caption: String,
    columns: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table.
    pub fn new<C: Into<String>>(
        caption: impl Into<String>,
        columns: impl IntoIterator<Item = C>,
    ) -> Self {
        Self {
            caption: caption.into(),
            columns: columns.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    /// The table with one more row.
    #[must_use]
    pub fn row<C: Into<Cell>>(mut self, cells: impl IntoIterator<Item = C>) -> Self {
        self.push(cells);
        self
    }

    /// Adds a row.
    pub fn push<C: Into<Cell>>(&mut self, cells: impl IntoIterator<Item = C>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// A column's head stands over its cells: right if they are numbers.
    fn is_numeric(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().filter_map(|row| row.get(column)).peekable();
        cells.peek().is_some() && cells.all(|cell| cell.numeric)
    }

    pub(crate) fn render(&self, out: &mut Html) {
        out.put(format_args!("<figure class=\"table\">"));
        if !self.caption.is_empty() {
            out.put(format_args!("<figcaption>{}</figcaption>", esc(&self.caption)));
        }
        out.put(format_args!("<div class=\"scroll\"><table><thead><tr>"));
        for (i, column) in self.columns.iter().enumerate() {
            let class = if self.is_numeric(i) { " class=\"num\"" } else { "" };
            out.put(format_args!("<th scope=\"col\"{class}>{}</th>", esc(column)));
        }
        out.put(format_args!("</tr></thead><tbody>\n"));
        for row in self.rows.iter().take(MOST_ROWS) {
            out.put(format_args!("<tr>"));
            for cell in row {
                let num = if cell.numeric { "num " } else { "" };
                out.put(format_args!("<td class=\"{num}{}\"", cell.tone));
                if !cell.hover.is_empty() {
                    out.put(format_args!(" title=\"{}\"", esc(&cell.hover)));
                }
                out.put(format_args!(">{}</td>", esc(&cell.text)));
            }
            out.put(format_args!("</tr>\n"));
        }
        out.put(format_args!("</tbody></table></div>"));
        if self.rows.len() > MOST_ROWS {
            out.put(format_args!(
                "<p class=\"remark\">{} more rows not shown</p>",
                self.rows.len() - MOST_ROWS
            ));
        }
        out.put(format_args!("</figure>\n"));
    }
}
