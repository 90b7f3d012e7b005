//! `lakecast doctor` says whether tables can be published at a location, and leaves nothing behind.

use crate::support::{lakecast, ok, run, runtime};
use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

type Objects = Arc<Mutex<BTreeMap<String, Bytes>>>;

/// A bucket that looks whether an object is there, and writes it in a second step, as servers over a file system do.
async fn two_steps(objects: Objects, request: Request) -> (StatusCode, [(&'static str, &'static str); 1], Bytes) {
    let (status, body) = answer(objects, request).await;
    (status, [("etag", "\"same\"")], body)
}

async fn answer(objects: Objects, request: Request) -> (StatusCode, Bytes) {
    let (path, query) = (request.uri().path().to_string(), request.uri().query().unwrap_or_default().to_string());
    let (method, if_absent) = (request.method().clone(), request.headers().contains_key("if-none-match"));
    let held = |path: &str| objects.lock().unwrap().get(path).cloned();
    let body = to_bytes(request.into_body(), 1 << 20).await.unwrap();
    if method == Method::PUT {
        if if_absent && held(&path).is_some() {
            return (StatusCode::PRECONDITION_FAILED, Bytes::new());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        objects.lock().unwrap().insert(path, body);
        return (StatusCode::OK, Bytes::new());
    }
    if method == Method::POST && query.starts_with("delete") {
        let text = String::from_utf8_lossy(&body).into_owned();
        let mut deleted = String::new();
        for key in text.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next()) {
            objects.lock().unwrap().remove(&format!("/lake/{key}"));
            deleted += &format!("<Deleted><Key>{key}</Key></Deleted>");
        }
        return (StatusCode::OK, format!("<DeleteResult>{deleted}</DeleteResult>").into());
    }
    if query.contains("list-type=2") {
        let nothing = b"<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
        return (StatusCode::OK, Bytes::from_static(nothing));
    }
    held(&path).map_or((StatusCode::NOT_FOUND, Bytes::new()), |body| (StatusCode::OK, body))
}

#[test]
fn a_local_folder_is_good_and_is_left_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["", "new/lake"] {
        let said = ok(lakecast(["doctor"]).arg(dir.path().join(folder)));
        let words: Vec<Vec<_>> = said.stdout.lines().map(|l| l.split_whitespace().take(2).collect()).collect();
        let checks = ["list", "write", "latency", "clock", "create", "delete"];
        assert_eq!(words[..checks.len()], checks.map(|c| vec![c, "good"]), "{}", said.stdout);
        assert!(
            said.stdout.contains("median_ms=") && said.stdout.contains("clocks agree, store_ahead_s="),
            "{}",
            said.stdout
        );
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

#[test]
fn a_bucket_where_two_may_create_one_object_is_told_by_doctor_and_refused_by_run() {
    let (runtime, objects) = (runtime(), Objects::default());
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let of_bucket = Arc::clone(&objects);
    let bucket = Router::new().fallback(move |request: Request| two_steps(Arc::clone(&of_bucket), request));
    runtime.spawn(async move { axum::serve(listener, bucket).await });
    let there = |mut command: Command| {
        let settings = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"), ("AWS_ALLOW_HTTP", "true")];
        run(command.envs(settings).env("AWS_ENDPOINT", &endpoint).env("AWS_REGION", "us-east-1"))
    };
    let said = there(lakecast(["doctor", "s3://lake/forecast/"]));
    assert_eq!(said.code, 1, "{}\n{}", said.stdout, said.stderr);
    assert!(said.stderr.contains("the store does not make create-if-absent atomic"), "{}", said.stderr);
    assert!(said.stderr.contains("of 16 writers were told that they created the same object"), "{}", said.stderr);
    let good = |check: &str| said.stdout.lines().any(|l| l.starts_with(check) && l.contains(" good "));
    assert!(good("list") && good("write") && good("delete") && !good("create"), "{}", said.stdout);

    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("sales.csv"), "sku,ds,qty\na,2026-01-01,1\na,2026-01-02,2\n").unwrap();
    let job = "
name: small
tables:
  sales: { location: sales.csv }
outputs:
  forecast:
    location: s3://lake/forecast/
    sql: SELECT * FROM forecast(TABLE(sales), id => sku, time => ds, value => qty, horizon => 7)
";
    fs::write(dir.path().join("job.yaml"), job).unwrap();
    let mut command = lakecast(["run", "--run-date", "2026-11-22", "--quiet"]);
    command.arg(dir.path().join("job.yaml"));
    let said = there(command);
    assert_eq!((said.code, &said.json()["retryable"]), (1, &false.into()), "{}", said.stderr);
    assert!(said.stderr.contains("two runs could both publish"), "{}", said.stderr);
    assert!(said.stderr.contains("lakecast doctor"), "{}", said.stderr);
    assert!(objects.lock().unwrap().is_empty(), "{:?}", objects.lock().unwrap().keys());
}
