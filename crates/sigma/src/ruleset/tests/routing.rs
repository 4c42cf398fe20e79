//! Which events a rule is held against, with the pipelines that come with the crate.

use super::*;
use crate::compile::Options;

fn shipped(logsource: &str, selection: &str) -> RuleSet {
    let text = format!(
        "title: t\nlogsource: {{{logsource}}}\ndetection:\n  s: {{{selection}}}\n  condition: s\n"
    );
    let set = RuleSet::load([("r.yml", text.as_str())], &Options::shipped());
    assert!(set.refused.is_empty(), "{:?}", set.refused);
    set
}

fn sysmon(id: i64, data: Value) -> Value {
    json!({"Event": {
        "System": {"EventID": id, "Channel": "Microsoft-Windows-Sysmon/Operational"},
        "EventData": data,
    }})
}

fn on(set: &RuleSet, product: &str, event: &Value) -> Option<String> {
    let found = set.evaluate(&Record::event_log(product, event));
    found.first().map(|found| found.pipeline.clone().unwrap_or_default())
}

#[test]
fn a_category_of_windows_is_an_event_of_sysmon() {
    let set = shipped("product: windows, category: process_creation", "Image|endswith: cmd.exe");
    let data = json!({"Image": "C:\\cmd.exe"});
    assert_eq!(on(&set, "windows", &sysmon(1, data.clone())).as_deref(), Some("windows"));
    assert_eq!(on(&set, "windows", &sysmon(7, data)), None);
}

#[test]
fn the_same_rule_sees_what_windows_itself_records() {
    let set = shipped("product: windows, category: process_creation", "Image|endswith: cmd.exe");
    let event = |id: i64| {
        json!({"Event": {
            "System": {"EventID": id, "Channel": "Security"},
            "EventData": {"NewProcessName": "C:\\cmd.exe"},
        }})
    };
    assert_eq!(on(&set, "windows", &event(4688)).as_deref(), Some("windows-audit"));
    assert_eq!(on(&set, "windows", &event(4689)), None);
}

#[test]
fn a_rule_of_one_product_never_fires_on_anothers_events() {
    let event = sysmon(1, json!({"Image": "/bin/cmd.exe"}));
    for logsource in [
        "product: linux, category: process_creation",
        "product: macos, category: process_creation",
        "product: linux",
        "product: linux, service: auditd",
        "category: webserver",
        "category: process_creation",
    ] {
        let set = shipped(logsource, "Image|endswith: cmd.exe");
        assert_eq!(on(&set, "windows", &event), None, "{logsource}");
    }
    let set = shipped("product: windows, category: process_creation", "Image|endswith: cmd.exe");
    assert_eq!(on(&set, "linux", &event), None);
}

#[test]
fn sysmon_for_linux_has_a_channel_of_its_own() {
    let set = shipped("product: linux, category: process_creation", "Image|endswith: /nc");
    let event = |channel: &str| {
        json!({"Event": {
            "System": {"EventID": 1, "Channel": channel},
            "EventData": {"Image": "/usr/bin/nc"},
        }})
    };
    assert!(on(&set, "linux", &event("Linux-Sysmon/Operational")).is_some());
    assert!(on(&set, "linux", &event("Microsoft-Windows-Sysmon/Operational")).is_none());
}

#[test]
fn a_service_of_windows_is_a_channel() {
    let set = shipped("product: windows, service: security", "EventID: 1102");
    let event = |channel: &str| json!({"EventID": 1102, "Channel": channel});
    assert!(on(&set, "windows", &event("Security")).is_some());
    assert!(on(&set, "windows", &event("System")).is_none());
}

#[test]
fn a_field_of_the_data_does_not_hide_the_channel_of_the_record() {
    let asked = "EventID: 104, Provider_Name: Microsoft-Windows-Eventlog, Channel: Application";
    let set = shipped("product: windows, service: system", asked);
    let engine = std::sync::Arc::new(crate::Engine::new(std::sync::Arc::new(set.clone())));
    let mut runner = engine.runner();
    let mut check = |channel: &str, cleared: &str, expected: bool| {
        let event = json!({"Event": {
            "System": {
                "Provider": {"#attributes": {"Name": "Microsoft-Windows-Eventlog"}},
                "EventID": 104,
                "Channel": channel,
            },
            "UserData": {"LogFileCleared": {"SubjectUserName": "ann", "Channel": cleared}},
        }});
        let told = on(&set, "windows", &event);
        assert_eq!(told.is_some(), expected, "{channel}: {cleared}");
        let record = Record::event_log("windows", &event);
        let found = runner.evaluate(&record);
        assert_eq!(!found.is_empty(), expected, "{channel}: {cleared}, by its index");
        for found in found {
            let names: Vec<&str> = found.matched.iter().map(|own| own.field.as_str()).collect();
            assert_eq!(names, ["Channel", "EventID", "Provider_Name", "Channel"]);
        }
    };
    check("System", "Application", true);
    check("System", "Windows PowerShell", false);
    check("Application", "Application", false);
}

#[test]
fn the_whole_product_is_all_its_events() {
    let set = shipped("product: windows", "User: x");
    assert!(on(&set, "windows", &sysmon(9, json!({"User": "x"}))).is_some());
    assert!(on(&set, "linux", &sysmon(9, json!({"User": "x"}))).is_none());
}

fn on_json(set: &RuleSet, logsource: LogSource, event: &Value) -> bool {
    !set.evaluate(&Record::json(logsource, event)).is_empty()
}

#[test]
fn other_sources_are_what_their_reader_says() {
    let set = shipped("product: aws, service: cloudtrail", "userIdentity.type: Root");
    let event = json!({"userIdentity": {"type": "Root"}});
    let of = |service| LogSource::new(Some("aws"), None, Some(service));
    assert!(on_json(&set, of("cloudtrail"), &event));
    assert!(!on_json(&set, of("vpcflow"), &event));
    assert!(!on_json(&set, LogSource::new(Some("azure"), None, Some("cloudtrail")), &event));
}

#[test]
fn audit_of_linux_has_its_own_names() {
    let set = shipped("product: linux, category: process_creation", "Image|endswith: /nc");
    let auditd = LogSource::new(Some("linux"), None, Some("auditd"));
    assert!(on_json(&set, auditd.clone(), &json!({"type": "SYSCALL", "exe": "/usr/bin/nc"})));
    assert!(!on_json(&set, auditd, &json!({"type": "LOGIN", "exe": "/usr/bin/nc"})));
    let set = shipped("product: linux, service: auditd", "type: PATH, name: /etc/shadow");
    let auditd = LogSource::new(Some("linux"), None, Some("auditd"));
    assert!(on_json(&set, auditd, &json!({"type": "PATH", "name": "/etc/shadow"})));
}

#[test]
fn web_and_cloud_fields_have_more_than_one_name() {
    let set = shipped("category: webserver", "cs-user-agent|contains: sqlmap");
    let web = LogSource::new(None, Some("webserver"), None);
    assert!(on_json(&set, web.clone(), &json!({"c-useragent": "sqlmap/1"})));
    assert!(!on_json(&set, web, &json!({"referer": "sqlmap/1"})));
    let set = shipped("product: gcp, service: gcp.audit", "data.protoPayload.methodName: x");
    let gcp = LogSource::new(Some("gcp"), None, Some("gcp.audit"));
    assert!(on_json(&set, gcp.clone(), &json!({"protoPayload": {"methodName": "x"}})));
    assert!(on_json(&set, gcp, &json!({"data": {"protoPayload": {"methodName": "x"}}})));
}
