//! Raw bytes in, OCSF events out: the agentless intake parsers.
//!
//! Nothing is lost: every line that is not blank is part of exactly one event, and a line we cannot
//! read becomes a `BASE_EVENT` with the reason. Where the input is cut into pushes changes nothing.
//! Secrets we can recognise are destroyed before a line is read, so no column and no `raw` holds
//! them; `raw_sha256` stays that of the line as it came. See `docs/sources.md`.

mod access;
mod access_json;
mod audit;
mod auth;
mod clock;
mod format;
mod http;
mod lines;
mod ocsf;
mod parser;
mod reading;
mod secrets;
mod syslog;
mod sysmon;
mod text;

pub use audit::{
    GROUP_AGE_MS_MAX, GROUP_BYTES_MAX, GROUP_RECORDS_MAX, GROUPS_OPEN_MAX, PROCESSES_KNOWN_MAX,
};
pub use clock::{TIME_ANCIENT_BEFORE_MS, TIME_FUTURE_MS_MAX};
pub use format::{Format, Source, UnknownFormat};
pub use lines::{LINE_BYTES_MAX, LINE_KEPT_BYTES, OCSF_LINE_BYTES_MAX};
pub use parser::{Parsed, Parser, SLOTS_BYTES_MAX, SLOTS_MAX};

/// Feeds `bytes` to every format, whole and in pieces; the fuzz target's body.
///
/// The first byte chooses the size of the pieces. Returns how many events came out, so that nothing
/// is optimised away; it must never panic.
pub fn fuzz_parse(bytes: &[u8]) -> usize {
    // 2024-11-19T06:13:20Z; any fixed time would do.
    const RECEIVED: schema::Timestamp = 1_732_000_000_000;
    let Some(tenant) = "fuzz".parse::<schema::TenantId>().ok() else { return 0 };
    let piece = usize::from(bytes.first().copied().unwrap_or(0)) + 1;
    let mut events = 0;
    for format in Format::ALL {
        let source = Source::new("fuzz", format);
        let mut parser = Parser::new(tenant.clone(), source, 0);
        for chunk in bytes.chunks(piece) {
            events += parser.push(chunk, RECEIVED).events.len();
        }
        events += parser.finish(RECEIVED).events.len();
    }
    events
}
