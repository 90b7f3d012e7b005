//! Tests of the generated files as a whole.

use std::collections::BTreeSet;
use std::fs::File;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Float64Type, Int32Type, Int64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sha2::{Digest, Sha256};

use super::*;

/// Small options: few SKUs, a year and a bit, so that Easter and Christmas are in it.
fn small(out: &Path) -> GenerateOptions {
    GenerateOptions { skus: 150, baskets: 400, dirty: true, ..GenerateOptions::new(out, 400).unwrap() }
}

fn quiet(options: &GenerateOptions) -> Generated {
    generate(options, &mut |_| {}).unwrap()
}

fn digest(root: &Path, generated: &Generated) -> Vec<u8> {
    let mut hash = Sha256::new();
    for file in &generated.files {
        hash.update(file.path.as_bytes());
        let bytes = std::fs::read(root.join(&file.path)).unwrap();
        assert_eq!(bytes.len() as u64, file.bytes, "{}", file.path);
        hash.update(bytes);
    }
    hash.finalize().to_vec()
}

fn read(path: &Path) -> Vec<RecordBatch> {
    let file = File::open(path).unwrap();
    ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().map(Result::unwrap).collect()
}

fn table(root: &Path, generated: &Generated, name: &str) -> Vec<RecordBatch> {
    let of_table = |file: &&WrittenFile| file.path.starts_with(&format!("{name}/"));
    let batches: Vec<RecordBatch> =
        generated.files.iter().filter(of_table).flat_map(|file| read(&root.join(&file.path))).collect();
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows as u64, generated.table_rows(name), "{name}");
    batches
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_gives_others() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, seed| {
        let root = folder.path().join(name);
        let generated = quiet(&GenerateOptions { seed, ..small(&root) });
        digest(&root, &generated)
    };
    let first = run("a", 1);
    assert_eq!(first, run("b", 1));
    assert_ne!(first, run("c", 2));
}

#[test]
fn every_sku_has_every_day_of_its_life_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let options = small(folder.path());
    let generated = quiet(&options);
    let first = calendar::date32(options.start_date);
    let last = calendar::date32(LAST_DATE);
    let mut expected = Vec::new();
    let mut lives = [0, 0];
    for batch in table(folder.path(), &generated, "items") {
        let sku = batch["sku"].as_string::<i32>();
        let launch = batch["launch_date"].as_primitive::<Date32Type>();
        let end = batch["end_date"].as_primitive::<Date32Type>();
        for row in 0..batch.num_rows() {
            lives[0] += i32::from(launch.value(row) > first);
            lives[1] += i32::from(end.is_valid(row));
            let until = if end.is_valid(row) { end.value(row) } else { last + 1 };
            expected.extend((launch.value(row).max(first)..until).map(|day| (sku.value(row).to_owned(), day)));
        }
    }
    let (mut got, mut out_of_stock, mut promotions) = (Vec::new(), 0, 0);
    for batch in table(folder.path(), &generated, "sales") {
        let sku = batch["sku"].as_string::<i32>();
        let ds = batch["ds"].as_primitive::<Date32Type>();
        let quantity = batch["qty"].as_primitive::<Int32Type>();
        let price = batch["price"].as_primitive::<Float64Type>();
        for row in 0..batch.num_rows() {
            got.push((sku.value(row).to_owned(), ds.value(row)));
            assert!(quantity.value(row) >= 0 && price.value(row) > 0.0);
            promotions += i32::from(batch["promo"].as_boolean().value(row));
            if !batch["in_stock"].as_boolean().value(row) {
                out_of_stock += 1;
                assert_eq!(quantity.value(row), 0);
            }
        }
    }
    assert!(got == expected, "calendar of the sales differs from the lives of the items");
    assert!(lives[0] > 5 && lives[1] > 2, "new and dying items: {lives:?}");
    let share = |count: i32| f64::from(count) / got.len() as f64;
    assert!((0.005..0.06).contains(&share(out_of_stock)), "out of stock: {}", share(out_of_stock));
    assert!((0.01..0.12).contains(&share(promotions)), "promotions: {}", share(promotions));
}

#[test]
fn the_classes_have_the_shares_of_real_retail() {
    let folder = tempfile::tempdir().unwrap();
    let options = GenerateOptions { skus: 2_000, baskets: 0, ..GenerateOptions::new(folder.path(), 365).unwrap() };
    let generated = quiet(&options);
    for counts in [&generated.classes.planted, &generated.classes.observed] {
        for (class, percent) in [
            (DemandClass::Intermittent, 75.0),
            (DemandClass::Lumpy, 12.0),
            (DemandClass::Smooth, 10.0),
            (DemandClass::Erratic, 3.0),
        ] {
            let got = counts[&class] as f64 / 20.0;
            assert!(
                (got - percent).abs() < 2.5,
                "class={class:?}, got={got}, want={percent}, all={:?}",
                generated.classes
            );
        }
    }
}

#[test]
fn orders_are_complete_distinct_and_within_the_history() {
    let folder = tempfile::tempdir().unwrap();
    let options = small(folder.path());
    let generated = quiet(&options);
    let mut orders = BTreeSet::new();
    let mut lines = BTreeSet::new();
    let mut last = (0, 0);
    for batch in table(folder.path(), &generated, "order_lines") {
        for row in 0..batch.num_rows() {
            let order = batch["order_id"].as_primitive::<Int64Type>().value(row);
            let day = batch["ds"].as_primitive::<Date32Type>().value(row);
            assert!(batch["quantity"].as_primitive::<Int32Type>().value(row) > 0);
            assert!((order, day) >= last);
            last = (order, day);
            assert!(lines.insert((order, batch["sku"].as_string::<i32>().value(row).to_owned())), "order={order}");
            orders.insert(order);
        }
    }
    assert_eq!(orders, (1..=400).collect());
    assert!(last.1 <= calendar::date32(LAST_DATE));
}

#[test]
fn sales_follow_the_weekday_and_the_promotions() {
    let folder = tempfile::tempdir().unwrap();
    let generated = quiet(&GenerateOptions { skus: 400, dirty: false, ..small(folder.path()) });
    let (mut by_weekday, mut by_promotion) = ([0.0f64; 7], [(0.0f64, 0.0f64); 2]);
    for batch in table(folder.path(), &generated, "sales") {
        for row in 0..batch.num_rows() {
            let quantity = f64::from(batch["qty"].as_primitive::<Int32Type>().value(row));
            let weekday = (batch["ds"].as_primitive::<Date32Type>().value(row) + 3).rem_euclid(7) as usize;
            by_weekday[weekday] += quantity;
            let side = &mut by_promotion[usize::from(batch["promo"].as_boolean().value(row))];
            side.0 += quantity;
            side.1 += 1.0;
        }
    }
    assert!(by_weekday[4] > 1.08 * by_weekday[1], "{by_weekday:?}");
    let mean = |(sum, count): (f64, f64)| sum / count;
    assert!(mean(by_promotion[1]) > 1.2 * mean(by_promotion[0]), "{by_promotion:?}");
}

#[test]
fn dirt_is_what_its_truth_file_says() {
    let folder = tempfile::tempdir().unwrap();
    let generated = quiet(&small(folder.path()));
    let text = std::fs::read(folder.path().join("truth/dirty.json")).unwrap();
    let entries: Vec<DirtyEntry> = serde_json::from_slice(&text).unwrap();
    let kinds: BTreeSet<&str> = entries.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(kinds.len(), entries.len(), "a kind is planted once");
    let listed =
        |path: &str| entries.iter().any(|entry| path == entry.path || path.starts_with(&format!("{}/", entry.path)));
    for file in &generated.files {
        let dirty = ["sales_dirty/", "order_lines_dirty/", "dirty/"].iter().any(|table| file.path.starts_with(table));
        assert_eq!(dirty, listed(&file.path), "{}", file.path);
    }
    for entry in &entries {
        if entry.path.ends_with(".parquet") {
            let batches = read(&folder.path().join(&entry.path));
            assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>() as u64, entry.rows, "{}", entry.kind);
            if let Some(sku) = &entry.sku {
                assert_eq!(batches[0]["sku"].as_string::<i32>().value(0), sku);
            }
        }
    }
    let truncated = File::open(folder.path().join("dirty/truncated_file/part-1.parquet")).unwrap();
    assert!(ParquetRecordBatchReaderBuilder::try_new(truncated).is_err());
    let values = read(&folder.path().join("sales_dirty/nan.parquet"));
    assert_eq!(
        values[0]["qty"].as_primitive::<Float64Type>().values().iter().filter(|value| value.is_nan()).count(),
        1
    );
}

#[test]
fn the_smallest_marketplace_works() {
    let folder = tempfile::tempdir().unwrap();
    let options = GenerateOptions { skus: 1, baskets: 0, ..GenerateOptions::new(folder.path(), 1).unwrap() };
    let generated = quiet(&options);
    assert_eq!(generated.table_rows("sales"), 1);
    assert_eq!(table(folder.path(), &generated, "order_lines").len(), 0);
    assert!(generated.rules.is_empty() && read_planted_rules(folder.path()).unwrap().is_empty());
}

#[test]
fn the_planted_rules_are_written_as_they_are_returned() {
    let folder = tempfile::tempdir().unwrap();
    let generated = quiet(&small(folder.path()));
    assert_eq!(generated.rules.len(), 6);
    assert_eq!(read_planted_rules(folder.path()).unwrap(), generated.rules);
}

#[test]
fn options_out_of_range_and_used_directories_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("market");
    let message = |options: &GenerateOptions| generate(options, &mut |_| {}).unwrap_err().to_string();
    let options = GenerateOptions { skus: 0, ..small(&out) };
    assert_eq!(message(&options), "skus out of range: skus=0, allowed=1..=99999999");
    let options = GenerateOptions { start_date: NaiveDate::MAX, ..small(&out) };
    assert!(message(&options).starts_with("start_date out of range: "));
    assert_eq!(GenerateOptions::new(&out, 0).unwrap_err().to_string(), "days out of range: days=0, allowed=1..=36525");
    assert!(!out.exists(), "nothing is written before the options are known to be good");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("old"), "x").unwrap();
    assert!(message(&small(&out)).starts_with("the output directory is not empty: "));
}

#[test]
fn progress_reaches_the_total_of_each_table() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = BTreeMap::new();
    generate(&small(folder.path()), &mut |progress| {
        assert!(progress.done >= last.insert(progress.table, progress.done).unwrap_or(0));
    })
    .unwrap();
    assert_eq!(last, BTreeMap::from([("items", 150), ("sales", 150), ("order_lines", 400)]));
}
