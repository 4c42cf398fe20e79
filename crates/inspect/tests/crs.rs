//! OWASP CRS over records: nothing in what a log leaves out is an attack, and what it holds is seen.
//! Without the shared corpora there is nothing to do.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

use inspect::{Disk, Inspector, Record, Rules, Settings};
use schema::{Event, class};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// Loaded once: it is what takes the time.
fn rules() -> Option<Arc<Rules>> {
    static RULES: OnceLock<Option<Arc<Rules>>> = OnceLock::new();
    RULES.get_or_init(load).clone()
}

fn load() -> Option<Arc<Rules>> {
    let root = std::env::var("PLURA_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").to_owned());
    let root = PathBuf::from(root).join("corpora/crs");
    let setup = root.join("crs-setup.conf.example");
    if !setup.is_file() {
        eprintln!("no CRS at {}: not tried", root.display());
        return None;
    }
    let wanted = [setup.display().to_string(), root.join("rules/*.conf").display().to_string()];
    let rules = Rules::open("crs", &Disk::default(), &wanted, true, "here");
    Some(Arc::new(rules.unwrap_or_else(|faults| panic!("{faults:?}"))))
}

fn crs(paranoia: u8) -> Option<Inspector> {
    let settings = Settings { paranoia: Some(paranoia), ..Settings::default() };
    Some(Inspector::new(rules()?, &settings))
}

/// What `combined` has of a request.
fn access(method: &str, path: &str, query: Option<&str>) -> Event {
    Event {
        class_uid: class::HTTP_ACTIVITY,
        time: 1_795_323_600_000,
        method: Some(method.to_owned()),
        path: Some(path.to_owned()),
        query: query.map(str::to_owned),
        http_version: Some("1.1".to_owned()),
        user_agent: Some("Mozilla/5.0 (X11; Linux x86_64) Firefox/148.0".to_owned()),
        src_ip: Some("192.0.2.1".to_owned()),
        http_code: Some(200),
        response_length: Some(512),
        ..Event::default()
    }
}

fn matched(inspector: &Inspector, event: &Event) -> Vec<u64> {
    let outcome = inspector.inspect(&Record::of(event).unwrap());
    outcome.matches.iter().map(|found| found.rule).collect()
}

#[test]
fn an_ordinary_line_of_an_access_log_matches_nothing_at_any_level() {
    for paranoia in 1..=4 {
        let Some(crs) = crs(paranoia) else { return };
        let typed = |kind: &str| Event {
            request_content_type: Some(kind.to_owned()),
            ..access("POST", "/orders", None)
        };
        let json = "application/json";
        for event in [
            access("GET", "/", None),
            access("GET", "/products/17", Some("page=2")),
            access("POST", "/orders", None),
            typed("application/x-www-form-urlencoded"),
            typed("multipart/form-data; boundary=x"),
            typed(json),
            // What a body log adds.
            Event { request_body: Some(r#"{"count":2}"#.to_owned()), ..typed(json) },
            Event {
                request_body: Some("count=2&name=kim".to_owned()),
                ..typed("application/x-www-form-urlencoded")
            },
            // What masking leaves.
            Event {
                request_body: Some(
                    r#"{"password":"[secret:0123456789abcdef]","mail":"[email:k***@example.com#0a1b2c3d]","card":"[card:****1111#0a1b2c3d]","pin":****}"#
                        .to_owned(),
                ),
                ..typed(json)
            },
            access("GET", "/a", Some("token=[secret:0123456789abcdef]&t=****")),
            // A log with less than any.
            Event { http_version: None, user_agent: None, src_ip: None, ..access("GET", "/", None) },
        ] {
            assert_eq!(matched(&crs, &event), [] as [u64; 0], "paranoia {paranoia}: {event:?}");
        }
    }
}

#[test]
fn attacks_in_a_record_are_told() {
    let Some(crs) = crs(1) else { return };
    let form = |body: &str| Event {
        request_content_type: Some("application/x-www-form-urlencoded".to_owned()),
        request_body: Some(body.to_owned()),
        ..access("POST", "/login", None)
    };
    let answer = |body: &str| Event {
        response_content_type: Some("text/html".to_owned()),
        response_body: Some(body.to_owned()),
        ..access("GET", "/", None)
    };
    for (event, rule) in [
        (access("GET", "/search", Some("q=1%27%20OR%20%271%27=%271")), 942_100),
        (access("GET", "/show", Some("file=../../../../etc/passwd")), 930_120),
        (
            form("name=%3Cscript%3Ealert(1)%3C/script%3E&password=[secret:0123456789abcdef]"),
            941_100,
        ),
        (form("mail=[email:k***@example.com%230a1b2c3d]%27%20UNION%20SELECT%201,2--%20"), 942_100),
        (Event { user_agent: Some("sqlmap/1.8".to_owned()), ..access("GET", "/", None) }, 913_100),
        (answer("<b>Warning</b>: ORA-01756: quoted string not properly terminated"), 951_120),
    ] {
        let found = matched(&crs, &event);
        assert!(found.contains(&rule), "{rule} is not among {found:?} for {event:?}");
        let record = Record::of(&event).unwrap();
        assert!(crs.inspect(&record).decided.is_some(), "{event:?}");
    }
}
