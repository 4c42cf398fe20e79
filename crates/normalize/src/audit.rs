//! Records of the Linux audit system, as auditd writes them, forwards them or the kernel logs them.
//!
//! The records of one event carry the same `audit(time:serial)`; [`Book`] brings them together.

mod accounts;
mod activities;
mod arguments;
mod group;
mod record;
mod syscalls;

pub(crate) use group::{Book, Closed};
pub use group::{
    GROUP_AGE_MS_MAX, GROUP_BYTES_MAX, GROUP_RECORDS_MAX, GROUPS_OPEN_MAX, PROCESSES_KNOWN_MAX,
};
pub(crate) use record::Record;

use crate::reading::{Context, Note, Raw, Reading};
use crate::secrets;

/// `type=… msg=audit(…`, possibly behind `node=…`.
pub(crate) fn is_record(text: &str) -> bool {
    let text = match text.strip_prefix("node=") {
        Some(rest) => rest.split_once(' ').map_or("", |(_, rest)| rest),
        None => text,
    };
    text.starts_with("type=") && text.contains("audit(")
}

/// The kernel's own words when no auditd listens: `audit: type=1400 audit(…`.
pub(crate) fn is_kernel_record(text: &str) -> bool {
    text.find("audit: type=").is_some_and(|at| at < 32) && text.contains("audit(")
}

pub(crate) fn read(line: &str, context: &Context<'_>, host: Option<&str>) -> Reading {
    let masked = secrets::mask_text(line);
    read_masked("", &masked, context, host)
}

/// Reads a record behind `prefix` (a syslog envelope), both without named secrets already.
pub(crate) fn read_masked(
    prefix: &str,
    text: &str,
    context: &Context<'_>,
    host: Option<&str>,
) -> Reading {
    match Record::parse(prefix, text, host) {
        Some(record) => Reading::Audit(Box::new(record)),
        None => {
            let raw = Raw::Masked(format!("{prefix}{text}"));
            let note = Note::new("not-audit", "no `audit(seconds:serial)` in the record")
                .hint("send auditd's lines as they are (`log_format = RAW` or `ENRICHED`)");
            Reading::unread(context, "linux-audit", raw, note)
        }
    }
}
