//! Correlation documents: read, checked, and bound to the rules they are about.

use crate::condition::{self, Expression};
use crate::document::{Fields, Notes, text_of, texts_of};
use crate::limits::{CORRELATED_RULES_MAX, CORRELATION_DEPTH_MAX, COUNT_MAX, GROUP_FIELDS_MAX};
use crate::rule::{Meta, words};
use crate::ruleset::Compiled;
use crate::yaml::{At, Node, Value};
use schema::Diagnostic;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

words! {
    /// What is worked out over the hits of a window.
    Kind {
        EventCount = "event_count",
        ValueCount = "value_count",
        Temporal = "temporal",
        TemporalOrdered = "temporal_ordered",
        ValueSum = "value_sum",
        ValueAvg = "value_avg",
        ValuePercentile = "value_percentile",
    }
}

words! {
    /// How a figure has to stand to its bound.
    Bound {
        Gt = "gt",
        Gte = "gte",
        Lt = "lt",
        Lte = "lte",
        Eq = "eq",
        Neq = "neq",
    }
}

impl Bound {
    pub(crate) fn holds(self, figure: f64, bound: f64) -> bool {
        match self {
            Bound::Gt => figure > bound,
            Bound::Gte => figure >= bound,
            Bound::Lt => figure < bound,
            Bound::Lte => figure <= bound,
            Bound::Eq => figure == bound,
            Bound::Neq => figure != bound,
        }
    }

    /// Once it holds of a growing figure it goes on holding.
    pub(crate) fn is_lower(self) -> bool {
        matches!(self, Bound::Gt | Bound::Gte)
    }
}

/// What a correlation listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// By its number in the set.
    Rule(usize),
    /// By its number among the correlations.
    Correlation(usize),
}

/// A correlation as read; `targets` are bound when the set is whole.
#[derive(Debug, Clone)]
pub struct Correlation {
    pub meta: Meta,
    pub kind: Kind,
    /// Ids or names, as written.
    pub rules: Vec<String>,
    pub targets: Vec<Target>,
    /// Alias to the field of each rule, by the rule's place in `rules`.
    pub aliases: BTreeMap<String, BTreeMap<String, String>>,
    pub group_by: Vec<String>,
    pub timespan_secs: u64,
    pub bounds: Vec<(Bound, f64)>,
    /// Which of `rules` have to be seen, where a condition says so in words.
    pub expression: Option<Expression>,
    /// Fields whose values are counted or added up.
    pub fields: Vec<String>,
    pub percentile: f64,
    /// Whether the rules are told by themselves too.
    pub generate: bool,
    pub(crate) file: String,
}

impl Correlation {
    pub(crate) fn with_meta(self, meta: Meta) -> Self {
        Correlation { meta, ..self }
    }

    pub(crate) fn detections(&self) -> impl Iterator<Item = usize> + '_ {
        self.targets.iter().filter_map(|target| match target {
            Target::Rule(rule) => Some(*rule),
            Target::Correlation(_) => None,
        })
    }

    /// The field that stands for `name` in hits of the rule at `place` among `rules`.
    pub(crate) fn field_of<'a>(&'a self, name: &'a str, place: usize) -> &'a str {
        self.aliases
            .get(name)
            .and_then(|fields| fields.get(self.rules.get(place)?))
            .map_or(name, String::as_str)
    }

    pub(crate) fn holds(&self, figure: f64) -> bool {
        self.bounds.iter().all(|(bound, value)| bound.holds(figure, *value))
    }
}

const FIELDS: &[&str] = &["type", "rules", "group-by", "timespan", "condition", "aliases"];

pub(crate) fn read_correlation(
    node: Node,
    generate: Option<Node>,
    notes: &mut Notes<'_>,
) -> Option<Correlation> {
    let at = node.at;
    let before = notes.problems.len();
    let mut fields = Fields::of(node, "`correlation`", notes)?;
    if matches!(fields.peek("type"), None | Some(Value::Null)) {
        fields.needed("type", notes);
        return None;
    }
    let kind = fields.word("type", Kind::WORDS, Kind::parse, notes)?;
    let rules = match fields.needed("rules", notes) {
        Some(node) => texts_of(node, "rules", notes),
        None => Vec::new(),
    };
    let generate = generate.or_else(|| fields.take("generate")).map(|node| (node.at, node.value));
    let generate = match generate {
        None => false,
        Some((_, Value::Bool(value))) => value,
        Some((at, other)) => {
            let message = format!("`generate` is {}", other.name());
            notes.problem("wrong-type", at, message, "write true or false");
            false
        }
    };
    let mut correlation = Correlation {
        meta: Meta::default(),
        kind,
        rules,
        targets: Vec::new(),
        aliases: read_aliases(fields.take("aliases"), notes),
        group_by: fields.texts("group-by", notes),
        timespan_secs: fields
            .needed("timespan", notes)
            .and_then(|node| read_timespan(node, notes))
            .unwrap_or_default(),
        bounds: Vec::new(),
        expression: None,
        fields: Vec::new(),
        percentile: PERCENTILE_DEFAULT,
        generate,
        file: notes.file.to_owned(),
    };
    match fields.take("condition") {
        Some(node) => read_condition(&mut correlation, node, notes),
        None if matches!(kind, Kind::Temporal | Kind::TemporalOrdered) => {}
        None => {
            let message = "`condition` is missing".to_owned();
            notes.problem(
                "missing-field",
                at,
                message,
                "add `condition:` with `gte: 10` or the like",
            );
        }
    }
    check(&correlation, at, notes);
    fields.none_left(FIELDS, notes);
    (notes.problems.len() == before).then_some(correlation)
}

/// What `value_percentile` takes when the rule does not say: the median.
const PERCENTILE_DEFAULT: f64 = 50.0;

fn check(correlation: &Correlation, at: At, notes: &mut Notes<'_>) {
    let count = correlation.rules.len();
    if count == 0 || count > CORRELATED_RULES_MAX {
        let message = format!("`rules` names {count} rules");
        let hint = format!("name 1 to {CORRELATED_RULES_MAX}");
        notes.problem("bad-correlation", at, message, hint);
    }
    if correlation.group_by.len() > GROUP_FIELDS_MAX {
        let message = format!("`group-by` names more than {GROUP_FIELDS_MAX} fields");
        notes.problem("bad-correlation", at, message, "group by fewer");
    }
    let valued =
        !matches!(correlation.kind, Kind::EventCount | Kind::Temporal | Kind::TemporalOrdered);
    match (valued, correlation.fields.as_slice()) {
        (true, []) => {
            let message = format!("`{}` needs a field to look at", correlation.kind);
            notes.problem("missing-field", at, message, "add `field:` under `condition`");
        }
        (true, [_, _, ..]) if correlation.kind != Kind::ValueCount => {
            let message = format!("`{}` looks at one field", correlation.kind);
            notes.problem("bad-correlation", at, message, "keep one");
        }
        (false, [_, ..]) => {
            let message = format!("`{}` looks at no field", correlation.kind);
            notes.problem("bad-correlation", at, message, "take `field` out, or use `value_count`");
        }
        _ => {}
    }
    if correlation.kind == Kind::TemporalOrdered {
        let needed = count as f64;
        let every = correlation.bounds.iter().all(|(bound, value)| match bound {
            Bound::Gte | Bound::Eq => *value == needed,
            _ => false,
        });
        if !every || correlation.expression.as_ref().is_some_and(|tree| !is_all(tree, count)) {
            notes.problem(
                "bad-correlation",
                at,
                "`temporal_ordered` asks for all of its rules, in their order".to_owned(),
                "take `condition` out, or use `temporal`",
            );
        }
    }
    let mut names = BTreeSet::new();
    for name in &correlation.rules {
        if !names.insert(name) {
            let message = format!("`rules` names `{name}` twice");
            notes.problem("bad-correlation", at, message, "name it once");
        }
    }
    for (alias, fields) in &correlation.aliases {
        for rule in fields.keys().filter(|rule| !correlation.rules.contains(rule)) {
            let message = format!("the alias `{alias}` names `{rule}`, which is not among `rules`");
            notes.problem("bad-correlation", at, message, "name a rule as `rules` does");
        }
        if let Some(rule) = correlation.rules.iter().find(|rule| !fields.contains_key(*rule)) {
            let message = format!("the alias `{alias}` has no field for `{rule}`");
            notes.problem("bad-correlation", at, message, "add it");
        }
    }
}

fn is_all(tree: &Expression, count: usize) -> bool {
    match tree {
        Expression::Detection(_) => count == 1,
        Expression::All(parts) => {
            parts.len() == count
                && parts.iter().all(|part| matches!(part, Expression::Detection(_)))
        }
        _ => false,
    }
}

fn read_condition(correlation: &mut Correlation, node: Node, notes: &mut Notes<'_>) {
    let at = node.at;
    if let Value::Text(text) = &node.value {
        if !matches!(correlation.kind, Kind::Temporal | Kind::TemporalOrdered) {
            let message = format!("the condition of `{}` is a text", correlation.kind);
            notes.problem("wrong-type", at, message, "write a map, as `gte: 10`");
            return;
        }
        let names: Vec<&str> = correlation.rules.iter().map(String::as_str).collect();
        let mut used = BTreeSet::new();
        match condition::parse(text).and_then(|tree| tree.check(&names, &mut used).map(|()| tree)) {
            Ok(tree) => correlation.expression = Some(tree),
            Err(wrong) => notes.problem(wrong.code, at, wrong.message, wrong.hint),
        }
        return;
    }
    let Some(mut fields) = Fields::of(node, "`condition`", notes) else { return };
    correlation.fields = fields.texts("field", notes);
    for word in Bound::WORDS {
        let (Some(node), Some(bound)) = (fields.take(word), Bound::parse(word)) else { continue };
        if let Some(value) = number_of(&node, word, notes) {
            correlation.bounds.push((bound, value));
        }
    }
    if let Some(node) = fields.take("percentile") {
        match number_of(&node, "percentile", notes) {
            Some(value)
                if correlation.kind == Kind::ValuePercentile && (0.0..=100.0).contains(&value) =>
            {
                correlation.percentile = value;
            }
            Some(_) => {
                let message = "`percentile` does not fit here".to_owned();
                let hint = "write 0 to 100, with `value_percentile`";
                notes.problem("bad-correlation", node.at, message, hint);
            }
            None => {}
        }
    }
    let known = ["field", "gt", "gte", "lt", "lte", "eq", "neq", "percentile"];
    fields.none_left(&known, notes);
    if correlation.bounds.is_empty() {
        let message = "`condition` has no bound".to_owned();
        notes.problem("bad-correlation", at, message, "add `gte: 10` or the like");
    }
    let counts = matches!(correlation.kind, Kind::EventCount | Kind::ValueCount);
    if counts && correlation.bounds.iter().any(|(_, value)| *value > COUNT_MAX as f64) {
        let message = format!("a count of more than {COUNT_MAX} is not kept");
        notes.problem("bad-correlation", at, message, "count over a shorter time");
    }
}

fn number_of(node: &Node, name: &str, notes: &mut Notes<'_>) -> Option<f64> {
    match &node.value {
        Value::Integer(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        other => {
            let message = format!("`{name}` is {}", other.name());
            notes.problem("wrong-type", node.at, message, "write a number");
            None
        }
    }
}

fn read_aliases(
    node: Option<Node>,
    notes: &mut Notes<'_>,
) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut aliases = BTreeMap::new();
    let Some(fields) = node.and_then(|node| Fields::of(node, "`aliases`", notes)) else {
        return aliases;
    };
    for (alias, node) in fields.rest() {
        let Some(fields) = Fields::of(node, "an alias", notes) else { continue };
        let mut of_rules = BTreeMap::new();
        for (rule, node) in fields.rest() {
            of_rules.extend(text_of(node, &rule.text, notes).map(|field| (rule.text, field)));
        }
        aliases.insert(alias.text, of_rules);
    }
    aliases
}

/// A year: nothing that a window keeps is older.
const TIMESPAN_SECS_MAX: u64 = 366 * 24 * 3600;

fn read_timespan(node: Node, notes: &mut Notes<'_>) -> Option<u64> {
    let at = node.at;
    let text = text_of(node, "timespan", notes).unwrap_or_default();
    let unit = text.chars().last().unwrap_or(' ');
    let secs = match unit {
        's' => Some(1),
        'm' => Some(60),
        'h' => Some(3600),
        'd' => Some(24 * 3600),
        'w' => Some(7 * 24 * 3600),
        _ => None,
    };
    let number = text.strip_suffix(unit).and_then(|number| number.parse::<u64>().ok());
    let span = number.zip(secs).and_then(|(number, secs)| number.checked_mul(secs));
    let span = span.filter(|span| (1..=TIMESPAN_SECS_MAX).contains(span));
    if span.is_none() {
        let message = format!("`timespan: {text}` is not a time span of a second to a year");
        notes.problem("bad-timespan", at, message, "write 30s, 5m, 2h or 7d");
    }
    span
}

type Broken = Vec<(Correlation, Vec<Diagnostic>)>;

/// Binds names to rules and to each other; those that cannot be bound come back with the reason.
///
/// What is left stands in an order in which each comes after those it listens to.
pub(crate) fn resolve(
    correlations: Vec<Correlation>,
    rules: &[Compiled],
) -> (Vec<Correlation>, Broken) {
    let mut bound: HashMap<String, Target> = HashMap::new();
    for (index, rule) in rules.iter().enumerate() {
        for name in [&rule.meta.id, &rule.meta.name].into_iter().flatten() {
            bound.insert(name.clone(), Target::Rule(index));
        }
    }
    let names: HashSet<String> = correlations
        .iter()
        .flat_map(|correlation| [correlation.meta.id.clone(), correlation.meta.name.clone()])
        .flatten()
        .collect();
    let mut sound: Vec<Correlation> = Vec::new();
    let mut open = correlations;
    for _ in 0..=CORRELATION_DEPTH_MAX {
        let mut still = Vec::new();
        let mut ready = Vec::new();
        for mut correlation in open {
            let targets: Option<Vec<Target>> =
                correlation.rules.iter().map(|name| bound.get(name).copied()).collect();
            match targets {
                Some(targets) => {
                    correlation.targets = targets;
                    ready.push(correlation);
                }
                None => still.push(correlation),
            }
        }
        for correlation in ready {
            let target = Target::Correlation(sound.len());
            for name in [&correlation.meta.id, &correlation.meta.name].into_iter().flatten() {
                bound.entry(name.clone()).or_insert(target);
            }
            sound.push(correlation);
        }
        open = still;
    }
    let broken = open
        .into_iter()
        .map(|correlation| {
            let place = correlation.meta.place.clone();
            let unbound = correlation.rules.iter().find(|name| !bound.contains_key(*name));
            let name = unbound.map_or("", String::as_str);
            let problem = match names.contains(name) {
                true => Diagnostic::new(
                    "correlation-loop",
                    place,
                    format!(
                        "`{name}` cannot run, leads back here, or stands on more than {CORRELATION_DEPTH_MAX} others"
                    ),
                )
                .hint("see what is said of it, or take it out of `rules`"),
                false => Diagnostic::new(
                    "unknown-rule",
                    place,
                    format!("the correlation names `{name}`, which is no rule here"),
                )
                .hint("load that rule too, and see whether it was refused"),
            };
            (correlation, vec![problem])
        })
        .collect();
    (sound, broken)
}
