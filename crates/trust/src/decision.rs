//! What a judgement says, with every number and reason that made it.

use crate::policy::POINT;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Hundredths of a point; what is shown, and what adds up exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Points(pub i64);

impl Points {
    /// Rounds half up, so that a higher score never shows as a lower one.
    pub(crate) fn of(millionths: i64) -> Points {
        Points((millionths + POINT / 200).div_euclid(POINT / 100))
    }

    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / 100.0
    }
}

impl fmt::Display for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}.{:02}", self.0.abs() / 100, self.0.abs() % 100)
    }
}

impl Serialize for Points {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.to_f64())
    }
}

impl<'de> Deserialize<'de> for Points {
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and is not a number is 0")]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer).map(|value| Points((value * 100.0).round() as i64))
    }
}

/// What a part of the score is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// An indicator's share of the base score: its points by its weight.
    Indicator,
    Penalty,
    Ceiling,
    Cap,
}

/// How much is known of what an indicator looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Knowledge {
    Known,
    /// Nobody reported it: the policy's prior stands in.
    Unknown,
    /// It was reported once and fell silent.
    Silent,
}

/// One addend of the score; all of them make it, to the hundredth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contribution {
    pub part: Part,
    /// Permanent: the indicator, penalty, ceiling or cap.
    pub code: Arc<str>,
    pub points: Points,
    /// Of an indicator: the most it could have contributed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<Points>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knowledge: Option<Knowledge>,
}

/// Why the decision is what it is: a permanent code, with what fills its sentence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    pub code: Arc<str>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
}

/// One access, judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// 0 (no trust) to 100.
    pub score: Points,
    /// The lowest and highest score that any answer to the unknown signals could give.
    pub low: Points,
    pub high: Points,
    /// Percent of the base score's weight that rests on evidence.
    pub coverage: Points,
    /// Whether access is given, once the enforcer's obligations are performed.
    pub permit: bool,
    pub decisions: Vec<Arc<str>>,
    pub obligations: Vec<Arc<str>>,
    /// The indicator sheet whose weights gave the lowest base.
    pub sheet: u32,
    pub contributions: Vec<Contribution>,
    pub reasons: Vec<Reason>,
    /// How long an enforcement point may go by it.
    pub ttl_secs: u32,
    pub profile: Arc<str>,
    /// SHA-256 of the policy's text.
    pub policy: Arc<str>,
}

/// What the resource asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Demands {
    /// At least this profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Signals that have to be known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<String>,
}
