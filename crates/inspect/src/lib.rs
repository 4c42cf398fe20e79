//! ModSecurity rules and what is written down of HTTP: rule sets by name, what they say of an exchange as
//! `plura.waf`, and events that no gateway has seen shown to them (docs/waf.md).
//!
//! Pure but for [`Disk`], which reads rule files.

mod disk;
mod header;
mod mask;
mod outcome;
mod record;
mod rules;
mod run;
mod told;

pub use disk::Disk;
pub use header::written;
pub use outcome::{SetOutcome, limit_code};
pub use record::{Body, Record, Response, Unseen};
pub use rules::{BASE, BASE_TEXT, Rules, Said};
pub use run::{
    BODY_BYTES_MAX, Inspector, Scores, Settings, put, scores, settings, told, uninspected,
};
pub use told::{DATA_CHARS_MAX, Show, entry, last_part};
