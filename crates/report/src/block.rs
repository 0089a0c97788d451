//! What a section is made of.

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

/// One piece of a section. Every kind converts into it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Block {
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

impl Block {
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
            Self::Plot(block) => block.render(out),
            Self::Table(block) => block.render(out),
            Self::Findings(block) => block.render(out),
            Self::Samples(block) => block.render(out),
            Self::Histogram(block) => block.render(out),
            Self::HeatMap(block) => block.render(out),
            Self::Text(block) => block.render(out),
            Self::Code(block) => block.render(out),
            Self::ColouredText(block) => block.render(out),
            Self::Tiles(block) => block.render(out),
        }
    }
}

macro_rules! into_block {
    ($($kind:ident),*) => {$(
        impl From<$kind> for Block {
            fn from(block: $kind) -> Self {
                Self::$kind(block)
            }
        }
    )*};
}

into_block!(Plot, Table, Findings, Samples, Histogram, HeatMap, Text, Code, ColouredText, Tiles);
