//! Same rows, floats bit for bit, whatever the partitioning, the batch size and the order of the input files.

use crate::support::{digest, lakecast, ok, runtime, try_query};
use lakecast_engine::SessionOptions;
use std::fs;
use std::path::Path;

const FORECAST: &str = "SELECT * FROM forecast(TABLE(sales), id => sku, time => ds, value => qty, horizon => 14, season_length => 7, level => [80, 95])";
const ITEMSETS: &str =
    "SELECT * FROM frequent_itemsets(TABLE(order_lines), basket => order_id, item => sku, min_support => 0.002)";
const RULES: &str = "SELECT * FROM association_rules(TABLE(order_lines), basket => order_id, item => sku, min_support => 8, min_confidence => 0.1, max_consequent => 3)";

/// Copies a folder's files under other names, so that a listing meets them in another order.
fn shuffled(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    let mut files: Vec<_> = fs::read_dir(from).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files.reverse();
    for (i, file) in files.iter().enumerate() {
        fs::copy(file, to.join(format!("{:03}-{}.parquet", (i * 7) % 11, i))).unwrap();
    }
}

#[test]
fn partitions_batch_sizes_and_file_order_change_no_bit() {
    let dir = tempfile::tempdir().unwrap();
    let market = dir.path().join("market");
    ok(lakecast(["generate", "--skus", "400", "--days", "200", "--baskets", "6000", "--seed", "3", "--out"])
        .arg(&market));
    for table in ["sales", "order_lines"] {
        shuffled(&market.join(table), &dir.path().join("shuffled").join(table));
    }
    for sql in [FORECAST, ITEMSETS, RULES] {
        let mut digests = vec![];
        for partitions in [1, 4, 16, 64] {
            for batch_size_rows in [512, 8192] {
                for root in [&market, &dir.path().join("shuffled")] {
                    let options = SessionOptions { partitions, batch_size_rows, ..SessionOptions::default() };
                    let (sales, lines) = (root.join("sales"), root.join("order_lines"));
                    let rows = try_query(&options, &[("sales", &sales), ("order_lines", &lines)], sql).unwrap();
                    digests.push((digest(&rows), partitions, batch_size_rows));
                }
            }
        }
        assert!(!digests[0].0.starts_with("0 rows"), "{sql}");
        for other in &digests {
            assert_eq!(digests[0].0, other.0, "partitions={}, batch size={}: {sql}", other.1, other.2);
        }
    }
}

#[test]
fn the_codec_rebuilds_the_same_plan() {
    use datafusion_proto::bytes::{
        logical_plan_from_bytes_with_extension_codec, logical_plan_to_bytes_with_extension_codec,
        physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
    };
    use lakecast_engine::group_map::{LogicalCodec, PhysicalCodec};
    let runtime = runtime();
    runtime.block_on(async {
        let context = lakecast_engine::session(&SessionOptions::default()).unwrap();
        let sql = "SELECT * FROM forecast((VALUES ('a', 1, 5.0), ('a', 2, 6.0), ('b', 1, 3.0), ('b', 2, 4.0)) , id => column1, time => column2, value => column3, horizon => 2)";
        let sql = sql.replace("(VALUES", "(SELECT * FROM (VALUES").replace(") , id", ") AS v) , id");
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
