//! Sysmon for Linux: one XML event per line, usually in syslog.

use crate::clock;
use crate::reading::{Context, Note, Raw, Reading};
use crate::secrets::mask_text;
use crate::text::{address, base_name, number, owned, put, put_some};
use quick_xml::Reader;
use quick_xml::events::Event as Xml;
use schema::{Event, activity, class};
use std::borrow::Cow;
use std::ops::Range;

/// Elements inside elements; Sysmon's own events have three.
const XML_DEPTH_MAX: usize = 16;

/// Fields of one event.
const FIELDS_MAX: usize = 256;

pub(crate) fn is_event(text: &str) -> bool {
    text.starts_with("<Event>") || text.starts_with("<Event ")
}

/// Reads an event behind `prefix` (a syslog envelope), both as they came.
pub(crate) fn read(xml: &str, context: &Context<'_>, prefix: Option<&str>) -> Reading {
    let prefix = prefix.unwrap_or_default();
    match Fields::parse(xml) {
        Ok(fields) => {
            let (event, note) = build(&fields, context);
            let raw = match fields.masked {
                Some(masked) => Raw::Masked(format!("{prefix}{masked}")),
                None => Raw::Line,
            };
            Reading::event(event, raw, note)
        }
        Err(what) => {
            let whole = format!("{prefix}{xml}");
            let raw = match mask_text(&whole) {
                Cow::Owned(masked) => Raw::Masked(masked),
                Cow::Borrowed(_) => Raw::Line,
            };
            let note = Note::new("not-sysmon", format!("the XML cannot be read: {what}"))
                .hint("long events are cut by syslog daemons: raise `$MaxMessageSize` in rsyslog");
            Reading::unread(context, "sysmon-linux", raw, note)
        }
    }
}

/// Texts of `System` by element, of `EventData` by the `Name` of their `Data`.
struct Fields {
    values: Vec<(String, String)>,
    /// The XML without secrets, where it held some.
    masked: Option<String>,
}

impl Fields {
    /// No document type is read, so there are no entities but XML's five and character numbers.
    fn parse(xml: &str) -> Result<Fields, String> {
        let mut reader = Reader::from_str(xml);
        let mut values: Vec<(String, String)> = Vec::new();
        let mut changes: Vec<(Range<usize>, String)> = Vec::new();
        let mut name: Option<String> = None;
        let mut text = String::new();
        let mut text_start = 0;
        let mut depth = 0usize;
        let mut ended = false;
        loop {
            let before = position(&reader);
            let event = reader.read_event().map_err(|error| error.to_string())?;
            match event {
                Xml::Start(start) => {
                    depth += 1;
                    if depth > XML_DEPTH_MAX {
                        return Err(format!("more than {XML_DEPTH_MAX} elements deep"));
                    }
                    name = Some(field_name(&start)?);
                    attributes(&start, &mut values)?;
                    text.clear();
                    text_start = position(&reader);
                }
                Xml::Empty(start) => attributes(&start, &mut values)?,
                Xml::Text(part) => text.push_str(&part),
                Xml::CData(part) => text.push_str(&part),
                Xml::GeneralRef(reference) => {
                    if let Some(c) =
                        reference.resolve_char_ref().map_err(|error| error.to_string())?
                    {
                        text.push(c);
                    } else {
                        let known = quick_xml::escape::resolve_xml_entity(&reference);
                        let unknown = || format!("unknown entity `{}`", &*reference);
                        text.push_str(known.ok_or_else(unknown)?);
                    }
                }
                Xml::End(_) => {
                    depth = depth.saturating_sub(1);
                    if let Some(name) = name.take() {
                        let mut value = std::mem::take(&mut text);
                        if let Cow::Owned(masked) = mask_text(&value) {
                            let escaped = quick_xml::escape::escape(masked.as_str()).into_owned();
                            changes.push((text_start..before, escaped));
                            value = masked;
                        }
                        if values.len() < FIELDS_MAX {
                            values.push((name, value));
                        }
                    }
                    if depth == 0 {
                        ended = true;
                        break;
                    }
                }
                Xml::DocType(_) => return Err("a document type is not allowed".to_owned()),
                Xml::Eof => break,
                _ => {}
            }
        }
        if !ended {
            return Err("it ends early".to_owned());
        }
        let masked = (!changes.is_empty()).then(|| {
            let mut out = String::with_capacity(xml.len());
            let mut done = 0;
            for (range, new) in changes {
                out.push_str(xml.get(done..range.start).unwrap_or_default());
                out.push_str(&new);
                done = range.end;
            }
            out.push_str(xml.get(done..).unwrap_or_default());
            out
        });
        Ok(Fields { values, masked })
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.values.iter().find(|(known, _)| known == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|v| !v.is_empty() && *v != "-" && *v != "(null)")
    }

    fn owned(&self, name: &str) -> Option<String> {
        self.get(name).and_then(owned)
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(number)
    }
}

fn position(reader: &Reader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}

/// `Data`'s `Name`, else the element's own.
fn field_name(start: &quick_xml::events::BytesStart<'_>) -> Result<String, String> {
    for attribute in start.attributes().take(FIELDS_MAX) {
        let attribute = attribute.map_err(|error| error.to_string())?;
        if attribute.key.as_ref() == "Name" && start.name().as_ref() == "Data" {
            return Ok(attribute.value.into_owned());
        }
    }
    Ok(start.name().as_ref().to_owned())
}

/// `TimeCreated`'s `SystemTime`, `Provider`'s `Name`: as `TimeCreated.SystemTime`…
fn attributes(
    start: &quick_xml::events::BytesStart<'_>,
    values: &mut Vec<(String, String)>,
) -> Result<(), String> {
    let element = start.name().as_ref().to_owned();
    if element == "Data" {
        return Ok(());
    }
    for attribute in start.attributes().take(FIELDS_MAX) {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let key = attribute.key.as_ref().to_owned();
        let value = attribute.value.into_owned();
        if values.len() < FIELDS_MAX {
            values.push((format!("{element}.{key}"), value));
        }
    }
    Ok(())
}

fn build(fields: &Fields, context: &Context<'_>) -> (Event, Option<Note>) {
    // `UtcTime` is when it happened, `SystemTime` when it was written.
    let time = fields
        .get("UtcTime")
        .and_then(|text| clock::iso(text, 0))
        .or_else(|| clock::iso(fields.get("TimeCreated.SystemTime")?, 0));
    let note = time.is_none().then(|| {
        Note::new(
            "no-time",
            "neither `UtcTime` nor `SystemTime` is a time; the time it was received stands in",
        )
    });
    let mut event = context.event(class::BASE_EVENT, time, "sysmon-linux");
    event.product = Some("Sysmon for Linux".to_owned());
    event.device = fields.owned("Computer");
    event.account = fields.owned("User");
    let id = fields.number("EventID").unwrap_or(0);
    put(&mut event.rest, "unmapped.sysmon.event_id", id);
    for name in [
        "RuleName",
        "ProcessGuid",
        "ParentProcessGuid",
        "LogonId",
        "IntegrityLevel",
        "EventRecordID",
    ] {
        put_some(&mut event.rest, &format!("unmapped.sysmon.{name}"), fields.get(name));
    }
    event.outcome = Some("success".to_owned());
    event.status_id = Some(1);
    match id {
        1 => {
            event.class_uid = class::PROCESS_ACTIVITY;
            event.activity_id = activity::LAUNCH;
            process(&mut event, fields);
            event.parent_pid = fields.number("ParentProcessId").filter(|pid| *pid > 0);
            event.parent_path = fields.owned("ParentImage");
            event.parent_name = event.parent_path.as_deref().and_then(base_name).map(str::to_owned);
            event.parent_cmd_line = fields.owned("ParentCommandLine");
            put_some(&mut event.rest, "process.parent_process.user.name", fields.get("ParentUser"));
            put_some(&mut event.rest, "process.working_directory", fields.get("CurrentDirectory"));
            hashes(&mut event, "process.file.hashes", fields);
        }
        3 => {
            event.class_uid = class::NETWORK_ACTIVITY;
            event.activity_id = activity::OPEN;
            actor(&mut event, fields);
            event.src_ip = fields.get("SourceIp").and_then(address);
            event.src_port = fields.number("SourcePort");
            event.dst_ip = fields.get("DestinationIp").and_then(address);
            event.dst_port = fields.number("DestinationPort");
            put_some(&mut event.rest, "dst_endpoint.hostname", fields.get("DestinationHostname"));
            put_some(&mut event.rest, "connection_info.protocol_name", fields.get("Protocol"));
            // OCSF direction: 1 inbound, 2 outbound.
            let direction = match fields.get("Initiated") {
                Some("true") => 2,
                Some("false") => 1,
                _ => 0,
            };
            put(&mut event.rest, "connection_info.direction_id", direction);
        }
        5 => {
            event.class_uid = class::PROCESS_ACTIVITY;
            event.activity_id = activity::TERMINATE;
            process(&mut event, fields);
        }
        11 | 23 | 26 => {
            event.class_uid = class::FILE_SYSTEM_ACTIVITY;
            event.activity_id = if id == 11 { activity::CREATE } else { activity::DELETE };
            actor(&mut event, fields);
            event.file_path = fields.owned("TargetFilename");
            event.file_name = event.file_path.as_deref().and_then(base_name).map(str::to_owned);
            hashes(&mut event, "file.hashes", fields);
        }
        9 => {
            // Raw access to a disk: OCSF File System Activity, Open (14), of the device.
            event.class_uid = class::FILE_SYSTEM_ACTIVITY;
            event.activity_id = 14;
            actor(&mut event, fields);
            event.file_path = fields.owned("Device");
        }
        _ => {
            // 4 and 16 are Sysmon's own state and configuration, 255 its errors.
            event.message = Some(match id {
                4 => format!("sysmon state: {}", fields.get("State").unwrap_or("unknown")),
                16 => format!(
                    "sysmon configuration: {}",
                    fields.get("Configuration").unwrap_or("unknown")
                ),
                255 => format!("sysmon error: {}", fields.get("Description").unwrap_or("unknown")),
                id => format!("sysmon event {id}"),
            });
            if let Some(hash) = fields.get("ConfigurationFileHash") {
                put(&mut event.rest, "unmapped.sysmon.ConfigurationFileHash", hash);
            }
            actor(&mut event, fields);
        }
    }
    (event, note)
}

fn process(event: &mut Event, fields: &Fields) {
    event.process_pid = fields.number("ProcessId");
    event.process_path = fields.owned("Image");
    event.process_name = event.process_path.as_deref().and_then(base_name).map(str::to_owned);
    event.process_cmd_line = fields.owned("CommandLine");
    event.process_user = fields.owned("User");
}

fn actor(event: &mut Event, fields: &Fields) {
    event.actor_pid = fields.number("ProcessId");
    event.actor_path = fields.owned("Image");
    event.actor_name = event.actor_path.as_deref().and_then(base_name).map(str::to_owned);
}

/// `SHA256=…,MD5=…` as OCSF fingerprints (algorithm 1 MD5, 2 SHA-1, 3 SHA-256, 99 other).
fn hashes(event: &mut Event, path: &str, fields: &Fields) {
    let Some(written) = fields.get("Hashes") else { return };
    let list: Vec<serde_json::Value> = written
        .split(',')
        .filter_map(|pair| pair.split_once('='))
        .take(8)
        .map(|(algorithm, value)| {
            let id = match algorithm {
                "MD5" => 1,
                "SHA1" => 2,
                "SHA256" => 3,
                _ => 99,
            };
            serde_json::json!({ "algorithm_id": id, "algorithm": algorithm, "value": value })
        })
        .collect();
    if !list.is_empty() {
        put(&mut event.rest, path, list);
    }
}
