//! Times as logs write them.

use jiff::civil::DateTime;
use jiff::tz::Offset;
use schema::Timestamp;

/// A time before this is told of: no log we read is that old, an unset clock is (1970).
/// 2000-01-01T00:00:00Z.
pub const TIME_ANCIENT_BEFORE_MS: Timestamp = 946_684_800_000;

/// A time further ahead of its receipt is told of: one day covers every zone mistaken for another.
pub const TIME_FUTURE_MS_MAX: i64 = 24 * 3600 * 1000;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

pub(crate) fn month(name: &str) -> Option<i8> {
    MONTHS.iter().zip(1i8..).find(|(known, _)| **known == name).map(|(_, number)| number)
}

/// A civil time at an offset. A leap second counts as the one before it.
pub(crate) fn at(
    (year, month, day): (i16, i8, i8),
    (hour, minute, second, nanos): (i8, i8, i8, i32),
    offset_secs: i32,
) -> Option<Timestamp> {
    let civil = DateTime::new(year, month, day, hour, minute, second.min(59), nanos).ok()?;
    let offset = Offset::from_seconds(offset_secs).ok()?;
    Some(offset.to_timestamp(civil).ok()?.as_millisecond())
}

/// `12:34:56`, with or without a fraction.
fn clock_time(text: &str) -> Option<(i8, i8, i8, i32)> {
    let (whole, fraction) = match text.split_once(['.', ',']) {
        Some((whole, fraction)) => (whole, nanoseconds(fraction)?),
        None => (text, 0),
    };
    let mut parts = whole.split(':');
    let mut next = || two_digits(parts.next()?);
    let (hour, minute, second) = (next()?, next()?, next()?);
    if parts.next().is_some() || second > 60 {
        return None;
    }
    Some((hour, minute, second, fraction))
}

fn two_digits(text: &str) -> Option<i8> {
    let fits = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

fn nanoseconds(fraction: &str) -> Option<i32> {
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.get(..9).unwrap_or(fraction);
    let scale = 10i32.checked_pow(u32::try_from(9 - digits.len()).ok()?)?;
    digits.parse::<i32>().ok()?.checked_mul(scale)
}

/// `22/Nov/2026:04:33:00 +0900`, without a zone at `offset_secs`.
pub(crate) fn access_log(text: &str, offset_secs: i32) -> Option<Timestamp> {
    let (date, rest) = text.split_once(':')?;
    let mut parts = date.split('/');
    let day = two_digits(parts.next()?)?;
    let month = month(parts.next()?)?;
    let year: i16 = parts.next()?.parse().ok()?;
    let (clock, zone) = rest.split_once(' ').map_or((rest, None), |(c, z)| (c, Some(z)));
    let offset = match zone {
        Some(zone) => zone_offset(zone)?,
        None => offset_secs,
    };
    at((year, month, day), clock_time(clock)?, offset)
}

/// `+0900`, `-03:30` or `Z`.
fn zone_offset(text: &str) -> Option<i32> {
    if text == "Z" || text == "z" {
        return Some(0);
    }
    let (sign, digits) =
        text.strip_prefix('+').map(|d| (1, d)).or(text.strip_prefix('-').map(|d| (-1, d)))?;
    let digits: String = digits.chars().filter(|c| *c != ':').collect();
    if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = digits.split_at_checked(2)?;
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    Some(sign * (hours * 3600 + minutes * 60))
}

/// `2026-11-22T04:33:00.125+09:00`, or with a space for the `T`; without a zone at `offset_secs`.
pub(crate) fn iso(text: &str, offset_secs: i32) -> Option<Timestamp> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let mut parts = date.split('-');
    let year: i16 = parts.next().filter(|y| y.len() == 4)?.parse().ok()?;
    let month = two_digits(parts.next()?)?;
    let day = two_digits(parts.next()?)?;
    if parts.next().is_some() {
        return None;
    }
    let rest = rest.trim_end_matches(" UTC");
    let zone_start = rest.find(['Z', 'z', '+', '-']);
    let (clock, offset) = match zone_start.and_then(|start| rest.split_at_checked(start)) {
        Some((clock, zone)) => (clock, zone_offset(zone)?),
        None => (rest, offset_secs),
    };
    at((year, month, day), clock_time(clock.trim_end())?, offset)
}

/// `Nov 22 04:33:00` of the year that brings it nearest to `received`.
///
/// RFC 3164 has no year; a log of New Year's Eve read on New Year's Day is of last year.
pub(crate) fn without_year(
    month_name: &str,
    day: &str,
    clock: &str,
    offset_secs: i32,
    received: Timestamp,
) -> Option<Timestamp> {
    let (month, day, clock) = (month(month_name)?, two_digits(day)?, clock_time(clock)?);
    let now = jiff::Timestamp::from_millisecond(received).ok()?;
    let year = Offset::UTC.to_datetime(now).year();
    // Four years back and on for 29 February.
    [0, -1, 1, -2, 2, -3, 3, -4, 4]
        .into_iter()
        .filter_map(|step: i16| at((year.checked_add(step)?, month, day), clock, offset_secs))
        .min_by_key(|time| time.abs_diff(received))
}

/// Seconds since 1970 with a fraction, as text: `1700000000.123`.
pub(crate) fn epoch_seconds(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if whole.is_empty() || !whole.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let millis = i64::from(nanoseconds(fraction)? / 1_000_000);
    whole.parse::<i64>().ok()?.checked_mul(1000)?.checked_add(millis)
}

/// A number that may be seconds, milliseconds, microseconds or nanoseconds since 1970.
///
/// Told apart by size: each unit's numbers for the years 1973 to 5138 overlap no other's.
pub(crate) fn epoch_number(number: f64) -> Option<Timestamp> {
    let millis = if !number.is_finite() || number < 0.0 {
        return None;
    } else if number < 1e11 {
        number * 1e3
    } else if number < 1e14 {
        number
    } else if number < 1e17 {
        number / 1e3
    } else {
        number / 1e6
    };
    Some(millis.round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_year_is_the_nearest_one() {
        let new_year = schema::parse_time("2026-01-01T00:10:00Z").unwrap();
        let read =
            |m, d, c, offset| schema::format_time(without_year(m, d, c, offset, new_year).unwrap());
        assert_eq!(read("Dec", "31", "23:59:59", 0), "2025-12-31T23:59:59.000Z");
        assert_eq!(read("Jan", "1", "09:05:00", 9 * 3600), "2026-01-01T00:05:00.000Z");
        assert_eq!(read("Feb", "29", "00:00:00", 0), "2024-02-29T00:00:00.000Z");
    }

    #[test]
    fn zones_are_read_and_nonsense_is_not() {
        let read = |text| access_log(text, 0).map(schema::format_time);
        assert_eq!(read("22/Nov/2026:04:33:00 +0900").unwrap(), "2026-11-21T19:33:00.000Z");
        assert_eq!(read("31/Feb/2026:04:33:00 +0900"), None);
        assert_eq!(read("22/Nov/2026:25:33:00 +0900"), None);
        assert_eq!(
            iso("2026-11-22 04:33:60,5", 3600).map(schema::format_time).unwrap(),
            "2026-11-22T03:33:59.500Z"
        );
        assert_eq!(epoch_seconds("1700000000.123"), Some(1_700_000_000_123));
        assert_eq!(epoch_number(1.7e18), Some(1_700_000_000_000));
    }
}
