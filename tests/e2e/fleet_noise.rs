//! A store that answers badly under a fleet: errors, resets, short bodies and stalls by shares and a seed, or nothing at all
//! for a while. The night ends with the rows of an undisturbed one.

use crate::fault_proxy::{FaultProxy, Faults};
use crate::fleet::{Fleet, Options, Running, times};
use crate::s3::{Lakes, Server, server};
use std::time::Duration;

/// The longest that a disturbed night may take before it counts as hanging.
const LIMIT: Duration = Duration::from_secs(150);
/// How long the store is away.
const OUTAGE: Duration = Duration::from_secs(10);

const NOISE: Faults = Faults {
    unavailable_503: 0.05,
    internal_500: 0.01,
    reset: 0.01,
    short_body: 0.01,
    stall: 0.01,
    stall_for: Duration::from_secs(2),
    only: "",
};

/// A fleet and its controllers, which see the server through a proxy.
struct Site {
    fleet: Fleet,
    proxy: FaultProxy,
    lakes: Lakes<'static>,
    rows: [String; 2],
    took: Duration,
}

impl Site {
    fn new(prefix: &'static str, seed: u64) -> Option<Self> {
        let server = server()?;
        let proxy = FaultProxy::start(server.address().port(), Faults::default(), seed);
        let seen = Server::at(proxy.address());
        let fleet = Fleet::start(&Options { server: Some(&seen), ..Options::default() });
        let lakes = Lakes::of_size(server, prefix, 1500, 365);
        let mut site = Self { fleet, proxy, lakes, rows: Default::default(), took: Duration::MAX };
        for _ in 0..2 {
            let (said, took) = site.start().end(LIMIT);
            assert_eq!(said.code, 0, "{}", said.stderr);
            site.took = site.took.min(took);
        }
        site.rows = site.lakes.remote_digests();
        Some(site)
    }

    /// A fresh night.
    fn start(&self) -> Running {
        self.lakes.forget_outputs();
        let seen = Server::at(self.proxy.address());
        Running::start(&mut self.fleet.send(self.lakes.run_at(&seen, &self.lakes.remote(""))))
    }

    /// Its end: one version of each table, with the rows of an undisturbed night.
    fn assert_published(&self, name: &str, running: Running) -> (Duration, usize) {
        let (said, took) = running.end(LIMIT);
        let again = said.stderr.matches("submitting again").count();
        eprintln!("{name}: {} after {:.1} s, submitted again {again} times", said.code, took.as_secs_f64());
        assert_eq!(said.code, 0, "{name}: {}\n{}", said.stderr, self.fleet.said());
        assert_eq!(self.lakes.remote_digests(), self.rows, "{name}");
        assert_eq!((self.lakes.versions("forecast"), self.lakes.versions("rules")), (1, 1), "{name}");
        (took, again)
    }
}

#[test]
fn a_noisy_store_costs_time_only() {
    let Some(site) = Site::new("fleet-noise", 41) else { return };
    site.proxy.set(NOISE);
    let (mut nights, mut slowest, mut again) = (0, Duration::ZERO, 0);
    let all_fired = || {
        let fired = site.proxy.fired();
        [fired.unavailable_503, fired.internal_500, fired.reset, fired.short_body, fired.stall].iter().all(|n| *n > 0)
    };
    // One kind of noise in a hundred may miss a night or two.
    while nights < times(2, 20) || (!all_fired() && nights < 40) {
        let night = nights;
        nights += 1;
        let (took, submissions) = site.assert_published(&format!("noisy night {night}"), site.start());
        slowest = slowest.max(took);
        again += submissions;
    }
    let fired = site.proxy.fired();
    assert!(all_fired(), "{fired:?}");
    eprintln!(
        "noisy store: {nights} of {nights} published, submitted again {again} times, undisturbed {:.1} s, slowest {:.1} s, {fired:?}",
        site.took.as_secs_f64(),
        slowest.as_secs_f64()
    );
}

#[test]
fn a_store_that_is_away_for_a_while_costs_time_only() {
    let Some(site) = Site::new("fleet-outage", 42) else { return };
    let outages = times(1, 3);
    let (mut slowest, mut again) = (Duration::ZERO, 0);
    for i in 0..outages {
        // The middle of the night, then before and after it.
        let mut moment = site.took.mul_f64([0.5, 0.2, 0.8][i as usize]);
        let running = loop {
            let mut running = site.start();
            std::thread::sleep(moment);
            if running.is_running() {
                break running;
            }
            moment = moment.mul_f64(0.8);
        };
        let before = site.proxy.fired().outage;
        site.proxy.outage(true);
        std::thread::sleep(OUTAGE);
        site.proxy.outage(false);
        let felt = site.proxy.fired().outage - before;
        assert!(felt > 0, "nobody asked the store meanwhile");
        let (took, submissions) = site.assert_published(&format!("outage {i}, {felt} connections ended"), running);
        slowest = slowest.max(took);
        again += submissions;
    }
    eprintln!(
        "store away for {} s: {outages} of {outages} published, submitted again {again} times, undisturbed {:.1} s, slowest {:.1} s",
        OUTAGE.as_secs(),
        site.took.as_secs_f64(),
        slowest.as_secs_f64()
    );
}
