//! Rules to predicates and how they hang together.

use crate::condition::Expression;
use crate::document::Notes;
use crate::event::HEADER_CHANNEL;
use crate::limits::{CHECKS_MAX, REGEX_BYTES_MAX, VALUES_MAX};
use crate::modifier::{Anchor, Kind, Plan, plan};
use crate::pipeline::{Applied, Pipeline};
use crate::predicate::{Number, Predicate, Predicates, Test, compile_regex, test_of};
use crate::rule::{Block, Detection, Item, LogSource, Rule, Scalar};
use crate::text::{Pattern, encode, expand};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// How the predicates of a rule hang together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Check {
    All(Vec<Check>),
    Any(Vec<Check>),
    Not(Box<Check>),
    Is(u32),
}

/// One way a rule is seen in events.
#[derive(Debug, Clone)]
pub struct Variant {
    /// What an event has to say it is; the rest is among the checks.
    pub logsource: LogSource,
    /// The pipeline that says how; none when the rule is taken at its word.
    pub pipeline: Option<String>,
    pub check: Check,
}

/// What rules may refer to beside events.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub pipelines: Vec<Pipeline>,
    /// Values for `%name%` behind `expand`.
    pub placeholders: BTreeMap<String, Vec<String>>,
}

impl Options {
    /// The pipelines that come with the crate, and no placeholders.
    pub fn shipped() -> Self {
        Options { pipelines: Pipeline::shipped(), placeholders: BTreeMap::new() }
    }
}

/// A rule's ways, or what stands against it in `notes`.
pub(crate) fn compile(
    rule: &Rule,
    filters: &[&Block],
    options: &Options,
    predicates: &mut Predicates,
    notes: &mut Notes<'_>,
) -> Option<Vec<Variant>> {
    let mut ways = Vec::new();
    for pipeline in &options.pipelines {
        match pipeline.apply(&rule.logsource) {
            Ok(applied) => ways.extend(applied.map(Some)),
            Err(why) => {
                notes.problem(
                    "pipeline-refuses",
                    crate::yaml::At::default(),
                    format!("pipeline `{}`: {why}", pipeline.name),
                    "leave the rule out, or the pipeline",
                );
                return None;
            }
        }
    }
    if ways.is_empty() {
        ways.push(None);
    }
    let problems = notes.problems.len();
    let mut variants = Vec::new();
    for way in ways {
        let mut compiler =
            Compiler { way: way.as_ref(), options, predicates, budget: VALUES_MAX, notes };
        let mut parts = compiler.added();
        parts.push(compiler.block(&rule.block));
        parts.extend(filters.iter().map(|filter| compiler.block(filter)));
        let check = all(parts.into_iter().flatten().collect());
        variants.push(Variant {
            logsource: way
                .as_ref()
                .map_or_else(|| rule.logsource.clone(), |way| way.logsource.clone()),
            pipeline: way.as_ref().map(|way| way.pipeline.name.clone()),
            check,
        });
        // The same mistake in every way is told once.
        if notes.problems.len() > problems {
            return None;
        }
    }
    Some(variants)
}

fn all(parts: Vec<Check>) -> Check {
    one_or(parts, Check::All)
}

fn any(parts: Vec<Check>) -> Check {
    one_or(parts, Check::Any)
}

fn one_or(mut parts: Vec<Check>, many: fn(Vec<Check>) -> Check) -> Check {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => many(parts.into_iter().chain(last).collect()),
    }
}

struct Compiler<'c, 'n> {
    way: Option<&'c Applied<'c>>,
    options: &'c Options,
    predicates: &'c mut Predicates,
    budget: usize,
    notes: &'c mut Notes<'n>,
}

type Told<T> = Result<T, (&'static str, String, String)>;

impl Compiler<'_, '_> {
    fn added(&mut self) -> Vec<Option<Check>> {
        let Some(way) = self.way else { return Vec::new() };
        way.added()
            .map(|(step, detection, negated)| {
                let header = |name: String| match name.as_str() {
                    "Channel" => HEADER_CHANNEL.to_owned(),
                    _ => name,
                };
                let names =
                    |field: &str| way.added_fields(step, field).into_iter().map(header).collect();
                let check = self.detection(detection, &names)?;
                Some(if negated { Check::Not(Box::new(check)) } else { check })
            })
            .collect()
    }

    fn block(&mut self, block: &Block) -> Option<Check> {
        let way = self.way;
        let rename =
            |field: &str| way.map_or_else(|| vec![field.to_owned()], |way| way.fields(field));
        let mut checks = Vec::new();
        for (name, detection) in &block.detections {
            let check = self.detection(detection, &rename)?;
            let size = size(&check);
            checks.push((name.as_str(), check, size));
        }
        let mut resolver = Resolver { checks: &checks, budget: CHECKS_MAX };
        let resolved = resolver.each(&block.conditions);
        if resolved.is_none() {
            self.notes.problem(
                "rule-too-large",
                crate::yaml::At::default(),
                format!("the condition comes to more than {CHECKS_MAX} checks"),
                "name each search identifier once",
            );
        }
        resolved.map(any)
    }

    fn detection(
        &mut self,
        detection: &Detection,
        rename: &dyn Fn(&str) -> Vec<String>,
    ) -> Option<Check> {
        let mut parts = |parts: &[Detection]| -> Option<Vec<Check>> {
            parts.iter().map(|part| self.detection(part, rename)).collect()
        };
        match detection {
            Detection::All(of) => Some(all(parts(of)?)),
            Detection::Any(of) => Some(any(parts(of)?)),
            Detection::Item(item) => match self.item(item, rename) {
                Ok(check) => Some(check),
                Err((code, message, hint)) => {
                    let field = item.field.as_deref().unwrap_or("keywords");
                    self.notes.problem(code, item.at, format!("`{field}`: {message}"), hint);
                    None
                }
            },
        }
    }

    fn item(&mut self, item: &Item, rename: &dyn Fn(&str) -> Vec<String>) -> Told<Check> {
        let plan = plan(&item.modifiers, item.field.is_some())
            .map_err(|wrong| (wrong.code, wrong.message, wrong.hint))?;
        let plan = match item.field {
            Some(_) => plan,
            None => Plan { anchor: Anchor::Inside, ..plan },
        };
        let mut values = Vec::new();
        for value in &item.values {
            let tests = self.tests(value, &plan, item.field.is_some(), rename)?;
            self.budget = self.budget.checked_sub(tests.len()).ok_or_else(|| {
                told(
                    "rule-too-large",
                    format!("modifiers make more than {VALUES_MAX} values"),
                    "split the rule",
                )
            })?;
            values.push(tests);
        }
        let fields: Vec<Option<Arc<str>>> = match &item.field {
            None => vec![None],
            Some(field) => {
                rename(field).iter().map(|name| Some(Arc::from(name.as_str()))).collect()
            }
        };
        let mut ways = Vec::new();
        for field in fields {
            let mut checks = Vec::new();
            for tests in &values {
                let mut alternatives = Vec::new();
                for test in tests {
                    let predicate = Predicate { field: field.clone(), test: test.clone() };
                    let id = self
                        .predicates
                        .intern(predicate)
                        .map_err(|why| told("bad-pattern", why, "write a simpler pattern"))?;
                    alternatives.push(Check::Is(id));
                }
                checks.push(any(alternatives));
            }
            ways.push(if plan.all { all(checks) } else { any(checks) });
        }
        let check = any(ways);
        Ok(if plan.negated { Check::Not(Box::new(check)) } else { check })
    }

    /// What one value asks; one of the tests has to hold.
    fn tests(
        &self,
        value: &Scalar,
        plan: &Plan,
        has_field: bool,
        rename: &dyn Fn(&str) -> Vec<String>,
    ) -> Told<Vec<Test>> {
        match plan.kind {
            Kind::Text => self.text(value, plan, has_field),
            Kind::Regex(flags) => {
                let Scalar::Text(text) = value else { return Err(needs("re", "a pattern")) };
                if text.len() > REGEX_BYTES_MAX {
                    let message = format!("the pattern has more than {REGEX_BYTES_MAX} bytes");
                    return Err(told("bad-pattern", message, "split it"));
                }
                let pattern = match plan.anchor {
                    Anchor::Start => format!(r"\A(?:{text})"),
                    Anchor::End => format!(r"(?:{text})\z"),
                    Anchor::Whole | Anchor::Inside => text.clone(),
                };
                // By itself, so that no parenthesis of it closes one of ours.
                compile_regex(text, flags).map_err(|why| told("bad-pattern", why, REGEX_HINT))?;
                Ok(vec![Test::Regex { pattern, flags }])
            }
            Kind::Cidr => {
                let Scalar::Text(text) = value else { return Err(needs("cidr", "a network")) };
                let net =
                    text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
                let net = net.map_err(|_| {
                    told("bad-network", format!("`{text}` is not a network"), "write 10.0.0.0/8")
                })?;
                if net.trunc() != net {
                    let message = format!("`{text}` is an address within a network");
                    return Err(told("bad-network", message, format!("write {}", net.trunc())));
                }
                Ok(vec![Test::Cidr(net)])
            }
            Kind::Compare(order) => Ok(vec![Test::Number { order, than: number(value)? }]),
            Kind::Part(part, order) => match number(value)? {
                Number::Integer(than) => Ok(vec![Test::TimePart { part, order, than }]),
                Number::Float(_) => Err(needs("a part of a time", "a whole number")),
            },
            Kind::Exists => match value {
                Scalar::Bool(there) => Ok(vec![Test::Exists(*there)]),
                _ => Err(needs("exists", "true or false")),
            },
            Kind::FieldRef => {
                let Scalar::Text(text) = value else {
                    return Err(needs("fieldref", "a field name"));
                };
                Ok(rename(text)
                    .iter()
                    .map(|other| Test::Field {
                        other: Arc::from(other.as_str()),
                        anchor: plan.anchor,
                        cased: plan.cased,
                    })
                    .collect())
            }
        }
    }

    fn text(&self, value: &Scalar, plan: &Plan, has_field: bool) -> Told<Vec<Test>> {
        let changes = plan.windash || plan.expand || !plan.encodings.is_empty();
        let text = match value {
            Scalar::Text(text) => text.clone(),
            Scalar::Null if has_field && plan.anchor == Anchor::Whole && !changes => {
                return Ok(vec![Test::Null]);
            }
            Scalar::Null => {
                return Err(told(
                    "wrong-type",
                    "null is no text to look for".to_owned(),
                    "write null behind the bare field name",
                ));
            }
            _ if changes => return Err(needs("a modifier of texts", "a text")),
            Scalar::Bool(value) => value.to_string(),
            Scalar::Integer(number) => number.to_string(),
            Scalar::Float(number) => number.to_string(),
        };
        if text.is_empty() && !has_field {
            let message = "an empty keyword is in every event".to_owned();
            return Err(told("no-values", message, "take it out"));
        }
        let mut tests = Vec::new();
        for text in self.expanded(text, plan)? {
            let pattern = Pattern::parse(&text);
            let patterns = if plan.windash { pattern.windash() } else { vec![pattern] };
            for pattern in patterns {
                for pattern in encoded(pattern, plan)? {
                    tests.push(test_of(pattern.anchored(plan.anchor), plan.cased));
                }
            }
        }
        Ok(tests)
    }

    fn expanded(&self, text: String, plan: &Plan) -> Told<Vec<String>> {
        if !plan.expand {
            return Ok(vec![text]);
        }
        let own = &self.options.placeholders;
        let of_pipeline = self.way.and_then(Applied::placeholders);
        let values = |name: &str| {
            own.get(name).or_else(|| of_pipeline.and_then(|vars| vars.get(name))).cloned()
        };
        let wildcard = self.way.is_some_and(Applied::wildcard_placeholders);
        let or_any = |name: &str| values(name).or_else(|| wildcard.then(|| vec!["*".to_owned()]));
        expand(&text, &or_any).map_err(|why| {
            told("unknown-placeholder", why, "give it values, or leave the rule out")
        })
    }
}

const REGEX_HINT: &str =
    "write it without look-around and back references, which take unbounded time";

fn told(
    code: &'static str,
    message: String,
    hint: impl Into<String>,
) -> (&'static str, String, String) {
    (code, message, hint.into())
}

fn needs(modifier: &str, what: &str) -> (&'static str, String, String) {
    told("wrong-type", format!("{modifier} needs {what}"), format!("write {what}"))
}

fn number(value: &Scalar) -> Told<Number> {
    match value {
        Scalar::Integer(number) => Ok(Number::Integer(*number)),
        Scalar::Float(number) => Ok(Number::Float(*number)),
        _ => Err(needs("a comparison", "a number")),
    }
}

fn encoded(pattern: Pattern, plan: &Plan) -> Told<Vec<Pattern>> {
    if plan.encodings.is_empty() {
        return Ok(vec![pattern]);
    }
    let Some(text) = pattern.as_plain() else {
        return Err(told(
            "bad-modifiers",
            "a wildcard cannot be encoded".to_owned(),
            "escape it with a backslash, or look for the pieces",
        ));
    };
    encode(text, &plan.encodings).map_err(|why| told("value-too-short", why, "write a longer one"))
}

/// A rule's checks over its search identifiers.
struct Resolver<'a> {
    /// Name, check, and how many checks that is.
    checks: &'a [(&'a str, Check, usize)],
    budget: usize,
}

impl Resolver<'_> {
    /// None when the condition repeats its identifiers more often than the rule may be large.
    fn resolve(&mut self, tree: &Expression) -> Option<Check> {
        match tree {
            Expression::Any(parts) => self.each(parts).map(any),
            Expression::All(parts) => self.each(parts).map(all),
            Expression::Not(part) => Some(Check::Not(Box::new(self.resolve(part)?))),
            Expression::Detection(wanted) => {
                let named = |name: &str| name == wanted;
                self.copies(&named).map(any)
            }
            Expression::Of { all: every, pattern } => {
                let parts = self.copies(&|name| pattern.covers(name))?;
                Some(if *every { all(parts) } else { any(parts) })
            }
        }
    }

    fn each(&mut self, parts: &[Expression]) -> Option<Vec<Check>> {
        parts.iter().map(|part| self.resolve(part)).collect()
    }

    fn copies(&mut self, wanted: &dyn Fn(&str) -> bool) -> Option<Vec<Check>> {
        let mut copies = Vec::new();
        for (_, check, size) in self.checks.iter().filter(|(name, ..)| wanted(name)) {
            self.budget = self.budget.checked_sub(*size)?;
            copies.push(check.clone());
        }
        Some(copies)
    }
}

fn size(check: &Check) -> usize {
    match check {
        Check::All(parts) | Check::Any(parts) => 1 + parts.iter().map(size).sum::<usize>(),
        Check::Not(part) => 1 + size(part),
        Check::Is(_) => 1,
    }
}
