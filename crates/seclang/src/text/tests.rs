use super::Escapes;
use crate::rule::{Piece, Text};
use crate::variable::Collection;

fn parsed(text: &str) -> Vec<Piece> {
    Text::parse(text, Escapes::Remove).unwrap().pieces
}

fn literal(text: &str) -> Piece {
    Piece::Literal(text.as_bytes().to_vec())
}

fn value(collection: Collection, name: &str) -> Piece {
    Piece::Value(collection, Some(name.as_bytes().to_vec()))
}

#[test]
fn plain_text_is_one_piece() {
    assert_eq!(parsed(""), []);
    assert_eq!(parsed("100% {sure}"), [literal("100% {sure}")]);
}

#[test]
fn macros_are_found_between_text() {
    assert_eq!(
        parsed("a %{TX.Foo}, %{ARGS:Bar}%{matched_var}!"),
        [
            literal("a "),
            value(Collection::Tx, "foo"),
            literal(", "),
            value(Collection::Args, "bar"),
            Piece::Value(Collection::MatchedVar, None),
            literal("!"),
        ]
    );
    assert_eq!(parsed("%{tx.0}"), [value(Collection::Tx, "0")]);
    assert_eq!(parsed("%{request_headers.x-a:b}"), [value(Collection::RequestHeaders, "x-a:b")]);
}

#[test]
fn a_backslash_makes_it_plain() {
    assert_eq!(parsed(r"\%{no}"), [literal("%{no}")]);
    assert_eq!(Text::parse(r"\%{2}", Escapes::Keep).unwrap().pieces, [literal(r"\%{2}")]);
    assert_eq!(parsed(r"\\%{tx.a}"), [literal(r"\\"), value(Collection::Tx, "a")]);
}

#[test]
fn what_names_nothing_is_an_error() {
    let problem = |text| {
        let problem = Text::parse(text, Escapes::Remove).unwrap_err();
        (problem.subject, problem.problem, problem.hint.unwrap_or_default())
    };
    assert_eq!(
        problem("%{MATCHED_VARX}"),
        (
            "%{MATCHED_VARX}".to_owned(),
            "unknown variable".to_owned(),
            "did you mean `MATCHED_VAR`?".to_owned()
        )
    );
    assert_eq!(problem("%{tx.a").1, "`%{` has no `}`");
    assert_eq!(problem("%{REQUEST_URI.x}").1, "`REQUEST_URI` has one value, no parts");
    assert_eq!(problem("%{RULE}").1, "`RULE` is asked for by part");
}
