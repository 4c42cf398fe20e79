use super::*;
use crate::rules::read_rules;
use std::fs;

const RULE: &str = "
title: Whoami
logsource: {product: windows, category: process_creation}
detection:
  selection: {Image|endswith: '\\whoami.exe'}
  condition: selection
";

const CASES: &str = r#"
- name: somebody asks who he is
  event: {EventID: 1, Channel: Microsoft-Windows-Sysmon/Operational, Image: 'C:\whoami.exe'}
  fires: true
- name: a program of a similar name
  event: '{"EventID": 1, "Channel": "Microsoft-Windows-Sysmon/Operational", "Image": "C:\\whoami.exe.txt"}'
  fires: false
- name: expected wrongly
  event: {EventID: 5, Channel: Microsoft-Windows-Sysmon/Operational, Image: 'C:\whoami.exe'}
  fires: true
- name: for a rule that is not there
  rule: Another
  event: {}
  fires: false
"#;

#[test]
fn rules_are_tried_on_the_cases_beside_them() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    put("who.yml", RULE);
    put("who.test.yml", CASES);
    put("bare.yml", &RULE.replace("Whoami", "Bare"));
    let files = read_rules(&[folder.path().to_owned()]);
    let trial = trials(&files, &Options::shipped());
    assert_eq!((trial.passed, trial.total, trial.untested.len()), (2, 3, 1));
    assert_eq!(trial.failed[0].case, "expected wrongly");
    assert_eq!(trial.problems[0].code, "no-rule");
    assert_eq!(trial.one_sided, Vec::<String>::new());
    put("who.test.yml", "- nam: x\n");
    let trial = trials(&files, &Options::shipped());
    assert_eq!((trial.total, trial.problems[0].code.as_str()), (0, "bad-cases"));
}

const OFTEN: &str = "
title: Asked
name: asked
logsource: {product: windows, category: process_creation}
detection:
  selection: {Image|endswith: '\\whoami.exe'}
  condition: selection
---
title: Asked often
name: often
correlation:
  type: event_count
  rules: [asked]
  group-by: [Computer]
  timespan: 1m
  condition: {gte: 3}
";

const OFTEN_CASES: &str = "
logsource: {product: windows}
cases:
  - name: three in a minute
    fires: true
    events:
      - {at: 0, times: 2, event: &e {EventID: 1, Channel: Microsoft-Windows-Sysmon/Operational, Image: 'C:\\whoami.exe', Computer: pc}}
      - {at: 59, event: *e}
  - name: near miss, three in more than a minute
    fires: false
    events:
      - {at: 0, times: 2, event: *e}
      - {at: 61, event: *e}
  - name: near miss, three hosts
    fires: false
    events:
      - {at: 0, times: 3, event: {EventID: 1, Channel: Microsoft-Windows-Sysmon/Operational, Image: 'C:\\whoami.exe', Computer: 'pc{n}'}}
  - name: the rule below it, in OCSF
    rule: asked
    fires: true
    event: {class_uid: 1007, activity_id: 1, time: 1, metadata: {log_name: x}, device: {os: {type_id: 100}}, process: {file: {path: 'C:\\whoami.exe'}}}
";

#[test]
fn a_case_may_have_many_events_for_a_correlation() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    put("often.yml", OFTEN);
    put("often.test.yml", OFTEN_CASES);
    let files = read_rules(&[folder.path().to_owned()]);
    let trial = trials(&files, &Options::shipped());
    assert_eq!((trial.passed, trial.total), (4, 4), "{trial:#?}");
    put(
        "often.test.yml",
        "- {name: a, fires: true, events: [{at: 0, times: 1000000, event: {}}]}\n",
    );
    let trial = trials(&files, &Options::shipped());
    assert_eq!(trial.problems[0].code, "bad-cases");
    assert_eq!(trial.one_sided.len(), 1);
}
