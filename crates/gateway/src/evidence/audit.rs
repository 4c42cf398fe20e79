//! An inspection as an entry of ModSecurity's audit log (`SecAuditLogFormat JSON`), for tools that read
//! that. It holds what the event holds: protected, and nothing more.

use super::exchange::Exchange;
use super::observe::Observation;
use crate::waf::{Outcome, SetOutcome};
use seclang::{Match, Rule};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

impl Observation<'_> {
    /// One line of JSON; `None`: no rule asks for an entry.
    pub(super) fn audit_line(&self, exchange: &Exchange) -> Option<Vec<u8>> {
        let outcome = exchange.waf.as_ref()?;
        if !outcome.sets.iter().any(|set| set.audited) {
            return None;
        }
        let entry = self.audit_entry(outcome);
        let mut line = serde_json::to_vec(&entry).ok()?;
        line.push(b'\n');
        Some(line)
    }

    fn audit_entry(&self, outcome: &Outcome) -> Value {
        let event = &self.event;
        let uri = match (&event.path, &event.query) {
            (Some(path), Some(query)) => format!("{path}?{query}"),
            (path, _) => path.clone().unwrap_or_default(),
        };
        let time = jiff::Timestamp::from_millisecond(event.time).unwrap_or_default();
        let mut request = Map::new();
        request.insert("method".to_owned(), event.method.clone().into());
        request.insert("http_version".to_owned(), event.http_version.clone().into());
        request.insert("uri".to_owned(), uri.into());
        if let Some(body) = &event.request_body {
            request.insert("body".to_owned(), body.as_str().into());
        }
        request.insert("headers".to_owned(), headers(&self.request_headers));
        let mut response = Map::new();
        if let Some(body) = &event.response_body {
            response.insert("body".to_owned(), body.as_str().into());
        }
        response.insert("http_code".to_owned(), event.http_code.into());
        response.insert("headers".to_owned(), headers(&self.response_headers));
        let entries = event.rest.get("plura").and_then(|ours| ours.get("waf"));
        let told = |name: &str| {
            let entries = entries.and_then(Value::as_array).into_iter().flatten();
            entries
                .filter(|entry| entry.get("rules").and_then(Value::as_str) == Some(name))
                .find_map(|entry| entry.get("matches")?.as_array())
        };
        let messages: Vec<Value> = outcome
            .sets
            .iter()
            .flat_map(|set| {
                let told = told(&set.rules.name).map(Vec::as_slice).unwrap_or_default();
                set.matches.iter().zip(told).map(|(found, told)| message(set, found, told))
            })
            .collect();
        let versions = outcome.sets.iter().map(|set| set.rules.version.as_str());
        let is_enforced = outcome.sets.iter().any(|set| set.enforced);
        json!({"transaction": {
            "client_ip": event.src_ip,
            "time_stamp": time.strftime("%a %b %e %H:%M:%S %Y").to_string(),
            "server_id": event.source,
            "client_port": event.src_port.unwrap_or(0),
            "host_ip": outcome.server.ip().to_string(),
            "host_port": outcome.server.port(),
            "unique_id": event.id.to_string(),
            "request": request,
            "response": response,
            "producer": {
                "modsecurity": "Plura",
                "connector": "Plura gateway",
                "secrules_engine": if is_enforced { "Enabled" } else { "DetectionOnly" },
                "components": versions.filter(|v| !v.is_empty()).collect::<Vec<_>>(),
            },
            "messages": messages,
        }})
    }
}

/// `told` is what the event says of the match.
fn message(set: &SetOutcome, found: &Match, told: &Value) -> Value {
    let rule = set.rules.engine.rules().rule(found.rule);
    let text = |of: fn(&Rule) -> &str| rule.map(of).unwrap_or_default().to_owned();
    let number = |of: fn(&Rule) -> Option<u8>| rule.and_then(of).unwrap_or(0).to_string();
    let data = told.get("data").and_then(Value::as_str).unwrap_or_default();
    let variable = told.get("variable").and_then(Value::as_str).unwrap_or_default();
    json!({
        "message": told.get("message"),
        "details": {
            "match": format!("Matched \"{}\" against variable `{variable}' (Value: `{data}' )", found.test),
            "reference": "",
            "ruleId": found.rule.to_string(),
            "file": &*found.place.file,
            "lineNumber": found.place.line.to_string(),
            "data": data,
            "severity": found.severity.map_or(0, |severity| severity as u8).to_string(),
            "ver": text(|rule| &rule.version),
            "rev": text(|rule| &rule.revision),
            "tags": told.get("tags").cloned().unwrap_or_else(|| json!([])),
            "maturity": number(|rule| rule.maturity),
            "accuracy": number(|rule| rule.accuracy),
        },
    })
}

fn headers(headers: &[(&str, Cow<'_, str>)]) -> Value {
    // As ModSecurity has it: of a name that is there twice, the last.
    headers.iter().map(|(name, value)| ((*name).to_owned(), Value::from(&**value))).collect()
}
