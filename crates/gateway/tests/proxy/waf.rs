//! Rules look at what passes, and block where they may.

use crate::common::{
    Naive, Running, body, config, eventually, keys, problem_code, read_until, send, start,
    start_config, status, within,
};
use gateway::evidence::{Exchange, SessionBook, Site, SiteSpec, observe};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/waf/own.conf");
const INJECTION: &str = "1%20UNION%20SELECT%20password";

fn rule_sets(more: &str) -> String {
    format!("rule_sets: {{own: {{files: ['{OWN}']}}}}\n{more}")
}

fn site(settings: &str) -> String {
    format!("    waf: [{{rules: own{settings}}}]")
}

async fn shop(settings: &str) -> (Running, Arc<Naive>) {
    let (upstream, naive) = Naive::start().await;
    (start(upstream, &site(settings), &rule_sets("")), naive)
}

fn post(path: &str, kind: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The same injection in every place an application reads parameters from.
fn injections() -> Vec<(&'static str, Vec<u8>)> {
    let get = format!(
        "GET /search?q={INJECTION} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n"
    );
    let multipart = "--b\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\n1 UNION SELECT password\r\n--b--\r\n";
    vec![
        ("query", get.into_bytes()),
        (
            "form",
            post("/search", "application/x-www-form-urlencoded", &format!("a=1&q={INJECTION}")),
        ),
        (
            "json",
            post("/search", "application/json", r#"{"a": {"q": ["1 UNION SELECT password"]}}"#),
        ),
        ("multipart", post("/search", "multipart/form-data; boundary=b", multipart)),
    ]
}

/// `plura.waf` of an exchange's event.
fn told(exchange: &Exchange) -> Value {
    event(exchange).rest["plura"]["waf"].clone()
}

fn event(exchange: &Exchange) -> schema::Event {
    let site = Site::compile("shop", &SiteSpec::default()).unwrap();
    observe(exchange, &site, &keys(), &SessionBook::new(10))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_injection_is_blocked_wherever_it_stands() {
    let (gateway, naive) = shop(", stage: enforce").await;
    for (place, request) in injections() {
        let answer = gateway.send(&request).await;
        assert_eq!(
            (status(&answer), problem_code(&answer).as_str()),
            (403, "waf-blocked"),
            "{place}"
        );
        assert!(!answer.contains("SQL") && !answer.contains("300"), "{answer}");
    }
    assert_eq!(naive.requests(), 0);
    assert_eq!(status(&gateway.get("/search?q=shoes", "").await), 200);
    assert_eq!(
        status(&gateway.send(&post("/", "application/json", "{\"q\": \"shoes\"}")).await),
        200
    );

    let exchanges = gateway.exchanges(6).await;
    let event = event(&exchanges[0]);
    let told = &told(&exchanges[0])[0];
    assert_eq!((told["rules"].as_str(), told["version"].as_str()), (Some("own"), Some("own/1.0")));
    assert_eq!((told["blocked"].as_bool(), told["decided_by"].as_u64()), (Some(true), Some(399)));
    assert_eq!(
        (told["inbound_score"].as_i64(), told["inbound_threshold"].as_i64()),
        (Some(5), Some(5))
    );
    let found = &told["matches"][0];
    assert_eq!((found["rule"].as_u64(), found["variable"].as_str()), (Some(300), Some("ARGS:q")));
    assert_eq!(found["data"].as_str(), Some("1 union select password"));
    assert_eq!(found["message"].as_str(), Some("SQL injection …"));
    assert_eq!(found["transformations"][1].as_str(), Some("lowercase"));
    assert_eq!(event.enforced_rung.as_deref(), Some("block"));
    assert_eq!(event.outcome_reason.as_deref(), Some("waf-blocked"));

    // The reference is the event's own id.
    let answer = gateway.get(&format!("/?q={INJECTION}"), "").await;
    let problem: Value = serde_json::from_str(body(&answer)).unwrap();
    let exchange = gateway.exchanges(7).await.pop().unwrap();
    assert_eq!(self::event(&exchange).id.to_string(), problem["reference"].as_str().unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn in_shadow_it_passes_and_is_counted() {
    let (gateway, naive) = shop("").await;
    for (place, request) in injections() {
        assert_eq!(status(&gateway.send(&request).await), 200, "{place}");
    }
    assert_eq!(naive.requests(), 4);
    for exchange in gateway.exchanges(4).await {
        let told = told(&exchange);
        assert_eq!(
            (told[0]["blocked"].as_bool(), told[0]["would_block"].as_bool()),
            (Some(false), Some(true))
        );
        assert_eq!(told[0]["stage"].as_str(), Some("shadow"));
    }
    let metrics = gateway.metrics().await;
    for (family, count) in [("inspected", 4), ("matched", 4), ("would_block", 4), ("blocked", 0)] {
        let line = format!(
            "plura_gateway_waf_{family}_total{{site=\"shop\",rules=\"own\",stage=\"shadow\"}} {count}\n"
        );
        assert!(metrics.contains(&line), "{line}{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_rule_may_choose_status_and_redirect() {
    let (gateway, naive) = shop(", stage: enforce").await;
    let answer = gateway.get("/", "User-Agent: EvilScanner/1\r\n").await;
    assert_eq!((status(&answer), problem_code(&answer).as_str()), (406, "waf-blocked"));
    let answer = gateway.get("/moved/a", "").await;
    assert_eq!(status(&answer), 302);
    assert!(answer.contains("location: https://shop.example/new\r\n"), "{answer}");
    assert_eq!(naive.requests(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_canary_is_a_stable_share_of_clients() {
    let share = 30;
    let (upstream, _naive) = Naive::start().await;
    let gateway = start(
        upstream,
        &site(&format!(", stage: canary, canary_percent: {share}")),
        &rule_sets("trusted_proxies: [127.0.0.1/32]"),
    );
    let mut blocked = 0;
    for i in 0..100 {
        let from = format!("X-Forwarded-For: 203.0.113.{i}\r\n");
        let first = status(&gateway.get(&format!("/?q={INJECTION}"), &from).await);
        let again = status(&gateway.get(&format!("/?q={INJECTION}"), &from).await);
        assert_eq!(first, again, "client {i}");
        blocked += usize::from(first == 403);
    }
    assert!((15..=45).contains(&blocked), "{blocked} of 100");
    let metrics = gateway.metrics().await;
    let line = format!(
        "plura_gateway_waf_blocked_total{{site=\"shop\",rules=\"own\",stage=\"canary\"}} {}\n",
        blocked * 2
    );
    assert!(metrics.contains(&line), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn routes_say_how_strict_and_whether_at_all() {
    let (gateway, _naive) = shop(
        ", stage: enforce, routes: [{match: 'POST /upload/*', stage: off}, {match: '/strict', paranoia: 2}, {match: /lax, inbound_threshold: 10}]",
    )
    .await;
    let form = format!("q={INJECTION}");
    let kind = "application/x-www-form-urlencoded";
    assert_eq!(status(&gateway.send(&post("/upload/a", kind, &form)).await), 200);
    assert_eq!(
        status(&gateway.send(&post("/upload/../a", kind, &form)).await),
        403,
        "no way around"
    );
    assert_eq!(status(&gateway.get("/?q=O'Neill", "").await), 200);
    assert_eq!(status(&gateway.get("/strict?q=O'Neill", "").await), 403);
    assert_eq!(status(&gateway.get(&format!("/lax?q={INJECTION}"), "").await), 200);
    assert_eq!(status(&gateway.get(&format!("/lax?q={INJECTION}&b={INJECTION}"), "").await), 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_exception_is_for_one_parameter_and_ends() {
    let with = |expires: &str| {
        format!(
            ", stage: enforce, exceptions: [{{rule: 300, path: /search, host: shop.example, parameter: 'ARGS:q', expires: '{expires}', reason: 'the search language', by: kim}}]"
        )
    };
    let (gateway, _naive) = shop(&with("2100-01-01T00:00:00Z")).await;
    assert_eq!(status(&gateway.get(&format!("/search?q={INJECTION}"), "").await), 200);
    for path in ["/search?r=", "/other?q=", "/search/?q="] {
        assert_eq!(status(&gateway.get(&format!("{path}{INJECTION}"), "").await), 403, "{path}");
    }
    let elsewhere = format!(
        "GET /search?q={INJECTION} HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(status(&gateway.send(elsewhere.as_bytes()).await), 403);
    let (gateway, _naive) = shop(&with("2026-01-01T00:00:00Z")).await;
    assert_eq!(status(&gateway.get(&format!("/search?q={INJECTION}"), "").await), 403, "it ended");
}

/// An upstream that answers each request with the same bytes and closes.
async fn answering(answer: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                read_until(&mut socket, "\r\n\r\n").await;
                let _ = socket.write_all(&answer).await;
            });
        }
    });
    addr
}

fn response(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut out, plain).unwrap();
    out.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_leak_is_stopped_on_its_way_out() {
    let leak = b"<p>error ORA-00933 at line 1</p>";
    let packed = gzip(leak);
    let cases: [(&str, &[u8], u16); 5] = [
        ("Content-Type: text/html\r\n", leak, 403),
        ("Content-Type: text/html\r\nContent-Encoding: gzip\r\n", &packed, 403),
        ("Content-Type: image/png\r\n", leak, 200),
        ("Content-Type: text/html\r\nX-Leak: yes\r\n", b"fine", 502),
        ("Content-Type: text/html\r\n", b"fine", 200),
    ];
    for (headers, body_bytes, expected) in cases {
        let upstream = answering(response(headers, body_bytes)).await;
        let gateway = start(upstream, &site(", stage: enforce"), &rule_sets(""));
        let answer = gateway.get("/", "").await;
        assert_eq!(status(&answer), expected, "{headers}: {answer}");
        assert!(expected == 200 || !answer.contains("ORA-00933"), "{answer}");
        let shadow = start(upstream, &site(""), &rule_sets(""));
        assert_eq!(status(&shadow.get("/", "").await), 200, "{headers}");
    }
    // What is let through is what was sent, byte for byte.
    let packed = gzip(b"harmless");
    let upstream =
        answering(response("Content-Type: text/html\r\nContent-Encoding: gzip\r\n", &packed)).await;
    let gateway = start(upstream, &site(", stage: enforce"), &rule_sets(""));
    let mut socket = TcpStream::connect(gateway.addr).await.unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    within(socket.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.ends_with(&packed));
    let exchange = gateway.exchanges(1).await.pop().unwrap();
    assert_eq!(exchange.response_body.sha256, Some(schema::sha256(&packed)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn long_bodies_stream_after_their_beginning() {
    for (fail, expected) in [("open", 200), ("closed", 413)] {
        let (gateway, naive) =
            shop(&format!(", stage: enforce, fail: {fail}, body_bytes_max: 1000")).await;
        let long = format!("a=1&b={}", "x".repeat(300_000));
        let kind = "application/x-www-form-urlencoded";
        let answer = gateway.send(&post("/", kind, &long)).await;
        assert_eq!(status(&answer), expected, "{fail}");
        let passed = naive.text().contains(&long);
        assert_eq!(passed, expected == 200, "{fail}: whole, or not at all");
        let exchange = gateway.exchanges(1).await.pop().unwrap();
        assert_eq!(told(&exchange)[0]["limits"][0].as_str(), Some("request-body"));
        if fail == "open" {
            assert_eq!(exchange.request_body.sha256, Some(schema::sha256(long.as_bytes())));
        } else {
            assert_eq!(problem_code(&answer), "waf-uninspected");
        }
        // The beginning counts all the same.
        let bad = format!("q={INJECTION}&b={}", "x".repeat(300_000));
        let answer = gateway.send(&post("/", kind, &bad)).await;
        assert_eq!(problem_code(&answer), "waf-blocked", "{fail}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_follows_the_beginning_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap();
    let gateway = start(upstream, &site(", stage: enforce, body_bytes_max: 4"), &rule_sets(""));
    let mut client = TcpStream::connect(gateway.addr).await.unwrap();
    client
        .write_all(
            b"POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n",
        )
        .await
        .unwrap();
    let (mut behind, _) = within(listener.accept()).await.unwrap();
    read_until(&mut behind, "first").await;
    client.write_all(b"4\r\nlast\r\n0\r\n\r\n").await.unwrap();
    read_until(&mut behind, "last\r\n0\r\n\r\n").await;
    behind
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nanswer\r\n")
        .await
        .unwrap();
    read_until(&mut client, "answer").await;
    behind.write_all(b"3\r\nend\r\n0\r\n\r\n").await.unwrap();
    read_until(&mut client, "end\r\n0\r\n\r\n").await;
    let exchange = gateway.exchanges(1).await.pop().unwrap();
    assert_eq!(&exchange.request_body.bytes[..], b"firstlast");
    assert_eq!(&exchange.response_body.bytes[..], b"answerend");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn event_streams_are_left_alone() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = start(listener.local_addr().unwrap(), &site(", stage: enforce"), &rule_sets(""));
    let mut client = TcpStream::connect(gateway.addr).await.unwrap();
    client.write_all(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let (mut behind, _) = within(listener.accept()).await.unwrap();
    read_until(&mut behind, "\r\n\r\n").await;
    behind
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: ORA-00933\n\n")
        .await
        .unwrap();
    read_until(&mut client, "data: ORA-00933\n\n").await;
    behind.write_all(b"data: 2\n\n").await.unwrap();
    read_until(&mut client, "data: 2\n\n").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn memory_for_bodies_is_bounded() {
    let (upstream, _naive) = Naive::start().await;
    for (fail, expected) in [("open", 200), ("closed", 503)] {
        let gateway = start(
            upstream,
            &site(&format!(", stage: enforce, fail: {fail}")),
            &rule_sets("limits: {waf_bytes_max: 100, shutdown_ms: 500}"),
        );
        let answer = gateway.send(&post("/", "text/plain", &"x".repeat(200))).await;
        assert_eq!(status(&answer), expected, "{fail}: {answer}");
        assert_eq!(status(&gateway.send(&post("/", "text/plain", "short")).await), 200);
        let exchange = &gateway.exchanges(2).await[0];
        assert_eq!(told(exchange)[0]["limits"][0].as_str(), Some("memory"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn rules_remember_clients_over_a_reload() {
    let (upstream, _naive) = Naive::start().await;
    let settings = site(", stage: enforce");
    let gateway = start(upstream, &settings, &rule_sets(""));
    assert_eq!(status(&gateway.get("/count", "").await), 200);
    assert_eq!(status(&gateway.get("/count", "").await), 200);
    gateway
        .handle
        .reload(config(upstream, &settings, &rule_sets("forwarded_header: forwarded")))
        .unwrap();
    assert_eq!(status(&gateway.get("/count", "").await), 429);
    assert_eq!(status(&gateway.get("/other", "").await), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_rules_take_over_between_two_requests() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.conf");
    let rules = |word: &str| {
        // Both rules of a set or none: a request that met one of each would be answered otherwise.
        format!(
            "SecRule ARGS:q \"@streq {word}\" \"id:1,phase:1,pass,nolog,t:none,setvar:tx.seen=1\"\n\
             SecRule ARGS:q \"@streq {word}\" \"id:2,phase:2,deny,status:403,log,t:none,chain\"\n\
             SecRule TX:seen \"@eq 1\" \"t:none\"\n"
        )
    };
    std::fs::write(&file, rules("one")).unwrap();
    let (upstream, naive) = Naive::start().await;
    let top = format!("rule_sets: {{own: {{files: ['{}/*.conf']}}}}", folder.path().display());
    let gateway = start(upstream, &site(", stage: enforce"), &top);
    let addr = gateway.addr;
    let stop = Arc::new(AtomicBool::new(false));
    let client = {
        let stop = Arc::clone(&stop);
        tokio::spawn(async move {
            let (mut passed, mut blocked) = (0usize, 0usize);
            while !stop.load(Ordering::SeqCst) {
                for word in ["one", "two"] {
                    let request =
                        format!("GET /?q={word} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
                    match status(&send(addr, request.as_bytes()).await) {
                        200 => passed += 1,
                        403 => blocked += 1,
                        other => panic!("{other}"),
                    }
                }
            }
            (passed, blocked)
        })
    };
    for i in 0..20 {
        std::fs::write(&file, rules(if i % 2 == 0 { "two" } else { "one" })).unwrap();
        gateway.handle.reload(config(upstream, &site(", stage: enforce"), &top)).unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    stop.store(true, Ordering::SeqCst);
    let (passed, blocked) = within(client).await.unwrap();
    assert_eq!(naive.requests(), passed, "each was passed on once or blocked");
    assert!(passed > 0 && blocked > 0, "{passed} {blocked}");

    // Broken rules change nothing, and the fault says where.
    std::fs::write(&file, "SecRule ARGS \"@rx a\" \"id:1,phase:2,dney\"\n").unwrap();
    let faults =
        gateway.handle.reload(config(upstream, &site(", stage: enforce"), &top)).unwrap_err();
    assert_eq!(faults[0].code, "rule-invalid");
    assert!(faults[0].place.ends_with("rules.conf:1"), "{faults:?}");
    assert_eq!(status(&gateway.get("/?q=one", "").await), 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn no_secret_leaves_with_a_match() {
    let (gateway, _naive) = shop(", stage: enforce").await;
    let secret = "hunter2hunter2";
    let requests = [
        format!("GET /?password={secret}%20or%201=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").into_bytes(),
        format!("GET /?q=1%20or%201=1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: sid={secret} or 1=1\r\n\r\n").into_bytes(),
        post("/login", "application/x-www-form-urlencoded", &format!("user=a+or+1=1&password={secret}+or+1=1")),
        post("/login", "application/json", &format!(r#"{{"auth": {{"api_key": "{secret} or 1=1"}}}}"#)),
    ];
    for request in &requests {
        assert_eq!(status(&gateway.send(request).await), 403);
    }
    for exchange in gateway.exchanges(requests.len()).await {
        let text = event(&exchange).to_ocsf().to_string();
        assert!(text.contains("\"waf\""), "{text}");
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn matches_are_written_as_lines_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("waf.log");
    let (upstream, _naive) = Naive::start().await;
    let gateway = start(upstream, &site(""), &rule_sets(&format!("waf_log: '{}'", log.display())));
    gateway.get(&format!("/a?q={INJECTION}"), "").await;
    let text =
        eventually(|| std::fs::read_to_string(&log).ok().filter(|t| t.contains("399"))).await;
    let line = text.lines().find(|line| line.contains("[id \"300\"]")).unwrap();
    assert!(line.contains("[tag \"attack-sqli\"]") && line.contains("[uri \"/a\"]"), "{line}");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&log).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_audit_log_is_modsecuritys_and_protected() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "07".repeat(32)).unwrap();
    let audit = folder.path().join("audit.json");
    let (upstream, _naive) = Naive::start().await;
    let top = format!(
        "waf_audit: '{}'\nkey_file: '{}'\nstate_dir: '{}'",
        audit.display(),
        key.display(),
        folder.path().display()
    );
    let config = config(upstream, &site(", stage: enforce"), &rule_sets(&top));
    let gateway = gateway::Gateway::start(config).unwrap_or_else(|f| panic!("{f:?}"));
    let addr = gateway.addrs()[0];
    for target in ["/ok".to_owned(), format!("/search?q={INJECTION}&token=hunter2hunter2")] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        send(addr, request.as_bytes()).await;
    }
    let text =
        eventually(|| std::fs::read_to_string(&audit).ok().filter(|t| t.contains("399"))).await;
    assert_eq!(text.lines().count(), 1, "what matched nothing is not in it: {text}");
    assert!(!text.contains("hunter2hunter2"), "{text}");
    let entry: Value = serde_json::from_str(&text).unwrap();
    let transaction = &entry["transaction"];
    assert_eq!(transaction["client_ip"].as_str(), Some("127.0.0.1"));
    assert_eq!(transaction["host_port"].as_u64(), Some(u64::from(addr.port())));
    assert_eq!(transaction["request"]["method"].as_str(), Some("GET"));
    assert_eq!(transaction["request"]["headers"]["host"].as_str(), Some("a"));
    assert_eq!(transaction["response"]["http_code"].as_u64(), Some(403));
    assert_eq!(transaction["producer"]["components"][0].as_str(), Some("own/1.0"));
    let message = &transaction["messages"][0];
    assert_eq!(message["details"]["ruleId"].as_str(), Some("300"));
    assert_eq!(message["details"]["tags"][0].as_str(), Some("attack-sqli"));
    assert!(message["details"]["file"].as_str().unwrap().ends_with("own.conf"));
    tokio::task::spawn_blocking(move || gateway.shutdown()).await.unwrap();
}

/// Characters that no URI has: hyper would refuse them, and no rule would have seen the attack.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn odd_characters_in_a_target_are_seen_and_passed_on_encoded() {
    let (gateway, naive) = shop(", stage: enforce").await;
    let injected = "/?q=<\"1%20or%201=1\">";
    assert_eq!(problem_code(&gateway.get(injected, "").await), "waf-blocked");
    let mut socket = TcpStream::connect(gateway.addr).await.unwrap();
    // Two in one piece, the second head with a body, then one that arrives in two.
    socket
        .write_all(b"GET /a<b>?q=\"x\" HTTP/1.1\r\nHost: a\r\n\r\nPOST /?<1> HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n<\">")
        .await
        .unwrap();
    read_until(&mut socket, "okHTTP/1.1 200 OK").await;
    read_until(&mut socket, "ok").await;
    socket.write_all(b"GET /?<sl").await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    socket.write_all(b"ow> HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    read_until(&mut socket, "ok").await;
    let seen = naive.text();
    for expected in [
        "GET /a%3Cb%3E?q=%22x%22 HTTP/1.1",
        "POST /?%3C1%3E HTTP/1.1",
        "\r\n\r\n<\">",
        "GET /?%3Cslow%3E HTTP/1.1",
    ] {
        assert!(seen.contains(expected), "{expected} in {seen}");
    }
    assert_eq!(gateway.exchanges(4).await[1].request.path, "/a%3Cb%3E");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn http2_and_websockets_are_looked_at_too() {
    use http_body_util::{BodyExt, Full};
    let (upstream, _naive) = Naive::start().await;
    let listeners = "listeners: [{address: '127.0.0.1:0', h2c: true}]";
    let gateway = start(upstream, &site(", stage: enforce"), &rule_sets(listeners));
    let socket = TcpStream::connect(gateway.addr).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(
        hyper_util::rt::TokioExecutor::new(),
        hyper_util::rt::TokioIo::new(socket),
    )
    .await
    .unwrap();
    tokio::spawn(connection);
    for (form, expected) in [("q=shoes".to_owned(), 200), (format!("q={INJECTION}"), 403)] {
        let request = http::Request::post("http://shop.example/search")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Full::new(bytes::Bytes::from(form)))
            .unwrap();
        let response = within(sender.send_request(request)).await.unwrap();
        assert_eq!(response.status().as_u16(), expected);
        within(response.into_body().collect()).await.unwrap();
    }
    let upgrade = format!(
        "GET /ws?q={INJECTION} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n"
    );
    let mut client = TcpStream::connect(gateway.addr).await.unwrap();
    client.write_all(upgrade.as_bytes()).await.unwrap();
    let answer = read_until(&mut client, "waf-blocked").await;
    assert_eq!(status(&answer), 403);
}

/// OWASP CRS itself, where it is at hand.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_core_rule_set_blocks_what_it_is_for() {
    let corpus =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora/crs");
    if !corpus.join("rules").is_dir() {
        return;
    }
    let corpus = corpus.canonicalize().unwrap();
    let (upstream, _naive) = Naive::start().await;
    let top = format!(
        "rule_sets: {{crs: {{files: ['{0}/crs-setup.conf.example', '{0}/rules/*.conf']}}}}",
        corpus.display()
    );
    let config = config(upstream, "    waf: [{rules: crs, stage: enforce, paranoia: 1}]", &top);
    let gateway = start_config(config);
    let headers = "User-Agent: Mozilla/5.0\r\nAccept: */*\r\n";
    assert_eq!(status(&gateway.get("/?q=red+shoes", headers).await), 200);
    let answer =
        gateway.get("/?q=1%27%20UNION%20SELECT%20user,password%20FROM%20users--", headers).await;
    assert_eq!((status(&answer), problem_code(&answer).as_str()), (403, "waf-blocked"));
    let exchange = gateway.exchanges(2).await.pop().unwrap();
    let told = told(&exchange);
    assert!(told[0]["inbound_score"].as_i64().unwrap() >= 5, "{told}");
    assert_eq!(told[0]["inbound_threshold"].as_i64(), Some(5));
    assert!(told[0]["version"].as_str().unwrap().starts_with("OWASP_CRS/"), "{told}");
}
