use super::*;
use crate::compile::Options;
use crate::engine::Engine;
use crate::ruleset::RuleSet;
use serde_json::json;
use std::sync::Arc;

/// Events as `normalize` reads its own samples.
fn sample(name: &str) -> Vec<Ocsf> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../normalize/tests/data/");
    let text = std::fs::read_to_string(format!("{root}{name}/out.json")).unwrap();
    let golden: Value = serde_json::from_str(&text).unwrap();
    let events = golden["events"].as_array().unwrap();
    events.iter().map(|event| Ocsf::from_ocsf(event.clone()).0).collect()
}

const SAMPLES: [&str; 8] = [
    "auth/v1",
    "combined/v1",
    "json-access/v1",
    "json-access/v2",
    "linux-audit/v1",
    "ocsf/v1",
    "syslog/v1",
    "sysmon-linux/v1",
];

fn matches(set: &RuleSet, event: &Ocsf) -> Vec<Match> {
    let mut runner = Arc::new(Engine::new(Arc::new(set.clone()))).runner();
    let views = views(event);
    for view in &views {
        assert_eq!(runner.evaluate(view), set.evaluate(view));
    }
    super::matches(&mut runner, &views).into_iter().map(|(_, one)| one).collect()
}

fn rule(logsource: &str, detection: &str) -> RuleSet {
    let text = format!(
        "title: t\nid: 7e9b7a2c-0f0e-4a53-9a35-0d3d2a0b6f11\nlogsource: {logsource}\ndetection:\n  selection: {detection}\n  condition: selection\n"
    );
    let set = RuleSet::load([("t.yml", text.as_str())], &Options::default());
    assert!(set.refused.is_empty(), "{:?}", set.refused);
    set
}

/// How many events of each sample a rule fires on.
fn hits(logsource: &str, detection: &str) -> Vec<(&'static str, usize)> {
    let set = rule(logsource, detection);
    let count = |name: &&'static str| {
        let fired = sample(name).iter().filter(|event| !matches(&set, event).is_empty()).count();
        (*name, fired)
    };
    SAMPLES.iter().map(count).filter(|(_, fired)| *fired > 0).collect()
}

#[track_caller]
fn check(logsource: &str, fires: &str, expected: &[(&str, usize)], near_miss: &str) {
    assert_eq!(hits(logsource, fires), expected, "{logsource} {fires}");
    assert_eq!(hits(logsource, near_miss), [], "{logsource} {near_miss}");
}

#[test]
fn every_mapping_file_is_sound() {
    for (file, text) in MAPPINGS {
        let mapping = Mapping::parse(file, text).unwrap_or_else(|fault| panic!("{fault}"));
        assert_eq!(format!("{}.yml", mapping.name), *file);
    }
    assert_eq!(mapping::all().len(), MAPPINGS.len());
}

#[test]
fn a_mapping_that_is_wrong_says_where() {
    let unknown = "name: x\nevents: []\nfield: {}\n";
    assert!(Mapping::parse("x.yml", unknown).unwrap_err().message.contains("field"));
    let made = "name: x\nevents: [{logsource: {product: p}}]\nfields: {Image: {words: {a: b}}}\n";
    assert!(Mapping::parse("x.yml", made).unwrap_err().message.contains("`Image`"));
}

#[test]
fn web_access() {
    let web = "{category: webserver}";
    check(
        web,
        "{c-useragent|startswith: sqlmap, sc-status: 404}",
        &[("combined/v1", 1)],
        "{c-useragent|startswith: sqlmap, sc-status: 200}",
    );
    check(
        web,
        "{cs-method: POST, cs-uri-query|contains: '/login?next='}",
        &[("combined/v1", 1), ("json-access/v2", 1)],
        "{cs-method: GET, cs-uri-query|contains: '/login?next='}",
    );
    check(
        web,
        "{http_request.url.path: /login, plura.request.body|contains: '%27+OR+1'}",
        &[("json-access/v2", 1)],
        "{http_request.url.path: /login, plura.request.body|contains: 'password=hunter'}",
    );
    check(web, "{c-uri-extension: html}", &[("combined/v1", 1)], "{c-uri-extension: php}");
}

#[test]
fn our_gateway() {
    let (event, _) = Ocsf::from_ocsf(json!({
        "class_uid": 4002, "activity_id": 6, "time": 1,
        "metadata": { "log_format": "gateway", "product": { "name": "Plura Gateway" } },
        "http_request": { "http_method": "POST", "http_headers": [{ "name": "Cookie", "value": "sid=****" }],
            "url": { "hostname": "shop.example", "path": "/up.php" } },
        "http_response": { "code": 200 },
        "plura": { "request": { "body": "<?php system($_GET['c']);" }, "response": { "body": "uid=33(www-data)" },
            "outcome": { "result": "success", "action": "upload", "reason": "stored" } },
    }));
    for (logsource, detection, fires) in [
        ("{product: plura, service: gateway}", "{plura.response.body|contains: 'uid=33('}", true),
        ("{product: plura, service: gateway}", "{plura.response.body|contains: 'uid=0('}", false),
        (
            "{category: webserver}",
            "{plura.outcome.reason: stored, cs-cookie|startswith: 'sid='}",
            true,
        ),
        ("{category: webserver}", "{plura.outcome.reason: refused}", false),
        ("{category: webserver}", "['<?php system(']", true),
        ("{category: webserver}", "['<?php exec(']", false),
        ("{category: proxy}", "{cs-method: POST}", false),
    ] {
        let set = rule(logsource, detection);
        assert_eq!(!matches(&set, &event).is_empty(), fires, "{logsource} {detection}");
    }
}

#[test]
fn log_ins() {
    check(
        "{product: linux, service: sshd}",
        "['Failed password for root']",
        &[("auth/v1", 1)],
        "['Failed password for wheel']",
    );
    let both = hits("{product: linux, service: auth}", "['NOT in sudoers']");
    assert_eq!(both, [("auth/v1", 1)]);
    assert_eq!(hits("{product: linux, service: sshd}", "['NOT in sudoers']"), []);
    assert_eq!(hits("{product: linux, service: sudo}", "{user: eve}"), [("auth/v1", 1)]);
}

#[test]
fn other_programs_in_syslog() {
    check(
        "{product: linux, service: syslog}",
        "['Started nginx.service']",
        &[("syslog/v1", 1)],
        "['Stopped nginx.service']",
    );
    // A firewall's message is no host's.
    assert_eq!(hits("{product: linux}", "['Built outbound TCP']"), []);
}

#[test]
fn linux_audit() {
    let process = "{product: linux, category: process_creation}";
    check(
        process,
        "{Image|endswith: /dash, ParentImage|contains: php, CommandLine|contains: '/dev/tcp/'}",
        &[("linux-audit/v1", 1)],
        "{Image|endswith: /dash, ParentImage|contains: nginx, CommandLine|contains: '/dev/tcp/'}",
    );
    let auditd = "{product: linux, service: auditd}";
    check(
        auditd,
        "{type: EXECVE, a0: sh, a2|contains: 'bash -i'}",
        &[("linux-audit/v1", 1)],
        "{type: EXECVE, a0: zsh, a2|contains: 'bash -i'}",
    );
    check(
        auditd,
        "{type: PATH, nametype: DELETE, name: passwd}",
        &[("linux-audit/v1", 1)],
        "{type: PATH, nametype: DELETE, name: shadow}",
    );
    check(auditd, "{SYSCALL: chmod}", &[("linux-audit/v1", 1)], "{SYSCALL: mount}");
    check(
        auditd,
        "{type: SERVICE_START, unit: cron}",
        &[("linux-audit/v1", 1)],
        "{type: SERVICE_STOP, unit: cron}",
    );
    check(
        "{product: linux, category: file_event}",
        "{TargetFilename|endswith: '.php', Image|contains: php-fpm}",
        &[("linux-audit/v1", 1), ("sysmon-linux/v1", 1)],
        "{TargetFilename|endswith: '.jsp', Image|contains: php-fpm}",
    );
}

#[test]
fn sysmon_for_linux() {
    check(
        "{product: linux, category: process_creation, service: sysmon}",
        "{EventID: 1, ParentImage|contains: php-fpm, User: www-data, Hashes|contains: 'SHA256=9F86'}",
        &[("sysmon-linux/v1", 1)],
        "{EventID: 1, ParentImage|contains: php-fpm, User: root}",
    );
    check(
        "{product: linux, category: network_connection}",
        "{Initiated: 'true', DestinationIp|cidr: 198.51.100.0/24, DestinationPort: 4444, Protocol: tcp}",
        &[("sysmon-linux/v1", 1)],
        "{Initiated: 'false', DestinationIp|cidr: 198.51.100.0/24}",
    );
    check(
        "{product: linux, category: raw_access_thread}",
        "{Device: /dev/sda}",
        &[("sysmon-linux/v1", 1)],
        "{Device: /dev/sdb}",
    );
}

#[test]
fn windows_in_ocsf() {
    let launched = |os: i64| {
        Ocsf::from_ocsf(json!({
            "class_uid": 1007, "activity_id": 1, "time": 1,
            "metadata": { "product": { "name": "Some EDR" }, "event_code": "4688", "log_name": "Security" },
            "device": { "hostname": "pc1", "os": { "type_id": os, "name": "some" } },
            "process": { "pid": 4, "cmd_line": "powershell -enc SQBFAFgA", "file": { "path": "C:\\Windows\\System32\\powershell.exe",
                "internal_name": "PowerShell.EXE" }, "user": { "name": "kim", "domain": "CORP" } },
            "actor": { "process": { "file": { "path": "C:\\Program Files\\WINWORD.EXE" } } },
            "unmapped": { "MandatoryLabel": "S-1-16-12288" },
        }))
        .0
    };
    let (windows, linux) = (launched(100), launched(200));
    let process = "{product: windows, category: process_creation}";
    for (logsource, detection, fires) in [
        (
            process,
            "{Image|endswith: '\\powershell.exe', ParentImage|endswith: '\\winword.exe'}",
            true,
        ),
        (
            process,
            "{Image|endswith: '\\powershell.exe', ParentImage|endswith: '\\excel.exe'}",
            false,
        ),
        (process, "{User: 'CORP\\kim', OriginalFileName: PowerShell.EXE}", true),
        (
            "{product: windows, service: security}",
            "{EventID: 4688, MandatoryLabel: S-1-16-12288}",
            true,
        ),
        ("{product: windows, service: security}", "{EventID: 4689}", false),
        ("{product: windows, category: image_load}", "{Image|contains: powershell}", false),
        ("{product: macos, category: process_creation}", "{Image|contains: powershell}", false),
    ] {
        let set = rule(logsource, detection);
        assert_eq!(!matches(&set, &windows).is_empty(), fires, "{logsource} {detection}");
        assert_eq!(matches(&set, &linux), [], "a Windows rule fired on Linux: {detection}");
    }
    let set =
        rule("{product: linux, category: process_creation}", "{CommandLine|contains: ' -enc '}");
    assert_eq!(matches(&set, &linux).len(), 1);
    assert_eq!(matches(&set, &windows), []);
}

#[test]
fn other_classes_of_windows() {
    for (event, logsource, fires, near) in [
        (
            json!({ "class_uid": 201_002, "activity_id": 3, "reg_value": { "path": "HKLM\\Run", "name": "x", "data": "evil.exe" } }),
            "{product: windows, category: registry_set}",
            "{TargetObject: 'HKLM\\Run\\x', Details: evil.exe, EventType: SetValue}",
            "{TargetObject: 'HKLM\\RunOnce\\x'}",
        ),
        (
            json!({ "class_uid": 201_002, "activity_id": 3, "reg_value": { "path": "HKLM\\Run", "name": "x" } }),
            "{product: windows, category: registry_event}",
            "{TargetObject|endswith: '\\x'}",
            "{TargetObject|endswith: '\\y'}",
        ),
        (
            json!({ "class_uid": 4003, "query": { "hostname": "evil.example" }, "answers": [{ "rdata": "192.0.2.1" }] }),
            "{product: windows, category: dns_query}",
            "{QueryName: evil.example, QueryResults: 192.0.2.1}",
            "{QueryName: good.example}",
        ),
        (
            json!({ "class_uid": 1001, "activity_id": 5, "file": { "path": "a.doc" }, "file_result": { "path": "a.doc.locked" } }),
            "{product: windows, category: file_rename}",
            "{SourceFilename: a.doc, TargetFilename|endswith: .locked}",
            "{TargetFilename|endswith: .doc}",
        ),
    ] {
        let mut event = event;
        event["time"] = json!(1);
        event["device"] = json!({ "os": { "type_id": 100 } });
        let (event, _) = Ocsf::from_ocsf(event);
        assert_eq!(matches(&rule(logsource, fires), &event).len(), 1, "{logsource} {fires}");
        assert_eq!(matches(&rule(logsource, near), &event), [], "{logsource} {near}");
    }
}

#[test]
fn cloud_and_plain_ocsf() {
    let (event, _) = Ocsf::from_ocsf(json!({
        "class_uid": 6003, "activity_id": 4, "time": 1, "metadata": { "product": { "name": "CloudTrail" } },
        "api": { "operation": "StopLogging", "service": { "name": "cloudtrail.amazonaws.com" } },
    }));
    let aws = "{product: aws, service: cloudtrail}";
    let fires = "{eventSource: cloudtrail.amazonaws.com, eventName: StopLogging}";
    assert_eq!(matches(&rule(aws, fires), &event).len(), 1);
    assert_eq!(matches(&rule(aws, "{eventName: StartLogging}"), &event), []);
    let ocsf = "{product: ocsf, category: api_activity}";
    assert_eq!(
        matches(&rule(ocsf, "{api.operation: StopLogging, type_uid: 600304}"), &event).len(),
        1
    );
    assert_eq!(
        matches(
            &rule("{product: ocsf, category: http_activity}", "{api.operation: StopLogging}"),
            &event
        ),
        []
    );
}

#[test]
fn an_event_of_several_kinds_is_told_once_by_each_rule() {
    let ssh = sample("auth/v1").remove(0);
    assert_eq!(views(&ssh).len(), 3, "sshd, auth and OCSF's class");
    let set = rule("{product: linux}", "['Failed password']");
    assert_eq!(matches(&set, &ssh).len(), 1);
}

#[test]
fn fields_are_known_by_path_and_back_by_name() {
    let event = sample("sysmon-linux/v1").remove(0);
    let views = views(&event);
    let view = &views[0];
    assert_eq!(view.path_of("Image").as_deref(), Some("process.file.path"));
    assert_eq!(view.path_of("process.cmd_line").as_deref(), Some("process.cmd_line"));
    assert_eq!(view.path_of("Nonsense"), None);
    let native = view.to_native();
    assert_eq!(native["Image"], "/usr/bin/dash");
    assert_eq!(native["EventID"], 1);
    assert_eq!(native["Channel"], "Linux-Sysmon/Operational");
    // What stands in the record under that name stands here too.
    let raw = event.raw.as_deref().unwrap();
    for name in ["Image", "ParentImage", "CurrentDirectory", "User", "ParentCommandLine"] {
        let text = native[name].as_str().unwrap();
        assert!(raw.contains(&format!("<Data Name=\"{name}\">{text}</Data>")), "{name} {text}");
    }
    let names = mapping::all().iter().find(|m| m.name == "sysmon-linux").unwrap().events[0]
        .names_of("process.cmd_line");
    assert_eq!(names, ["CommandLine"]);
}

#[test]
fn log_sources_nobody_serves_are_known() {
    let of = |product, category, service| LogSource::new(product, category, service);
    assert!(is_served(&of(Some("linux"), Some("process_creation"), None)));
    assert!(is_served(&of(None, Some("webserver"), None)));
    assert!(!is_served(&of(Some("fortigate"), None, Some("event"))));
}
