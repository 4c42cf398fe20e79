//! Rule files: what is wrong is told, what loads can be explained and run.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plura_fuzz::{OWN_RULES, Own, crs, files, seed};
use seclang::{Connection, Engine, NoMemory, RequestHead, ResponseHead, explain, load};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

fuzz_target!(init: seed("rules", snippets), |data: &[u8]| {
    let rules = match load(&Own(data), &["own.conf"]) {
        Ok(rules) => rules,
        Err(problems) => {
            assert!(!problems.is_empty() && problems.len() <= 200);
            assert!(problems.iter().all(|problem| problem.to_string().len() < 8 << 10));
            return;
        }
    };
    for rule in rules.rules() {
        assert!(rules.rule(rule.id).is_some());
        assert!(explain(&rules, rule.id).is_some());
    }
    let [planned, plain] =
        [Engine::new(rules.clone()), Engine::new(rules).without_plan()].map(|engine| run(&Arc::new(engine)));
    assert_eq!(planned, plain);
});

fn run(engine: &Arc<Engine>) -> seclang::Verdict {
    let connection = Connection {
        client: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        client_port: 40_000,
        server: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9)),
        server_port: 443,
        unique_id: "0192",
        time_ms: 1_767_225_600_000,
        utc_offset_secs: 0,
    };
    let headers: [(&[u8], &[u8]); 3] = [
        (b"Host", b"a.example"),
        (b"Content-Type", b"application/x-www-form-urlencoded"),
        (b"Cookie", b"sid=1; __utma=2"),
    ];
    let target = b"/old/a.php?q=1%27+union+select+1&x=needle&x=<script>".as_slice();
    let head = RequestHead { method: b"POST", target, protocol: b"HTTP/1.1", headers: &headers };
    let mut transaction = engine.begin(&connection, &head, Arc::new(NoMemory));
    transaction.request_headers();
    transaction.request_body(b"a=1&b=x%00y&b=/etc/passwd&=", true);
    let headers: [(&[u8], &[u8]); 1] = [(b"Content-Type", b"text/html")];
    transaction.response_headers(&ResponseHead {
        status: 500,
        protocol: b"HTTP/1.1",
        headers: &headers,
    });
    transaction.response_body(b"SQL syntax", true);
    transaction.finish()
}

/// Our rules and CRS's, some lines at a time.
fn snippets() -> Vec<Vec<u8>> {
    let folder = crs().map(|folder| files(&folder.join("rules"), ".conf")).unwrap_or_default();
    let crs = folder.iter().filter_map(|path| std::fs::read_to_string(path).ok());
    let mut seeds = vec![OWN_RULES.as_bytes().to_vec()];
    for text in std::iter::once(OWN_RULES.to_owned()).chain(crs) {
        let mut snippet = String::from("SecRuleEngine On\n");
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            snippet.push_str(line);
            snippet.push('\n');
            if !line.ends_with('\\') && !line.contains("chain\"") && snippet.len() > 100 {
                seeds.push(
                    std::mem::replace(&mut snippet, "SecRuleEngine On\n".to_owned()).into_bytes(),
                );
            }
        }
    }
    seeds
}
