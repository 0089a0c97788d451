//! The report with the metrics of every model.

use bestof_report::{Cell, HeatMap, Plot, Report, Section, Series, Table, Text, format_percent};

use super::evaluate::{ModelEvaluation, RestaurantScore};
use crate::metrics::{ClassScores, Interval};

/// Most restaurants that are listed.
const RESTAURANTS: usize = 50;

/// The report of models evaluated on the same rows, those of the part named `part`.
pub fn page(models: &[ModelEvaluation], part: &str) -> Report {
    let rows = models.first().map_or(0, |model| {
        let scores = &model.scores;
        scores.positive.as_ref().or(scores.stars.as_ref()).map_or(0, |scores| scores.n)
    });
    let mut report = Report::new("Sentiment of reviews")
        .subtitle(format!("{rows} rows of the {part} part; intervals are 95 %"));
    let mut overview = Section::new("All models");
    for (caption, head) in HEADS {
        let evaluated: Vec<(&ModelEvaluation, &ClassScores)> =
            models.iter().filter_map(|model| Some((model, head(model)?))).collect();
        if !evaluated.is_empty() {
            overview.push(table(caption, &evaluated));
        }
    }
    if models.iter().any(|model| model.scores.sentiment.is_some()) {
        overview.push(sentiment(models));
    }
    for model in models.iter().filter(|model| model.trained_on < model.available) {
        overview.push(Text::note(format!(
            "{} was fitted on a sample of {} of {} rows, the limit of its kind.",
            model.name, model.trained_on, model.available
        )));
    }
    report = report.section(overview);
    for model in models {
        report = report.section(details(model));
    }
    report
}

type HeadOf = fn(&ModelEvaluation) -> Option<&ClassScores>;

const HEADS: [(&str, HeadOf); 2] = [
    ("Four and five stars against the others", |model| model.scores.positive.as_ref()),
    ("One to five stars", |model| model.scores.stars.as_ref()),
];

fn table(caption: &str, evaluated: &[(&ModelEvaluation, &ClassScores)]) -> Table {
    let header = [
        "model",
        "kind",
        "inputs",
        "accuracy",
        "majority",
        "balanced accuracy",
        "macro F1",
        "weighted F1",
        "error in classes",
        "calibration error",
        "rows/s",
    ];
    let accuracies = evaluated.iter().map(|(_, scores)| scores.accuracy.value);
    let best = accuracies.max_by(f64::total_cmp).unwrap_or(0.0);
    let mut table = Table::new(caption, header);
    for (model, scores) in evaluated {
        let accuracy = share(&scores.accuracy);
        table.push([
            Cell::text(&model.name),
            Cell::text(model.kind.as_str()),
            Cell::text(&model.inputs),
            if scores.accuracy.value == best { accuracy.good() } else { accuracy },
            Cell::percent(scores.majority),
            share(&scores.balanced_accuracy),
            share(&scores.macro_f1),
            share(&scores.weighted_f1),
            Cell::number(scores.mean_absolute_error.value)
                .hover(range(&scores.mean_absolute_error)),
            Cell::number(scores.calibration.ece),
            Cell::number(model.rows_per_second.round()),
        ]);
    }
    table
}

fn share(found: &Interval) -> Cell {
    let text = format!(
        "{} ({} to {})",
        format_percent(found.value),
        format_percent(found.low),
        format_percent(found.high)
    );
    Cell::figures(text)
}

fn range(found: &Interval) -> String {
    format!("{:.4} to {:.4}", found.low, found.high)
}

fn sentiment(models: &[ModelEvaluation]) -> Table {
    let header =
        ["model", "mean absolute error", "mean squared error", "of the mean alone", "correlation"];
    let mut table = Table::new("Sentiment score, in the lexicon's unit", header);
    for model in models {
        if let Some(scores) = &model.scores.sentiment {
            table.push([
                Cell::text(&model.name),
                Cell::number(scores.mean_absolute_error),
                Cell::number(scores.mean_squared_error),
                Cell::number(scores.mean_baseline),
                Cell::number(scores.correlation),
            ]);
        }
    }
    table
}

fn details(model: &ModelEvaluation) -> Section {
    let mut section = Section::new(format!("{} ({}, {})", model.name, model.kind, model.inputs));
    for (caption, head) in HEADS {
        if let Some(scores) = head(model) {
            section.push(confusion(caption, scores));
            section.push(calibration(caption, scores));
        }
    }
    let mut counts = Table::new(
        "By training reviews of the restaurant",
        ["Training reviews", "restaurants", "rows", "binary accuracy", "star accuracy"],
    );
    for bin in &model.by_training_count {
        let label = match (bin.from, bin.to) {
            (0, _) => "none".to_owned(),
            (from, Some(to)) => format!("{from} to {to}"),
            (from, None) => format!("{from} and more"),
        };
        counts.push([
            Cell::text(label),
            Cell::number(bin.restaurants as f64),
            Cell::number(bin.rows as f64),
            bin.positive.as_ref().map_or_else(Cell::missing, share),
            bin.stars.as_ref().map_or_else(Cell::missing, share),
        ]);
    }
    section.push(counts);
    section.push(restaurants(&model.by_restaurant));
    if !model.explained.is_empty() {
        section.push(Text::note(
            "Integrated gradients: the contribution of a word to the probability of four or five stars \
             (hover), green if positive and red if negative; grey text was not read.",
        ));
    }
    for explained in &model.explained {
        section.push(explained.to_coloured_text());
    }
    section
}

fn restaurants(scores: &[RestaurantScore]) -> Table {
    let caption = if scores.len() > RESTAURANTS {
        format!("By restaurant: the {RESTAURANTS} with most rows, of {}", scores.len())
    } else {
        "By restaurant".to_owned()
    };
    let mut table = Table::new(
        caption,
        ["restaurant", "training reviews", "rows", "binary accuracy", "star accuracy"],
    );
    for score in scores.iter().take(RESTAURANTS) {
        table.push([
            Cell::figures(score.business.to_string()),
            Cell::number(score.train as f64),
            Cell::number(score.rows as f64),
            score.positive.as_ref().map_or_else(Cell::missing, share),
            score.stars.as_ref().map_or_else(Cell::missing, share),
        ]);
    }
    table
}

fn confusion(caption: &str, scores: &ClassScores) -> HeatMap {
    let classes = scores.confusion.classes();
    let name = |class: usize| match (classes, class) {
        (2, 0) => "1 to 3".to_owned(),
        (2, _) => "4 and 5".to_owned(),
        _ => (class + 1).to_string(),
    };
    let title = format!("{caption}: shares of the true class");
    let mut map =
        HeatMap::new(title, "predicted", (0..classes).map(name)).row_label("true").percent();
    for (class, row) in scores.confusion.counts.iter().enumerate() {
        let all = scores.confusion.support(class);
        let cell = |count: &u64| (all > 0).then(|| *count as f64 / all as f64);
        map = map.row(name(class), row.iter().map(cell).collect::<Vec<_>>());
    }
    map
}

fn calibration(caption: &str, scores: &ClassScores) -> Plot {
    let points: Vec<(f64, f64)> = scores
        .calibration
        .bins
        .iter()
        .filter(|bin| bin.count > 0)
        .map(|bin| (bin.confidence, bin.accuracy))
        .collect();
    Plot::new(format!("{caption}: calibration"))
        .x_label("confidence")
        .percent()
        .series(Series::new("share right", points).marked())
        .series(Series::new("perfect", vec![(0.0, 0.0), (1.0, 1.0)]))
}
