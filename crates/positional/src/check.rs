//! Range checks that the rules share.

use crate::error::RopeError;

/// Refuses a factor that is not finite or lies below 1.
pub(crate) fn check_factor(rope_type: &'static str, factor: f64) -> Result<(), RopeError> {
    if factor.is_finite() && factor >= 1.0 {
        Ok(())
    } else {
        Err(RopeError::Factor { rope_type, factor })
    }
}

/// Refuses a value that is not a finite number above 0.
pub(crate) fn check_positive(
    rope_type: &'static str,
    key: &'static str,
    value: f64,
) -> Result<(), RopeError> {
    if value.is_finite() && value > 0.0 {
        Ok(())
    } else {
        Err(RopeError::OutOfRange { rope_type, key, value, expected: "a finite number above 0" })
    }
}

/// Refuses a value that is not a finite number of at least 0.
pub(crate) fn check_not_negative(
    rope_type: &'static str,
    key: &'static str,
    value: f64,
) -> Result<(), RopeError> {
    if value.is_finite() && value >= 0.0 {
        Ok(())
    } else {
        let expected = "a finite number of at least 0";
        Err(RopeError::OutOfRange { rope_type, key, value, expected })
    }
}

/// Refuses a training length of 0.
pub(crate) fn check_original(rope_type: &'static str, length: usize) -> Result<(), RopeError> {
    check_positive(rope_type, "original_max_position_embeddings", length as f64)
}
