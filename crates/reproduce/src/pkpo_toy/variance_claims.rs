//! What figure 4 claims, judged, and how it is shown.

use bestof_report::{Cell, Plot, Scale, Section, Series, Table, Verdict, format_number};
use serde_json::{Value, json};

use super::method::Method;
use super::reference::VARIANCES;
use super::variance::{K, Point, Spread};
use crate::{Claim, Measured, all_hold};

/// Half-width, as a share of the gradient, up to which an agreement of means says something.
const MEAN_PRECISION: f64 = 0.1;
/// The same for variances, as a share of the reference.
const VARIANCE_PRECISION: f64 = 0.25;

// Places in `Method::ALL`.
const PLAIN: usize = 0;
const LOO: usize = 1;
const MINUS_ONE: usize = 2;
const NAIVE: usize = 3;
const BASELINED: usize = 4;
const MINUS_ONE_BLOCKS: usize = 5;

pub(crate) fn claims(points: &[Point], exact: f64) -> Vec<Claim> {
    vec![unbiased(points, exact), lowest(points), order(points), reference(points)]
}

/// Each mean may be off by four standard errors, and all of a method together, weighted by their
/// precision, must be near enough to say something.
fn unbiased(points: &[Point], exact: f64) -> Claim {
    let mut verdicts = Vec::new();
    let mut listed = Vec::new();
    let mut furthest = 0.0_f64;
    for (index, method) in Method::ALL.into_iter().enumerate() {
        let spreads: Vec<&Spread> =
            points.iter().filter_map(|point| point.spreads[index].as_ref()).collect();
        for spread in &spreads {
            verdicts.push(spread.mean.agrees_with(exact, f64::INFINITY));
            furthest = furthest.max(((spread.mean.value - exact) / spread.standard_error).abs());
        }
        let precisions = || spreads.iter().map(|spread| spread.standard_error.powi(-2));
        let total: f64 = precisions().sum();
        let weighted: f64 =
            spreads.iter().zip(precisions()).map(|(spread, p)| p * spread.mean.value).sum();
        let pooled = Measured::of_draws(weighted / total, total.powf(-0.5));
        verdicts.push(pooled.agrees_with(exact, MEAN_PRECISION * exact.abs()));
        listed.push(format!("{} {pooled}", method.name()));
    }
    Claim::new(
        "All six estimators are unbiased for the gradient of max@k (theorems 4, 6 and 7)",
        format!(
            "at theta = 1, k = {K}, every mean is within 4 standard errors of the gradient by \
             quadrature, and so are the pooled means, known to {:.0} % of it",
            100.0 * MEAN_PRECISION
        ),
        format!(
            "gradient {exact:.5}; pooled means: {}; furthest of all means: {furthest:.1} standard errors",
            listed.join("; ")
        ),
        all_hold(verdicts),
    )
}

/// Whether the variance of one method is below another's, at each n from 2k on.
fn below(points: &[Point], lower: usize, higher: usize) -> Vec<Verdict> {
    points
        .iter()
        .filter(|point| point.n >= 2 * K)
        .filter_map(|point| {
            let (lower, higher) = (point.spreads[lower].as_ref()?, point.spreads[higher].as_ref()?);
            Some(higher.excess_over(lower).is_above(0.0))
        })
        .collect()
}

fn variance_of(point: &Point, method: usize) -> f64 {
    point.spreads[method].as_ref().map_or(f64::NAN, |spread| spread.variance.value)
}

fn lowest(points: &[Point]) -> Claim {
    let others = [PLAIN, LOO, NAIVE, BASELINED, MINUS_ONE_BLOCKS];
    let verdicts = others.iter().flat_map(|&other| below(points, MINUS_ONE, other));
    let listed: Vec<String> = points
        .iter()
        .filter(|point| point.n >= 2 * K)
        .map(|point| {
            let next = others.map(|other| variance_of(point, other));
            let next = next.into_iter().fold(f64::INFINITY, f64::min);
            let ours = variance_of(point, MINUS_ONE);
            let [ours, next] = [ours, next].map(format_number);
            format!("n = {}: {ours}, next {next}", point.n)
        })
        .collect();
    Claim::new(
        "Leave-one-out-minus-one over all subsets has the lowest variance of the six (figure 4)",
        "from n = 2k on, every other variance on the same batches is higher by more than 4 \
         standard errors of the difference",
        listed.join("; "),
        all_hold(verdicts),
    )
}

fn order(points: &[Point]) -> Claim {
    let pairs =
        [(LOO, BASELINED), (MINUS_ONE_BLOCKS, BASELINED), (BASELINED, PLAIN), (PLAIN, NAIVE)];
    let verdicts = pairs.iter().flat_map(|&(lower, higher)| below(points, lower, higher));
    let listed = [LOO, MINUS_ONE_BLOCKS, BASELINED, PLAIN, NAIVE].map(|method| {
        let values = points.iter().filter(|point| point.n >= 2 * K);
        let values: Vec<String> =
            values.map(|point| format_number(variance_of(point, method))).collect();
        format!("{}: {}", Method::ALL[method].name(), values.join(", "))
    });
    Claim::new(
        "A baseline, and all subsets instead of one split into blocks, each lower the variance \
         (figure 4)",
        "from n = 2k on, by more than 4 standard errors: s_loo and loo-minus-one partitioned below \
         naive partitioned with baseline, that below s, s below naive partitioned",
        format!("variances from n = 8 to 32: {}", listed.join("; ")),
        all_hold(verdicts),
    )
}

/// Distance of a measured variance from the reference.
fn gap(spread: &Spread, (variance, error): (f64, f64)) -> Measured {
    let error = error.hypot(spread.variance_error);
    Measured::of_draws(spread.variance.value - variance, error)
}

fn reference(points: &[Point]) -> Claim {
    let mut verdicts = Vec::new();
    let mut furthest = 0.0_f64;
    for (point, (_, references)) in points.iter().zip(&VARIANCES) {
        for (spread, reference) in point.spreads.iter().zip(references) {
            if let (Some(spread), Some(reference)) = (spread, reference) {
                let gap = gap(spread, *reference);
                verdicts.push(gap.agrees_with(0.0, VARIANCE_PRECISION * reference.0));
                furthest = furthest.max((gap.value / reference.0).abs());
            }
        }
    }
    Claim::new(
        "The variances are those that an independent program finds",
        format!(
            "each of {} variances is within 4 standard errors, its own and the reference's, of \
             the reference, and known to {:.0} % of it",
            verdicts.len(),
            100.0 * VARIANCE_PRECISION
        ),
        format!("the furthest is {:.1} % off", 100.0 * furthest),
        all_hold(verdicts),
    )
}

pub(crate) fn section(points: &[Point], exact: f64, estimates: usize) -> Section {
    let mut plot =
        Plot::new(format!("Variance of {estimates} gradient estimates, theta = 1, k = {K}"))
            .x_label("samples n")
            .x_scale(Scale::Log)
            .y_scale(Scale::Log);
    let columns = || {
        ["estimator".to_owned()].into_iter().chain(points.iter().map(|p| format!("n = {}", p.n)))
    };
    let mut variances =
        Table::new("Variance; the reference and the standard error on hover", columns());
    let mut means = Table::new(
        format!("Mean; the gradient is {exact:.5}, distances in standard errors on hover"),
        columns(),
    );
    for (index, method) in Method::ALL.into_iter().enumerate() {
        let spreads = || points.iter().map(|point| (point.n, point.spreads[index].as_ref()));
        let line = spreads().filter_map(|(n, spread)| Some((n as f64, spread?.variance.value)));
        plot = plot.series(Series::new(method.name(), line.collect()).marked());
        let references = VARIANCES.iter().map(|(_, references)| references[index]);
        let variance = spreads().zip(references).map(|((_, spread), reference)| {
            let Some((spread, (variance, _))) = spread.zip(reference) else {
                return Cell::missing();
            };
            let hover =
                format!("reference {variance}, standard error {:.3}", spread.variance_error);
            Cell::number(spread.variance.value).hover(hover)
        });
        variances.push([Cell::text(method.name())].into_iter().chain(variance));
        let mean = spreads().map(|(_, spread)| {
            let Some(spread) = spread else { return Cell::missing() };
            let distance = (spread.mean.value - exact) / spread.standard_error;
            Cell::number(spread.mean.value).hover(format!("{distance:+.2} standard errors"))
        });
        means.push([Cell::text(method.name())].into_iter().chain(mean));
    }
    Section::new("Figure 4: variance of the gradient")
        .element(plot)
        .element(variances)
        .element(means)
}

pub(crate) fn numbers(points: &[Point], exact: f64) -> Value {
    let rows: Vec<Value> = points
        .iter()
        .flat_map(|point| {
            Method::ALL.into_iter().zip(&point.spreads).filter_map(|(method, spread)| {
                let spread = spread.as_ref()?;
                Some(json!({
                    "n": point.n, "estimator": method.name(),
                    "mean": spread.mean.value, "mean_standard_error": spread.standard_error,
                    "variance": spread.variance.value,
                    "variance_standard_error": spread.variance_error,
                }))
            })
        })
        .collect();
    json!({"k": K, "theta": super::variance::THETA, "gradient": exact, "estimates": rows})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pkpo_toy::quadrature::Quadrature;
    use crate::pkpo_toy::variance::at;

    fn points() -> Vec<Point> {
        [4, 8].map(|n| at(n, 3, 20_000).unwrap()).to_vec()
    }

    #[test]
    fn the_figure_is_seen_and_a_wrong_one_is_not() {
        let exact = Quadrature::new().gradient(1.0, K);
        let mut points = points();
        for claim in claims(&points, exact) {
            assert_ne!(claim.verdict, Verdict::DoesNot, "{claim:?}");
        }
        assert_eq!(lowest(&points).verdict, Verdict::Holds);
        assert_eq!(unbiased(&points, exact * 1.2).verdict, Verdict::DoesNot);
        // The recommended estimator in place of the plain one is neither in order nor of the
        // reference's variance.
        points[1].spreads.swap(PLAIN, MINUS_ONE);
        for claim in [lowest(&points), order(&points), reference(&points)] {
            assert_eq!(claim.verdict, Verdict::DoesNot, "{claim:?}");
        }
    }

    #[test]
    fn a_few_estimates_say_nothing() {
        let exact = Quadrature::new().gradient(1.0, K);
        let points = [4, 8].map(|n| at(n, 3, 200).unwrap());
        assert_eq!(unbiased(&points, exact).verdict, Verdict::Unclear);
        assert_eq!(reference(&points).verdict, Verdict::Unclear);
    }
}
