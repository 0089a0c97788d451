//! A model with fixed answers, evaluated and shown.

use super::{EvaluateOptions, evaluate, page};
use crate::dataset::{Dataset, Example};
use crate::error::SentimentError;
use crate::features::{FeatureSpec, Scaler};
use crate::model::{ModelCard, ModelKind, Predictor};
use crate::predictions::Predictions;

struct Fixed {
    card: ModelCard,
    features: FeatureSpec,
}

impl Predictor for Fixed {
    fn card(&self) -> &ModelCard {
        &self.card
    }

    fn features(&self) -> &FeatureSpec {
        &self.features
    }

    fn predict(&self, rows: &[Example]) -> Result<Predictions, SentimentError> {
        // Says "positive" to all.
        Ok(Predictions { positive: Some(vec![0.9; rows.len()]), ..Predictions::default() })
    }
}

fn made() -> (Fixed, Dataset) {
    let features = FeatureSpec::new(Vec::new(), Scaler { mean: 0.0, std: 1.0 }, "none");
    // Restaurant 0 unseen (2 rows), 1 seen 5 times (4 rows), 2 seen 700 times (1 row).
    let row = |business, positive| Example { business, positive, stars: 3, ..Example::default() };
    let examples = vec![
        row(0, true),
        row(0, false),
        row(1, true),
        row(1, true),
        row(1, true),
        row(1, false),
        row(2, true),
    ];
    let mut card = ModelCard::new(ModelKind::Logistic, "text", 0);
    card.restaurants = vec![0, 5, 700];
    (Fixed { card, features: features.clone() }, Dataset { examples, features })
}

#[test]
fn bins_and_restaurants_by_hand() {
    let (model, data) = made();
    let options = EvaluateOptions { resamples: 50, ..EvaluateOptions::default() };
    let mut done = 0;
    let found = evaluate("fixed", &model, &data, &options, &mut |rows| done = rows).unwrap();
    assert_eq!(done, 7);
    let bins: Vec<_> = found
        .by_training_count
        .iter()
        .map(|bin| (bin.from, bin.to, bin.restaurants, bin.rows, bin.positive.unwrap().value))
        .collect();
    assert_eq!(bins, [(0, Some(0), 1, 2, 0.5), (1, Some(59), 1, 4, 0.75), (600, None, 1, 1, 1.0)]);
    assert!(found.by_training_count[0].positive.unwrap().high > 0.9, "two rows say little");
    let order: Vec<_> =
        found.by_restaurant.iter().map(|score| (score.business, score.train)).collect();
    assert_eq!(order, [(1, 5), (0, 0), (2, 700)]);
    let html = page(&[found], "test").to_html();
    assert!(html.contains("majority") && html.contains("Training reviews"), "{html}");
}

#[test]
fn another_preparation_is_refused() {
    let (model, mut data) = made();
    data.features.sentiment.mean = 1.0;
    let options = EvaluateOptions::default();
    let error = evaluate("m", &model, &data, &options, &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("another preparation"), "{error}");
}
