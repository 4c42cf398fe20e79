//! Web shell: a script is uploaded, asked for, and then the web server starts a shell.
//!
//! Each stage is a finding of its own: `web-shell-upload`, `web-shell-access` (web), `web-shell` and
//! `reverse-shell` (host). Web and host meet by the configured devices of a site; without them by the file
//! that appears on a host under the uploaded name; without that by time alone, at lower confidence.

mod host;
mod patterns;

use super::Rule;
use crate::book::Draft;
use crate::config::DetectConfig;
use crate::detector::Detector;
use crate::hash::{Key, Of, pair};
use crate::seen::Seen;
use crate::table::Table;
use patterns::{is_order, is_script_content, is_script_name};
use schema::{Entity, EntityKind, Event, Finding, OutcomeResult, Severity};
use std::borrow::Cow;
use std::collections::VecDeque;
use uuid::Uuid;

const UPLOADS_MAX: usize = 1_024;
const FILES_MAX: usize = 8_192;
const HABITS_MAX: usize = 65_536;
const DEVICES_MAX: usize = 16_384;
/// Accesses and spawns waiting for their other half.
const RECENT_MAX: usize = 128;
/// How far the clocks of a gateway and a host may differ the wrong way round.
const SKEW_MS: i64 = 2_000;

struct Upload {
    /// Lowercase.
    name: String,
    time: i64,
    event: Uuid,
    entities: Vec<Entity>,
    confidence: u32,
    /// The host on which a file of this name appeared.
    device: Option<Key>,
}

/// A request for an uploaded file.
struct Access {
    time: i64,
    site: String,
    events: Vec<(i64, Uuid)>,
    entities: Vec<Entity>,
    device: Option<Key>,
    /// The upload itself was seen; else only that the web server wrote the file.
    uploaded: bool,
}

/// A web server started a program.
struct Spawn {
    time: i64,
    device: Key,
    device_name: String,
    event: Uuid,
    pid: i64,
    told: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Process {
    /// It serves the web.
    server: bool,
    /// It descends from something that was found.
    tainted: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Habit {
    days: u32,
    last_day: u32,
}

/// What is remembered between web and host.
pub(crate) struct Host {
    uploads: Table<Upload>,
    /// Script files web servers wrote, by site and name.
    files: Table<i64>,
    accesses: VecDeque<Access>,
    spawns: VecDeque<Spawn>,
    processes: Table<Process>,
    habits: Table<Habit>,
    devices: Table<i64>,
}

impl Host {
    pub(crate) fn new(config: &DetectConfig) -> Self {
        Host {
            uploads: Table::new(UPLOADS_MAX),
            files: Table::new(FILES_MAX),
            accesses: VecDeque::new(),
            spawns: VecDeque::new(),
            processes: Table::new(config.limits.processes),
            habits: Table::new(HABITS_MAX),
            devices: Table::new(DEVICES_MAX),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.uploads.bytes()
            + self.files.bytes()
            + self.processes.bytes()
            + self.habits.bytes()
            + self.devices.bytes()
            + (self.uploads.len() + self.accesses.len() + self.spawns.len()) * 512
    }

    pub(crate) fn evicted(&self) -> u64 {
        self.uploads.evicted()
            + self.processes.evicted()
            + self.habits.evicted()
            + self.devices.evicted()
    }
}

impl Detector {
    pub(crate) fn web_shell(&mut self, seen: &Seen<'_>, found: &mut Vec<Finding>) {
        let event = seen.event;
        if matches!(event.method.as_deref(), Some("POST" | "PUT" | "PATCH"))
            && self.upload(seen, found)
        {
            return;
        }
        if self.host.uploads.is_empty() && self.host.files.is_empty() {
            return;
        }
        let Some(name) = event.path.as_deref().and_then(file_of) else { return };
        let key = self.hasher.key(Of::File, seen.scope, &name.to_ascii_lowercase());
        self.access(seen, key, found);
    }

    /// Whether this request uploads a script.
    fn upload(&mut self, seen: &Seen<'_>, found: &mut Vec<Finding>) -> bool {
        let event = seen.event;
        let put = event.method.as_deref() == Some("PUT");
        let multipart = event
            .request_content_type
            .as_deref()
            .is_some_and(|media| media.starts_with("multipart/"));
        let named = matches!(
            event.outcome_action.as_deref(),
            Some("upload" | "file-upload" | "attach" | "import")
        );
        if !put && !multipart && !named {
            return false;
        }
        let body = body_text(event);
        let extensions = &self.config.web_shell.script_extensions;
        let names = [
            event.outcome_object.as_deref(),
            event.file_name.as_deref(),
            event.path.as_deref().filter(|_| put),
        ];
        let names: Vec<&str> = body
            .as_deref()
            .map(file_names)
            .unwrap_or_default()
            .into_iter()
            .chain(names.into_iter().flatten())
            .filter_map(file_of)
            .collect();
        let script_name = names.iter().find(|name| is_script_name(name, extensions)).copied();
        let content = body.as_deref().is_some_and(is_script_content);
        let Some(name) =
            script_name.or(names.first().copied().filter(|_| content && (multipart || put)))
        else {
            return false;
        };

        let refused = seen.result == OutcomeResult::Failure
            || event.http_code.is_some_and(|code| code >= 400);
        let confidence = match (script_name.is_some(), content) {
            (true, true) => 60,
            (false, true) => 50,
            _ => 35,
        };
        let Some((kind, actor)) = seen.actor() else { return true };
        let Some(subject) = seen.entity(kind) else { return true };
        let mut draft = Draft::new(Rule::WebShellUpload, subject, pair(actor, seen.scope), event);
        draft.involve_all(event);
        draft.trail.cite(event);
        draft.severity = if refused || confidence < 50 { Severity::Low } else { Severity::Medium };
        draft.confidence = confidence as u8;
        draft.outcome = match (refused, seen.result) {
            (true, _) => OutcomeResult::Failure,
            (false, result) => result,
        };
        draft.reason = Some(if refused { "upload-refused" } else { "script-uploaded" });
        draft.attack(&[("TA0003", "T1505.003")]);
        draft.numbers = vec![
            ("script_name", f64::from(u8::from(script_name.is_some()))),
            ("script_content", f64::from(u8::from(content))),
        ];
        if !refused {
            let name = name.to_ascii_lowercase();
            let key = self.hasher.key(Of::File, seen.scope, &name);
            let entities = draft.entities.clone();
            // The file may have been seen on the host before the web event came.
            let upload = self.host.uploads.touch(key, || Upload {
                name,
                time: event.time,
                event: event.id,
                entities: Vec::new(),
                confidence,
                device: None,
            });
            upload.time = event.time;
            upload.event = event.id;
            upload.confidence = confidence;
            upload.entities = entities;
        }
        found.extend(self.book.report(draft));
        true
    }

    /// A request for a file, uploaded or written by the web server.
    fn access(&mut self, seen: &Seen<'_>, key: Key, found: &mut Vec<Finding>) {
        let event = seen.event;
        if seen.denied || event.http_code.is_some_and(|code| code >= 400) {
            return;
        }
        let memory_ms = i64::from(self.config.web_shell.upload_memory_secs) * 1000;
        let fresh = |time: i64| (-SKEW_MS..=memory_ms).contains(&(event.time - time));
        let upload = self.host.uploads.get(key).filter(|upload| fresh(upload.time));
        let written = self.host.files.get(key).is_some_and(|time| fresh(*time))
            || upload.is_some_and(|upload| upload.device.is_some());
        let mut access = Access {
            time: event.time,
            site: event.site.clone().unwrap_or_default(),
            events: vec![(event.time, event.id)],
            entities: Vec::new(),
            device: None,
            uploaded: upload.is_some(),
        };
        let order = is_order(event.query.as_deref(), event.request_body.as_deref());
        if let Some(upload) = upload {
            let Some((kind, actor)) = seen.actor() else { return };
            let Some(subject) = seen.entity(kind) else { return };
            let mut draft = Draft::new(Rule::WebShellAccess, subject, pair(actor, key), event);
            draft.involve_all(event);
            upload
                .entities
                .iter()
                .for_each(|entity| draft.involve(entity.kind, Some(&entity.value)));
            draft.trail.cite_id(upload.time, upload.event);
            draft.trail.cite(event);
            let ran = order || written;
            draft.severity =
                if ran && upload.confidence >= 50 { Severity::High } else { Severity::Medium };
            draft.confidence =
                (upload.confidence + 10 + 10 * u32::from(order) + 5 * u32::from(written)).min(90)
                    as u8;
            draft.outcome = if seen.result == OutcomeResult::Success {
                OutcomeResult::Success
            } else {
                OutcomeResult::Unknown
            };
            draft.reason = Some("uploaded-script-answered");
            draft.attack(&[("TA0003", "T1505.003"), ("TA0001", "T1190")]);
            draft.numbers = vec![
                ("seconds_after_upload", (event.time - upload.time) as f64 / 1000.0),
                ("order", f64::from(u8::from(order))),
                ("file_on_host", f64::from(u8::from(written))),
            ];
            access.device = upload.device;
            access.events.insert(0, (upload.time, upload.event));
            access.entities = draft.entities.clone();
            found.extend(self.book.report(draft));
        } else if written {
            access.entities = [
                EntityKind::Account,
                EntityKind::Credential,
                EntityKind::Session,
                EntityKind::Endpoint,
                EntityKind::Address,
            ]
            .into_iter()
            .filter_map(|kind| seen.entity(kind))
            .collect();
        } else {
            return;
        }
        self.link_spawns(&access, found);
        if self.host.accesses.len() >= RECENT_MAX {
            self.host.accesses.pop_front();
        }
        self.host.accesses.push_back(access);
    }
}

/// The body as text; bytes are read as far as they are text.
fn body_text(event: &Event) -> Option<Cow<'_, str>> {
    let body = event.request_body.as_deref()?;
    match event.request_body_encoding.as_deref() {
        Some("base64") => {
            let bytes = data_encoding::BASE64.decode(body.as_bytes()).ok()?;
            Some(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()))
        }
        _ => Some(Cow::Borrowed(body)),
    }
}

/// The file names of a multipart body (RFC 7578 §4.2), at most 16.
fn file_names(body: &str) -> Vec<&str> {
    body.split("filename=")
        .skip(1)
        .take(16)
        .filter_map(|rest| {
            rest.strip_prefix('"').map_or_else(
                || rest.split(['\r', '\n', ';']).next(),
                |quoted| quoted.split('"').next(),
            )
        })
        .collect()
}

/// The last part of a path, where it looks like a file.
fn file_of(path: &str) -> Option<&str> {
    path.rsplit(['/', '\\']).next().filter(|name| name.contains('.') && name.len() <= 255)
}
