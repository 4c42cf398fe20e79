//! A rule as it was understood: what the parser makes and the engine runs.

use crate::operator::Operator;
use crate::place::Place;
use crate::transform::Transformation;
use crate::variable::{Collection, Selector};

/// When a rule runs (reference manual, "Processing Phases").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    RequestHeaders = 1,
    RequestBody = 2,
    ResponseHeaders = 3,
    ResponseBody = 4,
    Logging = 5,
}

impl Phase {
    pub const ALL: [Self; 5] = [
        Self::RequestHeaders,
        Self::RequestBody,
        Self::ResponseHeaders,
        Self::ResponseBody,
        Self::Logging,
    ];
}

/// What stands between two rules, or is one: a phase's program.
#[derive(Clone, Debug)]
pub enum Step {
    Rule(Box<Rule>),
    /// Where `skipAfter` lands. A marker stands in every phase.
    Marker(String),
}

/// A rule: one link, or several that must all match.
#[derive(Clone, Debug)]
pub struct Rule {
    /// 0 when the rule has none (`SecAction` may).
    pub id: u64,
    pub place: Place,
    pub phase: Phase,
    /// The first is the starter; the others are its `chain`. Never empty.
    pub links: Vec<Link>,
    /// What happens when all links match, `SecDefaultAction` resolved: `block` is never here.
    pub disruptive: Disruptive,
    /// The rule says `block`, whatever that came to mean.
    pub blocks: bool,
    pub status: u16,
    pub log: bool,
    pub audit_log: bool,
    pub skip: u32,
    pub skip_after: Option<String>,
    pub severity: Option<Severity>,
    pub tags: Vec<Text>,
    pub revision: String,
    pub version: String,
    pub maturity: Option<u8>,
    pub accuracy: Option<u8>,
}

impl Rule {
    /// What the rule counts (`&ARGS:q`): collections and, where it is about one value, its name in lower case.
    pub fn counted(&self) -> impl Iterator<Item = (Collection, Option<&[u8]>)> {
        let targets = self.links.iter().flat_map(|link| &link.targets);
        targets.filter(|target| target.count).map(|target| match &target.selector {
            Selector::Name(name) => (target.collection, Some(name.as_slice())),
            Selector::All | Selector::Pattern(_) | Selector::Path(_) => (target.collection, None),
        })
    }
}

/// One `SecRule` or `SecAction`.
#[derive(Clone, Debug)]
pub struct Link {
    pub place: Place,
    /// What is looked at, in the order written. Empty for a `SecAction`.
    pub targets: Vec<Target>,
    /// `!COLLECTION:selector`: what is left out of all targets.
    pub excluded: Vec<(Collection, Selector)>,
    /// `SecAction` has none: it always matches.
    pub test: Option<Test>,
    /// `SecDefaultAction`'s and `t:none` resolved: just what is to be applied, in order.
    pub transformations: Vec<Transformation>,
    pub multi_match: bool,
    pub capture: bool,
    pub message: Option<Text>,
    pub log_data: Option<Text>,
    /// Done for each value that matches, whatever the rest of the chain says.
    pub deeds: Vec<Deed>,
}

#[derive(Clone, Debug)]
pub struct Test {
    pub operator: Operator,
    pub negated: bool,
    /// As written, for people: `@rx ^\d+$`.
    pub text: String,
}

/// One of a rule's variables.
#[derive(Clone, Debug)]
pub struct Target {
    pub collection: Collection,
    pub selector: Selector,
    /// `&`: the number of values instead of the values.
    pub count: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disruptive {
    Pass,
    Deny,
    Drop,
    Allow(Allow),
    /// `redirect:URL`.
    Redirect(Text),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allow {
    /// The rest of the transaction but phase 5.
    All,
    Phase,
    Request,
}

/// syslog's names and numbers, as the manual has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Emergency = 0,
    Alert = 1,
    Critical = 2,
    Error = 3,
    Warning = 4,
    Notice = 5,
    Info = 6,
    Debug = 7,
}

/// Text with `%{…}` in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    pub pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Literal(Vec<u8>),
    /// The first value of what it names, or nothing. `None` as name: a variable that has no parts.
    /// The name is in lower case.
    Value(Collection, Option<Vec<u8>>),
}

/// A non-disruptive action.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// `setvar:tx.a=…`, `=+…`, `=-…`, `!tx.a`.
    Set {
        collection: Collection,
        name: Text,
        change: Change,
    },
    /// `expirevar:ip.a=60`.
    Expire {
        collection: Collection,
        name: Text,
        seconds: Text,
    },
    /// `deprecatevar:session.score=60/300`.
    Deprecate {
        collection: Collection,
        name: Text,
        amount: u64,
        seconds: u64,
    },
    /// `initcol:ip=%{REMOTE_ADDR}`; `setsid`, `setuid`, `setrsc` are this with their collection.
    Open {
        collection: Collection,
        key: Text,
    },
    Control(Control),
    /// `setenv:NAME=value`: into ENV of this transaction only.
    SetEnv {
        name: String,
        value: Text,
    },
    /// `sanitiseArg`, `sanitiseMatched`…: of no effect, what is hidden is decided where evidence is protected.
    Sanitise(Sanitise),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    To(Text),
    Add(Text),
    Subtract(Text),
    Remove,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sanitise {
    Matched,
    MatchedBytes,
    Argument(String),
    RequestHeader(String),
    ResponseHeader(String),
}

/// `ctl:…`: changes this transaction's own settings.
#[derive(Clone, Debug, PartialEq)]
pub enum Control {
    RuleEngine(EngineMode),
    AuditEngine(AuditMode),
    /// `+E`, `-C`, `ABIJ`: as written. Of no effect: an entry has the parts that the event has.
    AuditLogParts(String),
    RequestBodyAccess(bool),
    ResponseBodyAccess(bool),
    RequestBodyProcessor(BodyProcessor),
    ResponseBodyProcessor(BodyProcessor),
    RequestBodyLimit(u64),
    ResponseBodyLimit(u64),
    /// REQUEST_BODY is filled even where a body processor ran.
    ForceRequestBodyVariable(bool),
    ForceResponseBodyVariable(bool),
    RemoveById(Vec<IdRange>),
    RemoveByTag(String),
    RemoveByMessage(String),
    RemoveTargetById(Vec<IdRange>, Collection, Selector),
    RemoveTargetByTag(String, Collection, Selector),
    RemoveTargetByMessage(String, Collection, Selector),
    /// Of no effect: logging is not the engine's.
    DebugLogLevel,
    /// `hashEngine=Off`, `parseXmlIntoArgs=Off`: asks for what is the case.
    None,
}

/// Rule ids, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    pub from: u64,
    pub to: u64,
}

impl IdRange {
    pub fn contains(self, id: u64) -> bool {
        (self.from..=self.to).contains(&id)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EngineMode {
    On,
    #[default]
    Off,
    DetectionOnly,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuditMode {
    On,
    #[default]
    Off,
    RelevantOnly,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyProcessor {
    UrlEncoded,
    Multipart,
    Json,
    Xml,
    /// The body as it came, in REQUEST_BODY.
    Raw,
}

impl Text {
    pub fn plain(text: impl Into<Vec<u8>>) -> Self {
        Self { pieces: vec![Piece::Literal(text.into())] }
    }

    /// The text when nothing in it is to be expanded.
    pub fn literal(&self) -> Option<&[u8]> {
        match self.pieces.as_slice() {
            [] => Some(b""),
            [Piece::Literal(text)] => Some(text),
            _ => None,
        }
    }
}
