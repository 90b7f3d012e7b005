//! Wrong job files and the exact text of their errors.  In: YAML. Out: assertions.

use super::*;

const GOOD: &str = "name: nightly
description: what for
variables: { lake: s3://lake, since: , days: 28 }
tables:
  sales: { location: '${lake}/sales/', format: csv, schema: [{ name: sku, type: bigint }], options: { header: true, delimiter: ';', null_text: NA } }
  old: { location: old, format: delta, version: 3 }
views:
  zeta: SELECT * FROM sales
  alpha: SELECT * FROM zeta
outputs:
  second:
    location: out/b
    sql: SELECT 2
  first:
    location: out/a
    partitions: 4
    checks: { max_refused_share: 0.5, min_rows: 1 }
    sql: |
      SELECT 1
settings: { partitions: 8, memory: 4GiB, batch_size_rows: 512 }
";

fn read(text: &str) -> Result<Spec, JobError> {
    parse(&Source::new("job.yaml", text))
}

fn wrong(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

#[test]
fn every_key_is_read_and_order_is_kept() {
    let spec = read(GOOD).unwrap();
    let names = |e: &Entries<Output>| e.iter().map(|(k, _)| k.value.clone()).collect::<Vec<_>>();
    assert_eq!(names(&spec.outputs), ["second", "first"]);
    assert_eq!(spec.views.iter().map(|(k, _)| k.value.as_str()).collect::<Vec<_>>(), ["zeta", "alpha"]);
    let values: Vec<_> = spec.variables.iter().map(|(_, v)| v.as_ref().map(|v| v.value.as_str())).collect();
    assert_eq!(values, [Some("s3://lake"), None, Some("28")]);
    let (name, sales) = &spec.tables.iter().next().unwrap();
    assert_eq!((name.value.as_str(), name.referenced.line(), name.referenced.column()), ("sales", 5, 3));
    assert_eq!(sales.format.as_ref().unwrap().value, Format::Csv);
    assert_eq!(sales.options.as_ref().unwrap().value.delimiter.as_ref().unwrap().value, ";");
    assert_eq!(sales.schema.as_ref().unwrap()[0].kind.value, "bigint");
    let first = &spec.outputs.iter().nth(1).unwrap().1;
    assert_eq!(first.sql.value, "SELECT 1\n");
    assert_eq!((first.partitions.as_ref().unwrap().value, first.checks.min_rows.as_ref().unwrap().value), (4, 1));
    assert_eq!(spec.settings.memory.unwrap().value, "4GiB");
}

#[test]
fn an_unknown_key_names_place_allowed_and_nearest() {
    assert_eq!(
        wrong("name: a\ntabels: {}\noutputs: {}\n"),
        "job.yaml:2:1: unknown key: key=tabels, allowed=[name, description, variables, tables, views, outputs, \
         settings], did you mean `tables`?"
    );
    assert_eq!(
        wrong(&GOOD.replace("    partitions: 4", "    partition: 4")),
        "job.yaml:16:5: unknown key: key=partition, allowed=[location, sql, partitions, checks], did you mean \
         `partitions`?"
    );
    assert_eq!(
        wrong(&GOOD.replace("min_rows", "min_row")),
        "job.yaml:17:39: unknown key: key=min_row, allowed=[max_refused_share, min_rows], did you mean `min_rows`?"
    );
    assert_eq!(
        wrong(&GOOD.replace("delimiter", "qqqqqqqqqqq")),
        "job.yaml:5:117: unknown key: key=qqqqqqqqqqq, allowed=[header, delimiter, null_text]"
    );
}

#[test]
fn a_missing_key_is_named() {
    assert_eq!(wrong("name: a\ntables: {}\n"), "job.yaml:2:1: missing key in this mapping: key=outputs");
    assert_eq!(
        wrong("name: a\ntables:\n  t:\n    format: csv\noutputs: {}\n"),
        "job.yaml:4:5: missing key in this mapping: key=location"
    );
}

#[test]
fn a_wrong_type_says_given_and_expected() {
    assert_eq!(
        wrong(&GOOD.replace("partitions: 8", "partitions: many")),
        "job.yaml:20:25: wrong type: given=many, expected=whole number, not negative"
    );
    assert_eq!(
        wrong(&GOOD.replace("partitions: 8", "partitions: -8")),
        "job.yaml:20:25: wrong type: given=-8, expected=whole number, not negative"
    );
    assert_eq!(
        wrong(&GOOD.replace("header: true", "header: yes")),
        "job.yaml:5:111: wrong type: given=yes, expected=true or false"
    );
    assert_eq!(wrong("name: a\ntables: 3\noutputs: {}\n"), "job.yaml:2:9: wrong type: given=3, expected=mapping");
    assert_eq!(wrong("name: [a]\ntables: {}\noutputs: {}\n"), "job.yaml:1:7: wrong type: given=[, expected=text");
    assert_eq!(wrong("name:\ntables: {}\noutputs: {}\n"), "job.yaml:1:5: missing value: given=null, expected=text");
    assert_eq!(
        wrong(&GOOD.replace("format: csv", "format: cvs")),
        "job.yaml:5:48: unknown value: given=cvs, allowed=[parquet, csv, json, delta], did you mean `csv`?"
    );
    assert_eq!(
        wrong(&GOOD.replace("share: 0.5", "share: half")),
        "job.yaml:17:34: wrong type: given=half, expected=number"
    );
}

#[test]
fn a_key_written_twice_is_refused_at_every_depth() {
    assert_eq!(
        wrong("name: a\nname: b\ntables: {}\noutputs: {}\n"),
        "job.yaml:2:1: key is written twice, remove one: key=name"
    );
    assert_eq!(
        wrong(&GOOD.replace("  first:", "  second:")),
        "job.yaml:14:3: key is written twice, remove one: key=second"
    );
    assert_eq!(
        wrong(&GOOD.replace("days: 28", "lake: x")),
        "job.yaml:3:40: key is written twice, remove one: key=lake"
    );
}

#[test]
fn broken_or_hostile_yaml_is_refused_with_a_place() {
    for (text, starts) in [
        ("", "job.yaml:1:1: the job file ends too early"),
        ("name: a\ntables: {\n", "job.yaml:"),
        ("name: 'a\n", "job.yaml:"),
        ("name: a\n\ttables: {}\n", "job.yaml:1:7: not valid YAML: "),
        ("- name: a\n", "job.yaml:1:1: wrong type: given="),
        ("name: a\ntables: {}\noutputs: {}\n---\nname: b\n", "job.yaml:5:1: more than one"),
        ("name: a\ntables: { t: { <<: { location: x } } }\noutputs: {}\n", "job.yaml:2:"),
        ("name: !secret a\ntables: {}\noutputs: {}\n", "job.yaml:1:"),
    ] {
        let error = wrong(text);
        assert!(error.starts_with(starts), "{text:?} gives {error:?}");
    }
    let bomb =
        (1..40).fold("a0: &a0 [x, x]\n".to_string(), |t, i| format!("{t}a{i}: &a{i} [*a{}, *a{}]\n", i - 1, i - 1));
    assert!(wrong(&bomb).contains("unknown key"), "unknown keys are refused before aliases expand");
    let deep = format!("name: a\ntables: {}{}\noutputs: {{}}\n", "{ a: ".repeat(100), "}".repeat(100));
    assert!(wrong(&deep).starts_with("job.yaml:2:"), "{}", wrong(&deep));
    let large = format!("name: a\n# {}\n", "x".repeat(JOB_FILE_BYTES_MAX));
    assert!(wrong(&large).starts_with("job.yaml: job file is too large: bytes="));
}

#[test]
fn the_schema_describes_every_key_and_refuses_others() {
    let schema: serde_json::Value = serde_json::from_str(&json_schema()).unwrap();
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["required"], serde_json::json!(["name", "tables", "outputs"]));
    for (definition, keys) in [
        ("Table", vec!["location", "format", "schema", "options", "version"]),
        ("Output", vec!["location", "sql", "partitions", "checks"]),
        ("Checks", vec!["max_refused_share", "min_rows"]),
        ("CsvOptions", vec!["header", "delimiter", "null_text"]),
        ("Settings", vec!["partitions", "memory", "batch_size_rows"]),
    ] {
        let d = &schema["$defs"][definition];
        assert_eq!(d["additionalProperties"], false, "{definition}: {d}");
        assert_eq!(d["properties"].as_object().unwrap().keys().collect::<Vec<_>>(), keys);
        for key in keys {
            assert!(d["properties"][key]["description"].is_string(), "{definition}.{key} has no description");
        }
    }
    assert_eq!(schema["properties"]["tables"]["additionalProperties"]["$ref"], "#/$defs/Table");
}
