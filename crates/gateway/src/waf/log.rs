//! Files for other tools: lines of ModSecurity's error log, entries of its audit log.

use crate::metrics::{Counter, head, sample};
use schema::Diagnostic;
use seclang::Match;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Nothing is written beyond it: a log that is forgotten must not fill the disk.
const LOG_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// A file of lines: appended to, 0600, and bounded.
#[derive(Debug)]
pub struct LogFile {
    pub path: PathBuf,
    field: String,
    file: File,
    written: AtomicU64,
    bytes_max: u64,
    /// That it is full was said.
    is_told: AtomicBool,
    lost: Arc<Counter>,
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
    /// `field`: the configuration's word for it. `before`: the same log until now, which may have been moved
    /// away; what it lost stays counted.
    pub fn open(field: &str, path: &Path, before: Option<&LogFile>) -> Result<LogFile, Diagnostic> {
        let fault = |error: std::io::Error| {
            let message = format!("cannot write `{}`: {error}", path.display());
            Diagnostic::new("waf-log-unwritable", format!("gateway.yaml: {field}"), message).hint(
                format!("name a file in a folder the gateway may write to, or remove `{field}`"),
            )
        };
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        let file = file.map_err(fault)?;
        let written = AtomicU64::new(file.metadata().map_err(fault)?.len());
        Ok(LogFile {
            path: path.to_owned(),
            field: field.to_owned(),
            file,
            written,
            bytes_max: LOG_BYTES_MAX,
            is_told: AtomicBool::new(false),
            lost: before.map(|log| Arc::clone(&log.lost)).unwrap_or_default(),
        })
    }

    /// Written when this returns, in one piece.
    pub fn append(&self, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        let length = text.len() as u64;
        let before = self.written.fetch_add(length, Ordering::Relaxed);
        if before.saturating_add(length) > self.bytes_max {
            self.written.fetch_sub(length, Ordering::Relaxed);
            self.lost.add(1);
            if !self.is_told.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    path = %self.path.display(),
                    bytes_max = self.bytes_max,
                    hint = "move it away and reload",
                    "`{}` is full: nothing more is written to it", self.field
                );
            }
            return;
        }
        if let Err(error) = (&self.file).write_all(text) {
            self.lost.add(1);
            tracing::error!(%error, path = %self.path.display(), "cannot write a log");
        }
    }
}

/// Appends what the logs did not take.
pub fn write_log_metrics<'a>(out: &mut String, logs: impl Iterator<Item = &'a LogFile>) {
    let mut logs = logs.peekable();
    if logs.peek().is_none() {
        return;
    }
    let name = "waf_log_lost_total";
    head(out, name, "Entries that a log of the rules did not take", "counter");
    for log in logs {
        sample(out, name, &format!("log=\"{}\"", log.field), log.lost.get() as f64);
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_a_full_log_does_not_take_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("waf.log");
        let text = || std::fs::read_to_string(&path).unwrap();
        let log = LogFile::open("waf_log", &path, None).unwrap();
        let log = LogFile { bytes_max: 10, ..log };
        for line in ["12345\n", "too long\n", "789\n", "no\n"] {
            log.append(line.as_bytes());
        }
        assert_eq!((text().as_str(), log.lost.get()), ("12345\n789\n", 2), "never beyond its end");
        // Moved away and opened again, there is room.
        std::fs::rename(&path, folder.path().join("waf.log.1")).unwrap();
        let log = LogFile::open("waf_log", &path, Some(&log)).unwrap();
        log.append(b"new\n");
        assert_eq!((text().as_str(), log.lost.get()), ("new\n", 2));
        let mut out = String::new();
        write_log_metrics(&mut out, std::iter::once(&log));
        assert!(out.contains("waf_log_lost_total{log=\"waf_log\"} 2\n"), "{out}");
    }
}
