//! Conditions: the part of CEL that a policy needs, compiled once, with a third truth value.
//!
//! `&& || ! == != < <= > >= in`, parentheses, literals, signals, derived facts, `score` and
//! `has_decision('…')`. What depends on a signal nobody reported is unknown (Kleene's strong
//! three-valued logic): a rule fires on evidence only. Syntax and precedence are those of the Common
//! Expression Language (github.com/google/cel-spec, `langdef.md`).

mod compile;
mod syntax;

#[cfg(test)]
mod tests;

pub(crate) use compile::{Scope, compile, names};

/// Bytes of one condition.
pub const CONDITION_BYTES_MAX: usize = 2_000;
/// Brackets and `!` inside one another.
pub(crate) const DEPTH_MAX: usize = 32;

/// What a condition may come out as: one of false, unknown and true where the facts are plain, and
/// several where a signal may be read in more than one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Truth(u8);

impl Truth {
    pub(crate) const FALSE: Truth = Truth(1);
    pub(crate) const UNKNOWN: Truth = Truth(2);
    pub(crate) const TRUE: Truth = Truth(4);
    pub(crate) const ANY: Truth = Truth(7);

    pub(crate) fn may_be_true(self) -> bool {
        self.0 & 4 != 0
    }

    pub(crate) fn is_true(self) -> bool {
        self.0 == 4
    }

    pub(crate) fn or_also(self, other: Truth) -> Truth {
        Truth(self.0 | other.0)
    }

    /// In the closed world, what is unknown is false.
    pub(crate) fn closed(self) -> Truth {
        Truth(self.0 & 4 | u8::from(self.0 & 3 != 0))
    }

    fn not(self) -> Truth {
        Truth(self.0 & 2 | (self.0 & 1) << 2 | self.0 >> 2)
    }

    fn and(self, other: Truth) -> Truth {
        let (a, b) = (self.0, other.0);
        let is_false = (a | b) & 1;
        let is_true = a & b & 4;
        let is_unknown = u8::from(a & 2 != 0 && b & 6 != 0 || b & 2 != 0 && a & 6 != 0) << 1;
        Truth(is_false | is_unknown | is_true)
    }

    pub(crate) fn or(self, other: Truth) -> Truth {
        self.not().and(other.not()).not()
    }
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Truth::TRUE } else { Truth::FALSE }
    }
}

/// Where a compiled condition looks.
#[derive(Clone, Copy)]
pub(crate) struct Facts<'a> {
    /// By slot; what is not in `known` is not read.
    pub values: &'a [i64],
    pub known: u128,
    /// Known, and perhaps no longer so: also read as unknown.
    pub silent: u128,
    /// Whether the unknown may come out either way, instead of staying unknown.
    pub is_open: bool,
    /// By derived fact.
    pub derived: &'a [Truth],
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
    pub(crate) fn eval(&self, facts: &Facts<'_>) -> Truth {
        match self {
            Condition::Constant(value) => (*value).into(),
            Condition::OneOf(slot, mask) => {
                facts.read(*slot, |value| (0..64).contains(&value) && mask >> value & 1 == 1)
            }
            Condition::Equals(slot, wanted) => facts.read(*slot, |value| value == *wanted),
            Condition::Compare(slot, order, wanted) => {
                facts.read(*slot, |value| order.holds(value, *wanted))
            }
            Condition::Derived(index) => {
                facts.derived.get(usize::from(*index)).copied().unwrap_or(Truth::UNKNOWN)
            }
            Condition::Score(order, wanted) => order.holds(facts.score, *wanted).into(),
            Condition::Decided(bit) => (facts.decisions & bit != 0).into(),
            Condition::Not(inner) => inner.eval(facts).not(),
            Condition::All(parts) => {
                let mut all = Truth::TRUE;
                for part in parts {
                    all = all.and(part.eval(facts));
                    if all == Truth::FALSE {
                        break;
                    }
                }
                all
            }
            Condition::Any(parts) => {
                let mut any = Truth::FALSE;
                for part in parts {
                    any = any.or(part.eval(facts));
                    if any.is_true() {
                        break;
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
    fn read(&self, slot: u8, holds: impl Fn(i64) -> bool) -> Truth {
        let is = |bits: u128| bits >> slot & 1 == 1;
        if !is(self.known) || is(self.silent) && self.is_open {
            return if self.is_open { Truth::ANY } else { Truth::UNKNOWN };
        }
        let said: Truth = self.values.get(usize::from(slot)).is_some_and(|v| holds(*v)).into();
        if is(self.silent) { said.or_also(Truth::UNKNOWN) } else { said }
    }
}
