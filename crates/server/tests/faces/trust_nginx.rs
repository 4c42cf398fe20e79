//! A real nginx in front of an application allows, asks for proof and denies by our decision, and
//! closes when we are gone. Told only where nginx is installed (`apt install nginx-light`).

use crate::common::{As, House};
use serde_json::json;
use server::rights::Scope;
use std::net::SocketAddr;
use std::process::{Child, Command};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const NGINX: &str = "/usr/sbin/nginx";

const SITE: &str = r#"
grants: [{subjects: ["*"], actions: [GET], resources: ["route:shop/GET /orders/*"]}]
reputation: [{cidr: 127.0.0.9, ip_rep: bad, proxy_vpn_tor: tor}]
"#;

/// Ends with the test, whatever happens: its workers too, which a killed master would leave behind.
struct Ended(Child, Vec<String>);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = Command::new(NGINX).args(&self.1).args(["-s", "stop"]).status();
        let _ = self.0.wait();
    }
}

async fn application() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                let answer =
                    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
                let _ = stream.write_all(answer).await;
            });
        }
    });
    address
}

/// The status and `Location` of a GET, from an address of ours.
async fn get(to: SocketAddr, from: &str, path: &str) -> (u16, Option<String>) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
    let mut stream = socket.connect(to).await.unwrap();
    let head =
        format!("GET {path} HTTP/1.1\r\nhost: shop\r\ncookie: sid=7\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let location = answer.lines().find_map(|line| line.strip_prefix("Location: "));
    (status, location.map(|text| text.trim().to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn trust_nginx_does_as_it_is_told() {
    if !std::path::Path::new(NGINX).exists() {
        eprintln!("not told: there is no {NGINX}");
        return;
    }
    let house = House::with(|config| {
        config.trust.front.step_up_url = Some("https://login.example/?back={url}".to_owned());
    })
    .await;
    let (owner, people) = house.owner();
    let body = json!({ "text": SITE, "reason": "a shop" });
    house.call("PUT", "/api/v1/trust/site", &people, Some(body)).await.ok();
    let As::Token(token) = house.token("default", owner, &[Scope::Decide]) else { panic!() };

    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().display();
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (plura, app) = (house.server.address.port(), application().await);
    let ca = house.server.app.config.data.join("tls/server.pem");
    let user =
        if std::env::var("USER").is_ok_and(|user| user != "root") { "" } else { "user root;" };
    let config = format!(
        r#"daemon off; {user} worker_processes 1; pid {place}/pid; error_log {place}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {place}/b; proxy_temp_path {place}/p;
  fastcgi_temp_path {place}/f; uwsgi_temp_path {place}/u; scgi_temp_path {place}/s;
  server {{
    listen 127.0.0.1:{port};
    location = /_trust {{
      internal;
      proxy_pass https://localhost:{plura}/api/v1/trust/forward-auth?site=shop&proxy=nginx;
      proxy_ssl_trusted_certificate {ca}; proxy_ssl_verify on; proxy_ssl_name localhost;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_set_header Authorization "Bearer {token}";
      proxy_set_header X-Original-URI $request_uri;
      proxy_set_header X-Original-Method $request_method;
      proxy_set_header X-Real-IP $remote_addr;
    }}
    location / {{
      auth_request /_trust;
      auth_request_set $plura_location $upstream_http_location;
      error_page 401 =302 $plura_location;
      proxy_pass http://{app};
    }}
  }}
}}
"#,
        ca = ca.display()
    );
    let path = folder.path().join("nginx.conf");
    std::fs::write(&path, config).unwrap();
    let arguments = ["-e", "error.log", "-p", &format!("{place}/"), "-c", "nginx.conf"];
    let arguments = arguments.map(str::to_owned).to_vec();
    let child = Command::new(NGINX).args(&arguments).spawn().unwrap();
    let nginx = Ended(child, arguments);
    let address: SocketAddr = ([127, 0, 0, 1], port).into();
    let log = || std::fs::read_to_string(folder.path().join("error.log")).unwrap_or_default();
    let mut tries = 0;
    while TcpStream::connect(address).await.is_err() {
        tries += 1;
        assert!(tries < 200, "nginx does not listen: {}", log());
        tokio::time::sleep(Duration::from_millis(25)).await;
    }

    assert_eq!(get(address, "127.0.0.1", "/orders/7").await, (200, None), "{}", log());
    let proof = Some("https://login.example/?back=%2Fcart".to_owned());
    assert_eq!(get(address, "127.0.0.1", "/cart").await, (302, proof), "{}", log());
    assert_eq!(get(address, "127.0.0.9", "/orders/7").await.0, 403, "{}", log());
    assert_eq!(get(address, "127.0.0.1", "/orders/%2e%2e%2fcart").await.0, 403, "{}", log());
    house.server.shutdown().await;
    assert_eq!(get(address, "127.0.0.1", "/orders/7").await.0, 500, "closed without us");
    drop(nginx);
}
