use std::fmt;

pub(crate) const SECOND_MS: i64 = 1_000;
pub(crate) const MINUTE_MS: i64 = 60 * SECOND_MS;
pub(crate) const HOUR_MS: i64 = 60 * MINUTE_MS;
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;

/// Why a text is not a length of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotADuration(pub(crate) String);

impl fmt::Display for NotADuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a length of time", self.0)
    }
}

/// Reads `90s`, `30m`, `4h`, `7d` as milliseconds: one whole number, one unit, more than zero.
pub(crate) fn parse_duration(text: &str) -> Result<i64, NotADuration> {
    let wrong = || NotADuration(text.to_owned());
    let unit = text.chars().last().ok_or_else(wrong)?;
    let unit_ms = match unit {
        's' => SECOND_MS,
        'm' => MINUTE_MS,
        'h' => HOUR_MS,
        'd' => DAY_MS,
        _ => return Err(wrong()),
    };
    let digits = text.strip_suffix(unit).unwrap_or_default();
    if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_digit()) {
        return Err(wrong());
    }
    let count: i64 = digits.parse().map_err(|_| wrong())?;
    count.checked_mul(unit_ms).filter(|ms| *ms > 0).ok_or_else(wrong)
}

/// The shortest exact text: `4h`, `90s`.
pub(crate) fn format_duration(ms: i64) -> String {
    for (unit_ms, unit) in [(DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "m")] {
        if ms >= unit_ms && ms % unit_ms == 0 {
            return format!("{}{unit}", ms / unit_ms);
        }
    }
    format!("{}s", ms / SECOND_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        for (text, ms) in
            [("90s", 90_000), ("30m", 1_800_000), ("4h", 14_400_000), ("7d", 604_800_000)]
        {
            assert_eq!(parse_duration(text), Ok(ms));
            assert_eq!(format_duration(ms), text);
        }
        for text in ["", "h", "4", "0m", "-1h", "1.5h", "4 h", "4w", "99999999999999999d", "４h"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
