//! `@validate…`: these match what is *not* valid.

use crate::byteset::ByteSet;

type Refusal = (String, Option<String>);

/// A `%` that two hexadecimal digits do not follow.
pub fn is_bad_url(value: &[u8]) -> bool {
    let mut rest = value;
    while let Some(at) = memchr::memchr(b'%', rest) {
        rest = match rest.get(at..) {
            Some([_, a, b, tail @ ..]) if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => tail,
            _ => return true,
        };
    }
    false
}

/// Sequences that break off, are overlong, name surrogates or lie beyond `U+10FFFF`.
pub fn is_bad_utf8(value: &[u8]) -> bool {
    std::str::from_utf8(value).is_err()
}

/// `32-126, 9,10`: numbers of bytes and ranges of them.
///
/// # Errors
/// Names what is no range. libmodsecurity passes over it in silence, so that more than meant is forbidden.
pub fn parse_ranges(argument: &[u8]) -> Result<ByteSet, Refusal> {
    let text = String::from_utf8_lossy(argument);
    let mut set = ByteSet::NONE;
    for range in text.split(',').map(str::trim).filter(|range| !range.is_empty()) {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        match (from.trim().parse::<u8>(), to.trim().parse::<u8>()) {
            (Ok(from), Ok(to)) if from <= to => set = set.with_range(from, to),
            _ => {
                return Err((
                    format!("`{range}` is no range of bytes"),
                    Some("write numbers from 0 to 255, such as `9,10,13,32-126`".to_owned()),
                ));
            }
        }
    }
    Ok(set)
}
