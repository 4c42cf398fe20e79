//! Secrets in a JSON text, in place: layout and order stay.

use super::{MASK, is_secret_name, mask_text};
use std::borrow::Cow;

/// The JSON text without values of secret-looking keys, and without secrets inside its strings.
///
/// `text` must be JSON; anything else comes back in some masked form or as it was.
pub(crate) fn mask_json(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut changes: Vec<(usize, usize, String)> = Vec::new();
    // For every open list: whether it is the value of a secret key.
    let mut lists: Vec<bool> = Vec::new();
    let mut secret_key = false;
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        let secret = secret_key || lists.last().copied().unwrap_or(false);
        match byte {
            b'"' => {
                let end = string_end(bytes, at);
                let inner = text.get(at + 1..end).unwrap_or_default();
                let after = end + 1 + spaces(bytes, end + 1);
                if bytes.get(after) == Some(&b':') {
                    let name = unescaped(inner);
                    secret_key = is_secret_name(name.as_bytes());
                    at = after + 1;
                    continue;
                }
                if secret {
                    if !inner.is_empty() && inner != "-" && inner != MASK {
                        changes.push((at + 1, end, MASK.to_owned()));
                    }
                } else if inner.contains(['=', ':', '\\', ' ', '%']) {
                    let value = unescaped(inner);
                    if let Cow::Owned(masked) = mask_text(&value) {
                        let quoted = serde_json::Value::String(masked).to_string();
                        let length = quoted.len();
                        changes.push((
                            at + 1,
                            end,
                            quoted.get(1..length - 1).unwrap_or(MASK).to_owned(),
                        ));
                    }
                }
                secret_key = false;
                at = end;
            }
            b'[' => lists.push(std::mem::take(&mut secret_key)),
            b'{' => {
                lists.push(false);
                secret_key = false;
            }
            b']' | b'}' => {
                lists.pop();
            }
            b'-' | b'0'..=b'9' if secret => {
                let tail = bytes.get(at..).unwrap_or_default();
                let length = tail.iter().position(|b| matches!(b, b',' | b'}' | b']' | b' '));
                let end = at + length.unwrap_or(tail.len());
                changes.push((at, end, format!("\"{MASK}\"")));
                secret_key = false;
                at = end;
                continue;
            }
            b',' => secret_key = false,
            _ => {}
        }
        at += 1;
    }
    if changes.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (start, end, new) in changes {
        out.push_str(text.get(done..start).unwrap_or_default());
        out.push_str(&new);
        done = end;
    }
    out.push_str(text.get(done..).unwrap_or_default());
    Cow::Owned(out)
}

/// The index of the quote that closes the string opened at `open`.
fn string_end(bytes: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while let Some(found) = memchr::memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
        at += found;
        if bytes.get(at) == Some(&b'"') {
            return at;
        }
        at += 2;
    }
    bytes.len()
}

fn spaces(bytes: &[u8], at: usize) -> usize {
    bytes.get(at..).unwrap_or_default().iter().take_while(|b| b.is_ascii_whitespace()).count()
}

fn unescaped(inner: &str) -> Cow<'_, str> {
    if inner.contains('\\') {
        serde_json::from_str(&format!("\"{inner}\"")).map_or(Cow::Borrowed(inner), Cow::Owned)
    } else {
        Cow::Borrowed(inner)
    }
}
