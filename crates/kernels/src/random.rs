//! Random numbers that depend on their seed and on nothing else.

/// A stream of random numbers: `SplitMix64` (Steele, Lea & Flood 2014, "Fast splittable
/// pseudorandom number generators").
///
/// Own code, so that a seed gives the same samples whatever version of anything is installed.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Random {
    /// The stream that belongs to a sequence of numbers, such as seed and sample.
    pub fn keyed(keys: &[u64]) -> Self {
        let mut stream = Self { state: GOLDEN };
        for &key in keys {
            stream.state = stream.next_u64() ^ key;
        }
        stream
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next number in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }
}

/// Values drawn from one stream; tasks of this size run side by side.
const MASK_CHUNK: usize = 1 << 14;

/// `count` values that are 0 with a probability and otherwise `1 / (1 - probability)`, a function of
/// `keys` and the place.
pub fn dropout_mask(count: usize, probability: f64, keys: &[u64]) -> Vec<f32> {
    dropout_masks(probability, &[(keys, count)])
}

/// The values of several lists, each with keys and a length, one behind the other.
pub(crate) fn dropout_masks(probability: f64, lists: &[(&[u64], usize)]) -> Vec<f32> {
    let threshold = (probability * (1u64 << 32) as f64) as u64;
    let keep = (1.0 / (1.0 - probability)) as f32;
    let value = |bits: u64| if bits < threshold { 0.0 } else { keep };
    let fill = |(keys, number, chunk): (&[u64], usize, &mut [f32])| {
        let keys: Vec<u64> = keys.iter().copied().chain([number as u64]).collect();
        let mut random = Random::keyed(&keys);
        // 32 bits decide about a value, so a draw of 64 decides about two.
        for pair in chunk.chunks_mut(2) {
            let bits = random.next_u64();
            pair[0] = value(bits >> 32);
            if let Some(second) = pair.get_mut(1) {
                *second = value(bits & 0xffff_ffff);
            }
        }
    };
    let count = lists.iter().map(|(_, count)| count).sum();
    #[cfg(feature = "cpu")]
    let mut mask = crate::cpu::zeros(count);
    #[cfg(not(feature = "cpu"))]
    let mut mask = vec![0.0; count];
    let (mut tasks, mut rest) = (Vec::new(), &mut mask[..]);
    for &(keys, count) in lists {
        let list = rest.split_off_mut(..count).unwrap_or_default();
        let chunks = list.chunks_mut(MASK_CHUNK).enumerate();
        tasks.extend(chunks.map(|(number, chunk)| (keys, number, chunk)));
    }
    #[cfg(feature = "cpu")]
    {
        use rayon::prelude::*;
        tasks.into_par_iter().for_each(fill);
    }
    #[cfg(not(feature = "cpu"))]
    tasks.into_iter().for_each(fill);
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_give_streams_of_their_own() {
        let first = |keys: &[u64]| Random::keyed(keys).next_u64();
        assert_eq!(first(&[1, 2]), first(&[1, 2]));
        assert_ne!(first(&[1, 2]), first(&[2, 1]));
        assert_ne!(first(&[1]), first(&[1, 0]));
        assert_ne!(first(&[0, 1]), first(&[0, 2]));
    }

    #[test]
    fn uniform_numbers_have_the_moments_of_the_uniform_distribution() {
        let mut random = Random::keyed(&[7]);
        let n = 100_000;
        let values: Vec<f64> = (0..n).map(|_| random.uniform()).collect();
        let mean = values.iter().sum::<f64>() / f64::from(n);
        let square = values.iter().map(|v| v * v).sum::<f64>() / f64::from(n);
        // Five standard errors: 5 * sqrt(1/12 / n) and 5 * sqrt(4/45 / n).
        assert!((mean - 0.5).abs() < 0.0046, "{mean}");
        assert!((square - 1.0 / 3.0).abs() < 0.0048, "{square}");
        assert!(values.iter().all(|v| (0.0..1.0).contains(v)));
    }
}
