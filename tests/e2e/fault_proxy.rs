//! A faulty network before an S3 server: an HTTP/1.1 proxy that answers some requests badly, by shares and a seed.
//!
//! In: requests of any HTTP client, passed on byte for byte, so that signatures and the `Host` they cover stay valid.
//! Out: the server's answers, or faults; what fired is counted, and told on standard error request by request.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

/// Shares of requests, each from 0 to 1 and together at most 1.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// Answered with 503 `SlowDown`, never seen by the server.
    pub(crate) unavailable_503: f64,
    /// Answered with 500 `InternalError`; by turns of the dice the server never saw the request, or has done it.
    pub(crate) internal_500: f64,
    /// Connection reset; by turns of the dice before the server saw the request, or anywhere in its answer.
    pub(crate) reset: f64,
    /// Body cut in the middle, then an orderly end of the connection. Answers without a body pass.
    pub(crate) short_body: f64,
    /// Answered late; by turns of the dice the server acts before the wait, or after it though the client may be gone.
    pub(crate) stall: f64,
    /// How late.
    pub(crate) stall_for: Duration,
    /// Only requests whose first line (`PUT /lake/a/_delta_log/0.json HTTP/1.1`) holds this text; empty is all.
    pub(crate) only: &'static str,
}

/// How often each thing happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fired {
    /// Every request that came in, faulty or not.
    pub(crate) requests: u64,
    pub(crate) unavailable_503: u64,
    pub(crate) internal_500: u64,
    /// Those of `internal_500` that the server has done.
    pub(crate) applied_500: u64,
    pub(crate) reset: u64,
    /// Those of `reset` that the server has done.
    pub(crate) applied_reset: u64,
    pub(crate) short_body: u64,
    pub(crate) stall: u64,
    /// Connections closed because of an outage.
    pub(crate) outage: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Unavailable503,
    Internal500,
    Reset,
    ShortBody,
    Stall,
}

/// The proxy. It ends when it is dropped.
pub(crate) struct FaultProxy {
    address: SocketAddr,
    state: Arc<State>,
    runtime: Option<Runtime>,
}

struct State {
    upstream: SocketAddr,
    seed: u64,
    now: Mutex<(Faults, Fired)>,
    outage: watch::Sender<bool>,
}

impl FaultProxy {
    /// Between clients of this host and a server on its loopback.
    pub(crate) fn start(upstream_port: u16, faults: Faults, seed: u64) -> Self {
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self::between(loopback(0), loopback(upstream_port), faults, seed)
    }

    /// Listens anywhere, as on the bridge of a [`crate::netns::Network`]; port 0 takes a free one.
    pub(crate) fn between(listen: SocketAddr, upstream: SocketAddr, faults: Faults, seed: u64) -> Self {
        eprintln!("fault_proxy: seed {seed}");
        let listener = std::net::TcpListener::bind(listen).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let now = Mutex::new((checked(faults), Fired::default()));
        let state = Arc::new(State { upstream, seed, now, outage: watch::Sender::new(false) });
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(accept(listener, state.clone()));
        Self { address, state, runtime: Some(runtime) }
    }

    /// For [`crate::s3::Server::at`].
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Faults of the requests from now on.
    pub(crate) fn set(&self, faults: Faults) {
        self.state.lock(|now| now.0 = checked(faults));
    }

    /// While true every connection is reset, those that are open at once, new ones as soon as they are made.
    pub(crate) fn outage(&self, on: bool) {
        self.state.outage.send_replace(on);
    }

    pub(crate) fn fired(&self) -> Fired {
        self.state.lock(|now| now.1)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

fn checked(faults: Faults) -> Faults {
    let shares = [faults.unavailable_503, faults.internal_500, faults.reset, faults.short_body, faults.stall];
    assert!(shares.iter().all(|s| *s >= 0.0) && shares.iter().sum::<f64>() <= 1.0 + 1e-9, "{faults:?}");
    faults
}

impl Faults {
    fn choose(&self, dice: u64) -> Option<Fault> {
        let mut share = (dice >> 11) as f64 / (1_u64 << 53) as f64;
        let faults = [
            (self.unavailable_503, Fault::Unavailable503),
            (self.internal_500, Fault::Internal500),
            (self.reset, Fault::Reset),
            (self.short_body, Fault::ShortBody),
            (self.stall, Fault::Stall),
        ];
        faults.into_iter().find_map(|(part, fault)| {
            share -= part;
            (share < 0.0).then_some(fault)
        })
    }
}

/// SplitMix64: the n-th number of a seed, without state.
fn dice(seed: u64, n: u64) -> u64 {
    let z = seed.wrapping_add(n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl State {
    fn lock<T>(&self, work: impl FnOnce(&mut (Faults, Fired)) -> T) -> T {
        work(&mut self.now.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The n-th request's faults, the one it meets, and a dice for that fault's variants: functions of seed and n.
    fn plan(&self, request: &Message) -> (Faults, Option<Fault>, u64) {
        let line = request.line();
        let (faults, n) = self.lock(|now| {
            now.1.requests += 1;
            (now.0, now.1.requests - 1)
        });
        let fault = faults.choose(dice(self.seed, 2 * n)).filter(|_| line.contains(faults.only));
        if let Some(fault) = fault {
            eprintln!("fault_proxy: request {n}: {fault:?}: {line}");
        }
        (faults, fault, dice(self.seed, 2 * n + 1))
    }

    fn count(&self, what: impl FnOnce(&mut Fired) -> &mut u64) {
        self.lock(|now| *what(&mut now.1) += 1);
    }
}

async fn accept(listener: std::net::TcpListener, state: Arc<State>) {
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        // An error here is a client that is gone already, or a process without free descriptors.
        let Ok((client, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        };
        tokio::spawn(connection(client, state.clone()));
    }
}

async fn connection(mut client: TcpStream, state: Arc<State>) {
    let mut outage = state.outage.subscribe();
    let end = tokio::select! {
        biased;
        _ = outage.wait_for(|on| *on) => {
            state.count(|f| &mut f.outage);
            End::Reset
        }
        // An error of either side: what a gateway without an answer does.
        end = serve(&mut client, &state) => end.unwrap_or(End::Reset),
    };
    if end == End::Reset {
        let _ = client.set_zero_linger();
    }
}

/// How a connection goes on after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    Close,
    Reset,
}

async fn serve(client: &mut TcpStream, state: &State) -> io::Result<End> {
    client.set_nodelay(true)?;
    let (read, mut write) = client.split();
    let mut read = BufReader::new(read);
    while let Some(mut request) = Message::head(&mut read).await? {
        if request.has("expect", "100-continue") {
            write.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        request.read_body(&mut read, false).await?;
        let end = answer(&request, &mut write, state).await?;
        if end != End::Open {
            return Ok(end);
        }
    }
    Ok(End::Close)
}

async fn answer(request: &Message, client: &mut (impl AsyncWriteExt + Unpin), state: &State) -> io::Result<End> {
    let (faults, fault, dice) = state.plan(request);
    let applied = dice & 1 == 1;
    match fault {
        Some(Fault::Unavailable503) => {
            state.count(|f| &mut f.unavailable_503);
            return refuse(request, client, "503 Slow Down", "SlowDown").await;
        }
        Some(Fault::Internal500) => {
            if applied {
                forward(request, state.upstream).await?;
                state.count(|f| &mut f.applied_500);
            }
            state.count(|f| &mut f.internal_500);
            return refuse(request, client, "500 Internal Server Error", "InternalError").await;
        }
        Some(Fault::Reset) => {
            if applied {
                let reply = forward(request, state.upstream).await?.bytes();
                state.count(|f| &mut f.applied_reset);
                client.write_all(&reply[..(dice >> 1) as usize % reply.len()]).await?;
            }
            state.count(|f| &mut f.reset);
            return Ok(End::Reset);
        }
        Some(Fault::Stall) if !applied => tokio::time::sleep(faults.stall_for).await,
        _ => {}
    }
    let reply = forward(request, state.upstream).await?;
    deliver(&reply, client, state, (faults, fault, applied)).await.map(|end| match request.has("connection", "close") {
        true => End::Close,
        false => end,
    })
}

/// The server's answer, perhaps late or cut.
async fn deliver(
    reply: &Message,
    client: &mut (impl AsyncWriteExt + Unpin),
    state: &State,
    (faults, fault, applied): (Faults, Option<Fault>, bool),
) -> io::Result<End> {
    match fault {
        Some(Fault::Stall) => {
            state.count(|f| &mut f.stall);
            if applied {
                tokio::time::sleep(faults.stall_for).await;
            }
        }
        Some(Fault::ShortBody) if !reply.body.is_empty() => {
            state.count(|f| &mut f.short_body);
            client.write_all(&reply.head).await?;
            client.write_all(&reply.body[..reply.body.len() / 2]).await?;
            return Ok(End::Close);
        }
        _ => {}
    }
    client.write_all(&reply.bytes()).await?;
    Ok(if reply.to_end || reply.has("connection", "close") { End::Close } else { End::Open })
}

/// An error as S3 words it.
async fn refuse(
    request: &Message,
    client: &mut (impl AsyncWriteExt + Unpin),
    status: &str,
    code: &str,
) -> io::Result<End> {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>fault_proxy</Message></Error>"
    );
    let length = body.len();
    let body = if request.line().starts_with("HEAD ") { "" } else { &body };
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {length}\r\n\r\n");
    client.write_all(format!("{head}{body}").as_bytes()).await?;
    Ok(End::Open)
}

/// One connection a request, so that the server's keep-alive limits are nobody's fault.
async fn forward(request: &Message, upstream: SocketAddr) -> io::Result<Message> {
    let mut server = TcpStream::connect(upstream).await?;
    server.set_nodelay(true)?;
    let (read, mut write) = server.split();
    let mut read = BufReader::new(read);
    // A server may answer before it has read the body.
    let send = async {
        let _ = write.write_all(&request.bytes()).await;
        std::future::pending::<()>().await;
    };
    let receive = async {
        loop {
            let mut reply = Message::head(&mut read).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let status = reply.line().split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
            match status {
                100..200 => continue,
                204 | 304 => {}
                _ if request.line().starts_with("HEAD ") => {}
                _ => reply.read_body(&mut read, true).await?,
            }
            return Ok(reply);
        }
    };
    let reply = tokio::select! {
        reply = receive => reply,
        () = send => Err(io::ErrorKind::BrokenPipe.into()),
    };
    // No TIME_WAIT: thousands of requests would use up the ports.
    let _ = server.set_zero_linger();
    reply
}

/// A request or an answer, as its bytes stood on the wire.
#[derive(Default)]
struct Message {
    head: Vec<u8>,
    body: Vec<u8>,
    /// The body's end was the end of the connection.
    to_end: bool,
}

impl Message {
    /// First line and headers; `None` where the connection ends in order.
    async fn head(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Self>> {
        let mut head = vec![];
        loop {
            match from.read_until(b'\n', &mut head).await? {
                0 if head.is_empty() => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                1 | 2 if head.ends_with(b"\r\n\r\n") => return Ok(Some(Self { head, ..Self::default() })),
                _ => {}
            }
        }
    }

    /// The body, chunks with their framing; without a length it is all the rest, or nothing.
    async fn read_body(&mut self, from: &mut (impl AsyncBufRead + Unpin), rest: bool) -> io::Result<()> {
        if self.has("transfer-encoding", "chunked") {
            while read_chunk(from, &mut self.body).await? {}
            return Ok(());
        }
        let length = self.values("content-length").next().map(str::parse::<u64>);
        match length.transpose().map_err(io::Error::other)? {
            Some(length) => read_exactly(from, length, &mut self.body).await,
            None if rest => {
                self.to_end = true;
                from.read_to_end(&mut self.body).await.map(drop)
            }
            None => Ok(()),
        }
    }

    fn lines(&self) -> impl Iterator<Item = &str> {
        self.head.split(|b| *b == b'\n').filter_map(|line| Some(std::str::from_utf8(line).ok()?.trim_end()))
    }

    fn line(&self) -> &str {
        self.lines().next().unwrap_or_default()
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = move |line: &'_ str| line.split_once(':').is_some_and(|(n, _)| n.eq_ignore_ascii_case(name));
        self.lines().skip(1).filter(move |line| named(line)).filter_map(|line| Some(line.split_once(':')?.1.trim()))
    }

    fn has(&self, name: &str, token: &str) -> bool {
        self.values(name).flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(token))
    }

    fn bytes(&self) -> Vec<u8> {
        [&self.head[..], &self.body].concat()
    }
}

async fn read_exactly(from: &mut (impl AsyncBufRead + Unpin), n: u64, into: &mut Vec<u8>) -> io::Result<()> {
    let read = from.take(n).read_to_end(into).await?;
    if (read as u64) < n { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

/// One chunk with its framing, or the last one with its trailers, after which there is no more.
async fn read_chunk(from: &mut (impl AsyncBufRead + Unpin), into: &mut Vec<u8>) -> io::Result<bool> {
    let start = into.len();
    from.read_until(b'\n', into).await?;
    let size = String::from_utf8_lossy(&into[start..]).split(';').next().unwrap_or_default().trim().to_owned();
    let size = u64::from_str_radix(&size, 16).map_err(io::Error::other)?;
    if size > 0 {
        return read_exactly(from, size + 2, into).await.map(|()| true);
    }
    while from.read_until(b'\n', into).await? > 2 {}
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::s3::{Lakes, Server, server};
    use crate::support::run;
    use axum::Router;
    use axum::body::{Body, Bytes};
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::{get, put};
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Instant;

    const LONG: usize = 100_000;

    /// A server that counts what it has done, and a runtime for its clients.
    struct Site {
        runtime: Runtime,
        port: u16,
        puts: Arc<AtomicU64>,
    }

    fn site() -> Site {
        let runtime = crate::support::runtime();
        let puts = Arc::new(AtomicU64::new(0));
        let count = puts.clone();
        let stored = move |headers: HeaderMap, body: Bytes| async move {
            count.fetch_add(1, Ordering::SeqCst);
            format!("{} bytes for {}", body.len(), headers["host"].to_str().unwrap())
        };
        let chunks = || async {
            let chunks = (0..50).map(|_| Ok::<_, io::Error>("x".repeat(2000)));
            Body::from_stream(futures::stream::iter(chunks))
        };
        let router = Router::new()
            .route("/long", get(|| async { "y".repeat(LONG) }).delete(|| async { StatusCode::NO_CONTENT }))
            .route("/chunks", get(chunks))
            .route("/put", put(stored));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        runtime.spawn(async move { axum::serve(listener, router).await });
        Site { runtime, port, puts }
    }

    struct Client(BufReader<TcpStream>);

    impl Client {
        async fn new(proxy: &FaultProxy) -> io::Result<Self> {
            Ok(Self(BufReader::new(TcpStream::connect(("127.0.0.1", proxy.port())).await?)))
        }

        async fn ask(&mut self, line: &str, rest: &str) -> io::Result<Message> {
            self.0.get_mut().write_all(format!("{line} HTTP/1.1\r\nHost: signed.example\r\n{rest}").as_bytes()).await?;
            self.reply(line).await
        }

        async fn reply(&mut self, line: &str) -> io::Result<Message> {
            let mut reply = Message::head(&mut self.0).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            if !line.starts_with("HEAD") {
                reply.read_body(&mut self.0, false).await?;
            }
            Ok(reply)
        }
    }

    /// One request on a connection of its own.
    async fn ask(proxy: &FaultProxy, line: &str) -> io::Result<Message> {
        Client::new(proxy).await?.ask(line, "\r\n").await
    }

    const FAULTLESS: Faults = Faults {
        unavailable_503: 0.0,
        internal_500: 0.0,
        reset: 0.0,
        short_body: 0.0,
        stall: 0.0,
        stall_for: Duration::ZERO,
        only: "",
    };

    #[test]
    fn every_kind_of_message_passes_unchanged_on_one_connection() {
        let site = site();
        let proxy = FaultProxy::start(site.port, FAULTLESS, 1);
        site.runtime.block_on(async {
            let mut client = Client::new(&proxy).await.unwrap();
            let head = client.ask("HEAD /long", "\r\n").await.unwrap();
            assert!(head.has("content-length", &LONG.to_string()) && head.body.is_empty());
            assert_eq!(client.ask("DELETE /long", "\r\n").await.unwrap().line(), "HTTP/1.1 204 No Content");
            assert_eq!(client.ask("GET /long", "\r\n").await.unwrap().body.len(), LONG);
            let chunks = client.ask("GET /chunks", "\r\n").await.unwrap();
            assert!(chunks.has("transfer-encoding", "chunked") && chunks.body.len() > LONG);
            assert_eq!(client.ask("GET /none", "\r\n").await.unwrap().line(), "HTTP/1.1 404 Not Found");
            let stored = b"5 bytes for signed.example";
            assert_eq!(client.ask("PUT /put", "Content-Length: 5\r\n\r\n12345").await.unwrap().body, stored);
            let chunked = "Transfer-Encoding: chunked\r\n\r\n2;x=y\r\n12\r\n3\r\n345\r\n0\r\nT: t\r\n\r\n";
            assert_eq!(client.ask("PUT /put", chunked).await.unwrap().body, stored);
            let expect = "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n";
            assert_eq!(client.ask("PUT /put", expect).await.unwrap().line(), "HTTP/1.1 100 Continue");
            client.0.get_mut().write_all(b"12345").await.unwrap();
            assert_eq!(client.reply("PUT /put").await.unwrap().body, stored);
        });
        assert_eq!(proxy.fired(), Fired { requests: 8, ..Fired::default() });
    }

    #[test]
    fn an_error_is_a_whole_answer_and_a_failed_request_may_be_done() {
        let site = site();
        let proxy = FaultProxy::start(site.port, Faults { unavailable_503: 1.0, ..FAULTLESS }, 2);
        site.runtime.block_on(async {
            let mut client = Client::new(&proxy).await.unwrap();
            let put = "Content-Length: 5\r\n\r\n12345";
            let reply = client.ask("PUT /put", put).await.unwrap();
            assert_eq!(reply.line(), "HTTP/1.1 503 Slow Down");
            assert!(String::from_utf8(reply.body).unwrap().contains("<Code>SlowDown</Code>"));
            assert_eq!(client.ask("HEAD /long", "\r\n").await.unwrap().line(), "HTTP/1.1 503 Slow Down");
            assert_eq!(site.puts.load(Ordering::SeqCst), 0);
            proxy.set(Faults { internal_500: 1.0, ..FAULTLESS });
            for _ in 0..20 {
                let reply = client.ask("PUT /put", put).await.unwrap();
                assert_eq!(reply.line(), "HTTP/1.1 500 Internal Server Error");
            }
            let fired = proxy.fired();
            assert_eq!((fired.requests, fired.unavailable_503, fired.internal_500), (22, 2, 20));
            assert!((1..20).contains(&fired.applied_500), "{fired:?}");
            assert_eq!(site.puts.load(Ordering::SeqCst), fired.applied_500);
        });
    }

    #[test]
    fn resets_cut_bodies_and_stalls_reach_the_client() {
        let site = site();
        let proxy = FaultProxy::start(site.port, Faults { reset: 1.0, only: "/long", ..FAULTLESS }, 3);
        site.runtime.block_on(async {
            for _ in 0..20 {
                let error = ask(&proxy, "GET /long").await.err().unwrap();
                assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
            }
            assert!(ask(&proxy, "GET /chunks").await.is_ok());
            assert!((1..20).contains(&proxy.fired().applied_reset), "{:?}", proxy.fired());
            proxy.set(Faults { short_body: 1.0, ..FAULTLESS });
            for line in ["GET /long", "GET /chunks"] {
                let error = ask(&proxy, line).await.err().unwrap();
                assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
            }
            assert!(ask(&proxy, "HEAD /long").await.is_ok());
            proxy.set(Faults { stall: 1.0, stall_for: Duration::from_millis(300), ..FAULTLESS });
            let started = Instant::now();
            assert!(ask(&proxy, "GET /long").await.is_ok());
            assert!(started.elapsed() >= Duration::from_millis(300));
        });
        let expected = Fired { requests: 25, reset: 20, short_body: 2, stall: 1, ..Fired::default() };
        assert_eq!(Fired { applied_reset: 0, ..proxy.fired() }, expected);
    }

    #[test]
    fn an_outage_ends_open_connections_and_refuses_new_ones() {
        let site = site();
        let stall = Faults { stall: 1.0, stall_for: Duration::from_secs(1000), only: "/chunks", ..FAULTLESS };
        let proxy = FaultProxy::start(site.port, stall, 4);
        site.runtime.block_on(async {
            let mut idle = Client::new(&proxy).await.unwrap();
            assert!(idle.ask("GET /long", "\r\n").await.is_ok());
            let waiting = async { ask(&proxy, "GET /chunks").await.err().unwrap().kind() };
            let outage = async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                proxy.outage(true);
            };
            assert_eq!(tokio::join!(waiting, outage).0, io::ErrorKind::ConnectionReset);
            assert!(idle.ask("GET /long", "\r\n").await.is_err() && ask(&proxy, "GET /long").await.is_err());
            proxy.outage(false);
            assert!(ask(&proxy, "GET /long").await.is_ok());
        });
        assert_eq!(proxy.fired().outage, 3);
    }

    #[test]
    fn a_seed_decides_the_sequence_of_faults_and_shares_are_kept() {
        let faults = Faults { unavailable_503: 0.05, reset: 0.01, stall: 0.5, ..FAULTLESS };
        let sequence = |seed| (0..10_000).map(|n| faults.choose(dice(seed, 2 * n))).collect::<Vec<_>>();
        assert_eq!(sequence(7), sequence(7));
        assert_ne!(sequence(7), sequence(8));
        let count = |fault| sequence(7).into_iter().filter(|f| *f == fault).count();
        assert!(count(Some(Fault::Unavailable503)).abs_diff(500) < 100);
        assert!(count(Some(Fault::Reset)).abs_diff(100) < 40);
        assert!(count(Some(Fault::Stall)).abs_diff(5000) < 250);
        assert_eq!(count(Some(Fault::ShortBody)), 0);
    }

    #[test]
    fn a_night_through_a_noisy_network_has_the_rows_of_a_quiet_one() {
        let Some(server) = server() else { return };
        let lakes = Lakes::new(server, "noise");
        let night = |faults, seed| {
            let proxy = FaultProxy::start(server.address().port(), faults, seed);
            let said = run(&mut lakes.run_at(&Server::at(proxy.address()), &lakes.remote("")));
            (said, proxy.fired())
        };
        assert_eq!(night(FAULTLESS, 0).0.code, 0);
        let expected = lakes.remote_digests();
        lakes.forget_outputs();
        let noise = Faults {
            unavailable_503: 0.05,
            internal_500: 0.01,
            reset: 0.01,
            short_body: 0.01,
            stall: 0.01,
            stall_for: Duration::from_secs(1),
            ..FAULTLESS
        };
        let mut total = [0; 5];
        for seed in 0..10 {
            let (said, fired) = night(noise, seed);
            let kinds = [fired.unavailable_503, fired.internal_500, fired.reset, fired.short_body, fired.stall];
            total.iter_mut().zip(kinds).for_each(|(sum, n)| *sum += n);
            assert_eq!(said.code, 0, "seed {seed}: {fired:?}\n{}", said.stderr);
            assert_eq!(lakes.remote_digests(), expected, "seed {seed}");
            assert_eq!((lakes.versions("forecast"), lakes.versions("rules")), (1, 1), "seed {seed}");
            lakes.forget_outputs();
        }
        assert!(total.iter().all(|n| *n > 0), "a kind of fault never fired: {total:?}");
    }
}
