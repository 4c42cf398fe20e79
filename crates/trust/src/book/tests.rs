use super::*;
use schema::Stage;

fn login(account: &str, session: &str, outcome: &str, at: Timestamp) -> Event {
    Event {
        class_uid: class::HTTP_ACTIVITY,
        time: at,
        site: Some("shop".to_owned()),
        account: Some(account.to_owned()),
        session: Some(session.to_owned()),
        outcome_action: Some("login".to_owned()),
        outcome: Some(outcome.to_owned()),
        ..Event::default()
    }
}

#[test]
fn ten_thousand_strangers_crowd_nobody_out() {
    let limits = BookLimits { accounts: 100, attempts: 50, sessions: 100, ..BookLimits::default() };
    let (mut book, site) = (Book::new(limits), Site::default());
    book.observe(&login("kim", "s", "success", 0), &site, None);
    for stranger in 0..10_000 {
        let name = format!("stranger-{stranger}");
        book.observe(&login(&name, &name, "failure", 1_000 + stranger), &site, None);
        // And with a session nobody vouches for.
        let mut request = login("", &name, "unknown", 1_000 + stranger);
        request.outcome_action = Some("read".to_owned());
        book.observe(&request, &site, None);
    }
    let sizes = book.sizes();
    assert_eq!((sizes.accounts, sizes.attempts, sizes.sessions), (1, 50, 1));
    assert!(book.account_of("kim").is_some() && book.session_of("s").is_some());
    assert!(book.snapshot().unwrap().len() < 50_000);
}

#[test]
fn ten_thousand_accounts_that_do_log_in_stay_within_limits_and_the_last_are_known() {
    let limits = BookLimits { accounts: 100, sessions: 100, ..BookLimits::default() };
    let (mut book, site) = (Book::new(limits), Site::default());
    for number in 0..10_000 {
        let name = format!("account-{number}");
        book.observe(&login(&name, &name, "success", number), &site, None);
    }
    assert_eq!((book.sizes().accounts, book.sizes().sessions), (100, 100));
    assert!(book.account_of("account-9900").is_some() && book.account_of("account-9899").is_none());
}

#[test]
fn of_too_many_findings_the_least_grave_go() {
    let mut book = Book::new(BookLimits { findings: 10, ..BookLimits::default() });
    let finding = |number: u128, severity| Finding {
        id: Uuid::from_u128(number),
        rule: "rule".to_owned(),
        rule_version: 1,
        analytic: None,
        time: 0,
        first_seen: 0,
        last_seen: 0,
        severity,
        confidence: 50,
        entities: vec![Entity::new(EntityKind::Session, format!("s{number}"))],
        site: None,
        outcome: OutcomeResult::Unknown,
        outcome_reason: None,
        attack: Vec::new(),
        evidence: Vec::new(),
        evidence_total: 0,
        numbers: std::collections::BTreeMap::new(),
    };
    book.finding(&finding(0, Severity::Critical));
    for number in 1..1_000 {
        book.finding(&finding(number, Severity::Low));
    }
    assert_eq!(book.sizes().findings, 10);
    assert_eq!(book.gravest(EntityKind::Session, "s0", 1), Some(Severity::Critical));
    assert_eq!(book.gravest(EntityKind::Session, "s1", 1), None);
}

#[test]
fn a_finding_in_shadow_speaks_against_nobody() {
    let mut book = Book::new(BookLimits::default());
    let session = Entity::new(EntityKind::Session, "s");
    let finding = |number: u128, stage| -> Finding {
        serde_json::from_value(serde_json::json!({
            "id": Uuid::from_u128(number), "rule": "r", "rule_version": 1, "time": 0, "first_seen": 0,
            "last_seen": 0, "severity": "high", "confidence": 50, "entities": [session],
            "outcome": "unknown", "attack": [], "evidence": [], "evidence_total": 0, "numbers": {},
            "analytic": { "title": "t", "origin": "site", "stage": stage },
        }))
        .unwrap()
    };
    assert_eq!(book.finding(&finding(1, Stage::Shadow)), []);
    assert_eq!(book.gravest(EntityKind::Session, "s", 1), None);
    assert_eq!(book.finding(&finding(2, Stage::Canary)), std::slice::from_ref(&session));
    assert_eq!(book.gravest(EntityKind::Session, "s", 1), Some(Severity::High));
}

#[test]
fn an_unchecked_claim_teaches_nothing() {
    let (mut book, site) = (Book::new(BookLimits::default()), Site::default());
    let mut claim = login("boss", "s", "success", 0);
    claim.rest.insert("plura".to_owned(), serde_json::json!({"account_from": "jwt"}));
    book.observe(&claim, &site, None);
    assert_eq!((book.sizes().accounts, book.sizes().sessions), (0, 0));
}

#[test]
fn only_what_changes_trust_is_told() {
    let (mut book, site) = (Book::new(BookLimits::default()), Site::default());
    let account = Entity::new(EntityKind::Account, "kim");
    let told = |book: &mut Book, at| book.observe(&login("kim", "", "failure", at), &site, None);
    let times: Vec<bool> = (0..40).map(|at| told(&mut book, at) == [account.clone()]).collect();
    assert_eq!(times.iter().filter(|told| **told).count(), 11, "more than ten is more than ten");
    let mut request = login("kim", "s", "success", 50);
    request.outcome_action = Some("read".to_owned());
    assert_eq!(book.observe(&request, &site, None), []);
    let refused = |at| Event { http_code: Some(403), time: at, ..request.clone() };
    let told: Vec<usize> =
        (60..70).map(|at| book.observe(&refused(at), &site, None).len()).collect();
    assert_eq!(told, [0, 0, 0, 0, 1, 0, 0, 0, 0, 0]);
}
