//! Fields of Linux audit records by their own names, from the lines as they came.

use std::borrow::Cow;

/// Fields of one event that are looked at; EXECVE may have thousands of arguments.
const FIELDS_MAX: usize = 4_096;

/// Fields that the kernel writes in hex when they hold a space, a quote or a byte beyond ASCII.
const ENCODED: [&str; 9] =
    ["name", "exe", "comm", "cwd", "proctitle", "cmd", "key", "acct", "path"];

/// One `key=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Native<'a> {
    pub key: &'a str,
    pub value: Cow<'a, str>,
}

/// Every field of every record of an event.
pub(super) fn fields(raw: &str) -> Vec<Native<'_>> {
    let mut all: Vec<Native<'_>> = Vec::new();
    for line in raw.lines() {
        let is_execve = line.contains("type=EXECVE") || line.contains("type=1309");
        let mut rest = line;
        while all.len() < FIELDS_MAX {
            rest = rest.trim_start_matches(is_gap);
            if rest.is_empty() {
                break;
            }
            let end = rest.find(|c| c == '=' || is_gap(c)).unwrap_or(rest.len());
            let (key, after) = rest.split_at(end);
            let Some(after) = after.strip_prefix('=') else {
                rest = after;
                continue;
            };
            let (value, quoted, next) = match after.strip_prefix('"') {
                Some(inner) => {
                    let (value, next) = inner.split_once('"').unwrap_or((inner, ""));
                    (value, true, next)
                }
                None if after.starts_with(['\'', '{']) => {
                    rest = after;
                    continue;
                }
                None => {
                    let end = after.find([' ', '\'', '}', '\u{1d}']).unwrap_or(after.len());
                    let (value, next) = after.split_at(end);
                    (value, false, next)
                }
            };
            rest = next;
            let name = key.split('[').next().unwrap_or(key);
            let is_argument = is_execve && is_argument(name);
            let value = match !quoted && (is_argument || ENCODED.contains(&name)) {
                true => decode(value),
                false => Cow::Borrowed(value),
            };
            match all.iter_mut().rev().find(|known| name.len() < key.len() && known.key == name) {
                // A long argument comes in pieces: `a2[0]=… a2[1]=…`.
                Some(known) if is_argument => known.value.to_mut().push_str(&value),
                _ => all.push(Native { key: name, value }),
            }
        }
    }
    all
}

fn is_gap(c: char) -> bool {
    matches!(c, ' ' | ',' | '\'' | '{' | '}' | ':' | '\u{1d}')
}

/// `a0`, `a17`.
fn is_argument(name: &str) -> bool {
    name.strip_prefix('a').is_some_and(|digits| {
        !digits.is_empty() && digits.len() < 6 && digits.bytes().all(|b| b.is_ascii_digit())
    })
}

/// Hex as the text it stands for, NULs as spaces; anything else as it is.
fn decode(value: &str) -> Cow<'_, str> {
    let is_hex = |b: u8| b.is_ascii_digit() || (b'A'..=b'F').contains(&b);
    if value.len() < 2 || !value.len().is_multiple_of(2) || !value.bytes().all(is_hex) {
        return Cow::Borrowed(value);
    }
    match data_encoding::HEXUPPER.decode(value.as_bytes()) {
        Ok(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).replace('\0', " ")),
        Err(_) => Cow::Borrowed(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_by_their_own_names() {
        let raw = "node=db1 type=EXECVE msg=audit(1795321984.000:50): argc=4 a0=\"curl\" a1=2D6F a2_len=4 a2[0]=6162 a2[1]=6364\n\
                   type=PATH msg=audit(1795321984.000:50): item=1 name=622063 nametype=CREATE\n\
                   type=USER_CMD msg=audit(1.0:9): pid=1 msg='cwd=\"/home/kim\" cmd=6C73 res=success'\u{1d}UID=\"root\"";
        let read = fields(raw);
        let value = |key: &str| {
            read.iter().find(|field| field.key == key).map(|field| field.value.as_ref())
        };
        assert_eq!(value("a0"), Some("curl"));
        assert_eq!(value("a1"), Some("-o"));
        assert_eq!(value("a2"), Some("abcd"));
        assert_eq!(value("name"), Some("b c"));
        assert_eq!(value("nametype"), Some("CREATE"));
        assert_eq!(value("cmd"), Some("ls"));
        assert_eq!(value("cwd"), Some("/home/kim"));
        assert_eq!(value("res"), Some("success"));
        assert_eq!(value("UID"), Some("root"));
    }

    #[test]
    fn what_is_cut_or_no_record_is_read_as_far_as_it_goes() {
        for raw in ["", "=", "a=", "a=\"", "type=EXECVE a0[0]=\"x", "a='b='c", "\u{1d}\u{1d}=é"] {
            let _ = fields(raw);
        }
    }
}
