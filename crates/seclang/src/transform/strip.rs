//! What takes bytes away or puts others in their place.
//!
//! Each function puts its result into `out` and says whether it did: `false` means unchanged.

use crate::byteset::ByteSet;

/// Each byte by itself.
pub fn map(input: &[u8], out: &mut Vec<u8>, to: impl Fn(&u8) -> u8) -> bool {
    let Some(first) = input.iter().position(|byte| to(byte) != *byte) else {
        return false;
    };
    let (same, rest) = input.split_at(first);
    out.extend_from_slice(same);
    out.extend(rest.iter().map(to));
    true
}

/// Leaves out the bytes for which `is_out` holds.
pub fn remove(input: &[u8], out: &mut Vec<u8>, is_out: impl Fn(u8) -> bool) -> bool {
    let Some(first) = input.iter().position(|byte| is_out(*byte)) else {
        return false;
    };
    out.reserve(input.len());
    let (same, mut rest) = input.split_at(first);
    out.extend_from_slice(same);
    // Piece by piece: a word is copied as one.
    while let Some(start) = rest.iter().position(|byte| !is_out(*byte)) {
        let (_, kept) = rest.split_at(start);
        let end = kept.iter().position(|byte| is_out(*byte)).unwrap_or(kept.len());
        let (kept, behind) = kept.split_at(end);
        out.extend_from_slice(kept);
        rest = behind;
    }
    true
}

/// What C calls a space.
pub const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// A no-break space in Latin-1, and both its bytes in UTF-8.
pub const fn is_space_or_no_break(byte: u8) -> bool {
    is_space(byte) || matches!(byte, 0xa0 | 0xc2)
}

pub fn trim(input: &[u8], out: &mut Vec<u8>, left: bool, right: bool) -> bool {
    let mut rest = input;
    while left
        && let [first, tail @ ..] = rest
        && is_space(*first)
    {
        rest = tail;
    }
    while right
        && let [head @ .., last] = rest
        && is_space(*last)
    {
        rest = head;
    }
    if rest.len() == input.len() {
        return false;
    }
    out.extend_from_slice(rest);
    true
}

/// Every run of white space becomes one space.
pub fn compress_whitespace(input: &[u8], out: &mut Vec<u8>) -> bool {
    let mut before = 0;
    let stays = |byte: &u8| {
        let doubled = before == b' ';
        before = *byte;
        !is_space(*byte) || *byte == b' ' && !doubled
    };
    if input.iter().all(stays) {
        return false;
    }
    out.reserve(input.len());
    let mut in_space = false;
    for byte in input {
        if !is_space(*byte) {
            out.push(*byte);
        } else if !in_space {
            out.push(b' ');
        }
        in_space = is_space(*byte);
    }
    true
}

/// What a shell would not mind: quotes and carets go, separators become one space, no space stands before
/// `/` and `(`, letters are small.
pub fn command_line(input: &[u8], out: &mut Vec<u8>) -> bool {
    const CHANGES: ByteSet = ByteSet::NONE.with_all(b"\"'\\^,;\t\r\n").with_range(b'A', b'Z');
    let mut in_space = false;
    let stays = |byte: &u8| {
        let behind_space = in_space;
        in_space = *byte == b' ';
        !(CHANGES.contains(*byte) || behind_space && matches!(byte, b' ' | b'/' | b'('))
    };
    if input.iter().all(stays) {
        return false;
    }
    out.reserve(input.len());
    let mut in_space = false;
    for byte in input {
        match byte {
            b'"' | b'\'' | b'\\' | b'^' => {}
            b' ' | b',' | b';' | b'\t' | b'\r' | b'\n' => {
                if !in_space {
                    out.push(b' ');
                }
                in_space = true;
            }
            b'/' | b'(' => {
                if in_space {
                    out.pop();
                }
                in_space = false;
                out.push(*byte);
            }
            other => {
                in_space = false;
                out.push(other.to_ascii_lowercase());
            }
        }
    }
    true
}

/// Every C comment becomes one space; one that is not closed reaches to the end.
pub fn replace_comments(input: &[u8], out: &mut Vec<u8>) -> bool {
    let mut rest = input;
    let mut changes = false;
    while let Some(start) = memchr::memmem::find(rest, b"/*") {
        changes = true;
        let (before, comment) = rest.split_at(start);
        out.extend_from_slice(before);
        out.push(b' ');
        let inside = comment.get(2..).unwrap_or_default();
        rest = match memchr::memmem::find(inside, b"*/") {
            Some(end) => inside.get(end + 2..).unwrap_or_default(),
            None => b"",
        };
    }
    out.extend_from_slice(rest);
    changes
}

/// `/*…*/` and `<!--…-->` go, `--` and `#` end the value. A comment that is not closed leaves a space.
///
/// As in libmodsecurity, either end closes either comment, and the byte after an end is taken as it is; where
/// there is none, a null byte comes.
pub fn remove_comments(input: &[u8], out: &mut Vec<u8>) -> bool {
    if memchr::memchr3(b'*', b'-', b'#', input).is_none() {
        return false;
    }
    let mut in_comment = false;
    let mut rest = input;
    loop {
        rest = match rest {
            [] => break,
            [b'*', b'/', tail @ ..] | [b'-', b'-', b'>', tail @ ..] if in_comment => {
                in_comment = false;
                let (next, tail) = tail.split_first().unwrap_or((&0, tail));
                out.push(*next);
                tail
            }
            [_, tail @ ..] if in_comment => tail,
            [b'/', b'*', tail @ ..] | [b'<', b'!', b'-', b'-', tail @ ..] => {
                in_comment = true;
                tail
            }
            [b'-', b'-', ..] | [b'#', ..] => break,
            [byte, tail @ ..] => {
                out.push(*byte);
                tail
            }
        };
    }
    if in_comment {
        out.push(b' ');
    }
    true
}

/// The marks go, what stood between them stays.
pub fn remove_comment_marks(input: &[u8], out: &mut Vec<u8>) -> bool {
    if memchr::memchr3(b'*', b'-', b'#', input).is_none() {
        return false;
    }
    let mut rest = input;
    loop {
        rest = match rest {
            [] => return true,
            [b'<', b'!', b'-', b'-', tail @ ..]
            | [b'-', b'-', b'>', tail @ ..]
            | [b'/', b'*', tail @ ..]
            | [b'*', b'/', tail @ ..]
            | [b'-', b'-', tail @ ..]
            | [b'#', tail @ ..] => tail,
            [byte, tail @ ..] => {
                out.push(*byte);
                tail
            }
        };
    }
}
