//! The small set of questions that every rule comes down to, each asked of one field.

use crate::event::Scalar;
use crate::limits::{REGEX_BYTES_MAX, REGEX_DEPTH_MAX, REGEX_PROGRAM_BYTES_MAX};
use crate::modifier::{Anchor, Order, RegexFlags, TimePart};
use crate::text::{DASHES, Pattern, Piece, fold};
use ipnet::IpNet;
use memchr::memmem;
use regex::{Regex, RegexBuilder};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// One question to one field. Equal predicates are kept once in a rule set.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Predicate {
    /// None: any value in the event.
    pub field: Option<Arc<str>>,
    pub test: Test,
}

/// What is asked. Texts are folded unless `cased`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Test {
    Equals {
        text: String,
        cased: bool,
    },
    StartsWith {
        text: String,
        cased: bool,
    },
    EndsWith {
        text: String,
        cased: bool,
    },
    Contains {
        text: String,
        cased: bool,
    },
    Glob {
        pieces: Vec<Piece>,
        cased: bool,
    },
    Regex {
        pattern: String,
        flags: RegexFlags,
    },
    Cidr(IpNet),
    Number {
        order: Order,
        than: Number,
    },
    TimePart {
        part: TimePart,
        order: Order,
        than: i64,
    },
    /// The field is there, whatever its value; or it is not.
    Exists(bool),
    /// The field is absent or null.
    Null,
    /// The other field has a value that stands in this one's at that place.
    Field {
        other: Arc<str>,
        anchor: Anchor,
        cased: bool,
    },
}

/// A number of a rule, in an order that `Eq` and `Hash` can hold.
#[derive(Debug, Clone, Copy)]
pub enum Number {
    Integer(i64),
    Float(f64),
}

impl Number {
    fn key(self) -> (u8, i64, u64) {
        match self {
            Number::Integer(number) => (0, number, 0),
            Number::Float(number) => (1, 0, number.to_bits()),
        }
    }

    pub(crate) fn float(self) -> f64 {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "compared with a fraction anyway")]
            Number::Integer(number) => number as f64,
            Number::Float(number) => number,
        }
    }

    fn compare(self, other: Number) -> Option<Ordering> {
        match (self, other) {
            (Number::Integer(one), Number::Integer(two)) => Some(one.cmp(&two)),
            (one, two) => one.float().partial_cmp(&two.float()),
        }
    }

    /// A number as an event gives it, in digits or as a number.
    pub fn of(value: &Scalar<'_>) -> Option<Number> {
        match value {
            Scalar::Integer(number) => Some(Number::Integer(*number)),
            Scalar::Float(number) => Some(Number::Float(*number)),
            Scalar::Text(text) => {
                let text = text.trim();
                let integer = text.parse().ok().map(Number::Integer);
                let float = || text.parse().ok().filter(|float: &f64| float.is_finite());
                integer.or_else(|| float().map(Number::Float))
            }
            Scalar::Null | Scalar::Bool(_) => None,
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Number {}

impl std::hash::Hash for Number {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl Order {
    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Order::Equal => ordering.is_eq(),
            Order::Less => ordering.is_lt(),
            Order::LessOrEqual => ordering.is_le(),
            Order::Greater => ordering.is_gt(),
            Order::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

/// The plainest test that a pattern comes down to.
pub(crate) fn test_of(pattern: Pattern, cased: bool) -> Test {
    let pattern = if cased { pattern } else { pattern.folded() };
    match pattern.0.as_slice() {
        [] => Test::Equals { text: String::new(), cased },
        [Piece::Text(text)] => Test::Equals { text: text.clone(), cased },
        [Piece::Text(text), Piece::Many] => Test::StartsWith { text: text.clone(), cased },
        [Piece::Many, Piece::Text(text)] => Test::EndsWith { text: text.clone(), cased },
        [Piece::Many, Piece::Text(text), Piece::Many] => {
            Test::Contains { text: text.clone(), cased }
        }
        _ => Test::Glob { pieces: pattern.0, cased },
    }
}

/// Predicates of a rule set, equal ones kept once, with what has been compiled of them.
#[derive(Debug, Clone, Default)]
pub struct Predicates {
    list: Vec<(Predicate, Option<Regex>)>,
    known: HashMap<Predicate, u32>,
}

impl Predicates {
    pub fn len(&self) -> usize {
        self.list.len()
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Predicate> {
        self.list.iter().map(|(predicate, _)| predicate)
    }

    pub fn predicate(&self, id: u32) -> Option<&Predicate> {
        self.list.get(id as usize).map(|(predicate, _)| predicate)
    }

    /// Gives back what only new predicates need.
    pub(crate) fn close(&mut self) {
        self.known = HashMap::new();
        self.list.shrink_to_fit();
    }

    /// The number of a predicate, a new one if it is not there yet.
    pub(crate) fn intern(&mut self, predicate: Predicate) -> Result<u32, String> {
        if let Some(id) = self.known.get(&predicate) {
            return Ok(*id);
        }
        let regex = match &predicate.test {
            Test::Regex { pattern, flags } => Some(compile_regex(pattern, *flags)?),
            Test::Glob { pieces, .. } if pieces.iter().any(is_open) => {
                Some(compile_regex(&regex_of(pieces), DOT_ALL)?)
            }
            _ => None,
        };
        let id = u32::try_from(self.list.len()).map_err(|_| "too many predicates".to_owned())?;
        self.list.push((predicate.clone(), regex));
        self.known.insert(predicate, id);
        Ok(id)
    }

    /// Whether one value answers the test. Exists, null and field references are not about one value.
    pub(crate) fn fits(&self, id: u32, value: &Scalar<'_>) -> bool {
        // Null is no text; everything else is what it is written as.
        let Some(text) = value.text() else { return false };
        let folds = self.list.get(id as usize).is_some_and(|(predicate, _)| predicate.test.folds());
        let folded = if folds { fold(&text) } else { Cow::Borrowed(text.as_ref()) };
        self.fits_text(id, value, &text, &folded)
    }

    /// As [`Predicates::fits`], with the value's text and its folded text at hand.
    pub(crate) fn fits_text(&self, id: u32, value: &Scalar<'_>, text: &str, folded: &str) -> bool {
        let Some((predicate, regex)) = self.list.get(id as usize) else { return false };
        let of = |cased: &bool| if *cased { text } else { folded };
        match &predicate.test {
            Test::Equals { text, cased } => of(cased) == text,
            Test::StartsWith { text, cased } => of(cased).starts_with(text.as_str()),
            Test::EndsWith { text, cased } => of(cased).ends_with(text.as_str()),
            Test::Contains { text, cased } => {
                memmem::find(of(cased).as_bytes(), text.as_bytes()).is_some()
            }
            Test::Glob { pieces, cased } => match regex {
                Some(regex) => regex.is_match(of(cased)),
                None => glob(pieces, of(cased)),
            },
            Test::Regex { .. } => regex.as_ref().is_some_and(|regex| regex.is_match(text)),
            Test::Cidr(net) => in_net(net, text),
            Test::Number { order, than } => Number::of(value)
                .and_then(|number| number.compare(*than))
                .is_some_and(|ordering| order.holds(ordering)),
            Test::TimePart { part, order, than } => {
                time_part(*part, text).is_some_and(|number| order.holds(number.cmp(than)))
            }
            Test::Exists(_) | Test::Null | Test::Field { .. } => false,
        }
    }
}

impl Test {
    /// Whether it is the folded text that is looked at.
    pub(crate) fn folds(&self) -> bool {
        match self {
            Test::Equals { cased, .. }
            | Test::StartsWith { cased, .. }
            | Test::EndsWith { cased, .. }
            | Test::Contains { cased, .. }
            | Test::Glob { cased, .. } => !cased,
            _ => false,
        }
    }
}

/// Whether a value of one field stands in a value of another.
pub(crate) fn relates(value: &Scalar<'_>, other: &Scalar<'_>, anchor: Anchor, cased: bool) -> bool {
    let (Some(value), Some(other)) = (value.text(), other.text()) else { return false };
    let (value, other) = match cased {
        true => (value, other),
        false => (owned(&value), owned(&other)),
    };
    match anchor {
        Anchor::Whole => value == other,
        // An empty value stands in every other and says nothing.
        _ if other.is_empty() => false,
        Anchor::Start => value.starts_with(other.as_ref()),
        Anchor::End => value.ends_with(other.as_ref()),
        Anchor::Inside => memmem::find(value.as_bytes(), other.as_bytes()).is_some(),
    }
}

fn owned(text: &str) -> Cow<'static, str> {
    Cow::Owned(fold(text).into_owned())
}

/// Pieces of text and runs only: each text is looked for once, from the left.
fn glob(pieces: &[Piece], value: &str) -> bool {
    let mut rest = value;
    let mut open = false;
    for (index, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Text(text) if !open => match rest.strip_prefix(text.as_str()) {
                Some(after) => rest = after,
                None => return false,
            },
            // The last one has to stand at the end, and there only.
            Piece::Text(text) if index + 1 == pieces.len() => return rest.ends_with(text.as_str()),
            Piece::Text(text) => match memmem::find(rest.as_bytes(), text.as_bytes()) {
                Some(at) => rest = rest.get(at + text.len()..).unwrap_or_default(),
                None => return false,
            },
            Piece::Many | Piece::One | Piece::Dash => {}
        }
        open = *piece == Piece::Many;
    }
    open || rest.is_empty()
}

const DOT_ALL: RegexFlags = RegexFlags { insensitive: false, multiline: false, singleline: true };

fn is_open(piece: &Piece) -> bool {
    matches!(piece, Piece::One | Piece::Dash)
}

fn regex_of(pieces: &[Piece]) -> String {
    let mut pattern = String::from(r"\A");
    for piece in pieces {
        match piece {
            Piece::Text(text) => pattern.push_str(&regex::escape(text)),
            Piece::Many => pattern.push_str(".*"),
            Piece::One => pattern.push('.'),
            Piece::Dash => {
                let dashes: String = DASHES.iter().collect();
                pattern.push_str(&format!("[{}]", regex::escape(&dashes)));
            }
        }
    }
    pattern + r"\z"
}

/// `\w`, `\d`, `\s` and `\b` of ASCII, as PCRE has them: of all of Unicode they would also be large.
pub(crate) fn ascii_classes(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('w') => out.push_str("[0-9A-Za-z_]"),
            Some('W') => out.push_str("[^0-9A-Za-z_]"),
            Some('d') => out.push_str("[0-9]"),
            Some('D') => out.push_str("[^0-9]"),
            Some('s') => out.push_str(r"[\t\n\x0B\f\r ]"),
            Some('S') => out.push_str(r"[^\t\n\x0B\f\r ]"),
            Some('b') => out.push_str(r"(?-u:\b)"),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}

/// A regular expression within limits. Its matching takes time linear in the value.
pub(crate) fn compile_regex(pattern: &str, flags: RegexFlags) -> Result<Regex, String> {
    if pattern.len() > 4 * REGEX_BYTES_MAX {
        return Err(format!("the pattern has more than {REGEX_BYTES_MAX} bytes"));
    }
    RegexBuilder::new(&ascii_classes(pattern))
        .case_insensitive(flags.insensitive)
        .multi_line(flags.multiline)
        .dot_matches_new_line(flags.singleline)
        .size_limit(REGEX_PROGRAM_BYTES_MAX)
        .dfa_size_limit(REGEX_PROGRAM_BYTES_MAX)
        .nest_limit(REGEX_DEPTH_MAX)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                format!("it compiles to more than {REGEX_PROGRAM_BYTES_MAX} bytes")
            }
            // The first lines draw the pattern; the last says what is wrong.
            other => other.to_string().lines().last().unwrap_or_default().trim().to_owned(),
        })
}

fn in_net(net: &IpNet, value: &str) -> bool {
    let value = value.trim();
    // A zone names an interface, not an address.
    let address = value.split_once('%').map_or(value, |(address, _)| address);
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    match net {
        IpNet::V6(_) => net.contains(&address) || net.contains(&address.to_canonical()),
        IpNet::V4(_) => net.contains(&address.to_canonical()),
    }
}

/// A part of a time as it is written: no zone is looked at.
fn time_part(part: TimePart, value: &str) -> Option<i64> {
    let value = value.trim();
    let date: jiff::civil::Date = value.get(..10)?.parse().ok()?;
    let clock = || -> Option<(i64, i64)> {
        let rest = value.get(10..)?.strip_prefix(['T', 't', ' '])?;
        let (hour, rest) = rest.split_at_checked(2)?;
        let minute = rest.strip_prefix(':')?.get(..2)?;
        let hour: u8 = hour.parse().ok().filter(|hour| *hour < 24)?;
        let minute: u8 = minute.parse().ok().filter(|minute| *minute < 60)?;
        Some((hour.into(), minute.into()))
    };
    Some(match part {
        TimePart::Year => date.year().into(),
        TimePart::Month => date.month().into(),
        TimePart::Day => date.day().into(),
        TimePart::Week => date.iso_week_date().week().into(),
        TimePart::Hour => clock()?.0,
        TimePart::Minute => clock()?.1,
    })
}

#[cfg(test)]
mod tests;
