//! JSON bodies, with the argument names that CRS expects.

use jiter::{Jiter, JiterError, Peek};

use super::BodyError;
use crate::bag::Bag;
use crate::verdict::Limit;

/// Names repeat for every value: `json.a.b.array_7`. Together with the values they take at most this many
/// times the body, so that one long key over many small values cannot fill memory.
pub const JSON_OUTPUT_FACTOR: usize = 8;

/// And this much for any body.
pub const JSON_OUTPUT_BYTES_MIN: usize = 128 * 1024;

/// Nesting that is read at most, whatever the settings say.
pub const JSON_DEPTH_MAX: usize = 10_000;

/// Adds every string, number, `true`, `false` and `null` of `body` to `out`.
///
/// A name is the path to the value: `json`, then `.key` for a member and `.array_0`, `.array_1` and on for an
/// element; an empty key is `empty-key`. Strings are decoded, numbers as written, `null` is empty. Duplicate
/// keys all stay. An empty body is no error.
///
/// # Errors
/// Broken, deeper than `depth_max`, more than `arguments_max` values, or broken UTF-8. Values before that are
/// in `out`.
pub fn parse(
    body: &[u8],
    depth_max: usize,
    arguments_max: usize,
    out: &mut Bag,
) -> Result<(), BodyError> {
    read(body, depth_max, arguments_max, None, out)
}

/// As [`parse`], and says of each value added whether it is a string.
///
/// # Errors
/// As [`parse`].
pub fn parse_kinds(
    body: &[u8],
    depth_max: usize,
    arguments_max: usize,
    is_string: &mut Vec<bool>,
    out: &mut Bag,
) -> Result<(), BodyError> {
    read(body, depth_max, arguments_max, Some(is_string), out)
}

fn read(
    body: &[u8],
    depth_max: usize,
    arguments_max: usize,
    kinds: Option<&mut Vec<bool>>,
    out: &mut Bag,
) -> Result<(), BodyError> {
    if body.is_empty() {
        return Ok(());
    }
    let mut walk = Walk {
        jiter: Jiter::new(body),
        path: b"json".to_vec(),
        open: Vec::new(),
        depth_max: depth_max.min(JSON_DEPTH_MAX),
        room: Room {
            values: arguments_max,
            bytes_max: (body.len().saturating_mul(JSON_OUTPUT_FACTOR))
                .max(JSON_OUTPUT_BYTES_MIN)
                .saturating_add(out.bytes()),
            kinds,
        },
    };
    walk.run(out).map_err(|stop| match stop {
        Stop::Broken(error) => BodyError::Json(error.description(&walk.jiter)),
        Stop::Limit(limit, text) => BodyError::JsonLimit(limit, text),
    })
}

struct Walk<'a, 'k> {
    jiter: Jiter<'a>,
    /// The name of the value that comes next.
    path: Vec<u8>,
    open: Vec<Container>,
    depth_max: usize,
    room: Room<'k>,
}

struct Container {
    /// How much of the path is its own name.
    path_bytes: usize,
    /// The elements before the current one, in an array.
    elements: Option<usize>,
}

enum Stop {
    Broken(JiterError),
    Limit(Limit, &'static str),
}

impl From<JiterError> for Stop {
    fn from(error: JiterError) -> Self {
        Self::Broken(error)
    }
}

impl Walk<'_, '_> {
    fn run(&mut self, out: &mut Bag) -> Result<(), Stop> {
        let mut peek = self.jiter.peek()?;
        loop {
            let next = match peek {
                Peek::Array => {
                    self.enter(Some(0))?;
                    let first = self.jiter.known_array()?;
                    self.empty(first.is_none(), out)?;
                    self.element(first)
                }
                Peek::Object => {
                    self.enter(None)?;
                    let first = self.jiter.known_object()?.map(|key| push_key(&mut self.path, key));
                    self.empty(first.is_none(), out)?;
                    self.member(first)?
                }
                _ => {
                    self.value(peek, out)?;
                    None
                }
            };
            peek = match next {
                Some(peek) => peek,
                None => match self.advance()? {
                    Some(peek) => peek,
                    None => return Ok(self.jiter.finish()?),
                },
            };
        }
    }

    /// To the value after this one, leaving what ends here; `None` at the end of the document.
    fn advance(&mut self) -> Result<Option<Peek>, Stop> {
        while let Some(container) = self.open.last_mut() {
            self.path.truncate(container.path_bytes);
            let next = match &mut container.elements {
                Some(elements) => {
                    *elements += 1;
                    let next = self.jiter.array_step()?;
                    self.element(next)
                }
                None => {
                    let next = self.jiter.next_key()?.map(|key| push_key(&mut self.path, key));
                    self.member(next)?
                }
            };
            if next.is_some() {
                return Ok(next);
            }
        }
        Ok(None)
    }

    fn enter(&mut self, elements: Option<usize>) -> Result<(), Stop> {
        if self.open.len() >= self.depth_max {
            return Err(Stop::Limit(Limit::Depth, "Parsing depth limit exceeded"));
        }
        self.open.push(Container { path_bytes: self.path.len(), elements });
        Ok(())
    }

    /// Names the element that comes, or leaves the array.
    fn element(&mut self, next: Option<Peek>) -> Option<Peek> {
        match (next, self.open.last()) {
            (Some(_), Some(Container { elements: Some(index), .. })) => {
                self.path.extend_from_slice(b".array_");
                push_number(&mut self.path, *index);
            }
            _ => {
                self.open.pop();
            }
        }
        next
    }

    /// Looks at the value of the key that was read, or leaves the object.
    fn member(&mut self, key: Option<()>) -> Result<Option<Peek>, Stop> {
        if key.is_some() {
            return Ok(Some(self.jiter.peek()?));
        }
        self.open.pop();
        Ok(None)
    }

    /// An empty container below the top has a name that no value carries: attacks hide in keys, too.
    fn empty(&mut self, is_empty: bool, out: &mut Bag) -> Result<(), Stop> {
        if is_empty && self.open.len() > 1 {
            self.room.add(&self.path, b"", false, out)
        } else {
            Ok(())
        }
    }

    fn value(&mut self, peek: Peek, out: &mut Bag) -> Result<(), Stop> {
        let value: &[u8] = match peek {
            Peek::String => self.jiter.known_str()?.as_bytes(),
            Peek::Null => {
                self.jiter.known_null()?;
                b""
            }
            Peek::True | Peek::False => match self.jiter.known_bool(peek)? {
                true => b"true",
                false => b"false",
            },
            _ => self.jiter.known_number_bytes(peek)?,
        };
        self.room.add(&self.path, value, peek == Peek::String, out)
    }
}

/// What may still be added.
struct Room<'k> {
    values: usize,
    bytes_max: usize,
    kinds: Option<&'k mut Vec<bool>>,
}

impl Room<'_> {
    fn add(
        &mut self,
        name: &[u8],
        value: &[u8],
        is_string: bool,
        out: &mut Bag,
    ) -> Result<(), Stop> {
        if out.bytes() + name.len() + value.len() > self.bytes_max {
            let why = "Arguments are too many times the size of the body";
            return Err(Stop::Limit(Limit::Arguments, why));
        }
        let full = Stop::Limit(Limit::Arguments, "Arguments limit exceeded");
        self.values = self.values.checked_sub(1).ok_or(full)?;
        out.push(name, value);
        if let Some(kinds) = &mut self.kinds {
            kinds.push(is_string);
        }
        Ok(())
    }
}

fn push_key(path: &mut Vec<u8>, key: &str) {
    path.push(b'.');
    path.extend_from_slice(if key.is_empty() { b"empty-key" } else { key.as_bytes() });
}

fn push_number(path: &mut Vec<u8>, mut number: usize) {
    let from = path.len();
    loop {
        path.push(b'0' + u8::try_from(number % 10).unwrap_or_default());
        number /= 10;
        if number == 0 {
            break;
        }
    }
    if let Some(digits) = path.get_mut(from..) {
        digits.reverse();
    }
}

#[cfg(test)]
mod tests;
