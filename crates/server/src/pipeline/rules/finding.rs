//! What a rule found, as a finding.

use super::packs::Info;
use schema::{
    Analytic, AttackRef, Entity, EntityKind, Event, Finding, MatchedField, OutcomeResult, Severity,
    Stage, Timestamp, id_from_seed,
};
use sigma::correlation::Finding as Correlated;
use sigma::ocsf::OcsfEvent;
use sigma::{Level, Match, Meta, Status};
use std::borrow::Cow;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Matched fields told in a finding; the event has the rest.
const MATCHED_MAX: usize = 16;
/// Bytes of one value told in a finding.
const VALUE_BYTES_MAX: usize = 256;
/// Tags told in a finding.
const TAGS_MAX: usize = 32;

/// Techniques among a rule's tags, each with the tactic that stands nearest before it.
pub fn attack(tags: &[String]) -> Vec<AttackRef> {
    let tactic_of = |tag: &String| sigma::attack::tactic(tag).map(|(_, id)| id);
    let mut tactic = tags.iter().find_map(tactic_of).unwrap_or_default();
    let mut all = Vec::new();
    for tag in tags {
        if let Some(id) = tactic_of(tag) {
            tactic = id;
        } else if let Some(technique) = sigma::attack::technique(tag) {
            let reference = AttackRef::new(tactic, &technique);
            if !all.contains(&reference) {
                all.push(reference);
            }
        }
    }
    all
}

/// Who took part; whom to act on first. An endpoint does not act.
pub fn entities(event: &Event) -> Vec<Entity> {
    let mut all = event.entities();
    all.retain(|entity| !entity.value.is_empty());
    all.sort_by_key(|entity| entity.kind == EntityKind::Endpoint);
    all
}

/// A rule without a level is taken for medium: worth an incident, and no more.
pub fn severity(level: Option<Level>) -> Severity {
    match level {
        Some(Level::Informational) => Severity::Informational,
        Some(Level::Low) => Severity::Low,
        Some(Level::Medium) | None => Severity::Medium,
        Some(Level::High) => Severity::High,
        Some(Level::Critical) => Severity::Critical,
    }
}

fn confidence(status: Option<Status>) -> u8 {
    match status {
        Some(Status::Stable) => 80,
        Some(Status::Test) => 60,
        Some(Status::Experimental) => 40,
        Some(Status::Deprecated | Status::Unsupported) => 20,
        None => 50,
    }
}

fn analytic(meta: &Meta, info: &Info, stage: Stage, matched: Vec<MatchedField>) -> Analytic {
    Analytic {
        title: meta.title.clone(),
        author: meta.author.clone(),
        license: meta.license.clone(),
        origin: info.origin.to_string(),
        stage,
        level: meta.level.map(|level| level.word().to_owned()),
        status: meta.status.map(|status| status.word().to_owned()),
        tags: meta.tags.iter().take(TAGS_MAX).cloned().collect(),
        matched,
    }
}

/// A rule's name as ids of findings are drawn from it: what is found in another stage is another finding.
pub(super) fn staged(rule: &str, stage: Stage) -> Cow<'_, str> {
    match stage {
        Stage::Enforce => Cow::Borrowed(rule),
        Stage::Shadow | Stage::Canary => Cow::Owned(format!("{rule}\0{}", stage.as_str())),
    }
}

/// The finding of one match, but for its id, which its group decides.
pub(super) fn draft(
    event: &Event,
    view: &OcsfEvent<'_>,
    meta: &Meta,
    info: &Info,
    stage: Stage,
    one: &Match,
    entities: Vec<Entity>,
) -> Finding {
    let matched = one.matched.iter().take(MATCHED_MAX).map(|matched| {
        let end = matched.value.floor_char_boundary(VALUE_BYTES_MAX);
        MatchedField {
            path: view.path_of(&matched.field).filter(|path| *path != matched.field),
            field: matched.field.clone(),
            value: matched.value.get(..end).unwrap_or_default().to_owned(),
        }
    });
    Finding {
        id: Uuid::nil(),
        rule: meta.key().to_owned(),
        rule_version: info.version,
        time: event.time,
        first_seen: event.time,
        last_seen: event.time,
        severity: severity(meta.level),
        confidence: confidence(meta.status),
        entities,
        site: event.site.clone(),
        outcome: event.outcome_result(),
        outcome_reason: event.outcome_reason.clone(),
        attack: attack(&meta.tags),
        evidence: vec![event.id],
        evidence_total: 1,
        numbers: BTreeMap::from([("events".to_owned(), 1.0)]),
        analytic: Some(Box::new(analytic(meta, info, stage, matched.collect()))),
    }
}

/// The finding of a correlation.
pub(super) fn correlated(
    one: &Correlated,
    meta: &Meta,
    info: &Info,
    stage: Stage,
    entities: Vec<Entity>,
    site: Option<String>,
) -> Finding {
    let time: Timestamp = one.time_ms.max(0);
    let group: String = one
        .group
        .iter()
        .map(|(name, value)| format!("{}:{name}{}:{value}", name.len(), value.len()))
        .collect();
    let rule = staged(&one.correlation, stage);
    let seed = format!("finding\0{rule}\0{group}\0{}", one.began_ms);
    let matched = one.group.iter().take(MATCHED_MAX).map(|(field, value)| MatchedField {
        field: field.clone(),
        path: None,
        value: value
            .get(..value.floor_char_boundary(VALUE_BYTES_MAX))
            .unwrap_or_default()
            .to_owned(),
    });
    let evidence: Vec<Uuid> = one.events.iter().filter_map(|id| id.parse().ok()).collect();
    Finding {
        id: id_from_seed(one.began_ms.max(0), seed.as_bytes()),
        rule: meta.key().to_owned(),
        rule_version: info.version,
        time,
        first_seen: one.began_ms.max(0),
        last_seen: time,
        severity: severity(meta.level),
        confidence: confidence(meta.status),
        entities,
        site,
        outcome: OutcomeResult::Unknown,
        outcome_reason: None,
        attack: attack(&meta.tags),
        evidence_total: evidence.len() as u64,
        evidence: evidence.into_iter().take(Finding::EVIDENCE_MAX).collect(),
        numbers: BTreeMap::from([("figure".to_owned(), one.figure)]),
        analytic: Some(Box::new(analytic(meta, info, stage, matched.collect()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn techniques_have_the_tactic_that_stands_before_them() {
        let tags = [
            "attack.execution",
            "attack.t1059.004",
            "attack.stealth",
            "attack.t1027",
            "cve.2021-1",
        ];
        let all = attack(&tags.map(str::to_owned));
        assert_eq!(all, [AttackRef::new("TA0002", "T1059.004"), AttackRef::new("TA0005", "T1027")]);
        let behind = attack(&["attack.t1190".to_owned(), "attack.initial_access".to_owned()]);
        assert_eq!(behind, [AttackRef::new("TA0001", "T1190")]);
        assert_eq!(attack(&["attack.tx".to_owned(), "attack.g0016".to_owned()]), []);
    }
}
