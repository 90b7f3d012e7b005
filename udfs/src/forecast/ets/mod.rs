//! The ETS family: exponential smoothing of level, trend and season.
//!
//! In: one series as a plain slice. Out: smoothing parameters and states chosen by likelihood, means and deviations.

mod form;
mod kernel;
mod lanes;
mod rows;
mod search;
mod start;
mod variance;

pub(super) use rows::{AutoEts, DampedHolt, Ets, Holt, HoltWintersAdditive, HoltWintersMultiplicative};

#[cfg(test)]
mod tests;
