//! A rule set over what was written down.

use crate::mask::is_masked;
use crate::outcome::{SetOutcome, limit_code};
use crate::record::{Body, Record, Response, Unseen};
use crate::rules::Rules;
use crate::told::entry;
use schema::Event;
use seclang::{
    Connection, EngineMode, Limit, NoMemory, Overrides, RequestHead, ResponseHead, Transaction,
    Without,
};
use serde_json::{Map, Value, json};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// Looked at of a body unless somebody says otherwise.
pub const BODY_BYTES_MAX: usize = 128 * 1024;

/// What is written down already cannot be blocked.
const STAGE: &str = "shadow";

/// How strict a rule set is. What is not said is what its files say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    /// CRS's paranoia level, 1 to 4.
    pub paranoia: Option<u8>,
    /// A higher level whose rules are told of, and do not count.
    pub detection_paranoia: Option<u8>,
    pub inbound_threshold: Option<u32>,
    pub outbound_threshold: Option<u32>,
}

/// The variables of TX that hold the settings.
pub fn settings(wanted: &Settings) -> Vec<(String, String)> {
    // Stricter than the detection level would detect less than it blocks.
    let detection = wanted.detection_paranoia.map(|level| level.max(wanted.paranoia.unwrap_or(1)));
    let all = [
        ("blocking_paranoia_level", wanted.paranoia.map(u32::from)),
        ("detection_paranoia_level", detection.or(wanted.paranoia).map(u32::from)),
        ("inbound_anomaly_score_threshold", wanted.inbound_threshold),
        ("outbound_anomaly_score_threshold", wanted.outbound_threshold),
    ];
    let said = all.into_iter().filter_map(|(name, value)| Some((name, value?.to_string())));
    said.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What a transaction's scores came to so far, by CRS's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scores {
    pub inbound: Option<i64>,
    pub inbound_threshold: Option<i64>,
    pub outbound: Option<i64>,
    pub outbound_threshold: Option<i64>,
}

pub fn scores(transaction: &Transaction) -> Scores {
    let number =
        |name: &str| std::str::from_utf8(transaction.tx(name)?).ok()?.trim().parse::<i64>().ok();
    Scores {
        inbound: number("blocking_inbound_anomaly_score"),
        inbound_threshold: number("inbound_anomaly_score_threshold"),
        outbound: number("blocking_outbound_anomaly_score"),
        outbound_threshold: number("outbound_anomaly_score_threshold"),
    }
}

/// What rule sets have to tell of a record: `plura.waf` as gateways write it. `None`: nothing.
pub fn told(outcomes: &[SetOutcome], record: &Record) -> Option<Value> {
    let told = outcomes.iter().filter(|outcome| !outcome.is_quiet());
    let entries: Vec<Value> = told.map(|outcome| entry(outcome, false, &mut &*record)).collect();
    (!entries.is_empty()).then_some(Value::Array(entries))
}

/// The same of a record that nobody has looked at, and why.
pub fn uninspected(inspectors: &[&Inspector], why: &'static str) -> Value {
    let entry = |inspector: &&Inspector| {
        json!({
            "rules": inspector.rules.name,
            "stage": STAGE,
            "from_record": true,
            "limits": [why],
            "matches": [],
        })
    };
    Value::Array(inspectors.iter().map(entry).collect())
}

/// Puts what was told into its place in the event; `None` takes out what is there.
pub fn put(event: &mut Event, told: Option<Value>) {
    let ours = event.rest.entry("plura").or_insert_with(|| Value::Object(Map::new()));
    let Value::Object(ours) = ours else { return };
    match told {
        Some(told) => drop(ours.insert("waf".to_owned(), told)),
        None => drop(ours.remove("waf")),
    }
    if ours.is_empty() {
        event.rest.remove("plura");
    }
}

/// A rule set at work on records. Each stands for itself: what rules remember of clients is not kept.
#[derive(Debug)]
pub struct Inspector {
    rules: Arc<Rules>,
    overrides: Overrides,
}

impl Inspector {
    pub fn new(rules: Arc<Rules>, wanted: &Settings) -> Inspector {
        let overrides = Overrides { mode: Some(EngineMode::DetectionOnly), tx: settings(wanted) };
        Inspector { rules, overrides }
    }

    pub fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    /// What the rules would have said. What the record does not hold makes no rule match.
    pub fn inspect(&self, record: &Record) -> SetOutcome {
        let none = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let connection = Connection {
            client: record.client.unwrap_or(none),
            client_port: record.client_port,
            server: record.server.unwrap_or(none),
            server_port: record.server_port,
            unique_id: &record.id,
            time_ms: record.time,
            utc_offset_secs: 0,
        };
        let headers = pairs(&record.headers);
        let head = RequestHead {
            method: &record.method,
            target: &record.target,
            protocol: record.protocol.as_deref().unwrap_or("HTTP/1.1").as_bytes(),
            headers: &headers,
        };
        let mut transaction = self.rules.engine.begin(&connection, &head, Arc::new(NoMemory));
        transaction.apply(&self.overrides);
        transaction.overlook(is_masked);
        self.leave_out_unseen(record, &mut transaction);

        transaction.request_headers();
        let wants_request = transaction.wants_request_body();
        let (body, is_whole) = part(&record.body);
        transaction.request_body(body, is_whole);
        let mut wants_response = false;
        if let Some(response) = &record.response {
            let headers = pairs(&response.headers);
            let protocol = head.protocol;
            let answer = ResponseHead { status: response.status, protocol, headers: &headers };
            transaction.response_headers(&answer);
            wants_response = transaction.wants_response_body();
            let (body, is_whole) = part(&response.body);
            transaction.response_body(body, is_whole);
        }
        let scores = scores(&transaction);
        let verdict = transaction.finish();
        let is_unknown = |limit: &Limit| match limit {
            Limit::RequestBody => record.body == Body::Unknown,
            Limit::ResponseBody => is_unknown_in(record.response.as_ref()),
            _ => false,
        };
        // A body that nobody would have looked at is not missed.
        let unseen = record.unseen.iter().filter(|unseen| match unseen {
            Unseen::RequestBody | Unseen::RequestType => wants_request,
            Unseen::ResponseBody => wants_response,
            _ => true,
        });
        SetOutcome {
            rules: Arc::clone(&self.rules),
            stage: STAGE,
            enforced: false,
            decided: verdict.interruption.or(verdict.would).map(|by| (by.rule, by.phase)),
            inbound_score: scores.inbound,
            outbound_score: scores.outbound,
            inbound_threshold: scores.inbound_threshold,
            outbound_threshold: scores.outbound_threshold,
            matches: verdict.matches.into_iter().filter(|found| found.logged).collect(),
            matches_dropped: verdict.matches_dropped,
            limits: verdict
                .limits
                .into_iter()
                .filter(|limit| !is_unknown(limit))
                .map(limit_code)
                .collect(),
            refused: false,
            audited: verdict.audit,
            record: Some(unseen.map(|unseen| unseen.code()).collect()),
        }
    }

    /// Rules that would take what is missing in the record for missing in the exchange.
    fn leave_out_unseen(&self, record: &Record, transaction: &mut Transaction) {
        let mut hide = |names: &[&str]| {
            for name in names {
                if let Some(without) = Without::everywhere(name) {
                    transaction.leave_out(&without);
                }
            }
        };
        if record.protocol.is_none() {
            hide(&["REQUEST_PROTOCOL", "RESPONSE_PROTOCOL", "REQUEST_LINE"]);
        }
        if record.client.is_none() {
            hide(&["REMOTE_ADDR", "REMOTE_HOST"]);
        }
        if record.server.is_none() {
            hide(&["SERVER_ADDR"]);
        }
        if record.client_port == 0 {
            hide(&["REMOTE_PORT"]);
        }
        if record.server_port == 0 {
            hide(&["SERVER_PORT"]);
        }
        if record.body == Body::Unknown {
            hide(&["INBOUND_DATA_ERROR", "REQUEST_BODY_LENGTH", "ARGS_COMBINED_SIZE"]);
        }
        if is_unknown_in(record.response.as_ref()) {
            hide(&["OUTBOUND_DATA_ERROR", "RESPONSE_CONTENT_LENGTH"]);
        }
        let in_request = record.unseen.contains(&Unseen::RequestHeaders);
        let in_response = record.unseen.contains(&Unseen::ResponseHeaders);
        for counted in self.rules.counted() {
            let (is_unseen, headers) = if counted.of_response {
                (in_response, record.response.as_ref().map(|response| &response.headers))
            } else {
                (in_request, Some(&record.headers))
            };
            let is_there = counted.header.as_deref().is_some_and(|header| {
                let mut known = headers.into_iter().flatten();
                known.any(|(name, _)| name.eq_ignore_ascii_case(header.as_bytes()))
            });
            if is_unseen && !is_there {
                transaction.leave_out(&Without::rule(counted.rule));
            }
        }
    }
}

/// What is shown of a body, and whether that is all of it.
fn part(body: &Body) -> (&[u8], bool) {
    match body {
        Body::Whole(bytes) => {
            (bytes.get(..BODY_BYTES_MAX).unwrap_or(bytes), bytes.len() <= BODY_BYTES_MAX)
        }
        Body::Beginning(bytes) => (bytes.get(..BODY_BYTES_MAX).unwrap_or(bytes), false),
        Body::Unknown => (&[], false),
    }
}

fn is_unknown_in(response: Option<&Response>) -> bool {
    response.is_some_and(|response| response.body == Body::Unknown)
}

fn pairs(headers: &[(Vec<u8>, Vec<u8>)]) -> Vec<(&[u8], &[u8])> {
    headers.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect()
}

#[cfg(test)]
mod tests;
