//! Escapes inside values: CSS, JavaScript, ANSI C, HTML.
//!
//! Each function puts its result into `out` and says whether it did: `false` means unchanged.

use super::decode::{hex_digit, hex_pair, narrow};
use super::strip::is_space;

/// A CSS escape has at most this many digits.
const CSS_DIGITS_MAX: usize = 6;
const NO_BREAK_SPACE: u8 = 0xa0;

/// The low byte of `\1` to `\123456`, full-width forms folded; one white space after it goes too. Before
/// anything else the backslash goes; before a line's end both go.
pub fn css(input: &[u8], out: &mut Vec<u8>) -> bool {
    each_backslash(input, out, |rest, out| {
        let digits =
            rest.iter().take(CSS_DIGITS_MAX).take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (code, tail) = rest.split_at(digits);
        match (code, tail) {
            ([], [b'\n', tail @ ..]) => return tail,
            ([], [byte, tail @ ..]) => {
                out.push(*byte);
                return tail;
            }
            ([], []) => return tail,
            ([one], _) => out.push(hex_digit(*one)),
            ([b'0', b'0', a, b, c, d] | [b'0', a, b, c, d] | [a, b, c, d], _) => {
                out.push(narrow(hex_pair(*a, *b), hex_pair(*c, *d)));
            }
            ([.., c, d], _) => out.push(hex_pair(*c, *d)),
        }
        match tail {
            [space, tail @ ..] if is_space(*space) => tail,
            tail => tail,
        }
    })
}

/// `\uHHHH` (the low byte, full-width forms folded), `\xHH`, `\OOO` up to `\377`, `\n` and its like; before
/// anything else the backslash goes. One at the very end stays.
pub fn js(input: &[u8], out: &mut Vec<u8>) -> bool {
    each_backslash(input, out, |rest, out| match rest {
        [b'u', a, b, c, d, tail @ ..]
            if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) =>
        {
            out.push(narrow(hex_pair(*a, *b), hex_pair(*c, *d)));
            tail
        }
        [b'x', a, b, tail @ ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
            out.push(hex_pair(*a, *b));
            tail
        }
        [b'0'..=b'3', b'0'..=b'7', b'0'..=b'7', ..] => octal(rest, 3, out),
        [b'0'..=b'7', b'0'..=b'7', ..] => octal(rest, 2, out),
        [b'0'..=b'7', ..] => octal(rest, 1, out),
        [byte, tail @ ..] => {
            out.push(control(*byte).unwrap_or(*byte));
            tail
        }
        [] => {
            out.push(b'\\');
            rest
        }
    })
}

/// `\n` and its like, `\xHH`, `\OOO` (the low byte); before anything else the backslash goes. One at the
/// very end stays.
pub fn escapes(input: &[u8], out: &mut Vec<u8>) -> bool {
    each_backslash(input, out, |rest, out| match rest {
        [b'x' | b'X', a, b, tail @ ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
            out.push(hex_pair(*a, *b));
            tail
        }
        [b'0'..=b'7', b'0'..=b'7', b'0'..=b'7', ..] => octal(rest, 3, out),
        [b'0'..=b'7', b'0'..=b'7', ..] => octal(rest, 2, out),
        [b'0'..=b'7', ..] => octal(rest, 1, out),
        [byte, tail @ ..] => {
            out.push(control(*byte).unwrap_or(*byte));
            tail
        }
        [] => {
            out.push(b'\\');
            rest
        }
    })
}

/// What stands between backslashes is copied; `decode` gets what stands after one and returns the rest.
fn each_backslash<'a>(
    input: &'a [u8],
    out: &mut Vec<u8>,
    decode: impl Fn(&'a [u8], &mut Vec<u8>) -> &'a [u8],
) -> bool {
    let mut rest = input;
    let mut changes = false;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        changes = true;
        let (same, escape) = rest.split_at(at);
        out.extend_from_slice(same);
        rest = decode(escape.get(1..).unwrap_or_default(), out);
    }
    if changes {
        out.extend_from_slice(rest);
    }
    changes
}

fn octal<'a>(rest: &'a [u8], digits: usize, out: &mut Vec<u8>) -> &'a [u8] {
    let (code, tail) = rest.split_at(digits.min(rest.len()));
    let value = code
        .iter()
        .fold(0u8, |value, digit| value.wrapping_mul(8).wrapping_add(digit.wrapping_sub(b'0')));
    out.push(value);
    tail
}

const fn control(letter: u8) -> Option<u8> {
    Some(match letter {
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        _ => return None,
    })
}

/// `&#x…`, `&#…` (the low byte), and `quot`, `amp`, `lt`, `gt`, `nbsp`; the semicolon may be missing.
pub fn html(input: &[u8], out: &mut Vec<u8>) -> bool {
    let mut rest = input;
    let mut changes = false;
    while let Some(at) = memchr::memchr(b'&', rest) {
        changes = true;
        let (same, entity) = rest.split_at(at);
        out.extend_from_slice(same);
        let entity = entity.get(1..).unwrap_or_default();
        rest = if let Some((byte, tail)) = html_entity(entity) {
            out.push(byte);
            match tail {
                [b';', tail @ ..] => tail,
                tail => tail,
            }
        } else {
            out.push(b'&');
            entity
        };
    }
    if changes {
        out.extend_from_slice(rest);
    }
    changes
}

/// The byte, and what comes after the entity.
fn html_entity(entity: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, radix, is_digit): (_, i64, fn(&u8) -> bool) = match entity {
        [b'#', b'x' | b'X', digits @ ..] => (digits, 16, u8::is_ascii_hexdigit),
        [b'#', digits @ ..] => (digits, 10, u8::is_ascii_digit),
        _ => {
            let length = entity.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
            let (name, tail) = entity.split_at(length);
            let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
            let byte = if is("quot") {
                b'"'
            } else if is("amp") {
                b'&'
            } else if is("lt") {
                b'<'
            } else if is("gt") {
                b'>'
            } else if is("nbsp") {
                NO_BREAK_SPACE
            } else {
                return None;
            };
            return Some((byte, tail));
        }
    };
    let length = digits.iter().take_while(|byte| is_digit(byte)).count();
    if length == 0 {
        return None;
    }
    let (code, tail) = digits.split_at(length);
    // As strtol counts: a number that is too large is the largest there is, whose low byte is 255.
    let value = code.iter().fold(0i64, |value, digit| {
        value.saturating_mul(radix).saturating_add(i64::from(hex_digit(*digit)))
    });
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the low byte is meant"
    )]
    let byte = value as u8;
    Some((byte, tail))
}
