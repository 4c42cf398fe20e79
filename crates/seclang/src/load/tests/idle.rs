//! What a rule says and what does nothing: told, each with a near miss that is not.

use super::notices;

/// The subjects of the notices.
fn told(text: &str) -> Vec<String> {
    let lines = notices(text);
    let subject = |line: &str| line.split('`').nth(1).unwrap_or_default().to_owned();
    lines.lines().filter(|line| line.contains(": `")).map(subject).collect()
}

#[test]
fn an_action_that_does_nothing_is_told() {
    for (actions, subject) in [
        ("sanitiseArg:password", "sanitiseArg"),
        ("sanitizeMatched", "sanitiseMatched"),
        ("sanitiseMatchedBytes:1/4", "sanitiseMatchedBytes"),
        ("sanitiseRequestHeader:Authorization", "sanitiseRequestHeader"),
        ("sanitiseResponseHeader:Set-Cookie", "sanitiseResponseHeader"),
        ("setenv:a=b", "setenv"),
        ("ctl:auditLogParts=+E", "ctl:auditLogParts"),
        ("ctl:debugLogLevel=3", "ctl:debugLogLevel"),
        ("setvar:ip.a=1", "setvar:ip"),
        ("expirevar:ip.a=60", "expirevar:ip"),
        ("expirevar:tx.a=60", "expirevar"),
        ("deprecatevar:tx.a=1/60", "deprecatevar"),
        ("severity:2,severity:3", "severity"),
        ("pass,deny", "pass"),
        ("msg:a,msg:b", "msg"),
    ] {
        assert_eq!(told(&format!("SecAction \"id:1,{actions}\"")), [subject], "{actions}");
    }
    for actions in [
        "initcol:ip=%{REMOTE_ADDR},setvar:ip.a=1,expirevar:ip.a=60,deprecatevar:ip.a=1/60",
        "setvar:tx.a=1,setvar:tx.a=2,tag:a,tag:b,t:none,t:lowercase",
        "nolog,auditlog,block,status:404",
        "ctl:auditEngine=Off,ctl:hashEngine=Off,ctl:parseXmlIntoArgs=Off",
    ] {
        assert_eq!(notices(&format!("SecAction \"id:1,{actions}\"")), "", "{actions}");
    }
    assert_eq!(
        notices("SecAction \"id:1,ctl:debugLogLevel=3\""),
        "rules.conf:1: `ctl:debugLogLevel`: has no effect: logging is configured with the gateway"
    );
}

#[test]
fn what_a_link_cannot_say_is_told() {
    let chain = |more: &str| {
        format!("SecRule ARGS a \"id:1,chain\"\nSecRule ARGS b \"setvar:tx.a=1{more}\"")
    };
    assert_eq!(told(&chain(",ver:A,rev:1,maturity:1")), ["ver", "rev", "maturity"]);
    assert_eq!(notices(&chain(",severity:2,tag:a,t:none")), "");
}

#[test]
fn a_variable_that_is_always_empty_is_told() {
    for (rule, subject) in [
        ("SecRule GEO:COUNTRY_CODE a id:1", "GEO:country_code"),
        ("SecRule DURATION \"@gt 5\" id:1", "DURATION"),
        ("SecRule FILES_TMPNAMES a id:1", "FILES_TMPNAMES"),
        ("SecRule ENV:home a id:1", "ENV:home"),
        ("SecRule IP:count \"@gt 5\" id:1", "IP:count"),
        ("SecRule SESSIONID a id:1", "SESSIONID"),
        ("SecRule RESPONSE_ARGS a id:1,phase:4", "RESPONSE_ARGS"),
        ("SecRule RESPONSE_XML:/* a id:1,phase:4", "RESPONSE_XML"),
        ("SecAction id:1,msg:'%{geo.country_code}'", "GEO:country_code"),
        ("SecRule ARGS \"@streq %{session.token}\" id:1", "SESSION:token"),
    ] {
        assert_eq!(told(rule), [subject], "{rule}");
    }
    for rules in [
        "SecAction id:1,setenv:home=a\nSecRule ENV:HOME a id:2",
        "SecAction id:1,initcol:ip=a\nSecRule IP:count \"@gt 5\" id:2",
        "SecAction id:1,setsid:a\nSecRule SESSIONID a id:2",
        "SecAction id:1,ctl:responseBodyProcessor=JSON\nSecRule RESPONSE_ARGS a id:2,phase:4",
        "SecRule TX:never|REMOTE_USER|AUTH_TYPE a id:1",
    ] {
        assert!(!notices(rules).contains("is always empty"), "{rules}: {}", notices(rules));
    }
}

#[test]
fn an_argument_that_nothing_looks_at_is_told() {
    assert_eq!(
        notices("SecRule ARGS \"@detectSQLi quotes\" id:1"),
        "rules.conf:1: `@detectSQLi`: `quotes` has no effect: the operator takes no argument\n  \
         hint: leave it out"
    );
    assert_eq!(notices("SecRule ARGS \"!@detectSQLi\" id:1"), "");
}
