//! Request bodies in, named values out: urlencoded, multipart, JSON and XML.
//!
//! What a processor understood before an error stays: it is evidence, and rules still look at it.

pub mod json;
pub mod multipart;
pub mod urlencoded;
pub mod xml;
mod xpath;

/// Why a body is not what its content type says: the text of `REQBODY_ERROR_MSG`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("JSON parsing error: {0}")]
    Json(String),
    #[error("Multipart parsing error: {0}")]
    Multipart(String),
    #[error("XML parsing error: {0}")]
    Xml(String),
}

/// What reads a request body, as `REQBODY_PROCESSOR` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processor {
    Urlencoded,
    Multipart,
    Json,
    Xml,
}

impl Processor {
    /// The processor that a content type chooses by itself. JSON and XML are chosen by rules.
    pub fn of_content_type(value: &[u8]) -> Option<Self> {
        let starts_with = |prefix: &[u8]| {
            value.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        if starts_with(b"multipart/form-data") {
            Some(Self::Multipart)
        } else if starts_with(b"application/x-www-form-urlencoded") {
            Some(Self::Urlencoded)
        } else {
            None
        }
    }

    /// The processor that `ctl:requestBodyProcessor` names.
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Urlencoded, Self::Multipart, Self::Json, Self::Xml]
            .into_iter()
            .find(|processor| processor.name().eq_ignore_ascii_case(name))
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Urlencoded => "URLENCODED",
            Self::Multipart => "MULTIPART",
            Self::Json => "JSON",
            Self::Xml => "XML",
        }
    }
}

#[cfg(test)]
mod tests;
