use super::arguments;
use crate::clock;
use crate::reading::Note;
use crate::text::hex;
use schema::Timestamp;
use std::borrow::Cow;
use std::ops::Range;

/// Fields read of one record; EXECVE may have thousands of arguments.
const FIELDS_MAX: usize = 8192;

/// One line, its secrets gone, its fields found.
#[derive(Debug)]
pub(crate) struct Record {
    /// `SYSCALL`, `PATH`…
    pub kind: String,
    /// `node=`, else the host that sent it.
    pub node: String,
    pub time: Timestamp,
    pub serial: u64,
    /// The whole line without secrets.
    pub raw: String,
    pub notes: Vec<Note>,
    fields: Vec<Field>,
}

#[derive(Debug)]
struct Field {
    key: Range<usize>,
    value: Range<usize>,
    quoted: bool,
}

impl Record {
    pub fn parse(prefix: &str, text: &str, host: Option<&str>) -> Option<Record> {
        let mut record = Record {
            kind: String::new(),
            node: host.unwrap_or_default().to_owned(),
            time: 0,
            serial: 0,
            raw: format!("{prefix}{text}"),
            notes: Vec::new(),
            fields: Vec::new(),
        };
        let stamp = text.find("audit(")?;
        for pair in text.get(..stamp)?.split(' ') {
            match pair.split_once('=') {
                Some(("node", node)) => record.node = node.to_owned(),
                Some(("type", kind)) => record.kind = kind_name(kind).into_owned(),
                _ => {}
            }
        }
        let (inner, body) = text.get(stamp + 6..)?.split_once(')')?;
        let (seconds, serial) = inner.split_once(':')?;
        record.time = clock::epoch_seconds(seconds)?;
        record.serial = serial.parse().ok()?;
        if record.kind.is_empty() {
            return None;
        }
        let body_start = record.raw.len() - body.len();
        record.find_fields(body_start);
        if let Some(raw) = arguments::mask_encoded(&record) {
            // Lengths changed: the fields are found anew.
            record.raw = raw;
            record.find_fields(body_start);
        }
        Some(record)
    }

    pub fn with_notes(mut self: Box<Self>, notes: Vec<Note>) -> Box<Self> {
        self.notes = notes;
        self
    }

    /// `key=value`, `key="value"`, both also inside `msg='…'` and `SADDR={ … }`.
    fn find_fields(&mut self, body_start: usize) {
        let bytes = self.raw.as_bytes();
        let mut fields = Vec::new();
        let mut at = body_start;
        let is_gap = |b: u8| matches!(b, b' ' | b',' | b'\'' | b'{' | b'}' | b':' | 0x1d);
        while fields.len() < FIELDS_MAX {
            while bytes.get(at).is_some_and(|b| is_gap(*b)) {
                at += 1;
            }
            let tail = bytes.get(at..).unwrap_or_default();
            if tail.is_empty() {
                break;
            }
            let key_length =
                tail.iter().position(|b| matches!(b, b'=' | b' ' | 0x1d)).unwrap_or(tail.len());
            if tail.get(key_length) != Some(&b'=') {
                at += key_length;
                continue;
            }
            let key = at..at + key_length;
            let start = key.end + 1;
            let (value, quoted, next) = match bytes.get(start) {
                Some(b'"') => {
                    let inner = bytes.get(start + 1..).unwrap_or_default();
                    let length = memchr::memchr(b'"', inner).unwrap_or(inner.len());
                    (start + 1..start + 1 + length, true, start + length + 2)
                }
                Some(b'\'' | b'{') => (start..start, false, start + 1),
                _ => {
                    let tail = bytes.get(start..).unwrap_or_default();
                    let length = tail
                        .iter()
                        .position(|b| matches!(b, b' ' | b'\'' | b'}' | 0x1d))
                        .unwrap_or(tail.len());
                    (start..start + length, false, start + length)
                }
            };
            fields.push(Field { key, value, quoted });
            at = next;
        }
        self.fields = fields;
    }

    /// Every field: key, value as written, whether it was quoted, where the value stands in `raw`.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str, bool, Range<usize>)> {
        self.fields.iter().map(|field| {
            let text = |range: &Range<usize>| self.raw.get(range.clone()).unwrap_or_default();
            (text(&field.key), text(&field.value), field.quoted, field.value.clone())
        })
    }

    /// The value as written; `None` when absent or one of audit's words for nothing.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.find(key).map(|(value, _)| value)
    }

    fn find(&self, key: &str) -> Option<(&str, bool)> {
        self.fields()
            .find(|(name, ..)| *name == key)
            .map(|(_, value, quoted, _)| (value, quoted))
            .filter(|(value, _)| !matches!(*value, "" | "?" | "(null)" | "(none)"))
    }

    pub fn number(&self, key: &str) -> Option<i64> {
        self.get(key)?.parse().ok()
    }

    /// A field the kernel writes as hex when it holds a space, a quote or a byte beyond ASCII.
    pub fn decoded(&self, key: &str) -> Option<String> {
        let (value, quoted) = self.find(key)?;
        Some(decode(value, quoted).into_owned())
    }

    /// The user a numeric field names: auditd's own word for it (`ENRICHED`), `root`, or `uid:1000`.
    pub fn user(&self, key: &str) -> Option<String> {
        let id = self.get(key)?;
        // -1 as unsigned: no login user.
        if id == "4294967295" || id == "-1" || id == "unset" {
            return None;
        }
        let named = self.get(&key.to_ascii_uppercase());
        match named.filter(|name| !name.starts_with("unknown(") && *name != "unset") {
            Some(name) => Some(name.to_owned()),
            None if id == "0" => Some("root".to_owned()),
            None if id.bytes().all(|b| b.is_ascii_digit()) => Some(format!("uid:{id}")),
            None => Some(id.to_owned()),
        }
    }

    /// What AVC and AppArmor records put before their fields: `avc: denied { read } for`.
    pub fn permissions(&self) -> Option<&str> {
        let (_, rest) = self.raw.split_once("denied")?;
        let (_, rest) = rest.split_once('{')?;
        rest.split_once('}').map(|(inner, _)| inner.trim())
    }
}

/// Hex as the text it stands for; anything else as it is.
pub(super) fn decode(value: &str, quoted: bool) -> Cow<'_, str> {
    match hex(value) {
        Some(bytes) if !quoted => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        _ => Cow::Borrowed(value),
    }
}

/// Numbers of `linux/audit.h`, which the kernel writes, as the names auditd writes.
fn kind_name(written: &str) -> Cow<'_, str> {
    let written =
        written.strip_prefix("UNKNOWN[").and_then(|t| t.strip_suffix(']')).unwrap_or(written);
    let name = match written {
        "1006" => "LOGIN",
        "1100" => "USER_AUTH",
        "1101" => "USER_ACCT",
        "1103" => "CRED_ACQ",
        "1104" => "CRED_DISP",
        "1105" => "USER_START",
        "1106" => "USER_END",
        "1112" => "USER_LOGIN",
        "1113" => "USER_LOGOUT",
        "1114" => "ADD_USER",
        "1115" => "DEL_USER",
        "1116" => "ADD_GROUP",
        "1117" => "DEL_GROUP",
        "1123" => "USER_CMD",
        "1300" => "SYSCALL",
        "1302" => "PATH",
        "1305" => "CONFIG_CHANGE",
        "1306" => "SOCKADDR",
        "1307" => "CWD",
        "1309" => "EXECVE",
        "1320" => "EOE",
        "1326" => "SECCOMP",
        "1327" => "PROCTITLE",
        "1400" => "AVC",
        _ => return Cow::Borrowed(written),
    };
    Cow::Borrowed(name)
}
