//! Who logs in from where nobody can have got to, told by a GeoIP database of the operator's own.

use crate::common::{House, config, mmdb};
use schema::{Event, activity, class};
use serde_json::{Value, json};
use server::geoip::GeoIp;
use server::rights::Scope;
use server::{StartError, start_unjudged};

const SEOUL: &str = "203.0.113.9";
const BUSAN: &str = "198.51.100.9";
const PARIS: &str = "192.0.2.9";

/// Three cities, for the three networks that are kept for documentation (RFC 5737).
fn cities() -> Vec<u8> {
    let city = |network: [u8; 3], country, latitude, longitude| mmdb::Network {
        network,
        country,
        position: Some((latitude, longitude, 20)),
    };
    mmdb::write(
        "GeoLite2-City",
        &[
            city([203, 0, 113], "KR", 37.5665, 126.978),
            city([198, 51, 100], "KR", 35.1796, 129.0756),
            city([192, 0, 2], "FR", 48.8566, 2.3522),
        ],
    )
}

async fn house() -> House {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cities.mmdb");
    std::fs::write(&path, cities()).unwrap();
    let mut config = config(folder.path());
    config.geoip.database = Some(path);
    House::start(folder, config).await
}

fn login(session: &str, address: &str, minutes_ago: i64) -> Event {
    Event {
        time: server::handle::now() - minutes_ago * 60_000,
        class_uid: class::AUTHENTICATION,
        activity_id: activity::LOGON,
        status_id: Some(1),
        account: Some("kim".to_owned()),
        session: Some(session.to_owned()),
        src_ip: Some(address.to_owned()),
        ..Event::default()
    }
}

fn question(session: &str, address: &str) -> Value {
    json!({
        "subject": { "type": "session", "id": session, "properties": { "account": "kim" } },
        "action": { "name": "GET" },
        "resource": { "type": "route", "id": "shop/GET /orders/{id}", "properties": { "site": "shop" } },
        "context": { "address": address },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn trust_seoul_then_paris_half_an_hour_later_is_denied_and_busan_is_not() {
    // By the login, or by where an older session shows up: never twice for the same reason.
    let stories = [
        ("second login", vec![("s-1", SEOUL, 30), ("s-2", PARIS, 0)], ("s-2", PARIS), false),
        ("second login", vec![("s-1", SEOUL, 30), ("s-2", BUSAN, 0)], ("s-2", BUSAN), true),
        ("moved session", vec![("s-1", SEOUL, 30)], ("s-1", PARIS), false),
        ("moved session", vec![("s-1", SEOUL, 30)], ("s-1", BUSAN), true),
        // An address the database does not have proves nothing.
        ("unknown place", vec![("s-1", SEOUL, 30)], ("s-1", "203.0.114.9"), true),
    ];
    for (story, logins, (session, address), is_let_in) in stories {
        let house = house().await;
        let (owner, _) = house.owner();
        let pep = house.token("default", owner, &[Scope::Decide]);
        let desk = house.server.app.desks.desk(&"default".parse().unwrap()).await.unwrap();
        for (session, address, minutes_ago) in logins {
            desk.learn(&login(session, address, minutes_ago), &[]);
        }
        let asked = question(session, address);
        let answer = house.post("/access/v1/evaluation", &pep, asked).await.ok().json();
        assert_eq!(answer["decision"], is_let_in, "{story}, {address}: {answer}");
        let is_nothing_left = answer["context"]["score"] == 0.0;
        assert_eq!(is_nothing_left, !is_let_in, "{story}, {address}: {answer}");
        house.server.shutdown().await;
    }
}

#[test]
fn a_place_is_where_the_database_says_or_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cities.mmdb");
    std::fs::write(&path, cities()).unwrap();
    let cities = GeoIp::open(&path).unwrap();
    let place = |address: &str| cities.place(address.parse().unwrap());
    let paris = place(PARIS).unwrap();
    assert_eq!((paris.country.as_deref(), paris.accuracy_km), (Some("FR"), Some(20)));
    assert_eq!((paris.latitude, paris.longitude), (Some(48.8566), Some(2.3522)));
    assert_eq!(place("::ffff:192.0.2.9"), Some(paris));
    assert_eq!((place("192.0.3.9"), place("2001:db8::1")), (None, None));

    // A country alone is a country without a position.
    let korea = mmdb::Network { network: [203, 0, 113], country: "KR", position: None };
    std::fs::write(&path, mmdb::write("GeoLite2-Country", &[korea])).unwrap();
    let korea = GeoIp::open(&path).unwrap().place(SEOUL.parse().unwrap()).unwrap();
    assert_eq!((korea.country.as_deref(), korea.latitude), (Some("KR"), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_serve_stops_the_start_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("notes.txt"), "no database").unwrap();
    std::fs::write(at("asn.mmdb"), mmdb::write("GeoLite2-ASN", &[])).unwrap();
    let whole = cities();
    std::fs::write(at("cut.mmdb"), &whole[..whole.len() - 40]).unwrap();
    for (name, said) in [
        ("missing.mmdb", "cannot read"),
        ("", "is not a file"),
        ("notes.txt", "no MaxMind database"),
        ("cut.mmdb", "no MaxMind database"),
        ("asn.mmdb", "GeoLite2-ASN"),
    ] {
        let mut config = config(folder.path());
        config.geoip.database = Some(at(name));
        let Err(StartError::GeoIp(fault)) = start_unjudged(config).await else {
            panic!("`{name}` is taken for a database");
        };
        assert!(fault.code == "geoip-unusable" && fault.hint.is_some(), "{fault}");
        assert!(fault.message.contains(said), "{fault}");
    }
}
