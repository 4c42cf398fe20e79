use super::body::{Decoded, MediaType, Shown, decode, text};
use super::entities::{Identity, SessionBook, account, identify, remember};
use super::exchange::{Exchange, Trusted};
use super::keys::Keys;
use super::outcome::{Outcome, REASON_CHARS_MAX, by_status, usage};
use super::place::{Place, json_at};
use super::protect::{Counts, Protect, Sealed};
use super::site::{Route, Site};
use super::view::View;
use super::waf;
use crate::trust::{Decision, Obligation, Obligations};
use http::{HeaderMap, Version};
use schema::{Event, OutcomeResult, Rung, activity, class, id_from_seed};
use serde_json::{Map, Value};
use std::borrow::Cow;
use uuid::Uuid;

/// Headers kept of each message; more are counted in the last.
const HEADERS_MAX: usize = 128;
/// Longest header value kept; of a longer one, its beginning.
const HEADER_BYTES_MAX: usize = 8 * 1024;
/// Longest path and query kept.
const TARGET_BYTES_MAX: usize = 16 * 1024;

/// One exchange as one OCSF HTTP Activity, with nothing secret left in it.
///
/// Pure: the same arguments give the same event. `book` learns who a session is from logins that
/// succeed, and tells it to later requests.
pub fn observe(exchange: &Exchange, site: &Site, keys: &Keys, book: &SessionBook) -> Event {
    Observation::of(exchange, site, keys, book).into_event()
}

/// The same event as one line of OCSF JSON, appended to `out` without the line break: what the recorder
/// does for every exchange.
pub fn observe_line(
    exchange: &Exchange,
    site: &Site,
    keys: &Keys,
    book: &SessionBook,
    out: &mut Vec<u8>,
) {
    Observation::of(exchange, site, keys, book).write_line(out);
}

/// An event, its headers not yet made into JSON values: the recorder writes them out directly.
pub(super) struct Observation<'a> {
    pub(super) event: Event,
    pub(super) request_headers: Vec<(&'a str, Cow<'a, str>)>,
    pub(super) response_headers: Vec<(&'a str, Cow<'a, str>)>,
}

impl<'a> Observation<'a> {
    pub(super) fn of(
        exchange: &'a Exchange,
        site: &Site,
        keys: &Keys,
        book: &SessionBook,
    ) -> Observation<'a> {
        let head = &exchange.request;
        let id = exchange_id(exchange);
        let mut protect = Protect::new(&site.scanner, keys, &site.keep, id);
        let method = head.method.as_str();

        let request_media = MediaType::of(&head.headers);
        let response_media = MediaType::of(&exchange.response_headers);
        let sent = decode(&exchange.request_body, &head.headers, site.body_bytes);
        let answered = decode(&exchange.response_body, &exchange.response_headers, site.body_bytes);
        let request_text = text_of(&sent, &request_media);
        let response_text = text_of(&answered, &response_media);
        let route = site.route(method, &head.path);
        let mut view = View::of_request(head, request_text.as_deref());
        view.status = exchange.status;
        view.response_headers = Some(&exchange.response_headers);
        view.response_text = response_text.as_deref();

        let mut event = blank(exchange, id);
        event.site = Some(site.name.clone());

        // What is masked in names of things is not counted as personal data of a body.
        protect.begin("account");
        let mut who = identify(&view, route, site, keys, book, &mut protect);
        protect.begin("path");
        let (hidden, endpoint) = site.endpoint(method, shortened(&head.path), &mut protect);
        event.path = Some(hidden.unwrap_or_else(|| shortened(&head.path).to_owned()));
        event.endpoint = Some(endpoint);

        let upload = is_upload(&request_media, &sent);
        judge(&mut event, exchange, route, &view, site, &mut protect, upload);
        learn(&event, &view, &mut who, route, site, keys, book, &mut protect);
        event.credential = who.credential;
        event.session = who.session;
        event.account = who.account;
        if let Some(place) = who.unverified {
            keep(&mut event, "account_from", Value::from(place.to_string()));
        }
        if let Some(trusted) = &exchange.trust {
            keep(&mut event, "trust", trust(trusted));
        }

        // Nothing is hidden in the request's arguments.
        let mut is_open = !sent.cut && !sent.opaque;
        protect.begin("query");
        if let Some(query) = head.query.as_deref() {
            let cut = query.len() > TARGET_BYTES_MAX;
            let query = shortened(query);
            let hidden = protect.form(query, cut, 0);
            is_open &= hidden.is_none() && !cut;
            event.query = Some(hidden.unwrap_or_else(|| query.to_owned()));
        }
        protect.begin("request.header");
        let request_headers = headers(&head.headers, &mut protect);
        let kept = |name: &str| {
            request_headers
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| value.clone().into_owned())
        };
        event.user_agent = kept("user-agent");
        event.referrer = kept("referer");
        event.request_content_type = kept("content-type");

        protect.begin("request.body");
        if let Some(Shown { text, encoding, hidden }) =
            protect.body(&sent, &request_media, request_text.as_deref())
        {
            is_open &= !hidden && encoding.is_none();
            if hidden {
                event.request_sha256 = exchange.request_body.sha256.map(|d| keys.keyed_digest(&d));
            }
            event.request_body = Some(text);
            event.request_body_encoding = encoding.map(str::to_owned);
        }
        event.request_personal_data = counted(&protect.counts);
        event.request_truncated =
            (!exchange.request_body.bytes.is_empty() || sent.cut).then_some(sent.cut);

        protect.begin("response.header");
        let response_headers = headers(&exchange.response_headers, &mut protect);
        event.response_content_type = response_headers
            .iter()
            .find(|(name, _)| *name == "content-type")
            .map(|(_, value)| value.clone().into_owned());
        protect.begin("response.body");
        if let Some(Shown { text, encoding, hidden }) =
            protect.body(&answered, &response_media, response_text.as_deref())
        {
            if hidden {
                event.response_sha256 =
                    exchange.response_body.sha256.map(|d| keys.keyed_digest(&d));
            }
            event.response_body = Some(text);
            event.response_body_encoding = encoding.map(str::to_owned);
        }
        event.response_personal_data = counted(&protect.counts);
        if exchange.status.is_some() {
            event.response_personal_count = i64::try_from(protect.counts.total()).ok();
        }
        event.response_truncated =
            (!exchange.response_body.bytes.is_empty() || answered.cut).then_some(answered.cut);
        event.sealed = sealed(std::mem::take(&mut protect.sealed));
        if let Some(outcome) = &exchange.waf {
            // Looked at once more, and kept nothing of: what it hides is hidden above already.
            let mut protect = Protect::new(&site.scanner, keys, &[], id);
            let open = waf::Open { headers: &head.headers, arguments: is_open };
            if let Some(entries) = waf::entries(outcome, &open, &mut protect) {
                keep(&mut event, "waf", entries);
            }
        }
        Observation { event, request_headers, response_headers }
    }

    pub(super) fn into_event(self) -> Event {
        let list = |headers: Vec<(&str, Cow<'_, str>)>| {
            let header = |(name, value): (&str, Cow<'_, str>)| {
                Value::Object(Map::from_iter([
                    ("name".to_owned(), Value::from(name)),
                    ("value".to_owned(), Value::from(value)),
                ]))
            };
            (!headers.is_empty()).then(|| Value::Array(headers.into_iter().map(header).collect()))
        };
        let mut event = self.event;
        event.request_headers = list(self.request_headers);
        event.response_headers = list(self.response_headers);
        event
    }
}

/// The gateway does not know its tenant; its own id, which the token binds to one, takes that place.
fn exchange_id(exchange: &Exchange) -> Uuid {
    // Somebody may have been told this one.
    if let Some(waf) = &exchange.waf {
        return waf.id;
    }
    let mut seed = Vec::with_capacity(exchange.gateway.len() + 24);
    seed.extend_from_slice(b"exchange\0");
    seed.extend_from_slice(exchange.gateway.as_bytes());
    seed.push(0);
    seed.extend_from_slice(&exchange.sequence.to_be_bytes());
    id_from_seed(exchange.request.received, &seed)
}

/// What needs no protection.
fn blank(exchange: &Exchange, id: Uuid) -> Event {
    let head = &exchange.request;
    let length = |n: u64| i64::try_from(n).ok();
    let upstream =
        exchange.upstream.as_deref().and_then(|u| u.parse::<std::net::SocketAddr>().ok());
    let mut event = Event {
        id,
        time: head.received,
        class_uid: class::HTTP_ACTIVITY,
        activity_id: activity::of_method(head.method.as_str()),
        severity_id: 1,
        status_code: exchange.status.map(|status| status.to_string()),
        source: Some(exchange.gateway.to_string()),
        sequence: length(exchange.sequence),
        log_format: Some("gateway".to_owned()),
        product: Some("Plura".to_owned()),
        src_ip: Some(head.client_ip.to_string()),
        src_port: (head.client_port != 0).then(|| i64::from(head.client_port)),
        method: Some(head.method.as_str().to_owned()),
        scheme: Some(head.scheme.as_str().to_owned()),
        host: (!head.host.is_empty()).then(|| head.host.clone()),
        http_version: Some(version(head.version).to_owned()),
        request_length: length(exchange.request_body.total_len),
        http_code: exchange.status.map(i64::from),
        response_length: exchange.status.and_then(|_| length(exchange.response_body.total_len)),
        latency_ms: Some(exchange.finished.saturating_sub(head.received).max(0)),
        request_sha256: exchange.request_body.sha256.map(|d| d.to_hex()),
        response_sha256: exchange.response_body.sha256.map(|d| d.to_hex()),
        dst_ip: upstream.map(|u| u.ip().to_string()),
        dst_port: upstream.map(|u| i64::from(u.port())),
        ..Event::default()
    };
    if let Some(enforced) = &exchange.enforced {
        event.enforced_rung = Some(enforced.rung.to_string());
        event.enforced_action = Some(enforced.action.to_string());
    }
    if let Some(held) = exchange.trust.as_ref().and_then(|trust| trust.held) {
        event.enforced_rung = Some(held.refused.rung().to_string());
    }
    if is_blocked(exchange) {
        event.enforced_rung = Some(Rung::Block.to_string());
    }
    event.status_detail = exchange.error.map(|error| error.as_str().to_owned());
    event
}

fn is_blocked(exchange: &Exchange) -> bool {
    exchange.waf.as_ref().is_some_and(|waf| waf.blocked.is_some())
}

/// Puts a field beyond the columns beside those of `plura`.
fn keep(event: &mut Event, name: &str, value: Value) {
    let ours = event.rest.entry("plura").or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(ours) = ours {
        ours.insert(name.to_owned(), value);
    }
}

/// `plura.trust`: what was decided, and what was done about it.
fn trust(trusted: &Trusted) -> Value {
    let mut out = Map::new();
    if let Some(decision) = &trusted.decision {
        decided(decision, &mut out);
    }
    let mut put = |name: &str, value: Value| out.insert(name.to_owned(), value);
    put("performed", ids(trusted.performed));
    if let Some(held) = &trusted.held {
        put("refused", held.refused.code().into());
        put("reason", held.reason.into());
    }
    if trusted.is_unavailable {
        put("unavailable", true.into());
    }
    if let Some((held, decision)) = &trusted.ended {
        let mut ended = Map::new();
        if let Some(decision) = decision {
            decided(decision, &mut ended);
        }
        ended.insert("refused".to_owned(), held.refused.code().into());
        ended.insert("reason".to_owned(), held.reason.into());
        put("ended", ended.into());
    }
    Value::Object(out)
}

fn decided(decision: &Decision, out: &mut Map<String, Value>) {
    let mut put = |name: &str, value: Value| out.insert(name.to_owned(), value);
    put("decision", Value::from(&*decision.id));
    put("ruling", decision.ruling.as_str().into());
    if let Some(score) = decision.score {
        put("score", score.into());
    }
    put("decisions", decision.decisions.clone().into());
    put("obligations", ids(decision.obligations));
    if let Some(policy) = &decision.policy {
        put("policy", policy.as_str().into());
    }
    if let Some(profile) = &decision.profile {
        put("profile", profile.as_str().into());
    }
}

fn ids(obligations: Obligations) -> Value {
    obligations.iter().map(Obligation::id).collect::<Vec<_>>().into()
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}

fn text_of<'d>(decoded: &'d Decoded<'_>, media: &MediaType<'_>) -> Option<Cow<'d, str>> {
    if decoded.opaque || decoded.bytes.is_empty() {
        return None;
    }
    text(&decoded.bytes, media, decoded.cut)
}

fn shortened(text: &str) -> &str {
    if text.len() <= TARGET_BYTES_MAX {
        return text;
    }
    let end = (0..=TARGET_BYTES_MAX).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

fn is_upload(media: &MediaType<'_>, body: &Decoded<'_>) -> bool {
    media.full.get(..10).is_some_and(|kind| kind.eq_ignore_ascii_case("multipart/"))
        && memchr::memmem::find(&body.bytes, b"filename").is_some()
}

fn judge(
    event: &mut Event,
    exchange: &Exchange,
    route: Option<&Route>,
    view: &View<'_>,
    site: &Site,
    protect: &mut Protect<'_>,
    upload: bool,
) {
    let mut action = route.and_then(|route| route.action.clone());
    let is_login = action.as_deref() == Some("login");
    let (ruled, object) = match route {
        // What never reached the application has no outcome of the application's.
        Some(route) if exchange.error.is_none() && exchange.status.is_some() => {
            route.outcomes.judge(view, &site.expression_errors)
        }
        _ => (None, None),
    };
    let is_held = exchange.trust.as_ref().is_some_and(|trust| trust.held.is_some());
    let stopped = exchange.enforced.is_some() && exchange.upstream.is_none()
        || is_held
        || is_blocked(exchange);
    let outcome: Outcome = match ruled {
        Some(outcome) if !stopped => outcome,
        _ => by_status(exchange, is_login),
    };
    let mut clean = |text: String| {
        let short: String = text.chars().take(REASON_CHARS_MAX).collect();
        let cut = short.len() < text.len();
        protect.text(&short, cut, 0).unwrap_or(short)
    };
    event.outcome = Some(outcome.result.as_str().to_owned());
    event.status_id = Some(match outcome.result {
        OutcomeResult::Success => 1,
        OutcomeResult::Failure => 2,
        OutcomeResult::Unknown => 99,
    });
    event.outcome_reason = match outcome.reason {
        Some(reason) if outcome.reason_is_foreign => Some(clean(reason)),
        reason => reason,
    };
    let path = event.path.as_deref().unwrap_or_default();
    let named = route.and_then(|r| r.object.as_deref().map(|o| r.pattern.fill(o, path)));
    event.outcome_object = named.or_else(|| object.map(clean));
    if outcome.action.is_some() {
        action = outcome.action;
    }
    event.outcome_action = Some(action.unwrap_or_else(|| {
        match exchange.request.method.as_str() {
            "GET" | "HEAD" | "OPTIONS" => "read",
            "POST" if upload => "upload",
            "POST" => "create",
            "PUT" | "PATCH" => "update",
            "DELETE" => "delete",
            _ => "other",
        }
        .to_owned()
    }));
    if let Some(text) = view.response_text {
        let (input, output) = usage(text);
        let at = |path: &Option<String>| json_at(view.response_json()?, path.as_deref()?)?.as_i64();
        event.tokens_in = route.and_then(|r| at(&r.tokens_in)).or(input);
        event.tokens_out = route.and_then(|r| at(&r.tokens_out)).or(output);
    }
}

/// Keeps what a login or logout taught about the session.
#[expect(clippy::too_many_arguments, reason = "one step of observing, with all it has at hand")]
fn learn(
    event: &Event,
    view: &View<'_>,
    who: &mut Identity,
    route: Option<&Route>,
    site: &Site,
    keys: &Keys,
    book: &SessionBook,
    protect: &mut Protect<'_>,
) {
    if event.outcome.as_deref() != Some("success") {
        return;
    }
    match event.outcome_action.as_deref() {
        Some("login" | "token-issue" | "step-up") => {
            if who.account.is_none() {
                // Known only from the answer: `response-json:user.name`.
                let places = route.map(|r| r.account.as_slice()).unwrap_or_default();
                let foreign = places.iter().filter(|p| {
                    matches!(
                        p,
                        Place::ResponseJson(_)
                            | Place::ResponseHeader(_)
                            | Place::ResponseCookie(_)
                    )
                });
                let value = foreign.filter_map(|place| view.at(place)).next();
                who.account = value.and_then(|value| account(&value, site, protect));
            }
            if who.unverified.is_none() {
                remember(view, who, site, keys, book);
            }
        }
        Some("logout") => {
            for key in [&who.session, &who.credential].into_iter().flatten() {
                book.forget(key);
            }
        }
        _ => {}
    }
}

fn headers<'h>(headers: &'h HeaderMap, protect: &mut Protect<'_>) -> Vec<(&'h str, Cow<'h, str>)> {
    let mut out = Vec::with_capacity(headers.len().min(HEADERS_MAX));
    for (name, value) in headers.iter().take(HEADERS_MAX) {
        let text = match std::str::from_utf8(value.as_bytes()) {
            Ok(text) => Cow::Borrowed(text),
            // RFC 9110 §5.5: what is not ASCII was ISO-8859-1 once.
            Err(_) => Cow::Owned(value.as_bytes().iter().map(|b| char::from(*b)).collect()),
        };
        let hidden = protect.header(name, &text);
        let mut value = hidden.map_or(text, Cow::Owned);
        if value.len() > HEADER_BYTES_MAX {
            let end =
                (0..=HEADER_BYTES_MAX).rev().find(|i| value.is_char_boundary(*i)).unwrap_or(0);
            value = Cow::Owned(format!("{}[cut]", value.get(..end).unwrap_or_default()));
        }
        out.push((name.as_str(), value));
    }
    out
}

fn counted(counts: &Counts) -> Option<Value> {
    (counts.total() > 0).then(|| {
        Value::Object(counts.iter().map(|(kind, n)| (kind.as_str().to_owned(), n.into())).collect())
    })
}

fn sealed(sealed: Vec<Sealed>) -> Option<Value> {
    let entry = |s: Sealed| {
        Value::Object(Map::from_iter([
            ("place".to_owned(), Value::from(s.place)),
            ("kind".to_owned(), Value::from(s.kind.as_str())),
            ("value".to_owned(), Value::from(s.value)),
        ]))
    };
    (!sealed.is_empty()).then(|| Value::Array(sealed.into_iter().map(entry).collect()))
}
