//! The engines, each behind the same two questions: load these rules, judge this exchange.

use crate::http::{Request, Response, pairs};
use seclang::{
    Connection, Diagnostic, Engine, Files, Interrupt, NoMemory, RequestHead, ResponseHead,
};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use zentinel_modsec::ModSecurity;

/// What came of an exchange.
#[derive(Default)]
pub struct Judged {
    /// What is answered in place of the response, when it was denied: 0 for a dropped connection.
    pub denied: Option<u16>,
    pub rules: Vec<u64>,
    pub inbound: i64,
    pub outbound: i64,
    pub limits: Vec<String>,
}

pub struct Ours(Arc<Engine>);

/// `zentinel-modsec`, as its documentation says to use it.
pub struct Zentinel(ModSecurity);

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

impl Ours {
    pub fn load(rules: &str) -> Result<Self, String> {
        let loaded = seclang::load(&Disk, &[rules]).map_err(|wrong| told(&wrong))?;
        Ok(Self(Arc::new(Engine::new(loaded))))
    }

    pub fn judge(&self, request: &Request, response: &Response) -> Judged {
        let connection = Connection {
            client: CLIENT,
            client_port: 40_000,
            server: CLIENT,
            server_port: 80,
            unique_id: "0123456789abcdef",
            time_ms: 1_700_000_000_000,
            utc_offset_secs: 0,
        };
        let headers = pairs(&request.headers);
        let head = RequestHead {
            method: &request.method,
            target: &request.target,
            protocol: &request.protocol,
            headers: &headers,
        };
        let mut transaction = self.0.begin(&connection, &head, Arc::new(NoMemory));
        let mut stopped = transaction.request_headers().is_some();
        if !stopped {
            stopped = transaction.request_body(&request.body, true).is_some();
        }
        if !stopped {
            let headers = pairs(&response.headers);
            let head =
                ResponseHead { status: response.status, protocol: b"HTTP/1.1", headers: &headers };
            stopped = transaction.response_headers(&head).is_some();
        }
        if !stopped {
            let body: &[u8] = if transaction.wants_response_body() { &response.body } else { b"" };
            transaction.response_body(body, true);
        }
        let number = |name| {
            let text = transaction.tx(name).and_then(|value| std::str::from_utf8(value).ok());
            text.and_then(|text| text.parse().ok()).unwrap_or(0)
        };
        let (inbound, outbound) =
            (number("blocking_inbound_anomaly_score"), number("blocking_outbound_anomaly_score"));
        let verdict = transaction.finish();
        let mut rules: Vec<u64> = verdict.matches.iter().map(|found| found.rule).collect();
        rules.sort_unstable();
        rules.dedup();
        let denied = verdict.interruption.map(|interruption| match interruption.deed {
            Interrupt::Deny { status } | Interrupt::Redirect { status, .. } => status,
            Interrupt::Drop => 0,
        });
        let limits = verdict.limits.iter().map(|limit| format!("{limit:?}")).collect();
        Judged { denied, rules, inbound, outbound, limits }
    }
}

impl Zentinel {
    pub fn load(rules: &str) -> Result<Self, String> {
        ModSecurity::from_file(rules).map(Self).map_err(|error| error.to_string())
    }

    pub fn judge(&self, request: &Text, response: &Text) -> Result<Judged, zentinel_modsec::Error> {
        let mut transaction = self.0.new_transaction();
        transaction.set_client_addr("127.0.0.1", 40_000);
        transaction.set_server_addr("127.0.0.1", 80);
        transaction.process_uri(&request.target, &request.method, &request.protocol)?;
        for (name, value) in &request.headers {
            transaction.add_request_header(name, value)?;
        }
        transaction.process_request_headers()?;
        if !transaction.has_intervention() {
            transaction.append_request_body(&request.body)?;
            transaction.process_request_body()?;
        }
        if !transaction.has_intervention() {
            for (name, value) in &response.headers {
                transaction.add_response_header(name, value)?;
            }
            transaction.process_response_headers()?;
        }
        if !transaction.has_intervention() {
            transaction.append_response_body(&response.body)?;
            transaction.process_response_body()?;
        }
        transaction.process_logging()?;
        let mut rules: Vec<u64> =
            transaction.matched_rules().iter().filter_map(|id| id.parse().ok()).collect();
        rules.sort_unstable();
        rules.dedup();
        let denied = transaction.intervention().map(|intervention| intervention.status);
        Ok(Judged { denied, rules, ..Judged::default() })
    }
}

/// An exchange's half as texts, which is what `zentinel-modsec` takes: made before anything is measured.
pub struct Text {
    pub method: String,
    pub target: String,
    pub protocol: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Text {
    pub fn of_request(request: &Request) -> Self {
        Self {
            method: text(&request.method),
            target: text(&request.target),
            protocol: text(&request.protocol),
            headers: request
                .headers
                .iter()
                .map(|(name, value)| (text(name), text(value)))
                .collect(),
            body: request.body.clone(),
        }
    }

    pub fn of_response(response: &Response) -> Self {
        Self {
            method: String::new(),
            target: String::new(),
            protocol: String::new(),
            headers: response
                .headers
                .iter()
                .map(|(name, value)| (text(name), text(value)))
                .collect(),
            body: response.body.clone(),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Rule files where they lie.
struct Disk;

impl Files for Disk {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        std::fs::read(path).map_err(|error| error.to_string())
    }

    fn matching(&self, pattern: &str) -> Vec<String> {
        let path = Path::new(pattern);
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Vec::new();
        };
        let name = name.to_string_lossy();
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut found: Vec<String> = entries
            .filter(|entry| is_match(name.as_bytes(), entry.file_name().as_encoded_bytes()))
            .map(|entry| entry.path().to_string_lossy().into_owned())
            .collect();
        found.sort();
        found
    }
}

fn is_match(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=name.len()).any(|skip| is_match(rest, &name[skip..])),
        (Some((b'?', rest)), Some((_, tail))) => is_match(rest, tail),
        (Some((wanted, rest)), Some((held, tail))) => wanted == held && is_match(rest, tail),
        _ => false,
    }
}

fn told(wrong: &[Diagnostic]) -> String {
    let lines: Vec<String> = wrong.iter().take(20).map(|one| format!("{one:?}")).collect();
    format!("the rules cannot be loaded, {} complaints:\n{}", wrong.len(), lines.join("\n"))
}
