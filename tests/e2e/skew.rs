//! One key with a thousand times the rows of the others: it is computed, or refused alone within the memory.

use crate::support::{Said, lakecast, query, run};
use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::util::pretty::pretty_format_batches;
use parquet::arrow::ArrowWriter;
use std::fs;
use std::path::Path;
use std::sync::Arc;

const KEYS: usize = 200;
const ROWS: usize = 1_000;

const JOB: &str = "
name: skew
variables: { out: '' }
tables:
  sales: { location: sales/ }
outputs:
  forecast:
    location: ${out}/
    sql: SELECT * FROM forecast(TABLE(sales), id => sku, time => t, value => qty, horizon => 7, season_length => 7, level => [80])
";

/// In four files; each holds a part of every key, the rows in no order.
fn write(dir: &Path) {
    let all = (0..KEYS).map(|k| (format!("sku-{k:03}"), ROWS)).chain([("giant".to_string(), 1_000 * ROWS)]);
    let rows: Vec<_> = all.flat_map(|(id, n)| (0..n as i64).map(move |t| (id.clone(), t))).collect();
    // A step that is coprime with the number of rows visits each once.
    let (step, n) = (7_919, rows.len());
    let order: Vec<_> = (0..n).map(|i| &rows[i * step % n]).collect();
    fs::create_dir_all(dir).unwrap();
    for (file, part) in order.chunks(n.div_ceil(4)).enumerate() {
        let ids: ArrayRef = Arc::new(StringArray::from_iter_values(part.iter().map(|r| &r.0)));
        let times: ArrayRef = Arc::new(Int64Array::from_iter_values(part.iter().map(|r| r.1)));
        let value = |r: &(String, i64)| ((r.1 * 7 + r.0.len() as i64) % 11 + r.1 % 7) as f64;
        let values: ArrayRef = Arc::new(Float64Array::from_iter_values(part.iter().map(|r| value(r))));
        let batch = RecordBatch::try_from_iter([("sku", ids), ("t", times), ("qty", values)]).unwrap();
        let out = fs::File::create(dir.join(format!("part-{file}.parquet"))).unwrap();
        let mut writer = ArrowWriter::try_new(out, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }
}

#[test]
fn a_key_with_a_thousand_times_the_rows_is_computed_or_refused_alone() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("sales"));
    fs::write(dir.path().join("job.yaml"), JOB).unwrap();
    let publish = |memory: &str| -> (Said, String, String) {
        let out = dir.path().join(memory);
        let mut command = lakecast(["run", "--run-date", "2026-11-22", "--quiet", "--memory", memory, "--set"]);
        let said = run(command.arg(format!("out={}", out.display())).arg(dir.path().join("job.yaml")));
        assert_eq!(said.code, 0, "--memory {memory}: {}", said.stderr);
        let rows = |filter: &str| {
            let sql = format!("SELECT * FROM f WHERE {filter} ORDER BY sku, step");
            pretty_format_batches(&query(&[("f", &out)], &sql)).unwrap().to_string()
        };
        let (others, giant) = (rows("sku <> 'giant'"), rows("sku = 'giant'"));
        (said, others, giant)
    };
    let (said, others, giant) = publish("1GiB");
    assert_eq!(said.json()["tables"][0]["rows_by_status"], serde_json::json!({ "ok": 7 * (KEYS + 1) }));
    assert!(giant.contains("| 1000006 |"), "{giant}");

    let (said, others_small, giant) = publish("16MiB");
    let counts = serde_json::json!({ "ok": 7 * KEYS, "too_large": 1 });
    assert_eq!(said.json()["tables"][0]["rows_by_status"], counts);
    assert_eq!(others, others_small);
    for part in ["too_large", "no memory is left for the series, raise --memory", "rows=1000000", " 999999 "] {
        assert!(giant.contains(part), "expected {part:?} in:\n{giant}");
    }
    // With more memory the same command computes it.
    let mut again = lakecast(["run", "--run-date", "2026-11-22", "--quiet", "--memory", "1GiB", "--set"]);
    let again = run(again.arg(format!("out={}", dir.path().join("16MiB").display())).arg(dir.path().join("job.yaml")));
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert_eq!(again.json()["tables"][0]["rows_by_status"], serde_json::json!({ "ok": 7 * (KEYS + 1) }));
    let version = &query(&[("f", &dir.path().join("16MiB"))], "SELECT count(*) FROM f")[0];
    assert_eq!(version.column(0).as_primitive::<arrow::datatypes::Int64Type>().value(0), 7 * (KEYS as i64 + 1));
}
