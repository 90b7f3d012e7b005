//! Least squares of a regression on time, one observation after the other.
//!
//! In: a row of regressors and a value. Out: coefficients, residual variance and the exact variance of a prediction.
//!
//! The Cholesky factor of the normal equations, as a unit triangle and its squared diagonal, is moved on by each row
//! (planar rotations without square roots). So nothing is solved twice, no sum of squares is the difference of two
//! large ones, and a prediction from any point of the series knows only what lies before it.
//! Source: Miller (1992), Algorithm AS 274, Applied Statistics 41; Gentleman (1974).

/// What is left of a regressor in one row beside those before it is rounding below this share of its size, squared.
const ROUNDING: f64 = 1e-24;

/// A regressor of which less than this share is left beside those before it tells nothing of its own.
const LEFT_MIN: f64 = 1e-9;

/// The states of a regression of `p` regressors, in one slice: see [`length`].
pub(super) struct Regression<'a> {
    p: usize,
    /// Sum of squares of each regressor beside those before it.
    diagonal: &'a mut [f64],
    /// Sum of squares of each regressor by itself.
    own: &'a mut [f64],
    /// Coefficients of the values on each regressor beside those before it.
    theta: &'a mut [f64],
    /// The unit triangle without its diagonal, row by row.
    triangle: &'a mut [f64],
    /// Residual sum of squares.
    rss: &'a mut f64,
}

/// How many states a regression of `p` regressors has.
pub(super) fn length(p: usize) -> usize {
    3 * p + p * p.saturating_sub(1) / 2 + 1
}

/// Where row `i` of the triangle starts.
fn row(p: usize, i: usize) -> usize {
    i * (2 * p - i - 1) / 2
}

impl<'a> Regression<'a> {
    /// The regression in `states`, zeros before the first observation; `None` if they are too few.
    pub(super) fn of(states: &'a mut [f64], p: usize) -> Option<Self> {
        let (rss, rest) = states.split_first_mut()?;
        let (diagonal, rest) = rest.split_at_mut_checked(p)?;
        let (own, rest) = rest.split_at_mut_checked(p)?;
        let (theta, triangle) = rest.split_at_mut_checked(p)?;
        (triangle.len() == p * p.saturating_sub(1) / 2).then_some(Self { p, diagonal, own, theta, triangle, rss })
    }

    /// One more observation; `x` is used up. Returns its error, the value less its prediction from those before, once
    /// all regressors are known.
    pub(super) fn push(&mut self, x: &mut [f64], y: f64) -> Option<f64> {
        self.own.iter_mut().zip(&*x).for_each(|(own, x)| *own += x * x);
        let (mut weight, mut left) = (1.0, y);
        for i in 0..self.p {
            let xi = x[i];
            if xi * xi <= ROUNDING * self.own[i] || weight == 0.0 {
                continue;
            }
            let before = self.diagonal[i];
            let after = before + weight * xi * xi;
            let share = 1.0 / after;
            let (c, s) = (before * share, weight * xi * share);
            self.diagonal[i] = after;
            weight *= c;
            let row = row(self.p, i);
            for (r, x) in self.triangle[row..row + self.p - i - 1].iter_mut().zip(&mut x[i + 1..]) {
                let old = *x;
                *x -= xi * *r;
                *r = c * *r + s * old;
            }
            let old = left;
            left -= xi * self.theta[i];
            self.theta[i] = c * self.theta[i] + s * old;
        }
        *self.rss += weight * left * left;
        (weight > 0.0).then_some(left)
    }
}

/// A regression to predict from.
pub(super) struct Solution<'a> {
    p: usize,
    rss: f64,
    diagonal: &'a [f64],
    own: &'a [f64],
    theta: &'a [f64],
    triangle: &'a [f64],
}

impl<'a> Solution<'a> {
    /// The regression in `states`; `None` if they are too few.
    pub(super) fn of(states: &'a [f64], p: usize) -> Option<Self> {
        let (rss, rest) = states.split_first()?;
        let (diagonal, rest) = rest.split_at_checked(p)?;
        let (own, rest) = rest.split_at_checked(p)?;
        let (theta, triangle) = rest.split_at_checked(p)?;
        (triangle.len() == p * p.saturating_sub(1) / 2).then_some(Self { p, rss: *rss, diagonal, own, theta, triangle })
    }

    fn is_known(&self, i: usize) -> bool {
        self.diagonal[i] > LEFT_MIN * self.own[i]
    }

    /// Regressors that tell something of their own.
    pub(super) fn rank(&self) -> usize {
        (0..self.p).filter(|i| self.is_known(*i)).count()
    }

    /// Residual sum of squares of the regression on the first `k` regressors.
    pub(super) fn rss(&self, k: usize) -> f64 {
        (k..self.p).rev().fold(self.rss, |sum, i| sum + self.diagonal[i] * (self.theta[i] * self.theta[i]))
    }

    /// The mean at `x`, which is used up, and the variance of a new value there in units of the residual variance.
    pub(super) fn predict(&self, x: &mut [f64]) -> (f64, f64) {
        let (mut mean, mut variance) = (0.0, 1.0);
        for i in (0..self.p).filter(|i| self.is_known(*i)) {
            let xi = x[i];
            let row = row(self.p, i);
            self.triangle[row..row + self.p - i - 1].iter().zip(&mut x[i + 1..]).for_each(|(r, x)| *x -= xi * r);
            mean += xi * self.theta[i];
            variance += xi * xi / self.diagonal[i];
        }
        (mean, variance)
    }
}
