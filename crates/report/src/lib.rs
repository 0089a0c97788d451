#![doc = include_str!("../README.md")]

mod axis;
mod curve;
mod element;
mod error;
mod event_file;
mod finding;
mod frame;
mod from_runs;
mod html;
mod json_lines;
mod metadata;
mod metric_row;
mod metrics;
mod metrics_writer;
mod number;
mod page;
mod run_folder;
mod samples;
mod terminal;
mod whole_file;

pub use axis::Scale;
pub use element::{
    Cell, Code, ColouredText, Element, Findings, HeatMap, Histogram, Plot, SampleCard, Samples,
    Series, Table, Text, Tiles, Tone,
};
pub use error::ReportError;
pub use finding::{Finding, Verdict};
pub use metadata::{DisplacedPair, METADATA_FILE, RunMetadata};
pub use metric_row::MetricRow;
pub use metrics::{
    Better, METRICS, Metric, PlotCurve, PlotGroup, RunType, TIMING_METRICS, Unit, metric,
    metric_names, metrics_markdown,
};
pub use metrics_writer::{METRICS_FILE, MetricsWriter};
pub use number::{format_number, format_percent};
pub use page::{Report, Section};
pub use run_folder::RunFolder;
pub use samples::{SAMPLES_FILE, Sample, SamplesWriter};
pub use terminal::{shown, shown_in_colour, shown_json, steers_terminal};
