//! What whoever runs the engine lays down for one transaction, before its first rule.

use super::transaction::{RemovedOf, RemovedTarget, Transaction};
use crate::rule::{EngineMode, IdRange};
use crate::variable::{Collection, Selector};
use crate::verdict::Limit;

/// Stands for all ids; no rule can have it.
const EVERY_RULE: u64 = u64::MAX;

/// What is different for a transaction. Made once, lent to many.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Instead of `SecRuleEngine`.
    pub mode: Option<EngineMode>,
    /// Variables of TX and their values. No rule changes them.
    pub tx: Vec<(String, String)>,
}

/// A rule that is left out, or what a rule is not to look at.
#[derive(Clone, Debug)]
pub struct Without {
    rule: u64,
    part: Option<(Collection, Selector)>,
}

impl Without {
    pub fn rule(rule: u64) -> Self {
        Self { rule, part: None }
    }

    /// A variable that no rule is to look at: `ARGS:q`, `REQUEST_PROTOCOL`. `None`: there is no such variable.
    pub fn everywhere(variable: &str) -> Option<Self> {
        Some(Self { rule: EVERY_RULE, ..Self::variable(0, variable)? })
    }

    /// `ARGS:q`, `REQUEST_COOKIES`: a variable of the rule language and, where it has several, which.
    /// `None`: there is no such variable.
    pub fn variable(rule: u64, variable: &str) -> Option<Self> {
        let (name, selector) = match variable.split_once(':') {
            Some((_, "")) => return None,
            Some((name, part)) => (name, Selector::Name(part.to_ascii_lowercase().into_bytes())),
            None => (variable, Selector::All),
        };
        Some(Self { rule, part: Some((Collection::parse(name)?, selector)) })
    }
}

impl Transaction {
    /// Lays down what is different for this transaction. To be called before its first phase.
    pub fn apply(&mut self, overrides: &Overrides) {
        if overrides.mode.is_some() {
            self.control.engine = overrides.mode;
        }
        for (name, value) in &overrides.tx {
            self.tx.pin(name.as_bytes(), value.as_bytes());
        }
    }

    /// Values that stand for something that was hidden are shown to no rule: neither what they are nor what
    /// they are not tells anything. To be called before the first phase.
    pub fn overlook(&mut self, is_masked: fn(&[u8]) -> bool) {
        self.control.overlooked = Some(is_masked);
    }

    /// Leaves out a rule, or what it looks at.
    pub fn leave_out(&mut self, without: &Without) {
        let ids = match without.rule {
            EVERY_RULE => IdRange { from: 0, to: EVERY_RULE },
            rule => IdRange { from: rule, to: rule },
        };
        match &without.part {
            None => self.control.removed_ids.push(ids),
            Some((collection, selector)) => self.control.removed_targets.push(RemovedTarget {
                of: RemovedOf::Ids(vec![ids]),
                collection: *collection,
                selector: selector.clone(),
            }),
        }
    }

    /// What was not looked at so far.
    pub fn limits(&self) -> &[Limit] {
        &self.limits
    }
}

#[cfg(test)]
mod tests;
