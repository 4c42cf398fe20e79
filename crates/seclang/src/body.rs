//! Bodies in, named values out: urlencoded, multipart, JSON, XML, and streams of JSON events.
//!
//! What a processor understood before an error stays: it is evidence, and rules still look at it.

pub mod events;
pub mod json;
pub mod multipart;
pub mod urlencoded;
pub mod xml;
mod xpath;

use crate::verdict::Limit;

/// Why a body is not what its content type says: the text of `REQBODY_ERROR_MSG`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("JSON parsing error: {0}")]
    Json(String),
    /// It goes on beyond a limit: what follows was not looked at.
    #[error("JSON parsing error: {1}")]
    JsonLimit(Limit, &'static str),
    #[error("Multipart parsing error: {0}")]
    Multipart(String),
    #[error("XML parsing error: {0}")]
    Xml(String),
}

impl BodyError {
    /// The limit that was reached, if it was one.
    pub fn limit(&self) -> Option<Limit> {
        match self {
            Self::JsonLimit(limit, _) => Some(*limit),
            Self::Json(_) | Self::Multipart(_) | Self::Xml(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
