//! What rules are held against: fields of an event and what kind of event it is.

mod json;
mod name;
mod record;

pub use json::{Cursor, Doc, Json, Kind, Reader};
pub(crate) use name::of_header;
pub use name::{HEADER_CHANNEL, Name};
pub use record::Record;
pub(crate) use record::{descend, own_scalars, scalars};

use crate::limits::EVENT_VALUE_BYTES_MAX;
use crate::rule::LogSource;
use std::borrow::Cow;

/// One value of an event.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar<'e> {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(&'e str),
}

impl<'e> Scalar<'e> {
    /// As it is written; null is not.
    pub fn text(&self) -> Option<Cow<'e, str>> {
        match self {
            Scalar::Null => None,
            Scalar::Bool(true) => Some(Cow::Borrowed("true")),
            Scalar::Bool(false) => Some(Cow::Borrowed("false")),
            Scalar::Integer(number) => Some(Cow::Owned(number.to_string())),
            // `Display` writes a whole number without a fraction.
            Scalar::Float(number) => Some(Cow::Owned(number.to_string())),
            Scalar::Text(text) => Some(Cow::Borrowed(cut(text, EVENT_VALUE_BYTES_MAX))),
        }
    }
}

/// The beginning of a text, whole characters.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    match text.len() <= bytes_max {
        true => text,
        false => text.get(..text.floor_char_boundary(bytes_max)).unwrap_or_default(),
    }
}

/// An event as rules see it.
pub trait Event {
    /// What kind of event its source says it is.
    fn logsource(&self) -> &LogSource;

    /// Gives every value of a field; false if there is no such field. `each` says whether to go on.
    fn field<'e>(&'e self, name: &str, each: &mut dyn FnMut(Scalar<'e>) -> bool) -> bool;

    /// As [`Event::field`]; for events that find prepared names faster.
    fn named<'e>(&'e self, name: &Name, each: &mut dyn FnMut(Scalar<'e>) -> bool) -> bool {
        self.field(name.text(), each)
    }

    /// Gives every value of the event with the name of its field.
    fn every<'e>(&'e self, each: &mut dyn FnMut(&'e str, Scalar<'e>) -> bool);
}

#[cfg(test)]
mod tests;
