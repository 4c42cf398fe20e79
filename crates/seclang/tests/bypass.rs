//! Ways around web application firewalls that were published, each as a test. Sources and what they are called
//! elsewhere: `docs/field-notes.md`.
//!
//! `Caught` is a request that CRS at paranoia level 1 stops, behind what ModSecurity recommends for bodies.
//! `Missed` is one that passes and that an application might understand: listed, so that it is known, and so that
//! a change for the better is seen.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing
)]

mod common;

use common::{Disk, shared};
use seclang::exam::parse;
use seclang::{Connection, Engine, Files, Limit, NoMemory, RequestHead, Verdict, load};
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};

const SQL: &str = "1' UNION SELECT password FROM users-- -";
const SCRIPT: &str = "<script>alert(document.cookie)</script>";

/// Bodies as the gateway reads them.
const SETUP: &str = r#"
SecRuleEngine On
SecRequestBodyAccess On
SecRequestBodyLimit 131072
SecRequestBodyNoFilesLimit 131072
SecRequestBodyJsonDepthLimit 512
SecArgumentsLimit 1000
SecRule REQUEST_HEADERS:Content-Type "@rx (?i)^(?:application(?:/soap\+|/)|text/)xml" "id:1,phase:1,pass,nolog,t:none,ctl:requestBodyProcessor=XML"
SecRule REQUEST_HEADERS:Content-Type "@rx (?i)^application/(?:[a-z0-9.-]+\+)?json" "id:2,phase:1,pass,nolog,t:none,ctl:requestBodyProcessor=JSON"
"#;

/// What cannot be read is refused, as `modsecurity.conf-recommended` has it.
const REFUSAL: &str = r#"
SecRule REQBODY_ERROR "!@eq 0" "id:3,phase:2,t:none,log,deny,status:400"
SecRule MULTIPART_STRICT_ERROR "!@eq 0" "id:4,phase:2,t:none,log,deny,status:400"
SecRule MULTIPART_UNMATCHED_BOUNDARY "@eq 1" "id:5,phase:2,t:none,log,deny,status:400"
"#;

struct WithSetup {
    refuses: bool,
}

impl Files for WithSetup {
    fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        match (path, self.refuses) {
            ("setup.conf", true) => Ok([SETUP, REFUSAL].concat().into()),
            ("setup.conf", false) => Ok(SETUP.into()),
            _ => Disk.read(path),
        }
    }

    fn matching(&self, pattern: &str) -> Vec<String> {
        Disk.matching(pattern)
    }
}

static CRS: OnceLock<Option<Arc<Engine>>> = OnceLock::new();

/// CRS and the refusal of what cannot be read, loaded once.
fn crs() -> Option<Arc<Engine>> {
    CRS.get_or_init(|| load_crs(true)).clone()
}

fn load_crs(refuses: bool) -> Option<Arc<Engine>> {
    let Some(folder) = shared("corpora/crs") else {
        println!("skipped: no corpora");
        return None;
    };
    let mut roots: Vec<String> = fs::read_dir(folder.join("rules"))
        .unwrap()
        .map(|entry| entry.unwrap().path().to_str().unwrap().to_owned())
        .filter(|path| path.ends_with(".conf"))
        .collect();
    roots.sort();
    roots.insert(0, folder.join("crs-setup.conf.example").to_str().unwrap().to_owned());
    roots.insert(0, "setup.conf".to_owned());
    let roots: Vec<&str> = roots.iter().map(String::as_str).collect();
    Some(Arc::new(Engine::new(load(&WithSetup { refuses }, &roots).unwrap())))
}

#[derive(Clone, Debug)]
struct Sent {
    target: Vec<u8>,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    body: Vec<u8>,
    complete: bool,
}

impl Sent {
    fn get(target: impl AsRef<[u8]>) -> Self {
        let headers = [("Host", "shop.example"), ("User-Agent", "Mozilla/5.0"), ("Accept", "*/*")];
        Self {
            target: target.as_ref().to_vec(),
            headers: headers.map(|(name, value)| (name.into(), value.into())).to_vec(),
            body: Vec::new(),
            complete: true,
        }
    }

    fn post(kind: &str, body: impl AsRef<[u8]>) -> Self {
        let mut sent = Self::get("/search").with("Content-Type", kind);
        sent.body = body.as_ref().to_vec();
        sent
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    fn judged(&self, engine: &Arc<Engine>) -> Verdict {
        let connection = Connection {
            client: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            client_port: 40_000,
            server: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9)),
            server_port: 443,
            unique_id: "bypass",
            time_ms: 1_767_225_600_000,
            utc_offset_secs: 0,
        };
        let length = self.body.len().to_string();
        let mut headers: Vec<(&[u8], &[u8])> =
            self.headers.iter().map(|(name, value)| (name.as_slice(), value.as_slice())).collect();
        if !self.body.is_empty() {
            headers.push((b"Content-Length", length.as_bytes()));
        }
        let head = RequestHead {
            method: if self.body.is_empty() { b"GET" } else { b"POST" },
            target: &self.target,
            protocol: b"HTTP/1.1",
            headers: &headers,
        };
        let mut transaction = engine.begin(&connection, &head, Arc::new(NoMemory));
        if transaction.request_headers().is_none() {
            transaction.request_body(&self.body, self.complete);
        }
        transaction.finish()
    }
}

/// Checks what comes of each, and tells of all that come out otherwise.
fn check(caught: &[(&str, Sent)], missed: &[(&str, Sent)]) {
    if let Some(engine) = crs() {
        check_with(&engine, caught, missed);
    }
}

fn check_with(engine: &Arc<Engine>, caught: &[(&str, Sent)], missed: &[(&str, Sent)]) {
    let mut wrong = Vec::new();
    for (expected, list) in [(true, caught), (false, missed)] {
        for (name, sent) in list {
            let verdict = sent.judged(engine);
            if verdict.interruption.is_some() != expected {
                let rules: Vec<u64> = verdict.matches.iter().map(|found| found.rule).collect();
                wrong.push(format!("{name}: caught is {} by {rules:?}", !expected));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            _ => format!("%{byte:02x}"),
        })
        .collect()
}

fn query(value: &str) -> Sent {
    Sent::get(format!("/search?q={value}"))
}

fn json(text: &str) -> String {
    format!("{{\"q\":\"{text}\"}}")
}

const FORM: &str = "application/x-www-form-urlencoded";

#[test]
fn the_plain_attack_is_caught_and_its_neighbour_is_not() {
    let form = |value: &str| Sent::post(FORM, format!("q={}", encoded(value)));
    check(
        &[
            ("sql in a query", query(&encoded(SQL))),
            ("script in a query", query(&encoded(SCRIPT))),
            ("sql in a form", form(SQL)),
            ("sql in json", Sent::post("application/json", json(SQL))),
        ],
        &[
            ("a query", query("union+station+hotels")),
            ("a form", form("select a gift")),
            ("json", Sent::post("application/json", json("it is one of ours"))),
            ("a multipart form", multipart("form-data; name=\"q\"", "hello")),
        ],
    );
}

#[test]
fn content_type_confusion() {
    let form = format!("q={}", encoded(SQL));
    let mut untyped = Sent::get("/search");
    untyped.body = form.clone().into();
    check(
        &[
            ("json as text/plain", Sent::post("text/plain", json(SQL))),
            ("json in capitals", Sent::post("APPLICATION/JSON", json(SQL))),
            ("json by suffix", Sent::post("application/x+json", json(SQL))),
            ("a form as json", Sent::post("application/json", &form)),
            ("json as a form", Sent::post(FORM, json(SQL))),
            ("a form as multipart", Sent::post("multipart/form-data", &form)),
            ("a form as unknown", Sent::post("application/unknown", &form)),
            ("utf-7", Sent::post(&format!("{FORM}; charset=utf-7"), "q=+ADw-script+AD4-")),
            ("ibm037", Sent::post(&format!("{FORM}; charset=ibm037"), "q=%4c%a2%83")),
            ("utf-16", Sent::post("application/json; charset=utf-16", "\u{feff}q")),
            ("two charsets", Sent::post(&format!("{FORM};charset=utf-8;charset=utf-7"), &form)),
            ("two headers", Sent::post("application/json", &form).with("Content-Type", FORM)),
            (
                "two headers, the other way round",
                Sent::post(FORM, &form).with("Content-Type", "application/json"),
            ),
            (
                "two headers, json behind multipart",
                Sent::post("multipart/form-data; boundary=x", json(SQL))
                    .with("Content-Type", "application/json"),
            ),
            (
                "form and multipart in one",
                Sent::post(&format!("{FORM}, multipart/form-data"), &form),
            ),
            ("compressed", Sent::post(FORM, &form).with("Content-Encoding", "gzip")),
            ("no type at all", untyped),
            ("a report of a policy", Sent::post("application/csp-report", json(SQL))),
            ("bytes", Sent::post("application/octet-stream", &form)),
            ("json, one to a line", Sent::post("application/x-ndjson", json(SQL))),
            ("a tab behind the type", Sent::post(&format!("{FORM}\t;charset=utf-8"), &form)),
            ("an answer in utf-7", Sent::get("/").with("Accept", "text/html; charset=utf-7")),
        ],
        &[],
    );
}

#[test]
fn parameters_that_come_twice() {
    check(
        &[
            ("the second of two", Sent::get(format!("/?q=x&q={}", encoded(SQL)))),
            ("a payload over two", Sent::get("/?q=1'+union/*&q=*/select+password+from+users--+-")),
            (
                "the second of two keys",
                Sent::post("application/json", format!("{{\"q\":\"x\",\"q\":\"{SQL}\"}}")),
            ),
            (
                "the first of two keys",
                Sent::post("application/json", format!("{{\"q\":\"{SQL}\",\"q\":\"x\"}}")),
            ),
            ("in a key", Sent::post("application/json", format!("{{\"{SQL}\":[]}}"))),
            ("in query and body", {
                let mut sent = Sent::post(FORM, "q=x");
                sent.target = format!("/?q={}", encoded(SQL)).into();
                sent
            }),
            ("a script over two", Sent::get("/?q=%3Cscr&q=ipt%3Ealert(1)")),
            ("comments over three", Sent::get("/?id=1+/*&id=*/union/*&id=*/select+1")),
        ],
        &[("words over two", Sent::get("/?id[]=1+union&id[]=select+password+from+users"))],
    );
}

#[test]
fn parameters_separated_by_semicolons() {
    check(
        &[
            ("a query", Sent::get(format!("/?a=1;q={}", encoded(SQL)))),
            ("a form", Sent::post(FORM, format!("a=1;q={}", encoded(SQL)))),
            ("a path", Sent::get(format!("/list;q={}", encoded(SCRIPT)))),
        ],
        &[],
    );
}

#[test]
fn unicode() {
    check(
        &[
            (
                "%u of full width",
                query("%uff1cscript%uff1ealert(document.cookie)%uff1c/script%uff1e"),
            ),
            ("%u00", query("%u003cscript%u003ealert(document.cookie)%u003c/script%u003e")),
            (
                "full width in UTF-8",
                query("%ef%bc%9cscript%ef%bc%9ealert(1)%ef%bc%9c/script%ef%bc%9e"),
            ),
            ("overlong", query("%c0%bcscript%c0%bealert(1)%c0%bc/script%c0%be")),
            (
                "overlong dots in a path",
                Sent::get("/%c0%ae%c0%ae/%c0%ae%c0%ae/%c0%ae%c0%ae/etc/passwd"),
            ),
            ("a full-width quote", query("1%ef%bc%87+union+select+password+from+users--+-")),
            ("utf-7 without saying so", query("%2bADw-script%2bAD4-alert(1)%2bADw-/script%2bAD4-")),
            ("a quote that a database makes of another", query("x%ca%bc+or+1%3d1--+-")),
        ],
        &[("a letter that becomes s in capitals", query("%3c%c5%bfcript+src=//x.example/a%3e"))],
    );
}

#[test]
fn encoded_twice_and_more() {
    check(
        &[
            ("sql, twice", query(&encoded(&encoded(SQL)))),
            ("script, twice", query(&encoded(&encoded(SCRIPT)))),
            ("dots, twice", query("%252e%252e%252f%252e%252e%252fetc%252fpasswd")),
            (
                "a script in entities",
                query("%26lt%3bscript%26gt%3balert(1)%26lt%3b/script%26gt%3b"),
            ),
            ("entities in an attribute", query(&encoded("<img src=x onerror=&#97;lert&#x28;1)>"))),
            (
                "entities without semicolons",
                query(&encoded("<a href=&#106&#97vascript:alert(1)>x")),
            ),
            ("named entities", query(&encoded("<a href=java&Tab;script&colon;alert(1)>x"))),
        ],
        &[
            ("a script, thrice", query(&encoded(&encoded(&encoded(SCRIPT))))),
            ("base64", query("MScgVU5JT04gU0VMRUNUIHBhc3N3b3JkIEZST00gdXNlcnMtLSAt")),
        ],
    );
}

#[test]
fn sql_in_other_words() {
    let all = [
        ("a comment that is run", "1'/*!50000union*//*!50000select*/password/**/from/**/users-- -"),
        ("comments for blanks", "1'/**/union/**/select/**/password/**/from/**/users-- -"),
        ("case", "1' uNiOn SeLeCt password FrOm users-- -"),
        ("line feeds", "1'\nunion\nselect\npassword\nfrom\nusers-- -"),
        ("vertical tabs", "1'\x0bunion\x0bselect\x0bpassword\x0bfrom\x0busers-- -"),
        ("a comment to the end of line", "1'-- x\nunion-- y\nselect password from users-- -"),
        ("brackets for blanks", "1'union(select(password)from(users))-- -"),
        ("scientific notation", "1.e(1)union select password from users"),
        ("a number before", "1e0union select 1,password from users"),
        ("nothing but signs", "'-0-'"),
        ("a column's number", "1 order by 3"),
        ("brackets", "1)and(1"),
        ("json operators", "1' or '{\"a\":1}'::jsonb @> '{\"a\":1}'::jsonb-- -"),
    ];
    let sent: Vec<(&str, Sent)> =
        all.iter().map(|(name, text)| (*name, query(&encoded(text)))).collect();
    let short = ["1 or true", "1 and 1", "'=''", "1 div 0"];
    let missed: Vec<(&str, Sent)> = short.map(|text| (text, query(&encoded(text)))).to_vec();
    check(&sent, &missed);
}

#[test]
fn nul_bytes() {
    check(
        &[
            ("in a tag", query("%3cscr%00ipt%3ealert(document.cookie)%3c/scr%00ipt%3e")),
            ("in sql", query("1'+un%00ion+sel%00ect+password+from+users--+-")),
            ("before", query(&format!("%00{}", encoded(SQL)))),
            (
                "in json",
                Sent::post("application/json", json(&SQL.replace("UNION", "UN\\u0000ION"))),
            ),
            ("in a file name", Sent::get("/etc/passwd%00.png")),
        ],
        &[],
    );
}

#[test]
fn chunks() {
    let attack = format!("q={}", encoded(SQL));
    let (first, second) = attack.split_at(20);
    let raw = format!(
        "POST /search HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n\
         Content-Type: {FORM}\r\nTransfer-Encoding: chunked\r\n\r\n\
         {:x};x=y\r\n{first}\r\n{:X}\r\n{second}\r\n0\r\n\r\n",
        first.len(),
        second.len()
    );
    let request = parse(raw.as_bytes()).unwrap();
    assert_eq!(request.body, attack.as_bytes());
    check(&[("a form", Sent::post(FORM, request.body))], &[]);
    let smuggled = raw.replace("chunked", "chunked, identity");
    assert!(parse(smuggled.as_bytes()).is_err());
}

fn multipart(disposition: &str, value: &str) -> Sent {
    parts(&format!("--x\r\nContent-Disposition: {disposition}\r\n\r\n{value}\r\n--x--\r\n"))
}

fn parts(body: &str) -> Sent {
    Sent::post("multipart/form-data; boundary=x", body)
}

#[test]
fn multipart_tricks() {
    let part = format!("--x\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\n{SQL}\r\n");
    let whole = format!("{part}--x--\r\n");
    let kind = |kind: &str, body: &str| Sent::post(kind, body);
    let file = |disposition: &str| multipart(disposition, "<?php system($_GET['c']);");
    let nested = format!(
        "--x\r\nContent-Disposition: form-data; name=\"f\"\r\nContent-Type: multipart/mixed; \
         boundary=y\r\n\r\n--y\r\nContent-Disposition: file; filename=\"a.php\"\r\n\r\n{SQL}\r\n--y--\r\n--x--\r\n"
    );
    let utf7 = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Type: text/plain; \
                charset=utf-7\r\n\r\n+ADw-script+AD4-alert(1)+ADw-/script+AD4-\r\n--x\r\nContent-Disposition: \
                form-data; name=\"b\"\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nx\r\n--x--\r\n";
    let base64 = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: \
                  base64\r\n\r\nMScgVU5JT04gU0VMRUNUIDE=\r\n--x--\r\n";
    check(
        &[
            ("as it should be", parts(&whole)),
            (
                "a file name in another form",
                file("form-data; name=\"f\"; filename*=UTF-8''a%2ephp"),
            ),
            (
                "two file names",
                file("form-data; name=\"f\"; filename=\"a.txt\"; filename=\"a.php\""),
            ),
            (
                "a file name of a file name",
                file("form-data; name=\"f\"; filename=\"a.txt\"; filename*=UTF-8''a.php"),
            ),
            ("a file name without quotes", file("form-data; name=f; filename=a.php")),
            (
                "a semicolon in quotes",
                file("form-data; name=\"f;filename=a.txt;\"; filename=\"a.php\""),
            ),
            (
                "a quote that is escaped",
                file("form-data; name=\"f\"; filename=\"a.txt\\\";x=\\\".php\""),
            ),
            ("a name in another case", file("form-data; name=\"f\"; FileName=\"a.php\"")),
            ("blanks around the equals sign", file("form-data; name=\"f\"; filename = \"a.php\"")),
            ("single quotes", file("form-data; name='f'; filename='a.php'")),
            ("no name", multipart("form-data", SQL)),
            ("an empty name", multipart("form-data; name=\"\"", SQL)),
            ("two names", multipart("form-data; name=\"a\"; name=\"b\"", SQL)),
            ("no disposition", parts(&format!("--x\r\nX: y\r\n\r\n{SQL}\r\n--x--\r\n"))),
            ("a field as a file", multipart("form-data; name=\"q\"; filename=\"\"", SQL)),
            ("two boundaries", kind("multipart/form-data; boundary=y; boundary=x", &whole)),
            ("a boundary in quotes", kind("multipart/form-data; boundary=\"x\"", &whole)),
            ("a boundary in capitals", kind("multipart/form-data; BOUNDARY=x", &whole)),
            (
                "a boundary in RFC 2231's form",
                kind("multipart/form-data; boundary*0=x; boundary=y", &whole),
            ),
            ("a boundary with a comma", kind("multipart/form-data; boundary=x,y", &whole)),
            ("another subtype", kind("multipart/mixed; boundary=x", &whole)),
            ("a boundary that no line has", kind("multipart/form-data; boundary=y", &whole)),
            ("no final boundary", parts(&part)),
            ("line feeds only", parts(&whole.replace('\r', ""))),
            ("before the first boundary", parts(&format!("{SQL}\r\n--x--\r\n"))),
            ("behind the last boundary", parts(&format!("--x--\r\n{whole}"))),
            ("nested", parts(&nested)),
            ("a header over two lines", parts(&whole.replace("; name", ";\r\n name"))),
            ("a part's charset, another part behind it", parts(utf7)),
            ("a part in base64", parts(base64)),
            ("a NUL in a header", parts(&whole.replace("\"q\"", "\"q\0\""))),
        ],
        &[("what a file holds", multipart("form-data; name=\"f\"; filename=\"a.txt\"", SQL))],
    );
}

#[test]
fn escapes_in_json() {
    let all: String = SQL.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
    check(
        &[
            ("a quote", Sent::post("application/json", json(&SQL.replace('\'', "\\u0027")))),
            ("all of it", Sent::post("application/json", json(&all))),
            ("an array", Sent::post("application/json", format!("[[\"{SQL}\"]]"))),
            ("a text", Sent::post("application/json", format!("\"{SQL}\""))),
            ("a slash", Sent::post("application/json", json(&SCRIPT.replace('/', "\\/")))),
            ("a comment", Sent::post("application/json", format!("/*x*/{}", json(SQL)))),
            ("something behind", Sent::post("application/json", format!("{} x", json(SQL)))),
            ("a comma too many", Sent::post("application/json", format!("{{\"q\":\"{SQL}\",}}"))),
            ("single quotes", Sent::post("application/json", "{'q':'1 UNION SELECT 1'}")),
            ("a byte order mark", Sent::post("application/json", format!("\u{feff}{}", json(SQL)))),
            ("too deep", {
                let deep = format!("{}\"{SQL}\"{}", "[".repeat(600), "]".repeat(600));
                Sent::post("application/json", deep)
            }),
        ],
        &[(
            "json within json",
            Sent::post(
                "application/json",
                r#"{"q":"{\"x\":\"1\\u0027 \\u0055NION \\u0053ELECT 1\"}"}"#,
            ),
        )],
    );
}

#[test]
fn xml() {
    let xml = |text: &str| Sent::post("application/xml", format!("<?xml version=\"1.0\"?>{text}"));
    let script: String = SCRIPT.bytes().map(|byte| format!("&#x{byte:x};")).collect();
    check(
        &[
            ("text", xml(&format!("<a>{SQL}</a>"))),
            ("an attribute", xml(&format!("<a b=\"{SQL}\"/>"))),
            ("CDATA", xml(&format!("<a><![CDATA[{SCRIPT}]]></a>"))),
            (
                "CDATA cut in two",
                xml("<a><![CDATA[1' UNION SEL]]><![CDATA[ECT password FROM users-- -]]></a>"),
            ),
            ("a comment within", xml("<a>1' UNION SEL<!-- x -->ECT password FROM users-- -</a>")),
            ("numbers of characters", xml(&format!("<a>{script}</a>"))),
            (
                "an entity",
                xml("<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>"),
            ),
            (
                "an entity of entities",
                xml("<!DOCTYPE a [<!ENTITY b \"b\"><!ENTITY c \"&b;&b;\">]><a>&c;</a>"),
            ),
            ("broken", xml(&format!("<a>{SQL}"))),
            ("as text", Sent::post("text/xml", format!("<a>{SQL}</a>"))),
            (
                "another encoding",
                Sent::post("application/xml", {
                    let text = format!("<?xml version=\"1.0\" encoding=\"utf-16\"?><a>{SQL}</a>");
                    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
                    [b"\xfe\xff".to_vec(), wide].concat()
                }),
            ),
        ],
        &[],
    );
}

/// What lies behind a limit is not seen, and that is told, so that `fail: closed` can act.
#[test]
fn padding_before_the_payload() {
    let Some(engine) = crs() else { return };
    let limits = |sent: &Sent| sent.judged(&engine).limits;
    let long = format!("a={}&q={}", "x".repeat(140_000), encoded(SQL));
    let json_long = format!("{{\"a\":\"{}\",\"q\":\"{SQL}\"}}", "x".repeat(140_000));
    let mut cut = Sent::post(FORM, &long[..100_000]);
    cut.complete = false;
    let many: String = (0..1_001).map(|n| format!("a{n}=1&")).collect();
    let listed = format!("[{}\"{SQL}\"]", "1,".repeat(1_001));
    let deep = format!("{}1{}", "[".repeat(600), "]".repeat(600));
    for (sent, limit) in [
        (Sent::post(FORM, &long), Limit::RequestBody),
        (Sent::post("application/json", json_long), Limit::RequestBody),
        (parts(&format!("--x\r\n{}", "x".repeat(140_000))), Limit::RequestBody),
        (cut, Limit::RequestBody),
        (Sent::post(FORM, format!("{many}q={}", encoded(SQL))), Limit::Arguments),
        (Sent::get(format!("/?{many}q={}", encoded(SQL))), Limit::Arguments),
        (Sent::post("application/json", listed), Limit::Arguments),
        (Sent::post("application/json", deep), Limit::Depth),
    ] {
        let told = limits(&sent);
        assert!(told.contains(&limit), "{limit:?} not in {told:?}");
    }
    assert_eq!(limits(&Sent::post(FORM, "q=x")), []);
}

/// Such bodies come to an application through CRS alone: it leaves their refusal to whoever runs it.
#[test]
fn what_only_the_refusal_of_unreadable_bodies_catches() {
    let Some(engine) = load_crs(false) else { return };
    let part =
        format!("--x\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\n{SQL}\r\n--x--\r\n");
    let kind = |kind: &str, body: &str| Sent::post(kind, body);
    let cases = [
        ("a form as json", kind("application/json", &format!("q={}", encoded(SQL)))),
        ("a comment", kind("application/json", &format!("/*x*/{}", json(SQL)))),
        ("a byte order mark", kind("application/json", &format!("\u{feff}{}", json(SQL)))),
        ("two boundaries", kind("multipart/form-data; boundary=y; boundary=x", &part)),
        ("a boundary in capitals", kind("multipart/form-data; BOUNDARY=x", &part)),
        ("behind the last boundary", parts(&format!("--x--\r\n{part}"))),
        (
            "an entity",
            kind(
                "application/xml",
                "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/x\">]><a>&x;</a>",
            ),
        ),
    ];
    check_with(&engine, &[], &cases);
    check(&cases, &[]);
}

#[test]
fn headers() {
    check(
        &[
            ("the referrer", Sent::get("/").with("Referer", &format!("http://x/?q={SQL}"))),
            ("the client", Sent::get("/").with("User-Agent", SQL)),
        ],
        &[("one that few applications read", Sent::get("/").with("X-Forwarded-For", SQL))],
    );
}

#[test]
fn cookies() {
    let cookie = |value: &str| Sent::get("/").with("Cookie", value);
    check(
        &[
            ("plain", cookie(&format!("q={SQL}"))),
            ("in quotes, of version 1", cookie(&format!("$Version=1; q=\"{SQL}\""))),
            (
                "a semicolon in quotes",
                cookie("$Version=1; q=\"1' UNION SELECT password; FROM users-- -\""),
            ),
            ("many in one, for some", cookie(&format!("a=\"; q={SQL}; b=\""))),
            ("two headers", cookie("a=b").with("Cookie", &format!("q={SQL}"))),
            ("a name", cookie("<script>alert(1)</script>=1")),
            ("encoded", cookie(&format!("q={}", encoded(SCRIPT)))),
        ],
        &[],
    );
}

#[test]
fn escaped_cookies() {
    check(
        &[(
            "octal escapes in quotes",
            Sent::get("/")
                .with("Cookie", "$Version=1; q=\"\\074script\\076alert(1)\\074/script\\076\""),
        )],
        &[],
    );
}

#[test]
fn objects_in_place_of_values() {
    check(
        &[
            ("operators in json", Sent::post("application/json", r#"{"user":{"$ne":null}}"#)),
            ("operators in a form", Sent::post(FORM, "user[$ne]=x")),
            ("a prototype", Sent::post("application/json", r#"{"__proto__":{"admin":true}}"#)),
        ],
        &[],
    );
}

#[test]
fn paths() {
    check(
        &[
            ("plain", Sent::get("/a/../../../../etc/passwd")),
            ("a parameter in a step", Sent::get("/a/..;/..;/..;/etc/passwd")),
            ("escaped dots", Sent::get("/a/%2e%2e/%2e%2e/%2e%2e/etc/passwd")),
            ("escaped slashes", Sent::get("/a/..%2f..%2f..%2fetc%2fpasswd")),
            ("backslashes", Sent::get("/a/..\\..\\..\\windows\\win.ini")),
            ("escaped backslashes", Sent::get("/a/..%5c..%5c..%5cwindows%5cwin.ini")),
            ("twice escaped", Sent::get("/a/%252e%252e/%252e%252e/etc/passwd")),
            ("in a query", Sent::get("/?f=....//....//....//etc/passwd")),
            ("a question mark that is escaped", Sent::get(format!("/x%3fq={}", encoded(SCRIPT)))),
            ("an escaped question mark before dots", Sent::get("/a%3f/../../../etc/passwd")),
            ("a file that is not to be served", Sent::get("/.git/config")),
            ("the same, otherwise", Sent::get("/%2e%67it/./config")),
        ],
        &[],
    );
}
