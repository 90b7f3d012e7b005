//! Time of each way to mine, per class of density, one thread.  In: generated baskets, fixed seeds. Out: time to itemsets.
//!
//! `cargo bench -p lakecast-udfs --bench mining` measures wall time. `cargo bench -p lakecast-udfs --bench mining -- --cpu`
//! prints a table of processor time instead, for a machine that others share: milliseconds from rank-coded rows to itemsets
//! in memory, the best of a few batches of rounds.

#![expect(clippy::unwrap_used, reason = "the rows are generated here and known to be minable")]

#[path = "mining/classes.rs"]
mod classes;

use classes::{CLASSES, Class};
use divan::Bencher;
use lakecast_udfs::baskets::itemsets::Itemsets;
use lakecast_udfs::baskets::mining::{Method, Task, mine};
use lakecast_udfs::baskets::transactions::TransactionBuf;
use lakecast_udfs::functions::Unlimited;

/// Batches of which the best counts.
const BATCHES: usize = 3;
/// Processor seconds of a batch: many ticks of a coarse clock.
const BATCH_SECONDS: f64 = 0.3;

fn main() {
    if !std::env::args().any(|a| a == "--cpu") {
        return divan::main();
    }
    println!(
        "{:<14} {:>7} {:>5} {:>9} {:>8} {:>8} {:>8} {:>8}  (ms)",
        "class", "rows", "items", "itemsets", "lcm", "fp", "apriori", "auto"
    );
    for class in CLASSES {
        let rows = class.rows();
        let found = itemsets(class, &rows, Method::Lcm);
        let ms = |method| format!("{:.1}", cpu_seconds_of(|| itemsets(class, &rows, method)) * 1e3);
        let apriori = if class.levels { ms(Method::Apriori) } else { "-".into() };
        let (lcm, fp, auto) = (ms(Method::Lcm), ms(Method::FpGrowth), ms(Method::Auto));
        let (n, items) = (rows.ends.len(), rows.n_items);
        println!("{:<14} {n:>7} {items:>5} {found:>9} {lcm:>8} {fp:>8} {apriori:>8} {auto:>8}", class.name);
    }
}

fn itemsets(class: &Class, rows: &TransactionBuf, method: Method) -> usize {
    let search = class.search(method);
    let mut found = Itemsets::new(search.max_len);
    mine(rows.view(), &Task::all(rows.n_items), &search, &mut found, &Unlimited).unwrap();
    divan::black_box(found).len()
}

/// Seconds that this thread has computed.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<u64>().unwrap() as f64 / 1e9
}

fn cpu_seconds_of(mut f: impl FnMut() -> usize) -> f64 {
    let batch = |_| {
        let (start, mut rounds) = (cpu_seconds(), 0.0);
        loop {
            f();
            rounds += 1.0;
            let seconds = cpu_seconds() - start;
            if seconds > BATCH_SECONDS {
                return seconds / rounds;
            }
        }
    };
    (0..BATCHES).map(batch).fold(f64::MAX, f64::min)
}

fn bench(bencher: Bencher, class: &Class, method: Method) {
    let rows = class.rows();
    bencher.bench_local(|| itemsets(class, &rows, method));
}

#[divan::bench(args = CLASSES)]
fn auto(bencher: Bencher, class: &Class) {
    bench(bencher, class, Method::Auto);
}

#[divan::bench(args = CLASSES)]
fn lcm(bencher: Bencher, class: &Class) {
    bench(bencher, class, Method::Lcm);
}

#[divan::bench(args = CLASSES)]
fn fp_growth(bencher: Bencher, class: &Class) {
    bench(bencher, class, Method::FpGrowth);
}

#[divan::bench(args = CLASSES.iter().filter(|class| class.levels))]
fn apriori(bencher: Bencher, class: &Class) {
    bench(bencher, class, Method::Apriori);
}
