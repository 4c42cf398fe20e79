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
