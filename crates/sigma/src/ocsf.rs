//! OCSF events as rules see them: by Sigma's names for their source, and by OCSF's own paths.
//!
//! What a source's names stand for is in files (`mappings/*.yml`), and so is which events are whose. An event is
//! seen once for each log source it belongs to ([`views`]), so a rule for one product meets no other's events.

mod audit;
mod mapping;

pub use mapping::{MAPPINGS, Mapping, Source, View};

use crate::engine::Runner;
use crate::event::{Event, Scalar, descend, of_header, own_scalars, scalars};
use crate::rule::LogSource;
use crate::ruleset::Match;
use audit::Native;
use mapping::Path;
use schema::{COLUMNS, Cell, Event as Ocsf};
use serde_json::{Map, Value};
use std::cell::OnceCell;
use std::collections::BTreeSet;

/// What holds an event together and says nothing of what happened: keywords are not looked for in it.
const ENVELOPE: [&str; 6] = [
    "metadata.",
    "raw_data_hash.",
    "plura.sealed",
    "plura.diagnostic.",
    "plura.enforcement.",
    "class_uid",
];

/// Native fields of third-party records are kept below this.
const UNMAPPED: &str = "unmapped";

/// One event, seen as one of the things it is.
pub struct OcsfEvent<'a> {
    event: &'a Ocsf,
    cells: Vec<Cell<'a>>,
    /// None: only paths are known.
    view: Option<&'static View>,
    /// Texts that stand nowhere in the event as they are asked for.
    composed: Vec<OnceCell<Option<String>>>,
    native: OnceCell<Vec<Native<'a>>>,
    type_uid: i64,
}

/// The event as each of the things it is; empty where no mapping knows it.
pub fn views(event: &Ocsf) -> Vec<OcsfEvent<'_>> {
    let plain = OcsfEvent::plain(event);
    let fitting: Vec<&'static View> =
        mapping::all().iter().flat_map(|mapping| mapping.views(&plain)).collect();
    fitting.into_iter().map(|view| plain.seen_as(view)).collect()
}

/// What rules find in an event seen in these ways: each match with the number of its view.
///
/// A rule that fires in several views is told once, as the first of them has it.
pub fn matches(runner: &mut Runner, views: &[OcsfEvent<'_>]) -> Vec<(usize, Match)> {
    let mut found = Vec::new();
    for (index, view) in views.iter().enumerate() {
        found.extend(runner.evaluate(view).into_iter().map(|one| (index, one)));
    }
    let mut told = BTreeSet::new();
    found.retain(|(_, one)| told.insert(one.rule));
    found
}

/// Whether events of any source we read may answer to this log source.
pub fn is_served(logsource: &LogSource) -> bool {
    mapping::all()
        .iter()
        .flat_map(|mapping| &mapping.events)
        .any(|view| logsource.covers(&view.logsource))
}

impl<'a> OcsfEvent<'a> {
    /// The event with nothing but its paths; it answers to no log source.
    fn plain(event: &'a Ocsf) -> Self {
        let mut cells = Vec::with_capacity(COLUMNS.len());
        event.for_each_cell(|_, cell| cells.push(cell));
        OcsfEvent {
            event,
            cells,
            view: None,
            composed: Vec::new(),
            native: OnceCell::new(),
            type_uid: event.class_uid.saturating_mul(100).saturating_add(event.activity_id),
        }
    }

    fn seen_as(&self, view: &'static View) -> Self {
        OcsfEvent {
            event: self.event,
            cells: self.cells.clone(),
            view: Some(view),
            composed: (0..view.composed()).map(|_| OnceCell::new()).collect(),
            native: OnceCell::new(),
            type_uid: self.type_uid,
        }
    }

    /// The OCSF path behind a rule's name for a field: the first one that has a value.
    pub fn path_of(&self, name: &str) -> Option<String> {
        let Some(source) = self.view.and_then(|view| view.field(name)) else {
            return mapping::is_column(name).then(|| name.to_owned());
        };
        let paths = source.paths();
        let has = |path: &&&Path| self.values(path, &mut |_| false);
        paths.iter().find(has).or(paths.first()).map(|path| path.text().to_owned())
    }

    /// The way back: what the event holds, by its source's own names.
    pub fn to_native(&self) -> Map<String, Value> {
        let mut all = Map::new();
        for (name, _) in self.view.iter().flat_map(|view| view.fields()) {
            let mut values = Vec::new();
            self.field(name, &mut |value| {
                values.push(match value {
                    Scalar::Null => Value::Null,
                    Scalar::Bool(flag) => Value::from(flag),
                    Scalar::Integer(number) => Value::from(number),
                    Scalar::Float(number) => Value::from(number),
                    Scalar::Text(text) => Value::from(text),
                });
                true
            });
            match values.len() {
                0 => None,
                1 => all.insert(name.clone(), values.remove(0)),
                _ => all.insert(name.clone(), Value::from(values)),
            };
        }
        all
    }

    /// Every value at a path; whether there is one.
    fn values<'e>(&'e self, path: &'e Path, each: &mut dyn FnMut(Scalar<'e>) -> bool) -> bool {
        match path {
            Path::Column(column, _) => match self.cells.get(*column) {
                Some(Cell::Text(text)) => drop(each(Scalar::Text(text))),
                Some(Cell::Int(number)) => drop(each(Scalar::Integer(*number))),
                Some(Cell::Bool(flag)) => drop(each(Scalar::Bool(*flag))),
                Some(Cell::Json(value)) => drop(own_scalars(*value, 0, each)),
                Some(Cell::Null | Cell::Uuid(_)) | None => return false,
            },
            Path::Type => drop(each(Scalar::Integer(self.type_uid))),
            Path::Within(column, rest, _) => {
                let Some(Cell::Json(value)) = self.cells.get(*column) else { return false };
                return below(value, rest, each);
            }
            Path::Rest(path) => return self.in_rest(path, each),
            Path::Record(name) => return self.in_record(name, each),
        }
        true
    }

    fn in_rest<'e>(&'e self, path: &str, each: &mut dyn FnMut(Scalar<'e>) -> bool) -> bool {
        if let Some(value) = self.event.rest.get(path) {
            own_scalars(value, 0, each);
            return true;
        }
        let Some((first, rest)) = path.split_once('.') else { return false };
        self.event.rest.get(first).is_some_and(|value| below(value, rest, each))
    }

    /// A field of the record as it came, by its own name.
    fn in_record<'e>(&'e self, name: &str, each: &mut dyn FnMut(Scalar<'e>) -> bool) -> bool {
        let read = || audit::fields(self.event.raw.as_deref().unwrap_or_default());
        let mut any = false;
        for field in self.native.get_or_init(read).iter().filter(|field| field.key == name) {
            any = true;
            if !each(Scalar::Text(&field.value)) {
                break;
            }
        }
        any
    }

    fn source<'e>(
        &'e self,
        source: &'static Source,
        each: &mut dyn FnMut(Scalar<'e>) -> bool,
    ) -> bool {
        match source {
            Source::Path(path) => self.values(path, each),
            Source::Any(parts) => {
                let (mut any, mut go_on) = (false, true);
                for part in parts {
                    any |= go_on
                        && self.source(part, &mut |value| {
                            go_on = each(value);
                            go_on
                        });
                }
                any
            }
            Source::Is(text) => {
                each(Scalar::Text(text));
                true
            }
            Source::Composed(slot, recipe) => {
                let Some(slot) = self.composed.get(*slot) else { return false };
                match slot.get_or_init(|| recipe.cook(&|path| self.first(path), self.event)) {
                    Some(text) => {
                        each(Scalar::Text(text));
                        true
                    }
                    None => false,
                }
            }
        }
    }

    /// The first value at a path, as text.
    fn first(&self, path: &Path) -> Option<String> {
        let mut first = None;
        self.values(path, &mut |value| {
            first = value.text().map(std::borrow::Cow::into_owned);
            first.is_none()
        });
        first
    }
}

/// Values below an object's path, lists opened.
fn below<'e>(value: &'e Value, path: &str, each: &mut dyn FnMut(Scalar<'e>) -> bool) -> bool {
    let mut go_on = true;
    descend(value, path, 0, &mut |value| {
        go_on = go_on && own_scalars(value, 0, each);
        go_on
    })
}

impl Event for OcsfEvent<'_> {
    fn logsource(&self) -> &LogSource {
        const NONE: &LogSource = &LogSource { product: None, category: None, service: None };
        self.view.map_or(NONE, |view| &view.logsource)
    }

    fn field<'e>(&'e self, name: &str, each: &mut dyn FnMut(Scalar<'e>) -> bool) -> bool {
        let source = |name| self.view.and_then(|view| view.field(name));
        if let Some(source) = source(name).or_else(|| source(of_header(name)?)) {
            return self.source(source, each);
        }
        if let Some(path) = mapping::known(name) {
            return self.values(path, each);
        }
        if let Some((column, rest)) = mapping::within(name) {
            return match self.cells.get(column) {
                Some(Cell::Json(value)) => below(value, rest, each),
                _ => false,
            };
        }
        if self.in_rest(name, each) {
            return true;
        }
        let reads_record = self.view.is_some_and(|view| view.reads_record());
        if reads_record && self.in_record(name, each) {
            return true;
        }
        self.event.rest.get(UNMAPPED).is_some_and(|unmapped| below(unmapped, name, each))
    }

    fn every<'e>(&'e self, each: &mut dyn FnMut(&'e str, Scalar<'e>) -> bool) {
        for (column, cell) in COLUMNS.iter().zip(&self.cells) {
            if ENVELOPE.iter().any(|start| column.path.starts_with(start)) {
                continue;
            }
            let go_on = match cell {
                Cell::Text(text) => each(column.path, Scalar::Text(text)),
                Cell::Json(value) => scalars(column.path, *value, 0, each),
                // Numbers and flags are no words.
                Cell::Int(_) | Cell::Bool(_) | Cell::Null | Cell::Uuid(_) => true,
            };
            if !go_on {
                return;
            }
        }
        for (name, value) in self.event.rest.iter().filter(|(name, _)| *name != "metadata") {
            if !scalars(name, value, 0, each) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
