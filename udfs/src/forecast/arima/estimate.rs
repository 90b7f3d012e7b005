//! From a series to the parameters of a state: differences, start, search, and the exact likelihood where values miss.
//!
//! In: a series made ready and an order. Out: parameters and the state before the first value.

use super::super::{Buffers, State};
use super::filter::{FULL_MAX, Filter};
use super::order::{COEFFICIENTS_MAX, Coefficients, Order};
use super::search::{Effort, Evidence, Fit, Point, Problem};
use super::series::{Ready, difference, is_constant};
use super::start::Moments;
use super::system::Parameters;

/// The last climb, for the coefficients that stay.
pub(super) const THOROUGH: Effort = Effort { passes: 60, tolerance: 1e-7, edge: 50.0, target: f64::NEG_INFINITY };

/// The same where every process takes a pass of its own.
const WITH_GAPS: Effort = Effort { passes: 12, tolerance: 1e-5, ..THOROUGH };

/// What is given, in the unit of the series.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given {
    pub(super) coefficients: Coefficients,
    /// Which of phi, theta, Phi and Theta.
    pub(super) groups: [bool; 4],
    pub(super) mean: Option<f64>,
}

impl Default for Given {
    fn default() -> Self {
        Self { coefficients: [0.0; COEFFICIENTS_MAX], groups: [false; 4], mean: None }
    }
}

/// The differenced series, gaps bridged.
pub(super) fn differenced(ready: &Ready, order: &Order, buffers: &mut Buffers) -> Vec<f64> {
    let mut w = buffers.take(0);
    w.extend(ready.complete());
    (0..order.sd).for_each(|_| difference(&mut w, order.m));
    (0..order.d).for_each(|_| difference(&mut w, 1));
    w
}

/// The order on the differenced series `w`; a mean that is not searched for is that of `given`, or zero in the unit of
/// the series.
pub(super) fn problem<'a>(w: &'a [f64], ready: &Ready, order: Order, given: &Given) -> Problem<'a> {
    let origin = if order.lost() == 0 { ready.origin } else { 0.0 };
    let mean = match given.mean {
        Some(mean) => Some((mean - origin) / ready.scale),
        None if order.constant => None,
        None => Some(-origin / ready.scale),
    };
    let (average, n) = (average(w), w.len().max(1) as f64);
    let spread = (w.iter().map(|v| (v - average) * (v - average)).sum::<f64>() / n).sqrt();
    let evidence = Evidence::Complete(w);
    Problem { order, evidence, given: given.coefficients, is_given: given.groups, mean, spread }
}

pub(super) fn average(w: &[f64]) -> f64 {
    w.iter().sum::<f64>() / w.len().max(1) as f64
}

/// Fits an order and writes parameters and start states.
pub(super) fn fixed(ready: &Ready, order: &Order, given: &Given, buffers: &mut Buffers, state: &mut State) {
    let w = differenced(ready, order, buffers);
    if ready.scale == 0.0 || is_constant(&w) {
        flat(ready, order, given, w.first().copied().unwrap_or(0.0), buffers, state);
    } else {
        let problem = problem(&w, ready, *order, given);
        let moments = Moments::new(&w, order, buffers);
        let start = problem.best_start(&starts(&problem, &moments, average(&w)), buffers);
        moments.give(buffers);
        let fit = problem.climb(start, THOROUGH, buffers);
        finish(ready, &problem, fit, given, buffers, state);
    }
    buffers.give(w);
}

/// Where to start: the regression, half of it, nothing.
pub(super) fn starts(problem: &Problem, moments: &Moments, mean: f64) -> [Point; 3] {
    let regression = moments.coefficients(&problem.order);
    [1.0, 0.5, 0.0].map(|share| problem.point(&regression.map(|c| share * c), mean))
}

/// A differenced series without variance has no coefficients to find.
pub(super) fn flat(ready: &Ready, order: &Order, given: &Given, level: f64, buffers: &mut Buffers, state: &mut State) {
    let mut coefficients = given.coefficients;
    let origin = if order.lost() == 0 && !order.constant { 0.0 } else { ready.origin };
    if order.constant {
        let shift = if order.lost() == 0 { origin } else { 0.0 };
        coefficients[order.arma()] = given.mean.map_or(level * ready.scale, |mean| mean - shift);
    }
    begin(Parameters { order: *order, coefficients, origin, estimated: usize::from(order.constant) }, buffers, state);
}

/// Brings a fit back to the unit of the series; where values miss, climbs on with the likelihood of what was observed.
pub(super) fn finish(
    ready: &Ready,
    problem: &Problem,
    mut fit: Fit,
    given: &Given,
    buffers: &mut Buffers,
    state: &mut State,
) {
    let order = problem.order;
    let exact = Problem { evidence: Evidence::WithGaps(&ready.values), ..*problem };
    if ready.has_gaps() && order.lost() + order.span() <= FULL_MAX && exact.affordable() > 1 {
        let better = exact.climb(fit.point, WITH_GAPS, buffers);
        if better.cost.is_finite() {
            fit = better;
        }
    }
    let mut coefficients = fit.coefficients;
    if !coefficients.iter().all(|c| c.is_finite()) || !fit.cost.is_finite() {
        coefficients = given.coefficients;
        fit.mean = problem.mean.unwrap_or(0.0);
    }
    let mut origin = ready.origin;
    if order.constant {
        let shift = if order.lost() == 0 { origin } else { 0.0 };
        coefficients[order.arma()] = given.mean.map_or(fit.mean * ready.scale, |mean| mean - shift);
    } else if order.lost() == 0 {
        origin = 0.0;
    }
    begin(Parameters { order, coefficients, origin, estimated: fit.free }, buffers, state);
    state.aicc = fit.aicc() + 2.0 * fit.n * libm::log(ready.scale);
}

fn begin(parameters: Parameters, buffers: &mut Buffers, state: &mut State) {
    parameters.write(&mut state.parameters);
    Filter::start(&parameters, &mut state.states, buffers).give();
}
