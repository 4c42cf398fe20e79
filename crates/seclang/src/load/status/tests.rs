use super::{STATUS_DEPTH_MAX, listed, parse};

fn fits(pattern: &str) -> Vec<u16> {
    let regex = parse("x", pattern).unwrap();
    (100..=999).filter(|status: &u16| regex.is_match(status.to_string().as_bytes())).collect()
}

#[test]
fn the_manuals_pattern_leaves_not_found_out() {
    let expected: Vec<u16> = (400..=599).filter(|status| *status != 404).collect();
    assert_eq!(fits("^(?:5|4(?!04))"), expected);
    assert_eq!(fits("\"^(?:5|4\\d[^4])\"").len(), 190);
}

#[test]
fn what_looks_ahead_agrees_with_what_does_not() {
    for (ahead, plain) in [
        ("^(?=5)", "^5"),
        ("(?!0)4$", "4$"),
        ("^((((((5?)*)*)+)*){255}){0,255}(?!4)0", "^5*0"),
        ("^4(?!0[0-3])\\d+$", "^4(?:0[4-9]|[1-9]\\d)$"),
        ("^(?!4)[45]..", "^5"),
        ("^(?!.*0)(?:4|5){1}", "^[45][1-9][1-9]$"),
        ("^5(?!03|04).{2}", "^5(?:0[^34]|[^0].)"),
        ("^(?=4)?5", "^5"),
        ("^(?!999)9+$", "^$"),
        ("^(?!1)2{1,2}0*$", "^(?:200|220)$"),
    ] {
        assert_eq!(fits(ahead), fits(plain), "{ahead}");
    }
}

#[test]
fn what_is_not_understood_is_refused() {
    for pattern in [
        "(?!",
        "(a)\\1",
        "(?<n>4)(?!0",
        "*(?!4)",
        "[[:digit:]](?!4)",
        "(?!4)++",
        "(?!4){",
        ")(?!4)",
    ] {
        assert!(parse("x", pattern).is_err(), "{pattern}");
    }
    let deep = format!("{}(?!4){}", "(".repeat(STATUS_DEPTH_MAX), ")".repeat(STATUS_DEPTH_MAX));
    assert_eq!(listed(&deep), None);
    let long = format!("(?!4){}", "5".repeat(2000));
    assert!(parse("x", &long).is_err());
}
