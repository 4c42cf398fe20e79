//! A rule in plain words.

use crate::place::Place;
use crate::rule::{
    Allow, Change, Control, Deed, Disruptive, Link, Phase, Piece, Rule, Target, Text,
};
use crate::ruleset::RuleSet;
use crate::transform::Transformation;
use crate::variable::{Collection, Selector};
use serde::Serialize;

/// What a rule does, in words and as data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    pub id: u64,
    pub file: String,
    pub line: u32,
    /// 1 to 5.
    pub phase: u8,
    pub message: Option<String>,
    pub severity: Option<String>,
    /// CRS's tag `paranoia-level/…`.
    pub paranoia_level: Option<u8>,
    pub tags: Vec<String>,
    pub version: Option<String>,
    /// All must match; the second and later ones are `chain`.
    pub conditions: Vec<Condition>,
    /// What happens to the transaction.
    pub action: String,
    /// The rule says `block`: what that means is `SecDefaultAction`'s to say.
    pub blocks: bool,
    /// What changes for rules that come later.
    pub effects: Vec<String>,
    pub logged: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Condition {
    pub line: u32,
    pub targets: Vec<String>,
    pub left_out: Vec<String>,
    /// Done to each value first, in order.
    pub transformations: Vec<String>,
    /// As written. `None`: it always matches.
    pub test: Option<String>,
    pub negated: bool,
    /// The test in words.
    pub words: String,
}

/// Explains the rule with that id, if it is loaded.
pub fn explain(rules: &RuleSet, id: u64) -> Option<Explanation> {
    rules.rule(id).map(explained)
}

fn explained(rule: &Rule) -> Explanation {
    let Place { file, line } = &rule.place;
    let tags: Vec<String> = rule.tags.iter().map(written).collect();
    Explanation {
        id: rule.id,
        file: file.to_string(),
        line: *line,
        phase: rule.phase as u8,
        message: rule.links.iter().find_map(|link| link.message.as_ref()).map(written),
        severity: rule.severity.map(|severity| format!("{severity:?}").to_uppercase()),
        paranoia_level: tags
            .iter()
            .find_map(|tag| tag.strip_prefix("paranoia-level/")?.parse().ok()),
        tags,
        version: Some(rule.version.clone()).filter(|version| !version.is_empty()),
        conditions: rule.links.iter().map(condition).collect(),
        action: action(rule),
        blocks: rule.blocks,
        effects: rule.links.iter().flat_map(|link| &link.deeds).map(deed).collect(),
        logged: rule.log,
    }
}

/// The name of a phase in words.
pub fn phase_words(phase: Phase) -> &'static str {
    match phase {
        Phase::RequestHeaders => "when the request's headers are there",
        Phase::RequestBody => "when the request's body is there",
        Phase::ResponseHeaders => "when the response's headers are there",
        Phase::ResponseBody => "when the response's body is there",
        Phase::Logging => "when all is over",
    }
}

impl Explanation {
    /// Sentences, one a line.
    pub fn words(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let head = self.message.clone().unwrap_or_else(|| "no message".to_owned());
        lines.push(format!("rule {}: {head}", self.id));
        let phase = Phase::ALL.into_iter().find(|phase| *phase as u8 == self.phase);
        let level =
            self.paranoia_level.map(|level| format!(", at paranoia level {level} and above"));
        lines.push(format!(
            "runs in phase {}, {}{}",
            self.phase,
            phase.map_or("", phase_words),
            level.unwrap_or_default()
        ));
        for (number, condition) in self.conditions.iter().enumerate() {
            if number > 0 {
                lines.push(format!("and also (chain, line {})", condition.line));
            }
            if condition.test.is_none() {
                lines.push("matches always".to_owned());
                continue;
            }
            lines.push(format!("looks at {}", condition.targets.join(", ")));
            if !condition.left_out.is_empty() {
                lines.push(format!("leaves out {}", condition.left_out.join(", ")));
            }
            if !condition.transformations.is_empty() {
                lines.push(format!("after {}", condition.transformations.join(", ")));
            }
            lines.push(format!("matches when a value {}", condition.words));
        }
        let block = if self.blocks { " (the rule says `block`)" } else { "" };
        lines.push(format!("then {}{block}", self.action));
        lines.extend(self.effects.iter().map(|effect| format!("and {effect}")));
        if let Some(severity) = &self.severity {
            lines.push(format!("severity {severity}"));
        }
        lines.push(format!("written in {}:{}", self.file, self.line));
        lines
    }
}

fn condition(link: &Link) -> Condition {
    let test = link.test.as_ref();
    let negated = test.is_some_and(|test| test.negated);
    Condition {
        line: link.place.line,
        targets: link.targets.iter().map(target).collect(),
        left_out: link.excluded.iter().map(|(of, part)| selected(*of, part)).collect(),
        transformations: link.transformations.iter().copied().map(transformation).collect(),
        test: test.map(|test| test.text.clone()),
        negated,
        words: test.map_or_else(String::new, |test| in_words(&test.text, negated)),
    }
}

/// The test as half a sentence: `contains \`x\``.
fn in_words(text: &str, negated: bool) -> String {
    let bare = text.trim_start_matches('!').trim_start();
    let (operator, argument) = match bare.strip_prefix('@') {
        Some(named) => named.split_once(char::is_whitespace).unwrap_or((named, "")),
        None => ("rx", bare),
    };
    let argument = argument.trim();
    let (yes, no, has_argument) = match operator.to_ascii_lowercase().as_str() {
        "rx" | "rxglobal" => ("matches the pattern", "does not match the pattern", true),
        "pm" => ("contains one of the words", "contains none of the words", true),
        "pmf" | "pmfromfile" => {
            ("contains a phrase of the file", "contains no phrase of the file", true)
        }
        "beginswith" => ("begins with", "does not begin with", true),
        "endswith" => ("ends with", "does not end with", true),
        "contains" | "strmatch" => ("contains", "does not contain", true),
        "containsword" => ("contains the word", "does not contain the word", true),
        "streq" => ("is", "is not", true),
        "within" => ("is one of", "is none of", true),
        "eq" => ("is the number", "is not the number", true),
        "ge" => ("is at least", "is less than", true),
        "gt" => ("is more than", "is not more than", true),
        "le" => ("is at most", "is more than", true),
        "lt" => ("is less than", "is at least", true),
        "ipmatch" | "ipmatchf" | "ipmatchfromfile" => {
            ("is an address in", "is no address in", true)
        }
        "detectsqli" => {
            ("reads like an SQL injection", "does not read like an SQL injection", false)
        }
        "detectxss" => {
            ("reads like script injection", "does not read like script injection", false)
        }
        "validatebyterange" => ("has bytes outside", "has no bytes outside", true),
        "validateurlencoding" => ("is badly URL-encoded", "is not badly URL-encoded", false),
        "validateutf8encoding" => ("is not valid UTF-8", "is valid UTF-8", false),
        "unconditionalmatch" => ("is there", "is not there", false),
        "nomatch" => ("never matches", "is there", false),
        _ => ("matches", "does not match", false),
    };
    let words = if negated { no } else { yes };
    match (has_argument, yes) {
        (true, _) => format!("{words} `{argument}`"),
        (false, "matches") => format!("{words} `{bare}`"),
        (false, _) => words.to_owned(),
    }
}

fn action(rule: &Rule) -> String {
    let mut text = match &rule.disruptive {
        Disruptive::Pass => "the transaction goes on".to_owned(),
        Disruptive::Deny => format!("the transaction is refused with status {}", rule.status),
        Disruptive::Drop => "the connection is closed".to_owned(),
        Disruptive::Allow(Allow::All) => "no more rules look at the transaction".to_owned(),
        Disruptive::Allow(Allow::Phase) => "no more rules of this phase look at it".to_owned(),
        Disruptive::Allow(Allow::Request) => "no more rules look at the request".to_owned(),
        Disruptive::Redirect(location) => format!("the client is sent to `{}`", written(location)),
    };
    if rule.skip > 0 {
        text.push_str(&format!(", and the next {} rules are skipped", rule.skip));
    }
    if let Some(marker) = &rule.skip_after {
        text.push_str(&format!(", and rules up to the marker `{marker}` are skipped"));
    }
    text
}

fn deed(deed: &Deed) -> String {
    let named = |collection: &Collection, name: &Text| {
        format!("{}.{}", collection.name().to_ascii_lowercase(), written(name))
    };
    match deed {
        Deed::Set { collection, name, change } => {
            let name = named(collection, name);
            match change {
                Change::To(value) => format!("sets {name} to `{}`", written(value)),
                Change::Add(value) => format!("adds {} to {name}", written(value)),
                Change::Subtract(value) => format!("takes {} from {name}", written(value)),
                Change::Remove => format!("removes {name}"),
            }
        }
        Deed::Expire { collection, name, seconds } => {
            format!("forgets {} in {} seconds", named(collection, name), written(seconds))
        }
        Deed::Deprecate { collection, name, amount, seconds } => {
            format!("lets {} sink by {amount} every {seconds} seconds", named(collection, name))
        }
        Deed::Open { collection, key } => {
            format!("opens {} for `{}`", collection.name(), written(key))
        }
        Deed::SetEnv { name, value } => {
            format!("sets the environment's {name} to `{}`", written(value))
        }
        Deed::Sanitise(_) => "asks to hide values in the audit log, which has no effect: the gateway protects what is kept".to_owned(),
        Deed::Control(change) => format!("for this transaction, {}", control(change)),
    }
}

fn control(change: &Control) -> String {
    let ids = |ranges: &[crate::rule::IdRange]| {
        let one = |range: &crate::rule::IdRange| {
            if range.from == range.to {
                range.from.to_string()
            } else {
                format!("{} to {}", range.from, range.to)
            }
        };
        ranges.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    match change {
        Control::RuleEngine(mode) => format!("sets the rule engine to {mode:?}"),
        Control::AuditEngine(mode) => format!("sets the audit log to {mode:?}"),
        Control::RequestBodyAccess(on) => format!("{} the request's body", reads(*on)),
        Control::ResponseBodyAccess(on) => format!("{} the response's body", reads(*on)),
        Control::RequestBodyProcessor(kind) => format!("reads the request's body as {kind:?}"),
        Control::ResponseBodyProcessor(kind) => format!("reads the response's body as {kind:?}"),
        Control::RequestBodyLimit(bytes) => format!("reads {bytes} bytes of the request's body"),
        Control::ResponseBodyLimit(bytes) => format!("reads {bytes} bytes of the response's body"),
        Control::ForceRequestBodyVariable(_) => "fills REQUEST_BODY".to_owned(),
        Control::ForceResponseBodyVariable(_) => "fills RESPONSE_BODY".to_owned(),
        Control::RemoveById(ranges) => format!("leaves out rules {}", ids(ranges)),
        Control::RemoveByTag(tag) => format!("leaves out rules tagged `{tag}`"),
        Control::RemoveByMessage(message) => format!("leaves out rules that say `{message}`"),
        Control::RemoveTargetById(ranges, of, part) => {
            format!("hides {} from rules {}", selected(*of, part), ids(ranges))
        }
        Control::RemoveTargetByTag(tag, of, part) => {
            format!("hides {} from rules tagged `{tag}`", selected(*of, part))
        }
        Control::RemoveTargetByMessage(message, of, part) => {
            format!("hides {} from rules that say `{message}`", selected(*of, part))
        }
        Control::AuditLogParts(_) | Control::DebugLogLevel | Control::None => {
            "changes nothing here".to_owned()
        }
    }
}

fn reads(on: bool) -> &'static str {
    if on { "reads" } else { "does not read" }
}

fn target(target: &Target) -> String {
    let name = selected(target.collection, &target.selector);
    if target.count { format!("the number of {name}") } else { name }
}

fn selected(collection: Collection, selector: &Selector) -> String {
    let name = collection.name();
    match selector {
        Selector::All => name.to_owned(),
        Selector::Name(part) => format!("{name}:{}", String::from_utf8_lossy(part)),
        Selector::Pattern(pattern) => format!("{name}:/{}/", pattern.as_str()),
        Selector::Path(path) => format!("{name}:{}", path.text),
    }
}

/// `UrlDecodeUni` as rules write it.
fn transformation(of: Transformation) -> String {
    if of == Transformation::Utf8ToUnicode {
        return "utf8toUnicode".to_owned();
    }
    let name = format!("{of:?}");
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

/// Text as it stands in the rule.
fn written(text: &Text) -> String {
    let piece = |piece: &Piece| match piece {
        Piece::Literal(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Piece::Value(of, None) => format!("%{{{}}}", of.name()),
        Piece::Value(of, Some(name)) => {
            format!("%{{{}.{}}}", of.name().to_ascii_lowercase(), String::from_utf8_lossy(name))
        }
    };
    text.pieces.iter().map(piece).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::load::{Files, load};

    struct One(&'static str);

    impl Files for One {
        fn read(&self, _: &str) -> Result<Vec<u8>, String> {
            Ok(self.0.into())
        }

        fn matching(&self, _: &str) -> Vec<String> {
            Vec::new()
        }
    }

    const RULES: &str = r#"
SecRule ARGS|REQUEST_COOKIES:/^a/|!ARGS:safe "!@rx ^\d+$" \
    "id:7,phase:2,deny,status:406,t:none,t:urlDecodeUni,t:utf8toUnicode,msg:'not a number',\
    tag:'paranoia-level/2',severity:2,chain"
    SecRule &ARGS "@gt 3" "setvar:'tx.score=+%{tx.critical}',ctl:ruleRemoveById=8-9"
"#;

    #[test]
    fn what_has_no_effect_is_not_told_as_if_it_had() {
        let rules = load(&One("SecAction \"id:7,sanitiseArg:pin\""), &["my.conf"]).unwrap();
        let words = explain(&rules, 7).unwrap().words();
        let told = words.iter().find(|line| line.contains("hide")).unwrap();
        assert!(told.contains("has no effect"), "{told}");
        assert!(rules.notices.iter().any(|notice| notice.subject == "sanitiseArg"));
    }

    #[test]
    fn a_chain_is_told_in_plain_words() {
        let rules = load(&One(RULES), &["my.conf"]).unwrap();
        assert_eq!(explain(&rules, 8), None);
        assert_eq!(
            explain(&rules, 7).unwrap().words(),
            [
                "rule 7: not a number",
                "runs in phase 2, when the request's body is there, at paranoia level 2 and above",
                "looks at ARGS, REQUEST_COOKIES:/^a/",
                "leaves out ARGS:safe",
                "after urlDecodeUni, utf8toUnicode",
                "matches when a value does not match the pattern `^\\d+$`",
                "and also (chain, line 5)",
                "looks at the number of ARGS",
                "matches when a value is more than `3`",
                "then the transaction is refused with status 406",
                "and adds %{tx.critical} to tx.score",
                "and for this transaction, leaves out rules 8 to 9",
                "severity CRITICAL",
                "written in my.conf:2",
            ]
        );
    }
}
