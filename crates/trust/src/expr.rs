//! Conditions: the part of CEL that a policy needs, compiled once, with a third truth value.
//!
//! `&& || ! == != < <= > >= in`, parentheses, literals, signals, derived facts, `score` and
//! `has_decision('…')`. What depends on a signal nobody reported is [`Tri::Unknown`] (Kleene's strong
//! three-valued logic): a rule fires on evidence only. Syntax and precedence are those of the Common
//! Expression Language (github.com/google/cel-spec, `langdef.md`).

mod compile;
mod syntax;

pub(crate) use compile::{Scope, compile, names};

/// Bytes of one condition.
pub const CONDITION_BYTES_MAX: usize = 2_000;
/// Brackets and `!` inside one another.
pub(crate) const DEPTH_MAX: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tri {
    False,
    Unknown,
    True,
}

impl Tri {
    pub(crate) fn is_true(self) -> bool {
        self == Tri::True
    }

    fn not(self) -> Tri {
        match self {
            Tri::False => Tri::True,
            Tri::Unknown => Tri::Unknown,
            Tri::True => Tri::False,
        }
    }
}

impl From<bool> for Tri {
    fn from(value: bool) -> Self {
        if value { Tri::True } else { Tri::False }
    }
}

/// Where a compiled condition looks.
#[derive(Clone, Copy)]
pub(crate) struct Facts<'a> {
    /// By slot; what is not in `known` is not read.
    pub values: &'a [i64],
    pub known: u128,
    /// By derived fact.
    pub derived: &'a [Tri],
    /// Millionths of a point.
    pub score: i64,
    /// A bit for each decision of the policy's list.
    pub decisions: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    fn holds(self, left: i64, right: i64) -> bool {
        match self {
            Order::Less => left < right,
            Order::LessOrEqual => left <= right,
            Order::Greater => left > right,
            Order::GreaterOrEqual => left >= right,
        }
    }
}

/// A condition, ready to be evaluated.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Condition {
    Constant(bool),
    /// The signal has one of these values: a bit each.
    OneOf(u8, u64),
    /// An integer signal equals this.
    Equals(u8, i64),
    Compare(u8, Order, i64),
    Derived(u8),
    Score(Order, i64),
    Decided(u32),
    Not(Box<Condition>),
    All(Box<[Condition]>),
    Any(Box<[Condition]>),
}

impl Condition {
    pub(crate) fn eval(&self, facts: &Facts<'_>) -> Tri {
        match self {
            Condition::Constant(value) => (*value).into(),
            Condition::OneOf(slot, mask) => match facts.value(*slot) {
                Some(value) => (value >= 0 && value < 64 && mask >> value & 1 == 1).into(),
                None => Tri::Unknown,
            },
            Condition::Equals(slot, wanted) => match facts.value(*slot) {
                Some(value) => (value == *wanted).into(),
                None => Tri::Unknown,
            },
            Condition::Compare(slot, order, wanted) => match facts.value(*slot) {
                Some(value) => order.holds(value, *wanted).into(),
                None => Tri::Unknown,
            },
            Condition::Derived(index) => {
                facts.derived.get(usize::from(*index)).copied().unwrap_or(Tri::Unknown)
            }
            Condition::Score(order, wanted) => order.holds(facts.score, *wanted).into(),
            Condition::Decided(bit) => (facts.decisions & bit != 0).into(),
            Condition::Not(inner) => inner.eval(facts).not(),
            Condition::All(parts) => {
                let mut all = Tri::True;
                for part in parts {
                    match part.eval(facts) {
                        Tri::False => return Tri::False,
                        Tri::Unknown => all = Tri::Unknown,
                        Tri::True => {}
                    }
                }
                all
            }
            Condition::Any(parts) => {
                let mut any = Tri::False;
                for part in parts {
                    match part.eval(facts) {
                        Tri::True => return Tri::True,
                        Tri::Unknown => any = Tri::Unknown,
                        Tri::False => {}
                    }
                }
                any
            }
        }
    }

    /// The slots it reads itself, a bit each; those of derived facts are `through`.
    pub(crate) fn slots(&self, through: &[u128]) -> u128 {
        match self {
            Condition::OneOf(slot, _)
            | Condition::Equals(slot, _)
            | Condition::Compare(slot, _, _) => 1_u128 << slot,
            Condition::Derived(index) => through.get(usize::from(*index)).copied().unwrap_or(0),
            Condition::Not(inner) => inner.slots(through),
            Condition::All(parts) | Condition::Any(parts) => {
                parts.iter().fold(0, |slots, part| slots | part.slots(through))
            }
            Condition::Constant(_) | Condition::Score(..) | Condition::Decided(_) => 0,
        }
    }
}

impl Facts<'_> {
    fn value(&self, slot: u8) -> Option<i64> {
        if self.known >> slot & 1 == 1 { self.values.get(usize::from(slot)).copied() } else { None }
    }
}
