//! The claims of `tables`, on real files in temporary folders.

use std::path::PathBuf;
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use arrow::array::{
    ArrayRef, AsArray, DictionaryArray, Float64Array, Int64Array, LargeStringArray, RecordBatch, StringArray,
    StringViewArray,
};
use arrow::datatypes::{DataType, Int32Type, Int64Type, TimeUnit};
use arrow::util::pretty::pretty_format_batches;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use deltalake_core::DeltaTableBuilder;

use super::*;

struct Lake {
    dir: tempfile::TempDir,
    stores: Arc<Stores>,
    ctx: SessionContext,
}

impl Lake {
    fn new() -> Self {
        let stores = Arc::new(Stores::default());
        let runtime = RuntimeEnvBuilder::new().with_object_store_registry(stores.clone()).build_arc().unwrap();
        let mut config = SessionConfig::new().with_target_partitions(4);
        config.options_mut().execution.parquet.schema_force_view_types = false;
        config.options_mut().sql_parser.map_string_types_to_utf8view = false;
        config.options_mut().execution.enable_file_stream_work_stealing = false;
        Self { dir: tempfile::tempdir().unwrap(), stores, ctx: SessionContext::new_with_config_rt(config, runtime) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn at(&self, name: &str) -> TableSpec {
        TableSpec::new(self.path(name).to_str().unwrap())
    }

    fn text(&self, name: &str, text: &str) -> &Self {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), text).unwrap();
        self
    }

    fn parquet(&self, name: &str, columns: Vec<(&str, ArrayRef)>) -> &Self {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        let columns = columns.into_iter().map(|(name, array)| (name, array, true));
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let file = std::fs::File::create(self.path(name)).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        self
    }

    async fn open(&self, spec: &TableSpec) -> Result<InputTable, InputError> {
        open(spec, &self.ctx.state(), &self.stores).await
    }

    async fn error(&self, spec: &TableSpec) -> String {
        self.open(spec).await.unwrap_err().to_string()
    }

    /// The rows of a query over the table `t`, drawn.
    async fn rows(&self, spec: &TableSpec, sql: &str) -> String {
        self.try_rows(spec, sql).await.unwrap()
    }

    async fn try_rows(&self, spec: &TableSpec, sql: &str) -> Result<String, String> {
        let _ = self.ctx.deregister_table("t");
        register(&self.ctx, "t", spec, &self.stores).await.map_err(|error| error.to_string())?;
        let frame = self.ctx.sql(sql).await.map_err(|error| error.to_string())?;
        let batches = frame.collect().await.map_err(|error| error.to_string())?;
        Ok(pretty_format_batches(&batches).unwrap().to_string())
    }
}

fn ints(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn doubles(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn types(table: &InputTable) -> Vec<(String, DataType)> {
    table.schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect()
}

/// The drawn lines in order of their text: partitions end in any order.
fn sorted(batches: &[RecordBatch]) -> Vec<String> {
    let drawn = pretty_format_batches(batches).unwrap().to_string();
    let mut lines: Vec<String> = drawn.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

// --- Parquet

#[tokio::test]
async fn a_parquet_folder_is_one_table_with_sizes_and_rows() {
    let lake = Lake::new();
    lake.parquet("sales/b.parquet", vec![("sku", texts(&["b", "c"])), ("qty", ints(&[2, 3]))]);
    lake.parquet("sales/a.parquet", vec![("sku", texts(&["a"])), ("qty", ints(&[1]))]);
    let table = lake.open(&lake.at("sales")).await.unwrap();
    let names: Vec<&str> = table.files.iter().map(|file| file.path.rsplit('/').next().unwrap()).collect();
    assert_eq!(names, ["a.parquet", "b.parquet"]);
    assert_eq!((table.rows, table.format), (Some(3), Format::Parquet));
    assert_eq!(table.bytes, table.files.iter().map(|file| file.size_bytes).sum::<u64>());
    assert!(table.files.iter().all(|file| file.etag.is_some() && file.modified_ms > 0 && file.rows.is_some()));
    let rows = lake.rows(&lake.at("sales"), "SELECT sku, qty FROM t ORDER BY qty").await;
    insta::assert_snapshot!(rows, @r"
    +-----+-----+
    | sku | qty |
    +-----+-----+
    | a   | 1   |
    | b   | 2   |
    | c   | 3   |
    +-----+-----+
    ");
}

#[tokio::test]
async fn large_dictionary_and_view_texts_are_plain_texts() {
    let lake = Lake::new();
    let dictionary: DictionaryArray<Int32Type> = ["x", "y", "x"].into_iter().collect();
    lake.parquet(
        "t/a.parquet",
        vec![
            ("large", Arc::new(LargeStringArray::from(vec!["a", "b", "c"]))),
            ("dictionary", Arc::new(dictionary)),
            ("view", Arc::new(StringViewArray::from(vec!["v1", "v2", "v3"]))),
        ],
    );
    lake.parquet(
        "t/b.parquet",
        vec![("large", texts(&["d"])), ("dictionary", texts(&["z"])), ("view", texts(&["v4"]))],
    );
    let table = lake.open(&lake.at("t")).await.unwrap();
    assert!(types(&table).iter().all(|(_, data_type)| *data_type == DataType::Utf8), "{:?}", types(&table));
    lake.ctx.register_table("t", table.provider).unwrap();
    let batches =
        lake.ctx.sql("SELECT * FROM t WHERE view <> 'v2' ORDER BY large").await.unwrap().collect().await.unwrap();
    for batch in &batches {
        assert!(batch.columns().iter().all(|column| *column.data_type() == DataType::Utf8), "{:?}", batch.schema());
    }
    insta::assert_snapshot!(pretty_format_batches(&batches).unwrap(), @r"
    +-------+------------+------+
    | large | dictionary | view |
    +-------+------------+------+
    | a     | x          | v1   |
    | c     | x          | v3   |
    | d     | z          | v4   |
    +-------+------------+------+
    ");
}

#[tokio::test]
async fn columns_go_by_name_not_by_place() {
    let lake = Lake::new();
    lake.parquet("t/a.parquet", vec![("a", ints(&[1])), ("b", ints(&[2]))]);
    lake.parquet("t/b.parquet", vec![("b", ints(&[20])), ("a", ints(&[10]))]);
    let rows = lake.rows(&lake.at("t"), "SELECT a, b FROM t ORDER BY a").await;
    assert_has(&rows, &["| 1  | 2  |", "| 10 | 20 |"]);
}

#[tokio::test]
async fn files_that_disagree_on_a_type_are_named_with_both_types() {
    let lake = Lake::new();
    lake.parquet("t/a.parquet", vec![("qty", ints(&[1]))]).parquet("t/b.parquet", vec![("qty", doubles(&[1.5]))]);
    let error = lake.error(&lake.at("t")).await;
    let (a, b) = (lake.path("t/a.parquet"), lake.path("t/b.parquet"));
    let files = [format!("file={}, type=Int64", a.display()), format!("file={}, type=Float64", b.display())];
    assert_has(&error, &["column=qty", &files[0], &files[1], "declare it under schema"]);
    let mut declared = lake.at("t");
    declared.schema = Some(vec![ColumnSpec::new("qty", "double")]);
    let rows = lake.rows(&declared, "SELECT qty FROM t ORDER BY qty").await;
    assert_has(&rows, &["1.0", "1.5"]);
}

#[tokio::test]
async fn a_column_missing_in_one_file_is_an_error_unless_declared_nullable() {
    let lake = Lake::new();
    lake.parquet("t/a.parquet", vec![("sku", texts(&["a"])), ("price", doubles(&[1.0]))]);
    lake.parquet("t/b.parquet", vec![("sku", texts(&["b"]))]);
    let error = lake.error(&lake.at("t")).await;
    assert_has(&error, &["column=price", "missing_in=", "b.parquet, present_in=", "a.parquet"]);
    let mut declared = lake.at("t");
    declared.schema = Some(vec![ColumnSpec::new("sku", "VARCHAR"), ColumnSpec::new("price", "DOUBLE").not_null()]);
    assert_has(&lake.error(&declared).await, &["column=price", "missing_in="]);
    declared.schema = Some(vec![ColumnSpec::new("sku", "VARCHAR"), ColumnSpec::new("price", "DOUBLE")]);
    let rows = lake.rows(&declared, "SELECT sku, price FROM t ORDER BY sku").await;
    assert_has(&rows, &["| a   | 1.0   |", "| b   |       |"]);
}

#[tokio::test]
async fn an_extra_column_in_a_later_file_is_not_dropped_silently() {
    let lake = Lake::new();
    lake.parquet("t/a.parquet", vec![("sku", texts(&["a"]))]);
    lake.parquet("t/b.parquet", vec![("sku", texts(&["b"])), ("qty", ints(&[1]))]);
    assert_has(&lake.error(&lake.at("t")).await, &["column=qty", "a.parquet, present_in=", "b.parquet"]);
}

#[tokio::test]
async fn a_declared_schema_selects_orders_and_checks_columns() {
    let lake = Lake::new();
    lake.parquet("t/a.parquet", vec![("sku", texts(&["a"])), ("qty", ints(&[7])), ("other", texts(&["x"]))]);
    let mut spec = lake.at("t");
    spec.schema = Some(vec![ColumnSpec::new("qty", "INT"), ColumnSpec::new("sku", "text")]);
    let table = lake.open(&spec).await.unwrap();
    assert_eq!(types(&table), [("qty".into(), DataType::Int32), ("sku".into(), DataType::Utf8)]);
    assert_has(&lake.rows(&spec, "SELECT * FROM t").await, &["| 7   | a   |"]);
    spec.schema = Some(vec![ColumnSpec::new("qnty", "INT")]);
    assert_has(&lake.error(&spec).await, &["column=qnty", "columns=[sku, qty, other]", "nearest=qty"]);
    spec.schema = Some(vec![ColumnSpec::new("sku", "INT")]);
    assert_has(&lake.error(&spec).await, &["column=sku", "declared=Int32", "type=Utf8", "CAST"]);
    spec.schema = Some(vec![ColumnSpec::new("sku", "VARCAR")]);
    assert_has(
        &lake.error(&spec).await,
        &["type=VARCAR", "allowed=[BOOLEAN, ", "DECIMAL(precision, scale)", "nearest=VARCHAR"],
    );
    spec.schema = Some(vec![ColumnSpec::new("sku", "TEXT"), ColumnSpec::new("sku", "TEXT")]);
    assert_has(&lake.error(&spec).await, &["declared twice: column=sku"]);
}

#[tokio::test]
async fn a_number_that_does_not_fit_the_declared_type_is_an_error() {
    let lake = Lake::new();
    lake.parquet("t/a.parquet", vec![("qty", ints(&[5_000_000_000]))]);
    let mut spec = lake.at("t");
    spec.schema = Some(vec![ColumnSpec::new("qty", "INT")]);
    assert_has(&lake.try_rows(&spec, "SELECT * FROM t").await.unwrap_err(), &["5000000000"]);
}

#[tokio::test]
async fn a_null_in_a_column_declared_never_null_is_an_error() {
    let lake = Lake::new();
    lake.parquet("t/a.parquet", vec![("qty", Arc::new(Int64Array::from(vec![Some(1), None])))]);
    let mut spec = lake.at("t");
    spec.schema = Some(vec![ColumnSpec::new("qty", "BIGINT").not_null()]);
    let result = lake.try_rows(&spec, "SELECT qty FROM t WHERE qty IS NOT NULL").await;
    assert_has(&result.unwrap_err(), &["qty"]);
}

#[tokio::test]
async fn a_truncated_parquet_file_is_named_while_planning() {
    let lake = Lake::new();
    lake.parquet("t/a.parquet", vec![("qty", ints(&[1]))]).parquet("t/b.parquet", vec![("qty", ints(&[2]))]);
    let whole = std::fs::read(lake.path("t/b.parquet")).unwrap();
    for keep in [whole.len() - 1, whole.len() / 2, 5] {
        std::fs::write(lake.path("t/b.parquet"), &whole[..keep]).unwrap();
        let error = lake.error(&lake.at("t")).await;
        assert_has(&error, &["b.parquet", "cut short", &format!("size_bytes={keep}")]);
    }
    std::fs::write(lake.path("t/b.parquet"), "").unwrap();
    assert_has(&lake.error(&lake.at("t")).await, &["file is empty, 0 bytes", "b.parquet"]);
}

#[tokio::test]
async fn a_parquet_table_without_rows_is_a_table() {
    let lake = Lake::new();
    lake.parquet("t/a.parquet", vec![("qty", ints(&[]))]);
    let table = lake.open(&lake.at("t")).await.unwrap();
    assert_eq!(table.rows, Some(0));
    assert_has(&lake.rows(&lake.at("t"), "SELECT count(*) AS n FROM t").await, &["| 0 |"]);
}

#[tokio::test]
async fn the_scan_reads_the_files_it_found_and_verify_tells_of_changes() {
    let lake = Lake::new();
    lake.parquet("t/a.parquet", vec![("qty", ints(&[1]))]).parquet("t/b.parquet", vec![("qty", ints(&[2]))]);
    let table = register(&lake.ctx, "t", &lake.at("t"), &lake.stores).await.unwrap();
    table.verify(&lake.stores).await.unwrap();
    lake.parquet("t/c.parquet", vec![("qty", ints(&[100]))]);
    let sum = lake.ctx.sql("SELECT sum(qty) AS s FROM t").await.unwrap().collect().await.unwrap();
    assert_eq!(sum[0].column(0).as_primitive::<Int64Type>().value(0), 3);
    table.verify(&lake.stores).await.unwrap();
    lake.parquet("t/b.parquet", vec![("qty", ints(&[2, 2]))]);
    assert_has(&table.verify(&lake.stores).await.unwrap_err().to_string(), &["changed or vanished", "b.parquet"]);
    std::fs::remove_file(lake.path("t/b.parquet")).unwrap();
    let error = lake.ctx.sql("SELECT qty FROM t").await.unwrap().collect().await.unwrap_err().to_string();
    assert_has(&error, &["b.parquet"]);
}

#[tokio::test]
async fn a_name_that_is_taken_is_refused() {
    let lake = Lake::new();
    lake.parquet("t.parquet", vec![("qty", ints(&[1]))]);
    register(&lake.ctx, "Sales", &lake.at("t.parquet"), &lake.stores).await.unwrap();
    let error = register(&lake.ctx, "Sales", &lake.at("t.parquet"), &lake.stores).await.unwrap_err().to_string();
    assert_has(&error, &["a table has this name already: table=Sales"]);
}

#[tokio::test]
async fn counting_rows_needs_no_file_and_filters_still_count_right() {
    let lake = Lake::new();
    lake.parquet("t/k=1/a.parquet", vec![("qty", ints(&[1, 2]))]);
    lake.parquet("t/k=2/b.parquet", vec![("qty", ints(&[3]))]);
    assert_has(&lake.rows(&lake.at("t"), "SELECT count(*) AS n FROM t").await, &["| 3 |"]);
    assert_has(&lake.rows(&lake.at("t"), "SELECT count(*) AS n FROM t WHERE k = 1").await, &["| 2 |"]);
    assert_has(&lake.rows(&lake.at("t"), "SELECT count(*) AS n FROM t WHERE qty > 1 AND k < 3").await, &["| 2 |"]);
    assert_has(&lake.rows(&lake.at("t"), "SELECT count(*) AS n FROM t WHERE k = 9").await, &["| 0 |"]);
}

#[tokio::test]
async fn the_footers_read_while_opening_serve_the_scan() {
    let lake = Lake::new();
    lake.parquet("t/a.parquet", vec![("qty", ints(&[1]))]);
    let table = register(&lake.ctx, "t", &lake.at("t"), &lake.stores).await.unwrap();
    let path = object_store::path::Path::parse(&table.files[0].path).unwrap();
    let cache = lake.ctx.runtime_env().cache_manager.get_file_metadata_cache();
    let kept = cache.get(&path).unwrap();
    assert_eq!(kept.meta.last_modified.timestamp_millis(), table.files[0].modified_ms);
    assert_eq!(kept.meta.last_modified.timestamp_subsec_nanos() % 1_000_000, 0);
}

// --- Hive partitions

#[tokio::test]
async fn folder_names_become_typed_columns() {
    let lake = Lake::new();
    for (day, shop, region, qty) in
        [("2026-11-21", "7", "a%3Ab", 1), ("2026-11-22", "12", "__HIVE_DEFAULT_PARTITION__", 2)]
    {
        lake.parquet(&format!("t/ds={day}/shop={shop}/region={region}/p.parquet"), vec![("qty", ints(&[qty]))]);
    }
    let table = lake.open(&lake.at("t")).await.unwrap();
    let expected: [(String, DataType); 4] = [
        ("qty".into(), DataType::Int64),
        ("ds".into(), DataType::Date32),
        ("shop".into(), DataType::Int64),
        ("region".into(), DataType::Utf8),
    ];
    assert_eq!(types(&table), expected);
    assert!(table.schema.field(3).is_nullable() && !table.schema.field(1).is_nullable());
    let rows = lake.rows(&lake.at("t"), "SELECT region, ds, qty, shop FROM t ORDER BY shop").await;
    insta::assert_snapshot!(rows, @r"
    +--------+------------+-----+------+
    | region | ds         | qty | shop |
    +--------+------------+-----+------+
    | a:b    | 2026-11-21 | 1   | 7    |
    |        | 2026-11-22 | 2   | 12   |
    +--------+------------+-----+------+
    ");
    let rows = lake.rows(&lake.at("t"), "SELECT qty FROM t WHERE ds > DATE '2026-11-21' AND region IS NULL").await;
    assert_has(&rows, &["| 2   |"]);
}

#[tokio::test]
async fn a_filter_on_a_partition_leaves_files_out() {
    let lake = Lake::new();
    for k in 0..6 {
        lake.parquet(&format!("t/k={k}/p.parquet"), vec![("qty", ints(&[k]))]);
    }
    let plan = lake.rows(&lake.at("t"), "EXPLAIN SELECT qty FROM t WHERE k BETWEEN 2 AND 3").await;
    assert_has(&plan, &["k=2/p.parquet", "k=3/p.parquet"]);
    assert!(!plan.contains("k=1/p.parquet") && !plan.contains("k=4/p.parquet"), "{plan}");
}

#[tokio::test]
async fn a_partition_may_be_compared_with_a_subquery() {
    let lake = Lake::new();
    for k in 0..3 {
        lake.parquet(&format!("t/k={k}/p.parquet"), vec![("qty", ints(&[k * 10]))]);
    }
    let sql = "SELECT qty FROM t WHERE k = (SELECT max(k) FROM t) AND k IN (SELECT k FROM t WHERE qty > 0)";
    assert_has(&lake.rows(&lake.at("t"), sql).await, &["| 20  |"]);
}

#[tokio::test]
async fn values_that_are_no_dates_and_no_numbers_are_text() {
    let lake = Lake::new();
    for (a, b) in [("2026-02-28", "1"), ("2026-02-30", "x")] {
        lake.parquet(&format!("t/a={a}/b={b}/p.parquet"), vec![("qty", ints(&[1]))]);
    }
    let table = lake.open(&lake.at("t")).await.unwrap();
    assert_eq!(types(&table)[1..], [("a".into(), DataType::Utf8), ("b".into(), DataType::Utf8)]);
}

#[tokio::test]
async fn declared_partitions_set_the_type_or_switch_them_off() {
    let lake = Lake::new();
    lake.parquet("t/k=007/p.parquet", vec![("qty", ints(&[1]))]);
    let mut spec = lake.at("t");
    spec.partitions = Some(vec![ColumnSpec::new("k", "VARCHAR")]);
    assert_has(&lake.rows(&spec, "SELECT k FROM t").await, &["| 007 |"]);
    spec.partitions = Some(vec![]);
    assert_eq!(lake.open(&spec).await.unwrap().schema.fields().len(), 1);
    spec.partitions = Some(vec![ColumnSpec::new("kk", "VARCHAR")]);
    assert_has(&lake.error(&spec).await, &["declared=[kk]", "found=[k]", "nearest=k"]);
    spec.partitions = Some(vec![ColumnSpec::new("k", "DATE")]);
    assert_has(&lake.error(&spec).await, &["column=k", "value=007", "type=Date32"]);
    spec.partitions = None;
    spec.schema = Some(vec![ColumnSpec::new("k", "VARCHAR"), ColumnSpec::new("qty", "BIGINT")]);
    assert_has(&lake.rows(&spec, "SELECT * FROM t").await, &["| k   | qty |", "| 007 | 1   |"]);
}

#[tokio::test]
async fn files_outside_the_partition_folders_are_named() {
    let lake = Lake::new();
    lake.parquet("t/k=1/p.parquet", vec![("qty", ints(&[1]))]).parquet("t/stray.parquet", vec![("qty", ints(&[1]))]);
    let error = lake.error(&lake.at("t")).await;
    assert_has(&error, &["different partition columns", "k=1/p.parquet, columns=[k]", "stray.parquet, columns=[]"]);
}

#[tokio::test]
async fn the_folder_wins_over_a_column_of_the_same_name_in_the_file() {
    let lake = Lake::new();
    lake.parquet("t/k=1/p.parquet", vec![("k", ints(&[99])), ("qty", ints(&[5]))]);
    assert_has(&lake.rows(&lake.at("t"), "SELECT k, qty FROM t WHERE k = 1").await, &["| 1 | 5   |"]);
}

// --- CSV and JSON lines

#[tokio::test]
async fn csv_types_are_inferred_without_changing_a_value() {
    let lake = Lake::new();
    lake.text(
        "t.csv",
        "\u{feff}sku,code,qty,price,ds,ts,promo,note,big\n\
         a,007,1,1.5,2026-11-22,2026-11-22 10:00:00,true,\"x, y\nz\",12345678901234567890\n\
         b,010,-2,2,2026-11-23,2026-11-22T10:00:00.5,FALSE,,1\n",
    );
    let table = lake.open(&lake.at("t.csv")).await.unwrap();
    let found: Vec<DataType> = types(&table).into_iter().map(|(_, data_type)| data_type).collect();
    assert_eq!(
        found,
        [
            DataType::Utf8,
            DataType::Utf8,
            DataType::Int64,
            DataType::Float64,
            DataType::Date32,
            DataType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Boolean,
            DataType::Utf8,
            DataType::Utf8,
        ]
    );
    assert_eq!(table.schema.field(0).name(), "sku");
    let rows =
        lake.rows(&lake.at("t.csv"), "SELECT sku, code, qty, price, ds, ts, promo, big FROM t ORDER BY sku").await;
    insta::assert_snapshot!(rows, @r"
    +-----+------+-----+-------+------------+-------------------------+-------+----------------------+
    | sku | code | qty | price | ds         | ts                      | promo | big                  |
    +-----+------+-----+-------+------------+-------------------------+-------+----------------------+
    | a   | 007  | 1   | 1.5   | 2026-11-22 | 2026-11-22T10:00:00     | true  | 12345678901234567890 |
    | b   | 010  | -2  | 2.0   | 2026-11-23 | 2026-11-22T10:00:00.500 | false | 1                    |
    +-----+------+-----+-------+------------+-------------------------+-------+----------------------+
    ");
    let rows = lake
        .rows(&lake.at("t.csv"), "SELECT note IS NULL AS empty, note = 'x, y\nz' AS whole FROM t ORDER BY sku")
        .await;
    assert_has(&rows, &["| false | true  |", "| true  |       |"]);
}

#[tokio::test]
async fn csv_options_and_declared_columns_are_kept() {
    let lake = Lake::new();
    lake.text("t.csv", "sku;unused;qty\na;?;1\nb;?;NA\nNA;?;\n");
    let mut spec = lake.at("t.csv");
    spec.csv = Some(CsvOptions { delimiter: Some(';'), null: Some("NA".into()), ..CsvOptions::default() });
    assert_eq!(types(&lake.open(&spec).await.unwrap())[2], ("qty".into(), DataType::Int64));
    spec.schema = Some(vec![ColumnSpec::new("qty", "DOUBLE"), ColumnSpec::new("sku", "TEXT")]);
    let rows = lake.rows(&spec, "SELECT * FROM t").await;
    insta::assert_snapshot!(rows, @r"
    +-----+-----+
    | qty | sku |
    +-----+-----+
    | 1.0 | a   |
    |     | b   |
    |     |     |
    +-----+-----+
    ");
    spec.csv = Some(CsvOptions { delimiter: Some(';'), null: None, ..CsvOptions::default() });
    assert_has(&lake.try_rows(&spec, "SELECT * FROM t").await.unwrap_err(), &["t.csv", "NA", "at record 2"]);
    spec.schema = Some(vec![ColumnSpec::new("qnt", "DOUBLE")]);
    assert_has(&lake.error(&spec).await, &["column=qnt", "columns=[sku, unused, qty]", "nearest=qty"]);
    spec.csv = Some(CsvOptions { delimiter: Some('é'), ..CsvOptions::default() });
    assert_has(&lake.error(&spec).await, &["one ASCII character"]);
}

#[tokio::test]
async fn csv_without_header_takes_the_declared_names_in_order() {
    let lake = Lake::new();
    lake.text("t.tsv", "a\t1\nb\t2\n");
    let mut spec = lake.at("t.tsv");
    spec.csv = Some(CsvOptions { header: false, ..CsvOptions::default() });
    assert_eq!(
        types(&lake.open(&spec).await.unwrap()),
        [("column_1".into(), DataType::Utf8), ("column_2".into(), DataType::Int64)]
    );
    spec.schema = Some(vec![ColumnSpec::new("sku", "TEXT"), ColumnSpec::new("qty", "SMALLINT")]);
    assert_has(&lake.rows(&spec, "SELECT sum(qty) AS s, max(sku) AS m FROM t").await, &["| 3 | b |"]);
    spec.schema = Some(vec![ColumnSpec::new("sku", "TEXT")]);
    assert_has(&lake.error(&spec).await, &["declared=1", "columns=2"]);
}

#[tokio::test]
async fn csv_files_with_other_columns_are_refused() {
    let lake = Lake::new();
    lake.text("t/a.csv", "sku,qty\na,1\n").text("t/b.csv", "qty,sku\n2,b\n");
    let error = lake.error(&lake.at("t")).await;
    assert_has(&error, &["different headers", "a.csv, columns=[sku, qty]", "b.csv, columns=[qty, sku]"]);
}

#[tokio::test]
async fn csv_files_of_one_folder_share_one_type() {
    let lake = Lake::new();
    lake.text("t/k=1/a.csv", "sku,qty\na,1\n").text("t/k=2/b.csv", "sku,qty\n2,2.5\n");
    let table = lake.open(&lake.at("t")).await.unwrap();
    assert_eq!(types(&table)[..2], [("sku".into(), DataType::Utf8), ("qty".into(), DataType::Float64)]);
    assert_has(&lake.rows(&lake.at("t"), "SELECT sku, qty, k FROM t ORDER BY k").await, &["| 2   | 2.5 | 2 |"]);
}

#[tokio::test]
async fn a_broken_csv_line_is_named_with_file_and_line() {
    let lake = Lake::new();
    lake.text("t/a.csv", "sku,qty\na,1\n").text("t/b.csv", "sku,qty\nb,2\nc,3,4\n");
    assert_has(&lake.error(&lake.at("t")).await, &["b.csv", "line 3", "expected 2 got 3"]);
    // Behind the sample the scan finds it.
    let mut late = "sku,qty\n".to_owned() + &"b,2\n".repeat(400_000);
    late.push_str("c,three\n");
    lake.text("t/b.csv", &late);
    assert_eq!(types(&lake.open(&lake.at("t")).await.unwrap())[1].1, DataType::Int64);
    let error = lake.try_rows(&lake.at("t"), "SELECT sum(qty) FROM t").await.unwrap_err();
    let file = format!("file={},", lake.path("t/b.csv").display());
    assert_has(&error, &[&file, "three", "at record 400001", "declare the column's type"]);
}

#[tokio::test]
async fn json_lines_are_read_with_missing_keys_as_null() {
    let lake = Lake::new();
    lake.text("t/a.jsonl", "{\"sku\": \"a\", \"qty\": 1}\n{\"sku\": \"b\"}\n");
    lake.text("t/b.jsonl", "{\"qty\": 2.5, \"sku\": \"c\", \"tags\": [\"x\"]}\n");
    let table = lake.open(&lake.at("t")).await.unwrap();
    assert_eq!(types(&table)[..2], [("qty".into(), DataType::Float64), ("sku".into(), DataType::Utf8)]);
    let rows = lake.rows(&lake.at("t"), "SELECT sku, qty FROM t ORDER BY sku").await;
    assert_has(&rows, &["| a   | 1.0 |", "| b   |     |", "| c   | 2.5 |"]);
    let mut spec = lake.at("t");
    spec.schema = Some(vec![ColumnSpec::new("qty", "DOUBLE"), ColumnSpec::new("skus", "TEXT")]);
    assert_has(&lake.error(&spec).await, &["column=skus", "columns=[qty, sku, tags]", "nearest=sku"]);
    lake.text("t/c.jsonl", "{\"qty\": \"many\"}\n");
    assert_has(&lake.error(&lake.at("t")).await, &["column=qty", "c.jsonl, type=Utf8"]);
    lake.text("t/c.jsonl", "{\"qty\": 1\n");
    assert_has(&lake.error(&lake.at("t")).await, &["c.jsonl"]);
}

#[tokio::test]
async fn an_empty_text_file_is_named() {
    let lake = Lake::new();
    lake.text("t/a.csv", "sku\na\n").text("t/b.csv", "");
    assert_has(&lake.error(&lake.at("t")).await, &["file is empty, 0 bytes", "b.csv"]);
}

#[tokio::test]
async fn compressed_text_is_refused_with_the_remedy() {
    let lake = Lake::new();
    lake.text("t/a.csv.gz", "x");
    assert_has(&lake.error(&lake.at("t")).await, &["compressed text files are not read", "a.csv.gz"]);
    assert_has(&lake.error(&lake.at("t/a.csv.gz")).await, &["compressed text files are not read"]);
}

// --- Locations and formats

#[tokio::test]
async fn a_missing_location_says_so_and_knows_its_neighbour() {
    let lake = Lake::new();
    lake.parquet("sales/a.parquet", vec![("qty", ints(&[1]))]);
    let error = lake.error(&lake.at("sale")).await;
    assert_has(&error, &["location does not exist", "sale", "nearest=sales"]);
    std::fs::create_dir(lake.path("void")).unwrap();
    assert_has(&lake.error(&lake.at("void")).await, &["folder is empty"]);
}

#[tokio::test]
async fn a_folder_without_the_format_says_what_it_holds() {
    let lake = Lake::new();
    lake.text("t/a.txt", "x").text("t/b.txt", "x").text("t/_SUCCESS", "");
    let error = lake.error(&lake.at("t")).await;
    assert_has(&error, &["no file of a known format", "2 .txt", "1 hidden", "known=[.parquet"]);
    let mut spec = lake.at("t");
    spec.format = Some(Format::Parquet);
    assert_has(&lake.error(&spec).await, &["location has no parquet file", "2 .txt"]);
    spec.format = Some(Format::Delta);
    assert_has(&lake.error(&spec).await, &["no _delta_log folder"]);
    assert_has(
        &lake.error(&lake.at("t/a.txt")).await,
        &["format of the file is unknown", "allowed=[parquet, csv, json, delta]"],
    );
}

#[tokio::test]
async fn hidden_files_and_folders_are_not_part_of_the_table() {
    let lake = Lake::new();
    lake.parquet("t/a.parquet", vec![("qty", ints(&[1]))]);
    for hidden in ["t/_temporary/0/p.parquet", "t/.staging/p.parquet", "t/_p.parquet", "t/.p.parquet"] {
        lake.parquet(hidden, vec![("qty", ints(&[100]))]);
    }
    lake.parquet("u/_k=1/a.parquet", vec![("qty", ints(&[1]))]);
    assert_eq!(lake.open(&lake.at("t")).await.unwrap().files.len(), 1);
    assert_eq!(types(&lake.open(&lake.at("u")).await.unwrap())[1].0, "_k");
}

#[tokio::test]
async fn mixed_formats_are_refused_and_other_files_are_reported() {
    let lake = Lake::new();
    lake.parquet("t/a.parquet", vec![("qty", ints(&[1]))]).text("t/b.csv", "qty\n2\n").text("t/README.md", "x");
    assert_has(&lake.error(&lake.at("t")).await, &["mixes formats", "1 .csv", "1 .parquet"]);
    let mut spec = lake.at("t");
    spec.format = Some(Format::Csv);
    let table = lake.open(&spec).await.unwrap();
    assert_eq!(table.ignored, ["README.md", "a.parquet"]);
    assert_has(&lake.rows(&spec, "SELECT qty FROM t").await, &["| 2   |"]);
}

#[tokio::test]
async fn part_files_without_extension_are_read_when_the_format_is_declared() {
    let lake = Lake::new();
    lake.text("t/part-0", "qty\n2\n");
    let mut spec = lake.at("t");
    spec.format = Some(Format::Csv);
    assert_has(&lake.rows(&spec, "SELECT qty FROM t").await, &["| 2   |"]);
}

#[tokio::test]
async fn keys_of_another_format_are_refused() {
    let lake = Lake::new();
    lake.parquet("a.parquet", vec![("qty", ints(&[1]))]);
    let mut spec = lake.at("a.parquet");
    spec.csv = Some(CsvOptions::default());
    assert_has(&lake.error(&spec).await, &["csv belongs to csv tables only", "format=parquet"]);
    spec = lake.at("a.parquet");
    spec.version = Some(1);
    assert_has(&lake.error(&spec).await, &["version belongs to delta tables only"]);
}

#[tokio::test]
async fn hudi_and_iceberg_tables_are_refused() {
    let lake = Lake::new();
    lake.parquet("h/a.parquet", vec![("qty", ints(&[1]))]).text("h/.hoodie/hoodie.properties", "x");
    assert_has(&lake.error(&lake.at("h")).await, &["Hudi tables are not supported"]);
    lake.parquet("i/data/a.parquet", vec![("qty", ints(&[1]))]).text("i/metadata/v1.metadata.json", "{}");
    assert_has(&lake.error(&lake.at("i")).await, &["Iceberg tables are not supported"]);
}

#[test]
fn a_spec_is_read_from_text_and_unknown_keys_are_refused() {
    let spec: TableSpec = serde_json::from_str(
        r#"{"location": "s3://lake/x/", "format": "csv", "csv": {"delimiter": ";"},
            "schema": [{"name": "sku", "type": "VARCHAR", "nullable": false}]}"#,
    )
    .unwrap();
    assert_eq!(spec.schema, Some(vec![ColumnSpec::new("sku", "VARCHAR").not_null()]));
    assert_eq!(spec.csv, Some(CsvOptions { delimiter: Some(';'), ..CsvOptions::default() }));
    let error = serde_json::from_str::<TableSpec>(r#"{"location": "x", "fromat": "csv"}"#).unwrap_err().to_string();
    assert_has(&error, &["fromat", "format"]);
    let error = Format::parse("parket").unwrap_err().to_string();
    assert_has(&error, &["format=parket", "allowed=[parquet, csv, json, delta]", "nearest=parquet"]);
}

#[test]
fn sql_types_are_those_of_the_table_and_dates_reach_year_9999() {
    let of = |text: &str| ColumnSpec::new("x", text).field().map(|field| field.data_type().clone());
    assert_eq!(of("timestamp").unwrap(), DataType::Timestamp(TimeUnit::Microsecond, None));
    assert_eq!(of("Decimal( 18 , 2 )").unwrap(), DataType::Decimal128(18, 2));
    assert_eq!(of("timestamptz").unwrap(), DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
    for bad in ["DECIMAL(39, 2)", "DECIMAL(5, 6)", "DECIMAL(5)", "DECIMAL", "NUMBER", ""] {
        assert!(of(bad).is_err(), "{bad}");
    }
}

// --- The wire

#[tokio::test]
async fn a_table_survives_the_wire() {
    let lake = Lake::new();
    lake.parquet(
        "t/ds=2026-11-22/k=__HIVE_DEFAULT_PARTITION__/a.parquet",
        vec![("sku", texts(&["a"])), ("qty", ints(&[1]))],
    );
    lake.parquet("t/ds=2026-11-23/k=x/a.parquet", vec![("sku", texts(&["b"])), ("qty", ints(&[2]))]);
    lake.text("c.csv", "sku,qty\na,1\nb,NA\n");
    let mut csv = lake.at("c.csv");
    csv.csv = Some(CsvOptions { null: Some("NA".into()), ..CsvOptions::default() });
    for spec in [lake.at("t"), csv] {
        let table = lake.open(&spec).await.unwrap();
        let bytes = table.provider.downcast_ref::<FilesTable>().unwrap().to_bytes().unwrap();
        let there = FilesTable::from_bytes(&bytes).unwrap();
        assert_eq!(there.schema(), table.schema);
        let (here, there) =
            (lake.ctx.read_table(table.provider).unwrap(), lake.ctx.read_table(Arc::new(there)).unwrap());
        let (here, there) = (here.collect().await.unwrap(), there.collect().await.unwrap());
        assert_eq!(sorted(&here), sorted(&there));
        assert_eq!(here.iter().map(RecordBatch::num_rows).sum::<usize>(), 2);
    }
}

#[tokio::test]
async fn the_physical_scan_survives_the_wire() {
    use datafusion_proto::bytes::{physical_plan_from_bytes, physical_plan_to_bytes};
    let lake = Lake::new();
    lake.parquet("t/k=1/a.parquet", vec![("sku", texts(&["a"]))])
        .parquet("t/k=2/a.parquet", vec![("sku", texts(&["b"]))]);
    lake.text("c.csv", "sku,qty\na,1\nb,NA\n").text("j.json", "{\"sku\": \"a\"}\n");
    let mut csv = lake.at("c.csv");
    csv.csv = Some(CsvOptions { null: Some("NA".into()), ..CsvOptions::default() });
    for spec in [lake.at("t"), csv, lake.at("j.json")] {
        let table = lake.open(&spec).await.unwrap();
        let plan = lake.ctx.read_table(table.provider).unwrap().create_physical_plan().await.unwrap();
        let bytes = physical_plan_to_bytes(Arc::clone(&plan)).unwrap();
        let there = physical_plan_from_bytes(&bytes, &lake.ctx.task_ctx()).unwrap();
        let here = datafusion::physical_plan::collect(plan, lake.ctx.task_ctx()).await.unwrap();
        let there = datafusion::physical_plan::collect(there, lake.ctx.task_ctx()).await.unwrap();
        assert_eq!(sorted(&here), sorted(&there));
        assert!(here.iter().map(RecordBatch::num_rows).sum::<usize>() >= 1);
    }
}

#[tokio::test]
async fn an_output_that_was_never_published_is_refused() {
    let lake = Lake::new();
    let staged = "run_date=2026-11-22/part-00000-0123456789abcdef0123456789abcdef.parquet";
    let rows = || vec![("sku", texts(&["a"]))];
    lake.parquet(&format!("checked/{staged}"), rows()).text("checked/_lakecast/checkpoints/k/00000.json", "{}");
    lake.parquet(&format!("killed_sooner/{staged}"), rows());
    lake.parquet("renamed/x.parquet", rows()).text("renamed/_lakecast/checkpoints/k/00000.json", "{}");
    lake.text("without_a_file/_lakecast/runs/r.json", "{}");
    for name in ["checked", "killed_sooner", "renamed", "without_a_file"] {
        for format in [None, Some(Format::Parquet), Some(Format::Delta)] {
            let mut spec = lake.at(name);
            spec.format = format;
            let error = lake.open(&spec).await.unwrap_err();
            assert!(matches!(error, InputError::Data(_)), "{error:?}");
            assert_has(&error.to_string(), &["never published; run its job to the end", &format!("/{name}")]);
        }
    }
    // Other hidden folders are passed over, and files of others may be called nearly so.
    lake.parquet("fine/run_date=2026-11-22/part-00000-x.parquet", rows())
        .text("fine/_lakecast/probe/u/small", "x")
        .text("fine/_lakecast.txt", "x")
        .text("fine/_temporary/0/_lakecast/x", "x")
        .text("fine/.x/y", "x");
    assert_eq!(lake.open(&lake.at("fine")).await.unwrap().rows, Some(1));
    // A published one is what its log says, whatever was staged since.
    delta_write(&lake, "published", vec![("sku", texts(&["a", "b"]))], &[]).await;
    lake.parquet(&format!("published/{staged}"), rows()).text("published/_lakecast/runs/r.json", "{}");
    assert_eq!(lake.open(&lake.at("published")).await.unwrap().rows, Some(2));
}

// --- Buckets

#[tokio::test]
async fn a_folder_of_a_bucket_is_read_through_the_registry() {
    use datafusion::execution::object_store::ObjectStoreRegistry;
    use object_store::{ObjectStoreExt, path::Path};
    let lake = Lake::new();
    let bucket = Arc::new(object_store::memory::InMemory::new());
    lake.stores.register_store(&url::Url::parse("s3://lake").unwrap(), bucket.clone());
    for (name, region) in [("one", "a%3Ab"), ("two", "c d")] {
        lake.parquet(name, vec![("sku", texts(&[name]))]);
        let key = Path::parse(format!("sales/region={region}/p.parquet")).unwrap();
        bucket.put(&key, std::fs::read(lake.path(name)).unwrap().into()).await.unwrap();
    }
    // Markers of folders, and a neighbour whose name begins alike.
    for key in ["sales", "sales/region=c d", "sales/empty_$folder$", "sales2/p.parquet"] {
        bucket.put(&Path::parse(key).unwrap(), "".into()).await.unwrap();
    }
    for text in ["s3://lake/sales/", "s3://lake/sales", "s3a://lake/sales/"] {
        let spec = TableSpec::new(text);
        let rows = lake.rows(&spec, "SELECT sku, region FROM t ORDER BY sku").await;
        assert_has(&rows, &["| one | a:b    |", "| two | c d    |"]);
        assert_eq!(lake.open(&spec).await.unwrap().files.len(), 2);
    }
    bucket.put(&Path::parse("empty/x.parquet").unwrap(), "".into()).await.unwrap();
    assert_has(&lake.error(&TableSpec::new("s3://lake/empty/")).await, &["0 bytes", "file=s3://lake/empty/x.parquet"]);
    let one = lake.open(&TableSpec::new("s3://lake/sales/region=a%3Ab/p.parquet")).await.unwrap();
    one.verify(&lake.stores).await.unwrap();
    assert_eq!(one.files[0].path, "sales/region=a%3Ab/p.parquet");
    assert_has(
        &lake.error(&TableSpec::new("s3://lake/sale/")).await,
        &["no object has this prefix", "s3://lake/sale/"],
    );
}

#[tokio::test]
async fn a_location_outside_the_allow_list_is_refused() {
    let lake = Lake::new();
    let stores = Stores::new(crate::store::StorePolicy::parse(&["s3://lake/"], false).unwrap());
    let error = open(&lake.at("t"), &lake.ctx.state(), &stores).await.unwrap_err().to_string();
    assert_has(&error, &["outside the allow-list", "allowed=[s3://lake/]"]);
}

// --- Delta

async fn delta_write(lake: &Lake, name: &str, columns: Vec<(&str, ArrayRef)>, partition: &[&str]) {
    std::fs::create_dir_all(lake.path(name)).unwrap();
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let url = url::Url::from_directory_path(lake.path(name)).unwrap();
    let mut table = DeltaTableBuilder::from_url(url).unwrap().build().unwrap();
    let _ = table.load().await;
    table.write(vec![batch]).with_partition_columns(partition.iter().map(ToString::to_string)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_table_is_read_as_its_log_says() {
    let lake = Lake::new();
    let day = |ds: &str, qty: i64| vec![("ds", texts(&[ds])), ("sku", texts(&["a"])), ("qty", ints(&[qty]))];
    delta_write(&lake, "d", day("2026-11-21", 1), &["ds"]).await;
    delta_write(&lake, "d", day("a:b c", 2), &["ds"]).await;
    // A file that no commit names is not part of the table.
    lake.parquet("d/ds=x/stray.parquet", vec![("sku", texts(&["z"])), ("qty", ints(&[1000]))]);
    let table = lake.open(&lake.at("d")).await.unwrap();
    assert_eq!((table.format, table.version, table.rows, table.files.len()), (Format::Delta, Some(1), Some(2), 2));
    let names: Vec<String> = types(&table).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["ds", "sku", "qty"]);
    let rows = lake.rows(&lake.at("d"), "SELECT * FROM t ORDER BY qty").await;
    insta::assert_snapshot!(rows, @r"
    +------------+-----+-----+
    | ds         | sku | qty |
    +------------+-----+-----+
    | 2026-11-21 | a   | 1   |
    | a:b c      | a   | 2   |
    +------------+-----+-----+
    ");
    let mut old = lake.at("d");
    old.version = Some(0);
    assert_has(&lake.rows(&old, "SELECT count(*) AS n FROM t").await, &["| 1 |"]);
    old.version = Some(7);
    assert_has(&lake.error(&old).await, &["version=7", "Delta"]);
    old.version = Some(-1);
    assert_has(&lake.error(&old).await, &["at least 0"]);
    let mut raw = lake.at("d");
    raw.format = Some(Format::Parquet);
    assert_has(&lake.error(&raw).await, &["must not be read without its log"]);
    raw.format = None;
    raw.schema = Some(vec![ColumnSpec::new("sku", "TEXT")]);
    assert_has(&lake.error(&raw).await, &["schema belongs to"]);
}

/// A log of one commit over `a.parquet`, with the protocol, table settings and extra keys of the add action as given.
fn delta_log(lake: &Lake, name: &str, protocol: &str, settings: &str, add: &str) {
    lake.parquet(&format!("{name}/a.parquet"), vec![("qty", ints(&[1, 2]))]);
    let size = std::fs::metadata(lake.path(&format!("{name}/a.parquet"))).unwrap().len();
    let schema = r#"{\"type\":\"struct\",\"fields\":[{\"name\":\"qty\",\"type\":\"long\",\"nullable\":true,\"metadata\":{\"delta.columnMapping.id\":1,\"delta.columnMapping.physicalName\":\"qty\"}}]}"#;
    lake.text(
        &format!("{name}/_delta_log/00000000000000000000.json"),
        &format!(
            r#"{{"protocol":{protocol}}}
{{"metaData":{{"id":"6d4b5a0e-0000-4000-8000-000000000001","format":{{"provider":"parquet","options":{{}}}},"schemaString":"{schema}","partitionColumns":[],"configuration":{settings},"createdTime":0}}}}
{{"add":{{"path":"a.parquet","partitionValues":{{}},"size":{size},"modificationTime":0,"dataChange":true{add}}}}}
"#
        ),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_table_without_statistics_is_read() {
    let lake = Lake::new();
    delta_log(&lake, "d", r#"{"minReaderVersion":1,"minWriterVersion":2}"#, "{}", "");
    assert_eq!(lake.open(&lake.at("d")).await.unwrap().rows, None);
    assert_has(&lake.rows(&lake.at("d"), "SELECT sum(qty) AS s, count(*) AS n FROM t").await, &["| 3 | 2 |"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_vectors_and_column_mapping_are_refused_with_the_remedy() {
    let lake = Lake::new();
    let features = r#"{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["deletionVectors"],"writerFeatures":["deletionVectors"]}"#;
    let vector = r#","deletionVector":{"storageType":"u","pathOrInlineDv":"ab^-aqEH.-t@S}K{vb[*k^","offset":4,"sizeInBytes":40,"cardinality":1}"#;
    let enabled = r#"{"delta.enableDeletionVectors":"true"}"#;
    delta_log(&lake, "dv", features, enabled, vector);
    assert_has(&lake.error(&lake.at("dv")).await, &["deletion vectors", "REORG TABLE", "a.parquet"]);
    // Allowed in the table but not used by any file, they change nothing.
    delta_log(&lake, "unused", features, enabled, "");
    assert_has(&lake.rows(&lake.at("unused"), "SELECT sum(qty) AS s FROM t").await, &["| 3 |"]);
    let mapping = r#"{"delta.columnMapping.mode":"name","delta.columnMapping.maxColumnId":"1"}"#;
    delta_log(&lake, "cm", r#"{"minReaderVersion":2,"minWriterVersion":5}"#, mapping, "");
    assert_has(&lake.error(&lake.at("cm")).await, &["column mapping", "mode=name", "CREATE TABLE"]);
}

// --- Many files, real files

#[tokio::test]
async fn ten_thousand_files_are_one_table() {
    let lake = Lake::new();
    lake.parquet("one.parquet", vec![("qty", ints(&[1, 2]))]);
    std::fs::create_dir(lake.path("t")).unwrap();
    for at in 0..10_000 {
        std::fs::hard_link(lake.path("one.parquet"), lake.path(&format!("t/{at}.parquet"))).unwrap();
    }
    let table = lake.open(&lake.at("t")).await.unwrap();
    assert_eq!((table.files.len(), table.rows), (10_000, Some(20_000)));
    let bytes = table.provider.downcast_ref::<FilesTable>().unwrap().to_bytes().unwrap();
    assert!(bytes.len() < 4_000_000, "{}", bytes.len());
    assert_has(&lake.rows(&lake.at("t"), "SELECT sum(qty) AS s FROM t").await, &["| 30000 |"]);
}

/// A file of the shared data, or none with a loud line when it is absent.
fn shared(file: &str) -> Option<PathBuf> {
    // Asked when the test runs: clones that share a target folder share binaries too.
    let beside =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    let mut roots: Vec<PathBuf> = std::env::var_os("LAKECAST_SHARED").map(PathBuf::from).into_iter().collect();
    roots.extend([beside.join("../shared"), beside.join("../../shared")]);
    let found = roots.into_iter().map(|root| root.join("data").join(file)).find(|path| path.exists());
    if found.is_none() {
        assert!(std::env::var_os("LAKECAST_REQUIRE_SHARED").is_none_or(|v| v != "1"), "shared data is missing: {file}");
        // Past the capture of a passing test's output.
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("SKIPPED: shared data is missing: {file}\n"),
        );
    }
    found
}

#[tokio::test]
async fn the_online_retail_baskets_are_read_as_plain_texts() {
    let Some(path) = shared("onlineretail/transactions.parquet") else { return };
    let lake = Lake::new();
    let spec = TableSpec::new(path.to_str().unwrap());
    let table = lake.open(&spec).await.unwrap();
    for (name, data_type) in types(&table) {
        let text = !matches!(data_type, DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(_, _));
        assert!(text, "{name}: {data_type}");
    }
    lake.ctx.register_table("t", Arc::clone(&table.provider)).unwrap();
    let batches = lake.ctx.sql("SELECT * FROM t").await.unwrap().collect().await.unwrap();
    assert_eq!(Some(batches.iter().map(|batch| batch.num_rows() as u64).sum::<u64>()), table.rows);
    assert!(batches.iter().all(|batch| batch.schema().fields() == table.schema.fields()));
}

#[tokio::test]
async fn the_m5_sales_are_read_whole() {
    let Some(path) = shared("m5/train.parquet") else { return };
    let lake = Lake::new();
    let spec = TableSpec::new(path.to_str().unwrap());
    let table = register(&lake.ctx, "t", &spec, &lake.stores).await.unwrap();
    let sql = "SELECT count(*) AS n, count(DISTINCT unique_id) AS series FROM t WHERE ds IS NOT NULL";
    let batches = lake.ctx.sql(sql).await.unwrap().collect().await.unwrap();
    assert_eq!(Some(batches[0].column(0).as_primitive::<Int64Type>().value(0) as u64), table.rows);
    assert_eq!(batches[0].column(1).as_primitive::<Int64Type>().value(0), 15_240);
}
