//! ARIMA with orders found for each series: the stepwise search of Hyndman & Khandakar.
//!
//! In: a series. Out: the order with the least AICc on a walk over neighbours, fitted.

use super::super::ets_ann::EtsAnn;
use super::super::{Buffers, Kernel, Model, Path, Refusal, Spread, State};
use super::ahead;
use super::estimate::{self, Given, THOROUGH};

use super::filter;
use super::order::{Order, roots_beyond};
use super::search::{Effort, Fit, Problem, penalty};
use super::series::{Ready, difference, is_constant};
use super::start::Moments;
use super::stationarity::{season_is_strong, strays};
use crate::args::Args;
use crate::error::{Error, Result};
use crate::signature::{Kind, Param};
use std::sync::Arc;

/// A climb on the walk: enough to tell orders apart.
const QUICK: Effort = Effort { passes: 40, tolerance: 5e-3, edge: 10.0, target: f64::NEG_INFINITY };

/// Passes times values times entries of the state after which the walk ends: a fraction of a second.
const WORK_MAX: usize = 40_000_000;

/// The longest season that gets seasonal lags.
const SEASON_MAX: usize = 60;

/// Models with a polynomial whose roots are nearer to the unit circle than this are left out: they are a difference too many
/// or too few in disguise. Roots of the seasonal polynomials are those in `B^m`.
const ROOT_MIN: f64 = 1.01;

/// ARIMA(p,d,q)(P,D,Q) with orders found for each series.
///
/// | parameter | default | range | meaning |
/// |---|---|---|---|
/// | `max_p`, `max_q` | 5 | 0 to 10 | most autoregressive and moving average lags |
/// | `max_sp`, `max_sq` | 2 | 0 to 3 | the same for the season |
/// | `max_order` | 7 | 0 to 26 | most coefficients, p + q + P + Q |
/// | `max_d`, `max_sd` | 2, 1 | 0 to 2, 0 to 1 | most differences, plain and seasonal |
/// | `constant` | `auto` | auto, no | whether a mean or drift is tried |
/// | `max_models` | 40 | 1 to 200 | orders tried |
///
/// In: `y`, n >= 6 observed values; a season counts if n >= 2 `season_length`, and gets seasonal lags up to a length of 60.
/// Out: as [`super::Arima`]. D is 1 if the season is strong (STL, threshold 0.64), d the fewest differences that KPSS
/// accepts at 5 %. From (2,d,2)(1,D,1), (0,d,0)(0,D,0), (1,d,0)(1,D,0) and (0,d,1)(0,D,1) the walk goes to the first
/// neighbour with a smaller AICc until there is none; every AICc is that of the exact likelihood, near its maximum, and
/// the winner's is brought to the maximum. Each climb starts at the best of the regression of Hannan & Rissanen, half of it,
/// nothing, and the best order so far. Models with a root within 1.01 of the unit circle are passed over. Orders of a
/// series with gaps are searched with the gaps bridged; coefficients are then found by the likelihood of what was observed.
/// O(n m) a pass, some hundred passes; bounded by `max_models` and by a fixed amount of work. Errors: none beyond those of
/// [`super::super::forecast`].
/// Source: Hyndman & Khandakar (2008), Journal of Statistical Software 27(3).
pub(in super::super) struct AutoArima;

static PARAMS: [Param; 9] = [
    Param {
        name: "max_p",
        kind: Kind::Integer { min: 0, max: 10 },
        default: Some("5"),
        meaning: "most autoregressive lags",
    },
    Param {
        name: "max_q",
        kind: Kind::Integer { min: 0, max: 10 },
        default: Some("5"),
        meaning: "most moving average lags",
    },
    Param {
        name: "max_sp",
        kind: Kind::Integer { min: 0, max: 3 },
        default: Some("2"),
        meaning: "most seasonal autoregressive lags",
    },
    Param {
        name: "max_sq",
        kind: Kind::Integer { min: 0, max: 3 },
        default: Some("2"),
        meaning: "most seasonal moving average lags",
    },
    Param {
        name: "max_order",
        kind: Kind::Integer { min: 0, max: 26 },
        default: Some("7"),
        meaning: "most coefficients without the constant",
    },
    Param { name: "max_d", kind: Kind::Integer { min: 0, max: 2 }, default: Some("2"), meaning: "most differences" },
    Param {
        name: "max_sd",
        kind: Kind::Integer { min: 0, max: 1 },
        default: Some("1"),
        meaning: "most seasonal differences",
    },
    Param {
        name: "constant",
        kind: Kind::Choice(|| vec!["auto", "no"]),
        default: Some("\"auto\""),
        meaning: "whether models with a mean or drift are tried",
    },
    Param {
        name: "max_models",
        kind: Kind::Integer { min: 1, max: 200 },
        default: Some("40"),
        meaning: "most orders tried",
    },
];

impl Model for AutoArima {
    fn name(&self) -> &'static str {
        "auto_arima"
    }

    fn summary(&self) -> &'static str {
        "seasonal ARIMA with orders found by a stepwise search, exact AICc"
    }

    fn source(&self) -> &'static str {
        "Hyndman & Khandakar (2008), Automatic time series forecasting: the forecast package for R"
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
        let size =
            |name: &str| usize::try_from(args.integer(name)?).map_err(|e| Error::Bug(format!("argument {name}: {e}")));
        Ok(Arc::new(Search {
            bounds: Order {
                p: size("max_p")?,
                d: size("max_d")?,
                q: size("max_q")?,
                sp: size("max_sp")?,
                sd: size("max_sd")?,
                sq: size("max_sq")?,
                m: season_length.max(1),
                constant: args.text("constant")? == "auto",
            },
            order_max: size("max_order")?,
            models_max: size("max_models")?,
        }))
    }
}

/// The search with its bounds.
struct Search {
    bounds: Order,
    order_max: usize,
    models_max: usize,
}

impl Kernel for Search {
    fn observations_min(&self) -> usize {
        6
    }

    fn estimate(&self, y: &[f64], buffers: &mut Buffers, state: &mut State) -> Result<(), Refusal> {
        let ready = Ready::new(y, self.bounds.m, buffers);
        let bounds = self.differences(&ready, buffers);
        let w = estimate::differenced(&ready, &bounds, buffers);
        if ready.scale == 0.0 || is_constant(&w) {
            let plain = Order { p: 0, q: 0, sp: 0, sq: 0, ..bounds };
            estimate::flat(&ready, &plain, &Given::default(), w.first().copied().unwrap_or(0.0), buffers, state);
        } else {
            let mut walk = Walk::new(&ready, &w, bounds, self, buffers);
            walk.go(buffers);
            let (best, fit) = (walk.best_order, walk.best);
            walk.moments.give(buffers);
            let problem = estimate::problem(&w, &ready, best, &Given::default());
            let fit = problem.climb(fit.point, THOROUGH, buffers);
            estimate::finish(&ready, &problem, fit, &Given::default(), buffers, state);
        }
        buffers.give(w);
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

impl Search {
    /// The bounds with the differences of this series, and without what it is too short for.
    fn differences(&self, ready: &Ready, buffers: &mut Buffers) -> Order {
        let mut order = Order { d: 0, sd: 0, ..self.bounds };
        if ready.observed < 2 * order.m {
            order.m = 1;
        }
        let mut w = buffers.take(0);
        w.extend(ready.complete());
        if order.m > 1 && self.bounds.sd > 0 && season_is_strong(&w, order.m, buffers) {
            order.sd = 1;
            difference(&mut w, order.m);
        }
        while order.d < self.bounds.d && w.len() > 4 && !is_constant(&w) && strays(&w) {
            order.d += 1;
            difference(&mut w, 1);
        }
        let n = w.len();
        buffers.give(w);
        if order.m == 1 || order.m > SEASON_MAX {
            (order.sp, order.sq) = (0, 0);
        }
        order.p = order.p.min(n / 3);
        order.q = order.q.min(n / 3);
        order.sp = order.sp.min(n / 3 / order.m);
        order.sq = order.sq.min(n / 3 / order.m);
        order.constant &= order.d + order.sd < 2;
        order
    }
}

/// The walk over orders.
struct Walk<'a> {
    ready: &'a Ready,
    w: &'a [f64],
    bounds: Order,
    search: &'a Search,
    moments: Moments,
    tried: Vec<Order>,
    work: usize,
    best_order: Order,
    best: Fit,
    best_aicc: f64,
}

impl<'a> Walk<'a> {
    fn new(ready: &'a Ready, w: &'a [f64], bounds: Order, search: &'a Search, buffers: &mut Buffers) -> Self {
        let moments = Moments::new(w, &bounds, buffers);
        let best_order = Order { p: 0, q: 0, sp: 0, sq: 0, ..bounds };
        let problem = estimate::problem(w, ready, best_order, &Given::default());
        let start = problem.point(&[0.0; _], estimate::average(w));
        let best = problem.climb(start, QUICK, buffers);
        let (tried, best_aicc) = (vec![best_order], best.aicc());
        Self { ready, w, bounds, search, moments, tried, work: 0, best_order, best, best_aicc }
    }

    /// From the first orders to the first neighbour that is better, again and again.
    fn go(&mut self, buffers: &mut Buffers) {
        let b = self.bounds;
        let order = |p: usize, q: usize, sp: usize, sq: usize| Order {
            p: p.min(b.p),
            q: q.min(b.q),
            sp: sp.min(b.sp),
            sq: sq.min(b.sq),
            ..b
        };
        let firsts =
            [order(2, 2, 1, 1), order(1, 0, 1, 0), order(0, 1, 0, 1), Order { constant: false, ..order(0, 0, 0, 0) }];
        for first in firsts {
            self.attempt(first, buffers);
        }
        while (0..NEIGHBOURS.len()).any(|i| self.neighbour(i).is_some_and(|order| self.attempt(order, buffers))) {}
    }

    /// The neighbour of the best order in one direction, if it is within bounds.
    fn neighbour(&self, direction: usize) -> Option<Order> {
        let (dp, dq, dsp, dsq) = *NEIGHBOURS.get(direction)?;
        let moved = |from: usize, by: i8, top: usize| {
            from.checked_add_signed(isize::from(by)).filter(|to| *to <= top || *to < from)
        };
        let (o, b) = (self.best_order, self.bounds);
        let toggled = (dp, dq, dsp, dsq) == (0, 0, 0, 0);
        Some(Order {
            p: moved(o.p, dp, b.p)?,
            q: moved(o.q, dq, b.q)?,
            sp: moved(o.sp, dsp, b.sp)?,
            sq: moved(o.sq, dsq, b.sq)?,
            constant: if toggled { b.constant && !o.constant } else { o.constant },
            ..o
        })
    }

    /// Fits an order that was not tried; whether it is the best so far.
    fn attempt(&mut self, order: Order, buffers: &mut Buffers) -> bool {
        let spare = self.tried.len() < self.search.models_max && self.work < WORK_MAX;
        if !spare || order.arma() > self.search.order_max || self.tried.contains(&order) {
            return false;
        }
        self.tried.push(order);
        let problem = estimate::problem(self.w, self.ready, order, &Given::default());
        let fit = self.fit(&problem, buffers);
        self.work += fit.passes * self.w.len() * order.span();
        let aicc = fit.aicc();
        let better = aicc < self.best_aicc && is_sound(&order, &fit);
        if better {
            (self.best_order, self.best, self.best_aicc) = (order, fit, aicc);
        }
        better
    }

    /// Climbs from the best order so far or from the regression, whichever starts higher.
    fn fit(&self, problem: &Problem, buffers: &mut Buffers) -> Fit {
        let mean = if self.best_order.constant { self.best.mean } else { estimate::average(self.w) };
        let mut nested = problem.point(&[0.0; _], mean);
        for ((first, length), (own, known)) in problem.order.groups().into_iter().zip(self.best_order.groups()) {
            (0..length.min(known)).for_each(|i| nested[first + i] = self.best.point[own + i]);
        }
        let [whole, half, none] = estimate::starts(problem, &self.moments, estimate::average(self.w));
        let start = problem.best_start(&[nested, whole, half, none], buffers);
        let coefficients = problem.order.arma() + usize::from(problem.order.constant);
        let target = 0.5 * (penalty(coefficients, self.w.len() as f64) - self.best_aicc);
        problem.climb(start, Effort { target, ..QUICK }, buffers)
    }
}

/// Whether all roots keep their distance from the unit circle.
fn is_sound(order: &Order, fit: &Fit) -> bool {
    order.groups().into_iter().enumerate().all(|(g, (first, length))| {
        let sign = if g % 2 == 1 { -1.0 } else { 1.0 };
        roots_beyond(ROOT_MIN, fit.coefficients[first..first + length].iter().map(|c| sign * c))
    })
}

/// Changes of p, q, P and Q, in the order in which they are tried; none at all turns the constant on or off.
const NEIGHBOURS: [(i8, i8, i8, i8); 17] = [
    (0, 0, -1, 0),
    (0, 0, 0, -1),
    (0, 0, 1, 0),
    (0, 0, 0, 1),
    (0, 0, -1, -1),
    (0, 0, -1, 1),
    (0, 0, 1, -1),
    (0, 0, 1, 1),
    (-1, 0, 0, 0),
    (0, -1, 0, 0),
    (1, 0, 0, 0),
    (0, 1, 0, 0),
    (-1, -1, 0, 0),
    (-1, 1, 0, 0),
    (1, -1, 0, 0),
    (1, 1, 0, 0),
    (0, 0, 0, 0),
];
