//! The server decides about every request; the gateway asks, remembers, and does as it is told.

#[path = "trust/parts.rs"]
mod parts;

use crate::common::{
    Running, body, eventually, keys, problem_code, read_until, send, status, within,
};
use parts::{App, Pdp, allow, answer, config, deny, observed, session, start};
use schema::{Reconsider, Restrictions};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn ask(gateway: &Running, line: &str, sid: &str, headers: &str) -> String {
    let request = format!(
        "{line} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\nCookie: sid={sid}\r\n{headers}\r\n"
    );
    gateway.send(request.as_bytes()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_request_is_asked_about_once_and_marked_and_on_record() {
    let pdp = Pdp::start(|_| answer(true, json!({"decisions": ["allow_monitor"], "score": 82.41, "ttl_secs": 300, "profile": "balanced", "obligations": [{"id": "watermark", "attributes": {}}]}))).await;
    let gateway = start(&pdp, "{}").await;
    for _ in 0..3 {
        let answer = ask(&gateway, "GET /orders/1042", "s1", "User-Agent: curl\t8\r\n").await;
        assert_eq!(status(&answer), 200);
        assert!(answer.contains("plura-watermark: d-1\r\n"), "{answer}");
        assert!(!answer.contains("82.41"), "the score is nobody's business");
    }
    let asked = pdp.asked();
    assert_eq!(asked.len(), 1, "the others were judged by the answer kept");
    assert_eq!(pdp.authorization(), "Bearer t0ken");
    let time = asked[0]["context"]["time"].clone();
    assert!(schema::parse_time(time.as_str().unwrap()).is_some(), "{time}");
    assert_eq!(
        asked[0],
        json!({
            "subject": {"type": "session", "id": keys().secret_hash(b"s1"), "properties": {}},
            "action": {"name": "GET"},
            "resource": {"type": "route", "id": "shop/GET /orders/{id}", "properties": {"site": "shop"}},
            "context": {"address": "127.0.0.1", "user_agent": "curl 8", "time": time,
                "obligations_supported": ["step_up_mfa", "read_only", "download_block",
                    "block_large_transfer", "throttle", "watermark", "session_ttl_short",
                    "session_terminate", "session_isolate"]},
        })
    );
    // Another endpoint, client, session or key is another question; another order is not.
    for (line, sid, headers, count) in [
        ("GET /orders/77", "s1", "User-Agent: curl\t8\r\n", 1),
        ("GET /orders", "s1", "User-Agent: curl\t8\r\n", 2),
        ("GET /orders/1042", "s1", "User-Agent: other\r\n", 3),
        ("GET /orders/1042", "s2", "User-Agent: curl\t8\r\n", 4),
        ("GET /orders/1042", "s1", "User-Agent: curl\t8\r\nAuthorization: Bearer k\r\n", 5),
        ("HEAD /orders/1042", "s1", "User-Agent: curl\t8\r\n", 6),
    ] {
        assert_eq!(status(&ask(&gateway, line, sid, headers).await), 200);
        assert_eq!(pdp.asked().len(), count, "{line} {sid} {headers}");
    }
    let event = observed(&gateway, 0).await;
    assert_eq!(
        event["plura"]["trust"],
        json!({"decision": "d-1", "ruling": "allow", "score": 82.41, "decisions": ["allow_monitor"],
            "obligations": ["watermark"], "performed": ["watermark"], "profile": "balanced"})
    );
    assert_eq!(event["plura"]["outcome"]["result"], "success");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_step_up_is_asked_for_until_it_is_proved() {
    let pdp = Pdp::start(|asked| match &asked["context"]["signals"]["mfa_result"] {
        Value::String(result) if result == "success" => allow(),
        _ => answer(false, json!({"decisions": ["step_up"], "ttl_secs": 900, "obligations": [{"id": "step_up_mfa"}]})),
    })
    .await;
    let gateway = start(&pdp, "{}").await;
    let page = ask(&gateway, "GET /orders", "s1", "Accept: text/html\r\n").await;
    assert_eq!(status(&page), 302);
    assert!(page.contains("location: /verify\r\n"), "{page}");
    let api = ask(&gateway, "GET /orders", "s1", "").await;
    assert_eq!((status(&api), problem_code(&api).as_str()), (401, "trust-step-up"));
    assert!(body(&api).contains("\"step_up_url\":\"/verify\""), "{api}");
    assert_eq!(status(&ask(&gateway, "POST /verify?code=7", "s1", "").await), 403);
    assert_eq!(
        status(&ask(&gateway, "GET /orders", "s1", "").await),
        401,
        "a wrong code proves nothing"
    );
    assert_eq!(status(&ask(&gateway, "POST /verify?code=42", "s1", "").await), 200);
    assert_eq!(status(&ask(&gateway, "GET /orders", "s1", "").await), 200);
    let signals = pdp.asked().last().unwrap()["context"]["signals"].clone();
    assert_eq!(signals, json!({"mfa_result": "success", "mfa_method": "otp"}));
    assert_eq!(
        status(&ask(&gateway, "GET /orders", "s2", "").await),
        401,
        "another session does not"
    );

    let verify = "POST /verify?code=42 HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n";
    assert_eq!(status(&gateway.send(verify.as_bytes()).await), 200);
    assert_eq!(status(&gateway.get("/orders", "").await), 401, "an address proves nothing");

    // Also where the decision point insists: what was asked for has been done.
    pdp.rule(|_| answer(false, json!({"decisions": ["step_up"], "obligations": [{"id": "step_up_mfa"}, {"id": "read_only"}]})));
    assert_eq!(
        status(&ask(&gateway, "POST /verify?code=42", "s3", "").await),
        200,
        "open, though it writes"
    );
    assert_eq!(status(&ask(&gateway, "GET /accounts", "s3", "").await), 200);
    assert_eq!(problem_code(&ask(&gateway, "POST /accounts", "s3", "").await), "trust-read-only");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_is_not_trusted_is_told_so_in_their_language() {
    let pdp = Pdp::start(|_| {
        answer(false, json!({"score": 12.5, "decisions": ["deny"], "ttl_secs": 60}))
    })
    .await;
    let gateway = start(&pdp, "{}").await;
    for (language, word) in [("ko", "거부"), ("ja", "拒否"), ("en", "denied")] {
        let headers = format!("Accept-Language: {language}\r\n");
        let answer = ask(&gateway, "GET /orders", "s1", &headers).await;
        assert_eq!((status(&answer), problem_code(&answer).as_str()), (403, "trust-denied"));
        assert!(answer.contains(&format!("content-language: {language}")) && answer.contains(word));
        let problem: Value = serde_json::from_str(body(&answer)).unwrap();
        assert_eq!((&problem["reference"], &problem["reason"]), (&json!("d-1"), &json!("denied")));
        assert!(!answer.contains("12.5"), "{answer}");
    }
    assert_eq!(gateway.app.requests(), 0);
    let event = observed(&gateway, 0).await;
    assert_eq!(event["plura"]["outcome"]["reason"], "trust-denied");
    assert_eq!(event["plura"]["trust"]["score"], 12.5);
    assert_eq!(
        event["plura"]["enforcement"]["rung"], "block",
        "no detection counts what we refused"
    );

    pdp.rule(|_| answer(true, json!({"obligations": [{"id": "session_terminate"}]})));
    let ended = ask(&gateway, "GET /orders", "s2", "").await;
    assert_eq!((status(&ended), problem_code(&ended).as_str()), (403, "trust-session-terminated"));
    pdp.rule(|_| {
        answer(false, json!({"decisions": ["isolate"], "obligations": [{"id": "session_isolate"}]}))
    });
    let isolated = ask(&gateway, "GET /orders", "s3", "").await;
    assert_eq!((status(&isolated), problem_code(&isolated).as_str()), (403, "trust-isolated"));
    assert_eq!(
        status(&ask(&gateway, "GET /verify", "s3", "").await),
        403,
        "the code is wrong, the way is open"
    );
    assert_eq!(gateway.app.requests(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_login_is_asked_about_with_the_account_it_tries() {
    let pdp = Pdp::start(|asked| match &asked["subject"]["properties"]["account"] {
        Value::String(account) if account == "lee" => deny(),
        _ => allow(),
    })
    .await;
    let gateway = start(&pdp, "{}").await;
    let login = async |user: &str| {
        let json = format!("{{\"user\":\"{user}\",\"pw\":\"x\"}}");
        let request = format!(
            "POST /signin HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\nCookie: sid=s1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{json}",
            json.len()
        );
        status(&gateway.send(request.as_bytes()).await)
    };
    assert_eq!(login("kim").await, 200);
    assert_eq!(login("lee").await, 403);
    assert_eq!(gateway.app.requests(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_borrowed_name_is_not_passed_on_as_known() {
    let pdp = Pdp::start(|_| allow()).await;
    let gateway = start(&pdp, "{}").await;
    // `lee:x`, on a site that does not say that Basic counts.
    let basic = "Authorization: Basic bGVlOng=\r\n";
    assert_eq!(status(&ask(&gateway, "GET /orders", "s1", basic).await), 200);
    assert_eq!(pdp.asked()[0]["subject"]["properties"].get("account"), None);
    let event = observed(&gateway, 0).await;
    assert_eq!(event["plura"]["account_from"], "basic-user", "nor learnt from");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn every_spelling_of_a_path_is_asked_about_as_one_or_refused() {
    let pdp = Pdp::start(|asked| match &asked["resource"]["id"] {
        Value::String(id) if id == "shop/GET /admin/users" => deny(),
        _ => allow(),
    })
    .await;
    let gateway = start(&pdp, "{skip: ['GET /static/*']}").await;
    let reason = async |path: &str| {
        let answer = ask(&gateway, &format!("GET {path}"), "s1", "").await;
        assert_eq!(
            (status(&answer), problem_code(&answer)),
            (403, "trust-denied".into()),
            "{path}"
        );
        let problem: Value = serde_json::from_str(body(&answer)).unwrap();
        problem["reason"].as_str().unwrap().to_owned()
    };
    for path in [
        "/admin/users",
        "//admin//users",
        "/%61dmin/users",
        "/static/../admin/users",
        "/admin;x/users",
    ] {
        assert_eq!(reason(path).await, "denied", "{path}");
    }
    assert_eq!(pdp.asked().len(), 1, "one question");
    for path in ["/admin%2fusers", "/static/..;/admin/users", "/%2561dmin/users", "/../admin/users"]
    {
        assert_eq!(reason(path).await, "ambiguous-path", "{path}");
    }
    assert_eq!((pdp.asked().len(), gateway.app.requests()), (1, 0));
    assert_eq!(status(&ask(&gateway, "GET /%EA%B9%80/a%20b", "s1", "").await), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_may_only_read_cannot_write() {
    let pdp =
        Pdp::start(|_| answer(true, json!({"ttl_secs": 60, "obligations": [{"id": "read_only"}]})))
            .await;
    let gateway = start(&pdp, "{}").await;
    for line in ["GET /orders", "HEAD /orders", "OPTIONS /orders"] {
        assert_eq!(status(&ask(&gateway, line, "s1", "").await), 200, "{line}");
    }
    for (line, headers) in [
        ("POST /orders", ""),
        ("DELETE /orders", ""),
        ("PROPFIND /orders", ""),
        ("GET /orders", "X-HTTP-Method-Override: DELETE\r\n"),
        ("GET /ws", "Connection: Upgrade\r\nUpgrade: websocket\r\n"),
    ] {
        let answer = ask(&gateway, line, "s1", headers).await;
        assert_eq!(
            (status(&answer), problem_code(&answer).as_str()),
            (403, "trust-read-only"),
            "{line}"
        );
    }
    assert_eq!(gateway.app.requests(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn files_are_kept_back_before_they_flow() {
    let pdp = Pdp::start(|_| {
        answer(true, json!({"ttl_secs": 60, "obligations": [{"id": "download_block"}]}))
    })
    .await;
    let gateway = start(&pdp, "{}").await;
    for path in ["/orders", "/picture"] {
        assert_eq!(status(&ask(&gateway, &format!("GET {path}"), "s1", "").await), 200, "{path}");
    }
    assert_eq!(status(&ask(&gateway, "HEAD /report", "s1", "").await), 200, "it has no body");
    for path in ["/report", "/table.csv", "/big", "/part-of-big"] {
        let answer = ask(&gateway, &format!("GET {path}"), "s1", "").await;
        assert_eq!(
            (status(&answer), problem_code(&answer).as_str()),
            (403, "trust-download-blocked"),
            "{path}"
        );
        assert!(!answer.contains("secret"), "{answer}");
    }
    let event = observed(&gateway, 3).await;
    assert_eq!(event["plura"]["trust"]["refused"], "trust-download-blocked");
    assert_eq!(event["plura"]["outcome"]["result"], "failure");
    // One that does not say how long it is, is cut off where it becomes one.
    let answer = ask(&gateway, "GET /endless", "s1", "").await;
    assert!(!answer.ends_with("0\r\n\r\n") && answer.len() > 10 << 20, "{}", answer.len());
    assert!(answer.len() < 11 << 20, "{}", answer.len());
    let event = observed(&gateway, 7).await;
    assert_eq!(event["plura"]["trust"]["ended"]["refused"], "trust-download-blocked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn large_transfers_are_kept_back_both_ways() {
    let pdp = Pdp::start(|_| {
        answer(true, json!({"ttl_secs": 60, "obligations": [{"id": "block_large_transfer"}]}))
    })
    .await;
    let gateway = start(&pdp, "{}").await;
    assert_eq!(status(&ask(&gateway, "GET /report", "s1", "").await), 200, "a small file may pass");
    let code = |answer: &str| (status(answer), problem_code(answer));
    let blocked = (403, "trust-transfer-blocked".to_owned());
    let before = gateway.app.requests();
    let told = ask(&gateway, "POST /orders", "s1", "Content-Length: 10485761\r\n").await;
    assert_eq!(code(&told), blocked);
    assert_eq!(gateway.app.requests(), before, "known before it was passed on");
    assert_eq!(code(&ask(&gateway, "GET /big", "s1", "").await), blocked);
    let cut = ask(&gateway, "GET /endless", "s1", "").await;
    assert!(!cut.ends_with("0\r\n\r\n") && cut.len() < 11 << 20);

    // An upload that does not say how long it is.
    let mut client = TcpStream::connect(gateway.addr).await.unwrap();
    client.write_all(b"POST /orders HTTP/1.1\r\nHost: shop.example\r\nCookie: sid=s1\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
    let chunk = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
    let (mut from, mut to) = client.split();
    let sending = async {
        // The gateway may close before all of it is out.
        for _ in 0..200 {
            if to.write_all(&chunk).await.is_err() {
                break;
            }
        }
    };
    let reading = async {
        let mut seen = Vec::new();
        let _ = from.read_to_end(&mut seen).await;
        String::from_utf8_lossy(&seen).into_owned()
    };
    let (_, answer) = within(async { tokio::join!(sending, reading) }).await;
    assert_eq!(code(&answer), blocked);
    let metrics = gateway.metrics().await;
    assert!(
        metrics.contains("plura_gateway_trust_refused_total{code=\"trust-transfer-blocked\"} 4\n"),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn sessions_are_slowed_down_and_grow_old() {
    let pdp = Pdp::start(|_| answer(true, json!({"ttl_secs": 60, "obligations": [{"id": "throttle", "attributes": {"rate_per_minute": 1}}]}))).await;
    let gateway = start(&pdp, "{}").await;
    assert_eq!(status(&ask(&gateway, "GET /orders", "s1", "").await), 200);
    let slow = ask(&gateway, "GET /orders", "s1", "").await;
    assert_eq!((status(&slow), problem_code(&slow).as_str()), (429, "trust-throttled"));
    assert!(slow.contains("retry-after: "), "{slow}");
    assert_eq!(status(&ask(&gateway, "GET /orders", "s2", "").await), 200, "each has its own rate");

    let ttl = |secs: u32| {
        move |_: &Value| {
            answer(
                true,
                json!({"ttl_secs": 60, "obligations": [{"id": "session_ttl_short", "attributes": {"ttl_secs": secs}}]}),
            )
        }
    };
    pdp.rule(ttl(3_600));
    assert_eq!(status(&ask(&gateway, "GET /orders", "s3", "").await), 200);
    pdp.rule(ttl(0));
    let old = ask(&gateway, "GET /orders", "s4", "").await;
    assert_eq!((status(&old), problem_code(&old).as_str()), (401, "trust-session-expired"));
    assert_eq!(
        status(&ask(&gateway, "POST /login?user=kim", "s4", "").await),
        200,
        "the way back in"
    );
    let visitor = gateway.get("/orders", "").await;
    assert_eq!(status(&visitor), 200, "without a session there is none to grow old");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn without_an_answer_the_site_decides() {
    for (choice, expected) in [("deny", 503), ("allow", 200)] {
        let pdp = Pdp::start(|_| allow()).await;
        let trust = format!("{{unavailable: {choice}, timeout: 100ms}}");
        let gateway = start(&pdp, &trust).await;
        pdp.hold(true);
        let late = ask(&gateway, "GET /orders", "s1", "").await;
        assert_eq!(status(&late), expected, "{choice}: it does not answer in time");
        pdp.hold(false);
        for status_code in [500, 503, 401, 404, 429] {
            pdp.rule(move |_| (status_code, "{}".to_owned()));
            let answer = ask(&gateway, "GET /orders", "s1", "").await;
            assert_eq!(status(&answer), expected, "{choice}: it answers {status_code}");
        }
        if choice == "deny" {
            assert_eq!(problem_code(&late), "trust-unavailable");
            assert!(late.contains("retry-after: 5\r\n"), "{late}");
        }
        let event = observed(&gateway, 0).await;
        assert_eq!(event["plura"]["trust"]["unavailable"], true);
        let metrics = gateway.metrics().await;
        assert!(
            metrics.contains("plura_gateway_trust_decisions_total{result=\"unavailable\"} 6\n"),
            "{metrics}"
        );
        pdp.rule(|_| allow());
        assert_eq!(status(&ask(&gateway, "GET /orders", "s1", "").await), 200, "back at once");
        pdp.stop();
        assert_eq!(
            status(&ask(&gateway, "GET /accounts", "s1", "").await),
            expected,
            "{choice}: gone"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_answer_that_cannot_be_used_denies_also_where_the_site_fails_open() {
    let pdp = Pdp::start(|_| allow()).await;
    let gateway = start(&pdp, "{unavailable: allow, watermark: false}").await;
    let good = r#"{"decision":true}"#;
    for (code, text, reason) in [
        (200, "", "malformed-answer"),
        (200, "true", "malformed-answer"),
        (200, r#"{"decision":"yes"}"#, "malformed-answer"),
        (200, r#"{"decision":true,"context":{"decisions":["deny"]}}"#, "malformed-answer"),
        (
            200,
            r#"{"decision":true,"context":{"obligations":[{"id":"paint_it_blue"}]}}"#,
            "unknown-obligation",
        ),
        (
            200,
            r#"{"decision":true,"context":{"obligations":[{"id":"watermark"}]}}"#,
            "unknown-obligation",
        ),
        (400, good, "ask-refused"),
        (413, good, "ask-refused"),
    ] {
        pdp.rule(move |_| (code, text.to_owned()));
        let answer = ask(&gateway, "GET /orders", "s1", "").await;
        assert_eq!(
            (status(&answer), problem_code(&answer).as_str()),
            (403, "trust-denied"),
            "{text}"
        );
        assert!(body(&answer).contains(&format!("\"reason\":\"{reason}\"")), "{text}: {answer}");
    }
    let long = format!("{{\"decision\":true,\"pad\":\"{}\"}}", "x".repeat(64 * 1024));
    pdp.rule(move |_| (200, long.clone()));
    assert_eq!(status(&ask(&gateway, "GET /orders", "s1", "").await), 403, "too long");
    assert_eq!(gateway.app.requests(), 0);
    pdp.rule(move |_| (200, good.to_owned()));
    assert_eq!(
        status(&ask(&gateway, "GET /orders", "s1", "").await),
        200,
        "nothing of it was kept"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_questions_are_asked_once() {
    let pdp = Pdp::start(|_| allow()).await;
    let gateway = start(&pdp, "{timeout: 10s}").await;
    pdp.hold(true);
    let asking: Vec<_> = (0..20)
        .map(|_| {
            let addr = gateway.addr;
            tokio::spawn(async move {
                send(addr, b"GET /orders HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\nCookie: sid=s1\r\n\r\n").await
            })
        })
        .collect();
    let waiting = "plura_gateway_trust_coalesced_total 19\n";
    while !gateway.metrics().await.contains(waiting) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    pdp.hold(false);
    for answer in asking {
        assert_eq!(status(&within(answer).await.unwrap()), 200);
    }
    assert_eq!(pdp.asked().len(), 1);
    // What is not to be kept is asked for each time.
    pdp.rule(|_| answer(true, json!({"ttl_secs": 0})));
    for _ in 0..3 {
        assert_eq!(status(&ask(&gateway, "GET /accounts", "s1", "").await), 200);
    }
    assert_eq!(pdp.asked().len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_changed_is_asked_about_again() {
    let pdp = Pdp::start(|_| allow()).await;
    let gateway = start(&pdp, "{timeout: 10s}").await;
    for sid in ["s1", "s2"] {
        assert_eq!(status(&ask(&gateway, "GET /orders", sid, "").await), 200);
    }
    pdp.rule(|_| deny());
    let applied = pdp.push(1, &[Some(session("s1"))]);
    eventually(|| pdp.has_applied(applied).then_some(())).await;
    assert_eq!(status(&ask(&gateway, "GET /orders", "s1", "").await), 403);
    assert_eq!(
        status(&ask(&gateway, "GET /orders", "s2", "").await),
        200,
        "kept: it did not change"
    );
    assert_eq!(pdp.asked().len(), 3);
    // The same change told again voids nothing; everybody's does.
    pdp.rule(|_| allow());
    let applied = pdp
        .push_all(2, vec![Reconsider { entity: Some(session("s1").parse().unwrap()), since: 1 }]);
    eventually(|| pdp.has_applied(applied).then_some(())).await;
    assert_eq!(status(&ask(&gateway, "GET /orders", "s1", "").await), 403, "still as decided");
    let applied = pdp.push(3, &[None]);
    eventually(|| pdp.has_applied(applied).then_some(())).await;
    assert_eq!(status(&ask(&gateway, "GET /orders", "s1", "").await), 200);
    assert_eq!(status(&ask(&gateway, "GET /orders", "s2", "").await), 200);
    assert_eq!(pdp.asked().len(), 5);

    // An answer under way when the change came is out of date, too.
    pdp.hold(true);
    let addr = gateway.addr;
    let asking = tokio::spawn(async move {
        send(addr, b"GET /accounts HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\nCookie: sid=s1\r\n\r\n").await
    });
    eventually(|| (pdp.asked().len() == 6).then_some(())).await;
    pdp.rule(|_| deny());
    let applied = pdp.push(4, &[Some(session("s1"))]);
    eventually(|| pdp.has_applied(applied).then_some(())).await;
    pdp.hold(false);
    assert_eq!(status(&within(asking).await.unwrap()), 403);
    assert_eq!(pdp.asked().len(), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn streams_end_when_they_are_no_longer_trusted() {
    let pdp = Pdp::start(|_| allow()).await;
    let gateway = start(&pdp, "{}").await;
    let open = async |path: &str, sid: &str, headers: &str| {
        let mut client = TcpStream::connect(gateway.addr).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: shop.example\r\nCookie: sid={sid}\r\n{headers}\r\n"
        );
        client.write_all(request.as_bytes()).await.unwrap();
        read_until(&mut client, "first").await;
        client
    };
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    let mut events = open("/stream", "s1", "").await;
    let mut socket = open("/ws", "s1", upgrade).await;
    let mut other = open("/stream", "s2", "").await;
    assert_eq!(pdp.asked().len(), 3);

    // Something changed, and they may go on.
    let applied = pdp.push(1, &[Some(session("s1"))]);
    eventually(|| (pdp.has_applied(applied) && pdp.asked().len() == 5).then_some(())).await;
    gateway.app.say("second").await;
    read_until(&mut events, "second").await;
    read_until(&mut socket, "second").await;
    read_until(&mut other, "second").await;

    // It changed again, and they may not.
    pdp.rule(|_| deny());
    let pushed = Instant::now();
    pdp.push(2, &[Some(session("s1"))]);
    let mut rest = Vec::new();
    let _ = within(events.read_to_end(&mut rest)).await;
    let _ = within(socket.read_to_end(&mut rest)).await;
    let took = pushed.elapsed();
    println!("ended after {took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(!String::from_utf8_lossy(&rest).contains("0\r\n\r\n"), "cut off, not ended: {rest:?}");
    gateway.app.say("third").await;
    read_until(&mut other, "third").await;
    let metrics = gateway.metrics().await;
    assert!(metrics.contains("plura_gateway_trust_streams_ended_total 2\n"), "{metrics}");
    assert!(metrics.contains("plura_gateway_trust_streams_open 1\n"), "{metrics}");
    let event = observed(&gateway, 0).await;
    assert_eq!(event["plura"]["trust"]["decision"], "d-1", "as it began");
    assert_eq!(event["plura"]["trust"]["ended"]["refused"], "trust-denied");
    assert_eq!(event["plura"]["trust"]["ended"]["ruling"], "deny");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_stream_is_asked_about_again_when_its_decision_runs_out() {
    let pdp = Pdp::start(|_| answer(true, json!({"ttl_secs": 1}))).await;
    let gateway = start(&pdp, "{}").await;
    let mut client = TcpStream::connect(gateway.addr).await.unwrap();
    let request = b"GET /stream HTTP/1.1\r\nHost: shop.example\r\nCookie: sid=s1\r\n\r\n";
    client.write_all(request).await.unwrap();
    read_until(&mut client, "first").await;
    eventually(|| (pdp.asked().len() >= 2).then_some(())).await;
    gateway.app.say("second").await;
    read_until(&mut client, "second").await;
    // Where nobody can say, the site's choice holds for it as for any request.
    pdp.stop();
    let mut rest = Vec::new();
    let _ = within(client.read_to_end(&mut rest)).await;
    let event = observed(&gateway, 0).await;
    assert_eq!(event["plura"]["trust"]["ended"]["refused"], "trust-unavailable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_change_while_the_application_is_at_it_is_not_missed() {
    let pdp = Pdp::start(|_| allow()).await;
    let gateway = start(&pdp, "{}").await;
    let mut client = TcpStream::connect(gateway.addr).await.unwrap();
    let request = b"GET /slow HTTP/1.1\r\nHost: shop.example\r\nCookie: sid=s1\r\n\r\n";
    client.write_all(request).await.unwrap();
    eventually(|| (gateway.app.requests() == 1).then_some(())).await;
    pdp.rule(|_| deny());
    let applied = pdp.push(1, &[Some(session("s1"))]);
    eventually(|| pdp.has_applied(applied).then_some(())).await;
    gateway.app.say("first").await;
    let mut rest = Vec::new();
    let _ = within(client.read_to_end(&mut rest)).await;
    assert_eq!(pdp.asked().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_site_asks_for_itself_alone_and_not_about_everything() {
    let pdp = Pdp::start(|_| deny()).await;
    let app = App::start().await;
    let mut config = config(&pdp, &app, "{skip: [GET /static/*], resource_type: page}");
    let mut other = config.sites[0].clone();
    other.name = "blog".into();
    other.hosts = vec!["blog.example".into()];
    other.trust = None;
    config.sites.push(other);
    let gateway = crate::common::start_config(config);
    let get = async |host: &str, path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        status(&gateway.send(request.as_bytes()).await)
    };
    assert_eq!(get("blog.example", "/orders").await, 200);
    assert_eq!(get("shop.example", "/static/app.css").await, 200);
    assert_eq!(get("shop.example", "/static/../orders").await, 403);
    assert_eq!(get("shop.example", "/orders").await, 403);
    assert_eq!(pdp.asked().len(), 1, "the same path in other words");
    assert_eq!(pdp.asked()[0]["resource"]["type"], "page");
    assert_eq!(
        pdp.asked()[0]["subject"],
        json!({"type": "address", "id": "127.0.0.1", "properties": {}})
    );
    pdp.push_all(1, vec![]);
    let set = Restrictions { version: 2, ..Restrictions::default() };
    gateway.handle.apply(&set);
}
