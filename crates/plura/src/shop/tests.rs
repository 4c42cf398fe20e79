use super::*;

fn post(path: &str, body: &str, cookie: Option<&str>) -> Request {
    Request {
        method: "POST".into(),
        path: path.into(),
        headers: cookie.map(|c| ("cookie".to_owned(), c.to_owned())).into_iter().collect(),
        body: body.as_bytes().to_vec(),
        ..Request::default()
    }
}

#[test]
fn a_customer_logs_in_reads_an_order_and_leaves() {
    let mut shop = Shop::new(1);
    let refused = shop.handle(&post("/login", "username=user0042&password=wrong", None), 0);
    assert_eq!(refused.status, 401);
    let answer = shop.handle(&post("/login", "username=user0042&password=spring-0042%21", None), 0);
    assert_eq!(answer.status, 200);
    let cookie = answer.headers.iter().find(|(n, _)| n == "set-cookie").unwrap().1.clone();
    let sid = cookie.split(';').next().unwrap();
    let order = Request {
        method: "GET".into(),
        path: "/api/orders/10042".into(),
        headers: vec![("cookie".into(), sid.into())],
        ..Request::default()
    };
    assert_eq!(shop.handle(&order, 1).status, 200);
    assert_eq!(shop.handle(&order, SESSION_IDLE_MS + 2).status, 401);
    shop.handle(&post("/logout", "", Some(sid)), 2);
    assert_eq!(shop.handle(&order, 3).status, 401);
}

#[test]
fn the_model_api_wants_a_key_and_counts_tokens() {
    let mut shop = Shop::new(1);
    let mut ask = post(
        "/v1/chat/completions",
        r#"{"model":"sol-mini","messages":[{"role":"user","content":"hello"}]}"#,
        None,
    );
    assert_eq!(shop.handle(&ask, 0).status, 401);
    ask.headers.push(("authorization".into(), format!("Bearer {}", api_key(3))));
    let answer = shop.handle(&ask, 0);
    assert_eq!(answer.status, 200);
    let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert!(body["usage"]["total_tokens"].as_u64().unwrap() > 0);
}
