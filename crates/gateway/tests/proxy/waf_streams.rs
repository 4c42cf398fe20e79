//! Rules look at streamed answers, and cut them off where they may.

use crate::common::{Running, config, eventually, keys, read_until, start_config, status, within};
use gateway::evidence::{Exchange, SessionBook, Site, SiteSpec, observe};
use schema::Event;
use std::io::Write;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const PACK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packs/llm-api/llm-api.conf");
const PROMPT: &str =
    r#"{"model": "m", "stream": true, "messages": [{"role": "user", "content": "hello"}]}"#;
/// No real key; in three pieces, as a model sends it.
const KEY: [&str; 3] = ["AK", "IAQ6ZTMXNB4W", "LVGD7K "];
/// The one that Amazon's documentation shows.
const EXAMPLE: [&str; 3] = ["AK", "IAIOSFODNN", "7EXAMPLE "];

/// A model behind a gateway, and its client, in the middle of an answer.
struct Talk {
    gateway: Running,
    client: TcpStream,
    model: TcpStream,
}

impl Talk {
    async fn begin(settings: &str, head: &str) -> Talk {
        Talk::begin_with(&format!("'{PACK}'"), settings, head).await
    }

    async fn begin_with(files: &str, settings: &str, head: &str) -> Talk {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let site = format!("    waf: [{{rules: llm{settings}}}]");
        let top = format!("rule_sets: {{llm: {{files: [{files}]}}}}");
        let gateway = start_config(config(listener.local_addr().unwrap(), &site, &top));
        let mut client = TcpStream::connect(gateway.addr).await.unwrap();
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{PROMPT}",
            PROMPT.len()
        );
        client.write_all(request.as_bytes()).await.unwrap();
        let (mut model, _) = within(listener.accept()).await.unwrap();
        read_until(&mut model, PROMPT).await;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{head}\r\n");
        model.write_all(head.as_bytes()).await.unwrap();
        Talk { gateway, client, model }
    }

    async fn says(&mut self, words: &str) {
        // Who is cut off may have gone.
        let _ = self.model.write_all(event(words).as_bytes()).await;
    }

    async fn says_all(&mut self, words: &[&str]) {
        for word in words {
            self.says(word).await;
        }
    }

    /// The client hears it now, with what stands before it.
    async fn hears(&mut self, words: &str) -> String {
        read_until(&mut self.client, &event(words)).await
    }

    /// All that is left for the client, and whether the answer ended as it should.
    async fn rest(&mut self) -> (String, bool) {
        let reading = async {
            let mut seen = Vec::new();
            let mut space = [0u8; 4096];
            loop {
                match self.client.read(&mut space).await {
                    Ok(0) | Err(_) => return (seen, false),
                    Ok(read) => seen.extend_from_slice(&space[..read]),
                }
                if seen.ends_with(b"0\r\n\r\n") {
                    return (seen, true);
                }
            }
        };
        let (seen, ended) = within(reading).await;
        (String::from_utf8_lossy(&seen).into_owned(), ended)
    }

    async fn exchange(&self) -> Exchange {
        self.gateway.exchanges(1).await.pop().unwrap()
    }

    async fn event(&self) -> Event {
        let site = Site::compile("shop", &SiteSpec::default()).unwrap();
        observe(&self.exchange().await, &site, &keys(), &SessionBook::new(10))
    }
}

fn event(words: &str) -> String {
    format!(
        "data: {{\"id\":\"c1\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{words}\"}}}}]}}\n\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_stream_that_leaks_a_key_is_cut_off_before_it() {
    let mut talk = Talk::begin(", stage: enforce", "").await;
    talk.says("Of course. ").await;
    talk.hears("Of course. ").await;
    talk.says_all(&KEY).await;
    let (rest, ended) = talk.rest().await;
    assert!(ended, "the stream ends as a stream does: {rest}");
    assert!(!rest.contains("choices"), "no piece of the key went out: {rest}");
    assert!(rest.contains("event: error\ndata: {\"error\":{"), "{rest}");
    // The model is not asked for more.
    let closed = within(talk.model.read(&mut [0u8; 1])).await;
    assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");

    let exchange = talk.exchange().await;
    let event = talk.event().await;
    let told = &event.rest["plura"]["waf"][0];
    assert_eq!((told["blocked"].as_bool(), told["phase"].as_u64()), (Some(true), Some(4)));
    assert_eq!(told["decided_by"].as_u64(), Some(550950));
    assert_eq!(told["matches"][0]["rule"].as_u64(), Some(550320));
    assert_eq!(event.outcome_reason.as_deref(), Some("waf-blocked"));
    assert_eq!(event.enforced_rung.as_deref(), Some("block"));
    assert_eq!(exchange.status, Some(200), "its head was out");
    assert!(rest.contains(&event.id.to_string()), "the reader has a reference: {rest}");
    let sent = String::from_utf8_lossy(&exchange.response_body.bytes).into_owned();
    assert!(sent.contains("Of course") && sent.ends_with("}}\n\n"), "what went out: {sent}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn in_shadow_a_stream_is_never_late_and_told_of() {
    let mut talk = Talk::begin(", stream_hold_ms: 10000", "").await;
    let began = Instant::now();
    for piece in KEY {
        talk.says(piece).await;
        talk.hears(piece).await;
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    drop(talk.model);
    let exchange = talk.gateway.exchanges(1).await.pop().unwrap();
    assert_eq!(exchange.response_body.bytes, KEY.map(event).concat().as_bytes());
    let site = Site::compile("shop", &SiteSpec::default()).unwrap();
    let event = observe(&exchange, &site, &keys(), &SessionBook::new(10));
    let told = &event.rest["plura"]["waf"][0];
    assert_eq!(
        (told["blocked"].as_bool(), told["would_block"].as_bool()),
        (Some(false), Some(true))
    );
    assert_eq!(told["matches"][0]["rule"].as_u64(), Some(550320));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_example_key_flows_unbroken_and_event_by_event() {
    for stage in ["enforce", "shadow"] {
        let mut talk = Talk::begin(&format!(", stage: {stage}"), "").await;
        let mut heard = String::new();
        for piece in EXAMPLE {
            talk.says(piece).await;
            // The next is sent when this one is there.
            heard += &talk.hears(piece).await;
        }
        talk.model.write_all(b"data: [DONE]\n\n").await.unwrap();
        talk.model.shutdown().await.unwrap();
        let (rest, ended) = talk.rest().await;
        assert!(ended && rest.contains("data: [DONE]\n\n"), "{stage}: {rest}");
        let expected = EXAMPLE.map(event).concat() + "data: [DONE]\n\n";
        assert_eq!(talk.exchange().await.response_body.bytes, expected.as_bytes(), "{stage}");
        assert!(
            talk.event().await.rest.get("plura").is_none_or(|p| p.get("waf").is_none()),
            "{stage}"
        );
        assert_eq!(status(&heard), 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_key_that_takes_its_time_is_cut_off_at_its_end() {
    let mut talk = Talk::begin(", stage: enforce, stream_hold_ms: 20", "").await;
    talk.says_all(&KEY[..2]).await;
    talk.hears(KEY[1]).await;
    talk.says(KEY[2]).await;
    let (rest, _) = talk.rest().await;
    assert!(rest.contains("event: error") && !rest.contains("LVGD7K"), "{rest}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_no_event_yet_is_not_held_for_long() {
    let mut talk = Talk::begin(", stage: enforce, stream_hold_ms: 40", "").await;
    talk.model.write_all(b": still here\n").await.unwrap();
    read_until(&mut talk.client, ": still here\n").await;
    let (beginning, rest) = ("data: {\"a\":", "1}\n\n");
    talk.model.write_all(beginning.as_bytes()).await.unwrap();
    read_until(&mut talk.client, beginning).await;
    talk.model.write_all(rest.as_bytes()).await.unwrap();
    read_until(&mut talk.client, rest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_stream_longer_than_what_is_inspected_passes_or_ends_as_the_site_says() {
    for fail in ["open", "closed"] {
        let settings =
            format!(", stage: enforce, fail: {fail}, body_bytes_max: 3000, stream_hold_ms: 20");
        let mut talk = Talk::begin(&settings, "").await;
        talk.says("first").await;
        talk.hears("first").await;
        for _ in 0..50 {
            talk.says("and so on and on and on").await;
        }
        talk.says("last").await;
        if fail == "open" {
            talk.hears("last").await;
            talk.model.shutdown().await.unwrap();
        }
        let (rest, ended) = talk.rest().await;
        assert!(ended, "{rest}");
        let event = talk.event().await;
        assert_eq!(event.rest["plura"]["waf"][0]["limits"][0].as_str(), Some("response-body"));
        if fail == "closed" {
            assert!(rest.contains("waf-uninspected") && !rest.contains("last"), "{rest}");
            assert_eq!(event.outcome_reason.as_deref(), Some("waf-uninspected"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_flood_of_events_passes_whole() {
    let settings = ", stage: enforce, body_bytes_max: 4194304, stream_hold_ms: 10000";
    let mut talk = Talk::begin(settings, "").await;
    let events: String = (0..2_000).map(|n| event(&format!("word {n} "))).collect();
    let sent = events.clone();
    let mut model = talk.model;
    let began = Instant::now();
    let sending = tokio::spawn(async move {
        model.write_all(sent.as_bytes()).await.unwrap();
        model.shutdown().await.unwrap();
        model
    });
    let reading = async {
        let mut seen = Vec::new();
        let mut space = vec![0u8; 65_536];
        while !seen.ends_with(b"0\r\n\r\n") {
            let read = talk.client.read(&mut space).await.unwrap();
            assert!(read > 0, "it broke off after {}", seen.len());
            seen.extend_from_slice(&space[..read]);
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reading).await.unwrap();
    talk.model = within(sending).await.unwrap();
    // Bytes, not time, let it go on: with the hold alone each 16 KiB would take five seconds.
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    let exchange = talk.exchange().await;
    assert_eq!(exchange.response_body.sha256, Some(schema::sha256(events.as_bytes())));
    assert_eq!(exchange.response_body.total_len, events.len() as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_packed_stream_is_unpacked_for_the_rules() {
    for (pieces, is_cut) in [(KEY, true), (EXAMPLE, false)] {
        let settings = ", stage: enforce, stream_hold_ms: 40";
        let mut talk = Talk::begin(settings, "Content-Encoding: gzip\r\n").await;
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        for piece in pieces {
            packer.write_all(event(piece).as_bytes()).unwrap();
            packer.flush().unwrap();
        }
        let packed = packer.finish().unwrap();
        talk.model.write_all(&packed).await.unwrap();
        talk.model.shutdown().await.unwrap();
        let (_, ended) = talk.rest().await;
        assert_eq!(ended, !is_cut, "no event of ours fits into it: it breaks off");
        let exchange = talk.exchange().await;
        let expected = if is_cut { &b""[..] } else { &packed };
        assert_eq!(exchange.response_body.bytes, expected);
        let is_blocked = exchange.waf.as_ref().is_some_and(|waf| waf.blocked.is_some());
        assert_eq!(is_blocked, is_cut);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_unknown_encoding_is_told_and_refused_where_the_site_says_so() {
    for (fail, expected) in [("open", 200), ("closed", 403)] {
        let settings = format!(", stage: enforce, fail: {fail}");
        let mut talk = Talk::begin(&settings, "Content-Encoding: exotic\r\n").await;
        talk.says_all(&KEY).await;
        let _ = talk.model.shutdown().await;
        let (answer, _) = talk.rest().await;
        assert_eq!(status(&answer), expected, "{answer}");
        let event = talk.event().await;
        assert_eq!(event.rest["plura"]["waf"][0]["limits"][0].as_str(), Some("encoding"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_client_that_leaves_does_not_take_the_record_along() {
    for stage in ["shadow", "enforce"] {
        let settings = format!(", stage: {stage}, stream_hold_ms: 2000");
        let mut talk = Talk::begin(&settings, "").await;
        read_until(&mut talk.client, "\r\n\r\n").await;
        talk.says_all(&KEY).await;
        if stage == "shadow" {
            talk.hears(KEY[2]).await;
        } else {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        drop(talk.client);
        // The gateway notices when it is woken.
        let exchange = eventually(|| talk.gateway.recorded().pop()).await;
        let waf = exchange.waf.unwrap();
        assert!(waf.sets[0].decided.is_some(), "{stage}: {waf:?}");
        assert_eq!(waf.blocked, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_key_behind_much_text_is_cut_off_all_the_same() {
    // The part that is looked at begins somewhere in the middle: wherever that is.
    for shift in 0..4 {
        let mut talk = Talk::begin(", stage: enforce, stream_hold_ms: 60", "").await;
        let before: String =
            (0..220).map(|n| event(&format!("{}{n} ", "x".repeat(shift)))).collect();
        talk.model.write_all(before.as_bytes()).await.unwrap();
        talk.hears(&format!("{}219 ", "x".repeat(shift))).await;
        talk.says_all(&KEY).await;
        let (rest, _) = talk.rest().await;
        assert!(rest.contains("event: error"), "{shift}: {rest}");
        assert!(!rest.contains("LVGD7K"), "{shift}: {rest}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_only_the_whole_shows_is_told_when_it_is_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("both.conf");
    let rules = "SecAction \"id:1,phase:1,pass,nolog,ctl:forceResponseBodyVariable=On\"\n\
        SecRule RESPONSE_BODY \"@contains alpha\" \"id:2,phase:4,pass,nolog,setvar:tx.seen=1\"\n\
        SecRule RESPONSE_BODY \"@contains omega\" \"id:3,phase:4,deny,status:403,log,chain\"\n\
        SecRule TX:seen \"@eq 1\" \"t:none\"\n";
    std::fs::write(&file, rules).unwrap();
    let settings = ", stage: enforce, stream_hold_ms: 20";
    let mut talk = Talk::begin_with(&format!("'{}'", file.display()), settings, "").await;
    talk.says("alpha").await;
    talk.hears("alpha").await;
    // More than is looked at again.
    let between: String = (0..400).map(|n| event(&format!("{n} "))).collect();
    talk.model.write_all(between.as_bytes()).await.unwrap();
    talk.hears("399 ").await;
    talk.says("omega").await;
    talk.model.shutdown().await.unwrap();
    let (rest, ended) = talk.rest().await;
    assert!(ended && rest.contains("omega") && !rest.contains("event: error"), "{rest}");
    let event = talk.event().await;
    let told = &event.rest["plura"]["waf"][0];
    assert_eq!((told["enforced"].as_bool(), told["blocked"].as_bool()), (Some(true), Some(false)));
    assert_eq!(told["would_block"].as_bool(), Some(true), "{told}");
}
