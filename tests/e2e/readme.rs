//! README says what the code does: its tables are made from the code's, its demo was really printed, its names exist.
//!
//! `LAKECAST_UPDATE_README=1 cargo test --workspace readme` writes the made parts anew.

use crate::support::{lakecast, ok, workspace};
use lakecast_jobs::exit::Exit;
use std::fmt::Write;

fn readme() -> String {
    std::fs::read_to_string(workspace().join("README.md")).unwrap()
}

/// The text between `<!-- name -->` and `<!-- end -->`.
fn part<'a>(readme: &'a str, name: &str) -> &'a str {
    let open = format!("<!-- {name} -->\n");
    let (_, rest) = readme.split_once(&open).unwrap_or_else(|| panic!("README has no part {name}"));
    rest.split_once("<!-- end -->").unwrap_or_else(|| panic!("part {name} has no end")).0
}

fn hold(name: &str, made: &str) {
    let text = readme();
    let made = format!("\n{}\n\n", made.trim());
    let written = part(&text, name);
    if written != made && std::env::var_os("LAKECAST_UPDATE_README").is_some() {
        let (open, end) = (format!("<!-- {name} -->\n"), "<!-- end -->");
        let new = text.replace(&format!("{open}{written}{end}"), &format!("{open}{made}{end}"));
        std::fs::write(workspace().join("README.md"), new).unwrap();
        return;
    }
    assert_eq!(written, made, "part {name} of README is stale: LAKECAST_UPDATE_README=1 writes it anew");
}

// One test, because the parts are written into one file.
#[test]
fn its_tables_are_what_the_code_prints() {
    let mut codes = "| code | meaning |\n|---|---|\n".to_string();
    for exit in Exit::ALL {
        writeln!(codes, "| {} | {} |", exit.code(), exit.meaning()).unwrap();
    }
    hold("exit codes", &codes);
    hold("functions", &ok(&mut lakecast(["functions", "--format", "markdown"])).stdout);
}

#[test]
fn its_demo_was_really_printed() {
    let dir = tempfile::tempdir().unwrap();
    let said = ok(lakecast(["demo"]).current_dir(dir.path())).stdout;
    let text = readme();
    let shown: Vec<_> = part(&text, "demo").lines().filter(|l| !["", "```", "..."].contains(l)).collect();
    assert!(shown.len() > 30, "{shown:?}");
    for line in shown {
        assert!(said.lines().any(|l| l == line), "the demo does not print this line of README: {line}\n{said}");
    }
}

#[test]
fn every_test_and_file_that_it_names_exists() {
    let text = readme();
    let paths = text.split(['`', '(', ')']).filter(|w| {
        let tops = ["tests/", "jobs/", "udfs/", "engine/", "scheduler/", "executor/", "deploy/"];
        tops.iter().any(|top| w.starts_with(top)) && !w.contains([' ', '*', '\n'])
    });
    let mut seen = 0;
    for path in paths {
        assert!(workspace().join(path).exists(), "README names what is not there: {path}");
        seen += 1;
    }
    assert!(seen > 10, "only {seen} paths were found");
}

/// Runs the SQL of a section on a generated market.
fn run_queries(section: &str, table: &str, queries: usize) {
    let dir = tempfile::tempdir().unwrap();
    ok(lakecast(["generate", "--skus", "20", "--days", "150", "--baskets", "2000", "--out"])
        .arg(dir.path().join("market")));
    let text = readme();
    let (_, section) = text.split_once(&format!("\n## {section}\n")).unwrap();
    let (_, block) = section.split_once("```sql\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let table = format!("{table}={}", dir.path().join("market").join(table).display());
    for query in block.split(';') {
        let said = ok(&mut lakecast(["sql", "--table", &table, "-c", query])).stdout;
        assert!(said.lines().count() > 4, "{query}\n{said}");
    }
    assert_eq!(block.split(';').count(), queries);
}

#[test]
fn its_queries_about_series_run_on_a_generated_market() {
    run_queries("Forecasts", "sales", 3);
}

#[test]
fn its_queries_about_baskets_run_on_a_generated_market() {
    run_queries("Baskets", "order_lines", 4);
}
