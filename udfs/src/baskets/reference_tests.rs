//! The group functions on real baskets.  In: the sets of `shared/data`. Out: the counts and checksums of `reference.json`.
//!
//! The references come from PyFIM 6.28 (Borgelt's fpgrowth, checked against its eclat) by `shared/bench/fim_reference.py`,
//! which defines the listings that are hashed; whole numbers, so that the tolerance is none.

use super::plan::{Layout, itemsets, mine, rules, shard_rows};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray, UInt32Array};
use arrow::compute::{cast, concat, filter_record_batch, sort_to_indices, take};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use arrow::row::{RowConverter, SortField};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Levels with more itemsets have no checksum, see `fim_reference.py`.
pub(super) const ITEMSETS_MAX: u64 = 4_000_000;
/// Rules beyond this are left out, to keep the test short.
pub(super) const RULES_MAX: u64 = 1_000_000;

/// The shared directory, or `None` (loudly) if it is absent and nobody insists on it.
pub(super) fn shared() -> Option<PathBuf> {
    // Asked when the test runs: clones that share a target folder share binaries too.
    let crate_dir =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    let given = std::env::var_os("LAKECAST_SHARED").map(PathBuf::from);
    let found = given.into_iter().chain([crate_dir.join("../../shared")]).find(|p| p.join("data/retail").is_dir());
    if found.is_none() {
        assert!(
            std::env::var_os("LAKECAST_REQUIRE_SHARED").is_none(),
            "LAKECAST_REQUIRE_SHARED is set: no shared data"
        );
        // Past the capture of a passing test's output.
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            b"SKIPPED: no shared data; set LAKECAST_SHARED to the directory that holds data/retail\n",
        );
    }
    found
}

pub(super) fn json_file(path: &Path) -> Option<Value> {
    path.exists().then(|| serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
}

/// Positions of equal values, and the distinct values in ascending order.
fn encode(column: &ArrayRef) -> (Vec<u32>, ArrayRef) {
    let converter = RowConverter::new(vec![SortField::new(column.data_type().clone())]).unwrap();
    let rows = converter.convert_columns(&[Arc::clone(column)]).unwrap();
    let mut codes = vec![0; rows.num_rows()];
    let mut distinct: Vec<u32> = Vec::new();
    for &row in sort_to_indices(column, None, None).unwrap().values() {
        if distinct.last().is_none_or(|&d| rows.row(d as usize) != rows.row(row as usize)) {
            distinct.push(row);
        }
        codes[row as usize] = distinct.len() as u32 - 1;
    }
    (codes, take(column, &UInt32Array::from(distinct), None).unwrap())
}

/// Distinct items of each basket, as positions in the list of items.
pub(super) fn load(directory: &Path) -> (Vec<Vec<u32>>, ArrayRef) {
    let file = std::fs::File::open(directory.join("transactions.parquet")).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let rules = json_file(&directory.join("filter.json"));
    let rules = rules.as_ref().map_or(&[][..], |f| f["keep_rows_where"].as_array().unwrap());
    let batches: Vec<RecordBatch> = reader.map(|b| keep(&b.unwrap(), rules)).collect();
    let column = |name: &str| {
        let parts: Vec<_> = batches.iter().map(|b| b.column_by_name(name).unwrap().as_ref()).collect();
        concat(&parts).unwrap()
    };
    let (basket_of, ids) = encode(&column("transaction_id"));
    let (item_of, items) = encode(&column("item"));
    let mut baskets = vec![Vec::new(); ids.len()];
    basket_of.iter().zip(item_of).for_each(|(&b, i)| baskets[b as usize].push(i));
    baskets.iter_mut().for_each(|b| {
        b.sort();
        b.dedup();
    });
    (baskets, items)
}

fn keep(rows: &RecordBatch, rules: &[Value]) -> RecordBatch {
    rules.iter().fold(rows.clone(), |rows, rule| {
        let column = rows.column_by_name(rule["column"].as_str().unwrap()).unwrap();
        let mask: BooleanArray = match rule["op"].as_str().unwrap() {
            "greater" => {
                let numbers = cast(column, &DataType::Float64).unwrap();
                let limit = rule["value"].as_f64().unwrap();
                numbers.as_primitive::<Float64Type>().iter().map(|x| Some(x.unwrap() > limit)).collect()
            }
            "not_starts_with" => {
                let texts = cast(column, &DataType::Utf8).unwrap();
                let start = rule["value"].as_str().unwrap();
                texts.as_string::<i32>().iter().map(|x| Some(!x.unwrap().starts_with(start))).collect()
            }
            other => panic!("unknown filter {other}"),
        };
        filter_record_batch(&rows, &mask).unwrap()
    })
}

/// Lists as `a,b,c`.
struct Lists {
    names: StringArray,
    offsets: Vec<i32>,
}

impl Lists {
    fn new(column: &ArrayRef) -> Self {
        let lists = column.as_list::<i32>();
        let names = cast(lists.values(), &DataType::Utf8).unwrap().as_string::<i32>().clone();
        Self { names, offsets: lists.value_offsets().to_vec() }
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) {
        for at in self.offsets[row]..self.offsets[row + 1] {
            if at > self.offsets[row] {
                out.push(b',');
            }
            out.extend_from_slice(self.names.value(at as usize).as_bytes());
        }
    }
}

/// `sha256` and `sum64` of a listing.
fn checksums(rows: usize, line: impl Fn(usize, &mut Vec<u8>)) -> (String, String) {
    let (mut text, mut ends) = (Vec::new(), vec![0]);
    let mut sum = 0u64;
    for row in 0..rows {
        line(row, &mut text);
        let digest = Sha256::digest(&text[ends[row]..]);
        sum = sum.wrapping_add(u64::from_le_bytes(digest[..8].try_into().unwrap()));
        ends.push(text.len());
    }
    let mut lines: Vec<&[u8]> = ends.windows(2).map(|w| &text[w[0]..w[1]]).collect();
    lines.sort_unstable();
    let mut whole = Sha256::new();
    for line in lines {
        whole.update(line);
        whole.update(b"\n");
    }
    let hex: String = whole.finalize().iter().map(|b| format!("{b:02x}")).collect();
    (hex, format!("{sum:016x}"))
}

pub(super) fn check_itemsets(set: &str, level: &Value, mined: &RecordBatch) {
    let context = format!("{set} at count {}", level["min_count"]);
    assert_eq!(mined.num_rows() as u64, level["itemsets"].as_u64().unwrap(), "{context}");
    let mut by_size: HashMap<String, u64> = HashMap::new();
    let lists = mined.column(0).as_list::<i32>();
    (0..lists.len()).for_each(|i| *by_size.entry(lists.value_length(i).to_string()).or_default() += 1);
    let by_size = serde_json::to_value(&by_size).unwrap();
    assert_eq!(by_size, level["by_size"], "{context}");
    if let Some(sha256) = level["sha256"].as_str() {
        let (lists, n) = (Lists::new(mined.column(0)), mined.column(1).as_primitive::<Int64Type>());
        let got = checksums(mined.num_rows(), |row, out| {
            lists.write(row, out);
            out.extend_from_slice(format!("\t{}", n.value(row)).as_bytes());
        });
        assert_eq!(got, (sha256.into(), level["sum64"].as_str().unwrap().into()), "{context}");
    }
}

pub(super) fn check_rules(context: &str, expected: &Value, derived: &RecordBatch) {
    assert_eq!(derived.num_rows() as u64, expected["rules"].as_u64().unwrap(), "{context}");
    let (x, y) = (Lists::new(derived.column(0)), Lists::new(derived.column(1)));
    let number = |name: &str| derived.column_by_name(name).unwrap().as_primitive::<Int64Type>();
    let (nz, nx, ny) = (number("n_both"), number("n_antecedent"), number("n_consequent"));
    let got = checksums(derived.num_rows(), |row, out| {
        x.write(row, out);
        out.extend_from_slice(b"=>");
        y.write(row, out);
        out.extend_from_slice(format!("\t{}\t{}\t{}", nz.value(row), nx.value(row), ny.value(row)).as_bytes());
    });
    let expected = |name: &str| expected[name].as_str().unwrap().to_string();
    assert_eq!(got, (expected("sha256"), expected("sum64")), "{context}");
}

/// Every level of a set: itemsets, then rules with one and with any number of consequents.
fn check(set: &str, layout: Layout) {
    let Some(shared) = shared() else { return };
    let directory = shared.join("data").join(set);
    let reference = json_file(&directory.join("reference.json")).unwrap();
    let (baskets, items) = load(&directory);
    assert_eq!(baskets.len() as u64, reference["transactions"].as_u64().unwrap());
    for level in reference["levels"].as_array().unwrap() {
        if level["itemsets"].as_u64().unwrap() > ITEMSETS_MAX {
            continue;
        }
        let started = Instant::now();
        let mined = itemsets(&baskets, &items, level["min_count"].as_i64().unwrap(), None, layout).unwrap();
        eprintln!("{set} {}: {} itemsets in {:?}", level["min_count"], mined.num_rows(), started.elapsed());
        check_itemsets(set, level, &mined);
        for row in level["rules"].as_array().map_or(&[][..], |r| r) {
            let confidence: f64 = row["min_confidence"].as_str().unwrap().parse().unwrap();
            for (kind, longest) in [("single_consequent", 1), ("any_consequent", i64::MAX)] {
                if row[kind]["rules"].as_u64().is_none_or(|n| n > RULES_MAX) {
                    continue;
                }
                let args = json!({"min_confidence": confidence, "max_consequent": longest});
                let derived = rules(&mined, baskets.len() as i64, args, layout.batch).unwrap();
                check_rules(&format!("{set} at {}: {confidence} {kind}", level["min_count"]), &row[kind], &derived);
            }
            let args = json!({"min_confidence": confidence, "min_lift": 1});
            let n = row["single_consequent"]["rules"].as_u64().unwrap();
            if n <= RULES_MAX {
                let derived = rules(&mined, baskets.len() as i64, args, layout.batch).unwrap();
                let number = |name: &str| derived.column_by_name(name).unwrap().as_primitive::<Int64Type>();
                let (nz, nx, ny) = (number("n_both"), number("n_antecedent"), number("n_consequent"));
                let n = baskets.len() as i64;
                let above = (0..derived.num_rows()).filter(|&i| nz.value(i) * n > nx.value(i) * ny.value(i)).count();
                assert_eq!(above as u64, row["single_consequent"]["lift_above_1"].as_u64().unwrap());
            }
        }
    }
}

macro_rules! reference {
    ($($name:ident: $set:literal, $shards:literal;)*) => {$(
        #[test]
        fn $name() {
            check($set, Layout { shards: $shards, batch: 8192, seed: 7 });
        }
    )*};
}

reference! {
    groceries_equals_its_reference: "groceries", 7;
    retail_equals_its_reference: "retail", 16;
    t10i4d100k_equals_its_reference: "t10i4d100k", 3;
    mushroom_equals_its_reference: "mushroom", 4;
    chess_equals_its_reference: "chess", 2;
    bms1_equals_its_reference: "bms1", 64;
    onlineretail_equals_its_reference: "onlineretail", 5;
}

/// Processor seconds of this thread so far (Linux).
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

/// Processor seconds of mining alone, baskets in memory to itemsets in Arrow arrays, one shard, one thread.
#[test]
#[ignore = "a measurement: run it alone, with --nocapture"]
fn seconds_of_mining() {
    let Some(shared) = shared() else { return };
    let layout = Layout { shards: 1, batch: 1 << 20, seed: 7 };
    for (set, min_count) in [
        ("retail", 89),
        ("retail", 9),
        ("t10i4d100k", 100),
        ("t10i4d100k", 10),
        ("mushroom", 1625),
        ("mushroom", 407),
        ("onlineretail", 60),
        ("chess", 1598),
        ("bms1", 36),
    ] {
        let (baskets, items) = load(&shared.join("data").join(set));
        let groups = shard_rows(&baskets, &items, min_count, layout).unwrap();
        let mut best = f64::INFINITY;
        let mut rows = 0;
        let mut mined = None;
        for _ in 0..3 {
            let started = processor_seconds();
            let found = mine(groups.clone(), items.data_type(), None, layout).unwrap();
            best = best.min(processor_seconds() - started);
            rows = found.num_rows();
            mined = Some(found);
        }
        if rows > 1_500_000 {
            eprintln!("{set} {min_count}: {rows} itemsets {best:.3} s; rules left out, they would fill gigabytes");
            continue;
        }
        let started = processor_seconds();
        let args = json!({"min_confidence": 0.3});
        let derived = rules(&mined.unwrap(), baskets.len() as i64, args, layout.batch).unwrap();
        let seconds = processor_seconds() - started;
        eprintln!("{set} {min_count}: {rows} itemsets {best:.3} s; {} rules {seconds:.3} s", derived.num_rows());
    }
}
