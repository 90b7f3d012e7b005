//! The ridge regression.  In: a series and its columns. Out: coefficients and their information.

use super::Buffers;
use super::base::{self, Base};
use super::design::{Design, Entry};

/// Newton steps: the base is refreshed between them, so that the additive form needs some as well.
const STEPS: usize = 12;
/// A step below this ends the search.
const MOVE_MIN: f64 = 1e-5;
/// A step's largest change of a coefficient.
const STEP_MAX: f64 = 1.5;
/// A column of which the base leaves less than this share of its variance is the season's.
const LEFT_MIN: f64 = 1e-9;

/// Coefficients per entry, in the design's unit.
pub(super) struct Solution {
    pub(super) coefficients: Vec<f64>,
    /// Diagonal of the information: 0 where the history says nothing.
    pub(super) information: Vec<f64>,
    /// Whether an earlier entry says the same.
    pub(super) collinear: Vec<bool>,
    /// The information (lower triangle, row by row) and the score that is left without the ridge: for pools.
    pub(super) matrix: Vec<f64>,
    pub(super) score: Vec<f64>,
}

impl Solution {
    /// Information of each entry, and which say the same as an earlier one.
    fn diagonal(&mut self) {
        let p = self.coefficients.len();
        for i in 0..p {
            self.information[i] = self.matrix[i * p + i];
            let same = |j: usize| {
                let (x, y, both) = (self.matrix[i * p + i], self.matrix[j * p + j], self.matrix[i * p + j]);
                x > 0.0 && y > 0.0 && both * both >= (1.0 - LEFT_MIN) * x * y
            };
            self.collinear[i] = (0..i).any(same);
        }
    }

    pub(super) fn give(self, buffers: &mut Buffers) {
        [self.coefficients, self.information, self.matrix, self.score].into_iter().for_each(|v| buffers.give(v));
    }
}

/// Fits the coefficients of `design`.
pub(super) fn solve(design: &Design, buffers: &mut Buffers) -> Solution {
    let (n, p) = (design.y.len(), design.entries.len());
    let mut solution = Solution {
        coefficients: buffers.take(p),
        information: buffers.take(p),
        collinear: vec![false; p],
        matrix: buffers.take(p * p),
        score: buffers.take(p),
    };
    solution.coefficients.iter_mut().zip(&design.entries).for_each(|(b, e)| *b = e.prior);
    if p == 0 || n == 0 {
        return solution;
    }
    let mut work = Work::new(design, buffers);
    for step in 0..STEPS {
        work.look(&solution.coefficients, if step == 0 { 2 } else { 1 });
        if step == 0 {
            work.take_out_base();
        }
        work.equations(&mut solution);
        let moved = work.step(&mut solution);
        if moved < MOVE_MIN {
            break;
        }
    }
    solution.diagonal();
    work.give(buffers);
    solution
}

struct Work<'a> {
    design: &'a Design,
    base: Base,
    /// Dense columns without what the base explains, one after the other.
    dense: Vec<f64>,
    effect: Vec<f64>,
    fitted: Vec<f64>,
    /// Weights of the steps over the dispersion, errors over the dispersion, and one weighted column.
    weight: Vec<f64>,
    error: Vec<f64>,
    weighted: Vec<f64>,
    ridge: Vec<f64>,
    direction: Vec<f64>,
}

impl<'a> Work<'a> {
    fn new(design: &'a Design, buffers: &mut Buffers) -> Self {
        let (n, p) = (design.y.len(), design.entries.len());
        let dense = design.entries.iter().filter(|e| e.spots.is_none()).count();
        Self {
            design,
            base: Base::new(n, design.season_length, design.multiplicative, buffers),
            dense: buffers.take(dense * n),
            effect: buffers.take(n),
            fitted: buffers.take(n),
            weight: buffers.take(n),
            error: buffers.take(n),
            weighted: buffers.take(n),
            ridge: buffers.take(p * p),
            direction: buffers.take(p),
        }
    }

    fn give(self, buffers: &mut Buffers) {
        self.base.give(buffers);
        let rest = [self.dense, self.effect, self.fitted, self.weight, self.error, self.weighted, self.ridge];
        rest.into_iter().for_each(|v| buffers.give(v));
        buffers.give(self.direction);
    }

    fn spots(&self, entry: &Entry) -> &'a [u32] {
        entry.spots.map_or(&[], |(from, to)| &self.design.spots[from..to])
    }

    /// Fitted values, errors and weights at these coefficients.
    fn look(&mut self, coefficients: &[f64], rounds: usize) {
        let d = self.design;
        self.effect.fill(0.0);
        for (entry, &b) in d.entries.iter().zip(coefficients) {
            let x = d.history(entry);
            if entry.spots.is_some() {
                self.spots(entry).iter().for_each(|&t| self.effect[t as usize] += b * x[t as usize]);
            } else {
                self.effect.iter_mut().zip(x).for_each(|(sum, x)| *sum += b * x);
            }
        }
        if d.multiplicative {
            self.effect.iter_mut().zip(&d.on).for_each(|(e, on)| *e = base::factor(*e) * on);
        }
        self.base.refresh(&d.y, &d.on, &self.effect, rounds, &mut self.fitted);
        let (mut squares, mut observed, mut total) = (0.0, 0.0, 0.0);
        for (((error, &v), &f), &on) in self.error.iter_mut().zip(&d.y).zip(&self.fitted).zip(&d.on) {
            *error = on * (v - f);
            observed += on;
            total += v;
            let variance = if d.multiplicative { f } else { 1.0 };
            squares += if variance > 0.0 { *error * *error / variance } else { 0.0 };
        }
        let free = (observed - self.base.freedom(d.y.len())).max(1.0);
        let floor = if d.multiplicative { total / observed.max(1.0) } else { 1.0 } * DISPERSION_MIN;
        let dispersion = (squares / free).max(floor);
        let precision = if dispersion > 0.0 { 1.0 / dispersion } else { 0.0 };
        for ((weight, &f), &on) in self.weight.iter_mut().zip(&self.fitted).zip(&d.on) {
            *weight = precision * if d.multiplicative { f } else { on };
        }
        self.error.iter_mut().for_each(|e| *e *= precision);
    }

    /// What the base explains of the dense columns is no effect of theirs. That of a sparse column is small, and left to
    /// the next refresh of the base.
    fn take_out_base(&mut self) {
        let (d, n) = (self.design, self.design.y.len());
        let dense = d.entries.iter().filter(|e| e.spots.is_none());
        for (entry, out) in dense.zip(self.dense.chunks_exact_mut(n)) {
            let x = d.history(entry);
            out.copy_from_slice(x);
            let before = variance(&self.weight, out);
            self.base.take_out(&self.weight, out);
            if variance(&self.weight, out) <= LEFT_MIN * before {
                out.fill(0.0);
            }
        }
    }

    /// Information matrix and score without the ridge.
    fn equations(&mut self, solution: &mut Solution) {
        let (d, n, p) = (self.design, self.design.y.len(), self.design.entries.len());
        let sparse = d.entries.iter().take_while(|e| e.spots.is_some()).count();
        for (i, entry) in d.entries[..sparse].iter().enumerate() {
            let (spots, x) = (self.spots(entry), d.history(entry));
            solution.score[i] = spots.iter().map(|&t| self.error[t as usize] * x[t as usize]).sum();
            for (j, other) in d.entries[..=i].iter().enumerate() {
                let z = d.history(other);
                solution.matrix[i * p + j] = if other.spots.is_some_and(|s| s.0 < s.1) {
                    spots.iter().map(|&t| t as usize).map(|t| self.weight[t] * x[t] * z[t]).sum()
                } else {
                    0.0
                };
            }
        }
        for (i, x) in (sparse..p).zip(self.dense.chunks_exact(n)) {
            self.weighted.iter_mut().zip(x).zip(&self.weight).for_each(|((out, x), w)| *out = w * x);
            solution.score[i] = dot(&self.error, x);
            for (j, other) in d.entries[..sparse].iter().enumerate() {
                let z = d.history(other);
                let spots = self.spots(other).iter().map(|&t| t as usize);
                solution.matrix[i * p + j] = spots.map(|t| self.weighted[t] * z[t]).sum();
            }
            for (j, z) in (sparse..=i).zip(self.dense.chunks_exact(n)) {
                solution.matrix[i * p + j] = dot(&self.weighted, z);
            }
        }
    }

    /// One step of the coefficients; the largest change.
    fn step(&mut self, solution: &mut Solution) -> f64 {
        let p = self.design.entries.len();
        self.ridge.copy_from_slice(&solution.matrix);
        for (i, entry) in self.design.entries.iter().enumerate() {
            self.ridge[i * p + i] += entry.lambda;
            self.direction[i] = solution.score[i] - entry.lambda * (solution.coefficients[i] - entry.prior);
        }
        cholesky(&mut self.ridge, p, &mut self.direction);
        let mut moved: f64 = 0.0;
        for ((b, &by), entry) in solution.coefficients.iter_mut().zip(&self.direction).zip(&self.design.entries) {
            let by = if entry.closed || !by.is_finite() { 0.0 } else { by.clamp(-STEP_MAX, STEP_MAX) };
            *b += by;
            moved = moved.max(by.abs());
        }
        moved
    }
}

/// Noise below this share of the mean is none: it keeps the equations finite.
const DISPERSION_MIN: f64 = 1e-9;

fn variance(weight: &[f64], x: &[f64]) -> f64 {
    let (mut total, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for (w, x) in weight.iter().zip(x) {
        total += w;
        sum += w * x;
        squares += w * x * x;
    }
    if total > 0.0 { squares - sum * (sum / total) } else { 0.0 }
}

/// Sum of products in eight lanes.
fn dot(x: &[f64], y: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let (xs, x_rest) = x.as_chunks::<8>();
    let (ys, y_rest) = y.as_chunks::<8>();
    for (x, y) in xs.iter().zip(ys) {
        for k in 0..8 {
            lanes[k] += x[k] * y[k];
        }
    }
    lanes.iter().sum::<f64>() + x_rest.iter().zip(y_rest).map(|(x, y)| x * y).sum::<f64>()
}

/// Solves `matrix * x = right` in place: lower triangle in, positive definite by its ridge. Columns that are zero below
/// the diagonal cost nothing, so sparse events in front are cheap.
pub(super) fn cholesky(matrix: &mut [f64], p: usize, right: &mut [f64]) {
    for k in 0..p {
        let pivot = matrix[k * p + k].max(f64::MIN_POSITIVE).sqrt();
        matrix[k * p + k] = pivot;
        right[k] /= pivot;
        for i in k + 1..p {
            let below = matrix[i * p + k] / pivot;
            matrix[i * p + k] = below;
            if below == 0.0 {
                continue;
            }
            right[i] -= below * right[k];
            for j in k + 1..=i {
                matrix[i * p + j] -= below * matrix[j * p + k];
            }
        }
    }
    for k in (0..p).rev() {
        for i in k + 1..p {
            right[k] -= matrix[i * p + k] * right[i];
        }
        right[k] /= matrix[k * p + k];
    }
}
