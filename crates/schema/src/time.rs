/// Milliseconds since the Unix epoch, UTC (OCSF `timestamp_t`).
pub type Timestamp = i64;

/// RFC 3339 in UTC with milliseconds: `2026-11-22T04:33:00.125Z`.
///
/// A time outside the years -9999..9999 is shown as the nearest one inside.
pub fn format_time(time: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(time).unwrap_or(if time < 0 {
        jiff::Timestamp::MIN
    } else {
        jiff::Timestamp::MAX
    });
    format!("{at:.3}")
}

/// Reads RFC 3339 with any offset.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    text.parse::<jiff::Timestamp>().ok().map(|at| at.as_millisecond())
}
