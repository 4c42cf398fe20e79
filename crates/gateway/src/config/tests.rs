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
