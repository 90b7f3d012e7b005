//! What the topics share: the built binary, scratch lakes, the shared data, digests of tables.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::row::{RowConverter, SortField};
use lakecast_engine::tables::{TableSpec, register};
use lakecast_engine::{SessionOptions, session};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// A night over a marketplace beside the job file: forecasts and rules, into `lake/`.
pub(crate) const NIGHTLY: &str = "
name: nightly
tables:
  sales:       { location: market/sales/ }
  order_lines: { location: market/order_lines/ }
outputs:
  forecast:
    location: lake/forecast/
    sql: |
      SELECT * FROM forecast(TABLE(sales), id => sku, time => ds, value => qty, horizon => 28, season_length => 7, level => [80])
  rules:
    location: lake/rules/
    sql: |
      SELECT * FROM association_rules(TABLE(order_lines), basket => order_id, item => sku, min_support => 20, min_confidence => 0.1)
";

/// The workspace's folder, as cargo says when it runs the test: clones that share a target folder share binaries too.
pub(crate) fn workspace() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&here).parent().unwrap().to_path_buf()
}

/// The `lakecast` command, built from the same sources as this test binary.
pub(crate) fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_lakecast-under-test"))
}

/// A `lakecast` command with a clean environment.
pub(crate) fn lakecast<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(binary());
    command.args(args);
    for (key, _) in std::env::vars().filter(|(k, _)| k.starts_with("LAKECAST_") || k.starts_with("AWS_")) {
        command.env_remove(key);
    }
    command
}

/// What a finished command said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    /// The last stdout line as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        let line = self.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|e| panic!("no JSON: {e}: {line}\n{}", self.stderr))
    }
}

/// Runs to the end.
pub(crate) fn run(command: &mut Command) -> Said {
    let Output { status, stdout, stderr } = command.output().unwrap();
    Said {
        code: status.code().unwrap_or(-1),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

/// Runs to the end and asserts success.
pub(crate) fn ok(command: &mut Command) -> Said {
    let said = run(command);
    // A command that is printed whole shows its environment, and in it the keys of a store.
    let shown = std::iter::once(command.get_program()).chain(command.get_args()).collect::<Vec<_>>();
    assert_eq!(said.code, 0, "{shown:?}\n{}\n{}", said.stdout, said.stderr);
    said
}

/// Starts a command and kills it with SIGKILL after `moment`. A run that is done by then was faster than the one that the
/// moment was taken from: what it wrote is forgotten, and another is killed earlier, until a kill hits a running process.
pub(crate) fn kill_9(command: impl Fn() -> Command, mut moment: Duration, forget: impl Fn()) -> Duration {
    loop {
        forget();
        let mut child = command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(moment);
        let hit = child.try_wait().unwrap().is_none();
        child.kill().unwrap();
        child.wait().unwrap();
        if hit {
            return moment;
        }
        moment = moment.mul_f64(0.85);
    }
}

/// A folder of the shared data, or `None` with a loud line where it is not beside the checkout.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("LAKECAST_SHARED").map_or_else(|| workspace().join("../shared"), PathBuf::from);
    let dir = root.join(name);
    if dir.exists() {
        return Some(dir.canonicalize().unwrap());
    }
    let why = format!("no shared data at {}; set LAKECAST_SHARED to its folder", dir.display());
    skip("LAKECAST_REQUIRE_SHARED", &why);
    None
}

/// Says that a test is skipped, past the capture of a passing test's output; fails where `variable` is set, as in CI.
pub(crate) fn skip(variable: &str, why: &str) {
    assert!(std::env::var_os(variable).is_none(), "{variable} is set: {why}");
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

/// A runtime with the stacks that the commands give their threads.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(32 << 20).build().unwrap()
}

/// All rows of a table.
pub(crate) fn read_table(location: &Path) -> Vec<RecordBatch> {
    query(&[("t", location)], "SELECT * FROM t")
}

/// All rows of a query over tables.
pub(crate) fn query(tables: &[(&str, &Path)], sql: &str) -> Vec<RecordBatch> {
    try_query(&SessionOptions::default(), tables, sql).unwrap_or_else(|e| panic!("{sql}: {e}"))
}

/// All rows of a query over tables, or its error text.
pub(crate) fn try_query(
    options: &SessionOptions,
    tables: &[(&str, &Path)],
    sql: &str,
) -> Result<Vec<RecordBatch>, String> {
    let runtime = runtime();
    runtime.block_on(async {
        let context = session(options).map_err(|e| e.to_string())?;
        for (name, location) in tables {
            let spec = TableSpec::new(location.to_str().unwrap());
            register(&context, name, &spec, &options.stores).await.map_err(|e| e.to_string())?;
        }
        let frame = lakecast_engine::sql::sql(&context, sql).await.map_err(|e| e.to_string())?;
        frame.collect().await.map_err(|e| e.to_string())
    })
}

/// Order-free digest of rows, floats bit for bit: row count and the sum of the rows' hashes.
pub(crate) fn digest(batches: &[RecordBatch]) -> String {
    let Some(first) = batches.first() else { return "0 rows".into() };
    let fields = first.schema().fields().iter().map(|f| SortField::new(f.data_type().clone())).collect();
    let converter = RowConverter::new(fields).unwrap();
    let (mut rows, mut sum) = (0_u64, 0_u64);
    for batch in batches {
        for row in converter.convert_columns(batch.columns()).unwrap().iter() {
            let hash = Sha256::digest(row.as_ref());
            sum = sum.wrapping_add(u64::from_le_bytes(hash[..8].try_into().unwrap()));
            rows += 1;
        }
    }
    format!("{rows} rows {sum:016x}")
}
