use super::*;
use schema::{
    Action, ActionState, Entity, EntityKind, Finding, Incident, IncidentStatus, Leaf, LeafKind,
    OutcomeResult, Rung, Severity, Stage, sha256,
};
use std::collections::BTreeMap;
use uuid::Uuid;

fn tenant(id: &str) -> TenantId {
    id.parse().unwrap()
}

fn open() -> (tempfile::TempDir, Meta) {
    let folder = tempfile::tempdir().unwrap();
    let meta = Meta::open(&folder.path().join("meta.sqlite")).unwrap();
    meta.write(|tx| {
        for id in ["default", "other"] {
            tx.create_tenant(&Tenant {
                id: tenant(id),
                name: id.to_owned(),
                mode: Mode::default(),
                retention: RetentionDays::default(),
                created: 0,
            })?;
        }
        Ok(())
    })
    .unwrap();
    (folder, meta)
}

fn key() -> Entity {
    Entity::new(EntityKind::Credential, "9f2c")
}

fn incident(number: u128, opened: i64) -> Incident {
    Incident {
        id: Uuid::from_u128(number),
        title: "api-key-theft".to_owned(),
        opened,
        updated: opened,
        severity: Severity::High,
        status: IncidentStatus::New,
        findings: vec![],
        entities: vec![key()],
        sites: vec![],
        story: vec![],
        assignee: None,
        classification: None,
        comments: vec![],
        ticket: None,
        told: vec![],
    }
}

fn leaf(of: &str, subject: u128) -> Leaf {
    Leaf {
        tenant: tenant(of),
        kind: LeafKind::Incident,
        time: 1,
        actor: "system".to_owned(),
        subject: Uuid::from_u128(subject),
        digest: sha256(b"x"),
        reason: "test".to_owned(),
        causes: vec![],
    }
}

#[test]
fn a_change_and_its_leaves_are_one_commit() {
    let (folder, meta) = open();
    let home = tenant("default");
    let change = Change {
        incidents: vec![incident(1, 10)],
        leaves: vec![leaf("default", 1)],
        restrictions_changed: true,
        ..Change::default()
    };
    let refused = meta.write(|tx| {
        tx.record(&home, &change)?;
        Err::<(), _>(MetaError::Refused("something else went wrong"))
    });
    assert!(refused.is_err());
    let nothing =
        meta.read(|r| Ok((r.incident(&home, Uuid::from_u128(1))?, r.pending_leaves(&home, 9)?)));
    assert_eq!(nothing.unwrap(), (None, vec![]));

    assert_eq!(meta.record(&home, &change).unwrap().restriction_version, 1);
    drop(meta);
    let again = Meta::open(&folder.path().join("meta.sqlite")).unwrap();
    let pending = again.read(|r| r.pending_leaves(&home, 9)).unwrap();
    assert_eq!(pending.len(), 1);
    again.write(|tx| tx.appended(&[pending[0].id], 0)).unwrap();
    let (left, appended) =
        again.read(|r| Ok((r.pending_leaves(&home, 9)?, r.appended_leaves(&home)?))).unwrap();
    assert_eq!((left, appended), (vec![], 1));
}

#[test]
fn an_incident_is_amended_as_stored() {
    let (_folder, meta) = open();
    let home = tenant("default");
    let first = Change { incidents: vec![incident(1, 10)], ..Change::default() };
    meta.record(&home, &first).unwrap();
    let amend = |of: &TenantId| {
        meta.write(|tx| {
            tx.amend_incident(of, Uuid::from_u128(1), |incident| {
                incident.assignee = Some("kim".to_owned());
            })
        })
    };
    amend(&home).unwrap();
    assert!(matches!(amend(&tenant("other")), Err(MetaError::Missing(_))));
    let mine =
        IncidentFilter { assignee: Some("kim".to_owned()), limit: 9, ..IncidentFilter::default() };
    assert_eq!(meta.read(|r| r.incidents(&home, &mine)).unwrap().len(), 1);
}

#[test]
fn lists_page_without_gaps_and_never_cross_tenants() {
    let (_folder, meta) = open();
    let (home, other) = (tenant("default"), tenant("other"));
    let change = Change {
        // Two share a time: the id decides, so that no page skips one.
        incidents: vec![incident(1, 10), incident(2, 20), incident(3, 20), incident(4, 30)],
        ..Change::default()
    };
    meta.record(&home, &change).unwrap();
    let foreign = Change { incidents: vec![incident(9, 25)], ..Change::default() };
    meta.record(&other, &foreign).unwrap();

    let mut seen = Vec::new();
    let mut filter = IncidentFilter { limit: 1, entity: Some(key()), ..IncidentFilter::default() };
    loop {
        let page = meta.read(|r| r.incidents(&home, &filter)).unwrap();
        let Some(last) = page.last() else { break };
        seen.push(last.id.as_u128());
        filter.after = Some(Cursor { time: last.opened, id: last.id });
    }
    assert_eq!(seen, [4, 3, 2, 1]);
    assert_eq!(meta.read(|r| r.incident(&home, Uuid::from_u128(9))).unwrap(), None);
    let closed = IncidentFilter {
        statuses: vec![IncidentStatus::Closed],
        limit: 9,
        ..IncidentFilter::default()
    };
    assert_eq!(meta.read(|r| r.incidents(&home, &closed)).unwrap(), vec![]);
}

#[test]
fn findings_and_actions_are_found_by_what_they_name() {
    let (_folder, meta) = open();
    let home = tenant("default");
    let finding = Finding {
        id: Uuid::from_u128(1),
        rule: "api-key-theft".to_owned(),
        rule_version: 1,
        analytic: None,
        time: 5,
        first_seen: 5,
        last_seen: 5,
        severity: Severity::High,
        confidence: 90,
        entities: vec![key()],
        site: None,
        outcome: OutcomeResult::Success,
        outcome_reason: None,
        attack: vec![],
        evidence: vec![],
        evidence_total: 0,
        numbers: BTreeMap::new(),
    };
    let action: Action = serde_json::from_value(serde_json::json!({
        "id": Uuid::from_u128(2), "incident": Uuid::from_u128(3), "findings": [finding.id],
        "reason": "api-key-theft", "policy": "p", "policy_version": 1, "rung": Rung::Limit,
        "target": key(), "state": ActionState::Active, "created": 6, "expires": 99, "history": [],
    }))
    .unwrap();
    let change = Change {
        findings: vec![finding.clone()],
        actions: vec![action.clone()],
        ..Change::default()
    };
    meta.record(&home, &change).unwrap();
    let by_entity = FindingFilter { entity: Some(key()), limit: 9, ..FindingFilter::default() };
    assert_eq!(meta.read(|r| r.findings(&home, &by_entity)).unwrap(), vec![finding.clone()]);
    let of = |stage| FindingFilter { stage: Some(stage), limit: 9, ..FindingFilter::default() };
    let found = |stage| meta.read(|r| r.findings(&home, &of(stage))).unwrap();
    assert_eq!((found(Stage::Enforce), found(Stage::Shadow)), (vec![finding], vec![]));
    let high = FindingFilter {
        severity_min: Some(Severity::Critical),
        limit: 9,
        ..FindingFilter::default()
    };
    assert_eq!(meta.read(|r| r.findings(&home, &high)).unwrap(), vec![]);
    let in_force = ActionFilter {
        states: vec![ActionState::Active],
        target: Some(key()),
        limit: 9,
        ..ActionFilter::default()
    };
    assert_eq!(meta.read(|r| r.actions(&home, &in_force)).unwrap(), vec![action.clone()]);
    assert_eq!(meta.read(|r| r.live_actions(&home)).unwrap(), vec![action]);
    assert_eq!(meta.read(|r| r.live_actions(&tenant("other"))).unwrap(), vec![]);
}

#[test]
fn the_last_owner_stays() {
    let (_folder, meta) = open();
    let home = tenant("default");
    let person = |number: u128, name: &str, role| User {
        id: Uuid::from_u128(number),
        name: name.to_owned(),
        display: name.to_owned(),
        password_hash: None,
        must_change_password: false,
        disabled: false,
        created: 0,
        roles: BTreeMap::from([(home.clone(), role)]),
    };
    let (kim, lee) = (person(1, "kim", Role::Owner), person(2, "lee", Role::Admin));
    meta.write(|tx| tx.create_user(&kim).and_then(|()| tx.create_user(&lee))).unwrap();
    assert!(matches!(meta.write(|tx| tx.create_user(&kim)), Err(MetaError::Exists(_))));
    for result in [
        meta.write(|tx| tx.set_role(&home, kim.id, Role::Viewer)),
        meta.write(|tx| tx.set_disabled(kim.id, true)),
        meta.write(|tx| tx.remove_role(&home, kim.id)),
    ] {
        assert!(matches!(result, Err(MetaError::Refused(_))));
    }
    meta.write(|tx| tx.set_role(&home, lee.id, Role::Owner)).unwrap();
    meta.write(|tx| tx.remove_role(&home, kim.id)).unwrap();
    let left = meta.read(|r| r.users(&home)).unwrap();
    assert_eq!(left.iter().map(|u| u.name.as_str()).collect::<Vec<_>>(), ["lee"]);
}

#[test]
fn policies_losses_and_sequences_count_repeats_once() {
    let (_folder, meta) = open();
    let home = tenant("default");
    let put = |text: &str| meta.write(|tx| tx.put_policy(&home, text, "user:1", "why", 1)).unwrap();
    assert_eq!((put("a").0.version, put("a").1, put("b").0.version), (1, false, 2));
    let history = meta.read(|r| r.policy_history(&home, None, 9)).unwrap();
    assert_eq!(history.iter().map(|p| p.version).collect::<Vec<_>>(), [2, 1]);

    let loss = Loss {
        source: "gw-1".to_owned(),
        since: 1,
        until: 2,
        reason: "spool-full".to_owned(),
        dropped: 5,
        received: 3,
    };
    meta.write(|tx| tx.gateway_applied(&home, "gw-1", 7, 3)).unwrap();
    meta.write(|tx| tx.gateway_applied(&home, "gw-1", 4, 4)).unwrap();
    assert!(meta.write(|tx| tx.add_loss(&home, &loss)).unwrap());
    assert!(!meta.write(|tx| tx.add_loss(&home, &loss)).unwrap());
    let gateway = meta.read(|r| r.gateway(&home, "gw-1")).unwrap().unwrap();
    assert_eq!((gateway.applied_version, gateway.dropped), (7, 5));
    assert_eq!(meta.read(|r| r.dropped_total(&home)).unwrap(), 5);

    let take = |count| meta.write(|tx| tx.take_sequences(&home, "syslog", count)).unwrap();
    assert_eq!((take(3), take(2), take(1)), (0, 3, 5));
}

#[test]
fn a_newer_database_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meta.sqlite");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(Meta::open(&path), Err(MetaError::Newer { found: 99, .. })));
}

#[test]
fn what_was_written_before_there_were_stages_is_enforced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meta.sqlite");
    let before = Connection::open(&path).unwrap();
    for migration in &MIGRATIONS[..4] {
        before.execute_batch(migration).unwrap();
    }
    before
        .execute_batch(
            "INSERT INTO sigma_rules VALUES ('default', 'r', 1, 'text', 1, 'site', 'user:1', 'r', 5, 0);
             PRAGMA user_version = 4;",
        )
        .unwrap();
    drop(before);
    let meta = Meta::open(&path).unwrap();
    let rules = meta.read(|read| read.sigma_rules(&tenant("default"))).unwrap();
    assert_eq!((rules.len(), rules[0].stage), (1, Stage::Enforce));
    let record = serde_json::to_value(&rules[0]).unwrap();
    assert_eq!(record.get("stage"), None, "its leaf's digest is as it was");
}

#[test]
fn rules_have_versions_and_exceptions_end_once() {
    let (_folder, meta) = open();
    let (home, other) = (tenant("default"), tenant("other"));
    let rule = |text: &str, removed: bool| SigmaRule {
        id: "r".to_owned(),
        version: 0,
        text: text.to_owned(),
        enabled: true,
        stage: if text == "b" { Stage::Shadow } else { Stage::Enforce },
        origin: "site".to_owned(),
        author: "user:1".to_owned(),
        reason: "r".to_owned(),
        changed: 0,
        since: 0,
        removed,
    };
    let put = |text: &str, removed, at| {
        meta.write(|tx| tx.put_sigma_rule(&home, &rule(text, removed), at)).unwrap()
    };
    assert_eq!((put("a", false, 1).version, put("b", false, 2).version), (1, 2));
    let newest = meta.read(|read| read.sigma_rules(&home)).unwrap();
    assert_eq!((newest.len(), newest[0].text.as_str(), newest[0].changed), (1, "b", 2));
    assert_eq!(newest[0].stage, Stage::Shadow);
    assert_eq!(meta.read(|read| read.sigma_rules(&other)).unwrap(), []);
    put("", true, 3);
    assert_eq!(meta.read(|read| read.sigma_rule(&home, "r")).unwrap(), None);
    assert_eq!(put("c", false, 4).version, 4, "a rule that comes back goes on counting");

    let exception = SigmaException {
        id: Uuid::from_u128(7),
        rule: Some("r".to_owned()),
        selection: None,
        entity: Some(key()),
        author: "user:1".to_owned(),
        reason: "r".to_owned(),
        created: 10,
        expires: 20,
        ended: None,
        suppressed: 0,
    };
    let hits = SigmaHits { rule: "r".to_owned(), day: 5, hits: 3, suppressed: 1 };
    let counts = SigmaCounts { hits: vec![hits], suppressed: vec![(exception.id, 1)] };
    meta.write(|tx| {
        tx.put_sigma_exception(&home, &exception)?;
        tx.count_sigma(&home, &counts, 5)?;
        tx.count_sigma(&home, &counts, 5)
    })
    .unwrap();
    let since = |time| meta.read(|read| read.sigma_exceptions_since(&home, time)).unwrap();
    assert_eq!((since(19).len(), since(20).len()), (1, 0));
    assert_eq!(since(19)[0].suppressed, 2);
    assert_eq!(meta.read(|read| read.sigma_hits(&home, 5)).unwrap()[0].hits, 6);
    let end = || meta.write(|tx| tx.end_sigma_exception(&home, exception.id, 15)).unwrap();
    assert_eq!((end(), end()), (true, false));
    let list = |ended| meta.read(|read| read.sigma_exceptions(&home, ended, None, 10)).unwrap();
    assert_eq!((list(false).len(), list(true).len()), (0, 1));
    assert_eq!(meta.read(|read| read.sigma_exception(&other, exception.id)).unwrap(), None);
}
