//! Value modifiers: the 31 of the specification, which go together, and in which order.

use crate::condition::Wrong;
use crate::limits::MODIFIERS_MAX;
use crate::rule::words;
use schema::nearest;
use serde::{Deserialize, Serialize};
use std::fmt;

words! {
    /// What may stand behind a field name.
    Modifier {
        All = "all",
        Contains = "contains",
        Startswith = "startswith",
        Endswith = "endswith",
        Exists = "exists",
        Cased = "cased",
        Neq = "neq",
        Windash = "windash",
        Re = "re",
        Insensitive = "i",
        Multiline = "m",
        Singleline = "s",
        Base64 = "base64",
        Base64offset = "base64offset",
        Utf16le = "utf16le",
        Utf16be = "utf16be",
        Utf16 = "utf16",
        Wide = "wide",
        Lt = "lt",
        Lte = "lte",
        Gt = "gt",
        Gte = "gte",
        Minute = "minute",
        Hour = "hour",
        Day = "day",
        Week = "week",
        Month = "month",
        Year = "year",
        Cidr = "cidr",
        Expand = "expand",
        Fieldref = "fieldref",
    }
}

/// Names of modifiers, all 31.
pub const MODIFIERS: &[&str] = Modifier::WORDS;

/// Where in a value a text has to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Anchor {
    #[default]
    Whole,
    Start,
    End,
    Inside,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TimePart {
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct RegexFlags {
    pub insensitive: bool,
    pub multiline: bool,
    pub singleline: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Regex(RegexFlags),
    Cidr,
    Compare(Order),
    Part(TimePart, Order),
    Exists,
    FieldRef,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Base64,
    Base64Offset,
    Utf16Le,
    Utf16Be,
    Utf16,
}

/// What a chain of modifiers comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub kind: Kind,
    pub anchor: Anchor,
    /// In the order written.
    pub encodings: Vec<Encoding>,
    pub windash: bool,
    pub expand: bool,
    pub cased: bool,
    pub all: bool,
    pub negated: bool,
}

fn wrong(code: &'static str, message: String, hint: impl Into<String>) -> Wrong {
    Wrong { code, message, hint: hint.into() }
}

/// Field and modifiers of `Field|contains|all`. No field means anywhere in the event.
pub(crate) fn parse_key(key: &str) -> Result<(Option<&str>, Vec<Modifier>), Wrong> {
    let mut parts = key.split('|');
    let field = parts.next().filter(|field| !field.is_empty());
    let mut modifiers = Vec::new();
    for word in parts {
        let Some(modifier) = Modifier::parse(word) else {
            let hint = match nearest(word, Modifier::WORDS.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("use one of {}", Modifier::WORDS.join(", ")),
            };
            return Err(wrong("unknown-modifier", format!("`{key}`: no modifier `{word}`"), hint));
        };
        if modifiers.contains(&modifier) {
            let message = format!("`{key}`: `{word}` is there twice");
            return Err(wrong("bad-modifiers", message, "keep one of the two"));
        }
        modifiers.push(modifier);
    }
    if modifiers.len() > MODIFIERS_MAX {
        let message = format!("`{key}` has more than {MODIFIERS_MAX} modifiers");
        return Err(wrong("bad-modifiers", message, "split the selection"));
    }
    if field.is_none() && modifiers.is_empty() {
        let hint = "name a field; for keywords write a list";
        return Err(wrong("bad-modifiers", "a field has no name".to_owned(), hint));
    }
    plan(&modifiers, field.is_some())
        .map_err(|wrong| Wrong { message: format!("`{key}`: {}", wrong.message), ..wrong })?;
    Ok((field, modifiers))
}

fn clash(message: String, hint: impl Into<String>) -> Wrong {
    wrong("bad-modifiers", message, hint)
}

/// Works out what a chain means, or why it means nothing.
pub(crate) fn plan(modifiers: &[Modifier], has_field: bool) -> Result<Plan, Wrong> {
    let has = |modifier: Modifier| modifiers.contains(&modifier);
    let mut plan = Plan {
        kind: Kind::Text,
        anchor: Anchor::Whole,
        encodings: Vec::new(),
        windash: has(Modifier::Windash),
        expand: has(Modifier::Expand),
        cased: has(Modifier::Cased),
        all: has(Modifier::All),
        negated: has(Modifier::Neq),
    };
    let mut anchor = None;
    let mut order = None;
    let mut part = None;
    let mut kind: Option<(Modifier, Kind)> = None;
    let mut flags = RegexFlags::default();
    for modifier in modifiers.iter().copied() {
        match modifier {
            Modifier::Contains | Modifier::Startswith | Modifier::Endswith => {
                only_one(&mut anchor, modifier)?;
            }
            Modifier::Lt | Modifier::Lte | Modifier::Gt | Modifier::Gte => {
                only_one(&mut order, modifier)?;
            }
            Modifier::Minute
            | Modifier::Hour
            | Modifier::Day
            | Modifier::Week
            | Modifier::Month
            | Modifier::Year => only_one(&mut part, modifier)?,
            Modifier::Re => take_kind(&mut kind, modifier, Kind::Regex(flags))?,
            Modifier::Cidr => take_kind(&mut kind, modifier, Kind::Cidr)?,
            Modifier::Exists => take_kind(&mut kind, modifier, Kind::Exists)?,
            Modifier::Fieldref if anchor.is_some() => {
                return Err(clash(
                    format!("`{modifier}` stands behind what it has to come before"),
                    "write `fieldref` first, then `contains`, `startswith` or `endswith`",
                ));
            }
            Modifier::Fieldref => take_kind(&mut kind, modifier, Kind::FieldRef)?,
            Modifier::Insensitive | Modifier::Multiline | Modifier::Singleline => {
                if !matches!(kind, Some((Modifier::Re, _))) {
                    let message = format!("`{modifier}` is a flag of `re`");
                    return Err(clash(message, format!("write `re|{modifier}`")));
                }
                match modifier {
                    Modifier::Insensitive => flags.insensitive = true,
                    Modifier::Multiline => flags.multiline = true,
                    _ => flags.singleline = true,
                }
            }
            Modifier::Base64
            | Modifier::Base64offset
            | Modifier::Utf16le
            | Modifier::Wide
            | Modifier::Utf16be
            | Modifier::Utf16 => push_encoding(&mut plan.encodings, modifier, anchor)?,
            Modifier::Windash if !plan.encodings.is_empty() => {
                let message = "`windash` comes after an encoding".to_owned();
                return Err(clash(message, "write `windash` first"));
            }
            Modifier::All
            | Modifier::Cased
            | Modifier::Neq
            | Modifier::Expand
            | Modifier::Windash => {}
        }
    }
    plan.anchor = match anchor {
        Some(Modifier::Startswith) => Anchor::Start,
        Some(Modifier::Endswith) => Anchor::End,
        Some(_) => Anchor::Inside,
        None => Anchor::Whole,
    };
    plan.kind = match (kind, order, part) {
        (None, None, None) => Kind::Text,
        (Some((_, Kind::Regex(_))), None, None) => Kind::Regex(flags),
        (Some((_, kind)), None, None) => kind,
        (None, Some(order), None) => Kind::Compare(order_of(order)),
        (None, order, Some(part)) => {
            Kind::Part(part_of(part), order.map_or(Order::Equal, order_of))
        }
        (Some((first, _)), order, part) => {
            let second = order.or(part).unwrap_or(first);
            return Err(clash(
                format!("`{first}` and `{second}` do not go together"),
                "use two selections",
            ));
        }
    };
    check_company(modifiers, &plan, has_field)?;
    Ok(plan)
}

/// Modifiers that mean nothing beside the kind of comparison.
fn check_company(modifiers: &[Modifier], plan: &Plan, has_field: bool) -> Result<(), Wrong> {
    use Modifier as M;
    let (name, may): (&str, &[M]) = match plan.kind {
        Kind::Text => return check_text(plan, has_field),
        Kind::Regex(_) => (
            "re",
            &[
                M::Re,
                M::Insensitive,
                M::Multiline,
                M::Singleline,
                M::All,
                M::Neq,
                M::Contains,
                M::Startswith,
                M::Endswith,
            ],
        ),
        Kind::Cidr => ("cidr", &[M::Cidr, M::All, M::Neq]),
        Kind::Compare(_) => ("a comparison", &[M::Lt, M::Lte, M::Gt, M::Gte, M::All, M::Neq]),
        Kind::Part(..) => (
            "a part of a time",
            &[
                M::Minute,
                M::Hour,
                M::Day,
                M::Week,
                M::Month,
                M::Year,
                M::Lt,
                M::Lte,
                M::Gt,
                M::Gte,
                M::All,
                M::Neq,
            ],
        ),
        Kind::Exists => ("exists", &[M::Exists]),
        Kind::FieldRef => (
            "fieldref",
            &[M::Fieldref, M::Contains, M::Startswith, M::Endswith, M::All, M::Neq, M::Cased],
        ),
    };
    if let Some(other) = modifiers.iter().find(|modifier| !may.contains(modifier)) {
        return Err(clash(
            format!("{name} and `{other}` do not go together"),
            format!("take `{other}` out"),
        ));
    }
    if !has_field && !matches!(plan.kind, Kind::Regex(_)) {
        return Err(clash(format!("{name} needs a field"), "name the field before the first `|`"));
    }
    Ok(())
}

fn check_text(plan: &Plan, has_field: bool) -> Result<(), Wrong> {
    if !has_field && matches!(plan.anchor, Anchor::Start | Anchor::End) {
        return Err(clash(
            "keywords are looked for anywhere".to_owned(),
            "name a field, or take `startswith` and `endswith` out",
        ));
    }
    Ok(())
}

fn only_one(slot: &mut Option<Modifier>, modifier: Modifier) -> Result<(), Wrong> {
    match slot.replace(modifier) {
        None => Ok(()),
        Some(first) => Err(clash(
            format!("`{first}` and `{modifier}` do not go together"),
            "use two selections",
        )),
    }
}

fn take_kind(
    slot: &mut Option<(Modifier, Kind)>,
    modifier: Modifier,
    kind: Kind,
) -> Result<(), Wrong> {
    match slot.replace((modifier, kind)) {
        None => Ok(()),
        Some((first, _)) => Err(clash(
            format!("`{first}` and `{modifier}` do not go together"),
            "use two selections",
        )),
    }
}

fn push_encoding(
    encodings: &mut Vec<Encoding>,
    modifier: Modifier,
    anchor: Option<Modifier>,
) -> Result<(), Wrong> {
    if let Some(anchor) = anchor {
        return Err(clash(
            format!("`{modifier}` comes after `{anchor}`, and would encode its wildcards"),
            format!("write `{modifier}|{anchor}`"),
        ));
    }
    let encoding = match modifier {
        Modifier::Base64 => Encoding::Base64,
        Modifier::Base64offset => Encoding::Base64Offset,
        Modifier::Utf16be => Encoding::Utf16Be,
        Modifier::Utf16 => Encoding::Utf16,
        _ => Encoding::Utf16Le,
    };
    let is_base64 =
        |encoding: &Encoding| matches!(encoding, Encoding::Base64 | Encoding::Base64Offset);
    match encodings.last() {
        None => {}
        Some(last) if !is_base64(last) && is_base64(&encoding) => {}
        Some(last) => {
            let message = format!("`{modifier}` comes after another encoding");
            let hint = match is_base64(last) && !is_base64(&encoding) {
                true => format!("write `{modifier}|base64`"),
                false => "keep one of the two".to_owned(),
            };
            return Err(clash(message, hint));
        }
    }
    encodings.push(encoding);
    Ok(())
}

fn order_of(modifier: Modifier) -> Order {
    match modifier {
        Modifier::Lt => Order::Less,
        Modifier::Lte => Order::LessOrEqual,
        Modifier::Gt => Order::Greater,
        _ => Order::GreaterOrEqual,
    }
}

fn part_of(modifier: Modifier) -> TimePart {
    match modifier {
        Modifier::Minute => TimePart::Minute,
        Modifier::Hour => TimePart::Hour,
        Modifier::Day => TimePart::Day,
        Modifier::Week => TimePart::Week,
        Modifier::Month => TimePart::Month,
        _ => TimePart::Year,
    }
}
