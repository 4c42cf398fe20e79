use super::{Folder, load, loaded, notices, problems, told};
use crate::load::{DIAGNOSTICS_MAX, INCLUDE_DEPTH_MAX, LINKS_MAX};

/// One line, and the complaint about it.
fn check(line: &str, expected: &str) {
    assert_eq!(problems(line), format!("rules.conf:1: {expected}"), "{line}");
}

#[test]
fn what_cannot_be_done_is_refused() {
    check(
        "SecRemoteRules key https://a/rules",
        "`SecRemoteRules`: rules never come over the network\n  \
         hint: save the rules as a file and include it",
    );
    check(
        "SecRuleScript a.lua \"id:1\"",
        "`SecRuleScript`: scripts are never run\n  hint: write the test as a `SecRule`",
    );
    check(
        "SecXmlExternalEntity On",
        "`SecXmlExternalEntity`: can only be `Off`\n  \
         hint: write `Off`: external entities are never fetched",
    );
    for name in ["SecConnEngine", "SecHashEngine", "SecContentInjection"] {
        assert!(problems(&format!("{name} On")).contains("can only be `Off`"), "{name}");
    }
    check(
        "SecGuardianLog |/a",
        "`SecGuardianLog`: starts a process: never\n  \
         hint: leave it out; findings go to the server",
    );
    check(
        "SecChrootDir /a",
        "`SecChrootDir`: the gateway is confined by the system that starts it\n  \
         hint: leave it out",
    );
}

#[test]
fn a_misspelt_directive_is_told() {
    check("SecRul ARGS a id:1", "`SecRul`: unknown directive\n  hint: did you mean `SecRule`?");
    check(
        "SecRuleRemoveByIds 1",
        "`SecRuleRemoveByIds`: unknown directive\n  hint: did you mean `SecRuleRemoveById`?",
    );
    check(
        "ServerName a",
        "`ServerName`: unknown directive\n  \
         hint: see the reference manual's chapter \"Configuration Directives\"",
    );
    check(
        "id:1,\\\n  deny",
        "`id:1,`: unknown directive\n  \
         hint: it belongs to the line before: end that with a backslash",
    );
}

#[test]
fn a_long_complaint_is_cut() {
    let told = problems(&format!("Sec{}", "é".repeat(10_000)));
    assert!(told.starts_with("rules.conf:1: `Secéé") && told.len() < 1000, "{}", told.len());
    assert!(told.contains("é…`: unknown directive"));
}

#[test]
fn a_bad_value_is_told() {
    check(
        "SecRuleEngine Maybe",
        "`SecRuleEngine`: `maybe` is no mode\n  hint: write `On`, `Off` or `DetectionOnly`",
    );
    check("SecRuleEngine", "`SecRuleEngine`: has no value\n  hint: write `SecRuleEngine \"…\"`");
    check(
        "SecRequestBodyAccess Yes",
        "`SecRequestBodyAccess`: `Yes` is neither `On` nor `Off`\n  hint: write `On` or `Off`",
    );
    check(
        "SecRequestBodyLimit 1M",
        "`SecRequestBodyLimit`: `1M` is no number that fits\n  hint: write it in decimal digits",
    );
    check(
        "SecRequestBodyLimitAction Drop",
        "`SecRequestBodyLimitAction`: `Drop` is no such action\n  \
         hint: write `Reject` or `ProcessPartial`",
    );
    check(
        "SecArgumentSeparator &&",
        "`SecArgumentSeparator`: is not one character\n  hint: write one, such as `&` or `;`",
    );
    check(
        "SecCookieFormat 2",
        "`SecCookieFormat`: `2` is no cookie format\n  hint: write `0` or `1`",
    );
    check(
        "SecAuditLogParts AXZ",
        "`SecAuditLogParts`: `AXZ` names unknown parts\n  hint: write letters from A to K, and Z",
    );
    check(
        "SecUnicodeMapFile none 20127",
        "`none`: cannot be read: no such file\n  \
         hint: check the path; it is relative to the file that names it",
    );
}

#[test]
fn a_bad_rule_is_told() {
    check(
        "SecRule ARGS",
        "`SecRule`: has no operator\n  \
         hint: write `SecRule VARIABLES \"@operator argument\" \"actions\"`",
    );
    check(
        "SecRule ARGS @rx a id:1",
        "`SecRule`: `id:1` is one word too many\n  \
         hint: put operator and actions each between `\"`",
    );
    check("SecRule ARGS a", "`SecRule`: has no id\n  hint: add `id:` and a number of its own");
    check("SecAction nolog", "`SecAction`: has no id\n  hint: add `id:` and a number of its own");
    check(
        "SecRule ARGS \"@rx a id:1",
        "`SecRule`: a `\"` is not closed\n  \
         hint: close it, or end the line with a backslash where the text goes on",
    );
    check("SecRule ARGZ a id:1", "`ARGZ`: unknown variable\n  hint: did you mean `ARGS`?");
    check(
        "SecRule ARGS \"@contains %{tx\" id:1",
        "`%{tx`: `%{` has no `}`\n  hint: end it, or write `\\%{` for plain text",
    );
    assert!(problems("SecRule ARGS \"@nosuch a\" id:1").starts_with("rules.conf:1: `@nosuch`: "));
    check("SecMarker", "`SecMarker`: has no value\n  hint: write `SecMarker \"…\"`");
}

#[test]
fn an_id_is_taken_once() {
    let folder =
        Folder::with(&[("a.conf", "\nSecAction id:5"), ("b.conf", "SecAction id:5,phase:1")]);
    assert_eq!(
        told(&load(&folder, &["a.conf", "b.conf"]).unwrap_err()),
        "b.conf:1: `id:5`: is taken: a.conf:2 has it\n  \
         hint: give one of the two rules another id"
    );
}

#[test]
fn a_chain_has_an_end() {
    let unfinished = "`chain`: the file ends before the chain does\n  \
                      hint: add the rule that `chain` promises, or leave `chain` out";
    check("SecRule ARGS a id:1,chain", unfinished);
    assert_eq!(
        problems("SecRule ARGS a id:1,chain\nSecMarker A"),
        format!("rules.conf:1: {}", unfinished.replace("the file ends", "a marker comes"))
    );
    assert_eq!(
        problems("SecRule ARGS a id:1,chain\nSecRule ARGS b deny"),
        "rules.conf:2: `deny`: stands in a link of a chain\n  \
         hint: put it into the chain's first rule"
    );
    let long = format!(
        "SecRule ARGS a id:1,chain\n{}SecRule ARGS z",
        "SecRule ARGS b chain\n".repeat(LINKS_MAX)
    );
    assert!(problems(&long).ends_with("`chain`: over 64 links\n  hint: split the chain"));
}

#[test]
fn a_bad_link_is_told_once() {
    let text =
        "SecRule ARGZ a \"id:1,chain\"\nSecRule ARGS b \"chain\"\nSecRule ARGS c\nSecAction id:2";
    assert_eq!(problems(text).lines().count(), 2);
    let text =
        "SecRule ARGS a \"id:1,chain\"\nSecRule ARGZ b \"chain\"\nSecRule ARGS c\nSecAction id:2";
    assert_eq!(problems(text).lines().count(), 2);
    let text = "SecRule ARGS a \"id:x,chain\"\nSecRule ARGS c\nSecAction id:2";
    assert_eq!(problems(text).lines().count(), 2);
}

#[test]
fn all_problems_are_told() {
    let text = "SecRule ARGZ \"@contains %{b\" \"id:1,dney\"\nSecNothing\nSecRuleEngine On";
    let lines = problems(text);
    let subjects: Vec<&str> = lines.lines().filter(|line| line.starts_with("rules")).collect();
    assert_eq!(subjects.len(), 4, "{lines}");
    let many = "SecNothing\n".repeat(DIAGNOSTICS_MAX + 50);
    assert_eq!(
        problems(&many).lines().filter(|line| line.starts_with("rules")).count(),
        DIAGNOSTICS_MAX
    );
}

#[test]
fn defaults_are_set_once_and_whole() {
    check(
        "SecDefaultAction phase:1,log",
        "`SecDefaultAction`: has no disruptive action\n  \
         hint: add `pass` or `deny`: it is what `block` comes to",
    );
    check(
        "SecDefaultAction phase:1,pass,t:none",
        "`t:none`: cannot stand in `SecDefaultAction`\n  hint: leave it out: nothing comes before",
    );
    check(
        "SecDefaultAction phase:1,pass,id:7",
        "`id`: cannot stand in `SecDefaultAction`\n  hint: put it into the rules that need it",
    );
    assert_eq!(
        problems("SecDefaultAction phase:1,pass\nSecDefaultAction phase:1,deny"),
        "rules.conf:2: `SecDefaultAction`: phase 1 has one already, at rules.conf:1\n  \
         hint: leave one of the two out"
    );
}

#[test]
fn a_bad_exception_is_told() {
    check(
        "SecRuleRemoveById",
        "`SecRuleRemoveById`: no id\n  hint: write ids and ranges, such as `1-5 7`",
    );
    check(
        "SecRuleRemoveById a",
        "`SecRuleRemoveById`: `a` is no number that fits\n  hint: write it in decimal digits",
    );
    check(
        "SecRuleRemoveById 9-1",
        "`SecRuleRemoveById`: the range `9-1` is upside down\n  hint: write the smaller id first",
    );
    check(
        "SecRuleRemoveByTag \"\"",
        "`SecRuleRemoveByTag`: names no rule\n  hint: write `SecRuleRemoveByTag …`",
    );
    check(
        "SecRuleUpdateTargetById 1",
        "`SecRuleUpdateTargetById`: has no variables\n  \
         hint: write `SecRuleUpdateTargetById 1234 \"!ARGS:name\"`",
    );
    check(
        "SecRuleUpdateTargetById 1 ARGS FILES",
        "`SecRuleUpdateTargetById`: cannot replace one variable by another\n  \
         hint: exclude the old one with `!`, and add the new one",
    );
    check(
        "SecRuleUpdateActionById 1 phase:2",
        "`phase`: cannot be changed by an update\n  hint: remove the rule and write your own",
    );
    check(
        "SecRuleUpdateActionById 1",
        "`SecRuleUpdateActionById`: wants an id and actions\n  \
         hint: write `SecRuleUpdateActionById 1234 \"deny,status:403\"`",
    );
}

#[test]
fn an_include_must_lead_somewhere() {
    check(
        "Include missing.conf",
        "`missing.conf`: cannot be read: no such file\n  \
         hint: check the path; it is relative to the file that names it",
    );
    check(
        "Include none/*.conf",
        "`none/*.conf`: names no file\n  hint: check the path, or write `IncludeOptional`",
    );
    check("Include rules.conf", "`rules.conf`: includes itself\n  hint: leave out one `Include`");
    let names: Vec<String> = (0..=INCLUDE_DEPTH_MAX + 1).map(|n| format!("{n}.conf")).collect();
    let mut folder = Folder::default();
    for (name, next) in names.iter().zip(names.iter().skip(1)) {
        folder.0.insert(name.clone(), format!("Include {next}").into_bytes());
    }
    let problems = load(&folder, &["0.conf"]).unwrap_err();
    assert_eq!(
        told(&problems),
        "16.conf:1: `17.conf`: over 16 files within files\n  \
         hint: include the file from further out"
    );
}

#[test]
fn what_has_no_effect_is_noticed() {
    assert_eq!(
        notices("SecDefaultAction pass"),
        "rules.conf:1: `SecDefaultAction`: names no phase: phase 2 is meant\n  hint: add `phase:2`"
    );
    assert_eq!(
        notices("SecDefaultAction phase:2,deny,block"),
        "rules.conf:1: `block`: means nothing in `SecDefaultAction`\n  \
         hint: leave it out: the other action is what `block` comes to"
    );
    assert_eq!(
        notices("SecAction id:1,chain\nSecAction block"),
        "rules.conf:2: `block`: has no effect in a link of a chain\n  \
         hint: the chain's first rule decides"
    );
    assert_eq!(
        notices("SecAction id:1,skipAfter:NOWHERE"),
        "rules.conf:1: `skipAfter:NOWHERE`: no such marker: it skips the rest of the phase\n  \
         hint: add `SecMarker`, or mend the name"
    );
    assert_eq!(
        notices("SecRule XML:/a:b x id:1,xmlns:a=http://x/"),
        "rules.conf:1: `xmlns`: has no effect: names are compared without namespace\n  \
         hint: leave it out"
    );
    assert!(loaded("SecAction id:1").notices.is_empty());
}
