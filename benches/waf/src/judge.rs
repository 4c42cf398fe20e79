//! Verdicts for a stream of exchanges.

use crate::engines::Ours;
use crate::http::{Request, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, Write};

#[derive(Deserialize)]
struct Exchange {
    id: u64,
    /// The request's bytes, in Base64.
    request: String,
    response: Answer,
}

#[derive(Deserialize)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

#[derive(Serialize)]
struct Line {
    id: u64,
    /// What the client gets.
    status: u16,
    denied: bool,
    ids: Vec<u64>,
    inbound: i64,
    outbound: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    limits: Vec<String>,
    /// There is no request in it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unreadable: bool,
}

pub fn run(rules: &str) -> Result<(), String> {
    let ours = Ours::load(rules)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(|error| error.to_string())?;
        let exchange: Exchange = serde_json::from_str(&line).map_err(|error| error.to_string())?;
        let raw = decoded(&exchange.request)?;
        let response = Response {
            status: exchange.response.status,
            headers: exchange
                .response
                .headers
                .into_iter()
                .map(|(name, value)| (name.into_bytes(), value.into_bytes()))
                .collect(),
            body: decoded(&exchange.response.body)?,
        };
        let verdict = match Request::parse(&raw) {
            Some(request) => {
                let judged = ours.judge(&request, &response);
                Line {
                    id: exchange.id,
                    status: judged.denied.unwrap_or(response.status),
                    denied: judged.denied.is_some(),
                    ids: judged.rules,
                    inbound: judged.inbound,
                    outbound: judged.outbound,
                    limits: judged.limits,
                    unreadable: false,
                }
            }
            None => Line {
                id: exchange.id,
                status: 400,
                denied: true,
                ids: Vec::new(),
                inbound: 0,
                outbound: 0,
                limits: Vec::new(),
                unreadable: true,
            },
        };
        serde_json::to_writer(&mut out, &verdict).map_err(|error| error.to_string())?;
        out.write_all(b"\n").map_err(|error| error.to_string())?;
    }
    out.flush().map_err(|error| error.to_string())
}

fn decoded(text: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text).map_err(|error| error.to_string())
}
