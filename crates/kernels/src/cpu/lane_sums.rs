//! The sums of the lanes of several vectors at once.
#![expect(
    clippy::inline_always,
    reason = "a function that is not inlined is compiled for the plainest processor"
)]

use pulp::Simd;

/// How many of how many.
pub(super) const TILE: usize = 4;

/// The sum of the lanes of each vector, at most [`TILE`] of at most [`TILE`] in all.
///
/// With 512 bits all are halved together, in half the instructions of one after the other. Each sum is taken in the same
/// order wherever its vector stands.
#[inline(always)]
pub(super) fn lane_sums<S: Simd, const W: usize, const X: usize>(
    simd: S,
    vectors: &[[S::f32s; X]; W],
) -> [[f32; TILE]; W] {
    #[cfg(target_arch = "x86_64")]
    if let Some(v4) = (&simd as &dyn std::any::Any).downcast_ref::<pulp::x86::V4>() {
        return wide::halved_together(*v4, vectors);
    }
    let mut sums = [[0.0; TILE]; W];
    for w in 0..W {
        for x in 0..X {
            sums[w][x] = simd.reduce_sum_f32s(vectors[w][x]);
        }
    }
    sums
}

#[cfg(target_arch = "x86_64")]
mod wide {
    use std::arch::x86_64::__m512;

    use pulp::bytemuck::{Pod, cast};
    use pulp::x86::V4;

    use super::TILE;

    #[inline(always)]
    pub(super) fn halved_together<V: Pod, const W: usize, const X: usize>(
        simd: V4,
        vectors: &[[V; X]; W],
    ) -> [[f32; TILE]; W] {
        let mut all = [[cast::<[f32; 16], __m512>([0.0; 16]); TILE]; TILE];
        for w in 0..W {
            for x in 0..X {
                all[x][w] = cast(vectors[w][x]);
            }
        }
        let [a, b, c, d] = all;
        let [a, b, c, d] =
            [quarters(simd, a), quarters(simd, b), quarters(simd, c), quarters(simd, d)];
        let avx = simd.avx512f;
        let (a, c) = (halves(simd, a, b), halves(simd, c, d));
        let even = avx._mm512_shuffle_f32x4::<0b10_00_10_00>(a, c);
        let sums = avx._mm512_add_ps(even, avx._mm512_shuffle_f32x4::<0b11_01_11_01>(a, c));
        // A quarter for each `x`, in it a place for each `w`.
        let sums: [[f32; TILE]; TILE] = cast(sums);
        let mut found = [[0.0; TILE]; W];
        for w in 0..W {
            for x in 0..TILE {
                found[w][x] = sums[x][w];
            }
        }
        found
    }

    /// Quarters of `a` in the lower half, of `b` in the upper one, two added.
    #[inline(always)]
    fn halves(simd: V4, a: __m512, b: __m512) -> __m512 {
        let avx = simd.avx512f;
        let low = avx._mm512_shuffle_f32x4::<0b01_00_01_00>(a, b);
        avx._mm512_add_ps(low, avx._mm512_shuffle_f32x4::<0b11_10_11_10>(a, b))
    }

    /// In each quarter two sums of two lanes of `a`, and between them those of `b`.
    #[inline(always)]
    fn pairs(simd: V4, a: __m512, b: __m512) -> __m512 {
        let avx = simd.avx512f;
        avx._mm512_add_ps(avx._mm512_unpacklo_ps(a, b), avx._mm512_unpackhi_ps(a, b))
    }

    /// The sums of each quarter of four vectors: in each quarter one of each.
    #[inline(always)]
    fn quarters(simd: V4, [a, b, c, d]: [__m512; TILE]) -> __m512 {
        let avx = simd.avx512f;
        let (ab, cd) = (pairs(simd, a, b), pairs(simd, c, d));
        let low = avx._mm512_shuffle_ps::<0b01_00_01_00>(ab, cd);
        avx._mm512_add_ps(low, avx._mm512_shuffle_ps::<0b11_10_11_10>(ab, cd))
    }
}

#[cfg(test)]
mod tests {
    use pulp::{Arch, WithSimd};

    use super::*;

    struct Summed<const W: usize, const X: usize>;

    impl<const W: usize, const X: usize> WithSimd for Summed<W, X> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let value = |w: usize, x: usize, lane: usize| (100 * w + 10 * x + lane) as f32;
            let mut vectors = [[simd.splat_f32s(0.0); X]; W];
            let mut expected = [[0.0; TILE]; W];
            for (w, vectors) in vectors.iter_mut().enumerate() {
                for (x, vector) in vectors.iter_mut().enumerate() {
                    let lanes: Vec<f32> = (0..S::F32_LANES).map(|lane| value(w, x, lane)).collect();
                    *vector = S::as_simd_f32s(&lanes).0[0];
                    expected[w][x] = lanes.iter().sum();
                }
            }
            assert_eq!(lane_sums(simd, &vectors), expected, "{W} of {X}");
        }
    }

    #[test]
    fn every_sum_stands_in_its_place() {
        fn of<const W: usize>() {
            Arch::new().dispatch(Summed::<W, 1>);
            Arch::new().dispatch(Summed::<W, 2>);
            Arch::new().dispatch(Summed::<W, 3>);
            Arch::new().dispatch(Summed::<W, 4>);
            pulp::Scalar.vectorize(Summed::<W, 4>);
        }
        of::<1>();
        of::<2>();
        of::<3>();
        of::<4>();
    }
}
