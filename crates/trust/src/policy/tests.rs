//! What is wrong with a policy is told with file, line and a fix; all of it in one run.

use super::Policy;

fn told(change: impl Fn(&str) -> String) -> Vec<String> {
    match Policy::parse("p.yaml", &change(Policy::SHIPPED)) {
        Ok(_) => Vec::new(),
        Err(found) => found.iter().map(ToString::to_string).collect(),
    }
}

fn line_of(text: &str) -> usize {
    1 + Policy::SHIPPED.lines().position(|line| line.contains(text)).unwrap()
}

#[test]
fn the_shipped_policy_is_read_and_means_the_same_each_time() {
    let (one, other) = (Policy::shipped(), Policy::shipped());
    assert_eq!(one.hash(), other.hash());
    assert_eq!(one.profiles(), ["balanced", "strict"]);
    assert!(one.signals().count() > 60);
}

#[test]
fn mistakes_are_named_where_they_are_made() {
    let cases: [(&str, &str, &str, &str); 12] = [
        (
            "remote_tool_present\", from: \"added\"}",
            "remote_tool_presnt\", from: \"added\"}",
            "bad-condition",
            "did you mean `remote_tool_present`?",
        ),
        (
            "network_type == 'partner_office'",
            "network_type == 'partner_offce'",
            "bad-condition",
            "did you mean `partner_office`?",
        ),
        (
            "percent: 30, when: \"remote_tool_present\"",
            "percent: 130, when: \"remote_tool_present\"",
            "out-of-range",
            "from 0 to 100",
        ),
        (
            "percent: 30, when: \"remote_tool_present\"",
            "percent: .nan, when: \"remote_tool_present\"",
            "out-of-range",
            "from 0 to 100",
        ),
        (
            "add: [travel_evidence_check]",
            "add: [travel_evidence_chek]",
            "unknown-name",
            "did you mean `travel_evidence_check`?",
        ),
        (
            "{min: 55, decide: [allow_conditional]",
            "{min: 80, decide: [allow_conditional]",
            "bands-out-of-order",
            "from the highest score down",
        ),
        ("{min: 0, decide: [deny]", "{min: 5, decide: [deny]", "no-lowest-band", "min: 0"),
        (
            "{balanced: 0, strict: 0}, from: \"sheet 7\"",
            "{balanced: 0}, from: \"sheet 7\"",
            "missing-profile",
            "every profile",
        ),
        (
            "  - {id: on_corporate, when: \"network_type == 'corporate'\"}",
            "  - {id: on_corporate, when: \"untrusted_net\"}\n  - {id: extra, when: \"on_corporate || extra\"}",
            "derived-loops",
            "rest on signals",
        ),
        ("  tor: {ko:", "  torr: {ko:", "unused-text", "did you mean `tor`?"),
        ("id: tor, family", "id: suspicious_proxy, family", "duplicate-id", "another id"),
        (
            "worse: [[match, mismatch]]",
            "worse: [[match, mismatch], [mismatch, match]]",
            "order-loops",
            "one way only",
        ),
    ];
    for (from, to, code, hint) in cases {
        let found = told(|text| text.replacen(from, to, 1));
        let line = line_of(from.lines().next().unwrap());
        let matches = |message: &String| message.contains(code) && message.contains(hint);
        assert!(found.iter().any(matches), "{to}: {found:#?}");
        let is_placed = |message: &String| {
            matches(message)
                && (message.starts_with(&format!("p.yaml:{line}:"))
                    || message.starts_with(&format!("p.yaml:{}:", line + 1))
                    || code == "no-lowest-band")
        };
        assert!(found.iter().any(is_placed), "line {line}: {found:#?}");
    }
}

#[test]
fn derived_facts_may_come_in_any_order() {
    let moved = |text: &str| {
        text.replacen(
            "  - {id: no_mfa, when: \"mfa_result in",
            "  - {id: no_mfa, when: \"!on_corporate && mfa_result in",
            1,
        )
    };
    assert_eq!(told(moved), Vec::<String>::new());
}

#[test]
fn hostile_files_are_refused_with_a_reason() {
    for (text, code) in [
        (String::new(), ""),
        ("[".repeat(5_000), "bad-yaml"),
        ("policy: a\n".repeat(3), "duplicate-key"),
        ("x".repeat(2 << 20), "file-too-large"),
        ("policy: \u{0}".to_owned(), "bad-yaml"),
    ] {
        let found = Policy::parse("p.yaml", &text).unwrap_err();
        assert!(found[0].code.contains(code), "{found:?}");
    }
    // One anchor that stands for ever more.
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\npolicy: p\n";
    assert!(Policy::parse("p.yaml", bomb).is_err());
}

#[test]
fn the_schema_for_editors_knows_every_section() {
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("../../../../packs/trust/policy.schema.json")).unwrap();
    let sections = schema["properties"].as_object().unwrap();
    for line in Policy::SHIPPED.lines() {
        if let Some((key, _)) = line.split_once(':')
            && !key.starts_with([' ', '#'])
        {
            assert!(sections.contains_key(key), "{key}");
        }
    }
    assert!(sections.len() >= 18);
}
