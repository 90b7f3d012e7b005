//! The style page, where a machine can check it.

use crate::support::workspace;
use std::path::{Path, PathBuf};

fn files(ending: &str) -> Vec<PathBuf> {
    fn walk(dir: &Path, ending: &str, out: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                walk(&path, ending, out);
            } else if name.ends_with(ending) {
                out.push(path);
            }
        }
    }
    let mut out = vec![];
    walk(&workspace(), ending, &mut out);
    out.sort();
    out
}

#[test]
fn every_crate_inherits_the_lints() {
    let manifests: Vec<_> = files("Cargo.toml").into_iter().filter(|p| p.parent() != Some(&workspace())).collect();
    assert!(!manifests.is_empty());
    for manifest in manifests {
        let text = std::fs::read_to_string(&manifest).unwrap();
        assert!(text.contains("[lints]\nworkspace = true"), "{}", manifest.display());
    }
}

#[test]
fn every_source_file_says_what_it_is() {
    for file in files(".rs") {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//! "), "{} opens without a //! line", file.display());
    }
}

#[test]
fn no_module_is_named_after_nothing() {
    for file in files(".rs") {
        let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(!["utils", "util", "common", "helpers", "core", "misc"].contains(&stem.as_str()), "{}", file.display());
    }
}

#[test]
fn the_mathematics_does_not_know_the_engine() {
    let manifest = std::fs::read_to_string(workspace().join("udfs/Cargo.toml")).unwrap();
    for engine in ["datafusion", "ballista", "object_store", "tokio"] {
        assert!(!manifest.contains(engine), "udfs depends on {engine}");
    }
    for file in files(".rs").iter().filter(|p| p.starts_with(workspace().join("udfs/src"))) {
        let text = std::fs::read_to_string(file).unwrap();
        assert!(!text.contains("use datafusion"), "{}", file.display());
    }
}

#[test]
fn only_publication_commits_and_only_the_sink_writes_data_files() {
    for file in files(".rs") {
        let inside = file.strip_prefix(workspace()).unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        let (product, _) = text.split_once("#[cfg(test)]").unwrap_or((&text, ""));
        if inside.starts_with("tests/") {
            continue;
        }
        if product.contains("CommitBuilder") {
            assert!(inside.starts_with("jobs/src/publish/"), "{inside} commits");
        }
        if product.contains("AsyncArrowWriter") {
            assert!(inside == "engine/src/sink/writer.rs", "{inside} writes data files");
        }
    }
}

#[test]
fn files_fit_a_sitting_and_functions_a_screen() {
    let (mut lengths, mut functions) = (vec![], vec![]);
    for file in files(".rs").iter().filter(|p| !p.starts_with(workspace().join("tests"))) {
        let text = std::fs::read_to_string(file).unwrap();
        let (product, _) = text.split_once("#[cfg(test)]").unwrap_or((&text, ""));
        lengths.push(product.lines().count());
        functions.extend(function_lengths(product));
    }
    let p95 = |mut v: Vec<usize>| {
        v.sort_unstable();
        v[v.len() * 95 / 100]
    };
    let (file_lines, function_lines) = (p95(lengths), p95(functions));
    assert!(file_lines <= 500, "p95 of file lengths is {file_lines}");
    assert!(function_lines <= 50, "p95 of function lengths is {function_lines}");
}

/// Lengths of functions, told by the indentation that rustfmt gives them.
fn function_lengths(text: &str) -> Vec<usize> {
    let lines: Vec<_> = text.lines().collect();
    let mut out = vec![];
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        let opens = ["fn ", "pub fn ", "pub(crate) fn ", "pub(super) fn ", "async fn ", "pub async fn "];
        if opens.iter().any(|o| code.starts_with(o)) {
            let close = format!("{}}}", " ".repeat(indent));
            if let Some(n) = lines[start..].iter().position(|l| *l == close) {
                out.push(n + 1);
            }
        }
    }
    out
}
