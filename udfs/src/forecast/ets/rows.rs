//! The rows of the table of models that the ETS family serves.  In: parameters of a call. Out: a kernel.

use super::form::{Error, Form, Season, Trend};
use super::kernel::Ets as Kernels;
use crate::args::Args;
use crate::error::{Error as Refused, Result};
use crate::forecast::ets_ana::EtsAna;
use crate::forecast::ets_ann::EtsAnn;
use crate::forecast::ses::Ses;
use crate::forecast::{Kernel, Model};
use crate::signature::{Kind, Param};
use std::sync::Arc;

const BOOK: &str = "Hyndman, Koehler, Ord & Snyder (2008), Forecasting with Exponential Smoothing, ch. 2, 5 and 6";

const SHARE: Kind = Kind::Number { min: 0.0, max: 1.0 };
const ALPHA: Param =
    Param { name: "alpha", kind: SHARE, default: Some("null"), meaning: "smoothing of the level; fitted if left out" };
const BETA: Param = Param {
    name: "beta",
    kind: SHARE,
    default: Some("null"),
    meaning: "smoothing of the trend, the share of the error that goes into it; fitted below 0.2 if left out",
};
const GAMMA: Param =
    Param { name: "gamma", kind: SHARE, default: Some("null"), meaning: "smoothing of the season; fitted if left out" };
const PHI: Param = Param {
    name: "phi",
    kind: SHARE,
    default: Some("null"),
    meaning: "damping, what remains of the trend a step later; fitted from 0.8 to 0.98 if left out",
};

fn add_mul() -> Vec<&'static str> {
    vec!["add", "mul"]
}

fn none_add_damped() -> Vec<&'static str> {
    vec!["none", "add", "damped"]
}

fn none_add_mul() -> Vec<&'static str> {
    vec!["none", "add", "mul"]
}

/// The smoothing parameters that a call gives; what a model does not take stays free.
fn given(args: &Args, params: &[Param]) -> Result<[Option<f64>; 4]> {
    let mut fixed = [None; 4];
    for (value, name) in fixed.iter_mut().zip(["alpha", "beta", "gamma", "phi"]) {
        if params.iter().any(|p| p.name == name) && !args.is_null(name)? {
            *value = Some(args.number(name)?);
        }
    }
    Ok(fixed)
}

fn kernel(model: &dyn Model, form: Form, args: &Args, season_length: usize) -> Result<Arc<dyn Kernel>> {
    let fixed = given(args, model.params())?;
    Ok(Arc::new(Kernels { name: model.name(), pool: vec![form], short: Vec::new(), fixed, season_length }))
}

/// Holt's linear trend, ETS(A,A,N): a smoothed level and slope, the slope continued for ever.
///
/// | parameter | default | range | meaning |
/// |---|---|---|---|
/// | `alpha` | fitted | 0 to 1 | weight of the newest error in the level |
/// | `beta` | fitted, below 0.2 and `alpha` | 0 to 1 | weight of the newest error in the slope |
///
/// In: `y`, at least [`Kernel::observations_min`] observed. Out: `horizon` means and standard deviations in the unit of
/// `y`. O(n) time, no memory. Errors: none beyond those of [`crate::forecast::forecast`].
/// Source: Hyndman et al. (2008), table 6.1, class 1; golden values from R `forecast::ets`.
pub(in crate::forecast) struct Holt;

impl Model for Holt {
    fn name(&self) -> &'static str {
        "holt"
    }

    fn summary(&self) -> &'static str {
        "Holt's linear trend: smoothed level and slope"
    }

    fn source(&self) -> &'static str {
        BOOK
    }

    fn params(&self) -> &'static [Param] {
        &[ALPHA, BETA]
    }

    fn has_exact_spread(&self) -> bool {
        true
    }

    fn simpler(&self) -> Option<&'static dyn Model> {
        Some(&Ses)
    }

    fn bind(&self, args: &Args, _season_length: usize) -> Result<Arc<dyn Kernel>> {
        kernel(self, Form::new(Error::Add, Trend::Add, Season::None), args, 1)
    }
}

/// Holt's trend, damped, ETS(A,Ad,N): the slope shrinks by `phi` each step, so that forecasts level out.
///
/// | parameter | default | range | meaning |
/// |---|---|---|---|
/// | `alpha` | fitted | 0 to 1 | weight of the newest error in the level |
/// | `beta` | fitted, below 0.2 and `alpha` | 0 to 1 | weight of the newest error in the slope |
/// | `phi` | fitted, 0.8 to 0.98 | 0 to 1 | what remains of the slope a step later |
///
/// In: `y`, at least [`Kernel::observations_min`] observed. Out: `horizon` means and standard deviations in the unit of
/// `y`. O(n) time, no memory. Errors: none beyond those of [`crate::forecast::forecast`].
/// Source: Hyndman et al. (2008), table 6.1, class 1; golden values from R `forecast::ets`.
pub(in crate::forecast) struct DampedHolt;

impl Model for DampedHolt {
    fn name(&self) -> &'static str {
        "damped_holt"
    }

    fn summary(&self) -> &'static str {
        "Holt's trend, damped: smoothed level and a slope that dies away"
    }

    fn source(&self) -> &'static str {
        BOOK
    }

    fn params(&self) -> &'static [Param] {
        &[ALPHA, BETA, PHI]
    }

    fn has_exact_spread(&self) -> bool {
        true
    }

    fn simpler(&self) -> Option<&'static dyn Model> {
        Some(&Ses)
    }

    fn bind(&self, args: &Args, _season_length: usize) -> Result<Arc<dyn Kernel>> {
        kernel(self, Form::new(Error::Add, Trend::Damped, Season::None), args, 1)
    }
}

/// Holt-Winters with an additive season, ETS(A,A,A): level, slope and season, all added.
///
/// | parameter | default | range | meaning |
/// |---|---|---|---|
/// | `season_length` | none | at least 2 | observations per season, m |
/// | `alpha` | fitted | 0 to 1 | weight of the newest error in the level |
/// | `beta` | fitted, below 0.2 and `alpha` | 0 to 1 | weight of the newest error in the slope |
/// | `gamma` | fitted, below 1 - `alpha` | 0 to 1 | weight of the newest error in the season |
///
/// In: `y`, at least [`Kernel::observations_min`] observed. Out: `horizon` means and standard deviations in the unit of
/// `y`. O(n) time, O(m) memory. Errors: none beyond those of [`crate::forecast::forecast`].
/// Source: Hyndman et al. (2008), table 6.1, class 1; golden values from R `forecast::ets`.
pub(in crate::forecast) struct HoltWintersAdditive;

impl Model for HoltWintersAdditive {
    fn name(&self) -> &'static str {
        "holt_winters_additive"
    }

    fn summary(&self) -> &'static str {
        "Holt-Winters: smoothed level, slope and additive season"
    }

    fn source(&self) -> &'static str {
        BOOK
    }

    fn params(&self) -> &'static [Param] {
        &[ALPHA, BETA, GAMMA]
    }

    fn is_seasonal(&self) -> bool {
        true
    }

    fn has_exact_spread(&self) -> bool {
        true
    }

    fn simpler(&self) -> Option<&'static dyn Model> {
        Some(&EtsAna)
    }

    fn bind(&self, args: &Args, season_length: usize) -> Result<Arc<dyn Kernel>> {
        kernel(self, Form::new(Error::Add, Trend::Add, Season::Add), args, season_length)
    }
}

/// Holt-Winters with a multiplicative season, ETS(M,A,M): level plus slope, times the season, errors in percent of it.
///
/// Parameters as [`HoltWintersAdditive`]. In: `y`, all values above zero. Out: `horizon` means and standard deviations in
/// the unit of `y`, the latter from the exact second moments under normal relative errors.
/// O(n + horizon min(m, horizon)) time, O(m) memory. Errors: `unfit` if a value is not above zero.
/// Source: Hyndman et al. (2008), 6.4, class 3; golden values from R `forecast::ets` and `forecast:::class3`.
pub(in crate::forecast) struct HoltWintersMultiplicative;

impl Model for HoltWintersMultiplicative {
    fn name(&self) -> &'static str {
        "holt_winters_multiplicative"
    }

    fn summary(&self) -> &'static str {
        "Holt-Winters: smoothed level and slope times a season, for values above zero"
    }

    fn source(&self) -> &'static str {
        BOOK
    }

    fn params(&self) -> &'static [Param] {
        &[ALPHA, BETA, GAMMA]
    }

    fn is_seasonal(&self) -> bool {
        true
    }

    fn has_exact_spread(&self) -> bool {
        true
    }

    fn simpler(&self) -> Option<&'static dyn Model> {
        Some(&EtsAna)
    }

    fn bind(&self, args: &Args, season_length: usize) -> Result<Arc<dyn Kernel>> {
        kernel(self, Form::new(Error::Mul, Trend::Add, Season::Mul), args, season_length)
    }
}

/// Any admissible model of the ETS family.
///
/// | parameter | default | range | meaning |
/// |---|---|---|---|
/// | `error` | `add` | `add`, `mul` | errors in the unit of `y`, or in percent of the mean |
/// | `trend` | `none` | `none`, `add`, `damped` | slope of the level |
/// | `season` | `none` | `none`, `add`, `mul` | season of `season_length` observations, added or multiplied |
/// | `alpha`, `beta`, `gamma`, `phi` | fitted | 0 to 1 | as in [`HoltWintersAdditive`] and [`DampedHolt`] |
///
/// In: `y`, at least [`Kernel::observations_min`] observed; values above zero if anything is multiplied. Out: `horizon`
/// means and standard deviations in the unit of `y`: exact for additive errors (class 1) and relative errors without a
/// multiplied season (class 2); under both (class 3) exact under normal relative errors. O(n) time, and O(horizon^2) for
/// class 2. Errors: `Argument` for an additive error under a multiplicative season, for a season without
/// `season_length`, for a parameter that the form lacks; `unfit` for a value not above zero where it must be.
/// Source: Hyndman et al. (2008), ch. 2, 5 and 6; golden values from R `forecast::ets`.
pub(in crate::forecast) struct Ets;

impl Model for Ets {
    fn name(&self) -> &'static str {
        "ets"
    }

    fn summary(&self) -> &'static str {
        "ETS(error, trend, season): any admissible form of exponential smoothing"
    }

    fn source(&self) -> &'static str {
        BOOK
    }

    fn params(&self) -> &'static [Param] {
        &[
            Param {
                name: "error",
                kind: Kind::Choice(add_mul),
                default: Some("\"add\""),
                meaning: "errors in the unit of the series, or in percent of the mean",
            },
            Param {
                name: "trend",
                kind: Kind::Choice(none_add_damped),
                default: Some("\"none\""),
                meaning: "slope of the level",
            },
            Param {
                name: "season",
                kind: Kind::Choice(none_add_mul),
                default: Some("\"none\""),
                meaning: "season of season_length observations, added or multiplied",
            },
            ALPHA,
            BETA,
            GAMMA,
            PHI,
        ]
    }

    fn has_exact_spread(&self) -> bool {
        true
    }

    fn simpler(&self) -> Option<&'static dyn Model> {
        Some(&EtsAnn)
    }

    fn bind(&self, args: &Args, season_length: usize) -> Result<Arc<dyn Kernel>> {
        let error = if args.text("error")? == "mul" { Error::Mul } else { Error::Add };
        let trend = match args.text("trend")? {
            "add" => Trend::Add,
            "damped" => Trend::Damped,
            _ => Trend::None,
        };
        let season = match args.text("season")? {
            "add" => Season::Add,
            "mul" => Season::Mul,
            _ => Season::None,
        };
        let form = Form::new(error, trend, season);
        if !form.is_admissible() {
            return Err(Refused::Argument(
                "ets: bad argument: name=season, given=mul, allowed=[none, add] with error 'add': such a model divides by \
                 seasons near zero, take `error => mul`"
                    .into(),
            ));
        }
        if form.has_season() && season_length < 2 {
            return Err(Refused::Argument(format!(
                "bad argument: name=season_length, given={season_length}, allowed=[at least 2 with a season], add \
                 `season_length => ..` or take `season => none`"
            )));
        }
        let fixed = given(args, self.params())?;
        for ((name, used), value) in ["alpha", "beta", "gamma", "phi"].iter().zip(form.uses()).zip(fixed) {
            if value.is_some() && !used {
                return Err(Refused::Argument(format!(
                    "ets: bad argument: name={name}, given={}, the form has no such parameter: trend={}, season={}",
                    value.unwrap_or_default(),
                    args.text("trend")?,
                    args.text("season")?
                )));
            }
        }
        kernel(self, form, args, season_length)
    }
}

/// The best of a small pool of ETS models by the corrected Akaike criterion.
///
/// Without a season: level alone, linear and damped trend, errors additive; multiplicative errors forecast yearly series no
/// better and weekly ones worse. With one, over values above zero: errors additive or multiplicative, seasons likewise,
/// trends damped, or linear under a multiplicative season; over other values the additive forms of that pool. The pools are
/// small because larger ones brought no clear gain.
/// `beta` stays below 0.2: the likelihood of short series likes trends that follow the last differences, forecasts do not.
///
/// In: `y`, at least [`Kernel::observations_min`] observed; a form that needs more is left out. Out: as [`Ets`]. O(n) time
/// a form; a form that starts hopelessly behind the best one is dropped early.
/// Errors: none beyond those of [`crate::forecast::forecast`].
/// Source: Hyndman et al. (2008), 7.2; Petropoulos, Grushka-Cockayne, Siemsen & Spiliotis (2023), on small pools.
pub(in crate::forecast) struct AutoEts;

impl Model for AutoEts {
    fn name(&self) -> &'static str {
        "auto_ets"
    }

    fn summary(&self) -> &'static str {
        "the best of a small pool of ETS models by AICc"
    }

    fn source(&self) -> &'static str {
        "Hyndman, Koehler, Ord & Snyder (2008), Forecasting with Exponential Smoothing, 7.2; Petropoulos et al. (2023)"
    }

    fn simpler(&self) -> Option<&'static dyn Model> {
        Some(&EtsAnn)
    }

    fn bind(&self, _args: &Args, season_length: usize) -> Result<Arc<dyn Kernel>> {
        let pool = if season_length > 1 { SEASONAL.to_vec() } else { PLAIN.to_vec() };
        Ok(Arc::new(Kernels { name: self.name(), pool, short: PLAIN.to_vec(), fixed: [None; 4], season_length }))
    }
}

/// The pool without a season, and of series too short for one.
const PLAIN: [Form; 3] = [
    Form::new(Error::Add, Trend::None, Season::None),
    Form::new(Error::Add, Trend::Add, Season::None),
    Form::new(Error::Add, Trend::Damped, Season::None),
];

/// The pool with one.
const SEASONAL: [Form; 8] = [
    Form::new(Error::Add, Trend::None, Season::None),
    Form::new(Error::Mul, Trend::None, Season::None),
    Form::new(Error::Add, Trend::Damped, Season::None),
    Form::new(Error::Mul, Trend::Damped, Season::None),
    Form::new(Error::Add, Trend::None, Season::Add),
    Form::new(Error::Mul, Trend::None, Season::Mul),
    Form::new(Error::Mul, Trend::Add, Season::Mul),
    Form::new(Error::Mul, Trend::Damped, Season::Mul),
];
