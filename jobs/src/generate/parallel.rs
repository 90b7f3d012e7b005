//! Independent parts on all processors.
//! In: a number of parts and what to do for one. Out: the results in order of the parts.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

use super::Result;

enum Message<T> {
    Advance(u64),
    Done(u64, Result<T>),
}

/// Steps that a thread collects before it reports them.
const STEPS_PER_REPORT: u64 = 256;

/// Runs `work(part, advance)` for every part on one thread per processor. `advance(steps)` reports progress, which reaches
/// `on_progress` on the calling thread. After the first error no further part begins, and that error is returned.
pub(super) fn run<T: Send>(
    parts: u64,
    work: impl Fn(u64, &dyn Fn(u64)) -> Result<T> + Sync,
    on_progress: &mut dyn FnMut(u64),
) -> Result<Vec<T>> {
    let threads = thread::available_parallelism().map_or(1, |count| count.get() as u64).min(parts);
    let (next, failed) = (AtomicU64::new(0), AtomicBool::new(false));
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..threads {
            let sender = sender.clone();
            scope.spawn(|| worker(parts, &next, &failed, &work, sender));
        }
        drop(sender);
        collect(receiver, on_progress)
    })
}

fn worker<T>(
    parts: u64,
    next: &AtomicU64,
    failed: &AtomicBool,
    work: &(impl Fn(u64, &dyn Fn(u64)) -> Result<T> + Sync),
    sender: mpsc::Sender<Message<T>>,
) {
    // Sending fails only when the caller is gone, and then nobody wants to know.
    while !failed.load(Ordering::Relaxed) {
        let part = next.fetch_add(1, Ordering::Relaxed);
        if part >= parts {
            return;
        }
        let steps = std::cell::Cell::new(0);
        let report = |at_least: u64| {
            if steps.get() > at_least {
                let _ = sender.send(Message::Advance(steps.take()));
            }
        };
        let result = work(part, &|more| {
            steps.set(steps.get() + more);
            report(STEPS_PER_REPORT);
        });
        report(0);
        failed.fetch_or(result.is_err(), Ordering::Relaxed);
        let _ = sender.send(Message::Done(part, result));
    }
}

fn collect<T>(receiver: mpsc::Receiver<Message<T>>, on_progress: &mut dyn FnMut(u64)) -> Result<Vec<T>> {
    let mut results = Vec::new();
    let mut error = None;
    for message in receiver {
        match message {
            Message::Advance(steps) => on_progress(steps),
            Message::Done(part, Ok(result)) => results.push((part, result)),
            Message::Done(_, Err(failure)) => {
                error.get_or_insert(failure);
            }
        }
    }
    if let Some(error) = error {
        return Err(error);
    }
    results.sort_unstable_by_key(|(part, _)| *part);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::Error;

    #[test]
    fn results_come_in_order_and_every_step_is_reported() {
        let mut steps = 0;
        let work = |part: u64, advance: &dyn Fn(u64)| {
            advance(300);
            advance(part);
            Ok(part * part)
        };
        let results = run(20, work, &mut |more| steps += more).unwrap();
        assert_eq!(results, (0..20).map(|part| part * part).collect::<Vec<_>>());
        assert_eq!(steps, 20 * 300 + 190);
    }

    #[test]
    fn an_error_of_a_part_is_the_result() {
        let work = |part: u64, _: &dyn Fn(u64)| if part == 3 { Err(Error::Options("no".to_owned())) } else { Ok(()) };
        assert_eq!(run(8, work, &mut |_| {}).unwrap_err().to_string(), "no");
    }
}
