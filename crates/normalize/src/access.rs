//! nginx and Apache access logs: `common`, `combined`, with a virtual host in front, and with more behind.

use crate::http;
use crate::reading::{Context, Note, Raw, Reading};
use crate::text::{address, number, owned, put, some};
use crate::{clock, secrets};
use schema::{Event, class};
use serde_json::Value;

/// Fields behind the user agent that are kept.
const EXTRA_FIELDS_MAX: usize = 32;

/// Where the time stands: the first ` [dd/Mon/yyyy:… ] "`.
///
/// Servers escape quotes in what clients send, so a user name cannot forge the `] "` behind it.
fn time_span(line: &str) -> Option<(usize, usize)> {
    let bytes = line.as_bytes();
    let mut from = 0;
    while let Some(found) = memchr::memmem::find(bytes.get(from..)?, b" [") {
        let open = from + found + 2;
        let shape = bytes.get(open..open + 21).is_some_and(|date| {
            matches!(date, [a, b, b'/', _, _, _, b'/', _, _, _, _, b':', ..] if a.is_ascii_digit() && b.is_ascii_digit())
        });
        if shape {
            let window = bytes.get(open..bytes.len().min(open + 40))?;
            if let Some(close) = memchr::memchr(b']', window)
                && bytes.get(open + close..open + close + 3) == Some(b"] \"")
            {
                return Some((open, open + close));
            }
        }
        from = open;
    }
    None
}

pub(crate) fn is_access(line: &str) -> bool {
    time_span(line).is_some()
}

pub(crate) fn read(line: &str, context: &Context<'_>) -> Reading {
    let masked = secrets::mask_text(line);
    match parse(&masked, context) {
        Ok(event) => Reading::event(event, Raw::of(masked), None),
        Err(note) => Reading::unread(context, "combined", Raw::of(masked), note),
    }
}

/// Reads an access line that came inside another record.
pub(crate) fn parse(line: &str, context: &Context<'_>) -> Result<Event, Note> {
    let wrong = |what: &str| {
        Note::new("not-combined", format!("the line is no common or combined access log: {what}"))
            .hint("check the server's log format; JSON access logs are `json-access`")
    };
    let (open, close) =
        time_span(line).ok_or_else(|| wrong("no `[day/month/year:time zone] \"` in it"))?;
    let written = line.get(open..close).unwrap_or_default();
    let time = clock::access_log(written, context.source.utc_offset_secs)
        .ok_or_else(|| wrong(&format!("`{written}` is no time")))?;
    let mut event = context.event(class::HTTP_ACTIVITY, Some(time), "combined");

    let after = line.get(close + 2..).unwrap_or_default();
    let (request, after) =
        quoted(after).ok_or_else(|| wrong("the request's quote is not closed"))?;
    http::set_request_line(&mut event, &request);

    let mut fields = Fields { rest: after };
    let code = fields.next().and_then(|field| number(&field.text));
    let code = code.filter(|code| (0..=999).contains(code));
    http::set_status(&mut event, code.ok_or_else(|| wrong("no status behind the request"))?);
    event.response_length = fields.next().and_then(|field| number(&field.text));
    set_client(&mut event, line.get(..open.saturating_sub(2)).unwrap_or_default());
    set_tail(&mut event, fields);
    Ok(event)
}

/// What stands before the time: `[vhost] client ident user`, the user possibly with spaces.
fn set_client(event: &mut Event, front: &str) {
    let (mut first, mut rest) = split_word(front);
    let (second, after) = split_word(rest);
    if address(first).is_none() && !first.ends_with(',') && address(second).is_some() {
        http::set_host(event, first);
        (first, rest) = (second, after);
    }
    // A list of proxies: only the last address was seen by a server of ours.
    let mut proxies = Vec::new();
    while let Some(proxy) = first.strip_suffix(',') {
        proxies.push(Value::from(proxy));
        (first, rest) = split_word(rest);
    }
    if !proxies.is_empty() {
        put(&mut event.rest, "unmapped.forwarded_for", proxies);
    }
    match address(first) {
        Some(ip) => event.src_ip = Some(ip),
        None => {
            if let Some(name) = some(first) {
                put(&mut event.rest, "src_endpoint.hostname", name);
            }
        }
    }
    let (ident, user) = split_word(rest);
    if let Some(ident) = some(ident) {
        put(&mut event.rest, "unmapped.ident", ident);
    }
    event.account = owned(&unescape(user)).filter(|user| user != "\"\"");
}

fn split_word(text: &str) -> (&str, &str) {
    text.split_once(' ').unwrap_or((text, ""))
}

/// Referer, user agent and what a site adds behind them.
fn set_tail(event: &mut Event, mut fields: Fields<'_>) {
    let Some(referrer) = fields.next() else { return };
    let mut extras: Vec<Field> = Vec::new();
    if referrer.quoted {
        event.referrer = owned(&referrer.text);
        match fields.next() {
            Some(agent) if agent.quoted => event.user_agent = owned(&agent.text),
            Some(other) => extras.push(other),
            None => return,
        }
    } else {
        extras.push(referrer);
    }
    extras.extend(fields.take(EXTRA_FIELDS_MAX));

    let mut kept = Vec::new();
    for field in extras {
        let (name, value) = match field.text.split_once('=') {
            Some((name, value)) if !field.quoted => (Some(name), value.trim_matches('"')),
            _ => (None, field.text.as_str()),
        };
        let is_time = match name {
            Some(name) => matches!(name, "rt" | "request_time" | "duration"),
            None => !field.quoted && value.contains('.'),
        };
        match seconds(value).filter(|_| is_time && event.latency_ms.is_none()) {
            Some(latency) => event.latency_ms = Some(latency),
            None if name == Some("host") || name == Some("vhost") => http::set_host(event, value),
            None if some(value).is_some() => kept.push(Value::from(field.text)),
            None => {}
        }
    }
    if !kept.is_empty() {
        put(&mut event.rest, "unmapped.extra", kept);
    }
}

/// `0.123` seconds as milliseconds.
pub(crate) fn seconds(text: &str) -> Option<i64> {
    let digits = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let seconds: f64 = text.parse().ok().filter(|_| digits)?;
    (seconds < 1e9).then(|| (seconds * 1000.0).round() as i64)
}

struct Fields<'a> {
    rest: &'a str,
}

struct Field {
    text: String,
    quoted: bool,
}

impl Iterator for Fields<'_> {
    type Item = Field;

    fn next(&mut self) -> Option<Field> {
        self.rest = self.rest.trim_start_matches(' ');
        if self.rest.is_empty() {
            return None;
        }
        if let Some((text, rest)) = quoted(self.rest) {
            self.rest = rest;
            return Some(Field { text, quoted: true });
        }
        let (word, rest) = split_word(self.rest);
        self.rest = rest;
        Some(Field { text: unescape(word), quoted: false })
    }
}

/// A quoted, unescaped text and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix('"')?;
    let bytes = inner.as_bytes();
    let mut at = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', bytes.get(at..)?) {
        at += found;
        if bytes.get(at) == Some(&b'"') {
            return Some((unescape(inner.get(..at)?), inner.get(at + 1..)?));
        }
        at += 2;
    }
    None
}

/// Undoes nginx's `\x22` and Apache's `\"`, `\\`, `\n`…, once.
fn unescape(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'\\' {
            out.push(*first);
            continue;
        }
        let hex = match tail {
            [b'x', high, low, ..] => std::str::from_utf8(&[*high, *low])
                .ok()
                .filter(|pair| !pair.starts_with('+'))
                .and_then(|pair| u8::from_str_radix(pair, 16).ok()),
            _ => None,
        };
        let (byte, used) = match (hex, tail.first()) {
            (Some(byte), _) => (byte, 3),
            (None, Some(b'"')) => (b'"', 1),
            (None, Some(b'\\')) => (b'\\', 1),
            (None, Some(b'n')) => (b'\n', 1),
            (None, Some(b'r')) => (b'\r', 1),
            (None, Some(b't')) => (b'\t', 1),
            (None, Some(b'b')) => (8, 1),
            (None, Some(b'v')) => (11, 1),
            (None, Some(b'f')) => (12, 1),
            _ => (b'\\', 0),
        };
        out.push(byte);
        rest = tail.get(used..).unwrap_or_default();
    }
    String::from_utf8_lossy(&out).into_owned()
}
