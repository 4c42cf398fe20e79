//! Grants that hold only for some properties, and the names grants can be searched by.

use super::{Glob, Grant, Site, Subject};
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, BTreeSet};

/// What a caller says of the three parts of its question.
#[derive(Debug, Clone, Copy, Default)]
pub struct Properties<'a> {
    pub subject: Option<&'a Map<String, Json>>,
    pub action: Option<&'a Map<String, Json>>,
    pub resource: Option<&'a Map<String, Json>>,
}

/// Properties by part and name, each with the values that meet it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Condition {
    subject: BTreeMap<String, OneOrMore>,
    action: BTreeMap<String, OneOrMore>,
    resource: BTreeMap<String, OneOrMore>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(Plain),
    More(Vec<Plain>),
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
enum Plain {
    Bool(bool),
    Integer(i64),
    Text(String),
}

impl Plain {
    fn is(&self, value: &Json) -> bool {
        match self {
            Plain::Bool(known) => value.as_bool() == Some(*known),
            Plain::Integer(known) => value.as_i64() == Some(*known),
            Plain::Text(known) => value.as_str() == Some(known),
        }
    }
}

impl Condition {
    /// Whether every property it names is there and has one of its values.
    pub(super) fn is_met(&self, properties: &Properties<'_>) -> bool {
        let parts = [
            (&self.subject, properties.subject),
            (&self.action, properties.action),
            (&self.resource, properties.resource),
        ];
        parts.into_iter().all(|(wanted, given)| {
            wanted.iter().all(|(name, values)| {
                let given = given.and_then(|given| given.get(name));
                given.is_some_and(|given| match values {
                    OneOrMore::One(value) => value.is(given),
                    OneOrMore::More(values) => values.iter().any(|value| value.is(given)),
                })
            })
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.subject.is_empty() && self.action.is_empty() && self.resource.is_empty()
    }
}

impl Grant {
    pub(super) fn holds(&self, properties: &Properties<'_>) -> bool {
        self.when.as_ref().is_none_or(|when| when.is_met(properties))
            && !self.unless.as_ref().is_some_and(|unless| unless.is_met(properties))
    }
}

impl Site {
    /// Accounts that grants or roles name one by one, sorted: those a search can go through.
    pub fn named_accounts(&self) -> BTreeSet<&str> {
        let granted = self.grants.iter().flatten().flat_map(of_grant);
        granted.chain(self.roles.keys().map(String::as_str)).collect()
    }

    /// Resources of a type that grants name one by one, sorted.
    pub fn named_resources(&self, kind: &str) -> BTreeSet<&str> {
        let globs = self.grants.iter().flatten().flat_map(|grant| &grant.resources);
        let names = globs.filter_map(Glob::plain);
        names
            .filter_map(|name| name.split_once(':'))
            .filter(|(of, _)| *of == kind)
            .map(|(_, id)| id)
            .collect()
    }

    /// Actions that grants name one by one, sorted.
    pub fn named_actions(&self) -> BTreeSet<&str> {
        let globs = self.grants.iter().flatten().flat_map(|grant| &grant.actions);
        globs.filter_map(Glob::plain).collect()
    }
}

fn of_grant(grant: &Grant) -> impl Iterator<Item = &str> {
    grant.subjects.iter().filter_map(|subject| match subject {
        Subject::Account(glob) => glob.plain(),
        Subject::Role(_) => None,
    })
}
