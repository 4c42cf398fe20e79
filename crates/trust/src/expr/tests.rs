//! Conditions against the `cel` crate, and what they make of the unknown.

use super::{Condition, Facts, Scope, Truth, compile};
use crate::policy::Policy;
use crate::soundness::value;
use crate::vary::Dice;
use crate::vocabulary::{Kind, Signal, Vocabulary};
use crate::{Readings, Value};

fn vocabulary() -> Vocabulary {
    let signal = |name: &str, kind: Kind| Signal {
        name: name.to_owned(),
        kind,
        worse: Vec::new(),
        more_is_worse: None,
    };
    Vocabulary::new(vec![
        signal("mfa", Kind::Bool),
        signal("vpn", Kind::Bool),
        signal("net", Kind::Enum(["office", "home", "cafe"].map(str::to_owned).to_vec())),
        signal("fails", Kind::Integer { min: 0, max: 100 }),
        signal("role", Kind::Text { named: Vec::new() }),
    ])
}

fn compiled(text: &str, vocabulary: &mut Vocabulary) -> Condition {
    let mut scope = Scope { vocabulary, derived: &[], decisions: &[], has_score: false };
    compile(text, &mut scope).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"))
}

fn wrong(text: &str) -> (usize, String) {
    let mut vocabulary = vocabulary();
    let mut scope =
        Scope { vocabulary: &mut vocabulary, derived: &[], decisions: &[], has_score: false };
    let wrong = compile(text, &mut scope).unwrap_err();
    (wrong.at, format!("{}; {}", wrong.message, wrong.hint))
}

/// Any condition over the vocabulary above.
fn condition(dice: &mut Dice, depth: u32) -> String {
    let of = |dice: &mut Dice, all: &[&str]| all[dice.place(all.len())].to_owned();
    if depth == 0 {
        return match dice.below(6) {
            0 => of(dice, &["mfa", "vpn", "!mfa", "!(vpn)", "true", "false"]),
            1 => format!("mfa == {}", of(dice, &["true", "false"])),
            2 => format!(
                "net {} '{}'",
                of(dice, &["==", "!="]),
                of(dice, &["office", "home", "cafe"])
            ),
            3 => of(
                dice,
                &["net in ['home']", "net in ['office', \"cafe\"]", "role in ['dev', 'ops']"],
            ),
            4 => {
                format!("fails {} {}", of(dice, &["<", "<=", ">", ">=", "==", "!="]), dice.below(4))
            }
            _ => {
                format!("role {} '{}'", of(dice, &["==", "!="]), of(dice, &["dev", "ops", "한글"]))
            }
        };
    }
    let left = condition(dice, depth - 1);
    let right = condition(dice, depth.saturating_sub(2));
    match dice.below(5) {
        0 => format!("{left} && {right}"),
        1 => format!("{left} || {right}"),
        2 => format!("!({left} || {right})"),
        3 => format!("({left}) && ({right}) || {left}"),
        _ => format!("{left} || {right} && !({left})"),
    }
}

fn by_cel(text: &str, readings: &Readings) -> bool {
    let program = cel::Program::compile(text).unwrap_or_else(|e| panic!("{text}: {e:?}"));
    let mut context = cel::Context::default();
    for (name, reading) in readings {
        let done = match &reading.value {
            Value::Bool(value) => context.add_variable(name.as_str(), *value),
            Value::Integer(value) => context.add_variable(name.as_str(), *value),
            Value::Text(text) => context.add_variable(name.as_str(), text.clone()),
        };
        assert!(done.is_ok(), "{name}");
    }
    match program.execute(&context) {
        Ok(cel::Value::Bool(value)) => value,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn conditions_mean_what_cel_says() {
    let mut dice = Dice(11);
    let (mut held, mut tried) = (0, 0);
    for _ in 0..3_000 {
        let depth = u32::try_from(dice.below(4)).unwrap();
        let text = condition(&mut dice, depth);
        let mut vocabulary = vocabulary();
        let condition = compiled(&text, &mut vocabulary);
        for _ in 0..4 {
            let mut readings = Readings::new();
            for signal in &vocabulary.signals {
                let of = match &signal.kind {
                    Kind::Text { .. } => {
                        Value::from(["dev", "ops", "한글", "other", ""][dice.place(5)])
                    }
                    kind => signal.show(value(&mut dice, kind)).unwrap(),
                };
                let of = match of {
                    Value::Integer(number) => Value::Integer(number % 5),
                    other => other,
                };
                readings.insert(signal.name.clone(), of.into_reading());
            }
            let state = vocabulary.state(&readings).unwrap();
            let ours = condition.eval(&state.facts(&[], false));
            let theirs = by_cel(&text, &readings);
            assert_eq!(ours, Truth::from(theirs), "{text} on {readings:?}");
            held += u32::from(theirs);
            tried += 1;
        }
    }
    assert!(held > tried / 10 && held < tried * 9 / 10, "{held} of {tried}");
}

impl Value {
    fn into_reading(self) -> crate::Reading {
        crate::Reading { value: self, is_silent: false }
    }
}

/// Kleene's strong three-valued logic, against its definition: what stays the same whatever the
/// unknown turns out to be is known.
#[test]
fn the_unknown_decides_only_where_it_matters() {
    let mut dice = Dice(12);
    for _ in 0..2_000 {
        let text = condition(&mut dice, 2);
        let mut vocabulary = vocabulary();
        let condition = compiled(&text, &mut vocabulary);
        let values: Vec<i64> =
            vocabulary.signals.iter().map(|signal| value(&mut dice, &signal.kind).min(5)).collect();
        let known = u128::from(dice.below(32));
        let facts = |known, is_open| Facts {
            values: &values,
            known,
            silent: 0,
            is_open,
            derived: &[],
            score: 0,
            decisions: 0,
        };
        let part = condition.eval(&facts(known, false));
        let whole = condition.eval(&facts(u128::MAX, false));
        // A known answer stays when more becomes known, and the open world contains it.
        assert!(part == Truth::UNKNOWN || part == whole, "{text}: {part:?} then {whole:?}");
        let open = condition.eval(&facts(known, true));
        assert_eq!(open.or_also(part), open, "{text}");
        assert_eq!(open.or_also(whole), open, "{text}");
    }
}

#[test]
fn every_condition_of_the_shipped_policy_is_cel() {
    let mut seen = 0;
    for line in Policy::SHIPPED.lines() {
        for text in line.split("when: \"").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(cel::Program::compile(text).is_ok(), "{text}");
            seen += 1;
        }
    }
    assert!(seen > 150, "{seen}");
}

#[test]
fn what_is_wrong_is_named_with_its_place_and_a_fix() {
    for (text, at, told) in [
        ("mfaa", 0, "did you mean `mfa`"),
        ("mfa && net == 'hom'", 14, "did you mean `home`"),
        ("net", 0, "compare it with a value"),
        ("net == 3", 7, "write one of office, home, cafe"),
        ("fails > '3'", 8, "write a number"),
        ("fails == 1.5", 9, "leave the decimals out"),
        ("fails > 99999999999999999999", 8, "six decimals"),
        ("score > 5", 0, "`score` is not known yet"),
        ("has(mfa)", 0, "has_decision"),
        ("mfa &&", 6, "ends too early"),
        ("(mfa", 4, "`)` is missing"),
        ("mfa vpn", 4, "join conditions"),
        ("net in []", 4, "empty list"),
        ("net == 'home", 7, "close it"),
        ("fails + 1 > 2", 6, "has no meaning"),
        ("'a' == net", 0, "on the left"),
        ("", 0, "ends too early"),
    ] {
        let (place, message) = wrong(text);
        assert!(place == at && message.contains(told), "{text}: {place} {message}");
    }
    let (_, message) = wrong(&"!".repeat(100));
    assert!(message.contains("inside one another"), "{message}");
    let (_, message) = wrong(&format!("mfa{}", " ".repeat(3_000)));
    assert!(message.contains("longer than"), "{message}");
}
