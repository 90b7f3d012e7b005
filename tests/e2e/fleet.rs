//! A fleet of real processes: one scheduler, some executors, the same rows bit for bit as one process, on any of them.
//!
//! What dies, freezes or is cut off has topics of its own beside this file; they start their fleets here.

use crate::s3::Server;
use crate::support::{NIGHTLY, Said, digest, lakecast, ok, read_table, run};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The services, built from the same sources as this test binary.
pub(crate) const SCHEDULER: &str = env!("CARGO_BIN_EXE_lakecast-scheduler-under-test");
pub(crate) const EXECUTOR: &str = env!("CARGO_BIN_EXE_lakecast-executor-under-test");

/// How often something is tried in CI, and in the full set (`LAKECAST_FULL=1`).
pub(crate) fn times(in_ci: u32, in_full: u32) -> u32 {
    if std::env::var_os("LAKECAST_FULL").is_some() { in_full } else { in_ci }
}

/// A process of the fleet that can die and come back.
pub(crate) struct Process {
    command: Box<dyn Fn() -> Command>,
    log: PathBuf,
    child: Option<Child>,
    health: SocketAddr,
}

impl Process {
    fn start(&mut self) {
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let mut command = (self.command)();
        self.child = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.pid().to_string()]).status().unwrap();
        assert!(sent.success(), "no process to send {name} to");
    }

    /// Ends it at once, without a word.
    pub(crate) fn kill_9(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Waits for its end; `None` if it takes longer.
    pub(crate) fn ended_within(&mut self, limit: Duration) -> Option<i32> {
        let started = Instant::now();
        while started.elapsed() < limit {
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                self.child = None;
                return Some(status.code().unwrap_or(-1));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }

    /// Starts it anew and waits until it is ready.
    pub(crate) fn back(&mut self) {
        self.start();
        self.ready();
    }

    /// Starts a scheduler anew and waits until it answers, its executors not yet back.
    pub(crate) fn back_without_executors(&mut self) {
        self.start();
        while probe(self.health, "/healthz").is_none_or(|(code, _)| code != 200) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until it takes work.
    pub(crate) fn ready(&self) {
        let started = Instant::now();
        while probe(self.health, "/readyz").is_none_or(|(code, _)| code != 200) {
            assert!(started.elapsed() < Duration::from_secs(60), "not ready: {}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Status code and answer of `GET path` on the port of its probes.
    pub(crate) fn probed(&self, path: &str) -> Option<(u16, String)> {
        probe(self.health, path)
    }

    /// A metric of it, all labels together.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let (_, text) = probe(self.health, "/metrics").unwrap();
        let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
        let values: Vec<f64> =
            text.lines().filter(of_name).map(|l| l.rsplit(' ').next().unwrap().parse().unwrap()).collect();
        assert!(!values.is_empty(), "no metric {name} in {text}");
        values.iter().sum()
    }

    /// All that it logged.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Status code and answer of `GET path`, if somebody answers.
pub(crate) fn probe(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    ask(address, "GET", path)
}

/// Status code and answer of a request without a body, if somebody answers.
pub(crate) fn ask(address: SocketAddr, method: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some((answer.split(' ').nth(1)?.parse().ok()?, answer))
}

pub(crate) fn free_ports(n: usize) -> Vec<u16> {
    let held: Vec<_> = (0..n).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    held.iter().map(|l| l.local_addr().unwrap().port()).collect()
}

/// What a fleet is started with.
#[derive(Clone)]
pub(crate) struct Options<'a> {
    pub(crate) executors: usize,
    pub(crate) vcores: usize,
    /// More flags of the executors.
    pub(crate) flags: Vec<String>,
    /// Flags of every process.
    pub(crate) common: Vec<String>,
    /// Where the lake is; `None`: on the local disk.
    pub(crate) server: Option<&'a Server>,
    /// How long the scheduler waits for a sign of life of an executor.
    pub(crate) executor_timeout: Duration,
    /// Another way by which executors reach the scheduler.
    pub(crate) detour: Option<Detour<'a>>,
}

/// An address for the scheduler's port, and what opens it before executors start: from there to the scheduler's own.
#[derive(Clone, Copy)]
pub(crate) struct Detour<'a> {
    pub(crate) at: Ipv4Addr,
    pub(crate) open: &'a dyn Fn(SocketAddr, SocketAddr),
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            executors: 3,
            vcores: 1,
            flags: vec![],
            common: vec!["--allow-local".into()],
            server: None,
            executor_timeout: EXECUTOR_TIMEOUT,
            detour: None,
        }
    }
}

/// Seconds after which these fleets give a silent executor up; short, so that a test is.
pub(crate) const EXECUTOR_TIMEOUT: Duration = Duration::from_secs(3);
/// Seconds that their executors have after SIGTERM.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// A scheduler and executors.
pub(crate) struct Fleet {
    pub(crate) scheduler: Process,
    pub(crate) executors: Vec<Process>,
    pub(crate) address: SocketAddr,
    pub(crate) flight: Vec<u16>,
    pub(crate) dir: tempfile::TempDir,
}

impl Fleet {
    pub(crate) fn start(options: &Options<'_>) -> Self {
        Self::start_at(options, &|_, command| (command, Ipv4Addr::LOCALHOST))
    }

    /// The same with every process (`scheduler`, `executor-0`, ..) put where `place` says.
    pub(crate) fn start_at(options: &Options<'_>, place: &dyn Fn(&str, Command) -> (Command, Ipv4Addr)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ports = free_ports(2 + 3 * options.executors);
        let environment = options.server.map(Server::environment).unwrap_or_default();
        let with_common = |flags: Vec<String>| [flags, options.common.clone()].concat();
        let program = |name: &str, binary: &'static str, flags: Vec<String>| {
            let (placed, host) = place(name, Command::new(binary));
            let (placed, environment) = (template(&placed), environment.clone());
            let flags = flags.into_iter().map(|f| f.replace("{host}", &host.to_string())).collect::<Vec<_>>();
            let command = move || {
                let mut command = Command::new(&placed[0]);
                command.args(&placed[1..]).args(&flags).envs(environment.clone());
                command
            };
            (Box::new(command) as Box<dyn Fn() -> Command>, host)
        };
        let (command, host) = program("scheduler", SCHEDULER, {
            let mut flags = with_common(scheduler_flags(&ports, options.executor_timeout));
            flags.extend(options.detour.map(|detour| format!("--host={}", detour.at)));
            flags
        });
        let (address, health) = ((host, ports[0]).into(), (host, ports[1]).into());
        let mut scheduler = Process { command, log: dir.path().join("scheduler.log"), child: None, health };
        scheduler.start();
        let seen_at = options.detour.map_or(address, |detour| (detour.at, ports[0]).into());
        if let Some(detour) = options.detour {
            (detour.open)(seen_at, address);
        }
        let mut executors = vec![];
        for (i, own) in ports[2..].chunks(3).enumerate() {
            let flags = executor_flags(seen_at, own, &dir.path().join(format!("executor-{i}")), options.vcores);
            let flags = with_common([flags, options.flags.clone()].concat());
            let (command, host) = program(&format!("executor-{i}"), EXECUTOR, flags);
            let log = dir.path().join(format!("executor-{i}.log"));
            let mut executor = Process { command, log, child: None, health: (host, own[2]).into() };
            executor.start();
            executors.push(executor);
        }
        executors.iter().for_each(Process::ready);
        let flight = ports[2..].chunks(3).map(|own| own[0]).collect();
        Self { scheduler, executors, address, flight, dir }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes `command` run on this fleet, with a patience that fits a test.
    pub(crate) fn send(&self, mut command: Command) -> Command {
        command.arg("--scheduler").arg(self.url()).args(["--deadline-seconds", "120", "--stall-seconds", "10"]);
        command
    }

    /// Everything that its processes logged.
    pub(crate) fn said(&self) -> String {
        let executors = self.executors.iter().map(Process::said).collect::<String>();
        format!("{}\n{executors}", self.scheduler.said())
    }
}

/// Program and arguments of a command.
fn template(command: &Command) -> Vec<std::ffi::OsString> {
    std::iter::once(command.get_program()).chain(command.get_args()).map(Into::into).collect()
}

fn scheduler_flags(ports: &[u16], executor_timeout: Duration) -> Vec<String> {
    let seconds = executor_timeout.as_secs();
    vec![
        format!("--bind={{host}}:{}", ports[0]),
        format!("--health={{host}}:{}", ports[1]),
        format!("--executor-timeout-seconds={seconds}"),
        "--expire-seconds=1".into(),
        format!("--termination-grace-seconds={}", GRACE.as_secs() + 1),
        "--no-executors-seconds=6".into(),
        "--grace-seconds=1".into(),
    ]
}

fn executor_flags(scheduler: SocketAddr, own: &[u16], work_dir: &Path, vcores: usize) -> Vec<String> {
    vec![
        format!("--scheduler={scheduler}"),
        "--bind={host}".into(),
        "--host={host}".into(),
        format!("--port={}", own[0]),
        format!("--grpc-port={}", own[1]),
        format!("--health={{host}}:{}", own[2]),
        format!("--work-dir={}", work_dir.display()),
        format!("--vcores={vcores}"),
        "--heartbeat-seconds=1".into(),
        format!("--grace-seconds={}", GRACE.as_secs()),
    ]
}

/// A marketplace and its night on the local disk.
pub(crate) struct Night {
    pub(crate) dir: tempfile::TempDir,
    partitions: u32,
}

impl Night {
    pub(crate) fn new(skus: u32, days: u32, partitions: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (skus, days) = (skus.to_string(), days.to_string());
        ok(lakecast(["generate", "--skus", &skus, "--days", &days, "--baskets", "5000", "--seed", "7", "--out"])
            .arg(dir.path().join("market")));
        fs::write(dir.path().join("nightly.yaml"), NIGHTLY).unwrap();
        Self { dir, partitions }
    }

    pub(crate) fn run(&self) -> Command {
        self.run_for("2026-11-22", self.partitions)
    }

    pub(crate) fn run_for(&self, date: &str, partitions: u32) -> Command {
        let mut command = lakecast(["run", "--quiet", "--run-date", date, "--partitions", &partitions.to_string()]);
        command.arg(self.dir.path().join("nightly.yaml"));
        command
    }

    pub(crate) fn digests(&self) -> [String; 2] {
        ["forecast", "rules"].map(|t| digest(&read_table(&self.dir.path().join("lake").join(t))))
    }

    pub(crate) fn forget(&self) {
        let _ = fs::remove_dir_all(self.dir.path().join("lake"));
    }

    /// Commits of each table.
    pub(crate) fn versions(&self) -> [usize; 2] {
        ["forecast", "rules"].map(|name| {
            let log = self.dir.path().join("lake").join(name).join("_delta_log");
            let Ok(entries) = fs::read_dir(log) else { return 0 };
            entries.filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().ends_with(".json")).count()
        })
    }

    /// Digests of the night in one process, whose tables are forgotten then.
    pub(crate) fn expected(&self) -> [String; 2] {
        self.forget();
        ok(&mut self.run());
        let digests = self.digests();
        self.forget();
        digests
    }
}

/// A run under way.
pub(crate) struct Running {
    child: Child,
    started: Instant,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Self { child, started: Instant::now() }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn kill_9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([format!("-{name}"), self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Its end, within `limit`.
    pub(crate) fn end(mut self, limit: Duration) -> (Said, Duration) {
        while self.is_running() {
            if self.started.elapsed() > limit {
                let _ = self.child.kill();
                let out = self.child.wait_with_output().unwrap();
                panic!("still running after {limit:?}\n{}", String::from_utf8_lossy(&out.stderr));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let took = self.started.elapsed();
        let out = self.child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (Said { code: out.status.code().unwrap_or(-1), stdout: text(out.stdout), stderr: text(out.stderr) }, took)
    }
}

#[test]
fn any_number_of_executors_and_partitions_gives_the_rows_of_one_process() {
    let night = Night::new(200, 120, 16);
    let expected = night.expected();
    assert!(!expected[0].starts_with("0 rows") && !expected[1].starts_with("0 rows"), "{expected:?}");
    for executors in 1..=3 {
        let fleet = Fleet::start(&Options { executors, ..Options::default() });
        for partitions in [4, 16, 64] {
            night.forget();
            let said = ok(&mut fleet.send(night.run_for("2026-11-22", partitions)));
            assert_eq!(said.json()["status"], "published");
            assert_eq!(night.digests(), expected, "executors={executors}, partitions={partitions}");
        }
        // Every executor took part, and says so.
        for executor in &fleet.executors {
            assert!(executor.metric("lakecast_tasks_total") > 0.0);
        }
        let groups: f64 = fleet.executors.iter().map(|e| e.metric("lakecast_groups_total")).sum();
        assert!(groups >= 3.0 * 200.0, "{groups}");
        assert!(fleet.scheduler.metric("lakecast_jobs_total") >= 6.0);
        assert!(fleet.scheduler.metric("lakecast_stages_total") > 6.0);
        assert_eq!(fleet.scheduler.metric("lakecast_executors"), executors as f64);
    }
}

#[test]
fn a_query_runs_on_the_fleet_and_explains_itself() {
    let night = Night::new(60, 90, 8);
    let fleet = Fleet::start(&Options::default());
    let sales = format!("s={}", night.dir.path().join("market/sales").display());
    let sql = |text: &str| {
        let mut command = lakecast(["sql", "--format", "csv", "--table", &sales, "-c", text]);
        command.arg("--scheduler").arg(fleet.url());
        command
    };
    let here = |text: &str| ok(&mut lakecast(["sql", "--format", "csv", "--table", &sales, "-c", text])).stdout;
    let count = "SELECT sku, count(*) AS n, sum(qty) AS q FROM s GROUP BY sku ORDER BY sku";
    assert_eq!(ok(&mut sql(count)).stdout, here(count));
    let forecast = "SELECT sku, step, yhat FROM forecast(TABLE(s), id => sku, time => ds, value => qty, horizon => 7) ORDER BY sku, step";
    assert_eq!(ok(&mut sql(forecast)).stdout, here(forecast));
    let explained = ok(&mut sql(&format!("EXPLAIN {forecast}"))).stdout;
    assert!(explained.contains("GroupMap"), "{explained}");
    let analyzed = ok(&mut sql(&format!("EXPLAIN ANALYZE {forecast}"))).stdout;
    assert!(analyzed.contains("GroupMapExec") && analyzed.contains("groups="), "{analyzed}");
    let wrong = run(&mut sql("SELECT nothing FROM s"));
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
}

#[test]
fn a_plan_for_the_fleet_prints_the_policy() {
    let night = Night::new(20, 60, 4);
    let mut plan = lakecast(["plan", "--run-date", "2026-11-22", "--scheduler", "http://127.0.0.1:1"]);
    let said = ok(plan.arg(night.dir.path().join("nightly.yaml")));
    assert!(said.stdout.contains("ballista.planner.adaptive.enabled=false"), "{}", said.stdout);
    assert!(said.stdout.contains("LakeSinkExec"), "{}", said.stdout);
}
