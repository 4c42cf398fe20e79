use super::{loaded, notices, problems};
use crate::rule::{Disruptive, Text};
use crate::ruleset::RuleSet;

const RULES: &str = "\
SecRule ARGS a \"id:10,phase:1,tag:'x/y',msg:'one, two',deny,setvar:tx.a=1\"
SecRule ARGS a \"id:11,phase:2,tag:'x',tag:'z',block,chain\"
SecRule FILES b \"t:none\"
SecRule ARGS a \"id:20,phase:2,tag:'z',msg:'at %{REMOTE_ADDR}'\"
SecAction \"id:21,tag:'z'\"
";

/// Exceptions hold wherever they stand: before the rules and after them.
fn with(exception: &str) -> RuleSet {
    let before = loaded(&format!("{exception}\n{RULES}"));
    let after = loaded(&format!("{RULES}{exception}\n"));
    assert_eq!(ids(&before), ids(&after));
    after
}

fn ids(rules: &RuleSet) -> Vec<u64> {
    let mut ids: Vec<u64> = rules.rules().map(|rule| rule.id).collect();
    ids.sort_unstable();
    ids
}

/// How many variables are looked at and left out, by link.
fn targets(rules: &RuleSet, id: u64) -> Vec<(usize, usize)> {
    let rule = rules.rule(id).unwrap();
    rule.links.iter().map(|link| (link.targets.len(), link.excluded.len())).collect()
}

#[test]
fn rules_are_removed_by_id_tag_and_message() {
    assert_eq!(ids(&with("SecRuleRemoveById 10")), [11, 20, 21]);
    assert_eq!(ids(&with("SecRuleRemoveById 10-11 \"21\"")), [20]);
    assert_eq!(ids(&with("SecRuleRemoveById \"11 20-30\"")), [10]);
    // Tags and messages are compared whole.
    assert_eq!(ids(&with("SecRuleRemoveByTag x")), [10, 20, 21]);
    assert_eq!(ids(&with("SecRuleRemoveByTag \"z\"")), [10]);
    assert_eq!(ids(&with("SecRuleRemoveByMsg \"one, two\"")), [11, 20, 21]);
    assert_eq!(ids(&with("SecRuleRemoveByMsg 'at %{REMOTE_ADDR}'")), [10, 11, 21]);
    assert_eq!(ids(&with("SecRuleRemoveByMsg one")), [10, 11, 20, 21]);
}

#[test]
fn targets_are_added_and_left_out() {
    let rules = with("SecRuleUpdateTargetById 11 \"!ARGS:a,!ARGS:/b|c/|REQUEST_URI\"");
    assert_eq!(targets(&rules, 11), [(2, 2), (1, 0)]);
    assert_eq!(targets(&rules, 10), [(1, 0)]);
    let rules = with("SecRuleUpdateTargetById 11:1 !FILES:a");
    assert_eq!(targets(&rules, 11), [(1, 0), (1, 1)]);
    let rules = with("SecRuleUpdateTargetById 10-19 !ARGS:a");
    assert_eq!((targets(&rules, 10), targets(&rules, 11)), (vec![(1, 1)], vec![(1, 1), (1, 0)]));
    let rules = with("SecRuleUpdateTargetByTag z !ARGS:a");
    assert_eq!((targets(&rules, 20), targets(&rules, 11)), (vec![(1, 1)], vec![(1, 1), (1, 0)]));
    assert_eq!(targets(&rules, 21), [(0, 0)]);
    let rules = with("SecRuleUpdateTargetByMsg \"one, two\" \"!ARGS:a\"");
    assert_eq!(targets(&rules, 10), [(1, 1)]);
}

#[test]
fn actions_are_replaced_and_added() {
    let rules =
        with("SecRuleUpdateActionById 10 \"pass,status:500,msg:'new',tag:'t',setvar:tx.b=1\"");
    let rule = rules.rule(10).unwrap();
    assert_eq!((&rule.disruptive, rule.status), (&Disruptive::Pass, 500));
    assert_eq!(rule.tags, [Text::plain("x/y"), Text::plain("t")]);
    let link = rule.links.first().unwrap();
    assert_eq!((link.message.clone(), link.deeds.len()), (Some(Text::plain("new")), 2));
    let rules = with("SecRuleUpdateActionById 11 drop");
    let rule = rules.rule(11).unwrap();
    assert_eq!((&rule.disruptive, rule.blocks), (&Disruptive::Drop, false));
}

#[test]
fn an_exception_for_no_rule_is_noticed() {
    assert_eq!(
        notices("SecRuleRemoveById 5-6\nSecAction id:7"),
        "rules.conf:1: `SecRuleRemoveById`: no loaded rule has such an id\n  \
         hint: check the id, or leave the line out"
    );
    assert_eq!(notices("SecAction id:7\nSecRuleUpdateTargetById 7 ARGS"), "");
    assert_eq!(notices("SecAction id:7\nSecRuleRemoveById 7"), "");
}

#[test]
fn a_rule_does_not_grow_without_end() {
    let add = format!("SecRuleUpdateTargetById 1 \"{}\"\n", vec!["ARGS"; 100].join("|"));
    let text = format!("{add}{add}SecRule ARGS a id:1");
    assert_eq!(
        problems(&text),
        "rules.conf:2: `id:1`: has too many variables or actions\n  \
         hint: leave some updates out"
    );
}
