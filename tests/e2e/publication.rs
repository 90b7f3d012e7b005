//! Exactly-once publication: a run killed with SIGKILL at any moment is continued by the same command, a repeated run is a
//! no-op, and readers that are not ours agree on what was published.

use crate::support::{NIGHTLY, digest, kill_9, lakecast, ok, query, read_table, run, skip, workspace};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A lake with generated sales and a job over them.
struct Lake {
    dir: tempfile::TempDir,
}

impl Lake {
    fn new(skus: u32, days: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let market = dir.path().join("market");
        let (skus, days) = (skus.to_string(), days.to_string());
        ok(lakecast(["generate", "--skus", &skus, "--days", &days, "--baskets", "5000", "--seed", "7", "--out"])
            .arg(&market));
        fs::write(dir.path().join("nightly.yaml"), NIGHTLY).unwrap();
        Self { dir }
    }

    fn run(&self) -> Command {
        let mut command = lakecast(["run", "--run-date", "2026-11-22", "--partitions", "8", "--quiet"]);
        command.arg(self.dir.path().join("nightly.yaml"));
        command
    }

    fn table(&self, name: &str) -> PathBuf {
        self.dir.path().join("lake").join(name)
    }

    fn digests(&self) -> [String; 2] {
        ["forecast", "rules"].map(|t| digest(&read_table(&self.table(t))))
    }

    fn forget_outputs(&self) {
        let _ = fs::remove_dir_all(self.dir.path().join("lake"));
    }

    /// Commits of a table: entries of its log.
    fn versions(&self, name: &str) -> usize {
        let log = self.table(name).join("_delta_log");
        let Ok(entries) = fs::read_dir(log) else { return 0 };
        entries.filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().ends_with(".json")).count()
    }
}

fn table<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["tables"].as_array().unwrap().iter().find(|t| t["output"] == name).unwrap()
}

#[test]
fn a_repeated_run_is_a_no_op_and_says_so() {
    let lake = Lake::new(60, 120);
    let first = ok(&mut lake.run()).json();
    assert_eq!(first["status"], "published");
    let before = lake.digests();
    let second = ok(&mut lake.run()).json();
    assert_eq!(second["status"], "already published");
    assert_eq!(second["run_id"], first["run_id"]);
    assert_eq!(table(&second, "forecast")["version"], table(&first, "forecast")["version"]);
    assert_eq!(lake.versions("forecast"), 1);
    assert_eq!(lake.digests(), before);
}

#[test]
fn another_date_adds_a_partition_and_changed_input_replaces_one() {
    let lake = Lake::new(40, 100);
    ok(&mut lake.run());
    let mut next = lakecast(["run", "--run-date", "2026-11-23", "--partitions", "8", "--quiet"]);
    ok(next.arg(lake.dir.path().join("nightly.yaml")));
    let days = |l: &Lake| {
        let rows = query(
            &[("f", &l.table("forecast"))],
            "SELECT run_date, count(*) AS n FROM f GROUP BY run_date ORDER BY run_date",
        );
        datafusion::arrow::util::pretty::pretty_format_batches(&rows).unwrap().to_string()
    };
    let both = days(&lake);
    assert!(both.contains("2026-11-22") && both.contains("2026-11-23"), "{both}");
    // One sales file fewer: fewer series, and the partition of the first date is replaced, the other kept.
    let sales = lake.dir.path().join("market/sales");
    let mut files: Vec<_> = fs::read_dir(&sales).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 1);
    fs::remove_file(&files[0]).unwrap();
    let report = ok(&mut lake.run()).json();
    assert_eq!(report["status"], "published");
    let fewer = days(&lake);
    assert_ne!(fewer, both);
    assert_eq!(fewer.lines().find(|l| l.contains("2026-11-23")), both.lines().find(|l| l.contains("2026-11-23")));
}

#[test]
fn kill_9_at_any_moment_is_continued_by_the_same_command() {
    let lake = Lake::new(3000, 700);
    let started = Instant::now();
    let whole = ok(&mut lake.run()).json();
    let took = started.elapsed();
    let (expected, groups) = (lake.digests(), table(&whole, "forecast")["groups_in"].clone());
    let mut continued = 0;
    const KILLS: u32 = 20;
    for kill in 0..KILLS {
        let moment = took.mul_f64((f64::from(kill) + 0.5) / f64::from(KILLS));
        let moment = kill_9(|| lake.run(), moment, || lake.forget_outputs());
        let finished = checkpoints(&lake.table("forecast"));
        let was_published = lake.versions("forecast") > 0;
        let report = ok(&mut lake.run()).json();
        assert_eq!(lake.digests(), expected, "killed after {moment:?}");
        assert_eq!((lake.versions("forecast"), lake.versions("rules")), (1, 1), "killed after {moment:?}");
        let forecast = table(&report, "forecast");
        if was_published {
            assert_eq!(forecast["already_published"], true);
        } else {
            // What was checkpointed is not computed again, and together it is everything.
            assert_eq!(forecast["partitions_from_checkpoint"], finished, "killed after {moment:?}");
            assert_eq!(forecast["partitions_computed"], 8 - finished, "killed after {moment:?}");
            assert_eq!(forecast["groups_in"], groups);
            continued += u32::from(finished > 0);
        }
    }
    eprintln!("{KILLS} kills of a run of {took:?}; {continued} runs went on from checkpoints");
    assert!(continued > 0, "no kill left a checkpoint");
}

fn checkpoints(table: &Path) -> u64 {
    let Ok(keys) = fs::read_dir(table.join("_lakecast/checkpoints")) else { return 0 };
    keys.map(|k| {
        fs::read_dir(k.unwrap().path())
            .unwrap()
            .filter(|f| f.as_ref().unwrap().path().extension().is_some_and(|e| e == "json"))
            .count() as u64
    })
    .sum()
}

#[test]
fn ctrl_c_and_sigterm_stop_cleanly_and_leave_a_resumable_run() {
    let lake = Lake::new(3000, 700);
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let stopped = (0..20).find_map(|_| {
            lake.forget_outputs();
            let mut child = lake.run().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            // The first file shows that the run is under way; one that ends before the signal is tried again.
            while !lake.table("forecast").exists() && child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(2));
            }
            Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
            let out = child.wait_with_output().unwrap();
            (out.status.code() != Some(0)).then_some(out)
        });
        let out = stopped.unwrap_or_else(|| panic!("every run ended before the signal"));
        assert_eq!(out.status.code(), Some(code), "{}", String::from_utf8_lossy(&out.stderr));
        assert!(String::from_utf8_lossy(&out.stderr).contains("run the same command to continue"));
        assert_eq!(lake.versions("forecast"), 0);
    }
    assert_eq!(ok(&mut lake.run()).json()["status"], "published");
}

#[test]
fn runs_lists_what_was_published() {
    let lake = Lake::new(30, 60);
    let report = ok(&mut lake.run()).json();
    let listed = ok(lakecast(["runs"]).arg(lake.table("forecast"))).stdout;
    assert!(listed.contains(report["run_id"].as_str().unwrap()), "{listed}");
    assert!(listed.contains("run_date=2026-11-22") && listed.contains("version=0"), "{listed}");
}

#[test]
fn a_check_of_the_job_refuses_and_nothing_is_visible() {
    let lake = Lake::new(30, 60);
    let job =
        NIGHTLY.replace("    location: lake/rules/", "    location: lake/rules/\n    checks: { min_rows: 100000000 }");
    assert_ne!(job, NIGHTLY);
    fs::write(lake.dir.path().join("nightly.yaml"), job).unwrap();
    let said = run(&mut lake.run());
    assert_eq!(said.code, 4, "{}", said.stderr);
    assert!(said.stderr.contains("min_rows=100000000"), "{}", said.stderr);
    assert_eq!((lake.versions("forecast"), lake.versions("rules")), (0, 0));
}

/// The readers, in the versions that the test was written with.
const READERS: [&str; 4] = ["duckdb==2.0.1", "polars==2.1.0", "deltalake==1.6.6", "pyarrow==26.0.1"];

/// Python with the readers, installed once into a virtual environment below the target folder.
fn python() -> Option<PathBuf> {
    let venv = crate::support::binary().parent().unwrap().join("lakecast-readers");
    let python = venv.join("bin/python");
    let ready = |p: &Path| {
        Command::new(p)
            .args(["-c", "import duckdb, polars, deltalake, pyarrow"])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|s| s.success())
    };
    if !ready(&python) {
        let made = Command::new("python3").args(["-m", "venv"]).arg(&venv).status().is_ok_and(|s| s.success());
        let installed = made
            && Command::new(&python)
                .args(["-m", "pip", "install", "--quiet"])
                .args(READERS)
                .status()
                .is_ok_and(|s| s.success());
        if !installed || !ready(&python) {
            skip("LAKECAST_REQUIRE_TOOLS", "independent readers need python3 with venv and access to PyPI");
            return None;
        }
    }
    Some(python)
}

#[test]
fn duckdb_polars_and_deltalake_agree_on_rows_and_sums() {
    let Some(python) = python() else { return };
    let lake = Lake::new(200, 200);
    let report = ok(&mut lake.run()).json();
    for name in ["forecast", "rules"] {
        let out =
            Command::new(&python).arg(workspace().join("tests/readers.py")).arg(lake.table(name)).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let said: Value = serde_json::from_slice(&out.stdout).unwrap();
        let rows = table(&report, name)["rows"].as_u64().unwrap();
        let column = if name == "forecast" { "yhat" } else { "lift" };
        let ours = query(&[("t", &lake.table(name))], &format!("SELECT sum({column}) FROM t"));
        let ours: f64 = datafusion::arrow::array::AsArray::as_primitive::<datafusion::arrow::datatypes::Float64Type>(
            ours[0].column(0),
        )
        .value(0);
        let mut readers = BTreeSet::new();
        for (reader, seen) in said.as_object().unwrap() {
            readers.insert(reader.as_str());
            assert_eq!(seen["rows"].as_u64(), Some(rows), "{reader}");
            let sum = seen["sums"][column].as_f64().unwrap();
            assert!((sum - ours).abs() <= 1e-9 * ours.abs(), "{reader}: {sum} and {ours}");
        }
        assert_eq!(readers, BTreeSet::from(["deltalake", "duckdb", "polars"]));
    }
}
