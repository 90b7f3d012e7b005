//! What a series looks like.  In: its values on the calendar, NaN where missing. Out: class, strengths, changes, spikes, range.

use super::changes::changes;
use super::spikes::spikes;
use super::strength::{Decomposition, Strength, strength};
use crate::forecast::demand::{Demand, classify};
use crate::forecast::model::observed_count;
use crate::forecast::{gather, scale};

/// The figures of one series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shape {
    pub(super) demand: Demand,
    pub(super) strength: Strength,
    pub(super) changes: usize,
    /// Position of the first step of the last level.
    pub(super) last_change: Option<usize>,
    pub(super) spikes: usize,
    /// Observed steps.
    pub(super) observed: usize,
    pub(super) sum: f64,
    pub(super) mean: f64,
    /// Sample standard deviation; NaN of fewer than two values.
    pub(super) deviation: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

/// Working memory, kept from series to series.
#[derive(Debug, Default)]
pub(super) struct Work {
    decomposition: Decomposition,
    scaled: Vec<f64>,
    values: Vec<f64>,
    at: Vec<usize>,
    found: Vec<usize>,
}

impl Work {
    /// Words that a series of so many steps takes at most.
    pub(super) fn words(steps: usize) -> usize {
        7 * steps
    }

    /// Bytes held.
    pub(super) fn memory_bytes(&self) -> usize {
        let d = &self.decomposition;
        let reals = [&d.season, &d.trend, &d.phase, &self.scaled, &self.values].map(|v| v.capacity());
        8 * (reals.iter().sum::<usize>() + self.at.capacity() + self.found.capacity())
    }

    /// Frees what a long series has left.
    pub(super) fn shrink(&mut self) {
        let d = &mut self.decomposition;
        gather::shrink(&mut [&mut d.season, &mut d.trend, &mut d.phase, &mut self.scaled, &mut self.values]);
        if self.at.capacity() > self.values.capacity() {
            self.at = Vec::new();
        }
    }
}

/// Looks at a series. `y`: finite values or NaN. O(n log n) time.
///
/// Spikes and changes are looked for in what the season leaves, changes in what spikes leave too, so that neither a
/// weekend nor a single bulk order is a new level.
pub(super) fn shape(y: &[f64], season_length: usize, work: &mut Work) -> Shape {
    let largest = y.iter().filter(|v| !v.is_nan()).fold(0.0_f64, |a, v| a.max(v.abs()));
    // Squares of what is scaled neither overflow nor vanish; a power of two changes no figure.
    let (down, up) = scale(largest).unwrap_or((1.0, 1.0));
    let mut scaled = std::mem::take(&mut work.scaled);
    scaled.clear();
    scaled.extend(y.iter().map(|v| v * down));
    let shape = of_moderate(&scaled, season_length, up, work);
    work.scaled = scaled;
    shape
}

fn of_moderate(y: &[f64], season_length: usize, up: f64, work: &mut Work) -> Shape {
    let demand = classify(y, season_length);
    let strength = strength(y, season_length, &mut work.decomposition);
    let season = &work.decomposition.season;
    let adjusted = |(t, v): (usize, &f64)| if season.is_empty() { *v } else { v - season[t % season.len()] };
    let observed = observed_count(y);
    let zeros = y.iter().filter(|v| **v == 0.0).count();
    let sells_rarely = 2 * zeros > observed;
    work.values.clear();
    if sells_rarely {
        work.values.extend_from_slice(y);
    } else {
        work.values.extend(y.iter().enumerate().map(adjusted));
    }
    let mut others = std::mem::take(&mut work.decomposition.phase);
    let found = spikes(&mut work.values, |t| !sells_rarely || y[t] != 0.0, &mut work.at, &mut others);
    if sells_rarely && !season.is_empty() {
        work.values.iter_mut().enumerate().for_each(|(t, v)| *v = adjusted((t, v)));
    }
    changes(&work.values, &mut others, &mut work.at, &mut work.found);
    work.decomposition.phase = others;
    let (mut mean, mut squares, mut sum, mut count) = (0.0, 0.0, 0.0, 0.0);
    let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
    for &v in y.iter().filter(|v| !v.is_nan()) {
        count += 1.0;
        sum += v;
        let before = v - mean;
        mean += before / count;
        squares += before * (v - mean);
        (min, max) = (min.min(v), max.max(v));
    }
    Shape {
        demand: Demand { sale_mean: demand.sale_mean * up, ..demand },
        strength,
        changes: work.found.len(),
        last_change: work.found.last().copied(),
        spikes: found,
        observed,
        sum: sum * up,
        mean: if observed > 0 { mean * up } else { f64::NAN },
        deviation: if observed > 1 { (squares / (count - 1.0)).sqrt() * up } else { f64::NAN },
        min: min * up,
        max: max * up,
    }
}
