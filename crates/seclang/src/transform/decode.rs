//! Encodings of whole values: Base64, hexadecimal, URL, UTF-8, and the digests.
//!
//! Each function puts its result into `out` and says whether it did: `false` means unchanged.

use super::CodePage;
use md5::Digest;

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";
const BASE64_DIGITS: &[u8; 64] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Stands for "no digit" in [`BASE64_VALUES`].
const NO_DIGIT: u8 = 0xff;
const BASE64_VALUES: [u8; 256] = base64_values();

/// `+` is a space, `%xx` a byte. What is no valid escape stays.
pub fn url(input: &[u8], out: &mut Vec<u8>) -> bool {
    url_decode(input, out, None)
}

/// As [`url`], with `%uXXXX` of IIS: by the code page, otherwise the low byte, full-width forms folded.
pub fn url_unicode(input: &[u8], out: &mut Vec<u8>, page: CodePage<'_>) -> bool {
    url_decode(input, out, Some(page))
}

fn url_decode(input: &[u8], out: &mut Vec<u8>, page: Option<CodePage<'_>>) -> bool {
    let Some(mut at) = memchr::memchr2(b'%', b'+', input) else {
        return false;
    };
    let mut rest = input;
    loop {
        let (same, special) = rest.split_at(at);
        out.extend_from_slice(same);
        rest = match (special, page) {
            ([b'+', tail @ ..], _) => {
                out.push(b' ');
                tail
            }
            ([b'%', b'u' | b'U', a, b, c, d, tail @ ..], Some(page))
                if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) =>
            {
                let (high, low) = (hex_pair(*a, *b), hex_pair(*c, *d));
                let mapped = page(u16::from_be_bytes([high, low]));
                out.push(mapped.unwrap_or_else(|| narrow(high, low)));
                tail
            }
            ([b'%', a, b, tail @ ..], _) if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                out.push(hex_pair(*a, *b));
                tail
            }
            ([byte, tail @ ..], _) => {
                out.push(*byte);
                tail
            }
            ([], _) => return true,
        };
        at = memchr::memchr2(b'%', b'+', rest).unwrap_or(rest.len());
    }
}

/// The low byte of a code point; full-width ASCII (`U+FF01` to `U+FF5E`) as the ASCII it looks like.
pub const fn narrow(high: u8, low: u8) -> u8 {
    if high == 0xff && low > 0 && low < 0x5f { low + 0x20 } else { low }
}

/// Letters, digits and `*` stay, a space is `+`.
pub fn url_encode(input: &[u8], out: &mut Vec<u8>) -> bool {
    for byte in input {
        match byte {
            b' ' => out.push(b'+'),
            b'*' => out.push(b'*'),
            other if other.is_ascii_alphanumeric() => out.push(*other),
            other => {
                out.push(b'%');
                push_hex(*other, out);
            }
        }
    }
    true
}

/// The value of two digits. What is no digit has a value all the same, as in libmodsecurity.
pub const fn hex_pair(high: u8, low: u8) -> u8 {
    hex_digit(high).wrapping_mul(16).wrapping_add(hex_digit(low))
}

pub const fn hex_digit(digit: u8) -> u8 {
    if digit >= b'A' {
        (digit & 0xdf).wrapping_sub(b'A').wrapping_add(10)
    } else {
        digit.wrapping_sub(b'0')
    }
}

/// Two digits, one byte; an odd one at the end is left out.
pub fn hex(input: &[u8], out: &mut Vec<u8>) -> bool {
    let (pairs, _) = input.as_chunks::<2>();
    out.extend(pairs.iter().map(|[high, low]| hex_pair(*high, *low)));
    true
}

pub fn hex_encode(input: &[u8], out: &mut Vec<u8>) -> bool {
    out.reserve(input.len() * 2);
    for byte in input {
        push_hex(*byte, out);
    }
    true
}

fn push_hex(byte: u8, out: &mut Vec<u8>) {
    for digit in [byte >> 4, byte & 15] {
        out.push(HEX_DIGITS.get(usize::from(digit)).copied().unwrap_or(b'0'));
    }
}

/// `0x414243` of SQL becomes `ABC`: every `0x` with at least one pair of digits, wherever it stands.
///
/// libmodsecurity also loses the last byte of a value, and all after a null byte; that is not kept.
pub fn sql_hex(input: &[u8], out: &mut Vec<u8>) -> bool {
    if memchr::memchr2(b'x', b'X', input).is_none() {
        return false;
    }
    let mut rest = input;
    loop {
        rest = match rest {
            [] => return true,
            [b'0', b'x' | b'X', a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                let mut digits = rest.get(2..).unwrap_or_default();
                while let [a, b, tail @ ..] = digits
                    && a.is_ascii_hexdigit()
                    && b.is_ascii_hexdigit()
                {
                    out.push(hex_pair(*a, *b));
                    digits = tail;
                }
                digits
            }
            [byte, tail @ ..] => {
                out.push(*byte);
                tail
            }
        };
    }
}

/// Strict: a value that is not Base64 becomes empty; what follows a null byte does not count; a last group
/// that is not full is left out.
pub fn base64(input: &[u8], out: &mut Vec<u8>) -> bool {
    let end = memchr::memchr(0, input).unwrap_or(input.len());
    let input = input.get(..end).unwrap_or_default();
    if !is_base64(input) {
        return true;
    }
    let mut group = [0u8; 4];
    let mut filled = 0;
    let mut bytes = 3;
    for byte in input {
        let value = match byte {
            b'\r' | b'\n' | b' ' => continue,
            b'=' => {
                bytes -= 1;
                0
            }
            digit => base64_value(*digit),
        };
        push_digit(&mut group, value);
        filled += 1;
        if filled == 4 {
            filled = 0;
            push_group(group, bytes, out);
        }
    }
    true
}

/// Spaces at the end of lines, `=` at most twice and at the end.
fn is_base64(input: &[u8]) -> bool {
    let mut rest = input;
    let mut padding = 0;
    loop {
        let mut spaces = false;
        while let [b' ', tail @ ..] = rest {
            spaces = true;
            rest = tail;
        }
        rest = match rest {
            [] => return true,
            [b'\r', b'\n', tail @ ..] | [b'\n', tail @ ..] => tail,
            _ if spaces => return false,
            [b'=', tail @ ..] => {
                padding += 1;
                if padding > 2 {
                    return false;
                }
                tail
            }
            [digit, tail @ ..] => {
                if base64_value(*digit) == NO_DIGIT || padding > 0 {
                    return false;
                }
                tail
            }
        };
    }
}

/// Forgiving: what is no digit is passed over, `=` too.
pub fn base64_lenient(input: &[u8], out: &mut Vec<u8>) -> bool {
    let mut group = [0u8; 4];
    let mut filled = 0;
    for (at, byte) in input.iter().enumerate() {
        if *byte == b'=' {
            // One digit and its padding is no byte: then nothing is one.
            if filled == 1 && input.get(at + 1) != Some(&b'=') {
                out.clear();
                return true;
            }
            continue;
        }
        let value = base64_value(*byte);
        if value == NO_DIGIT {
            continue;
        }
        push_digit(&mut group, value);
        filled += 1;
        if filled == 4 {
            filled = 0;
            push_group(group, 3, out);
        }
    }
    let bytes = match filled {
        2 => 1,
        3 => 2,
        _ => return true,
    };
    for _ in filled..4 {
        push_digit(&mut group, 0);
    }
    push_group(group, bytes, out);
    true
}

fn push_digit(group: &mut [u8; 4], value: u8) {
    let [_, b, c, d] = *group;
    *group = [b, c, d, value];
}

fn push_group([a, b, c, d]: [u8; 4], bytes: usize, out: &mut Vec<u8>) {
    let decoded = [a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d];
    out.extend(decoded.iter().take(bytes));
}

fn base64_value(digit: u8) -> u8 {
    BASE64_VALUES.get(usize::from(digit)).copied().unwrap_or(NO_DIGIT)
}

const fn base64_values() -> [u8; 256] {
    let mut values = [NO_DIGIT; 256];
    let mut digits: &[u8] = BASE64_DIGITS;
    let mut value = 0;
    while let [digit, rest @ ..] = digits {
        if let Some((_, [slot, ..])) = values.split_at_mut_checked(*digit as usize) {
            *slot = value;
        }
        value += 1;
        digits = rest;
    }
    values
}

pub fn base64_encode(input: &[u8], out: &mut Vec<u8>) -> bool {
    out.reserve(input.len().div_ceil(3) * 4);
    for chunk in input.chunks(3) {
        let (a, b, c) = match chunk {
            [a, b, c] => (*a, *b, *c),
            [a, b] => (*a, *b, 0),
            [a] => (*a, 0, 0),
            _ => (0, 0, 0),
        };
        let digits = [a >> 2, (a & 3) << 4 | b >> 4, (b & 15) << 2 | c >> 6, c & 63];
        for (at, digit) in digits.iter().enumerate() {
            let known = BASE64_DIGITS.get(usize::from(*digit)).copied().unwrap_or(b'=');
            out.push(if at <= chunk.len() { known } else { b'=' });
        }
    }
    true
}

/// The number of bytes, in decimal.
pub fn length(input: &[u8], out: &mut Vec<u8>) -> bool {
    out.extend_from_slice(input.len().to_string().as_bytes());
    true
}

/// The raw digest; `hexEncode` usually follows.
pub fn md5(input: &[u8], out: &mut Vec<u8>) -> bool {
    out.extend_from_slice(&md5::Md5::digest(input));
    true
}

/// The raw digest; `hexEncode` usually follows.
pub fn sha1(input: &[u8], out: &mut Vec<u8>) -> bool {
    out.extend_from_slice(&sha1::Sha1::digest(input));
    true
}

/// Every character beyond ASCII becomes `%uxxxx`.
///
/// As libmodsecurity has it: null bytes go, so does the first byte of a sequence that breaks off; what can
/// begin no sequence stays; overlong and surrogate sequences leave their first byte behind the escape.
pub fn utf8_to_unicode(input: &[u8], out: &mut Vec<u8>) -> bool {
    let is_special = |byte: &u8| *byte == 0 || *byte >= 0x80;
    let Some(first) = input.iter().position(is_special) else {
        return false;
    };
    let (same, mut rest) = input.split_at(first);
    out.extend_from_slice(same);
    loop {
        rest = match rest {
            [] => return true,
            [0, tail @ ..] => tail,
            [byte @ ..=0x7f, tail @ ..] => {
                out.push(*byte);
                tail
            }
            [a @ 0xc0..=0xdf, b @ 0x80..=0xbf, tail @ ..] => {
                let code = u32::from(a & 0x1f) << 6 | u32::from(b & 0x3f);
                push_unicode(code, out);
                if code < 0x80 {
                    out.push(*a);
                }
                tail
            }
            [a @ 0xe0..=0xef, b @ 0x80..=0xbf, c @ 0x80..=0xbf, tail @ ..] => {
                let code =
                    u32::from(a & 0x0f) << 12 | u32::from(b & 0x3f) << 6 | u32::from(c & 0x3f);
                push_unicode(code, out);
                if code < 0x800 || (0xd800..=0xdfff).contains(&code) {
                    out.push(*a);
                }
                tail
            }
            [a @ 0xf0..=0xf7, tail @ ..] => {
                // No sequence begins with these, but libmodsecurity reads on as if.
                if *a >= 0xf5 {
                    out.push(*a);
                }
                let [b @ 0x80..=0xbf, c @ 0x80..=0xbf, d @ 0x80..=0xbf, tail @ ..] = tail else {
                    rest = tail;
                    continue;
                };
                let code = u32::from(a & 0x07) << 18
                    | u32::from(b & 0x3f) << 12
                    | u32::from(c & 0x3f) << 6
                    | u32::from(d & 0x3f);
                push_unicode(code, out);
                // Two marks for a surrogate: it is overlong too.
                if (0xd800..=0xdfff).contains(&code) {
                    out.push(*a);
                }
                if code < 0x1_0000 {
                    out.push(*a);
                }
                tail
            }
            [0xc0..=0xef, tail @ ..] => tail,
            [byte, tail @ ..] => {
                out.push(*byte);
                tail
            }
        };
    }
}

/// At least four digits.
fn push_unicode(code: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(b"%u");
    let mut shift = if code > 0xf_ffff {
        20
    } else if code > 0xffff {
        16
    } else {
        12
    };
    loop {
        let digit = (code >> shift) & 15;
        out.push(HEX_DIGITS.get(digit as usize).copied().unwrap_or(b'0'));
        if shift == 0 {
            return;
        }
        shift -= 4;
    }
}
