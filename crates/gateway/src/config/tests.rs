use super::*;

const GOOD: &str = "
gateway: edge-1
listeners:
  - address: 127.0.0.1:0
sites:
  - name: shop
    hosts: [shop.example, '*.shop.example']
    upstreams: [{url: 'http://127.0.0.1:9000'}]
";

fn codes(yaml: &str) -> Vec<String> {
    match Config::parse("gateway.yaml", yaml) {
        Ok(_) => vec![],
        Err(faults) => faults.into_iter().map(|f| f.code).collect(),
    }
}

#[test]
fn what_is_not_said_has_a_default() {
    let config = Config::parse("gateway.yaml", GOOD).unwrap();
    assert_eq!(config.workers, 1);
    assert_eq!(config.admin.to_string(), "127.0.0.1:9180");
    assert_eq!(config.limits.body_bytes_max, 128 * 1024);
    assert_eq!(config.sites[0].fail, FailMode::Open);
    assert!(!config.listeners[0].h2c);
}

#[test]
fn every_fault_is_told_with_its_code() {
    let broken = GOOD
        .replace("edge-1", "Edge 1")
        .replace("http://127.0.0.1:9000", "127.0.0.1/x")
        .replace("shop.example,", "'shop*',");
    assert_eq!(codes(&broken), ["gateway-id-invalid", "host-invalid", "url-invalid"]);
    let twice = format!("{GOOD}  - name: shop\n    hosts: [SHOP.example]\n    upstreams: []\n");
    assert_eq!(codes(&twice), ["site-repeated", "host-repeated", "upstream-missing"]);
}

#[test]
fn a_token_does_not_cross_the_network_in_clear() {
    let with = |url: &str| codes(&format!("{GOOD}server: {{url: '{url}', token_file: t}}\n"));
    assert_eq!(with("http://plura.internal:8443"), ["server-without-tls"]);
    for url in [
        "https://plura.internal:8443",
        "http://127.0.0.1:8443",
        "http://[::1]:1",
        "http://localhost:1",
    ] {
        assert!(with(url).is_empty(), "{url}");
    }
}

#[test]
fn trust_has_defaults_and_says_what_is_wrong() {
    let server = "server: {url: 'https://plura.internal:8443', token_file: t}\n";
    let with = |trust: &str| format!("{server}{GOOD}    trust: {trust}\n");
    let trust =
        |text: &str| Config::parse("g", &with(text)).unwrap().sites[0].trust.clone().unwrap();
    assert_eq!(trust("{}"), TrustConfig::default());
    assert_eq!(
        (trust("{}").unavailable, trust("{}").timeout.as_millis()),
        (Unavailable::Deny, 300)
    );
    assert_eq!(trust("{timeout: 2s}").timeout.as_millis(), 2_000);
    assert_eq!(codes(GOOD), [""; 0], "without it nothing is asked");
    assert_eq!(codes(&format!("{GOOD}    trust: {{}}\n")), ["trust-without-server"]);
    let wrong = "{timeout: 0ms, resource_type: 'a b', skip: [/ok, 'GET static']}";
    let faults = Config::parse("gateway.yaml", &with(wrong)).unwrap_err();
    let found: Vec<_> = faults.iter().map(|f| (f.code.as_str(), f.place.as_str())).collect();
    assert_eq!(
        found,
        [
            ("limit-invalid", "gateway.yaml: sites[0].trust.timeout"),
            ("resource-type-invalid", "gateway.yaml: sites[0].trust.resource_type"),
            ("pattern-invalid", "gateway.yaml: sites[0].trust.skip[1]"),
        ]
    );
    for text in ["{unavailable: maybe}", "{timeout: 300}", "{timeout: soon}", "{colour: blue}"] {
        assert_eq!(codes(&with(text)), ["config-invalid"], "{text}");
    }
}

#[test]
fn a_fault_of_the_text_has_line_and_column() {
    let faults =
        Config::parse("gateway.yaml", &GOOD.replace("name: shop", "nmae: shop")).unwrap_err();
    assert_eq!(faults[0].code, "config-invalid");
    assert!(faults[0].place.starts_with("gateway.yaml:6"), "{faults:?}");
    assert!(faults[0].message.contains("nmae"), "{faults:?}");
}

const RULES: &str = "rule_sets: {crs: {files: [crs/crs-setup.conf, 'crs/rules/*.conf']}}\n";

fn with_waf(waf: &str) -> String {
    format!("{RULES}{GOOD}    waf: [{waf}]\n")
}

#[test]
fn a_rule_set_is_in_the_shadow_until_said_otherwise() {
    let config = Config::parse("g", &with_waf("{rules: crs}")).unwrap();
    let waf = &config.sites[0].waf[0];
    assert_eq!((waf.stage, waf.fail, waf.canary_percent), (Stage::Shadow, FailMode::Open, 10));
    assert_eq!((waf.body_bytes_max, waf.paranoia), (128 * 1024, None));
    assert!(config.rule_sets["crs"].base);
    let all = "{rules: crs, stage: canary, canary_percent: 10, paranoia: 1, detection_paranoia: 2,
      inbound_threshold: 5, outbound_threshold: 4, fail: closed, body_bytes_max: 131072,
      routes: [{match: 'POST /upload/*', paranoia: 1, stage: off, inbound_threshold: 10}],
      exceptions: [{rule: 942100, host: shop.example, path: /search, parameter: 'ARGS:q',
        added: 2026-11-22T00:00:00Z, reason: search, by: kim}]}";
    let config = Config::parse("g", &with_waf(all)).unwrap();
    let waf = &config.sites[0].waf[0];
    let added = schema::parse_time("2026-11-22T00:00:00Z").unwrap();
    assert_eq!(waf.exceptions[0].ends(), Some(added + 7 * 86_400_000), "seven days");
    assert_eq!(waf.routes[0].stage, Some(Stage::Off));
}

#[test]
fn what_is_wrong_with_rule_sets_is_told_with_its_place() {
    let wrong = "{rules: csr, paranoia: 5, detection_paranoia: 1, canary_percent: 101,
      body_bytes_max: 0, inbound_threshold: 0,
      routes: [{match: upload}],
      exceptions: [{rule: 1, path: x, parameter: 'NONSENSE:q', added: monday, reason: a},
        {rule: 1, reason: a}]}, {rules: csr}";
    let faults = Config::parse("gateway.yaml", &with_waf(wrong)).unwrap_err();
    let at = |code: &str, place: &str| {
        let place = format!("gateway.yaml: sites[0].waf[0]{place}");
        let found = faults.iter().any(|f| f.code == code && f.place == place);
        assert!(found, "{code} at {place}: {faults:#?}");
    };
    at("rule-set-unknown", ".rules");
    at("paranoia-invalid", ".paranoia");
    at("paranoia-invalid", ".detection_paranoia");
    at("limit-invalid", ".canary_percent");
    at("limit-invalid", ".body_bytes_max");
    at("limit-invalid", ".inbound_threshold");
    at("pattern-invalid", ".routes[0].match");
    at("pattern-invalid", ".exceptions[0].path");
    at("parameter-invalid", ".exceptions[0].parameter");
    at("time-invalid", ".exceptions[0].added");
    at("exception-without-end", ".exceptions[1]");
    assert!(faults.iter().any(|f| f.code == "rule-set-repeated"));
    for text in ["{rules: crs, stage: on}", "{rules: crs, colour: blue}", "{stage: shadow}"] {
        assert_eq!(codes(&with_waf(text)), ["config-invalid"], "{text}");
    }
    assert_eq!(
        codes(&format!("rule_sets: {{'A b': {{files: []}}}}\n{GOOD}")),
        ["rule-set-name-invalid", "rule-file-missing"]
    );
}

#[test]
fn exceptions_that_can_never_hold_are_refused() {
    let with = |what: &str| {
        with_waf(&format!(
            "{{rules: crs, exceptions: [{{rule: 1, expires: 2100-01-01T00:00:00Z, reason: a, {what}}}]}}"
        ))
    };
    for (what, code, hint) in [
        ("host: 'shop.example:8443'", "host-invalid", "write `shop.example`"),
        ("host: '[::1]:8443'", "host-invalid", "write `[::1]`"),
        ("parameter: 'XML:/*'", "parameter-invalid", "write `XML`"),
        ("parameter: 'xml://@*'", "parameter-invalid", "write `XML`"),
    ] {
        let faults = Config::parse("gateway.yaml", &with(what)).unwrap_err();
        assert_eq!((faults.len(), faults[0].code.as_str()), (1, code), "{what}: {faults:#?}");
        assert!(faults[0].hint.as_deref().unwrap().starts_with(hint), "{what}: {faults:#?}");
    }
    for what in ["host: shop.example", "host: '[::1]'", "parameter: XML", "parameter: 'ARGS:xml'"] {
        assert!(Config::parse("gateway.yaml", &with(what)).is_ok(), "{what}");
    }
}

#[test]
fn the_canary_share_is_the_same_everywhere() {
    let config = Config::parse("g", &with_waf("{rules: crs, canary_percent: 25}")).unwrap();
    let waf = &config.sites[0].waf[0];
    let chosen = |text: String| waf.is_canary(text.parse().unwrap());
    let share = (0..1000).filter(|i| chosen(format!("10.0.{}.{}", i / 250, i % 250))).count();
    assert!((200..300).contains(&share), "{share}");
    assert_eq!(chosen("2001:db8::1".into()), chosen("2001:db8::ffff:2".into()), "one network");
    let none = WafConfig { canary_percent: 0, ..waf.clone() };
    let all = WafConfig { canary_percent: 100, ..waf.clone() };
    assert!((0..100).all(|i| {
        let client = format!("192.0.2.{i}").parse().unwrap();
        all.is_canary(client) && !none.is_canary(client)
    }));
}
