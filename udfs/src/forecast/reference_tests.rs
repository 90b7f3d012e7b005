//! The benchmark models on the competitions' own data.  In: the sets of `shared/data`. Out: the organisers' forecasts.

use super::{Buffers, Choice, Path, State, forecast};
use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

/// The folder of the shared data, or `None` (loudly) if it is absent and nobody insists on it.
fn shared() -> Option<PathBuf> {
    // Asked when the test runs: clones that share a target folder share binaries too.
    let crate_dir =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    let given = std::env::var_os("LAKECAST_SHARED").map(PathBuf::from);
    let roots = given.into_iter().chain([crate_dir.join("../../shared")]);
    let found = roots.map(|p| p.join("data")).find(|p| p.join("m4_yearly").is_dir());
    if found.is_none() {
        assert!(
            std::env::var_os("LAKECAST_REQUIRE_SHARED").is_none(),
            "LAKECAST_REQUIRE_SHARED is set: no shared data"
        );
        // Past the capture of a passing test's output.
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            b"SKIPPED: no shared data; set LAKECAST_SHARED to the directory that holds data/m4_yearly\n",
        );
    }
    found
}

fn batches(path: PathBuf) -> impl Iterator<Item = RecordBatch> {
    ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap().map(Result::unwrap)
}

/// One column by series, in the order of the file.
fn column(path: PathBuf, name: &str) -> BTreeMap<String, Vec<f64>> {
    let mut series: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for batch in batches(path) {
        let ids = cast(batch.column_by_name("unique_id").unwrap(), &DataType::Utf8).unwrap();
        let values = cast(batch.column_by_name(name).unwrap(), &DataType::Float64).unwrap();
        for (id, v) in ids.as_string::<i32>().iter().zip(values.as_primitive::<Float64Type>()) {
            series.entry(id.unwrap().into()).or_default().push(v.unwrap());
        }
    }
    series
}

/// Own forecasts of every series of a set, beside those published.
fn compare(set: &str, model: &str, published: &str, season_length: usize, mut same: impl FnMut(&str, &[f64], &[f64])) {
    let Some(data) = shared() else { return };
    let choice = Choice::parse(model, season_length).unwrap();
    let (mut buffers, mut state, mut path) = (Buffers::default(), State::default(), Path::default());
    let published = column(data.join(set).join("published_forecasts.parquet"), published);
    let train = column(data.join(set).join("train.parquet"), "y");
    assert!(published.len() > 300 && published.len() == train.len(), "{set}: {}", published.len());
    for (id, theirs) in &published {
        forecast(&choice, &train[id], theirs.len(), &mut buffers, &mut state, &mut path).unwrap();
        same(id, &path.mean, theirs);
    }
}

/// Golden: the organisers' forecasts of M4 (`Submission Naive.csv` and so on, from R) and of M3, to the digits stored.
#[test]
fn the_naive_models_equal_the_forecasts_that_the_organisers_of_m4_and_m3_published() {
    for (set, model, published) in [
        ("m4_yearly", "naive", "Naive"),
        ("m4_yearly", "naive", "sNaive"),
        ("m4_yearly", "naive2", "Naive2"),
        ("m4_weekly", "naive", "Naive"),
        ("m4_weekly", "naive", "sNaive"),
        ("m4_weekly", "naive2", "Naive2"),
        ("m3_yearly", "naive2", "NAIVE2"),
    ] {
        // The organisers of M4 took weeks for data without a season.
        compare(set, model, published, 1, |id, own, theirs| {
            // The same number, written as a decimal fraction and read again.
            let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-9 * b.abs();
            assert!(own.iter().zip(theirs).all(near), "{set} {model} {id} own={own:?} published={theirs:?}");
        });
    }
}

/// M3 had another test for a season and another decomposition than M4, whose definition is ours, so that of its monthly
/// forecasts those alone can be equal that neither adjusts.
#[test]
fn naive2_equals_the_unadjusted_forecasts_of_m3() {
    let (mut both, mut all) = (0, 0);
    compare("m3_monthly", "naive2", "NAIVE2", 12, |id, own, theirs| {
        let is_flat = |path: &[f64]| path.iter().all(|v| (v - path[0]).abs() < 1e-9 * v.abs());
        all += 1;
        if is_flat(own) && is_flat(theirs) {
            both += 1;
            assert!((own[0] - theirs[0]).abs() <= 0.005, "{id} own={} published={}", own[0], theirs[0]);
        }
    });
    assert!(all == 0 || both > all / 3, "flat in both: {both} of {all}");
}

/// Golden: the organisers' SES forecasts of M4, from R `forecast::ses`. Its simplex stops near the minimum and not at it, and
/// at a local one now and then, so most series agree to 1e-5 and 99 in 100 to 1e-3.
#[test]
fn ses_equals_the_forecasts_that_the_organisers_of_m4_published() {
    for set in ["m4_yearly", "m4_weekly"] {
        let (mut n, mut near, mut nearly) = (0.0, 0.0, 0.0);
        compare(set, "ses", "SES", 1, |_, own, theirs| {
            let far = own.iter().zip(theirs).map(|(a, b)| (a / b - 1.0).abs()).fold(0.0, f64::max);
            n += 1.0;
            near += f64::from(far < 1e-5);
            nearly += f64::from(far < 1e-3);
        });
        assert!(near >= 0.85 * n && nearly >= 0.99 * n, "{set}: n={n} near={near} nearly={nearly}");
    }
}
