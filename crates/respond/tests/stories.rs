//! One story per promise of the ladder, each with what must not happen beside it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{DAY, HOUR, MINUTE, START, context, finding, incident, keep, policies, staged};
use respond::{
    Context, Mode, PolicySet, approve, blast_radius, compare, confirm, decide, expire, extend,
    fail, propose, reapply, reject, restored_by_undo, restrictions, simulate, undo,
};
use schema::{
    Action, ActionState, BlastRadius, Classification, Entity, EntityKind, Event, Finding,
    OutcomeResult, Rung, Stage, Timestamp,
};
use std::collections::BTreeSet;
use uuid::Uuid;

const NOBODY: BlastRadius =
    BlastRadius { since: 0, requests: 0, accounts: 0, sessions: 0, addresses: 0 };

fn answer(
    set: &PolicySet,
    context: &Context,
    found: &Finding,
    actions: &mut Vec<Action>,
    now: Timestamp,
) -> Vec<Action> {
    let told: Vec<Action> = propose(set, context, &incident(), found, actions, now)
        .into_iter()
        .map(|proposal| decide(set, proposal, Some(NOBODY), now))
        .collect();
    for action in &told {
        keep(actions, action.clone());
    }
    told
}

fn one_step(step: &str) -> PolicySet {
    policies(&format!(
        "policies:\n  - policy: p\n    version: 1\n    title: {{ ko: 가, en: a, ja: あ }}\n    when: {{ rules: [r] }}\n    then:\n      - {{ {step} }}\n"
    ))
}

fn block() -> PolicySet {
    one_step("rung: block, target: credential, ttl: 4h")
}

fn seen(number: u128, time: Timestamp) -> Finding {
    finding(number, "r", OutcomeResult::Success, &["credential:k1"], time)
}

#[test]
fn the_limit_comes_back_when_the_block_above_it_is_undone() {
    let set = policies(
        "policies:\n  - policy: p\n    version: 1\n    title: { ko: 가, en: a, ja: あ }\n    when: { rules: [r] }\n    then:\n      - { rung: limit, target: credential, ttl: 1h, rate_per_minute: 5 }\n      - { rung: block, target: credential, ttl: 4h }\n",
    );
    let enforce = context(Mode::Enforce);
    let mut actions = Vec::new();
    answer(&set, &enforce, &seen(1, START), &mut actions, START);
    let rungs = |actions: &[Action], now| {
        restrictions(actions, 1, now).restrictions.iter().map(|r| r.rung).collect::<Vec<_>>()
    };
    assert_eq!(rungs(&actions, START), [Rung::Block]);

    let block = actions.iter().position(|a| a.rung == Rung::Block).unwrap();
    let restored = restored_by_undo(&actions, &actions[block], START);
    assert_eq!(restored.iter().map(|a| a.rung).collect::<Vec<_>>(), [Rung::Limit]);
    undo(&mut actions[block], "user:ann", "the customer moved offices", START + MINUTE).unwrap();
    assert_eq!(rungs(&actions, START + MINUTE), [Rung::Limit]);
    assert_eq!(rungs(&actions, START + HOUR), [], "and not longer than its own time");
}

#[test]
fn a_humans_undo_is_respected_and_said() {
    let (set, enforce) = (block(), context(Mode::Enforce));
    let mut actions = Vec::new();
    answer(&set, &enforce, &seen(1, START), &mut actions, START);
    assert_eq!(actions[0].state, ActionState::Pending);
    undo(&mut actions[0], "user:ann", "", START + MINUTE).unwrap();

    let again = answer(&set, &enforce, &seen(2, START + HOUR), &mut actions, START + HOUR);
    assert_eq!(again[0].state, ActionState::AwaitingApproval);
    assert_eq!(again[0].approval.as_ref().unwrap().code, "recently-undone");

    let mut later = vec![actions[0].clone()];
    let next_day = START + MINUTE + DAY;
    let free = answer(&set, &enforce, &seen(3, next_day), &mut later, next_day);
    assert_eq!(free[0].state, ActionState::Pending, "the cool-down has an end");
}

#[test]
fn a_second_finding_extends_and_does_not_double() {
    let (set, enforce) = (block(), context(Mode::Enforce));
    let mut actions = Vec::new();
    answer(&set, &enforce, &seen(1, START), &mut actions, START);
    answer(&set, &enforce, &seen(2, START + HOUR), &mut actions, START + HOUR);
    assert_eq!(actions.len(), 1);
    assert_eq!(actions[0].expires, START + 5 * HOUR);
    assert_eq!(actions[0].findings.len(), 2);
    assert_eq!(actions[0].history.last().unwrap().reason, "extended: r");

    let unknown = finding(3, "r", OutcomeResult::Unknown, &["credential:k1"], START + 2 * HOUR);
    answer(&set, &enforce, &unknown, &mut actions, START + 2 * HOUR);
    assert_eq!(actions[0].expires, START + 5 * HOUR, "an unknown outcome lengthens no block");
}

#[test]
fn an_outcome_that_becomes_known_settles_what_waited_for_it() {
    let (set, enforce) = (block(), context(Mode::Enforce));
    let mut actions = Vec::new();
    let mut found = finding(1, "r", OutcomeResult::Unknown, &["credential:k1"], START);
    answer(&set, &enforce, &found, &mut actions, START);
    assert_eq!(actions[0].approval.as_ref().unwrap().code, "outcome-unknown");
    found.outcome = OutcomeResult::Success;
    answer(&set, &enforce, &found, &mut actions, START + MINUTE);
    assert_eq!(actions.len(), 1);
    assert_eq!(actions[0].state, ActionState::Pending);
    assert_eq!(actions[0].expires, START + MINUTE + 4 * HOUR);
}

#[test]
fn a_rule_in_canary_is_held_as_in_a_tenant_that_is_and_one_in_shadow_proposes_nothing() {
    let set = policies(
        "policies:\n  - policy: p\n    version: 1\n    title: { ko: 가, en: a, ja: あ }\n    when: { rules: [r] }\n    then:\n      - { rung: limit, target: credential, ttl: 1h, rate_per_minute: 5 }\n      - { rung: block, target: credential, ttl: 4h }\n",
    );
    let told = |mode: Mode, stage: Stage| {
        let found = staged(seen(1, START), stage);
        let all = answer(&set, &context(mode), &found, &mut Vec::new(), START);
        all.into_iter()
            .map(|a| (a.rung, a.state, a.approval.map(|a| a.code).unwrap_or_default()))
            .collect::<Vec<_>>()
    };
    let (pending, waits) = (ActionState::Pending, ActionState::AwaitingApproval);
    let limit = (Rung::Limit, pending, String::new());
    let held = (Rung::Block, waits, "canary-mode".to_owned());
    assert_eq!(told(Mode::Enforce, Stage::Canary), [limit.clone(), held]);
    assert_eq!(told(Mode::Canary, Stage::Canary), told(Mode::Canary, Stage::Enforce));
    assert_eq!(told(Mode::Enforce, Stage::Canary), told(Mode::Canary, Stage::Enforce));
    let free = (Rung::Block, pending, String::new());
    assert_eq!(told(Mode::Enforce, Stage::Enforce), [limit, free]);
    for mode in [Mode::Observe, Mode::Canary, Mode::Enforce] {
        assert_eq!(told(mode, Stage::Shadow), []);
    }
    // A tenant that observes does nothing of either, and says what would have waited.
    let dry = told(Mode::Observe, Stage::Canary);
    assert!(dry.iter().all(|(_, state, _)| *state == ActionState::Simulated));
    assert_eq!(dry[1].2, "canary-mode");
}

#[test]
fn a_rule_in_canary_neither_lengthens_nor_settles_what_only_an_enforced_one_may_set() {
    let (set, enforce) = (block(), context(Mode::Enforce));
    let mut actions = Vec::new();
    let canary = |number, time| staged(seen(number, time), Stage::Canary);
    answer(&set, &enforce, &seen(1, START), &mut actions, START);
    assert_eq!(actions[0].state, ActionState::Pending);
    answer(&set, &enforce, &canary(2, START + HOUR), &mut actions, START + HOUR);
    assert_eq!(actions[0].expires, START + 4 * HOUR, "not by a rule in canary");
    answer(&set, &enforce, &seen(3, START + HOUR), &mut actions, START + HOUR);
    assert_eq!(actions[0].expires, START + 5 * HOUR);

    let mut waiting = Vec::new();
    answer(&set, &enforce, &canary(4, START), &mut waiting, START);
    answer(&set, &enforce, &canary(5, START + MINUTE), &mut waiting, START + MINUTE);
    assert_eq!(waiting[0].state, ActionState::AwaitingApproval);
    answer(&set, &enforce, &seen(6, START + 2 * MINUTE), &mut waiting, START + 2 * MINUTE);
    assert_eq!((waiting.len(), waiting[0].state), (1, ActionState::Pending));
    assert_eq!(waiting[0].history.last().unwrap().reason, "settled: canary-mode, by r");
}

#[test]
fn two_people_are_two_people() {
    let set = one_step(
        "rung: revoke, target: credential, ttl: 7d, approval: always, approvals: 2, approval_deadline: 2h",
    );
    let enforce = context(Mode::Enforce);
    let mut actions = Vec::new();
    answer(&set, &enforce, &seen(1, START), &mut actions, START);
    let mut action = actions.remove(0);
    let mut say = |actor: &str, now| {
        approve(&mut action, &[], &enforce, actor, "checked", now).map_err(|r| r.code)
    };
    assert_eq!(say("policy:p@1", START), Err("not-a-person"));
    assert_eq!(say("user:", START), Err("not-a-person"));
    assert_eq!(say("user:ann", START + MINUTE), Ok(()));
    assert_eq!(say("user:ann", START + MINUTE), Err("already-approved"));
    assert_eq!(say("user:bob", START + HOUR), Ok(()));
    assert_eq!(say("user:eve", START + HOUR), Err("not-awaiting-approval"));
    assert_eq!(action.state, ActionState::Pending);
    assert_eq!(action.expires, START + HOUR + 7 * DAY, "its time runs from the approval");
    let told: Vec<&str> = action.history.iter().map(|c| c.reason.as_str()).collect();
    assert_eq!(told, ["policy-requires", "approved 1 of 2: checked", "approved: checked"]);
}

#[test]
fn a_proposal_lapses_and_its_author_cannot_pass_it() {
    let set = one_step("rung: revoke, target: credential, ttl: 7d, approval: always");
    let enforce = context(Mode::Enforce);
    let mut actions = Vec::new();
    answer(&set, &enforce, &seen(1, START), &mut actions, START);
    let mut own = actions[0].clone();
    own.history[0].actor = "user:ann".to_owned();
    let refused = approve(&mut own, &[], &enforce, "user:ann", "", START).unwrap_err();
    assert_eq!(refused.code, "proposer-cannot-approve");

    let late = START + HOUR;
    assert_eq!(expire(&mut actions[0], late - 1).unwrap_err().code, "not-due");
    assert_eq!(
        approve(&mut actions[0], &[], &enforce, "user:bob", "", late).unwrap_err().code,
        "approval-lapsed"
    );
    expire(&mut actions[0], late).unwrap();
    assert_eq!(actions[0].state, ActionState::Expired);
    assert_eq!(actions[0].history.last().unwrap().reason, "approval-lapsed");
    assert_eq!(
        reject(&mut actions[0], "user:bob", "", late).unwrap_err().code,
        "not-awaiting-approval"
    );
}

#[test]
fn what_ended_is_applied_again_by_a_person_and_as_carefully() {
    let set = one_step("rung: isolate, target: account, ttl: 4h");
    let enforce = context(Mode::Enforce);
    let mut actions = Vec::new();
    let found = finding(1, "r", OutcomeResult::Success, &["account:kim"], START);
    answer(&set, &enforce, &found, &mut actions, START);
    let mut first = actions.remove(0);
    let again = |ended: &Action, others: &[Action], actor: &str, mode| {
        reapply(&set, ended, others, &context(mode), actor, "it goes on", START + HOUR)
    };
    let code = |result: Result<Action, respond::Refusal>| result.unwrap_err().code;
    assert_eq!(code(again(&first, &[], "user:ann", Mode::Enforce)), "not-ended");
    undo(&mut first, "user:ann", "", START + MINUTE).unwrap();
    assert_eq!(code(again(&first, &[], "policy:p@1", Mode::Enforce)), "not-a-person");
    assert_eq!(code(again(&first, &[], "user:ann", Mode::Observe)), "tenant-observes");

    // In canary mode too: a person decides, as when they approve.
    let second = again(&first, &[], "user:ann", Mode::Canary).unwrap();
    assert_ne!(second.id, first.id);
    assert_eq!((second.incident, &second.target), (first.incident, &first.target));
    assert_eq!((second.state, second.expires), (ActionState::Pending, START + 5 * HOUR));
    assert_eq!(second.history.len(), 1);
    assert_eq!(second.history[0].reason, "reapplied: it goes on");
    assert_eq!(first.state, ActionState::Undone, "what ended stays as it was");
    let others = [first.clone(), second.clone()];
    assert_eq!(code(again(&first, &others, "user:bob", Mode::Enforce)), "already-in-force");
    // However long the first ran in the end, the second runs as long as the policy says.
    first.expires = START + 30 * DAY;
    let third = again(&first, &[], "user:ann", Mode::Enforce).unwrap();
    assert_eq!(third.expires, START + 5 * HOUR);

    // Automation sees that the undo was taken back: the next finding extends what is in force.
    let mut known = vec![first, second];
    let next = finding(2, "r", OutcomeResult::Success, &["account:kim"], START + 3 * HOUR);
    let told = answer(&set, &enforce, &next, &mut known, START + 3 * HOUR);
    assert_eq!((told.len(), told[0].id), (1, known[1].id));
    assert_eq!(told[0].expires, START + 7 * HOUR);
    // Without that, it waits for a person.
    known.truncate(1);
    let told = answer(&set, &enforce, &next, &mut known, START + 3 * HOUR);
    assert_eq!(told[0].approval.as_ref().unwrap().code, "recently-undone");
}

#[test]
fn a_policy_that_wants_two_people_wants_them_to_apply_again_too() {
    let set = one_step("rung: isolate, target: account, ttl: 4h, approvals: 2");
    let enforce = context(Mode::Enforce);
    let mut actions = Vec::new();
    let found = finding(1, "r", OutcomeResult::Success, &["account:kim"], START);
    answer(&set, &enforce, &found, &mut actions, START);
    let mut first = actions.remove(0);
    assert_eq!((first.state, first.approval.is_none()), (ActionState::Pending, true));
    undo(&mut first, "user:ann", "", START).unwrap();
    let again = reapply(&set, &first, &[], &enforce, "user:bob", "yes", START).unwrap();
    assert_eq!(again.state, ActionState::AwaitingApproval);
    assert_eq!(again.approval.unwrap().needed, 2);
}

#[test]
fn what_two_people_had_to_say_takes_two_again() {
    let set = one_step("rung: revoke, target: credential, ttl: 7d, approval: always, approvals: 2");
    let enforce = context(Mode::Enforce);
    let mut actions = Vec::new();
    answer(&set, &enforce, &seen(1, START), &mut actions, START);
    let mut first = actions.remove(0);
    reject(&mut first, "user:ann", "no", START).unwrap();
    let mut second = reapply(&set, &first, &[], &enforce, "user:ann", "yes", START + HOUR).unwrap();
    assert_eq!(second.state, ActionState::AwaitingApproval);
    let others = [second.clone()];
    let twice = reapply(&set, &first, &others, &enforce, "user:bob", "yes", START + HOUR);
    assert_eq!(twice.unwrap_err().code, "already-waiting");
    let refused = approve(&mut second, &[], &enforce, "user:ann", "", START + HOUR).unwrap_err();
    assert_eq!(refused.code, "proposer-cannot-approve");
    approve(&mut second, &[], &enforce, "user:bob", "", START + HOUR).unwrap();
    assert_eq!((second.state, second.expires), (ActionState::Pending, START + HOUR + 7 * DAY));
}

#[test]
fn the_last_administrator_stays() {
    let set = one_step("rung: isolate, target: account, ttl: 4h");
    let mut enforce = context(Mode::Enforce);
    enforce.protected.administrators = ["ann", "bob"].map(str::to_owned).into();
    let found = |n, who: &str| finding(n, "r", OutcomeResult::Success, &[who], START);
    let mut actions = Vec::new();
    answer(&set, &enforce, &found(1, "account:ann"), &mut actions, START);
    assert_eq!(actions[0].state, ActionState::Pending, "one of two may be locked");
    answer(&set, &enforce, &found(2, "account:bob"), &mut actions, START);
    assert_eq!(actions[1].approval.as_ref().unwrap().code, "last-administrator");
    let others = actions.clone();
    let refused = approve(&mut actions[1], &others, &enforce, "user:eve", "", START).unwrap_err();
    assert_eq!(refused.code, "last-administrator", "and no human can either");
    undo(&mut actions[0], "user:bob", "", START).unwrap();
    let others = actions.clone();
    approve(&mut actions[1], &others, &enforce, "user:eve", "", START).unwrap();
}

#[test]
fn what_is_protected_is_never_automatic() {
    let set = policies(
        "protected: { addresses: [\"10.0.0.0/8\", \"2001:db8::/32\"], accounts: [\"owner@*\"] }\npolicies:\n  - policy: p\n    version: 1\n    title: { ko: 가, en: a, ja: あ }\n    when: { rules: [r] }\n    then:\n      - { rung: limit, target: address, ttl: 1h, rate_per_minute: 5 }\n      - { rung: block, target: account, ttl: 1h }\n",
    );
    let entities = [
        "address:10.1.2.3",
        "address:::ffff:10.1.2.3",
        "address:2001:db8::7",
        "account:owner@example.com",
        "address:11.0.0.1",
        "account:kim",
    ];
    let found = finding(1, "r", OutcomeResult::Success, &entities, START);
    let mut actions = Vec::new();
    answer(&set, &context(Mode::Enforce), &found, &mut actions, START);
    let waiting = |a: &Action| a.approval.as_ref().map(|a| a.code.clone());
    let held: Vec<String> =
        actions.iter().filter(|a| waiting(a).is_some()).map(|a| a.target.to_string()).collect();
    assert_eq!(held, entities[..4]);
    assert_eq!(actions.iter().filter(|a| a.state == ActionState::Pending).count(), 2);
}

#[test]
fn a_false_alarm_and_a_rejection_ask_first() {
    let (set, enforce) = (block(), context(Mode::Enforce));
    let mut benign = incident();
    benign.classification = Some(Classification::FalsePositive);
    let proposals = propose(&set, &enforce, &benign, &seen(1, START), &[], START);
    let action = decide(&set, proposals[0].clone(), Some(NOBODY), START);
    assert_eq!(action.approval.as_ref().unwrap().code, "classified-benign");

    let mut actions = vec![action];
    reject(&mut actions[0], "user:ann", "our own load test", START).unwrap();
    answer(&set, &enforce, &seen(2, START + MINUTE), &mut actions, START + MINUTE);
    assert_eq!(actions[1].approval.as_ref().unwrap().code, "recently-rejected");
}

#[test]
fn an_old_log_imported_today_blocks_nobody() {
    let (set, enforce) = (block(), context(Mode::Enforce));
    let found = seen(1, START);
    assert_eq!(propose(&set, &enforce, &incident(), &found, &[], START + 4 * HOUR).len(), 0);
    assert_eq!(propose(&set, &enforce, &incident(), &found, &[], START + 4 * HOUR - 1).len(), 1);
}

#[test]
fn escalation_waits_for_the_lower_rung_to_have_had_its_time() {
    let set = policies(
        "policies:\n  - policy: p\n    version: 1\n    title: { ko: 가, en: a, ja: あ }\n    when: { rules: [r] }\n    then:\n      - { rung: limit, target: credential, ttl: 1h, rate_per_minute: 5 }\n      - { rung: block, target: credential, ttl: 4h, escalate_after: 10m }\n",
    );
    let enforce = context(Mode::Enforce);
    let mut actions = Vec::new();
    let rungs = |told: Vec<Action>| told.iter().map(|a| a.rung).collect::<Vec<_>>();
    assert_eq!(rungs(answer(&set, &enforce, &seen(1, START), &mut actions, START)), [Rung::Limit]);
    let nine = START + 9 * MINUTE;
    assert_eq!(rungs(answer(&set, &enforce, &seen(2, nine), &mut actions, nine)), [Rung::Limit]);
    let ten = START + 10 * MINUTE;
    assert_eq!(
        rungs(answer(&set, &enforce, &seen(3, ten), &mut actions, ten)),
        [Rung::Limit, Rung::Block]
    );
    let next = ten + MINUTE;
    assert_eq!(
        rungs(answer(&set, &enforce, &seen(4, next), &mut actions, next)),
        [Rung::Block],
        "no lower rung is touched while the higher one holds"
    );
}

#[test]
fn misuse_is_refused_with_a_code_and_changes_nothing() {
    let (set, enforce) = (block(), context(Mode::Enforce));
    let mut actions = Vec::new();
    answer(&set, &enforce, &seen(1, START), &mut actions, START);
    let mut action = actions.remove(0);
    let code = |result: Result<(), respond::Refusal>| result.unwrap_err().code;
    let until = START + 31 * DAY;
    assert_eq!(code(extend(&mut action, "user:ann", until, "", START)), "too-long");
    assert_eq!(code(extend(&mut action, "user:ann", START + HOUR, "", START)), "not-longer");
    assert_eq!(code(extend(&mut action, "gateway:g", START + 5 * HOUR, "", START)), "not-a-person");
    assert_eq!(
        code(approve(&mut action, &[], &enforce, "user:ann", "", START)),
        "not-awaiting-approval"
    );
    confirm(&mut action, "gateway:g1", START).unwrap();
    confirm(&mut action, "gateway:g2", START).unwrap();
    assert_eq!(code(fail(&mut action, "gateway:g1", "", START)), "not-pending");
    undo(&mut action, "user:ann", "", START - HOUR).unwrap();
    assert_eq!(
        action.history.last().unwrap().time,
        START,
        "a clock set back does not reorder history"
    );
    assert_eq!(code(undo(&mut action, "user:ann", "", START)), "not-in-force");
    assert_eq!(code(confirm(&mut action, "gateway:g1", START)), "not-pending");
    assert_eq!(code(expire(&mut action, START + DAY)), "already-final");
    assert_eq!(action.history.len(), 3);
}

#[test]
fn the_blast_radius_counts_those_who_were_served() {
    let event = |n: u128, time, outcome: Option<&str>, code: Option<i64>, account: &str| Event {
        id: Uuid::from_u128(n),
        time,
        credential: Some("k1".to_owned()),
        site: Some("llm".to_owned()),
        account: Some(account.to_owned()),
        src_ip: Some(format!("198.51.100.{n}")),
        outcome: outcome.map(str::to_owned),
        http_code: code,
        ..Event::default()
    };
    let mut elsewhere = event(7, START, Some("success"), None, "g");
    elsewhere.credential = Some("k2".to_owned());
    let events = [
        event(1, START, Some("success"), Some(200), "a"),
        event(2, START, Some("success"), Some(200), "a"),
        event(3, START, None, Some(302), "b"),
        event(4, START, None, Some(403), "c"),
        event(5, START, Some("failure"), Some(200), "d"),
        event(6, START - 1, Some("success"), Some(200), "e"),
        event(8, START, Some("success"), Some(200), "evidence"),
        elsewhere,
    ];
    let target = Entity::new(EntityKind::Credential, "k1");
    let excluded = BTreeSet::from([Uuid::from_u128(8)]);
    let count = |sites: &[String]| blast_radius(&target, sites, events.iter(), &excluded, START);
    let radius = count(&[]);
    assert_eq!((radius.requests, radius.accounts, radius.sessions, radius.addresses), (3, 2, 0, 3));
    assert_eq!(radius, count(&["llm".to_owned()]));
    assert_eq!(count(&["shop".to_owned()]).requests, 0);
}

#[test]
fn a_dry_run_shows_what_a_change_of_policy_would_do() {
    let findings: Vec<_> = (0..3)
        .map(|n| {
            let key = format!("credential:k{n}");
            let found =
                finding(10 + n, "r", OutcomeResult::Success, &[&key], START + n as i64 * MINUTE);
            (incident(), found)
        })
        .collect();
    let enforce = context(Mode::Enforce);
    let run = |set: &PolicySet| simulate(set, &enforce, &findings, |_, _| Some(NOBODY));
    let (before, after) =
        (run(&block()), run(&one_step("rung: block, target: credential, ttl: 8h")));
    assert_eq!(before.len(), 3);
    assert!(before.iter().all(|a| a.state == ActionState::Active));
    assert_eq!(run(&block()), before, "twice the same");
    let mut reversed = findings.clone();
    reversed.reverse();
    assert_eq!(
        simulate(&block(), &enforce, &reversed, |_, _| Some(NOBODY)),
        before,
        "in any order"
    );
    assert_eq!(compare(&before, &after).changed.len(), 3);
    assert_eq!(compare(&before, &before).same, 3);
    let limit = run(&one_step("rung: limit, target: credential, ttl: 8h, rate_per_minute: 3"));
    let difference = compare(&before, &limit);
    assert_eq!((difference.removed.len(), difference.added.len(), difference.same), (3, 3, 0));
}
