//! `classification_report` over record batches, against scikit-learn and by its own laws.

use super::*;
use crate::one_group::{Rows as Out, batch, run};
use arrow::array::{BooleanArray, Float64Array, Int32Array, Int64Array, StringArray, StringViewArray, UInt64Array};
use proptest::prelude::*;
use serde_json::json;

fn report(actual: ArrayRef, predicted: ArrayRef) -> Result<Out> {
    let by: ArrayRef = Arc::new(StringArray::from(vec!["m"; actual.len()]));
    run(&ClassificationReport, &batch(vec![("model", by), ("a", actual), ("p", predicted)]), json!({}))
}

fn line(out: &Out, row: usize) -> (String, String, [f64; 3], i64) {
    let measures = ["precision", "recall", "f1"].map(|name| out.real(name, row));
    (out.text("kind", row), out.text("class", row), measures, out.count("support", row))
}

/// Golden: scikit-learn 1.9.1, `classification_report(actual, predicted, output_dict=True, zero_division=0, labels=sorted
/// union)`; tolerance 1e-15, both sides divide the same whole numbers.
#[test]
fn it_agrees_with_scikit_learn() {
    let actual = (0..60).map(|t| {
        if t % 3 == 0 {
            "up"
        } else if t % 5 != 0 {
            "flat"
        } else {
            "down"
        }
    });
    let predicted = (0..60).map(|t| {
        if t * t % 4 == 0 {
            "up"
        } else if t % 7 != 0 {
            "flat"
        } else {
            "never"
        }
    });
    let words =
        report(Arc::new(StringArray::from_iter_values(actual)), Arc::new(StringViewArray::from_iter_values(predicted)))
            .unwrap();
    let booleans = report(
        Arc::new(BooleanArray::from((0..30).map(|t| t % 4 == 0).collect::<Vec<_>>())),
        Arc::new(BooleanArray::from((0..30).map(|t| t % 6 == 0).collect::<Vec<_>>())),
    )
    .unwrap();
    for (out, golden) in [(words, WORDS), (booleans, BOOLEANS)] {
        assert_eq!(out.0.num_rows(), golden.len());
        for (row, (kind, class, measures, support)) in golden.iter().enumerate() {
            let own = line(&out, row);
            assert_eq!((own.0.as_str(), own.1.as_str(), own.3), (*kind, *class, *support));
            assert!(own.2.iter().zip(measures).all(|(a, b)| (a - b).abs() <= 1e-15), "{own:?} {measures:?}");
        }
    }
}

type Golden = &'static [(&'static str, &'static str, [f64; 3], i64)];
const WORDS: Golden = &[
    ("class", "down", [0.0, 0.0, 0.0], 8),
    ("class", "flat", [0.5384615384615384, 0.4375, 0.4827586206896552], 32),
    ("class", "never", [0.0, 0.0, 0.0], 0),
    ("class", "up", [0.3333333333333333, 0.5, 0.4], 20),
    ("micro", "", [0.4, 0.4, 0.4], 60),
    ("macro", "", [0.21794871794871795, 0.234375, 0.2206896551724138], 60),
    ("weighted", "", [0.3982905982905983, 0.4, 0.39080459770114945], 60),
];
const BOOLEANS: Golden = &[
    ("class", "false", [0.8, 0.9090909090909091, 0.851063829787234], 22),
    ("class", "true", [0.6, 0.375, 0.46153846153846156], 8),
    ("micro", "", [0.7666666666666667, 0.7666666666666667, 0.7666666666666667], 30),
    ("macro", "", [0.7, 0.6420454545454546, 0.6563011456628478], 30),
    ("weighted", "", [0.7466666666666667, 0.7666666666666667, 0.7471903982542281], 30),
];

#[test]
fn nulls_are_left_out_and_counted_and_a_group_of_them_has_averages_of_zero() {
    let out = report(
        Arc::new(Int32Array::from(vec![Some(2), None, Some(10), Some(2)])),
        Arc::new(Int64Array::from(vec![Some(2), Some(1), None, Some(10)])),
    )
    .unwrap();
    assert_eq!((out.text("class", 0), out.text("class", 1)), ("2".into(), "10".into()));
    assert_eq!((out.count("left_out", 0), out.count("support", 2), out.count("predicted", 1)), (2, 2, 1));
    let none =
        report(Arc::new(BooleanArray::from(vec![None; 3])), Arc::new(BooleanArray::from(vec![true; 3]))).unwrap();
    assert_eq!((none.0.num_rows(), none.count("left_out", 0), none.real("f1", 1)), (3, 3, 0.0));
}

#[test]
fn types_that_do_not_compare_and_too_many_classes_are_refused() {
    let said = |a: ArrayRef, p: ArrayRef| report(a, p).err().unwrap().to_string();
    let text: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    let error = said(text, Arc::new(BooleanArray::from(vec![true])));
    assert!(error.contains("actual=Utf8, predicted=Boolean"), "{error}");
    let many: ArrayRef = Arc::new(UInt64Array::from_iter_values(0..20_002));
    assert!(said(Arc::clone(&many), many).contains("too many classes"));
}

#[test]
fn a_by_column_with_the_name_of_an_output_column_is_refused() {
    let flag: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
    let by: ArrayRef = Arc::new(StringArray::from(vec!["m"]));
    let rows = batch(vec![("class", by), ("a", Arc::clone(&flag)), ("p", flag)]);
    let error = run(&ClassificationReport, &rows, json!({})).err().unwrap().to_string();
    assert!(error.contains("name=class"), "{error}");
}

#[test]
fn every_output_column_has_its_help() {
    let flag: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
    let out = report(Arc::clone(&flag), flag).unwrap();
    let names: Vec<_> = out.0.schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, SIGNATURE.output.iter().skip(1).map(|o| o.name).collect::<Vec<_>>());
    assert!(Float64Array::from(vec![out.real("precision", 0)]).value(0) == 1.0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn measures_lie_in_0_to_1_and_the_order_of_rows_changes_nothing(
        pairs in prop::collection::vec((0i32..5, 0i32..5), 1..80),
        turn in 0usize..80,
    ) {
        let of = |pairs: &[(i32, i32)]| report(
            Arc::new(pairs.iter().map(|p| p.0).collect::<Int32Array>()),
            Arc::new(pairs.iter().map(|p| p.1).collect::<Int32Array>()),
        ).unwrap();
        let out = of(&pairs);
        let n = pairs.len() as i64;
        let classes = out.0.num_rows() - report::AVERAGES;
        prop_assert_eq!((0..classes).map(|r| out.count("support", r)).sum::<i64>(), n);
        prop_assert_eq!((0..classes).map(|r| out.count("predicted", r)).sum::<i64>(), n);
        let hits = pairs.iter().filter(|p| p.0 == p.1).count() as f64;
        prop_assert_eq!(out.real("f1", classes), hits / n as f64);
        for row in 0..out.0.num_rows() {
            prop_assert!(line(&out, row).2.iter().all(|m| (0.0..=1.0).contains(m)));
        }
        let mut turned = pairs.clone();
        turned.rotate_left(turn % pairs.len());
        prop_assert_eq!(out.0, of(&turned).0);
    }

    #[test]
    fn what_always_comes_true_scores_one(actual in prop::collection::vec(0i32..9, 1..50)) {
        let column: ArrayRef = Arc::new(Int32Array::from(actual));
        let out = report(Arc::clone(&column), column).unwrap();
        for row in 0..out.0.num_rows() {
            prop_assert!(line(&out, row).2.iter().all(|m| (m - 1.0).abs() < 1e-15));
        }
    }
}
