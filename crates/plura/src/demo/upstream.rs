//! The shop behind a socket.

use crate::shop::{Request, Response, Shop};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;

/// What the shop takes at once; it has no use for more.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Serves `shop` on a free port of this machine until the process ends.
pub async fn serve(shop: Shop) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let shop = Arc::new(Mutex::new(shop));
    tokio::spawn(async move {
        // An error of accept is one visitor's; the next may fare better.
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let shop = Arc::clone(&shop);
            tokio::spawn(async move {
                let service = service_fn(move |request| answer(Arc::clone(&shop), request));
                let _ = auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    Ok(address)
}

async fn answer(
    shop: Arc<Mutex<Shop>>,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes().to_vec(),
        Err(_) => return Ok(to_hyper(Response { status: 413, ..Response::default() })),
    };
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    let request = Request {
        method: head.method.as_str().to_owned(),
        host: head.uri.host().unwrap_or_default().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        headers,
        body,
    };
    let now = jiff::Timestamp::now().as_millisecond();
    let response = shop.lock().unwrap_or_else(PoisonError::into_inner).handle(&request, now);
    Ok(to_hyper(response))
}

fn to_hyper(response: Response) -> hyper::Response<Full<Bytes>> {
    let mut built = hyper::Response::builder().status(response.status);
    for (name, value) in &response.headers {
        built = built.header(name, value);
    }
    built.body(Full::new(Bytes::from(response.body))).unwrap_or_else(|_| {
        let mut failed = hyper::Response::new(Full::new(Bytes::new()));
        *failed.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
        failed
    })
}
