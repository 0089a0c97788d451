//! Tables whose cells are coloured by value.

use crate::html::{Html, esc};
use crate::number::{format_number, format_percent};

/// A grid of values, each cell coloured by where it lies in the range: accuracy by context length
/// and depth, for one.
///
/// ```
/// use bestof_report::{HeatMap, Report, Section};
///
/// let accuracy = HeatMap::new("Accuracy", "length", ["2k", "4k"])
///     .row_label("depth")
///     .row("0 %", [Some(1.0), Some(0.9)])
///     .row("50 %", [Some(0.8), None])
///     .percent();
/// let page = Report::new("Lines").section(Section::new("Retrieval").element(accuracy)).to_html();
/// assert!(page.contains("90.0 %"));
/// ```
#[derive(Debug, Clone)]
pub struct HeatMap {
    caption: String,
    column_label: String,
    row_label: String,
    columns: Vec<String>,
    rows: Vec<(String, Vec<Option<f64>>)>,
    range: Option<(f64, f64)>,
    percent: bool,
}

impl HeatMap {
    /// A map without rows; `column_label` says what the columns are.
    pub fn new<C: Into<String>>(
        caption: impl Into<String>,
        column_label: impl Into<String>,
        columns: impl IntoIterator<Item = C>,
    ) -> Self {
        Self {
            caption: caption.into(),
            column_label: column_label.into(),
            row_label: String::new(),
            columns: columns.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
            range: None,
            percent: false,
        }
    }

    /// The map with a word for what the rows are.
    #[must_use]
    pub fn row_label(mut self, label: impl Into<String>) -> Self {
        self.row_label = label.into();
        self
    }

    /// The map with one more row; `None` is a cell that was not measured.
    #[must_use]
    pub fn row(
        mut self,
        label: impl Into<String>,
        values: impl IntoIterator<Item = Option<f64>>,
    ) -> Self {
        self.rows.push((label.into(), values.into_iter().collect()));
        self
    }

    /// The map coloured over this range instead of that of its values.
    #[must_use]
    pub fn range(mut self, low: f64, high: f64) -> Self {
        self.range = Some((low, high));
        self
    }

    /// The map of shares: percentages, coloured from 0 to 1.
    #[must_use]
    pub fn percent(mut self) -> Self {
        self.percent = true;
        self.range(0.0, 1.0)
    }

    fn value_range(&self) -> (f64, f64) {
        self.range.unwrap_or_else(|| {
            self.rows
                .iter()
                .flat_map(|(_, values)| values.iter().flatten())
                .filter(|value| value.is_finite())
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| {
                    (low.min(value), high.max(value))
                })
        })
    }

    pub(crate) fn render(&self, out: &mut Html) {
        out.put(format_args!(
            "<figure class=\"table heat\"><figcaption>{}</figcaption>\
             <div class=\"scroll\"><table><thead><tr><th class=\"corner\">{}</th>\
             <th colspan=\"{}\" scope=\"colgroup\">{}</th></tr><tr><th></th>",
            esc(&self.caption),
            esc(&self.row_label),
            self.columns.len().max(1),
            esc(&self.column_label),
        ));
        for column in &self.columns {
            out.put(format_args!("<th scope=\"col\">{}</th>", esc(column)));
        }
        out.put(format_args!("</tr></thead><tbody>\n"));
        let (low, high) = self.value_range();
        for (label, values) in &self.rows {
            out.put(format_args!("<tr><th scope=\"row\">{}</th>", esc(label)));
            for value in values {
                self.render_cell(*value, low, high, out);
            }
            out.put(format_args!("</tr>\n"));
        }
        out.put(format_args!("</tbody></table></div></figure>\n"));
    }

    fn render_cell(&self, value: Option<f64>, low: f64, high: f64, out: &mut Html) {
        let Some(value) = value else {
            out.put(format_args!("<td class=\"muted\">–</td>"));
            return;
        };
        let share = if high > low { ((value - low) / (high - low)).clamp(0.0, 1.0) } else { 0.5 };
        let text = if self.percent { format_percent(value) } else { format_number(value) };
        if share.is_nan() {
            out.put(format_args!("<td class=\"bad\">{}</td>", esc(text)));
            return;
        }
        // Where the colours of light and dark text read equally well.
        let class = if share > 0.79 { "deep" } else { "pale" };
        out.put(format_args!(
            "<td class=\"{class}\" style=\"--w:{:.0}%\" title=\"{value}\">{}</td>",
            share * 100.0,
            esc(text)
        ));
    }
}
