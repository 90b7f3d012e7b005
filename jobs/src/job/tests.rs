//! Wrong jobs and the exact text of their errors.  In: YAML. Out: assertions.

use super::*;

const JOB: &str = "name: nightly
variables: { lake: /lake, since: }
tables:
  sales: { location: '${lake}/sales/' }
  lines: { location: s3://b/lines }
  spare: { location: /spare }
views:
  recent: |
    SELECT * FROM sales
    WHERE ds >= DATE '${run_date}' - 7
outputs:
  forecast:
    location: out/forecast
    sql: |
      SELECT *
      FROM forecast(TABLE(recent), id => sku, horizon => 28)
  rules:
    location: s3://b/rules/
    partitions: 4
    checks: { max_refused_share: 0.1, min_rows: 1 }
    sql: SELECT * FROM association_rules(lines, basket => o, item => i)
";

fn read_with(text: &str, change: impl FnOnce(&mut Inputs<'_>)) -> Result<Job, JobError> {
    let set = [("since".to_string(), "2020".to_string())];
    let mut inputs = Inputs {
        run_date: NaiveDate::from_ymd_opt(2026, 11, 22),
        publishes: true,
        set: &set,
        partitions: None,
        memory_bytes: None,
        base: Path::new("/work"),
    };
    change(&mut inputs);
    Job::read(&Source::new("job.yaml", text), &inputs)
}

fn wrong(text: &str) -> String {
    read_with(text, |_| {}).unwrap_err().to_string()
}

fn changed(from: &str, to: &str) -> String {
    assert!(JOB.contains(from), "{from}");
    JOB.replacen(from, to, 1)
}

#[test]
fn a_good_job_is_substituted_and_completed() {
    let job = read_with(JOB, |_| {}).unwrap();
    assert_eq!(job.tables[0].location.normal_as_written(), "/lake/sales/");
    assert_eq!(job.views[0].sql, "SELECT * FROM sales\nWHERE ds >= DATE '2026-11-22' - 7\n");
    assert_eq!(job.outputs[0].location.normal(), "/work/out/forecast");
    assert_eq!(job.outputs.iter().map(|o| o.partitions).collect::<Vec<_>>(), [None, Some(4)]);
    assert_eq!((job.outputs[1].max_refused_share, job.outputs[1].min_rows), (Some(0.1), Some(1)));
    assert_eq!(job.variables, [("lake".to_string(), "/lake".to_string()), ("since".into(), "2020".into())]);
    let overridden = read_with(JOB, |i| i.partitions = Some(64)).unwrap();
    assert_eq!(overridden.outputs.iter().map(|o| o.partitions).collect::<Vec<_>>(), [Some(64); 2]);
    let settings = read_with(&changed("name: nightly", "name: nightly\nsettings: { partitions: 3 }"), |_| {}).unwrap();
    assert_eq!(settings.outputs.iter().map(|o| o.partitions).collect::<Vec<_>>(), [Some(3), Some(4)]);
}

#[test]
fn an_output_knows_what_it_is_computed_from() {
    let job = read_with(JOB, |_| {}).unwrap();
    let reads = job.reads(&job.outputs[0]);
    assert_eq!(reads.tables.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["sales"], "through a view");
    assert_eq!(reads.views.len(), 1);
    assert_eq!(job.reads(&job.outputs[1]).tables[0].name, "lines");
    assert_eq!(job.unused(), ["spare"]);
}

#[test]
fn the_canonical_text_changes_with_the_result_and_with_nothing_else() {
    let canonical = |text: &str| {
        let job = read_with(text, |_| {}).unwrap();
        job.canonical(&job.outputs[0], 16)
    };
    let base = canonical(JOB);
    for (from, to) in [
        ("/spare", "/elsewhere"),
        ("out/forecast", "out/other"),
        ("partitions: 4", "partitions: 5"),
        ("name: nightly", "name: nightly\ndescription: new\nsettings: { batch_size_rows: 9 }"),
    ] {
        assert_eq!(canonical(&changed(from, to)), base, "{from} does not matter");
    }
    for (from, to) in [
        ("horizon => 28", "horizon => 27"),
        ("- 7", "- 8"),
        ("lake: /lake", "lake: /pond"),
        ("sales/' }", "sales/', format: csv }"),
        ("sales/' }", "sales/', options: { null_text: NA } }"),
        ("sales/' }", "sales/', schema: [{ name: a, type: bigint }] }"),
        ("sales/' }", "sales/', version: 3 }"),
        ("name: nightly", "name: nightly\nsettings: { memory: 2GiB }"),
    ] {
        assert_ne!(canonical(&changed(from, to)), base, "{to} matters");
    }
    let next_day = read_with(JOB, |i| i.run_date = NaiveDate::from_ymd_opt(2026, 11, 23)).unwrap();
    assert_ne!(
        next_day.canonical(&next_day.outputs[1], 16),
        read_with(JOB, |_| {}).unwrap().canonical(&next_day.outputs[1], 16)
    );
    assert_ne!(next_day.canonical(&next_day.outputs[1], 16), next_day.canonical(&next_day.outputs[1], 17));
}

#[test]
fn partitions_follow_the_bytes_of_the_input_and_nothing_else() {
    const GIB: u64 = 1 << 30;
    for (bytes, partitions) in [
        (0, 16),
        (500_000, 16),
        (GIB, 16),
        (GIB + 1, 17),
        (10 * GIB, 160),
        (16 * GIB, 256),
        (16 * GIB + 1, 256),
        (u64::MAX, 256),
    ] {
        assert_eq!(partitions_for(bytes), partitions, "{bytes} bytes");
    }
}

#[test]
fn the_run_date_must_be_given_to_publish_or_where_it_is_named() {
    let missing = "run date is missing: add --run-date YYYY-MM-DD";
    let publish = read_with(JOB, |i| i.run_date = None).unwrap_err().to_string();
    assert_eq!(publish, format!("job.yaml: {missing}\njob.yaml:10:23: {missing}"));
    let unnamed = changed("${run_date}", "2026-01-01");
    let look = |i: &mut Inputs<'_>| {
        i.run_date = None;
        i.publishes = false;
    };
    assert_eq!(read_with(&unnamed, look).unwrap().run_date, None);
    assert_eq!(read_with(JOB, look).unwrap_err().to_string(), format!("job.yaml:10:23: {missing}"));
}

#[test]
fn a_date_has_one_spelling() {
    assert_eq!(parse_run_date("2026-11-22").unwrap(), NaiveDate::from_ymd_opt(2026, 11, 22).unwrap());
    assert_eq!(
        parse_run_date("22.11.2026").unwrap_err(),
        "bad date: given=22.11.2026, allowed=[YYYY-MM-DD, a day of the calendar]"
    );
    for text in ["2026-1-2", "2026-02-30", "+2026-01-01", "", "today", "2026-11-22 "] {
        assert!(parse_run_date(text).is_err(), "{text:?}");
    }
}

#[test]
fn memory_needs_a_unit() {
    assert_eq!(
        wrong(&changed("name: nightly", "name: nightly\nsettings: { memory: 4 }")),
        "job.yaml:2:21: bad amount of memory: write a number and a unit, units=[KiB, MiB, GiB, TiB, kB, MB, GB, TB, B], given=4"
    );
}

#[test]
fn an_unknown_variable_names_place_and_nearest() {
    assert_eq!(
        wrong(&changed("${run_date}", "${rundate}")),
        "job.yaml:10:23: unknown variable: name=rundate, known=[run_date, lake, since], did you mean `run_date`?"
    );
    assert_eq!(
        wrong(&changed("'${lake}/sales/'", "'x/${lak}'")),
        "job.yaml:4:25: unknown variable: name=lak, known=[run_date, lake, since], did you mean `lake`?"
    );
    assert_eq!(
        wrong(&changed("horizon => 28", "horizon => ${zzz")),
        "job.yaml:16:58: `${` without `}`: close it, or write `$${` for a literal `${`"
    );
    let unset = read_with(&changed("WHERE", "WHERE y > ${since} AND"), |i| i.set = &[]).unwrap_err().to_string();
    assert_eq!(unset, "job.yaml:10:15: variable has no value: name=since, add --set since=VALUE");
}

#[test]
fn a_set_that_nothing_uses_is_refused() {
    let set = |name: &str| vec![(name.to_string(), "v".to_string())];
    let with = |pairs: Vec<(String, String)>| {
        let mut inputs_set = pairs;
        inputs_set.push(("since".into(), "1".into()));
        let inputs = Inputs {
            run_date: NaiveDate::from_ymd_opt(2026, 11, 22),
            publishes: true,
            set: &inputs_set,
            partitions: None,
            memory_bytes: None,
            base: Path::new("/work"),
        };
        Job::read(&Source::new("job.yaml", JOB), &inputs).map(|_| ()).map_err(|e| e.to_string())
    };
    assert_eq!(with(set("lake")), Ok(()));
    assert_eq!(
        with(set("lak")).unwrap_err(),
        "job.yaml: unknown variable: --set lak=.., known=[lake, since], did you mean `lake`?"
    );
    assert!(with(set("run_date")).unwrap_err().contains("use --run-date"));
    assert!(with(set("since")).unwrap_err().contains("variable is set twice: name=since"));
}

#[test]
fn locations_that_overlap_are_refused() {
    let says = |text: String, how: &str, other: &str| {
        let error = wrong(&text);
        assert!(error.contains(how) && error.contains(other), "{error}");
    };
    assert_eq!(
        wrong(&changed("location: out/forecast", "location: /lake/sales")),
        "job.yaml:13:15: an output location equals that of another table, choose a place of its own: \
         output=forecast (/lake/sales), table=sales (/lake/sales)"
    );
    says(changed("out/forecast", "file:///lake/sales/sub/"), "lies within", "table=sales (/lake/sales)");
    says(changed("out/forecast", "../lake"), "contains", "output=forecast (/lake), table=sales");
    says(changed("s3://b/rules/", "s3://b/lines/../lines/"), "equals", "table=lines (s3://b/lines)");
    says(changed("s3://b/rules/", "out/forecast/rules"), "lies within", "output=forecast (/work/out/forecast)");
    says(changed("out/forecast", "out/*"), "no wildcards", "output=forecast");
}

#[test]
fn sql_errors_point_into_the_job_file() {
    assert_eq!(
        wrong(&changed("horizon => 28)", "horizon => 28) WHERE )")),
        "job.yaml:16:68: sql does not parse: expected: an expression, found: )"
    );
    assert_eq!(
        wrong(&changed("horizon => 28)", "horizon => 28);\n      SELECT 2")),
        "job.yaml:17:7: exactly one query is allowed, this starts a second one"
    );
    assert_eq!(
        wrong(&changed("WHERE ds >= DATE '${run_date}' - 7", "WHERE '${run_date}' > )")),
        "job.yaml:10:27: sql does not parse: expected: an expression, found: )",
        "columns are those of the file, not of the text after substitution"
    );
    assert_eq!(
        wrong(&changed("sql: SELECT * FROM association_rules(lines, basket => o, item => i)", "sql: DROP TABLE x")),
        "job.yaml:21:10: not a query: given=DROP, allowed=[SELECT .., WITH .. SELECT ..]"
    );
    assert_eq!(
        wrong(&changed(
            "sql: SELECT * FROM association_rules(lines, basket => o, item => i)",
            "sql: \"SELECT\\n1 +\\n)\""
        )),
        "job.yaml:21:10: sql does not parse: expected: an expression, found: ), at line 3 column 1 of this text"
    );
    assert_eq!(
        wrong(&changed("sql: SELECT * FROM association_rules(lines, basket => o, item => i)", "sql: 'SELECT 1 )'")),
        "job.yaml:21:20: sql does not parse: expected: end of the query, found: )"
    );
}

#[test]
fn names_fit_sql_and_differ() {
    let allowed = "allowed=[lower case letters, digits and `_`, no digit first, at most 63]";
    assert_eq!(
        wrong(&changed("  spare:", "  Spare:")),
        format!("job.yaml:6:3: bad table name: name=\"Spare\", {allowed}, write `spare`")
    );
    assert_eq!(
        wrong(&changed("  rules:", "  1-rules:")),
        format!("job.yaml:17:3: bad output name: name=\"1-rules\", {allowed}")
    );
    assert_eq!(
        wrong(&changed("  spare:", "  recent:")),
        "job.yaml:8:3: a table and a view have the same name: name=recent"
    );
    assert!(wrong(&changed("name: nightly", "name: a/b")).starts_with("job.yaml:1:7: bad job name: name=\"a/b\""));
    assert!(wrong(&changed("since:", "run_date: x")).contains("job.yaml:2:27: `run_date` is set by --run-date"));
    assert!(wrong(&changed("since:", "a-b: x")).contains("bad variable name: name=\"a-b\""));
}

#[test]
fn ranges_and_options_are_held() {
    assert_eq!(
        wrong(&changed("partitions: 4", "partitions: 0")),
        "job.yaml:19:17: out of range: key=partitions, given=0, allowed=[1 to 65536]"
    );
    for share in ["1.5", "-0.1", ".nan", ".inf"] {
        let error = wrong(&changed("share: 0.1", &format!("share: {share}")));
        assert!(error.starts_with("job.yaml:20:34: out of range: key=max_refused_share, given="), "{error}");
    }
    let error = read_with(JOB, |i| i.partitions = Some(0)).unwrap_err().to_string();
    assert_eq!(error, "job.yaml: out of range: --partitions 0, allowed=[1 to 65536]");
    let table = |rest: &str| wrong(&changed("location: /spare", &format!("location: /spare, {rest}")));
    assert!(table("format: parquet, options: { header: true }").contains("`options` are for CSV files"));
    assert!(table("format: csv, version: 3").contains("`version` is for Delta tables"));
    assert!(table("format: delta, schema: [{ name: a, type: bigint }]").contains("`schema` is for CSV and JSON"));
    assert!(table("format: csv, options: { delimiter: ';;' }").contains("bad delimiter: given=\";;\""));
    assert!(table("format: csv, schema: []").contains("`schema` names no column"));
    assert!(table("format: csv, schema: [{ name: a, type: date }, { name: a, type: date }]").contains("differ"));
    assert!(wrong("name: a\ntables: {}\noutputs: {}\n").contains("a job publishes at least one table"));
}

#[test]
fn everything_that_is_wrong_is_reported_at_once() {
    let text = changed("  spare:", "  Spare:")
        .replace("horizon => 28)", "horizon => )")
        .replace("partitions: 4", "partitions: 0");
    let error = read_with(&text, |_| {}).unwrap_err();
    let lines: Vec<_> = error.problems().iter().map(|p| p.place.unwrap().line).collect();
    assert_eq!(lines, [6, 16, 19]);
}
