//! The shape of a seasonal ARIMA model and its coefficients.  In: orders, partial autocorrelations. Out: polynomials.
//!
//! A model is `phi(B) Phi(B^m) (w_t - mu) = theta(B) Theta(B^m) e_t` with `w_t = (1 - B)^d (1 - B^m)^D y_t`; signs are
//! those of R's `arima`: `phi(B) = 1 - phi_1 B - ..` and `theta(B) = 1 + theta_1 B + ..`.

/// The largest order of `phi` and of `theta`, and of their seasonal parts.
pub(super) const ORDER_MAX: (usize, usize) = (10, 3);

/// Most coefficients of a model, the constant among them.
pub(super) const COEFFICIENTS_MAX: usize = 2 * (ORDER_MAX.0 + ORDER_MAX.1) + 1;

/// Most lags of an expanded polynomial.
const LAGS_MAX: usize = (ORDER_MAX.0 + 1) * (ORDER_MAX.1 + 1);

/// Coefficients in the order phi, theta, Phi, Theta, mu; entries that the order does not have are 0.
pub(super) type Coefficients = [f64; COEFFICIENTS_MAX];

/// Which coefficients a model has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Order {
    pub(super) p: usize,
    pub(super) d: usize,
    pub(super) q: usize,
    /// The seasonal P, D and Q.
    pub(super) sp: usize,
    pub(super) sd: usize,
    pub(super) sq: usize,
    /// Season length, at least 1.
    pub(super) m: usize,
    /// Whether the differenced series has a mean: a mean without differences, a drift with one.
    pub(super) constant: bool,
}

impl Order {
    /// Values that the differences consume.
    pub(super) fn lost(&self) -> usize {
        self.d + self.m * self.sd
    }

    /// Coefficients without the constant.
    pub(super) fn arma(&self) -> usize {
        self.p + self.q + self.sp + self.sq
    }

    /// Where the four groups of coefficients stand: first index and length.
    pub(super) fn groups(&self) -> [(usize, usize); 4] {
        [(0, self.p), (self.p, self.q), (self.p + self.q, self.sp), (self.p + self.q + self.sp, self.sq)]
    }

    /// Entries of the state of the ARMA part.
    pub(super) fn span(&self) -> usize {
        (self.p + self.m * self.sp).max(self.q + self.m * self.sq + 1)
    }

    /// Weights of `(1 - B)^d (1 - B^m)^D` at lags 1 and on, the sign turned: what the past adds to the next value.
    pub(super) fn integration(&self, weights: &mut [f64]) {
        weights.fill(0.0);
        let mut degree = 0;
        let times = |lag: usize, weights: &mut [f64], degree: &mut usize| {
            // Multiplies by 1 - B^lag; the leading 1 is not stored and the signs are turned, so it enters as -1.
            for k in (0..=*degree).rev() {
                let at = if k == 0 { -1.0 } else { weights[k - 1] };
                weights[k + lag - 1] -= at;
            }
            *degree += lag;
        };
        (0..self.d).for_each(|_| times(1, weights, &mut degree));
        (0..self.sd).for_each(|_| times(self.m, weights, &mut degree));
    }

    /// As numbers, for a state.
    pub(super) fn encode(&self) -> [f64; 8] {
        [self.p, self.d, self.q, self.sp, self.sd, self.sq, self.m, usize::from(self.constant)].map(|v| v as f64)
    }

    /// From the numbers of a state.
    pub(super) fn decode(code: &[f64]) -> Self {
        let at = |i: usize| code.get(i).map_or(0, |v| *v as usize);
        Self { p: at(0), d: at(1), q: at(2), sp: at(3), sd: at(4), sq: at(5), m: at(6).max(1), constant: at(7) > 0 }
    }
}

/// The lags at which a polynomial is not zero, ascending.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lags {
    at: [usize; LAGS_MAX],
    count: usize,
}

impl Lags {
    /// The lags of `low(B) high(B^m)` without lag 0.
    fn product(low: usize, high: usize, m: usize) -> Self {
        let mut lags = Self { at: [0; LAGS_MAX], count: 0 };
        for j in 0..=high {
            for lag in (0..=low).map(|i| i + m * j).filter(|lag| *lag > 0) {
                let place = lags.get().partition_point(|l| *l < lag);
                if lags.get().get(place) != Some(&lag) {
                    lags.at.copy_within(place..lags.count, place + 1);
                    lags.at[place] = lag;
                    lags.count += 1;
                }
            }
        }
        lags
    }

    /// As a slice.
    #[inline]
    pub(super) fn get(&self) -> &[usize] {
        &self.at[..self.count]
    }
}

/// The lags of the autoregressive and of the moving average polynomial.
pub(super) fn lags(order: &Order) -> (Lags, Lags) {
    (Lags::product(order.p, order.sp, order.m), Lags::product(order.q, order.sq, order.m))
}

/// Writes the expanded polynomials of `c` into lane `k` of `ar` and `ma`, which are zero there; entry 0 stays free.
pub(super) fn expand<const L: usize>(order: &Order, c: &[f64], k: usize, ar: &mut [[f64; L]], ma: &mut [[f64; L]]) {
    let [phi, theta, seasonal_phi, seasonal_theta] = order.groups().map(|(first, count)| &c[first..first + count]);
    for (low, high, sign, out) in [(phi, seasonal_phi, -1.0, ar), (theta, seasonal_theta, 1.0, ma)] {
        low.iter().enumerate().for_each(|(i, a)| out[i + 1][k] += a);
        for (j, b) in high.iter().enumerate() {
            let season = order.m * (j + 1);
            out[season][k] += b;
            low.iter().enumerate().for_each(|(i, a)| out[season + i + 1][k] += sign * a * b);
        }
    }
}

/// Partial autocorrelations in (-1, 1) to the coefficients of a stationary autoregression, in place.
pub(super) fn from_partials(values: &mut [f64]) {
    for k in 1..values.len() {
        let last = values[k];
        for i in 0..k.div_ceil(2) {
            let j = k - 1 - i;
            let (a, b) = (values[i], values[j]);
            values[i] = a - last * b;
            if i != j {
                values[j] = b - last * a;
            }
        }
    }
}

/// The coefficients of an autoregression to its partial autocorrelations, in place; false where one of them reaches
/// `bound`, that is where the process is not stationary for a bound of 1. Such a one is cut to the bound.
pub(super) fn to_partials(values: &mut [f64], bound: f64) -> bool {
    let mut inside = true;
    for k in (0..values.len()).rev() {
        if values[k].abs() >= bound || values[k].is_nan() {
            inside = false;
            values[k] = if values[k] < 0.0 { -bound } else { bound };
        }
        let last = values[k];
        let scale = 1.0 / (1.0 - last * last);
        for i in 0..k.div_ceil(2) {
            let j = k - 1 - i;
            let (a, b) = (values[i], values[j]);
            values[i] = (a + last * b) * scale;
            if i != j {
                values[j] = (b + last * a) * scale;
            }
        }
    }
    inside
}

/// Whether all roots of `1 - c_1 z - c_2 z^2 ..` lie further out than `radius` (pass `-c` for `1 + c_1 z ..`).
pub(super) fn roots_beyond(radius: f64, coefficients: impl Iterator<Item = f64>) -> bool {
    let (mut scaled, mut count, mut power) = ([0.0; ORDER_MAX.0], 0, 1.0);
    for (to, c) in scaled.iter_mut().zip(coefficients) {
        power *= radius;
        *to = c * power;
        count += 1;
    }
    to_partials(&mut scaled[..count], 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partials_and_coefficients_go_back_and_forth() {
        let partials = [0.5, -0.7, 0.2, 0.9, -0.1];
        for n in 0..=5 {
            let mut values = partials[..n].to_vec();
            from_partials(&mut values);
            assert!(to_partials(&mut values, 1.0));
            assert!(values.iter().zip(&partials).all(|(a, b)| (a - b).abs() < 1e-12), "{values:?}");
        }
        assert!(!to_partials(&mut [1.1], 1.0) && !to_partials(&mut [0.5, 0.6], 1.0));
        assert!(roots_beyond(1.2, [0.8].into_iter()) && !roots_beyond(1.3, [0.8].into_iter()));
    }

    #[test]
    fn the_integration_is_the_product_of_the_differences() {
        let order = Order { d: 1, sd: 1, m: 3, ..Order::default() };
        let mut weights = [0.0; 4];
        order.integration(&mut weights);
        assert_eq!(weights, [1.0, 0.0, 1.0, -1.0]);
        let order = Order { d: 2, m: 1, ..Order::default() };
        order.integration(&mut weights[..2]);
        assert_eq!(weights[..2], [2.0, -1.0]);
    }
}
