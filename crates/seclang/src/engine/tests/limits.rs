//! Every limit is told when it is reached, and not before; what is asked grows with what was sent.

use super::{Asked, CONNECTION, NOTHING, engine, ids, run};
use crate::body::json::JSON_OUTPUT_FACTOR;
use crate::body::multipart::{PART_HEADERS_MAX, PARTS_MAX};
use crate::body::xml::{XML_DEPTH_MAX, XML_VALUES_MAX};
use crate::engine::store::STORE_BYTES_MIN;
use crate::engine::{EXPANDED_BYTES_MAX, HEADERS_MAX, NoMemory, VARS_MAX};
use crate::input::RequestHead;
use crate::request::COOKIES_MAX;
use crate::verdict::Limit;
use std::sync::Arc;

const READ: &str = "SecAction \"id:90,phase:1,pass,nolog,ctl:requestBodyProcessor=";

fn limits(rules: &str, headers: &[(&[u8], &[u8])], body: &str) -> Vec<Limit> {
    run(rules, &Asked { headers, body: body.as_bytes(), ..NOTHING }).1.limits
}

/// One more than `most` of something reaches the limit.
fn check(
    rules: &str,
    headers: &[(&[u8], &[u8])],
    body: impl Fn(usize) -> String,
    most: usize,
    limit: Limit,
) {
    assert_eq!(limits(rules, headers, &body(most)), [], "{limit:?}");
    assert_eq!(limits(rules, headers, &body(most + 1)), [limit], "{limit:?}");
}

#[test]
fn bodies() {
    let json = format!("{READ}JSON\"\nSecRequestBodyJsonDepthLimit 5\nSecArgumentsLimit 20");
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    check(&json, &[], nested, 5, Limit::Depth);
    check(&json, &[], |count| format!("[{}1]", "1,".repeat(count - 1)), 20, Limit::Arguments);

    let xml = format!("{READ}XML\"\nSecRule XML://@* x \"id:1,phase:2,pass\"");
    let nested = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    check(&xml, &[], nested, XML_DEPTH_MAX, Limit::Depth);
    let many = |count: usize| format!("<a>{}</a>", "<b c=''/>".repeat(count));
    check(&xml, &[], many, XML_VALUES_MAX, Limit::Elements);

    let form: [(&[u8], &[u8]); 1] = [(b"Content-Type", b"application/x-www-form-urlencoded")];
    check("SecArgumentsLimit 20", &form, |count| "a=1&".repeat(count), 20, Limit::Arguments);
}

#[test]
fn parts_of_a_body() {
    let rules = "SecArgumentsLimit 20\nSecUploadFileLimit 3";
    let kind: [(&[u8], &[u8]); 1] = [(b"Content-Type", b"multipart/form-data; boundary=BB")];
    let line = "--BB\r\nContent-Disposition: form-data; name=a";
    let fields =
        |count: usize| format!("{}--BB--\r\n", format!("{line}\r\n\r\n1\r\n").repeat(count));
    check(rules, &kind, fields, 20, Limit::Arguments);
    let files = |count: usize| {
        format!("{}--BB--\r\n", format!("{line}; filename=f\r\n\r\n1\r\n").repeat(count))
    };
    check(rules, &kind, files, 3, Limit::Files);
    let headers = |count: usize| {
        let more: String = (1..count).map(|number| format!("X{number}: 1\r\n")).collect();
        format!("{line}\r\n{more}\r\n1\r\n--BB--\r\n")
    };
    check(rules, &kind, headers, PART_HEADERS_MAX, Limit::Parts);
    let empty = |count: usize| format!("{}--BB--\r\n", "--BB\r\n".repeat(count));
    let told = limits(rules, &kind, &empty(PARTS_MAX + 1));
    assert!(told.contains(&Limit::Parts), "{told:?}");
}

#[test]
fn heads() {
    let head = |count: usize| vec![(&b"X-A"[..], &b"1"[..]); count];
    assert_eq!(limits("", &head(HEADERS_MAX), ""), []);
    assert_eq!(limits("", &head(HEADERS_MAX + 1), ""), [Limit::Headers]);

    let cookies = |count: usize| vec!["a=1"; count].join("; ");
    for (count, told) in [(COOKIES_MAX, &[][..]), (COOKIES_MAX + 1, &[Limit::Cookies])] {
        assert_eq!(limits("", &[(b"Cookie", cookies(count).as_bytes())], ""), told);
    }
    // Two headers are one list.
    let many = cookies(COOKIES_MAX);
    let two: [(&[u8], &[u8]); 2] = [(b"Cookie", many.as_bytes()), (b"Cookie", b"b=2")];
    assert_eq!(limits("", &two, ""), [Limit::Cookies]);
}

/// What comes behind the limit does not come behind the rules.
#[test]
fn the_last_cookie_holds_the_rest() {
    let rules = "SecRule REQUEST_COOKIES \"@contains <script\" \"id:1,phase:1,pass\"\n\
        SecRule &REQUEST_COOKIES \"@gt 1000\" \"id:2,phase:1,pass\"";
    let header = format!("{}; b=<script>", vec!["a=1"; 2 * COOKIES_MAX].join("; "));
    let asked = Asked { headers: &[(b"Cookie", header.as_bytes())], ..NOTHING };
    assert_eq!(ids(&run(rules, &asked).1), [1]);
}

#[test]
fn variables() {
    let rules = "SecAction \"id:1,phase:1,pass,nolog,setvar:tx.a=%{request_headers.x-a}\"";
    for (count, told) in
        [(EXPANDED_BYTES_MAX - 1, &[][..]), (EXPANDED_BYTES_MAX + 1, &[Limit::Variables])]
    {
        let value = "x".repeat(count);
        assert_eq!(limits(rules, &[(b"X-A", value.as_bytes())], ""), told);
    }
    let rules = "SecArgumentsLimit 10000\nSecAction \"id:1,phase:1,pass,nolog,initcol:ip=a\"\n\
         SecRule ARGS_POST_NAMES . \"id:2,phase:2,pass,nolog,expirevar:ip.%{matched_var}=60\"";
    let form: [(&[u8], &[u8]); 1] = [(b"Content-Type", b"application/x-www-form-urlencoded")];
    let names = |count: usize| (0..count).map(|number| format!("{number}&")).collect::<String>();
    check(rules, &form, names, VARS_MAX, Limit::Variables);
}

/// Twice as much of anything asks the rules twice as much.
#[test]
fn work_grows_with_what_was_sent() {
    let rules = "SecArgumentsLimit 10000\n\
         SecRule REQUEST_HEADERS:Content-Type \"@contains json\" \
             \"id:1,phase:1,pass,nolog,ctl:requestBodyProcessor=JSON\"\n\
         SecRule ARGS|ARGS_NAMES|REQUEST_COOKIES|REQUEST_COOKIES_NAMES|REQUEST_HEADERS \
             \"@rx (?i)x|select\" \"id:2,phase:2,pass,nolog,t:lowercase,chain\"\n\
         SecRule MATCHED_VARS \"!@contains y\" \"setvar:tx.found=+1\"\n\
         SecRule ARGS|REQUEST_COOKIES \"!@rx ^\\d+$\" \"id:3,phase:2,pass,nolog,multiMatch,\
             t:none,t:lowercase,t:trim\"";
    let engine = engine(rules);
    let work = |headers: &[(&[u8], &[u8])], body: &str| {
        let head = RequestHead { method: b"POST", target: b"/", protocol: b"HTTP/1.1", headers };
        let mut transaction = engine.begin(&CONNECTION, &head, Arc::new(NoMemory));
        transaction.request_headers();
        transaction.request_body(body.as_bytes(), true);
        transaction.work + transaction.store.worked()
    };
    let form: (&[u8], &[u8]) = (b"Content-Type", b"application/x-www-form-urlencoded");
    let json: (&[u8], &[u8]) = (b"Content-Type", b"application/json");
    let cookies = |count: usize| work(&[(b"Cookie", "x=x;".repeat(count).as_bytes())], "");
    let heads = |count: usize| work(&vec![(&b"X-A"[..], &b"x"[..]); count], "");
    let fields = |count: usize| work(&[form], &"x=x&".repeat(count));
    let texts = |count: usize| work(&[json], &format!("[{}1]", "\"x\",".repeat(count)));
    let kinds: [&dyn Fn(usize) -> u64; 4] = [&cookies, &heads, &fields, &texts];
    for (number, kind) in kinds.into_iter().enumerate() {
        let (once, twice) = (kind(400), kind(800));
        assert!(once > 400 && twice * 10 < once * 21, "{number}: {once}, {twice}");
    }
}

/// However often literals come, the rest is looked for, also in what differs in case only.
#[test]
fn a_value_full_of_literals_misses_no_rule() {
    let rules = "SecRule ARGS \"@pm aa ab ba\" \"id:1,phase:2,pass,t:none\"\n\
        SecRule ARGS \"@rx zq$\" \"id:2,phase:2,pass,t:none\"\n\
        SecRule ARGS \"@rx zq$\" \"id:3,phase:2,pass,t:none,t:lowercase\"";
    let body = format!("q={}zq", "A".repeat(110_000));
    let form: [(&[u8], &[u8]); 1] = [(b"Content-Type", b"application/x-www-form-urlencoded")];
    let asked = Asked { headers: &form, body: body.as_bytes(), ..NOTHING };
    assert_eq!(ids(&run(rules, &asked).1), [1, 2, 3]);
}

/// One long name over small values: what transformations make of it is let go, and no rule misses anything.
#[test]
fn what_is_held_grows_with_what_was_sent() {
    let chains = [
        "urlDecodeUni",
        "htmlEntityDecode",
        "jsDecode",
        "cssDecode",
        "lowercase",
        "replaceComments",
        "removeWhitespace",
        "compressWhitespace",
        "normalizePath",
        "urlDecodeUni,t:lowercase",
        "urlDecodeUni,t:jsDecode,t:removeWhitespace",
        "htmlEntityDecode,t:jsDecode,t:lowercase",
    ];
    let mut rules = format!("{READ}JSON\"\n");
    for (number, chain) in chains.iter().enumerate() {
        for (operator, id) in [("@rx never", 100), ("@contains never", 200)] {
            let id = id + number;
            rules +=
                &format!("SecRule ARGS_NAMES \"{operator}\" \"id:{id},phase:2,pass,t:{chain}\"\n");
        }
    }
    rules += "SecRule ARGS_NAMES \"@rx last$\" \"id:1,phase:2,pass,t:lowercase\"\n\
        SecRule ARGS \"@rx ^attack$\" \"id:2,phase:2,pass,t:urlDecodeUni,t:lowercase\"\n\
        SecRule ARGS_NAMES \"@contains a</**/b\" \"id:3,phase:2,pass,t:urlDecodeUni,t:jsDecode,\
        t:htmlEntityDecode,t:removeWhitespace\"";
    let name = r"%41 &lt; /./ /**/ \\x41 A &#97;&lt; / **/ B a&lt;/**/b ".repeat(1_000);
    let values = |count: usize| {
        let all: String = (0..count).map(|number| format!("\"{number}\":0,")).collect();
        format!("{{\"{name}\":{{{all}\"x\":0}},\"LAST\":\"%41TTACK\"}}")
    };
    let body = values(5);
    let asked = Asked { body: body.as_bytes(), ..NOTHING };
    let verdict = run(&rules, &asked).1;
    assert_eq!((ids(&verdict), &verdict.limits[..]), (vec![1, 2, 3], &[][..]));

    let engine = engine(&rules);
    let head = RequestHead { method: b"POST", target: b"/", protocol: b"HTTP/1.1", headers: &[] };
    let mut transaction = engine.begin(&CONNECTION, &head, Arc::new(NoMemory));
    transaction.request_headers();
    transaction.request_body(body.as_bytes(), true);
    let most = STORE_BYTES_MIN + JSON_OUTPUT_FACTOR * body.len();
    assert!(transaction.store.held() <= most, "{} of {most}", transaction.store.held());
    let read = 5 * body.len() as u64 * chains.len() as u64;
    assert!(transaction.store.worked() > read, "{} of {read}", transaction.store.worked());

    // And under more values it is told, not repeated.
    assert_eq!(limits(&rules, &[], &values(64)), [Limit::Arguments]);
}

#[test]
fn what_transformations_blow_up_is_told() {
    let rules = |times: usize| {
        format!("SecRule ARGS x \"id:1,phase:2,pass{}\"", ",t:hexEncode".repeat(times))
    };
    let form: [(&[u8], &[u8]); 1] = [(b"Content-Type", b"application/x-www-form-urlencoded")];
    let body = format!("a={}", "b".repeat(1_000));
    assert_eq!(limits(&rules(3), &form, &body), []);
    assert_eq!(limits(&rules(14), &form, &body), [Limit::Work]);
}

/// What gives up says so: that nothing was found says nothing.
#[test]
fn tests_that_give_up() {
    let form: [(&[u8], &[u8]); 1] = [(b"Content-Type", b"application/x-www-form-urlencoded")];
    let rules = r#"SecRule ARGS "@verifyCC \b\d{16}\b" "id:1,phase:2,pass""#;
    for (count, matched, told) in [(1_023, &[1][..], &[][..]), (1_024, &[], &[Limit::Work])] {
        let body = format!("a={}4012888888881881", "4012888888881882+".repeat(count));
        let asked = Asked { headers: &form, body: body.as_bytes(), ..NOTHING };
        let verdict = run(rules, &asked).1;
        assert_eq!((&ids(&verdict)[..], &verdict.limits[..]), (matched, told), "{count}");
    }
    // A pattern that came from outside and is none.
    let rules = r#"SecRule ARGS:a "@rx ^%{ARGS.b}$" "id:1,phase:2,pass""#;
    assert_eq!(limits(rules, &form, "a=x&b=x"), []);
    assert_eq!(limits(rules, &form, "a=x&b=("), [Limit::Work]);
    // Text to compare with that was cut off.
    let rules = r#"SecRule ARGS:a "@within %{ARGS.b}" "id:1,phase:2,pass""#;
    let long = |count: usize| format!("a=x&b={}x", "y".repeat(count));
    assert_eq!(limits(rules, &form, &long(EXPANDED_BYTES_MAX - 2)), []);
    assert_eq!(limits(rules, &form, &long(EXPANDED_BYTES_MAX)), [Limit::Variables]);
}
