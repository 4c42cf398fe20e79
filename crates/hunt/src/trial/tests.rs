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
    put("who.test.yml", "- nam: x\n");
    let trial = trials(&files, &Options::shipped());
    assert_eq!((trial.total, trial.problems[0].code.as_str()), (0, "bad-cases"));
}
