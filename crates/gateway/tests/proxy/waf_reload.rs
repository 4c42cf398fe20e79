//! What a reload begins anew: logs that were moved away, times that changed.

use crate::common::{Naive, config, eventually, start, status};

const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/waf/own.conf");
const INJECTION: &str = "1%20UNION%20SELECT%20password";

fn site(settings: &str) -> String {
    format!("    waf: [{{rules: own{settings}}}]")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_log_that_was_moved_away_begins_again_with_a_reload() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("waf.log");
    let (upstream, _naive) = Naive::start().await;
    let top = format!("rule_sets: {{own: {{files: ['{OWN}']}}}}\nwaf_log: '{}'", log.display());
    let gateway = start(upstream, &site(""), &top);
    gateway.get(&format!("/before?q={INJECTION}"), "").await;
    eventually(|| std::fs::read_to_string(&log).ok().filter(|t| t.contains("/before"))).await;
    std::fs::rename(&log, folder.path().join("waf.log.1")).unwrap();
    gateway.handle.reload(config(upstream, &site(""), &top)).unwrap();
    gateway.get(&format!("/after?q={INJECTION}"), "").await;
    let text =
        eventually(|| std::fs::read_to_string(&log).ok().filter(|t| t.contains("/after"))).await;
    assert!(!text.contains("/before"), "{text}");
    let metrics = gateway.metrics().await;
    assert!(metrics.contains("plura_gateway_waf_log_lost_total{log=\"waf_log\"} 0\n"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_new_time_of_collections_counts_after_a_reload() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("time.conf");
    std::fs::write(&file, "SecCollectionTimeout 3600\n").unwrap();
    let (upstream, _naive) = Naive::start().await;
    let top = format!("rule_sets: {{own: {{files: ['{}', '{OWN}']}}}}", file.display());
    let settings = site(", stage: enforce");
    let gateway = start(upstream, &settings, &top);
    for expected in [200, 200, 429] {
        assert_eq!(status(&gateway.get("/count", "").await), expected);
    }
    std::fs::write(&file, "SecCollectionTimeout 1\n").unwrap();
    gateway.handle.reload(config(upstream, &settings, &top)).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
    assert_eq!(status(&gateway.get("/count", "").await), 200, "what was remembered is over");
}
