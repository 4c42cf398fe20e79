//! A running server as the one who sits the exam: bytes over TCP, matches from its log.

use crate::output::{EXIT_UNREACHABLE, EXIT_USAGE, Failure};
use seclang::exam::{Answer, Input, NoAnswer, Target};
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The header by which a line of the log is found again; go-ftw's and CRS's own.
const MARKER: &str = "X-CRS-Test";
/// How long a connection may take, and an answer.
const CONNECT_WAIT: Duration = Duration::from_secs(3);
const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// How long a marker may take from the server into the log.
const MARKER_WAIT: Duration = Duration::from_secs(5);
const MARKER_PAUSE: Duration = Duration::from_millis(10);
/// Bytes of a response, and of what is logged for one request.
const RESPONSE_BYTES_MAX: u64 = 16 << 20;
const LOG_BYTES_MAX: u64 = 64 << 20;

/// A server at an address and the log it writes. Before and after each request a marker is sent, and what
/// was logged between the two is what came of the request.
#[derive(Debug)]
pub struct Live {
    address: String,
    log: PathBuf,
    /// Makes markers differ from those of an earlier run.
    run: String,
    sent: u64,
}

impl Live {
    pub fn new(url: &str, log: &Path) -> Result<Self, Failure> {
        let Some(rest) = url.strip_prefix("http://") else {
            return Err(Failure::new(EXIT_USAGE, format!("cannot examine `{url}`"))
                .hint("write http://HOST:PORT; TLS in front hides nothing from rules"));
        };
        let host = rest.split('/').next().unwrap_or_default();
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let address = if has_port { host.to_owned() } else { format!("{host}:80") };
        File::open(log).map_err(|error| {
            Failure::input(format!("cannot read `{}`: {error}", log.display()))
                .hint("name the file that the server writes its matches to")
        })?;
        let run = format!("plura-{}-{}", std::process::id(), unix_ms());
        let mut live = Self { address, log: log.to_owned(), run, sent: 0 };
        // A wrong address or log is told once, before the exam.
        let from = live.log_end().map_err(unreachable)?;
        live.mark(from).map_err(unreachable)?;
        Ok(live)
    }

    /// Sends a marker and waits until the log has it: what was logged since `from`, and where that ends.
    fn mark(&mut self, from: u64) -> Result<(Vec<String>, u64), String> {
        self.sent += 1;
        let marker = format!("{}-{}.", self.run, self.sent);
        let request = format!(
            "GET /status/200 HTTP/1.1\r\nHost: localhost\r\nUser-Agent: plura exam\r\nAccept: */*\r\n\
             {MARKER}: {marker}\r\nConnection: close\r\n\r\n"
        );
        self.exchange(request.as_bytes()).map_err(|error| match error {
            NoAnswer::Broken(why) => format!("the marker got no answer: {why}"),
            NoAnswer::Unusable(why) => why,
        })?;
        let began = Instant::now();
        loop {
            let bytes = self.log_since(from)?;
            // Up to the last line that is whole.
            let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let text = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default());
            if text.contains(&marker) {
                let before = text.lines().take_while(|line| !line.contains(&marker));
                return Ok((before.map(str::to_owned).collect(), from + end as u64));
            }
            if began.elapsed() > MARKER_WAIT {
                return Err(format!(
                    "the marker `{marker}` does not come up in `{}`; a rule has to log the header {MARKER}",
                    self.log.display()
                ));
            }
            sleep(MARKER_PAUSE);
        }
    }

    fn log_end(&self) -> Result<u64, String> {
        std::fs::metadata(&self.log)
            .map(|meta| meta.len())
            .map_err(|error| format!("cannot read `{}`: {error}", self.log.display()))
    }

    fn log_since(&self, from: u64) -> Result<Vec<u8>, String> {
        let told = |error: std::io::Error| format!("cannot read `{}`: {error}", self.log.display());
        let mut file = File::open(&self.log).map_err(told)?;
        file.seek(SeekFrom::Start(from)).map_err(told)?;
        let mut bytes = Vec::new();
        file.take(LOG_BYTES_MAX).read_to_end(&mut bytes).map_err(told)?;
        Ok(bytes)
    }

    fn exchange(&self, request: &[u8]) -> Result<Vec<u8>, NoAnswer> {
        let unusable = |error: String| {
            NoAnswer::Unusable(format!("cannot connect to {}: {error}", self.address))
        };
        let address = std::net::ToSocketAddrs::to_socket_addrs(self.address.as_str())
            .map_err(|error| unusable(error.to_string()))?
            .next()
            .ok_or_else(|| unusable("no such host".to_owned()))?;
        let mut stream = TcpStream::connect_timeout(&address, CONNECT_WAIT)
            .map_err(|error| unusable(error.to_string()))?;
        let broken = |error: std::io::Error| NoAnswer::Broken(error.to_string());
        stream.set_read_timeout(Some(ANSWER_WAIT)).map_err(broken)?;
        stream.set_write_timeout(Some(ANSWER_WAIT)).map_err(broken)?;
        // A server may answer and close before all is sent: what it said counts.
        let sent = stream.write_all(request);
        let mut response = Vec::new();
        let mut part = [0; 16 * 1024];
        while (response.len() as u64) < RESPONSE_BYTES_MAX && !is_whole(&response) {
            match stream.read(&mut part) {
                Ok(0) => break,
                Ok(count) => response.extend_from_slice(part.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) if !response.is_empty() => break,
                Err(error) => return Err(broken(error)),
            }
        }
        match (response.is_empty(), sent) {
            (false, _) => Ok(response),
            (true, Err(error)) => Err(broken(error)),
            (true, Ok(())) => Err(NoAnswer::Broken("the connection was closed".to_owned())),
        }
    }
}

impl Target for Live {
    fn send(&mut self, _: &Input, request: &[u8]) -> Result<Answer, NoAnswer> {
        let from = self.log_end().map_err(NoAnswer::Unusable)?;
        let (_, start) = self.mark(from).map_err(NoAnswer::Unusable)?;
        let answer = self.exchange(request);
        let (log, _) = self.mark(start).map_err(NoAnswer::Unusable)?;
        let raw = answer?;
        let Some(status) = status(&raw) else {
            return Err(NoAnswer::Broken("the answer is not HTTP".to_owned()));
        };
        let location = header(&raw, "location").map(str::to_owned);
        Ok(Answer { status, location, raw, log, refused: None })
    }
}

fn unreachable(why: String) -> Failure {
    Failure::new(EXIT_UNREACHABLE, why).hint("docs/waf-exam.md says what a live exam needs")
}

fn unix_ms() -> u128 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_millis())
}

fn head(raw: &[u8]) -> Option<&str> {
    let end = raw.windows(4).position(|part| part == b"\r\n\r\n")?;
    std::str::from_utf8(raw.get(..end)?).ok()
}

fn status(raw: &[u8]) -> Option<u16> {
    let line = raw.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?.strip_prefix("HTTP/")?;
    line.split(' ').nth(1)?.trim().parse().ok()
}

fn header<'a>(raw: &'a [u8], name: &str) -> Option<&'a str> {
    head(raw)?
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// The response has the length it announced. Others end when the connection does.
fn is_whole(raw: &[u8]) -> bool {
    let Some(length) = header(raw, "content-length").and_then(|text| text.parse::<usize>().ok())
    else {
        return false;
    };
    head(raw).is_some_and(|head| raw.len() - head.len() - 4 >= length)
}

#[cfg(test)]
mod tests;
