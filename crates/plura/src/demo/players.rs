//! People and attackers: a story's turns as real requests through the real gateway.

use crate::scenario::{Said, Script, Turn, What, stamp_log, turns};
use crate::shop::Request;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Requests a player has under way at once; a flood is many players' worth.
const UNDER_WAY_MAX: usize = 64;

/// What came back, as the demo's screen tells it.
#[derive(Debug, Clone)]
pub enum News {
    Answer { story: String, label: String, status: u16 },
    Logs { story: String, text: String, format: String, device: Option<String> },
    Began { story: String },
    Ended { story: String },
    Failed { story: String, error: String },
}

/// Everyone's cookies by jar.
type Jars = Arc<Mutex<HashMap<String, BTreeMap<String, String>>>>;

/// Plays the turns after zero that are not ordinary life, `speed` times as fast, up to the first human act.
pub async fn play_story(
    name: String,
    script: Script,
    speed: f64,
    gateway: SocketAddr,
    news: mpsc::Sender<News>,
) -> Result<(), String> {
    let zero = schema::parse_time(&script.zero).ok_or("`zero` is not a time")?;
    let all = turns(&Script {
        history: Default::default(),
        traffic: Default::default(),
        ..script.clone()
    })?;
    let scenes: Vec<Turn> =
        all.into_iter().take_while(|turn| !matches!(turn.what, What::Human(_))).collect();
    let first = scenes.first().map_or(zero, |turn| turn.time);
    let started = Instant::now();
    let live_zero =
        jiff::Timestamp::now().as_millisecond() - ((first - zero) as f64 / speed) as i64;
    let player = Player::new(gateway);
    let slots = Arc::new(tokio::sync::Semaphore::new(UNDER_WAY_MAX));
    for turn in scenes {
        let wait = Duration::from_secs_f64(((turn.time - first) as f64 / 1000.0 / speed).max(0.0));
        tokio::time::sleep_until(started + wait).await;
        match turn.what {
            What::Request(said) => {
                let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return Ok(()) };
                let (player, news, name) = (player.clone(), news.clone(), name.clone());
                let has_jar = said.jar.is_some();
                let going = tokio::spawn(async move {
                    let status = player.say(&said).await;
                    drop(slot);
                    let _ =
                        news.send(News::Answer { story: name, label: said.label, status }).await;
                });
                // Whoever has cookies does one thing after the other.
                if has_jar {
                    let _ = going.await;
                }
            }
            What::Logs(logs) => {
                let file = script.folder.join(&logs.logs);
                let text = std::fs::read_to_string(&file)
                    .map_err(|error| format!("cannot read `{}`: {error}", file.display()))?;
                let text = stamp_log(&text, live_zero, speed)?;
                let sent = News::Logs {
                    story: name.clone(),
                    text,
                    format: logs.format,
                    device: logs.device,
                };
                let _ = news.send(sent).await;
            }
            What::Human(_) => {}
        }
    }
    let _ = news.send(News::Ended { story: name }).await;
    Ok(())
}

/// Ordinary life from now on, in its own rhythm, until the process ends.
pub async fn live(
    script: Script,
    gateway: SocketAddr,
    news: mpsc::Sender<News>,
) -> Result<(), String> {
    let player = Player::new(gateway);
    let started = Instant::now();
    let turns = turns(&script)?;
    let zero = schema::parse_time(&script.zero).ok_or("`zero` is not a time")?;
    for turn in turns.into_iter().filter(|turn| turn.time >= zero) {
        let wait = u64::try_from(turn.time - zero).unwrap_or(0);
        tokio::time::sleep_until(started + Duration::from_millis(wait)).await;
        if let What::Request(said) = turn.what {
            let (player, news) = (player.clone(), news.clone());
            tokio::spawn(async move {
                let status = player.say(&said).await;
                let _ = news
                    .send(News::Answer { story: "users".into(), label: said.label, status })
                    .await;
            });
        }
    }
    Ok(())
}

/// Sends requests as if from anywhere: the gateway trusts this machine's `X-Forwarded-For`.
#[derive(Clone)]
struct Player {
    client: Client<HttpConnector, Full<Bytes>>,
    gateway: SocketAddr,
    jars: Jars,
}

impl Player {
    fn new(gateway: SocketAddr) -> Player {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Player { client, gateway, jars: Jars::default() }
    }

    /// The status; 0 when nothing came back.
    async fn say(&self, said: &Said) -> u16 {
        let Some(request) = self.request(said) else { return 0 };
        let Ok(response) = self.client.request(request).await else { return 0 };
        if let Some(jar) = &said.jar {
            let mut jars = self.jars.lock().unwrap_or_else(PoisonError::into_inner);
            for value in response.headers().get_all("set-cookie") {
                let pair = value.to_str().ok().and_then(|v| v.split(';').next()?.split_once('='));
                if let Some((name, value)) = pair {
                    jars.entry(jar.clone()).or_default().insert(name.to_owned(), value.to_owned());
                }
            }
        }
        let status = response.status().as_u16();
        let _ = response.into_body().collect().await;
        status
    }

    fn request(&self, said: &Said) -> Option<hyper::Request<Full<Bytes>>> {
        let Request { method, host, path, query, headers, body } = &said.request;
        let query = query.as_ref().map(|q| format!("?{q}")).unwrap_or_default();
        let mut request = hyper::Request::builder()
            .method(method.as_str())
            .uri(format!("http://{}{path}{query}", self.gateway))
            .header("host", host)
            .header("x-forwarded-for", &said.from);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let jars = self.jars.lock().unwrap_or_else(PoisonError::into_inner);
        let jar = said.jar.as_ref().and_then(|jar| jars.get(jar));
        if let Some(jar) = jar.filter(|jar| !jar.is_empty()) {
            let pairs: Vec<String> =
                jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header("cookie", pairs.join("; "));
        }
        request.body(Full::new(Bytes::from(body.clone()))).ok()
    }
}
