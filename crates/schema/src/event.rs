//! One OCSF event, flat in memory, nested in JSON, a row of columns in the lake.
//!
//! The table at the `event!` call is the one definition: field, type, OCSF path, meaning. What an
//! incoming record holds beyond it stays in [`Event::rest`] and comes out again unchanged.

use crate::{Diagnostic, Entity, EntityKind, OutcomeResult};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use std::sync::OnceLock;
use uuid::Uuid;

/// The OCSF version we write (<https://schema.ocsf.io/1.6.0>).
pub const OCSF_VERSION: &str = "1.6.0";

/// OCSF `class_uid`s we write ourselves; any other is read and kept.
pub mod class {
    /// A record we could not parse: kept whole, searchable, with the reason.
    pub const BASE_EVENT: i64 = 0;
    pub const FILE_SYSTEM_ACTIVITY: i64 = 1001;
    pub const PROCESS_ACTIVITY: i64 = 1007;
    pub const DETECTION_FINDING: i64 = 2004;
    pub const INCIDENT_FINDING: i64 = 2005;
    pub const AUTHENTICATION: i64 = 3002;
    pub const NETWORK_ACTIVITY: i64 = 4001;
    pub const HTTP_ACTIVITY: i64 = 4002;
    pub const API_ACTIVITY: i64 = 6003;
}

/// OCSF `activity_id`s by class.
pub mod activity {
    pub const UNKNOWN: i64 = 0;
    pub const OTHER: i64 = 99;
    /// Authentication.
    pub const LOGON: i64 = 1;
    pub const LOGOFF: i64 = 2;
    /// Process Activity.
    pub const LAUNCH: i64 = 1;
    pub const TERMINATE: i64 = 2;
    /// File System Activity.
    pub const CREATE: i64 = 1;
    pub const UPDATE: i64 = 3;
    pub const DELETE: i64 = 4;
    pub const RENAME: i64 = 5;
    /// Network Activity.
    pub const OPEN: i64 = 1;

    /// HTTP Activity: Connect 1, Delete 2, Get 3, Head 4, Options 5, Post 6, Put 7, Trace 8, Patch 9.
    pub fn of_method(method: &str) -> i64 {
        match method {
            "CONNECT" => 1,
            "DELETE" => 2,
            "GET" => 3,
            "HEAD" => 4,
            "OPTIONS" => 5,
            "POST" => 6,
            "PUT" => 7,
            "TRACE" => 8,
            "PATCH" => 9,
            _ => OTHER,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    Text,
    Int,
    Bool,
    /// JSON as text.
    Json,
    /// Milliseconds since the epoch, UTC.
    Time,
    Uuid,
}

#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// The name in SQL and in Rust.
    pub name: &'static str,
    /// The path in OCSF JSON.
    pub path: &'static str,
    pub kind: ColumnKind,
    pub doc: &'static str,
}

/// One value of one column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    Null,
    Text(&'a str),
    Int(i64),
    Bool(bool),
    Json(&'a Value),
    Uuid(Uuid),
}

/// A value on its way into an event, from the lake or from JSON.
#[derive(Debug, Clone, PartialEq)]
pub enum OwnedCell {
    Null,
    Text(String),
    Int(i64),
    Bool(bool),
    Json(Value),
    Uuid(Uuid),
}

trait Field: Sized {
    const KIND: ColumnKind;
    /// The value, or `None` when `value` is of another type.
    fn from_json(value: &mut Value) -> Option<Self>;
    fn to_json(&self) -> Option<Value>;
    fn cell(&self) -> Cell<'_>;
    fn from_cell(cell: OwnedCell) -> Option<Self>;
}

impl Field for Uuid {
    const KIND: ColumnKind = ColumnKind::Uuid;
    fn from_json(value: &mut Value) -> Option<Self> {
        value.as_str()?.parse().ok()
    }
    fn to_json(&self) -> Option<Value> {
        Some(Value::String(self.to_string()))
    }
    fn cell(&self) -> Cell<'_> {
        Cell::Uuid(*self)
    }
    fn from_cell(cell: OwnedCell) -> Option<Self> {
        match cell {
            OwnedCell::Uuid(id) => Some(id),
            OwnedCell::Text(text) => text.parse().ok(),
            _ => None,
        }
    }
}

impl Field for i64 {
    const KIND: ColumnKind = ColumnKind::Int;
    fn from_json(value: &mut Value) -> Option<Self> {
        whole_number(value)
    }
    fn to_json(&self) -> Option<Value> {
        Some(Value::from(*self))
    }
    fn cell(&self) -> Cell<'_> {
        Cell::Int(*self)
    }
    fn from_cell(cell: OwnedCell) -> Option<Self> {
        match cell {
            OwnedCell::Int(number) => Some(number),
            OwnedCell::Null => Some(0),
            _ => None,
        }
    }
}

fn whole_number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            number.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 9e15).map(|f| f as i64)
        }),
        _ => None,
    }
}

impl Field for Option<String> {
    const KIND: ColumnKind = ColumnKind::Text;
    fn from_json(value: &mut Value) -> Option<Self> {
        match value.take() {
            Value::String(text) => Some(Some(text)),
            Value::Null => Some(None),
            other => {
                *value = other;
                None
            }
        }
    }
    fn to_json(&self) -> Option<Value> {
        self.clone().map(Value::String)
    }
    fn cell(&self) -> Cell<'_> {
        self.as_deref().map_or(Cell::Null, Cell::Text)
    }
    fn from_cell(cell: OwnedCell) -> Option<Self> {
        match cell {
            OwnedCell::Text(text) => Some(Some(text)),
            OwnedCell::Null => Some(None),
            _ => None,
        }
    }
}

impl Field for Option<i64> {
    const KIND: ColumnKind = ColumnKind::Int;
    fn from_json(value: &mut Value) -> Option<Self> {
        if value.is_null() { Some(None) } else { whole_number(value).map(Some) }
    }
    fn to_json(&self) -> Option<Value> {
        self.map(Value::from)
    }
    fn cell(&self) -> Cell<'_> {
        self.map_or(Cell::Null, Cell::Int)
    }
    fn from_cell(cell: OwnedCell) -> Option<Self> {
        match cell {
            OwnedCell::Int(number) => Some(Some(number)),
            OwnedCell::Null => Some(None),
            _ => None,
        }
    }
}

impl Field for Option<bool> {
    const KIND: ColumnKind = ColumnKind::Bool;
    fn from_json(value: &mut Value) -> Option<Self> {
        if value.is_null() { Some(None) } else { value.as_bool().map(Some) }
    }
    fn to_json(&self) -> Option<Value> {
        self.map(Value::from)
    }
    fn cell(&self) -> Cell<'_> {
        self.map_or(Cell::Null, Cell::Bool)
    }
    fn from_cell(cell: OwnedCell) -> Option<Self> {
        match cell {
            OwnedCell::Bool(flag) => Some(Some(flag)),
            OwnedCell::Null => Some(None),
            _ => None,
        }
    }
}

impl Field for Option<Value> {
    const KIND: ColumnKind = ColumnKind::Json;
    fn from_json(value: &mut Value) -> Option<Self> {
        match value.take() {
            Value::Null => Some(None),
            other => Some(Some(other)),
        }
    }
    fn to_json(&self) -> Option<Value> {
        self.clone()
    }
    fn cell(&self) -> Cell<'_> {
        self.as_ref().map_or(Cell::Null, Cell::Json)
    }
    fn from_cell(cell: OwnedCell) -> Option<Self> {
        match cell {
            OwnedCell::Json(value) => Some(Some(value)),
            OwnedCell::Text(text) => serde_json::from_str(&text).ok().map(Some),
            OwnedCell::Null => Some(None),
            _ => None,
        }
    }
}

macro_rules! event {
    ($( #[doc = $doc:literal] $name:ident : $type:ty $(as $kind:ident)? => $path:literal ),* $(,)?) => {
        /// One thing that happened, in OCSF terms. See [`COLUMNS`] for the path of every field.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct Event {
            $( #[doc = $doc] pub $name: $type, )*
            /// What the record held beyond the columns, in its OCSF place.
            pub rest: Map<String, Value>,
        }

        /// Every column, in order. Additive only: a column may be added at the end, never renamed.
        pub const COLUMNS: &[Column] = &[
            $( Column {
                name: stringify!($name),
                path: $path,
                kind: column_kind!($type $(, $kind)?),
                doc: $doc,
            } ),*
        ];

        impl Event {
            /// Takes one column's value; what is of another type moves to `unmapped`.
            fn take_column(&mut self, column: usize, mut value: Value, root: &mut Map<String, Value>, diagnostics: &mut Vec<Diagnostic>) {
                let mut number = 0;
                $(
                    if number == column {
                        match <$type as Field>::from_json(&mut value) {
                            Some(known) => self.$name = known,
                            None => {
                                diagnostics.push(wrong_type($path, <$type as Field>::KIND, &value));
                                put_path(root, concat!("unmapped.", $path), value);
                            }
                        }
                        return;
                    }
                    number += 1;
                )*
                let _ = number;
            }

            fn put_columns(&self, root: &mut Map<String, Value>) {
                $( if let Some(value) = self.$name.to_json() { put_path(root, $path, value); } )*
            }

            /// Calls `visit` with every column's value, in [`COLUMNS`] order.
            pub fn for_each_cell<'a>(&'a self, mut visit: impl FnMut(usize, Cell<'a>)) {
                let mut column = 0;
                $( visit(column, self.$name.cell()); column += 1; )*
                let _ = column;
            }

            /// Sets the column called `name`; `false` when there is none or the value is of another type.
            pub fn set(&mut self, name: &str, cell: OwnedCell) -> bool {
                match name {
                    $( stringify!($name) => match <$type as Field>::from_cell(cell) {
                        Some(value) => { self.$name = value; true }
                        None => false,
                    }, )*
                    _ => false,
                }
            }
        }
    };
}

macro_rules! column_kind {
    ($type:ty) => {
        <$type as Field>::KIND
    };
    ($type:ty, $kind:ident) => {
        ColumnKind::$kind
    };
}

event! {
    /// UUIDv7; the same record sent twice has the same id.
    id: Uuid => "metadata.uid",
    /// When it happened.
    time: i64 as Time => "time",
    /// When Plura received it; 0 when it has not been received yet.
    received: i64 as Time => "metadata.logged_time",
    /// OCSF class; see [`class`].
    class_uid: i64 => "class_uid",
    /// OCSF activity within the class; see [`activity`].
    activity_id: i64 => "activity_id",
    /// OCSF severity of the event itself (1 informational).
    severity_id: i64 => "severity_id",
    /// OCSF status: 1 success, 2 failure, 99 other.
    status_id: Option<i64> => "status_id",
    /// The status code of the source, as text.
    status_code: Option<String> => "status_code",
    /// Why, as the source tells it.
    status_detail: Option<String> => "status_detail",
    /// Human text of the record.
    message: Option<String> => "message",
    /// Who delivered it: gateway or sensor id, file, syslog peer.
    source: Option<String> => "metadata.log_source",
    /// Its number at that source.
    sequence: Option<i64> => "metadata.sequence",
    /// The parser that read it: `nginx-combined`, `linux-audit`…
    log_format: Option<String> => "metadata.log_format",
    /// Product that wrote the record.
    product: Option<String> => "metadata.product.name",
    /// Client address, after trusted proxies.
    src_ip: Option<String> => "src_endpoint.ip",
    /// Client port.
    src_port: Option<i64> => "src_endpoint.port",
    /// Address it went to.
    dst_ip: Option<String> => "dst_endpoint.ip",
    /// Port it went to.
    dst_port: Option<i64> => "dst_endpoint.port",
    /// HTTP method.
    method: Option<String> => "http_request.http_method",
    /// `http` or `https`.
    scheme: Option<String> => "http_request.url.scheme",
    /// Host asked for.
    host: Option<String> => "http_request.url.hostname",
    /// Path as sent, without the query.
    path: Option<String> => "http_request.url.path",
    /// Query string, protected fields masked.
    query: Option<String> => "http_request.url.query_string",
    /// `1.1`, `2`.
    http_version: Option<String> => "http_request.version",
    /// User agent as sent.
    user_agent: Option<String> => "http_request.user_agent",
    /// Referer as sent, protected fields masked.
    referrer: Option<String> => "http_request.referrer",
    /// `[{name,value}]`, secrets masked.
    request_headers: Option<Value> => "http_request.http_headers",
    /// Bytes of request body on the wire.
    request_length: Option<i64> => "http_request.body_length",
    /// Status code answered.
    http_code: Option<i64> => "http_response.code",
    /// `[{name,value}]`, secrets masked.
    response_headers: Option<Value> => "http_response.http_headers",
    /// Bytes of response body on the wire.
    response_length: Option<i64> => "http_response.body_length",
    /// First byte in to last byte out, milliseconds.
    latency_ms: Option<i64> => "http_response.latency",
    /// Media type of the response.
    response_content_type: Option<String> => "http_response.content_type",
    /// Media type of the request.
    request_content_type: Option<String> => "plura.request.content_type",
    /// Request body, decoded and protected.
    request_body: Option<String> => "plura.request.body",
    /// Absent for text, `base64` for bytes.
    request_body_encoding: Option<String> => "plura.request.body_encoding",
    /// SHA-256 of the whole body as sent.
    request_sha256: Option<String> => "plura.request.sha256",
    /// True when the body was longer than the limit.
    request_truncated: Option<bool> => "plura.request.truncated",
    /// Response body, decoded and protected.
    response_body: Option<String> => "plura.response.body",
    /// Absent for text, `base64` for bytes.
    response_body_encoding: Option<String> => "plura.response.body_encoding",
    /// SHA-256 of the whole body as sent.
    response_sha256: Option<String> => "plura.response.sha256",
    /// True when the body was longer than the limit.
    response_truncated: Option<bool> => "plura.response.truncated",
    /// Kinds of personal data found and how many: `{"email":2}`.
    request_personal_data: Option<Value> => "plura.request.personal_data",
    /// Kinds of personal data found and how many.
    response_personal_data: Option<Value> => "plura.response.personal_data",
    /// Pieces of personal data in the response.
    response_personal_count: Option<i64> => "plura.response.personal_count",
    /// Masked originals, encrypted under the tenant's key, where policy keeps them.
    sealed: Option<Value> => "plura.sealed",
    /// The protected application.
    site: Option<String> => "plura.site",
    /// `METHOD /path/template`.
    endpoint: Option<String> => "plura.endpoint",
    /// Keyed hash of the API key or token used.
    credential: Option<String> => "plura.credential",
    /// Keyed hash of the session.
    session: Option<String> => "actor.session.uid",
    /// The account that acted, or tried to log in.
    account: Option<String> => "actor.user.name",
    /// The account acted upon.
    target_account: Option<String> => "user.name",
    /// `success`, `failure` or `unknown`: did what was asked come about?
    outcome: Option<String> => "plura.outcome.result",
    /// What was asked: `login`, `token-issue`, `read`, `upload`…
    outcome_action: Option<String> => "plura.outcome.action",
    /// Why it came out so: `bad-password`, `no-permission`…
    outcome_reason: Option<String> => "plura.outcome.reason",
    /// The object asked for, where a route names one (`order 1042`).
    outcome_object: Option<String> => "plura.outcome.object",
    /// Tokens of an LLM prompt.
    tokens_in: Option<i64> => "plura.outcome.tokens_in",
    /// Tokens of an LLM answer.
    tokens_out: Option<i64> => "plura.outcome.tokens_out",
    /// The rung a gateway applied to this request.
    enforced_rung: Option<String> => "plura.enforcement.rung",
    /// The action that asked for it.
    enforced_action: Option<String> => "plura.enforcement.action_uid",
    /// The host it happened on.
    device: Option<String> => "device.hostname",
    /// That host's permanent id.
    device_uid: Option<String> => "device.uid",
    /// Process id.
    process_pid: Option<i64> => "process.pid",
    /// Process name.
    process_name: Option<String> => "process.name",
    /// Path of its executable.
    process_path: Option<String> => "process.file.path",
    /// Its command line, secrets masked where known.
    process_cmd_line: Option<String> => "process.cmd_line",
    /// User it runs as.
    process_user: Option<String> => "process.user.name",
    /// Parent's process id.
    parent_pid: Option<i64> => "process.parent_process.pid",
    /// Parent's name.
    parent_name: Option<String> => "process.parent_process.name",
    /// Path of the parent's executable.
    parent_path: Option<String> => "process.parent_process.file.path",
    /// Parent's command line.
    parent_cmd_line: Option<String> => "process.parent_process.cmd_line",
    /// Process that did it (file and network activity).
    actor_pid: Option<i64> => "actor.process.pid",
    /// Name of the process that did it.
    actor_name: Option<String> => "actor.process.name",
    /// Executable of the process that did it.
    actor_path: Option<String> => "actor.process.file.path",
    /// File acted upon.
    file_path: Option<String> => "file.path",
    /// Its name.
    file_name: Option<String> => "file.name",
    /// API Activity: the operation.
    api_operation: Option<String> => "api.operation",
    /// Authentication: protocol.
    auth_protocol: Option<String> => "auth_protocol",
    /// Authentication: OCSF logon type.
    logon_type_id: Option<i64> => "logon_type_id",
    /// Why the record could not be read in full.
    diagnostic: Option<String> => "plura.diagnostic.code",
    /// The same in words, with the place.
    diagnostic_detail: Option<String> => "plura.diagnostic.detail",
    /// The record as it came; the whole of it where it was text.
    raw: Option<String> => "raw_data",
    /// SHA-256 of the record as it came.
    raw_sha256: Option<String> => "raw_data_hash.value",
}

impl Event {
    /// Reads one OCSF JSON object. A field of the wrong type moves to OCSF's `unmapped` object and is told of.
    ///
    /// `metadata.tenant_uid` is dropped: whose data this is, is decided by who delivered it.
    pub fn from_ocsf(value: Value) -> (Event, Vec<Diagnostic>) {
        let mut event = Event { severity_id: 1, ..Event::default() };
        let mut diagnostics = Vec::new();
        match value {
            Value::Object(mut root) => {
                let mut found = Vec::with_capacity(32);
                take_known(paths(), &mut root, &mut found);
                // In the order of the columns, so that diagnostics have one too.
                found.sort_unstable_by_key(|(column, _)| *column);
                for (column, value) in found {
                    event.take_column(column, value, &mut root, &mut diagnostics);
                }
                // Derived from class and activity on the way out.
                root.remove("category_uid");
                root.remove("type_uid");
                take_path(&mut root, "metadata.tenant_uid");
                take_path(&mut root, "metadata.version");
                // Every event is written with some; an empty one would not come back from that.
                if root.get("metadata").and_then(Value::as_object).is_some_and(Map::is_empty) {
                    root.remove("metadata");
                }
                take_path(&mut root, "raw_data_hash.algorithm_id");
                event.rest = root;
            }
            other => diagnostics.push(
                Diagnostic::new(
                    "not-an-object",
                    "$",
                    format!("an event is a JSON object, this is {}", type_name(&other)),
                )
                .hint("send one OCSF object per line"),
            ),
        }
        (event, diagnostics)
    }

    /// Writes the event as OCSF JSON, [`Event::rest`] in its place.
    pub fn to_ocsf(&self) -> Value {
        let mut root = self.rest.clone();
        self.put_columns(&mut root);
        if self.received == 0 {
            take_path(&mut root, "metadata.logged_time");
        }
        root.insert("category_uid".to_owned(), Value::from(self.class_uid / 1000));
        root.insert("type_uid".to_owned(), Value::from(self.class_uid * 100 + self.activity_id));
        put_path(&mut root, "metadata.version", Value::from(OCSF_VERSION));
        if self.raw_sha256.is_some() {
            // 3 is SHA-256 in OCSF's fingerprint object.
            put_path(&mut root, "raw_data_hash.algorithm_id", Value::from(3));
        }
        Value::Object(root)
    }

    /// Who took part, most telling first: credential, account, session, endpoint, device, address.
    pub fn entities(&self) -> Vec<Entity> {
        let of =
            |kind, value: &Option<String>| value.as_ref().map(|v| Entity::new(kind, v.as_str()));
        [
            of(EntityKind::Credential, &self.credential),
            of(EntityKind::Account, &self.account),
            of(EntityKind::Session, &self.session),
            of(EntityKind::Endpoint, &self.endpoint),
            of(EntityKind::Device, &self.device),
            of(EntityKind::Address, &self.src_ip),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// This event's value of an entity kind.
    pub fn entity(&self, kind: EntityKind) -> Option<&str> {
        match kind {
            EntityKind::Credential => self.credential.as_deref(),
            EntityKind::Account => self.account.as_deref(),
            EntityKind::Session => self.session.as_deref(),
            EntityKind::Endpoint => self.endpoint.as_deref(),
            EntityKind::Device => self.device.as_deref(),
            EntityKind::Address => self.src_ip.as_deref(),
        }
    }

    pub fn outcome_result(&self) -> OutcomeResult {
        match self.outcome.as_deref() {
            Some("success") => OutcomeResult::Success,
            Some("failure") => OutcomeResult::Failure,
            _ => OutcomeResult::Unknown,
        }
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_ocsf().serialize(serializer)
    }
}

/// Lenient, as [`Event::from_ocsf`] is: what is of the wrong type stays in `rest`.
impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if value.is_object() {
            Ok(Event::from_ocsf(value).0)
        } else {
            Err(serde::de::Error::custom("an event is a JSON object"))
        }
    }
}

/// The columns' paths as a tree, so that one walk over a record finds them all.
#[derive(Default)]
struct PathNode {
    column: Option<usize>,
    children: Vec<(&'static str, PathNode)>,
}

fn paths() -> &'static PathNode {
    static TREE: OnceLock<PathNode> = OnceLock::new();
    TREE.get_or_init(|| {
        let mut root = PathNode::default();
        for (number, column) in COLUMNS.iter().enumerate() {
            root.grow(column.path, number);
        }
        root
    })
}

impl PathNode {
    fn grow(&mut self, path: &'static str, column: usize) {
        let (head, tail) = path.split_once('.').map_or((path, None), |(h, t)| (h, Some(t)));
        let place = self.children.iter().position(|(name, _)| *name == head);
        let place = place.unwrap_or_else(|| {
            self.children.push((head, PathNode::default()));
            self.children.len() - 1
        });
        if let Some((_, child)) = self.children.get_mut(place) {
            match tail {
                Some(tail) => child.grow(tail, column),
                None => child.column = Some(column),
            }
        }
    }
}

/// Takes every column's value out of `map`, and objects that this leaves empty with it.
fn take_known(node: &PathNode, map: &mut Map<String, Value>, found: &mut Vec<(usize, Value)>) {
    for (name, child) in &node.children {
        if let Some(column) = child.column {
            if let Some(value) = map.remove(*name) {
                found.push((column, value));
            }
        } else if let Some(Value::Object(inner)) = map.get_mut(*name) {
            let before = found.len();
            take_known(child, inner, found);
            if found.len() > before && inner.is_empty() {
                map.remove(*name);
            }
        }
    }
}

/// Takes the value at a dotted path out of `root`, and objects that this leaves empty with it.
fn take_path(root: &mut Map<String, Value>, path: &str) -> Option<Value> {
    match path.split_once('.') {
        None => root.remove(path),
        Some((head, tail)) => {
            let Some(Value::Object(child)) = root.get_mut(head) else {
                return None;
            };
            let taken = take_path(child, tail);
            if taken.is_some() && child.is_empty() {
                root.remove(head);
            }
            taken
        }
    }
}

/// Puts a value at a dotted path. A scalar in the way is kept: the path's own value wins only below objects.
fn put_path(root: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            root.insert(path.to_owned(), value);
        }
        Some((head, tail)) => {
            let child = root.entry(head).or_insert_with(|| Value::Object(Map::new()));
            if !child.is_object() {
                let scalar = std::mem::replace(child, Value::Object(Map::new()));
                if let Value::Object(map) = child {
                    map.insert("_value".to_owned(), scalar);
                }
            }
            if let Value::Object(map) = child {
                put_path(map, tail, value);
            }
        }
    }
}

fn wrong_type(path: &str, kind: ColumnKind, value: &Value) -> Diagnostic {
    let wanted = match kind {
        ColumnKind::Text => "text",
        ColumnKind::Int => "a whole number",
        ColumnKind::Bool => "true or false",
        ColumnKind::Json => "JSON",
        ColumnKind::Time => "milliseconds since 1970 (UTC)",
        ColumnKind::Uuid => "a UUID",
    };
    Diagnostic::new(
        "wrong-type",
        format!("$.{path}"),
        format!("`{path}` is {}, and should be {wanted}", type_name(value)),
    )
    .hint("the field is kept as it came, but no column and no rule sees it")
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests;
