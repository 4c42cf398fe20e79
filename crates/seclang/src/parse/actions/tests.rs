use super::{Action, NAMES, parse};
use crate::rule::{
    Allow, AuditMode, BodyProcessor, Change, Control, Deed, Disruptive, EngineMode, IdRange, Phase,
    Piece, Sanitise, Severity, Text,
};
use crate::transform::Transformation;
use crate::variable::{Collection, Selector};

fn one(text: &str) -> Action {
    let mut actions = parse(text).unwrap();
    assert_eq!(actions.len(), 1, "{text}");
    actions.remove(0)
}

fn deed(text: &str) -> Deed {
    match one(text) {
        Action::Deed(deed) => deed,
        other => panic!("{other:?}"),
    }
}

fn control(text: &str) -> Control {
    match deed(text) {
        Deed::Control(control) => control,
        other => panic!("{other:?}"),
    }
}

fn wrong(text: &str) -> String {
    let problems = parse(text).unwrap_err();
    let told = problems.into_iter().map(|problem| {
        format!("`{}`: {}; {}", problem.subject, problem.problem, problem.hint.unwrap_or_default())
    });
    told.collect::<Vec<_>>().join("\n")
}

fn plain(text: &str) -> Text {
    Text::plain(text)
}

/// Every action of the manual: what it becomes, or `None` where it is refused.
fn manual() -> Vec<(&'static str, Option<Action>)> {
    let done = |deed| Some(Action::Deed(deed));
    let open = |collection, key| done(Deed::Open { collection, key: plain(key) });
    vec![
        ("accuracy:'9'", Some(Action::Accuracy(9))),
        ("allow", Some(Action::Disruptive(Disruptive::Allow(Allow::All)))),
        ("append:'x'", None),
        ("auditlog", Some(Action::AuditLog(true))),
        ("block", Some(Action::Block)),
        ("capture", Some(Action::Capture)),
        ("chain", Some(Action::Chain)),
        ("ctl:ruleEngine=Off", done(Deed::Control(Control::RuleEngine(EngineMode::Off)))),
        ("deny", Some(Action::Disruptive(Disruptive::Deny))),
        (
            "deprecatevar:session.score=60/300",
            done(Deed::Deprecate {
                collection: Collection::Session,
                name: plain("score"),
                amount: 60,
                seconds: 300,
            }),
        ),
        ("drop", Some(Action::Disruptive(Disruptive::Drop))),
        ("exec:/bin/x", None),
        (
            "expirevar:ip.seen=60",
            done(Deed::Expire {
                collection: Collection::Ip,
                name: plain("seen"),
                seconds: plain("60"),
            }),
        ),
        ("id:7", Some(Action::Id(7))),
        ("initcol:ip=x", open(Collection::Ip, "x")),
        ("log", Some(Action::Log(true))),
        ("logdata:'d'", Some(Action::LogData(plain("d")))),
        ("maturity:'9'", Some(Action::Maturity(9))),
        ("msg:'m, n'", Some(Action::Message(plain("m, n")))),
        ("multiMatch", Some(Action::MultiMatch)),
        ("noauditlog", Some(Action::AuditLog(false))),
        ("nolog", Some(Action::Log(false))),
        ("pass", Some(Action::Disruptive(Disruptive::Pass))),
        ("pause:5000", None),
        ("phase:3", Some(Action::Phase(Phase::ResponseHeaders))),
        ("prepend:'x'", None),
        ("proxy:'http://x/'", None),
        (
            "redirect:'http://x/?a=1,2'",
            Some(Action::Disruptive(Disruptive::Redirect(plain("http://x/?a=1,2")))),
        ),
        ("rev:'2'", Some(Action::Revision("2".to_owned()))),
        ("sanitiseArg:password", done(Deed::Sanitise(Sanitise::Argument("password".to_owned())))),
        ("sanitiseMatched", done(Deed::Sanitise(Sanitise::Matched))),
        ("sanitiseMatchedBytes:1/4", done(Deed::Sanitise(Sanitise::MatchedBytes))),
        (
            "sanitiseRequestHeader:Authorization",
            done(Deed::Sanitise(Sanitise::RequestHeader("Authorization".to_owned()))),
        ),
        (
            "sanitiseResponseHeader:Set-Cookie",
            done(Deed::Sanitise(Sanitise::ResponseHeader("Set-Cookie".to_owned()))),
        ),
        ("setenv:'a=b'", done(Deed::SetEnv { name: "a".to_owned(), value: plain("b") })),
        ("setrsc:x", open(Collection::Resource, "x")),
        ("setsid:x", open(Collection::Session, "x")),
        ("setuid:x", open(Collection::User, "x")),
        (
            "setvar:tx.a=b",
            done(Deed::Set {
                collection: Collection::Tx,
                name: plain("a"),
                change: Change::To(plain("b")),
            }),
        ),
        ("severity:'CRITICAL'", Some(Action::Severity(Severity::Critical))),
        ("skip:2", Some(Action::Skip(2))),
        ("skipAfter:END-X", Some(Action::SkipAfter("END-X".to_owned()))),
        ("status:403", Some(Action::Status(403))),
        ("t:lowercase", Some(Action::Transform(Some(Transformation::Lowercase)))),
        ("tag:'a/b'", Some(Action::Tag(plain("a/b")))),
        ("ver:'X/1'", Some(Action::Version("X/1".to_owned()))),
        ("xmlns:a='http://x/'", Some(Action::Namespace("a='http://x/'".to_owned()))),
    ]
}

#[test]
fn every_action_of_the_manual_is_done_or_refused() {
    let manual = manual();
    let names: Vec<&str> = manual.iter().map(|(text, _)| text.split(':').next().unwrap()).collect();
    assert_eq!(names, NAMES);
    for (text, expected) in manual {
        match expected {
            Some(expected) => assert_eq!(one(text), expected, "{text}"),
            None => assert!(!wrong(text).contains("unknown"), "{text}"),
        }
        let upper = text.split_once(':').map_or_else(
            || text.to_uppercase(),
            |(name, value)| format!("{}:{value}", name.to_uppercase()),
        );
        assert_eq!(parse(&upper).is_ok(), parse(text).is_ok(), "{upper}");
    }
}

#[test]
fn lists_are_split_at_commas_outside_quotes() {
    let actions = parse(" id:'1' , phase : 2,\tmsg:'it\\'s, \\d',tag:a\\,b,deny, ").unwrap();
    assert_eq!(
        actions,
        [
            Action::Id(1),
            Action::Phase(Phase::RequestBody),
            Action::Message(plain("it's, \\d")),
            Action::Tag(plain("a,b")),
            Action::Disruptive(Disruptive::Deny),
        ]
    );
    assert_eq!(one("msg:don't"), Action::Message(plain("don't")));
    assert_eq!(one("msg:\"a, 'b'\""), Action::Message(plain("a, 'b'")));
    assert_eq!(parse(""), Ok(vec![]));
}

#[test]
fn phases_and_severities_have_names() {
    for (name, phase) in [
        ("1", Phase::RequestHeaders),
        ("request", Phase::RequestBody),
        ("'Response'", Phase::ResponseBody),
        ("logging", Phase::Logging),
        ("5", Phase::Logging),
    ] {
        assert_eq!(one(&format!("phase:{name}")), Action::Phase(phase));
    }
    assert_eq!(one("severity:2"), Action::Severity(Severity::Critical));
    assert_eq!(one("severity:debug"), Action::Severity(Severity::Debug));
    assert_eq!(one("allow:phase"), Action::Disruptive(Disruptive::Allow(Allow::Phase)));
    assert_eq!(one("allow:request"), Action::Disruptive(Disruptive::Allow(Allow::Request)));
    assert_eq!(one("t:none"), Action::Transform(None));
}

#[test]
fn variables_are_set_in_five_ways() {
    let change = |text: &str| match deed(&format!("setvar:{text}")) {
        Deed::Set { change, .. } => change,
        other => panic!("{other:?}"),
    };
    assert_eq!(change("tx.a"), Change::To(plain("1")));
    assert_eq!(change("tx.a="), Change::To(Text::default()));
    assert_eq!(change("'tx.a=b=c,d'"), Change::To(plain("b=c,d")));
    assert_eq!(change("tx.a=-5"), Change::Subtract(plain("5")));
    assert_eq!(change("!tx.a"), Change::Remove);
    let score = Text {
        pieces: vec![Piece::Value(Collection::Tx, Some(b"critical_anomaly_score".to_vec()))],
    };
    assert_eq!(change("'tx.s=+%{tx.critical_anomaly_score}'"), Change::Add(score));
    let Deed::Set { name, .. } = deed("setvar:'tx.h_%{tx.0}=%{tx.0}'") else {
        panic!("something else")
    };
    assert_eq!(name.pieces.len(), 2);
}

#[test]
fn every_control_is_read() {
    let ids = |from, to| vec![IdRange { from, to }];
    let name = |name: &str| Selector::Name(name.as_bytes().to_vec());
    let tag = || "X/Y".to_owned();
    for (text, expected) in [
        ("ruleEngine=DetectionOnly", Control::RuleEngine(EngineMode::DetectionOnly)),
        ("auditEngine=RelevantOnly", Control::AuditEngine(AuditMode::RelevantOnly)),
        ("auditLogParts=+E", Control::AuditLogParts("+E".to_owned())),
        ("requestBodyAccess=On", Control::RequestBodyAccess(true)),
        ("responseBodyAccess=Off", Control::ResponseBodyAccess(false)),
        ("requestBodyProcessor=XML", Control::RequestBodyProcessor(BodyProcessor::Xml)),
        ("requestBodyProcessor=json", Control::RequestBodyProcessor(BodyProcessor::Json)),
        ("requestBodyProcessor=MULTIPART", Control::RequestBodyProcessor(BodyProcessor::Multipart)),
        ("responseBodyProcessor=RAW", Control::ResponseBodyProcessor(BodyProcessor::Raw)),
        ("requestBodyLimit=100", Control::RequestBodyLimit(100)),
        ("responseBodyLimit=100", Control::ResponseBodyLimit(100)),
        ("forceRequestBodyVariable=On", Control::ForceRequestBodyVariable(true)),
        ("forceResponseBodyVariable=On", Control::ForceResponseBodyVariable(true)),
        ("ruleRemoveById=1-5", Control::RemoveById(ids(1, 5))),
        ("ruleRemoveByTag=X/Y", Control::RemoveByTag(tag())),
        ("ruleRemoveByMsg=X/Y", Control::RemoveByMessage(tag())),
        (
            "ruleRemoveTargetById=7;ARGS:Token",
            Control::RemoveTargetById(ids(7, 7), Collection::Args, name("token")),
        ),
        (
            "ruleRemoveTargetByTag=X/Y;REQUEST_FILENAME",
            Control::RemoveTargetByTag(tag(), Collection::RequestFilename, Selector::All),
        ),
        (
            "ruleRemoveTargetByMsg=X/Y;ARGS:a",
            Control::RemoveTargetByMessage(tag(), Collection::Args, name("a")),
        ),
        ("responseBodyProcessor=XML", Control::ResponseBodyProcessor(BodyProcessor::Xml)),
        ("debugLogLevel=9", Control::DebugLogLevel),
        ("hashEngine=Off", Control::None),
        ("parseXmlIntoArgs=Off", Control::None),
    ] {
        assert_eq!(control(&format!("ctl:{text}")), expected, "{text}");
    }
    assert_eq!(
        control("ctl:'ruleRemoveById=1-5 7'"),
        Control::RemoveById(vec![IdRange { from: 1, to: 5 }, IdRange { from: 7, to: 7 }])
    );
    let Control::RemoveTargetById(_, _, Selector::Pattern(regex)) =
        control("ctl:'ruleRemoveTargetById=7;ARGS:/^a|b,c$/'")
    else {
        panic!("something else")
    };
    assert_eq!(regex.as_str(), "^a|b,c$");
}

#[test]
fn what_is_wrong_is_told() {
    for (text, expected) in [
        ("dney", "`dney`: unknown action; did you mean `deny`?"),
        ("deny:403", "`deny`: takes no value; write just `deny`"),
        ("id", "`id`: has no value; write `id:…`"),
        ("id:x", "`id`: `x` is no number that fits; write it in decimal digits"),
        ("phase:6", "`phase:6`: unknown phase; write 1 to 5, `request`, `response` or `logging`"),
        ("status:99", "`status:99`: no HTTP status; write one of three digits"),
        ("severity:CRITICL", "`severity:CRITICL`: unknown severity; did you mean `CRITICAL`?"),
        ("severity:8", "`severity:8`: unknown severity; write 0 to 7, or `EMERGENCY` to `DEBUG`"),
        ("msg:'a", "`msg`: the `'` is not closed; end the text with `'`"),
        (
            "msg:'it's'",
            "`msg`: text after the closing `'`; put a comma after it; within the text write `\\'`",
        ),
        ("msg:'%{X}'", "`%{X}`: unknown variable; did you mean `TX`?"),
        ("setvar:a=1", "`setvar:a`: no collection before the name; write `setvar:tx.a`"),
        (
            "setvar:args.a=1",
            "`setvar:args.a`: `args` cannot be written; write one of `tx`, `ip`, \
          `session`, `user`, `resource`, `global`",
        ),
        (
            "setvar:!tx.a=1",
            "`setvar:!tx.a=1`: both removes and sets; leave out the `!` or the `=…`",
        ),
        ("setvar:tx.=1", "`setvar:tx.`: no name; write `setvar:tx.name`"),
        ("expirevar:ip.a", "`expirevar:ip.a`: no number of seconds; write `expirevar:ip.name=60`"),
        ("deprecatevar:ip.a=1/0", "`deprecatevar:ip.a=1/0`: no time; write 1 second at least"),
        (
            "initcol:tx=a",
            "`initcol:tx=a`: no collection that lasts; name `ip`, `session`, `user`, \
          `resource` or `global`",
        ),
        ("setenv:a", "`setenv:a`: no name and value; write `setenv:NAME=value`"),
        ("sanitiseArg", "`sanitiseArg`: has no value; name what to hide: `sanitiseArg:password`"),
        (
            "sanitiseMatched:password",
            "`sanitiseMatched`: takes no value; write just `sanitiseMatched`",
        ),
        (
            "sanitiseMatchedBytes:4",
            "`sanitiseMatchedBytes`: `4` is not what to leave at both ends; write \
          `sanitiseMatchedBytes:1/4`, or no value",
        ),
        (
            "ctl:hashEngine=On",
            "`ctl:hashEngine`: can only be `Off`; leave it out: links are not signed",
        ),
        (
            "ctl:debugLogLevel=high",
            "`ctl:debugLogLevel`: `high` is no number that fits; write it in decimal digits",
        ),
        (
            "ctl:responseBodyProcessor=MULTIPART",
            "`ctl:responseBodyProcessor`: no answer is read as `MULTIPART`; write `JSON`, `XML` or `RAW`",
        ),
        ("ctl:ruleEngine", "`ctl:ruleEngine`: no `=` with a value; write `ctl:name=value`"),
        ("ctl:rulEngine=On", "`ctl:rulEngine`: unknown setting; did you mean `ruleEngine`?"),
        (
            "ctl:ruleEngine=Maybe",
            "`ctl:ruleEngine`: `maybe` is no mode; write `On`, `Off` or \
          `DetectionOnly`",
        ),
        (
            "ctl:ruleRemoveById=5-1",
            "`ctl:ruleRemoveById`: the range `5-1` is upside down; write \
          the smaller id first",
        ),
        (
            "ctl:ruleRemoveTargetById=5",
            "`ctl:ruleRemoveTargetById`: no `;` with a variable; write \
          `ctl:ruleRemoveTargetById=…;ARGS:name`",
        ),
        (
            "ctl:requestBodyProcessor=YAML",
            "`ctl:requestBodyProcessor`: unknown body processor \
          `YAML`; write `URLENCODED`, `MULTIPART`, `JSON`, `XML` or `RAW`",
        ),
        (
            "allow:all",
            "`allow:all`: unknown kind of `allow`; write `allow`, `allow:phase` or \
          `allow:request`",
        ),
        (
            ",,deny",
            "`,,deny`: no action before this; leave out the comma or colon that is too many",
        ),
        (
            "exec:/x",
            "`exec`: starts a process: never; leave it out; a playbook can react to the \
          finding",
        ),
        (
            "pass,nope,id:x",
            "`nope`: unknown action; see the reference manual's chapter \"Actions\"\n\
          `id`: `x` is no number that fits; write it in decimal digits",
        ),
    ] {
        assert_eq!(wrong(text), expected, "{text}");
    }
}
