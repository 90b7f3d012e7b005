//! ARIMA models, seasonal ones among them, with orders given or found.
//!
//! In: a series. Out: coefficients by exact maximum likelihood, a filter that moves on, forecasts with exact intervals.

mod ahead;
mod auto;
mod covariance;
mod estimate;
mod filter;
mod likelihood;
mod order;
mod process;
mod search;
mod series;
mod start;
mod stationarity;
mod system;

pub(super) use auto::AutoArima;

use super::ets_ann::EtsAnn;
use super::{Buffers, Kernel, Model, Path, Refusal, Spread, State};
use crate::args::Args;
use crate::error::{Error, Result};
use crate::signature::{Kind, Param};
use estimate::Given;
use order::{ORDER_MAX, Order, roots_beyond};
use series::Ready;
use std::sync::Arc;

/// ARIMA(p,d,q)(P,D,Q) of given orders: the differenced series is an autoregression with moving average errors.
///
/// | parameter | default | range | meaning |
/// |---|---|---|---|
/// | `order` | [1, 1, 1] | p, q 0 to 10, d 0 to 2 | p, d and q |
/// | `seasonal_order` | [0, 0, 0] | P, Q 0 to 3, D 0 to 1 | P, D and Q; all 0 with a `season_length` of 1 |
/// | `constant` | `auto` | yes, no, auto | mean of the differenced series; `auto` is yes without differences |
/// | `mean` | found | any | its value, with `constant` yes |
/// | `phi`, `theta`, `seasonal_phi`, `seasonal_theta` | found | as many as the order says | given coefficients, signs as in R |
///
/// In: `y`, n observed values, see [`Kernel::observations_min`]: what the differences consume and the longest lag.
/// Out: `horizon` means in the unit of `y` and the exact standard deviations, given the coefficients, of their errors.
/// Coefficients by exact Gaussian maximum likelihood with stationary autoregression and invertible moving average; the
/// variance of the shocks is the sum of squared standardised errors over (n - d - m D - coefficients found). Missing
/// values are left out exactly, by a filter that carries the covariance of its state through the gap; only a state of
/// more than 160 entries (a season of months in days) takes a missing value for its forecast, and where a series with
/// gaps is so long that its likelihood takes a fraction of a second, coefficients are those of the series with gaps
/// bridged. A differenced series without variance gets coefficients of 0.
/// Estimate: O(n (p + q + m (P + Q))) a pass, some ten passes, O(n (d + m D + p + q + m (P + Q))^2) with gaps. Update:
/// O(d + m D + coefficients) a value once the gain stands still; the state then holds the last d + m D values and
/// max(p + m P, q + m Q + 1) more numbers. Errors: `Argument` for orders or coefficients that contradict each other.
/// Source: Box & Jenkins; Hyndman & Athanasopoulos, FPP3, ch. 9; golden values from R `stats::arima`.
pub(super) struct Arima;

const YES_NO_AUTO: Kind = Kind::Choice(|| vec!["auto", "yes", "no"]);
const NUMBERS: Kind = Kind::Numbers { min: -1e9, max: 1e9 };

static PARAMS: [Param; 8] = [
    Param {
        name: "order",
        kind: Kind::Counts { length: 3, max: ORDER_MAX.0 as i64 },
        default: Some("[1, 1, 1]"),
        meaning: "p, d and q: autoregressive lags, differences (at most 2), moving average lags",
    },
    Param {
        name: "seasonal_order",
        kind: Kind::Counts { length: 3, max: ORDER_MAX.1 as i64 },
        default: Some("[0, 0, 0]"),
        meaning: "P, D (at most 1) and Q: the same at multiples of season_length",
    },
    Param {
        name: "constant",
        kind: YES_NO_AUTO,
        default: Some("\"auto\""),
        meaning: "mean of the differenced series, which is a drift of the series; auto: only without differences",
    },
    Param {
        name: "mean",
        kind: Kind::Number { min: -1e300, max: 1e300 },
        default: Some("null"),
        meaning: "value of the constant instead of the one found, in the unit of the series",
    },
    Param { name: "phi", kind: NUMBERS, default: Some("null"), meaning: "the p autoregressive coefficients" },
    Param { name: "theta", kind: NUMBERS, default: Some("null"), meaning: "the q moving average coefficients" },
    Param { name: "seasonal_phi", kind: NUMBERS, default: Some("null"), meaning: "the P seasonal autoregressive ones" },
    Param {
        name: "seasonal_theta",
        kind: NUMBERS,
        default: Some("null"),
        meaning: "the Q seasonal moving average ones",
    },
];

impl Model for Arima {
    fn name(&self) -> &'static str {
        "arima"
    }

    fn summary(&self) -> &'static str {
        "seasonal ARIMA of given orders, by exact maximum likelihood; coefficients may be given"
    }

    fn source(&self) -> &'static str {
        "Hyndman & Athanasopoulos, Forecasting: Principles and Practice, 3rd ed., ch. 9; golden values from R stats::arima"
    }

    fn params(&self) -> &'static [Param] {
        &PARAMS
    }

    fn has_exact_spread(&self) -> bool {
        true
    }

    fn simpler(&self) -> Option<&'static dyn Model> {
        Some(&EtsAnn)
    }

    fn bind(&self, args: &Args, season_length: usize) -> Result<Arc<dyn Kernel>> {
        let counts = |name: &str| -> Result<[usize; 3]> {
            let list = args.integers(name)?;
            Ok(std::array::from_fn(|i| list.get(i).map_or(0, |v| *v as usize)))
        };
        let ([p, d, q], [sp, sd, sq]) = (counts("order")?, counts("seasonal_order")?);
        let m = season_length.max(1);
        let constant = match args.text("constant")? {
            "auto" => d + sd == 0,
            text => text == "yes",
        };
        let order = Order { p, d, q, sp, sd, sq, m, constant };
        check_order(&order)?;
        let mut given = Given::default();
        for (g, name) in ["phi", "theta", "seasonal_phi", "seasonal_theta"].into_iter().enumerate() {
            if !args.is_null(name)? {
                take_given(&mut given, &order, g, name, &args.numbers(name)?)?;
            }
        }
        if !args.is_null("mean")? {
            if !constant {
                return Err(bad("mean", "no `mean` without a constant, add `constant => yes`"));
            }
            given.mean = Some(args.number("mean")?);
        }
        Ok(Arc::new(Fixed { order, given }))
    }
}

fn bad(name: &str, allowed: &str) -> Error {
    Error::Argument(format!("arima: bad argument: name={name}, allowed=[{allowed}]"))
}

fn check_order(order: &Order) -> Result<()> {
    if order.d > 2 {
        return Err(bad("order", "at most 2 differences"));
    }
    if order.sd > 1 {
        return Err(bad("seasonal_order", "at most 1 seasonal difference"));
    }
    if order.m < 2 && order.sp + order.sd + order.sq > 0 {
        return Err(bad("seasonal_order", "[0, 0, 0] with a season_length of 1, add `season_length => ..`"));
    }
    if order.constant && order.d + order.sd > 1 {
        return Err(bad("constant", "no with two differences: it would be a parabola"));
    }
    Ok(())
}

fn take_given(given: &mut Given, order: &Order, g: usize, name: &str, values: &[f64]) -> Result<()> {
    let (first, length) = order.groups()[g];
    if values.len() != length {
        return Err(bad(name, &format!("{length} numbers, as the order says")));
    }
    let sign = if g % 2 == 1 { -1.0 } else { 1.0 };
    if !roots_beyond(1.0, values.iter().map(|v| sign * v)) {
        return Err(bad(name, "coefficients of a stationary or invertible process: roots outside the unit circle"));
    }
    given.coefficients[first..first + length].copy_from_slice(values);
    given.groups[g] = true;
    Ok(())
}

/// An ARIMA model of fixed order.
struct Fixed {
    order: Order,
    given: Given,
}

impl Kernel for Fixed {
    fn observations_min(&self) -> usize {
        self.order.lost() + self.order.span().max(self.order.arma() + 4)
    }

    fn estimate(&self, y: &[f64], buffers: &mut Buffers, state: &mut State) -> Result<(), Refusal> {
        let ready = Ready::new(y, self.order.m, buffers);
        estimate::fixed(&ready, &self.order, &self.given, buffers, state);
        ready.give(buffers);
        Ok(())
    }

    fn update(&self, y: &[f64], state: &mut State) {
        filter::update(y, state);
    }

    fn forecast(&self, state: &State, path: &mut Path) -> Spread {
        ahead::forecast(state, path)
    }
}

#[cfg(test)]
mod tests;
