//! `lakecast doctor` says whether tables can be published at a location, and leaves nothing behind.

use crate::support::{lakecast, ok, run};
use std::fs;
use std::time::{Duration, Instant};

#[test]
fn a_local_folder_is_good_and_is_left_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["", "new/lake"] {
        let said = ok(lakecast(["doctor"]).arg(dir.path().join(folder)));
        let words: Vec<Vec<_>> = said.stdout.lines().map(|l| l.split_whitespace().take(2).collect()).collect();
        let checks = ["list", "write", "latency", "clock", "create", "delete"];
        assert_eq!(words[..checks.len()], checks.map(|c| vec![c, "good"]), "{}", said.stdout);
        assert!(said.stdout.contains("median_ms=") && said.stdout.contains("store_ahead_s=0.0"), "{}", said.stdout);
        assert!(said.stdout.contains("writers=16, rounds=4"), "{}", said.stdout);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_location_that_cannot_be_written_ends_with_1_and_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    // A file where a folder must be: unwritable even for root.
    fs::write(dir.path().join("lake"), b"").unwrap();
    let said = run(lakecast(["doctor"]).arg(dir.path().join("lake/forecast")));
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert!(said.stdout.lines().any(|l| l.starts_with("write") && l.contains("bad")), "{}", said.stdout);
    assert!(said.stderr.contains("make the location writable"), "{}", said.stderr);
}

#[test]
fn a_store_that_does_not_answer_ends_with_75_soon() {
    let started = Instant::now();
    let mut command = lakecast(["doctor", "s3://lake/forecast/"]);
    let settings = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"), ("AWS_ALLOW_HTTP", "true")];
    let said = run(command.envs(settings).env("AWS_ENDPOINT", "http://127.0.0.1:1").env("AWS_REGION", "us-east-1"));
    assert_eq!(said.code, 75, "{}", said.stderr);
    assert!(said.stderr.contains("cannot list objects, check endpoint and network"), "{}", said.stderr);
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
}

#[test]
fn the_allow_list_and_wrong_locations_are_obeyed_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let said = run(lakecast(["doctor", "--allow"]).arg(dir.path().join("lake")).arg(dir.path().join("other")));
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert!(said.stderr.contains("outside the allow-list"), "{}", said.stderr);
    ok(lakecast(["doctor", "--allow"]).arg(dir.path().join("lake")).arg(dir.path().join("lake/forecast")));
    let said = run(&mut lakecast(["doctor", "ftp://lake/"]));
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert!(said.stderr.contains("allowed=[file, s3, az, abfss, gs]"), "{}", said.stderr);
}
