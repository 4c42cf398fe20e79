//! How a request came out, and why: the first rule of its route that holds, else the status code.

use super::exchange::Exchange;
use super::view::View;
use cel::objects::{Key, Map};
use cel::{Context, Program, Value as Cel};
use http::HeaderMap;
use schema::{Diagnostic, OutcomeResult};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Length of one expression.
pub const EXPRESSION_BYTES_MAX: usize = 1024;
/// Loops (`all`, `exists`, `map`, `filter`) in one expression: one over the longest list is a thousand
/// steps, two nested would be a million.
pub const EXPRESSION_LOOPS_MAX: usize = 1;
/// Outcome rules of one route.
pub const RULES_MAX: usize = 50;
/// Items of a list, or of an object, that a rule sees.
const ITEMS_MAX: usize = 1000;
/// Objects in objects that a rule sees.
const DEPTH_MAX: u8 = 16;
/// Bytes of a body that a rule sees as text.
const BODY_BYTES_MAX: usize = 128 * 1024;
/// Longest reason or object kept.
pub(super) const REASON_CHARS_MAX: usize = 128;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutcomeSpec {
    /// CEL over `request` and `response`. Without it the rule always holds.
    #[serde(default)]
    pub when: Option<String>,
    pub result: OutcomeResult,
    /// A permanent code: `bad-password`.
    #[serde(default)]
    pub reason: Option<String>,
    /// The reason as a CEL expression: `response.json.error.code`.
    #[serde(default)]
    pub reason_from: Option<String>,
    /// In place of the route's action.
    #[serde(default)]
    pub action: Option<String>,
}

/// What a rule said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Outcome {
    pub(super) result: OutcomeResult,
    pub(super) reason: Option<String>,
    /// Taken from the exchange, so it has to be protected still.
    pub(super) reason_is_foreign: bool,
    pub(super) action: Option<String>,
}

struct Rule {
    when: Option<Condition>,
    result: OutcomeResult,
    reason: Option<String>,
    reason_from: Option<Program>,
    action: Option<String>,
}

/// Most rules ask for nothing but the status; those need no interpreter.
enum Condition {
    Status(Vec<(Compare, i64)>),
    Cel(Program),
}

#[derive(Clone, Copy)]
enum Compare {
    Equal,
    NotEqual,
    Less,
    AtMost,
    More,
    AtLeast,
}

#[derive(Default)]
pub(super) struct Outcomes {
    rules: Vec<Rule>,
    object_from: Option<Program>,
    /// The fields any of the expressions names; nothing else is built.
    uses: Uses,
}

#[derive(Default, Clone, Copy)]
struct Uses {
    query: bool,
    form: bool,
    request_json: bool,
    request_body: bool,
    request_headers: bool,
    response_json: bool,
    response_body: bool,
    response_headers: bool,
}

impl Uses {
    /// By the words of the expression: one too many costs time, one too few cannot happen.
    fn note(&mut self, text: &str) {
        let (request, response) = (text.contains("request"), text.contains("response"));
        self.query |= request && text.contains("query");
        self.form |= request && text.contains("form");
        self.request_json |= request && text.contains("json");
        self.request_body |= request && text.contains("body");
        self.request_headers |= request && text.contains("headers");
        self.response_json |= response && text.contains("json");
        self.response_body |= response && text.contains("body");
        self.response_headers |= response && text.contains("headers");
    }
}

impl Outcomes {
    pub(super) fn compile(
        specs: &[OutcomeSpec],
        object_from: Option<&str>,
        at: &str,
    ) -> Result<Outcomes, Vec<Diagnostic>> {
        let mut wrong = Vec::new();
        let mut uses = Uses::default();
        if specs.len() > RULES_MAX {
            wrong.push(
                Diagnostic::new(
                    "too-many-rules",
                    format!("{at}.outcome"),
                    format!("{} outcome rules, more than {RULES_MAX}", specs.len()),
                )
                .hint("join conditions that give the same result with `||`"),
            );
        }
        let mut program = |text: &str, place: String| {
            uses.note(text);
            compile(text, &place).map_err(|d| wrong.push(d)).ok()
        };
        let mut rules = Vec::new();
        for (i, spec) in specs.iter().take(RULES_MAX).enumerate() {
            let place = |field: &str| format!("{at}.outcome[{i}].{field}");
            let when = spec.when.as_deref().map(|text| match status_only(text) {
                Some(tests) => Some(Condition::Status(tests)),
                None => program(text, place("when")).map(Condition::Cel),
            });
            let reason_from =
                spec.reason_from.as_deref().and_then(|t| program(t, place("reason_from")));
            rules.push(Rule {
                // A condition that does not compile is in `wrong`, and there will be no rules.
                when: when.flatten(),
                result: spec.result,
                reason: spec.reason.clone(),
                reason_from,
                action: spec.action.clone(),
            });
        }
        let object_from = object_from.and_then(|t| program(t, format!("{at}.object_from")));
        if wrong.is_empty() { Ok(Outcomes { rules, object_from, uses }) } else { Err(wrong) }
    }

    /// The first rule that holds, and the object. Expressions that fail are counted, and hold not.
    pub(super) fn judge(
        &self,
        view: &View<'_>,
        errors: &AtomicU64,
    ) -> (Option<Outcome>, Option<String>) {
        let mut context: Option<Context<'_, '_>> = None;
        let mut run = |program: &Program| {
            let context = context.get_or_insert_with(|| self.context(view));
            program.execute(context).inspect_err(|_| {
                errors.fetch_add(1, Ordering::Relaxed);
            })
        };
        let mut outcome = None;
        for rule in &self.rules {
            let holds = match &rule.when {
                None => true,
                Some(Condition::Status(tests)) => view
                    .status
                    .is_some_and(|status| tests.iter().all(|t| compare(*t, i64::from(status)))),
                Some(Condition::Cel(program)) => match run(program) {
                    Ok(Cel::Bool(holds)) => holds,
                    Ok(_) => {
                        errors.fetch_add(1, Ordering::Relaxed);
                        false
                    }
                    Err(_) => false,
                },
            };
            if holds {
                let foreign = rule.reason_from.as_ref().and_then(|p| run(p).ok()).and_then(text);
                outcome = Some(Outcome {
                    result: rule.result,
                    reason_is_foreign: foreign.is_some(),
                    reason: foreign.or_else(|| rule.reason.clone()),
                    action: rule.action.clone(),
                });
                break;
            }
        }
        let object = self.object_from.as_ref().and_then(|p| run(p).ok()).and_then(text);
        (outcome, object)
    }

    fn context<'p, 'v>(&self, view: &View<'_>) -> Context<'p, 'v> {
        let uses = self.uses;
        let mut request: HashMap<Key, Cel> = HashMap::new();
        let mut response: HashMap<Key, Cel> = HashMap::new();
        let head = view.request;
        request.insert("method".into(), head.method.as_str().into());
        request.insert("path".into(), head.path.as_str().into());
        request.insert("host".into(), head.host.as_str().into());
        if uses.query {
            request.insert("query".into(), pairs(head.query.as_deref().unwrap_or_default()));
        }
        if uses.form {
            let form = view.request_text.filter(|t| !t.starts_with(['{', '[', '<', '-']));
            request.insert("form".into(), pairs(form.unwrap_or_default()));
        }
        if uses.request_headers {
            request.insert("headers".into(), headers(&head.headers));
        }
        if uses.request_json {
            request
                .insert("json".into(), view.request_json().map_or_else(empty, |v| from_json(v, 0)));
        }
        if uses.request_body {
            request.insert("body".into(), body(view.request_text));
        }
        response.insert("status".into(), i64::from(view.status.unwrap_or(0)).into());
        if uses.response_headers {
            response.insert("headers".into(), view.response_headers.map_or_else(empty, headers));
        }
        if uses.response_json {
            response.insert(
                "json".into(),
                view.response_json().map_or_else(empty, |v| from_json(v, 0)),
            );
        }
        if uses.response_body {
            response.insert("body".into(), body(view.response_text));
        }
        let mut context = Context::default();
        context.add_variable_from_value("request", map(request));
        context.add_variable_from_value("response", map(response));
        context
    }
}

fn compile(text: &str, place: &str) -> Result<Program, Diagnostic> {
    let wrong = |message: String| {
        Diagnostic::new("outcome-expression", place, message).hint(
            "it is a CEL expression over `request.{method,path,host,query,headers,form,json,body}` and `response.{status,headers,json,body}`, such as `response.status == 200 && response.json.ok`",
        )
    };
    if text.len() > EXPRESSION_BYTES_MAX {
        return Err(wrong(format!(
            "the expression has {} bytes, more than {EXPRESSION_BYTES_MAX}",
            text.len()
        )));
    }
    let loops = ["all", "exists", "exists_one", "map", "filter"]
        .iter()
        .map(|name| text.matches(&format!(".{name}(")).count())
        .sum::<usize>();
    if loops > EXPRESSION_LOOPS_MAX {
        return Err(wrong(format!(
            "the expression has {loops} loops, more than {EXPRESSION_LOOPS_MAX}"
        )));
    }
    let program =
        Program::compile(text).map_err(|e| wrong(format!("cannot read `{text}`: {e}")))?;
    let unknown = program
        .references()
        .variables()
        .into_iter()
        .find(|name| !matches!(*name, "request" | "response") && loops == 0)
        .map(str::to_owned);
    match unknown {
        Some(name) => Err(wrong(format!(
            "`{text}` names `{name}`, which is neither `request` nor `response`"
        ))),
        None => Ok(program),
    }
}

/// `response.status == 200`, `response.status >= 400 && response.status < 500`.
fn status_only(text: &str) -> Option<Vec<(Compare, i64)>> {
    text.split("&&")
        .map(|part| {
            let rest = part.trim().strip_prefix("response.status")?.trim_start();
            let signs = [
                ("==", Compare::Equal),
                ("!=", Compare::NotEqual),
                ("<=", Compare::AtMost),
                (">=", Compare::AtLeast),
                ("<", Compare::Less),
                (">", Compare::More),
            ];
            let (number, compare) = signs
                .into_iter()
                .find_map(|(sign, compare)| rest.strip_prefix(sign).map(|n| (n, compare)))?;
            Some((compare, number.trim().parse().ok()?))
        })
        .collect()
}

fn compare((compare, number): (Compare, i64), status: i64) -> bool {
    match compare {
        Compare::Equal => status == number,
        Compare::NotEqual => status != number,
        Compare::Less => status < number,
        Compare::AtMost => status <= number,
        Compare::More => status > number,
        Compare::AtLeast => status >= number,
    }
}

fn map(entries: HashMap<Key, Cel>) -> Cel {
    Cel::Map(Map { map: Arc::new(entries) })
}

fn empty() -> Cel {
    map(HashMap::new())
}

fn pairs(text: &str) -> Cel {
    let decode = |t: &str| super::protect::percent_decode(t, true).into_owned();
    let mut entries: HashMap<Key, Cel> = HashMap::new();
    for pair in text.split('&').take(ITEMS_MAX).filter(|p| !p.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        entries.entry(decode(name).into()).or_insert_with(|| decode(value).into());
    }
    map(entries)
}

fn headers(headers: &HeaderMap) -> Cel {
    let mut entries: HashMap<Key, Cel> = HashMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        entries.entry(name.as_str().into()).or_insert_with(|| value.as_ref().into());
    }
    map(entries)
}

fn body(text: Option<&str>) -> Cel {
    let text = text.unwrap_or_default();
    let end = (0..=text.len().min(BODY_BYTES_MAX)).rev().find(|i| text.is_char_boundary(*i));
    text.get(..end.unwrap_or(0)).unwrap_or_default().into()
}

fn from_json(value: &Value, depth: u8) -> Cel {
    if depth > DEPTH_MAX {
        return Cel::Null;
    }
    match value {
        Value::Null => Cel::Null,
        Value::Bool(flag) => Cel::Bool(*flag),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Cel::Int(whole),
            (None, Some(real)) => Cel::Float(real),
            (None, None) => Cel::Null,
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(list) => {
            let items: Vec<Cel> =
                list.iter().take(ITEMS_MAX).map(|v| from_json(v, depth + 1)).collect();
            Cel::List(Arc::new(items))
        }
        Value::Object(object) => map(object
            .iter()
            .take(ITEMS_MAX)
            .map(|(name, value)| (name.as_str().into(), from_json(value, depth + 1)))
            .collect()),
    }
}

fn text(value: Cel) -> Option<String> {
    let text = match value {
        Cel::String(text) => text.as_ref().clone(),
        Cel::Int(number) => number.to_string(),
        Cel::UInt(number) => number.to_string(),
        Cel::Float(number) => number.to_string(),
        Cel::Bool(flag) => flag.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// What the status code alone tells.
pub(super) fn by_status(exchange: &Exchange, is_login: bool) -> Outcome {
    let outcome = |result, reason: Option<&str>| Outcome {
        result,
        reason: reason.map(str::to_owned),
        ..Outcome::default()
    };
    if let Some(enforced) = &exchange.enforced
        && exchange.status.is_none_or(|status| status >= 400)
        && exchange.upstream.is_none()
    {
        return outcome(OutcomeResult::Failure, Some(&format!("enforced-{}", enforced.rung)));
    }
    if let Some(held) = exchange.trust.as_ref().and_then(|trust| trust.held) {
        return outcome(OutcomeResult::Failure, Some(held.refused.code()));
    }
    if let Some(waf) = exchange.waf.as_ref().filter(|waf| waf.blocked.is_some()) {
        let reason = if waf.is_refused() { "waf-uninspected" } else { "waf-blocked" };
        return outcome(OutcomeResult::Failure, Some(reason));
    }
    if let Some(error) = exchange.error {
        return outcome(OutcomeResult::Unknown, Some(error.as_str()));
    }
    let Some(status) = exchange.status else {
        return outcome(OutcomeResult::Unknown, Some("no-response"));
    };
    match status {
        // A login answers with a redirect both ways.
        300..=399 if is_login => outcome(OutcomeResult::Unknown, Some("redirect")),
        100..=399 => outcome(OutcomeResult::Success, None),
        400 => outcome(OutcomeResult::Failure, Some("bad-request")),
        401 if is_login => outcome(OutcomeResult::Failure, Some("login-refused")),
        401 => outcome(OutcomeResult::Failure, Some("not-authenticated")),
        403 if is_login => outcome(OutcomeResult::Failure, Some("login-refused")),
        403 => outcome(OutcomeResult::Failure, Some("no-permission")),
        404 | 410 => outcome(OutcomeResult::Failure, Some("not-found")),
        405 => outcome(OutcomeResult::Failure, Some("method-not-allowed")),
        409 => outcome(OutcomeResult::Failure, Some("conflict")),
        413 => outcome(OutcomeResult::Failure, Some("too-large")),
        422 => outcome(OutcomeResult::Failure, Some("invalid-input")),
        423 if is_login => outcome(OutcomeResult::Failure, Some("account-locked")),
        429 => outcome(OutcomeResult::Failure, Some("rate-limited")),
        _ if (400..500).contains(&status) => outcome(OutcomeResult::Failure, Some("client-error")),
        500..=599 => outcome(OutcomeResult::Failure, Some("server-error")),
        _ => outcome(OutcomeResult::Unknown, Some("odd-status")),
    }
}

/// Tokens in and out as LLM services report them: the last `"usage"` object of a JSON answer or of a
/// stream of events.
pub(super) fn usage(text: &str) -> (Option<i64>, Option<i64>) {
    // A usage object with its details has well under 1 KiB.
    const USAGE_BYTES_MAX: usize = 2048;
    const TRIES_MAX: usize = 4;
    let finder = memchr::memmem::rfind(text.as_bytes(), b"\"usage\"");
    let (mut at, mut tokens) = (finder, (None, None));
    for _ in 0..TRIES_MAX {
        let Some(start) = at else { break };
        let after = text.get(start + 7..).unwrap_or_default().trim_start();
        let object = after.strip_prefix(':').map(str::trim_start).unwrap_or_default();
        if object.starts_with('{') {
            let end = object
                .char_indices()
                .take_while(|(i, _)| *i < USAGE_BYTES_MAX)
                .scan(0i32, |depth, (i, c)| {
                    *depth += i32::from(c == '{') - i32::from(c == '}');
                    Some((i, *depth))
                })
                .find(|(_, depth)| *depth == 0)
                .map(|(i, _)| i + 1);
            let parsed = end
                .and_then(|end| object.get(..end))
                .and_then(|text| serde_json::from_str::<Value>(text).ok());
            if let Some(usage) = parsed {
                let of = |names: [&str; 2]| names.iter().find_map(|n| usage.get(*n)?.as_i64());
                let (input, output) = (
                    of(["prompt_tokens", "input_tokens"]),
                    of(["completion_tokens", "output_tokens"]),
                );
                tokens = (tokens.0.or(input), tokens.1.or(output));
                if tokens.0.is_some() && tokens.1.is_some() {
                    break;
                }
            }
        }
        at =
            text.as_bytes().get(..start).and_then(|head| memchr::memmem::rfind(head, b"\"usage\""));
    }
    tokens
}

#[cfg(test)]
mod tests;
