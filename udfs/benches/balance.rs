//! How mining spreads over executors.  In: baskets as `mining_peer` reads them. Out: per number of executors the largest share.
//!
//! ```text
//! cargo bench -p lakecast-udfs --bench balance -- --baskets FILE --min-count N [--executors 2,4,8]
//! ```
//!
//! No cluster is needed: the work of each executor is done by itself and its CPU time taken. `share` is that of the largest
//! over the sum, in fair shares; 1 is perfect. The speed-up is what one core takes for everything over what must follow one
//! another: of plan (b), `broadcast`, ranking, counting and dealing on one executor, then the largest bin; of plan (c),
//! `prefix`, an equal part of the ranking, then the largest shard. Bytes are what is sent, uncompressed: (b) all rows to every
//! executor; (c) for each shard the distinct prefixes up to the rarest item that it mines, an upper bound, as
//! `basket_prefixes` leaves out what no second item needs.

#[path = "mining_peer/rows.rs"]
mod rows;

use lakecast_udfs::baskets::guard::{BUDGET, estimate};
use lakecast_udfs::baskets::itemsets::Itemsets;
use lakecast_udfs::baskets::mining::{Method, Part, Search, Task, mine};
use lakecast_udfs::baskets::task_bins::bins;
use lakecast_udfs::baskets::transactions::{TransactionBuf, Transactions};
use lakecast_udfs::functions::Unlimited;
use rows::{Failure, baskets, cpu_seconds, read, rows};
use std::collections::BTreeMap;

/// As in the plan of prefixes: a piece holds about half of what a shard does on average.
const PIECES_A_SHARD: u128 = 2;

/// CPU seconds of each executor, the seconds before them, and the bytes sent.
struct Spread {
    seconds: Vec<f64>,
    before: f64,
    bytes: usize,
}

fn main() -> Result<(), Failure> {
    let given: Vec<String> = std::env::args().collect();
    let value = |name: &str| given.iter().position(|a| a == name).and_then(|at| given.get(at + 1));
    let (Some(file), Some(min_count)) = (value("--baskets"), value("--min-count")) else {
        println!("balance: nothing measured: give --baskets FILE --min-count N");
        return Ok(());
    };
    let executors = value("--executors").map_or("2,4,8,16,32,64,128,256", String::as_str);
    let executors: Vec<usize> = executors.split(',').map(str::parse).collect::<Result<_, _>>()?;
    let search = Search { min_count: min_count.parse()?, max_len: usize::MAX, method: Method::Auto, conflicts: None };
    let values = read(file)?;
    let start = cpu_seconds()?;
    let coded = rows(&values, search.min_count);
    let ranking = cpu_seconds()? - start;
    let alone = ranking + seconds(coded.view(), &Task::all(coded.n_items), &search)?;
    let n_baskets = baskets(&values);
    println!("{n_baskets} baskets, one core: {alone:.2} s, {ranking:.2} of them to rank and merge");
    println!(
        "| executors | (b) largest, fair shares | (b) speed-up | (b) MiB sent | (c) largest, fair shares | (c) speed-up | (c) MiB sent |"
    );
    println!("|---|---|---|---|---|---|---|");
    for n in executors {
        let spreads = [broadcast(coded.view(), &search, ranking, n)?, prefixes(coded.view(), &search, ranking, n)?];
        let cells = spreads.iter().flat_map(|spread| {
            let most = spread.seconds.iter().copied().fold(0.0, f64::max);
            let share = most * n as f64 / spread.seconds.iter().sum::<f64>();
            let speedup = alone / (spread.before + most);
            [format!("{share:.2}"), format!("{speedup:.1}"), format!("{:.1}", spread.bytes as f64 / 1048576.0)]
        });
        println!("| {n} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
    Ok(())
}

fn seconds(rows: Transactions<'_>, tasks: &[Task], search: &Search<'_>) -> Result<f64, Failure> {
    let start = cpu_seconds()?;
    let mut found = Itemsets::new(search.max_len);
    mine(rows, tasks, search, &mut found, &Unlimited)?;
    std::hint::black_box(found.len());
    Ok(cpu_seconds()? - start)
}

fn bytes(rows: Transactions<'_>) -> usize {
    rows.items.len() * 4 + rows.len() * 12
}

/// Plan (b): counted and dealt by one, all rows to everyone.
fn broadcast(rows: Transactions<'_>, search: &Search<'_>, ranking: f64, n: usize) -> Result<Spread, Failure> {
    let start = cpu_seconds()?;
    let known = estimate(rows, search, u64::MAX, BUDGET, &Unlimited)?;
    let bins = bins(rows, search, &known, n, &Unlimited)?;
    let before = ranking + cpu_seconds()? - start;
    let seconds = bins.iter().map(|tasks| seconds(rows, tasks, search)).collect::<Result<_, _>>()?;
    Ok(Spread { seconds, before, bytes: bytes(rows) * n })
}

/// Plan (c): each shard the prefixes that its items need.
fn prefixes(rows: Transactions<'_>, search: &Search<'_>, ranking: f64, n: usize) -> Result<Spread, Failure> {
    let pieces = pieces(rows, n);
    let mut spread = Spread { seconds: vec![], before: ranking / n as f64, bytes: 0 };
    for shard in 0..n {
        let piece = |rank: u32| (shard + n - rank as usize % n) % n;
        let mine_here = |rank: u32| piece(rank) < pieces[rank as usize] as usize;
        let mut list: BTreeMap<&[u32], u64> = BTreeMap::new();
        for at in 0..rows.len() {
            let row = rows.row(at);
            if let Some(last) = row.iter().rposition(|&rank| mine_here(rank)) {
                *list.entry(&row[..=last]).or_default() += rows.weights[at];
            }
        }
        let mut of_shard = TransactionBuf { n_items: rows.n_items, ..TransactionBuf::default() };
        list.iter().for_each(|(row, &weight)| of_shard.push(row, weight));
        let task = |item: u32| {
            let of = pieces[item as usize];
            Task { item, second: (of > 1).then(|| Part { nth: piece(item) as u32, of }) }
        };
        let tasks: Vec<Task> = (0..rows.n_items as u32).rev().filter(|&item| mine_here(item)).map(task).collect();
        spread.bytes += bytes(of_shard.view());
        spread.seconds.push(seconds(of_shard.view(), &tasks, search)?);
    }
    Ok(spread)
}

/// Into how many pieces each rank is cut, by its mass: its baskets times all more frequent occurrences.
fn pieces(rows: Transactions<'_>, n: usize) -> Vec<u32> {
    let mut counts = vec![0u128; rows.n_items];
    for at in 0..rows.len() {
        rows.row(at).iter().for_each(|&rank| counts[rank as usize] += u128::from(rows.weights[at]));
    }
    let mut before = 0;
    let mass = |&count: &u128| {
        before += count;
        count * (before - count)
    };
    let masses: Vec<u128> = counts.iter().map(mass).collect();
    let sum = masses.iter().sum::<u128>().max(1);
    masses.iter().map(|mass| (mass * PIECES_A_SHARD * n as u128).div_ceil(sum).clamp(1, n as u128) as u32).collect()
}
