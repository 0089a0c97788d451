//! The page with the summary of a preparation.

use bestof_report::{Cell, Histogram, Report, Section, Table, Text, Tiles, format_number};

use super::summary::PreparationSummary;

pub(super) fn page(summary: &PreparationSummary) -> Report {
    let subtitle = format!(
        "split by {}, seed {}; {} feature columns",
        summary.split.as_str(),
        summary.seed,
        summary.width
    );
    Report::new("Prepared reviews")
        .subtitle(subtitle)
        .section(overview(summary))
        .section(balance(summary))
        .section(distributions(summary))
        .section(gaps(summary))
}

fn overview(summary: &PreparationSummary) -> Section {
    let count = |n: u64| format_number(n as f64);
    let tiles = Tiles::new()
        .tile("reviews kept", count(summary.kept), format!("of {} usable", count(summary.usable)))
        .tile("restaurants", count(summary.restaurants), "")
        .tile(
            "score and stars",
            format!("{:.3}", summary.sentiment_stars_correlation),
            "correlation; 0.526 in the paper's data; with two classes, of score and class",
        )
        .tile(
            "elsewhere",
            count(summary.elsewhere),
            "reviews of other businesses, or in another city",
        );
    let mut section = Section::new("Overview").element(tiles);
    for note in &summary.notes {
        section.push(Text::warning(format!("{note}.")));
    }
    section
}

fn balance(summary: &PreparationSummary) -> Section {
    let header = [
        "part",
        "reviews",
        "1 star",
        "2",
        "3",
        "4",
        "5",
        "positive",
        "majority of 2",
        "majority of 5",
        "restaurants",
        "unseen in training",
    ];
    let mut table = Table::new("Class balance", header);
    for (name, part) in summary.in_order() {
        let all = (part.rows as f64).max(1.0);
        let mut cells = vec![Cell::text(name), Cell::number(part.rows as f64)];
        cells.extend(part.stars.iter().map(|&rows| Cell::percent(rows as f64 / all)));
        cells.push(Cell::percent(part.positive as f64 / all));
        cells.push(Cell::percent(part.majority_positive));
        cells.push(part.majority_stars.map_or_else(Cell::missing, Cell::percent));
        cells.push(Cell::number(part.restaurants as f64));
        cells.push(Cell::number(part.unseen_restaurants as f64));
        table.push(cells);
    }
    Section::new("Class balance").element(table).element(Text::new(
        "The majority columns are the accuracies of always predicting the most frequent label.",
    ))
}

fn distributions(summary: &PreparationSummary) -> Section {
    let pairs = |counts: &std::collections::BTreeMap<u64, u64>| -> Vec<(u64, u64)> {
        counts.iter().map(|(size, count)| (*size, *count)).collect()
    };
    let mut table = Table::new("Lexicon score by stars", ["stars", "mean score"]);
    for (star, score) in summary.sentiment_by_stars.iter().enumerate() {
        table.push([Cell::number(star as f64 + 1.0), Cell::number(*score)]);
    }
    Section::new("Distributions")
        .element(Histogram::new("Length of a review", "words", pairs(&summary.words)))
        .element(Histogram::new(
            "Reviews of a restaurant",
            "reviews",
            pairs(&summary.reviews_of_a_restaurant),
        ))
        .element(table)
}

fn gaps(summary: &PreparationSummary) -> Section {
    let mut section = Section::new("What was left out");
    let mut table = Table::new("Rows by reason", ["file", "reason", "rows"]);
    for (file, left_out) in summary.files_with_gaps() {
        for (reason, count) in &left_out.counts {
            let cells =
                [Cell::text(file), Cell::text(reason.to_string()), Cell::number(*count as f64)];
            table.push(cells);
        }
    }
    if table.is_empty() {
        section.push(Text::new("Nothing: every row could be read."));
    } else {
        section.push(table);
        let mut first = Table::new("The first of them", ["file", "line", "what is wrong"]);
        for (file, left_out) in summary.files_with_gaps() {
            for row in &left_out.first {
                let line = Cell::figures(row.line.to_string());
                first.push([Cell::text(file), line, Cell::text(&row.message)]);
            }
        }
        section.push(first);
    }
    if let Some(unknown) = summary.unknown_users.filter(|unknown| *unknown > 0) {
        section.push(Text::note(format!(
            "{unknown} kept reviews have an author who is not in the author file; missing metadata count as the training mean."
        )));
    }
    if summary.negative_votes > 0 {
        section.push(Text::note(format!(
            "{} votes below zero count as zero.",
            summary.negative_votes
        )));
    }
    section
}
