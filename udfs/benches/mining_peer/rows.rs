//! Baskets of a file as rank-coded rows, for benches.  In: 32-bit integers. Out: rows.

use lakecast_udfs::baskets::transactions::TransactionBuf;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Baskets as 32-bit integers: for each its length and its items.
pub(crate) fn read(file: &str) -> Result<Vec<i32>, Failure> {
    Ok(std::fs::read(file)?.chunks_exact(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
}

/// How many baskets there are.
pub(crate) fn baskets(values: &[i32]) -> usize {
    let mut n = 0;
    for_each_basket(values, |_| n += 1);
    n
}

/// Seconds that this thread has computed.
pub(crate) fn cpu_seconds() -> Result<f64, Failure> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split(' ').next().ok_or("no schedstat")?.parse::<u64>()? as f64 / 1e9)
}

/// The baskets over ranks: counted, ranked, sorted and merged.
pub(crate) fn rows(values: &[i32], min_count: u64) -> TransactionBuf {
    let mut counts = Vec::new();
    for_each_basket(values, |basket| {
        for &item in basket {
            counts.resize(counts.len().max(item as usize + 1), 0u64);
            counts[item as usize] += 1;
        }
    });
    let mut list: Vec<usize> = (0..counts.len()).filter(|&item| counts[item] >= min_count).collect();
    list.sort_by_key(|&item| (std::cmp::Reverse(counts[item]), item));
    let mut ranks = vec![u32::MAX; counts.len()];
    list.iter().enumerate().for_each(|(rank, &item)| ranks[item] = rank as u32);
    let (mut items, mut bounds) = (Vec::with_capacity(values.len()), vec![]);
    for_each_basket(values, |basket| {
        let from = items.len();
        items.extend(basket.iter().map(|&item| ranks[item as usize]).filter(|&rank| rank != u32::MAX));
        items[from..].sort_unstable();
        if items.len() > from {
            bounds.push((from as u32, items.len() as u32));
        }
    });
    let row = |&(from, to): &(u32, u32)| &items[from as usize..to as usize];
    bounds.sort_unstable_by(|a, b| row(a).cmp(row(b)));
    let mut rows = TransactionBuf { n_items: list.len(), ..TransactionBuf::default() };
    for equal in bounds.chunk_by(|a, b| row(a) == row(b)) {
        rows.push(row(&equal[0]), equal.len() as u64);
    }
    rows
}

fn for_each_basket(values: &[i32], mut f: impl FnMut(&[i32])) {
    let mut at = 0;
    while at < values.len() {
        let end = at + 1 + values[at] as usize;
        f(&values[at + 1..end]);
        at = end;
    }
}
