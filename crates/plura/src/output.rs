//! What people and programs read on the terminal.

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use std::fmt;
use std::io::{IsTerminal, Write};

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Human,
    Json,
}

/// Why a command did not do what it was asked, with the exit code for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub exit: u8,
    pub message: String,
    pub hint: Option<String>,
}

pub const EXIT_FOUND: u8 = 1;
pub const EXIT_USAGE: u8 = 2;
pub const EXIT_INPUT: u8 = 3;
pub const EXIT_UNREACHABLE: u8 = 4;

impl Failure {
    pub fn new(exit: u8, message: impl Into<String>) -> Self {
        Failure { exit, message: message.into(), hint: None }
    }

    pub fn input(message: impl Into<String>) -> Self {
        Failure::new(EXIT_INPUT, message)
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Standard output; a reader that went away (`| head`) is not an error.
pub fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}");
}

/// The same on standard error, where standard output has something for programs.
pub fn complain_line(text: &str) {
    let mut err = std::io::stderr().lock();
    let _ = writeln!(err, "{text}");
}

pub fn say_json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => say(&text),
        Err(error) => complain(&Failure::new(EXIT_INPUT, format!("cannot write JSON: {error}"))),
    }
}

pub fn complain(failure: &Failure) {
    let mut err = std::io::stderr().lock();
    let _ = writeln!(err, "plura: {}", printable(&failure.message));
    if let Some(hint) = &failure.hint {
        let _ = writeln!(err, "hint: {}", printable(hint));
    }
}

/// Attackers write our input: control characters (terminal escapes, direction overrides) become visible.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let overrides_direction = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
        if (c.is_control() && c != '\n' && c != '\t') || overrides_direction {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Columns without lines, wide characters counted as two, wrapped to the terminal.
pub fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    if !std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    table.set_header(head.iter().map(|h| (*h).to_owned()));
    for row in rows {
        table.add_row(row.iter().map(|cell| printable(cell)).collect::<Vec<_>>());
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attackers_do_not_drive_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\u{202e}c"), "a\\u{1b}[2Jb\\u{202e}c");
        assert_eq!(printable("한글 かな\n"), "한글 かな\n");
    }
}
