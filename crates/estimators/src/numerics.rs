//! Compensated arithmetic: long products of ratios, long sums, and the elementary functions that
//! `core` lacks.

/// The largest magnitude a reward may have; up to it no difference or sum overflows.
pub const MAX_REWARD: f64 = 1e300;

/// A number as an unevaluated sum `high + low`, built by multiplying with ratios of integers.
///
/// Each factor costs one division outside the critical path. The rounding error of every step is
/// carried in `low`, exactly for integers up to 2^26, so that a million factors are as
/// accurate as one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product {
    high: f64,
    low: f64,
}

impl Product {
    pub(crate) const ONE: Self = Self { high: 1.0, low: 0.0 };

    /// `numerator / denominator`.
    pub(crate) fn ratio(numerator: usize, denominator: usize) -> Self {
        Self::ONE.times(numerator, denominator)
    }

    /// This number times `numerator / denominator`; the denominator is not 0.
    #[inline]
    pub(crate) fn times(self, numerator: usize, denominator: usize) -> Self {
        let (a, b) = (numerator as f64, denominator as f64);
        let inverse = 1.0 / b;
        let product = self.high * a;
        let (upper, lower) = split(self.high);
        let product_error = (upper * a - product) + lower * a;
        let high = product * inverse;
        let (upper, lower) = split(high);
        let remainder = (product - upper * b) - lower * b;
        Self { high, low: (product_error + remainder + self.low * a) * inverse }
    }

    #[inline]
    pub(crate) fn value(self) -> f64 {
        self.high + self.low
    }
}

/// The upper 26 bits of `x` and the rest (Veltkamp's splitting); their sum is `x`.
#[inline]
fn split(x: f64) -> (f64, f64) {
    const TWO_27_PLUS_1: f64 = 134_217_729.0;
    let scaled = TWO_27_PLUS_1 * x;
    let upper = scaled - (scaled - x);
    (upper, x - upper)
}

/// A sum that carries the rounding error of every addition (Knuth's two-sum).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    total: f64,
    error: f64,
}

impl Sum {
    #[inline]
    pub(crate) fn add(&mut self, term: f64) {
        let total = self.total + term;
        let taken = total - self.total;
        self.error += (self.total - (total - taken)) + (term - taken);
        self.total = total;
    }

    #[inline]
    pub(crate) fn value(self) -> f64 {
        self.total + self.error
    }
}

/// The larger of two numbers that are not NaN: one instruction, where `f64::max` needs several.
#[inline]
pub(crate) fn larger(a: f64, b: f64) -> f64 {
    if b > a { b } else { a }
}

/// Mean of `values`, exactly the common value where all are equal; 0 for none.
pub(crate) fn mean(values: &[f64]) -> f64 {
    let Some(&first) = values.first() else { return 0.0 };
    let mut sum = Sum::default();
    for &value in values {
        sum.add(value - first);
    }
    first + sum.value() / values.len() as f64
}

/// Root of the sum of squared deviations from `mean`, safe from overflow and underflow.
pub(crate) fn deviation_norm(values: &[f64], mean: f64) -> f64 {
    let largest = values.iter().fold(0.0_f64, |m, v| m.max((v - mean).abs()));
    if largest == 0.0 {
        return 0.0;
    }
    let mut sum = Sum::default();
    for &value in values {
        let scaled = (value - mean) / largest;
        sum.add(scaled * scaled);
    }
    largest * sqrt(sum.value())
}

/// Square root of a number that is not negative, by Newton's method from a guess that halves
/// the exponent.
pub(crate) fn sqrt(x: f64) -> f64 {
    if x <= 0.0 || !x.is_finite() {
        return if x == f64::INFINITY { x } else { 0.0 };
    }
    if x < f64::MIN_POSITIVE {
        const TWO_54: f64 = 18_014_398_509_481_984.0;
        return sqrt(x * TWO_54 * TWO_54) / TWO_54;
    }
    let mut root = f64::from_bits((x.to_bits() >> 1) + (1023_u64 << 51));
    for _ in 0..5 {
        root = 0.5 * (root + x / root);
    }
    root
}

/// `cos(pi * t)` for `t` in `[0, 1]`.
pub(crate) fn cos_pi(t: f64) -> f64 {
    use core::f64::consts::PI;
    if t > 0.5 {
        return -cos_pi(1.0 - t);
    }
    // Taylor series around the nearer of 0 and pi/2; the argument stays below pi/4, where the
    // tenth term is below 1e-20.
    let (x, mut term, first) = if t <= 0.25 {
        (PI * t, 1.0, 1_u32)
    } else {
        let x = PI * (0.5 - t);
        (x, x, 2)
    };
    let mut total = term;
    for i in 0..10 {
        let m = f64::from(first + 2 * i);
        term *= -x * x / (m * (m + 1.0));
        total += term;
    }
    total
}

/// `ln 2` with 32 bits, and the rest.
const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// `1/m!` from `m = 2`; the first that is left out, times `(ln 2 / 2)^m`, is below 1e-17.
const INVERSE_FACTORIALS: [f64; 12] = {
    let (mut of, mut factorial, mut i) = ([0.0; 12], 1.0, 0);
    while i < of.len() {
        factorial *= (i + 2) as f64;
        of[i] = 1.0 / factorial;
        i += 1;
    }
    of
};

/// `exp(x)` as `mantissa * 2^exponent` with a mantissa between 0.7 and 1.5; exactly 0 below
/// `x = -700,000`, and for NaN. Without a branch, so that several are computed at once.
#[inline]
pub(crate) fn exp_parts(x: f64) -> (f64, i64) {
    // Adding it rounds to an integer, which the last bits of the sum hold.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let rounded = x * core::f64::consts::LOG2_E + ROUND;
    let exponent = rounded - ROUND;
    let high = x - exponent * LN_2_HIGH;
    let low = exponent * LN_2_LOW;
    let rest = high - low;
    // Even and odd terms apart: two short chains of operations instead of a long one.
    let square = rest * rest;
    let (mut even, mut odd) = (0.0, 0.0);
    for pair in INVERSE_FACTORIALS.as_chunks::<2>().0.iter().rev() {
        (even, odd) = (even * square + pair[0], odd * square + pair[1]);
    }
    let mantissa = 1.0 + (high + ((even + odd * rest) * square - low));
    let exponent = rounded.to_bits().wrapping_sub(ROUND.to_bits()) as i64;
    if (-7e5..=7e5).contains(&x) { (mantissa, exponent) } else { (0.0, 0) }
}

/// A positive finite number as `mantissa * 2^exponent` with a mantissa in `[1, 2)`; 0 as it is.
pub(crate) fn parts(x: f64) -> (f64, i64) {
    const TWO_54: f64 = 18_014_398_509_481_984.0;
    if x == 0.0 {
        return (0.0, 0);
    }
    if x < f64::MIN_POSITIVE {
        let (mantissa, exponent) = parts(x * TWO_54);
        return (mantissa, exponent - 54);
    }
    let exponent = (x.to_bits() >> 52) as i64 - 1023;
    (f64::from_bits((x.to_bits() & ((1 << 52) - 1)) | (1023 << 52)), exponent)
}

/// `x * 2^exponent`, rounded once unless it is subnormal.
#[inline]
pub(crate) fn times_power_of_two(x: f64, exponent: i64) -> f64 {
    const STEP: i64 = 1000;
    let power = |e: i64| f64::from_bits(((1023 + e) as u64) << 52);
    if (-STEP..=STEP).contains(&exponent) {
        return x * power(exponent);
    }
    let mut left = exponent.clamp(-3 * STEP, 3 * STEP);
    let mut x = x;
    while left.abs() > STEP {
        let step = STEP * left.signum();
        x *= power(step);
        left -= step;
    }
    x * power(left)
}

/// Natural logarithm of a number that is not negative; negative infinity for 0.
pub(crate) fn ln(x: f64) -> f64 {
    if x == 0.0 {
        return f64::NEG_INFINITY;
    }
    let (mut mantissa, mut exponent) = parts(x);
    if mantissa > core::f64::consts::SQRT_2 {
        (mantissa, exponent) = (mantissa / 2.0, exponent + 1);
    }
    // 2 atanh(s) by its series; s is below 0.172, and the 12th term below 1e-19.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let (square, mut series) = (s * s, 0.0);
    for m in (0..12_u32).rev() {
        series = series * square + 1.0 / f64::from(2 * m + 1);
    }
    let exponent = exponent as f64;
    exponent * LN_2_HIGH + (2.0 * s * series + exponent * LN_2_LOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_factors_lose_nothing() {
        // prod (i - 2) / (i - 1), i = n .. 3, telescopes to 1 / (n - 1).
        let n = 1_000_000_usize;
        let (mut product, mut naive) = (Product::ONE, 1.0_f64);
        for i in (3..=n).rev() {
            product = product.times(i - 2, i - 1);
            naive *= (i - 2) as f64 / (i - 1) as f64;
        }
        let exact = 1.0 / (n - 1) as f64;
        assert!((product.value() / exact - 1.0).abs() < 3e-16);
        assert!((naive / exact - 1.0).abs() > 3e-16, "the check would not see a lost error term");
    }

    #[test]
    fn sums_keep_what_plain_addition_drops() {
        let mut sum = Sum::default();
        for term in [1.0, 1e-17, 1e-17, 1e-17, -1.0] {
            sum.add(term);
        }
        assert!((sum.value() - 3e-17).abs() < 1e-30);
    }

    #[test]
    fn roots_and_cosines_agree_with_the_standard_library() {
        for x in [0.0, 5e-324, 1e-310, 2.3e-308, 1e-9, 0.5, 2.0, 3.0, 1e17, 1.7e308, f64::INFINITY]
        {
            let expected = f64::sqrt(x);
            assert!(sqrt(x) == expected || (sqrt(x) / expected - 1.0).abs() < 3e-16, "{x}");
        }
        for i in 0..=1000 {
            let t = f64::from(i) / 1000.0;
            assert!((cos_pi(t) - f64::cos(core::f64::consts::PI * t)).abs() < 5e-16, "{t}");
        }
    }

    #[test]
    fn exponentials_and_logarithms_agree_with_the_standard_library() {
        for i in -7000..=7000 {
            let x = f64::from(i) / 10.0 + 1e-7;
            let (mantissa, exponent) = exp_parts(x);
            assert!((0.7..1.5).contains(&mantissa), "{x}");
            let found = times_power_of_two(mantissa, exponent);
            assert!((found / x.exp() - 1.0).abs() < 5e-16, "{x}: {found:e} {:e}", x.exp());
            assert!((ln(found) - x).abs() <= 4e-16 * x.abs().max(1.0), "{x}");
        }
        assert_eq!(exp_parts(0.0), (1.0, 0));
        assert_eq!(exp_parts(-1000.0).1, -1443);
        assert_eq!(exp_parts(f64::NEG_INFINITY).0, 0.0);
        assert_eq!(ln(0.0), f64::NEG_INFINITY);
        for x in [5e-324, 1e-310, 2.3e-308, 0.1, 1.0, 1.5, 1e308] {
            let (mantissa, exponent) = parts(x);
            assert!((1.0..2.0).contains(&mantissa));
            assert_eq!(times_power_of_two(mantissa, exponent), x);
            assert!((ln(x) - x.ln()).abs() <= 4e-16 * x.ln().abs().max(1.0), "{x}");
        }
        assert_eq!(times_power_of_two(1.0, -5000), 0.0);
        assert_eq!(times_power_of_two(0.0, 5000), 0.0);
        assert_eq!(times_power_of_two(1.0, 5000), f64::INFINITY);
    }

    #[test]
    fn spread_survives_extreme_scales() {
        for scale in [1e-300, 1.0, 1e299] {
            let values = [scale, 2.0 * scale, 3.0 * scale];
            let mean = mean(&values);
            assert!((mean / (2.0 * scale) - 1.0).abs() < 1e-15);
            assert!((deviation_norm(&values, mean) / (scale * 2.0_f64.sqrt()) - 1.0).abs() < 1e-15);
        }
        assert_eq!(mean(&[0.1; 7]), 0.1);
    }
}
