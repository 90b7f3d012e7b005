//! Precedence, and the exact text of errors.  In: flags and files. Out: assertions.

use super::*;
use std::io::Write;

#[derive(Debug, Parser)]
struct Service {
    #[command(flatten)]
    common: Common,
    /// Seconds without a heartbeat after which an executor is lost
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    executor_timeout_seconds: u64,
    /// Required, to show that the file may hold it
    #[arg(long)]
    work_dir: String,
    /// A variable that cargo sets for tests
    #[arg(long, env = "CARGO_PKG_NAME", default_value = "default")]
    from_environment: String,
}

fn with(text: &str, args: &[&str]) -> Result<Service, String> {
    let mut file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap();
    let args = ["service", "--config", path].into_iter().chain(args.iter().copied()).map(OsString::from);
    try_parse(args).map_err(|e| {
        assert_eq!(e.exit_code(), 2);
        e.to_string().replace(path, "s.yaml")
    })
}

fn first_line(result: Result<Service, String>) -> String {
    result.unwrap_err().lines().next().unwrap().to_string()
}

#[test]
fn a_flag_wins_over_the_environment_over_the_file_over_the_default() {
    let file = "# comment\nexecutor-timeout-seconds: 45\nfrom-environment: file\nwork-dir: /file\nlog-level: off\n";
    let s = with(file, &[]).unwrap();
    assert_eq!((s.executor_timeout_seconds, s.work_dir.as_str()), (45, "/file"));
    assert_eq!(s.from_environment, "lakecast-engine");
    assert_eq!(s.common.log_level, "off");
    let s = with(file, &["--executor-timeout-seconds=7", "--from-environment", "flag", "--log-level=warn"]).unwrap();
    assert_eq!((s.executor_timeout_seconds, s.from_environment.as_str()), (7, "flag"));
    assert_eq!(s.common.log_level, "warn");
    for empty in ["", "# nothing\n", "{}\n", "---\n"] {
        let s = with(empty, &["--work-dir=/flag"]).unwrap();
        assert_eq!((s.executor_timeout_seconds, s.common.log_format), (60, LogFormat::Json), "{empty:?}");
        assert_eq!(s.common.log_level, "warn,lakecast=info");
    }
    assert!(first_line(with("", &[])).contains("required arguments were not provided"));
}

#[test]
fn stores_come_from_the_file_or_the_flags_as_a_whole() {
    let s = with("work-dir: w\nallow: [s3://lake/, 'file:///data/']\nallow-local: true", &[]).unwrap();
    assert_eq!(s.common.allow, ["s3://lake/", "file:///data/"]);
    assert!(s.common.allow_local && s.common.stores().unwrap().policy().allow_local);
    let s = with("work-dir: w\nallow: s3://a/,s3://b/\nallow-local: false", &[]).unwrap();
    assert_eq!((s.common.allow.as_slice(), s.common.allow_local), (&["s3://a/".into(), "s3://b/".into()][..], false));
    let s = with("work-dir: w\nallow: [s3://a/]\n", &["--allow=s3://c/", "--allow-local"]).unwrap();
    assert_eq!((s.common.allow.as_slice(), s.common.allow_local), (&["s3://c/".to_string()][..], true));
    let s = with("work-dir: w\nallow: []\n", &[]).unwrap();
    assert!(s.common.allow.is_empty() && !s.common.stores().unwrap().policy().allow_local);
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_known_one() {
    assert_eq!(
        first_line(with("work-dir: w\nexecutor-timeout-secods: 45\n", &[])),
        "error: s.yaml:2: unknown key: key=executor-timeout-secods, allowed=[log-format, log-level, allow, allow-local, \
         executor-timeout-seconds, work-dir, from-environment], did you mean `executor-timeout-seconds`?"
    );
    assert_eq!(
        first_line(with("config: other.yaml\n", &[])),
        "error: s.yaml:1: a file of settings cannot name another one: key=config"
    );
    assert_eq!(
        first_line(with("work-dir: a\nwork-dir: b\n", &[])),
        "error: s.yaml:2: key is written twice, remove one: key=work-dir"
    );
}

#[test]
fn a_bad_value_names_its_key_even_when_a_flag_wins_over_it() {
    let flags =
        ["--work-dir=w", "--executor-timeout-seconds=5", "--allow-local", "--log-format=text", "--allow=s3://a/"];
    for (text, start) in [
        (
            "executor-timeout-seconds: soon",
            "s.yaml:1: bad value: key=executor-timeout-seconds, detail=invalid value 'soon'",
        ),
        ("executor-timeout-seconds: 0", "s.yaml:1: bad value: key=executor-timeout-seconds, detail=invalid value '0'"),
        (
            "executor-timeout-seconds: -1",
            "s.yaml:1: bad value: key=executor-timeout-seconds, detail=invalid value '-1'",
        ),
        (
            "executor-timeout-seconds: [1]",
            "s.yaml:1: wrong type: key=executor-timeout-seconds, expected=[text, a number",
        ),
        (
            "\nexecutor-timeout-seconds: { a: 1 }",
            "s.yaml:2: wrong type: key=executor-timeout-seconds, expected=[text, a",
        ),
        ("executor-timeout-seconds:", "s.yaml:1: wrong type: key=executor-timeout-seconds, expected=[text, a number"),
        ("allow: { s3://a/: 1 }", "s.yaml:1: wrong type: key=allow, expected=[text, or a list of texts]"),
        ("allow: [[s3://a/]]", "s.yaml:1: wrong type: key=allow, expected=[text, or a list of texts]"),
        ("allow: 7", "s.yaml:1: wrong type: key=allow, expected=[text, or a list of texts]"),
        ("allow-local: perhaps", "s.yaml:1: bad value: key=allow-local, detail=invalid value 'perhaps'"),
        ("allow: ['ftp://x/']", "s.yaml:1: bad value: key=allow, detail=invalid value 'ftp://x/'"),
        ("log-level: lakecast=loud", "s.yaml:1: bad value: key=log-level, detail=invalid value 'lakecast=loud'"),
        (
            "log-format: xml",
            "s.yaml:1: bad value: key=log-format, detail=invalid value 'xml' for '--log-format <LOG_FORMAT>' [possible values: text, json]",
        ),
    ] {
        let error = first_line(with(text, &flags));
        assert!(error.starts_with(&format!("error: {start}")), "{text}\n{error}\n{start}");
    }
}

#[test]
fn a_file_that_cannot_be_read_or_is_not_flat_yaml_says_so() {
    for (text, start) in [
        ("work-dir: w\nlog-level: [a\n", "s.yaml:2: "),
        ("work-dir: w\n\tlog-level: a\n", "s.yaml:1: not valid YAML: "),
        ("work-dir: \"w\n", "s.yaml:1: not valid YAML: "),
        ("- work-dir\n", "s.yaml:1: wrong type: expected=a mapping of flags"),
        ("work-dir\n", "s.yaml:1: wrong type: expected=a mapping of flags"),
        ("work-dir: w\n---\nwork-dir: v\n", "s.yaml:3: more than one YAML document, a file of settings holds one"),
    ] {
        let error = first_line(with(text, &[]));
        assert!(error.starts_with(&format!("error: {start}")), "{text}\n{error}\n{start}");
    }
    let error = try_parse::<Service>(["service", "--config", "/nowhere/s.yaml"].map(OsString::from)).unwrap_err();
    let line = "error: cannot read the settings: file=/nowhere/s.yaml, detail=No such file";
    assert!(error.to_string().starts_with(line), "{error}");
    assert_eq!(error.exit_code(), 2);
}

#[test]
fn help_and_wrong_usage_need_no_file() {
    let error = try_parse::<Service>(["service", "--help"].map(OsString::from)).unwrap_err();
    assert_eq!((error.kind(), error.exit_code()), (ErrorKind::DisplayHelp, 0));
    let error = try_parse::<Service>(["service", "--wok-dir=w"].map(OsString::from)).unwrap_err();
    assert_eq!((error.kind(), error.exit_code()), (ErrorKind::UnknownArgument, 2));
}
