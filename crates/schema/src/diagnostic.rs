use serde::{Deserialize, Serialize};
use std::fmt;

/// What was wrong with an input, where, and what to do about it.
///
/// Engines return what they understood beside the diagnostics of what they did not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Diagnostic {
    /// Permanent, kebab-case; a code may retire, never change its meaning.
    pub code: String,
    /// `file:line:column`, `line 17`, `$.events[3].time`: where to look.
    pub place: String,
    /// Lowercase, names the thing in backticks.
    pub message: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Diagnostic {
    pub fn new(code: &str, place: impl Into<String>, message: impl Into<String>) -> Self {
        Diagnostic {
            code: code.to_owned(),
            place: place.into(),
            message: message.into(),
            hint: None,
        }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} [{}]", self.place, self.message, self.code)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// The name that is at most a third of its letters away (Levenshtein), the closest one: for
/// "did you mean".
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Longer words are not compared: nobody mistypes those.
    const WORD_BYTES_MAX: usize = 64;
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    names
        .into_iter()
        .filter(|name| name.len() <= WORD_BYTES_MAX)
        .map(|name| (distance(word, name), name))
        .filter(|(steps, name)| *steps * 3 <= name.chars().count().max(3))
        .min()
        .map(|(_, name)| name)
}

fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let diagonal = row.get(j).copied().unwrap_or(usize::MAX - 1);
            let above = row.get(j + 1).copied().unwrap_or(usize::MAX - 1);
            let left = next.last().copied().unwrap_or(usize::MAX - 1);
            let change = if a == *b { diagonal } else { diagonal + 1 };
            next.push(change.min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
