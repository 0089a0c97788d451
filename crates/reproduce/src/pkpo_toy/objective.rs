//! Figure 1: max@k of the policy over its parameter, the gradient, and where the optimum lies.

use bestof_report::{Cell, Plot, Section, Series, Table, format_number};
use serde_json::{Value, json};

use super::quadrature::Quadrature;
use crate::{Claim, Measured, all_hold};

pub(crate) const KS: [usize; 5] = [1, 2, 4, 8, 16];
/// The figure's range of the parameter.
const RANGE: (f64, f64) = (-0.2, 1.4);
const STEPS: i32 = 160;
/// Twice the error of an optimum, against an independent quadrature.
const OPTIMUM_ERROR: f64 = 1e-7;

/// max@k and its gradient for one k.
#[derive(Debug, Clone)]
pub(crate) struct Curve {
    pub(crate) k: usize,
    pub(crate) optimum: f64,
    pub(crate) best: f64,
    objective: Vec<(f64, f64)>,
    gradient: Vec<(f64, f64)>,
}

pub(crate) fn measure(quadrature: &Quadrature) -> Vec<Curve> {
    let over = |f: &dyn Fn(f64) -> f64| -> Vec<(f64, f64)> {
        let width = (RANGE.1 - RANGE.0) / f64::from(STEPS);
        (0..=STEPS).map(|i| RANGE.0 + width * f64::from(i)).map(|x| (x, f(x))).collect()
    };
    KS.into_iter()
        .map(|k| {
            let optimum = quadrature.optimum(k);
            Curve {
                k,
                optimum,
                best: quadrature.objective(optimum, k),
                objective: over(&|theta| quadrature.objective(theta, k)),
                gradient: over(&|theta| quadrature.gradient(theta, k)),
            }
        })
        .collect()
}

pub(crate) fn claim(curves: &[Curve]) -> Claim {
    let optima: Vec<Measured> = curves
        .iter()
        .map(|curve| Measured {
            value: curve.optimum,
            low: curve.optimum - OPTIMUM_ERROR,
            high: curve.optimum + OPTIMUM_ERROR,
        })
        .collect();
    let rises = optima.windows(2).map(|pair| pair[1].is_above(pair[0].high));
    let below = optima.iter().map(|optimum| optimum.is_below(1.0));
    let listed: Vec<String> =
        curves.iter().map(|curve| format!("k = {}: {:.6}", curve.k, curve.optimum)).collect();
    Claim::new(
        "A larger k moves the optimum of the policy towards the edge of the reward at 1 (figure 1)",
        "theta* rises from each k to the next and stays below 1; by quadrature, to 1e-7",
        format!("theta* for {}", listed.join(", ")),
        all_hold(rises.chain(below)),
    )
}

pub(crate) fn section(curves: &[Curve]) -> Section {
    let name = |curve: &Curve| format!("k = {}", curve.k);
    let mut objective = Plot::new("max@k over theta").x_label("theta");
    let mut gradient = Plot::new("Gradient of max@k").x_label("theta");
    let mut table = Table::new(
        "Optimum, and the extremes of the gradient between theta = -0.2 and 1.4",
        ["k", "theta*", "max@k there", "lowest gradient", "highest gradient"],
    );
    for curve in curves {
        objective = objective.series(Series::new(name(curve), curve.objective.clone()));
        gradient = gradient.series(Series::new(name(curve), curve.gradient.clone()));
        let (low, high) = curve.extremes();
        let at = |(x, y): (f64, f64)| {
            Cell::figures(format!("{} at {x:.2}", format_number(y))).hover(format!("{y}"))
        };
        table.push([
            Cell::number(curve.k as f64),
            Cell::figures(format!("{:.6}", curve.optimum)),
            Cell::figures(format!("{:.6}", curve.best)),
            at(low),
            at(high),
        ]);
    }
    Section::new("Figure 1: what max@k wants").element(objective).element(gradient).element(table)
}

pub(crate) fn numbers(curves: &[Curve]) -> Value {
    curves
        .iter()
        .map(|curve| {
            let (low, high) = curve.extremes();
            json!({
                "k": curve.k, "theta_star": curve.optimum, "max_at_k": curve.best,
                "lowest_gradient": {"theta": low.0, "value": low.1},
                "highest_gradient": {"theta": high.0, "value": high.1},
            })
        })
        .collect()
}

impl Curve {
    /// The points of the lowest and the highest gradient.
    fn extremes(&self) -> ((f64, f64), (f64, f64)) {
        let nothing = (f64::NAN, f64::NAN);
        let points = || self.gradient.iter().copied();
        let by_value = |a: &(f64, f64), b: &(f64, f64)| a.1.total_cmp(&b.1);
        (points().min_by(by_value).unwrap_or(nothing), points().max_by(by_value).unwrap_or(nothing))
    }
}
