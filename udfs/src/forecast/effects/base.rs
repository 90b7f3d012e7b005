//! The base of a series, its local level and profile of the season, and what of a column it explains.
//!
//! In: values, the effects so far, weights. Out: fitted values; columns with the same level and profile taken out.

/// Window of the local mean: 13 seasons, short enough for a year's waves, long enough to leave a month's events alone.
const SEASONS_HALF: usize = 6;
/// Without a season, half the window in steps.
const STEPS_HALF: usize = 26;

/// Logarithms beyond which a factor is not believed.
const ETA_MAX: f64 = 5.0;
/// The coefficient of a closed day, and where its factor becomes zero.
pub(super) const CLOSED: f64 = 20.0;

/// e^eta within e^-5 and e^5; 0 if closed.
#[inline]
pub(super) fn factor(eta: f64) -> f64 {
    let within = exponential(eta.clamp(-ETA_MAX, ETA_MAX));
    if eta < -0.75 * CLOSED { 0.0 } else { within }
}

/// e^x for moderate x, to the last few bits, from arithmetic alone so that a loop of it becomes vectors and every host
/// gives the same bits. Cody-Waite reduction, Taylor's polynomial.
#[inline]
fn exponential(x: f64) -> f64 {
    // Adding and taking away 1.5 * 2^52 rounds to an integer, which stays in the low bits meanwhile.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    const LN_2: (f64, f64) = (6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10);
    let shifted = x * std::f64::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let r = (x - whole * LN_2.0) - whole * LN_2.1;
    let power = f64::from_bits((shifted.to_bits() << 52).wrapping_add(1023 << 52));
    const TAYLOR: [f64; 12] = [
        1.0 / 479_001_600.0,
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
    ];
    (TAYLOR.iter().fold(0.0, |sum, c| sum * r + c) * r + 1.0) * power
}

/// Level and profile, refreshed as the effects become known.
pub(super) struct Base {
    pub(super) season_length: usize,
    pub(super) multiplicative: bool,
    half: usize,
    profile: Vec<f64>,
    level: Vec<f64>,
    sums: [Vec<f64>; 2],
}

impl Base {
    pub(super) fn new(values: usize, season_length: usize, multiplicative: bool, buffers: &mut super::Buffers) -> Self {
        let m = season_length.max(1);
        let half = if m > 1 { SEASONS_HALF * m + m / 2 } else { STEPS_HALF };
        let mut profile = buffers.take(m);
        profile.fill(if multiplicative { 1.0 } else { 0.0 });
        let sums = [buffers.take(values + 1), buffers.take(values + 1)];
        Self { season_length: m, multiplicative, half, profile, level: buffers.take(values), sums }
    }

    pub(super) fn give(self, buffers: &mut super::Buffers) {
        let [a, b] = self.sums;
        [self.profile, self.level, a, b].into_iter().for_each(|v| buffers.give(v));
    }

    /// Values that the base takes up by itself, for the degrees of freedom.
    pub(super) fn freedom(&self, values: usize) -> f64 {
        self.season_length as f64 + values as f64 / (2 * self.half + 1) as f64
    }

    /// Fits level and profile to `y` (zero where `on` is zero) given `effect`, factors (zero where `on` is zero) or
    /// summands; writes the fitted values.
    pub(super) fn refresh(&mut self, y: &[f64], on: &[f64], effect: &[f64], rounds: usize, fitted: &mut [f64]) {
        let m = self.season_length;
        for _ in 0..rounds {
            let [above, below] = &mut self.sums;
            if self.multiplicative {
                cumulate(above, y.iter().copied());
                cumulate(below, effect.iter().zip(self.profile.iter().cycle()).map(|(e, p)| e * p));
            } else {
                let rest = y.iter().zip(effect).zip(on).zip(self.profile.iter().cycle());
                cumulate(above, rest.map(|(((v, e), o), p)| v - o * (e + p)));
                cumulate(below, on.iter().copied());
            }
            windows(self.half, above, below, &mut self.level);
            for (phase, p) in self.profile.iter_mut().enumerate() {
                let (mut above, mut below) = (0.0, 0.0);
                for t in (phase..y.len()).step_by(m) {
                    if self.multiplicative {
                        above += y[t];
                        below += self.level[t] * effect[t];
                    } else {
                        above += y[t] - on[t] * (self.level[t] + effect[t]);
                        below += on[t];
                    }
                }
                // A phase without observations tells nothing.
                *p = match below > 0.0 {
                    true => above / below,
                    false if self.multiplicative => 1.0,
                    false => 0.0,
                };
            }
        }
        let parts = self.level.iter().zip(self.profile.iter().cycle());
        for (((f, (level, p)), e), o) in fitted.iter_mut().zip(parts).zip(effect).zip(on) {
            *f = if self.multiplicative { level * p * e } else { o * (level + p + e) };
        }
    }

    /// Takes profile and level, weighted means of phase and window, out of a column; `weight` is zero where nothing is
    /// known.
    pub(super) fn take_out(&mut self, weight: &[f64], x: &mut [f64]) {
        let m = self.season_length;
        for phase in 0..m {
            let (mut above, mut below) = (0.0, 0.0);
            for t in (phase..x.len()).step_by(m) {
                above += weight[t] * x[t];
                below += weight[t];
            }
            let mean = if below > 0.0 { above / below } else { 0.0 };
            x.iter_mut().skip(phase).step_by(m).for_each(|v| *v -= mean);
        }
        let [above, below] = &mut self.sums;
        cumulate(above, x.iter().zip(weight).map(|(x, w)| x * w));
        cumulate(below, weight.iter().copied());
        windows(self.half, above, below, &mut self.level);
        x.iter_mut().zip(&self.level).for_each(|(x, mean)| *x -= mean);
    }
}

/// Sums of the first 0, 1, .. values.
fn cumulate(sums: &mut [f64], values: impl Iterator<Item = f64>) {
    let mut sum = 0.0;
    if let Some((first, rest)) = sums.split_first_mut() {
        *first = 0.0;
        for (s, v) in rest.iter_mut().zip(values) {
            sum += v;
            *s = sum;
        }
    }
}

/// Ratio of two sums over the window around each step, cut at the ends; 0 where the lower one is 0.
fn windows(half: usize, above: &[f64], below: &[f64], out: &mut [f64]) {
    let n = out.len();
    for (t, ratio) in out.iter_mut().enumerate() {
        let (from, to) = (t.saturating_sub(half), (t + half + 1).min(n));
        let weight = below[to] - below[from];
        *ratio = if weight > 0.0 { (above[to] - above[from]) / weight } else { 0.0 };
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_exponential_is_that_of_libm_to_the_last_bits() {
        for i in -5000..=5000 {
            let x = f64::from(i) / 1000.0;
            let (own, libm) = (super::exponential(x), libm::exp(x));
            assert!((own - libm).abs() <= 4.0 * f64::EPSILON * libm, "x={x} own={own} libm={libm}");
        }
    }
}
