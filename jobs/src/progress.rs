//! Progress on stderr.  In: counters that the run moves. Out: a bar on a terminal, else a line now and then.

use indicatif::{HumanBytes, HumanCount, HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, LazyLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often a line is written where stderr is no terminal.
pub const LINE_EVERY: Duration = Duration::from_secs(10);
/// From when on the time that is left is told: before, it would jump.
const LEFT_FROM: Duration = Duration::from_secs(5);
const BAR: &str = "{prefix} [{elapsed}] {wide_bar} {msg}";
const REDRAW_EVERY: Duration = Duration::from_millis(200);

/// All bars of the process, so that log lines can step beside them.
static BARS: LazyLock<MultiProgress> = LazyLock::new(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));

/// Writes to stderr without tearing a bar that is being drawn.
pub fn beside_the_bar<R>(write: impl FnOnce() -> R) -> R {
    BARS.suspend(write)
}

/// What a run has done so far. Everyone may add; the numbers only grow. They are for people, never for results.
#[derive(Debug, Default)]
pub struct Counters {
    /// Groups computed, refused ones among them.
    pub groups: AtomicU64,
    /// Groups that gave a status row only.
    pub refused: AtomicU64,
    /// Rows read from tables.
    pub rows_read: AtomicU64,
    /// Rows written.
    pub rows: AtomicU64,
    /// Bytes written.
    pub bytes: AtomicU64,
    /// Partitions finished in this process or found finished.
    pub partitions_done: AtomicU64,
    /// Partitions found finished from an earlier attempt.
    pub partitions_resumed: AtomicU64,
    /// Partitions in all; 0 while it is not known.
    pub partitions_total: AtomicU64,
    /// Tasks of the output under way that a fleet has finished.
    pub tasks_done: AtomicU64,
    /// Tasks of the output under way in all; 0 in one process.
    pub tasks_total: AtomicU64,
    /// Executors of the fleet.
    pub executors: AtomicU64,
}

impl Counters {
    /// Adds `n` to one of the counters.
    pub fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Relaxed);
    }

    /// What is done, as one line without the time.
    pub fn line(&self, elapsed: Duration) -> String {
        let get = |c: &AtomicU64| c.load(Relaxed);
        let mut parts = Vec::new();
        match (get(&self.partitions_done), get(&self.partitions_total)) {
            (_, 0) => parts.push("planning".to_string()),
            (done, total) => parts.push(format!("{done}/{total} partitions")),
        }
        let resumed = get(&self.partitions_resumed);
        if resumed > 0 {
            parts.push(format!("{resumed} found finished"));
        }
        if get(&self.tasks_total) > 0 {
            let executors = get(&self.executors);
            parts.push(format!("{}/{} tasks on {executors} executors", get(&self.tasks_done), get(&self.tasks_total)));
        }
        if get(&self.rows_read) > 0 {
            parts.push(format!("{} rows read", HumanCount(get(&self.rows_read))));
        }
        let groups = get(&self.groups);
        if groups > 0 {
            let per_second = groups as f64 / elapsed.as_secs_f64().max(0.001);
            parts.push(format!("{} groups ({}/s)", HumanCount(groups), HumanCount(per_second as u64)));
        }
        let refused = get(&self.refused);
        if refused > 0 {
            parts.push(format!("{} refused", HumanCount(refused)));
        }
        if get(&self.rows) > 0 {
            parts.push(format!("{} rows written, {}", HumanCount(get(&self.rows)), HumanBytes(get(&self.bytes))));
        }
        if let Some(left) = self.left(elapsed) {
            parts.push(format!("about {} left", HumanDuration(left)));
        }
        parts.join(", ")
    }

    /// The time that is left if the rest goes like what was computed so far; `None` where that is too little to tell.
    fn left(&self, elapsed: Duration) -> Option<Duration> {
        let get = |c: &AtomicU64| c.load(Relaxed);
        let (done, total, resumed) =
            (get(&self.partitions_done), get(&self.partitions_total), get(&self.partitions_resumed));
        let computed = done.checked_sub(resumed).filter(|n| *n > 0)?;
        let rest = total.checked_sub(done).filter(|n| *n > 0)?;
        (elapsed >= LEFT_FROM).then(|| elapsed.mul_f64(rest as f64 / computed as f64))
    }
}

/// Shows counters until it is finished or dropped. A thread of its own, so that a busy runtime does not silence it.
#[derive(Debug)]
pub struct Reporter {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Reporter {
    /// On stderr: a bar if it is a terminal, else a line of the log every [`LINE_EVERY`]. `label` names the work, for
    /// example the job and its date. Errors: the system refuses a thread.
    pub fn start(label: &str, counters: Arc<Counters>) -> io::Result<Self> {
        if io::stderr().is_terminal() {
            let bar = BARS.add(bar(label));
            Self::spawn(REDRAW_EVERY, counters, move |counters, elapsed, end| draw(&bar, counters, elapsed, end))
        } else {
            Self::lines(label, counters, LINE_EVERY, |line| tracing::info!("{line}"))
        }
    }

    /// Shows nothing, for `--quiet`.
    pub fn silent() -> Self {
        Self { stop: None, thread: None }
    }

    /// Says a line every `every`, and one at the end.
    pub fn lines(
        label: &str,
        counters: Arc<Counters>,
        every: Duration,
        mut say: impl FnMut(&str) + Send + 'static,
    ) -> io::Result<Self> {
        let label = label.to_string();
        Self::spawn(every, counters, move |counters, elapsed, end| {
            let end = if end { "end: " } else { "" };
            say(&format!("{label} [{}s] {end}{}", elapsed.as_secs(), counters.line(elapsed)));
        })
    }

    fn spawn(
        every: Duration,
        counters: Arc<Counters>,
        mut show: impl FnMut(&Counters, Duration, bool) + Send + 'static,
    ) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let started = Instant::now();
        let thread = std::thread::Builder::new().name("progress".into()).spawn(move || {
            while matches!(stopped.recv_timeout(every), Err(RecvTimeoutError::Timeout)) {
                show(&counters, started.elapsed(), false);
            }
            show(&counters, started.elapsed(), true);
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }

    /// Shows the end and waits until it is written, so that what follows on stderr comes after it.
    pub fn finish(self) {
        drop(self);
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A reporter that panicked has said so on stderr itself.
            let _ = thread.join();
        }
    }
}

fn bar(label: &str) -> ProgressBar {
    let bar = ProgressBar::no_length();
    // The template is ours and a test reads it: a wrong one would only lose the looks.
    bar.set_style(ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_prefix(label.to_string());
    bar
}

fn draw(bar: &ProgressBar, counters: &Counters, elapsed: Duration, end: bool) {
    let total = counters.partitions_total.load(Relaxed);
    if total > 0 {
        bar.set_length(total);
        bar.set_position(counters.partitions_done.load(Relaxed));
    }
    bar.set_message(counters.line(elapsed));
    if end {
        bar.abandon();
    } else {
        bar.tick();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn a_line_says_what_is_done() {
        let c = Counters::default();
        assert_eq!(c.line(Duration::from_secs(1)), "planning");
        c.partitions_total.store(16, Relaxed);
        Counters::add(&c.partitions_done, 3);
        Counters::add(&c.partitions_resumed, 2);
        Counters::add(&c.rows_read, 6_787_609);
        Counters::add(&c.groups, 15_240);
        Counters::add(&c.refused, 4);
        Counters::add(&c.rows, 426_720);
        Counters::add(&c.bytes, 5 << 20);
        assert_eq!(
            c.line(Duration::from_secs(2)),
            "3/16 partitions, 2 found finished, 6,787,609 rows read, 15,240 groups (7,620/s), 4 refused, \
             426,720 rows written, 5.00 MiB"
        );
    }

    #[test]
    fn without_a_terminal_lines_come_in_time_and_one_at_the_end() {
        let (counters, said) = (Arc::new(Counters::default()), Arc::new(Mutex::new(Vec::<String>::new())));
        let lines = Arc::clone(&said);
        let say = move |line: &str| lines.lock().unwrap().push(line.to_string());
        let reporter = Reporter::lines("nightly", counters.clone(), Duration::from_millis(20), say).unwrap();
        while said.lock().unwrap().is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
        counters.partitions_total.store(2, Relaxed);
        Counters::add(&counters.partitions_done, 2);
        reporter.finish();
        let said = said.lock().unwrap();
        assert_eq!(said[0], "nightly [0s] planning");
        assert!(said.last().unwrap().ends_with("end: 2/2 partitions"), "{said:?}");
    }

    #[test]
    fn a_bar_draws_counters_and_its_style_is_valid() {
        assert!(ProgressStyle::with_template(BAR).is_ok());
        let bar = bar("nightly");
        bar.set_draw_target(ProgressDrawTarget::hidden());
        let c = Counters::default();
        draw(&bar, &c, Duration::from_secs(1), false);
        assert_eq!((bar.length(), bar.message().as_str()), (None, "planning"));
        c.partitions_total.store(4, Relaxed);
        Counters::add(&c.partitions_done, 1);
        draw(&bar, &c, Duration::from_secs(1), true);
        assert_eq!((bar.length(), bar.position(), bar.prefix().as_str()), (Some(4), 1, "nightly"));
        assert_eq!(bar.message(), "1/4 partitions");
        assert!(bar.is_finished());
    }

    #[test]
    fn quiet_is_silent() {
        Reporter::silent().finish();
    }
}
