//! Curves before they are drawn: smoothing, and thinning that keeps the extremes.

/// Exponential moving average of `points`, corrected for its start, as TensorBoard draws it.
///
/// ```text
/// s_t = w s_{t-1} + (1 - w) y_t,   smoothed_t = s_t / (1 - w^t)
/// ```
///
/// Points that are not finite are left out and do not count.
pub(crate) fn smoothed(points: &[(f64, f64)], weight: f64) -> Vec<(f64, f64)> {
    let weight = weight.clamp(0.0, 0.9999);
    let (mut sum, mut scale) = (0.0, 1.0);
    points
        .iter()
        .filter(|(x, y)| x.is_finite() && y.is_finite())
        .map(|&(x, y)| {
            sum = weight * sum + (1.0 - weight) * y;
            scale *= weight;
            (x, sum / (1.0 - scale))
        })
        .collect()
}

/// At most `limit` of `points`, in order, with the first, the last and every bucket's least and
/// greatest value among them. Points that are not finite are left out.
pub(crate) fn thinned(points: &[(f64, f64)], limit: usize) -> Vec<(f64, f64)> {
    let finite: Vec<_> =
        points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
    let limit = limit.max(4);
    if finite.len() <= limit {
        return finite;
    }
    let buckets = (limit - 2) / 2;
    let inner = &finite[1..finite.len() - 1];
    let mut kept = Vec::with_capacity(limit);
    kept.push(finite[0]);
    for bucket in 0..buckets {
        let start = bucket * inner.len() / buckets;
        let end = (bucket + 1) * inner.len() / buckets;
        let slice = &inner[start..end];
        let by_y = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let least = slice.iter().min_by(by_y);
        let greatest = slice.iter().max_by(by_y);
        if let (Some(&least), Some(&greatest)) = (least, greatest) {
            let (first, second) =
                if least.0 <= greatest.0 { (least, greatest) } else { (greatest, least) };
            kept.push(first);
            if second != first {
                kept.push(second);
            }
        }
    }
    kept.push(finite[finite.len() - 1]);
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn thinning_keeps_order_ends_and_extremes(
            ys in prop::collection::vec(-1e6..1e6_f64, 1..3000),
            limit in 4_usize..700,
        ) {
            let points: Vec<_> = ys.iter().enumerate().map(|(i, &y)| (i as f64, y)).collect();
            let thin = thinned(&points, limit);
            prop_assert!(thin.len() <= limit);
            prop_assert!(thin.windows(2).all(|w| w[0].0 < w[1].0));
            prop_assert!(thin.iter().all(|p| points.contains(p)));
            prop_assert_eq!(thin.first(), points.first());
            prop_assert_eq!(thin.last(), points.last());
            let least = |points: &[(f64, f64)]| points.iter().map(|p| p.1).fold(f64::MAX, f64::min);
            let most = |points: &[(f64, f64)]| points.iter().map(|p| p.1).fold(f64::MIN, f64::max);
            prop_assert_eq!(least(&thin), least(&points));
            prop_assert_eq!(most(&thin), most(&points));
        }

        #[test]
        fn smoothing_stays_between_the_extremes(
            ys in prop::collection::vec(-1e3..1e3_f64, 1..200),
            weight in 0.0..0.99_f64,
        ) {
            let points: Vec<_> = ys.iter().enumerate().map(|(i, &y)| (i as f64, y)).collect();
            let smooth = smoothed(&points, weight);
            prop_assert_eq!(smooth.len(), points.len());
            prop_assert!((smooth[0].1 - ys[0]).abs() < 1e-9);
            let low = ys.iter().copied().fold(f64::MAX, f64::min) - 1e-9;
            let high = ys.iter().copied().fold(f64::MIN, f64::max) + 1e-9;
            prop_assert!(smooth.iter().all(|p| (low..=high).contains(&p.1)));
        }
    }

    #[test]
    fn smoothing_by_hand() {
        // w = 1/2: s = 1, then 1.5, scaled by 1 - w^t: 2, (0.5 * 1 + 2) / 0.75.
        let smooth = smoothed(&[(0.0, 2.0), (1.0, f64::NAN), (2.0, 4.0)], 0.5);
        assert_eq!(smooth, [(0.0, 2.0), (2.0, 2.5 / 0.75)]);
    }
}
