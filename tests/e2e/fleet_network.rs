//! Links that fail: every process of a fleet is a host of its own, and a link between two is cut at some moment of a night,
//! for a while. The night ends with the rows of an undisturbed one, and the fleet takes the next.

use crate::fault_proxy::{FaultProxy, Faults};
use crate::fleet::{EXECUTOR_TIMEOUT, Fleet, Options, Running, times};
use crate::netns::{Network, OUTSIDE, network};
use crate::s3::{Lakes, Server, server};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The longest that a disturbed night may take before it counts as hanging; above the deadline of the runs.
const LIMIT: Duration = Duration::from_secs(150);
const DEADLINE: Duration = Duration::from_secs(120);
/// The longest until a fleet is whole again after its links are.
const WHOLE_WITHIN: Duration = Duration::from_secs(60);
const EXECUTORS: usize = 3;

/// What is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Scheduler,
    Executor,
    Store,
}

const LINKS: [Link; 3] = [Link::Scheduler, Link::Executor, Link::Store];

/// When a link is cut, as shares of an undisturbed night, which begins with planning and ends with commits.
const MOMENTS: [f64; 3] = [0.2, 0.45, 0.7];

/// A fleet of hosts whose lake is in a bucket outside.
struct Site {
    fleet: Fleet,
    store: FaultProxy,
    lakes: Lakes<'static>,
    network: Network,
    rows: [String; 2],
    took: Duration,
}

fn host(executor: usize) -> String {
    format!("executor-{}", executor % EXECUTORS)
}

impl Site {
    fn new(prefix: &'static str, executor_timeout: Duration) -> Option<Self> {
        let network = network(&["scheduler", "executor-0", "executor-1", "executor-2"])?;
        let server = server()?;
        let outside = SocketAddr::from((network.address(OUTSIDE), 0));
        let store = FaultProxy::between(outside, server.address(), Faults::default(), 0);
        let seen = Server::at(store.address());
        let options = Options { executors: EXECUTORS, server: Some(&seen), executor_timeout, ..Options::default() };
        let place = |name: &str, command| (network.inside(name, &command), network.address(name));
        let fleet = Fleet::start_at(&options, &place);
        let lakes = Lakes::of_size(server, prefix, 1500, 365);
        let mut site = Self { fleet, store, lakes, network, rows: Default::default(), took: Duration::MAX };
        // The second is the measure: the first one warms caches of the machine.
        for _ in 0..2 {
            let (said, took) = site.start().end(LIMIT);
            assert_eq!(said.code, 0, "{}", said.stderr);
            site.took = site.took.min(took);
        }
        site.rows = site.lakes.remote_digests();
        assert_eq!(site.rows, site.lakes.local_digests());
        Some(site)
    }

    /// A fresh night, whose controller is outside.
    fn start(&self) -> Running {
        self.start_with(DEADLINE, Duration::from_secs(10))
    }

    fn start_with(&self, deadline: Duration, stall: Duration) -> Running {
        self.lakes.forget_outputs();
        let mut command = self.lakes.run(&self.lakes.remote(""));
        let seconds = [deadline, stall].map(|d| d.as_secs().to_string());
        command.args([
            "--scheduler",
            &self.fleet.url(),
            "--deadline-seconds",
            &seconds[0],
            "--stall-seconds",
            &seconds[1],
        ]);
        Running::start(&mut command)
    }

    /// A fresh night, some of whose tasks run. The job of a controller that was told to end goes on without it, so that
    /// it has to be over first: a task seen then is one of this night.
    fn at_work(&self, deadline: Duration, stall: Duration) -> Running {
        let tasks = || self.fleet.executors.iter().map(|e| e.metric("lakecast_tasks_running")).sum::<f64>();
        let asked = Instant::now();
        let mut idle = asked;
        // A stage has no task for a moment before the next one starts.
        while idle.elapsed() < Duration::from_secs(1) {
            assert!(asked.elapsed() < LIMIT, "the job of the night before runs for ever");
            if tasks() > 0.0 {
                idle = Instant::now();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut running = self.start_with(deadline, stall);
        while tasks() == 0.0 {
            assert!(running.is_running(), "over before a task was seen");
        }
        running
    }

    /// The two hosts of a link, and where the first knocks at the second.
    fn ends(&self, link: Link, victim: usize) -> (String, String, SocketAddr) {
        let at = |host: &str, port| SocketAddr::from((self.network.address(host), port));
        let (other, door) = match link {
            Link::Scheduler => ("scheduler".into(), self.fleet.address),
            Link::Executor => (host(victim + 1), at(&host(victim + 1), self.fleet.flight[(victim + 1) % EXECUTORS])),
            Link::Store => (OUTSIDE.to_string(), self.store.address()),
        };
        (host(victim), other, door)
    }

    /// Starts a fresh night and cuts a link at `moment`, earlier and earlier until the night was still running then.
    fn cut(&self, mut moment: Duration, (a, b, door): &(String, String, SocketAddr)) -> (Running, Instant) {
        loop {
            let mut running = self.start();
            std::thread::sleep(moment);
            if running.is_running() {
                self.network.cut(a, b);
                let since = Instant::now();
                assert!(!self.network.reaches(a, *door), "{a} still reaches {b}");
                return (running, since);
            }
            moment = moment.mul_f64(0.8);
        }
    }

    /// Waits until every executor takes work.
    fn whole(&self) {
        let started = Instant::now();
        self.fleet.executors.iter().for_each(|e| e.ready());
        while self.fleet.scheduler.metric("lakecast_executors") < EXECUTORS as f64 {
            assert!(started.elapsed() < WHOLE_WITHIN, "not whole again: {}", self.fleet.said());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn assert_published(&self) {
        assert_eq!(self.lakes.remote_digests(), self.rows);
        assert_eq!((self.lakes.versions("forecast"), self.lakes.versions("rules")), (1, 1));
    }
}

#[test]
fn a_link_that_is_cut_at_any_moment_costs_time_only() {
    let Some(site) = Site::new("network", EXECUTOR_TIMEOUT) else { return };
    let all: Vec<_> = [5, 1, 15]
        .into_iter()
        .flat_map(|seconds| (0..3).map(move |turn| (seconds, turn)))
        // The first three are of each link one, at three moments.
        .flat_map(|(seconds, turn)| (0..3).map(move |moment| (LINKS[(turn + moment) % 3], seconds, moment)))
        .take(times(3, 27) as usize)
        .collect();
    let (mut published, mut felt, mut again, mut slowest) = (0, 0, 0, Duration::ZERO);
    for (i, &(link, seconds, moment)) in all.iter().enumerate() {
        let ends = site.ends(link, i);
        let name = format!(
            "cut {i}: {link:?} of {} for {seconds} s {:.1} s into the night",
            ends.0,
            site.took.mul_f64(MOMENTS[moment]).as_secs_f64()
        );
        let (running, since) = site.cut(site.took.mul_f64(MOMENTS[moment]), &ends);
        let (said, took) = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_secs(seconds).saturating_sub(since.elapsed()));
                site.network.heal(&ends.0, &ends.1);
            });
            running.end(LIMIT)
        });
        let submissions = said.stderr.matches("submitting again").count();
        eprintln!("{name}: {} after {:.1} s, submitted again {submissions} times", said.code, took.as_secs_f64());
        match said.code {
            0 => {
                site.assert_published();
                published += 1;
            }
            75 if took >= DEADLINE => {
                assert!(said.stderr.contains("--deadline-seconds"), "{name}: {}", said.stderr);
                assert_eq!((site.lakes.versions("forecast"), site.lakes.versions("rules")), (0, 0), "{name}");
            }
            code => panic!("{name}: {code} after {took:?}: {}\n{}", said.stderr, site.fleet.said()),
        }
        again += submissions;
        felt += u32::from(took > site.took.mul_f64(1.3));
        slowest = slowest.max(took);
        assert!(site.network.reaches(&ends.0, ends.2), "{name}: not healed");
        site.whole();
    }
    let (said, took) = site.start().end(LIMIT);
    assert_eq!(said.code, 0, "{}", said.stderr);
    site.assert_published();
    eprintln!(
        "links cut for 1 to 15 s: {published} of {} published, {felt} took longer, submitted again {again} times, undisturbed {:.1} s, slowest {:.1} s, \
         afterwards {:.1} s",
        all.len(),
        site.took.as_secs_f64(),
        slowest.as_secs_f64(),
        took.as_secs_f64()
    );
}

#[test]
fn a_controller_that_is_cut_off_waits_until_its_deadline_and_obeys() {
    let Some(site) = Site::new("network-controller", EXECUTOR_TIMEOUT) else { return };
    let cut = || site.network.cut(OUTSIDE, "scheduler");
    let heal = || site.network.heal(OUTSIDE, "scheduler");
    let middle = |deadline| {
        let running = site.at_work(Duration::from_secs(deadline), Duration::from_secs(10));
        cut();
        running
    };
    // The job goes on, and so does its controller as soon as it hears of it: longer than a stall, shorter than an answer.
    let running = middle(120);
    std::thread::sleep(Duration::from_secs(12));
    heal();
    let (said, took) = running.end(LIMIT);
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert_eq!(said.stderr.matches("submitting again").count(), 0, "{}", said.stderr);
    site.assert_published();
    eprintln!("controller cut off for 12 s: {} after {:.1} s", said.code, took.as_secs_f64());
    if times(0, 1) > 0 {
        // Longer than an answer: it asks again.
        let running = middle(120);
        std::thread::sleep(Duration::from_secs(32));
        heal();
        let (said, took) = running.end(LIMIT);
        assert_eq!(said.code, 0, "{}", said.stderr);
        assert!(said.stderr.contains("the scheduler is away"), "{}", said.stderr);
        site.assert_published();
        eprintln!("controller cut off for 32 s: {} after {:.1} s", said.code, took.as_secs_f64());
    }
    // For good: it ends in time.
    let (said, took) = middle(10).end(LIMIT);
    heal();
    assert_eq!(said.code, 75, "{}", said.stderr);
    assert!(said.stderr.contains("--deadline-seconds"), "{}", said.stderr);
    assert!(took >= Duration::from_secs(10) && took < Duration::from_secs(20), "{took:?}");
    assert_eq!((site.lakes.versions("forecast"), site.lakes.versions("rules")), (0, 0));
    eprintln!("controller cut off for good: {} after {:.1} s of 10 s", said.code, took.as_secs_f64());
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let running = middle(120);
        let asked = Instant::now();
        running.signal(signal);
        let (said, _) = running.end(LIMIT);
        heal();
        assert_eq!(said.code, code, "{}", said.stderr);
        assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
        eprintln!("controller cut off and told to end: {code} after {:.1} s", asked.elapsed().as_secs_f64());
    }
    let (said, _) = site.start().end(LIMIT);
    assert_eq!(said.code, 0, "{}", said.stderr);
    site.assert_published();
}

#[test]
fn a_report_outlasts_a_cut_that_the_scheduler_waits_for() {
    if times(0, 1) == 0 {
        return;
    }
    let Some(site) = Site::new("network-report", Duration::from_secs(60)) else { return };
    let ends = site.ends(Link::Scheduler, 0);
    let running = site.at_work(DEADLINE, Duration::from_secs(100));
    site.network.cut(&ends.0, &ends.1);
    assert!(!site.network.reaches(&ends.0, ends.2));
    // Longer than an answer may take elsewhere.
    std::thread::sleep(Duration::from_secs(33));
    site.network.heal(&ends.0, &ends.1);
    let (said, took) = running.end(LIMIT);
    eprintln!("executor cut off for 33 s by a patient scheduler: {} after {:.1} s", said.code, took.as_secs_f64());
    assert_eq!(said.code, 0, "{}\n{}", said.stderr, site.fleet.said());
    assert_eq!(said.stderr.matches("submitting again").count(), 0, "{}\n{}", said.stderr, site.fleet.said());
    site.assert_published();
}
