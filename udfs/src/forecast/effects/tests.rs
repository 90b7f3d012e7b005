//! Effects against numpy, planted effects, what is reported, and arbitrary input.

use super::*;

const PLAIN: Options = Options { scale: Scale::Auto, season_length: 1, lambda: 100.0 };
const WEEKLY: Options = Options { season_length: 7, ..PLAIN };

fn run(y: &[f64], horizon: usize, columns: &[Column], options: Options, pool: Option<&Pool>) -> Effects {
    let mut effects = Effects::default();
    fit(y, horizon, columns, options, pool, &mut Buffers::default(), &mut effects);
    effects
}

fn column<'a>(name: &'a str, kind: Kind, x: &'a [f64], values: usize) -> Column<'a> {
    Column { name, kind, history: &x[..values], future: &x[values..] }
}

const ADDITIVE: [f64; 2] = [4.952196921242613, 0.46255741625827795];
const LOG: [f64; 2] = [1.353364099804324, 0.17190953156833383];
const POOLED: [f64; 2] = [1.4814601589551095, 0.17890879087505993];

/// Deterministic noise in [0, 1).
fn noise(t: usize) -> f64 {
    let x = (t as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((x ^ (x >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 11) as f64 / (1u64 << 53) as f64
}

fn pool(multiplicative: bool, effects: &[(&str, f64, f64)]) -> Pool {
    let effects = effects.iter().map(|&(name, value, error)| PoolEffect { name: name.into(), value, error });
    Pool { multiplicative, effects: effects.collect() }
}

/// 24 steps lie within one window of the local mean, so that the fit is a plain ridge regression with intercept: numpy
/// 2.x, iterated to convergence with the dispersion sum(r^2 / v) / (24 - 1 - 24 / 53), script in the commit message.
/// Tolerance: what is left after the last Newton step.
#[test]
fn short_series_are_a_ridge_regression_as_numpy_solves_it() {
    let y = [3., 0., 2., 5., 1., 0., 4., 9., 2., 1., 0., 3., 7., 2., 1., 8., 0., 2., 3., 1., 6., 0., 2., 10.];
    let promo = [0., 0., 0., 1., 0., 0., 0., 1., 0., 0., 0., 0., 1., 0., 0., 1., 0., 0., 0., 0., 1., 0., 0., 1.];
    let price: Vec<f64> = [(2.5, 8), (2.0, 5), (2.9, 6), (2.2, 5)].iter().flat_map(|&(p, n)| vec![p; n]).collect();
    let columns = [column("promo", Kind::Event, &promo, 24), column("price", Kind::Price, &price, 24)];
    let group = pool(true, &[("price", -1.5, 0.3), ("promo", 0.8, 0.05)]);
    let cases = [(Scale::Additive, None, ADDITIVE), (Scale::Auto, None, LOG), (Scale::Auto, Some(&group), POOLED)];
    for (scale, group, golden) in cases {
        let effects = run(&y, 0, &columns, Options { scale, lambda: 4.0, ..PLAIN }, group);
        for (found, golden) in effects.coefficients.iter().zip(golden) {
            let worst = (found.value - golden).abs();
            assert!(worst < 1e-4, "{scale:?} golden={golden} found={found:?} off={worst:e}");
        }
    }
}

#[test]
fn planted_factors_are_recovered_from_counts_and_taken_out() {
    let n = 420;
    let promo: Vec<f64> = (0..n + 28).map(|t| f64::from(u8::from(noise(t / 3) < 0.3))).collect();
    let price: Vec<f64> = (0..n + 28).map(|t| if (t / 20) % 3 == 0 { 1.6 } else { 2.0 }).collect();
    let week = [0.6, 0.8, 0.8, 0.9, 1.1, 1.5, 1.3];
    let base = |t: usize| 40.0 * (1.0 + t as f64 / 800.0) * week[t % 7];
    let y: Vec<f64> = (0..n)
        .map(|t| base(t) * libm::exp(0.5 * promo[t] - 2.0 * libm::log(price[t] / 2.0)))
        .enumerate()
        .map(|(t, mean)| (mean * (0.8 + 0.4 * noise(t + 9000))).floor())
        .collect();
    let columns = [column("promo", Kind::Event, &promo, n), column("price", Kind::Price, &price, n)];
    let effects = run(&y, 28, &columns, WEEKLY, None);
    let [b_promo, b_price] = [effects.coefficients[0], effects.coefficients[1]];
    // Three standard errors of noise of 12 % over 420 days.
    assert!((b_promo.value - 0.5).abs() < 0.04 && (b_price.value + 2.0).abs() < 0.15, "{effects:?}");
    assert_eq!((b_promo.origin, b_price.origin), (Origin::Own, Origin::Own));
    let ratio = |t: usize| effects.adjusted[t] / base(t);
    let with = (0..n).filter(|&t| promo[t] == 1.0).map(ratio).sum::<f64>() / promo[..n].iter().sum::<f64>();
    let all = (0..n).map(ratio).sum::<f64>() / n as f64;
    assert!((with / all - 1.0).abs() < 0.03, "with={with} all={all}");
    let (on, off) = (0..28).fold((0.0_f64, f64::INFINITY), |(on, off), h| {
        let per = effects.future[h] * libm::exp(2.0 * libm::log(price[n + h] / 2.0));
        if promo[n + h] == 1.0 { (per, off) } else { (on, per) }
    });
    assert!((on / off - libm::exp(0.5)).abs() < 0.1, "on={on} off={off}");
}

#[test]
fn additive_effects_are_recovered_where_values_are_negative() {
    let n = 300;
    let x: Vec<f64> = (0..n + 5).map(|t| f64::from(u8::from(noise(t) < 0.2))).collect();
    let y: Vec<f64> = (0..n).map(|t| -5.0 + (t % 7) as f64 + 4.0 * x[t] + noise(t + 500)).collect();
    let effects = run(&y, 5, &[column("x", Kind::Event, &x, n)], WEEKLY, None);
    assert!(
        !effects.multiplicative && (3.8..4.0).contains(&effects.coefficients[0].value),
        "{:?}",
        effects.coefficients
    );
    let mut path = Path { mean: vec![1.0; 5], deviation: vec![2.0; 5] };
    effects.put_back(&mut path);
    assert!(path.mean.iter().zip(&effects.future).all(|(m, e)| *m == 1.0 + e) && path.deviation == [2.0; 5]);
}

#[test]
fn a_short_series_takes_the_effects_of_its_group() {
    let group = pool(true, &[("promo", 0.4, 0.01)]);
    let y = [4.0, 6.0, 5.0, 4.0, 6.0, 5.0, 3.0, 4.0, 5.0, 6.0];
    let x = [0., 0., 1., 0., 0., 0., 0., 0., 0., 0., 1., 0.];
    let columns = [column("promo", Kind::Event, &x, 10), column("other", Kind::Event, &x, 10)];
    let short = run(&y, 2, &columns, WEEKLY, Some(&group));
    assert_eq!(short.coefficients[0].origin, Origin::Pool);
    assert_eq!(short.coefficients[1].origin, Origin::Unused(Unused::TooFewObservations));
    assert!((short.future[0] - libm::exp(0.4)).abs() < 1e-12 && short.future[1] == 1.0, "{short:?}");
    assert!((short.adjusted[2] - 5.0 * libm::exp(-0.4)).abs() < 1e-12, "{short:?}");
    let longer = run(&y, 2, &columns[..1], PLAIN, Some(&group));
    let b = longer.coefficients[0];
    assert!(b.origin == Origin::Shrunk && (0.3..0.4).contains(&b.value), "{b:?}");
}

#[test]
fn a_column_that_cannot_be_used_says_why() {
    let n = 60;
    let y: Vec<f64> = (0..n).map(|t| 5.0 + (t % 7) as f64 + noise(t)).collect();
    let one = |f: &dyn Fn(usize) -> f64| (0..n + 7).map(f).collect::<Vec<f64>>();
    let promo = one(&|t| f64::from(u8::from(noise(t) < 0.3)));
    let cases = [
        (one(&|_| 1.0), Kind::Event, Origin::Unused(Unused::Constant)),
        (one(&|t| f64::from(u8::from(t > n))), Kind::Event, Origin::Unused(Unused::Constant)),
        (one(&|t| if t == n + 3 { f64::NAN } else { promo[t] }), Kind::Event, Origin::Unused(Unused::MissingInFuture)),
        (one(&|t| if t < 50 { f64::NAN } else { promo[t] }), Kind::Event, Origin::Unused(Unused::TooFewObservations)),
        (one(&|t| if t == 3 { f64::INFINITY } else { promo[t] }), Kind::Number, Origin::Unused(Unused::BadValue)),
        (one(&|t| promo[t]), Kind::Price, Origin::Unused(Unused::BadValue)),
        (one(&|t| f64::from(u8::from(t % 7 == 6))), Kind::Number, Origin::Unused(Unused::Season)),
        (promo.clone(), Kind::Event, Origin::Own),
        (one(&|t| 2.0 * promo[t]), Kind::Number, Origin::Collinear),
    ];
    let columns: Vec<Column> = cases.iter().map(|(x, kind, _)| column("x", *kind, x, n)).collect();
    let effects = run(&y, 7, &columns, WEEKLY, None);
    let found: Vec<Origin> = effects.coefficients.iter().map(|c| c.origin).collect();
    assert_eq!(found, cases.iter().map(|c| c.2).collect::<Vec<_>>());
    assert_eq!(effects.unused().count(), 7);
    assert!(effects.unused().all(|(i, why)| why.name() == found[i].name()));
    let short = Column { history: &promo[..5], ..columns[7] };
    assert_eq!(run(&y, 7, &[short], WEEKLY, None).coefficients[0].origin, Origin::Unused(Unused::Length));
    assert_eq!(run(&y, 7, &columns[..7], WEEKLY, None).adjusted, y);
}

#[test]
fn closed_days_are_missing_and_forecast_as_zero() {
    let n = 140;
    let open: Vec<f64> = (0..n + 14).map(|t| f64::from(u8::from(t % 7 != 6 && t % 50 != 10))).collect();
    let y: Vec<f64> = (0..n).map(|t| open[t] * (90.0 + 20.0 * noise(t))).collect();
    let effects = run(&y, 14, &[column("open", Kind::Event, &open, n)], WEEKLY, None);
    assert_eq!(effects.coefficients[0].origin, Origin::Closed);
    for t in 0..n {
        assert!(if open[t] == 1.0 { effects.adjusted[t] == y[t] } else { effects.adjusted[t].is_nan() }, "t={t}");
    }
    assert_eq!(effects.future, open[n..]);

    // One day without a sale, where the group sells, is no closure; without a group it is.
    let day: Vec<f64> = (0..n + 14).map(|t| f64::from(u8::from(t % 100 == 45))).collect();
    let y: Vec<f64> = (0..n).map(|t| if t == 45 { 0.0 } else { 90.0 + 20.0 * noise(t) }).collect();
    let group = pool(true, &[("day", 0.2, 0.01)]);
    for (group, origin) in [(None, Origin::Closed), (Some(&group), Origin::Shrunk)] {
        let effects = run(&y, 14, &[column("day", Kind::Event, &day, n)], WEEKLY, group);
        assert_eq!(effects.coefficients[0].origin, origin);
    }
}

#[test]
fn a_holiday_is_a_column_per_name_and_offset() {
    let always = Holiday { name: "always", position: 1, lower_window: i64::MIN, upper_window: i64::MAX };
    assert_eq!(holiday_columns(&[always], 2, 1).len(), 3);
    assert_eq!(holiday_columns(&[always], 0, 0), []);
    let easter = |position| Holiday { name: "easter", position, lower_window: -1, upper_window: 1 };
    let new_year = Holiday { name: "new_year", position: 3, lower_window: 0, upper_window: 0 };
    let columns = holiday_columns(&[easter(0), new_year, easter(6), easter(100), easter(i64::MIN)], 5, 3);
    let rows: Vec<_> = columns.iter().map(|c| (c.name.as_str(), [&c.history[..], &c.future].concat())).collect();
    assert_eq!(
        rows,
        [
            ("easter-1", vec![0., 0., 0., 0., 0., 1., 0., 0.]),
            ("easter", vec![1., 0., 0., 0., 0., 0., 1., 0.]),
            ("easter+1", vec![0., 1., 0., 0., 0., 0., 0., 1.]),
            ("new_year", vec![0., 0., 0., 1., 0., 0., 0., 0.]),
        ]
    );
}

#[test]
fn a_group_finds_what_its_series_share_in_any_parts_and_as_text() {
    let n = 200;
    let holiday: Vec<f64> = (0..n).map(|t| f64::from(u8::from(t % 60 == 30))).collect();
    let mut buffers = Buffers::default();
    let (mut whole, mut parts) = (Pooling::new(WEEKLY), vec![Pooling::new(WEEKLY), Pooling::new(WEEKLY)]);
    for s in 0..40 {
        let from = if s % 4 == 0 { 50 } else { 0 };
        let price: Vec<f64> = (0..n).map(|t| if noise((t / 15) * 41 + s) < 0.4 { 0.8 } else { 1.0 }).collect();
        let rate = |t: usize| 1.5 * libm::exp(0.7 * holiday[t] - 1.5 * libm::log(price[t]));
        let y: Vec<f64> = (from..n).map(|t| (rate(t) * 2.0 * noise(t * 977 + s) + 0.5).floor()).collect();
        let columns = [
            column("holiday", Kind::Event, &holiday[from..], n - from),
            column("price", Kind::Price, &price[from..], n - from),
        ];
        whole.add(from as i64, &y, &columns, &mut buffers);
        parts[s / 20].add(from as i64, &y, &columns, &mut buffers);
    }
    let options = whole.finish(None, &mut buffers);
    let second = parts.pop().unwrap();
    parts[0].merge(&second);
    let merged = parts[0].finish(None, &mut buffers);
    let value = |p: &Pool, name: &str| p.effect(name).unwrap().value;
    // Twice the standard error, with what the ridge takes.
    assert!((value(&options, "holiday") - 0.7).abs() < 0.15, "{options:?}");
    assert!((value(&options, "price") + 1.5).abs() < 0.3, "{options:?}");
    assert!(["holiday", "price"].iter().all(|n| (value(&options, n) - value(&merged, n)).abs() < 1e-9));
    assert_eq!(Pool::from_text(&options.to_text()), Some(options));
    assert_eq!(Pool::from_text("{}"), None);
}

#[test]
fn scaling_a_series_by_a_power_of_two_changes_no_effect() {
    let n = 150;
    let x: Vec<f64> = (0..n + 7).map(|t| f64::from(u8::from(noise(t) < 0.3))).collect();
    let y: Vec<f64> = (0..n).map(|t| (noise(t + 77) * 6.0 * (1.0 + x[t])).floor()).collect();
    let scaled: Vec<f64> = y.iter().map(|v| v * 1024.0).collect();
    for scale in [Scale::Auto, Scale::Additive] {
        let options = Options { scale, ..WEEKLY };
        let columns = [column("x", Kind::Event, &x, n)];
        let (a, b) = (run(&y, 7, &columns, options, None), run(&scaled, 7, &columns, options, None));
        assert!(a.adjusted.iter().zip(&b.adjusted).all(|(a, b)| 1024.0 * a == *b), "{scale:?}");
        let unit = if scale == Scale::Additive { 1024.0 } else { 1.0 };
        assert!(a.future.iter().zip(&b.future).all(|(a, b)| unit * a == *b), "{scale:?}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]
    #[test]
    fn any_input_gives_finite_effects_twice_the_same(seed in 0usize..1_000_000, n in 0usize..90, horizon in 0usize..9, p in 0usize..6, m in 1usize..9) {
        let pick = |k: usize| match noise(seed + k) {
            u if u < 0.1 => f64::NAN,
            u if u < 0.3 => 0.0,
            u if u < 0.6 => 1.0,
            u if u < 0.65 => 1e100,
            u if u < 0.7 => 1e-100,
            u if u < 0.72 => -1e99,
            u => 10.0 * u,
        };
        let y: Vec<f64> = (0..n).map(pick).map(|v| if seed % 3 == 0 { v } else { v.abs() }).collect();
        let x: Vec<Vec<f64>> = (0..p).map(|c| (0..n + horizon).map(|t| pick(1000 * c + 7 * t)).map(|v| if seed % 2 == 0 { v } else { v.min(1.0) }).collect()).collect();
        let kinds = [Kind::Event, Kind::Price, Kind::Number];
        let names = ["a", "b", "c", "d", "e", "f"];
        let columns: Vec<Column> = x.iter().enumerate().map(|(c, x)| column(names[c], kinds[(c + seed) % 3], x, n)).collect();
        let options = Options { season_length: m, ..PLAIN };
        let mut pooling = Pooling::new(options);
        pooling.add((seed % 50) as i64 - 25, &y, &columns, &mut Buffers::default());
        pooling.add(0, &y, &columns, &mut Buffers::default());
        let group = pooling.finish(None, &mut Buffers::default());
        proptest::prop_assert!(group.effects.iter().all(|e| e.value.is_finite() && e.error.is_finite()), "{group:?}");
        for pool in [None, Some(&group)] {
            let (a, b) = (run(&y, horizon, &columns, options, pool), run(&y, horizon, &columns, options, pool));
            proptest::prop_assert!(a.future.iter().chain(a.coefficients.iter().map(|c| &c.value)).all(|v| v.is_finite()), "{a:?}");
            proptest::prop_assert!(a.adjusted.iter().all(|v| !v.is_infinite()) && a.adjusted.len() == n && a.future.len() == horizon);
            let bits = |e: &Effects| e.adjusted.iter().chain(&e.future).map(|v| v.to_bits()).collect::<Vec<_>>();
            proptest::prop_assert_eq!(bits(&a), bits(&b));
        }
    }
}

/// Prints the cost of a fit: `cargo test -p lakecast-udfs --lib -- effects --ignored --nocapture`.
#[test]
#[ignore = "prints timings"]
fn cost_of_a_fit() {
    let (n, h) = (447, 28);
    let y: Vec<f64> = (0..n).map(|t| (noise(t) * 3.0).floor()).collect();
    let price: Vec<f64> = (0..n + h).map(|t| if t / 60 % 2 == 0 { 2.0 } else { 1.8 }).collect();
    let snap: Vec<f64> = (0..n + h).map(|t| f64::from(u8::from(t % 30 < 10))).collect();
    let days: Vec<Vec<f64>> =
        (0..62).map(|k| (0..n + h).map(|t| f64::from(u8::from(t == 7 * k || t == 7 * k + 365))).collect()).collect();
    let names: Vec<String> = (0..62).map(|k| format!("day{k}")).collect();
    let mut columns = vec![column("price", Kind::Price, &price, n), column("snap", Kind::Event, &snap, n)];
    columns.extend(days.iter().zip(&names).map(|(x, name)| column(name, Kind::Event, x, n)));
    let (mut buffers, mut effects) = (Buffers::default(), Effects::default());
    for p in [1, 2, 10, 64] {
        let mut least = f64::INFINITY;
        for _ in 0..300 {
            let start = std::time::Instant::now();
            fit(&y, h, &columns[..p], WEEKLY, None, &mut buffers, &mut effects);
            least = least.min(start.elapsed().as_secs_f64());
        }
        println!("{p} columns: {:.1} microseconds", 1e6 * least);
    }
}
