//! What a rule may say and what does nothing here, told as notices: an unmodified configuration loads, and
//! nobody takes it for more than it is.

use super::Loader;
use super::elsewhere::DEBUG;
use super::settings::AUDIT_PARTS;
use crate::operator::Operator;
use crate::parse::Problem;
use crate::parse::actions::Action;
use crate::place::Place;
use crate::rule::{
    BodyProcessor, Change, Control, Deed, Disruptive, Link, Piece, Rule, Sanitise, Step, Text,
};
use crate::variable::{Collection, Selector};
use std::collections::BTreeSet;
use std::mem::discriminant;

/// What rules of the set fill, so that others can look at it.
#[derive(Default)]
struct Filled {
    /// By `initcol` and its like.
    opened: BTreeSet<Collection>,
    /// By `setenv`, in lower case.
    environment: BTreeSet<Vec<u8>>,
    /// Response bodies are read by these.
    answers_json: bool,
    answers_xml: bool,
}

impl Loader<'_> {
    /// Tells of actions and variables of the finished rules that do nothing.
    pub(super) fn tell_idle(&mut self, phases: &[Vec<Step>; 5]) {
        let rules = || {
            phases.iter().flatten().filter_map(|step| match step {
                Step::Rule(rule) => Some(rule.as_ref()),
                Step::Marker(_) => None,
            })
        };
        let mut filled = Filled::default();
        for deed in rules().flat_map(|rule| &rule.links).flat_map(|link| &link.deeds) {
            filled.note(deed);
        }
        for rule in rules() {
            let mut told: BTreeSet<(Place, String)> = BTreeSet::new();
            for link in &rule.links {
                for problem in of_link(rule, link, &filled) {
                    if told.insert((link.place.clone(), problem.subject.clone())) {
                        self.notice(&link.place, problem);
                    }
                }
            }
        }
    }

    /// Tells of actions that stand twice where one counts.
    pub(super) fn tell_repeated(&mut self, actions: &[Action], place: &Place) {
        for (at, action) in actions.iter().enumerate() {
            let once = match action {
                Action::Id(_)
                | Action::Phase(_)
                | Action::Status(_)
                | Action::Message(_)
                | Action::LogData(_)
                | Action::Severity(_)
                | Action::Revision(_)
                | Action::Version(_)
                | Action::Maturity(_)
                | Action::Accuracy(_)
                | Action::Skip(_)
                | Action::SkipAfter(_)
                | Action::Disruptive(_) => true,
                Action::Chain
                | Action::Block
                | Action::Log(_)
                | Action::AuditLog(_)
                | Action::Capture
                | Action::MultiMatch
                | Action::Tag(_)
                | Action::Transform(_)
                | Action::Deed(_)
                | Action::Namespace(_) => false,
            };
            let later = actions.get(at + 1..).unwrap_or_default();
            if once && later.iter().any(|other| discriminant(other) == discriminant(action)) {
                let problem = Problem::new(action.name(), "has no effect: another comes after it")
                    .hint("leave one of the two out");
                self.notice(place, problem);
            }
        }
    }
}

impl Filled {
    fn note(&mut self, deed: &Deed) {
        match deed {
            Deed::Open { collection, .. } => {
                self.opened.insert(*collection);
            }
            Deed::SetEnv { name, .. } => {
                self.environment.insert(name.to_ascii_lowercase().into_bytes());
            }
            Deed::Control(Control::ResponseBodyProcessor(processor)) => {
                self.answers_json |= *processor == BodyProcessor::Json;
                self.answers_xml |= *processor == BodyProcessor::Xml;
            }
            _ => {}
        }
    }

    /// Why a variable is always empty, if it is, and what to do.
    fn empty(&self, collection: Collection, name: Option<&[u8]>) -> Option<(String, &'static str)> {
        use Collection as C;
        let told = |why: &str, hint| Some((format!("is always empty: {why}"), hint));
        let opened = |collection| self.opened.contains(&collection);
        match collection {
            C::Geo => told("no lookup goes out", "match `REMOTE_ADDR` with `@ipMatch`"),
            C::Duration => told("the engine has no clock", "limit time at the gateway"),
            C::FilesTmpNames => {
                told("files are never written to disk", "look at `FILES_TMP_CONTENT`")
            }
            C::Env if name.is_some_and(|name| !self.environment.contains(name)) => {
                told("no rule sets it with `setenv`", "look at something else")
            }
            C::SessionId if !opened(C::Session) => told("no rule says `setsid`", OPEN),
            C::UserId if !opened(C::User) => told("no rule says `setuid`", OPEN),
            C::ResponseArgs if !self.answers_json => {
                told("no rule has answers read as JSON", "add `ctl:responseBodyProcessor=JSON`")
            }
            C::ResponseXml if !self.answers_xml => {
                told("no rule has answers read as XML", "add `ctl:responseBodyProcessor=XML`")
            }
            lasting if is_lasting(lasting) && !opened(lasting) => told("no rule opens it", OPEN),
            _ => None,
        }
    }
}

const OPEN: &str = "add `initcol`, `setsid`, `setuid` or `setrsc` to a rule before it";

fn is_lasting(collection: Collection) -> bool {
    collection.is_written_by_rules() && collection != Collection::Tx
}

fn of_link(rule: &Rule, link: &Link, filled: &Filled) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut look = |collection: Collection, name: Option<&[u8]>| {
        if let Some((why, hint)) = filled.empty(collection, name) {
            let subject = match name {
                Some(name) => format!("{}:{}", collection.name(), String::from_utf8_lossy(name)),
                None => collection.name().to_owned(),
            };
            problems.push(Problem::new(subject, why).hint(hint));
        }
    };
    for target in &link.targets {
        let name = match &target.selector {
            Selector::Name(name) => Some(name.as_slice()),
            Selector::All | Selector::Pattern(_) | Selector::Path(_) => None,
        };
        look(target.collection, name);
    }
    for piece in texts(rule, link).into_iter().flat_map(|text| &text.pieces) {
        if let Piece::Value(collection, name) = piece {
            look(*collection, name.as_deref());
        }
    }
    problems.extend(link.deeds.iter().filter_map(|deed| of_deed(deed, filled)));
    if let Some(test) = &link.test
        && takes_nothing(&test.operator)
        && let Some((name, argument)) = test.text.split_once(' ')
    {
        let problem = format!("`{argument}` has no effect: the operator takes no argument");
        problems.push(Problem::new(name, problem).hint("leave it out"));
    }
    problems
}

fn texts<'a>(rule: &'a Rule, link: &'a Link) -> Vec<&'a Text> {
    let mut texts: Vec<&Text> = [&link.message, &link.log_data].into_iter().flatten().collect();
    texts.extend(&rule.tags);
    texts.extend(link.test.as_ref().and_then(|test| crate::engine::argument(&test.operator)));
    if let Disruptive::Redirect(location) = &rule.disruptive {
        texts.push(location);
    }
    for deed in &link.deeds {
        match deed {
            Deed::Set { name, change, .. } => {
                texts.push(name);
                match change {
                    Change::To(text) | Change::Add(text) | Change::Subtract(text) => {
                        texts.push(text);
                    }
                    Change::Remove => {}
                }
            }
            Deed::Expire { name, seconds, .. } => texts.extend([name, seconds]),
            Deed::Deprecate { name, .. } => texts.push(name),
            Deed::Open { key, .. } => texts.push(key),
            Deed::SetEnv { value, .. } => texts.push(value),
            Deed::Control(_) | Deed::Sanitise(_) => {}
        }
    }
    texts
}

fn of_deed(deed: &Deed, filled: &Filled) -> Option<Problem> {
    let idle = |subject: &str, why: &str| Problem::new(subject, format!("has no effect: {why}"));
    let written = |action: &str, collection: Collection| {
        let subject = || format!("{action}:{}", collection.name().to_ascii_lowercase());
        (is_lasting(collection) && !filled.opened.contains(&collection))
            .then(|| idle(&subject(), "no rule opens the collection").hint(OPEN))
    };
    let passing = |action: &str, collection: Collection| {
        let ends = "TX ends with its transaction";
        (collection == Collection::Tx)
            .then(|| idle(action, ends).hint("use a collection that `initcol` opens"))
            .or_else(|| written(action, collection))
    };
    match deed {
        Deed::Set { collection, .. } => written("setvar", *collection),
        Deed::Expire { collection, .. } => passing("expirevar", *collection),
        Deed::Deprecate { collection, .. } => passing("deprecatevar", *collection),
        Deed::SetEnv { .. } => Some(
            Problem::new("setenv", "is seen by rules only, as `ENV`: nothing else is told of it")
                .hint("leave it out, unless rules look at it"),
        ),
        Deed::Sanitise(what) => Some(
            idle(sanitise_name(what), "what is kept of a request is protected by the gateway")
                .hint("leave it out; see the site's settings for secrets"),
        ),
        Deed::Control(Control::AuditLogParts(_)) => Some(idle("ctl:auditLogParts", AUDIT_PARTS)),
        Deed::Control(Control::DebugLogLevel) => Some(idle("ctl:debugLogLevel", DEBUG)),
        Deed::Open { .. } | Deed::Control(_) => None,
    }
}

fn sanitise_name(what: &Sanitise) -> &'static str {
    match what {
        Sanitise::Matched => "sanitiseMatched",
        Sanitise::MatchedBytes => "sanitiseMatchedBytes",
        Sanitise::Argument(_) => "sanitiseArg",
        Sanitise::RequestHeader(_) => "sanitiseRequestHeader",
        Sanitise::ResponseHeader(_) => "sanitiseResponseHeader",
    }
}

fn takes_nothing(operator: &Operator) -> bool {
    matches!(
        operator,
        Operator::DetectSqli
            | Operator::DetectXss
            | Operator::ValidateUrlEncoding
            | Operator::ValidateUtf8Encoding
            | Operator::UnconditionalMatch
            | Operator::NoMatch
    )
}
