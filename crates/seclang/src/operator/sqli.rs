//! Whether a value is SQL that was injected, judged as libinjection 3.9.2 judges it: same verdict,
//! same fingerprint.
//!
//! A value is read as SQL three ways: as it is, from within single quotes, and from within double
//! quotes. Its first tokens are folded to at most five, their kinds are the fingerprint, and a table
//! knows the fingerprints of injections. Time is linear in the value and nothing is allocated.

mod fold;
mod tables;
mod token;

use fold::Folded;
use token::{Dialect, Source, Token, kind};

/// Tokens in a fingerprint.
pub const FINGERPRINT_MAX: usize = 5;

/// The kinds of an injection's tokens, such as `s&1c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    kinds: [u8; FINGERPRINT_MAX],
    len: usize,
}

impl Fingerprint {
    /// A token that no two databases read alike makes a fingerprint of its own.
    const EVIL: Self = Self { kinds: [kind::EVIL, 0, 0, 0, 0], len: 1 };

    fn of(tokens: &[Token]) -> Self {
        if tokens.iter().any(|token| token.kind() == kind::EVIL) {
            return Self::EVIL;
        }
        let mut fingerprint = Self { kinds: [0; FINGERPRINT_MAX], len: 0 };
        for (place, token) in fingerprint.kinds.iter_mut().zip(tokens) {
            *place = token.kind();
            fingerprint.len += 1;
        }
        fingerprint
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.kinds.get(..self.len).unwrap_or_default()
    }
}

/// The fingerprint of `value`, if it is an injection.
pub fn sqli(value: &[u8]) -> Option<Fingerprint> {
    let source = Source { tables: tables::get(), value };
    let try_as = |quote, dialect| Reading::new(source, quote, dialect);
    let try_both = |quote| {
        let ansi = try_as(quote, Dialect::Ansi);
        ansi.injection().or_else(|| {
            // Where MySQL reads comments otherwise than the standard says, it is asked, too.
            let differs = ansi.folded.dialects_differ;
            differs.then(|| try_as(quote, Dialect::MySql).injection()).flatten()
        })
    };
    if let Some(found) = try_both(None) {
        return Some(found);
    }
    if memchr::memchr(b'\'', value).is_some()
        && let Some(found) = try_both(Some(b'\''))
    {
        return Some(found);
    }
    memchr::memchr(b'"', value)?;
    try_as(Some(b'"'), Dialect::MySql).injection()
}

/// One way to read a value.
struct Reading<'a> {
    source: Source<'a>,
    folded: Folded,
    fingerprint: Fingerprint,
}

impl<'a> Reading<'a> {
    fn new(source: Source<'a>, quote: Option<u8>, dialect: Dialect) -> Self {
        let mut folded = fold::fold(source, quote, dialect);
        // PHP and MySQL let an unclosed backtick at the very end start a comment.
        if let [_, _, .., last] = folded.tokens_mut()
            && last.kind() == kind::BAREWORD
            && last.open() == b'`'
            && last.close() == 0
            && last.len() == 0
        {
            *last = last.with_kind(kind::COMMENT);
        }
        let fingerprint = Fingerprint::of(folded.tokens());
        Self { source, folded, fingerprint }
    }

    fn injection(&self) -> Option<Fingerprint> {
        let known = self.source.tables.is_fingerprint(self.fingerprint.as_bytes());
        (known && !self.is_harmless()).then_some(self.fingerprint)
    }

    /// What has the fingerprint of an injection, but is more often plain text.
    fn is_harmless(&self) -> bool {
        let kinds = self.fingerprint.as_bytes();
        // Microsoft's audit log leaves out statements with this word in them.
        if let [_, .., kind::COMMENT] = kinds
            && memchr::memmem::find(self.source.value, b"sp_password").is_some()
        {
            return false;
        }
        match (kinds, self.folded.tokens()) {
            ([_, _], [first, second, ..]) => self.is_harmless_pair(first, second),
            ([_, _, _], [first, second, third, ..]) => match kinds {
                b"sos" | b"s&s" => {
                    // The end of one string and the start of another are: `…a' + 'b…`.
                    let joins =
                        first.open() == 0 && third.close() == 0 && first.close() == third.open();
                    !joins
                }
                b"s&n" | b"n&1" | b"1&1" | b"1&v" | b"1&s" => self.folded.read == 3,
                _ => {
                    second.kind() == kind::KEYWORD
                        && !(second.len() >= 5
                            && self
                                .source
                                .text(second)
                                .get(..4)
                                .is_some_and(|head| head.eq_ignore_ascii_case(b"INTO")))
                }
            },
            _ => false,
        }
    }

    fn is_harmless_pair(&self, first: &Token, second: &Token) -> bool {
        if second.kind() == kind::UNION {
            return self.folded.read == 2;
        }
        match (first.kind(), second.kind(), second.first()) {
            (_, _, b'#') => true,
            (kind::BAREWORD, kind::COMMENT, starts) => starts != b'/',
            (kind::NUMBER, kind::COMMENT, b'/') => false,
            (kind::NUMBER, kind::COMMENT, _) => {
                // `12-ab--` may be base64; `12--` is not. What was folded is no number at all.
                let at = |index| self.source.value.get(index).copied().unwrap_or(0);
                let after = first.len();
                self.folded.read <= 2
                    && !matches!(
                        (at(after), at(after + 1)),
                        (0..=b' ' | 0x80.., _) | (b'/', b'*') | (b'-', b'-')
                    )
            }
            (_, _, b'-') => second.len() > 2,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests;
