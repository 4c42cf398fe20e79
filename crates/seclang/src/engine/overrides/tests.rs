#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
use super::*;
use crate::engine::{Engine, NoMemory};
use crate::input::{Connection, RequestHead};
use crate::load::{Files, load};
use std::sync::Arc;

struct One(&'static str);

impl Files for One {
    fn read(&self, _: &str) -> Result<Vec<u8>, String> {
        Ok(self.0.as_bytes().to_vec())
    }

    fn matching(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
}

const RULES: &str = r#"
SecRuleEngine Off
SecAction "id:1,phase:1,pass,nolog,t:none,setvar:tx.level=1,setvar:tx.free=1"
SecRule ARGS "@streq bad" "id:2,phase:1,deny,status:403,log,t:none"
SecRule ARGS|ARGS_NAMES "@streq odd" "id:3,phase:1,deny,status:403,log,t:none"
"#;

fn begin(target: &str, lay_down: impl Fn(&mut Transaction)) -> Transaction {
    let engine = Arc::new(Engine::new(load(&One(RULES), &["a.conf"]).expect("rules")));
    let address = "192.0.2.1".parse().unwrap();
    let connection = Connection {
        client: address,
        client_port: 1,
        server: address,
        server_port: 80,
        unique_id: "1",
        time_ms: 0,
        utc_offset_secs: 0,
    };
    let head = RequestHead {
        method: b"GET",
        target: target.as_bytes(),
        protocol: b"HTTP/1.1",
        headers: &[],
    };
    let mut transaction = engine.begin(&connection, &head, Arc::new(NoMemory));
    lay_down(&mut transaction);
    transaction
}

fn on() -> Overrides {
    Overrides { mode: Some(EngineMode::On), tx: vec![("level".to_owned(), "3".to_owned())] }
}

fn blocks(target: &str, without: &[Without]) -> bool {
    let mut transaction = begin(target, |t| {
        t.apply(&on());
        without.iter().for_each(|w| t.leave_out(w));
    });
    transaction.request_headers().is_some()
}

#[test]
fn what_is_laid_down_stays() {
    let mut transaction = begin("/?a=b", |t| t.apply(&on()));
    transaction.request_headers();
    assert_eq!(transaction.mode(), EngineMode::On);
    assert_eq!(transaction.tx("level"), Some(&b"3"[..]), "rules cannot change it");
    assert_eq!(transaction.tx("free"), Some(&b"1"[..]));
}

#[test]
fn a_rule_or_a_part_of_it_is_left_out() {
    assert!(blocks("/?a=bad", &[]));
    assert!(!blocks("/?a=bad", &[Without::rule(2)]));
    let part = |variable| Without::variable(2, variable).unwrap();
    assert!(!blocks("/?a=bad", &[part("ARGS:A")]), "names have no case");
    assert!(!blocks("/?a=bad", &[part("ARGS")]));
    assert!(blocks("/?a=bad&b=bad", &[part("ARGS:a")]), "the other parameter still counts");
    assert!(blocks("/?a=odd", &[part("ARGS:a")]), "the other rule does");
    assert!(
        Without::variable(2, "NONSENSE:a").is_none() && Without::variable(2, "ARGS:").is_none()
    );
}

#[test]
fn what_is_left_out_everywhere_no_rule_sees_and_only_that() {
    assert!(blocks("/?q=bad", &[]) && blocks("/?q=odd", &[]));
    let q = Without::everywhere("ARGS:q").unwrap();
    assert!(!blocks("/?q=bad", std::slice::from_ref(&q)));
    assert!(!blocks("/?q=odd", std::slice::from_ref(&q)));
    assert!(blocks("/?p=bad", std::slice::from_ref(&q)));
    assert!(blocks("/?odd=q", std::slice::from_ref(&q)), "its name is another variable");
    assert!(Without::everywhere("NOTHING:q").is_none());
}

#[test]
fn values_that_stand_for_something_hidden_are_shown_to_no_rule() {
    let overlooking = |target: &str| {
        let mut transaction = begin(target, |t| {
            t.apply(&on());
            t.overlook(|value| value == b"bad");
        });
        transaction.request_headers().is_some()
    };
    assert!(blocks("/?q=bad", &[]));
    assert!(!overlooking("/?q=bad"));
    assert!(overlooking("/?q=odd") && overlooking("/?q=bad&p=odd"));
}
