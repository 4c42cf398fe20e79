//! `application/x-www-form-urlencoded`: query strings and form bodies.

use memchr::{memchr, memchr_iter, memchr2};

use crate::bag::Bag;

/// What was remarkable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UrlEncoded {
    /// `URLENCODED_ERROR`: a `%` without two hexadecimal digits. It stays in the value as it is.
    pub invalid_encoding: bool,
    /// There were more than `arguments_max`; the rest was not read.
    pub truncated: bool,
}

/// Adds the arguments of `input` to `out`, at most `arguments_max`.
///
/// A piece without `=` is a name with an empty value. An empty piece is no argument, for no application either:
/// thousands of them push nothing beyond the limit. Values are bytes: overlong or broken UTF-8 and NUL stay as they were sent.
pub fn parse(input: &[u8], separator: u8, arguments_max: usize, out: &mut Bag) -> UrlEncoded {
    let mut result = UrlEncoded::default();
    let (mut name_room, mut value_room) = (Vec::new(), Vec::new());
    let (mut from, mut read) = (0, 0);
    for end in memchr_iter(separator, input).chain([input.len()]) {
        let Some(piece) = input.get(from..end) else { break };
        from = end + 1;
        if piece.is_empty() {
            continue;
        }
        if read == arguments_max {
            result.truncated = true;
            break;
        }
        read += 1;
        let (name, value) = match memchr(b'=', piece) {
            Some(at) => (piece.get(..at), piece.get(at + 1..)),
            None => (Some(piece), None),
        };
        let name = decode(name.unwrap_or_default(), &mut name_room, &mut result.invalid_encoding);
        let value =
            decode(value.unwrap_or_default(), &mut value_room, &mut result.invalid_encoding);
        out.push(name, value);
    }
    result
}

/// `part` with `+` and `%XX` decoded, in `room` where that changes it.
fn decode<'a>(part: &'a [u8], room: &'a mut Vec<u8>, invalid: &mut bool) -> &'a [u8] {
    let Some(first) = memchr2(b'%', b'+', part) else { return part };
    room.clear();
    let mut rest = part;
    let mut next = Some(first);
    while let Some((plain, special)) = next.and_then(|at| rest.split_at_checked(at)) {
        room.extend_from_slice(plain);
        rest = match special {
            [b'+', rest @ ..] => {
                room.push(b' ');
                rest
            }
            [_, high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                room.push(hex(*high) << 4 | hex(*low));
                rest
            }
            [percent, rest @ ..] => {
                *invalid = true;
                room.push(*percent);
                rest
            }
            [] => special,
        };
        next = memchr2(b'%', b'+', rest);
    }
    room.extend_from_slice(rest);
    room
}

/// The value of a hexadecimal digit.
pub(crate) fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
