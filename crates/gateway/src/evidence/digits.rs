//! Finds numbers that are somebody's: registration numbers, cards, phones. And e-mail addresses, which
//! the same loop over bytes comes across.

use super::names::Kind;
use super::scan::{Span, What};
use super::shapes;
use std::borrow::Cow;

/// Fewest digits of anything looked for without a name beside it (`02-123-4567`).
pub(super) const DIGITS_MIN: usize = 9;

/// Longest digit group worth keeping: a card has 19.
const GROUP_MAX: usize = 20;

/// What a byte may begin.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Dull,
    Digit,
    At,
    Backslash,
    Percent,
    Ampersand,
    /// First byte of the full-width forms U+FF00 to U+FFFF.
    Wide,
}

const MARKS: [Mark; 256] = {
    let mut table = [Mark::Dull; 256];
    let mut digit = b'0';
    while digit <= b'9' {
        #[expect(clippy::indexing_slicing, reason = "a byte indexes 256 entries")]
        {
            table[digit as usize] = Mark::Digit;
        }
        digit += 1;
    }
    #[expect(clippy::indexing_slicing, reason = "a byte indexes 256 entries")]
    {
        table[b'@' as usize] = Mark::At;
        table[b'\\' as usize] = Mark::Backslash;
        table[b'%' as usize] = Mark::Percent;
        table[b'&' as usize] = Mark::Ampersand;
        table[0xEF] = Mark::Wide;
    }
    table
};

fn mark(byte: u8) -> Mark {
    MARKS.get(usize::from(byte)).copied().unwrap_or(Mark::Dull)
}

/// Calls `found` with every place where digits, `@` or an escape ask for a closer look, ascending.
pub(super) fn marks(bytes: &[u8], mut found: impl FnMut(usize)) {
    let mut at = 0;
    while let Some(skip) =
        bytes.get(at..).and_then(|rest| rest.iter().position(|b| mark(*b) != Mark::Dull))
    {
        at += skip;
        let byte = bytes.get(at).copied().unwrap_or_default();
        let next = |n: usize| bytes.get(at + n).copied().unwrap_or_default();
        match mark(byte) {
            Mark::Digit => {
                let (end, digits) = run(bytes, at);
                if digits >= DIGITS_MIN && may_be_someones(bytes, at, end, digits) {
                    // Each group, for a reader of tokens may meet them one by one.
                    let mut before = b' ';
                    for (i, byte) in bytes.get(at..end).unwrap_or_default().iter().enumerate() {
                        if byte.is_ascii_digit() && !before.is_ascii_digit() {
                            found(at + i);
                        }
                        before = *byte;
                    }
                }
                at = end;
                continue;
            }
            Mark::At => found(at),
            Mark::Backslash if matches!(next(1), b'u' | b'x' | b'U') => found(at),
            Mark::Percent if next(1).is_ascii_hexdigit() && next(2).is_ascii_hexdigit() => {
                found(at)
            }
            Mark::Ampersand if next(1) == b'#' => found(at),
            Mark::Wide if is_wide_digit(byte, next(1), next(2)) => found(at),
            _ => {}
        }
        at += 1;
    }
}

/// One group of fewer than 13 digits is nobody's unless it begins with 0 or `+`: counters and Unix
/// times in seconds, most of the digits on the wire, end here.
fn may_be_someones(bytes: &[u8], at: usize, end: usize, digits: usize) -> bool {
    end - at != digits
        || digits >= 13
        || bytes.get(at) == Some(&b'0')
        || at.checked_sub(1).and_then(|i| bytes.get(i)) == Some(&b'+')
}

/// Whether any mark but digits and `@` is in the text: something is encoded once more.
pub(super) fn is_escaped(bytes: &[u8]) -> (bool, bool, bool) {
    let (mut backslash, mut percent, mut entity) = (false, false, false);
    for at in memchr::memchr3_iter(b'\\', b'%', b'&', bytes) {
        let next = |n: usize| bytes.get(at + n).copied().unwrap_or_default();
        match bytes.get(at) {
            Some(b'\\') => backslash |= matches!(next(1), b'u' | b'x' | b'U'),
            Some(b'%') => percent |= next(1).is_ascii_hexdigit() && next(2).is_ascii_hexdigit(),
            _ => entity |= next(1) == b'#',
        }
    }
    (backslash, percent, entity)
}

fn is_wide_digit(a: u8, b: u8, c: u8) -> bool {
    a == 0xEF && b == 0xBC && (0x90..=0x99).contains(&c)
}

/// Bytes of separator at `at` that may stand inside one number.
fn separator(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at..) {
        Some([b' ' | b'-' | b'.' | b')' | b'/' | b'_', ..]) => 1,
        // No-break space.
        Some([0xC2, 0xA0, ..]) => 2,
        // Hyphens and dashes U+2010 to U+2015, minus U+2212, figure and thin spaces.
        Some([0xE2, 0x80, 0x87..=0x95 | 0xAF, ..] | [0xE2, 0x88, 0x92, ..]) => 3,
        _ => 0,
    }
}

/// The end of the run of digits and separators that begins at `at`, and how many digits it has.
fn run(bytes: &[u8], at: usize) -> (usize, usize) {
    let mut end = at;
    let mut digits = 0;
    loop {
        while bytes.get(end).is_some_and(u8::is_ascii_digit) {
            end += 1;
            digits += 1;
        }
        let mut after = end;
        // `) ` and ` - ` are several separators in one place.
        for _ in 0..3 {
            after += separator(bytes, after);
        }
        if after == end || !bytes.get(after).is_some_and(u8::is_ascii_digit) {
            return (end, digits);
        }
        end = after;
    }
}

struct Group {
    start: usize,
    end: usize,
    /// Empty when they belong to a word.
    digits: Vec<u8>,
}

/// Adds what the digits and `@` of `text` are found to be. Spans may overlap; the caller merges.
pub(super) fn spans(text: &str, out: &mut Vec<Span>) {
    if text.as_bytes().windows(3).any(|w| matches!(w, [a, b, c] if is_wide_digit(*a, *b, *c))) {
        wide(text, out);
        return;
    }
    ascii(text, out);
}

/// Full-width digits (１２３, ordinary in Japanese) are read as plain ones.
fn wide(text: &str, out: &mut Vec<Span>) {
    let mut plain = String::with_capacity(text.len());
    let mut offsets = Vec::with_capacity(text.len() + 1);
    for (at, c) in text.char_indices() {
        let c = match c {
            '０'..='９' => {
                char::from_u32(u32::from(c) - u32::from('０') + u32::from('0')).unwrap_or(c)
            }
            '－' | 'ー' | '‐' => '-',
            '　' => ' ',
            '＋' => '+',
            '＠' => '@',
            '．' => '.',
            c => c,
        };
        plain.push(c);
        offsets.resize(plain.len(), at);
    }
    offsets.push(text.len());
    let mut found = Vec::new();
    ascii(&plain, &mut found);
    out.extend(found.into_iter().filter_map(|span| {
        Some(Span {
            start: *offsets.get(span.start)?,
            end: *offsets.get(span.end)?,
            what: span.what,
        })
    }));
}

fn ascii(text: &str, out: &mut Vec<Span>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(skip) = bytes
        .get(at..)
        .and_then(|rest| rest.iter().position(|b| matches!(mark(*b), Mark::Digit | Mark::At)))
    {
        at += skip;
        if bytes.get(at) == Some(&b'@') {
            if let Some(span) = email(text, at) {
                at = span.end;
                out.push(span);
            } else {
                at += 1;
            }
            continue;
        }
        let (end, digits) = run(bytes, at);
        if digits >= DIGITS_MIN {
            number(bytes, at, end, out);
        }
        at = end;
    }
}

/// The run goes on to the left: `ORD20240101`, `a1b2-4466…`, `0x12`, `1.2345`.
fn inside_word(bytes: &[u8], at: usize) -> bool {
    let before = |n: usize| at.checked_sub(n).and_then(|i| bytes.get(i)).copied().unwrap_or(b' ');
    let letter = |b: u8| b.is_ascii_alphabetic();
    letter(before(1)) || (before(1) == b'.' && before(2).is_ascii_digit())
}

fn number(bytes: &[u8], start: usize, end: usize, out: &mut Vec<Span>) {
    let mut groups: Vec<Group> = Vec::new();
    let mut at = start;
    while at < end {
        let length = bytes
            .get(at..end)
            .map_or(0, |rest| rest.iter().take_while(|b| b.is_ascii_digit()).count());
        if length > 0 {
            let digits = bytes.get(at..at + length).unwrap_or_default();
            groups.push(Group {
                start: at,
                end: at + length,
                digits: digits.iter().map(|d| d - b'0').collect(),
            });
        }
        at += length.max(1);
    }
    // Glued to letters, the first or last group is part of a word; what stands apart from it is not.
    if inside_word(bytes, start)
        && let Some(first) = groups.first_mut()
    {
        first.digits.clear();
    }
    if bytes.get(end).is_some_and(u8::is_ascii_alphabetic)
        && let Some(last) = groups.last_mut()
    {
        last.digits.clear();
    }
    let mut i = 0;
    while i < groups.len() {
        let rest = groups.get(i..).unwrap_or_default();
        // `0.4111111111111111` is a fraction.
        let before = i.checked_sub(1).and_then(|b| groups.get(b)).map_or(start, |g| g.end);
        let at = rest.first().map_or(start, |g| g.start);
        if i > 0
            && bytes.get(before..at) == Some(b".")
            && rest.first().is_some_and(|g| g.digits.len() > 6)
        {
            i += 1;
            continue;
        }
        match judge(bytes, rest) {
            Some((kind, used, from)) => {
                let end = rest.get(used - 1).map_or(start, |g| g.end);
                out.push(Span { start: from, end, what: What::Personal(kind) });
                i += used;
            }
            None => i += 1,
        }
    }
}

/// What the groups at the front are: kind, how many groups, and where the span begins.
fn judge(bytes: &[u8], groups: &[Group]) -> Option<(Kind, usize, usize)> {
    let first = groups.first()?;
    let from = first.start;
    if first.digits.is_empty() || first.digits.len() > GROUP_MAX {
        return None;
    }
    let gap = |a: &Group, b: &Group| bytes.get(a.end..b.start).unwrap_or_default();
    // 900101-1234567, 900101 1234567, 9001011234567
    if let [a, b, ..] = groups
        && a.digits.len() == 6
        && b.digits.len() == 7
        && let Ok(all) = <[u8; 13]>::try_from([a.digits.as_slice(), b.digits.as_slice()].concat())
        && shapes::rrn(&all).is_some()
    {
        return Some((Kind::Rrn, 2, from));
    }
    if let Ok(all) = <[u8; 13]>::try_from(first.digits.as_slice())
        && !is_epoch_millis(&all)
        && shapes::rrn(&all) == Some(shapes::Rrn::Checked)
    {
        return Some((Kind::Rrn, 1, from));
    }
    // A card in one group, or in groups of two to six of which the first has four.
    if shapes::card(&first.digits) {
        return Some((Kind::Card, 1, from));
    }
    if first.digits.len() == 4 {
        let mut all = first.digits.clone();
        for (i, group) in groups.iter().enumerate().skip(1).take(4) {
            if !(1..=6).contains(&group.digits.len()) {
                break;
            }
            all.extend_from_slice(&group.digits);
            let more = groups.get(i + 1).is_some_and(|next| {
                next.digits.len() <= 4
                    && !next.digits.is_empty()
                    && all.len() + next.digits.len() <= 19
            });
            if all.len() >= 13 && (shapes::card(&all) && !(more && all.len() < 15)) {
                return Some((Kind::Card, i + 1, from));
            }
        }
    }
    // 1234-5678-9018: grouped alone, for one in eleven numbers of twelve digits has a fitting check digit.
    if let [a, b, c, ..] = groups
        && [a, b, c].iter().all(|g| g.digits.len() == 4)
        && gap(a, b) == gap(b, c)
        && groups.get(3).is_none_or(|d| gap(c, d) != gap(b, c))
        && let Ok(all) = <[u8; 12]>::try_from([a.digits.as_slice(), &b.digits, &c.digits].concat())
        && shapes::my_number(&all)
    {
        return Some((Kind::MyNumber, 3, from));
    }
    phone(bytes, groups).map(|(used, from)| (Kind::Phone, used, from))
}

/// 13 digits that read as milliseconds between 2001 and 2040 are more often a time than a birth in 2010.
fn is_epoch_millis(d: &[u8; 13]) -> bool {
    let value = d.iter().fold(0u64, |sum, digit| sum * 10 + u64::from(*digit));
    (1_000_000_000_000..2_210_000_000_000).contains(&value)
}

fn phone(bytes: &[u8], groups: &[Group]) -> Option<(usize, usize)> {
    let first = groups.first()?;
    let before = |n: usize| first.start.checked_sub(n).and_then(|i| bytes.get(i)).copied();
    let (plus, from) = match (before(1), before(2)) {
        (Some(b'+'), _) => (true, first.start - 1),
        (Some(b'('), Some(b'+')) => (true, first.start - 2),
        (Some(b'('), _) => (false, first.start - 1),
        _ => (false, first.start),
    };
    if plus {
        // E.164: up to 15 digits; below 8 it is an offset or a sum.
        let mut total = 0;
        let mut used = 0;
        for group in groups.iter().take(6) {
            if group.digits.is_empty() || total + group.digits.len() > 15 {
                break;
            }
            total += group.digits.len();
            used += 1;
        }
        // `1e+10` and `x+1234…` are arithmetic.
        let glued =
            from.checked_sub(1).and_then(|i| bytes.get(i)).is_some_and(u8::is_ascii_alphanumeric);
        return (total >= 9 && !glued).then_some((used, from));
    }
    // The whole number, not the tail of `2-010-1234-5678` in an identifier.
    if matches!(before(1), Some(b'-' | b'.' | b'/'))
        && before(2).is_some_and(|b| b.is_ascii_alphanumeric())
    {
        let word = before(2).is_some_and(|b| b.is_ascii_alphabetic());
        if !word || before(1) != Some(b'-') {
            return None;
        }
    }
    if shapes::phone(&[&first.digits]) {
        return Some((1, from));
    }
    let [a, b, c, ..] = groups else { return None };
    let gap = |a: &Group, b: &Group| bytes.get(a.end..b.start).unwrap_or_default();
    let dashed = |gap: &[u8]| !gap.contains(&b'/') && !gap.contains(&b'_');
    let (left, right) = (gap(a, b), gap(b, c));
    // `555 123 4567` alone is any three numbers; a national prefix or a bracket or dashes make a phone.
    let national =
        a.digits.first() == Some(&0) || left.contains(&b')') || (left == right && left != b" ");
    (dashed(left) && dashed(right) && national && shapes::phone(&[&a.digits, &b.digits, &c.digits]))
        .then_some((3, from))
}

/// The address around an `@`: RFC 5321's atoms to the left, a domain with a letter top level to the right.
fn email(text: &str, at: usize) -> Option<Span> {
    let local = |c: char| {
        c.is_alphanumeric()
            || matches!(c, '.' | '_' | '%' | '+' | '-' | '\'' | '=' | '*' | '!' | '~' | '#' | '$')
    };
    let head = text.get(..at)?;
    let mut start = at;
    for (i, c) in head.char_indices().rev() {
        // 64 octets are RFC 5321's limit for the local part.
        if !local(c) || at - i > 64 {
            break;
        }
        start = i;
    }
    // `name=kim@…` and `to='kim@…` begin after the sign.
    let lead = text.get(start..at)?;
    if let Some(sign) = lead.rfind(['=', '\'', '#']) {
        start += sign + 1;
    }
    let tail = text.get(at + 1..)?;
    let mut end = at + 1;
    for (i, c) in tail.char_indices() {
        if !(c.is_alphanumeric() && (c.is_ascii() || i > 0) || matches!(c, '.' | '-')) || i > 253 {
            break;
        }
        // A Korean or Japanese particle follows an address without a blank.
        if !c.is_ascii() {
            break;
        }
        end = at + 1 + i + c.len_utf8();
    }
    let domain = text.get(at + 1..end)?.trim_end_matches(['.', '-']);
    let top = domain.rsplit_once('.')?.1;
    let fits = start < at && top.len() >= 2 && top.bytes().any(|b| b.is_ascii_alphabetic());
    fits.then(|| Span { start, end: at + 1 + domain.len(), what: What::Personal(Kind::Email) })
}

/// The digits of `text`, full-width ones made plain.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let fold = |c: char| match c {
        '０'..='９' => {
            char::from_u32(u32::from(c) - u32::from('０') + u32::from('0')).unwrap_or(c)
        }
        c => c,
    };
    Cow::Owned(text.chars().map(fold).collect())
}
