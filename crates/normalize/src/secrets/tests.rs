use super::*;

fn check(given: &str, wanted: &str) {
    assert_eq!(mask_text(given), wanted);
    assert_eq!(mask_text(wanted), wanted, "masking twice is masking once");
}

#[test]
fn secrets_with_a_name_are_destroyed() {
    check(
        "GET /a?user=kim&password=a;b'c,d&x=1 HTTP/1.1",
        "GET /a?user=kim&password=****&x=1 HTTP/1.1",
    );
    check("GET /a?pass%77ord=hunter2 HTTP/1.1", "GET /a?pass%77ord=**** HTTP/1.1");
    check("/go?next=%2Fin%3Ftoken%3Dabc%26y%3D1&z=2", "/go?next=%2Fin%3Ftoken%3D****%26y%3D1&z=2");
    check("/go?next=%252Fin%253Ftoken%253Dabc&z=2", "/go?next=%252Fin%253Ftoken%253D****&z=2");
    check(r#""GET /?api_key=a\x22b\"c d" 200"#, r#""GET /?api_key=**** d" 200"#);
    check("/?user[password]=x#f", "/?user[password]=****#f");
    check("/?key=AIzaSyD4x0kd83ndk20dkwk", "/?key=****");
    check("fetch https://kim:s3cret@db.example/x", "fetch https://kim:****@db.example/x");
    check(
        r#"body {"user":"kim","password": "a\"b","n":1}"#,
        r#"body {"user":"kim","password": "****","n":1}"#,
    );
    check(r#"body {\"password\":\"ab\",\"n\":1}"#, r#"body {\"password\":\"****\",\"n\":1}"#);
    check(
        r#"curl -H "Authorization: Bearer abc" http://x"#,
        r#"curl -H "Authorization: ****" http://x"#,
    );
    check("mysql -uroot -psecret shop", "mysql -uroot -p**** shop");
    check("curl -u kim:pw --token abc http://x", "curl -u kim:**** --token **** http://x");
    check("PGPASSWORD='a b' psql", "PGPASSWORD='****' psql");
}

#[test]
fn what_only_looks_like_one_stays() {
    for text in [
        "alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/bin/ls",
        "/?key=colour&page=2&author=kim&max_tokens=5&bypass=1",
        "pam_unix(sshd:session): session opened for user kim(uid=1000) by (uid=0)",
        "Failed password for invalid user admin from 192.0.2.1 port 22 ssh2",
        "type=ANOM_ABEND msg=audit(1.2:3): sig=11 res=1 key=\"passwd_changes\"",
        "ssh -p 22 host",
        "Basic authentication failed for kim",
        "at 10:20:30 https://shop.example:443/a@b",
    ] {
        check(text, text);
    }
}

#[test]
fn json_is_masked_in_place() {
    let given = r#"{"b":1, "Authorization" : ["Bearer x"],"uri":"/a?token=q\u0026x=1","otp":123456,"a":{"session_id":"s","n":[1,"2"]}}"#;
    let wanted = r#"{"b":1, "Authorization" : ["****"],"uri":"/a?token=****&x=1","otp":"****","a":{"session_id":"****","n":[1,"2"]}}"#;
    assert_eq!(mask_json(given), wanted);
    assert_eq!(mask_json(wanted), wanted);
}
