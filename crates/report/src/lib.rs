#![doc = include_str!("../README.md")]

mod axis;
mod beside;
mod block;
mod curve;
mod error;
mod event_file;
mod facts;
mod frame;
mod from_runs;
mod html;
mod json_lines;
mod metric_row;
mod metrics_writer;
mod number;
mod page;
mod run_folder;
mod samples;

pub use axis::Scale;
pub use block::{
    Block, Cell, Code, ColouredText, Findings, HeatMap, Histogram, Plot, SampleCard, Samples,
    Series, Table, Text, Tiles, Tone,
};
pub use error::ReportError;
pub use facts::{DisplacedPair, FACTS_FILE, Finding, RunFacts, Verdict};
pub use metric_row::MetricRow;
pub use metrics_writer::{METRICS_FILE, MetricsWriter, TIMING_METRICS};
pub use number::{format_number, format_percent};
pub use page::{Report, Section};
pub use run_folder::RunFolder;
pub use samples::{SAMPLES_FILE, Sample, SamplesWriter};
