use super::{loaded, rule};
use crate::rule::{Allow, Disruptive, Phase, Severity, Step, Text};
use crate::transform::Transformation;

fn disruptive(text: &str) -> (Disruptive, bool, u16) {
    let rule = rule(text);
    (rule.disruptive, rule.blocks, rule.status)
}

fn logs(text: &str) -> (bool, bool) {
    let rule = rule(text);
    (rule.log, rule.audit_log)
}

fn transformations(text: &str) -> Vec<Transformation> {
    rule(text).links.first().map(|link| link.transformations.clone()).unwrap_or_default()
}

#[test]
fn a_rule_is_what_was_written() {
    let rule = rule(
        "\n# greeting\nSecRule ARGS|!ARGS:ok \"!@contains evil\" \\\n  \"id:10,phase:1,deny,status:406,\\\n  \
         capture,multiMatch,msg:'m',logdata:'d',severity:2,tag:'a',tag:'b',rev:'1',ver:'V',\\\n  \
         maturity:3,accuracy:4,skip:5,skipAfter:END,setvar:tx.a=1,setvar:tx.b=2,t:none,t:lowercase\"\n\
         SecMarker END\n",
    );
    assert_eq!((rule.id, rule.place.line, rule.phase), (10, 3, Phase::RequestHeaders));
    assert_eq!((rule.disruptive, rule.blocks, rule.status), (Disruptive::Deny, false, 406));
    assert_eq!((rule.skip, rule.skip_after.as_deref()), (5, Some("END")));
    assert_eq!(rule.severity, Some(Severity::Critical));
    assert_eq!(rule.tags, [Text::plain("a"), Text::plain("b")]);
    assert_eq!((rule.revision.as_str(), rule.version.as_str()), ("1", "V"));
    assert_eq!((rule.maturity, rule.accuracy), (Some(3), Some(4)));
    let link = rule.links.first().unwrap();
    assert_eq!((link.targets.len(), link.excluded.len(), link.deeds.len()), (1, 1, 2));
    assert!(link.capture && link.multi_match);
    assert_eq!(link.message, Some(Text::plain("m")));
    assert_eq!(link.log_data, Some(Text::plain("d")));
    assert_eq!(link.transformations, [Transformation::Lowercase]);
    let test = link.test.as_ref().unwrap();
    assert_eq!((test.negated, test.text.as_str()), (true, "!@contains evil"));
}

#[test]
fn an_operator_may_be_left_out() {
    let text = |operator: &str| {
        let rule = rule(&format!("SecRule ARGS {operator} id:1"));
        rule.links
            .first()
            .and_then(|link| link.test.as_ref())
            .map(|test| test.text.clone())
            .unwrap()
    };
    assert_eq!(text("^a$"), "@rx ^a$");
    assert_eq!(text("\"!a b\""), "!@rx a b");
    assert_eq!(text("@unconditionalMatch"), "@unconditionalMatch");
    assert_eq!(text("\"! @eq 0\""), "!@eq 0");
    assert_eq!(text("'@rx \"'"), "@rx \"");
    assert_eq!(text(r#""@rx \"a\d\\\"""#), r#"@rx "a\d\\""#);
}

#[test]
fn a_rule_without_a_phase_runs_in_the_second() {
    assert_eq!(rule("SecRule ARGS a id:1").phase, Phase::RequestBody);
    assert_eq!(rule("SecAction id:1,phase:logging").phase, Phase::Logging);
    assert!(rule("SecAction id:1").links.iter().all(|link| link.test.is_none()));
}

#[test]
fn block_is_what_the_default_of_its_phase_says() {
    let blocks = "SecRule ARGS a id:1,phase:2,block";
    let default = "SecDefaultAction phase:2,deny,status:418";
    assert_eq!(disruptive(blocks), (Disruptive::Pass, true, 403));
    // Defaults hold for rules before them too, as in ModSecurity v3.
    for text in [format!("{default}\n{blocks}"), format!("{blocks}\n{default}")] {
        assert_eq!(disruptive(&text), (Disruptive::Deny, true, 418));
    }
    let elsewhere = format!("SecDefaultAction phase:1,drop\n{blocks}");
    assert_eq!(disruptive(&elsewhere), (Disruptive::Pass, true, 403));
    let own = format!("{default}\nSecRule ARGS a id:1,phase:2,drop,status:500");
    assert_eq!(disruptive(&own), (Disruptive::Drop, false, 500));
    // Not the default's: that is for `block` alone.
    let none = format!("{default}\nSecRule ARGS a id:1,phase:2");
    assert_eq!(disruptive(&none), (Disruptive::Pass, false, 418));
    assert_eq!(disruptive("SecAction id:1,deny,pass").0, Disruptive::Pass);
    assert_eq!(disruptive("SecAction id:1,allow:phase").0, Disruptive::Allow(Allow::Phase));
}

#[test]
fn a_redirect_answers_with_a_redirect() {
    let redirect = Disruptive::Redirect(Text::plain("http://a/"));
    let of = |more: &str| disruptive(&format!("SecAction \"id:1,redirect:'http://a/'{more}\""));
    assert_eq!(of(""), (redirect.clone(), false, 302));
    assert_eq!(of(",status:307"), (redirect.clone(), false, 307));
    assert_eq!(of(",status:403"), (redirect, false, 302));
}

#[test]
fn logging_follows_default_and_rule() {
    assert_eq!(logs("SecAction id:1"), (true, true));
    assert_eq!(logs("SecAction id:1,nolog"), (false, false));
    assert_eq!(logs("SecAction id:1,nolog,auditlog"), (false, true));
    assert_eq!(logs("SecAction id:1,noauditlog"), (true, false));
    let quiet = "SecDefaultAction phase:2,nolog,pass\n";
    assert_eq!(logs(&format!("{quiet}SecAction id:1")), (false, false));
    assert_eq!(logs(&format!("{quiet}SecAction id:1,log,auditlog")), (true, true));
}

#[test]
fn transformations_follow_default_and_rule() {
    use Transformation::{Lowercase, UrlDecode};
    let default = "SecDefaultAction phase:2,pass,t:urlDecode\n";
    assert_eq!(transformations("SecAction id:1,t:lowercase,t:none,t:urlDecode"), [UrlDecode]);
    let after = format!("{default}SecAction id:1,t:lowercase");
    assert_eq!(transformations(&after), [UrlDecode, Lowercase]);
    let instead = format!("{default}SecAction id:1,t:none,t:lowercase");
    assert_eq!(transformations(&instead), [Lowercase]);
}

#[test]
fn a_default_may_tag() {
    let rule = rule("SecDefaultAction \"phase:2,pass,tag:'d'\"\nSecAction id:1,tag:own");
    assert_eq!(rule.tags, [Text::plain("own"), Text::plain("d")]);
}

#[test]
fn a_chain_is_one_rule() {
    let rules = loaded(
        "SecRule ARGS a \"id:1,phase:1,deny,chain,msg:'first',setvar:tx.a=1\"\n\
         SecAction \"chain,capture,setvar:tx.b=1\"\n\
         SecRule FILES b \"msg:'last',severity:3,tag:'t',skipAfter:X,t:lowercase\"\n\
         SecRule ARGS a id:2,phase:1\nSecMarker X",
    );
    assert_eq!(rules.len(), 2);
    let rule = rules.rule(1).unwrap();
    assert_eq!(rule.links.iter().map(|link| link.place.line).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(rule.links.iter().map(|link| link.deeds.len()).collect::<Vec<_>>(), [1, 1, 0]);
    assert_eq!((rule.phase, &rule.disruptive), (Phase::RequestHeaders, &Disruptive::Deny));
    // What only a link says holds for the rule.
    assert_eq!(rule.severity, Some(Severity::Error));
    assert_eq!(rule.tags, [Text::plain("t")]);
    assert_eq!(rule.skip_after.as_deref(), Some("X"));
}

#[test]
fn the_starter_of_a_chain_has_the_last_word() {
    let rule = rule(
        "SecRule ARGS a \"id:1,chain,severity:2,log,auditlog,status:400\"\n\
         SecRule ARGS b \"severity:5,nolog,status:500\"",
    );
    assert_eq!(rule.severity, Some(Severity::Critical));
    assert_eq!((rule.log, rule.audit_log, rule.status), (true, true, 400));
}

#[test]
fn markers_stand_in_every_phase_in_order() {
    let rules = loaded("SecAction id:1,phase:1\nSecMarker \"A B\"\nSecAction id:2,phase:1\n");
    let shown: Vec<Vec<String>> = rules
        .phases
        .iter()
        .map(|steps| {
            steps
                .iter()
                .map(|step| match step {
                    Step::Rule(rule) => rule.id.to_string(),
                    Step::Marker(name) => name.clone(),
                })
                .collect()
        })
        .collect();
    let marker = vec!["A B".to_owned()];
    let first = vec!["1".to_owned(), "A B".to_owned(), "2".to_owned()];
    assert_eq!(shown, [first, marker.clone(), marker.clone(), marker.clone(), marker]);
}

#[test]
fn a_rule_set_is_asked_by_id() {
    let rules = loaded("SecAction id:7,phase:5\nSecAction id:3,phase:1");
    assert_eq!(rules.rules().map(|rule| rule.id).collect::<Vec<_>>(), [3, 7]);
    assert_eq!(rules.rule(7).map(|rule| rule.phase), Some(Phase::Logging));
    assert!(rules.rule(8).is_none());
    assert!(!rules.is_empty() && loaded("").is_empty());
}
