//! A part's `Content-Disposition`.

use std::borrow::Cow;

use memchr::memmem;

use crate::body::urlencoded::hex;

/// What a `Content-Disposition` says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Disposition<'a> {
    pub name: Cow<'a, [u8]>,
    pub filename: Cow<'a, [u8]>,
    /// `filename*`, decoded: what current applications prefer.
    pub filename_star: Option<Vec<u8>>,
    /// Every `name` and `filename` in order, duplicates as well: `MULTIPART_NAME`, `MULTIPART_FILENAME`.
    pub names: Vec<Cow<'a, [u8]>>,
    pub filenames: Vec<Cow<'a, [u8]>>,
    pub invalid_quoting: bool,
    /// libmodsecurity's number for what is wrong. What was read before it stays.
    pub error: Option<i8>,
}

/// Reads the header's value.
///
/// Only what every parser reads alike is without error: `form-data` in lower case, `name`, `filename` and
/// `filename*` once each, values as tokens or in double quotes. `\` escapes the quote and itself; before other
/// characters it stays, for old browsers send paths. `filename*` is checked (RFC 5987), must not be alone, and
/// does not replace `filename`.
pub(super) fn parse(value: &[u8]) -> Disposition<'_> {
    let mut disposition = Disposition::default();
    disposition.error = read(value, &mut disposition).err();
    disposition
}

fn read<'a>(value: &'a [u8], disposition: &mut Disposition<'a>) -> Result<(), i8> {
    let rest = value.strip_prefix(b"form-data").ok_or(-1)?;
    let mut rest = match skip_blanks(rest) {
        [] => return Ok(()),
        [b';', rest @ ..] => rest,
        _ => return Err(-2),
    };
    while !rest.is_empty() {
        rest = skip_blanks(rest);
        let (name, after) = cut(rest, |byte| !matches!(byte, b'=' | b'\t' | b' '));
        match (rest, after) {
            ([], _) => return Err(-3),
            (_, []) => return Err(-4),
            _ => {}
        }
        let after = match skip_blanks(after) {
            [] => return Err(-5),
            [b'=', after @ ..] => skip_blanks(after),
            _ => return Err(-13),
        };
        if after.is_empty() {
            return Err(-6);
        }
        let (value, quote, after) = match after {
            _ if name == b"filename*" => {
                let (value, after) = extended_value(after)?;
                (Cow::Borrowed(value), None, after)
            }
            [quote @ (b'"' | b'\''), inner @ ..] => {
                disposition.invalid_quoting |= *quote == b'\'';
                let (value, after) = quoted_value(inner, *quote)?;
                (value, Some(*quote), after)
            }
            _ => {
                let (value, after) = cut(after, is_token);
                (Cow::Borrowed(value), None, after)
            }
        };
        match name {
            b"name" | b"filename" => {
                disposition.invalid_quoting |= quote != Some(b'"') && value.contains(&b'\'');
                let (all, first, duplicate) = match name {
                    b"name" => (&mut disposition.names, &mut disposition.name, -14),
                    _ => (&mut disposition.filenames, &mut disposition.filename, -15),
                };
                all.push(value.clone());
                if !first.is_empty() {
                    return Err(duplicate);
                }
                *first = value;
            }
            b"filename*" => {
                if disposition.filename_star.is_some() {
                    return Err(-20);
                }
                disposition.filename_star = Some(percent_decoded(&value));
            }
            _ => return Err(-11),
        }
        rest = match skip_blanks(after) {
            [] => break,
            [b';', rest @ ..] => rest,
            left => {
                // Text directly behind a closing quote: `"a"b"`.
                disposition.invalid_quoting |= quote.is_some() && after.len() == left.len();
                return Err(-12);
            }
        };
    }
    if disposition.filename_star.is_some() && disposition.filename.is_empty() {
        return Err(-21);
    }
    Ok(())
}

/// `charset'language'value`; the value still encoded.
fn extended_value(text: &[u8]) -> Result<(&[u8], &[u8]), i8> {
    let (charset, rest) =
        cut(text, |byte| byte.is_ascii_alphanumeric() || b"!#$%&+-^_`{}~".contains(&byte));
    let [b'\'', rest @ ..] = rest else { return Err(-16) };
    if charset.is_empty() {
        return Err(-16);
    }
    let (_, rest) = cut(rest, |byte| byte != b'\'');
    let [b'\'', value @ ..] = rest else { return Err(-17) };
    let mut rest = value;
    loop {
        rest = match rest {
            [] | [b';', ..] => break,
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest
            }
            [b'%', ..] => return Err(-18),
            [byte, rest @ ..] if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`~".contains(byte) => {
                rest
            }
            _ => return Err(-19),
        };
    }
    Ok((value.get(..value.len() - rest.len()).unwrap_or_default(), rest))
}

fn percent_decoded(mut text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    while let Some((byte, rest)) = text.split_first() {
        text = match (byte, rest) {
            (b'%', [high, low, rest @ ..]) => {
                decoded.push(hex(*high) << 4 | hex(*low));
                rest
            }
            _ => {
                decoded.push(*byte);
                rest
            }
        };
    }
    decoded
}

/// What stands before the closing quote, and what after.
fn quoted_value(text: &[u8], quote: u8) -> Result<(Cow<'_, [u8]>, &[u8]), i8> {
    if text.is_empty() {
        return Err(-7);
    }
    let mut value = Cow::Borrowed(b"".as_slice());
    let mut from = 0;
    let mut at = 0;
    loop {
        let Some(found) = memchr::memchr2(b'\\', quote, text.get(at..).unwrap_or_default()) else {
            // Without a closing quote nothing is certain about the value.
            return Err(-10);
        };
        at += found;
        let plain = text.get(from..at).unwrap_or_default();
        let special = text.get(at..).unwrap_or_default();
        match special {
            [b'\\'] => return Err(-8),
            [b'\\', next, ..] if *next == quote || *next == b'\\' => {
                value.to_mut().extend_from_slice(plain);
                from = at + 1;
                at += 2;
            }
            [b'\\', ..] => at += 1,
            [_, rest @ ..] => {
                if from == 0 {
                    value = Cow::Borrowed(plain);
                } else {
                    value.to_mut().extend_from_slice(plain);
                }
                return Ok((value, rest));
            }
            [] => return Err(-10),
        }
    }
}

/// Whether parsers that only search for `filename=` see that this is a file.
pub(super) fn names_a_file(value: &[u8]) -> bool {
    memmem::find(value, b"filename=").is_some()
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&byte)
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    cut(text, |byte| matches!(byte, b'\t' | b' ')).1
}

fn cut(text: &[u8], keep: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !keep(*byte)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, b""))
}
