//! Probes over HTTP.  In: `GET /healthz`, `/readyz`, `/metrics`. Out: whether the process lives, may get work, and how it fares.
//!
//! They have an address of their own, so that a network policy can keep them apart from the data.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, Uri, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

/// Whether the process may be given work. It is asked at each `GET /readyz` and must answer at once.
pub type Ready = Arc<dyn Fn() -> bool + Send + Sync>;

const PATHS: &str = "/healthz, /readyz, /metrics";

/// Listens at `address`. Errors: the system's, in a message that names the `flag` which set the address, as `--health`.
pub async fn bind(flag: &str, address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|e| {
        let message = format!("cannot listen, free the address or set another: flag={flag}, address={address}");
        io::Error::new(e.kind(), format!("{message}, detail={e}"))
    })
}

/// Answers probes until the future is dropped.
///
/// `/healthz` is 200 while the process runs, `/readyz` is 200 or 503 as `ready` says, and `/metrics` is what stands in
/// prometheus' default registry, as text. Any other path is 404 with the paths that exist. Errors: the listener's.
pub async fn serve(listener: TcpListener, ready: Ready) -> io::Result<()> {
    let readyz = move || async move {
        if ready() { (StatusCode::OK, "ready\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready\n") }
    };
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .fallback(|uri: Uri| async move {
            (StatusCode::NOT_FOUND, format!("unknown path: path={}, known=[{PATHS}]\n", uri.path()))
        });
    axum::serve(listener, router).await
}

async fn metrics() -> Response {
    match prometheus::TextEncoder::new().encode_to_string(&prometheus::gather()) {
        Ok(text) => ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, format!("metrics do not encode: {e}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    async fn ask(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn probes_say_whether_the_process_lives_may_get_work_and_how_it_fares() {
        let listener = bind("--health", ([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let is_ready = Arc::new(AtomicBool::new(false));
        let asked = is_ready.clone();
        tokio::spawn(serve(listener, Arc::new(move || asked.load(Ordering::Relaxed))));
        let counter = prometheus::register_int_counter!("lakecast_test_probes_total", "Probes of the test").unwrap();
        counter.inc();

        assert!(ask(address, "/healthz").await.starts_with("HTTP/1.1 200 "));
        assert!(ask(address, "/readyz").await.starts_with("HTTP/1.1 503 "));
        is_ready.store(true, Ordering::Relaxed);
        assert!(ask(address, "/readyz").await.starts_with("HTTP/1.1 200 "));
        let metrics = ask(address, "/metrics").await;
        assert!(
            metrics.starts_with("HTTP/1.1 200 ") && metrics.contains("\nlakecast_test_probes_total 1\n"),
            "{metrics}"
        );
        assert!(metrics.to_lowercase().contains("content-type: text/plain; version=0.0.4"), "{metrics}");
        let unknown = ask(address, "/health").await;
        assert!(unknown.starts_with("HTTP/1.1 404 "), "{unknown}");
        assert!(unknown.ends_with("unknown path: path=/health, known=[/healthz, /readyz, /metrics]\n"), "{unknown}");
    }

    #[tokio::test]
    async fn an_address_in_use_names_the_flag() {
        let first = bind("--health", ([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = first.local_addr().unwrap();
        let error = bind("--health", address).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&format!("flag=--health, address={address}, detail=")), "{error}");
    }
}
