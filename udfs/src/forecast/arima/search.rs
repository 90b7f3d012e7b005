//! Maximum likelihood for one order: Levenberg-Marquardt on the standardised one-step errors.
//!
//! In: a series and an order. Out: coefficients and the likelihood.
//!
//! With the variance of the shocks concentrated out, the exact likelihood is a sum of squares: of the standardised errors
//! times the geometric mean of their standard deviations (Ansley 1979). So least squares does it, and the derivatives are
//! differences of processes that run side by side in the lanes of one pass over the series. Partial autocorrelations
//! (Barndorff-Nielsen & Schou 1973; Jones 1980) keep the autoregression stationary and the moving average invertible.

use super::super::Buffers;
use super::filter::Filter;
use super::likelihood::{Scores, score};
use super::order::{COEFFICIENTS_MAX, Coefficients, Order, from_partials, to_partials};
use super::process::{Lane, Process, lanes, lanes_mut};
use super::system::Parameters;

/// Processes of one pass: a point and its neighbours.
pub(super) const LANES: usize = 8;

/// Blocks of lanes that hold the derivatives of the largest model.
const BLOCKS: usize = COEFFICIENTS_MAX.div_ceil(LANES - 1);

/// A climb is without prospect if so many times what the next step promises, and so much more, does not reach its target.
const PROSPECT: (f64, f64) = (4.0, 1.0);

/// Most work of a climb: values times entries of the state, or half the entries of its covariance, times passes.
const WORK_MAX: usize = 10_000_000;

/// Step of a derivative.
const STEP: f64 = 1e-6;

/// A point of the search, in the order of [`Coefficients`]: any numbers, mapped into the admissible region.
pub(super) type Point = [f64; COEFFICIENTS_MAX];

/// What the likelihood is computed from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Evidence<'a> {
    /// The differenced series.
    Complete(&'a [f64]),
    /// The series itself, because differences of missing values are missing.
    WithGaps(&'a [f64]),
}

/// One order on one series.
#[derive(Debug, Clone, Copy)]
pub(super) struct Problem<'a> {
    pub(super) order: Order,
    pub(super) evidence: Evidence<'a>,
    /// Coefficients that are given.
    pub(super) given: Coefficients,
    /// Which groups are given: phi, theta, Phi, Theta.
    pub(super) is_given: [bool; 4],
    /// The mean of the differenced series, if it is not to be found: 0 without a constant.
    pub(super) mean: Option<f64>,
    /// Standard deviation of the differenced series: the unit of its mean.
    pub(super) spread: f64,
}

/// The likelihood at a point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fit {
    pub(super) point: Point,
    pub(super) coefficients: Coefficients,
    /// The mean of the differenced series.
    pub(super) mean: f64,
    /// Logarithm of the sum of squares plus the mean log variance: what the search makes small.
    pub(super) cost: f64,
    /// Values that count.
    pub(super) n: f64,
    /// Coefficients that were searched for.
    pub(super) free: usize,
    /// Passes over the series.
    pub(super) passes: usize,
}

impl Fit {
    /// The logarithm of the Gaussian likelihood.
    pub(super) fn log_likelihood(&self) -> f64 {
        log_likelihood(self.cost, self.n)
    }

    /// Akaike's criterion with its correction; the variance of the shocks counts as a parameter.
    pub(super) fn aicc(&self) -> f64 {
        if self.cost.is_finite() { penalty(self.free, self.n) - 2.0 * self.log_likelihood() } else { f64::INFINITY }
    }
}

/// What coefficients cost in AICc; infinite if there are too many for `n` values.
pub(super) fn penalty(coefficients: usize, n: f64) -> f64 {
    let k = coefficients as f64 + 1.0;
    let spare = n - k - 1.0;
    if spare > 0.0 { 2.0 * k + 2.0 * k * (k + 1.0) / spare } else { f64::INFINITY }
}

/// How hard to try.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effort {
    /// Passes over the series with derivatives.
    pub(super) passes: usize,
    /// A step that promises less than this in log likelihood is not taken.
    pub(super) tolerance: f64,
    /// Partial autocorrelations stay within `x / sqrt(1 + x^2)` for x up to this.
    pub(super) edge: f64,
    /// A climb that has no prospect of this log likelihood ends.
    pub(super) target: f64,
}

impl Problem<'_> {
    /// Indices of the coefficients to find.
    fn free(&self, out: &mut [usize; COEFFICIENTS_MAX]) -> usize {
        let mut count = 0;
        let mut push = |i| {
            out[count] = i;
            count += 1;
        };
        for ((first, length), given) in self.order.groups().into_iter().zip(self.is_given) {
            (first..first + length).filter(|_| !given).for_each(&mut push);
        }
        if self.mean.is_none() {
            push(self.order.arma());
        }
        count
    }

    /// The coefficients of a point, without the mean, and the mean.
    fn coefficients(&self, point: &Point) -> (Coefficients, f64) {
        let mut c = self.given;
        for (g, (first, length)) in self.order.groups().into_iter().enumerate().filter(|(g, _)| !self.is_given[*g]) {
            let group = &mut c[first..first + length];
            group.iter_mut().zip(&point[first..]).for_each(|(to, x)| *to = x / (1.0 + x * x).sqrt());
            from_partials(group);
            if g % 2 == 1 {
                group.iter_mut().for_each(|v| *v = -*v);
            }
        }
        (c, self.mean.unwrap_or(point[self.order.arma()] * self.spread))
    }

    /// The point of coefficients, pulled into the admissible region.
    pub(super) fn point(&self, coefficients: &Coefficients, mean: f64) -> Point {
        let mut point = *coefficients;
        for (g, (first, length)) in self.order.groups().into_iter().enumerate() {
            let group = &mut point[first..first + length];
            if g % 2 == 1 {
                group.iter_mut().for_each(|v| *v = -*v);
            }
            to_partials(group, 0.95);
            group.iter_mut().for_each(|r| *r /= (1.0 - *r * *r).sqrt());
        }
        if self.order.arma() < point.len() {
            point[self.order.arma()] = if self.spread > 0.0 { mean / self.spread } else { 0.0 };
        }
        point
    }

    /// Passes with derivatives that a climb can afford: what a fraction of a second allows.
    pub(super) fn affordable(&self) -> usize {
        let (n, span) = (self.length(), self.order.span());
        let points = self.order.arma() + 2;
        let work = match self.evidence {
            Evidence::Complete(_) => n * span * points.div_ceil(LANES - 1),
            Evidence::WithGaps(_) => n * (span + self.order.lost()) * (span + self.order.lost()) * points / 2,
        };
        WORK_MAX / work.max(1)
    }

    fn length(&self) -> usize {
        match self.evidence {
            Evidence::Complete(w) => w.len(),
            Evidence::WithGaps(y) => y.len(),
        }
    }

    /// Standardised errors of the first `used` points, each on the series times its weight; the values that count.
    fn pass(
        &self,
        points: &[Point; LANES],
        weights: &Lane<LANES>,
        used: usize,
        errors: &mut [Lane<LANES>],
        buffers: &mut Buffers,
    ) -> (Scores<LANES>, f64) {
        let mapped = points.map(|p| self.coefficients(&p));
        let coefficients = mapped.map(|(c, _)| c);
        match self.evidence {
            Evidence::Complete(w) => {
                let process = Process::new(&self.order, &coefficients, buffers);
                let scores = score(w, weights, &mapped.map(|(_, mean)| mean), &process, errors, buffers);
                process.give(buffers);
                (scores, w.len() as f64)
            }
            Evidence::WithGaps(y) => {
                let (mut scores, mut counted, mut states) = (Scores::empty(), 0.0, buffers.take(0));
                for k in 0..used {
                    counted = 0.0;
                    let mut parameters =
                        Parameters { order: self.order, coefficients: coefficients[k], origin: 0.0, estimated: 0 };
                    parameters.order.constant = true;
                    parameters.coefficients[self.order.arma()] = mapped[k].1;
                    let mut filter = Filter::start(&parameters, &mut states, buffers);
                    for (t, &v) in y.iter().enumerate() {
                        let found = filter.step(weights[k] * v, t as u64);
                        let (e, variance) = found.unwrap_or((0.0, 1.0));
                        errors[t][k] = e / variance.sqrt();
                        scores.squares[k] += errors[t][k] * errors[t][k];
                        scores.log_variances[k] += if variance == 1.0 { 0.0 } else { libm::log(variance) };
                        counted += f64::from(u8::from(found.is_some()));
                    }
                    filter.give();
                }
                buffers.give(states);
                (scores, counted)
            }
        }
    }

    /// The best of the starts: they all run in one pass.
    pub(super) fn best_start(&self, starts: &[Point], buffers: &mut Buffers) -> Point {
        let mut points = [[0.0; COEFFICIENTS_MAX]; LANES];
        points.iter_mut().zip(starts).for_each(|(to, from)| *to = *from);
        let used = starts.len().min(LANES);
        if used < 2 {
            return points[0];
        }
        let mut errors = buffers.take(self.length() * LANES);
        let (scores, n) = self.pass(&points, &[1.0; LANES], used, lanes_mut(&mut errors), buffers);
        buffers.give(errors);
        let cost = |k: usize| cost(&scores, k, n);
        // A cost that is not a number is never smaller.
        points[(1..used).fold(0, |best, k| if cost(k) < cost(best) || cost(best).is_nan() { k } else { best })]
    }

    /// From a start to the maximum of the likelihood.
    pub(super) fn climb(&self, start: Point, effort: Effort, buffers: &mut Buffers) -> Fit {
        let mut free = [0; COEFFICIENTS_MAX];
        let count = self.free(&mut free);
        let free = &free[..count];
        let blocks = count.div_ceil(LANES - 1).max(1);
        let mut errors = buffers.take(blocks * self.length() * LANES);
        let mut here = self.look(start, free, &mut errors, buffers);
        let mut damping = 1e-3;
        let mut pass = 1;
        let passes = effort.passes.min(self.affordable().max(3));
        while pass < passes && !free.is_empty() && here.cost.is_finite() {
            let Some((step, promise)) = here.normal.step(damping) else { break };
            let promise = 0.5 * here.n * promise;
            let prospect = log_likelihood(here.cost, here.n) + PROSPECT.0 * promise + PROSPECT.1;
            if promise < effort.tolerance || (pass > 2 && prospect < effort.target) {
                break;
            }
            let mut next = here.point;
            for (i, s) in free.iter().zip(&step) {
                let is_mean = *i == self.order.arma();
                next[*i] = if is_mean {
                    next[*i] + s
                } else {
                    (next[*i] + s.clamp(-3.0, 3.0)).clamp(-effort.edge, effort.edge)
                };
            }
            let there = self.look(next, free, &mut errors, buffers);
            pass += 1;
            if there.cost < here.cost {
                let gain = 0.5 * here.n * (here.cost - there.cost);
                here = there;
                damping *= 0.1;
                if gain < effort.tolerance {
                    break;
                }
            } else {
                damping *= 10.0;
                if damping > 1e6 {
                    break;
                }
            }
        }
        buffers.give(errors);
        let (coefficients, mean) = self.coefficients(&here.point);
        Fit { point: here.point, coefficients, mean, cost: here.cost, n: here.n, free: count, passes: pass }
    }

    /// Cost and normal equations at a point.
    fn look(&self, point: Point, free: &[usize], errors: &mut [f64], buffers: &mut Buffers) -> Look {
        let length = self.length();
        let mut roots = [[0.0; LANES]; BLOCKS];
        let mut look = Look { point, cost: f64::INFINITY, n: 0.0, normal: Normal::new(free.len()) };
        let blocks = free.len().div_ceil(LANES - 1).max(1);
        for (b, root) in roots.iter_mut().enumerate().take(blocks) {
            let own = free.get(b * (LANES - 1)..).unwrap_or_default();
            let own = &own[..own.len().min(LANES - 1)];
            let (mut points, mut weights) = ([point; LANES], [1.0; LANES]);
            for (k, &i) in own.iter().enumerate() {
                if i == self.order.arma() {
                    // The errors are linear in series and mean, so those of a mean without a series are the derivative.
                    (points[k + 1][i], weights[k + 1]) = (1.0, 0.0);
                } else {
                    points[k + 1][i] += step_of(point[i]);
                }
            }
            let block = lanes_mut::<LANES>(&mut errors[b * length * LANES..(b + 1) * length * LANES]);
            let (scores, n) = self.pass(&points, &weights, own.len() + 1, block, buffers);
            (look.n, look.cost) = (n, cost(&scores, 0, n));
            *root = std::array::from_fn(|k| libm::exp(0.5 * scores.log_variances[k] / n));
        }
        for (b, root) in roots.iter().enumerate().take(blocks) {
            let block = lanes_mut::<LANES>(&mut errors[b * length * LANES..(b + 1) * length * LANES]);
            let own = |k: usize| free.get(b * (LANES - 1) + k - 1).copied();
            derivatives(block, root, |k| match own(k) {
                None => (0.0, 0.0),
                Some(i) if i == self.order.arma() => (0.0, 1.0),
                Some(i) => (1.0, 1.0 / step_of(point[i])),
            });
        }
        for a in 0..blocks {
            for b in a..blocks {
                let at = |b: usize| lanes::<LANES>(&errors[b * length * LANES..(b + 1) * length * LANES]);
                look.normal.add(a, b, at(a), at(b));
            }
        }
        look
    }
}

/// A derivative's step: outwards where the map is flat, so that it still moves something.
fn step_of(x: f64) -> f64 {
    STEP * (1.0 + x.abs() * x.abs())
}

/// From the cost, the variance of the shocks at its maximum.
fn log_likelihood(cost: f64, n: f64) -> f64 {
    let log_two_pi = 1.837_877_066_409_345_5;
    -0.5 * n * (log_two_pi + 1.0 + cost - libm::log(n))
}

fn cost<const L: usize>(scores: &Scores<L>, k: usize, n: f64) -> f64 {
    libm::log(scores.squares[k]) + scores.log_variances[k] / n
}

/// Turns the errors of a point and its neighbours into those of the point and their derivatives: less the point's times
/// the first number that `rule` gives for the lane, times the second.
fn derivatives(block: &mut [Lane<LANES>], root: &Lane<LANES>, rule: impl Fn(usize) -> (f64, f64)) {
    let (mut less, mut inverse) = ([0.0; LANES], [0.0; LANES]);
    (1..LANES).for_each(|k| (less[k], inverse[k]) = rule(k));
    for errors in block {
        let base = errors[0] * root[0];
        for k in 0..LANES {
            errors[k] = (errors[k] * root[k] - less[k] * base) * inverse[k];
        }
        errors[0] = base;
    }
}

/// A point with what the next step needs.
struct Look {
    point: Point,
    cost: f64,
    n: f64,
    normal: Normal,
}

/// Sum of squares, gradient and curvature.
struct Normal {
    count: usize,
    squares: f64,
    gradient: [f64; COEFFICIENTS_MAX],
    curvature: [[f64; COEFFICIENTS_MAX]; COEFFICIENTS_MAX],
}

impl Normal {
    fn new(count: usize) -> Self {
        let zeros = [0.0; COEFFICIENTS_MAX];
        Self { count, squares: 0.0, gradient: zeros, curvature: [zeros; COEFFICIENTS_MAX] }
    }

    /// Adds the products of two blocks of derivatives; lane 0 of each is the point itself.
    fn add(&mut self, a: usize, b: usize, left: &[Lane<LANES>], right: &[Lane<LANES>]) {
        let mut sums = [[0.0; LANES]; LANES];
        for (x, y) in left.iter().zip(right) {
            for (row, x) in sums.iter_mut().zip(x) {
                for k in 0..LANES {
                    row[k] += x * y[k];
                }
            }
        }
        let place = |block: usize, k: usize| block * (LANES - 1) + k - 1;
        if a == b {
            self.squares = sums[0][0];
            let own = (1..LANES).filter(|k| place(a, *k) < self.count);
            own.for_each(|k| self.gradient[place(a, k)] = sums[0][k]);
        }
        for i in (1..LANES).filter(|i| place(a, *i) < self.count) {
            for j in (1..LANES).filter(|j| place(b, *j) < self.count) {
                self.curvature[place(a, i)][place(b, j)] = sums[i][j];
                self.curvature[place(b, j)][place(a, i)] = sums[i][j];
            }
        }
    }

    /// The damped step downhill, and the share of the sum of squares that the undamped model of it promises.
    fn step(&self, damping: f64) -> Option<([f64; COEFFICIENTS_MAX], f64)> {
        let mut step = self.gradient.map(|g| -g);
        let mut matrix = self.curvature;
        for (i, row) in matrix.iter_mut().enumerate().take(self.count) {
            row[i] += damping * row[i] + 1e-12 * self.squares.max(f64::MIN_POSITIVE);
        }
        solve(&mut matrix, &mut step, self.count)?;
        let promise: f64 = (0..self.count).map(|i| -step[i] * self.gradient[i]).sum();
        (promise.is_finite() && self.squares > 0.0).then(|| (step, promise / self.squares))
    }
}

/// Solves a symmetric positive definite system in place, by Cholesky's square-root-free form; `None` if it is not one.
#[expect(clippy::needless_range_loop, reason = "rows and columns by index, as in the textbook")]
pub(super) fn solve<const N: usize>(matrix: &mut [[f64; N]; N], right: &mut [f64; N], n: usize) -> Option<()> {
    for i in 0..n {
        for j in 0..=i {
            let mut sum = matrix[i][j];
            for k in 0..j {
                sum -= matrix[i][k] * matrix[j][k] * matrix[k][k];
            }
            if i == j {
                if sum <= 0.0 || sum.is_nan() {
                    return None;
                }
                matrix[i][i] = sum;
            } else {
                matrix[i][j] = sum / matrix[j][j];
            }
        }
    }
    for i in 0..n {
        for k in 0..i {
            right[i] -= matrix[i][k] * right[k];
        }
    }
    for i in 0..n {
        right[i] /= matrix[i][i];
    }
    for i in (0..n).rev() {
        for k in i + 1..n {
            right[i] -= matrix[k][i] * right[k];
        }
    }
    Some(())
}
