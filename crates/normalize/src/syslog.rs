//! Syslog, RFC 5424 and RFC 3164, and the files syslog daemons write. What is inside is read by its
//! program's name.

use crate::reading::{Context, Note, Raw, Reading};
use crate::text::{owned, put, put_some, some};
use crate::{access, access_json, audit, auth, clock, secrets, sysmon};
use schema::{Event, Timestamp, class};
use serde_json::{Map, Value};

/// Structured data elements kept, and parameters of each.
const ELEMENTS_MAX: usize = 32;
const PARAMETERS_MAX: usize = 64;

/// What surrounds a message.
#[derive(Debug, Clone, Default)]
pub(crate) struct Envelope<'a> {
    pub time: Option<Timestamp>,
    pub host: Option<&'a str>,
    /// Program: RFC 5424 APP-NAME, RFC 3164 tag.
    pub program: Option<&'a str>,
    pub pid: Option<i64>,
    pub message_id: Option<&'a str>,
    pub facility: Option<i64>,
    pub severity: Option<i64>,
    pub structured: Map<String, Value>,
    pub message: &'a str,
    /// The time was there and could not be read.
    pub bad_time: bool,
}

pub(crate) fn is_syslog(line: &str) -> bool {
    parse(line, 0, 0).is_some_and(|e| e.time.is_some() || e.severity.is_some())
}

pub(crate) fn read(line: &str, context: &Context<'_>) -> Reading {
    let masked = secrets::mask_text(line);
    let Some(envelope) = parse(&masked, context.source.utc_offset_secs, context.received) else {
        let note = Note::new("not-syslog", "the line has neither a priority nor a time in front")
            .hint("RFC 5424, RFC 3164 and rsyslog's file formats are read");
        let mut event = context.event(class::BASE_EVENT, None, "syslog");
        event.message = Some(masked.clone().into_owned());
        return Reading::event(event, Raw::of(masked), Some(note));
    };
    let note = envelope.bad_time.then(|| {
        Note::new(
            "no-time",
            "the line's time could not be read; the time it was received stands in",
        )
        .hint("use RFC 5424 times (rsyslog: `RSYSLOG_SyslogProtocol23Format`)")
    });
    let program = envelope.program.unwrap_or_default();
    let message = envelope.message.trim_start();
    let kernel_audit = program == "kernel" && audit::is_kernel_record(message);
    let mut reading = if audit::is_record(message) || kernel_audit {
        let prefix = masked.get(..masked.len() - message.len()).unwrap_or_default();
        audit::read_masked(prefix, message, context, envelope.host)
    } else if sysmon::is_event(message) {
        // Masked again by its own rules: from the line as it came, which XML may have escaped.
        let start = line.find("<Event>").unwrap_or(0);
        let xml = line.get(start..).unwrap_or(line);
        sysmon::read(xml, context, line.get(..start))
    } else {
        let event = inner(&envelope, message, context);
        Reading::event(event, Raw::of(masked.clone()), None)
    };
    if let Reading::Event { event, notes, .. } = &mut reading {
        fill(event, &envelope);
        notes.extend(note);
    }
    reading
}

/// The message as an event of its own class, or the base event.
fn inner(envelope: &Envelope<'_>, message: &str, context: &Context<'_>) -> Event {
    let time = envelope.time;
    if let Some(event) = auth::read(envelope, message, context) {
        return event;
    }
    if access::is_access(message)
        && let Ok(event) = access::parse(message, context)
    {
        return event;
    }
    if message.starts_with('{')
        && let Some(event) = access_json::parse_inner(message, context)
    {
        return event;
    }
    let mut event = context.event(class::BASE_EVENT, time, "syslog");
    event.message = Some(message.to_owned());
    event.severity_id = severity(envelope.severity);
    event
}

/// Syslog's severities (RFC 5424 §6.2.1) as OCSF's: emergency is fatal (6), alert and critical are
/// critical (5), error is medium, warning low, the rest informational.
fn severity(severity: Option<i64>) -> i64 {
    match severity {
        Some(0) => 6,
        Some(1 | 2) => 5,
        Some(3) => 3,
        Some(4) => 2,
        _ => 1,
    }
}

fn fill(event: &mut Event, envelope: &Envelope<'_>) {
    if event.device.is_none() {
        event.device = envelope.host.and_then(owned);
    }
    if event.product.is_none() {
        event.product = envelope.program.and_then(owned);
    }
    let rest = &mut event.rest;
    for (name, value) in
        [("pid", envelope.pid), ("facility", envelope.facility), ("severity", envelope.severity)]
    {
        if let Some(value) = value {
            put(rest, &format!("unmapped.syslog.{name}"), value);
        }
    }
    put_some(rest, "unmapped.syslog.message_id", envelope.message_id);
    if !envelope.structured.is_empty() {
        put(rest, "unmapped.syslog.structured_data", envelope.structured.clone());
    }
}

fn parse(line: &str, offset_secs: i32, received: Timestamp) -> Option<Envelope<'_>> {
    let line = without_frame(line);
    let (priority, rest) = match line.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
        Some((digits, rest)) if (1..=3).contains(&digits.len()) => {
            (Some(digits.parse::<i64>().ok().filter(|p| (0..=191).contains(p))?), rest)
        }
        _ => (None, line),
    };
    let mut envelope = match rest.strip_prefix("1 ") {
        Some(rest) if priority.is_some() => rfc5424(rest, offset_secs)?,
        _ => rfc3164(rest, offset_secs, received, priority.is_some())?,
    };
    envelope.facility = priority.map(|p| p / 8);
    envelope.severity = priority.map(|p| p % 8);
    Some(envelope)
}

/// RFC 6587 octet counting is the listener's work; a count left in front is passed over.
fn without_frame(line: &str) -> &str {
    match line.split_once(" <") {
        Some((count, rest))
            if (1..=7).contains(&count.len()) && count.bytes().all(|b| b.is_ascii_digit()) =>
        {
            line.get(line.len() - rest.len() - 1..).unwrap_or(line)
        }
        _ => line,
    }
}

/// Behind `<PRI>1 `: TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA [MSG].
fn rfc5424(text: &str, offset_secs: i32) -> Option<Envelope<'_>> {
    let (time, rest) = text.split_once(' ')?;
    let (host, rest) = rest.split_once(' ')?;
    let (program, rest) = rest.split_once(' ')?;
    let (pid, rest) = rest.split_once(' ')?;
    let (message_id, rest) = rest.split_once(' ').unwrap_or((rest, "-"));
    let (structured, message) = structured_data(rest);
    let read = some(time).and_then(|time| clock::iso(time, offset_secs));
    Some(Envelope {
        time: read,
        host: some(host),
        program: some(program),
        pid: pid.parse().ok(),
        message_id: some(message_id),
        structured,
        message: message.strip_prefix('\u{feff}').unwrap_or(message),
        bad_time: read.is_none(),
        ..Envelope::default()
    })
}

/// `[id name="value" …][…] message` or `- message`. What is broken stays part of the message.
fn structured_data(text: &str) -> (Map<String, Value>, &str) {
    let mut elements = Map::new();
    if let Some(rest) = text.strip_prefix('-') {
        return (elements, rest.strip_prefix(' ').unwrap_or(rest));
    }
    let mut rest = text;
    while let Some((id, parameters, after)) =
        (elements.len() < ELEMENTS_MAX).then(|| element(rest)).flatten()
    {
        elements.insert(id.to_owned(), Value::Object(parameters));
        rest = after;
    }
    (elements, rest.strip_prefix(' ').unwrap_or(rest))
}

fn element(text: &str) -> Option<(&str, Map<String, Value>, &str)> {
    let inner = text.strip_prefix('[')?;
    let end = inner.find([' ', ']'])?;
    let (id, mut rest) = inner.split_at_checked(end)?;
    if id.is_empty() || id.contains(['=', '"']) {
        return None;
    }
    let mut parameters = Map::new();
    loop {
        if let Some(after) = rest.strip_prefix(']') {
            return Some((id, parameters, after));
        }
        let (name, after) = rest.trim_start_matches(' ').split_once("=\"")?;
        let mut value = String::new();
        let mut chars = after.char_indices();
        let close = loop {
            match chars.next()? {
                (at, '"') => break at,
                (_, '\\') => match chars.next()? {
                    (_, c @ ('"' | '\\' | ']')) => value.push(c),
                    (_, c) => value.extend(['\\', c]),
                },
                (_, c) => value.push(c),
            }
        };
        if parameters.len() < PARAMETERS_MAX {
            parameters.insert(name.to_owned(), Value::from(value));
        }
        rest = after.get(close + 1..)?;
    }
}

/// `Nov 22 04:33:00 host tag[pid]: message`, an ISO time in front (rsyslog's file format), or
/// Cisco's `Nov 22 2026 04:33:00`. Without any time only a priority makes it syslog.
fn rfc3164(
    text: &str,
    offset_secs: i32,
    received: Timestamp,
    has_priority: bool,
) -> Option<Envelope<'_>> {
    match old_time(text, offset_secs, received) {
        Some((time, rest)) => {
            let (host, rest) = match rest.split_once(' ') {
                // Some senders leave the host out: then the first word is the tag.
                Some((first, _)) if first.ends_with(':') => (None, rest),
                Some((host, rest)) => (some(host), rest),
                None => (None, rest),
            };
            let mut envelope = tagged(rest.trim_start_matches(' '));
            (envelope.time, envelope.host) = (Some(time), host);
            Some(envelope)
        }
        None if has_priority => {
            let mut envelope = tagged(text);
            envelope.bad_time = true;
            Some(envelope)
        }
        None => None,
    }
}

fn old_time(text: &str, offset_secs: i32, received: Timestamp) -> Option<(Timestamp, &str)> {
    let text = text.strip_prefix(['*', '.']).unwrap_or(text);
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        let (word, rest) = text.split_once(' ')?;
        if let Some(time) = clock::iso(word, offset_secs) {
            return Some((time, rest));
        }
        // Date and time apart: 2026-11-22 04:33:00.
        let (clock, after) = rest.split_once(' ')?;
        let whole = text.get(..word.len() + 1 + clock.len())?;
        return clock::iso(whole, offset_secs).map(|time| (time, after));
    }
    let (month, rest) = text.split_once(' ')?;
    clock::month(month)?;
    let (day, rest) = rest.trim_start_matches(' ').split_once(' ')?;
    let (word, rest) = rest.trim_start_matches(' ').split_once(' ')?;
    if word.len() == 4
        && let Ok(year) = word.parse::<i16>()
    {
        let (clock, rest) = rest.split_once(' ')?;
        let clock = clock.trim_end_matches(':');
        let iso = format!("{year:04}-{:02}-{:0>2}T{clock}", clock::month(month)?, day);
        return clock::iso(&iso, offset_secs).map(|time| (time, rest));
    }
    let clock = word.trim_end_matches(':');
    clock::without_year(month, day, clock, offset_secs, received).map(|time| (time, rest))
}

/// `tag[pid]: message`. Tags may hold slashes, dots and parentheses (`postfix/smtpd`, `CRON`,
/// `su(pam_unix)`); a first word that is none leaves the text a message without a program.
fn tagged(text: &str) -> Envelope<'_> {
    const TAG_BYTES_MAX: usize = 128;
    let plain = Envelope { message: text, ..Envelope::default() };
    let bytes = text.as_bytes();
    let window = bytes.get(..bytes.len().min(TAG_BYTES_MAX)).unwrap_or_default();
    let Some(end) = window.iter().position(|b| matches!(b, b':' | b' ')) else { return plain };
    let Some((tag, rest)) = text.split_at_checked(end) else { return plain };
    if tag.is_empty() || tag.starts_with(['{', '<', '[', '"']) {
        return plain;
    }
    let (name, pid) = match tag.split_once('[') {
        Some((name, pid)) => (name, pid.strip_suffix(']').and_then(|pid| pid.parse().ok())),
        None => (tag, None),
    };
    match rest.strip_prefix(':') {
        Some(message) => Envelope {
            program: some(name),
            pid,
            message: message.strip_prefix(' ').unwrap_or(message),
            ..plain
        },
        // `tag[pid] message`, without a colon; a bare first word is part of the message.
        None if pid.is_some() => {
            Envelope { program: some(name), pid, message: rest.trim_start(), ..plain }
        }
        None => plain,
    }
}
