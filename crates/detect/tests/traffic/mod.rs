//! A small world of ordinary traffic, the same on every run.
#![allow(dead_code)]

use detect::{DetectConfig, Detector, GroupConfig, Grouper, SiteConfig};
use schema::{Event, Finding, Incident, activity, class};
use std::collections::BTreeMap;
use uuid::Uuid;

pub const SECOND: i64 = 1_000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;
/// 2026-11-02, a Monday, 00:00 UTC.
pub const MONDAY: i64 = 1_793_577_600_000;
pub const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64) Firefox/131.0";
pub const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)";

/// Linear congruential generator (Knuth's MMIX constants): chance without chance.
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            list.swap(i, self.below(i as u64 + 1) as usize);
        }
    }
}

pub fn sites() -> BTreeMap<String, SiteConfig> {
    BTreeMap::from([("shop".to_owned(), SiteConfig { devices: vec!["web-1".to_owned()] })])
}

pub struct World {
    pub detector: Detector,
    pub grouper: Grouper,
    pub chance: Chance,
    pub found: Vec<Finding>,
    pub incidents: BTreeMap<Uuid, Incident>,
    sequence: u64,
}

impl World {
    pub fn new() -> World {
        World::with(DetectConfig { sites: sites(), ..DetectConfig::default() })
    }

    pub fn with(config: DetectConfig) -> World {
        World {
            grouper: Grouper::new(GroupConfig {
                sites: config.sites.clone(),
                ..GroupConfig::default()
            }),
            detector: Detector::new(config),
            chance: Chance(42),
            found: Vec::new(),
            incidents: BTreeMap::new(),
            sequence: 0,
        }
    }

    /// Observes one event, after giving it its id.
    pub fn see(&mut self, mut event: Event) {
        self.sequence += 1;
        if event.id.is_nil() {
            event.id = schema::event_id(&"t".parse().unwrap(), "test", self.sequence, event.time);
        }
        for finding in self.detector.observe(&event) {
            if let Some(incident) = self.grouper.fold(&finding) {
                self.incidents.insert(incident.id, incident);
            }
            for merge in self.grouper.take_merges() {
                self.incidents.remove(&merge.absorbed);
            }
            self.found.push(finding);
        }
    }

    pub fn see_all(&mut self, mut events: Vec<Event>) {
        events.sort_by_key(|event| event.time);
        events.into_iter().for_each(|event| self.see(event));
    }

    /// The latest form of each finding of a rule.
    pub fn of(&self, rule: &str) -> Vec<&Finding> {
        let mut latest = BTreeMap::new();
        for finding in self.found.iter().filter(|finding| finding.rule == rule) {
            latest.insert(finding.id, finding);
        }
        latest.into_values().collect()
    }

    pub fn rules(&self) -> Vec<&str> {
        let mut rules: Vec<&str> = self.found.iter().map(|finding| finding.rule.as_str()).collect();
        rules.sort_unstable();
        rules.dedup();
        rules
    }

    pub fn quiet(&self) {
        let told: Vec<String> = self
            .found
            .iter()
            .map(|f| {
                format!(
                    "{} {:?} {}",
                    f.rule,
                    f.entities,
                    serde_json::to_string(&f.numbers).unwrap()
                )
            })
            .collect();
        assert_eq!(told, Vec::<String>::new());
        assert!(self.incidents.is_empty());
    }

    /// Sixty customers, two weeks: each logs in, looks around, reads an order; some mistype first.
    pub fn two_ordinary_weeks(&mut self) {
        for day in 0..14 {
            let mut events = Vec::new();
            for customer in 0..60u64 {
                let start = MONDAY
                    + day * DAY
                    + (8 + (customer % 12) as i64) * HOUR
                    + self.chance.below(3_000) as i64 * SECOND;
                for slip in
                    0..(if self.chance.below(12) == 0 { 1 + self.chance.below(2) } else { 0 })
                {
                    events.push(login(
                        start - (slip as i64 + 1) * 20 * SECOND,
                        &name(customer),
                        &home(customer),
                        false,
                    ));
                }
                events.push(login(start, &name(customer), &home(customer), true));
                for page in 0..8 {
                    let time = start + (page + 1) * 25 * SECOND;
                    events.push(browse(
                        time,
                        &name(customer),
                        &home(customer),
                        self.chance.below(500),
                    ));
                }
                let mut order = http(
                    start + 5 * MINUTE,
                    "GET",
                    "/orders/{id}",
                    &format!("/orders/{}", customer * 10),
                );
                as_customer(&mut order, &name(customer), &home(customer));
                order.response_personal_count = Some(4);
                events.push(order);
            }
            self.see_all(events);
        }
    }
}

/// The Monday after the two weeks.
pub const NOW: i64 = MONDAY + 14 * DAY;

pub fn name(customer: u64) -> String {
    format!("customer-{customer}")
}

/// Everyone lives in a network of their own.
pub fn home(customer: u64) -> String {
    format!("198.{}.{}.7", 18 + customer / 250, customer % 250)
}

pub fn http(time: i64, method: &str, template: &str, path: &str) -> Event {
    Event {
        time,
        class_uid: class::HTTP_ACTIVITY,
        activity_id: activity::of_method(method),
        method: Some(method.to_owned()),
        endpoint: Some(format!("{method} {template}")),
        path: Some(path.to_owned()),
        site: Some("shop".to_owned()),
        http_code: Some(200),
        outcome: Some("success".to_owned()),
        user_agent: Some(BROWSER.to_owned()),
        source: Some("gateway-1".to_owned()),
        ..Event::default()
    }
}

pub fn as_customer(event: &mut Event, account: &str, address: &str) {
    event.account = Some(account.to_owned());
    event.session = Some(format!("session-of-{account}"));
    event.src_ip = Some(address.to_owned());
}

pub fn login(time: i64, account: &str, address: &str, success: bool) -> Event {
    let mut event = http(time, "POST", "/login", "/login");
    event.account = Some(account.to_owned());
    event.src_ip = Some(address.to_owned());
    event.outcome_action = Some("login".to_owned());
    if success {
        event.session = Some(format!("session-of-{account}"));
    } else {
        refuse(&mut event, 401, "bad-password");
    }
    event
}

pub fn refuse(event: &mut Event, code: i64, reason: &str) {
    event.http_code = Some(code);
    event.outcome = Some("failure".to_owned());
    event.outcome_reason = Some(reason.to_owned());
}

pub fn browse(time: i64, account: &str, address: &str, product: u64) -> Event {
    let mut event = http(time, "GET", "/products/{id}", &format!("/products/{product}"));
    as_customer(&mut event, account, address);
    event
}

/// One request with an API key to the model.
pub fn completion(time: i64, key: &str, address: &str, tokens: i64, prompt: &str) -> Event {
    let mut event = http(time, "POST", "/v1/chat/completions", "/v1/chat/completions");
    event.site = Some("llm".to_owned());
    event.credential = Some(key.to_owned());
    event.src_ip = Some(address.to_owned());
    event.user_agent = Some("openai-python/1.52".to_owned());
    event.tokens_in = Some(tokens / 2);
    event.tokens_out = Some(tokens / 2);
    event.request_body =
        Some(format!("{{\"messages\":[{{\"role\":\"user\",\"content\":\"{prompt}\"}}]}}"));
    event
}

pub fn process(time: i64, device: &str, pid: i64, parent: (i64, &str), command: &str) -> Event {
    let program = command.split(' ').next().unwrap();
    Event {
        time,
        class_uid: class::PROCESS_ACTIVITY,
        activity_id: activity::LAUNCH,
        device: Some(device.to_owned()),
        process_pid: Some(pid),
        process_path: Some(format!("/usr/bin/{program}")),
        process_name: Some(program.to_owned()),
        process_cmd_line: Some(command.to_owned()),
        parent_pid: Some(parent.0),
        parent_name: Some(parent.1.to_owned()),
        source: Some("audit".to_owned()),
        ..Event::default()
    }
}

pub fn upload(time: i64, account: &str, address: &str, file: &str, content: &str) -> Event {
    let mut event = http(time, "POST", "/reviews/photo", "/reviews/photo");
    as_customer(&mut event, account, address);
    event.outcome_action = Some("upload".to_owned());
    event.request_content_type = Some("multipart/form-data; boundary=x".to_owned());
    event.request_body = Some(format!(
        "--x\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"{file}\"\r\n\r\n{content}\r\n--x--"
    ));
    event
}
