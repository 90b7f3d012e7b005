//! Cleaning on slices small enough to see.

use super::*;

const NAN: f64 = f64::NAN;

#[test]
fn rows_of_one_time_are_merged_in_every_column() {
    let mut times = vec![1, 2, 2, 2, 3, 4, 4];
    let (mut a, mut b) = (vec![1.0, 2.0, 20.0, 200.0, 3.0, 4.0, 40.0], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let merged = merge_runs(&mut times, &mut [&mut a, &mut b], |columns, run| {
        columns[0][run.start] = sum(&mut columns[0][run.clone()]);
        columns[1][run.start] = columns[1][run.end - 1];
    });
    assert_eq!((merged, times), (3, vec![1, 2, 3, 4]));
    assert_eq!((a, b), (vec![1.0, 222.0, 3.0, 44.0], vec![0.0, 3.0, 4.0, 6.0]));
}

#[test]
fn a_sum_does_not_depend_on_the_order_and_skips_what_is_missing() {
    let mut values = [1e16, 1.0, NAN, -1e16, 1.0, 0.1];
    let once = sum(&mut values);
    values.reverse();
    assert_eq!(once.to_bits(), sum(&mut values).to_bits());
    assert!(sum(&mut [NAN, NAN]).is_nan());
    assert_eq!(sum(&mut [NAN, 2.0]), 2.0);
}

#[test]
fn a_series_begins_at_its_first_value_or_first_sale() {
    let y = [NAN, 0.0, NAN, 0.0, 3.0, 0.0];
    assert_eq!(leading(&y, false), Some((1, 0)));
    assert_eq!(leading(&y, true), Some((4, 2)));
    assert_eq!(leading(&[0.0, NAN, 0.0], true), Some((0, 0)), "a series without any sale stays as it is");
    assert_eq!(leading(&[NAN, NAN], true), None);
    assert_eq!(leading(&[], false), None);
}

#[test]
fn spikes_are_capped_and_seasons_and_rare_sales_are_not() {
    let noise = |t: usize| ((t * 7919) % 13) as f64;
    let mut y: Vec<f64> = (0..200).map(|t| 100.0 + noise(t)).collect();
    let clean = y.clone();
    (y[50], y[51], y[120]) = (900.0, NAN, -500.0);
    let mut scratch = vec![];
    assert_eq!(cap_spikes(&mut y, 1, &mut scratch), 2);
    assert!(y[50] > 100.0 && y[50] < 150.0 && y[120] > 50.0 && y[120] < 106.0, "{} {}", y[50], y[120]);
    let others = (0..200).filter(|t| ![50, 51, 120].contains(t));
    assert!(others.into_iter().all(|t| y[t] == clean[t]));
    // One day of the week ten times the others.
    let mut weekly: Vec<f64> = (0..140).map(|t| if t % 7 == 6 { 1000.0 } else { 100.0 } + noise(t)).collect();
    let before = weekly.clone();
    assert_eq!(cap_spikes(&mut weekly, 7, &mut scratch), 0);
    assert_eq!(weekly, before);
    let mut rare: Vec<f64> = (0..100).map(|t| if t % 9 == 0 { 5.0 } else { 0.0 }).collect();
    assert_eq!(cap_spikes(&mut rare, 1, &mut scratch), 0);
    assert_eq!(cap_spikes(&mut [1.0, 100.0, 1.0], 1, &mut scratch), 0, "too few to judge");
}

#[test]
fn level_shifts_are_found_where_they_are_and_nowhere_else() {
    let noise = |t: usize| ((t * 7919) % 13) as f64 / 6.5 - 1.0;
    let step = |at: usize, by: f64| -> Vec<f64> {
        (0..140).map(|t| if t < at { 10.0 } else { 10.0 + by } + noise(t)).collect()
    };
    for at in [35, 60, 64, 69] {
        let (shifts, last) = level_shifts(&step(at, 12.0), 7);
        assert_eq!(shifts, 1, "{at}");
        assert!(last.is_some_and(|found| found.abs_diff(at) <= 7), "{at}: {last:?}");
    }
    let twice: Vec<f64> = (0..210).map(|t| [0.0, 30.0, 10.0][t / 70] + noise(t)).collect();
    assert_eq!(level_shifts(&twice, 1).0, 2);
    let (trend, season): (Vec<f64>, Vec<f64>) =
        (0..140).map(|t| (t as f64, [9.0, 0.0, 0.0, 1.0, 2.0, 5.0, 8.0][t % 7])).unzip();
    assert_eq!(level_shifts(&trend, 1), (0, None));
    assert_eq!(level_shifts(&season, 7), (0, None));
    assert_eq!(level_shifts(&[5.0; 100], 1), (0, None));
    assert_eq!(level_shifts(&step(60, 0.0), 7), (0, None));
    assert_eq!(level_shifts(&[1.0, 9.0], 1), (0, None));
    let mut missing = step(63, 12.0);
    (40..90).step_by(3).for_each(|t| missing[t] = NAN);
    assert_eq!(level_shifts(&missing, 7).0, 1);
}
