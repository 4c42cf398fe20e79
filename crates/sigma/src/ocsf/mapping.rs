//! Mapping files: native names to OCSF, and which events are whose.

use super::OcsfEvent;
use crate::event::{Event, Scalar};
use crate::rule::LogSource;
use schema::{COLUMNS, ColumnKind, Diagnostic, Event as Ocsf};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

/// Files that come with the crate, in the order they are asked.
pub const MAPPINGS: &[(&str, &str)] = &[
    ("web.yml", include_str!("../../mappings/web.yml")),
    ("auth.yml", include_str!("../../mappings/auth.yml")),
    ("syslog.yml", include_str!("../../mappings/syslog.yml")),
    ("linux-audit.yml", include_str!("../../mappings/linux-audit.yml")),
    ("sysmon-linux.yml", include_str!("../../mappings/sysmon-linux.yml")),
    ("windows.yml", include_str!("../../mappings/windows.yml")),
    ("linux.yml", include_str!("../../mappings/linux.yml")),
    ("macos.yml", include_str!("../../mappings/macos.yml")),
    ("network.yml", include_str!("../../mappings/network.yml")),
    ("aws.yml", include_str!("../../mappings/aws.yml")),
    ("ocsf.yml", include_str!("../../mappings/ocsf.yml")),
];

/// The shipped mappings. That each file is sound is a test.
pub(super) fn all() -> &'static [Mapping] {
    static ALL: LazyLock<Vec<Mapping>> = LazyLock::new(|| {
        MAPPINGS.iter().filter_map(|(file, text)| Mapping::parse(file, text).ok()).collect()
    });
    &ALL
}

/// One source.
#[derive(Debug)]
pub struct Mapping {
    pub name: String,
    when: Conditions,
    not: Conditions,
    pub events: Vec<View>,
}

/// One kind of event of a source, and what its fields are called.
#[derive(Debug)]
pub struct View {
    pub logsource: LogSource,
    when: Conditions,
    not: Conditions,
    fields: HashMap<String, Source>,
    composed: usize,
    record: bool,
}

/// Where a field's values come from.
#[derive(Debug)]
pub enum Source {
    Path(Path),
    Any(Vec<Source>),
    Is(String),
    /// Made of others, and kept in the view's place of this number.
    Composed(usize, Recipe),
}

#[derive(Debug)]
pub enum Recipe {
    /// Values one after the other; what begins with `=` stands between two that are there.
    Join(Vec<Piece>),
    Words(Path, BTreeMap<String, String>),
    /// `SHA256=…,MD5=…` of a list of OCSF fingerprints.
    Hashes(String),
    /// The value of a header.
    Header {
        name: String,
        of: String,
    },
    /// What stands behind the last dot of a path's last part.
    Extension(Path),
}

#[derive(Debug)]
pub enum Piece {
    Path(Path),
    Between(String),
}

/// A place in an event, found once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path {
    Column(usize, &'static str),
    /// `type_uid`, which is no column.
    Type,
    /// Below a column of JSON: what is looked for there, and the whole path.
    Within(usize, String, String),
    Rest(String),
    Record(String),
}

/// Every path has to hold one of its values, letter case aside; `*` may end or begin one.
type Conditions = Vec<(Path, Vec<String>)>;

impl Path {
    fn of(text: &str) -> Path {
        if text == "type_uid" {
            return Path::Type;
        }
        if let Some(name) = text.strip_prefix("record.") {
            return Path::Record(name.to_owned());
        }
        if let Some(path) = known(text) {
            return path.clone();
        }
        match within(text) {
            Some((column, rest)) => Path::Within(column, rest.to_owned(), text.to_owned()),
            None => Path::Rest(text.to_owned()),
        }
    }

    pub fn text(&self) -> &str {
        match self {
            Path::Column(_, path) => path,
            Path::Type => "type_uid",
            Path::Within(_, _, path) | Path::Rest(path) | Path::Record(path) => path,
        }
    }
}

/// The column at this path.
pub(super) fn known(text: &str) -> Option<&'static Path> {
    static BY_PATH: LazyLock<HashMap<&'static str, Path>> = LazyLock::new(|| {
        let columns = COLUMNS.iter().enumerate();
        let mut all: HashMap<&'static str, Path> = columns
            .map(|(number, column)| (column.path, Path::Column(number, column.path)))
            .collect();
        all.insert("type_uid", Path::Type);
        all
    });
    BY_PATH.get(text)
}

pub(super) fn is_column(text: &str) -> bool {
    known(text).is_some()
}

/// The column of JSON that a path leads into.
pub(super) fn within(text: &str) -> Option<(usize, &str)> {
    COLUMNS.iter().enumerate().filter(|(_, column)| column.kind == ColumnKind::Json).find_map(
        |(number, column)| Some((number, text.strip_prefix(column.path)?.strip_prefix('.')?)),
    )
}

impl Source {
    /// The OCSF paths it is made of.
    pub fn paths(&self) -> Vec<&Path> {
        match self {
            Source::Path(path)
            | Source::Composed(_, Recipe::Words(path, _) | Recipe::Extension(path)) => vec![path],
            Source::Any(parts) => parts.iter().flat_map(Source::paths).collect(),
            Source::Composed(_, Recipe::Join(pieces)) => pieces
                .iter()
                .filter_map(|piece| match piece {
                    Piece::Path(path) => Some(path),
                    Piece::Between(_) => None,
                })
                .collect(),
            Source::Is(_) | Source::Composed(..) => Vec::new(),
        }
    }
}

impl Recipe {
    pub(super) fn cook(
        &self,
        first: &dyn Fn(&Path) -> Option<String>,
        event: &Ocsf,
    ) -> Option<String> {
        match self {
            Recipe::Join(pieces) => {
                let (mut text, mut between) = (String::new(), "");
                for piece in pieces {
                    match piece {
                        Piece::Between(words) => between = words,
                        Piece::Path(path) => {
                            let value = first(path).unwrap_or_default();
                            if !text.is_empty() && !value.is_empty() {
                                text.push_str(between);
                            }
                            text.push_str(&value);
                            between = "";
                        }
                    }
                }
                (!text.is_empty()).then_some(text)
            }
            Recipe::Words(path, words) => words.get(&first(path)?).cloned(),
            Recipe::Hashes(path) => {
                let list = at(event, path)?.as_array()?;
                let one = |hash: &serde_json::Value| {
                    let name = hash.get("algorithm").and_then(serde_json::Value::as_str);
                    let name = name.or(match hash.get("algorithm_id")?.as_i64()? {
                        1 => Some("MD5"),
                        2 => Some("SHA1"),
                        3 => Some("SHA256"),
                        4 => Some("SHA512"),
                        _ => None,
                    })?;
                    let value = hash.get("value")?.as_str()?;
                    Some(format!("{}={value}", name.to_ascii_uppercase().replace('-', "")))
                };
                let all: Vec<String> = list.iter().filter_map(one).collect();
                (!all.is_empty()).then(|| all.join(","))
            }
            Recipe::Header { name, of } => {
                let headers = match of.as_str() {
                    "http_response.http_headers" => event.response_headers.as_ref(),
                    _ => event.request_headers.as_ref(),
                };
                let wanted = headers?.as_array()?.iter().find(|header| {
                    let own = header.get("name").and_then(serde_json::Value::as_str);
                    own.is_some_and(|own| own.eq_ignore_ascii_case(name))
                });
                wanted?.get("value")?.as_str().map(str::to_owned)
            }
            Recipe::Extension(path) => {
                let path = first(path)?;
                let name = path.rsplit('/').next()?;
                name.rsplit_once('.').map(|(_, extension)| extension.to_owned())
            }
        }
    }
}

/// A value beyond the columns.
fn at<'e>(event: &'e Ocsf, path: &str) -> Option<&'e serde_json::Value> {
    let mut parts = path.split('.');
    let first = event.rest.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.get(part))
}

impl Mapping {
    /// The views that an event has in this source.
    pub(super) fn views(&'static self, event: &OcsfEvent<'_>) -> Vec<&'static View> {
        let is_ours = holds(&self.when, event, true) && !holds(&self.not, event, false);
        if !is_ours {
            return Vec::new();
        }
        let fits = |view: &&View| holds(&view.when, event, true) && !holds(&view.not, event, false);
        self.events.iter().filter(fits).collect()
    }

    /// Reads a mapping file.
    pub fn parse(file: &str, text: &str) -> Result<Mapping, Diagnostic> {
        let wrong = |message: String| {
            Diagnostic::new("mapping-invalid", file, message)
                .hint("the files beside it show the form")
        };
        let read: File = serde_saphyr::from_str(text).map_err(|error| {
            let told = error.to_string();
            wrong(told.lines().next().unwrap_or("not YAML").to_owned())
        })?;
        let record = match read.record.as_deref() {
            None => false,
            Some("audit") => true,
            Some(other) => return Err(wrong(format!("`record: {other}` is not known"))),
        };
        let mut events = Vec::new();
        for event in read.events {
            let mut composed = 0;
            let mut fields = HashMap::new();
            for (name, written) in read.fields.iter().chain(&event.fields) {
                let source = written
                    .source(&mut composed)
                    .map_err(|why| wrong(format!("field `{name}`: {why}")))?;
                fields.insert(name.clone(), source);
            }
            events.push(View {
                logsource: event.logsource,
                when: conditions(event.when),
                not: conditions(event.not),
                fields,
                composed,
                record,
            });
        }
        let (when, not) = (conditions(read.when), conditions(read.not));
        Ok(Mapping { name: read.name, when, not, events })
    }
}

impl View {
    pub fn field(&self, name: &str) -> Option<&Source> {
        self.fields.get(name)
    }

    pub fn fields(&self) -> impl Iterator<Item = (&String, &Source)> {
        self.fields.iter()
    }

    pub(super) fn composed(&self) -> usize {
        self.composed
    }

    pub(super) fn reads_record(&self) -> bool {
        self.record
    }

    /// Native names for an OCSF path, for output.
    pub fn names_of(&self, path: &str) -> Vec<&str> {
        let is = |source: &Source| source.paths().iter().any(|own| own.text() == path);
        let mut names: Vec<&str> = self
            .fields
            .iter()
            .filter(|(_, source)| is(source))
            .map(|(name, _)| name.as_str())
            .collect();
        names.sort_unstable();
        names
    }
}

/// All conditions hold, or one of them.
fn holds(conditions: &Conditions, event: &OcsfEvent<'_>, all: bool) -> bool {
    let one = |(path, wanted): &(Path, Vec<String>)| {
        let mut found = false;
        event.field(path.text(), &mut |value: Scalar<'_>| {
            found = value.text().is_some_and(|text| wanted.iter().any(|w| fits(w, &text)));
            !found
        });
        found
    };
    match all {
        true => conditions.iter().all(one),
        false => conditions.iter().any(one),
    }
}

fn fits(wanted: &str, text: &str) -> bool {
    let same = |start: Option<&str>, wanted: &str| {
        start.is_some_and(|start| start.eq_ignore_ascii_case(wanted))
    };
    if let Some(start) = wanted.strip_suffix('*') {
        same(text.get(..start.len()), start)
    } else if let Some(end) = wanted.strip_prefix('*') {
        same(text.len().checked_sub(end.len()).and_then(|from| text.get(from..)), end)
    } else {
        text.eq_ignore_ascii_case(wanted)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    #[serde(default)]
    when: BTreeMap<String, Vec<Word>>,
    #[serde(default)]
    not: BTreeMap<String, Vec<Word>>,
    #[serde(default)]
    record: Option<String>,
    events: Vec<Events>,
    #[serde(default)]
    fields: BTreeMap<String, Written>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Events {
    #[serde(default)]
    when: BTreeMap<String, Vec<Word>>,
    #[serde(default)]
    not: BTreeMap<String, Vec<Word>>,
    logsource: LogSource,
    #[serde(default)]
    fields: BTreeMap<String, Written>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Word {
    Number(i64),
    Text(String),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Path(String),
    Any(Vec<Written>),
    Made(Made),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Made {
    is: Option<String>,
    join: Option<Vec<String>>,
    path: Option<String>,
    words: Option<BTreeMap<String, String>>,
    hashes: Option<String>,
    header: Option<String>,
    of: Option<String>,
    extension: Option<String>,
}

impl Written {
    fn source(&self, composed: &mut usize) -> Result<Source, String> {
        let made = match self {
            Written::Path(path) => return Ok(Source::Path(Path::of(path))),
            Written::Any(parts) => {
                let parts: Result<_, _> = parts.iter().map(|part| part.source(composed)).collect();
                return parts.map(Source::Any);
            }
            Written::Made(made) => made,
        };
        let recipe = match made {
            Made { is: Some(text), .. } => return Ok(Source::Is(text.clone())),
            Made { join: Some(pieces), .. } => Recipe::Join(
                pieces
                    .iter()
                    .map(|piece| match piece.strip_prefix('=') {
                        Some(words) => Piece::Between(words.to_owned()),
                        None => Piece::Path(Path::of(piece)),
                    })
                    .collect(),
            ),
            Made { path: Some(path), words: Some(words), .. } => {
                Recipe::Words(Path::of(path), words.clone())
            }
            Made { hashes: Some(path), .. } => Recipe::Hashes(path.clone()),
            Made { header: Some(name), of: Some(of), .. } => {
                Recipe::Header { name: name.clone(), of: of.clone() }
            }
            Made { extension: Some(path), .. } => Recipe::Extension(Path::of(path)),
            _ => {
                return Err("is none of a path, a list, `is`, `join`, `path` with `words`, `hashes`, `header` with `of` and `extension`".to_owned());
            }
        };
        let slot = *composed;
        *composed += 1;
        Ok(Source::Composed(slot, recipe))
    }
}

fn conditions(written: BTreeMap<String, Vec<Word>>) -> Conditions {
    let text = |word: Word| match word {
        Word::Number(number) => number.to_string(),
        Word::Text(text) => text,
    };
    written
        .into_iter()
        .map(|(path, words)| (Path::of(&path), words.into_iter().map(text).collect()))
        .collect()
}
