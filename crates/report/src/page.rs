//! The page: a title, sections of elements, one file that needs nothing else.

use std::path::Path;

use bestof_files::write_file;

use crate::element::Element;
use crate::error::ReportError;
use crate::frame::tint;
use crate::html::{Html, esc};

const STYLE: &str = include_str!("page.css");

/// A titled part of a report.
#[derive(Debug, Clone)]
pub struct Section {
    title: String,
    elements: Vec<Element>,
}

impl Section {
    /// An empty section.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), elements: Vec::new() }
    }

    /// The section with one more element.
    #[must_use]
    pub fn element(mut self, element: impl Into<Element>) -> Self {
        self.push(element);
        self
    }

    /// Adds an element.
    pub fn push(&mut self, element: impl Into<Element>) {
        self.elements.push(element.into());
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    fn render(&self, index: usize, out: &mut Html) {
        out.put(format_args!("<section id=\"s{index}\"><h2>{}</h2>\n", esc(&self.title)));
        for row in self.elements.chunk_by(|a, b| a.row_class() == b.row_class()) {
            let class = row.first().and_then(Element::row_class);
            if let Some(class) = class {
                out.put(format_args!("<div class=\"{class}\">"));
            }
            for element in row {
                element.render(out);
            }
            if class.is_some() {
                out.put(format_args!("</div>\n"));
            }
        }
        out.put(format_args!("</section>\n"));
    }
}

/// A self-contained HTML page.
///
/// Styles and plots are inline and there are no scripts; a content-security policy in the page
/// forbids any request. All text is escaped. The page follows the reader's light or dark mode.
///
/// ```
/// use bestof_report::{Finding, Findings, Report, Section, Table, Verdict};
///
/// let page = Report::new("PKPO on a toy bandit")
///     .subtitle("exact gradients, 3 arms")
///     .section(Section::new("Verdicts").element(Findings::new([Finding::new(
///         "pass@4 rises when trained for k = 4",
///         "0.61 -> 0.93 (k = 1: 0.74)",
///         Verdict::Holds,
///     )])))
///     .section(Section::new("Numbers").element(
///         Table::new("pass@4", ["k", "after"]).row([1.0, 0.74]).row([4.0, 0.93]),
///     ))
///     .to_html();
/// assert!(page.starts_with("<!DOCTYPE html>"));
/// ```
#[derive(Debug, Clone)]
pub struct Report {
    title: String,
    subtitle: String,
    keys: Vec<String>,
    sections: Vec<Section>,
}

impl Report {
    /// An empty report.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            subtitle: String::new(),
            keys: Vec::new(),
            sections: Vec::new(),
        }
    }

    /// The report with a line under its title.
    #[must_use]
    pub fn subtitle(mut self, subtitle: impl Into<String>) -> Self {
        self.subtitle = subtitle.into();
        self
    }

    /// The report with a key to its colours, the first name in the first colour.
    #[must_use]
    pub fn keys(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.keys = names.into_iter().collect();
        self
    }

    /// The report with one more section; an empty one is left out.
    #[must_use]
    pub fn section(mut self, section: Section) -> Self {
        if !section.is_empty() {
            self.sections.push(section);
        }
        self
    }

    /// The report with a section before all others; an empty one is left out.
    #[must_use]
    pub fn first_section(mut self, section: Section) -> Self {
        if !section.is_empty() {
            self.sections.insert(0, section);
        }
        self
    }

    /// The page as text.
    pub fn to_html(&self) -> String {
        let mut out = Html::default();
        out.put(format_args!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{}</title>\n<style>\n{STYLE}</style></head>\n<body><header><div><h1>{}</h1>",
            esc(&self.title),
            esc(&self.title)
        ));
        if !self.subtitle.is_empty() {
            out.put(format_args!("<p>{}</p>", esc(&self.subtitle)));
        }
        if !self.keys.is_empty() {
            out.put(format_args!("<ul class=\"legend\">"));
            for (index, name) in self.keys.iter().enumerate() {
                out.put(format_args!("<li><i class=\"{}\"></i>{}</li>", tint(index), esc(name)));
            }
            out.put(format_args!("</ul>"));
        }
        out.put(format_args!("</div></header>\n<nav>"));
        for (index, section) in self.sections.iter().enumerate() {
            out.put(format_args!("<a href=\"#s{index}\">{}</a>", esc(&section.title)));
        }
        out.put(format_args!(
            "<label><input type=\"checkbox\" id=\"raw\" checked> raw values</label></nav>\n<main>\n"
        ));
        for (index, section) in self.sections.iter().enumerate() {
            section.render(index, &mut out);
        }
        out.put(format_args!("</main></body></html>\n"));
        out.into_string()
    }

    /// Writes the page to `path`, replacing an earlier one whole.
    pub fn write(&self, path: &Path) -> Result<(), ReportError> {
        Ok(write_file(path, self.to_html().as_bytes())?)
    }
}
