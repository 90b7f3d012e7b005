//! What dies: executors, all executors, the scheduler, the controller, at evenly spread moments of a night. The night ends with
//! the rows of an undisturbed one, or fails clearly while readers keep the last version.

use crate::fleet::{EXECUTOR_TIMEOUT, Fleet, GRACE, Night, Options, Running, times};
use crate::support::{lakecast, ok, run};
use serde_json::Value;
use std::time::{Duration, Instant};

/// The longest that a disturbed night may take before it counts as hanging.
const LIMIT: Duration = Duration::from_secs(150);

/// A night long enough to be hit in every stage, its rows, and how long it takes undisturbed on `fleet`.
struct Undisturbed {
    night: Night,
    rows: [String; 2],
    took: Duration,
}

impl Undisturbed {
    fn on(fleet: &Fleet) -> Self {
        let night = Night::new(1500, 365, 16);
        let rows = night.expected();
        // The second is the measure: the first one warms caches of the machine.
        let took = (0..2)
            .map(|_| {
                night.forget();
                let (said, took) = Running::start(&mut fleet.send(night.run())).end(LIMIT);
                assert_eq!(said.code, 0, "{}", said.stderr);
                took
            })
            .min();
        assert_eq!(night.digests(), rows);
        Self { night, rows, took: took.unwrap() }
    }

    /// Moment `i` of `n`, evenly spread over the night.
    fn moment(&self, i: u32, n: u32) -> Duration {
        self.took.mul_f64((f64::from(i) + 0.5) / f64::from(n))
    }

    /// Starts a fresh night and disturbs it at `moment`, earlier and earlier until the night was still running then.
    fn disturbed(&self, fleet: &mut Fleet, mut moment: Duration, disturb: impl Fn(&mut Fleet)) -> Running {
        loop {
            self.night.forget();
            let mut running = Running::start(&mut fleet.send(self.night.run()));
            std::thread::sleep(moment);
            if running.is_running() {
                disturb(fleet);
                return running;
            }
            moment = moment.mul_f64(0.8);
        }
    }

    /// One version of each table, with the rows of an undisturbed night.
    fn assert_published(&self) {
        assert_eq!(self.night.digests(), self.rows);
        assert_eq!(self.night.versions(), [1, 1]);
    }
}

fn from_checkpoints(report: &Value) -> u64 {
    report["tables"].as_array().unwrap().iter().map(|t| t["partitions_from_checkpoint"].as_u64().unwrap()).sum()
}

#[test]
fn an_executor_killed_at_any_moment_costs_time_only() {
    let mut fleet = Fleet::start(&Options::default());
    let undisturbed = Undisturbed::on(&fleet);
    let kills = times(6, 30);
    let mut slowest = Duration::ZERO;
    for kill in 0..kills {
        let victim = kill as usize % fleet.executors.len();
        let running = undisturbed.disturbed(&mut fleet, undisturbed.moment(kill, kills), |fleet| {
            fleet.executors[victim].kill_9();
        });
        let (said, took) = running.end(LIMIT);
        assert_eq!(said.code, 0, "kill {kill}: {}\n{}", said.stderr, fleet.said());
        undisturbed.assert_published();
        slowest = slowest.max(took);
        fleet.executors[victim].back();
    }
    // Ended by the scheduler, not by luck: every loss was noticed.
    assert!(fleet.scheduler.metric("lakecast_executors_lost_total") >= f64::from(kills) / 2.0, "{}", fleet.said());
    eprintln!(
        "kill -9 of an executor: {kills} of {kills}, undisturbed {:.1} s, slowest {:.1} s, detection up to {} s",
        undisturbed.took.as_secs_f64(),
        slowest.as_secs_f64(),
        EXECUTOR_TIMEOUT.as_secs() + 2
    );
}

#[test]
fn a_fleet_that_lost_all_executors_goes_on_when_they_return() {
    let mut fleet = Fleet::start(&Options::default());
    let undisturbed = Undisturbed::on(&fleet);
    let rounds = times(2, 10);
    for round in 0..rounds {
        let running = undisturbed.disturbed(&mut fleet, undisturbed.moment(round, rounds), |fleet| {
            fleet.executors.iter_mut().for_each(|e| e.kill_9());
        });
        std::thread::sleep(Duration::from_secs(1));
        fleet.executors.iter_mut().for_each(|e| e.back());
        let (said, _) = running.end(LIMIT);
        assert_eq!(said.code, 0, "{}\n{}", said.stderr, fleet.said());
        undisturbed.assert_published();
    }
    eprintln!("all executors killed and started again: {rounds} of {rounds}");
}

#[test]
fn a_fleet_that_stays_dead_fails_in_time_and_readers_keep_the_last_version() {
    let mut fleet = Fleet::start(&Options::default());
    let night = Night::new(1500, 365, 16);
    ok(&mut fleet.send(night.run()));
    let served = night.digests();
    for _ in 0..times(1, 5) {
        let mut tomorrow = night.run_for("2026-11-23", 16);
        tomorrow.arg("--scheduler").arg(fleet.url()).args(["--deadline-seconds", "20", "--stall-seconds", "6"]);
        let started = Instant::now();
        let mut running = Running::start(&mut tomorrow);
        std::thread::sleep(Duration::from_millis(300));
        assert!(running.is_running());
        fleet.executors.iter_mut().for_each(|e| e.kill_9());
        let (said, took) = running.end(Duration::from_secs(40));
        assert_eq!(said.code, 75, "{}", said.stderr);
        assert!(said.stderr.contains("--deadline-seconds"), "{}", said.stderr);
        assert!(took >= Duration::from_secs(19) && started.elapsed() < Duration::from_secs(30), "{took:?}");
        assert_eq!(night.digests(), served);
        assert_eq!(night.versions(), [1, 1]);
        fleet.executors.iter_mut().for_each(|e| e.back());
    }
}

#[test]
fn a_scheduler_killed_at_any_moment_loses_nothing_but_time() {
    let mut fleet = Fleet::start(&Options::default());
    let undisturbed = Undisturbed::on(&fleet);
    let kills = times(3, 12);
    for kill in 0..kills {
        let running = undisturbed.disturbed(&mut fleet, undisturbed.moment(kill, kills), |fleet| {
            fleet.scheduler.kill_9();
            fleet.scheduler.back_without_executors();
        });
        let (said, _) = running.end(LIMIT);
        assert_eq!(said.code, 0, "{}\n{}", said.stderr, fleet.said());
        undisturbed.assert_published();
        fleet.executors.iter().for_each(|e| e.ready());
    }
    eprintln!("scheduler killed and started again: {kills} of {kills}");
}

#[test]
fn a_controller_killed_at_any_moment_is_continued_by_the_same_command() {
    let mut fleet = Fleet::start(&Options::default());
    let undisturbed = Undisturbed::on(&fleet);
    let kills = times(4, 20);
    let mut continued = 0;
    for kill in 0..kills {
        let mut killed = undisturbed.disturbed(&mut fleet, undisturbed.moment(kill, kills), |_| {});
        killed.kill_9();
        let said = ok(&mut fleet.send(undisturbed.night.run()));
        continued += u32::from(from_checkpoints(&said.json()) > 0);
        undisturbed.assert_published();
    }
    eprintln!("controller killed and run again: {kills} of {kills}, {continued} continued from checkpoints");
}

#[test]
fn a_controller_that_is_stopped_cancels_its_job() {
    let fleet = Fleet::start(&Options::default());
    let night = Night::new(3000, 365, 16);
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        night.forget();
        let mut running = Running::start(&mut fleet.send(night.run()));
        std::thread::sleep(Duration::from_millis(400));
        assert!(running.is_running(), "too fast to be stopped");
        running.signal(signal);
        let (said, _) = running.end(Duration::from_secs(15));
        assert_eq!(said.code, code, "{}", said.stderr);
        assert_eq!(night.versions(), [0, 0]);
        assert_idle(&fleet);
    }
}

fn assert_idle(fleet: &Fleet) {
    let started = Instant::now();
    while fleet.executors.iter().any(|e| e.metric("lakecast_tasks_running") > 0.0) {
        assert!(started.elapsed() < Duration::from_secs(10), "tasks go on: {}", fleet.said());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_query_that_is_stopped_ends_on_the_fleet_too() {
    let fleet = Fleet::start(&Options::default());
    let night = Night::new(3000, 365, 16);
    let sales = format!("s={}", night.dir.path().join("market/sales").display());
    let query = "SELECT sum(yhat) AS s FROM forecast(TABLE(s), id => sku, time => ds, value => qty, horizon => 28, season_length => 7)";
    let mut command = lakecast(["sql", "--table", &sales, "-c", query, "--scheduler", &fleet.url()]);
    let mut running = Running::start(&mut command);
    while fleet.executors.iter().all(|e| e.metric("lakecast_tasks_running") == 0.0) {
        assert!(running.is_running(), "too fast to be stopped");
    }
    running.signal("INT");
    let (said, _) = running.end(Duration::from_secs(15));
    assert_eq!(said.code, 130, "{}", said.stderr);
    // No task may run between two stages either: the scheduler says when the job ended.
    let started = Instant::now();
    while fleet.scheduler.metric("lakecast_jobs_total{outcome=\"cancelled\"}") == 0.0 {
        assert!(started.elapsed() < Duration::from_secs(10), "not cancelled: {}", fleet.said());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_idle(&fleet);
}

#[test]
fn a_frozen_executor_that_thaws_changes_nothing() {
    let mut fleet = Fleet::start(&Options::default());
    let undisturbed = Undisturbed::on(&fleet);
    let rounds = times(2, 12);
    for round in 0..rounds {
        let victim = round as usize % fleet.executors.len();
        let mut running = undisturbed.disturbed(&mut fleet, undisturbed.moment(round, rounds), |fleet| {
            fleet.executors[victim].signal("STOP");
        });
        // Half of them thaw while what they had is computed again, half after it was published.
        let frozen = Instant::now();
        while frozen.elapsed() < EXECUTOR_TIMEOUT + Duration::from_secs(2) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let late = round % 2 == 1;
        while late && running.is_running() {
            assert!(frozen.elapsed() < LIMIT, "hangs: {}", fleet.said());
            std::thread::sleep(Duration::from_millis(50));
        }
        fleet.executors[victim].signal("CONT");
        let (said, _) = running.end(LIMIT);
        assert_eq!(said.code, 0, "{}\n{}", said.stderr, fleet.said());
        undisturbed.assert_published();
        // Whatever it still did stands in no version, later neither.
        std::thread::sleep(Duration::from_secs(1));
        undisturbed.assert_published();
        fleet.executors[victim].ready();
    }
    assert!(fleet.scheduler.metric("lakecast_executors_lost_total") >= f64::from(rounds), "{}", fleet.said());
    eprintln!("executor frozen and thawed: {rounds} of {rounds}");
}

#[test]
fn eight_controllers_publish_one_version() {
    let fleet = Fleet::start(&Options { executors: 2, ..Options::default() });
    let night = Night::new(100, 90, 4);
    let rows = night.expected();
    let rounds = times(3, 50);
    for _ in 0..rounds {
        night.forget();
        let all: Vec<_> = (0..8).map(|_| Running::start(&mut fleet.send(night.run()))).collect();
        for one in all {
            let (said, _) = one.end(LIMIT);
            assert_eq!(said.code, 0, "{}", said.stderr);
        }
        assert_eq!(night.versions(), [1, 1]);
        assert_eq!(night.digests(), rows);
    }
    eprintln!("eight controllers at once: one version in {rounds} of {rounds} rounds");
}

#[test]
fn executors_that_are_told_to_end_give_their_work_back_in_time() {
    let mut fleet = Fleet::start(&Options::default());
    // Few partitions: a job of many stages must fit between two ends, for shuffle files go with their executor.
    let night = Night::new(times(6_000, 20_000), 730, 16);
    let rows = night.expected();
    let mut ends = 0;
    for _ in 0..times(1, 5) {
        night.forget();
        let mut running = Running::start(&mut fleet.send(night.run()));
        let mut next = Instant::now() + Duration::from_millis(700);
        while running.is_running() {
            if Instant::now() >= next {
                let victim = ends % fleet.executors.len();
                fleet.executors[victim].signal("TERM");
                let code = fleet.executors[victim].ended_within(GRACE + Duration::from_secs(1));
                assert_eq!(code, Some(0), "{}", fleet.executors[victim].said());
                fleet.executors[victim].back();
                ends += 1;
                next = Instant::now() + Duration::from_secs(3);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let (said, took) = running.end(LIMIT);
        assert_eq!(said.code, 0, "{}\n{}", said.stderr, fleet.said());
        assert_eq!(night.digests(), rows);
        assert_eq!(night.versions(), [1, 1]);
        eprintln!("SIGTERM to an executor every 3 s: {ends} ended in time, the night took {:.1} s", took.as_secs_f64());
    }
    assert!(ends > 0, "the night was too short to be disturbed");
}

#[test]
fn two_jobs_share_a_fleet_that_loses_an_executor() {
    let mut fleet = Fleet::start(&Options::default());
    let (first, second) = (Night::new(1500, 365, 16), Night::new(800, 365, 16));
    let rows = (first.expected(), second.expected());
    let mut one = Running::start(&mut fleet.send(first.run()));
    let two = Running::start(&mut fleet.send(second.run()));
    std::thread::sleep(Duration::from_millis(500));
    assert!(one.is_running());
    fleet.executors[1].kill_9();
    for running in [one, two] {
        let (said, _) = running.end(LIMIT);
        assert_eq!(said.code, 0, "{}\n{}", said.stderr, fleet.said());
    }
    assert_eq!((first.digests(), second.digests()), rows);
    assert_eq!((first.versions(), second.versions()), ([1, 1], [1, 1]));
    // A fleet that was disturbed still has all its places: another night is not slower for it.
    fleet.executors[1].back();
    first.forget();
    ok(&mut fleet.send(first.run()));
    assert_eq!(first.digests(), rows.0);
}

#[test]
fn without_a_scheduler_a_run_says_so_and_ends() {
    let night = Night::new(20, 60, 4);
    let mut command = night.run();
    command.args(["--scheduler", "http://127.0.0.1:1", "--deadline-seconds", "2"]);
    let said = run(&mut command);
    assert_eq!(said.code, 75, "{}", said.stderr);
    assert!(said.stderr.contains("the scheduler is away") && said.stderr.contains("127.0.0.1:1"), "{}", said.stderr);
    let mut command = lakecast(["sql", "-c", "SELECT 1 AS a", "--scheduler", "http://127.0.0.1:1"]);
    let said = run(&mut command);
    assert_ne!(said.code, 0, "{}", said.stdout);
}
