//! Nothing stands in the way of the fleet: the same query on Ballista's scheduler and executors has the same rows, bit for
//! bit, for functions travel by name and partitions hold the same groups.

use crate::support::{digest, lakecast, ok, runtime};
use ballista::prelude::SessionContextExt;
use ballista_core::extension::SessionConfigExt;
use datafusion::arrow::array::RecordBatch;
use datafusion::execution::SessionStateBuilder;
use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::SessionContext;
use lakecast_engine::fleet::new_fleet_config;
use lakecast_engine::functions::Functions;
use lakecast_engine::group_map::LogicalCodec;
use lakecast_engine::sql::{CallPlanner, Present};
use lakecast_engine::tables::{TableSpec, register};
use lakecast_engine::{SessionOptions, session};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Kills its processes when it goes.
struct Fleet {
    processes: Vec<Child>,
    scheduler: u16,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn free_ports(n: usize) -> Vec<u16> {
    let held: Vec<_> = (0..n).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    held.iter().map(|l| l.local_addr().unwrap().port()).collect()
}

/// The status line's code of `GET path`, once somebody answers.
fn probe(port: u16, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

fn wait_for(port: u16, path: &str) {
    let started = Instant::now();
    while probe(port, path) != Some(200) {
        assert!(started.elapsed() < Duration::from_secs(60), "no answer on port {port}{path}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl Fleet {
    fn start(executors: usize, dir: &Path) -> Self {
        let ports = free_ports(2 + 3 * executors);
        let mut fleet = Self { processes: vec![], scheduler: ports[0] };
        let mut scheduler = Command::new(env!("CARGO_BIN_EXE_lakecast-scheduler-under-test"));
        scheduler.arg(format!("--bind=127.0.0.1:{}", ports[0])).arg(format!("--health=127.0.0.1:{}", ports[1]));
        fleet.spawn(&mut scheduler);
        wait_for(ports[1], "/healthz");
        for (i, own) in ports[2..].chunks(3).enumerate() {
            let mut executor = Command::new(env!("CARGO_BIN_EXE_lakecast-executor-under-test"));
            executor
                .arg(format!("--scheduler-port={}", ports[0]))
                .arg(format!("--port={}", own[0]))
                .arg(format!("--grpc-port={}", own[1]))
                .arg(format!("--health=127.0.0.1:{}", own[2]))
                .arg("--work-dir")
                .arg(dir.join(format!("executor-{i}")));
            std::fs::create_dir_all(dir.join(format!("executor-{i}"))).unwrap();
            fleet.spawn(&mut executor);
            wait_for(own[2], "/readyz");
        }
        fleet
    }

    fn spawn(&mut self, command: &mut Command) {
        self.processes.push(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    }

    async fn client(&self) -> SessionContext {
        let functions = Functions::default();
        let config = new_fleet_config()
            .with_target_partitions(8)
            .with_ballista_logical_extension_codec(Arc::new(LogicalCodec::new(functions.clone())));
        let state = SessionStateBuilder::new().with_config(config).with_default_features().build();
        let url = format!("http://127.0.0.1:{}", self.scheduler);
        let context = SessionContext::remote_with_state(&url, state).await.unwrap();
        context.register_udf(ScalarUDF::from(Present::default()));
        context.register_relation_planner(Arc::new(CallPlanner { functions })).unwrap();
        context
    }
}

async fn rows(context: &SessionContext, market: &Path, sql: &str) -> Vec<RecordBatch> {
    let options = SessionOptions::default();
    for table in ["sales", "order_lines"] {
        let spec = TableSpec::new(market.join(table).to_str().unwrap());
        let _ = context.deregister_table(table);
        register(context, table, &spec, &options.stores).await.unwrap();
    }
    lakecast_engine::sql::sql(context, sql).await.unwrap().collect().await.unwrap()
}

const QUERIES: [&str; 2] = [
    "SELECT * FROM forecast(TABLE(sales), id => sku, time => ds, value => qty, horizon => 14, season_length => 7, level => [80])",
    "SELECT * FROM association_rules(TABLE(order_lines), basket => order_id, item => sku, min_support => 15, min_confidence => 0.1)",
];

#[test]
fn scheduler_and_executors_give_the_rows_of_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let market = dir.path().join("market");
    ok(lakecast(["generate", "--skus", "200", "--days", "120", "--baskets", "3000", "--seed", "5", "--out"])
        .arg(&market));
    let runtime = runtime();
    let fleet = Fleet::start(2, dir.path());
    runtime.block_on(async {
        let here = session(&SessionOptions { partitions: 8, ..SessionOptions::default() }).unwrap();
        let there = fleet.client().await;
        for sql in QUERIES {
            let expected = digest(&rows(&here, &market, sql).await);
            assert!(!expected.starts_with("0 rows"), "{sql}");
            assert_eq!(digest(&rows(&there, &market, sql).await), expected, "{sql}");
        }
    });
    // Both executors took part: they hold shuffle files.
    for i in 0..2 {
        let work = dir.path().join(format!("executor-{i}"));
        assert!(std::fs::read_dir(&work).unwrap().next().is_some(), "{} is empty", work.display());
    }
}
