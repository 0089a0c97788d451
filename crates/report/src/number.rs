//! Numbers as people read them.

/// `value` with four significant digits: grouped when large, scientific when tiny.
///
/// Whole numbers keep all their digits; zeros that say nothing are left out.
///
/// ```
/// use bestof_report::format_number;
///
/// assert_eq!(format_number(0.693_147), "0.6931");
/// assert_eq!(format_number(1_234_567.0), "1,234,567");
/// assert_eq!(format_number(-98.765), "-98.77");
/// assert_eq!(format_number(5e-6), "5e-6");
/// ```
pub fn format_number(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "∞".into() } else { "-∞".into() };
    }
    let size = value.abs();
    if value == 0.0 {
        return "0".into();
    }
    if !(1e-3..1e12).contains(&size) {
        return scientific(value);
    }
    let decimals = if value.fract() == 0.0 { 0 } else { (3 - exponent(size)).max(0) };
    let (rounded, exact) = (format!("{value:.*}", decimals as usize), format!("{value}"));
    group(if exact.len() < rounded.len() { &exact } else { &rounded })
}

/// A share in `[0, 1]` as a percentage with one decimal.
///
/// ```
/// assert_eq!(bestof_report::format_percent(0.4567), "45.7 %");
/// ```
pub fn format_percent(share: f64) -> String {
    if share.is_finite() { format!("{:.1} %", share * 100.0) } else { format_number(share) }
}

/// The label of an axis tick: only as many decimals as neighbours `step` apart need, and the unit
/// that suits the `largest` value of the axis.
pub(crate) fn tick_label(value: f64, step: f64, largest: f64) -> String {
    if value == 0.0 || value.abs() < step.abs() * 1e-9 {
        return "0".into();
    }
    let size = value.abs();
    if !(1e-3..1e9).contains(&size) {
        return scientific(value);
    }
    for (unit, suffix) in [(1e6, "M"), (1e3, "k")] {
        if largest >= unit * 10.0 && step >= unit * 1e-2 {
            return format!("{}{suffix}", decimals_for(value / unit, step / unit));
        }
    }
    decimals_for(value, step)
}

fn decimals_for(value: f64, step: f64) -> String {
    // 2.5 needs one decimal more than 2 or 5 of the same size.
    let digits = (0..=9).find(|&digits| {
        let scaled = step.abs() * 10_f64.powi(digits);
        scaled >= 0.5 && (scaled - scaled.round()).abs() < 1e-6 * scaled
    });
    group(&format!("{value:.*}", digits.unwrap_or(9) as usize))
}

fn scientific(value: f64) -> String {
    let text = format!("{value:.3e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => {
            format!("{}e{exponent}", mantissa.trim_end_matches('0').trim_end_matches('.'))
        }
        None => text,
    }
}

/// The power of ten of `size` once it is rounded to four digits.
fn exponent(size: f64) -> i32 {
    let text = format!("{size:.3e}");
    text.rsplit_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0)
}

/// Commas between groups of three digits before the decimal point.
fn group(text: &str) -> String {
    let (sign, text) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(w, f)| (w, Some(f)));
    let mut out = String::from(sign);
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_significant_digits() {
        let cases = [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (0.5, "0.5"),
            (0.000_5 + 0.5, "0.5005"),
            (0.1 + 0.2, "0.3000"),
            (0.001_234_5, "0.001234"),
            (0.000_123_45, "1.234e-4"),
            (12_345.678, "12,346"),
            (-1234.56, "-1,235"),
            (999.96, "1,000"),
            (1e12, "1e12"),
            (-2.5e-7, "-2.5e-7"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "∞"),
            (f64::NEG_INFINITY, "-∞"),
            (f64::MAX, "1.798e308"),
            (f64::MIN_POSITIVE, "2.225e-308"),
        ];
        for (value, text) in cases {
            assert_eq!(format_number(value), text, "{value:e}");
        }
    }

    #[test]
    fn ticks_show_the_decimals_their_distance_needs() {
        let cases = [
            (0.25, 0.05, "0.25"),
            (2.5, 2.5, "2.5"),
            (0.1 + 0.2, 0.1, "0.3"),
            (1500.0, 500.0, "1,500"),
            (15_000.0, 5_000.0, "15k"),
            (7_500.0, 2_500.0, "7.5k"),
            (12_500.0, 2_500.0, "12.5k"),
            (25e6, 5e6, "25M"),
            (12_345.0, 1.0, "12,345"),
            (5e-6, 1e-6, "5e-6"),
            (1e-17, 0.1, "0"),
            (-40.0, 20.0, "-40"),
        ];
        for (value, step, text) in cases {
            assert_eq!(tick_label(value, step, 3.0 * value), text, "{value} by {step}");
        }
    }
}
