//! Baskets beyond the reference: which plan is chosen and why, limits, segments, categories, weights, and what is made of
//! rules afterwards.

use crate::fleet::{Fleet, Options};
use crate::itemsets::SOLD;
use crate::support::{digest, lakecast, ok, query, shared, try_query};
use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{Float64Type, Int64Type};
use lakecast_engine::SessionOptions;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

const PLANS: [&str; 3] = ["segment", "broadcast", "prefix"];
const LINES: &str = "basket => transaction_id, item => item";

/// Files of a shared set as tables `lines` and `items`.
fn set(name: &str) -> Option<Vec<(&'static str, PathBuf)>> {
    let dir = shared(&format!("data/{name}"))?;
    let files = [("lines", dir.join("transactions.parquet")), ("items", dir.join("items.parquet"))];
    Some(files.into_iter().filter(|(_, file)| file.exists()).collect())
}

fn rows(tables: &[(&'static str, PathBuf)], sql: &str) -> RecordBatch {
    let tables: Vec<_> = tables.iter().map(|(name, file)| (*name, file.as_path())).collect();
    let rows = query(&tables, sql);
    concat_batches(&rows[0].schema(), &rows).unwrap()
}

fn refused(tables: &[(&'static str, PathBuf)], sql: &str) -> String {
    let tables: Vec<_> = tables.iter().map(|(name, file)| (*name, file.as_path())).collect();
    match try_query(&SessionOptions::default(), &tables, sql) {
        Ok(_) => panic!("nobody refused {sql}"),
        Err(error) => error,
    }
}

/// Rows as text, one column each, ordered.
fn texts(batch: &RecordBatch) -> Vec<String> {
    let show = datafusion::arrow::util::display::array_value_to_string;
    let cells = |row: usize| batch.columns().iter().map(|c| show(c, row).unwrap()).collect::<Vec<_>>().join("|");
    let mut out: Vec<String> = (0..batch.num_rows()).map(cells).collect();
    out.sort();
    out
}

fn explain(options: &SessionOptions, tables: &[(&'static str, PathBuf)], call: &str) -> String {
    let tables: Vec<_> = tables.iter().map(|(name, file)| (*name, file.as_path())).collect();
    let rows = try_query(options, &tables, &format!("EXPLAIN SELECT * FROM {call}")).unwrap();
    rows.iter()
        .flat_map(|b| b.column(1).as_string::<i32>().iter().flatten().map(str::to_string).collect::<Vec<_>>())
        .collect()
}

#[test]
fn explain_names_the_plan_of_a_mining_run_and_why_it_was_chosen() {
    let Some(groceries) = set("groceries") else { return };
    let usual = SessionOptions::default();
    let small = SessionOptions { memory_bytes: 1 << 20, ..SessionOptions::default() };
    let call =
        |more: &str| format!("frequent_itemsets((SELECT *, 1 AS shop FROM lines), {LINES}, min_support => 50{more})");
    let cases = [
        (
            &usual,
            call(""),
            "mine_tasks",
            "why=[plan=broadcast: one task can encode all baskets in half of the memory, rows<=43367",
        ),
        (
            &small,
            call(""),
            "mine_shard",
            "why=[plan=prefix: no task can encode all baskets in half of the memory; max_itemsets holds for each shard, rows<=43367",
        ),
        (&small, call(", exclude => ['soda']"), "mine_shard", "why=[plan=prefix"),
        (&small, call(", max_basket_items => 40"), "mine_tasks", "but prefix has no place for [max_basket_items]"),
        (&usual, call(", by => shop"), "mine_segment", "why=[plan=segment: by gives many problems"),
        (&usual, call(", plan => 'prefix'"), "mine_shard", "why=[plan=prefix: the call says so]"),
    ];
    for (options, call, function, why) in cases {
        let plan = explain(options, &groceries, &call);
        let (logical, physical) = plan.split_once("GroupMapExec").unwrap();
        for half in [logical, physical] {
            assert!(half.contains(function) && half.contains(why), "{call}: expected {why}: {plan}");
        }
    }
}

#[test]
fn many_tasks_of_one_process_are_spread_over_its_partitions() {
    let Some(groceries) = set("groceries") else { return };
    let call = format!("frequent_itemsets(TABLE(lines), {LINES}, min_support => 50, plan => 'broadcast')");
    let plan = explain(&SessionOptions::default(), &groceries, &call);
    let (_, physical) = plan.split_once("GroupMapExec: mine_tasks").unwrap();
    assert!(physical.contains("Hash([lc_task@0], 16)"), "{plan}");
}

#[test]
fn order_and_repetition_of_lines_change_nothing_in_any_plan() {
    let Some(groceries) = set("groceries") else { return };
    let wild = "(SELECT transaction_id, item FROM (SELECT * FROM lines UNION ALL SELECT * FROM lines WHERE transaction_id % 3 = 0) AS t ORDER BY item DESC, transaction_id % 7)";
    let mut digests = BTreeSet::new();
    for plan in PLANS {
        for input in ["TABLE(lines)", wild] {
            for shards in [1, 7, 64] {
                let args = format!("{input}, {LINES}, min_support => 0.002, plan => '{plan}', shards => {shards}");
                digests.insert(digest(&[rows(&groceries, &format!("SELECT * FROM frequent_itemsets({args})"))]));
            }
        }
    }
    assert_eq!(digests.len(), 1, "{digests:?}");
}

#[test]
fn segments_give_what_each_gives_alone() {
    let Some(groceries) = set("groceries") else { return };
    let cut = "(SELECT transaction_id % 3 AS third, transaction_id % 2 = 0 AS even, * FROM lines)";
    let mining = "min_support => 0.01, max_len => 3";
    let all =
        rows(&groceries, &format!("SELECT * FROM frequent_itemsets({cut}, by => [third, even], {LINES}, {mining})"));
    assert_eq!(all.schema().field(0).name(), "third");
    assert_eq!(all.schema().field(1).name(), "even");
    let mut alone = vec![];
    for third in 0..3 {
        for even in [false, true] {
            let part = format!(
                "(SELECT * FROM lines WHERE transaction_id % 3 = {third} AND (transaction_id % 2 = 0) = {even})"
            );
            let sql = format!(
                "SELECT CAST({third} AS INTEGER) AS third, {even} AS even, * FROM frequent_itemsets({part}, {LINES}, {mining})"
            );
            alone.extend(texts(&rows(&groceries, &sql)));
        }
    }
    alone.sort();
    assert!(alone.len() > 1000, "{}", alone.len());
    assert_eq!(texts(&all), alone);
}

#[test]
fn an_explosion_is_refused_with_its_number_and_a_support_that_fits() {
    let Some(sold) = set("onlineretail") else { return };
    let call = format!("frequent_itemsets({SOLD}, {LINES}, min_support => 0.002, max_itemsets => 1000000)");
    let error = refused(&sold, &format!("SELECT * FROM {call}"));
    for part in ["12198487", "max_itemsets", "min_support"] {
        assert!(error.contains(part), "expected {part}: {error}");
    }
    let sql = call.replace("frequent_itemsets", "SELECT * FROM estimate_itemsets");
    let said = rows(&sold, &sql);
    assert_eq!(said.num_rows(), 1);
    let number = |name: &str| said.column_by_name(name).unwrap().as_primitive::<Int64Type>().value(0);
    assert_eq!(number("itemsets"), 12_198_487);
    // The support that it names keeps to the limit.
    let fits = number("fits_min_count");
    let sql = format!(
        "SELECT count(*) FROM frequent_itemsets({SOLD}, {LINES}, min_support => {fits}, max_itemsets => 1000000)"
    );
    let found = rows(&sold, &sql).column(0).as_primitive::<Int64Type>().value(0);
    assert!(found <= 1_000_000, "{found} at {fits}");
}

#[test]
fn arguments_that_do_not_go_together_are_named_with_what_is_possible() {
    let Some(groceries) = set("groceries") else { return };
    let itemsets = |more: &str| format!("frequent_itemsets(TABLE(lines), {LINES}{more})");
    let cases: &[(String, &[&str])] = &[
        (itemsets(""), &["min_support", "top_k"]),
        (itemsets(", min_support => 5, top_k => 7"), &["min_support", "top_k"]),
        (itemsets(", min_support => 5, plan => 'prefx'"), &["did you mean 'prefix'"]),
        (
            itemsets(", top_k => 5, plan => 'prefix'"),
            &["plan=prefix", "no place for=[top_k]", "possible=[auto, segment, broadcast]"],
        ),
        (
            format!(
                "frequent_itemsets((SELECT *, 1 AS shop FROM lines), {LINES}, by => shop, min_support => 5, plan => 'broadcast')"
            ),
            &["plan=broadcast", "no place for=[by]", "possible=[auto, segment]"],
        ),
        (
            format!("frequent_itemsets((SELECT *, 1.5 AS w FROM lines), {LINES}, weight => w, min_support => 5)"),
            &["wrong column type: argument=weight", "integer"],
        ),
        (itemsets(", min_support => 5, categories => (SELECT item FROM items)"), &["categories", "missing=[category]"]),
        (
            itemsets(", min_support => 5, itemsets => 'closed', plan => 'prefix'"),
            &["no place for=[itemsets]", "possible=[auto, segment, broadcast]"],
        ),
        (itemsets(", min_support => 5, itemsets => 'free'"), &["itemsets", "all, closed, maximal"]),
        (itemsets(", min_support => 5, max_basket_items => 3"), &["max_basket_items", "truncate"]),
        ("recommend(TABLE(lines), basket => transaction_id, item => item)".into(), &["missing table: name=baskets"]),
        ("rules_diff(TABLE(lines))".into(), &["missing table: name=now"]),
        ("rules_diff(TABLE(lines), TABLE(lines))".into(), &["antecedent"]),
    ];
    for (call, parts) in cases {
        let error = refused(&groceries, &format!("SELECT * FROM {call}"));
        for part in *parts {
            assert!(error.contains(part), "{call}: expected {part:?} in: {error}");
        }
    }
}

#[test]
fn items_are_left_out_baskets_cut_and_weights_counted_as_asked() {
    let input = "(SELECT * FROM (VALUES (1, 'bag', 2), (1, 'a', 2), (1, 'b', 2), (2, 'bag', 1), (2, 'a', 1), (3, 'bag', 3), (3, 'b', 3), (4, 'bag', 1)) AS v(o, i, w))";
    let found = |more: &str| {
        let sql = format!(
            "SELECT array_to_string(itemset, '+') AS s, n, n_baskets FROM frequent_itemsets({input}, basket => o, item => i{more})"
        );
        texts(&rows(&[], &sql))
    };
    let sorted = |expected: &[&str]| {
        let mut expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
        expected.sort();
        expected
    };
    for plan in PLANS {
        let with = |more: &str| found(&format!("{more}, plan => '{plan}'"));
        assert_eq!(with(", min_support => 2, exclude => ['bag']"), sorted(&["a|2|4", "b|2|4"]));
        assert_eq!(with(", min_support => 0.5, ubiquitous => 0.9"), sorted(&["a|2|4", "b|2|4"]));
        assert_eq!(with(", min_support => 1, ubiquitous => 0.5, max_len => 1"), sorted(&["a|2|4", "b|2|4"]));
        assert_eq!(with(", min_support => 2, max_len => 1"), sorted(&["a|2|4", "bag|4|4", "b|2|4"]));
    }
    for plan in ["segment", "broadcast"] {
        let with = |more: &str| found(&format!("{more}, plan => '{plan}'"));
        assert_eq!(with(", weight => w, min_support => 4"), sorted(&["bag|7|7", "b+bag|5|7", "b|5|7"]));
        // The cut keeps the items of most baskets, of equal ones the first: basket 1 loses b.
        assert_eq!(
            with(", min_support => 1, max_basket_items => 2, long_baskets => 'truncate'"),
            sorted(&["a+bag|2|4", "a|2|4", "bag|4|4", "b+bag|1|4", "b|1|4"])
        );
        assert_eq!(with(", top_k => 1"), sorted(&["bag|4|4"]));
        assert_eq!(with(", top_k => 2"), sorted(&["a+bag|2|4", "a|2|4", "bag|4|4", "b+bag|2|4", "b|2|4"]));
    }
}

#[test]
fn categories_stand_beside_items_and_never_with_their_own() {
    let Some(groceries) = set("groceries") else { return };
    let above = "SELECT item, 'level 2: ' || level2 AS category FROM items";
    let of: BTreeMap<String, String> = {
        let table = rows(&groceries, above);
        let text =
            |at: usize| table.column(at).as_string::<i32>().iter().flatten().map(String::from).collect::<Vec<_>>();
        text(0).into_iter().zip(text(1)).collect()
    };
    let columns = "array_to_string(itemset, '+') AS itemset, n, n_baskets";
    let expanded = format!(
        "(SELECT transaction_id, item FROM lines UNION ALL SELECT l.transaction_id, c.category FROM lines l JOIN ({above}) c ON l.item = c.item)"
    );
    let sql = format!("SELECT {columns} FROM frequent_itemsets({expanded}, {LINES}, min_support => 0.02)");
    let own = |row: &String| {
        let items: Vec<&str> = row.split('|').next().unwrap_or_default().split('+').collect();
        items.iter().any(|item| of.get(*item).is_some_and(|category| items.contains(&category.as_str())))
    };
    let expected: Vec<String> = texts(&rows(&groceries, &sql)).into_iter().filter(|row| !own(row)).collect();
    assert!(expected.len() > 300, "{}", expected.len());
    for plan in ["segment", "broadcast"] {
        let sql = format!(
            "SELECT {columns} FROM frequent_itemsets(TABLE(lines), {LINES}, min_support => 0.02, categories => ({above}), plan => '{plan}')"
        );
        assert_eq!(texts(&rows(&groceries, &sql)), expected, "{plan}");
    }
}

#[test]
fn a_fleet_mines_what_one_process_mines_in_every_plan() {
    let Some(groceries) = set("groceries") else { return };
    let fleet = Fleet::start(&Options { executors: 2, ..Options::default() });
    let said = |sql: &str, there: bool| {
        let mut command = lakecast(["sql", "--format", "csv", "-c", sql]);
        for (name, file) in &groceries {
            command.arg("--table").arg(format!("{name}={}", file.display()));
        }
        if there {
            command.arg("--scheduler").arg(fleet.url());
        }
        ok(&mut command).stdout
    };
    let mut itemsets = BTreeSet::new();
    let mut rules = BTreeSet::new();
    for plan in PLANS {
        let sql = format!(
            "SELECT array_to_string(itemset, '+') AS s, n, support FROM frequent_itemsets(TABLE(lines), {LINES}, min_support => 50, plan => '{plan}') ORDER BY s"
        );
        let here = said(&sql, false);
        assert_eq!(here.lines().count(), 1 + 1001, "{plan}");
        assert_eq!(said(&sql, true), here, "{plan}");
        itemsets.insert(here);
        let sql = format!(
            "SELECT array_to_string(antecedent, '+') AS a, array_to_string(consequent, '+') AS c, n_both, confidence, lift FROM association_rules(TABLE(lines), {LINES}, min_support => 50, min_confidence => 0.3, plan => '{plan}') ORDER BY a, c"
        );
        let here = said(&sql, false);
        assert!(here.lines().count() > 100, "{plan}: {here}");
        assert_eq!(said(&sql, true), here, "{plan}");
        rules.insert(here);
    }
    assert_eq!((itemsets.len(), rules.len()), (1, 1));
    let by = format!(
        "SELECT third, array_to_string(itemset, '+') AS s, n FROM frequent_itemsets((SELECT *, transaction_id % 3 AS third FROM lines), by => third, {LINES}, min_support => 0.01, categories => (SELECT item, 'level 2: ' || level2 AS category FROM items)) ORDER BY third, s"
    );
    assert_eq!(said(&by, true), said(&by, false));
}

const RULES: &str = "SELECT * FROM (VALUES
    (['a'], ['b'], 0.2, 0.8, 2.0, 4, 5, 8), (['a'], ['c'], 0.1, 0.4, 1.5, 2, 5, 6), (['b', 'c'], ['d'], 0.1, 0.9, 3.0, 2, 2, 6)
  ) AS v(antecedent, consequent, support, confidence, lift, n_both, n_antecedent, n_consequent)";

#[test]
fn baskets_are_offered_what_their_rules_lead_to() {
    let baskets =
        "(SELECT * FROM (VALUES (1, 'a'), (2, 'b'), (2, 'c'), (3, 'a'), (3, 'b'), (4, 'z')) AS v(customer, i))";
    let offered = |call: &str| {
        let sql = format!("SELECT customer, rank, item, score, array_to_string(antecedent, '+') AS why FROM {call}");
        texts(&rows(&[], &sql))
    };
    let args = "basket => customer, item => i";
    let expected = ["1|1|b|0.8|a", "1|2|c|0.4|a", "2|1|d|0.9|b+c", "3|1|c|0.4|a"];
    assert_eq!(offered(&format!("recommend(({RULES}), {baskets}, {args})")), expected);
    assert_eq!(offered(&format!("recommend(({RULES}), {args}, baskets => {baskets})")), expected);
    assert_eq!(
        offered(&format!("recommend(({RULES}), {baskets}, {args}, k => 1)")),
        ["1|1|b|0.8|a", "2|1|d|0.9|b+c", "3|1|c|0.4|a"]
    );
}

#[test]
fn rules_of_two_nights_are_new_gone_moved_or_the_same() {
    let now = RULES.replace("0.8, 2.0", "0.85, 2.0").replace("(['b', 'c'], ['d']", "(['b'], ['d']");
    let diff = |call: &str| {
        let sql = format!(
            "SELECT array_to_string(antecedent, '+') AS a, array_to_string(consequent, '+') AS c, change, confidence_last, confidence_now FROM {call}"
        );
        texts(&rows(&[], &sql))
    };
    let expected = ["a|b|moved|0.8|0.85", "a|c|same|0.4|0.4", "b+c|d|gone|0.9|", "b|d|new||0.9"];
    assert_eq!(diff(&format!("rules_diff(({RULES}), ({now}))")), expected);
    assert_eq!(diff(&format!("rules_diff(({RULES}), now => ({now}), tolerance => 0.1)"))[0], "a|b|same|0.8|0.85");
    let by =
        |rules: &str| format!("(SELECT 1 AS store, * FROM ({rules}) AS a UNION ALL SELECT 2, * FROM ({rules}) AS b)");
    let stores = format!("SELECT store, change FROM rules_diff({}, {}, by => store)", by(RULES), by(&now));
    assert_eq!(rows(&[], &stores).num_rows(), 8);
    let twice = format!("SELECT * FROM rules_diff({}, {})", by(RULES), by(&now));
    let error = refused(&[], &twice);
    assert!(error.contains("more than once") && error.contains("by => [..]"), "{error}");
    let whole = rows(&[], &format!("SELECT * FROM rules_diff(({RULES}), ({now})) WHERE change = 'moved'"));
    assert_eq!(whole.column_by_name("confidence_now").unwrap().as_primitive::<Float64Type>().value(0), 0.85);
    assert_eq!(whole.column_by_name("n_both_last").unwrap().null_count(), 0);
}
