//! Request bodies with a content encoding: unpacked for the rules, passed on as they came.

use crate::common::{Naive, Running, keys, problem_code, start, status};
use gateway::evidence::{SessionBook, Site, SiteSpec, observe};
use std::io::Write;
use std::sync::Arc;

const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/waf/own.conf");
const FORM: &str = "application/x-www-form-urlencoded";
const ATTACK: &[u8] = b"a=1&q=1%20UNION%20SELECT%20password";

async fn shop(settings: &str) -> (Running, Arc<Naive>) {
    let (upstream, naive) = Naive::start().await;
    let site = format!("    waf: [{{rules: own, stage: enforce{settings}}}]");
    (start(upstream, &site, &format!("rule_sets: {{own: {{files: ['{OWN}']}}}}")), naive)
}

fn post(kind: &str, encoding: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /a HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Encoding: {encoding}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn packed(encoding: &str, plain: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::default();
    match encoding {
        "gzip" | "x-gzip" => {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), level);
            out.write_all(plain).unwrap();
            out.finish().unwrap()
        }
        "deflate" => {
            let mut out = flate2::write::ZlibEncoder::new(Vec::new(), level);
            out.write_all(plain).unwrap();
            out.finish().unwrap()
        }
        "br" => {
            let mut out = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 20);
            out.write_all(plain).unwrap();
            out.into_inner()
        }
        _ => zstd::encode_all(plain, 3).unwrap(),
    }
}

/// The limits told of the last of `count` requests.
async fn limits(gateway: &Running, count: usize) -> Vec<String> {
    let exchange = gateway.exchanges(count).await.pop().unwrap();
    let site = Site::compile("shop", &SiteSpec::default()).unwrap();
    let event = observe(&exchange, &site, &keys(), &SessionBook::new(10));
    let told = event.rest.get("plura").map(|ours| &ours["waf"][0]["limits"]);
    told.and_then(serde_json::Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|l| Some(l.as_str()?.to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_attack_is_found_in_every_encoding() {
    for settings in ["", ", body_bytes_max: 4096"] {
        for encoding in ["gzip", "x-gzip", "deflate", "br", "zstd"] {
            let (gateway, naive) = shop(settings).await;
            let answer = gateway.send(&post(FORM, encoding, &packed(encoding, ATTACK))).await;
            assert_eq!(
                (status(&answer), problem_code(&answer).as_str()),
                (403, "waf-blocked"),
                "{encoding}"
            );
            assert_eq!(naive.requests(), 0, "{encoding}");
            let harmless = packed(encoding, b"a=1&q=blue shoes");
            let answer = gateway.send(&post(FORM, encoding, &harmless)).await;
            assert_eq!(status(&answer), 200, "{encoding}: {answer}");
            let seen = naive.bytes.lock().unwrap().clone();
            assert!(seen.ends_with(&harmless), "{encoding}: upstream gets what was sent");
            assert!(limits(&gateway, 2).await.is_empty(), "{encoding}");
        }
    }
    let (gateway, _naive) = shop("").await;
    let twice = packed("br", &packed("gzip", ATTACK));
    assert_eq!(status(&gateway.send(&post(FORM, "gzip, br", &twice)).await), 403);
    let json = packed("gzip", br#"{"q": ["1 UNION SELECT password"]}"#);
    assert_eq!(status(&gateway.send(&post("application/json", "gzip", &json)).await), 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_cannot_be_unpacked_is_told_and_refused_where_the_site_says_so() {
    let whole = packed("gzip", b"a=1&q=blue shoes, and a good deal more of the same: blue shoes");
    let broken = &whole[..whole.len() - 12];
    let cases: [(&str, &[u8]); 3] =
        [("gzip", broken), ("gzip", b"a=1&q=blue+shoes"), ("exotic", b"a=1&q=blue+shoes")];
    for (encoding, body) in cases {
        let (gateway, naive) = shop("").await;
        let answer = gateway.send(&post(FORM, encoding, body)).await;
        assert_eq!(status(&answer), 200, "{encoding}: {answer}");
        assert!(naive.bytes.lock().unwrap().ends_with(body));
        assert_eq!(limits(&gateway, 1).await, ["encoding"], "{encoding}");
        let (gateway, naive) = shop(", fail: closed").await;
        let answer = gateway.send(&post(FORM, encoding, body)).await;
        assert_eq!(
            (status(&answer), problem_code(&answer).as_str()),
            (403, "waf-uninspected"),
            "{encoding}"
        );
        assert_eq!(naive.requests(), 0);
    }
    // An encoding that is no more than said: an application that does not mind reads the attack.
    let (gateway, _naive) = shop("").await;
    for encoding in ["gzip", "exotic"] {
        let answer = gateway.send(&post(FORM, encoding, ATTACK)).await;
        assert_eq!(problem_code(&answer), "waf-blocked", "{encoding}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_bomb_costs_what_an_honest_body_costs() {
    let bomb = packed("gzip", &[&b"q="[..], &vec![b'x'; 50_000_000]].concat());
    for (fail, expected) in [("open", 200), ("closed", 413)] {
        let (gateway, _naive) = shop(&format!(", fail: {fail}")).await;
        let began = std::time::Instant::now();
        let answer = gateway.send(&post(FORM, "gzip", &bomb)).await;
        assert_eq!(status(&answer), expected, "{answer}");
        assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
        assert_eq!(limits(&gateway, 1).await, ["request-body"], "{fail}");
    }
}

/// OWASP CRS refuses the header by policy, and what is in the body is found beside it; where it is at hand.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_core_rule_set_still_refuses_the_header() {
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
    let gateway = start(upstream, "    waf: [{rules: crs, stage: enforce, paranoia: 1}]", &top);
    for (plain, is_attack) in
        [(&b"q=blue shoes"[..], false), (b"q=1' UNION SELECT user,password FROM users--", true)]
    {
        let answer = gateway.send(&post(FORM, "gzip", &packed("gzip", plain))).await;
        assert_eq!(problem_code(&answer), "waf-blocked");
        let exchange = gateway.exchanges(1 + usize::from(is_attack)).await.pop().unwrap();
        let waf = exchange.waf.unwrap();
        let rules: Vec<u64> = waf.sets[0].matches.iter().map(|found| found.rule).collect();
        assert!(rules.contains(&920450), "{rules:?}");
        assert_eq!(rules.contains(&942100), is_attack, "{rules:?}");
    }
}
