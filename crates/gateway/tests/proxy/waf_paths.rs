//! Other spellings of a path: neither a way past a strict route nor into a lax one.

use crate::common::{Naive, Running, start, status};
use std::sync::Arc;

const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/waf/own.conf");
const INJECTION: &str = "1%20UNION%20SELECT%20password";

fn site(settings: &str) -> String {
    format!("    waf: [{{rules: own{settings}}}]")
}

async fn shop(settings: &str) -> (Running, Arc<Naive>) {
    let (upstream, naive) = Naive::start().await;
    (start(upstream, &site(settings), &format!("rule_sets: {{own: {{files: ['{OWN}']}}}}")), naive)
}

/// Most applications read each of these as `/admin/users`.
const ADMIN_PATHS: [&str; 7] = [
    "/admin/users",
    "/admin//users",
    "//admin/users",
    "/admin/./users",
    "/x/../admin/users",
    "/%61dmin/users",
    "/admin;v=1/users",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_stricter_route_is_not_evaded_by_another_spelling() {
    let (gateway, _naive) = shop(
        ", routes: [{match: '/admin/*', stage: enforce, paranoia: 2}, {match: '/up/*', stage: off}, {match: /lax, paranoia: 1, inbound_threshold: 10}]",
    )
    .await;
    for path in ADMIN_PATHS {
        // A quote is for level 2.
        assert_eq!(status(&gateway.get(&format!("{path}?q=O'Neill"), "").await), 403, "{path}");
        assert_eq!(status(&gateway.get(&format!("{path}?q=shoes"), "").await), 200, "{path}");
    }
    // Escapes that change nothing of where a path leads leave it where it is.
    for path in ["/", "/a%20b", "/caf%C3%A9", "/up/my%20file", "/up/%61", "/administrators"] {
        assert_eq!(status(&gateway.get(&format!("{path}?q={INJECTION}"), "").await), 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn another_spelling_is_no_way_into_a_laxer_route() {
    let (gateway, _naive) = shop(
        ", stage: enforce, fail: closed, routes: [{match: '/up/*', stage: off, fail: open}, {match: /lax, inbound_threshold: 10}]",
    )
    .await;
    for path in ["/up//a", "/up/../a", "/%75p/a", "/la%78", "//lax"] {
        assert_eq!(status(&gateway.get(&format!("{path}?q={INJECTION}"), "").await), 403, "{path}");
    }
    for path in ["/up/a", "/lax"] {
        assert_eq!(status(&gateway.get(&format!("{path}?q={INJECTION}"), "").await), 200, "{path}");
    }
}

/// What the files say counts where a route says less.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_odd_path_is_not_laxer_than_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("level.conf");
    let level =
        "SecAction \"id:50,phase:1,pass,nolog,t:none,setvar:tx.blocking_paranoia_level=2\"\n";
    std::fs::write(&file, level).unwrap();
    let (upstream, _naive) = Naive::start().await;
    let top = format!("rule_sets: {{own: {{files: ['{}', '{OWN}']}}}}", file.display());
    let settings = ", stage: enforce, routes: [{match: /lax, paranoia: 1}]";
    let gateway = start(upstream, &site(settings), &top);
    for (path, expected) in [("/a", 403), ("/lax", 200), ("//lax", 403), ("//a", 403)] {
        assert_eq!(
            status(&gateway.get(&format!("{path}?q=O'Neill"), "").await),
            expected,
            "{path}"
        );
    }
}
