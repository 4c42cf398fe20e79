//! Texts of rules: wildcards and escapes, case, and the encodings that modifiers ask for.

use crate::limits::{EXPAND_TEXTS_MAX, WINDASH_TEXTS_MAX};
use crate::modifier::{Anchor, Encoding};
use data_encoding::BASE64;
use std::borrow::Cow;

/// Folds case: every character to its lower case, where that is one character.
///
/// So length in characters never changes, and `İ` (whose lower case is two) stays as it is. Final sigma is
/// not told from sigma, the Kelvin sign is a `k`; `ß` is not `ss`.
pub fn fold(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        return Cow::Borrowed(text);
    }
    let mut folded = String::with_capacity(text.len());
    fold_into(text, &mut folded);
    Cow::Owned(folded)
}

/// Adds the folded text to another.
pub(crate) fn fold_into(text: &str, folded: &mut String) {
    let mut rest = text;
    while !rest.is_empty() {
        let ascii = rest.bytes().position(|byte| !byte.is_ascii()).unwrap_or(rest.len());
        let (plain, other) = rest.split_at(ascii);
        let from = folded.len();
        folded.push_str(plain);
        if let Some(added) = folded.get_mut(from..) {
            added.make_ascii_lowercase();
        }
        let mut chars = other.chars();
        folded.extend(chars.next().map(fold_char));
        rest = chars.as_str();
    }
}

fn fold_char(c: char) -> char {
    if c == 'ς' {
        return 'σ';
    }
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

/// A piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Piece {
    Text(String),
    /// Any run of characters, none included.
    Many,
    /// Any one character.
    One,
    /// Any of the five characters that lead a Windows switch.
    Dash,
}

/// The characters `windash` takes for one another.
pub const DASHES: [char; 5] = ['-', '/', '–', '—', '―'];

/// A text with wildcards.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Pattern(pub Vec<Piece>);

impl Pattern {
    /// `\*`, `\?` and `\\` stand for the character behind the backslash; before any other a backslash is one.
    pub(crate) fn parse(text: &str) -> Pattern {
        let mut pattern = Pattern::default();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' => match chars.next_if(|next| matches!(next, '*' | '?' | '\\')) {
                    Some(next) => pattern.push_char(next),
                    None => pattern.push_char('\\'),
                },
                '*' => pattern.push(Piece::Many),
                '?' => pattern.push(Piece::One),
                other => pattern.push_char(other),
            }
        }
        pattern
    }

    fn plain(text: String) -> Pattern {
        Pattern(if text.is_empty() { Vec::new() } else { vec![Piece::Text(text)] })
    }

    fn push_char(&mut self, c: char) {
        match self.0.last_mut() {
            Some(Piece::Text(text)) => text.push(c),
            _ => self.0.push(Piece::Text(c.to_string())),
        }
    }

    fn push(&mut self, piece: Piece) {
        match (&piece, self.0.last_mut()) {
            (Piece::Many, Some(Piece::Many)) => {}
            (Piece::Text(more), Some(Piece::Text(text))) => text.push_str(more),
            _ => self.0.push(piece),
        }
    }

    /// The text, where there are no wildcards.
    pub(crate) fn as_plain(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    pub(crate) fn folded(self) -> Pattern {
        let fold_piece = |piece| match piece {
            Piece::Text(text) => Piece::Text(fold(&text).into_owned()),
            other => other,
        };
        Pattern(self.0.into_iter().map(fold_piece).collect())
    }

    pub(crate) fn anchored(mut self, anchor: Anchor) -> Pattern {
        if matches!(anchor, Anchor::End | Anchor::Inside) && self.0.first() != Some(&Piece::Many) {
            self.0.insert(0, Piece::Many);
        }
        if matches!(anchor, Anchor::Start | Anchor::Inside) && self.0.last() != Some(&Piece::Many) {
            self.0.push(Piece::Many);
        }
        self
    }

    /// Every dash that begins a word, with nothing of a word before it, becomes any of the five.
    ///
    /// A text with few of them becomes several plain texts; one with many keeps the places open.
    pub(crate) fn windash(self) -> Vec<Pattern> {
        let mut open = Pattern::default();
        let mut before = None;
        for piece in &self.0 {
            let Piece::Text(text) = piece else {
                before = None;
                open.push(piece.clone());
                continue;
            };
            let mut chars = text.chars().peekable();
            while let Some(c) = chars.next() {
                let after = chars.peek().copied();
                let starts = !before.is_some_and(is_word) && after.is_some_and(is_word);
                match DASHES.contains(&c) && starts {
                    true => open.push(Piece::Dash),
                    false => open.push_char(c),
                }
                before = Some(c);
            }
        }
        let dashes = open.0.iter().filter(|piece| **piece == Piece::Dash).count();
        let texts = u32::try_from(dashes).ok().and_then(|dashes| DASHES.len().checked_pow(dashes));
        if texts.is_none_or(|texts| texts > WINDASH_TEXTS_MAX) {
            return vec![open];
        }
        let mut all = vec![Pattern::default()];
        for piece in open.0 {
            match piece {
                Piece::Dash => {
                    all = all
                        .iter()
                        .flat_map(|pattern| {
                            DASHES.iter().map(|dash| {
                                let mut pattern = pattern.clone();
                                pattern.push_char(*dash);
                                pattern
                            })
                        })
                        .collect();
                }
                other => all.iter_mut().for_each(|pattern| pattern.push(other.clone())),
            }
        }
        all
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Bytes of a text in an encoding; base64 is a text again.
pub(crate) fn encode(text: &str, encodings: &[Encoding]) -> Result<Vec<Pattern>, String> {
    let mut bytes = text.as_bytes().to_vec();
    let mut plain = true;
    for encoding in encodings {
        match encoding {
            Encoding::Utf16Le => bytes = text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Encoding::Utf16Be => bytes = text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            Encoding::Utf16 => {
                let units = std::iter::once(0xfeff).chain(text.encode_utf16());
                bytes = units.flat_map(u16::to_le_bytes).collect();
            }
            Encoding::Base64 => return Ok(vec![Pattern::plain(BASE64.encode(&bytes))]),
            Encoding::Base64Offset => return base64_offsets(&bytes),
        }
        plain = false;
    }
    Ok(vec![Pattern::plain(match plain {
        true => text.to_owned(),
        // A record of text shows each byte as the character of that number.
        false => bytes.iter().copied().map(char::from).collect(),
    })])
}

/// The middle of base64 that stays the same wherever in three bytes the text begins.
fn base64_offsets(bytes: &[u8]) -> Result<Vec<Pattern>, String> {
    let mut patterns = Vec::new();
    for offset in 0..3 {
        let mut padded = vec![b' '; offset];
        padded.extend_from_slice(bytes);
        let encoded = BASE64.encode(&padded);
        let from = [0, 2, 3].get(offset).copied().unwrap_or(0);
        let cut = [0, 3, 2].get(padded.len() % 3).copied().unwrap_or(0);
        let middle = encoded.get(from..encoded.len().saturating_sub(cut)).unwrap_or_default();
        if middle.is_empty() {
            return Err("the value is too short to be found inside base64".to_owned());
        }
        patterns.push(Pattern::plain(middle.to_owned()));
    }
    Ok(patterns)
}

/// Puts values for `%name%`; `\%` is a percent sign.
pub(crate) fn expand(
    text: &str,
    placeholder: &dyn Fn(&str) -> Option<Vec<String>>,
) -> Result<Vec<String>, String> {
    let mut all = vec![String::new()];
    let mut rest = text;
    let add =
        |all: &mut Vec<String>, text: &str| all.iter_mut().for_each(|so_far| so_far.push_str(text));
    while let Some(at) = rest.find('%') {
        let (before, from) = rest.split_at(at);
        let after = from.get(1..).unwrap_or_default();
        if let Some(before) = before.strip_suffix('\\') {
            add(&mut all, before);
            add(&mut all, "%");
            rest = after;
            continue;
        }
        add(&mut all, before);
        let Some((name, behind)) = after.split_once('%').filter(|(name, _)| is_placeholder(name))
        else {
            add(&mut all, "%");
            rest = after;
            continue;
        };
        let values = placeholder(name)
            .filter(|values| !values.is_empty())
            .ok_or_else(|| format!("the placeholder `%{name}%` has no values"))?;
        if all.len().saturating_mul(values.len()) > EXPAND_TEXTS_MAX {
            return Err(format!(
                "placeholders make more than {EXPAND_TEXTS_MAX} texts of one value"
            ));
        }
        all = all
            .iter()
            .flat_map(|so_far| {
                values.iter().map(|value| format!("{so_far}{value}")).collect::<Vec<_>>()
            })
            .collect();
        rest = behind;
    }
    add(&mut all, rest);
    Ok(all)
}

fn is_placeholder(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| is_word(c) || matches!(c, '-' | '.'))
}

#[cfg(test)]
mod tests;
