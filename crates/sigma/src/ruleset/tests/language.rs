//! Selections, keywords, null and empty, lists, conditions, and what a rule may not do.

use super::*;

#[test]
fn a_map_asks_for_all_and_a_list_of_maps_for_one() {
    check(
        "s: {a: x, b: [1, 2]}\ncondition: s",
        &[json!({"a": "X", "b": 2}), json!({"a": "x", "b": "1"})],
        &[json!({"a": "x", "b": 3}), json!({"b": 1})],
    );
    check(
        "s:\n  - a: x\n    b: y\n  - c: z\ncondition: s",
        &[json!({"a": "x", "b": "y"}), json!({"c": "z"})],
        &[json!({"a": "x"}), json!({"c": "x"})],
    );
}

#[test]
fn a_list_in_an_event_answers_with_any_of_its_values() {
    check_field("a: x", &[json!({"a": ["y", "x"]})], &[json!({"a": ["y"]}), json!({"a": []})]);
    check_field("a.b: x", &[json!({"a": [{"b": "y"}, {"b": "x"}]})], &[json!({"a": [{"b": "y"}]})]);
}

#[test]
fn numbers_and_truth_are_what_they_are_written_as() {
    check_field(
        "a: 1",
        &[json!({"a": 1}), a("1"), json!({"a": 1.0})],
        &[a("01"), json!({"a": 11})],
    );
    check_field(
        "a: true",
        &[json!({"a": true}), a("True")],
        &[json!({"a": false}), json!({"a": 1})],
    );
    check_field("a: 0x10", &[json!({"a": 16})], &[a("0x10")]);
    check_field("a: '0x10'", &[a("0x10")], &[json!({"a": 16})]);
    check_field("a: 007", &[a("007")], &[json!({"a": 7})]);
    check_field("a: yes", &[a("yes")], &[json!({"a": true})]);
    check_field("a: 1.5", &[json!({"a": 1.5}), a("1.5")], &[a("1.50")]);
}

#[test]
fn null_is_absent_or_null_and_empty_is_empty() {
    check_field("a: null", &[json!({"a": null}), json!({"b": 1})], &[a(""), a("null")]);
    check_field("a:", &[json!({})], &[a("x")]);
    check_field("a: ''", &[a("")], &[json!({"a": null}), json!({}), a(" ")]);
    check_field("a: [null, '-']", &[json!({}), a("-")], &[a("x")]);
    check_field("a: '*'", &[a("x"), a("")], &[json!({}), json!({"a": null})]);
    check(
        "s: {a: null}\nt: {b: x}\ncondition: t and not s",
        &[json!({"a": 1, "b": "x"})],
        &[json!({"b": "x"})],
    );
}

#[test]
fn keywords_are_looked_for_in_every_value() {
    check(
        "k: ['EvilService', 'svchost.exe -n *vil', 17]\ncondition: k",
        &[
            json!({"m": "an evilservice ran"}),
            json!({"x": {"y": ["svchost.exe -n Evil now"]}}),
            json!({"n": 5170}),
        ],
        &[json!({"m": "evil service"}), json!({"EvilService": 1})],
    );
    check("k: whole\ncondition: k", &[a("the whole of it")], &[a("a part")]);
    check(
        "k:\n  - word\n  - a: x\ncondition: k",
        &[a("x"), json!({"b": "word"})],
        &[json!({"b": "x"})],
    );
    check("k:\n  '|re': 'w[o0]rd'\ncondition: k", &[a("-w0rd-")], &[a("wrd")]);
}

#[test]
fn conditions_over_several_identifiers() {
    let three = "x1: {a: 1}\nx2: {b: 1}\nf: {c: 1}\n";
    let e = |a: i32, b: i32, c: i32| json!({"a": a, "b": b, "c": c});
    for (condition, firing, quiet) in [
        ("1 of x* and not f", vec![e(1, 0, 0), e(0, 1, 0)], vec![e(0, 0, 0), e(1, 0, 1)]),
        ("all of x* and not 1 of f*", vec![e(1, 1, 0)], vec![e(1, 0, 0), e(1, 1, 1)]),
        ("1 of them", vec![e(0, 0, 1)], vec![e(0, 0, 0)]),
        ("all of them", vec![e(1, 1, 1)], vec![e(1, 1, 0)]),
        ("not (x1 or x2) and f", vec![e(0, 0, 1)], vec![e(0, 1, 1)]),
        ("not (x1 and not (x2 or f))", vec![e(0, 0, 0), e(1, 1, 0)], vec![e(1, 0, 0)]),
        ("x1 or x2 and f", vec![e(1, 0, 0), e(0, 1, 1)], vec![e(0, 1, 0)]),
        ("[x1, x2 and f]", vec![e(1, 0, 0), e(0, 1, 1)], vec![e(0, 1, 0)]),
    ] {
        check(&format!("{three}condition: {condition}"), &firing, &quiet);
    }
}

#[test]
fn a_leading_underscore_hides_from_them() {
    check("_x: {a: 1}\ny: {b: 1}\ncondition: 1 of them", &[json!({"b": 1})], &[json!({"a": 1})]);
    let set = load(&rule("_x: {a: 1}\ny: {b: 1}\ncondition: 1 of them"));
    assert_eq!(set.notices[0].code, "unused-identifier");
    assert_eq!(set.notices[0].place, "r.yml:5:3");
}

#[test]
fn mistakes_have_place_and_fix() {
    let told = refused("selection: {a: 1}\ncondition: selektion");
    assert_eq!(
        told.to_string(),
        "r.yml:6:14: `selektion` is not among the search identifiers [unknown-identifier]\n  hint: did you mean `selection`?"
    );
    assert_eq!(refused("s: {a: 1}").code, "missing-field");
    assert_eq!(refused("s: {}\ncondition: s").code, "wrong-type");
    assert_eq!(refused("s: []\ncondition: s").code, "wrong-type");
    assert_eq!(refused("s: null\ncondition: s").code, "wrong-type");
    assert_eq!(refused("s: {a: 1}\ncondition: []").code, "bad-condition");
    assert_eq!(refused("s: {a: 1}\ntimeframe: 5m\ncondition: s").code, "old-aggregation");
    assert_eq!(refused("s: {a: 1}\ncondition: s | count() > 5").code, "old-aggregation");
    assert_eq!(refused("s: ['']\ncondition: s").code, "no-values");
    let whole = |text: &str| load(text).refused[0].problems[0].clone();
    assert_eq!(
        whole("title: t\nlogsource: {}\ndetection: {s: {a: 1}, condition: s}").code,
        "missing-field"
    );
    assert_eq!(
        whole("logsource: {category: c}\ndetection: {s: {a: 1}, condition: s}").code,
        "missing-field"
    );
    for nothing in [
        "title:\nlogsource: {category: c}\ndetection: {s: {a: 1}, condition: s}",
        "title: ''\nlogsource: {category: c}\ndetection: {s: {a: 1}, condition: s}",
        "title: t\nlogsource:\ndetection: {s: {a: 1}, condition: s}",
        "title: t\nlogsource: {category: c}\ndetection:",
        "title: t\nlogsource: {category: c}\ndetection: {s: {a: 1}, condition:}",
        "title: t\ncorrelation: {type:}",
    ] {
        assert_eq!(whole(nothing).code, "missing-field", "{nothing}");
    }
    assert_eq!(whole("title: t\ncorrelation:").code, "wrong-type");
    assert_eq!(whole("title: t\nlogsource: {category: c}\nfilter:").code, "wrong-type");
    let level = whole(
        "title: t\nlevel: hig\nlogsource: {category: c}\ndetection: {s: {a: 1}, condition: s}",
    );
    assert_eq!(level.hint.as_deref(), Some("did you mean `high`?"));
    let slip = whole("title: t\nlogsource: {category: c}\ndetecton: {s: {a: 1}, condition: s}");
    assert_eq!(slip.hint.as_deref(), Some("did you mean it by `detecton`?"));
    let taxonomy = whole(
        "title: t\ntaxonomy: ecs\nlogsource: {category: c}\ndetection: {s: {a: 1}, condition: s}",
    );
    assert_eq!(taxonomy.code, "unknown-taxonomy");
}

#[test]
fn a_condition_cannot_multiply_a_rule_without_end() {
    let many: String =
        (0..400).map(|i| format!("x{i}: {{a|contains: [1, 2, 3, 4, 5]}}\n")).collect();
    let condition = vec!["1 of x*"; 700].join(" or ");
    assert_eq!(refused(&format!("{many}condition: {condition}")).code, "rule-too-large");
}

#[test]
fn one_value_for_all_is_told_and_runs() {
    let set = load(&rule("s: {a|contains|all: x}\ncondition: s"));
    assert_eq!(set.notices[0].code, "single-all");
    assert!(fires_on(&set, &a("-x-")));
}

#[test]
fn a_field_of_ten_megabytes_is_seen_from_its_beginning() {
    let long = |mark_at: usize| {
        let mut text = "a".repeat(10 << 20);
        text.replace_range(mark_at..mark_at + 4, "MARK");
        a(&text)
    };
    for line in ["a|contains: mark", "a|re: '(a+)+MARK'", "a: '*a?mark*a*'"] {
        check_field(line, &[long(1000)], &[long(9 << 20)]);
    }
}
