//! `SecAuditLogRelevantStatus`: which answers are kept in the audit log.

use crate::parse::{Problem, unquoted};
use regex::bytes::{Regex, RegexBuilder};

/// The compiled regex, in bytes.
pub const STATUS_REGEX_BYTES_MAX: usize = 1 << 20;

pub(super) fn parse(subject: &str, written: &str) -> Result<Regex, Problem> {
    let pattern = unquoted(written);
    // The manual's own example, and that of every default installation.
    let plain = pattern.replace("4(?!04)", "4(?:0[^4]|[^0].)");
    RegexBuilder::new(&plain)
        .unicode(false)
        .dot_matches_new_line(true)
        .size_limit(STATUS_REGEX_BYTES_MAX)
        .build()
        .map_err(|_| {
            Problem::new(subject, format!("the regex `{pattern}` does not compile"))
                .hint("write it without look-around, such as `^(?:5|40[0-35-9])`")
        })
}
