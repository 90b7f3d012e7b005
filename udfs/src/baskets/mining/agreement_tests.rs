//! Every method against counting every subset.  In: random small baskets, tasks, limits, conflicts. Out: equal itemsets.

use super::{Conflicts, Method, Part, Search, Sink, Task, apriori, mine};
use crate::Result;
use crate::baskets::transactions::TransactionBuf;
use crate::error::Error;
use crate::functions::{GroupContext, Unlimited};
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeMap;

const METHODS: [Method; 4] = [Method::Auto, Method::Lcm, Method::FpGrowth, Method::Apriori];

/// Itemsets written out, as sets of bits.
#[derive(Default)]
pub(super) struct Listing {
    max_len: usize,
    sets: Vec<(u128, u64)>,
}

impl Sink for Listing {
    fn emit(&mut self, path: &[u32], perfect: &[u32], count: u64, _: usize, _: &dyn GroupContext) -> Result<()> {
        assert!(!path.is_empty() && path.len() <= self.max_len);
        let bits = |ranks: &[u32]| ranks.iter().fold(0u128, |set, rank| set | 1 << rank);
        let set = bits(path);
        assert_eq!((set | bits(perfect)).count_ones() as usize, path.len() + perfect.len(), "an item twice");
        for subset in 0u64..1 << perfect.len() {
            if path.len() + subset.count_ones() as usize <= self.max_len {
                let kept = perfect.iter().enumerate().filter(|(i, _)| subset >> i & 1 == 1);
                self.sets.push((kept.fold(set, |set, (_, rank)| set | 1 << rank), count));
            }
        }
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.sets.capacity() * 32
    }
}

/// Baskets as sets of bits, of at most 8 items, and what to search in them.
#[derive(Debug, Clone)]
struct Case {
    baskets: Vec<(u32, u64)>,
    min_count: u64,
    max_len: usize,
    /// Pairs of ranks that exclude each other.
    conflicts: Option<Vec<(u32, u32)>>,
    /// Into how many parts each rank is split by its second item, 1 for none.
    parts: Vec<u32>,
    /// All tasks in one call, or one call for each.
    one_call: bool,
    method: Method,
}

const ITEMS: u32 = 8;

/// None, any, all equal, or an item in every basket.
fn baskets() -> impl Strategy<Value = Vec<(u32, u64)>> {
    let any = |rows: std::ops::Range<usize>| prop::collection::vec((1u32..1 << ITEMS, 1u64..4), rows);
    prop_oneof![
        8 => any(0..16),
        // Fewer items in denser baskets.
        4 => any(1..24).prop_map(|rows| rows.into_iter().map(|(set, n)| (set & 0x1f | set >> 5 | 1, n)).collect()),
        1 => (1u32..1 << ITEMS, 1usize..5).prop_map(|(set, n)| vec![(set, 2); n]),
        2 => (any(1..16), 0..ITEMS).prop_map(|(rows, i)| rows.into_iter().map(|(set, n)| (set | 1 << i, n)).collect()),
        1 => any(1..8).prop_map(|rows| rows.into_iter().map(|(set, n)| (set & set.wrapping_neg(), n << 40)).collect()),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    let conflicts = prop::option::weighted(0.4, prop::collection::vec((0..ITEMS, 0..ITEMS), 0..5));
    let parts = prop_oneof![
        1 => Just(vec![1; ITEMS as usize]),
        2 => prop::collection::vec(1u32..4, ITEMS as usize),
    ];
    let max_len = select(vec![1usize, 2, 3, 4, 8, usize::MAX]);
    (baskets(), 1u64..8, max_len, conflicts, parts, any::<bool>(), select(METHODS.to_vec())).prop_map(
        |(baskets, min_count, max_len, conflicts, parts, one_call, method)| Case {
            baskets,
            min_count,
            max_len,
            conflicts,
            parts,
            one_call,
            method,
        },
    )
}

/// Rank-coded as the miners expect it: most frequent first, equal rows merged, in order.
fn encode(baskets: &[(u32, u64)]) -> TransactionBuf {
    let mut weights = [0u64; ITEMS as usize];
    for &(set, n) in baskets {
        (0..ITEMS).filter(|i| set >> i & 1 == 1).for_each(|i| weights[i as usize] += n);
    }
    let mut items: Vec<u32> = (0..ITEMS).filter(|&i| weights[i as usize] > 0).collect();
    items.sort_by_key(|&i| (std::cmp::Reverse(weights[i as usize]), i));
    let mut merged: BTreeMap<Vec<u32>, u64> = BTreeMap::new();
    for &(set, n) in baskets {
        let row = (0..items.len() as u32).filter(|&r| set >> items[r as usize] & 1 == 1).collect();
        *merged.entry(row).or_default() += n;
    }
    let mut rows = TransactionBuf { n_items: items.len(), ..TransactionBuf::default() };
    merged.iter().for_each(|(row, &n)| rows.push(row, n));
    rows
}

/// Both ways, ascending, of the ranks that there are.
fn conflicts(pairs: &[(u32, u32)], n_items: usize) -> Conflicts {
    let mut found = Conflicts::default();
    for rank in 0..n_items as u32 {
        let with = |other: &u32| pairs.contains(&(rank, *other)) || pairs.contains(&(*other, rank));
        found.with.extend((0..n_items as u32).filter(|other| *other != rank).filter(with));
        found.ends.push(found.with.len() as u32);
    }
    found
}

/// Every itemset of `rows` that the search asks for, by adding up over all supersets.
fn brute_force(rows: &TransactionBuf, search: &Search<'_>) -> Vec<(u128, u64)> {
    let view = rows.view();
    let mut weight = vec![0u64; 1 << view.n_items];
    for i in 0..view.len() {
        weight[view.row(i).iter().map(|r| 1usize << r).sum::<usize>()] += view.weights[i];
    }
    for item in 0..view.n_items {
        for set in (0..weight.len()).filter(|set| set >> item & 1 == 0) {
            weight[set] += weight[set | 1 << item];
        }
    }
    let excluded = |set: usize| {
        search.conflicts.is_some_and(|c| {
            (0..view.n_items).filter(|rank| set >> rank & 1 == 1).any(|rank| {
                let start = if rank == 0 { 0 } else { c.ends[rank - 1] };
                c.with[start as usize..c.ends[rank] as usize].iter().any(|other| set >> other & 1 == 1)
            })
        })
    };
    (1..weight.len())
        .filter(|&set| weight[set] >= search.min_count && set.count_ones() as usize <= search.max_len && !excluded(set))
        .map(|set| (set as u128, weight[set]))
        .collect()
}

/// Whether an itemset belongs to a task.
fn owned(task: &Task, set: u128) -> bool {
    let high = 127 - set.leading_zeros();
    let rest = set ^ 1 << high;
    let nth = |part: Part| if rest == 0 { 0 } else { (127 - rest.leading_zeros()) % part.of };
    high == task.item && task.second.is_none_or(|part| nth(part) == part.nth)
}

fn tasks(case: &Case, n_items: usize) -> Vec<Task> {
    let split = |task: Task| {
        let of = case.parts[task.item as usize];
        let part = move |nth| Task { second: (of > 1).then_some(Part { nth, of }), ..task };
        (0..of).map(part)
    };
    Task::all(n_items).into_iter().flat_map(split).collect()
}

/// What the method finds: each task's own itemsets in one or many calls, sorted.
fn found(rows: &TransactionBuf, case: &Case, search: &Search<'_>) -> Vec<(u128, u64)> {
    let tasks = tasks(case, rows.n_items);
    let mut all = Vec::new();
    for call in tasks.chunks(if case.one_call { tasks.len().max(1) } else { 1 }) {
        let mut sink = Listing { max_len: search.max_len, sets: Vec::new() };
        mine(rows.view(), call, search, &mut sink, &Unlimited).unwrap();
        assert!(sink.sets.iter().all(|&(set, _)| call.iter().any(|task| owned(task, set))), "beyond its tasks");
        all.append(&mut sink.sets);
    }
    all.sort_unstable();
    all
}

fn check(case: &Case) -> std::result::Result<(), TestCaseError> {
    let rows = encode(&case.baskets);
    let conflicts = case.conflicts.as_ref().map(|pairs| conflicts(pairs, rows.n_items));
    let Case { min_count, max_len, method, .. } = *case;
    let search = Search { min_count, max_len, method, conflicts: conflicts.as_ref() };
    prop_assert_eq!(found(&rows, case, &search), brute_force(&rows, &search));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 98_000, ..ProptestConfig::default() })]

    /// Methods times tasks and parts times lengths times counts times conflicts. As what is found is sorted, not made
    /// distinct, this says too that tasks do not overlap.
    #[test]
    fn every_method_finds_what_counting_every_subset_finds(case in case()) {
        check(&case)?;
    }
}

/// Baskets over up to 120 items: some dense, most sparse, so that every form of the reduced baskets comes up.
fn wide() -> impl Strategy<Value = TransactionBuf> {
    let row = (prop::collection::btree_set(0u32..14, 0..12), prop::collection::btree_set(14u32..120, 0..5), 1u64..3);
    prop::collection::vec(row, 1..40).prop_map(|rows| {
        let mut merged: BTreeMap<Vec<u32>, u64> = BTreeMap::new();
        for (dense, sparse, n) in rows {
            let row: Vec<u32> = dense.into_iter().chain(sparse).collect();
            if !row.is_empty() {
                *merged.entry(row).or_default() += n;
            }
        }
        let mut rows = TransactionBuf { n_items: 120, ..TransactionBuf::default() };
        merged.iter().for_each(|(row, &n)| rows.push(row, n));
        rows
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn methods_agree_on_more_items_than_a_word_holds(
        rows in wide(),
        min_count in 2u64..6,
        max_len in select(vec![2usize, 3, 5]),
        of in 1u32..4,
        pairs in prop::option::of(prop::collection::vec((0u32..20, 0u32..120), 0..30)),
    ) {
        let conflicts = pairs.map(|pairs| conflicts(&pairs, rows.n_items));
        let parts = vec![of; rows.n_items];
        let mut case = Case {
            baskets: Vec::new(), min_count, max_len, conflicts: None, parts, one_call: true, method: Method::Apriori,
        };
        let search = Search { min_count, max_len, method: Method::Apriori, conflicts: conflicts.as_ref() };
        let expected = found(&rows, &case, &search);
        for method in [Method::Lcm, Method::FpGrowth] {
            case.one_call = method == Method::Lcm;
            prop_assert_eq!(&found(&rows, &case, &Search { method, ..search }), &expected, "{:?}", method);
        }
    }
}

fn rows(baskets: &[&[u32]], n_items: usize) -> TransactionBuf {
    let mut rows = TransactionBuf { n_items, ..TransactionBuf::default() };
    baskets.iter().for_each(|row| rows.push(row, 1));
    rows
}

const PLAIN: Search<'_> = Search { min_count: 1, max_len: 10, method: Method::FpGrowth, conflicts: None };

#[test]
fn a_single_path_is_written_in_blocks() {
    // 20 items, each in one basket more than the next: a million itemsets, twenty emissions.
    struct Blocks(u64, usize);
    impl Sink for Blocks {
        fn emit(&mut self, _: &[u32], perfect: &[u32], _: u64, _: usize, _: &dyn GroupContext) -> Result<()> {
            self.0 += 1 << perfect.len();
            self.1 += 1;
            Ok(())
        }
        fn memory_bytes(&self) -> usize {
            0
        }
    }
    let all: Vec<u32> = (0..20).collect();
    let baskets: Vec<&[u32]> = (1..=20).map(|n| &all[..n]).collect();
    let mut sink = Blocks(0, 0);
    let search = Search { max_len: usize::MAX, ..PLAIN };
    mine(rows(&baskets, 20).view(), &Task::all(20), &search, &mut sink, &Unlimited).unwrap();
    assert_eq!((sink.0, sink.1), ((1 << 20) - 1, 20));
}

#[test]
fn a_basket_of_a_hundred_thousand_items_is_no_matter() {
    // Deeper than any stack would bear.
    let long: Vec<u32> = (0..100_000).collect();
    let rows = rows(&[&long, &[0, 1, 99_999], &[0, 99_999]], 100_000);
    for method in [Method::FpGrowth, Method::Lcm] {
        let search = Search { min_count: 2, method, ..PLAIN };
        // Bits stand for ranks: the three items that are frequent are asked for.
        struct Ranks(Vec<(Vec<u32>, u64)>);
        impl Sink for Ranks {
            fn emit(&mut self, path: &[u32], perfect: &[u32], n: u64, _: usize, _: &dyn GroupContext) -> Result<()> {
                for subset in 0..1 << perfect.len() {
                    let kept = perfect.iter().enumerate().filter(|(i, _)| subset >> i & 1 == 1).map(|(_, &r)| r);
                    let mut set: Vec<u32> = path.iter().copied().chain(kept).collect();
                    set.sort_unstable();
                    self.0.push((set, n));
                }
                Ok(())
            }
            fn memory_bytes(&self) -> usize {
                0
            }
        }
        let mut sink = Ranks(Vec::new());
        mine(rows.view(), &Task::all(100_000), &search, &mut sink, &Unlimited).unwrap();
        sink.0.sort();
        let expected: [(&[u32], u64); 7] = [
            (&[0], 3),
            (&[0, 1], 2),
            (&[0, 1, 99_999], 2),
            (&[0, 99_999], 3),
            (&[1], 2),
            (&[1, 99_999], 2),
            (&[99_999], 3),
        ];
        assert_eq!(sink.0, expected.map(|(set, n)| (set.to_vec(), n)), "{method:?}");
    }
}

#[test]
fn a_task_beyond_the_items_is_a_bug() {
    for method in [Method::FpGrowth, Method::Apriori] {
        let mut sink = Listing { max_len: 10, sets: Vec::new() };
        let task = Task { item: 2, second: None };
        let done = mine(rows(&[&[0, 1]], 2).view(), &[task], &Search { method, ..PLAIN }, &mut sink, &Unlimited);
        assert!(matches!(&done, Err(Error::Bug(text)) if text.contains("item=2, items=2")), "{done:?}");
    }
}

#[test]
fn apriori_refuses_an_explosion_of_candidates_and_says_what_to_do() {
    let all: Vec<u32> = (0..6).collect();
    let rows = rows(&[&all], 6);
    let run = |most, tasks: &[Task]| {
        let mut sink = Listing { max_len: 10, sets: Vec::new() };
        apriori::mine_within(rows.view(), tasks, &PLAIN, &mut sink, &Unlimited, most).map(|()| sink.sets.len())
    };
    // 15 pairs, 20 triples: one limit stops the join, the other the pairs.
    assert_eq!(run(20, &Task::all(6)).unwrap(), 63);
    for (most, size) in [(19, 3), (14, 2)] {
        let refused = run(most, &Task::all(6));
        let Err(Error::Limit(text)) = &refused else { panic!("{refused:?}") };
        assert!(text.contains(&format!("itemset_size={size}")) && text.contains("raise min_support"), "{text}");
    }
    // A single task has fewer.
    assert_eq!(run(10, &[Task { item: 5, second: None }]).unwrap(), 32);
}

/// A context that stops the run.
struct Stopped;

impl GroupContext for Stopped {
    fn reserve(&self, _: usize) -> Result<()> {
        Ok(())
    }

    fn check_cancelled(&self) -> Result<()> {
        Err(Error::Cancelled)
    }
}

#[test]
fn long_runs_ask_whether_they_are_cancelled() {
    // 22 items of which each basket lacks one: no perfect extension, four million itemsets.
    let all: Vec<Vec<u32>> = (0..22).map(|out| (0..22).filter(|&i| i != out).collect()).collect();
    let mut sorted: Vec<&[u32]> = all.iter().map(Vec::as_slice).collect();
    sorted.sort();
    struct Nothing;
    impl Sink for Nothing {
        fn emit(&mut self, _: &[u32], _: &[u32], _: u64, _: usize, _: &dyn GroupContext) -> Result<()> {
            Ok(())
        }
        fn memory_bytes(&self) -> usize {
            0
        }
    }
    for method in [Method::FpGrowth, Method::Apriori] {
        let search = Search { max_len: usize::MAX, method, ..PLAIN };
        let done = mine(rows(&sorted, 22).view(), &Task::all(22), &search, &mut Nothing, &Stopped);
        assert!(matches!(done, Err(Error::Cancelled)), "{method:?}: {done:?}");
    }
}
