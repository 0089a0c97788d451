//! Seeded noise that stays the same for ever and on every machine.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Stream number `stream` of `seed`: `ChaCha8`, with the way from its bits to numbers written
/// here and its elementary functions in pure Rust.
#[derive(Debug, Clone)]
pub(crate) struct Noise {
    source: ChaCha8Rng,
    spare: Option<f64>,
}

impl Noise {
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut source = ChaCha8Rng::seed_from_u64(seed);
        source.set_stream(stream);
        Self { source, spare: None }
    }

    /// Uniform on `(0, 1]`, in steps of `2^-53`.
    pub(crate) fn uniform(&mut self) -> f64 {
        const STEP: f64 = 1.0 / (1_u64 << 53) as f64;
        ((self.source.next_u64() >> 11) + 1) as f64 * STEP
    }

    /// Standard normal, two at a time (Box and Muller 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * libm::log(self.uniform())).sqrt();
        let (sin, cos) = libm::sincos(2.0 * std::f64::consts::PI * self.uniform());
        self.spare = Some(radius * sin);
        radius * cos
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_tails_are_normal() {
        let mut noise = Noise::new(7, 1);
        let count = 400_000;
        let (mut sums, mut beyond) = ([0.0; 4], 0);
        for _ in 0..count {
            let z = noise.normal();
            for (power, sum) in (1..).zip(&mut sums) {
                *sum += z.powi(power);
            }
            beyond += i32::from(z > 2.0);
        }
        let n = f64::from(count);
        // Standard deviations of the moments are those of z, z^2, z^3 and z^4.
        for ((sum, expected), spread) in
            sums.iter().zip([0.0, 1.0, 0.0, 3.0]).zip([1.0, 2.0_f64, 15.0, 96.0])
        {
            let gap = sum / n - expected;
            assert!(gap.abs() < 4.0 * spread.sqrt() / n.sqrt(), "{expected}: {gap}");
        }
        // P(z > 2) = 0.0227501.
        assert!((f64::from(beyond) / n - 0.022_750_1).abs() < 4.0 * 0.15 / n.sqrt());
    }

    #[test]
    fn streams_differ_and_repeat() {
        let draw = |seed, stream| Noise::new(seed, stream).normal();
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_ne!(draw(1, 2), draw(2, 2));
        let uniform: Vec<f64> = {
            let mut noise = Noise::new(3, 0);
            (0..10_000).map(|_| noise.uniform()).collect()
        };
        assert!(uniform.iter().all(|&u| u > 0.0 && u <= 1.0));
        let mean = uniform.iter().sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 4.0 * (1.0_f64 / 12.0).sqrt() / 100.0);
    }
}
