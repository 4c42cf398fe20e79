//! A script becomes turns: every request, log and human act with its moment, in order.

use super::script::{Human, Logs, Play, Script, TURNS_MAX, Template, Var};
use crate::shop::{Request, account, account_count, api_key};
use schema::{Timestamp, parse_time};
use serde_json::json;
use std::collections::BTreeMap;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

#[derive(Debug, Clone)]
pub struct Turn {
    pub time: Timestamp,
    pub what: What,
}

#[derive(Debug, Clone)]
pub enum What {
    Request(Box<Said>),
    Logs(Logs),
    Human(Human),
}

/// One request and who made it.
#[derive(Debug, Clone)]
pub struct Said {
    pub label: String,
    pub from: String,
    /// Turns with the same jar share cookies.
    pub jar: Option<String>,
    pub request: Request,
}

/// Everything that happens, in order of time; the same script gives the same turns.
pub fn turns(script: &Script) -> Result<Vec<Turn>, String> {
    let zero = parse_time(&script.zero).ok_or("`zero` is not a time")?;
    let mut turns = Vec::new();
    ordinary_life(script, zero, &mut turns);
    for (number, scene) in script.scenes.iter().enumerate() {
        match scene {
            super::script::Scene::Play(play) => {
                act(script, play, zero, script.seed ^ (number as u64 + 1), &mut turns)?;
            }
            super::script::Scene::Logs(logs) => {
                turns.push(Turn { time: zero + logs.at.0, what: What::Logs(logs.clone()) });
            }
            super::script::Scene::Human(human) => {
                turns.push(Turn { time: zero + human.at.0, what: What::Human(human.clone()) });
            }
        }
    }
    if turns.len() as u64 > TURNS_MAX {
        return Err(format!("{} turns, and {TURNS_MAX} is the limit", turns.len()));
    }
    // Stable: turns of one moment keep the order in which they were written.
    turns.sort_by_key(|turn| turn.time);
    Ok(turns)
}

fn act(
    script: &Script,
    play: &Play,
    zero: Timestamp,
    seed: u64,
    turns: &mut Vec<Turn>,
) -> Result<(), String> {
    let mut chance = Chance(seed);
    let mut lists = BTreeMap::new();
    for (name, var) in &play.vars {
        let list = match var {
            Var::Cycle(values) => values.clone(),
            Var::Numbers { pattern, first, last } => {
                (*first..=*last).map(|n| numbered(pattern, n)).collect()
            }
            Var::Lines { lines } => {
                let file = script.folder.join(lines);
                let text = std::fs::read_to_string(&file)
                    .map_err(|error| format!("cannot read `{}`: {error}", file.display()))?;
                text.lines().filter(|l| !l.is_empty()).map(str::to_owned).collect()
            }
        };
        if list.is_empty() {
            return Err(format!("variable `{name}` of `{}` has no values", play.play));
        }
        lists.insert(name.as_str(), list);
    }
    for round in 0..play.count {
        let jitter = if play.jitter.0 > 0 { chance.below(play.jitter.0 as u64) as i64 } else { 0 };
        let start = zero + play.at.0 + i64::from(round) * play.every.0 + jitter;
        let fill = |text: &str| -> Result<String, String> { fill(text, &lists, round) };
        for (step, template) in play.requests.iter().enumerate() {
            let time = start + step as i64 * play.pause.0;
            let jar = play.jar.as_deref().map(fill).transpose()?;
            let said = Said {
                label: play.play.clone(),
                from: fill(&template.from)?,
                jar,
                request: request(template, &fill)?,
            };
            turns.push(Turn { time, what: What::Request(Box::new(said)) });
        }
    }
    Ok(())
}

fn numbered(pattern: &str, number: u32) -> String {
    let width = pattern.chars().filter(|c| *c == '#').count();
    match pattern.find('#') {
        Some(at) => {
            let before = pattern.get(..at).unwrap_or("");
            let after = pattern.get(at + width..).unwrap_or("");
            format!("{before}{number:0width$}{after}")
        }
        None => pattern.to_owned(),
    }
}

/// `${name}` is the variable's value in this round, `${key:3}` the model API key of customer 3.
fn fill(text: &str, lists: &BTreeMap<&str, Vec<String>>, round: u32) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let (name, tail) =
            after.split_once('}').ok_or_else(|| format!("`${{` without `}}` in `{text}`"))?;
        if let Some(customer) = name.strip_prefix("key:") {
            let number = customer.parse().map_err(|_| format!("`{name}` names no customer"))?;
            out.push_str(&api_key(number));
        } else {
            let list = lists.get(name).ok_or_else(|| format!("`{name}` is not among `vars`"))?;
            let value = list.get(round as usize % list.len()).map_or("", String::as_str);
            out.push_str(value);
        }
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

fn request(
    template: &Template,
    fill: &impl Fn(&str) -> Result<String, String>,
) -> Result<Request, String> {
    let path = fill(&template.path)?;
    let host = template.host.clone().unwrap_or_else(|| host_of(&path).to_owned());
    let mut headers: Vec<(String, String)> = Vec::new();
    for (name, value) in &template.headers {
        headers.push((name.to_lowercase(), fill(value)?));
    }
    let mut body = Vec::new();
    if let Some(form) = &template.form {
        let mut pairs = Vec::new();
        for (name, value) in form {
            pairs.push(format!("{}={}", encode(name), encode(&fill(value)?)));
        }
        body = pairs.join("&").into_bytes();
        headers.push(("content-type".into(), "application/x-www-form-urlencoded".into()));
    } else if let Some(value) = &template.json {
        body = fill(&value.to_string())?.into_bytes();
        headers.push(("content-type".into(), "application/json".into()));
    } else if let Some(file) = &template.file {
        let name = fill(&file.name)?;
        body = format!(
            "--story\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: {}\r\n\r\n{}\r\n--story--\r\n",
            file.content_type, file.content
        )
        .into_bytes();
        headers.push(("content-type".into(), "multipart/form-data; boundary=story".into()));
    }
    Ok(Request {
        method: template.method.clone(),
        host,
        path,
        query: template.query.as_deref().map(fill).transpose()?,
        headers,
        body,
    })
}

fn host_of(path: &str) -> &'static str {
    if path.starts_with("/v1/") { "api.example" } else { "shop.example" }
}

fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Employees are the last accounts, from this one on.
const STAFF_FIRST: u32 = 1_990;
const STAFF_MAX: u32 = 10;
/// Someone sits down at the desk this often, at any hour: the desk works in shifts.
const STAFF_TURNS_HOURLY: f64 = 0.4;

const BROWSERS: [&str; 4] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/142.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1 Version/19.0 Mobile Safari/604.1",
    "Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 Chrome/142.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 15_1) AppleWebKit/605.1 Version/19.0 Safari/605.1",
];

/// Visits of shoppers and calls of API customers from the start of history to the end of the story.
fn ordinary_life(script: &Script, zero: Timestamp, turns: &mut Vec<Turn>) {
    let (from, until) = (zero - script.history.0, zero + script.duration.0);
    let traffic = &script.traffic;
    for number in 0..traffic.shoppers.min(account_count()) {
        let mut chance = Chance(script.seed.wrapping_mul(31).wrapping_add(u64::from(number)));
        let mut time = from;
        while let Some(next) =
            next_time(&mut chance, time, until, traffic.visits_per_day / 24.0, |_| 1.0)
        {
            visit(number, &mut chance, next, turns);
            time = next + 10 * 60_000;
        }
    }
    // A peak brings customers who were not there before: they buy and behave like the others.
    for (index, peak) in traffic.peaks.iter().enumerate() {
        let visits = f64::from(traffic.shoppers)
            * traffic.visits_per_day
            * (peak.times - 1.0).max(0.0)
            * (peak.until.0 - peak.from.0) as f64
            / DAY_MS as f64;
        let mut chance = Chance(script.seed ^ 0x5a1e_u64.wrapping_add(index as u64));
        for _ in 0..visits as u64 {
            let number = chance.below(u64::from(account_count())) as u32;
            let offset = chance.below((peak.until.0 - peak.from.0).max(1) as u64) as i64;
            visit(number, &mut chance, zero + peak.from.0 + offset, turns);
        }
    }
    for number in 0..traffic.staff.min(STAFF_MAX) {
        let mut chance = Chance(script.seed.wrapping_mul(173).wrapping_add(u64::from(number)));
        let mut time = from;
        while let Some(next) = next_time(&mut chance, time, until, STAFF_TURNS_HOURLY, |_| 1.0) {
            desk_turn(number, &mut chance, next, turns);
            time = next + 10 * 60_000;
        }
    }
    for customer in &traffic.api_customers {
        let mut chance = Chance(script.seed.wrapping_mul(131).wrapping_add(u64::from(*customer)));
        let mut time = from;
        while let Some(next) =
            next_time(&mut chance, time, until, traffic.calls_per_hour, office_hours)
        {
            call(*customer, &mut chance, next, turns);
            time = next;
        }
    }
}

/// The next arrival of a Poisson stream of `per_hour`, thinned by `weight` of the moment (Lewis and Shedler 1979).
fn next_time(
    chance: &mut Chance,
    mut time: Timestamp,
    until: Timestamp,
    per_hour: f64,
    weight: impl Fn(Timestamp) -> f64,
) -> Option<Timestamp> {
    if per_hour <= 0.0 {
        return None;
    }
    loop {
        let wait_hours = -(1.0 - chance.share()).ln() / per_hour;
        time += ((wait_hours * HOUR_MS as f64) as i64).max(1);
        if time >= until {
            return None;
        }
        if chance.share() < weight(time) {
            return Some(time);
        }
    }
}

/// API customers work by day: full rate from 8 to 20 o'clock UTC, a fifth of it at night.
fn office_hours(time: Timestamp) -> f64 {
    if (8..20).contains(&(time.rem_euclid(DAY_MS) / HOUR_MS)) { 1.0 } else { 0.2 }
}

fn visit(number: u32, chance: &mut Chance, start: Timestamp, turns: &mut Vec<Turn>) {
    let Some(customer) = account(number) else { return };
    // Two homes: a fixed line, and a mobile network whose address changes from visit to visit.
    let mobile = number.is_multiple_of(3);
    let from = if mobile {
        format!("100.{}.{}.{}", 64 + number % 64, chance.below(256), 1 + chance.below(254))
    } else {
        format!("121.{}.{}.{}", 100 + number % 100, (number / 100) % 250, 1 + number % 250)
    };
    let agent = BROWSERS.get(number as usize % BROWSERS.len()).copied().unwrap_or("Mozilla/5.0");
    let jar = format!("visit-{number}-{start}");
    let mut time = start;
    let mut say = |turns: &mut Vec<Turn>,
                   chance: &mut Chance,
                   method: &str,
                   path: String,
                   form: Option<String>| {
        let mut headers = vec![("user-agent".to_owned(), agent.to_owned())];
        if form.is_some() {
            headers.push(("content-type".into(), "application/x-www-form-urlencoded".into()));
        }
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
            None => (path, None),
        };
        let request = Request {
            method: method.into(),
            host: "shop.example".into(),
            path,
            query,
            headers,
            body: form.unwrap_or_default().into_bytes(),
        };
        let said =
            Said { label: "users".into(), from: from.clone(), jar: Some(jar.clone()), request };
        turns.push(Turn { time, what: What::Request(Box::new(said)) });
        time += 2_000 + chance.below(20_000) as i64;
    };
    say(turns, chance, "GET", "/".into(), None);
    // One visit in eight begins with a mistyped password.
    if chance.below(8) == 0 {
        let form = format!("username={}&password={}", customer.name, encode("spring-0000"));
        say(turns, chance, "POST", "/login".into(), Some(form));
    }
    let form = format!("username={}&password={}", customer.name, encode(&customer.password));
    say(turns, chance, "POST", "/login".into(), Some(form));
    for _ in 0..2 + chance.below(6) {
        let path = match chance.below(4) {
            0 => format!("/products?page={}", chance.below(10)),
            1 => format!(
                "/search?q={}",
                ["lamp", "desk", "mug", "bag"].get(chance.below(4) as usize).unwrap_or(&"mug")
            ),
            _ => format!("/products/{}", chance.below(240)),
        };
        say(turns, chance, "GET", path, None);
    }
    if chance.below(3) == 0 {
        let form = format!("product={}", chance.below(240));
        say(turns, chance, "POST", "/cart".into(), Some(form));
        say(turns, chance, "POST", "/checkout".into(), Some("confirm=yes".into()));
    }
    if chance.below(3) == 0 {
        say(turns, chance, "GET", format!("/api/orders/{}", 10_000 + number), None);
    }
    if chance.below(6) == 0 {
        say(turns, chance, "GET", "/account".into(), None);
    }
    if chance.below(2) == 0 {
        say(turns, chance, "POST", "/logout".into(), Some(String::new()));
    }
}

/// An employee logs in and looks orders up for customers who ask.
fn desk_turn(number: u32, chance: &mut Chance, start: Timestamp, turns: &mut Vec<Turn>) {
    let Some(employee) = account(STAFF_FIRST + number) else { return };
    let jar = format!("desk-{number}-{start}");
    let mut time = start;
    let mut say = |chance: &mut Chance, method: &str, path: String, form: Option<String>| {
        let mut headers =
            vec![("user-agent".to_owned(), BROWSERS.first().copied().unwrap_or("-").to_owned())];
        if form.is_some() {
            headers.push(("content-type".into(), "application/x-www-form-urlencoded".into()));
        }
        let request = Request {
            method: method.into(),
            host: "staff.example".into(),
            path,
            query: None,
            headers,
            body: form.unwrap_or_default().into_bytes(),
        };
        let from = format!("10.20.4.{}", 10 + number);
        let said = Said { label: "staff".into(), from, jar: Some(jar.clone()), request };
        turns.push(Turn { time, what: What::Request(Box::new(said)) });
        time += 3_000 + chance.below(30_000) as i64;
    };
    let form = format!("username={}&password={}", employee.name, encode(&employee.password));
    say(chance, "POST", "/login".into(), Some(form));
    for _ in 0..3 + chance.below(7) {
        let order = 10_000 + chance.below(6_000);
        say(chance, "GET", format!("/api/orders/{order}"), None);
    }
    say(chance, "POST", "/logout".into(), Some(String::new()));
}

fn call(customer: u32, chance: &mut Chance, time: Timestamp, turns: &mut Vec<Turn>) {
    let topics = [
        "summarise this note",
        "translate to Japanese",
        "write a short greeting",
        "list three ideas",
    ];
    let topic = topics.get(chance.below(4) as usize).copied().unwrap_or("say hello");
    let words = "an ordinary sentence about office work. ".repeat(1 + chance.below(6) as usize);
    let body = json!({
        "model": if customer.is_multiple_of(3) { "sol-pro" } else { "sol-mini" },
        "messages": [{ "role": "user", "content": format!("Please {topic}: {words}") }],
        "max_tokens": 100 + chance.below(150),
    });
    let request = Request {
        method: "POST".into(),
        host: "api.example".into(),
        path: "/v1/chat/completions".into(),
        query: None,
        headers: vec![
            ("authorization".into(), format!("Bearer {}", api_key(customer))),
            ("content-type".into(), "application/json".into()),
            ("user-agent".into(), "openai-python/2.8.1".into()),
        ],
        body: body.to_string().into_bytes(),
    };
    let from = format!("175.{}.20.{}", 200 + customer, 10 + chance.below(3));
    let said = Said { label: "users".into(), from, jar: None, request };
    turns.push(Turn { time, what: What::Request(Box::new(said)) });
}

/// SplitMix64 (Steele, Lea and Flood 2014): small, seeded, and the same for ever.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// In `0.0..1.0`.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}
