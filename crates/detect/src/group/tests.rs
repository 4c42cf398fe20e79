use super::*;
use crate::config::SiteConfig;
use schema::{Analytic, AttackRef, Stage};

const START: Timestamp = 1_793_577_600_000;
const MINUTE: i64 = 60_000;

fn finding(rule: &str, minute: i64, severity: Severity, entities: &[&str]) -> Finding {
    let entities: Vec<Entity> = entities.iter().map(|text| text.parse().unwrap()).collect();
    let time = START + minute * MINUTE;
    Finding {
        id: Finding::id_for(rule, &entities[0], time),
        rule: rule.to_owned(),
        rule_version: 1,
        analytic: None,
        time,
        first_seen: time,
        last_seen: time,
        severity,
        confidence: 60,
        entities,
        site: None,
        outcome: OutcomeResult::Success,
        outcome_reason: None,
        attack: vec![AttackRef::new("TA0006", "T1110")],
        evidence: Vec::new(),
        evidence_total: 1,
        numbers: BTreeMap::new(),
    }
}

#[test]
fn noise_waits_until_it_has_company() {
    let mut grouper = Grouper::new(GroupConfig::default());
    let first = finding("prompt-injection-probing", 0, Severity::Low, &["credential:k"]);
    assert_eq!(grouper.fold(&first), None);
    assert_eq!(
        grouper.fold(&finding("prompt-injection-probing", 90, Severity::Low, &["credential:k"])),
        None,
        "the same again is still noise"
    );
    assert_eq!(
        grouper.fold(&finding("web-shell-upload", 1, Severity::Low, &["account:other"])),
        None
    );
    let incident =
        grouper.fold(&finding("object-enumeration", 5, Severity::Low, &["credential:k"])).unwrap();
    assert_eq!(incident.findings.len(), 3);
    assert_eq!(
        (incident.opened, incident.severity),
        (START, Severity::Medium),
        "it begins with the noise"
    );
    assert_eq!(incident.story[0].subject, first.id);
}

#[test]
fn what_is_in_shadow_is_no_part_of_a_story_and_links_none() {
    let staged = |minute, stage| {
        let found = finding("r", minute, Severity::High, &["account:a", "address:192.0.2.9"]);
        let analytic = Some(Box::new(Analytic { stage, ..Analytic::default() }));
        Finding { analytic, ..found }
    };
    let mut grouper = Grouper::new(GroupConfig::default());
    assert_eq!(grouper.fold(&staged(0, Stage::Shadow)), None);
    let one = grouper.fold(&finding("x", 1, Severity::High, &["account:a"])).unwrap();
    let two = grouper.fold(&finding("y", 2, Severity::High, &["address:192.0.2.9"])).unwrap();
    assert_ne!(one.id, two.id, "only the one in shadow names both");
    assert_eq!(grouper.fold(&staged(3, Stage::Shadow)), None);
    assert_eq!(grouper.take_merges(), []);
    let joined = grouper.fold(&staged(4, Stage::Canary)).unwrap();
    assert_eq!((joined.findings.len(), grouper.take_merges().len()), (3, 1));
}

#[test]
fn endpoints_and_shared_addresses_do_not_link() {
    let mut grouper = Grouper::new(GroupConfig {
        common_addresses: vec!["192.0.2.0/24".to_owned()],
        ..GroupConfig::default()
    });
    grouper.fold(&finding(
        "account-takeover",
        0,
        Severity::Medium,
        &["account:a", "endpoint:POST /login", "address:192.0.2.9"],
    ));
    grouper.fold(&finding(
        "account-takeover",
        1,
        Severity::Medium,
        &["account:b", "endpoint:POST /login", "address:192.0.2.9"],
    ));
    assert_eq!(grouper.incidents().count(), 2, "a listed address is common");

    let mut grouper = Grouper::new(GroupConfig::default());
    for person in 0..7 {
        grouper.fold(&finding(
            "response-leakage",
            person,
            Severity::Medium,
            &[&format!("account:{person}"), "address:203.0.113.1"],
        ));
    }
    let most = grouper.incidents().map(|incident| incident.findings.len()).max();
    assert_eq!(
        (most, grouper.incidents().count()),
        (Some(5), 3),
        "an address of many people stops linking"
    );
}

#[test]
fn a_finding_that_belongs_to_two_joins_them_into_the_older() {
    let mut grouper = Grouper::new(GroupConfig::default());
    let older = grouper
        .fold(&finding(
            "credential-stuffing",
            0,
            Severity::Medium,
            &["address:203.0.113.9", "account:a"],
        ))
        .unwrap();
    let newer =
        grouper.fold(&finding("object-enumeration", 9, Severity::Medium, &["session:s"])).unwrap();
    assert_ne!(older.id, newer.id);
    let mut link = finding("account-takeover", 5, Severity::High, &["account:a", "session:s"]);
    link.attack = vec![AttackRef::new("TA0001", "T1078")];
    let joined = grouper.fold(&link).unwrap();
    assert_eq!(joined.id, older.id);
    assert_eq!(grouper.take_merges(), [Merge { absorbed: newer.id, into: older.id }]);
    assert_eq!(grouper.incidents().count(), 1);
    let codes: Vec<&str> = joined.story.iter().map(|step| step.code.as_str()).collect();
    assert_eq!(
        codes,
        ["credential-stuffing", "account-takeover", "object-enumeration"],
        "in the order of events"
    );
    assert_eq!(
        joined.severity,
        Severity::Critical,
        "stages that came about are worse than each alone"
    );
    assert_eq!(joined.title, "account-takeover");
    // The absorbed one's findings grow in the winner.
    let again =
        grouper.fold(&finding("object-enumeration", 9, Severity::High, &["session:s"])).unwrap();
    assert_eq!((again.id, again.findings.len()), (older.id, 3));
}

#[test]
fn web_and_host_meet_by_site_and_device() {
    let sites =
        BTreeMap::from([("shop".to_owned(), SiteConfig { devices: vec!["web-1".to_owned()] })]);
    let web = |grouper: &mut Grouper| {
        let mut upload = finding("web-shell-upload", 0, Severity::Medium, &["account:mallory"]);
        upload.site = Some("shop".to_owned());
        grouper.fold(&upload).unwrap().id
    };
    let mut grouper = Grouper::new(GroupConfig { sites: sites.clone(), ..GroupConfig::default() });
    let id = web(&mut grouper);
    assert_eq!(
        grouper.fold(&finding("web-shell", 3, Severity::High, &["device:web-1"])).unwrap().id,
        id
    );
    assert_ne!(
        grouper.fold(&finding("web-shell", 3, Severity::High, &["device:db-1"])).unwrap().id,
        id,
        "another host"
    );
    let mut grouper = Grouper::new(GroupConfig { sites, ..GroupConfig::default() });
    let id = web(&mut grouper);
    assert_ne!(
        grouper.fold(&finding("web-shell", 90, Severity::High, &["device:web-1"])).unwrap().id,
        id,
        "too long after"
    );
}

#[test]
fn a_restart_continues_open_incidents_and_leaves_closed_ones() {
    let mut grouper = Grouper::new(GroupConfig::default());
    let mut open =
        grouper.fold(&finding("account-takeover", 0, Severity::High, &["account:a"])).unwrap();
    let mut closed =
        grouper.fold(&finding("account-takeover", 0, Severity::High, &["account:b"])).unwrap();
    open.assignee = Some("kim".to_owned());
    closed.status = IncidentStatus::Closed;

    let mut grouper = Grouper::restore(GroupConfig::default(), vec![open.clone(), closed.clone()]);
    let next =
        grouper.fold(&finding("response-leakage", 9, Severity::Medium, &["account:a"])).unwrap();
    assert_eq!((next.id, next.assignee.as_deref(), next.findings.len()), (open.id, Some("kim"), 2));
    assert!(next.severity >= Severity::High, "no lighter for having been restored");
    assert_ne!(
        grouper.fold(&finding("response-leakage", 9, Severity::Medium, &["account:b"])).unwrap().id,
        closed.id
    );

    grouper.update(&Incident { status: IncidentStatus::Resolved, ..next });
    assert_ne!(
        grouper
            .fold(&finding("object-enumeration", 10, Severity::Medium, &["account:a"]))
            .unwrap()
            .id,
        open.id
    );
}
