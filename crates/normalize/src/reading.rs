//! From one line to what it says, by its format.

use crate::{Format, Source, access, access_json, audit, clock, ocsf, syslog, sysmon};
use schema::{Event, Timestamp, class};

/// What a parser may know besides the line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub source: &'a Source,
    pub received: Timestamp,
}

impl Context<'_> {
    /// An event of this class at `time`; without one, at the time it was received.
    pub fn event(&self, class_uid: i64, time: Option<Timestamp>, log_format: &str) -> Event {
        Event {
            class_uid,
            time: time.unwrap_or(self.received),
            severity_id: 1,
            log_format: Some(log_format.to_owned()),
            ..Event::default()
        }
    }
}

/// Why a record was not read in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    /// Permanent, kebab-case.
    pub code: &'static str,
    pub detail: String,
    pub hint: Option<&'static str>,
}

impl Note {
    pub fn new(code: &'static str, detail: impl Into<String>) -> Self {
        Note { code, detail: detail.into(), hint: None }
    }

    pub fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }
}

/// What one line turned out to be.
pub(crate) enum Reading {
    /// A whole event. `raw` is set where secrets were destroyed, or the event brought its own.
    Event { event: Box<Event>, raw: Raw, notes: Vec<Note> },
    /// One record of an audit event that may have more lines.
    Audit(Box<audit::Record>),
}

/// What to keep as the event's raw record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Raw {
    /// The line as it came.
    Line,
    /// The line without its secrets.
    Masked(String),
    /// An OCSF record that can be rebuilt from the event, own raw record and digest included.
    Own,
}

impl Raw {
    pub fn of(masked: std::borrow::Cow<'_, str>) -> Raw {
        match masked {
            std::borrow::Cow::Borrowed(_) => Raw::Line,
            std::borrow::Cow::Owned(text) => Raw::Masked(text),
        }
    }
}

impl Reading {
    pub fn event(event: Event, raw: Raw, note: Option<Note>) -> Reading {
        Reading::Event { event: Box::new(event), raw, notes: note.into_iter().collect() }
    }

    /// A record nobody could read, kept whole.
    pub fn unread(context: &Context<'_>, log_format: &str, raw: Raw, note: Note) -> Reading {
        let event = context.event(class::BASE_EVENT, None, log_format);
        Reading::event(event, raw, Some(note))
    }
}

/// Reads one line.
///
/// In every format but JSON secrets go first, so that whatever is read afterwards holds none.
pub(crate) fn read(text: &str, context: &Context<'_>) -> Reading {
    // A crash can leave runs of NUL bytes at either end of a log's line.
    let line = text.trim_matches(['\0', ' ', '\t']);
    match context.source.format {
        Format::Auto => detect(line, context),
        Format::Ocsf => ocsf::read(line, context),
        Format::JsonAccess => access_json::read(line, context),
        Format::Combined => access::read(line, context),
        Format::Syslog => syslog::read(line, context),
        Format::LinuxAudit if audit::is_record(line) => audit::read(line, context, None),
        Format::LinuxAudit => syslog::read(line, context),
        Format::SysmonLinux if sysmon::is_event(line) => sysmon::read(line, context, None),
        Format::SysmonLinux => syslog::read(line, context),
    }
}

fn detect(line: &str, context: &Context<'_>) -> Reading {
    if line.starts_with('{') {
        access_json::read_any(line, context)
    } else if audit::is_record(line) {
        audit::read(line, context, None)
    } else if sysmon::is_event(line) {
        sysmon::read(line, context, None)
    } else if syslog::is_syslog(line) {
        syslog::read(line, context)
    } else if access::is_access(line) {
        access::read(line, context)
    } else {
        let masked = crate::secrets::mask_text(line);
        Reading::unread(
            context,
            "unknown",
            Raw::of(masked),
            Note::new("unknown-format", "the line is in none of the formats we read")
                .hint("name the format with `format=`; the line is kept and can be searched"),
        )
    }
}

/// Flags a time no clock should show.
pub(crate) fn time_note(time: Timestamp, received: Timestamp) -> Option<Note> {
    let shown = schema::format_time(time);
    if time < clock::TIME_ANCIENT_BEFORE_MS {
        Some(
            Note::new("time-ancient", format!("`{shown}` is before the year 2000"))
                .hint("set the clock of the source; check that times are in milliseconds"),
        )
    } else if received > 0 && time > received.saturating_add(clock::TIME_FUTURE_MS_MAX) {
        Some(
            Note::new("time-future", format!("`{shown}` is more than a day after it was received"))
                .hint(
                    "set the clock of the source, and `utc_offset_secs` where it writes local time",
                ),
        )
    } else {
        None
    }
}
