use super::*;
use schema::Entity;

fn restriction(action: u128, target: &str, rung: Rung) -> Restriction {
    Restriction {
        action: Uuid::from_u128(action),
        target: target.parse::<Entity>().unwrap(),
        rung,
        sites: vec![],
        rate_per_minute: None,
        expires: 1_000,
        reason: "credential-stuffing".into(),
    }
}

fn enforcer(restrictions: Vec<Restriction>) -> Enforcer {
    let enforcer = Enforcer::new();
    enforcer.load(&Restrictions { version: 1, restrictions, ..Restrictions::default() });
    enforcer
}

fn keys(session: &str, account: &str) -> RequestKeys {
    RequestKeys {
        site: "shop".into(),
        session: Some(session.into()),
        account: Some(account.into()),
        ..RequestKeys::default()
    }
}

fn rung(verdict: &Verdict) -> Option<Rung> {
    verdict.cause().map(|c| c.rung)
}

#[test]
fn the_highest_rung_wins_and_ends_on_time() {
    let enforcer = enforcer(vec![
        restriction(1, "account:kim", Rung::Limit),
        restriction(2, "session:s1", Rung::Block),
        Restriction { expires: 500, ..restriction(3, "account:kim", Rung::Revoke) },
    ]);
    assert_eq!(rung(&enforcer.check(&keys("s1", "kim"), 499)), Some(Rung::Revoke));
    assert_eq!(rung(&enforcer.check(&keys("s1", "kim"), 500)), Some(Rung::Block));
    assert_eq!(rung(&enforcer.check(&keys("s2", "lee"), 500)), None);
    assert_eq!(rung(&enforcer.check(&keys("s1", "kim"), 1_000)), None);
}

#[test]
fn a_restriction_of_one_site_leaves_the_others_alone() {
    let enforcer = enforcer(vec![Restriction {
        sites: vec!["blog".into()],
        ..restriction(1, "account:kim", Rung::Block)
    }]);
    assert_eq!(enforcer.check(&keys("s1", "kim"), 0), Verdict::Allow);
    assert!(!enforcer.restricts_accounts("shop", 0));
    let blog = RequestKeys { site: "blog".into(), ..keys("s1", "kim") };
    assert_eq!(rung(&enforcer.check(&blog, 0)), Some(Rung::Block));
    assert!(enforcer.restricts_accounts("blog", 0));
    assert!(!enforcer.restricts_accounts("blog", 1_000));
}

#[test]
fn a_limit_keeps_its_count_over_reloads_of_the_set() {
    let limit =
        Restriction { rate_per_minute: Some(6), ..restriction(1, "session:s1", Rung::Limit) };
    let enforcer = enforcer(vec![limit.clone()]);
    assert_eq!(enforcer.check(&keys("s1", "kim"), 0), Verdict::Allow);
    enforcer.load(&Restrictions {
        version: 2,
        restrictions: vec![limit.clone()],
        ..Restrictions::default()
    });
    let Verdict::Limit { retry_after_secs, .. } = enforcer.check(&keys("s1", "kim"), 0) else {
        panic!("the second request in a moment is over the rate")
    };
    assert_eq!(retry_after_secs, 10);
    assert_eq!(enforcer.recheck(&keys("s1", "kim"), 0), Verdict::Allow);
    assert_eq!(enforcer.check(&keys("s2", "kim"), 0), Verdict::Allow);
}

#[test]
fn a_proof_holds_for_its_session_its_time_and_its_action() {
    let step_up = restriction(1, "account:kim", Rung::StepUp);
    let enforcer = enforcer(vec![step_up.clone()]);
    assert_eq!(rung(&enforcer.check(&keys("s1", "kim"), 0)), Some(Rung::StepUp));
    assert_eq!(enforcer.note_step_up(&keys("s1", "kim"), 0, 100), 1);
    assert_eq!(enforcer.check(&keys("s1", "kim"), 99), Verdict::Allow);
    assert_eq!(rung(&enforcer.check(&keys("s1", "kim"), 100)), Some(Rung::StepUp));
    assert_eq!(rung(&enforcer.check(&keys("thief", "kim"), 50)), Some(Rung::StepUp));
    let later = restriction(2, "account:kim", Rung::StepUp);
    enforcer.load(&Restrictions {
        version: 2,
        restrictions: vec![step_up, later],
        ..Restrictions::default()
    });
    assert_eq!(rung(&enforcer.check(&keys("s1", "kim"), 50)), Some(Rung::StepUp));
}

#[test]
fn undo_is_a_set_without_it() {
    let enforcer = enforcer(vec![restriction(1, "credential:k1", Rung::Block)]);
    let key =
        RequestKeys { site: "llm".into(), credential: Some("k1".into()), ..Default::default() };
    assert_eq!(rung(&enforcer.check(&key, 0)), Some(Rung::Block));
    enforcer.load(&Restrictions { version: 2, restrictions: vec![], ..Restrictions::default() });
    assert_eq!(enforcer.check(&key, 0), Verdict::Allow);
    assert_eq!((enforcer.version(), enforcer.is_empty()), (2, true));
}
