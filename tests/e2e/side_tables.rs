//! Tables beside the input: rows known of the future, states, holidays; the same rows in one process and on a fleet.

use crate::fleet::{Fleet, Options};
use crate::support::{digest, lakecast, ok, read_table, try_query};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, Int64Builder, RecordBatch};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Int8Type, Int64Type};
use lakecast_engine::SessionOptions;
use lakecast_engine::functions::Functions;
use lakecast_udfs::args::Args;
use lakecast_udfs::functions::{BoundFunction, GroupContext, GroupFunction, GroupSchema, GroupWorker, Outcome};
use lakecast_udfs::signature::{Class, Column, KIND, Output, Own, Reach, Role, Signature, Table};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Sales of some skus over ten weeks with promotions, the promotions of two weeks more, and a fair on some days.
struct Shop {
    dir: tempfile::TempDir,
}

impl Shop {
    fn new(skus: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (mut sales, mut promo) = ("sku,ds,qty,promo\n".to_string(), "ds,promo,note,sku\n".to_string());
        let is_promo = |sku: usize, day: usize| usize::from((day + sku) % 9 == 4);
        for sku in 0..skus {
            for day in 0..84 {
                let (date, promoted) = (date(day), is_promo(sku, day));
                let lift = (2 + promoted) * if FAIR.contains(&day) { 2 } else { 1 };
                match day < 70 {
                    true => writeln!(sales, "s{sku:03},{date},{},{promoted}", 20 * lift + (day * 7 + sku) % 5).unwrap(),
                    false => writeln!(promo, "{date},{promoted},planned,s{sku:03}").unwrap(),
                }
            }
        }
        let shop = Self { dir };
        std::fs::write(shop.path("sales.csv"), sales).unwrap();
        std::fs::write(shop.path("promo.csv"), promo).unwrap();
        // In two files, so that a table of more than one partition is read whole too.
        std::fs::create_dir(shop.path("holidays")).unwrap();
        for (at, days) in FAIR.chunks(3).enumerate() {
            let rows: String = days.iter().map(|day| format!("{},fair\n", date(*day))).collect();
            std::fs::write(shop.path(&format!("holidays/{at}.csv")), format!("ds,name\n{rows}")).unwrap();
        }
        shop
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn query(&self, options: &SessionOptions, sql: &str) -> Result<Vec<RecordBatch>, String> {
        let paths = TABLES.map(|(name, file)| (name, self.path(file)));
        let tables: Vec<(&str, &Path)> = paths.iter().map(|(name, path)| (*name, path.as_path())).collect();
        try_query(options, &tables, sql)
    }

    fn rows(&self, sql: &str) -> RecordBatch {
        let rows = self.query(&SessionOptions::default(), sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
        concat_batches(&rows[0].schema(), &rows).unwrap()
    }
}

const TABLES: [(&str, &str); 3] = [("sales", "sales.csv"), ("promo", "promo.csv"), ("holidays", "holidays")];
const FAIR: [usize; 6] = [6, 19, 33, 50, 64, 75];

fn date(day: usize) -> String {
    let (month, day) = match day {
        0..31 => (1, day),
        31..59 => (2, day - 31),
        _ => (3, day - 59),
    };
    format!("2026-{month:02}-{:02}", day + 1)
}

const CALL: &str = "id => sku, time => ds, value => qty, horizon => 14, season_length => 7, level => [80]";

fn with(more: &str) -> String {
    format!("SELECT * FROM forecast(TABLE(sales), {CALL}{more})")
}

const KNOWN: &str = ", regressors => promo, future => TABLE(promo), holidays => TABLE(holidays)";
/// Ten departments, each in some shops, of expressions as columns may be.
const POOLED: &str = ", regressors => promo, future => TABLE(promo), holidays => TABLE(holidays), \
                      pool_by => [substr(sku, 4, 1), substr(sku, 3, 1)]";

#[test]
fn promotions_and_holidays_known_in_the_future_lift_their_days() {
    let shop = Shop::new(3);
    let rows = shop.rows(&format!("{} ORDER BY sku, step", with(KNOWN)));
    let yhat = rows.column_by_name("yhat").unwrap().as_primitive::<Float64Type>().values();
    assert_eq!(yhat.len(), 3 * 14);
    for sku in 0..3 {
        for (step, y) in yhat[sku * 14..][..14].iter().enumerate() {
            let promoted = (70 + step + sku) % 9 == 4;
            let expected = 40.0 * if promoted { 1.5 } else { 1.0 } * if step == 5 { 2.0 } else { 1.0 };
            assert!((y / expected - 1.0).abs() < 0.25, "sku={sku} step={} yhat={y} expected={expected}", step + 1);
        }
    }
    let unused = rows.column_by_name("regressors_unused").unwrap();
    assert_eq!(unused.null_count(), unused.len(), "{unused:?}");
}

#[test]
fn effects_of_a_short_series_are_those_of_its_group() {
    let shop = Shop::new(20);
    // The last sku has seen no fair; an id, a regressor and what never changes may be pool columns too.
    let sales = "(SELECT * FROM sales WHERE sku <> 's019' OR (ds > DATE '2026-02-20' AND ds <> DATE '2026-03-06'))";
    let call = |pool_by: &str| {
        let more = format!("{CALL}{KNOWN}{pool_by}, fill => 'null', model => 'ets_ana'");
        format!("SELECT * FROM forecast({sales}, {more}) WHERE sku = 's019' ORDER BY step")
    };
    let effects = |rows: &RecordBatch| {
        let column = rows.column_by_name("effects").unwrap().as_string::<i32>().clone();
        assert_eq!(column.null_count(), 13, "they stand on the first row");
        column.value(0).to_string()
    };
    let alone = shop.rows(&call(""));
    let said = effects(&alone);
    assert!(said.starts_with("promo=") && !said.contains("fair"), "{said}");
    for pool_by in ["left(sku, 2)", "[left(sku, 1), ds > DATE '1970-01-01']"] {
        let drawn = shop.rows(&call(&format!(", pool_by => {pool_by}")));
        let said = effects(&drawn);
        assert!(said.contains("fair=0.") && said.contains(" pool"), "{said}");
        let ratio = |step: usize| {
            let of =
                |rows: &RecordBatch| rows.column_by_name("yhat").unwrap().as_primitive::<Float64Type>().value(step - 1);
            of(&drawn) / of(&alone)
        };
        // The fair of day 75 is step 6 and doubles what is sold.
        assert!((1.7..2.3).contains(&ratio(6)), "{}", ratio(6));
    }
    for pool_by in ["sku", "[promo, sku]"] {
        assert_eq!(shop.rows(&call(&format!(", pool_by => {pool_by}"))).num_rows(), 14);
    }
}

#[test]
fn a_table_argument_is_written_in_three_ways() {
    let shop = Shop::new(2);
    let digests = ["TABLE(promo)", "promo", "(SELECT sku, ds, promo FROM promo)", "TABLE((SELECT * FROM promo))"]
        .map(|table| digest(&[shop.rows(&with(&format!(", regressors => [promo], future => {table}")))]));
    assert!(digests[0].starts_with("28 rows") && digests.iter().all(|d| *d == digests[0]), "{digests:?}");
    // Other types that mean the same.
    let cast = "(SELECT sku, CAST(ds AS TIMESTAMP) AS ds, CAST(promo AS DOUBLE) AS promo FROM promo)";
    let typed = shop.rows(&with(&format!(", regressors => [promo], future => {cast}")));
    assert_eq!(digest(&[typed]), digests[0]);
}

#[test]
fn a_night_goes_on_from_the_state_of_the_last_with_only_the_new_rows() {
    let shop = Shop::new(5);
    let first = format!(
        "SELECT sku, fitted AS state FROM forecast((SELECT * FROM sales WHERE ds <= DATE '2026-03-08'), {CALL}, fitted => true) \
         WHERE step = 1"
    );
    let night = |input: &str| {
        let columns = "sku, ds, yhat, yhat_lower_80, yhat_upper_80, model, cutoff, status, fit";
        shop.rows(&format!(
            "SELECT {columns} FROM forecast({input}, {CALL}, refit_every => 10000, state => ({first})) ORDER BY sku, ds"
        ))
    };
    let new_rows = night("(SELECT * FROM sales WHERE ds > DATE '2026-03-08')");
    assert_eq!(new_rows.num_rows(), 5 * 14);
    let text = |name: &str| {
        let column = new_rows.column_by_name(name).unwrap();
        column.as_string::<i32>().iter().flatten().map(String::from).collect::<Vec<_>>()
    };
    assert!(
        text("status").iter().all(|s| s == "ok") && text("fit").iter().all(|f| f.starts_with("updated")),
        "{new_rows:?}"
    );
    assert!(text("fit").iter().all(|f| f == "updated"), "{new_rows:?}");
    // The whole history beside the state is no other night.
    assert_eq!(digest(&[night("TABLE(sales)")]), digest(std::slice::from_ref(&new_rows)));
}

#[test]
fn without_side_tables_the_plan_is_what_it_was_and_with_them_it_costs_one_shuffle() {
    let shop = Shop::new(1);
    let explain = |sql: &str| -> String {
        let rows = shop.rows(&format!("EXPLAIN {sql}"));
        rows.column(1).as_string::<i32>().iter().flatten().collect()
    };
    let plain = explain(&with(""));
    assert!(!plain.contains("Union") && !plain.contains(KIND) && !plain.contains("sides="), "{plain}");
    let known = explain(&with(KNOWN));
    let (_, physical) = known.split_once("GroupMapExec").unwrap();
    assert_eq!(physical.matches("RepartitionExec: partitioning=Hash").count(), 1, "{known}");
    assert!(known.contains("sides=[holidays]"), "{known}");
    let pooled = explain(&with(POOLED));
    assert!(pooled.contains("sides=[holidays, pools]") && pooled.contains("GroupMapExec: pool_effects"), "{pooled}");
    // A predicate on the key goes down to both tables; beside a table without keys it stays above.
    let filter = " WHERE sku = 's000'";
    let narrowed = explain(&format!("{}{filter}", with(", regressors => promo, future => TABLE(promo)")));
    assert!(narrowed.matches("sku = Utf8(\"s000\")").count() >= 2, "{narrowed}");
    assert_eq!(shop.rows(&format!("{}{filter}", with(KNOWN))).num_rows(), 14);
}

#[test]
fn wrong_side_tables_are_named_with_what_is_allowed() {
    let shop = Shop::new(1);
    let cases: &[(&str, &[&str])] = &[
        (", regressors => promo, futur => TABLE(promo)", &["unknown argument: name=futur", "did you mean `future`"]),
        (", regressors => promo, future => TABLE(promos)", &["promos", "did you mean `promo`"]),
        (", regressors => promo, future => 7", &["argument is a table: name=future, given=7", "TABLE(name)"]),
        (
            ", regressors => promo, future => (SELECT sku, ds AS day, promo AS offer FROM promo)",
            &["table lacks columns: argument=future, missing=[ds, promo], known=[sku, day, offer]"],
        ),
        (
            ", regressors => promo, future => (SELECT sku, ds, note AS promo FROM promo)",
            &["wrong column type: argument=future, column=promo, type=Utf8", "integer, float, decimal or boolean"],
        ),
        (
            ", regressors => promo, future => (SELECT sku, promo, 1 AS ds FROM promo)",
            &["wrong column type: argument=future, column=ds, type=Int64", "casts to Date32"],
        ),
        (", regressors => promo", &["regressors need `future => TABLE(..)`"]),
        (", future => promo", &["future needs `regressors => [..]`"]),
        (", regressors => sku, future => promo", &["wrong column type: argument=regressors"]),
        (", regressors => [promo, promo], future => promo", &["same column serves two arguments: column=promo"]),
        (
            ", holidays => (SELECT ds, 'x' AS label FROM holidays)",
            &["table lacks columns: argument=holidays, missing=[name|holiday], known=[ds, label]", "ds|date|time"],
        ),
        (
            ", holidays => (SELECT ds, 1 AS name FROM holidays)",
            &["argument=holidays, column=name, type=Int64", "string"],
        ),
        (", state => (SELECT sku FROM sales)", &["argument=state, missing=[state]"]),
        (", holidays => holidays, holidays => holidays", &["given twice: name=holidays"]),
        (", pool_by => sku", &["pool_by needs `regressors => [..]` or `holidays => TABLE(..)`"]),
        (", pol_by => sku, holidays => holidays", &["unknown argument: name=pol_by", "did you mean `pool_by`"]),
        (
            ", pool_by => [sku, promos], holidays => holidays",
            &["no such column: argument=pool_by, given=promos, known=[sku, ds, qty, promo]", "did you mean `promo`"],
        ),
        (", pool_by => 'sku', holidays => holidays", &["argument names a column: name=pool_by"]),
        (", pool_by => qty / 2.0, holidays => holidays", &["wrong column type: argument=pool_by", "type=Float64"]),
        (", pool_by => sku, regressors => promo", &["regressors need `future => TABLE(..)`"]),
        (", available => sku", &["wrong column type: argument=available", "boolean, or an integer"]),
        (", duplicates => 'last'", &["version => column"]),
        (", duplicates => 'first'", &["duplicates", "error, sum, last"]),
        (", quantiles => [0.5, 1.0]", &["quantiles", "above 0 and below 1"]),
        (", non_negative => 'yes'", &["non_negative", "true or false"]),
    ];
    for (more, parts) in cases {
        let error = shop.query(&SessionOptions::default(), &with(more)).unwrap_err();
        for part in *parts {
            assert!(error.contains(part), "{more}: expected {part:?} in: {error}");
        }
    }
}

#[test]
fn a_holiday_that_is_none_ends_the_job_and_says_which() {
    let shop = Shop::new(1);
    let wrong = ", holidays => (SELECT ds, name, 2 AS lower_window, 1 AS upper_window FROM holidays)";
    let error = shop.query(&SessionOptions::default(), &with(wrong)).unwrap_err();
    assert!(error.contains("name=fair, lower_window=2, upper_window=1"), "{error}");
}

#[test]
fn partitions_and_batch_sizes_change_no_bit() {
    let shop = Shop::new(40);
    let twice = "SELECT * FROM forecast((SELECT *, 1 AS load FROM sales UNION ALL SELECT sku, ds, qty / 3.0, promo, 2 FROM sales)";
    let cleaned = format!("{twice}, {CALL}{KNOWN}, duplicates => 'sum', spikes => 'cap', fill => 'null')");
    let last = format!("{twice}, {CALL}{KNOWN}, version => load, duplicates => 'last', leading_zeros => 'drop')");
    for sql in [with(KNOWN), with(POOLED), cleaned, last] {
        let digests = [(1, 512), (4, 8192), (16, 100), (64, 8192)].map(|(partitions, batch_size_rows)| {
            digest(
                &shop
                    .query(&SessionOptions { partitions, batch_size_rows, ..SessionOptions::default() }, &sql)
                    .unwrap(),
            )
        });
        assert!(digests[0].starts_with("560 rows") && digests.iter().all(|d| *d == digests[0]), "{sql}: {digests:?}");
    }
}

#[test]
fn a_fleet_reads_side_tables_as_one_process_does() {
    let shop = Shop::new(30);
    let fleet = Fleet::start(&Options { executors: 2, ..Options::default() });
    let said = |sql: &str, there: bool| {
        let mut command = lakecast(["sql", "--format", "csv", "-c", sql]);
        for (name, file) in TABLES {
            command.arg("--table").arg(format!("{name}={}", shop.path(file).display()));
        }
        if there {
            command.arg("--scheduler").arg(fleet.url());
        }
        ok(&mut command).stdout
    };
    let grouped = KNOWN.replace("TABLE(holidays)", "(SELECT ds, name FROM holidays GROUP BY ds, name)");
    let one = KNOWN.replace("TABLE(holidays)", "(SELECT ds, name FROM holidays ORDER BY ds LIMIT 4)");
    for known in [KNOWN, POOLED, &grouped, &one] {
        let sql = format!("{} ORDER BY sku, step", with(known));
        let here = said(&sql, false);
        assert_eq!(here.lines().count(), 1 + 30 * 14, "{here}");
        assert_eq!(said(&sql, true), here, "{known}");
    }
}

#[test]
fn a_job_with_side_tables_publishes_the_same_rows_on_a_fleet() {
    let shop = Shop::new(20);
    let tables: String = TABLES
        .iter()
        .map(|(name, file)| format!("  {name}: {{ location: {} }}\n", shop.path(file).display()))
        .collect();
    let sql = with(KNOWN);
    let lake = shop.path("lake/forecast");
    let job = format!(
        "name: known\ntables:\n{tables}outputs:\n  forecast:\n    location: {}\n    sql: {sql:?}\n",
        lake.display()
    );
    std::fs::write(shop.path("job.yaml"), job).unwrap();
    let command = |word: &str| {
        let mut command = lakecast([word, "--run-date", "2026-11-22"]);
        command.arg(shop.path("job.yaml"));
        command
    };
    let plan = ok(&mut command("plan")).stdout;
    assert!(plan.contains("sides=[holidays]") && plan.contains("groups by [sku]: 20"), "{plan}");
    let here = ok(command("run").arg("--quiet")).json();
    assert_eq!((&here["tables"][0]["groups_in"], &here["tables"][0]["rows"]), (&20.into(), &280.into()), "{here}");
    let expected = digest(&read_table(&lake));
    std::fs::remove_dir_all(&lake).unwrap();
    let fleet = Fleet::start(&Options { executors: 2, ..Options::default() });
    let mut run = command("run");
    run.arg("--quiet");
    let there = ok(&mut fleet.send(run)).json();
    assert_eq!((&there["status"], &there["tables"][0]["groups_in"]), (&"published".into(), &20.into()), "{there}");
    assert_eq!(digest(&read_table(&lake)), expected);
}

#[test]
fn the_codec_rebuilds_a_plan_with_side_tables() {
    use datafusion_proto::bytes::{
        logical_plan_from_bytes_with_extension_codec, logical_plan_to_bytes_with_extension_codec,
        physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
    };
    use lakecast_engine::group_map::{LogicalCodec, PhysicalCodec};
    crate::support::runtime().block_on(async {
        let context = lakecast_engine::session(&SessionOptions::default()).unwrap();
        let rows = "(SELECT * FROM (VALUES ('a', 1, 5.0), ('a', 2, 6.0), ('b', 1, 3.0), ('b', 2, 4.0)) AS v(id, t, y))";
        let days = "(SELECT * FROM (VALUES (2, 'fair'), (3, 'fair')) AS v(time, name))";
        let sql = format!(
            "SELECT * FROM forecast({rows}, id => id, time => t, value => y, horizon => 2, holidays => {days})"
        );
        let plan = lakecast_engine::sql::plan(&context, &sql).await.unwrap();
        let codec = LogicalCodec::default();
        let bytes = logical_plan_to_bytes_with_extension_codec(&plan, &codec).unwrap();
        let again = logical_plan_from_bytes_with_extension_codec(&bytes, &context.task_ctx(), &codec).unwrap();
        assert_eq!(plan.display_indent().to_string(), again.display_indent().to_string());
        let physical = context.state().create_physical_plan(&again).await.unwrap();
        let codec = PhysicalCodec::default();
        let bytes = physical_plan_to_bytes_with_extension_codec(physical.clone(), &codec).unwrap();
        let rebuilt = physical_plan_from_bytes_with_extension_codec(&bytes, &context.task_ctx(), &codec).unwrap();
        let run = |p| datafusion::physical_plan::collect(p, context.task_ctx());
        assert_eq!(digest(&run(physical).await.unwrap()), digest(&run(rebuilt).await.unwrap()));
    });
}

/// Tells what reached it: rows of each kind, the state of the group, rows of the whole table.
struct Told;

static TOLD: Signature = Signature {
    name: "told",
    summary: "what reached a function",
    columns: &[
        Column { name: "id", role: Role::Key, class: Class::Exact, many: true, required: true, meaning: "the group" },
        Column { name: "at", role: Role::Order, class: Class::Time, many: false, required: true, meaning: "the order" },
        Column { name: "x", role: Role::Value, class: Class::Number, many: false, required: true, meaning: "a number" },
    ],
    tables: &[
        Table { name: "more", reach: Reach::Group(1), shared: &["id", "at", "x"], own: &[], meaning: "more rows" },
        Table {
            name: "state",
            reach: Reach::Group(2),
            shared: &["id"],
            own: &[Own { names: &["state"], class: Class::Bytes, required: true, meaning: "bytes" }],
            meaning: "a row per group",
        },
        Table {
            name: "all",
            reach: Reach::Whole,
            shared: &[],
            own: &[Own { names: &["day", "at"], class: Class::Time, required: true, meaning: "a time" }],
            meaning: "the same for all groups",
        },
    ],
    params: &[],
    output: &[Output { name: "rows", kind: "bigint", meaning: "rows by kind, and of the whole table, as digits" }],
};

impl GroupFunction for Told {
    fn signature(&self) -> &'static Signature {
        &TOLD
    }

    fn bind(&self, input: &GroupSchema, _args: &Args) -> lakecast_udfs::Result<Arc<dyn BoundFunction>> {
        Ok(Arc::new(Bound(input.clone())))
    }
}

struct Bound(GroupSchema);

impl BoundFunction for Bound {
    fn output(&self) -> Vec<Field> {
        vec![Field::new("rows", DataType::Int64, false), Field::new("last", DataType::Binary, true)]
    }

    fn worker(&self) -> Box<dyn GroupWorker> {
        let schema = self.0.clone();
        Box::new(Worker {
            schema,
            kinds: [0; 3],
            whole: 0,
            state: None,
            rows: Int64Builder::new(),
            last: BinaryBuilder::new(),
        })
    }
}

struct Worker {
    schema: GroupSchema,
    kinds: [i64; 3],
    whole: i64,
    state: Option<Vec<u8>>,
    rows: Int64Builder,
    last: BinaryBuilder,
}

impl GroupWorker for Worker {
    fn side(&mut self, name: &str, rows: &RecordBatch) -> lakecast_udfs::Result<()> {
        assert_eq!((name, rows.schema().field(0).name().as_str()), ("all", "day"));
        let days = rows.column(0).as_primitive::<Int64Type>();
        assert!(days.values().windows(2).all(|w| w[0] <= w[1]), "{days:?}");
        self.whole = rows.num_rows() as i64;
        Ok(())
    }

    fn push(&mut self, rows: &RecordBatch) -> lakecast_udfs::Result<()> {
        let column = |argument: &str| self.schema.positions(argument).next().map(|at| rows.column(at));
        match column(KIND) {
            None => self.kinds[0] += rows.num_rows() as i64,
            Some(kinds) => kinds.as_primitive::<Int8Type>().values().iter().for_each(|k| self.kinds[*k as usize] += 1),
        }
        if let Some(state) = column("state").and_then(|c| c.as_binary::<i32>().iter().flatten().next()) {
            self.state = Some(state.to_vec());
        }
        Ok(())
    }

    fn finish(&mut self, _context: &dyn GroupContext) -> lakecast_udfs::Result<Outcome> {
        let [main, more, states] = std::mem::take(&mut self.kinds);
        self.rows.append_value(((main * 10 + more) * 10 + states) * 10 + self.whole);
        self.last.append_option(self.state.take());
        Ok(Outcome { rows: 1, refused: false })
    }

    fn take(&mut self) -> lakecast_udfs::Result<Vec<ArrayRef>> {
        Ok(vec![Arc::new(self.rows.finish()), Arc::new(self.last.finish())])
    }

    fn memory_bytes(&self) -> usize {
        0
    }
}

#[test]
fn every_group_gets_its_rows_and_its_state_and_every_worker_the_whole_table() {
    let options =
        SessionOptions { functions: Functions::with(&[&Told]), batch_size_rows: 2, ..SessionOptions::default() };
    let main = "(SELECT * FROM (VALUES ('a', 1, 1.5), ('b', 1, 2.5), ('a', 2, 3.5), (NULL, 1, 0.5)) AS v(id, at, x))";
    let more = "(SELECT * FROM (VALUES (7, 'a', 9), (8, 'a', 9), (8, 'c', 9)) AS v(at, id, x))";
    let state = "(SELECT * FROM (VALUES ('b', 'left of b'), ('d', 'left of d')) AS v(id, state))";
    let all = "(SELECT * FROM (VALUES (9), (3), (5)) AS v(at))";
    let told = |tables: &str| {
        let sql = format!(
            "SELECT id, rows, last FROM told({main}, id => id, at => at, x => x{tables}) ORDER BY id NULLS LAST"
        );
        let rows = try_query(&options, &[], &sql).unwrap();
        let rows = concat_batches(&rows[0].schema(), &rows).unwrap();
        let ids: Vec<_> = rows.column(0).as_string::<i32>().iter().map(|id| id.unwrap_or("null").to_string()).collect();
        let last = rows.column(2).as_binary::<i32>().clone();
        let last = last.iter().map(|l| l.map_or(String::new(), |l| String::from_utf8(l.to_vec()).unwrap()));
        ids.into_iter().zip(rows.column(1).as_primitive::<Int64Type>().values().to_vec()).zip(last).collect::<Vec<_>>()
    };
    let expect = |rows: &[(&str, i64, &str)]| {
        rows.iter().map(|(id, n, last)| ((id.to_string(), *n), last.to_string())).collect::<Vec<_>>()
    };
    assert_eq!(told(""), expect(&[("a", 2000, ""), ("b", 1000, ""), ("null", 1000, "")]));
    let given = format!(", more => {more}, state => {state}, all => TABLE({all})");
    let expected =
        [("a", 2203, ""), ("b", 1013, "left of b"), ("c", 103, ""), ("d", 13, "left of d"), ("null", 1003, "")];
    assert_eq!(told(&given), expect(&expected));
}
