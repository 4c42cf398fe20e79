//! Whole transactions over CRS and rules of our own: the plan changes nothing but the time they take.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plura_fuzz::{OWN_RULES, Own, crs, crs_rules, files, seed};
use seclang::exam::{Redirect, build, read_tests};
use seclang::{
    Collection, Connection, Engine, EngineMode, Limit, Memory, Overrides, Record, RequestHead,
    ResponseHead, RuleSet, Verdict, load,
};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, OnceLock};

/// More is looked at with the plan only: without, it takes long.
const COMPARED_BYTES_MAX: usize = 8 << 10;
const BODY_BYTES_MAX: usize = 64 << 10;
const CUT: &[u8] = b"\n\xff\n";

fuzz_target!(init: begin(), |data: &[u8]| {
    let Some((flags, rest)) = data.split_first() else { return };
    let sets = engines();
    let set = if flags & 3 == 0 { &sets[0] } else { &sets[sets.len() - 1] };
    let exchange = Exchange::read(*flags, rest);
    let planned = exchange.run(&set[0]);
    if exchange.len() > COMPARED_BYTES_MAX {
        return;
    }
    let plain = exchange.run(&set[1]);
    if [&planned, &plain].iter().all(|came| !came.verdict.limits.contains(&Limit::Work)) {
        assert_eq!(planned, plain);
    }
});

/// Patterns are compiled when they first run: not while an input is timed.
fn begin() {
    seed("requests", requests);
    let warm = b"POST /a.php?b=c&d HTTP/1.1\nHost: a\nCookie: b=c\nUser-Agent: x\nReferer: /x\n\
        Accept: */*\nContent-Type: application/x-www-form-urlencoded\n\ne=f\n\xff\n\
        200 OK\nContent-Type: text/html\n\nx";
    for engine in engines().iter().flatten() {
        Exchange::read(0x1c, warm).run(engine);
    }
}

/// Each rule set with its plan and without.
fn engines() -> &'static [[Arc<Engine>; 2]] {
    static ENGINES: OnceLock<Vec<[Arc<Engine>; 2]>> = OnceLock::new();
    ENGINES.get_or_init(|| {
        let own = load(&Own(OWN_RULES.as_bytes()), &["own.conf"]).expect("our rules load");
        let both = |rules: RuleSet| {
            [Engine::new(rules.clone()), Engine::new(rules).without_plan()].map(Arc::new)
        };
        [Some(own), crs_rules()].into_iter().flatten().map(both).collect()
    })
}

/// The requests of CRS's own tests.
fn requests() -> Vec<Vec<u8>> {
    let Some(folder) = crs() else { return Vec::new() };
    let mut seeds = Vec::new();
    for path in files(&folder.join("tests/regression/tests"), ".yaml") {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let (tests, _) = read_tests("a.yaml", &text).unwrap_or_default();
        for stage in tests.iter().flat_map(|test| &test.stages) {
            let Ok(request) = build(&stage.input, Redirect::No) else { continue };
            let answer = b"200 HTTP/1.1 Content-Type: text/html\n\nORA-01400 <?php stack trace";
            let parts = [&[4u8 | seeds.len() as u8 & 3], &request[..], CUT, answer];
            seeds.push(parts.concat());
        }
    }
    seeds
}

/// What goes through the engine.
struct Exchange<'a> {
    overrides: Overrides,
    complete: bool,
    request: &'a [u8],
    request_body: Vec<u8>,
    response: &'a [u8],
    response_body: Vec<u8>,
}

#[derive(Debug, PartialEq)]
struct Came {
    verdict: Verdict,
    wanted: [bool; 2],
    scores: Vec<Option<Vec<u8>>>,
    closed: Vec<(Collection, Vec<u8>, Record)>,
}

const SCORES: [&str; 12] = [
    "score",
    "level",
    "out",
    "g",
    "0",
    "1",
    "blocking_inbound_anomaly_score",
    "detection_inbound_anomaly_score",
    "blocking_outbound_anomaly_score",
    "sql_injection_score",
    "xss_score",
    "rfi_score",
];

impl<'a> Exchange<'a> {
    fn read(flags: u8, data: &'a [u8]) -> Self {
        let at = data.windows(CUT.len()).position(|part| part == CUT).unwrap_or(data.len());
        let (request, rest) = data.split_at(at);
        let response = rest.get(CUT.len()..).unwrap_or_default();
        let ((request, request_body), (response, response_body)) =
            (halves(request), halves(response));
        // A body a few bytes long and many times over shows what grows faster than it should.
        let repeat = |body: &[u8]| match flags & 0xc0 {
            0xc0 => body.repeat(BODY_BYTES_MAX / body.len().max(1)),
            0x80 => body.repeat(512 / body.len().max(1) + 1),
            _ => body.to_vec(),
        };
        let level = (1 + (flags >> 3 & 3)).to_string();
        let names = ["blocking_paranoia_level", "detection_paranoia_level"];
        let mode = if flags & 4 == 0 { EngineMode::On } else { EngineMode::DetectionOnly };
        Self {
            overrides: Overrides {
                mode: Some(mode),
                tx: names.map(|name| (name.to_owned(), level.clone())).to_vec(),
                ..Overrides::default()
            },
            complete: flags & 0x20 == 0,
            request,
            request_body: repeat(request_body),
            response,
            response_body: repeat(response_body),
        }
    }

    fn len(&self) -> usize {
        let bodies = self.request_body.len() + self.response_body.len();
        self.request.len() + self.response.len() + bodies
    }

    fn run(&self, engine: &Arc<Engine>) -> Came {
        let (line, headers) = head(self.request);
        let mut words = line.splitn(2, |byte| *byte == b' ');
        let method = words.next().unwrap_or_default();
        let rest = words.next().unwrap_or_default();
        let end = rest.iter().rposition(|byte| *byte == b' ').unwrap_or(rest.len());
        let (target, protocol) = rest.split_at(end);
        let head_of =
            RequestHead { method, target, protocol: protocol.trim_ascii(), headers: &headers };
        let connection = Connection {
            client: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            client_port: 40_000,
            server: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9)),
            server_port: 443,
            unique_id: "0192",
            time_ms: 1_767_225_600_000,
            utc_offset_secs: 9 * 3600,
        };
        let shelf = Arc::new(Shelf::default());
        let mut transaction =
            engine.begin(&connection, &head_of, Arc::clone(&shelf) as Arc<dyn Memory>);
        transaction.apply(&self.overrides);
        transaction.request_headers();
        let wants_request = transaction.wants_request_body();
        transaction.request_body(&self.request_body, self.complete);
        let (line, headers) = head(self.response);
        let status = String::from_utf8_lossy(line).get(..3).and_then(|text| text.parse().ok());
        transaction.response_headers(&ResponseHead {
            status: status.unwrap_or(200),
            protocol: b"HTTP/1.1",
            headers: &headers,
        });
        let wants_response = transaction.wants_response_body();
        transaction.response_body(&self.response_body, self.complete);
        let score = |name: &&str| transaction.tx(name).map(<[u8]>::to_vec);
        let scores = SCORES.iter().map(score).collect();
        let verdict = transaction.finish();
        for found in &verdict.matches {
            assert!(!found.log_line().contains('\n'), "one line for each");
        }
        let closed = std::mem::take(&mut *shelf.0.lock().expect("one thread"));
        Came { verdict, wanted: [wants_request, wants_response], scores, closed }
    }
}

/// Head and body.
fn halves(data: &[u8]) -> (&[u8], &[u8]) {
    let at = |mark: &[u8]| {
        data.windows(mark.len()).position(|part| part == mark).map(|at| at + mark.len())
    };
    let end = [at(b"\n\r\n"), at(b"\n\n")].into_iter().flatten().min().unwrap_or(data.len());
    data.split_at(end)
}

type Headers<'a> = Vec<(&'a [u8], &'a [u8])>;

fn head(data: &[u8]) -> (&[u8], Headers<'_>) {
    let mut lines =
        data.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let first = lines.next().unwrap_or_default();
    let header = |line: &'_ [u8]| line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
    let headers = lines.filter(|line| !line.is_empty()).map(|line| {
        let (name, value) = line.split_at(header(line));
        (name, value.get(1..).unwrap_or_default().trim_ascii())
    });
    (first, headers.collect())
}

/// Knows one session, and keeps what it is told.
#[derive(Debug, Default)]
struct Shelf(Mutex<Vec<(Collection, Vec<u8>, Record)>>);

impl Memory for Shelf {
    fn open(&self, _: Collection, _: &[u8], _: i64) -> Record {
        let mut record = Record::default();
        record.vars.set(b"count", b"2");
        record
    }

    fn close(&self, collection: Collection, key: &[u8], _: &Record, after: Record, _: i64) {
        self.0.lock().expect("one thread").push((collection, key.to_vec(), after));
    }
}
