//! XML bodies: a document in, text and attribute values by path out.
//!
//! No entity is expanded but the five and character references, and nothing outside the document is ever
//! read: a document that declares entities or attribute defaults is an error, since the application may see
//! text in it that we do not.

use super::BodyError;
use crate::verdict::Limit;

mod build;
mod encoding;
pub(crate) mod select;

/// Elements inside elements, as libxml2 allows.
pub const XML_DEPTH_MAX: usize = 256;

/// Elements of a document.
pub const XML_ELEMENTS_MAX: usize = 100_000;

/// Attributes of one element.
pub const XML_ATTRIBUTES_MAX: usize = 256;

/// Values that one path selects: each is looked at by every rule that names the path.
pub const XML_VALUES_MAX: usize = 10_000;

/// A parsed document, or as much of it as could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Xml {
    /// All text, in order: an element's content is one piece of it.
    text: String,
    elements: Vec<Element>,
    attributes: Vec<Attribute>,
    /// Text directly inside an element, between tags.
    runs: Vec<Run>,
    /// Local names and attribute values.
    names: String,
    /// Why there is no more of it.
    pub limit: Option<Limit>,
}

/// From and to.
type Piece = (u32, u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Element {
    name: Piece,
    /// 1 for the root.
    depth: u32,
    text: Piece,
    /// Its own, in `attributes`.
    attributes: Piece,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Attribute {
    name: Piece,
    value: Piece,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    element: u32,
    text: Piece,
}

/// Parses `body`. After an error the document holds what came before it.
pub fn parse(body: &[u8]) -> (Xml, Option<BodyError>) {
    let mut document = Xml::default();
    let result = encoding::decode(body).and_then(|text| build::build(&text, &mut document));
    (document, result.err().map(BodyError::Xml))
}

/// Text of the document longer than 4 GiB has no place; every body has a limit far below.
fn position(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn piece(text: &str, (from, to): Piece) -> &str {
    text.get(from as usize..to as usize).unwrap_or_default()
}

#[cfg(test)]
mod tests;
