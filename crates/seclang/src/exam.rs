//! The exam: tests in go-ftw's form sat by an engine, and what came of each.
//!
//! What go-ftw sends is built byte for byte, read as a strict HTTP/1.1 server reads it, judged by the rules,
//! answered as CRS's test backend answers, and compared with what the test expects.

mod backend;
mod check;
mod native;
mod read;
mod request;
mod server;
mod setup;

pub use backend::{Response, respond};
pub use check::{Got, check};
pub use native::Native;
pub use read::{Fault, Override, Overrides, SUITE_BYTES_MAX, read_overrides, read_tests};
pub use request::{Redirect, build};
pub use server::{BODY_BYTES_MAX, HEADERS_MAX, Refusal, Request, parse};
pub use setup::{EXAM_SETUP_FILE, exam_roots, exam_setup};

use std::sync::Arc;

/// One test: requests in order, each with what is expected of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    pub rule: u64,
    pub id: u64,
    pub description: String,
    pub file: Arc<str>,
    /// Of its `test_id`, counted from 1.
    pub line: u64,
    pub stages: Vec<Stage>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    pub input: Input,
    pub expected: Expected,
}

/// What is to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// `http` or `https`; matters to a live target only.
    pub protocol: Option<String>,
    pub method: Option<String>,
    pub uri: Option<String>,
    pub version: Option<String>,
    /// As they are to be sent.
    pub headers: Vec<(String, String)>,
    pub data: Option<Vec<u8>>,
    /// The whole request; all else is ignored then.
    pub encoded_request: Option<Vec<u8>>,
    /// Content-Type, Content-Length and Connection are added where they are missing.
    pub autocomplete_headers: bool,
    /// The URI is where the stage before was sent to.
    pub follow_redirect: bool,
}

/// What must come of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// One of these, where any is named.
    pub status: Vec<u16>,
    pub expect_ids: Vec<u64>,
    pub no_expect_ids: Vec<u64>,
    /// Each must be found in some log line.
    pub match_regexes: Vec<String>,
    /// None may be found in any.
    pub no_match_regexes: Vec<String>,
    pub response_contains: Option<String>,
    /// The connection must fail.
    pub expect_error: bool,
    /// No other rule may be logged than the one expected.
    pub isolated: bool,
}

/// What a target says to one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Where it redirects to.
    pub location: Option<String>,
    /// All of the response as it was sent.
    pub raw: Vec<u8>,
    /// What the rules logged meanwhile.
    pub log: Vec<String>,
    /// Why no rule was asked, where the server refused the request itself.
    pub refused: Option<String>,
}

/// Why a target did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The connection broke, was closed or went quiet: what `expect_error` is about.
    Broken(String),
    /// The target cannot be examined at all; the exam is over.
    Unusable(String),
}

/// Who sits the exam.
pub trait Target {
    /// Sends the bytes of one request.
    ///
    /// # Errors
    /// There is no answer.
    fn send(&mut self, input: &Input, request: &[u8]) -> Result<Answer, NoAnswer>;
}

/// What came of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub rule: u64,
    pub id: u64,
    pub file: Arc<str>,
    pub line: u64,
    /// Why another result than the suite's was expected.
    pub excused: Option<String>,
    /// The first stage that failed; none did otherwise.
    pub failure: Option<Failed>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Counted from 1.
    pub stage: usize,
    /// What was not met, one thing each.
    pub why: Vec<String>,
    pub expected: Expected,
    pub got: Got,
}

impl Outcome {
    pub fn passed(&self) -> bool {
        self.failure.is_none()
    }
}

/// Runs one test.
///
/// # Errors
/// The target cannot be examined.
pub fn run(
    target: &mut dyn Target,
    test: &Test,
    overrides: &Overrides,
) -> Result<Outcome, NoAnswer> {
    let mut outcome = Outcome {
        rule: test.rule,
        id: test.id,
        file: Arc::clone(&test.file),
        line: test.line,
        excused: None,
        failure: None,
    };
    let mut location: Option<String> = None;
    for (index, stage) in test.stages.iter().enumerate() {
        let replaced = overrides.of(test.rule, test.id, index as u64 + 1);
        let expected = replaced.map_or(&stage.expected, |over| &over.expected);
        if let Some(over) = replaced {
            outcome.excused = Some(over.reason.clone());
        }
        let redirect =
            if stage.input.follow_redirect { Redirect::To(location.take()) } else { Redirect::No };
        let answer = match build(&stage.input, redirect) {
            Ok(bytes) => target.send(&stage.input, &bytes),
            Err(error) => Err(NoAnswer::Broken(error)),
        };
        if let Err(unusable @ NoAnswer::Unusable(_)) = answer {
            return Err(unusable);
        }
        let got = Got::of(&answer);
        let why = check(expected, &answer);
        if !why.is_empty() {
            let expected = expected.clone();
            outcome.failure = Some(Failed { stage: index + 1, why, expected, got });
            break;
        }
        location = answer.ok().and_then(|answer| answer.location);
    }
    Ok(outcome)
}
