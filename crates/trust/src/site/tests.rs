use super::*;

const SITE: &str = r#"
networks:
  - {cidr: 10.0.0.0/8, network_type: corporate, src_ip_class: enterprise_isp}
  - {cidr: 10.9.0.0/16, vpn: true}
  - {cidr: 2001:db8::/32, network_type: corporate}
reputation:
  - {cidr: 198.51.100.0/24, ip_rep: bad}
  - {cidr: 198.51.100.7, proxy_vpn_tor: tor}
countries: {home: [KR], allowed: [JP, KP], denied: [KP]}
hours: {timezone: Asia/Seoul, from: "09:00", to: "18:00"}
resources:
  - {name: admin, type: route, id: "shop/* /admin/*", sensitivity: high, admin_required: true, profile: strict}
  - {name: shop, type: route, id: "shop/*", sensitivity: medium, required: [device_registered]}
grants:
  - {subjects: ["role:dev"], actions: ["*"], resources: ["route:shop/*"]}
  - {subjects: ["*@partner.example"], actions: [GET], resources: ["route:shop/GET /docs/*"]}
roles:
  lee@corp.example: [dev]
people:
  - {accounts: ["*@partner.example"], user_type: guest, domain_approved: true, mfa_exempt: true}
"#;

fn site() -> Site {
    Site::parse("site.yaml", SITE).unwrap_or_else(|wrong| panic!("{wrong:#?}"))
}

fn network(site: &Site, address: &str) -> Network {
    site.network(address.parse().unwrap())
}

#[test]
fn of_each_thing_the_longest_prefix_that_tells_of_it_speaks() {
    let site = site();
    let vpn = network(&site, "10.9.1.2");
    assert_eq!((vpn.vpn, vpn.network_type), (Some(true), Some(NetworkType::Corporate)));
    assert!(vpn.is_relay() && !network(&site, "10.8.1.2").is_relay());
    let tor = network(&site, "198.51.100.7");
    assert_eq!(
        (tor.ip_rep, tor.proxy_vpn_tor),
        (Some(AddressReputation::Bad), Some(Anonymiser::Tor))
    );
    assert_eq!(network(&site, "::ffff:10.9.1.2"), vpn);
    assert_eq!(network(&site, "2001:db8::1").network_type, Some(NetworkType::Corporate));
    assert_eq!(network(&site, "203.0.113.9"), Network::default());
}

#[test]
fn denied_wins_and_the_rest_is_neutral() {
    let site = site();
    let policy = |country| site.geo_policy(country).unwrap();
    assert_eq!(policy("KR"), GeoPolicy::Allowed);
    assert_eq!(policy("KP"), GeoPolicy::Denied, "both allowed and denied");
    assert_eq!(policy("FR"), GeoPolicy::Neutral);
    assert_eq!((site.is_abroad("KR"), site.is_abroad("JP")), (Some(false), Some(true)));
    assert_eq!((Site::default().geo_policy("KP"), Site::default().is_abroad("KP")), (None, None));
}

#[test]
fn the_most_demanding_entry_that_fits_holds() {
    let demands = site().demands("route", "shop/GET /admin/users");
    assert_eq!(demands.names, ["admin", "shop"]);
    assert_eq!(demands.sensitivity, Some(Sensitivity::High));
    assert!(demands.admin_required && demands.strict);
    assert!(demands.required.contains("device_registered"));
    let demands = site().demands("route", "shop/GET /cart");
    assert_eq!((demands.sensitivity, demands.strict), (Some(Sensitivity::Medium), false));
    assert_eq!(site().demands("document", "shop/GET /cart"), ResourceDemands::default());
}

#[test]
fn grants_are_by_name_or_role_and_silence_is_not_a_grant() {
    let site = site();
    let may = |account, action, resource| site.grants(account, action, resource);
    let (lee, kim) = (Some("lee@corp.example"), Some("kim@partner.example"));
    assert_eq!(may(lee, "POST", "route:shop/POST /orders"), Some(true));
    assert_eq!(may(lee, "POST", "route:bank/POST /orders"), Some(false));
    assert_eq!(may(kim, "GET", "route:shop/GET /docs/1"), Some(true));
    assert_eq!(may(kim, "POST", "route:shop/GET /docs/1"), Some(false));
    assert_eq!(may(None, "GET", "route:shop/GET /docs/1"), Some(false));
    assert_eq!(Site::default().grants(lee, "GET", "route:shop/GET /docs/1"), None);
    let long = format!("route:shop/{}", "x".repeat(TARGET_BYTES_MAX));
    assert_eq!(may(lee, "POST", &long), Some(false));
    let nobody = Site::parse("site.yaml", "grants: []\n").unwrap();
    assert_eq!(nobody.grants(lee, "GET", "route:x"), Some(false));
}

#[test]
fn hours_are_those_of_the_wall_clock_there() {
    let at = |text: &str, hours: &Hours, slack| {
        let time = schema::parse_time(text).unwrap();
        hours.contains(Local::of(time, hours.offset_minutes), slack)
    };
    let hours = site().hours.unwrap();
    // 2026-11-23 is a Monday; Seoul is nine hours ahead.
    assert!(at("2026-11-23T00:00:00Z", &hours, 0), "09:00 in Seoul");
    assert!(!at("2026-11-22T23:59:59Z", &hours, 0), "08:59 in Seoul");
    assert!(at("2026-11-22T23:59:59Z", &hours, 60));
    assert!(!at("2026-11-23T09:00:00Z", &hours, 0), "18:00 in Seoul");
    assert!(!at("2026-11-22T03:00:00Z", &hours, 0), "a Sunday noon");
    let night = Site::parse(
        "site.yaml",
        r#"hours: {timezone: "+09:00", from: "22:00", to: "06:00", days: [fri]}"#,
    );
    let night = night.unwrap().hours.unwrap();
    assert!(at("2026-11-27T15:30:00Z", &night, 0), "Saturday 00:30, of Friday's shift");
    assert!(!at("2026-11-26T15:30:00Z", &night, 0), "Friday 00:30, of Thursday's");
}

#[test]
fn every_mistake_is_told_with_its_place_and_what_to_write() {
    let wrong = |yaml: &str| Site::parse("site.yaml", yaml).unwrap_err();
    let text = r#"networks:
  - {cidr: 10.0.0.1/8, vpn: true}
  - {cidr: office, network_type: corporate}
  - {cidr: 192.0.2.0/24}
countries: {home: [Korea]}
hours: {timezone: Europe/Berlin, from: "9", to: "18:00"}
resources:
  - {name: all, sensitivity: high}
grants:
  - {subjects: [], actions: ["*"], resources: ["*"]}
callers: {trusted_signals: ["MFA result"]}
"#;
    let told = wrong(text);
    let codes: Vec<&str> = told.iter().map(|d| d.code.as_str()).collect();
    assert_eq!(
        codes,
        [
            "host-bits",
            "not-a-network",
            "says-nothing",
            "not-a-country",
            "bad-timezone",
            "bad-clock",
            "no-pattern",
            "bad-list",
            "not-a-signal"
        ]
    );
    assert_eq!(told[0].place, "site.yaml:2:12");
    assert_eq!(
        told[0].hint.as_deref(),
        Some("write `10.0.0.0/8`, or the one address without a prefix")
    );
    assert!(told.iter().all(|d| d.hint.is_some() && d.place.starts_with("site.yaml:")));

    let near = &wrong("networks: [{cidr: 10.0.0.0/8, network_type: corporat}]")[0];
    assert_eq!(near.hint.as_deref(), Some("did you mean `corporate`?"));
    assert_eq!(wrong("network: []")[0].hint.as_deref(), Some("did you mean `networks`?"));
    assert_eq!(wrong("networks: 7")[0].place, "site.yaml:1:11");
    assert_eq!(wrong(&"#".repeat(SITE_BYTES_MAX + 1))[0].code, "file-too-large");
    assert!(Site::parse("site.yaml", "# nothing yet\n").is_ok());
}

#[test]
fn a_file_within_its_limits_is_read_and_one_beyond_is_refused() {
    let file = |count: usize| {
        let lines: String =
            (0..count).map(|n| format!("  - {{name: r{n}, id: \"r{n}/*\"}}\n")).collect();
        format!("resources:\n{lines}")
    };
    assert!(Site::parse("site.yaml", &file(RESOURCES_MAX)).is_ok());
    assert_eq!(
        Site::parse("site.yaml", &file(RESOURCES_MAX + 1)).unwrap_err()[0].code,
        "too-many-entries"
    );
}

#[test]
fn a_grant_holds_for_the_properties_it_names() {
    let site = Site::parse(
        "site.yaml",
        r#"
grants:
  - {subjects: [alice], actions: [read, write], resources: ["record:*"], unless: {resource: {status: archived}}}
  - {subjects: [alice], actions: [delete], resources: ["record:record-1"], when: {action: {soft: true}}}
  - {subjects: ["*"], actions: [write], resources: ["record:record-2"], when: {subject: {role: [admin, owner]}}}
roles: {carol: [dev]}
"#,
    )
    .unwrap();
    let object = |json: serde_json::Value| json.as_object().cloned().unwrap();
    let archived = object(serde_json::json!({ "status": "archived" }));
    let (soft, hard) =
        (object(serde_json::json!({ "soft": true })), object(serde_json::json!({ "soft": false })));
    let admin = object(serde_json::json!({ "role": "admin" }));
    let with = |who, action, resource, given: Properties<'_>| {
        site.grants_with(Some(who), action, resource, &given).unwrap()
    };
    let resource = Properties { resource: Some(&archived), ..Properties::default() };
    assert!(with("alice", "write", "record:record-1", Properties::default()));
    assert!(!with("alice", "write", "record:record-1", resource));
    for (given, may) in [(&soft, true), (&hard, false)] {
        let action = Properties { action: Some(given), ..Properties::default() };
        assert_eq!(with("alice", "delete", "record:record-1", action), may);
    }
    let bob = Properties { subject: Some(&admin), ..resource };
    assert!(with("bob", "write", "record:record-2", bob));
    assert!(!with("bob", "write", "record:record-2", resource), "nobody says he is one");

    assert_eq!(site.named_accounts(), ["alice", "carol"].into());
    assert_eq!(site.named_resources("record"), ["record-1", "record-2"].into());
    assert_eq!(site.named_actions(), ["delete", "read", "write"].into());
    assert!(
        Site::parse(
            "s",
            "grants: [{subjects: [a], actions: [b], resources: [c], when: {who: {a: 1}}}]"
        )
        .is_err()
    );
}
