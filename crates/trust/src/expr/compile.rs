//! Syntax tree to condition, with every name and type checked.

use super::syntax::{At, Literal, Relation, Tree, Wrong, parse};
use super::{Condition, Order};
use crate::vocabulary::{Kind, Vocabulary};
use schema::nearest;

/// What a condition may name.
pub(crate) struct Scope<'a> {
    pub vocabulary: &'a mut Vocabulary,
    /// Derived facts that may be named here, by index.
    pub derived: &'a [String],
    /// Decisions by bit; empty where `has_decision` makes no sense yet.
    pub decisions: &'a [String],
    /// Whether `score` is known by then.
    pub has_score: bool,
}

/// Compiles a condition; what is wrong with it otherwise.
pub(crate) fn compile(text: &str, scope: &mut Scope<'_>) -> Result<Condition, Wrong> {
    scope.condition(&parse(text)?)
}

/// The names a condition uses, to put derived facts in an order that works.
pub(crate) fn names(text: &str) -> Vec<String> {
    fn collect(tree: &Tree, found: &mut Vec<String>) {
        match tree {
            Tree::Name(name, _) => found.push(name.clone()),
            Tree::Relation(_, left, right, _) => {
                collect(left, found);
                collect(right, found);
            }
            Tree::In(left, _, _) | Tree::Not(left) => collect(left, found),
            Tree::And(parts) | Tree::Or(parts) | Tree::Call(_, parts, _) => {
                parts.iter().for_each(|part| collect(part, found));
            }
            Tree::Literal(..) => {}
        }
    }
    let mut found = Vec::new();
    if let Ok(tree) = parse(text) {
        collect(&tree, &mut found);
    }
    found
}

impl Scope<'_> {
    fn condition(&mut self, tree: &Tree) -> Result<Condition, Wrong> {
        match tree {
            Tree::Literal(Literal::Bool(value), _) => Ok(Condition::Constant(*value)),
            Tree::Literal(_, at) => {
                Err(Wrong::new(*at, "a value alone is not a condition", "compare a signal with it"))
            }
            Tree::Name(name, at) => self.fact(name, *at),
            Tree::Call(name, arguments, at) => self.call(name, arguments, *at),
            Tree::Not(inner) => Ok(Condition::Not(Box::new(self.condition(inner)?))),
            Tree::And(parts) => Ok(Condition::All(self.all(parts)?)),
            Tree::Or(parts) => Ok(Condition::Any(self.all(parts)?)),
            Tree::In(left, values, at) => self.is_in(left, values, *at),
            Tree::Relation(relation, left, right, at) => self.relation(*relation, left, right, *at),
        }
    }

    fn all(&mut self, parts: &[Tree]) -> Result<Box<[Condition]>, Wrong> {
        parts.iter().map(|part| self.condition(part)).collect()
    }

    /// A name that is true or false by itself.
    fn fact(&mut self, name: &str, at: At) -> Result<Condition, Wrong> {
        if let Some(index) = self.derived.iter().position(|derived| derived == name) {
            return Ok(Condition::Derived(u8::try_from(index).unwrap_or(u8::MAX)));
        }
        let (slot, kind) = self.signal(name, at)?;
        match kind {
            Kind::Bool => Ok(Condition::OneOf(slot, 0b10)),
            _ => Err(Wrong::new(
                at,
                format!("`{name}` is not true or false by itself"),
                format!("compare it with a value: `{name} == …`"),
            )),
        }
    }

    fn signal(&self, name: &str, at: At) -> Result<(u8, &Kind), Wrong> {
        if let Some(found) = self.vocabulary.find(name) {
            return Ok(found);
        }
        let mut known: Vec<&str> = self.vocabulary.names().collect();
        known.extend(self.derived.iter().map(String::as_str));
        Err(Wrong::new(
            at,
            format!("`{name}` is neither a signal nor a derived fact known here"),
            match nearest(name, known) {
                Some(name) => format!("did you mean `{name}`?"),
                None => "list it under `signals`, or derive it under `derived`".to_owned(),
            },
        ))
    }

    fn call(&mut self, name: &str, arguments: &[Tree], at: At) -> Result<Condition, Wrong> {
        let (true, [Tree::Literal(Literal::Text(decision), place)]) =
            (name == "has_decision", arguments)
        else {
            return Err(Wrong::new(
                at,
                format!("`{name}(…)` is not known here"),
                "the one function is `has_decision('…')`",
            ));
        };
        match self.decisions.iter().position(|known| known == decision) {
            Some(bit) => Ok(Condition::Decided(1 << bit)),
            None => Err(unknown_value(decision, self.decisions, *place)),
        }
    }

    fn is_in(&mut self, left: &Tree, values: &[Tree], at: At) -> Result<Condition, Wrong> {
        let Tree::Name(name, place) = left else {
            return Err(Wrong::new(at, "`in` asks about a signal", "write `signal in ['a', 'b']`"));
        };
        if values.is_empty() {
            return Err(Wrong::new(at, "an empty list holds nothing", "list the values"));
        }
        let each = values
            .iter()
            .map(|value| self.equals(name, *place, value))
            .collect::<Result<Vec<_>, _>>()?;
        let mut mask = 0;
        let mut slot = None;
        for condition in &each {
            if let Condition::OneOf(of, bits) = condition {
                slot = Some(*of);
                mask |= bits;
            }
        }
        Ok(match slot {
            Some(slot) => Condition::OneOf(slot, mask),
            None => Condition::Any(each.into_boxed_slice()),
        })
    }

    fn relation(
        &mut self,
        relation: Relation,
        left: &Tree,
        right: &Tree,
        at: At,
    ) -> Result<Condition, Wrong> {
        let order = match relation {
            Relation::Equal => {
                let Tree::Name(name, place) = left else { return Err(not_a_signal(left)) };
                return self.equals(name, *place, right);
            }
            Relation::NotEqual => {
                let Tree::Name(name, place) = left else { return Err(not_a_signal(left)) };
                return Ok(Condition::Not(Box::new(self.equals(name, *place, right)?)));
            }
            Relation::Less => Order::Less,
            Relation::LessOrEqual => Order::LessOrEqual,
            Relation::Greater => Order::Greater,
            Relation::GreaterOrEqual => Order::GreaterOrEqual,
        };
        let Tree::Name(name, place) = left else { return Err(not_a_signal(left)) };
        let Tree::Literal(Literal::Number(number), _) = right else {
            return Err(Wrong::new(
                right.at(),
                "only numbers are more or less than one another",
                "write a number",
            ));
        };
        if name == "score" {
            if !self.has_score {
                return Err(Wrong::new(
                    *place,
                    "`score` is not known yet when this is asked",
                    "use it in `decisions` and `obligations`",
                ));
            }
            return Ok(Condition::Score(order, *number));
        }
        match self.signal(name, *place)? {
            (slot, Kind::Integer { .. }) => {
                Ok(Condition::Compare(slot, order, whole(*number, right.at())?))
            }
            _ => Err(Wrong::new(
                at,
                format!("`{name}` is not a number"),
                "compare it with `==`, `!=` or `in`",
            )),
        }
    }

    fn equals(&mut self, name: &str, at: At, value: &Tree) -> Result<Condition, Wrong> {
        let Tree::Literal(literal, place) = value else {
            return Err(Wrong::new(
                value.at(),
                format!("`{name}` is compared with something that is not a value"),
                "write a text in quotes, a number, `true` or `false`",
            ));
        };
        if self.derived.iter().any(|derived| derived == name)
            && let Literal::Bool(wanted) = literal
        {
            let fact = self.fact(name, at)?;
            return Ok(if *wanted { fact } else { Condition::Not(Box::new(fact)) });
        }
        let (slot, kind) = self.signal(name, at)?;
        match (kind, literal) {
            (Kind::Bool, Literal::Bool(wanted)) => {
                Ok(Condition::OneOf(slot, if *wanted { 0b10 } else { 0b01 }))
            }
            (Kind::Integer { .. }, Literal::Number(number)) => {
                Ok(Condition::Equals(slot, whole(*number, *place)?))
            }
            (Kind::Enum(values), Literal::Text(wanted)) => {
                match values.iter().position(|value| value == wanted) {
                    Some(index) => Ok(Condition::OneOf(slot, 1 << index)),
                    None => Err(unknown_value(wanted, values, *place)),
                }
            }
            (Kind::Text { .. }, Literal::Text(wanted)) => {
                match self.vocabulary.literal(slot, wanted) {
                    Some(index) => Ok(Condition::OneOf(slot, 1 << index)),
                    None => Err(Wrong::new(
                        *place,
                        format!("conditions name too many values of `{name}`"),
                        "make it a signal with `values`",
                    )),
                }
            }
            (kind, _) => Err(Wrong::new(
                *place,
                format!("`{name}` is compared with a value of another kind"),
                format!("write {}", kind.example()),
            )),
        }
    }
}

fn not_a_signal(tree: &Tree) -> Wrong {
    Wrong::new(tree.at(), "a signal stands on the left of a comparison", "write `signal == value`")
}

fn unknown_value(value: &str, known: &[String], at: At) -> Wrong {
    let names: Vec<&str> = known.iter().map(String::as_str).collect();
    Wrong::new(
        at,
        format!("`{value}` is not one of its values"),
        match nearest(value, names.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("use one of {}", names.join(", ")),
        },
    )
}

fn whole(millionths: i64, at: At) -> Result<i64, Wrong> {
    if millionths % 1_000_000 == 0 {
        return Ok(millionths / 1_000_000);
    }
    Err(Wrong::new(at, "this signal has whole numbers only", "leave the decimals out"))
}
