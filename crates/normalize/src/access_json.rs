//! Access logs of one JSON object per line: nginx and Apache with a JSON format, Caddy, Envoy, Traefik, ECS.

use crate::reading::{Context, Note, Raw, Reading};
use crate::text::{address_and_port, put, some};
use crate::{access, clock, http, ocsf, secrets};
use schema::{Event, Timestamp, class};
use serde_json::{Map, Value};

/// JSON of which we do not know whether it is OCSF.
pub(crate) fn read_any(line: &str, context: &Context<'_>) -> Reading {
    match ocsf::parse_json(line) {
        Ok(value) if ocsf::is_ocsf(&value) => ocsf::from_value(value, context),
        Ok(value) => from_line(line, value, context),
        Err(note) => unread(line, note, context),
    }
}

pub(crate) fn read(line: &str, context: &Context<'_>) -> Reading {
    match ocsf::parse_json(line) {
        Ok(value) => from_line(line, value, context),
        Err(note) => unread(line, note, context),
    }
}

fn unread(line: &str, note: Note, context: &Context<'_>) -> Reading {
    let masked = secrets::mask_text(line);
    Reading::unread(context, "json-access", Raw::of(masked), note)
}

fn from_line(line: &str, value: Value, context: &Context<'_>) -> Reading {
    let masked = secrets::mask_json(line);
    let parsed = match &masked {
        std::borrow::Cow::Borrowed(_) => Ok(value),
        std::borrow::Cow::Owned(text) => ocsf::parse_json(text),
    };
    let read = parsed.and_then(|value| match value {
        Value::Object(fields) => parse(fields, context),
        _ => Err(Note::new("not-an-object", "an access record is a JSON object")),
    });
    match read {
        Ok((event, note)) => Reading::event(event, Raw::of(masked), note),
        Err(note) => Reading::unread(context, "json-access", Raw::of(masked), note),
    }
}

/// The fields not yet used; every look-up takes.
struct Fields(Map<String, Value>);

impl Fields {
    /// The value of a fitting type under the first of these names; a dotted name goes into objects.
    fn take(&mut self, names: &[&str], fits: impl Fn(&Value) -> bool) -> Option<Value> {
        names.iter().find_map(|name| {
            if self.0.get(*name).is_some_and(&fits) {
                return self.0.remove(*name);
            }
            let (path, last) = name.rsplit_once('.')?;
            let mut map = &mut self.0;
            for part in path.split('.') {
                map = map.get_mut(part)?.as_object_mut()?;
            }
            if map.get(last).is_some_and(&fits) { map.remove(last) } else { None }
        })
    }

    fn text(&mut self, names: &[&str]) -> Option<String> {
        let fits = |value: &Value| match value {
            Value::String(text) => some(text).is_some(),
            Value::Array(items) => items.iter().any(Value::is_string),
            value => value.is_number(),
        };
        match self.take(names, fits)? {
            Value::String(text) => Some(text),
            Value::Number(number) => Some(number.to_string()),
            Value::Array(items) => items.into_iter().find_map(|v| v.as_str().map(str::to_owned)),
            _ => None,
        }
    }

    fn number(&mut self, names: &[&str]) -> Option<f64> {
        match self.take(names, |value| value.is_number() || value.is_string())? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.parse().ok().filter(|n: &f64| n.is_finite()),
            _ => None,
        }
    }

    fn whole(&mut self, names: &[&str]) -> Option<i64> {
        self.number(names).filter(|n| n.abs() < 9e15).map(|n| n as i64)
    }
}

const TIME: [&str; 15] = [
    "time_iso8601",
    "@timestamp",
    "timestamp",
    "start_time",
    "StartUTC",
    "ts",
    "msec",
    "time_local",
    "time",
    "date",
    "start",
    "StartLocal",
    "datetime",
    "time_epoch",
    "requestTime",
];

fn parse(fields: Map<String, Value>, context: &Context<'_>) -> Result<(Event, Option<Note>), Note> {
    let mut fields = Fields(fields);
    let mut event = context.event(class::HTTP_ACTIVITY, None, "json-access");
    let offset = context.source.utc_offset_secs;

    let method = fields.text(&[
        "request_method",
        "method",
        "request.method",
        "http.request.method",
        "RequestMethod",
        ":method",
        "httpRequest.requestMethod",
        "verb",
    ]);
    let line = fields.text(&["request_line", "request", "RequestLine", "requestLine"]);
    let code = fields.whole(&[
        "status",
        "response_code",
        "http.response.status_code",
        "DownstreamStatus",
        "status_code",
        "code",
        "response.status",
        "httpRequest.status",
        "http_status",
    ]);
    let (Some(code), true) = (code, method.is_some() || line.is_some()) else {
        return Err(Note::new(
            "unknown-json",
            "the JSON object is no OCSF event (`class_uid`) and no access record (`method` or `request`, and `status`)",
        )
        .hint("send OCSF, or name the fields as docs/sources.md lists them"));
    };
    http::set_status(&mut event, code);

    if let Some(method) = &method {
        http::set_method(&mut event, method);
    }
    let target = fields.text(&[
        "request_uri",
        "uri",
        "request.uri",
        "url.original",
        "path",
        ":path",
        "RequestPath",
        "url",
        "url.path",
        "httpRequest.requestUrl",
        "request_path",
    ]);
    match (target, line) {
        (Some(target), line) => {
            if method.is_none() {
                let verb = line.as_deref().and_then(|line| line.split(' ').next());
                verb.into_iter().for_each(|verb| http::set_method(&mut event, verb));
            }
            http::set_target(&mut event, &target);
        }
        (None, Some(line)) => {
            http::set_request_line(&mut event, &line);
        }
        (None, None) => {}
    }
    if let Some(query) =
        fields.text(&["args", "query_string", "query", "url.query", "request.query"])
        && event.query.is_none()
    {
        event.query = Some(query.strip_prefix('?').unwrap_or(&query).to_owned());
    }
    set_endpoints(&mut event, &mut fields);
    set_request(&mut event, &mut fields);
    let note = set_time(&mut event, &mut fields, offset);
    if let Some(id) = fields.text(&["request_id", "req_id", "x_request_id", "trace.id"]) {
        put(&mut event.rest, "http_request.uid", id);
    }
    event.product = fields.text(&["logger", "server_software"]).map(|logger| {
        if logger.starts_with("http.log.access") { "Caddy".to_owned() } else { logger }
    });
    let left = without_empty(fields.0);
    if !left.is_empty() {
        put(&mut event.rest, "unmapped", Value::Object(left));
    }
    Ok((event, note))
}

/// Objects that the look-ups emptied go.
fn without_empty(fields: Map<String, Value>) -> Map<String, Value> {
    fields
        .into_iter()
        .filter_map(|(name, value)| match value {
            Value::Object(map) => {
                let map = without_empty(map);
                (!map.is_empty()).then_some((name, Value::Object(map)))
            }
            Value::Null => None,
            Value::String(text) if some(&text).is_none() => None,
            value => Some((name, value)),
        })
        .collect()
}

fn set_endpoints(event: &mut Event, fields: &mut Fields) {
    // Caddy's `client_ip` and nginx's realip have already judged the proxies.
    let client = fields.text(&[
        "client_ip",
        "request.client_ip",
        "remote_addr",
        "request.remote_ip",
        "remote_ip",
        "downstream_remote_address",
        "client.ip",
        "source.ip",
        "ClientHost",
        "ClientAddr",
        "remoteIP",
        "clientip",
        "remote_host",
        "httpRequest.remoteIp",
        "client",
        "ip",
    ]);
    if let Some(client) = client {
        match address_and_port(&client) {
            Some((ip, port)) => {
                event.src_ip = Some(ip);
                event.src_port = port;
            }
            None => put(&mut event.rest, "src_endpoint.hostname", client),
        }
    }
    event.src_port = event.src_port.or_else(|| {
        fields.whole(&[
            "remote_port",
            "request.remote_port",
            "client.port",
            "source.port",
            "ClientPort",
        ])
    });
    let local = fields.text(&["server_addr", "downstream_local_address", "server.ip"]);
    if let Some((ip, port)) = local.and_then(|text| address_and_port(&text)) {
        event.dst_ip = Some(ip);
        event.dst_port = port;
    }
    event.dst_port = event.dst_port.or_else(|| fields.whole(&["server_port", "server.port"]));
    let forwarded =
        fields.text(&["http_x_forwarded_for", "x_forwarded_for", "xff", "forwarded_for"]);
    if let Some(forwarded) = forwarded {
        let list: Vec<Value> = forwarded.split(',').map(|a| Value::from(a.trim())).collect();
        // A client may write what it likes there: kept with what is unmapped, believed by nobody.
        fields.0.insert("forwarded_for".to_owned(), Value::Array(list));
    }
    let host = fields.text(&[
        "http_host",
        "host",
        "request.host",
        "authority",
        ":authority",
        "vhost",
        "server_name",
        "url.domain",
        "RequestHost",
        "virtual_host",
    ]);
    if let Some(host) = host
        && event.host.is_none()
    {
        http::set_host(event, &host);
    }
}

fn set_request(event: &mut Event, fields: &mut Fields) {
    event.account = fields.text(&[
        "remote_user",
        "user_id",
        "user.name",
        "ClientUsername",
        "http_user",
        "auth_user",
        "user",
        "remoteUser",
        "username",
    ]);
    event.user_agent = fields.text(&[
        "http_user_agent",
        "user_agent",
        "request.headers.User-Agent",
        "user_agent.original",
        "request_User-Agent",
        "userAgent",
        "agent",
        "httpRequest.userAgent",
        "ua",
    ]);
    event.referrer = fields.text(&[
        "http_referer",
        "http_referrer",
        "referer",
        "referrer",
        "request.headers.Referer",
        "http.request.referrer",
        "request_Referer",
        "httpRequest.referer",
    ]);
    let version = fields.text(&[
        "server_protocol",
        "protocol",
        "request.proto",
        "proto",
        "http.version",
        "RequestProtocol",
        "http_version",
        "httpRequest.protocol",
    ]);
    if let Some(version) = version {
        event.http_version = Some(http::version_number(&version));
    }
    let scheme = fields.text(&["scheme", "RequestScheme", "url.scheme", "request_scheme"]);
    event.scheme = event.scheme.take().or(scheme);
    event.request_length = fields.whole(&[
        "bytes_read",
        "bytes_received",
        "request_length",
        "http.request.body.bytes",
        "RequestContentSize",
        "request_body_size",
    ]);
    event.response_length = fields.whole(&[
        "body_bytes_sent",
        "size",
        "bytes_sent",
        "response_size",
        "http.response.body.bytes",
        "DownstreamContentSize",
        "bytes",
        "responseBytes",
        "httpRequest.responseSize",
    ]);
    event.response_content_type =
        fields.text(&["sent_http_content_type", "content_type", "resp_headers.Content-Type"]);
    event.latency_ms = latency(fields);
    set_bodies(event, fields);
}

/// Body logs: nginx's `$request_body` and what others call it. What was there and not logged is unknown, not
/// empty: nginx writes `-` where it did not read the body, or kept it in a file.
fn set_bodies(event: &mut Event, fields: &mut Fields) {
    event.request_content_type = fields.text(&[
        "http_content_type",
        "request_content_type",
        "request.headers.Content-Type",
        "request_Content-Type",
    ]);
    event.request_body =
        fields.text(&["request_body", "request.body", "http.request.body.content", "requestBody"]);
    event.response_body =
        fields.text(&["response_body", "resp_body", "http.response.body.content", "responseBody"]);
}

/// nginx writes `request_time` in seconds and Caddy `duration` too; Envoy's `duration` is in whole
/// milliseconds, Traefik's `Duration` and ECS's `event.duration` in nanoseconds.
fn latency(fields: &mut Fields) -> Option<i64> {
    let seconds = |text: String| access::seconds(&text);
    if let Some(latency) = fields.text(&["request_time", "upstream_time", "rt"]).and_then(seconds) {
        return Some(latency);
    }
    match fields.take(&["duration"], |value| !value.is_object()) {
        Some(Value::Number(number)) => {
            return match number.as_i64() {
                Some(millis) if !fields.0.contains_key("logger") => Some(millis),
                _ => number.as_f64().filter(|s| s.abs() < 1e9).map(|s| (s * 1000.0).round() as i64),
            };
        }
        Some(Value::String(text)) => {
            return match text.strip_suffix("ms") {
                Some(millis) => {
                    millis.parse::<f64>().ok().filter(|m| m.is_finite()).map(|m| m.round() as i64)
                }
                None => access::seconds(text.strip_suffix('s').unwrap_or(&text)),
            };
        }
        _ => {}
    }
    fields
        .number(&["Duration", "event.duration"])
        .filter(|n| n.abs() < 9e18)
        .map(|n| (n / 1e6).round() as i64)
}

fn set_time(event: &mut Event, fields: &mut Fields, offset: i32) -> Option<Note> {
    let mut seen = None;
    for name in TIME {
        let Some(value) = fields.take(&[name], |value| !value.is_object()) else { continue };
        if let Some(time) = read_time(&value, offset) {
            event.time = time;
            return None;
        }
        seen.get_or_insert(name);
        fields.0.insert(name.to_owned(), value);
    }
    Some(match seen {
        Some(name) => Note::new(
            "no-time",
            format!("`{name}` is no time we know; the time it was received stands in"),
        )
        .hint("write RFC 3339, or seconds or milliseconds since 1970"),
        None => Note::new("no-time", "the record has no time; the time it was received stands in")
            .hint("add a `time_iso8601` or `ts` field to the log format"),
    })
}

fn read_time(value: &Value, offset: i32) -> Option<Timestamp> {
    match value {
        Value::Number(number) => clock::epoch_number(number.as_f64()?),
        Value::String(text) => clock::iso(text, offset)
            .or_else(|| clock::access_log(text.trim_matches(['[', ']']), offset))
            .or_else(|| clock::epoch_number(text.parse().ok()?)),
        _ => None,
    }
}

/// A JSON access record inside another record, its secrets already gone.
pub(crate) fn parse_inner(text: &str, context: &Context<'_>) -> Option<Event> {
    match ocsf::parse_json(&secrets::mask_json(text)).ok()? {
        Value::Object(fields) => parse(fields, context).ok().map(|(event, _)| event),
        _ => None,
    }
}
