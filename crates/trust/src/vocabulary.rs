//! The signals a policy knows: their names, kinds and which value is worse than which.

use crate::expr::{Facts, Truth};
use crate::{Reading, Readings, Value};
use schema::{Diagnostic, nearest};
use serde::Serialize;

/// Signals of a policy: a bit each in one 128-bit word.
pub const SIGNALS_MAX: usize = 128;
/// Values of a signal: a bit each in one 64-bit word.
pub const VALUES_MAX: usize = 64;
/// Bytes of a text nobody listed the values of.
pub const TEXT_BYTES_MAX: usize = 512;
/// What is wrong with a set of readings is told up to here.
const DIAGNOSTICS_MAX: usize = 20;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Bool,
    Integer {
        min: i64,
        max: i64,
    },
    Enum(Vec<String>),
    /// Any text; only those that conditions name are told apart.
    Text {
        named: Vec<String>,
    },
}

/// What a signal may say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum SignalKind<'a> {
    Boolean,
    Integer {
        min: i64,
        max: i64,
    },
    OneOf {
        values: &'a [String],
    },
    /// Any text; these are told apart.
    Text {
        named: &'a [String],
    },
}

impl Kind {
    pub(crate) fn told(&self) -> SignalKind<'_> {
        match self {
            Kind::Bool => SignalKind::Boolean,
            Kind::Integer { min, max } => SignalKind::Integer { min: *min, max: *max },
            Kind::Enum(values) => SignalKind::OneOf { values },
            Kind::Text { named } => SignalKind::Text { named },
        }
    }

    pub(crate) fn example(&self) -> String {
        match self {
            Kind::Bool => "`true` or `false`".to_owned(),
            Kind::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Kind::Enum(values) => format!("one of {}", values.join(", ")),
            Kind::Text { .. } => format!("a text of at most {TEXT_BYTES_MAX} bytes"),
        }
    }
}

/// A text no condition names.
const OTHER: i64 = -1;

#[derive(Debug, Clone)]
pub(crate) struct Signal {
    pub name: String,
    pub kind: Kind,
    /// For each value of a Bool or Enum, those that are worse: a bit each.
    pub worse: Vec<u64>,
    /// Of an integer.
    pub more_is_worse: Option<bool>,
}

impl Signal {
    /// Whether `left` is worse evidence than `right`.
    pub(crate) fn is_worse(&self, left: i64, right: i64) -> bool {
        match (&self.kind, self.more_is_worse) {
            (Kind::Integer { .. }, Some(true)) => left > right,
            (Kind::Integer { .. }, Some(false)) => left < right,
            _ => usize::try_from(right)
                .ok()
                .and_then(|right| self.worse.get(right))
                .is_some_and(|worse| (0..64).contains(&left) && worse >> left & 1 == 1),
        }
    }

    pub(crate) fn parse(&self, value: &Value) -> Option<i64> {
        match (&self.kind, value) {
            (Kind::Bool, Value::Bool(value)) => Some(i64::from(*value)),
            (Kind::Integer { min, max }, Value::Integer(value)) => {
                (min..=max).contains(&value).then_some(*value)
            }
            (Kind::Enum(values), Value::Text(text)) => position(values, text),
            (Kind::Text { named }, Value::Text(text)) => {
                (text.len() <= TEXT_BYTES_MAX).then(|| position(named, text).unwrap_or(OTHER))
            }
            _ => None,
        }
    }

    pub(crate) fn show(&self, value: i64) -> Option<Value> {
        let index = usize::try_from(value).ok();
        match &self.kind {
            Kind::Bool => Some(Value::Bool(value != 0)),
            Kind::Integer { .. } => Some(Value::Integer(value)),
            Kind::Enum(values) => values.get(index?).map(|text| Value::Text(text.clone())),
            Kind::Text { named } => named.get(index?).map(|text| Value::Text(text.clone())),
        }
    }
}

fn position(values: &[String], text: &str) -> Option<i64> {
    values.iter().position(|value| value == text).and_then(|index| i64::try_from(index).ok())
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Vocabulary {
    pub signals: Vec<Signal>,
    /// Slots by name, sorted.
    sorted: Vec<u8>,
}

/// Readings a policy has accepted: typed, by slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    pub(crate) values: Vec<i64>,
    pub(crate) known: u128,
    /// Known, but only from what was last said before it fell silent.
    pub(crate) silent: u128,
}

impl State {
    /// What conditions see of it before anything is scored.
    pub(crate) fn facts<'a>(&'a self, derived: &'a [Truth], is_open: bool) -> Facts<'a> {
        Facts {
            values: &self.values,
            known: self.known,
            silent: self.silent,
            is_open,
            derived,
            score: 0,
            decisions: 0,
        }
    }
}

impl Vocabulary {
    pub(crate) fn new(signals: Vec<Signal>) -> Self {
        let mut sorted: Vec<u8> =
            (0..signals.len().min(SIGNALS_MAX)).filter_map(|i| u8::try_from(i).ok()).collect();
        sorted.sort_by(|a, b| {
            let name = |slot: &u8| signals.get(usize::from(*slot)).map(|s| s.name.as_str());
            name(a).cmp(&name(b))
        });
        Vocabulary { signals, sorted }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.signals.iter().map(|signal| signal.name.as_str())
    }

    pub(crate) fn signal(&self, slot: u8) -> Option<&Signal> {
        self.signals.get(usize::from(slot))
    }

    pub(crate) fn slot(&self, name: &str) -> Option<u8> {
        self.sorted
            .binary_search_by(|slot| {
                self.signal(*slot).map_or("", |signal| signal.name.as_str()).cmp(name)
            })
            .ok()
            .and_then(|at| self.sorted.get(at).copied())
    }

    pub(crate) fn find(&self, name: &str) -> Option<(u8, &Kind)> {
        let slot = self.slot(name)?;
        Some((slot, &self.signal(slot)?.kind))
    }

    /// The index of a value that a condition names; `None` when there are too many of them.
    pub(crate) fn literal(&mut self, slot: u8, text: &str) -> Option<usize> {
        let Some(Signal { kind: Kind::Text { named }, .. }) =
            self.signals.get_mut(usize::from(slot))
        else {
            return None;
        };
        if let Some(index) = named.iter().position(|value| value == text) {
            return Some(index);
        }
        if named.len() == VALUES_MAX {
            return None;
        }
        named.push(text.to_owned());
        Some(named.len() - 1)
    }

    pub(crate) fn state(&self, readings: &Readings) -> Result<State, Vec<Diagnostic>> {
        let mut state = State { values: vec![0; self.signals.len()], known: 0, silent: 0 };
        let mut wrong = Vec::new();
        for (name, reading) in readings {
            match self.accept(name, reading) {
                Ok((slot, value)) => {
                    if let Some(place) = state.values.get_mut(usize::from(slot)) {
                        *place = value;
                    }
                    state.known |= 1 << slot;
                    state.silent |= u128::from(reading.is_silent) << slot;
                }
                Err(diagnostic) if wrong.len() < DIAGNOSTICS_MAX => wrong.push(diagnostic),
                Err(_) => {}
            }
        }
        if wrong.is_empty() { Ok(state) } else { Err(wrong) }
    }

    fn accept(&self, name: &str, reading: &Reading) -> Result<(u8, i64), Diagnostic> {
        let shown: String = name.chars().take(64).collect();
        let place = format!("$.signals.{shown}");
        let Some(slot) = self.slot(name) else {
            let hint = match nearest(&shown, self.names()) {
                Some(name) => format!("did you mean `{name}`?"),
                None => "`plura trust signals` lists those this policy knows".to_owned(),
            };
            return Err(Diagnostic::new(
                "unknown-signal",
                place,
                format!("the policy knows no signal `{shown}`"),
            )
            .hint(hint));
        };
        let Some(signal) = self.signal(slot) else {
            return Err(Diagnostic::new("unknown-signal", place, "no such slot"));
        };
        match signal.parse(&reading.value) {
            Some(value) => Ok((slot, value)),
            None => {
                let given: String = reading.value.to_string().chars().take(64).collect();
                Err(Diagnostic::new(
                    "bad-signal",
                    place,
                    format!("`{given}` is not a value of `{shown}`"),
                )
                .hint(format!("write {}", signal.kind.example())))
            }
        }
    }
}
