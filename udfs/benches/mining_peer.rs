//! The miner on a file of baskets, for `tests/peers/baskets.py`.  In: 32-bit integers, for each basket its length and its
//! items. Out: one line of JSON with the itemsets and the CPU and wall seconds of the best round.
//!
//! ```text
//! cargo bench -p lakecast-udfs --bench mining_peer -- --baskets FILE --min-count N [--threads 1] [--rounds 3] [--method lcm] [--confidence 0.3]
//! ```
//!
//! `cpu` and `wall` run from rank-coded rows to Arrow arrays of itemsets; `cpu_rows` from the baskets as they are in memory
//! to those rows: items counted, ranked, baskets sorted and merged. With a confidence there are `rules`, those with one item on
//! the right, and `rules_cpu`, what they take with all their measures from itemsets in memory.

#[path = "mining_peer/derive.rs"]
mod derive;
#[path = "mining_peer/rows.rs"]
mod rows;

use arrow::array::{Array, Int64Array, ListArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use lakecast_udfs::baskets::itemsets::Itemsets;
use lakecast_udfs::baskets::mining::{Method, Part, Search, Task, mine};
use lakecast_udfs::baskets::transactions::Transactions;
use lakecast_udfs::functions::Unlimited;
use rows::{Failure, baskets, cpu_seconds, read, rows};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Mines the tasks from a shared queue; CPU seconds and itemsets.
fn work(
    rows: Transactions<'_>,
    tasks: &[Vec<Task>],
    next: &AtomicUsize,
    search: &Search<'_>,
) -> Result<(f64, usize), Failure> {
    let start = cpu_seconds()?;
    let mut itemsets = 0;
    while let Some(tasks) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
        let mut found = Itemsets::new(search.max_len);
        mine(rows, tasks, search, &mut found, &Unlimited)?;
        let field = Arc::new(Field::new_list_field(DataType::UInt32, true));
        let codes = Arc::new(UInt32Array::from(found.codes));
        let lists = ListArray::try_new(field, OffsetBuffer::new(found.offsets.into()), codes, None)?;
        itemsets += std::hint::black_box((lists, Int64Array::from(found.counts))).0.len();
    }
    Ok((cpu_seconds()? - start, itemsets))
}

fn main() -> Result<(), Failure> {
    let given: Vec<String> = std::env::args().collect();
    let value = |name: &str| given.iter().position(|a| a == name).and_then(|at| given.get(at + 1));
    let (Some(file), Some(min_count)) = (value("--baskets"), value("--min-count")) else {
        println!("mining_peer: nothing measured: give --baskets FILE --min-count N");
        return Ok(());
    };
    let min_count: u64 = min_count.parse()?;
    let number = |name: &str, default: usize| value(name).map_or(Ok(default), |v| v.parse());
    let (threads, rounds) = (number("--threads", 1)?, number("--rounds", 3)?);
    let method = match value("--method").map(String::as_str) {
        None | Some("auto") => Method::Auto,
        Some("lcm") => Method::Lcm,
        Some("fp_growth") => Method::FpGrowth,
        Some("apriori") => Method::Apriori,
        Some(other) => return Err(format!("no such method: {other}").into()),
    };
    let values = read(file)?;
    let search = Search { min_count, max_len: usize::MAX, method, conflicts: None };
    let (mut best, mut best_wall, mut best_rows, mut itemsets) = (f64::MAX, f64::MAX, f64::MAX, 0);
    for _ in 0..rounds {
        let start = cpu_seconds()?;
        let rows = rows(&values, min_count);
        best_rows = best_rows.min(cpu_seconds()? - start);
        let tasks = bins(rows.n_items, threads);
        let (next, wall) = (AtomicUsize::new(0), Instant::now());
        let done = if threads == 1 {
            vec![work(rows.view(), &tasks, &next, &search)?]
        } else {
            std::thread::scope(|scope| {
                let all: Vec<_> =
                    (0..threads).map(|_| scope.spawn(|| work(rows.view(), &tasks, &next, &search))).collect();
                all.into_iter().map(|one| one.join().map_err(|_| "a thread panicked")?).collect::<Result<Vec<_>, _>>()
            })?
        };
        best_wall = best_wall.min(wall.elapsed().as_secs_f64());
        best = best.min(done.iter().map(|(cpu, _)| cpu).sum());
        itemsets = done.iter().map(|(_, itemsets)| itemsets).sum();
    }
    let mut rules = String::new();
    if let Some(confidence) = value("--confidence") {
        let coded = rows(&values, min_count);
        let mut found = Itemsets::new(search.max_len);
        mine(coded.view(), &Task::all(coded.n_items), &search, &mut found, &Unlimited)?;
        let (n, cpu) = derive::derive(&found, coded.n_items, baskets(&values), confidence.parse()?, rounds)?;
        rules = format!(", \"rules\": {n}, \"rules_cpu\": {cpu:.6}");
    }
    println!(
        "{{\"itemsets\": {itemsets}, \"cpu\": {best:.6}, \"wall\": {best_wall:.6}, \"cpu_rows\": {best_rows:.6}, \"threads\": {threads}{rules}}}"
    );
    Ok(())
}

/// One bin for one thread; else many, the rarest items of heavy tails split by their second item.
fn bins(n_items: usize, threads: usize) -> Vec<Vec<Task>> {
    if threads == 1 {
        return vec![Task::all(n_items)];
    }
    let n = threads as u32 * 16;
    let mut bins = vec![Vec::new(); n as usize];
    for task in Task::all(n_items) {
        match n_items {
            0..256 => (0..n).for_each(|nth| {
                bins[((task.item + nth) % n) as usize].push(Task { second: Some(Part { nth, of: n }), ..task })
            }),
            _ => bins[(task.item % n) as usize].push(task),
        }
    }
    bins
}
