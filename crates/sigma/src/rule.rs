//! What rule files say: rules, filters, correlations, and what is told about each.

use crate::condition::Expression;
use crate::modifier::Modifier;
use crate::yaml::At;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($variant),+ }

        impl $name {
            pub(crate) const WORDS: &'static [&'static str] = &[$($word),+];

            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }

            pub(crate) fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some($name::$variant),)+ _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}
pub(crate) use words;

words! {
    /// How bad it is when a rule fires.
    Level {
        Informational = "informational",
        Low = "low",
        Medium = "medium",
        High = "high",
        Critical = "critical",
    }
}

words! {
    /// How ripe a rule is.
    Status {
        Unsupported = "unsupported",
        Deprecated = "deprecated",
        Experimental = "experimental",
        Test = "test",
        Stable = "stable",
    }
}

words! {
    /// How one rule stands to another.
    Relation {
        Derived = "derived",
        Obsolete = "obsolete",
        Merged = "merged",
        Renamed = "renamed",
        Similar = "similar",
        Correlation = "correlation",
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Related {
    pub id: String,
    pub relation: Relation,
}

/// Which events a rule is about. What is not named is not asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LogSource {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
}

impl LogSource {
    pub fn new(product: Option<&str>, category: Option<&str>, service: Option<&str>) -> Self {
        let own = |part: Option<&str>| part.map(str::to_owned);
        LogSource { product: own(product), category: own(category), service: own(service) }
    }

    /// Whether all that `self` names is the same in `other`.
    pub fn covers(&self, other: &LogSource) -> bool {
        let fits = |mine: &Option<String>, its: &Option<String>| mine.is_none() || mine == its;
        fits(&self.product, &other.product)
            && fits(&self.category, &other.category)
            && fits(&self.service, &other.service)
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == LogSource::default()
    }
}

impl fmt::Display for LogSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |part: &Option<String>| part.clone().unwrap_or_else(|| "*".to_owned());
        write!(f, "{}/{}/{}", part(&self.product), part(&self.category), part(&self.service))
    }
}

/// What a document says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Meta {
    pub title: String,
    pub id: Option<String>,
    pub name: Option<String>,
    pub taxonomy: Option<String>,
    pub status: Option<Status>,
    pub level: Option<Level>,
    pub description: Option<String>,
    pub license: Option<String>,
    pub author: Option<String>,
    pub date: Option<String>,
    pub modified: Option<String>,
    pub references: Vec<String>,
    pub related: Vec<Related>,
    pub falsepositives: Vec<String>,
    pub tags: Vec<String>,
    pub fields: Vec<String>,
    pub scope: Vec<String>,
    /// Fields of the document that the specification does not name; kept by name only.
    pub custom: Vec<String>,
    /// `file:line:column`.
    pub place: String,
}

impl Meta {
    /// The id, else the name, else the title: how findings name the rule.
    pub fn key(&self) -> &str {
        self.id.as_deref().or(self.name.as_deref()).unwrap_or(&self.title)
    }
}

/// A value as the rule writes it.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
}

/// One line of a selection: a field, how to compare, and with what.
#[derive(Debug, Clone)]
pub struct Item {
    /// None: anywhere in the event.
    pub field: Option<String>,
    pub modifiers: Vec<Modifier>,
    pub values: Vec<Scalar>,
    pub(crate) at: At,
}

#[derive(Debug, Clone)]
pub enum Detection {
    All(Vec<Detection>),
    Any(Vec<Detection>),
    Item(Item),
}

/// Search identifiers and what has to hold among them.
#[derive(Debug, Clone)]
pub struct Block {
    pub detections: Vec<(String, Detection)>,
    /// One of these has to hold.
    pub conditions: Vec<Expression>,
}

/// A detection rule as read.
#[derive(Debug, Clone)]
pub struct Rule {
    pub meta: Meta,
    pub logsource: LogSource,
    pub block: Block,
    pub(crate) file: String,
}

/// Which rules a filter or a correlation is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Targets {
    Any,
    /// Ids or names.
    Named(Vec<String>),
}

/// A condition put upon rules of others.
#[derive(Debug, Clone)]
pub struct Filter {
    pub meta: Meta,
    pub logsource: LogSource,
    pub targets: Targets,
    pub block: Block,
}
