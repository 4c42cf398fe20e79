//! Reads go-ftw's YAML: tests (ftw-tests-schema v2) and the overrides of a platform.

mod template;

use super::{Expected, Input, Stage, Test};
use data_encoding::BASE64;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Error, Location, Options, Spanned};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Bytes of a file of tests or overrides.
pub const SUITE_BYTES_MAX: usize = 8 << 20;

/// What cannot be read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `file:line:column`.
    pub place: String,
    pub problem: String,
    pub hint: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n  hint: {}", self.place, self.problem, self.hint)
    }
}

/// Tests whose expectation is another on this platform.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    list: Vec<Override>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    pub rule: u64,
    /// Empty: all of the rule's.
    pub tests: Vec<u64>,
    /// Empty: all of the test's, counted from 1.
    pub stages: Vec<u64>,
    pub reason: String,
    /// Takes the place of what the test expects.
    pub expected: Expected,
}

impl Overrides {
    /// The first that speaks of it: files that came first are stronger.
    pub fn of(&self, rule: u64, test: u64, stage: u64) -> Option<&Override> {
        self.list.iter().find(|over| {
            over.rule == rule
                && (over.tests.is_empty() || over.tests.contains(&test))
                && (over.stages.is_empty() || over.stages.contains(&stage))
        })
    }

    pub fn extend(&mut self, more: Self) {
        self.list.extend(more.list);
    }

    pub fn list(&self) -> &[Override] {
        &self.list
    }
}

/// Reads a file of tests.
///
/// # Errors
/// The first thing that is not understood: unknown keys are faults too.
pub fn read_tests(file: &str, text: &str) -> Result<Vec<Test>, Fault> {
    let raw: RawSuite = read(file, text)?;
    let name: Arc<str> = Arc::from(file);
    let mut tests = Vec::with_capacity(raw.tests.len());
    for (index, test) in raw.tests.into_iter().enumerate() {
        let at = test.test_id.as_ref().map(|id| id.referenced);
        let id = test.test_id.map_or(index as u64 + 1, |id| id.value);
        let fault = |problem: String| Fault {
            place: place(file, at),
            problem: format!("test {}-{id}: {problem}", raw.rule_id),
            hint: "docs/waf-exam.md says which keys of ftw-tests-schema are understood".to_owned(),
        };
        let mut stages = Vec::with_capacity(test.stages.len());
        for stage in test.stages {
            stages.extend(stages_of(stage).map_err(fault)?);
        }
        tests.push(Test {
            rule: raw.rule_id,
            id,
            description: test.desc.unwrap_or_default(),
            file: Arc::clone(&name),
            line: at.map_or(0, |at| at.line()),
            stages,
        });
    }
    Ok(tests)
}

/// Reads a file of overrides.
///
/// # Errors
/// The first thing that is not understood.
pub fn read_overrides(file: &str, text: &str) -> Result<Overrides, Fault> {
    let raw: RawOverrides = read(file, text)?;
    let over = |raw: RawOverride| Override {
        rule: raw.rule_id,
        tests: raw.test_ids,
        stages: raw.stage_ids,
        reason: raw.reason.unwrap_or_else(|| "no reason given".to_owned()),
        expected: raw.output.expected(),
    };
    Ok(Overrides { list: raw.test_overrides.into_iter().map(over).collect() })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSuite {
    #[serde(default, rename = "meta")]
    _meta: IgnoredAny,
    rule_id: u64,
    tests: Vec<RawTest>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTest {
    test_id: Option<Spanned<u64>>,
    #[serde(rename = "test_title")]
    _title: Option<String>,
    desc: Option<String>,
    stages: Vec<RawStage>,
    #[serde(default, rename = "tags")]
    _tags: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStage {
    #[serde(rename = "description")]
    _description: Option<String>,
    input: RawInput,
    output: RawOutput,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawInput {
    #[serde(rename = "dest_addr")]
    _dest_addr: Option<String>,
    #[serde(rename = "port")]
    _port: Option<u32>,
    protocol: Option<String>,
    uri: Option<String>,
    #[serde(default)]
    uris: Vec<String>,
    follow_redirect: Option<bool>,
    version: Option<String>,
    method: Option<String>,
    #[serde(default)]
    headers: RawHeaders,
    #[serde(default)]
    ordered_headers: RawHeaders,
    data: Option<String>,
    encoded_data: Option<String>,
    #[serde(rename = "save_cookie")]
    _save_cookie: Option<bool>,
    stop_magic: Option<bool>,
    autocomplete_headers: Option<bool>,
    encoded_request: Option<String>,
    #[serde(rename = "virtual_host_mode")]
    _virtual_host_mode: Option<bool>,
}

/// A map, sorted by name byte by byte as go-ftw sends it, or a list as it stands.
#[derive(Default)]
struct RawHeaders(Vec<(String, String)>);

impl<'de> Deserialize<'de> for RawHeaders {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = RawHeaders;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("headers by name, or a list of `name` and `value`")
            }

            fn visit_unit<E>(self) -> Result<RawHeaders, E> {
                Ok(RawHeaders::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawHeaders, A::Error> {
                let mut sorted = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Option<String>>()? {
                    sorted.insert(name, value.unwrap_or_default());
                }
                Ok(RawHeaders(sorted.into_iter().collect()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawHeaders, A::Error> {
                let mut headers = Vec::new();
                while let Some(RawHeader { name, value }) = list.next_element()? {
                    headers.push((name, value.unwrap_or_default()));
                }
                Ok(RawHeaders(headers))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHeader {
    name: String,
    value: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawOutput {
    status: Option<OneOrMany>,
    response_contains: Option<String>,
    log_contains: Option<String>,
    no_log_contains: Option<String>,
    log: RawLog,
    expect_error: Option<bool>,
    #[serde(rename = "retry_once")]
    _retry_once: Option<bool>,
    isolated: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawLog {
    expect_id: Option<u64>,
    no_expect_id: Option<u64>,
    expect_ids: Vec<u64>,
    no_expect_ids: Vec<u64>,
    match_regex: Option<String>,
    no_match_regex: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(u16),
    Many(Vec<u16>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOverrides {
    #[serde(rename = "version")]
    _version: Option<String>,
    #[serde(default, rename = "meta")]
    _meta: IgnoredAny,
    #[serde(default)]
    test_overrides: Vec<RawOverride>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOverride {
    rule_id: u64,
    #[serde(default)]
    test_ids: Vec<u64>,
    #[serde(default)]
    stage_ids: Vec<u64>,
    reason: Option<String>,
    #[serde(rename = "retry_once")]
    _retry_once: Option<bool>,
    #[serde(default)]
    output: RawOutput,
}

impl RawOutput {
    fn expected(self) -> Expected {
        let quoted = |id: String| regex::escape(&id);
        let mut log = self.log;
        log.expect_ids.extend(log.expect_id);
        log.no_expect_ids.extend(log.no_expect_id);
        let status = match self.status {
            None => Vec::new(),
            Some(OneOrMany::One(status)) => vec![status],
            Some(OneOrMany::Many(status)) => status,
        };
        Expected {
            status: status.into_iter().filter(|status| *status != 0).collect(),
            expect_ids: log.expect_ids,
            no_expect_ids: log.no_expect_ids,
            match_regexes: log
                .match_regex
                .into_iter()
                .chain(self.log_contains.map(quoted))
                .collect(),
            no_match_regexes: log
                .no_match_regex
                .into_iter()
                .chain(self.no_log_contains.map(quoted))
                .collect(),
            response_contains: self.response_contains.filter(|text| !text.is_empty()),
            expect_error: self.expect_error.unwrap_or(false),
            isolated: self.isolated.unwrap_or(false),
        }
    }
}

/// One stage, or one for each of `uris`.
fn stages_of(raw: RawStage) -> Result<Vec<Stage>, String> {
    let expected = raw.output.expected();
    if expected.isolated && expected.expect_ids.len() != 1 {
        return Err("`isolated` needs exactly one of `expect_ids`".to_owned());
    }
    let raw = raw.input;
    if raw.data.as_ref().is_some_and(|data| !data.is_empty()) && raw.encoded_request.is_some() {
        return Err("`data` and `encoded_request` exclude each other".to_owned());
    }
    let data = match (raw.data, raw.encoded_data) {
        (Some(data), _) => Some(template::evaluate(&data)?.into_bytes()),
        (None, Some(data)) => Some(decode("encoded_data", &data)?),
        (None, None) => None,
    };
    let input = Input {
        protocol: raw.protocol,
        method: raw.method,
        uri: raw.uri,
        version: raw.version,
        headers: headers(raw.headers, raw.ordered_headers),
        data,
        encoded_request: match raw.encoded_request.filter(|text| !text.is_empty()) {
            Some(text) => Some(decode("encoded_request", &text)?),
            None => None,
        },
        autocomplete_headers: raw
            .autocomplete_headers
            .or(raw.stop_magic.map(|stop| !stop))
            .unwrap_or(true),
        follow_redirect: raw.follow_redirect.unwrap_or(false),
    };
    if raw.uris.is_empty() {
        return Ok(vec![Stage { input, expected }]);
    }
    let with = |uri| Stage {
        input: Input { uri: Some(uri), ..input.clone() },
        expected: expected.clone(),
    };
    Ok(raw.uris.into_iter().map(with).collect())
}

fn headers(headers: RawHeaders, ordered: RawHeaders) -> Vec<(String, String)> {
    if ordered.0.is_empty() { headers.0 } else { ordered.0 }
}

fn decode(key: &str, text: &str) -> Result<Vec<u8>, String> {
    let packed: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    BASE64.decode(&packed).map_err(|error| format!("`{key}` is not base64: {error}"))
}

fn read<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, Fault> {
    if text.len() > SUITE_BYTES_MAX {
        return Err(Fault {
            place: file.to_owned(),
            problem: format!("{} bytes are more than {SUITE_BYTES_MAX}", text.len()),
            hint: "split the file".to_owned(),
        });
    }
    let options: Options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| fault(file, &error))
}

fn fault(file: &str, error: &Error) -> Fault {
    let error = error.without_snippet();
    let place = place(file, error.location());
    let (problem, hint) = match error {
        Error::SerdeUnknownField { field, expected, .. } => {
            (format!("unknown field `{field}`"), format!("use one of {}", expected.join(", ")))
        }
        other => (
            other.to_string().lines().next().unwrap_or("cannot be read").to_owned(),
            "check indentation, quotes and colons at this place".to_owned(),
        ),
    };
    Fault { place, problem, hint }
}

fn place(file: &str, at: Option<Location>) -> String {
    match at {
        Some(at) if at.line() > 0 => format!("{file}:{}:{}", at.line(), at.column()),
        _ => file.to_owned(),
    }
}
