//! The file as it is written; `packs/trust/policy.schema.json` says the same for editors.

use serde::Deserialize;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;

pub(super) type Spot = Spanned<String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFile {
    pub policy: Spot,
    pub version: u32,
    pub profiles: Vec<RawProfile>,
    pub points: RawDefaults,
    pub signals: Vec<RawSignal>,
    #[serde(default)]
    pub derived: Vec<RawDerived>,
    pub indicators: Vec<RawIndicator>,
    pub sheets: Vec<RawSheet>,
    #[serde(default)]
    pub penalties: Vec<RawPenalty>,
    #[serde(default)]
    pub ceilings: Vec<RawCap>,
    #[serde(default)]
    pub caps: Vec<RawCap>,
    pub decisions: Vec<RawDecision>,
    pub bands: Vec<RawBand>,
    #[serde(default)]
    pub rules: Vec<RawRule>,
    pub missing: RawMissing,
    pub obligations: Vec<RawObligation>,
    #[serde(default)]
    pub oblige: Vec<RawDuty>,
    #[serde(default)]
    pub contradictions: Vec<RawDuty>,
    pub texts: BTreeMap<String, Spanned<RawText>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProfile {
    pub id: Spot,
    pub lines: Option<[u32; 2]>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDefaults {
    pub unknown: Spanned<f64>,
    pub unknown_sensitive: Spanned<f64>,
    pub sensitive: Spot,
    pub unverifiable: Spanned<f64>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawKind {
    Bool,
    Integer,
    Enum,
    Text,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawMore {
    Worse,
    Better,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSignal {
    pub id: Spot,
    pub kind: RawKind,
    #[serde(default)]
    pub values: Vec<String>,
    pub min: Option<i64>,
    pub max: Option<i64>,
    /// Chains of values, each worse than the one before.
    #[serde(default)]
    pub worse: Vec<Spanned<Vec<Word>>>,
    /// Of an integer.
    pub more: Option<RawMore>,
}

/// A text, or a bool as its text.
#[derive(Deserialize)]
#[serde(from = "RawWord")]
pub(super) struct Word(pub String);

#[derive(Deserialize)]
#[serde(untagged)]
enum RawWord {
    Bool(bool),
    Text(String),
}

impl From<RawWord> for Word {
    fn from(word: RawWord) -> Self {
        match word {
            RawWord::Bool(value) => Word(value.to_string()),
            RawWord::Text(text) => Word(text),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDerived {
    pub id: Spot,
    pub when: Spot,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawIndicator {
    pub id: Spot,
    pub category: Spot,
    pub share: Spanned<f64>,
    pub not_applicable: Option<Spot>,
    pub lift: Option<RawLift>,
    pub cases: Vec<RawCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLift {
    pub when: Spot,
    pub to: Spanned<f64>,
    pub percent: Spanned<f64>,
    #[serde(rename = "from", default)]
    _from: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCase {
    pub when: Spot,
    pub points: Spanned<f64>,
    #[serde(rename = "from", default)]
    _from: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSheet {
    pub sheet: Spanned<u32>,
    pub when: Option<Spot>,
    #[serde(default)]
    pub replaces_default: bool,
    pub weights: BTreeMap<String, Spanned<f64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPenalty {
    pub id: Spot,
    pub family: String,
    pub percent: Spanned<f64>,
    pub when: Spot,
    #[serde(rename = "from", default)]
    _from: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCap {
    pub id: Spot,
    pub when: Spot,
    /// By profile.
    pub points: BTreeMap<String, Spanned<f64>>,
    #[serde(rename = "from", default)]
    _from: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDecision {
    pub id: Spot,
    pub family: String,
    pub permits: bool,
    #[serde(default)]
    pub drops: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBand {
    pub min: Spanned<f64>,
    pub decide: Vec<Spot>,
    pub ttl_secs: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRule {
    pub id: Spot,
    pub when: Spot,
    pub add: Vec<Spot>,
    #[serde(rename = "from", default)]
    _from: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMissing {
    pub cap: Spanned<f64>,
    pub add: Vec<Spot>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawBy {
    Enforcer,
    Response,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawObligation {
    pub id: Spot,
    pub by: RawBy,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDuty {
    pub when: Spot,
    pub add: Vec<Spot>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawText {
    pub ko: String,
    pub en: String,
    pub ja: String,
}
