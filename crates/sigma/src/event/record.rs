//! Records of any source as events.

use super::json::{Json, Kind};
use super::name::{Name, flat_names, has_space, hash, of_header};
use super::{Event, Scalar};
use crate::limits::EVENT_DEPTH_MAX;
use crate::rule::LogSource;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

/// An event that is JSON, of any source.
#[derive(Debug, Clone)]
pub struct Record<'a, J = &'a Value> {
    logsource: Cow<'a, LogSource>,
    /// Where fields are looked for, in this order.
    roots: Vec<J>,
    members: Members<'a, J>,
    /// The header of a Windows record, whose attributes are fields `Element_Attribute`.
    system: Option<J>,
    /// Fields whose names have spaces, by their names without.
    spaced: Vec<(String, J)>,
    /// Names that stand in for those of the header where a record is flat.
    flat: bool,
}

/// Where the members of all roots are, by name: of the first root that has one.
#[derive(Debug, Clone)]
enum Members<'a, J> {
    /// Roots are asked one by one.
    Unknown,
    /// Few, in a table with free places (0); a place is the number of a member plus one.
    Few { places: Vec<u16>, list: Vec<Member<'a, J>>, spaces: bool },
    /// Many, against names that are chosen to collide.
    Many(HashMap<&'a str, J>),
}

#[derive(Debug, Clone, Copy)]
struct Member<'a, J> {
    name: &'a str,
    hash: u32,
    root: usize,
    value: J,
}

/// Members up to which a table without a secret will do.
const FEW: usize = 256;

impl<'a, J: Json<'a>> Members<'a, J> {
    fn of(roots: &[J]) -> Self {
        if !J::SCANNED {
            return Members::Unknown;
        }
        let count: usize = roots.iter().map(|root| root.count()).sum();
        if roots.iter().any(|root| matches!(root.kind(), Kind::Items(_))) {
            return Members::Unknown;
        }
        let all = roots.iter().enumerate().filter_map(|(root, at)| match at.kind() {
            Kind::Members(members) => Some(members.map(move |(name, value)| (root, name, value))),
            _ => None,
        });
        if count > FEW {
            let mut known: HashMap<&'a str, (usize, J)> = HashMap::new();
            for (root, name, value) in all.flatten() {
                let entry = known.entry(name).or_insert((root, value));
                if entry.0 == root {
                    *entry = (root, value);
                }
            }
            return Members::Many(known.into_iter().map(|(name, (_, at))| (name, at)).collect());
        }
        let mut places = vec![0; (2 * count + 1).next_power_of_two()];
        let mut list: Vec<Member<'a, J>> = Vec::with_capacity(count);
        let mut spaces = false;
        for (root, name, value) in all.flatten() {
            let hash = hash(name);
            spaces |= has_space(name);
            match place(&places, &list, name, hash) {
                Err(free) => {
                    list.push(Member { name, hash, root, value });
                    if let (Some(place), Ok(number)) = (places.get_mut(free), list.len().try_into())
                    {
                        *place = number;
                    }
                }
                Ok(number) => {
                    if let Some(member) = list.get_mut(number).filter(|member| member.root == root)
                    {
                        member.value = value;
                    }
                }
            }
        }
        Members::Few { places, list, spaces }
    }

    /// Whether it is known that no name has a space in it.
    fn has_no_spaces(&self) -> bool {
        matches!(self, Members::Few { spaces: false, .. })
    }

    /// None if only the roots know.
    fn get(&self, name: &str, hash: u32) -> Option<Option<J>> {
        match self {
            Members::Unknown => None,
            Members::Few { places, list, .. } => {
                let found = place(places, list, name, hash).ok();
                Some(found.and_then(|number| Some(list.get(number)?.value)))
            }
            Members::Many(known) => Some(known.get(name).copied()),
        }
    }
}

/// The number of the member of that name, or the free place where it belongs.
fn place<J>(places: &[u16], list: &[Member<'_, J>], name: &str, hash: u32) -> Result<usize, usize> {
    let mask = places.len() - 1;
    let mut at = hash as usize & mask;
    loop {
        // There are more places than members, so one is free.
        let Some(number) = places.get(at).copied().filter(|number| *number > 0) else {
            return Err(at);
        };
        let number = usize::from(number) - 1;
        if list.get(number).is_some_and(|known| known.hash == hash && known.name == name) {
            return Ok(number);
        }
        at = (at + 1) & mask;
    }
}

impl<'a, J: Json<'a>> Record<'a, J> {
    /// Any JSON: a field is a path from the top, or a name with dots in it.
    pub fn json(logsource: LogSource, value: J) -> Self {
        let roots = vec![value];
        Record {
            logsource: Cow::Owned(logsource),
            members: Members::of(&roots),
            roots,
            system: None,
            spaced: Vec::new(),
            flat: false,
        }
    }

    /// A record of Windows' event log (or of Sysmon for Linux), as readers of EVTX and shippers write it.
    ///
    /// Understood are `Event.System` with `EventData` or `UserData`, `winlog` with `event_data`, and flat ones.
    pub fn event_log(product: &str, value: J) -> Self {
        let top = Members::of(&[value]);
        let get = |name| match top.get(name, hash(name)) {
            Some(found) => found,
            None => value.get(name),
        };
        let event = get("Event").unwrap_or(value);
        let within = match get("Event") {
            Some(event) => event.get("System"),
            None => get("System"),
        };
        let system = within.filter(|system| system.is_object());
        let mut roots: Vec<J> = Vec::with_capacity(4);
        if system.is_some() {
            roots.extend(event.get("EventData").filter(|data| data.is_object()));
            if let Some(Kind::Members(user)) = event.get("UserData").map(J::kind) {
                roots.extend(user.map(|(_, value)| value).filter(|value| value.is_object()));
            }
            roots.extend(system);
        }
        let winlog = get("winlog").filter(|winlog| winlog.is_object());
        let data = ["event_data", "user_data"].map(|name| match winlog {
            Some(winlog) => winlog.get(name),
            None => get(name),
        });
        roots.extend(data.into_iter().flatten().filter(|data| data.is_object()));
        roots.extend(winlog);
        let members = match roots.is_empty() && get("Event").is_none() {
            true => top,
            false => Members::of(&[roots.as_slice(), &[event]].concat()),
        };
        roots.push(event);
        let mut spaced = Vec::new();
        for root in &roots {
            if let Kind::Members(named) = root.kind()
                && !members.has_no_spaces()
            {
                let with = named.filter(|(name, _)| name.as_bytes().contains(&b' '));
                spaced.extend(with.map(|(name, value)| (without_spaces(name), value)));
            }
        }
        Record {
            logsource: of_product(product),
            members,
            roots,
            system,
            spaced,
            flat: system.is_none(),
        }
    }

    /// Says more about the event than its product.
    #[must_use]
    pub fn with_logsource(mut self, logsource: LogSource) -> Self {
        self.logsource = Cow::Owned(logsource);
        self
    }

    fn look(&self, name: &str, found: &mut dyn FnMut(J) -> bool) -> bool {
        if let Some(own) = of_header(name) {
            return match self.system.and_then(|system| system.get(own)) {
                Some(value) => {
                    found(value);
                    true
                }
                None => self.look(own, found),
            };
        }
        for root in &self.roots {
            if descend(*root, name, 0, found) {
                return true;
            }
        }
        self.aside(name, flat_names(name), found)
    }

    /// Where a name is looked for when no root has it.
    fn aside(
        &self,
        name: &str,
        flat: &'static [&'static str],
        found: &mut dyn FnMut(J) -> bool,
    ) -> bool {
        if self.system.is_some()
            && let Some((element, attribute)) = name.split_once('_')
            && let Some(value) = self.attribute(element, attribute)
        {
            found(value);
            return true;
        }
        if !self.spaced.is_empty() {
            let bare = without_spaces(name);
            if let Some((_, value)) = self.spaced.iter().find(|(name, _)| *name == bare) {
                found(*value);
                return true;
            }
        }
        self.flat
            && flat.iter().any(|name| {
                self.roots.iter().any(|root| descend(*root, name, EVENT_DEPTH_MAX, found))
            })
    }

    fn attribute(&self, element: &str, attribute: &str) -> Option<J> {
        let system = self.system?;
        let attributes = system
            .get(element)
            .and_then(|element| element.get("#attributes"))
            .or_else(|| system.get(&format!("{element}_attributes")));
        attributes?.get(attribute)
    }
}

fn without_spaces(name: &str) -> String {
    name.chars().filter(|c| *c != ' ').collect()
}

/// What most records say they are is made once.
fn of_product<'a>(product: &str) -> Cow<'a, LogSource> {
    static WINDOWS: LazyLock<LogSource> =
        LazyLock::new(|| LogSource::new(Some("windows"), None, None));
    match product {
        "windows" => Cow::Borrowed(&*WINDOWS),
        other => Cow::Owned(LogSource::new(Some(other), None, None)),
    }
}

/// The value at a path: the whole name as one key first, then step by step; each of a list's elements.
pub(crate) fn descend<'a, J: Json<'a>>(
    at: J,
    path: &str,
    depth: usize,
    found: &mut dyn FnMut(J) -> bool,
) -> bool {
    match at.kind() {
        Kind::Members(_) => {
            if let Some(value) = at.get(path) {
                found(value);
                return true;
            }
            let Some((first, rest)) = path.split_once('.').filter(|_| depth < EVENT_DEPTH_MAX)
            else {
                return false;
            };
            at.get(first).is_some_and(|value| descend(value, rest, depth + 1, found))
        }
        Kind::Items(items) if depth < EVENT_DEPTH_MAX => {
            let mut any = false;
            for item in items {
                any |= descend(item, path, depth + 1, found);
            }
            any
        }
        _ => false,
    }
}

/// Every scalar in a value, lists and objects opened; false when `each` has had enough.
pub(crate) fn scalars<'a, J: Json<'a>>(
    name: &'a str,
    value: J,
    depth: usize,
    each: &mut dyn FnMut(&'a str, Scalar<'a>) -> bool,
) -> bool {
    match value.kind() {
        Kind::Scalar(scalar) => each(name, scalar),
        Kind::Items(mut items) if depth < EVENT_DEPTH_MAX => {
            items.all(|item| scalars(name, item, depth + 1, each))
        }
        Kind::Members(mut members) if depth < EVENT_DEPTH_MAX => {
            members.all(|(name, value)| scalars(name, value, depth + 1, each))
        }
        Kind::Items(_) | Kind::Members(_) => true,
    }
}

/// Values of a field: of an element with attributes its text, of a list each, of an object all below but null.
pub(crate) fn own_scalars<'a, J: Json<'a>>(
    value: J,
    depth: usize,
    each: &mut dyn FnMut(Scalar<'a>) -> bool,
) -> bool {
    match value.kind() {
        Kind::Scalar(scalar) => each(scalar),
        Kind::Items(mut items) if depth < EVENT_DEPTH_MAX => {
            items.all(|item| own_scalars(item, depth + 1, each))
        }
        Kind::Items(_) => true,
        Kind::Members(_) => match value.get("#text") {
            Some(text) if depth < EVENT_DEPTH_MAX => own_scalars(text, depth + 1, each),
            _ => scalars("", value, depth, &mut |_, scalar| scalar == Scalar::Null || each(scalar)),
        },
    }
}

impl<'a, J: Json<'a>> Event for Record<'a, J> {
    fn logsource(&self) -> &LogSource {
        &self.logsource
    }

    fn field<'e>(&'e self, name: &str, each: &mut dyn FnMut(Scalar<'e>) -> bool) -> bool {
        let mut go_on = true;
        self.look(name, &mut |value| {
            go_on = go_on && own_scalars(value, 0, &mut |scalar| each(scalar));
            go_on
        })
    }

    fn named<'e>(&'e self, name: &Name, each: &mut dyn FnMut(Scalar<'e>) -> bool) -> bool {
        let known = match (&name.header, self.system) {
            (Some(own), system) => match system.and_then(|system| system.get(own.text())) {
                Some(value) => Some(Some(value)),
                None => return self.named(own, each),
            },
            _ if name.dotted => None,
            _ => self.members.get(name.text(), name.hash),
        };
        match known {
            None => self.field(name.text(), each),
            Some(Some(value)) => {
                own_scalars(value, 0, &mut |scalar| each(scalar));
                true
            }
            Some(None) => {
                let mut go_on = true;
                self.aside(name.text(), name.flat, &mut |value| {
                    go_on = go_on && own_scalars(value, 0, &mut |scalar| each(scalar));
                    go_on
                })
            }
        }
    }

    fn every<'e>(&'e self, each: &mut dyn FnMut(&'e str, Scalar<'e>) -> bool) {
        // The last root holds all the others.
        if let Some(root) = self.roots.last() {
            scalars("", *root, 0, &mut |name, scalar| each(name, scalar));
        }
    }
}
