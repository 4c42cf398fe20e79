//! `plura demo`: the real server, the real gateway, a small shop, its users, and attacks.

mod players;
mod upstream;

use crate::commands::run::{log_to_stderr, runtime, wrong};
use crate::output::{EXIT_UNREACHABLE, Failure, say};
use crate::profile::{self, Profile};
use crate::scenario::{Capture, SITES, Script, Stage, What, load, tuning, turns};
use crate::shop::{Shop, api_key};
use clap::Args;
use gateway::evidence::Keys;
use gateway::{Gateway, GatewayHandle};
use players::News;
use schema::{Event, Secret, TenantId, format_time};
use server::rights::Scope;
use server::{RunningServer, local};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use store::meta::{IncidentFilter, Mode, TrustDecision, TrustDecisionFilter};
use tokio::sync::mpsc;

/// Stories of the demo, how much faster than told they play, and after how many seconds they begin.
const STORIES: [(&str, f64, u64); 5] = [
    ("llm-api-key-theft", 20.0, 2),
    ("session-theft-inside", 20.0, 4),
    ("credential-stuffing-to-takeover", 24.0, 6),
    ("webshell-to-reverse-shell", 12.0, 10),
    ("l7-flood", 6.0, 16),
];

/// What the demo's tenant knows of itself: where its employees are, and what they may.
const TRUST_SITE: &str = "\
networks:
  - {cidr: 10.20.0.0/16, network_type: corporate, src_ip_class: enterprise_isp}
reputation:
  - {cidr: 10.20.0.0/16, ip_rep: safe}
countries: {home: [KR]}
resources:
  - {name: the order book, type: route, id: \"staff/*\", sensitivity: medium}
grants:
  - {subjects: [\"user199?\"], actions: [GET, POST], resources: [\"route:staff/*\"]}
";

/// How long the demo's tokens live: longer than any demo.
const TOKEN_DAYS: u32 = 30;

/// Events sent to the intake at once while the past is made up.
const HISTORY_BATCH: usize = 2_000;

#[derive(Args)]
pub struct DemoArgs {
    /// Where the demo keeps its data; made anew at every start
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Address of the server's API
    #[arg(long, default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// Address of the gateway in front of the shop
    #[arg(long, default_value = "127.0.0.1:8080")]
    gateway: SocketAddr,
    /// Folder of stories
    #[arg(long, default_value = "scenarios")]
    scenarios: PathBuf,
    /// End when the stories have been told, instead of going on until Ctrl-C
    #[arg(long)]
    once: bool,
}

pub fn run(args: DemoArgs) -> Result<ExitCode, Failure> {
    // The demo's own lines are the screen; warnings and errors still show.
    if std::env::var_os("PLURA_LOG").is_none() {
        drop(
            tracing_subscriber::fmt()
                .with_max_level(tracing::Level::ERROR)
                .with_writer(std::io::stderr)
                .try_init(),
        );
    } else {
        log_to_stderr();
    }
    let runtime = runtime()?;
    runtime.block_on(async {
        let stop = async {
            let _ = tokio::signal::ctrl_c().await;
        };
        tokio::select! {
            done = demo(&args) => done,
            () = stop => Ok(()),
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn demo(args: &DemoArgs) -> Result<(), Failure> {
    let data = fresh_folder(args.data.clone())?;
    let stories = stories(&args.scenarios)?;
    let began = Instant::now();

    let config = server::Config {
        listen: args.listen,
        data: data.join("server"),
        ..server::Config::default()
    };
    let server = server::start(config, tuning()).await.map_err(|error| {
        Failure::new(EXIT_UNREACHABLE, format!("the server cannot start: {error}"))
            .hint("choose other addresses with --listen and --gateway")
    })?;
    let ready_ms = began.elapsed().as_millis();
    let tenant: TenantId = "default"
        .parse()
        .map_err(|error: schema::InvalidTenant| Failure::input(error.to_string()))?;
    let problem = |problem: server::problem::Problem| Failure::input(problem.to_string());
    let changed = local::set_mode(&server.app.meta, &tenant, Mode::Enforce).map_err(problem)?;
    server.app.pipeline.tenant_changed(changed).await.map_err(problem)?;
    let cli_token = local::issue_token(
        &server.app.meta,
        &tenant,
        "demo command line",
        &[Scope::Query, Scope::Act, Scope::Audit, Scope::Intake, Scope::Reveal],
        TOKEN_DAYS,
    )
    .map_err(problem)?;
    let gateway_token = local::issue_token(
        &server.app.meta,
        &tenant,
        "demo gateway",
        &[Scope::Gateway, Scope::Intake],
        TOKEN_DAYS,
    )
    .map_err(problem)?;
    server.app.ledgers.wake();
    let setup_token =
        local::issue_token(&server.app.meta, &tenant, "demo setup", &[Scope::Admin], 1)
            .map_err(problem)?;
    put_trust_site(&server, &setup_token).await?;

    let shop = upstream::serve(Shop::new(began.elapsed().as_nanos() as u64))
        .await
        .map_err(|error| Failure::input(format!("the shop cannot listen: {error}")))?;
    let keys = random_key()?;
    say(&format!("server ready in {ready_ms} ms; making up the past eight days …"));
    let learnt = learn_the_past(&server, &tenant, &keys).await?;
    let gateway = start_gateway(args, &data, &server, shop, &gateway_token, &keys)?;
    let address = gateway.addrs().first().copied().unwrap_or(args.gateway);
    let profile_file = write_profile(&server, &data, &cli_token)?;
    greet(&server, address, &profile_file, learnt);

    let (news, mut inbox) = mpsc::channel(1024);
    tokio::spawn(players::live(ordinary_life(), address, news.clone()));
    let mut waiting = stories.len();
    for (name, script, speed, delay) in stories {
        let news = news.clone();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(delay)).await;
            let _ = news.send(News::Began { story: name.clone() }).await;
            if let Err(error) =
                players::play_story(name.clone(), script, speed, address, news.clone()).await
            {
                let _ = news.send(News::Failed { story: name, error }).await;
            }
        });
    }
    let mut board = Board::default();
    let mut screen = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            Some(item) = inbox.recv() => match item {
                News::Logs { text, format, device, story } => {
                    ship_logs(&server, &cli_token, &story, &text, &format, device.as_deref()).await?;
                }
                News::Ended { story } => {
                    waiting -= 1;
                    board.note(&format!("story `{story}` has been told"));
                }
                News::Failed { story, error } => {
                    waiting -= 1;
                    board.note(&format!("story `{story}` broke off: {error}"));
                }
                News::Began { story } => board.note(&format!("story `{story}` begins")),
                News::Answer { story, label, status } => board.count(&story, &label, status),
            },
            _ = screen.tick() => {
                board.look(&server, &tenant, began);
                if waiting == 0 && args.once {
                    break;
                }
            }
        }
    }
    // The gateway waits for its threads, which an event loop must not.
    let _ = tokio::task::spawn_blocking(move || gateway.shutdown()).await;
    server.shutdown().await;
    Ok(())
}

/// A folder of the demo's own; what an earlier demo left there is removed, nothing else ever is.
fn fresh_folder(asked: Option<PathBuf>) -> Result<PathBuf, Failure> {
    const MARK: &str = "this-is-a-plura-demo";
    let folder = match asked {
        Some(folder) => folder,
        None => {
            let home = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).or_else(|| {
                std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"))
            });
            home.unwrap_or_else(std::env::temp_dir).join("plura-demo")
        }
    };
    let cannot = |error: std::io::Error| {
        Failure::input(format!("cannot use the demo folder `{}`: {error}", folder.display()))
            .hint("name another with --data")
    };
    if folder.exists() {
        let is_ours = folder.join(MARK).is_file();
        let is_empty = fs::read_dir(&folder).map_err(cannot)?.next().is_none();
        if !is_ours && !is_empty {
            return Err(Failure::input(format!(
                "`{}` holds something that is not a demo's",
                folder.display()
            ))
            .hint("name an empty folder with --data"));
        }
        fs::remove_dir_all(&folder).map_err(cannot)?;
    }
    fs::create_dir_all(&folder).map_err(cannot)?;
    fs::write(folder.join(MARK), b"").map_err(cannot)?;
    fs::canonicalize(&folder).map_err(cannot)
}

fn stories(folder: &Path) -> Result<Vec<(String, Script, f64, u64)>, Failure> {
    STORIES
        .iter()
        .map(|(name, speed, delay)| {
            let script = load(&folder.join(name)).map_err(|fault| wrong(&[fault]))?;
            Ok(((*name).to_owned(), script, *speed, *delay))
        })
        .collect()
}

/// Ordinary people: eight days of them before now, and as many from now on.
fn ordinary_life() -> Script {
    let now = jiff::Timestamp::now().as_millisecond();
    Script {
        title: BTreeMap::new(),
        seed: 2026,
        zero: format_time(now),
        history: crate::scenario::Span(8 * 86_400_000),
        duration: crate::scenario::Span(86_400_000),
        mode: Default::default(),
        rule_sets: BTreeMap::new(),
        waf: BTreeMap::new(),
        traffic: crate::scenario::Traffic {
            shoppers: 90,
            visits_per_day: 2.5,
            staff: 8,
            api_customers: vec![0, 1, 2, 3, 4, 5],
            calls_per_hour: 14.0,
            // Something should be seen to happen while one watches.
            peaks: vec![crate::scenario::Peak {
                from: crate::scenario::Span(0),
                until: crate::scenario::Span(86_400_000),
                times: 6.0,
            }],
        },
        scenes: Vec::new(),
        folder: PathBuf::new(),
    }
}

/// The past eight days go through the gateway's own capture and the server's own intake.
async fn learn_the_past(
    server: &RunningServer,
    tenant: &TenantId,
    key: &Secret,
) -> Result<usize, Failure> {
    let script = ordinary_life();
    let keys = Keys::parse(key).map_err(|error| Failure::input(error.to_string()))?;
    let events = tokio::task::spawn_blocking(move || -> Result<Vec<Event>, String> {
        let zero = schema::parse_time(&script.zero).ok_or("`zero` is not a time")?;
        let mut stage = Stage::new(Capture::new("demo-past", keys)?);
        let mut events = Vec::new();
        for turn in turns(&script)?.into_iter().filter(|turn| turn.time < zero) {
            if let What::Request(said) = turn.what {
                events.push(stage.perform(&said, turn.time)?.1);
            }
        }
        Ok(events)
    })
    .await
    .map_err(|error| Failure::input(error.to_string()))?
    .map_err(Failure::input)?;
    let count = events.len();
    let mut events = events.into_iter();
    loop {
        let batch: Vec<Event> = events.by_ref().take(HISTORY_BATCH).collect();
        if batch.is_empty() {
            return Ok(count);
        }
        server
            .app
            .pipeline
            .ingest(tenant.clone(), batch)
            .await
            .map_err(|problem| Failure::input(format!("the past was not taken in: {problem}")))?;
    }
}

fn start_gateway(
    args: &DemoArgs,
    data: &Path,
    server: &RunningServer,
    shop: SocketAddr,
    token: &Secret,
    key: &Secret,
) -> Result<GatewayHandle, Failure> {
    let folder = data.join("gateway");
    let cannot = |error: std::io::Error| {
        Failure::input(format!("cannot write `{}`: {error}", folder.display()))
    };
    fs::create_dir_all(&folder).map_err(cannot)?;
    private_file(&folder.join("token"), token.reveal()).map_err(cannot)?;
    private_file(&folder.join("key"), key.reveal()).map_err(cannot)?;
    let sites: String = SITES
        .replace("http://127.0.0.1:9000", &format!("http://{shop}"))
        .replace("- name: staff\n", "- name: staff\n  trust: { unavailable: deny }\n")
        .lines()
        .map(|line| format!("  {line}\n"))
        .collect();
    let yaml = format!(
        "gateway: demo-gateway\nlisteners:\n  - address: {}\nadmin: 127.0.0.1:0\ntrusted_proxies: [127.0.0.0/8]\n\
         server: {{ url: \"https://{}\", token_file: token, ca_file: {} }}\n\
         state_dir: state\nkey_file: key\nspool: {{ dir: spool }}\nsites:\n{sites}",
        args.gateway,
        server.address,
        certificate(data).display(),
    );
    let file = folder.join("gateway.yaml");
    fs::write(&file, yaml).map_err(cannot)?;
    let config = gateway::Config::load(&file).map_err(|faults| wrong(&faults))?;
    Gateway::start(config).map_err(|faults| wrong(&faults))
}

fn certificate(data: &Path) -> PathBuf {
    data.join("server/tls/server.pem")
}

fn private_file(file: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut handle = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    handle.write_all(text.as_bytes())
}

fn random_key() -> Result<Secret, Failure> {
    let bytes: [u8; 32] =
        server::identity::secrets::random().map_err(|p| Failure::input(p.to_string()))?;
    Ok(Secret::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
}

/// Lets `plura incident list` in another terminal find this demo, unless a profile of one's own is there.
fn write_profile(server: &RunningServer, data: &Path, token: &Secret) -> Result<PathBuf, Failure> {
    let profile = Profile {
        server: Some(format!("https://{}", server.address)),
        token: Some(token.reveal().to_owned()),
        ca_file: Some(certificate(data)),
        tenant: None,
    };
    let usual = profile::path()?;
    let is_free = match profile::load() {
        Ok(known) => {
            known == Profile::default() || known.ca_file.is_some_and(|file| file.starts_with(data))
        }
        Err(_) => false,
    };
    let file = if is_free { usual } else { data.join("profile.json") };
    profile::save_to(&file, &profile)?;
    Ok(file)
}

fn greet(server: &RunningServer, gateway: SocketAddr, profile_file: &Path, learnt: usize) {
    let password = server.one_time_password.as_ref().map_or("-", |password| password.reveal());
    say(&format!("{learnt} events of ordinary life learnt"));
    say("");
    say(&format!(
        "  console   https://{}/   in English, Korean and Japanese; the browser asks about its own certificate",
        server.address
    ));
    say(&format!("  log in    user `owner`, one-time password `{password}`"));
    say(&format!(
        "  gateway   http://{gateway}   in front of shop.example, api.example and staff.example"
    ));
    if profile::path().is_ok_and(|usual| usual != profile_file) {
        say(&format!("  terminal  export PLURA_PROFILE={}", profile_file.display()));
    }
    say("");
    say("  in another terminal:   plura incident list");
    say("                         plura incident show ID");
    say("                         plura action list");
    say("                         plura action undo ID --reason \"customer confirmed\"");
    say("  the key that is going to be stolen; blocked it gets 403, after the undo 200:");
    say(&format!(
        "    curl -s -o /dev/null -w '%{{http_code}}\\n' -H 'Host: api.example' -H 'Authorization: Bearer {}' \\\n      -H 'Content-Type: application/json' -d '{{\"model\":\"sol-mini\",\"messages\":[{{\"role\":\"user\",\"content\":\"hello\"}}]}}' http://{gateway}/v1/chat/completions",
        api_key(2)
    ));
    say("");
}

/// Tells the server what the tenant knows of itself, as an administrator would.
async fn put_trust_site(server: &RunningServer, token: &Secret) -> Result<(), Failure> {
    let certificate = server.app.config.data.join("tls/server.pem");
    let (base, token) = (format!("https://{}", server.address), token.clone());
    tokio::task::spawn_blocking(move || {
        let client = crate::client::Client::with(&base, token.reveal(), Some(&certificate), None)?;
        let body = serde_json::json!({ "text": TRUST_SITE, "reason": "the demo's own site" });
        client.put("/api/v1/trust/site", &body).map(drop)
    })
    .await
    .map_err(|error| Failure::input(error.to_string()))?
}

async fn ship_logs(
    server: &RunningServer,
    token: &Secret,
    story: &str,
    text: &str,
    format: &str,
    device: Option<&str>,
) -> Result<(), Failure> {
    let source = format!("{story}-logs");
    let certificate = server.app.config.data.join("tls/server.pem");
    let (base, token, text) =
        (format!("https://{}", server.address), token.clone(), text.to_owned());
    let query = crate::commands::query_string(&[
        ("source", Some(source)),
        ("format", Some(format.to_owned())),
        ("device", device.map(str::to_owned)),
    ]);
    tokio::task::spawn_blocking(move || {
        let client = crate::client::Client::with(&base, token.reveal(), Some(&certificate), None)?;
        let body = crate::client::Body::Raw { content_type: "text/plain", bytes: text.as_bytes() };
        client.send("POST", &format!("/api/v1/intake/logs{query}"), body).map(drop)
    })
    .await
    .map_err(|error| Failure::input(error.to_string()))?
}

/// What the demo's terminal shows: answers by player, and each incident and action as it comes.
#[derive(Default)]
struct Board {
    answers: BTreeMap<(String, String), BTreeMap<u16, u64>>,
    incidents: BTreeMap<uuid::Uuid, String>,
    actions: BTreeMap<uuid::Uuid, String>,
    judged: BTreeSet<uuid::Uuid>,
    told: Option<Instant>,
}

/// Trust decisions looked at with each glance; more come only when much happens at once.
const JUDGED_SHOWN: usize = 50;

/// `session:… 81.65 → 20.00 deny: a grave finding is open`: one whose standing changed.
fn turn_of_trust(decision: &TrustDecision) -> Option<String> {
    use crate::words::{Language, language};
    let doc: serde_json::Value = serde_json::from_str(decision.doc.get()).ok()?;
    let before = doc.pointer("/previous/score")?.as_f64()?;
    let after = doc.pointer("/decision/score")?.as_f64()?;
    let language = match language() {
        Language::English => "en",
        Language::Korean => "ko",
        Language::Japanese => "ja",
    };
    let why = doc.pointer(&format!("/reason_admin/{language}"))?.as_str()?;
    Some(format!("{} {before:.2} → {after:.2}  {why}", decision.session))
}

/// How often the counts are told.
const COUNTS_EVERY: Duration = Duration::from_secs(10);

impl Board {
    fn note(&self, text: &str) {
        say(&crate::output::printable(text));
    }

    fn count(&mut self, story: &str, label: &str, status: u16) {
        let key = (story.to_owned(), label.to_owned());
        *self.answers.entry(key).or_default().entry(status).or_default() += 1;
    }

    fn look(&mut self, server: &RunningServer, tenant: &TenantId, began: Instant) {
        use crate::words::word;
        let at = began.elapsed().as_secs();
        let read = server.app.meta.read(|read| {
            let incidents = read
                .incidents(tenant, &IncidentFilter { limit: 100, ..IncidentFilter::default() })?;
            let latest =
                TrustDecisionFilter { limit: JUDGED_SHOWN, ..TrustDecisionFilter::default() };
            Ok((incidents, read.live_actions(tenant)?, read.trust_decisions(tenant, &latest)?))
        });
        let Ok((incidents, actions, judged)) = read else { return };
        for decision in judged.iter().rev() {
            if self.judged.insert(decision.id)
                && let Some(line) = turn_of_trust(decision)
            {
                self.note(&format!("{at:4} s  trust     {line}  {}", decision.id));
            }
        }
        for incident in incidents.iter().rev() {
            let line = format!("{} [{}]", word(&incident.title), word(incident.severity.as_str()));
            if self.incidents.get(&incident.id) != Some(&line) {
                self.note(&format!("{at:4} s  incident  {line}  {}", incident.id));
                self.incidents.insert(incident.id, line);
            }
        }
        for action in &actions {
            let line = format!("{} {}", word(action.rung.as_str()), word(action.state.as_str()));
            if self.actions.get(&action.id) != Some(&line) {
                self.note(&format!("{at:4} s  action    {line}  {}  {}", action.target, action.id));
                self.actions.insert(action.id, line);
            }
        }
        if self.told.is_none_or(|told| told.elapsed() >= COUNTS_EVERY) && !self.answers.is_empty() {
            self.told = Some(Instant::now());
            for ((story, label), counts) in &self.answers {
                let counts: Vec<String> =
                    counts.iter().map(|(status, count)| format!("{status}: {count}")).collect();
                self.note(&format!("{at:4} s  answers   {story} / {label}: {}", counts.join(", ")));
            }
        }
    }
}
