//! What the name of a field says about its value.
//!
//! Names are compared without case and separators, so `apiKey`, `API-KEY` and `api_key` are one.
//! English, Korean and Japanese; a site adds its own and exempts others.

mod lists;

pub(super) use lists::NAME_STEMS;
use lists::{
    ABOUT, PERSONAL, PERSONAL_ENDS, PLAIN_ENDS, SECRET, SECRET_ENDS, SECRET_TEXT, SECRET_WORDS,
    STEMS,
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;

/// Personal data we know by its shape or its field's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Korean resident or foreigner registration number.
    Rrn,
    /// Japanese Individual Number.
    MyNumber,
    Card,
    BankAccount,
    Passport,
    Phone,
    Email,
    /// Named by the site: `address`, `birthday`…
    Other,
}

impl Kind {
    pub const ALL: [Kind; 8] = [
        Kind::Rrn,
        Kind::MyNumber,
        Kind::Card,
        Kind::BankAccount,
        Kind::Passport,
        Kind::Phone,
        Kind::Email,
        Kind::Other,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Rrn => "rrn",
            Kind::MyNumber => "my-number",
            Kind::Card => "card",
            Kind::BankAccount => "bank-account",
            Kind::Passport => "passport",
            Kind::Phone => "phone",
            Kind::Email => "email",
            Kind::Other => "other",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Plain,
    /// Everything below the name is destroyed.
    Secret,
    /// Text directly below is destroyed; objects and numbers are looked into (`auth`, `tokens`).
    SecretText,
    Personal(Kind),
}

/// Longest name looked at; of a longer one, its end.
const NAME_CHARS_MAX: usize = 128;

pub(super) struct Names {
    exact: HashMap<String, Class>,
}

impl Names {
    pub(super) fn new<'a>(
        secret: impl IntoIterator<Item = &'a str>,
        personal: impl IntoIterator<Item = (&'a str, Kind)>,
        exempt: impl IntoIterator<Item = &'a str>,
    ) -> Names {
        let mut exact = HashMap::new();
        for (kind, names) in PERSONAL {
            exact.extend(names.iter().map(|n| ((*n).to_owned(), Class::Personal(*kind))));
        }
        exact.extend(SECRET_TEXT.iter().map(|n| ((*n).to_owned(), Class::SecretText)));
        exact.extend(SECRET.iter().map(|n| ((*n).to_owned(), Class::Secret)));
        // The site's word is the last: first what it adds, then what it exempts.
        exact.extend(personal.into_iter().map(|(n, kind)| (joined(n), Class::Personal(kind))));
        exact.extend(secret.into_iter().map(|n| (joined(n), Class::Secret)));
        exact.extend(exempt.into_iter().map(|n| (joined(n), Class::Plain)));
        Names { exact }
    }

    /// What the value of a field called `name` is.
    pub(super) fn classify(&self, name: &str) -> Class {
        let (joined, last_word) = split(name);
        self.classify_joined(&joined, last_word)
    }

    fn classify_joined(&self, joined: &str, last_word: usize) -> Class {
        if joined.is_empty() {
            return Class::Plain;
        }
        if let Some(class) = self.exact.get(joined) {
            return *class;
        }
        // Most names stop here: the stems begin with `pass` or are not ASCII.
        let may_hold_stem =
            !joined.is_ascii() || joined.as_bytes().windows(4).any(|w| w == b"pass");
        for stem in STEMS.iter().filter(|_| may_hold_stem) {
            if let Some(at) = joined.find(stem) {
                let after = joined.get(at + stem.len()..).unwrap_or_default();
                if !ABOUT.contains(&after) {
                    return Class::Secret;
                }
            }
        }
        if PLAIN_ENDS.iter().any(|end| joined.ends_with(end)) {
            return Class::Plain;
        }
        let last = joined.get(last_word..).unwrap_or_default();
        if SECRET_WORDS.contains(&last) || SECRET_ENDS.iter().any(|end| joined.ends_with(end)) {
            return Class::Secret;
        }
        // The last word alone decides for `user[phone]`, `buyer.card_number` by its end.
        match self.exact.get(last) {
            Some(Class::Plain) | None => {}
            Some(class @ (Class::Secret | Class::Personal(_))) if last.len() >= 3 => return *class,
            Some(class @ Class::SecretText)
                if matches!(last, "tokens" | "secrets" | "passwords" | "apikeys") =>
            {
                return *class;
            }
            Some(_) => {}
        }
        for (kind, ends) in PERSONAL_ENDS {
            if ends.iter().any(|end| joined.ends_with(end)) {
                return Class::Personal(*kind);
            }
        }
        // `password2`, `phone1`, `emails`.
        let base = joined.trim_end_matches(|c: char| c.is_ascii_digit());
        if base.len() < joined.len() {
            return self.classify_joined(base, last_word.min(base.len()));
        }
        match joined.strip_suffix('s') {
            Some(single) if single.len() >= 4 => {
                match self.classify_joined(single, last_word.min(single.len())) {
                    Class::Secret => Class::SecretText,
                    class => class,
                }
            }
            _ => Class::Plain,
        }
    }
}

/// The name in lower case without separators.
pub(super) fn joined(name: &str) -> String {
    split(name).0
}

/// The same, with where its last word begins.
fn split(name: &str) -> (String, usize) {
    let skip = name.len().saturating_sub(NAME_CHARS_MAX);
    let skip = (skip..=name.len()).find(|i| name.is_char_boundary(*i)).unwrap_or(0);
    let mut out = String::with_capacity(name.len() - skip);
    let mut last_word = 0;
    if name.is_ascii() {
        // The same as below, byte by byte.
        let mut before = b' ';
        for byte in name.bytes().skip(skip) {
            if byte.is_ascii_alphanumeric() {
                let camel = byte.is_ascii_uppercase()
                    && (before.is_ascii_lowercase() || before.is_ascii_digit());
                if (camel || !before.is_ascii_alphanumeric()) && !byte.is_ascii_digit() {
                    last_word = out.len();
                }
                out.push(char::from(byte.to_ascii_lowercase()));
            }
            before = byte;
        }
        return (out, last_word);
    }
    let mut before = ' ';
    for c in name.get(skip..).unwrap_or_default().chars() {
        if c.is_alphanumeric() || c == 'ー' {
            let camel = c.is_uppercase() && (before.is_lowercase() || before.is_ascii_digit());
            if camel || !(before.is_alphanumeric() || before == 'ー') {
                // `user[0]` still has the word `user`: a bare number is not a word.
                if !c.is_ascii_digit() {
                    last_word = out.len();
                }
            }
            out.extend(c.to_lowercase());
        }
        before = c;
    }
    (out, last_word)
}

#[cfg(test)]
mod tests;
