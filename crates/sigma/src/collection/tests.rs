#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;

const BODY: &str = "logsource: {product: windows, service: security}\ndetection:\n  s: {EventID: 1}\n  condition: s\n";

fn titles(text: &str) -> Vec<String> {
    read_file("rules.yml", text)
        .iter()
        .map(|read| match &read.document {
            Some(Document::Rule(rule)) => {
                format!("{} ({})", rule.meta.title, rule.meta.author.as_deref().unwrap_or("-"))
            }
            Some(_) => "other".to_owned(),
            None => format!("refused: {}", read.problems[0].code),
        })
        .collect()
}

#[test]
fn a_file_may_have_several_rules() {
    let text = format!("title: one\n{BODY}---\ntitle: two\n{BODY}");
    assert_eq!(titles(&text), ["one (-)", "two (-)"]);
}

#[test]
fn one_broken_rule_does_not_take_the_others_with_it() {
    let text = format!("title: one\n{BODY}---\ntitle: two\n---\ntitle: three\n{BODY}");
    assert_eq!(titles(&text), ["one (-)", "refused: missing-field", "three (-)"]);
}

#[test]
fn global_is_put_under_all_that_follow_until_reset() {
    let text = format!(
        "action: global\nauthor: Ann\n{BODY}---\ntitle: one\n---\ntitle: two\nauthor: Ben\n---\naction: reset\n---\ntitle: three\n{BODY}"
    );
    assert_eq!(titles(&text), ["one (Ann)", "two (Ben)", "three (-)"]);
}

#[test]
fn repeat_changes_the_rule_before() {
    let text = format!("title: one\nauthor: Ann\n{BODY}---\naction: repeat\ntitle: two\n");
    assert_eq!(titles(&text), ["one (Ann)", "two (Ann)"]);
    assert_eq!(titles("action: repeat\ntitle: x\n"), ["refused: bad-action"]);
    assert_eq!(titles("action: turn\ntitle: x\n"), ["refused: bad-action"]);
}

#[test]
fn files_are_bounded_and_broken_ones_told() {
    assert_eq!(titles(&" ".repeat(2 << 20)), ["refused: file-too-large"]);
    assert_eq!(titles(""), ["refused: empty-file"]);
    assert_eq!(titles("a: [1, 2"), ["refused: bad-yaml"]);
    assert_eq!(titles("title: a\ntitle: b\n"), ["refused: duplicate-key"]);
    assert_eq!(titles(&"- ".repeat(3000)), ["refused: file-too-large"]);
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n";
    assert!(titles(bomb)[0].starts_with("refused: "));
    assert_eq!(titles("- just\n- a list\n"), ["refused: wrong-type"]);
}
