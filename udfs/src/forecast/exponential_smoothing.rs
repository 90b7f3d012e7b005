//! Exponential smoothing with additive errors, no trend, with or without an additive season: recursion and search.
//!
//! In: one series as a plain slice. Out: smoothing parameters, end states and the sum of squared one-step errors.
//!
//! The recursion of one candidate is bound by latency, so candidates run eight at a time over the same series: plain
//! arrays that the compiler turns into vector registers, without branches and without reordering any sum. No
//! transcendental function of the host is called, so the same series gives the same bits on every host.

use super::{Buffers, Kernel, Path, Refusal, Spread, State, intervals};

/// Candidates of one search round.
pub(super) const LANES: usize = 8;

/// Search rounds after the first, with a season and without; each evaluates [`LANES`] candidates around the best one known.
const ROUNDS: (usize, usize) = (5, 3);

/// The radius of the search in log odds, with a season and without: half to one distance of the start points.
const RADIUS: (f64, f64) = (1.6, 1.2);

/// How far the radius of the search shrinks after a round that found nothing better, and after one that did.
const SHRINK: (f64, f64) = (0.35, 0.7);

/// Where the search starts, as log odds of `alpha` and of `gamma / (1 - alpha)`: spread over the admissible region,
/// denser at slow smoothing, where most series of retail demand end up.
const START: [(f64, f64); LANES] =
    [(-4.5, -5.5), (-4.0, -3.0), (-2.8, -4.5), (-2.0, -2.0), (-1.2, -5.0), (0.0, -3.0), (0.5, -0.5), (2.5, -4.0)];

/// The same without a season, where there is only `alpha` to find.
const START_ALPHA: [f64; LANES] = [-6.0, -4.5, -3.2, -2.2, -1.2, -0.2, 1.0, 2.8];

/// Steps either side of the best `alpha`, in radii; the next radius is the distance of two of them.
const LINE: [f64; LANES] = [-1.0, -0.75, -0.5, -0.25, 0.25, 0.5, 0.75, 1.0];

/// Eight directions of equal length; every second round takes them turned by half their angle.
pub(super) const RING: [[(f64, f64); LANES]; 2] = [
    [(1.0, 0.0), (D8, D8), (0.0, 1.0), (-D8, D8), (-1.0, 0.0), (-D8, -D8), (0.0, -1.0), (D8, -D8)],
    [(C16, S16), (S16, C16), (-S16, C16), (-C16, S16), (-C16, -S16), (-S16, -C16), (S16, -C16), (C16, -S16)],
];
const D8: f64 = std::f64::consts::FRAC_1_SQRT_2;
const C16: f64 = 0.923_879_532_511_286_7;
const S16: f64 = 0.382_683_432_365_089_8;

/// Log odds beyond which the search does not go: `alpha` stays within about 0.001 and 0.999.
const EDGE: f64 = 7.0;

/// ETS(A,N,N) and, with a season, ETS(A,N,A).
///
/// Parameters: alpha, gamma, how many count against the observations. States: the level, then the season of each phase.
pub(super) struct Smoothing {
    /// 1 for no season.
    pub(super) season_length: usize,
}

impl Smoothing {
    fn season(&self) -> usize {
        if self.season_length > 1 { self.season_length } else { 0 }
    }
}

impl Kernel for Smoothing {
    fn observations_min(&self) -> usize {
        if self.season_length > 1 { 2 * self.season_length + 3 } else { 4 }
    }

    fn estimate(&self, y: &[f64], buffers: &mut Buffers, state: &mut State) -> Result<(), Refusal> {
        let fit = fit(y, self.season_length, buffers, &mut state.states);
        state.parameters.extend([fit.alpha, fit.gamma]);
        Ok(())
    }

    fn update(&self, y: &[f64], state: &mut State) {
        let m = self.season();
        let (alpha, gamma) = (state.parameters[0], state.parameters[1]);
        for &v in y {
            let phase = if m > 0 { 1 + (state.steps % m as u64) as usize } else { 0 };
            state.steps += 1;
            if v.is_nan() {
                continue;
            }
            let e = if m > 0 { (v - state.states[phase]) - state.states[0] } else { v - state.states[0] };
            if m > 0 {
                state.states[phase] += gamma * e;
            }
            state.states[0] += alpha * e;
            state.count(e);
        }
    }

    fn forecast(&self, state: &State, path: &mut Path) -> Spread {
        let m = self.season();
        for (t, mean) in path.mean.iter_mut().enumerate() {
            let season = if m > 0 { state.states[1 + (state.steps as usize + t) % m] } else { 0.0 };
            *mean = state.states[0] + season;
        }
        let free = (state.errors as f64 - if m > 0 { m as f64 + 2.0 } else { 2.0 }).max(1.0);
        let (alpha, gamma) = (state.parameters[0], state.parameters[1]);
        intervals::class_1_deviations(state.sse / free, alpha, gamma, m.max(1), &mut path.deviation);
        Spread::Known
    }
}

/// A fitted series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fit {
    /// Smoothing of the level, in (0, 1).
    pub(super) alpha: f64,
    /// Smoothing of the season, in (0, 1 - alpha); 0 without season.
    pub(super) gamma: f64,
    /// Level after the last observation.
    pub(super) level: f64,
    /// Sum of squared one-step errors.
    pub(super) sse: f64,
}

/// The states of `L` candidates on their way through a series.
#[derive(Clone, Copy)]
struct Lanes<const L: usize> {
    alpha: [f64; L],
    gamma: [f64; L],
    level: [f64; L],
    sse: [f64; L],
}

impl<const L: usize> Lanes<L> {
    /// One observation: error, level, and the season if there is one. The sum of errors only where it is wanted.
    #[inline(always)]
    #[expect(
        clippy::needless_range_loop,
        reason = "one lane index through several arrays reads as what it becomes: vectors"
    )]
    fn step<const SCORE: bool>(&mut self, v: f64, season: Option<&mut [f64; L]>) {
        if v.is_nan() {
            return;
        }
        let mut e = [0.0; L];
        match season {
            Some(s) => {
                for k in 0..L {
                    e[k] = (v - s[k]) - self.level[k];
                    s[k] += self.gamma[k] * e[k];
                }
            }
            None => {
                for k in 0..L {
                    e[k] = v - self.level[k];
                }
            }
        }
        for k in 0..L {
            self.level[k] += self.alpha[k] * e[k];
            if SCORE {
                self.sse[k] += e[k] * e[k];
            }
        }
    }

    /// From the end of the series to its start, to find the states there.
    fn backcast(&mut self, y: &[f64], seasons: &mut [[f64; L]]) {
        if seasons.is_empty() {
            y.iter().rev().for_each(|&v| self.step::<false>(v, None));
            return;
        }
        for cycle in y.chunks(seasons.len()).rev() {
            for (&v, s) in cycle.iter().zip(seasons.iter_mut()).rev() {
                self.step::<false>(v, Some(s));
            }
        }
    }

    /// From the start to the end, adding up the squared errors.
    fn forward(&mut self, y: &[f64], seasons: &mut [[f64; L]]) {
        if seasons.is_empty() {
            y.iter().for_each(|&v| self.step::<true>(v, None));
            return;
        }
        for cycle in y.chunks(seasons.len()) {
            for (&v, s) in cycle.iter().zip(seasons.iter_mut()) {
                self.step::<true>(v, Some(s));
            }
        }
    }
}

/// Fits `alpha` and, if `season_length` is above 1, `gamma` by least squares of the one-step errors; leaves the start
/// states, level and season of each phase, in `start`.
///
/// `y`: at least one observed value, at least two seasons if there is a season. O(n) time, no allocation once the buffers
/// have grown to the season length. The search is exact in bits for a series scaled by a power of two.
pub(super) fn fit(y: &[f64], season_length: usize, buffers: &mut Buffers, start: &mut Vec<f64>) -> Fit {
    let m = if season_length > 1 { season_length } else { 0 };
    let end = end_level(y, m);
    let (mut shape, mut seasons, mut starts) = (buffers.take(m), buffers.take(m * LANES), buffers.take(m * LANES));
    profile(y, m, &mut shape);
    start.clear();
    start.resize(1 + m, end);
    let mut best = Fit { alpha: 0.0, gamma: 0.0, level: end, sse: f64::INFINITY };
    let seasonal = m > 0;
    let (rounds, mut radius) = if seasonal { (ROUNDS.0, RADIUS.0) } else { (ROUNDS.1, RADIUS.1) };
    let mut centre = (0.0, 0.0);
    for round in 0..=rounds {
        let points = match (round, seasonal) {
            (0, true) => START,
            (0, false) => START_ALPHA.map(|x| (x, 0.0)),
            (_, true) => RING[round % 2].map(|(dx, dy)| (edge(centre.0 + radius * dx), edge(centre.1 + radius * dy))),
            (_, false) => LINE.map(|dx| (edge(centre.0 + radius * dx), 0.0)),
        };
        let alpha = points.map(|p| share(p.0));
        let gamma: [f64; LANES] =
            std::array::from_fn(|k| if seasonal { (1.0 - alpha[k]) * share(points[k].1) } else { 0.0 });
        let lanes = seasons.as_chunks_mut::<LANES>().0;
        lanes.iter_mut().zip(&shape).for_each(|(lane, &s)| *lane = [s; LANES]);
        let mut x = Lanes { alpha, gamma, level: [end; LANES], sse: [0.0; LANES] };
        x.backcast(y, lanes);
        let level = x.level;
        starts.as_chunks_mut::<LANES>().0.copy_from_slice(lanes);
        x.forward(y, lanes);
        let k = (0..LANES).fold(0, |best, k| if x.sse[k] < x.sse[best] { k } else { best });
        let better = x.sse[k] < best.sse;
        if better {
            best = Fit { alpha: alpha[k], gamma: gamma[k], level: x.level[k], sse: x.sse[k] };
            centre = points[k];
            start[0] = level[k];
            start[1..].iter_mut().zip(starts.as_chunks::<LANES>().0).for_each(|(to, from)| *to = from[k]);
        }
        radius *= match (seasonal, round, better) {
            (_, 0, _) => 1.0,
            (false, ..) => LINE[5] - LINE[4],
            (true, _, true) => SHRINK.1,
            (true, _, false) => SHRINK.0,
        };
    }
    for vector in [shape, seasons, starts] {
        buffers.give(vector);
    }
    best
}

/// The recursion from given start states with given parameters: what [`fit`] scores, for one candidate.
#[cfg(test)]
pub(super) fn run(y: &[f64], alpha: f64, gamma: f64, level: f64, season: &mut [f64], backcast: bool) -> Fit {
    let mut one: Vec<[f64; 1]> = season.iter().map(|&s| [s]).collect();
    let mut x = Lanes { alpha: [alpha], gamma: [gamma], level: [level], sse: [0.0] };
    if backcast {
        x.backcast(y, &mut one);
    }
    x.forward(y, &mut one);
    season.iter_mut().zip(&one).for_each(|(to, from)| *to = from[0]);
    Fit { alpha, gamma, level: x.level[0], sse: x.sse[0] }
}

pub(super) fn edge(x: f64) -> f64 {
    x.clamp(-EDGE, EDGE)
}

/// Log odds to a share in (0, 1), by (1 + x/1024)^1024 for the exponential: it only has to be smooth and rising, and
/// multiplications round alike on every host.
pub(super) fn share(x: f64) -> f64 {
    let mut odds = 1.0 + x / 1024.0;
    for _ in 0..10 {
        odds *= odds;
    }
    odds / (1.0 + odds)
}

/// Level at the end of the series, from which the backcast starts: the mean of the last season or of ten values.
pub(super) fn end_level(y: &[f64], m: usize) -> f64 {
    let observed = || y.iter().rev().filter(|v| !v.is_nan());
    let n = observed().count().min(if m > 0 { m } else { 10 });
    let tail = y.iter().rev().take(n);
    if tail.clone().all(|v| !v.is_nan()) {
        return tail.rev().sum::<f64>() / n as f64;
    }
    observed().take(n).sum::<f64>() / n.max(1) as f64
}

/// Mean deviation of each phase from the centred moving average over one season, brought to sum zero.
pub(super) fn profile(y: &[f64], m: usize, out: &mut Vec<f64>) {
    out.clear();
    out.resize(m, 0.0);
    if m == 0 {
        return;
    }
    if y.iter().any(|v| v.is_nan()) {
        return phase_means(y, out);
    }
    // A window over an even season has no middle, so the mean of two neighbouring windows stands for it.
    let even = m.is_multiple_of(2);
    let half = m / 2;
    let (mut sum, mut before) = (0.0, 0.0);
    for first in 0..=y.len() - m {
        // Sliding sums gather rounding errors: take each season's first one afresh.
        let fresh = first % m == 0;
        sum = if fresh { y[first..first + m].iter().sum() } else { sum + (y[first + m - 1] - y[first - 1]) };
        let (middle, total) = if even { (first + half - 1, 0.5 * (before + sum)) } else { (first + half, sum) };
        before = sum;
        if !even || first > 0 {
            out[middle % m] += y[middle] - total / m as f64;
        }
    }
    let (lowest, windows) = if even { (half, y.len() - m) } else { (half, y.len() - m + 1) };
    let mut sum = 0.0;
    for (phase, s) in out.iter_mut().enumerate() {
        // The windows' middles run from `lowest` on; phase i is among them every m steps.
        let skipped = (phase + m - lowest) % m;
        let count = windows.saturating_sub(skipped).div_ceil(m);
        *s = if count > 0 { *s / count as f64 } else { 0.0 };
        sum += *s;
    }
    let shift = sum / m as f64;
    out.iter_mut().for_each(|s| *s -= shift);
}

/// Mean deviation of each phase from the mean of all, where missing values leave no moving average.
pub(super) fn phase_means(y: &[f64], out: &mut [f64]) {
    let mean = |values: &mut dyn Iterator<Item = f64>| {
        let (sum, n) = values.filter(|v| !v.is_nan()).fold((0.0, 0.0), |(sum, n), v| (sum + v, n + 1.0));
        if n > 0.0 { Some(sum / n) } else { None }
    };
    let m = out.len();
    let all = mean(&mut y.iter().copied()).unwrap_or(0.0);
    for (phase, s) in out.iter_mut().enumerate() {
        *s = mean(&mut y.iter().skip(phase).step_by(m).copied()).map_or(0.0, |v| v - all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_of_a_pure_season_on_a_line_is_that_season() {
        for season in
            [vec![3.0, -1.0, -2.0], vec![1.0, -1.0], vec![4.0, 0.0, -1.0, -3.0], vec![5.0, -2.0, 1.0, 0.0, -4.0]]
        {
            let m = season.len();
            for n in 2 * m..4 * m + 2 {
                let y: Vec<f64> = (0..n).map(|t| 10.0 + 0.5 * t as f64 + season[t % m]).collect();
                let mut out = Vec::new();
                profile(&y, m, &mut out);
                let worst = out.iter().zip(&season).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(worst < 1e-12, "m={m} n={n} out={out:?}");
            }
        }
    }

    #[test]
    fn the_search_finds_what_a_dense_grid_finds() {
        let y: Vec<f64> = (0..200)
            .map(|t| noise(t) + [9.0, 1.0, 4.0, 0.0, 2.0, 7.0, 3.0][t as usize % 7] + (t as f64 / 40.0).floor())
            .collect();
        let mut buffers = Buffers::default();
        for m in [1, 7] {
            let found = fit(&y, m, &mut buffers, &mut Vec::new());
            let mut least = f64::INFINITY;
            for i in 1..100 {
                for j in 0..if m == 1 { 1 } else { 100 } {
                    let alpha = i as f64 / 100.0;
                    let gamma = (1.0 - alpha) * j as f64 / 100.0;
                    let season = if m == 1 { 0 } else { m };
                    let mut states = Vec::new();
                    profile(&y, season, &mut states);
                    let level = end_level(&y, season);
                    least = least.min(run(&y, alpha, gamma, level, &mut states, true).sse);
                }
            }
            assert!(found.sse <= least * 1.001, "m={m} found={found:?} grid={least}");
        }
    }

    /// Deterministic noise in [0, 4).
    fn noise(t: u64) -> f64 {
        let x = (t + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        ((x ^ (x >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 40) as f64 / (1u64 << 22) as f64
    }

    #[test]
    fn the_recursion_is_shift_and_scale_equivariant_for_fixed_parameters() {
        let y: Vec<f64> = (0..60).map(|t| noise(t) + (t % 5) as f64).collect();
        let season = [1.0, -1.0, 0.5, 0.0, -0.5];
        let mut plain = season;
        let a = run(&y, 0.3, 0.2, 2.0, &mut plain, true);
        let moved: Vec<f64> = y.iter().map(|v| 100.0 - 3.0 * v).collect();
        let mut states = season.map(|s| -3.0 * s);
        let b = run(&moved, 0.3, 0.2, 100.0 - 3.0 * 2.0, &mut states, true);
        // Rounding alone differs: a few hundred operations at size 100.
        assert!((b.level - (100.0 - 3.0 * a.level)).abs() < 1e-11 && (b.sse - 9.0 * a.sse).abs() < 1e-9 * a.sse);
        assert!(states.iter().zip(&plain).all(|(b, a)| (b + 3.0 * a).abs() < 1e-11));
    }
}
