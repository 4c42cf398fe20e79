//! Operators (reference manual, "Operators").

use crate::load::Files;
use crate::rule::Text;
use aho_corasick::AhoCorasick;
use ipnet::IpNet;
use regex::bytes::Regex;

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

#[derive(Clone, Debug)]
pub struct Words {
    pub words: Vec<Vec<u8>>,
    pub automaton: AhoCorasick,
}

#[derive(Clone, Debug)]
pub struct Pattern {
    /// As written in the rule.
    pub text: String,
    pub regex: Regex,
}

/// What a match caught: `TX.0` to `TX.9`. Reused from test to test.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captures {
    pub groups: Vec<Vec<u8>>,
}

impl Operator {
    /// `name` is what stands after `@`, `argument` the rest, macros already found.
    ///
    /// # Errors
    /// What is wrong, and a hint, both as [`crate::Diagnostic`] wants them.
    pub fn compile(
        name: &str,
        argument: &Text,
        files: &dyn Files,
        beside: &str,
    ) -> Result<Self, (String, Option<String>)> {
        let _ = (name, argument, files, beside);
        Err(("unknown operator".to_owned(), None))
    }

    /// Whether `value` matches. `argument` is the text argument with its macros expanded (empty for
    /// operators that have none); what it catches is put into `captures` when that is asked for.
    pub fn test(&self, value: &[u8], argument: &[u8], captures: Option<&mut Captures>) -> bool {
        let _ = (value, argument, captures);
        false
    }
}
