//! Forecasts from a state, and how far they stray.
//!
//! In: a model and where the filter stands. Out: means and standard deviations, exact for the given coefficients.

use super::super::{Buffers, Path, Spread, State};
use super::covariance::after_updates;
use super::filter::{FULL, FULL_MAX, HEAD, STARTING};
use super::system::{Parameters, System};

/// Forecasts from a state; the variance of the shocks is that of the standardised errors, less one for each coefficient
/// that the series chose.
pub(super) fn forecast(state: &State, path: &mut Path) -> Spread {
    let parameters = Parameters::read(&state.parameters);
    let free = (state.errors as f64 - parameters.estimated as f64).max(1.0);
    let mut buffers = Buffers::default();
    let system = System::new(&parameters, &mut buffers);
    means(&system, &state.states, path);
    deviations(&system, state, state.sse / free, &mut path.deviation, &mut buffers);
    Spread::Known
}

fn means(system: &System, states: &[f64], path: &mut Path) {
    let (history, state) = states[HEAD..].split_at(system.lost());
    let ar = system.process.ar();
    for h in 0..path.mean.len() {
        // Until the variances come, the deviations hold the forecasts of the differenced series.
        let known = if h < system.span() { state[h] } else { 0.0 };
        let lags = system.process.ar_lags.get().iter().take_while(|lag| **lag <= h);
        let w = known + lags.map(|lag| ar[*lag][0] * path.deviation[h - lag]).sum::<f64>();
        path.deviation[h] = w;
        let past = system.weights().map(|(j, p)| p * if j < h { path.mean[h - 1 - j] } else { history[j - h] });
        path.mean[h] = w + system.mean + past.sum::<f64>();
    }
    path.mean.iter_mut().for_each(|v| *v += system.origin);
}

/// The variance of step h: that of the state now, as it shows h steps on, and the shocks in between.
fn deviations(system: &System, state: &State, variance: f64, deviation: &mut [f64], buffers: &mut Buffers) {
    let (lost, r) = (system.lost(), system.span());
    let form = state.states[0];
    let mut matrix = Vec::new();
    if form == STARTING && r <= FULL_MAX {
        matrix.resize(r * r, 0.0);
        after_updates(&system.process, (state.steps as usize).saturating_sub(lost), &mut matrix, buffers);
    }
    let (covariance, dim) = if form == FULL { (&state.states[HEAD + lost + r..], lost + r) } else { (&matrix[..], r) };
    let mut seen = buffers.take(lost + r);
    seen[0] = 1.0;
    seen[r..].copy_from_slice(&system.past);
    let mut shocks = 0.0;
    for d in deviation {
        let psi: f64 = seen[..r].iter().zip(system.process.ma()).map(|(s, m)| s * m[0]).sum();
        let state = if covariance.is_empty() { psi * psi } else { quadratic(covariance, &seen[..dim]) };
        *d = (variance * (shocks + state.max(0.0))).sqrt();
        shocks += psi * psi;
        see_further(system, &mut seen);
    }
}

/// The weights of the state in the value one step later.
fn see_further(system: &System, seen: &mut [f64]) {
    let (state, history) = seen.split_at_mut(system.span());
    let newest = history.first().copied().unwrap_or(0.0);
    let lags = system.process.ar_lags.get();
    let first = lags.iter().map(|lag| state[lag - 1] * system.process.ar()[*lag][0]).sum::<f64>() + newest;
    state.rotate_right(1);
    state[0] = first;
    for j in 0..history.len() {
        let next = history.get(j + 1).copied().unwrap_or(0.0);
        history[j] = newest * system.past[j] + next;
    }
}

fn quadratic(matrix: &[f64], x: &[f64]) -> f64 {
    let rows = matrix.chunks_exact(x.len());
    rows.zip(x).map(|(row, a)| a * row.iter().zip(x).map(|(c, b)| c * b).sum::<f64>()).sum()
}
