use super::*;
use schema::{activity, class};
use serde_json::json;
use store::meta::{SigmaException, SigmaRule};

const RULE: &str = "
title: Admin pages
id: 7e9b7a2c-0f0e-4a53-9a35-0d3d2a0b6f11
logsource: {category: webserver}
detection:
  selection: {cs-uri-stem|startswith: /admin}
  condition: selection
";

const SPREE: &str = "
title: One visit
name: visit
id: 7e9b7a2c-0f0e-4a53-9a35-0d3d2a0b6f11
logsource: {category: webserver}
detection:
  selection: {cs-uri-stem|startswith: /admin}
  condition: selection
---
title: Spree
id: 22222222-0f0e-4a53-9a35-0d3d2a0b6f11
correlation:
  type: event_count
  rules: [visit]
  group-by: [c-ip]
  timespan: 10m
  condition: {gte: 3}
";

fn rules(since: Timestamp, exceptions: &[SigmaException]) -> Rules {
    rules_of(RULE, since, exceptions)
}

fn rules_of(text: &str, since: Timestamp, exceptions: &[SigmaException]) -> Rules {
    let rule = SigmaRule {
        id: "7e9b7a2c-0f0e-4a53-9a35-0d3d2a0b6f11".to_owned(),
        version: 3,
        text: text.to_owned(),
        enabled: true,
        stage: Stage::Enforce,
        origin: packs::SITE.to_owned(),
        author: "user:1".to_owned(),
        reason: "r".to_owned(),
        changed: since,
        since,
        removed: false,
    };
    let compiled = exceptions.iter().map(|one| Arc::new(Exception::compile(one).unwrap()));
    Rules {
        site: Arc::new(Loaded::site(&[rule])),
        exceptions: compiled.collect(),
        ..Rules::default()
    }
}

fn exception(from: Timestamp, until: Timestamp, selection: serde_json::Value) -> SigmaException {
    SigmaException {
        id: Uuid::from_u128(1),
        rule: None,
        selection: Some(selection.to_string()),
        entity: None,
        author: "user:1".to_owned(),
        reason: "r".to_owned(),
        created: from,
        expires: until,
        ended: None,
        suppressed: 0,
    }
}

fn visit(number: u128, time: Timestamp, client: &str, path: &str) -> Event {
    Event {
        id: Uuid::from_u128(number),
        time,
        received: time,
        class_uid: class::HTTP_ACTIVITY,
        activity_id: activity::of_method("GET"),
        src_ip: Some(client.to_owned()),
        path: Some(path.to_owned()),
        log_format: Some("combined".to_owned()),
        ..Event::default()
    }
}

fn told(rules: Rules, events: &[Event]) -> Vec<Finding> {
    let mut watch = Watch::new(3_600);
    watch.set_rules(rules);
    let mut found: Vec<Finding> = events.iter().flat_map(|event| watch.observe(event)).collect();
    found.extend(watch.advance(i64::MAX / 2));
    found
}

#[test]
fn a_flood_is_one_finding_told_as_it_doubles() {
    let events: Vec<Event> =
        (0..1_000).map(|n| visit(n + 1, 10_000 + n as i64, "192.0.2.7", "/admin/x")).collect();
    let found = told(rules(0, &[]), &events);
    let totals: Vec<u64> = found.iter().map(|finding| finding.evidence_total).collect();
    assert_eq!(totals, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_000]);
    assert!(found.iter().all(|finding| finding.id == found[0].id));
    assert_eq!(found[10].evidence.len(), Finding::EVIDENCE_MAX);
    assert_eq!(found[0].rule_version, 3);
    // The same events and rules, the same findings.
    assert_eq!(told(rules(0, &[]), &events), found);
}

#[test]
fn a_rule_looks_at_what_came_after_it() {
    let events = [
        visit(1, 10_000, "192.0.2.7", "/admin"),
        visit(2, 20_000, "192.0.2.7", "/admin"),
        visit(3, 21_000, "192.0.2.7", "/adm"),
    ];
    let found = told(rules(20_000, &[]), &events);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].evidence, [Uuid::from_u128(2)]);
}

#[test]
fn an_exception_holds_from_its_beginning_to_its_end() {
    let exceptions = [exception(20_000, 30_000, json!({ "c-ip|cidr": "192.0.2.0/24" }))];
    let events = [
        visit(1, 19_999, "192.0.2.7", "/admin"),
        visit(2, 20_000, "192.0.2.7", "/admin"),
        visit(3, 25_000, "198.51.100.7", "/admin"),
        visit(4, 30_000, "192.0.2.7", "/admin"),
    ];
    let found = told(rules(0, &exceptions), &events);
    let evidence: Vec<Uuid> = found.iter().flat_map(|finding| finding.evidence.clone()).collect();
    assert_eq!(evidence, [1, 3, 4].map(Uuid::from_u128));
    assert_ne!(found[0].id, found[2].id, "after the exception it is a finding of its own");
}

#[test]
fn a_clock_far_ahead_neither_counts_nor_ends_what_others_began() {
    const MINUTE: i64 = 60_000;
    const YEAR: i64 = 365 * DAY_MS;
    let start = 20_000 * DAY_MS;
    let at = |number: u128, time: i64, ahead: i64| Event {
        received: time,
        ..visit(number, time + ahead, "192.0.2.7", "/admin")
    };
    let spree = |wrong: i64| {
        let events = [
            at(1, start, 0),
            at(2, start + MINUTE, 0),
            at(3, start + 2 * MINUTE, wrong),
            at(4, start + 3 * MINUTE, 0),
        ];
        let mut watch = Watch::new(3_600);
        watch.set_rules(rules_of(SPREE, 0, &[]));
        let mut found = Vec::new();
        for event in &events {
            found.extend(watch.observe(event));
            found.extend(watch.advance(event.received));
        }
        found.extend(watch.advance(start + DAY_MS));
        let spree =
            found.iter().find(|finding| finding.rule == "22222222-0f0e-4a53-9a35-0d3d2a0b6f11");
        spree.map(|finding| finding.evidence.clone()).unwrap_or_default()
    };
    assert_eq!(spree(0), [1, 2, 3].map(Uuid::from_u128));
    assert_eq!(spree(YEAR), [1, 2, 4].map(Uuid::from_u128));
    // Half an hour ahead still counts, in its own place: too far from the others here.
    assert_eq!(spree(30 * MINUTE), [1, 2, 4].map(Uuid::from_u128));
}

const VISIT: &str = "
title: One visit
name: visit
id: 7e9b7a2c-0f0e-4a53-9a35-0d3d2a0b6f11
logsource: {category: webserver}
detection:
  selection: {cs-uri-stem|startswith: /admin}
  condition: selection
";

fn staged(rules: &[(&str, Stage)]) -> Rules {
    let stored: Vec<SigmaRule> = rules
        .iter()
        .enumerate()
        .map(|(number, (text, stage))| SigmaRule {
            id: format!("{number}"),
            version: 1,
            text: (*text).to_owned(),
            enabled: true,
            stage: *stage,
            origin: packs::SITE.to_owned(),
            author: "user:1".to_owned(),
            reason: "r".to_owned(),
            changed: 0,
            since: 0,
            removed: false,
        })
        .collect();
    Rules { site: Arc::new(Loaded::site(&stored)), ..Rules::default() }
}

#[test]
fn a_correlation_has_its_own_stage_whatever_that_of_the_rules_it_stands_on() {
    let spree = SPREE.split_once("---").unwrap().1;
    let events: Vec<Event> =
        (1..4).map(|n| visit(n, 10_000 + n as i64, "192.0.2.7", "/admin")).collect();
    let stages = |visit, correlation| {
        let found = told(staged(&[(VISIT, visit), (spree, correlation)]), &events);
        let of = |rule: &str| {
            found.iter().rfind(|finding| finding.rule.starts_with(rule)).map(Finding::stage)
        };
        (of("7e9b7a2c"), of("22222222"))
    };
    let (shadow, canary, enforce) = (Stage::Shadow, Stage::Canary, Stage::Enforce);
    assert_eq!(stages(shadow, enforce), (Some(shadow), Some(enforce)));
    assert_eq!(stages(enforce, canary), (Some(enforce), Some(canary)));
}

#[test]
fn what_is_found_in_another_stage_is_another_finding_at_once() {
    let mut watch = Watch::new(3_600);
    let mut ids = Vec::new();
    let mut number = 0;
    for stage in [Stage::Shadow, Stage::Canary, Stage::Enforce] {
        watch.set_rules(staged(&[(RULE, stage)]));
        for is_told in [true, true, false] {
            number += 1;
            let event = visit(number, 10_000 + number as i64, "192.0.2.7", "/admin");
            let found = watch.observe(&event);
            // The second event doubles it, the third does not.
            assert_eq!(found.len(), usize::from(is_told), "{stage:?}");
            assert!(found.iter().all(|finding| finding.stage() == stage));
            ids.extend(found.into_iter().map(|finding| finding.id));
        }
    }
    assert!(ids.chunks(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
    ids.dedup();
    assert_eq!(ids.len(), 3, "{ids:?}");
    // Enforced, it has the id it had before there were stages.
    let entity = Entity::new(schema::EntityKind::Address, "192.0.2.7");
    assert_eq!(ids[2], Finding::id_for("7e9b7a2c-0f0e-4a53-9a35-0d3d2a0b6f11", &entity, 0));
    // What one stage began gets its last word in that stage.
    let last = watch.advance(i64::MAX / 2);
    let last: Vec<(Stage, u64)> =
        last.iter().map(|finding| (finding.stage(), finding.evidence_total)).collect();
    assert_eq!(last, [Stage::Shadow, Stage::Canary, Stage::Enforce].map(|stage| (stage, 3)));
}

#[test]
fn a_rule_that_is_taken_back_gets_no_last_word_in_the_stage_it_had() {
    let last = |before, after| {
        let mut watch = Watch::new(3_600);
        watch.set_rules(staged(&[(RULE, before)]));
        for number in 1..4 {
            watch.observe(&visit(number, 10_000 + number as i64, "192.0.2.7", "/admin"));
        }
        watch.set_rules(staged(&[(RULE, after)]));
        watch.advance(i64::MAX / 2).len()
    };
    assert_eq!(last(Stage::Enforce, Stage::Shadow), 0);
    assert_eq!(last(Stage::Enforce, Stage::Canary), 0);
    assert_eq!(last(Stage::Enforce, Stage::Enforce), 1);
    assert_eq!(last(Stage::Shadow, Stage::Enforce), 1);
}

#[test]
fn a_choice_takes_by_level_status_and_tag() {
    let meta = |level, status, tag: &str| sigma::Meta {
        level,
        status,
        tags: vec![tag.to_owned()],
        ..sigma::Meta::default()
    };
    use sigma::{Level, Status};
    let high = meta(Some(Level::High), Some(Status::Test), "attack.t1");
    let none = meta(None, None, "cve.1");
    let old = meta(Some(Level::Critical), Some(Status::Deprecated), "attack.t1");
    let takes = |choice: &Choice| [&high, &none, &old].map(|meta| choice.takes(meta));
    assert_eq!(takes(&Choice::default()), [true, true, false]);
    let level = Choice { level: Some(Level::Medium), ..Choice::default() };
    assert_eq!(takes(&level), [true, false, false]);
    let status = Choice { status: vec![Status::Deprecated], ..Choice::default() };
    assert_eq!(takes(&status), [false, false, true]);
    let tags = Choice { tags: vec!["cve.1".to_owned()], ..Choice::default() };
    assert_eq!(takes(&tags), [false, true, false]);
    let without = Choice { without_tags: vec!["cve.1".to_owned()], ..Choice::default() };
    assert_eq!(takes(&without), [true, false, false]);
}
