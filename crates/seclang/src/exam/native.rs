//! The engine itself as the one who sits the exam: no server, no network.

use super::backend::respond;
use super::server::{Refusal, Request, parse};
use super::{Answer, Input, NoAnswer, Target};
use crate::engine::{Engine, NoMemory, Transaction};
use crate::input::{Connection, RequestHead, ResponseHead};
use crate::verdict::{Interrupt, Interruption};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// Requests go through the engine as they would on a server in front of CRS's test backend. Each is a
/// transaction of its own, at one and the same time, and nothing is remembered between them.
#[derive(Debug)]
pub struct Native {
    engine: Arc<Engine>,
}

impl Native {
    pub fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    fn answer(&self, request: &Request) -> Result<Answer, NoAnswer> {
        let connection = Connection {
            client: IpAddr::V4(Ipv4Addr::new(172, 18, 0, 1)),
            client_port: 40_000,
            server: IpAddr::V4(Ipv4Addr::new(172, 18, 0, 2)),
            server_port: 80,
            unique_id: "exam",
            time_ms: 1_767_225_600_000,
            utc_offset_secs: 0,
        };
        let headers = pairs(&request.headers);
        let head = RequestHead {
            method: &request.method,
            target: &request.target,
            protocol: &request.protocol,
            headers: &headers,
        };
        let mut transaction = self.engine.begin(&connection, &head, Arc::new(NoMemory));
        let mut raw = Vec::new();
        let mut status = 0;
        let mut location = None;
        let stopped = stops_request(&mut transaction, request);
        if stopped.is_none() {
            let response = respond(request);
            let headers: Vec<(&[u8], &[u8])> = response
                .headers
                .iter()
                .map(|(name, value)| (name.as_bytes(), value.as_bytes()))
                .collect();
            let head =
                ResponseHead { status: response.status, protocol: b"HTTP/1.1", headers: &headers };
            if transaction.response_headers(&head).is_none() {
                transaction.response_body(&response.body, true);
            }
            status = response.status;
            location = response.header("Location").map(str::to_owned);
            raw = response.raw();
        }
        let verdict = transaction.finish();
        let log = verdict
            .matches
            .iter()
            .filter(|found| found.logged)
            .map(crate::verdict::Match::log_line)
            .collect();
        let answer = Answer { status, location, raw, log, refused: None };
        match verdict.interruption {
            None => Ok(answer),
            Some(Interruption { deed: Interrupt::Deny { status }, .. }) => {
                Ok(Answer { status, location: None, raw: stopped_raw(status), ..answer })
            }
            Some(Interruption { deed: Interrupt::Redirect { status, location }, .. }) => {
                let location = Some(String::from_utf8_lossy(&location).into_owned());
                Ok(Answer { status, location, raw: stopped_raw(status), ..answer })
            }
            Some(Interruption { deed: Interrupt::Drop, rule, .. }) => {
                Err(NoAnswer::Broken(format!("rule {rule} closed the connection")))
            }
        }
    }
}

impl Target for Native {
    fn send(&mut self, _: &Input, request: &[u8]) -> Result<Answer, NoAnswer> {
        match parse(request) {
            Ok(request) => self.answer(&request),
            Err(Refusal::Bad(why)) => Ok(Answer {
                status: 400,
                raw: stopped_raw(400),
                refused: Some(why.to_owned()),
                ..Answer::default()
            }),
            Err(Refusal::Unfinished(why)) => Err(NoAnswer::Broken(why.to_owned())),
        }
    }
}

fn stops_request(transaction: &mut Transaction, request: &Request) -> Option<Interruption> {
    if let Some(stopped) = transaction.request_headers() {
        return Some(stopped.clone());
    }
    transaction.request_body(&request.body, true).cloned()
}

fn pairs(headers: &[(Vec<u8>, Vec<u8>)]) -> Vec<(&[u8], &[u8])> {
    headers.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect()
}

fn stopped_raw(status: u16) -> Vec<u8> {
    format!("HTTP/1.1 {status} \r\nContent-Length: 0\r\n\r\n").into_bytes()
}
