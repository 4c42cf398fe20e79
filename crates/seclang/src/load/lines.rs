//! Rule files as lines and words, the way Apache reads its configuration.

use crate::parse::Problem;

/// A directive with its continued lines, joined.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// Words in one directive.
pub const WORDS_MAX: usize = 10_000;

/// A directive as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Where it starts, counted from 1.
    pub number: u32,
    pub text: String,
}

/// All directives of a file in order, or what is wrong with the line that has that number.
pub(super) fn lines(bytes: &[u8]) -> Vec<Result<Line, (u32, Problem)>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut found = Vec::new();
    let mut joined = Joined::default();
    let mut start = None;
    for (index, raw) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
        let (text, goes_on) = match raw.strip_suffix(b"\\") {
            Some(text) => (text, true),
            None => (raw, false),
        };
        if start.is_none() {
            let first = raw.trim_ascii_start();
            // A comment ends with its line, but a rule that was commented out goes on.
            if first.is_empty() || (first.starts_with(b"#") && !(goes_on && is_rule(first))) {
                continue;
            }
            start = Some(number);
            joined = Joined::default();
        }
        joined.push(text);
        if !goes_on && let Some(start) = start.take() {
            finish(&mut found, start, &joined.bytes);
        }
    }
    if let Some(start) = start {
        finish(&mut found, start, &joined.bytes);
    }
    found
}

/// A directive's lines, put together.
#[derive(Default)]
struct Joined {
    bytes: Vec<u8>,
    within_quotes: bool,
    escaped: bool,
}

impl Joined {
    /// Spaces at the start go where a word would be torn: before the first, and after `|`.
    fn push(&mut self, text: &[u8]) {
        let torn = self.bytes.is_empty() || (self.bytes.ends_with(b"|") && !self.within_quotes);
        let text = if torn { text.trim_ascii_start() } else { text };
        if self.bytes.len() > LINE_BYTES_MAX {
            return;
        }
        for byte in text {
            self.within_quotes ^= *byte == b'"' && !self.escaped;
            self.escaped = *byte == b'\\' && !self.escaped;
        }
        self.bytes.extend_from_slice(text);
    }
}

fn is_rule(comment: &[u8]) -> bool {
    let text = comment.strip_prefix(b"#").unwrap_or(comment).trim_ascii_start();
    [&b"SecRule"[..], b"SecAction"]
        .iter()
        .any(|name| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)))
}

fn finish(found: &mut Vec<Result<Line, (u32, Problem)>>, number: u32, joined: &[u8]) {
    if joined.is_empty() || joined.starts_with(b"#") {
        return;
    }
    if joined.len() > LINE_BYTES_MAX {
        let problem = Problem::new(start_of(joined), format!("over {LINE_BYTES_MAX} bytes"))
            .hint("split the directive");
        found.push(Err((number, problem)));
        return;
    }
    found.push(match std::str::from_utf8(joined) {
        Ok(text) => Ok(Line { number, text: text.trim_end().to_owned() }),
        Err(_) => Err((
            number,
            Problem::new(start_of(joined), "is not UTF-8")
                .hint("save the file as UTF-8; in a regex write other bytes as `\\xHH`"),
        )),
    });
}

fn start_of(joined: &[u8]) -> String {
    let word = joined.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    String::from_utf8_lossy(word.get(..60).unwrap_or(word)).into_owned()
}

/// Words between spaces. In `"…"` or `'…'` spaces belong to the word, and a backslash before that
/// quote makes it plain; every other backslash stays.
pub(super) fn words(text: &str) -> Result<Vec<String>, Problem> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if words.len() >= WORDS_MAX {
            return Err(Problem::new(start_of(text.as_bytes()), format!("over {WORDS_MAX} words"))
                .hint("split the directive"));
        }
        let (word, after) = match first {
            '"' | '\'' => quoted(rest.get(1..).unwrap_or_default(), first).ok_or_else(|| {
                Problem::new(start_of(text.as_bytes()), format!("a `{first}` is not closed"))
                    .hint("close it, or end the line with a backslash where the text goes on")
            })?,
            _ => bare(rest),
        };
        words.push(word);
        rest = after.trim_start();
    }
    Ok(words)
}

fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut word = String::new();
    let mut from = 0;
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        if letter == '\\' {
            if let Some((next_at, next)) = letters.next()
                && next == quote
            {
                word.push_str(text.get(from..at)?);
                from = next_at;
            }
        } else if letter == quote {
            word.push_str(text.get(from..at)?);
            return Some((word, text.get(at + 1..)?));
        }
    }
    None
}

/// Up to the next space; a selector's `'…'` after a colon may have some.
fn bare(text: &str) -> (String, &str) {
    let mut before = ' ';
    let mut inside = false;
    let mut end = text.len();
    for (at, letter) in text.char_indices() {
        if inside {
            inside = letter != '\'';
        } else if letter.is_ascii_whitespace() {
            end = at;
            break;
        } else if letter == '\'' && before == ':' {
            inside = text.get(at + 1..).is_some_and(|after| after.contains('\''));
        }
        before = letter;
    }
    let (word, after) = text.split_at(end);
    (word.to_owned(), after)
}

#[cfg(test)]
mod tests;
