//! Files for other tools: lines of ModSecurity's error log, entries of its audit log.

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

/// A file of lines: appended to, 0600, and bounded.
#[derive(Debug)]
pub struct LogFile {
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

impl LogFile {
    /// `field`: the configuration's word for it.
    pub fn open(field: &str, path: &Path) -> Result<LogFile, Diagnostic> {
        let fault = |error: std::io::Error| {
            let message = format!("cannot write `{}`: {error}", path.display());
            Diagnostic::new("waf-log-unwritable", format!("gateway.yaml: {field}"), message).hint(
                format!("name a file in a folder the gateway may write to, or remove `{field}`"),
            )
        };
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        let file = file.map_err(fault)?;
        let written = AtomicU64::new(file.metadata().map_err(fault)?.len());
        Ok(LogFile { path: path.to_owned(), file, written })
    }

    /// Written when this returns, in one piece.
    pub fn append(&self, text: &[u8]) {
        let before = self.written.fetch_add(text.len() as u64, Ordering::Relaxed);
        if text.is_empty() || before > LOG_BYTES_MAX {
            return;
        }
        if let Err(error) = (&self.file).write_all(text) {
            tracing::error!(%error, path = %self.path.display(), "cannot write a log");
        }
    }
}

/// One line for each match that wants to be logged, as ModSecurity's error log has them. They hold what
/// matched as it was sent.
pub fn write_matches(log: &LogFile, about: &About<'_>, matches: &[Match]) {
    let mut text = String::new();
    for found in matches.iter().filter(|found| found.logged) {
        line(&mut text, about, found);
    }
    log.append(text.as_bytes());
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
