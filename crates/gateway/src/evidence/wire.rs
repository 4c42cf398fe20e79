//! Writes an event as one line of OCSF JSON, straight from its columns: the same object
//! [`Event::to_ocsf`] builds, without building it.

use super::observe::Observation;
use schema::{COLUMNS, Cell, Event, OCSF_VERSION};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The columns as the tree their paths make.
enum Node {
    Object(Vec<(String, Node)>),
    Column(usize),
    CategoryUid,
    TypeUid,
    Version,
    /// Present only beside a raw hash.
    HashAlgorithm,
}

static TREE: LazyLock<Vec<(String, Node)>> = LazyLock::new(|| {
    let columns = COLUMNS.iter().enumerate().map(|(i, column)| (column.path, Leaf::Column(i)));
    let derived = [
        ("category_uid", Leaf::CategoryUid),
        ("type_uid", Leaf::TypeUid),
        ("metadata.version", Leaf::Version),
        ("raw_data_hash.algorithm_id", Leaf::HashAlgorithm),
    ];
    let leaves: Vec<(Vec<&str>, Leaf)> =
        columns.chain(derived).map(|(path, leaf)| (path.split('.').collect(), leaf)).collect();
    tree(&leaves, 0)
});

static REQUEST_HEADERS: LazyLock<Option<usize>> = LazyLock::new(|| column("request_headers"));
static RESPONSE_HEADERS: LazyLock<Option<usize>> = LazyLock::new(|| column("response_headers"));
static RECEIVED: LazyLock<Option<usize>> = LazyLock::new(|| column("received"));

fn column(name: &str) -> Option<usize> {
    COLUMNS.iter().position(|column| column.name == name)
}

#[derive(Clone, Copy)]
enum Leaf {
    Column(usize),
    CategoryUid,
    TypeUid,
    Version,
    HashAlgorithm,
}

fn tree(leaves: &[(Vec<&str>, Leaf)], depth: usize) -> Vec<(String, Node)> {
    let mut groups: BTreeMap<&str, Vec<(Vec<&str>, Leaf)>> = BTreeMap::new();
    for (path, leaf) in leaves {
        if let Some(step) = path.get(depth) {
            groups.entry(step).or_default().push((path.clone(), *leaf));
        }
    }
    groups
        .into_iter()
        .map(|(step, group)| {
            let node = match group.as_slice() {
                [(path, leaf)] if path.len() == depth + 1 => match leaf {
                    Leaf::Column(i) => Node::Column(*i),
                    Leaf::CategoryUid => Node::CategoryUid,
                    Leaf::TypeUid => Node::TypeUid,
                    Leaf::Version => Node::Version,
                    Leaf::HashAlgorithm => Node::HashAlgorithm,
                },
                group => Node::Object(tree(group, depth + 1)),
            };
            (step.to_owned(), node)
        })
        .collect()
}

impl Observation<'_> {
    /// Appends the event as one line of JSON, without the line break.
    pub(super) fn write_line(self, out: &mut Vec<u8>) {
        let extra = match extra(&self.event) {
            Ok(extra) => extra,
            Err(NotOurs) => {
                // Fields beyond the columns have to be merged in; rare enough to take the long way.
                if serde_json::to_writer(&mut *out, &self.into_event()).is_err() {
                    // A `Vec` takes every write, and an event has text for keys only.
                    out.clear();
                }
                return;
            }
        };
        let mut cells = Vec::with_capacity(COLUMNS.len());
        self.event.for_each_cell(|_, cell| cells.push(cell));
        let writer = Writer {
            event: &self.event,
            extra,
            cells: &cells,
            request_headers: &self.request_headers,
            response_headers: &self.response_headers,
        };
        out.push(b'{');
        writer.fields(&TREE, out, &mut false);
        out.push(b'}');
    }
}

struct NotOurs;

/// What goes beside the columns of `plura`; nothing else may be there.
fn extra(event: &Event) -> Result<Option<&Map<String, Value>>, NotOurs> {
    match (event.rest.len(), event.rest.get(OURS)) {
        (0, _) => Ok(None),
        (1, Some(Value::Object(extra))) => Ok(Some(extra)),
        _ => Err(NotOurs),
    }
}

const OURS: &str = "plura";

struct Writer<'e> {
    event: &'e Event,
    /// Fields of [`OURS`] without a column.
    extra: Option<&'e Map<String, Value>>,
    cells: &'e [Cell<'e>],
    request_headers: &'e [(&'e str, Cow<'e, str>)],
    response_headers: &'e [(&'e str, Cow<'e, str>)],
}

impl Writer<'_> {
    fn fields(&self, fields: &[(String, Node)], out: &mut Vec<u8>, some: &mut bool) {
        let is_wanted = |name: &str, node: &Node| {
            self.is_present(node) || (self.extra.is_some() && name == OURS)
        };
        for (name, node) in fields.iter().filter(|(name, node)| is_wanted(name, node)) {
            let start = out.len();
            if *some {
                out.push(b',');
            }
            out.push(b'"');
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"\":");
            let written = match node {
                Node::Object(fields) => {
                    out.push(b'{');
                    let mut some = false;
                    self.fields(fields, out, &mut some);
                    if self.extra.is_some() && name == OURS {
                        self.write_extra(out, &mut some);
                    }
                    out.push(b'}');
                    some
                }
                Node::Column(i) => self.column(*i, out),
                Node::CategoryUid => number(self.event.class_uid / 1000, out),
                Node::TypeUid => number(self.event.class_uid * 100 + self.event.activity_id, out),
                Node::Version => text(OCSF_VERSION, out),
                // 3 is SHA-256 in OCSF's fingerprint object.
                Node::HashAlgorithm => self.event.raw_sha256.is_some() && number(3, out),
            };
            if written {
                *some = true;
            } else {
                out.truncate(start);
            }
        }
    }

    fn write_extra(&self, out: &mut Vec<u8>, some: &mut bool) {
        for (name, value) in self.extra.into_iter().flatten() {
            if std::mem::replace(some, true) {
                out.push(b',');
            }
            text(name, out);
            out.push(b':');
            if serde_json::to_writer(&mut *out, value).is_err() {
                // A `Vec` takes every write, and a JSON value has text for keys only.
                out.extend_from_slice(b"null");
            }
        }
    }

    /// Most columns of an HTTP event are empty, whole objects of them.
    fn is_present(&self, node: &Node) -> bool {
        match node {
            Node::Object(fields) => fields.iter().any(|(_, node)| self.is_present(node)),
            // The header columns are written from their lists; `column` leaves out what is not there.
            Node::Column(i) => {
                !matches!(self.cells.get(*i), Some(Cell::Null))
                    || Some(*i) == *REQUEST_HEADERS
                    || Some(*i) == *RESPONSE_HEADERS
            }
            _ => true,
        }
    }

    fn column(&self, i: usize, out: &mut Vec<u8>) -> bool {
        if Some(i) == *REQUEST_HEADERS {
            return headers(self.request_headers, out);
        }
        if Some(i) == *RESPONSE_HEADERS {
            return headers(self.response_headers, out);
        }
        if Some(i) == *RECEIVED && self.event.received == 0 {
            return false;
        }
        match self.cells.get(i) {
            None | Some(Cell::Null) => false,
            Some(Cell::Text(value)) => text(value, out),
            Some(Cell::Int(value)) => number(*value, out),
            Some(Cell::Bool(value)) => {
                out.extend_from_slice(if *value { b"true" } else { b"false" });
                true
            }
            Some(Cell::Json(value)) => serde_json::to_writer(&mut *out, value).is_ok(),
            Some(Cell::Uuid(id)) => {
                let mut buffer = uuid::Uuid::encode_buffer();
                text(id.hyphenated().encode_lower(&mut buffer), out)
            }
        }
    }
}

fn headers(headers: &[(&str, Cow<'_, str>)], out: &mut Vec<u8>) -> bool {
    if headers.is_empty() {
        return false;
    }
    out.push(b'[');
    for (i, (name, value)) in headers.iter().enumerate() {
        out.extend_from_slice(if i == 0 { b"{\"name\":" } else { b",{\"name\":" });
        text(name, out);
        out.extend_from_slice(b",\"value\":");
        text(value, out);
        out.push(b'}');
    }
    out.push(b']');
    true
}

fn number(value: i64, out: &mut Vec<u8>) -> bool {
    // 20 digits and a sign hold any i64.
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        if let Some(digit) = digits.get_mut(at) {
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        }
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
    true
}

/// A JSON string (RFC 8259 §7), escaped as serde_json does.
fn text(value: &str, out: &mut Vec<u8>) -> bool {
    const HEX: [u8; 16] = *b"0123456789abcdef";
    let bytes = value.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let mut copied = 0;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        // Eight bytes at once, to the first that asks for an escape.
        if let Some(eight) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            let plain = plain_bytes(u64::from_le_bytes(*eight));
            at += plain;
            if plain > 0 {
                continue;
            }
        }
        let i = at;
        at += 1;
        if *byte >= 0x20 && *byte != b'"' && *byte != b'\\' {
            continue;
        }
        out.extend_from_slice(bytes.get(copied..i).unwrap_or_default());
        copied = i + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0C => out.extend_from_slice(b"\\f"),
            control => {
                out.extend_from_slice(b"\\u00");
                for nibble in [control >> 4, control & 15] {
                    out.push(HEX.get(usize::from(nibble)).copied().unwrap_or(b'0'));
                }
            }
        }
    }
    out.extend_from_slice(bytes.get(copied..).unwrap_or_default());
    out.push(b'"');
    true
}

/// How many bytes from the first on are neither below 0x20 nor `"` nor `\`.
fn plain_bytes(eight: u64) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // A borrow can flag bytes above the first one flagged, never below it.
    let below = |x: u64, n: u64| x.wrapping_sub(ONES * n) & !x & HIGH;
    let quote = eight ^ (ONES * 0x22);
    let backslash = eight ^ (ONES * 0x5C);
    let flagged = below(eight, 0x20) | below(quote, 1) | below(backslash, 1);
    (flagged.trailing_zeros() / 8) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_line_is_what_to_ocsf_says() {
        let mut event = Event {
            id: uuid::Uuid::from_u128(7),
            time: -5,
            class_uid: 4002,
            activity_id: 6,
            severity_id: 1,
            raw_sha256: Some("ab".to_owned()),
            request_truncated: Some(false),
            latency_ms: Some(i64::MIN),
            response_personal_data: Some(json!({"email": 2})),
            request_body: Some("\u{0}\u{1f}\"\\\n\r\t\u{8}\u{c}\u{7f}한😀".to_owned()),
            ..Event::default()
        };
        let line = |event: &Event| {
            let mut out = Vec::new();
            let headers = vec![("a", Cow::Borrowed("1\"")), ("b", Cow::Borrowed(""))];
            Observation {
                event: event.clone(),
                request_headers: headers,
                response_headers: Vec::new(),
            }
            .write_line(&mut out);
            serde_json::from_slice::<Value>(&out).unwrap()
        };
        let mut expected = event.clone();
        expected.request_headers =
            Some(json!([{"name": "a", "value": "1\""}, {"name": "b", "value": ""}]));
        assert_eq!(line(&event), expected.to_ocsf());
        let ours = json!({"trust": {"decision": "d\"1", "score": 82.41}, "account_from": "a"});
        event.rest.insert("plura".to_owned(), ours.clone());
        expected.rest.insert("plura".to_owned(), ours);
        assert_eq!(line(&event), expected.to_ocsf());
        event.outcome = Some("success".to_owned());
        expected.outcome = Some("success".to_owned());
        assert_eq!(line(&event), expected.to_ocsf());
        event.rest.insert("x".to_owned(), json!(1));
        expected.rest.insert("x".to_owned(), json!(1));
        assert_eq!(line(&event), expected.to_ocsf());
    }
}
