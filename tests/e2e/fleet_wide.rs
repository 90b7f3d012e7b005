//! Wide and crooked inputs on a fleet: many files, one giant key, a partition that takes its executors with it.

use crate::fleet::{Fleet, Night, Options, Running};
use crate::support::{digest, lakecast, ok, read_table};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const FILES: usize = 10_000;

#[test]
fn ten_thousand_files_are_planned_launched_and_read_once() {
    let dir = tempfile::tempdir().unwrap();
    let one = dir.path().join("one");
    ok(lakecast(["generate", "--skus", "20", "--days", "30", "--baskets", "100", "--seed", "3", "--out"]).arg(&one));
    let sample = fs::read_dir(one.join("sales")).unwrap().map(|f| f.unwrap().path()).next().unwrap();
    let sales = dir.path().join("sales");
    fs::create_dir(&sales).unwrap();
    for i in 0..FILES {
        // A name as long as those that engines write, for the plan carries every one of them.
        fs::hard_link(
            &sample,
            sales.join(format!("part-{i:05}-3f9b1c7e-0000-4000-8000-0123456789ab-c000.snappy.parquet")),
        )
        .unwrap();
    }
    let job = "
name: wide
tables:
  sales: { location: sales/ }
outputs:
  totals:
    location: lake/totals/
    sql: SELECT sku, count(*) AS n, sum(qty) AS q FROM sales GROUP BY sku
";
    fs::write(dir.path().join("wide.yaml"), job).unwrap();
    let run = || {
        let mut command = lakecast(["run", "--quiet", "--run-date", "2026-11-22"]);
        command.arg(dir.path().join("wide.yaml"));
        command
    };
    let totals = dir.path().join("lake/totals");
    ok(&mut run());
    let rows = digest(&read_table(&totals));
    fs::remove_dir_all(dir.path().join("lake")).unwrap();
    let fleet = Fleet::start(&Options::default());
    let started = Instant::now();
    let said = ok(&mut fleet.send(run()));
    eprintln!("{FILES} files on a fleet: {:.1} s", started.elapsed().as_secs_f64());
    assert_eq!(said.json()["tables"][0]["rows"], read_table(&totals).iter().map(|b| b.num_rows()).sum::<usize>());
    assert_eq!(digest(&read_table(&totals)), rows);
    assert_eq!(fleet.scheduler.metric("lakecast_executors_lost_total"), 0.0, "{}", fleet.said());
}

#[test]
fn a_key_with_a_thousand_times_the_rows_is_computed_or_named() {
    let dir = tempfile::tempdir().unwrap();
    let sales = dir.path().join("sales");
    fs::create_dir(&sales).unwrap();
    let rows = "
        SELECT 's' || CAST(value % 200 AS VARCHAR) AS sku, arrow_cast(CAST(value / 200 AS INT), 'Date32') AS ds, value % 7 AS qty
        FROM generate_series(0, 79999)
        UNION ALL
        SELECT 'giant', arrow_cast(CAST(value AS INT), 'Date32'), value % 7 FROM generate_series(0, 399999)";
    ok(lakecast(["sql", "--format", "parquet", "-c", rows, "--output"]).arg(sales.join("sales.parquet")));
    let job = "
name: skew
tables:
  sales: { location: sales/ }
outputs:
  forecast:
    location: lake/forecast/
    sql: SELECT * FROM forecast(TABLE(sales), id => sku, time => ds, value => qty, horizon => 7, model => 'naive')
";
    fs::write(dir.path().join("skew.yaml"), job).unwrap();
    for (memory, status) in [("1GiB", None), ("24MiB", Some("too_large"))] {
        let _ = fs::remove_dir_all(dir.path().join("lake"));
        let fleet = Fleet::start(&Options { flags: vec![format!("--memory={memory}")], ..Options::default() });
        let mut command = lakecast(["run", "--quiet", "--run-date", "2026-11-22", "--partitions", "4"]);
        command.arg(dir.path().join("skew.yaml"));
        let said = ok(&mut fleet.send(command));
        let by_status = &said.json()["tables"][0]["rows_by_status"];
        if let Some(status) = status {
            assert_eq!(by_status[status], 1, "memory={memory}: {by_status}");
        }
        assert_eq!(said.json()["tables"][0]["groups_in"], 201, "memory={memory}");
        assert_eq!(fleet.scheduler.metric("lakecast_executors_lost_total"), 0.0);
    }
}

/// Entries of partitions under way of an output: number and executor.
fn underway(table: &Path) -> Vec<(String, String)> {
    let Ok(keys) = fs::read_dir(table.join("_lakecast/checkpoints")) else { return vec![] };
    let dirs: Vec<PathBuf> = keys.flatten().map(|key| key.path().join("underway")).collect();
    let names = dirs.iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| name.split_once('-').map(|(p, e)| (p.to_string(), e.to_string()))).collect()
}

#[test]
fn a_partition_that_takes_two_executors_with_it_is_set_aside_and_named() {
    let mut fleet = Fleet::start(&Options::default());
    let night = Night::new(6000, 730, 16);
    let rows = night.expected();
    let mut running = Running::start(&mut fleet.send(night.run()));
    let table = night.dir.path().join("lake/forecast");
    let (mut killer, mut dead) = (None::<String>, BTreeSet::new());
    let started = Instant::now();
    // Whoever takes up the first partition that is seen dies of it.
    while dead.len() < 2 && running.is_running() {
        assert!(started.elapsed() < Duration::from_secs(60), "never seen under way: {}", fleet.said());
        let seen = underway(&table)
            .into_iter()
            .find(|(partition, executor)| killer.as_ref().is_none_or(|k| k == partition) && !dead.contains(executor));
        let Some((partition, executor)) = seen else { continue };
        let Some(victim) = fleet.executors.iter_mut().find(|e| e.said().contains(&executor)) else { continue };
        victim.kill_9();
        victim.back();
        killer = Some(partition);
        dead.insert(executor);
    }
    let (said, _) = running.end(Duration::from_secs(60));
    assert_eq!(said.code, 1, "{}", said.stderr);
    let number: usize = killer.unwrap().parse().unwrap();
    for part in ["set aside", &format!("partition={number}"), "largest group: sku=SKU-"] {
        assert!(said.stderr.contains(part), "expected {part:?} in: {}", said.stderr);
    }
    assert!(dead.iter().all(|executor| said.stderr.contains(executor)), "{}", said.stderr);
    assert_eq!(night.versions(), [0, 0]);
    // Somebody mended the cause: the same command goes on with what is finished.
    ok(&mut fleet.send(night.run()));
    assert_eq!(night.digests(), rows);
}
