#![allow(clippy::unwrap_used)]

use super::*;

/// The tree as text, fully in parentheses.
fn told(tree: &Expression) -> String {
    let join = |parts: &[Expression], word: &str| {
        let parts: Vec<String> = parts.iter().map(told).collect();
        format!("({})", parts.join(word))
    };
    match tree {
        Expression::Any(parts) => join(parts, " or "),
        Expression::All(parts) => join(parts, " and "),
        Expression::Not(part) => format!("not {}", told(part)),
        Expression::Detection(name) => name.clone(),
        Expression::Of { all, pattern } => {
            let pattern = match pattern {
                Names::Them => "them",
                Names::Pattern(pattern) => pattern,
            };
            format!("{} of {pattern}", if *all { "all" } else { "1" })
        }
    }
}

fn check(text: &str, expected: &str) {
    assert_eq!(told(&parse(text).unwrap()), expected);
}

fn wrong(text: &str) -> Wrong {
    parse(text).unwrap_err()
}

#[test]
fn not_binds_before_and_and_before_or() {
    check("a or b and not c", "(a or (b and not c))");
    check("(a or b) and c", "((a or b) and c)");
    check("not not (a and b)", "not not (a and b)");
    check("a AND b Or NOT c", "((a and b) or not c)");
}

#[test]
fn of_binds_most() {
    check("selection and not 1 of filter_main_*", "(selection and not 1 of filter_main_*)");
    check("all of them or any of x-*", "(all of them or 1 of x-*)");
}

#[test]
fn what_cannot_be_read_says_what_to_do() {
    assert_eq!(wrong("a | count() > 3").code, "old-aggregation");
    assert_eq!(wrong("a b").message, "`b` is not expected here");
    assert_eq!(wrong("(a").message, "a `(` is not closed");
    assert_eq!(wrong("sel*").hint, "write `1 of sel*` or `all of sel*`");
    assert_eq!(wrong("2 of sel*").hint, "use `1 of` or `all of`");
    assert_eq!(wrong("a and").code, "bad-condition");
    assert_eq!(wrong("1 of").code, "bad-condition");
    assert_eq!(wrong("").code, "bad-condition");
    assert_eq!(wrong("a and = b").code, "bad-condition");
}

#[test]
fn depth_and_length_are_bounded() {
    assert_eq!(wrong(&"(".repeat(8000)).code, "condition-too-deep");
    assert_eq!(wrong(&"not ".repeat(1000)).code, "condition-too-deep");
    assert_eq!(wrong(&"a or ".repeat(10_000)).code, "condition-too-long");
    assert!(parse(&format!("{}a{}", "(".repeat(30), ")".repeat(30))).is_ok());
}

#[test]
fn names_are_looked_up() {
    let names = ["selection", "filter_main_a", "_hidden"];
    let look = |text: &str| {
        let mut used = BTreeSet::new();
        parse(text).unwrap().check(&names, &mut used).map(|()| used.into_iter().collect::<Vec<_>>())
    };
    assert_eq!(look("1 of them").unwrap(), ["filter_main_a", "selection"]);
    assert_eq!(look("_hidden").unwrap(), ["_hidden"]);
    assert_eq!(look("1 of filter*").unwrap(), ["filter_main_a"]);
    assert_eq!(look("selektion").unwrap_err().hint, "did you mean `selection`?");
    assert_eq!(look("all of other_*").unwrap_err().code, "unknown-identifier");
}

#[test]
fn a_pattern_may_have_stars_anywhere() {
    for (pattern, name, fits) in [
        ("*", "a", true),
        ("a*", "ab", true),
        ("*b", "ab", true),
        ("a*c*e", "abcde", true),
        ("a*c*e", "abde", false),
        ("a*a", "a", false),
        ("ab", "abc", false),
    ] {
        assert_eq!(like(pattern, name), fits, "{pattern} on {name}");
    }
}
