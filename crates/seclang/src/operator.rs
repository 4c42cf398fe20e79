//! Operators (reference manual, "Operators").

mod address;
mod compile;
mod injection;
mod needs;
mod number;
mod pattern;
mod pcre;
pub mod sqli;
mod validate;
mod verify;
mod words;
pub mod xss;

pub use needs::Needs;
pub use pattern::Pattern;
pub use words::Words;

use crate::rule::Text;
use ipnet::IpNet;

/// `TX.0` to `TX.9`.
pub const CAPTURES_MAX: usize = 10;

/// An operator with its argument, ready to run.
#[derive(Clone, Debug)]
pub enum Operator {
    // Text against text; the argument may have macros.
    BeginsWith(Text),
    Contains(Text),
    ContainsWord(Text),
    EndsWith(Text),
    /// Also `@strmatch`, whose patterns libmodsecurity treats as plain text.
    StrMatch(Text),
    StrEq(Text),
    Within(Text),
    // Numbers against numbers; what is no number counts as 0.
    Eq(Text),
    Ge(Text),
    Gt(Text),
    Le(Text),
    Lt(Text),
    /// `@pm` and `@pmFromFile`: any of these words, without regard to ASCII case.
    Pm(Box<Words>),
    Rx(Box<Pattern>),
    /// Every match of the pattern is captured, not just the first.
    RxGlobal(Box<Pattern>),
    /// A pattern with macros in it is compiled when it runs.
    RxText(Text),
    IpMatch(Vec<IpNet>),
    DetectSqli,
    DetectXss,
    ValidateByteRange(crate::byteset::ByteSet),
    ValidateUrlEncoding,
    ValidateUtf8Encoding,
    VerifyCc(Box<Pattern>),
    VerifyCpf(Box<Pattern>),
    VerifySsn(Box<Pattern>),
    VerifySvnr(Box<Pattern>),
    UnconditionalMatch,
    NoMatch,
}

/// What a match caught: `TX.0` to `TX.9`. Reused from test to test.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captures {
    pub groups: Vec<Vec<u8>>,
}

/// What a test took beyond one look at the value, and whether it came to an end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// Looked at again, in bytes.
    pub bytes: u64,
    /// It gave up: that nothing was found says nothing.
    pub gave_up: bool,
}

impl Captures {
    pub fn clear(&mut self) {
        self.groups.clear();
    }

    /// At most [`CAPTURES_MAX`] are kept.
    pub fn push(&mut self, group: &[u8]) {
        if self.groups.len() < CAPTURES_MAX {
            self.groups.push(group.to_vec());
        }
    }
}

impl Operator {
    /// `@rx` whose macros are expanded. What is no pattern then matches nothing.
    pub fn rx_now(argument: &[u8]) -> Self {
        Pattern::new(argument).map_or(Self::NoMatch, |pattern| Self::Rx(Box::new(pattern)))
    }

    /// Whether `value` matches. `argument` is the text argument with its macros expanded (empty for
    /// operators that have none); what it catches is put into `captures` when that is asked for.
    pub fn test(&self, value: &[u8], argument: &[u8], captures: Option<&mut Captures>) -> bool {
        self.test_telling(value, argument, captures, &mut Effort::default())
    }

    /// As [`test`](Self::test), and adds to `effort`.
    pub fn test_telling(
        &self,
        value: &[u8],
        argument: &[u8],
        captures: Option<&mut Captures>,
        effort: &mut Effort,
    ) -> bool {
        let mut captures = captures;
        if let Some(captures) = captures.as_deref_mut() {
            captures.clear();
        }
        match self {
            Self::BeginsWith(_) => value.starts_with(argument),
            Self::EndsWith(_) => value.ends_with(argument),
            Self::Contains(_) | Self::StrMatch(_) => {
                memchr::memmem::find(value, argument).is_some()
            }
            Self::ContainsWord(_) => words::contains_word(value, argument),
            Self::StrEq(_) => value == argument,
            Self::Within(_) => memchr::memmem::find(argument, value).is_some(),
            Self::Eq(_) => number::parse(value) == number::parse(argument),
            Self::Ge(_) => number::parse(value) >= number::parse(argument),
            Self::Gt(_) => number::parse(value) > number::parse(argument),
            Self::Le(_) => number::parse(value) <= number::parse(argument),
            Self::Lt(_) => number::parse(value) < number::parse(argument),
            Self::Pm(words) => words.test(value, captures),
            Self::Rx(pattern) => {
                effort.gave_up |= pattern.regex().is_none();
                pattern.test(value, captures)
            }
            Self::RxGlobal(pattern) => {
                effort.gave_up |= pattern.regex().is_none();
                pattern.test_all(value, captures)
            }
            Self::RxText(_) => {
                let now = Self::rx_now(argument);
                effort.gave_up |= matches!(now, Self::NoMatch);
                now.test_telling(value, b"", captures, effort)
            }
            Self::IpMatch(nets) => address::is_in(nets, value),
            Self::DetectSqli => injection::sqli(value, captures),
            Self::DetectXss => injection::xss(value, captures),
            Self::ValidateByteRange(allowed) => value.iter().any(|byte| !allowed.contains(*byte)),
            Self::ValidateUrlEncoding => validate::is_bad_url(value),
            Self::ValidateUtf8Encoding => validate::is_bad_utf8(value),
            Self::VerifyCc(pattern) => {
                verify::find(pattern, value, verify::is_card, captures, effort)
            }
            Self::VerifyCpf(pattern) => {
                verify::find(pattern, value, verify::is_cpf, captures, effort)
            }
            Self::VerifySsn(pattern) => {
                verify::find(pattern, value, verify::is_ssn, captures, effort)
            }
            Self::VerifySvnr(pattern) => {
                verify::find(pattern, value, verify::is_svnr, captures, effort)
            }
            Self::UnconditionalMatch => true,
            Self::NoMatch => false,
        }
    }
}

#[cfg(test)]
mod tests;
