//! Our conditions as plain two-valued logic over known signals, and that as text for the peers.
//!
//! A condition of ours fires when Kleene's three-valued logic makes it true. Negation is therefore
//! pushed down to the single tests: each then holds only where its signal is known, and what is
//! left are `and` and `or`, which mean the same in both logics. A derived fact takes what is unknown
//! as false, so *its* negation is the ordinary one ([`Logic::Lacks`]): true also where nothing is known.

use std::collections::BTreeMap;

/// Disjuncts a condition may fall into; the shipped policy needs far fewer.
const DISJUNCTS_MAX: usize = 64;

#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    Bool(bool),
    Integer(i64),
    Text(String),
}

/// What is asked of one known signal.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    OneOf(Vec<Scalar>),
    NoneOf(Vec<Scalar>),
    Compare(&'static str, i64),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Logic {
    /// The signal is known and passes.
    Is(String, Test),
    /// Not so: it is unknown, or does not pass.
    Lacks(String, Test),
    /// Of nothing: always.
    All(Vec<Logic>),
    /// Of nothing: never.
    Any(Vec<Logic>),
}

/// A condition, and whether something in it was left out because peers cannot be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    pub logic: Logic,
    pub is_partial: bool,
}

/// Derived facts by name, as two-valued logic.
pub type Derived = BTreeMap<String, Logic>;

/// Reads a condition in our CEL subset; derived facts are expanded where they are named.
pub fn condition(text: &str, derived: &Derived) -> Result<Condition, String> {
    let mut parser = Parser { tokens: tokens(text)?, next: 0 };
    let tree = parser.any().map_err(|why| format!("`{text}`: {why}"))?;
    match parser.tokens.get(parser.next) {
        None => {
            Ok(Condition { logic: logic(&tree, true, derived), is_partial: tree.has_left_out() })
        }
        Some(token) => Err(format!("`{text}`: {token:?} is not expected")),
    }
}

impl Logic {
    pub fn is_always(&self) -> bool {
        *self == Logic::All(Vec::new())
    }

    fn is_never(&self) -> bool {
        *self == Logic::Any(Vec::new())
    }

    fn opposite(&self) -> Logic {
        match self {
            Logic::Is(signal, test) => Logic::Lacks(signal.clone(), test.clone()),
            Logic::Lacks(signal, test) => Logic::Is(signal.clone(), test.clone()),
            Logic::All(parts) => any(parts.iter().map(Logic::opposite)),
            Logic::Any(parts) => all(parts.iter().map(Logic::opposite)),
        }
    }

    /// As a Cedar expression. Cedar evaluates what it needs, so it stays as it is.
    pub fn cedar(&self) -> String {
        let joined = |parts: &[Logic], by: &str, of_nothing: &str| match parts {
            [] => of_nothing.to_owned(),
            parts => {
                let parts: Vec<String> = parts.iter().map(Logic::cedar).collect();
                format!("({})", parts.join(by))
            }
        };
        match self {
            Logic::Is(signal, test) => cedar_test(signal, test),
            Logic::Lacks(signal, test) => format!("!{}", cedar_test(signal, test)),
            Logic::All(parts) => joined(parts, " && ", "true"),
            Logic::Any(parts) => joined(parts, " || ", "false"),
        }
    }

    /// As the bodies of a Rego rule, one for each disjunct.
    pub fn rego(&self) -> Result<Vec<String>, String> {
        let disjuncts = self.disjuncts()?;
        Ok(disjuncts.iter().map(|literals| literals.join("; ")).collect())
    }

    fn disjuncts(&self) -> Result<Vec<Vec<String>>, String> {
        let disjuncts = match self {
            Logic::Is(signal, test) => vec![rego_test(signal, test)],
            Logic::Lacks(signal, test) => {
                rego_test(signal, test).iter().map(|one| vec![format!("not {one}")]).collect()
            }
            Logic::Any(parts) => {
                let each: Result<Vec<_>, _> = parts.iter().map(Logic::disjuncts).collect();
                each?.concat()
            }
            Logic::All(parts) => {
                let mut product = vec![Vec::new()];
                for part in parts {
                    let choices = part.disjuncts()?;
                    product = product
                        .iter()
                        .flat_map(|left| {
                            choices.iter().map(move |right| [&left[..], right].concat())
                        })
                        .collect();
                }
                product
            }
        };
        if disjuncts.len() > DISJUNCTS_MAX {
            return Err(format!("more than {DISJUNCTS_MAX} disjuncts"));
        }
        Ok(disjuncts)
    }
}

fn all(parts: impl Iterator<Item = Logic>) -> Logic {
    let mut kept = Vec::new();
    for part in parts {
        match part {
            Logic::All(inner) => kept.extend(inner),
            part if part.is_never() => return part,
            part => kept.push(part),
        }
    }
    if kept.len() == 1 { kept.swap_remove(0) } else { Logic::All(kept) }
}

fn any(parts: impl Iterator<Item = Logic>) -> Logic {
    let mut kept = Vec::new();
    for part in parts {
        match part {
            Logic::Any(inner) => kept.extend(inner),
            part if part.is_always() => return part,
            part => kept.push(part),
        }
    }
    if kept.len() == 1 { kept.swap_remove(0) } else { Logic::Any(kept) }
}

/// What holds where the tree is true, or where it is false, in three-valued logic.
fn logic(tree: &Tree, wanted: bool, derived: &Derived) -> Logic {
    let each = |parts: &[Tree]| {
        parts.iter().map(|part| logic(part, wanted, derived)).collect::<Vec<_>>().into_iter()
    };
    match tree {
        // Peers cannot be asked about the score or the decisions before there are any: taken as holding.
        Tree::LeftOut => Logic::All(Vec::new()),
        Tree::Not(inner) => logic(inner, !wanted, derived),
        Tree::And(parts) if wanted => all(each(parts)),
        Tree::And(parts) => any(each(parts)),
        Tree::Or(parts) if wanted => any(each(parts)),
        Tree::Or(parts) => all(each(parts)),
        Tree::Test(name, test) => match (derived.get(name), test) {
            (Some(fact), Test::OneOf(values)) => {
                let is_asked = values.contains(&Scalar::Bool(true));
                if is_asked == wanted { fact.clone() } else { fact.opposite() }
            }
            _ if wanted => Logic::Is(name.clone(), test.clone()),
            _ => Logic::Is(name.clone(), contrary(test)),
        },
    }
}

/// The test that a known signal passes where it fails this one.
fn contrary(test: &Test) -> Test {
    match test {
        Test::OneOf(values) => match values.as_slice() {
            [Scalar::Bool(value)] => Test::OneOf(vec![Scalar::Bool(!value)]),
            _ => Test::NoneOf(values.clone()),
        },
        Test::NoneOf(values) => Test::OneOf(values.clone()),
        Test::Compare(sign, number) => {
            let sign = match *sign {
                "<" => ">=",
                "<=" => ">",
                ">" => "<=",
                _ => "<",
            };
            Test::Compare(sign, *number)
        }
    }
}

fn shown(value: &Scalar) -> String {
    match value {
        Scalar::Bool(value) => value.to_string(),
        Scalar::Integer(value) => value.to_string(),
        Scalar::Text(value) => format!("{value:?}"),
    }
}

fn cedar_test(signal: &str, test: &Test) -> String {
    let each = |values: &[Scalar], sign: &str, by: &str| {
        let tests: Vec<String> = values
            .iter()
            .map(|value| format!("context.{signal} {sign} {}", shown(value)))
            .collect();
        if tests.len() == 1 { tests.concat() } else { format!("({})", tests.join(by)) }
    };
    let asked = match test {
        Test::OneOf(values) => match values.as_slice() {
            [Scalar::Bool(true)] => format!("context.{signal}"),
            [Scalar::Bool(false)] => format!("!context.{signal}"),
            // Cheaper for Cedar than `[…].contains(…)`, which makes a set anew for each request.
            values => each(values, "==", " || "),
        },
        Test::NoneOf(values) => each(values, "!=", " && "),
        Test::Compare(sign, number) => format!("context.{signal} {sign} {number}"),
    };
    format!("(context has {signal} && {asked})")
}

/// Literals that hold together; a signal that is not there makes each undefined, which is not true.
fn rego_test(signal: &str, test: &Test) -> Vec<String> {
    let input = format!("input.{signal}");
    match test {
        Test::OneOf(values) => match values.as_slice() {
            [Scalar::Bool(true)] => vec![input],
            [value] => vec![format!("{input} == {}", shown(value))],
            values => {
                let values: Vec<String> = values.iter().map(shown).collect();
                vec![format!("{input} in {{{}}}", values.join(", "))]
            }
        },
        Test::NoneOf(values) => {
            values.iter().map(|value| format!("{input} != {}", shown(value))).collect()
        }
        Test::Compare(sign, number) => vec![format!("{input} {sign} {number}")],
    }
}

#[derive(Debug)]
enum Tree {
    /// A signal or derived fact.
    Test(String, Test),
    /// About the score or the decisions.
    LeftOut,
    Not(Box<Tree>),
    And(Vec<Tree>),
    Or(Vec<Tree>),
}

impl Tree {
    fn has_left_out(&self) -> bool {
        match self {
            Tree::LeftOut => true,
            Tree::Test(..) => false,
            Tree::Not(inner) => inner.has_left_out(),
            Tree::And(parts) | Tree::Or(parts) => parts.iter().any(Tree::has_left_out),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Name(String),
    Value(Scalar),
    Sign(&'static str),
}

/// Longer signs first: `<=` is not `<` and `=`.
const SIGNS: [&str; 14] =
    ["&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "(", ")", "[", "]", ","];

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            found.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        } else if first == '\'' {
            let (value, after) = rest[1..].split_once('\'').ok_or("a text is not closed")?;
            found.push(Token::Value(Scalar::Text(value.to_owned())));
            rest = after;
        } else {
            let is_inside = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
            let end = rest.find(|c| !is_inside(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            found.push(match word {
                "" => return Err(format!("`{first}` in `{text}` has no meaning here")),
                "true" | "false" => Token::Value(Scalar::Bool(word == "true")),
                word if first.is_ascii_digit() => {
                    let number = word.parse().map_err(|_| format!("`{word}` is not whole"))?;
                    Token::Value(Scalar::Integer(number))
                }
                word => Token::Name(word.to_owned()),
            });
            rest = after;
        }
        rest = rest.trim_start();
    }
    Ok(found)
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
}

impl Parser {
    fn take(&mut self, sign: &str) -> bool {
        let is_next = match self.tokens.get(self.next) {
            Some(Token::Sign(next)) => *next == sign,
            Some(Token::Name(next)) => next == sign,
            _ => false,
        };
        self.next += usize::from(is_next);
        is_next
    }

    fn demand(&mut self, sign: &str) -> Result<(), String> {
        if self.take(sign) { Ok(()) } else { Err(format!("`{sign}` is missing")) }
    }

    fn value(&mut self) -> Result<Scalar, String> {
        match self.tokens.get(self.next) {
            Some(Token::Value(value)) => {
                self.next += 1;
                Ok(value.clone())
            }
            other => Err(format!("a value is expected, not {other:?}")),
        }
    }

    fn any(&mut self) -> Result<Tree, String> {
        let mut parts = vec![self.all()?];
        while self.take("||") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.swap_remove(0) } else { Tree::Or(parts) })
    }

    fn all(&mut self) -> Result<Tree, String> {
        let mut parts = vec![self.one()?];
        while self.take("&&") {
            parts.push(self.one()?);
        }
        Ok(if parts.len() == 1 { parts.swap_remove(0) } else { Tree::And(parts) })
    }

    fn one(&mut self) -> Result<Tree, String> {
        if self.take("!") {
            return Ok(Tree::Not(Box::new(self.one()?)));
        }
        if self.take("(") {
            let inner = self.any()?;
            self.demand(")")?;
            return Ok(inner);
        }
        let Some(Token::Name(name)) = self.tokens.get(self.next).cloned() else {
            return Err(format!("a name is expected, not {:?}", self.tokens.get(self.next)));
        };
        self.next += 1;
        if name == "has_decision" {
            self.demand("(")?;
            self.value()?;
            self.demand(")")?;
            return Ok(Tree::LeftOut);
        }
        let test = self.test()?;
        Ok(if name == "score" { Tree::LeftOut } else { Tree::Test(name, test) })
    }

    fn test(&mut self) -> Result<Test, String> {
        if self.take("in") {
            self.demand("[")?;
            let mut values = vec![self.value()?];
            while self.take(",") {
                values.push(self.value()?);
            }
            self.demand("]")?;
            return Ok(Test::OneOf(values));
        }
        if self.take("==") {
            return Ok(Test::OneOf(vec![self.value()?]));
        }
        if self.take("!=") {
            return Ok(contrary(&Test::OneOf(vec![self.value()?])));
        }
        for sign in ["<=", ">=", "<", ">"] {
            if self.take(sign) {
                return match self.value()? {
                    Scalar::Integer(number) => Ok(Test::Compare(sign, number)),
                    other => Err(format!("a whole number is expected, not {other:?}")),
                };
            }
        }
        Ok(Test::OneOf(vec![Scalar::Bool(true)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, cedar: &str, rego: &[&str]) {
        let facts = [("safe", "a || b == 'x'"), ("calm", "!safe")];
        let mut derived = Derived::new();
        for (name, when) in facts {
            let fact = condition(when, &derived).unwrap();
            derived.insert(name.to_owned(), fact.logic);
        }
        let found = condition(text, &derived).unwrap();
        assert_eq!(found.logic.cedar(), cedar, "{text}");
        assert_eq!(found.logic.rego().unwrap(), rego, "{text}");
    }

    #[test]
    fn a_signal_nobody_reported_fires_neither_a_test_nor_its_negation() {
        check("a", "(context has a && context.a)", &["input.a"]);
        check("!a", "(context has a && !context.a)", &["input.a == false"]);
        check("!(n > 3)", "(context has n && context.n <= 3)", &["input.n <= 3"]);
        check(
            "!(b in ['x', 'y'])",
            r#"(context has b && (context.b != "x" && context.b != "y"))"#,
            &[r#"input.b != "x"; input.b != "y""#],
        );
    }

    #[test]
    fn a_derived_fact_takes_what_is_unknown_as_false() {
        let (a, b) = ("(context has a && context.a)", r#"(context has b && context.b == "x")"#);
        check("!safe", &format!("(!{a} && !{b})"), &[r#"not input.a; not input.b == "x""#]);
        check("calm == false", &format!("({a} || {b})"), &["input.a", r#"input.b == "x""#]);
    }

    #[test]
    fn alternatives_become_bodies_and_the_score_is_left_out() {
        check(
            "score >= 25 && (a || n < 2) && c",
            "(((context has a && context.a) || (context has n && context.n < 2)) && (context has c && context.c))",
            &["input.a; input.c", "input.n < 2; input.c"],
        );
        let found = condition("a || has_decision('deny')", &Derived::new()).unwrap();
        assert!(found.is_partial && found.logic.is_always());
        assert!(!condition("a || b == 'x'", &Derived::new()).unwrap().is_partial);
        assert!(condition("a && ", &Derived::new()).is_err());
    }
}
