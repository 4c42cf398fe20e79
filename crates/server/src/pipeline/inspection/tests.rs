use super::*;
use schema::{class, waf_sets};
use std::fs;

const SQLI: &str = r#"SecRule ARGS "@detectSQLi" "id:1,phase:2,deny,log,msg:'SQL',tag:'attack-sqli',severity:CRITICAL"
"#;

fn config(folder: &std::path::Path, rules: &str, inspect: &str) -> WafConfig {
    let file = folder.join("shop.conf");
    fs::write(&file, rules).unwrap();
    let text =
        format!("waf: {{rule_sets: {{shop: {{files: ['{}']}}}}, {inspect}}}", file.display());
    crate::Config::parse("server.yaml", &text).unwrap().waf
}

fn open(config: &WafConfig) -> Arc<Inspection> {
    Inspection::open(config).unwrap().unwrap()
}

fn get(site: Option<&str>, query: &str) -> Event {
    Event {
        class_uid: class::HTTP_ACTIVITY,
        method: Some("GET".to_owned()),
        path: Some("/search".to_owned()),
        query: Some(query.to_owned()),
        site: site.map(str::to_owned),
        ..Event::default()
    }
}

const ATTACK: &str = "q=1%27%20OR%201%3D1--";

fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[tokio::test]
async fn records_without_a_gateway_are_inspected_and_others_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let waf = open(&config(folder.path(), SQLI, "inspect: [{rules: shop, sites: [shop]}]"));
    let of_gateway = Event { log_format: Some("gateway".to_owned()), ..get(Some("shop"), ATTACK) };
    let mut told_already = get(Some("shop"), ATTACK);
    put(&mut told_already, Some(serde_json::json!([{"rules": "edge", "stage": "enforce"}])));
    let login = Event { class_uid: class::AUTHENTICATION, ..get(Some("shop"), ATTACK) };
    let before = vec![
        get(Some("shop"), ATTACK),
        get(Some("shop"), "q=union%20square"),
        get(Some("docs"), ATTACK),
        get(None, ATTACK),
        of_gateway,
        told_already,
        login,
    ];
    let after = waf.over(before.clone()).await;
    let [set] = &waf_sets(&after[0])[..] else { panic!("{:?}", after[0]) };
    assert_eq!((set.rules, set.stage, set.would_block), ("shop", "shadow", true));
    assert_eq!(after[1..], before[1..]);
    let counts = &waf.counts;
    assert_eq!((count(&counts.inspected), count(&counts.matched)), (2, 1));
    assert_eq!((count(&counts.would_block), count(&counts.uninspected)), (1, 0));
}

#[tokio::test]
async fn without_sites_every_record_is_inspected() {
    let folder = tempfile::tempdir().unwrap();
    let waf = open(&config(folder.path(), SQLI, "inspect: [{rules: shop}]"));
    let after = waf.over(vec![get(None, ATTACK), get(Some("docs"), ATTACK)]).await;
    assert!(after.iter().all(|event| waf_sets(event).len() == 1));
}

#[tokio::test]
async fn what_there_is_no_time_for_says_so_and_intake_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let waf = open(&config(folder.path(), SQLI, "inspect: [{rules: shop}], threads: 1"));
    // Somebody else's batch takes the only thread and keeps it.
    let held = Arc::clone(&waf.threads).acquire_owned().await.unwrap();
    let began = Instant::now();
    let after = waf.over(vec![get(None, ATTACK), get(None, "q=x")]).await;
    assert!(began.elapsed() < WAIT_MAX * 5);
    for event in &after {
        assert_eq!(event.rest["plura"]["waf"][0]["limits"], serde_json::json!(["overload"]));
        assert!(!waf_sets(event)[0].is_over_in());
    }
    assert_eq!(count(&waf.counts.uninspected), 2);
    drop(held);
    // A batch that is out of time has its beginning inspected at most, and keeps every event.
    let mut hasty = config(folder.path(), SQLI, "inspect: [{rules: shop}]");
    hasty.batch_ms = 1;
    let hasty = open(&hasty);
    let after = hasty.over(vec![get(None, ATTACK); 5_000]).await;
    let limits = |event: &Event| event.rest["plura"]["waf"][0].get("limits").is_some();
    let late = after.iter().filter(|event| limits(event)).count();
    assert_eq!(after.len(), 5_000);
    assert!(late > 0 && count(&hasty.counts.uninspected) == late as u64);
    assert!(after.iter().skip_while(|event| !limits(event)).all(limits), "the rest, in order");
}

#[test]
fn what_is_wrong_with_rules_is_told_with_file_line_and_directive() {
    let folder = tempfile::tempdir().unwrap();
    let broken = format!("{SQLI}SecRule ARGS \"@rx (\" \"id:2,phase:2,deny\"\nSecWonder On\n");
    let faults = Inspection::open(&config(folder.path(), &broken, "inspect: [{rules: shop}]"));
    let faults = faults.unwrap_err();
    let [pattern, directive] = &faults[..] else { panic!("{faults:?}") };
    assert!(pattern.place.ends_with("shop.conf:2"), "{pattern:?}");
    assert!(directive.place.ends_with("shop.conf:3"), "{directive:?}");
    assert!(directive.message.contains("SecWonder"), "{directive:?}");
    assert!(directive.message.contains("rule set `shop`"), "{directive:?}");
}

#[test]
fn a_configuration_that_means_nothing_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    for (inspect, place) in [
        ("inspect: [{rules: crs}]", "inspect[0].rules"),
        ("inspect: []", "waf.inspect"),
        ("inspect: [{rules: shop, paranoia: 5}]", "inspect[0].paranoia"),
        ("inspect: [{rules: shop, inbound_threshold: 0}]", "inspect[0].inbound_threshold"),
        ("inspect: [{rules: shop}], threads: 0", "waf.threads"),
        ("inspect: [{rules: shop}], batch_ms: 0", "waf.batch_ms"),
    ] {
        let faults = Inspection::open(&config(folder.path(), SQLI, inspect)).unwrap_err();
        assert!(faults[0].place.ends_with(place), "{inspect}: {faults:?}");
        assert!(faults[0].hint.is_some(), "{faults:?}");
    }
    let missing = "waf: {rule_sets: {a: {files: ['/nowhere/*.conf']}}, inspect: [{rules: a}]}";
    let missing = crate::Config::parse("server.yaml", missing).unwrap();
    assert_eq!(Inspection::open(&missing.waf).unwrap_err()[0].code, "rule-file-missing");
    assert!(Inspection::open(&WafConfig::default()).unwrap().is_none());
}
