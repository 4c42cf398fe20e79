#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod limits;

use super::*;
use crate::input::ResponseHead;
use crate::load::{Files, load};
use crate::verdict::{Interrupt, Limit, Verdict};
use std::sync::Mutex;

/// One rule file, and no others.
struct One(String);

impl Files for One {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        if path == "rules.conf" { Ok(self.0.clone().into_bytes()) } else { Err("no file".into()) }
    }

    fn matching(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
}

fn engine(rules: &str) -> Arc<Engine> {
    let text =
        format!("SecRuleEngine On\nSecRequestBodyAccess On\nSecResponseBodyAccess On\n{rules}");
    match load(&One(text), &["rules.conf"]) {
        Ok(rules) => Arc::new(Engine::new(rules)),
        Err(errors) => panic!("{}", errors.iter().map(ToString::to_string).collect::<String>()),
    }
}

const CONNECTION: Connection<'static> = Connection {
    client: std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
    client_port: 40_000,
    server: std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 9)),
    server_port: 443,
    unique_id: "0192",
    time_ms: 1_767_225_600_000,
    utc_offset_secs: 9 * 3600,
};

struct Asked<'a> {
    target: &'a str,
    headers: &'a [(&'a [u8], &'a [u8])],
    body: &'a [u8],
    answer: &'a [u8],
}

fn run_in(
    engine: &Arc<Engine>,
    asked: &Asked<'_>,
    memory: Arc<dyn Memory>,
) -> (Vec<(String, String)>, Verdict) {
    let head = RequestHead {
        method: if asked.body.is_empty() { b"GET" } else { b"POST" },
        target: asked.target.as_bytes(),
        protocol: b"HTTP/1.1",
        headers: asked.headers,
    };
    let mut transaction = engine.begin(&CONNECTION, &head, memory);
    transaction.request_headers();
    transaction.request_body(asked.body, true);
    let html: [(&[u8], &[u8]); 1] = [(b"Content-Type", b"text/html; charset=utf-8")];
    transaction.response_headers(&ResponseHead {
        status: 200,
        protocol: b"HTTP/1.1",
        headers: &html,
    });
    transaction.response_body(asked.answer, true);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let tx = transaction.tx.iter().map(|(name, value)| (text(name), text(value))).collect();
    (tx, transaction.finish())
}

/// With the plan and without: the same.
fn run(rules: &str, asked: &Asked<'_>) -> (Vec<(String, String)>, Verdict) {
    let engine = engine(rules);
    let planned = run_in(&engine, asked, Arc::new(NoMemory));
    let plain = Arc::new(Engine::new(engine.rules().clone()).without_plan());
    assert_eq!(planned, run_in(&plain, asked, Arc::new(NoMemory)));
    planned
}

const NOTHING: Asked<'static> = Asked { target: "/", headers: &[], body: b"", answer: b"" };

fn get(rules: &str, target: &str) -> (Vec<(String, String)>, Verdict) {
    run(rules, &Asked { target, ..NOTHING })
}

fn ids(verdict: &Verdict) -> Vec<u64> {
    verdict.matches.iter().map(|found| found.rule).collect()
}

fn tx<'a>(all: &'a [(String, String)], name: &str) -> &'a str {
    all.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
}

#[test]
fn a_rule_denies_what_it_names_and_lets_its_neighbour_pass() {
    let rules = r#"SecRule ARGS:q "@contains secret" "id:1,phase:2,deny,status:418,log,msg:'m %{MATCHED_VAR_NAME}'""#;
    let (_, verdict) = get(rules, "/?q=top+secret");
    let interruption = verdict.interruption.unwrap();
    assert_eq!(interruption.deed, Interrupt::Deny { status: 418 });
    assert_eq!(verdict.matches[0].message, b"m ARGS:q");
    assert_eq!(verdict.matches[0].variable, b"ARGS:q");
    assert_eq!(get(rules, "/?p=top+secret").1.interruption, None);
}

#[test]
fn detection_only_says_what_would_have_been_done() {
    let rules = r#"SecRuleEngine DetectionOnly
SecRule ARGS "@streq x" "id:1,phase:2,deny,log""#;
    let (_, verdict) = get(rules, "/?a=x");
    assert_eq!(verdict.interruption, None);
    assert_eq!(verdict.would.unwrap().deed, Interrupt::Deny { status: 403 });
}

#[test]
fn a_deed_is_done_for_each_value_that_matches() {
    let rules = r#"SecRule ARGS "@rx ^x" "id:1,phase:2,pass,log,setvar:tx.score=+5""#;
    let (all, verdict) = get(rules, "/?a=x1&b=y&c=x2");
    assert_eq!(tx(&all, "score"), "10");
    assert_eq!(ids(&verdict), [1]);
}

#[test]
fn a_chain_needs_all_its_links_and_hands_on_what_it_matched() {
    let rules = r#"SecRule ARGS "@rx ^(a+)$" "id:1,phase:2,deny,log,capture,chain,setvar:tx.seen=1"
  SecRule TX:1 "@streq aaa" "chain"
  SecRule MATCHED_VARS "@streq aaa" "setvar:tx.all=1""#;
    let (all, verdict) = get(rules, "/?q=aaa");
    assert!(verdict.interruption.is_some());
    assert_eq!(tx(&all, "all"), "1");
    let (all, verdict) = get(rules, "/?q=aa");
    assert_eq!(verdict.interruption, None);
    // The first link's deeds are done all the same.
    assert_eq!((tx(&all, "seen"), tx(&all, "all")), ("1", ""));
}

#[test]
fn skip_after_jumps_to_its_marker_and_skip_counts_rules() {
    let rules = r#"SecAction "id:1,phase:1,pass,nolog,skipAfter:END"
SecAction "id:2,phase:1,pass,log"
SecMarker END
SecAction "id:3,phase:1,pass,log"
SecAction "id:4,phase:1,pass,nolog,skip:2"
SecAction "id:5,phase:1,pass,log"
SecMarker MIDDLE
SecAction "id:6,phase:1,pass,log"
SecAction "id:7,phase:1,pass,log""#;
    assert_eq!(ids(&get(rules, "/").1), [3, 7]);
}

#[test]
fn a_guard_over_planned_rules_is_asked_where_it_stands() {
    let rules = r#"SecAction "id:1,phase:2,pass,nolog,setvar:tx.level=1"
SecRule TX:level "@lt 1" "id:2,phase:2,pass,nolog,skipAfter:END"
SecRule ARGS "@rx needle" "id:3,phase:2,pass,log,setvar:tx.level=0"
SecRule TX:level "@lt 1" "id:4,phase:2,pass,nolog,skipAfter:END"
SecRule ARGS "@rx needle" "id:5,phase:2,pass,log"
SecMarker END
SecRule ARGS "@rx needle" "id:6,phase:2,pass,log""#;
    assert_eq!(ids(&get(rules, "/?q=a+needle").1), [3, 6]);
}

#[test]
fn exclusions_hold_for_the_rule_and_for_the_transaction() {
    let rules = r#"SecRule REQUEST_URI "@beginsWith /free" "id:1,phase:1,pass,nolog,ctl:ruleRemoveTargetById=2;ARGS:q"
SecRule ARGS|!ARGS:/^skip/ "@rx bad" "id:2,phase:2,deny,log""#;
    assert!(get(rules, "/?q=bad").1.interruption.is_some());
    assert!(get(rules, "/?Q=bad").1.interruption.is_some());
    assert_eq!(get(rules, "/?skip1=bad").1.interruption, None);
    assert_eq!(get(rules, "/free?q=bad").1.interruption, None);
    assert!(get(rules, "/free?r=bad").1.interruption.is_some());
    let rules = r#"SecAction "id:1,phase:1,pass,nolog,ctl:ruleRemoveByTag=x"
SecRule ARGS "@rx bad" "id:2,phase:2,deny,log,tag:'x'"
SecRule ARGS "@rx bad" "id:3,phase:2,deny,log,tag:'xy'""#;
    assert_eq!(get(rules, "/?q=bad").1.interruption.unwrap().rule, 3);
}

#[test]
fn allow_lets_go_of_what_it_says() {
    let rules = |how: &str| {
        format!(
            "SecAction \"id:1,phase:1,nolog,{how}\"\n\
             SecAction \"id:2,phase:1,pass,log\"\n\
             SecAction \"id:3,phase:2,pass,log\"\n\
             SecAction \"id:4,phase:3,pass,log\"\n\
             SecAction \"id:5,phase:5,pass,log\"\n"
        )
    };
    assert_eq!(ids(&get(&rules("allow:phase"), "/").1), [3, 4, 5]);
    assert_eq!(ids(&get(&rules("allow:request"), "/").1), [4, 5]);
    assert_eq!(ids(&get(&rules("allow"), "/").1), [5]);
}

#[test]
fn transformations_and_multi_match_see_what_they_should() {
    let rules = r#"SecRule ARGS "@streq ABC" "id:1,phase:2,pass,log,t:none,t:lowercase,multiMatch"
SecRule ARGS "@streq abc" "id:2,phase:2,pass,log,t:none,t:lowercase"
SecRule ARGS "@streq ABC" "id:3,phase:2,pass,log,t:none,t:lowercase""#;
    assert_eq!(ids(&get(rules, "/?q=ABC").1), [1, 2]);
}

#[test]
fn counts_and_negated_tests_look_at_all_there_is() {
    let rules = r#"SecRule &REQUEST_HEADERS:Host "@eq 0" "id:1,phase:1,pass,log"
SecRule &ARGS "@gt 1" "id:2,phase:2,pass,log"
SecRule ARGS "!@rx ^[0-9]+$" "id:3,phase:2,pass,log""#;
    assert_eq!(ids(&get(rules, "/?a=1&b=2").1), [1, 2]);
    let host: [(&[u8], &[u8]); 1] = [(b"host", b"a")];
    let asked = Asked { target: "/?a=x", headers: &host, ..NOTHING };
    assert_eq!(ids(&run(rules, &asked).1), [3]);
}

#[test]
fn bodies_are_read_by_their_processor() {
    let rules = r#"SecRule REQUEST_HEADERS:Content-Type "@contains json" "id:1,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule ARGS_POST:json.a.b "@streq x" "id:2,phase:2,pass,log"
SecRule ARGS_POST:f "@streq x y" "id:3,phase:2,pass,log"
SecRule REQBODY_ERROR "@eq 1" "id:4,phase:2,pass,log"
SecRule REQUEST_BODY "@rx ." "id:5,phase:2,pass,log""#;
    let of = |kind: &[u8], body: &[u8]| {
        let headers = [(b"Content-Type" as &[u8], kind)];
        ids(&run(rules, &Asked { headers: &headers, body, ..NOTHING }).1)
    };
    assert_eq!(of(b"application/json", br#"{"a":{"b":"x"}}"#), [2]);
    assert_eq!(of(b"application/json", br#"{"a":{"b":"x"}"#), [2, 4]);
    assert_eq!(of(b"application/x-www-form-urlencoded", b"f=x+y"), [3, 5]);
}

#[test]
fn an_answer_is_held_back_and_binary_ones_are_not_looked_at() {
    let rules = r#"SecRule RESPONSE_BODY "@rx SQL syntax" "id:1,phase:4,deny,log""#;
    let asked = Asked { answer: b"You have an error in your SQL syntax", ..NOTHING };
    assert!(run(rules, &asked).1.interruption.is_some());
    let rules =
        format!("SecResponseBodyMimeTypesClear\nSecResponseBodyMimeType text/plain\n{rules}");
    assert_eq!(run(&rules, &asked).1.interruption, None);
}

/// Remembers by collection and key.
#[derive(Debug, Default)]
struct Shelf(Mutex<BTreeMap<(Collection, Vec<u8>), Record>>);

impl Memory for Shelf {
    fn open(&self, collection: Collection, key: &[u8], _: i64) -> Record {
        self.0.lock().unwrap().get(&(collection, key.to_vec())).cloned().unwrap_or_default()
    }

    fn close(&self, collection: Collection, key: &[u8], _: &Record, after: Record, _: i64) {
        self.0.lock().unwrap().insert((collection, key.to_vec()), after);
    }
}

#[test]
fn the_audit_log_has_what_the_engine_is_told() {
    let asks = "SecAction \"id:1,phase:1,pass,nolog,auditlog\"\n";
    let status = "SecAuditLogRelevantStatus \"^(?:5|200)\"\n";
    for (rules, is_audited) in [
        (asks.to_owned(), true),
        (String::new(), false),
        (format!("SecAuditEngine Off\n{asks}"), false),
        ("SecAuditEngine On\n".to_owned(), true),
        (format!("SecAuditEngine RelevantOnly\n{asks}"), true),
        ("SecAuditEngine RelevantOnly\n".to_owned(), false),
        (format!("SecAuditEngine RelevantOnly\n{status}"), true),
        (format!("SecAuditEngine RelevantOnly\n{}", status.replace("200", "404")), false),
        (format!("{asks}SecAction \"id:2,phase:1,pass,nolog,ctl:auditEngine=Off\""), false),
    ] {
        assert_eq!(get(&rules, "/").1.audit, is_audited, "{rules}");
    }
    // What the client gets counts, not what the application said.
    let denied = "SecAuditEngine RelevantOnly\nSecAuditLogRelevantStatus 503\n\
        SecAction \"id:1,phase:4,deny,status:503,nolog\"";
    assert!(get(denied, "/").1.audit);
}

#[test]
fn an_answer_in_xml_is_looked_at_by_path() {
    let rules = "SecAction \"id:1,phase:3,pass,nolog,ctl:responseBodyProcessor=XML\"\n\
        SecRule RESPONSE_XML:/a/b \"@streq secret\" \"id:2,phase:4,pass\"\n\
        SecRule RESPONSE_XML:/a/c|XML:/a/b \"@streq secret\" \"id:3,phase:4,pass\"";
    let asked = Asked { target: "/", headers: &[], body: b"", answer: b"<a><b>secret</b></a>" };
    assert_eq!(ids(&run(rules, &asked).1), [2]);
}

#[test]
fn who_says_so_is_the_remote_user() {
    let rules = "SecRule REMOTE_USER \"@streq kim\" \"id:1,phase:1,pass\"";
    let with = |value: &[u8]| {
        let headers: [(&[u8], &[u8]); 1] = [(b"Authorization", value)];
        let asked = Asked { target: "/", headers: &headers, body: b"", answer: b"" };
        ids(&run(rules, &asked).1)
    };
    assert_eq!(with(b"Basic a2ltOnNlY3JldA=="), [1]);
    assert_eq!(with(b"Bearer a2ltOnNlY3JldA=="), [0; 0]);
    assert_eq!(with(b"Basic kim:secret"), [0; 0]);
}

/// `SecUnicodeMapFile` says what `urlDecodeUni` makes of `%uXXXX`.
#[test]
fn a_code_page_decides_what_letters_come_to() {
    struct Mapped(&'static str);
    impl Files for Mapped {
        fn read(&self, path: &str) -> Result<Vec<u8>, String> {
            let map = "20127 (US-ASCII)\n2329:3c 232a:3e\n";
            Ok(if path == "map" { map } else { self.0 }.as_bytes().to_vec())
        }

        fn matching(&self, _: &str) -> Vec<String> {
            Vec::new()
        }
    }
    let rule = "SecRule QUERY_STRING \"@contains <b>\" \"id:1,phase:1,pass,t:urlDecodeUni\"";
    for (rules, found) in [
        (format!("SecRuleEngine On\nSecUnicodeMapFile map 20127\n{rule}"), vec![1]),
        (format!("SecRuleEngine On\n{rule}"), vec![]),
    ] {
        let rules = load(&Mapped(rules.leak()), &["rules.conf"]).unwrap();
        let engine = Arc::new(Engine::new(rules));
        let asked = Asked { target: "/?%u2329b%u232a", headers: &[], body: b"", answer: b"" };
        assert_eq!(ids(&run_in(&engine, &asked, Arc::new(NoMemory)).1), found);
    }
}

#[test]
fn a_collection_outlives_its_transaction() {
    let rules = r#"SecAction "id:1,phase:1,pass,nolog,initcol:ip=%{REMOTE_ADDR}"
SecAction "id:2,phase:1,pass,nolog,setvar:ip.count=+1,expirevar:ip.count=60"
SecRule IP:count "@ge 3" "id:3,phase:1,deny,log""#;
    let engine = engine(rules);
    let shelf = Arc::new(Shelf::default());
    let denied: Vec<bool> = (0..4)
        .map(|_| {
            run_in(&engine, &NOTHING, Arc::clone(&shelf) as Arc<dyn Memory>)
                .1
                .interruption
                .is_some()
        })
        .collect();
    assert_eq!(denied, [false, false, true, true]);
    let record = shelf.0.lock().unwrap().values().next().cloned().unwrap();
    assert_eq!(record.expires, [(b"count".to_vec(), CONNECTION.time_ms + 60_000)]);
}

#[test]
fn the_site_s_own_clock_counts() {
    let rules = r#"SecRule TIME_HOUR "@eq 9" "id:1,phase:1,pass,log,msg:'%{TIME} %{TIME_WDAY} %{TIME_MON} %{TIME_YEAR}'""#;
    let (_, verdict) = get(rules, "/");
    assert_eq!(String::from_utf8_lossy(&verdict.matches[0].message), "09:00:00 4 0 2026");
}

#[test]
fn limits_are_told_and_nothing_grows_without_end() {
    let rules = r#"SecArgumentsLimit 2
SecRule ARGS "@rx x" "id:1,phase:2,pass,log,setvar:tx.a=%{tx.a}%{tx.a}xxxxxxxx""#;
    let (_, verdict) = get(rules, "/?a=x&b=x&c=x");
    assert_eq!(verdict.limits, [Limit::Arguments]);
    let many: String = (0..900).map(|n| format!("a{n}=x&")).collect();
    let rules = rules.replace("SecArgumentsLimit 2", "");
    let (all, _) = get(&rules, &format!("/?{many}"));
    assert!(tx(&all, "a").len() <= expand::EXPANDED_BYTES_MAX);
}

#[test]
fn a_body_that_was_cut_is_told_as_cut_and_not_as_broken() {
    let rules = r#"SecRule REQUEST_HEADERS:Content-Type "@contains json" "id:1,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule REQBODY_ERROR "!@eq 0" "id:2,phase:2,pass,log"
SecRule INBOUND_DATA_ERROR "@eq 1" "id:3,phase:2,pass,log""#;
    let engine = engine(rules);
    let json: [(&[u8], &[u8]); 1] = [(b"Content-Type", b"application/json")];
    let of = |body: &[u8], complete: bool| {
        let head =
            RequestHead { method: b"POST", target: b"/", protocol: b"HTTP/1.1", headers: &json };
        let mut transaction = engine.begin(&CONNECTION, &head, Arc::new(NoMemory));
        transaction.request_headers();
        transaction.request_body(body, complete);
        ids(&transaction.finish())
    };
    assert_eq!(of(br#"{"a":"#, true), [2]);
    assert_eq!(of(br#"{"a":"#, false), [3]);
    assert!(of(b"", true).is_empty());
}

/// Found while fuzz targets were written: each value that matched left another note of the same exception, and
/// each test of a value read them all.
#[test]
fn an_exception_made_again_for_each_value_is_noted_once() {
    let rules = r#"SecArgumentsLimit 100000
SecRule ARGS "@rx x" "id:1,phase:2,pass,nolog,ctl:ruleRemoveTargetById=2;ARGS:q,ctl:ruleRemoveById=3-4,ctl:ruleRemoveByTag=t"
SecRule ARGS "@rx x" "id:2,phase:2,pass,log""#;
    let engine = engine(rules);
    let target = format!("/?{}", "a=x&q=x&".repeat(2_000));
    let head =
        RequestHead { method: b"GET", target: target.as_bytes(), protocol: b"", headers: &[] };
    let mut transaction = engine.begin(&CONNECTION, &head, Arc::new(NoMemory));
    transaction.request_headers();
    transaction.request_body(b"", true);
    let control = &transaction.control;
    assert_eq!(control.removed_targets.len(), 1);
    assert_eq!((control.removed_ids.len(), control.removed_tags.len()), (1, 1));
    assert_eq!(ids(&transaction.finish()), [2]);
}

/// Found while fuzz targets were written: a guard that would have jumped when the plan was asked, and no longer
/// did when its turn came, had its rules left out.
#[test]
fn a_guard_that_a_rule_before_it_opens_lets_its_rules_run() {
    let rules = r#"SecAction "id:1,phase:1,pass,nolog,setvar:tx.level=0"
SecRule ARGS "@rx needle" "id:2,phase:2,pass,log,setvar:tx.level=1"
SecRule TX:level "@lt 1" "id:3,phase:2,pass,nolog,skipAfter:END"
SecRule ARGS "@rx needle" "id:4,phase:2,pass,log"
SecMarker END
SecRule ARGS "@rx needle" "id:5,phase:2,pass,log""#;
    assert_eq!(ids(&get(rules, "/?q=a+needle").1), [2, 4, 5]);
    for instead in ["ctl:ruleRemoveById=3", "skip:1"] {
        let other = rules.replace("setvar:tx.level=1", instead);
        assert_eq!(ids(&get(&other, "/?q=a+needle").1), [2, 4, 5], "{instead}");
    }
}

#[test]
fn names_of_parts_are_compared_without_regard_to_case_also_by_the_plan() {
    let rules = r#"SecRule ARGS:Q "@rx needle" "id:1,phase:2,pass,log"
SecRule ARGS:q "@rx needle" "id:2,phase:2,pass,log"
SecRule ARGS_NAMES:q|REQUEST_HEADERS:HOST "@rx (?i)q" "id:3,phase:2,pass,log""#;
    assert_eq!(ids(&get(rules, "/?Q=needle").1), [1, 2, 3]);
    assert_eq!(ids(&get(rules, "/?q=needle").1), [1, 2, 3]);
}

#[test]
fn more_guards_than_the_plan_asks_jump_where_they_stand() {
    let rules: String = (0..140u32)
        .map(|n| {
            let id = 10 + 3 * n;
            format!(
                "SecRule TX:a{n} \"@lt 1\" \"id:{id},phase:2,pass,nolog,skipAfter:END-{n}\"\n\
                 SecRule ARGS \"@rx needle\" \"id:{},phase:2,pass,log\"\n\
                 SecMarker END-{n}\n\
                 SecRule ARGS \"@rx needle\" \"id:{},phase:2,pass,nolog,setvar:tx.a{}=0\"\n",
                id + 1,
                id + 2,
                n + 2,
            )
        })
        .collect();
    let (_, verdict) = get(&rules, "/?q=needle");
    assert_eq!(ids(&verdict), [11, 14]);
}
