//! What a section of a page is made of: plots, tables, text and so on.

mod findings;
mod heat_map;
mod histogram;
mod plot;
mod samples;
mod series;
mod table;
mod text;
mod tiles;

pub use findings::Findings;
pub use heat_map::HeatMap;
pub use histogram::Histogram;
pub use plot::Plot;
pub use samples::{SampleCard, Samples};
pub use series::Series;
pub use table::{Cell, Table};
pub use text::{Code, ColouredText, Text, Tone};
pub use tiles::Tiles;

use crate::html::Html;

/// One element of a section. Every kind converts into it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Element {
    /// Curves.
    Plot(Plot),
    /// Rows and columns.
    Table(Table),
    /// Claims and verdicts.
    Findings(Findings),
    /// Completions side by side.
    Samples(Samples),
    /// Bars of counts.
    Histogram(Histogram),
    /// A table whose cells are coloured by value.
    HeatMap(HeatMap),
    /// A paragraph or a note.
    Text(Text),
    /// Verbatim text.
    Code(Code),
    /// Verbatim text with coloured spans.
    ColouredText(ColouredText),
    /// Headline numbers.
    Tiles(Tiles),
}

impl Element {
    /// Class of the row that neighbours of this kind share, if they do.
    pub(crate) fn row_class(&self) -> Option<&'static str> {
        match self {
            Self::Plot(_) | Self::Histogram(_) => Some("figures"),
            Self::Table(_) | Self::HeatMap(_) => Some("tables"),
            _ => None,
        }
    }

    pub(crate) fn render(&self, out: &mut Html) {
        match self {
            Self::Plot(element) => element.render(out),
            Self::Table(element) => element.render(out),
            Self::Findings(element) => element.render(out),
            Self::Samples(element) => element.render(out),
            Self::Histogram(element) => element.render(out),
            Self::HeatMap(element) => element.render(out),
            Self::Text(element) => element.render(out),
            Self::Code(element) => element.render(out),
            Self::ColouredText(element) => element.render(out),
            Self::Tiles(element) => element.render(out),
        }
    }
}

macro_rules! into_element {
    ($($kind:ident),*) => {$(
        impl From<$kind> for Element {
            fn from(element: $kind) -> Self {
                Self::$kind(element)
            }
        }
    )*};
}

into_element!(Plot, Table, Findings, Samples, Histogram, HeatMap, Text, Code, ColouredText, Tiles);
