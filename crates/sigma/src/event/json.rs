//! JSON as records see it: as `serde_json` holds it, or as a tape over the text it came in.

use super::Scalar;
use serde_json::Value;
use simd_json::{Buffers, Node, StaticNode, Tape};

/// One value of a document.
pub trait Json<'a>: Copy {
    /// Whether members are worth putting in a table; not where they are in one already.
    const SCANNED: bool;
    type Items: Iterator<Item = Self>;
    type Members: Iterator<Item = (&'a str, Self)>;

    fn kind(self) -> Kind<'a, Self::Items, Self::Members>;

    /// The member of that name; the last, if there are several.
    fn get(self, name: &str) -> Option<Self>;

    fn is_object(self) -> bool;

    /// How many members or items it has.
    fn count(self) -> usize;
}

pub enum Kind<'a, I, M> {
    Scalar(Scalar<'a>),
    Items(I),
    Members(M),
}

/// A member's name and value.
type Own<'a> = fn((&'a String, &'a Value)) -> (&'a str, &'a Value);

impl<'a> Json<'a> for &'a Value {
    const SCANNED: bool = false;
    type Items = std::slice::Iter<'a, Value>;
    type Members = std::iter::Map<serde_json::map::Iter<'a>, Own<'a>>;

    fn kind(self) -> Kind<'a, Self::Items, Self::Members> {
        match self {
            Value::Null => Kind::Scalar(Scalar::Null),
            Value::Bool(value) => Kind::Scalar(Scalar::Bool(*value)),
            Value::Number(number) => Kind::Scalar(match (number.as_i64(), number.as_f64()) {
                (Some(number), _) => Scalar::Integer(number),
                (None, Some(number)) => Scalar::Float(number),
                (None, None) => Scalar::Null,
            }),
            Value::String(text) => Kind::Scalar(Scalar::Text(text)),
            Value::Array(items) => Kind::Items(items.iter()),
            Value::Object(map) => {
                let own: Own<'a> = |(name, value)| (name.as_str(), value);
                Kind::Members(map.iter().map(own))
            }
        }
    }

    fn get(self, name: &str) -> Option<Self> {
        Value::get(self, name)
    }

    fn is_object(self) -> bool {
        Value::is_object(self)
    }

    fn count(self) -> usize {
        match self {
            Value::Array(items) => items.len(),
            Value::Object(members) => members.len(),
            _ => 0,
        }
    }
}

/// Reads JSON texts one after the other, in memory that is used again.
#[derive(Default)]
pub struct Reader {
    buffers: Buffers,
    tape: Option<Tape<'static>>,
}

impl Reader {
    /// Reads one text, whose escapes are undone in place.
    ///
    /// # Errors
    /// What is wrong with it, and near which byte.
    pub fn read<'t>(&mut self, text: &'t mut [u8]) -> Result<Doc<'t>, String> {
        let mut tape = self.tape.take().map_or_else(Tape::null, Tape::reset);
        simd_json::fill_tape(text, &mut self.buffers, &mut tape)
            .map_err(|error| error.to_string())?;
        Ok(Doc { tape })
    }

    /// Takes back the memory of a document that is no longer needed.
    pub fn done(&mut self, doc: Doc<'_>) {
        self.tape = Some(doc.tape.reset());
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

/// A JSON text that has been read.
#[derive(Debug)]
pub struct Doc<'t> {
    tape: Tape<'t>,
}

impl<'t> Doc<'t> {
    pub fn root(&self) -> Cursor<'_, 't> {
        Cursor(&self.tape.0)
    }
}

/// A value of a [`Doc`]: it and all below it.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a, 't>(&'a [Node<'t>]);

/// How many nodes a value takes, itself included.
fn nodes(node: &Node<'_>) -> usize {
    match node {
        Node::String(_) | Node::Static(_) => 1,
        Node::Object { count, .. } | Node::Array { count, .. } => count + 1,
    }
}

/// The values that follow each other in a list.
#[derive(Debug)]
pub struct Items<'a, 't>(&'a [Node<'t>]);

impl<'a, 't> Iterator for Items<'a, 't> {
    type Item = Cursor<'a, 't>;

    fn next(&mut self) -> Option<Self::Item> {
        let (own, rest) = self.0.split_at_checked(nodes(self.0.first()?))?;
        self.0 = rest;
        Some(Cursor(own))
    }
}

/// Names and values that follow each other in an object.
#[derive(Debug)]
pub struct Members<'a, 't>(Items<'a, 't>);

impl<'a, 't: 'a> Iterator for Members<'a, 't> {
    type Item = (&'a str, Cursor<'a, 't>);

    fn next(&mut self) -> Option<Self::Item> {
        let Cursor([Node::String(name)]) = self.0.next()? else { return None };
        Some((name, self.0.next()?))
    }
}

impl<'a, 't: 'a> Json<'a> for Cursor<'a, 't> {
    const SCANNED: bool = true;
    type Items = Items<'a, 't>;
    type Members = Members<'a, 't>;

    fn kind(self) -> Kind<'a, Self::Items, Self::Members> {
        let Some((node, below)) = self.0.split_first() else { return Kind::Scalar(Scalar::Null) };
        Kind::Scalar(match node {
            Node::String(text) => Scalar::Text(text),
            Node::Static(StaticNode::Null) => Scalar::Null,
            Node::Static(StaticNode::Bool(value)) => Scalar::Bool(*value),
            Node::Static(StaticNode::I64(number)) => Scalar::Integer(*number),
            Node::Static(StaticNode::U64(number)) => match i64::try_from(*number) {
                Ok(number) => Scalar::Integer(number),
                #[expect(clippy::cast_precision_loss, reason = "as any number that is too large")]
                Err(_) => Scalar::Float(*number as f64),
            },
            Node::Static(StaticNode::F64(number)) => Scalar::Float(*number),
            Node::Array { .. } => return Kind::Items(Items(below)),
            Node::Object { .. } => return Kind::Members(Members(Items(below))),
        })
    }

    fn get(self, name: &str) -> Option<Self> {
        let Kind::Members(members) = self.kind() else { return None };
        let mut found = None;
        for (own, value) in members {
            if own == name {
                found = Some(value);
            }
        }
        found
    }

    fn is_object(self) -> bool {
        matches!(self.0.first(), Some(Node::Object { .. }))
    }

    fn count(self) -> usize {
        match self.0.first() {
            Some(Node::Object { len, .. } | Node::Array { len, .. }) => *len,
            _ => 0,
        }
    }
}
