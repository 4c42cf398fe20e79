//! What was found, as timelines and summaries show it.

use crate::details::Details;
use schema::Timestamp;
use serde::{Serialize, Serializer};
use sigma::attack::{tactics, techniques};
use sigma::{Level, Meta, Status};
use std::sync::Arc;

/// What a hit says of its rule; shared by all hits of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleInfo {
    pub rule: String,
    pub rule_id: Option<String>,
    pub level: Option<Level>,
    pub status: Option<Status>,
    /// The licence of SigmaHQ's rules asks that whoever is told of a hit is told this.
    pub author: Option<String>,
    pub license: Option<String>,
    pub tactics: Vec<String>,
    pub techniques: Vec<String>,
    pub tags: Vec<String>,
}

impl RuleInfo {
    pub fn of(meta: &Meta) -> RuleInfo {
        RuleInfo {
            rule: meta.title.clone(),
            rule_id: meta.id.clone(),
            level: meta.level,
            status: meta.status,
            author: meta.author.clone(),
            license: meta.license.clone(),
            tactics: tactics(&meta.tags),
            techniques: techniques(&meta.tags),
            tags: meta.tags.clone(),
        }
    }
}

/// A field and what was in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Value {
    pub field: String,
    pub value: String,
}

/// What a correlation says of its hit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Correlated {
    #[serde(serialize_with = "rfc3339")]
    pub began: Option<Timestamp>,
    /// What was counted or added up.
    pub figure: f64,
    /// How many events there were, and the first of them: `file#record`, or the id of one in OCSF.
    pub count: usize,
    pub events: Vec<String>,
}

/// A rule that fired on a record, or a correlation on several.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hit {
    #[serde(serialize_with = "rfc3339")]
    pub time: Option<Timestamp>,
    pub host: Option<String>,
    pub channel: Option<String>,
    pub event_id: Option<String>,
    pub record_id: Option<String>,
    #[serde(flatten)]
    pub rule: Arc<RuleInfo>,
    /// Which mapping of fields made the rule see the record.
    pub pipeline: Option<String>,
    /// Of a correlation the fields it groups by.
    pub matched: Vec<Value>,
    /// Where the record is; a correlation has its records in `correlation`.
    pub file: Option<Arc<str>>,
    /// Of an event log which record of the file it is, else its line.
    pub record: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation: Option<Correlated>,
}

impl Hit {
    pub(crate) fn new(rule: Arc<RuleInfo>, details: Details) -> Hit {
        Hit {
            time: details.time,
            host: details.host,
            channel: details.channel,
            event_id: details.event_id,
            record_id: details.record_id,
            rule,
            pipeline: None,
            matched: Vec::new(),
            file: None,
            record: None,
            correlation: None,
        }
    }
}

fn rfc3339<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.serialize_some(&schema::format_time(*time)),
        None => serializer.serialize_none(),
    }
}
