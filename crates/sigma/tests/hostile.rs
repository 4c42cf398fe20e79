//! Rule files and events made to cost: each is refused with a clear error or done in bounded time.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, clippy::print_stdout)]

use serde_json::{Value, json};
use sigma::{LogSource, Options, Record, RuleSet};
use std::time::{Duration, Instant};

/// Generous: these are not optimised builds, on machines that do other things.
const SECS_MAX: Duration = Duration::from_secs(10);

fn load(text: &str) -> RuleSet {
    let began = Instant::now();
    let set = RuleSet::load([("r.yml", text)], &Options::default());
    let took = began.elapsed();
    println!("{took:?} {text:.60}");
    assert!(took < SECS_MAX, "{took:?} for {text:.80}");
    set
}

/// Refused with one of these codes, and with what to do about it.
fn refused(text: &str, codes: &[&str]) {
    let set = load(text);
    assert!(set.rules.is_empty() && set.correlations.is_empty(), "runs: {text:.80}");
    for refused in &set.refused {
        let problem = &refused.problems[0];
        println!("{problem:.200}");
        assert!(codes.contains(&problem.code.as_str()), "{problem:.300} for {text:.80}");
        assert!(problem.hint.is_some() && problem.to_string().len() < 20_000, "{:.300}", problem);
    }
    assert!(!set.refused.is_empty());
}

fn rule(selection: &str) -> String {
    format!(
        "title: t\nlogsource: {{category: test}}\ndetection:\n  s: {{{selection}}}\n  condition: s\n"
    )
}

#[test]
fn a_file_of_a_hundred_megabytes_is_refused_at_once() {
    let line = "  - 'x'\n";
    let text = format!("title: t\ndetection:\n s:\n{}", line.repeat((100 << 20) / line.len()));
    let began = Instant::now();
    refused(&text, &["file-too-large"]);
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[test]
fn yaml_that_grows_or_nests_is_refused() {
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..20 {
        let before = format!("*a{}", level - 1);
        laughs += &format!("a{level}: &a{level} [{}]\n", [before.as_str(); 10].join(", "));
    }
    refused(&laughs, &["file-too-large", "bad-yaml"]);
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", "")] {
        for depth in [100, 10_000, 100_000] {
            let text = format!("title: {}x{}", open.repeat(depth), close.repeat(depth));
            refused(&text, &["file-too-large", "bad-yaml", "duplicate-key"]);
        }
    }
    refused(&"---\na: 1\n".repeat(5_000), &["file-too-large"]);
    refused(&format!("a: [{}]", "x,".repeat(200_000)), &["file-too-large"]);
    let anchored = "a: &a [*a]\n";
    refused(anchored, &["bad-yaml", "file-too-large", "missing-field", "wrong-document"]);
    let merged = format!("a: &a {{b: 1}}\nc:\n{}", "  <<: *a\n".repeat(10_000));
    refused(&merged, &["bad-yaml", "file-too-large", "duplicate-key", "wrong-document"]);
}

#[test]
fn conditions_that_nest_or_multiply_are_refused() {
    let with = |condition: &str| {
        format!(
            "title: t\nlogsource: {{category: test}}\ndetection:\n  s: {{a: [{}]}}\n  condition: {condition}\n",
            "x,".repeat(1000)
        )
    };
    let codes = ["condition-too-deep", "condition-too-long", "rule-too-large", "bad-condition"];
    refused(&with(&format!("{}s{}", "(".repeat(100), ")".repeat(100))), &codes);
    refused(&with(&format!("{}s", "not ".repeat(100))), &codes);
    refused(&with(&format!("{}s", "not ".repeat(100_000))), &codes);
    refused(&with(&["s"; 1000].join(" and ")), &codes);
}

#[test]
fn regex_bombs_are_refused_or_harmless() {
    for bomb in [
        "(((a{99}){99}){99}){99}",
        r"\w{1000}{1000}",
        "(?:a{0,1000}){0,1000}",
        "(a|b|c){10000}{100}",
        r"[\x00-\x7f]{2000}{2000}",
        "(?=a)b",
        r"(a)\1",
        "(((((((((((((((((((((((((((((((((((((((((((((((((((((((((((a)))))))))))))))))))))))))))))))))))))))))))))))))))))))))))",
    ] {
        refused(&rule(&format!("a|re: '{bomb}'")), &["bad-pattern"]);
    }
    refused(&rule(&format!("a|re: '{}'", "a|".repeat(4000))), &["bad-pattern"]);
    // Within the first MiB, so that its end is seen.
    let text = format!("{}!", "a".repeat((1 << 20) - 1));
    for slow_elsewhere in
        ["(a+)+$", "(a|aa)+$", "(a|a?)+b$", "(.*a){20}$", "^(a+)*b", "a*a*a*a*a*c"]
    {
        evaluate(&rule(&format!("a|re: '{slow_elsewhere}'")), &json!({ "a": text }), false);
    }
}

fn evaluate(rule: &str, event: &Value, wanted: bool) {
    let set = load(rule);
    if let Some(refused) = set.refused.first() {
        panic!("{}", refused.problems[0]);
    }
    let record = Record::json(LogSource::new(None, Some("test"), None), event);
    let began = Instant::now();
    let found = set.evaluate(&record);
    let took = began.elapsed();
    println!("{took:?} {rule:.120}");
    assert!(took < SECS_MAX, "{took:?} {rule:.200}");
    assert_eq!(!found.is_empty(), wanted, "{rule:.200}");
    for matched in found.iter().flat_map(|found| &found.matched) {
        assert!(matched.value.len() <= sigma::limits::MATCHED_BYTES_MAX);
    }
}

/// What is looked for in ten megabytes stands at their beginning, or nowhere.
#[test]
fn a_field_of_ten_megabytes_is_looked_at_in_bounded_time() {
    let long = "aB0-".repeat((10 << 20) / 4);
    let event = json!({ "a": format!("evil{long}"), "b": { "c": [long] } });
    let stars = "*a*B*0*-".repeat(100);
    for (selection, wanted) in [
        ("a|contains: evil".to_owned(), true),
        ("a|startswith: EVIL".to_owned(), true),
        ("a|contains: nothing".to_owned(), false),
        ("a|endswith: evil".to_owned(), false),
        ("a: 'ev?l*'".to_owned(), true),
        (format!("a: 'x{stars}x'"), false),
        (format!("a: '{stars}x'"), false),
        (format!("a|contains: '{}x'", "?*".repeat(200)), false),
        ("a|re: '(a+B0-)+x'".to_owned(), false),
        ("a|re|i: '^evil.*$'".to_owned(), true),
        (r"a|re: '(\w+-?)*!'".to_owned(), false),
        ("a|base64offset|contains: nothing".to_owned(), false),
        ("a|wide|base64offset|contains: nothing".to_owned(), false),
        ("a|windash|contains: ' -evil'".to_owned(), false),
        ("a|cidr: 10.0.0.0/8".to_owned(), false),
        ("a|gt: 5".to_owned(), false),
        ("a|hour: 5".to_owned(), false),
        ("a|fieldref|contains: b.c".to_owned(), false),
        ("'|contains': nothing".to_owned(), false),
    ] {
        evaluate(&rule(&selection), &event, wanted);
    }
}

#[test]
fn events_that_nest_are_looked_at_in_bounded_time() {
    let mut event = json!("x");
    for _ in 0..5_000 {
        // `json!` would go all the way down again for each.
        event = Value::Object([("a".to_owned(), event)].into_iter().collect());
    }
    evaluate(&rule("'|contains': x"), &event, false);
    evaluate(&rule(&format!("{}: x", vec!["a"; 500].join("."))), &event, false);
    let wide = json!({ "a": vec![json!({ "a": vec!["x"; 1000] }); 1000] });
    evaluate(&rule("a.a: y"), &wide, false);
    // A value this deep is taken down one by one: serde_json's own way down is as deep as the value.
    let mut rest = event;
    while let Some(inner) = rest.get_mut("a").map(Value::take) {
        rest = inner;
    }
}
