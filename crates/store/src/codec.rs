//! One event as bytes, for the intake log and the memory buffer.
//!
//! A fixed head (version, id, time, received, class) lets a reader skip a record without decoding
//! it; then come the columns that have a value, by their number in [`COLUMNS`], and `rest` as
//! JSON. [`COLUMNS`] only ever grows at its end, so an old record reads the same for ever; a
//! record written by a newer Plura with columns unknown here is refused, not guessed at.

use schema::{COLUMNS, Cell, ColumnKind, Event, OwnedCell, Timestamp};
use serde_json::{Map, Value};
use uuid::Uuid;

/// The first byte of every record.
const VERSION: u8 = 1;
/// Version, id, time, received, class.
const HEAD_BYTES: usize = 1 + 16 + 8 + 8 + 8;
/// Ends the list of columns; `rest` follows.
const END: u8 = 0xff;
/// Columns 0 `id`, 1 `time`, 2 `received` and 3 `class_uid` live in the head.
const HEAD_COLUMNS: usize = 4;

/// What can be known of a record without decoding it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub id: Uuid,
    pub time: Timestamp,
    pub received: Timestamp,
    pub class: i64,
}

pub(crate) fn encode(event: &Event, out: &mut Vec<u8>) {
    out.push(VERSION);
    out.extend_from_slice(event.id.as_bytes());
    out.extend_from_slice(&event.time.to_le_bytes());
    out.extend_from_slice(&event.received.to_le_bytes());
    out.extend_from_slice(&event.class_uid.to_le_bytes());
    event.for_each_cell(|column, cell| {
        if column < HEAD_COLUMNS || cell == Cell::Null {
            return;
        }
        // COLUMNS has fewer than 255 entries: see `columns_fit_a_byte`.
        out.push(column as u8);
        match cell {
            Cell::Null => {}
            Cell::Text(text) => put_bytes(out, text.as_bytes()),
            Cell::Int(number) => put_varint(out, zigzag(number)),
            Cell::Bool(flag) => out.push(u8::from(flag)),
            Cell::Json(value) => put_json(out, value),
            Cell::Uuid(id) => out.extend_from_slice(id.as_bytes()),
        }
    });
    out.push(END);
    if !event.rest.is_empty() {
        put_json(out, &event.rest);
    }
}

/// The head of a record, or `None` when these bytes are not one.
pub(crate) fn head(record: &[u8]) -> Option<Head> {
    let mut reader = Reader { bytes: record };
    reader.head()
}

/// A value as it stands in the record; JSON is still text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum RawCell<'a> {
    Text(&'a str),
    Int(i64),
    Bool(bool),
    Json(&'a str),
    Uuid(Uuid),
}

/// Calls `visit` with every column that has a value, in column order, and returns `rest` as JSON
/// text. `None` when these bytes are not a record.
pub(crate) fn visit<'a>(
    record: &'a [u8],
    mut visit: impl FnMut(usize, RawCell<'a>),
) -> Option<Option<&'a str>> {
    let mut reader = Reader { bytes: record };
    let head = reader.head()?;
    visit(0, RawCell::Uuid(head.id));
    visit(1, RawCell::Int(head.time));
    visit(2, RawCell::Int(head.received));
    visit(3, RawCell::Int(head.class));
    loop {
        let column = reader.byte()?;
        if column == END {
            break;
        }
        let column = usize::from(column);
        let cell = match COLUMNS.get(column)?.kind {
            ColumnKind::Text => RawCell::Text(reader.text()?),
            ColumnKind::Json => RawCell::Json(reader.text()?),
            ColumnKind::Int | ColumnKind::Time => RawCell::Int(unzigzag(reader.varint()?)),
            ColumnKind::Bool => RawCell::Bool(reader.byte()? != 0),
            ColumnKind::Uuid => RawCell::Uuid(Uuid::from_bytes(reader.array()?)),
        };
        visit(column, cell);
    }
    if reader.bytes.is_empty() { Some(None) } else { Some(Some(reader.text()?)) }
}

/// The whole event, or `None` when these bytes are not one.
pub(crate) fn decode(record: &[u8]) -> Option<Event> {
    let mut event = Event::default();
    let mut sound = true;
    let rest = visit(record, |column, cell| {
        let Some(column) = COLUMNS.get(column) else { return };
        let owned = match cell {
            RawCell::Text(text) => OwnedCell::Text(text.to_owned()),
            RawCell::Int(number) => OwnedCell::Int(number),
            RawCell::Bool(flag) => OwnedCell::Bool(flag),
            RawCell::Uuid(id) => OwnedCell::Uuid(id),
            RawCell::Json(text) => match serde_json::from_str(text) {
                Ok(value) => OwnedCell::Json(value),
                Err(_) => {
                    sound = false;
                    return;
                }
            },
        };
        sound &= event.set(column.name, owned);
    })?;
    if let Some(rest) = rest {
        event.rest = serde_json::from_str::<Map<String, Value>>(rest).ok()?;
    }
    sound.then_some(event)
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, left) = self.bytes.split_at_checked(count)?;
        self.bytes = left;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, left) = self.bytes.split_first()?;
        self.bytes = left;
        Some(*first)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.varint()?).ok()?;
        std::str::from_utf8(self.take(length)?).ok()
    }

    fn head(&mut self) -> Option<Head> {
        if self.bytes.len() < HEAD_BYTES || self.byte()? != VERSION {
            return None;
        }
        Some(Head {
            id: Uuid::from_bytes(self.array()?),
            time: i64::from_le_bytes(self.array()?),
            received: i64::from_le_bytes(self.array()?),
            class: i64::from_le_bytes(self.array()?),
        })
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_json(out: &mut Vec<u8>, value: &impl serde::Serialize) {
    // JSON values with text keys always serialise; were it otherwise, null is stored.
    let text = serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec());
    put_bytes(out, &text);
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_comes_back_as_it_was() {
        let (mut event, _) = Event::from_ocsf(json!({
            "metadata": { "uid": "0190aaaa-bbbb-7ccc-8ddd-eeeeffff0000", "log_source": "gw-1", "sequence": 9_007_199_254_740_993_i64 },
            "time": -5, "class_uid": 4002, "activity_id": 6, "severity_id": 1,
            "plura": { "request": { "body": "비밀번호=****", "truncated": true }, "sealed": { "a": [1, null] } },
            "http_request": { "url": { "port": 443 } }, "extra": { "deep": [1.5, "x"] }
        }));
        event.src_port = Some(i64::MIN);
        let mut bytes = Vec::new();
        encode(&event, &mut bytes);
        assert_eq!(decode(&bytes), Some(event.clone()));
        assert_eq!(head(&bytes), Some(Head { id: event.id, time: -5, received: 0, class: 4002 }));
    }

    #[test]
    fn cut_or_changed_bytes_are_refused_without_panic() {
        let event = Event { message: Some("hello".into()), ..Event::default() };
        let mut bytes = Vec::new();
        encode(&event, &mut bytes);
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end]), None, "cut at {end}");
        }
        for at in 0..bytes.len() {
            for value in [0, 0x7f, 0x80, 0xfe, 0xff] {
                let mut changed = bytes.clone();
                changed[at] = value;
                let _ = decode(&changed);
            }
        }
    }

    #[test]
    fn columns_fit_a_byte() {
        assert!(COLUMNS.len() < usize::from(END));
        let names: Vec<_> = COLUMNS.iter().take(HEAD_COLUMNS).map(|c| c.name).collect();
        assert_eq!(names, ["id", "time", "received", "class_uid"]);
    }
}
