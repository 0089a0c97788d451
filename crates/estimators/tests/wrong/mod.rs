//! Leave-one-out-minus-one off-policy, right and in the ways it is got wrong.

#![allow(dead_code, reason = "each test file uses its part")]

/// Weights of rewards, ratios and k.
pub(crate) type Weights = fn(&[f64], &[f64], usize) -> Vec<f64>;

pub(crate) const VARIANTS: [(&str, Weights); 10] = [
    ("own ratio times the on-policy weight", own_ratio),
    ("first order", first_order),
    ("own ratio left out", |g, r, k| build(g, r, k, Mistake::NoOwn)),
    ("own ratio twice", |g, r, k| build(g, r, k, Mistake::OwnTwice)),
    ("partners among the better samples", |g, r, k| build(g, r, k, Mistake::Better)),
    ("one partner too many", |g, r, k| build(g, r, k, Mistake::OnePartnerMore)),
    ("ratios in the caller's order", |g, r, k| build(g, r, k, Mistake::Unsorted)),
    ("share of the rank below", |g, r, k| build(g, r, k, Mistake::RankBelow)),
    ("sorted downwards", |g, r, k| build(g, r, k, Mistake::Downwards)),
    ("divided by the mean product", |g, r, k| build(g, r, k, Mistake::Normalised)),
];

#[derive(Clone, Copy, PartialEq)]
enum Mistake {
    None,
    NoOwn,
    OwnTwice,
    Better,
    OnePartnerMore,
    Unsorted,
    RankBelow,
    Downwards,
    Normalised,
}

pub(crate) fn right(rewards: &[f64], ratios: &[f64], k: usize) -> Vec<f64> {
    build(rewards, ratios, k, Mistake::None)
}

fn binomial(n: usize, k: usize) -> f64 {
    if k > n {
        return 0.0;
    }
    (0..k).fold(1.0, |c, j| c * (n - j) as f64 / (j + 1) as f64)
}

/// Mean product over the m-subsets, from elementary symmetric polynomials.
fn mean_product(ratios: &[f64], m: usize) -> f64 {
    if m > ratios.len() {
        return 0.0;
    }
    let mut e = vec![0.0; m + 1];
    e[0] = 1.0;
    for r in ratios {
        for j in (1..=m).rev() {
            e[j] += r * e[j - 1];
        }
    }
    e[m] / binomial(ratios.len(), m)
}

fn build(rewards: &[f64], ratios: &[f64], k: usize, mistake: Mistake) -> Vec<f64> {
    let n = rewards.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| rewards[a].total_cmp(&rewards[b]));
    if mistake == Mistake::Downwards {
        order.reverse();
    }
    let g: Vec<f64> = order.iter().map(|&i| rewards[i]).collect();
    let r: Vec<f64> = if mistake == Mistake::Unsorted {
        ratios.to_vec()
    } else {
        order.iter().map(|&i| ratios[i]).collect()
    };
    let mut weights = vec![0.0; n];
    let mut raised = 0.0;
    for i in 0..n {
        if i > 0 {
            let lead = if mistake == Mistake::RankBelow { i - 1 } else { i };
            let lead = binomial(lead, k - 1) / binomial(n, k);
            let partners = if mistake == Mistake::OnePartnerMore { k } else { k - 1 };
            let among = if mistake == Mistake::Better { &r[i..] } else { &r[..i] };
            raised += (g[i] - g[i - 1]) * lead * mean_product(among, partners);
        }
        let own = ratios[order[i]];
        let factor = match mistake {
            Mistake::NoOwn => 1.0,
            Mistake::OwnTwice => own * own,
            Mistake::Normalised => own / mean_product(&r, k),
            _ => own,
        };
        weights[order[i]] = raised * factor;
    }
    weights
}

/// The rule of most programs: exact for one partner's sake only.
pub(crate) fn own_ratio(rewards: &[f64], ratios: &[f64], k: usize) -> Vec<f64> {
    let on_policy = build(rewards, &vec![1.0; rewards.len()], k, Mistake::None);
    on_policy.iter().zip(ratios).map(|(w, r)| w * r).collect()
}

/// Products replaced by `1 + sum (r - 1)`, arXiv:2510.23393v1, over the same gains.
pub(crate) fn first_order(rewards: &[f64], ratios: &[f64], k: usize) -> Vec<f64> {
    let n = rewards.len();
    let total = binomial(n, k);
    let max = |mask: u32| {
        let members = (0..n).filter(|i| mask >> i & 1 == 1);
        members.map(|i| rewards[i]).fold(f64::NEG_INFINITY, f64::max)
    };
    let all = (0..1_u32 << n).filter(|m| m.count_ones() as usize == k);
    let mut weights = vec![0.0; n];
    for mask in all {
        let members: Vec<usize> = (0..n).filter(|i| mask >> i & 1 == 1).collect();
        let linear = 1.0 + members.iter().map(|&i| ratios[i] - 1.0).sum::<f64>();
        for &i in &members {
            weights[i] += linear * (max(mask) - max(mask & !(1 << i))) / total;
        }
    }
    weights
}
