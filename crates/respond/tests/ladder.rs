//! The rules of the ladder, whatever happens in whatever order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::{DAY, MINUTE, START, finding, incident, keep, policies, staged};
use proptest::prelude::*;
use respond::{
    Context, Mode, PolicySet, Protected, approve, confirm, decide, expire_due, extend, fail,
    propose, reject, restrictions, undo,
};
use schema::{Action, ActionState, BlastRadius, Finding, OutcomeResult, Rung, Stage, Timestamp};
use std::collections::BTreeSet;
use uuid::Uuid;

const POLICIES: &str = "
policies:
  - policy: slow
    version: 1
    title: { ko: 느리게, en: slow, ja: 遅く }
    when: { rules: [noise, theft] }
    then:
      - { rung: limit, target: credential, ttl: 1h, rate_per_minute: 5 }
      - { rung: limit, target: address, ttl: 30m, rate_per_minute: 5 }
  - policy: stop
    version: 3
    title: { ko: 정지, en: stop, ja: 停止 }
    when: { rules: [theft] }
    then:
      - { rung: step-up, target: account, ttl: 2h, approval: never }
      - { rung: block, target: credential, ttl: 4h, approval: above-blast }
      - { rung: revoke, target: credential, ttl: 7d, approval: always, approvals: 2 }
      - { rung: isolate, target: account, ttl: 4h, approval: above-blast, escalate_after: 10m }
    cooldown: 24h
";
const COOLDOWN: i64 = DAY;
const CREDENTIALS: [&str; 2] = ["credential:k1", "credential:protected"];
const USERS: [&str; 3] = ["user:ann", "user:bob", "policy:stop@3"];

#[derive(Debug, Clone)]
enum Op {
    Wait(i64),
    Find {
        theft: bool,
        outcome: OutcomeResult,
        credential: usize,
        site: bool,
        blast: Option<u64>,
        stage: Stage,
    },
    Retell,
    Approve(prop::sample::Index, usize),
    Reject(prop::sample::Index, usize),
    Undo(prop::sample::Index, usize),
    Extend(prop::sample::Index, i64),
    Confirm(prop::sample::Index),
    Fail(prop::sample::Index),
}

fn op() -> impl Strategy<Value = Op> {
    let at = any::<prop::sample::Index>;
    let outcome = prop_oneof![
        Just(OutcomeResult::Success),
        Just(OutcomeResult::Failure),
        Just(OutcomeResult::Unknown)
    ];
    let stage =
        prop_oneof![1 => Just(Stage::Shadow), 2 => Just(Stage::Canary), 4 => Just(Stage::Enforce)];
    prop_oneof![
        2 => prop_oneof![0..20 * MINUTE, 0..3 * DAY].prop_map(Op::Wait),
        4 => (any::<bool>(), outcome, 0..2usize, any::<bool>(), prop::option::of(0..6u64), stage).prop_map(
            |(theft, outcome, credential, site, blast, stage)| Op::Find { theft, outcome, credential, site, blast, stage }
        ),
        1 => Just(Op::Retell),
        3 => (at(), 0..3usize).prop_map(|(i, u)| Op::Approve(i, u)),
        1 => (at(), 0..3usize).prop_map(|(i, u)| Op::Reject(i, u)),
        2 => (at(), 0..3usize).prop_map(|(i, u)| Op::Undo(i, u)),
        1 => (at(), 0..40 * DAY).prop_map(|(i, t)| Op::Extend(i, t)),
        2 => at().prop_map(Op::Confirm),
        1 => at().prop_map(Op::Fail),
    ]
}

struct World {
    policies: PolicySet,
    context: Context,
    now: Timestamp,
    actions: Vec<Action>,
    findings: Vec<Finding>,
    blast: Option<BlastRadius>,
    /// Findings told with a known outcome, of rules that are enforced.
    known: BTreeSet<Uuid>,
    shadows: BTreeSet<Uuid>,
}

impl World {
    fn new(mode: Mode) -> World {
        let protected = Protected {
            credentials: vec![respond::Glob::new("protected")],
            ..Protected::default()
        };
        World {
            policies: policies(POLICIES),
            context: Context { mode, protected },
            now: START,
            actions: Vec::new(),
            findings: Vec::new(),
            blast: None,
            known: BTreeSet::new(),
            shadows: BTreeSet::new(),
        }
    }

    fn tell(&mut self, finding: &Finding) {
        let incident = incident();
        let proposals =
            propose(&self.policies, &self.context, &incident, finding, &self.actions, self.now);
        let again =
            propose(&self.policies, &self.context, &incident, finding, &self.actions, self.now);
        assert_eq!(proposals, again, "same inputs, same proposals");
        for proposal in proposals {
            let action = decide(&self.policies, proposal, self.blast, self.now);
            keep(&mut self.actions, action);
        }
    }

    fn act(&mut self, op: &Op) {
        let now = self.now;
        let others = self.actions.clone();
        let pick = |index: &prop::sample::Index| {
            if others.is_empty() { None } else { Some(index.index(others.len())) }
        };
        // Refusals leave the action as it was; the invariants hold either way.
        match op {
            Op::Wait(ms) => {
                self.now += ms;
                expire_due(&mut self.actions, self.now);
            }
            Op::Find { theft, outcome, credential, site, blast, stage } => {
                let rule = if *theft { "theft" } else { "noise" };
                let entities = [CREDENTIALS[*credential], "account:kim", "address:198.51.100.7"];
                let number = 1000 + self.findings.len() as u128;
                let found = finding(number, rule, *outcome, &entities, now);
                let mut found = staged(found, *stage);
                if !site {
                    found.site = None;
                }
                self.blast =
                    blast.map(|accounts| BlastRadius { accounts, ..BlastRadius::default() });
                match stage {
                    Stage::Shadow => _ = self.shadows.insert(found.id),
                    Stage::Enforce if *outcome != OutcomeResult::Unknown => {
                        self.known.insert(found.id);
                    }
                    Stage::Enforce | Stage::Canary => {}
                }
                self.findings.push(found.clone());
                self.tell(&found);
                let before = self.actions.clone();
                self.tell(&found);
                assert_eq!(self.actions, before, "told twice in a row, nothing changes");
            }
            Op::Retell => {
                if let Some(found) = self.findings.last().cloned() {
                    self.tell(&found);
                    let mut answers = BTreeSet::new();
                    for action in self.actions.iter().filter(|a| a.findings[0] == found.id) {
                        let once = answers.insert((action.rung, action.target.clone()));
                        assert!(once, "a finding told twice is answered once");
                    }
                }
            }
            Op::Approve(index, user) => {
                if let Some(at) = pick(index) {
                    let before = self.actions[at].clone();
                    let result = approve(
                        &mut self.actions[at],
                        &others,
                        &self.context,
                        USERS[*user],
                        "ok",
                        now,
                    );
                    if result.is_err() {
                        assert_eq!(self.actions[at], before, "a refusal changes nothing");
                    }
                    assert!(result.is_err() || *user < 2, "a policy cannot approve");
                }
            }
            Op::Reject(index, user) => {
                if let Some(at) = pick(index) {
                    let _ = reject(&mut self.actions[at], USERS[*user], "", now);
                }
            }
            Op::Undo(index, user) => {
                if let Some(at) = pick(index) {
                    let undone = undo(&mut self.actions[at], USERS[*user], "mistake", now);
                    if undone.is_ok() {
                        let id = self.actions[at].id;
                        let held = restrictions(&self.actions, 1, now);
                        assert!(held.restrictions.iter().all(|r| r.action != id), "undo undoes");
                    } else if others[at].state.is_in_force() {
                        assert_eq!(*user, 2, "a person can undo whatever is in force");
                    }
                }
            }
            Op::Extend(index, ms) => {
                if let Some(at) = pick(index) {
                    let _ = extend(&mut self.actions[at], "user:ann", now + ms, "", now);
                }
            }
            Op::Confirm(index) => {
                if let Some(at) = pick(index) {
                    let _ = confirm(&mut self.actions[at], "gateway:g1", now);
                }
            }
            Op::Fail(index) => {
                if let Some(at) = pick(index) {
                    let _ = fail(&mut self.actions[at], "gateway:g1", "no answer", now);
                }
            }
        }
    }

    fn check(&self) {
        let mut ids = BTreeSet::new();
        for action in &self.actions {
            assert!(ids.insert(action.id), "ids differ");
            assert!(!action.findings.is_empty() && !action.reason.is_empty(), "it has its cause");
            assert!(
                self.policies
                    .policy(&action.policy)
                    .is_some_and(|p| p.version == action.policy_version)
            );
            assert!(action.expires > action.created, "it has a time limit");
            assert!(
                !action.findings.iter().any(|id| self.shadows.contains(id)),
                "a finding in shadow moves nothing"
            );
            let last = action.history.last().unwrap();
            assert_eq!(last.state, action.state, "history tells the state");
            assert!(action.history.windows(2).all(|two| two[0].time <= two[1].time));
            assert!(action.expires - last.time <= 30 * DAY, "no more than 30 days ahead");
            let ever_in_force = action.history.iter().any(|change| change.state.is_in_force());
            if !ever_in_force {
                continue;
            }
            assert_ne!(self.context.mode, Mode::Observe, "a dry run executes nothing");
            let people: BTreeSet<&String> = action
                .approval
                .iter()
                .flat_map(|a| &a.given)
                .filter(|a| a.starts_with("user:"))
                .collect();
            let approved =
                action.approval.as_ref().is_some_and(|a| people.len() >= a.needed as usize);
            if action.rung > Rung::Limit && !approved {
                assert!(
                    action.findings.iter().any(|id| self.known.contains(id)),
                    "outcome known and the rule enforced, or a human"
                );
                assert_eq!(
                    self.context.mode,
                    Mode::Enforce,
                    "canary goes no further than limit alone"
                );
            }
            if action.rung == Rung::Revoke {
                assert_eq!(people.len(), 2, "two people said yes");
            }
            if action.target.value == "protected" {
                assert!(approved, "never automatic on a protected entity");
            }
            let since = action.history.iter().find(|c| c.state.is_in_force()).unwrap().time;
            let overridden = self.actions.iter().any(|undone| {
                let turned_down =
                    matches!(undone.state, ActionState::Undone | ActionState::Rejected);
                let at = undone.history.last().unwrap().time;
                turned_down
                    && undone.id != action.id
                    && undone.target == action.target
                    && undone.rung <= action.rung
                    && undone.sites == action.sites
                    && at < since
                    && since < at + COOLDOWN
            });
            assert!(!overridden || approved, "within the cool-down only a human sets it again");
        }
        for one in self.actions.iter().filter(|a| a.state.is_in_force()) {
            let doubles = self
                .actions
                .iter()
                .filter(|a| {
                    a.state.is_in_force()
                        && a.rung == one.rung
                        && a.target == one.target
                        && a.sites == one.sites
                })
                .count();
            assert_eq!(doubles, 1, "one in force per target and rung");
        }
        let held = restrictions(&self.actions, 9, self.now);
        for action in &self.actions {
            let listed = held.restrictions.iter().any(|r| r.action == action.id);
            let live = action.state.is_in_force() && action.expires > self.now;
            assert!(live || !listed, "only what is in force is enforced");
            if live && !listed {
                let covered = held.restrictions.iter().any(|r| {
                    r.target == action.target
                        && r.rung > action.rung
                        && (r.sites.is_empty() || r.sites == action.sites)
                });
                assert!(covered, "left out only where a higher rung covers it");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_ladder_keeps_its_rules(
        mode in prop_oneof![4 => Just(Mode::Enforce), 1 => Just(Mode::Canary), 1 => Just(Mode::Observe)],
        ops in prop::collection::vec(op(), 1..60),
    ) {
        let mut world = World::new(mode);
        for op in &ops {
            world.act(op);
            world.check();
        }
    }

    #[test]
    fn any_text_as_policy_gives_a_policy_or_a_diagnostic(text in "[ -~\n가-힣]{0,300}") {
        if let Err(diagnostics) = PolicySet::parse("fuzz.yaml", &text) {
            prop_assert!(!diagnostics.is_empty());
            prop_assert!(diagnostics.iter().all(|d| d.place.starts_with("fuzz.yaml")));
        }
    }

    #[test]
    fn a_broken_shipped_policy_never_panics(file in 0..respond::SHIPPED.len(), at in any::<prop::sample::Index>(), with in "[ -~]{0,3}") {
        let (name, text) = respond::SHIPPED[file];
        let mut chars: Vec<char> = text.chars().collect();
        let place = at.index(chars.len());
        chars.splice(place..(place + 1).min(chars.len()), with.chars());
        let _ = PolicySet::parse(name, &chars.into_iter().collect::<String>());
    }
}

#[test]
fn the_world_reaches_what_it_checks() {
    // A property that never sees a revoked key proves nothing; this walk shows that the world gets there.
    let mut world = World::new(Mode::Enforce);
    let blast = Some(1);
    world.act(&Op::Find {
        theft: true,
        outcome: OutcomeResult::Success,
        credential: 0,
        site: true,
        blast,
        stage: Stage::Enforce,
    });
    let revoke = world.actions.iter().position(|a| a.rung == Rung::Revoke).unwrap();
    let others = world.actions.clone();
    for user in ["user:ann", "user:bob"] {
        approve(&mut world.actions[revoke], &others, &world.context, user, "", world.now).unwrap();
        world.check();
    }
    assert_eq!(world.actions[revoke].state, ActionState::Pending);
    let held = restrictions(&world.actions, 1, world.now);
    let rungs: Vec<Rung> =
        held.restrictions.iter().filter(|r| r.target.value == "k1").map(|r| r.rung).collect();
    assert_eq!(rungs, [Rung::Revoke], "limit and block are covered");
}
