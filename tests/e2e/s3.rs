//! The lake in a bucket of a real S3 server (Ceph RADOS Gateway, `tests/s3.sh`): the rows of the local disk, killed runs
//! continued, faults told, no secret anywhere.

use crate::support::{Said, digest, kill_9, lakecast, ok, read_table, run, skip, workspace};
use futures::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

pub(crate) const BUCKET: &str = "lake";
const KEY: &str = "testkey";
/// Looked for in everything that is written.
pub(crate) const SECRET: &str = "canary-3f9b1c7e-secret";

/// The server. Its script ends when its standard input closes, and so at the latest with this process.
pub(crate) struct Server {
    address: SocketAddr,
    _script: Option<Child>,
}

/// The one on loopback that all tests share.
pub(crate) fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(|| start(Ipv4Addr::LOCALHOST)).as_ref()
}

/// One of its own on an address of this host, as that of a bridge.
pub(crate) fn start(address: Ipv4Addr) -> Option<Server> {
    let port = (0..).find_map(|_| {
        let first = TcpListener::bind((address, 0)).ok()?.local_addr().ok()?.port();
        TcpListener::bind((Ipv4Addr::LOCALHOST, first.checked_add(1)?)).ok().map(|_| first)
    })?;
    let dir = std::env::temp_dir().join(format!("lakecast-s3-{port}"));
    let mut script = Command::new(workspace().join("tests/s3.sh"))
        .arg(&dir)
        .args([&port.to_string(), BUCKET])
        .envs([("AWS_ACCESS_KEY_ID", KEY), ("AWS_SECRET_ACCESS_KEY", SECRET)])
        .env("S3_ADDRESS", address.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(script.stdout.take().unwrap()).read_line(&mut line).unwrap();
    if line.trim() == "ready" {
        return Some(Server { address: (address, port).into(), _script: Some(script) });
    }
    let ended = script.wait().unwrap();
    let why = format!("tests/s3.sh could not start an S3 server, its message stands above: {ended}");
    skip("LAKECAST_REQUIRE_TOOLS", &why);
    None
}

impl Server {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same server, asked at the address of a proxy.
    pub(crate) fn at(address: SocketAddr) -> Self {
        Self { address, _script: None }
    }

    pub(crate) fn command<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = lakecast(args);
        command.envs(self.environment());
        command
    }

    /// How a process finds it.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let endpoint = format!("http://{}", self.address);
        [
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_ENDPOINT", &endpoint),
            ("AWS_ALLOW_HTTP", "true"),
        ]
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .to_vec()
    }

    /// Key and secret of another user, whom no bucket allows anything.
    pub(crate) fn guest(&self) -> [&'static str; 2] {
        let made = Command::new("radosgw-admin")
            .args(["-n", "client.rgw", "--admin-socket=", "user", "create", "--uid=guest", "--display-name=guest"])
            .args(["--access-key=guestkey", "--secret-key=canary-of-a-guest"])
            .env("CEPH_CONF", self.dir().join("ceph.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(made.unwrap().success(), "radosgw-admin made no user");
        ["guestkey", "canary-of-a-guest"]
    }

    fn dir(&self) -> std::path::PathBuf {
        std::env::temp_dir().join(format!("lakecast-s3-{}", self.address.port()))
    }

    pub(crate) fn store(&self) -> AmazonS3 {
        AmazonS3Builder::new()
            .with_bucket_name(BUCKET)
            .with_endpoint(format!("http://{}", self.address))
            .with_allow_http(true)
            .with_access_key_id(KEY)
            .with_secret_access_key(SECRET)
            .build()
            .unwrap()
    }
}

pub(crate) fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// A marketplace on the local disk and the same in the bucket, below a prefix of its own.
pub(crate) struct Lakes<'a> {
    server: &'a Server,
    dir: tempfile::TempDir,
    prefix: &'static str,
}

const JOB: &str = "
name: nightly
variables: { lake: '' }
tables:
  sales:       { location: '${lake}/market/sales/' }
  order_lines: { location: '${lake}/market/order_lines/' }
outputs:
  forecast:
    location: ${lake}/forecast/
    sql: SELECT * FROM forecast(TABLE(sales), id => sku, time => ds, value => qty, horizon => 28, season_length => 7)
  rules:
    location: ${lake}/rules/
    sql: |
      SELECT * FROM association_rules(TABLE(order_lines), basket => order_id, item => sku, min_support => 15, min_confidence => 0.1)
";

impl<'a> Lakes<'a> {
    pub(crate) fn new(server: &'a Server, prefix: &'static str) -> Self {
        Self::of_size(server, prefix, 400, 150)
    }

    pub(crate) fn of_size(server: &'a Server, prefix: &'static str, skus: u32, days: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let market = dir.path().join("market");
        let (skus, days) = (skus.to_string(), days.to_string());
        ok(lakecast(["generate", "--skus", &skus, "--days", &days, "--baskets", "3000", "--seed", "9", "--out"])
            .arg(&market));
        fs::write(dir.path().join("nightly.yaml"), JOB).unwrap();
        let lakes = Self { server, dir, prefix };
        wait(async {
            for table in ["sales", "order_lines"] {
                for file in fs::read_dir(market.join(table)).unwrap() {
                    let file = file.unwrap();
                    let key = format!("{prefix}/market/{table}/{}", file.file_name().to_string_lossy());
                    server.store().put(&Key::from(key), fs::read(file.path()).unwrap().into()).await.unwrap();
                }
            }
        });
        lakes
    }

    pub(crate) fn remote(&self, below: &str) -> String {
        format!("s3://{BUCKET}/{}{below}", self.prefix)
    }

    pub(crate) fn run(&self, lake: &str) -> Command {
        self.run_at(self.server, lake)
    }

    /// The job with another way to the server.
    pub(crate) fn run_at(&self, server: &Server, lake: &str) -> Command {
        let mut command = server.command(["run", "--run-date", "2026-11-22", "--partitions", "8", "--quiet"]);
        command.arg(self.dir.path().join("nightly.yaml")).arg("--set").arg(format!("lake={lake}"));
        command
    }

    /// Digests of the tables in the bucket, read by the command.
    pub(crate) fn remote_digests(&self) -> [String; 2] {
        ["forecast", "rules"].map(|table| {
            let file = self.dir.path().join(format!("{table}.parquet"));
            let query = ["sql", "-c", "SELECT * FROM t", "--format", "parquet", "--table"];
            let mut command = self.server.command(query);
            ok(command.arg(format!("t={}", self.remote(&format!("/{table}/")))).arg("--output").arg(&file));
            digest(&read_table(&file))
        })
    }

    pub(crate) fn local_digests(&self) -> [String; 2] {
        ok(&mut self.run(&self.dir.path().display().to_string()));
        ["forecast", "rules"].map(|table| digest(&read_table(&self.dir.path().join(table))))
    }

    pub(crate) fn keys(&self, below: &str) -> Vec<Key> {
        let prefix = Key::from(format!("{}{below}", self.prefix));
        let found = wait(self.server.store().list(Some(&prefix)).try_collect::<Vec<_>>()).unwrap();
        found.into_iter().map(|object| object.location).collect()
    }

    pub(crate) fn versions(&self, table: &str) -> usize {
        self.keys(&format!("/{table}/_delta_log")).iter().filter(|k| k.as_ref().ends_with(".json")).count()
    }

    pub(crate) fn forget_outputs(&self) {
        wait(async {
            let store = self.server.store();
            for table in ["/forecast", "/rules"] {
                let prefix = Key::from(format!("{}{table}", self.prefix));
                let keys = store.list(Some(&prefix)).map_ok(|object| object.location).try_collect::<Vec<_>>();
                for key in keys.await.unwrap() {
                    store.delete(&key).await.unwrap();
                }
            }
        });
    }
}

#[test]
fn a_night_in_a_bucket_has_the_rows_of_a_night_on_disk_and_leaves_no_secret() {
    let Some(server) = server() else { return };
    let lakes = Lakes::new(server, "night");
    let first = ok(lakes.run(&lakes.remote("")).args(["--log-level", "debug"]));
    assert_eq!(first.json()["status"], "published");
    assert_eq!(lakes.remote_digests(), lakes.local_digests());
    let second = ok(&mut lakes.run(&lakes.remote(""))).json();
    assert_eq!(second["status"], "already published");
    assert_eq!((lakes.versions("forecast"), lakes.versions("rules")), (1, 1));
    let listed = ok(server.command(["runs"]).arg(lakes.remote("/forecast/"))).stdout;
    assert!(listed.contains(first.json()["run_id"].as_str().unwrap()), "{listed}");

    // The secret stands in no log line and in no object that the run wrote.
    assert!(first.stderr.contains("DEBUG"), "{}", first.stderr);
    assert!(!first.stdout.contains(SECRET) && !first.stderr.contains(SECRET));
    let mut searched = 0;
    for key in lakes.keys("/forecast").iter().chain(&lakes.keys("/rules")) {
        let bytes = wait(async { server.store().get(key).await.unwrap().bytes().await.unwrap() });
        assert!(!bytes.windows(SECRET.len()).any(|w| w == SECRET.as_bytes()), "{key} holds the secret");
        searched += 1;
    }
    assert!(searched > 6, "{searched}");
}

#[test]
fn a_night_in_a_bucket_survives_kill_9() {
    let Some(server) = server() else { return };
    let lakes = Lakes::new(server, "kill");
    let started = Instant::now();
    ok(&mut lakes.run(&lakes.remote("")));
    let (took, expected) = (started.elapsed(), lakes.remote_digests());
    const KILLS: u32 = 6;
    for kill in 0..KILLS {
        let moment = took.mul_f64((f64::from(kill) + 0.5) / f64::from(KILLS));
        kill_9(|| lakes.run(&lakes.remote("")), moment, || lakes.forget_outputs());
        ok(&mut lakes.run(&lakes.remote("")));
        assert_eq!(lakes.remote_digests(), expected);
        assert_eq!((lakes.versions("forecast"), lakes.versions("rules")), (1, 1));
    }
}

fn wrong(said: &Said, parts: &[&str]) {
    assert_eq!(said.code, 1, "{}", said.stderr);
    for part in parts {
        assert!(said.stderr.contains(part), "expected {part:?} in: {}", said.stderr);
    }
    assert!(!said.stderr.contains(SECRET) && !said.stdout.contains(SECRET));
}

#[test]
fn a_wrong_key_and_a_missing_bucket_are_permanent_failures_that_say_so() {
    let Some(server) = server() else { return };
    let query = |location: &str| ["sql".into(), "-c".into(), "SELECT * FROM t".into(), format!("--table=t={location}")];
    let said = run(server.command(query("s3://lake/any/")).env("AWS_SECRET_ACCESS_KEY", "not-the-secret"));
    wrong(&said, &["s3://lake/any/"]);
    let said = run(&mut server.command(query("s3://no-such-bucket/any/")));
    wrong(&said, &["no-such-bucket"]);
}
