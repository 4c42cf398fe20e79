//! Matches as lines of text, as ModSecurity writes them into a server's error log.
//!
//! They hold what matched as it was sent, so this is off unless asked for, and meant for test rigs.

use schema::Diagnostic;
use seclang::Match;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Nothing is written beyond it: a log that is forgotten must not fill the disk.
const LOG_BYTES_MAX: u64 = 1024 * 1024 * 1024;

#[derive(Debug)]
pub struct MatchLog {
    pub path: PathBuf,
    file: File,
    written: AtomicU64,
}

/// What a line says beside the match.
pub struct About<'a> {
    pub client: &'a str,
    pub host: &'a str,
    pub uri: &'a str,
    pub unique_id: &'a str,
    pub time_ms: i64,
}

impl MatchLog {
    pub fn open(path: &Path) -> Result<MatchLog, Diagnostic> {
        let fault = |error: std::io::Error| {
            let message = format!("cannot write `{}`: {error}", path.display());
            Diagnostic::new("waf-log-unwritable", "gateway.yaml: waf_log", message)
                .hint("name a file in a folder the gateway may write to, or remove `waf_log`")
        };
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        let file = file.map_err(fault)?;
        let written = AtomicU64::new(file.metadata().map_err(fault)?.len());
        Ok(MatchLog { path: path.to_owned(), file, written })
    }

    /// One line for each match that wants to be logged; written when this returns.
    pub fn write(&self, about: &About<'_>, matches: &[Match]) {
        let mut text = String::new();
        for found in matches.iter().filter(|found| found.logged) {
            line(&mut text, about, found);
        }
        let before = self.written.fetch_add(text.len() as u64, Ordering::Relaxed);
        if text.is_empty() || before > LOG_BYTES_MAX {
            return;
        }
        if let Err(error) = (&self.file).write_all(text.as_bytes()) {
            tracing::error!(%error, "cannot write the match log");
        }
    }
}

fn line(out: &mut String, about: &About<'_>, found: &Match) {
    let time = schema::format_time(about.time_ms);
    let _ = write!(out, "{time} [error] [client {}] {}", about.client, found.log_line());
    for (name, value) in
        [("hostname", about.host), ("uri", about.uri), ("unique_id", about.unique_id)]
    {
        let _ = write!(out, " [{name} \"{}\"]", clean(value.as_bytes()));
    }
    out.push('\n');
}

/// Text that stays on its line and inside its quotes.
fn clean(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text {
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            0x20..=0x7e => out.push(char::from(*byte)),
            other => {
                let _ = write!(out, "\\x{other:02x}");
            }
        }
    }
    out
}
