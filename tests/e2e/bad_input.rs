//! Bad input of every kind ends in a clear error or a status row, and nothing is lost.

use crate::support::{lakecast, ok, query, run, skip, try_query};
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{Float64Type, Int32Type, Int64Type};
use lakecast_engine::SessionOptions;
use lakecast_jobs::generate::{DirtyEntry, Expected};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

struct Dirty {
    dir: tempfile::TempDir,
    planted: Vec<DirtyEntry>,
}

fn dirty() -> Dirty {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("market");
    ok(lakecast(["generate", "--skus", "5", "--days", "60", "--baskets", "50", "--dirty", "--out"]).arg(&out));
    let planted = serde_json::from_slice(&fs::read(out.join("truth/dirty.json")).unwrap()).unwrap();
    Dirty { dir, planted }
}

impl Dirty {
    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join("market").join(below)
    }
}

#[test]
fn every_planted_bad_series_has_the_status_it_must_have_and_no_other_series_is_lost() {
    let dirty = dirty();
    let sql = "SELECT sku, status, reason, step, yhat FROM forecast(TABLE(s), id => sku, time => ds, value => qty, horizon => 7, season_length => 7)";
    let mut seen: BTreeMap<Option<String>, (String, usize)> = BTreeMap::new();
    for b in query(&[("s", &dirty.path("sales_dirty"))], sql) {
        let (sku, status, reason) =
            (b.column(0).as_string::<i32>(), b.column(1).as_string::<i32>(), b.column(2).as_string::<i32>());
        let (step, yhat) = (b.column(3).as_primitive::<Int32Type>(), b.column(4).as_primitive::<Float64Type>());
        for row in 0..b.num_rows() {
            let id = sku.is_valid(row).then(|| sku.value(row).to_string());
            let forecast = yhat.is_valid(row);
            assert_eq!(forecast, step.is_valid(row), "{id:?}");
            assert_eq!(forecast, ["ok", "fallback"].contains(&status.value(row)), "{id:?}");
            assert!(!forecast || yhat.value(row).is_finite(), "{id:?}");
            assert_eq!(status.value(row) == "ok", reason.is_null(row), "{id:?}: {}", status.value(row));
            seen.entry(id).or_insert_with(|| (status.value(row).to_string(), 0)).1 += 1;
        }
    }
    let mut series = 0;
    for entry in &dirty.planted {
        let Expected::Status { any_of } = &entry.expected else { continue };
        let (status, rows) = &seen[&entry.sku];
        assert!(any_of.contains(status), "{}: {status}, expected one of {any_of:?}", entry.kind);
        let expected_rows = if ["ok", "fallback"].contains(&status.as_str()) { 7 } else { 1 };
        assert_eq!(*rows, expected_rows, "{}", entry.kind);
        series += 1;
    }
    assert_eq!(series, seen.len());
    assert!(series > 15, "only {series} kinds were planted");
}

#[test]
fn every_planted_bad_table_is_refused_with_a_message_that_names_it() {
    let dirty = dirty();
    let mut refused = 0;
    for entry in &dirty.planted {
        let baskets = entry.kind.starts_with("null_") && entry.path.starts_with("dirty/");
        let sql = if baskets {
            "SELECT * FROM frequent_itemsets(TABLE(t), basket => order_id, item => sku, min_support => 1)"
        } else {
            "SELECT * FROM forecast(TABLE(t), id => sku, time => ds, value => qty, horizon => 7)"
        };
        match &entry.expected {
            Expected::Error { mentions } => {
                let error = try_query(&SessionOptions::default(), &[("t", &dirty.path(&entry.path))], sql).unwrap_err();
                for part in mentions {
                    assert!(error.contains(part), "{}: expected {part:?} in: {error}", entry.kind);
                }
                refused += 1;
            }
            Expected::NoRows => {
                let rows: usize = query(&[("t", &dirty.path(&entry.path))], sql).iter().map(|b| b.num_rows()).sum();
                assert_eq!(rows, 0, "{}", entry.kind);
            }
            _ => {}
        }
    }
    assert!(refused > 5, "only {refused} tables were planted");
}

#[test]
fn odd_baskets_are_counted_exactly() {
    let dirty = dirty();
    let Some(Expected::Itemsets { baskets, counts }) =
        dirty.planted.iter().map(|e| e.expected.clone()).find(|e| matches!(e, Expected::Itemsets { .. }))
    else {
        panic!("no baskets were planted")
    };
    // Every item of the basket of 100,000 items is in one basket only: at count 1 its subsets are beyond counting, so its
    // items are asked for alone, and pairs at count 2.
    for (min_support, max_len) in [(1, 1), (2, 100)] {
        let sql = format!(
            "SELECT array_to_string(itemset, ','), n, n_baskets FROM frequent_itemsets(TABLE(t), basket => order_id, item => sku, min_support => {min_support}, max_len => {max_len})"
        );
        let mut found = BTreeMap::new();
        for b in query(&[("t", &dirty.path("order_lines_dirty"))], &sql) {
            let number = |c: usize, row: usize| b.column(c).as_primitive::<Int64Type>().value(row) as u64;
            for row in 0..b.num_rows() {
                found.insert(b.column(0).as_string::<i32>().value(row).to_string(), number(1, row));
                assert_eq!(number(2, row), baskets);
            }
        }
        for expected in counts.iter().filter(|c| c.count >= min_support && c.items.len() <= max_len) {
            assert_eq!(found.get(&expected.items.join(",")), Some(&expected.count), "{:?}", expected.items);
        }
        if min_support == 1 {
            assert!(found.len() > 100_000, "{}", found.len());
        }
    }
}

#[test]
fn an_explosion_of_itemsets_is_an_error_and_not_a_killed_process() {
    let dirty = dirty();
    let sql = "SELECT count(*) FROM frequent_itemsets(TABLE(t), basket => order_id, item => sku, min_support => 1)";
    let options = SessionOptions { memory_bytes: 400 << 20, ..SessionOptions::default() };
    let error = try_query(&options, &[("t", &dirty.path("order_lines_dirty"))], sql).unwrap_err();
    assert!(error.contains("min_support") && error.contains("max_len"), "{error}");
}

fn job(dir: &Path, text: &str) -> crate::support::Said {
    let file = dir.join("job.yaml");
    fs::write(&file, text).unwrap();
    run(lakecast(["run", "--run-date", "2026-11-22", "--quiet"]).arg(file))
}

const GOOD: &str = "
name: small
tables:
  sales: { location: sales.csv }
outputs:
  forecast:
    location: out/forecast/
    sql: SELECT * FROM forecast(TABLE(sales), id => sku, time => ds, value => qty, horizon => 7)
";

fn small_lake() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let days: String = (1..=28).map(|d| format!("a,2026-01-{d:02},{}\n", d % 5)).collect();
    fs::write(dir.path().join("sales.csv"), format!("sku,ds,qty\n{days}")).unwrap();
    dir
}

#[test]
fn a_wrong_job_file_exits_2_and_says_where_and_what() {
    let lake = small_lake();
    assert_eq!(job(lake.path(), GOOD).code, 0);
    let cases: &[(&str, &str, &[&str])] = &[
        ("outputs:", "outptus:", &["job.yaml:5:1", "outptus", "outputs"]),
        ("location: out/forecast/", "locaton: out/forecast/", &["locaton", "location"]),
        ("value => qty", "value => qyt", &["no such column", "qyt", "did you mean `qty`"]),
        ("value => qty", "value => sku", &["wrong column type"]),
        ("horizon => 7", "horizn => 7", &["horizn", "did you mean `horizon`"]),
        ("FROM forecast(", "FORM forecast(", &["sql"]),
        ("location: out/forecast/", "location: .", &["location"]),
        ("TABLE(sales)", "TABLE(sale)", &["unknown table: name=sale, known=[sales], did you mean `sales`?"]),
    ];
    for (from, to, parts) in cases {
        let said = job(lake.path(), &GOOD.replacen(from, to, 1));
        assert_eq!(said.code, 2, "{to}: {}", said.stderr);
        assert_eq!(said.json()["exit_code"], 2);
        for part in *parts {
            assert!(
                said.stderr.to_lowercase().contains(&part.to_lowercase()),
                "{to}: expected {part:?} in: {}",
                said.stderr
            );
        }
    }
    let said = run(lakecast(["run", "--quiet"]).arg(lake.path().join("job.yaml")));
    assert_eq!(said.code, 2);
    // What needs no table is found without one.
    let said = job(lake.path(), &GOOD.replacen("horizon => 7", "horizn => 7", 1));
    let checked = run(lakecast(["check"]).arg(lake.path().join("job.yaml")));
    assert_eq!(checked.code, 2);
    assert!(checked.stderr.contains("did you mean `horizon`") && said.stderr.contains("did you mean `horizon`"));
}

#[test]
fn the_result_file_and_the_last_log_line_hold_the_outcome_whatever_it_is() {
    let lake = small_lake();
    let (file, result) = (lake.path().join("job.yaml"), lake.path().join("result.json"));
    for (text, code) in [(GOOD.to_string(), 0), (GOOD.replacen("horizon => 7", "horizn => 7", 1), 2)] {
        fs::write(&file, text).unwrap();
        let mut command = lakecast(["run", "--run-date", "2026-11-22", "--log-format", "json", "--result-file"]);
        let said = run(command.arg(&result).arg(&file));
        assert_eq!(said.code, code, "{}", said.stderr);
        let written: serde_json::Value = serde_json::from_slice(&fs::read(&result).unwrap()).unwrap();
        assert_eq!(written, said.json());
        let last: serde_json::Value = serde_json::from_str(said.stderr.lines().last().unwrap()).unwrap();
        match code {
            0 => assert_eq!((&written["status"], &last["level"]), (&"published".into(), &"INFO".into())),
            _ => assert_eq!((&written["exit_code"], &last["exit_code"]), (&2.into(), &2.into())),
        }
    }
}

#[test]
fn an_allow_list_keeps_inputs_and_outputs_inside() {
    let lake = small_lake();
    let file = lake.path().join("job.yaml");
    fs::write(&file, GOOD).unwrap();
    let allowed = |prefixes: &[&str]| {
        let list: Vec<_> = prefixes.iter().map(|p| lake.path().join(p).display().to_string()).collect();
        let mut command = lakecast(["run", "--run-date", "2026-11-22", "--quiet"]);
        run(command.env("LAKECAST_ALLOW", list.join(",")).arg(&file))
    };
    for inside in [["elsewhere"].as_slice(), &["out"], &["sales.csv"]] {
        let said = allowed(inside);
        assert_ne!(said.code, 0, "{inside:?}");
        assert!(said.stderr.contains("outside the allow-list"), "{inside:?}: {}", said.stderr);
        assert!(!lake.path().join("out").exists());
    }
    assert_eq!(allowed(&["out", "sales.csv"]).code, 0);
}

#[test]
fn an_output_that_is_an_input_is_refused() {
    let lake = small_lake();
    let text = GOOD.replace("sales.csv", "lake/sales/").replace("out/forecast/", "lake/sales/");
    let said = job(lake.path(), &text);
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert!(said.stderr.contains("lake/sales"), "{}", said.stderr);
}

#[test]
fn a_missing_input_and_a_foreign_output_are_named() {
    let lake = small_lake();
    let said = job(lake.path(), &GOOD.replace("sales.csv", "nowhere/"));
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert!(said.stderr.contains("nowhere"), "{}", said.stderr);
    fs::create_dir_all(lake.path().join("out/forecast")).unwrap();
    fs::write(lake.path().join("out/forecast/foreign.parquet"), b"not ours").unwrap();
    let said = job(lake.path(), GOOD);
    assert_ne!(said.code, 0);
    assert!(said.stderr.contains("foreign.parquet"), "{}", said.stderr);
}

#[test]
fn an_unwritable_location_and_a_full_disk_are_permanent_failures_that_say_so() {
    let lake = small_lake();
    // A file where a folder must be: unwritable even for root.
    fs::write(lake.path().join("out"), b"").unwrap();
    let said = job(lake.path(), GOOD);
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert!(said.stderr.contains("out"), "{}", said.stderr);
    fs::remove_file(lake.path().join("out")).unwrap();

    let mount = lake.path().join("out");
    fs::create_dir(&mount).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=16k", "tmpfs"])
        .arg(&mount)
        .stderr(std::process::Stdio::null())
        .status()
        .is_ok_and(|s| s.success());
    if !mounted {
        skip("LAKECAST_REQUIRE_TOOLS", "a full disk needs the right to mount a small tmpfs");
        return;
    }
    let big: String =
        (0..2000).flat_map(|s| (1..=9).map(move |d| format!("s{s},2026-01-0{d},{}\n", s * d % 17))).collect();
    fs::write(lake.path().join("sales.csv"), format!("sku,ds,qty\n{big}")).unwrap();
    let said = job(lake.path(), GOOD);
    let published = mount.join("forecast/_delta_log/00000000000000000000.json").exists();
    std::process::Command::new("umount").arg(&mount).status().unwrap();
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert!(said.stderr.to_lowercase().contains("no space left"), "{}", said.stderr);
    assert!(!published);
}
