#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use crate::config::Config;
use crate::waf::load_all;
use std::io::Write;

const RULE: &str = "SecRule ARGS \"@contains attack\" \"id:1,phase:2,deny,log,t:none\"\n";

/// A site's only rule set, in `enforce`.
fn ward(settings: &str) -> Arc<Ward> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(RULE.as_bytes()).unwrap();
    let text = format!(
        "gateway: edge-1
admin: 127.0.0.1:0
listeners: [{{address: '127.0.0.1:0'}}]
rule_sets: {{own: {{files: ['{}']}}}}
sites:
  - name: shop
    hosts: ['*']
    upstreams: [{{url: 'http://127.0.0.1:1'}}]
    waf: [{{rules: own, stage: enforce{settings}}}]
",
        file.path().display()
    );
    let config = Config::parse("gateway.yaml", &text).unwrap();
    let rules = load_all(&config, None).unwrap();
    Arc::new(Ward::new(&config.sites[0].waf[0], &rules["own"], None))
}

fn begin(common: &Common, ward: &Arc<Ward>, target: &str) -> Inspection {
    let mut head = RequestHead { method: http::Method::POST, ..RequestHead::default() };
    let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
    head.headers.insert(http::header::CONTENT_TYPE, kind);
    let host = HeaderValue::from_static("shop.example");
    let local = SocketAddr::from(([127, 0, 0, 1], 80));
    let seen = Seen { head: &head, target, host: &host, local };
    let mut inspection = Inspection::begin(common, std::slice::from_ref(ward), &seen).unwrap();
    assert_eq!(inspection.request_headers(), None);
    inspection
}

#[tokio::test]
async fn nobody_waits_for_a_thread_without_end() {
    let common = Common::default();
    let count = u32::try_from(common.offload.available_permits()).unwrap();
    let taken = Arc::clone(&common.offload).try_acquire_many_owned(count).unwrap();
    let long = Bytes::from(format!("a=attack&b={}", "x".repeat(INLINE_BYTES_MAX)));
    let inspected = async |settings: &str, target: &str| {
        let mut inspection = begin(&common, &ward(settings), target);
        let stop = inspection.request_body(&common, long.clone(), true).await;
        let outcome = inspection.finish(&RequestHead::default(), &Logs::default());
        (stop, outcome.sets[0].limits.contains(&"work"))
    };
    let denied = Some(Stop::Rules(Interrupt::Deny { status: 403 }));
    let (open, closed, query) = tokio::join!(
        inspected("", "/"),
        inspected(", fail: closed", "/"),
        inspected("", "/?q=attack"),
    );
    assert_eq!(open, (None, true));
    assert_eq!(closed, (Some(Stop::Uninspected(Gap::Work)), true));
    assert_eq!(query, (denied.clone(), true), "what needs no body is looked at");
    drop(taken);
    assert_eq!(inspected("", "/").await, (denied, false), "there are threads again");
}
