//! Every job in jobs/examples runs and publishes. `nightly.yaml` runs on generated data, the others on the shared sets.

use crate::support::{lakecast, ok, query, shared, workspace};
use std::path::Path;

fn publish(job: &Path, dir: &Path, data: Option<&Path>) -> serde_json::Value {
    let mut command = lakecast(["run", "--run-date", "2026-11-22", "--quiet"]);
    command.arg(job).arg("--set").arg(format!("out={}", dir.join("out").display()));
    if let Some(data) = data {
        command.arg("--set").arg(format!("data={}", data.display()));
    }
    ok(&mut command).json()
}

#[test]
fn every_example_on_shared_data_publishes() {
    let Some(data) = shared("data") else { return };
    let mut ran = 0;
    for entry in std::fs::read_dir(workspace().join("jobs/examples")).unwrap() {
        let job = entry.unwrap().path();
        if job.is_dir() || job.file_name().is_some_and(|n| n == "nightly.yaml") {
            continue;
        }
        let dir = tempfile::tempdir().unwrap();
        let report = publish(&job, dir.path(), Some(&data));
        for table in report["tables"].as_array().unwrap() {
            assert!(table["rows"].as_u64().unwrap() > 0, "{}: {table}", job.display());
            let location =
                dir.path().join("out").join(Path::new(table["location"].as_str().unwrap()).file_name().unwrap());
            let rows = query(&[("t", &location)], "SELECT * FROM t").iter().map(|b| b.num_rows() as u64).sum::<u64>();
            assert_eq!(Some(rows), table["rows"].as_u64(), "{}", job.display());
        }
        ran += 1;
    }
    assert!(ran > 0);
}

#[test]
fn the_nightly_example_runs_on_generated_data() {
    let dir = tempfile::tempdir().unwrap();
    ok(lakecast(["generate", "--skus", "400", "--days", "60", "--baskets", "12000", "--out"])
        .arg(dir.path().join("market")));
    let job = dir.path().join("nightly.yaml");
    std::fs::copy(workspace().join("jobs/examples/nightly.yaml"), &job).unwrap();
    let report = ok(lakecast(["run", "--run-date", "2026-11-22", "--quiet"]).arg(&job)).json();
    assert_eq!(report["tables"].as_array().unwrap().len(), 2);
    let checked = ok(lakecast(["check"]).arg(&job)).stdout;
    assert!(checked.contains("good") && checked.contains("outputs=[forecast, rules]"), "{checked}");
    let planned = ok(lakecast(["plan", "--run-date", "2026-11-23"]).arg(&job)).stdout;
    assert!(planned.contains("GroupMapExec: forecast") && planned.contains("groups by [sku]: 400"), "{planned}");
}

#[test]
fn a_night_goes_on_from_the_one_before_it() {
    let dir = tempfile::tempdir().unwrap();
    ok(lakecast(["generate", "--skus", "60", "--days", "120", "--baskets", "100", "--out"])
        .arg(dir.path().join("market")));
    for job in ["first.yaml", "next.yaml"] {
        std::fs::copy(workspace().join("jobs/examples/nights").join(job), dir.path().join(job)).unwrap();
    }
    ok(lakecast(["run", "--run-date", "2026-11-20", "--quiet"]).arg(dir.path().join("first.yaml")));
    for (date, last) in [("2026-11-21", "last_night=2026-11-20"), ("2026-11-22", "last_night=2026-11-21")] {
        let report =
            ok(lakecast(["run", "--run-date", date, "--quiet", "--set", last]).arg(dir.path().join("next.yaml")))
                .json();
        assert_eq!(report["tables"][0]["rows_by_status"]["ok"], 60 * 28, "{report}");
        let table = dir.path().join("lake/forecast").join(date);
        let count = |what: &str| {
            let sql = format!("SELECT sku FROM t WHERE step = 1 AND (fit {what})");
            query(&[("t", &table)], &sql).iter().map(|b| b.num_rows()).sum::<usize>()
        };
        assert_eq!(count("= 'updated'") + count("LIKE 'refitted: its turn' OR fit = 'refitted: tracking signal'"), 60);
        assert!(count("= 'updated'") > 40, "{date}: {}", count("= 'updated'"));
    }
}
