//! When reviews are written.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// 2010-01-01 and 2022-01-01 in UTC.
pub(super) const DATES: (i64, i64) = (1_262_304_000, 1_640_995_200);

/// A second since 1970 as the files write it, in UTC.
pub(super) fn time(second: i64) -> String {
    Timestamp::from_second(second).map_or_else(
        |_| String::new(),
        |at| at.to_zoned(TimeZone::UTC).datetime().to_string().replace('T', " "),
    )
}
