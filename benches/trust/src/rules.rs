//! The policy's text once more, read for its conditions and for what is needed to check them.

use crate::condition::{Condition, Derived, condition};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
struct RawPolicy {
    points: RawPoints,
    derived: Vec<RawDerived>,
    indicators: Vec<Indicator>,
    sheets: Vec<Sheet>,
    penalties: Vec<Penalty>,
    ceilings: Vec<Cap>,
    caps: Vec<Cap>,
    rules: Vec<Rule>,
    oblige: Vec<Duty>,
}

#[derive(Debug, Deserialize)]
struct RawPoints {
    unknown: f64,
    unknown_sensitive: f64,
    sensitive: String,
}

#[derive(Debug, Deserialize)]
struct RawDerived {
    id: String,
    when: String,
}

#[derive(Debug, Deserialize)]
pub struct Indicator {
    pub id: String,
    pub not_applicable: Option<String>,
    pub lift: Option<Lift>,
    pub cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
pub struct Lift {
    when: String,
    pub to: f64,
    pub percent: f64,
}

#[derive(Debug, Deserialize)]
pub struct Case {
    when: String,
    pub points: f64,
}

#[derive(Debug, Deserialize)]
pub struct Sheet {
    pub sheet: u32,
    pub when: Option<String>,
    #[serde(default)]
    pub replaces_default: bool,
}

#[derive(Debug, Deserialize)]
pub struct Penalty {
    pub id: String,
    pub family: String,
    pub percent: f64,
    when: String,
}

#[derive(Debug, Deserialize)]
pub struct Cap {
    pub id: String,
    when: String,
    pub points: BTreeMap<String, f64>,
}

#[derive(Debug, Deserialize)]
pub struct Rule {
    pub id: String,
    when: String,
    pub add: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub struct Duty {
    when: String,
    pub add: Vec<String>,
}

/// What the peers are asked, by name; `oblige:3` is the fourth of the policy's list.
pub type Conditions = BTreeMap<String, Condition>;

/// Whether it gives an indicator its points.
pub fn is_case(name: &str) -> bool {
    name.starts_with("case:")
}

/// The policy, as far as the peers and the check need it.
pub struct Rules {
    pub conditions: Conditions,
    /// Conditions that ask about nothing but the score and the decisions.
    pub unasked: usize,
    pub unknown: f64,
    pub unknown_sensitive: f64,
    pub indicators: Vec<Indicator>,
    pub sheets: Vec<Sheet>,
    pub penalties: Vec<Penalty>,
    pub ceilings: Vec<Cap>,
    pub caps: Vec<Cap>,
    pub rules: Vec<Rule>,
    pub oblige: Vec<Duty>,
}

impl Rules {
    pub fn parse(policy: &str) -> Result<Rules, String> {
        let raw: RawPolicy = serde_saphyr::from_str(policy).map_err(|why| why.to_string())?;
        let mut derived = Derived::new();
        // In the policy's order, each after those it rests on.
        for fact in &raw.derived {
            let found = condition(&fact.when, &derived)?;
            derived.insert(fact.id.clone(), found.logic);
        }
        let mut texts = vec![("sensitive".to_owned(), &raw.points.sensitive)];
        for one in &raw.indicators {
            for (place, case) in one.cases.iter().enumerate() {
                texts.push((format!("case:{}:{place}", one.id), &case.when));
            }
            if let Some(when) = &one.not_applicable {
                texts.push((format!("not_applicable:{}", one.id), when));
            }
            if let Some(lift) = &one.lift {
                texts.push((format!("lift:{}", one.id), &lift.when));
            }
        }
        for one in &raw.sheets {
            if let Some(when) = &one.when {
                texts.push((format!("sheet:{}", one.sheet), when));
            }
        }
        texts.extend(raw.penalties.iter().map(|one| (format!("penalty:{}", one.id), &one.when)));
        texts.extend(raw.ceilings.iter().map(|one| (format!("ceiling:{}", one.id), &one.when)));
        texts.extend(raw.caps.iter().map(|one| (format!("cap:{}", one.id), &one.when)));
        texts.extend(raw.rules.iter().map(|one| (format!("rule:{}", one.id), &one.when)));
        for (place, one) in raw.oblige.iter().enumerate() {
            texts.push((format!("oblige:{place}"), &one.when));
        }
        let mut conditions = BTreeMap::new();
        let mut unasked = 0;
        for (name, text) in texts {
            let found = condition(text, &derived)?;
            if found.logic.is_always() {
                unasked += 1;
            } else {
                conditions.insert(name, found);
            }
        }
        Ok(Rules {
            conditions,
            unasked,
            unknown: raw.points.unknown,
            unknown_sensitive: raw.points.unknown_sensitive,
            indicators: raw.indicators,
            sheets: raw.sheets,
            penalties: raw.penalties,
            ceilings: raw.ceilings,
            caps: raw.caps,
            rules: raw.rules,
            oblige: raw.oblige,
        })
    }

    /// All but the indicators' cases.
    pub fn without_cases(&self) -> Conditions {
        let others = self.conditions.iter().filter(|(name, _)| !is_case(name));
        others.map(|(name, found)| (name.clone(), found.clone())).collect()
    }

    /// `None`: wholly about the score and the decisions, so nobody was asked.
    pub fn is_partial(&self, name: &str) -> Option<bool> {
        self.conditions.get(name).map(|found| found.is_partial)
    }
}
