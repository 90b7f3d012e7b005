//! Accuracy as the peers' script computes it.  In: series and forecasts. Out: named figures.

use super::sets::{Series, Set};
use std::collections::{BTreeMap, HashMap};

/// What a forecast of one series holds: means, and lower and upper bound of each level.
pub(crate) struct Found {
    pub(crate) mean: Vec<f64>,
    pub(crate) bounds: Vec<Vec<Option<(f64, f64)>>>,
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.filter(|v| v.is_finite()).fold((0.0, 0.0_f64), |(s, n), v| (s + v, n + 1.0));
    sum / n.max(1.0)
}

/// All measures of a set.
pub(crate) fn score(set: &Set, series: &[Series], found: &[Found]) -> BTreeMap<&'static str, f64> {
    let mut out = BTreeMap::new();
    if set.is_demand {
        let rmsse: Vec<f64> = series.iter().zip(found).map(|(s, f)| rmsse(s, &f.mean)).collect();
        out.insert("RMSSE", mean(rmsse.iter().copied()));
        let sum = |of: &dyn Fn(&Series, &Found) -> f64| series.iter().zip(found).map(|(s, f)| of(s, f)).sum::<f64>();
        let (actual, forecast) = (sum(&|s, _| s.actual.iter().sum()), sum(&|_, f| f.mean.iter().sum()));
        out.insert("bias%", 100.0 * (forecast / actual - 1.0));
        if series.iter().all(|s| s.weight.is_some()) {
            out.insert("WRMSSE", wrmsse(series, found));
            let weighted = series.iter().zip(&rmsse).filter(|(_, r)| r.is_finite());
            let (sum, weight) = weighted.fold((0.0, 0.0), |(sum, weight), (s, r)| {
                let w = s.weight.unwrap_or(0.0);
                (sum + w * r, weight + w)
            });
            out.insert("WRMSSE12", sum / weight);
        }
        return out;
    }
    let all = |path: &dyn Fn(usize) -> Vec<f64>| {
        let smape = mean(series.iter().enumerate().map(|(i, s)| smape(&s.actual, &path(i))));
        (smape, mean(series.iter().enumerate().map(|(i, s)| mase(s, &path(i), set.mase_season))))
    };
    let (smape, mase) = all(&|i| found[i].mean.clone());
    let naive2 = |i: usize| {
        let s = &series[i];
        s.naive2.clone().unwrap_or_else(|| naive2(&s.train, set.mase_season, set.horizon))
    };
    let (smape2, mase2) = all(&naive2);
    out.insert("sMAPE", smape);
    out.insert("MASE", mase);
    out.insert("OWA", (smape / smape2 + mase / mase2) / 2.0);
    out
}

/// Share of actual values within the bounds of level number `level`, in percent, and the share of steps with bounds.
pub(crate) fn coverage(series: &[Series], found: &[Found], level: usize) -> (f64, f64) {
    let (mut within, mut known, mut all) = (0.0, 0.0, 0.0);
    for (s, f) in series.iter().zip(found) {
        for (y, bound) in s.actual.iter().zip(&f.bounds[level]) {
            all += 1.0;
            if let Some((lower, upper)) = bound {
                known += 1.0;
                within += f64::from(*lower <= *y && *y <= *upper);
            }
        }
    }
    (100.0 * within / known, 100.0 * known / all)
}

fn smape(actual: &[f64], path: &[f64]) -> f64 {
    let term = |(a, f): (&f64, &f64)| {
        let size = a.abs() + f.abs();
        if size > 0.0 { 200.0 * (a - f).abs() / size } else { 0.0 }
    };
    actual.iter().zip(path).map(term).sum::<f64>() / actual.len() as f64
}

fn mase(s: &Series, path: &[f64], m: usize) -> f64 {
    let y = &s.train;
    if y.len() <= m {
        return f64::NAN;
    }
    let scale = y.iter().zip(&y[m..]).map(|(a, b)| (b - a).abs()).sum::<f64>() / (y.len() - m) as f64;
    let error = s.actual.iter().zip(path).map(|(a, f)| (a - f).abs()).sum::<f64>() / s.actual.len() as f64;
    if scale > 0.0 { error / scale } else { f64::NAN }
}

fn rmsse(s: &Series, path: &[f64]) -> f64 {
    let first = s.train.iter().position(|v| *v > 0.0).unwrap_or(0);
    let y = &s.train[first..];
    let scale = y.windows(2).map(|w| (w[1] - w[0]).powi(2)).sum::<f64>() / (y.len() as f64 - 1.0);
    let error = s.actual.iter().zip(path).map(|(a, f)| (a - f).powi(2)).sum::<f64>() / s.actual.len() as f64;
    if scale > 0.0 { (error / scale).sqrt() } else { f64::NAN }
}

/// Sums of a group: history, actual values, forecasts, weight.
type Group = (Vec<f64>, Vec<f64>, Vec<f64>, f64);

/// Mean over the twelve levels of M5, bottom-up, with the organisers' weights.
fn wrmsse(series: &[Series], found: &[Found]) -> f64 {
    let longest = series.iter().map(|s| s.train.len()).max().unwrap_or(0);
    let levels: [&[usize]; 12] = [
        &[],
        &[3],
        &[3, 4],
        &[0],
        &[0, 1],
        &[3, 0],
        &[3, 0, 1],
        &[3, 4, 0],
        &[3, 4, 0, 1],
        &[0, 1, 2],
        &[0, 1, 2, 3],
        &[0, 1, 2, 3, 4],
    ];
    let of_level = |parts: &[usize]| {
        let mut sums: HashMap<String, Group> = HashMap::new();
        for (s, f) in series.iter().zip(found) {
            let split: Vec<_> = s.id.split('_').collect();
            let key = parts.iter().map(|p| split[*p]).collect::<Vec<_>>().join("_");
            let horizon = s.actual.len();
            let empty = || (vec![0.0; longest], vec![0.0; horizon], vec![0.0; horizon], 0.0);
            let (y, actual, path, weight) = sums.entry(key).or_insert_with(empty);
            s.train.iter().zip(&mut y[longest - s.train.len()..]).for_each(|(v, sum)| *sum += v);
            s.actual.iter().zip(actual).for_each(|(v, sum)| *sum += v);
            f.mean.iter().zip(path).for_each(|(v, sum)| *sum += v);
            *weight += s.weight.unwrap_or(0.0);
        }
        let (mut sum, mut total) = (0.0, 0.0);
        for (y, actual, path, weight) in sums.values() {
            let first = y.iter().position(|v| *v > 0.0).unwrap_or(0);
            let scale = y[first..].windows(2).map(|w| (w[1] - w[0]).powi(2)).sum::<f64>()
                / ((longest - 1 - first) as f64).max(1.0);
            let error = actual.iter().zip(path).map(|(a, f)| (a - f).powi(2)).sum::<f64>() / actual.len() as f64;
            if scale > 0.0 {
                sum += weight * (error / scale).sqrt();
                total += weight;
            }
        }
        sum / total
    };
    levels.iter().map(|l| of_level(l)).sum::<f64>() / levels.len() as f64
}

/// Random walk on the seasonally adjusted series: the M4 organisers' test and decomposition.
fn naive2(y: &[f64], m: usize, horizon: usize) -> Vec<f64> {
    let n = y.len();
    let last = y[n - 1];
    let mean = y.iter().sum::<f64>() / n as f64;
    let power: f64 = y.iter().map(|v| (v - mean).powi(2)).sum();
    let acf = |k: usize| y.iter().zip(&y[k..]).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>() / power;
    if m == 1 || n < 3 * m || power <= 0.0 || y.iter().any(|v| *v <= 0.0) {
        return vec![last; horizon];
    }
    let squares: f64 = (1..m).map(|k| acf(k).powi(2)).sum();
    if acf(m).abs() <= 1.645 * ((1.0 + 2.0 * squares) / n as f64).sqrt() {
        return vec![last; horizon];
    }
    let kernel: Vec<f64> = if m.is_multiple_of(2) {
        (0..=m).map(|k| if k == 0 || k == m { 0.5 } else { 1.0 } / m as f64).collect()
    } else {
        vec![1.0 / m as f64; m]
    };
    let offset = kernel.len() / 2;
    let mut phases = vec![(0.0, 0.0); m];
    for (t, window) in y.windows(kernel.len()).enumerate() {
        let trend: f64 = window.iter().zip(&kernel).map(|(a, b)| a * b).sum();
        let phase = &mut phases[(t + offset) % m];
        *phase = (phase.0 + y[t + offset] / trend, phase.1 + 1.0);
    }
    let season: Vec<f64> = phases.iter().map(|(sum, n)| sum / n).collect();
    let total: f64 = season.iter().sum();
    let season: Vec<f64> = season.iter().map(|s| s * m as f64 / total).collect();
    (0..horizon).map(|h| last / season[(n - 1) % m] * season[(n + h) % m]).collect()
}
