//! What was asked, what came back, and what was held back.

use super::answer::{Fault, Ruling};
use super::refused::Refused;
use crate::metrics::{Counter, Latency, head, line, sample};

const RULINGS: [Ruling; 4] = [Ruling::Allow, Ruling::StepUp, Ruling::Isolate, Ruling::Deny];
const FAULTS: [Fault; 3] = [Fault::Malformed, Fault::UnknownObligation, Fault::AskRefused];

#[derive(Default)]
pub struct TrustMetrics {
    rulings: [Counter; RULINGS.len()],
    faults: [Counter; FAULTS.len()],
    unavailable: Counter,
    pub hits: Counter,
    pub coalesced: Counter,
    /// Time from asking to the answer, failures included.
    pub asks: Latency,
    pub passed_unavailable: Counter,
    pub streams_ended: Counter,
    pub reconsidered: Counter,
    refused: Vec<Counter>,
}

impl TrustMetrics {
    pub fn new() -> Self {
        TrustMetrics {
            refused: Refused::ALL.iter().map(|_| Counter::default()).collect(),
            ..TrustMetrics::default()
        }
    }

    pub fn ruled(&self, ruling: Ruling) {
        count(&RULINGS, &self.rulings, ruling);
    }

    pub fn faulty(&self, fault: Fault) {
        count(&FAULTS, &self.faults, fault);
    }

    pub fn unavailable(&self) {
        self.unavailable.add(1);
    }

    pub fn refused(&self, refused: Refused) {
        count(Refused::ALL, &self.refused, refused);
    }

    /// Appends the text exposition format; `kept` and `streams` are what there is now.
    pub fn write(&self, out: &mut String, kept: usize, streams: usize) {
        head(out, "trust_decisions_total", "Answers of the decision point, by result", "counter");
        let rulings = RULINGS.iter().map(|r| r.as_str()).zip(&self.rulings);
        let faults = FAULTS.iter().map(|f| f.as_str()).zip(&self.faults);
        for (result, counter) in rulings.chain(faults).chain([("unavailable", &self.unavailable)]) {
            sample(out, "trust_decisions_total", &format!("result=\"{result}\""), counter.get());
        }
        head(out, "trust_refused_total", "Requests and streams held back, by code", "counter");
        for (refused, counter) in Refused::ALL.iter().zip(&self.refused) {
            let code = format!("code=\"{}\"", refused.code());
            sample(out, "trust_refused_total", &code, counter.get());
        }
        let counters: [(&str, &str, &Counter); 5] = [
            ("trust_cache_hits_total", "Requests judged by a kept decision", &self.hits),
            ("trust_coalesced_total", "Requests that shared a question under way", &self.coalesced),
            (
                "trust_unavailable_passed_total",
                "Requests passed although the decision point could not be asked",
                &self.passed_unavailable,
            ),
            (
                "trust_streams_ended_total",
                "Streams and tunnels no longer trusted",
                &self.streams_ended,
            ),
            (
                "trust_reconsidered_total",
                "Decisions forgotten because something changed",
                &self.reconsidered,
            ),
        ];
        for (name, help, counter) in counters {
            line(out, name, help, "counter", counter.get());
        }
        line(out, "trust_decisions_kept", "Decisions kept now", "gauge", kept);
        line(out, "trust_streams_open", "Streams watched now", "gauge", streams);
        self.asks.write(out, "trust_ask_duration_seconds", "Question out to answer in");
    }
}

fn count<T: PartialEq + Copy>(all: &[T], counters: &[Counter], one: T) {
    let place = all.iter().position(|t| *t == one);
    if let Some(counter) = place.and_then(|place| counters.get(place)) {
        counter.add(1);
    }
}
