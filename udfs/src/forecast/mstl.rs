//! MSTL: one or several seasons taken off by LOESS, any model for what remains.  In: a series. Out: its forecast.

use super::ets_ana::EtsAna;
use super::stl::{Parts, mstl};
use super::{Buffers, Choice, Kernel, Model, Path, Refusal, Spread, State};
use crate::args::Args;
use crate::error::{Error, Result};
use crate::signature::{Kind, Param};
use std::sync::Arc;

/// MSTL: STL of each season in turn, the last of each repeated, plus the forecast of a model without season for the
/// seasonally adjusted series (trend and remainder).
///
/// | parameter | default | range | meaning |
/// |---|---|---|---|
/// | `season_length` | none | at least 2 | observations per season, and the season of simpler models |
/// | `seasons` | `[season_length]` | 2 to 10000, ascending | lengths of all seasons, such as `[24, 168]` |
/// | `remainder` | `auto_ets` | a model without season, with its parameters | model of the adjusted series |
/// | `robust` | `no` | `yes`, `no` | whether values far off the fit lose weight in the decomposition, at some twenty times the cost |
///
/// In: `y`, n >= 2 m + 4 values, m the longest season, or as many as `remainder` needs. Windows, degrees and iterations are
/// R's `forecast::mstl`: seasonal windows 11, 15, 19, .., local means for the seasons and lines for the trend. Missing
/// values have no weight in the regressions.
/// Out: `horizon` means in the unit of `y`; standard deviations are those of `remainder`, the season taken as known.
/// Values that come later are adjusted by the last season of the fitted series, and move the state of `remainder`.
/// O(n) time for each season, O(n) memory to fit; the state keeps one season of each length.
/// Errors: those of `remainder`, such as `unfit`.
/// Source: Bandara, Hyndman & Bergmeir (2021), MSTL: a seasonal-trend decomposition algorithm for time series with multiple
/// seasonal patterns; Cleveland, Cleveland, McRae & Terpenning (1990), STL.
pub(super) struct Mstl;

impl Model for Mstl {
    fn name(&self) -> &'static str {
        "mstl"
    }

    fn summary(&self) -> &'static str {
        "MSTL: one or several seasons taken off by LOESS, any model for what remains"
    }

    fn source(&self) -> &'static str {
        "Bandara, Hyndman & Bergmeir (2021), MSTL, arXiv:2107.13462; Cleveland et al. (1990), Journal of Official Statistics 6(1)"
    }

    fn params(&self) -> &'static [Param] {
        &[
            Param {
                name: "seasons",
                kind: Kind::IntegerList { min: 2, max: 10_000 },
                default: Some("null"),
                meaning: "lengths of all seasons, such as [24, 168]; left out it is season_length alone",
            },
            Param {
                name: "remainder",
                kind: Kind::Text,
                default: Some("\"auto_ets\""),
                meaning: "model without season for the seasonally adjusted series, with its parameters in brackets",
            },
            Param {
                name: "robust",
                kind: Kind::Choice(|| vec!["yes", "no"]),
                default: Some("\"no\""),
                meaning: "'yes' takes weight from values far off the fit when the series is taken apart",
            },
        ]
    }

    fn is_seasonal(&self) -> bool {
        true
    }

    fn simpler(&self) -> Option<&'static dyn Model> {
        Some(&EtsAna)
    }

    fn bind(&self, args: &Args, season_length: usize) -> Result<Arc<dyn Kernel>> {
        let given = if args.is_null("seasons")? { Vec::new() } else { args.integers("seasons")? };
        let mut seasons: Vec<usize> = given.iter().filter_map(|m| usize::try_from(*m).ok()).collect();
        if seasons.is_empty() {
            seasons.push(season_length);
        }
        let remainder = Choice::parse(args.text("remainder")?, 1)
            .map_err(|e| Error::Argument(format!("mstl: remainder: {e}")))?
            .kernel;
        Ok(Arc::new(Adjusted { seasons, remainder, is_robust: args.text("robust")? == "yes" }))
    }
}

/// A model of the seasonally adjusted series.
///
/// Parameters: those of the remainder, then one season of each length by phase, then the length of the series fitted.
/// States: those of the remainder, then the seasonal sums of the fitted series that `update` has not come to yet, the next
/// one last. So the fit sees the season as it changed, and none of that is left once the series has passed.
struct Adjusted {
    seasons: Vec<usize>,
    remainder: Arc<dyn Kernel>,
    is_robust: bool,
}

impl Kernel for Adjusted {
    fn observations_min(&self) -> usize {
        let longest = self.seasons.iter().copied().max().unwrap_or(1);
        self.remainder.observations_min().max(2 * longest + 4)
    }

    fn estimate(&self, y: &[f64], buffers: &mut Buffers, state: &mut State) -> Result<(), Refusal> {
        let n = y.len();
        let mut parts = Parts { seasonal: buffers.take(0), trend: buffers.take(0) };
        mstl(y, &self.seasons, self.is_robust, buffers, &mut parts);
        // The trend is not needed any more: the sum of the seasons takes its place.
        let mut sums = parts.trend;
        for (t, sum) in sums.iter_mut().enumerate() {
            *sum = parts.seasonal.iter().skip(t).step_by(n).fold(0.0, |sum, s| sum + s);
        }
        let mut adjusted = buffers.take(0);
        adjusted.extend(y.iter().zip(&sums).map(|(v, s)| v - s));
        let done = self.remainder.estimate(&adjusted, buffers, state);
        for (&m, seasonal) in self.seasons.iter().zip(parts.seasonal.chunks(n)) {
            // Phase i of the last season is that of the steps that leave i when divided by m.
            state.parameters.extend((0..m).map(|phase| seasonal[n - 1 - (n - 1 + m - phase) % m]));
        }
        state.parameters.push(n as f64);
        state.states.extend(sums.iter().rev());
        for vector in [parts.seasonal, sums, adjusted] {
            buffers.give(vector);
        }
        done
    }

    fn update(&self, y: &[f64], state: &mut State) {
        let mut own = state.parameters.split_off(state.parameters.len() - self.own());
        let passing = left(&own, state.steps);
        let mut ahead = if passing > 0 { state.states.split_off(state.states.len() - passing) } else { Vec::new() };
        let mut adjusted = [0.0; 64];
        for values in y.chunks(adjusted.len()) {
            for (t, (to, v)) in adjusted.iter_mut().zip(values).enumerate() {
                *to = v - ahead.pop().unwrap_or_else(|| self.season(&own, state.steps + t as u64));
            }
            self.remainder.update(&adjusted[..values.len()], state);
        }
        state.parameters.append(&mut own);
        state.states.append(&mut ahead);
    }

    fn forecast(&self, state: &State, path: &mut Path) -> Spread {
        let (remainder, own) = state.parameters.split_at(state.parameters.len() - self.own());
        let states = &state.states[..state.states.len() - left(own, state.steps)];
        let inner = State { parameters: remainder.to_vec(), states: states.to_vec(), ..*state };
        let spread = self.remainder.forecast(&inner, path);
        for (t, mean) in path.mean.iter_mut().enumerate() {
            *mean += self.season(own, state.steps + t as u64);
        }
        spread
    }
}

impl Adjusted {
    /// How many of the parameters are not those of the remainder.
    fn own(&self) -> usize {
        self.seasons.iter().sum::<usize>() + 1
    }

    /// Sum of the last seasons at a step.
    fn season(&self, mut own: &[f64], step: u64) -> f64 {
        let mut sum = 0.0;
        for &m in &self.seasons {
            let (season, rest) = own.split_at(m);
            sum += season[(step % m as u64) as usize];
            own = rest;
        }
        sum
    }
}

/// Steps of the fitted series that are still ahead.
fn left(own: &[f64], steps: u64) -> usize {
    (own.last().map_or(0, |n| *n as u64)).saturating_sub(steps) as usize
}

#[cfg(test)]
mod tests;
