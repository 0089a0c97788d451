//! Random numbers and choices of the generator.

use bestof_tasks::rng::SeededRng;

/// Nearly normal with mean 0 and deviation 1: the sum of twelve uniform numbers.
pub(super) fn normal(draw: &mut SeededRng) -> f64 {
    (0..12).map(|_| draw.share()).sum::<f64>() - 6.0
}

pub(super) fn pick<T: Copy>(draw: &mut SeededRng, items: &[T]) -> T {
    items[draw.index(items.len())]
}

/// Characters of ids.
const ID: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// An id of 22 characters; the number in it makes it unique among its kind.
pub(super) fn id(draw: &mut SeededRng, kind: u64, number: u64) -> String {
    let mut id = String::with_capacity(22);
    for _ in 0..15 {
        id.push(char::from(ID[draw.index(64)]));
    }
    let mut rest = number ^ (kind & 0x3f);
    for _ in 0..7 {
        id.push(char::from(ID[(rest & 63) as usize]));
        rest >>= 6;
    }
    id
}

/// Moves and stretches effects to mean 0 and deviation 1, each counted by its weight.
pub(super) fn standardise(effects: &mut [f64], weights: &[f64]) {
    let all: f64 = weights.iter().sum();
    let mean =
        effects.iter().zip(weights).map(|(effect, weight)| effect * weight).sum::<f64>() / all;
    let squares =
        effects.iter().zip(weights).map(|(effect, weight)| (effect - mean).powi(2) * weight);
    let deviation = (squares.sum::<f64>() / all).sqrt();
    for effect in effects {
        // Where all are the same there is nothing to stretch.
        *effect = if deviation > 0.0 { (*effect - mean) / deviation } else { 0.0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_have_mean_0_and_deviation_1_by_weight() {
        let mut effects = [1.0, 3.0, 11.0];
        let weights = [1.0, 1.0, 0.0];
        standardise(&mut effects, &weights);
        assert_eq!(effects, [-1.0, 1.0, 9.0]);
        let mut same = [2.0; 3];
        standardise(&mut same, &weights);
        assert_eq!(same, [0.0; 3]);
    }
}
