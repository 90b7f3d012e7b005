//! The Theta methods, static and dynamic, plain and optimised.  In: a series. Out: its line, its level and its season.

use super::drift::Drift;
use super::seasonal_adjustment::{Form, decompose, is_seasonal};
use super::theta_line::{CLASSIC, Found, Line, Lines, Smooth, WARM_UP};
use super::{Buffers, Kernel, Model, Path, Refusal, Spread, State, Status};
use crate::args::Args;
use crate::error::Result;
use crate::forecast::model::observed_count;
use crate::signature::{Kind, Param};
use std::sync::Arc;

/// The Theta method and its descendants: seasonally adjusted, a straight line and exponential smoothing of what is
/// left.
///
/// | parameter | default | range | meaning |
/// |---|---|---|---|
/// | `season_length` | 1 | at least 1 | observations per season, m |
/// | `alpha` | fitted | 0 to 1 | smoothing of the level; fitted between 0.1 (10 / n if that is less) and 0.99 |
/// | `theta` | 2, fitted by the optimised models | at least 1 | curvature of the theta line; 1 is exponential smoothing alone |
/// | `season` | auto | auto, add, mul, none | form of the season, if there is one |
///
/// | model | the line | theta |
/// |---|---|---|
/// | `theta` (STM) | through all values | 2 |
/// | `optimized_theta` (OTM) | through all values | fitted |
/// | `dynamic_theta` (DSTM) | through the values so far | 2 |
/// | `dynamic_optimized_theta` (DOTM) | through the values so far | fitted |
/// | `auto_theta` | through the values so far | 2 or fitted, by AICc |
///
/// In: `y`, n >= 4 values. Out: `horizon` means in the unit of `y`. A season is adjusted for if the series has two of
/// them and its autocorrelation at lag m differs from zero at 90 %: by the classical decomposition, multiplicative
/// unless a value is not positive or a factor is below 0.01 (auto). Its factors then stay. A missing value is a step of
/// time alone.
///
/// Parameters minimise the squared one-step errors from the fourth value on, with a prior on what short series do not
/// tell: that the start level lies near first value / theta, where the method puts it, and that 1 - 1 / theta, if
/// fitted, is 0.5 within 0.5, which weighs the less the less noise there is.
///
/// The variance of step h is that of exponential smoothing about a line, sigma^2 (1 + alpha^2 (h - 1)), times the
/// squared factor of a multiplicative season, with sigma^2 = SSE of the adjusted series / (errors - fitted parameters),
/// unknown where that is not positive. It takes line and season for known, so that errors far ahead of short series are
/// wider.
///
/// `auto_theta` leaves the static models out: their line has seen the values whose errors are compared, which favours
/// them where statsforecast compares them; with the same theta they forecast about what the dynamic ones do.
/// O(n + n m) time, O(n) memory while fitting, O(m) kept. Errors: `unfit` if `season => mul` cannot be.
/// Source: Fiorucci, Pellegrini, Louzada, Petropoulos & Koehler (2016), Models for optimising the theta method and
/// their relationship to state space models, IJF 32; Assimakopoulos & Nikolopoulos (2000), IJF 16; golden values from
/// statsforecast.
pub(super) struct Theta {
    name: &'static str,
    summary: &'static str,
    /// Which lines are tried.
    lines: &'static [Variant],
}

/// Which line, and whether theta is fitted.
#[derive(Debug, Clone, Copy)]
struct Variant {
    is_dynamic: bool,
    is_optimised: bool,
}

const STM: Variant = Variant { is_dynamic: false, is_optimised: false };
const OTM: Variant = Variant { is_dynamic: false, is_optimised: true };
const DSTM: Variant = Variant { is_dynamic: true, is_optimised: false };
const DOTM: Variant = Variant { is_dynamic: true, is_optimised: true };

pub(super) const THETA: Theta = Theta {
    name: "theta",
    summary: "Theta: half the slope of the line, exponential smoothing of the rest",
    lines: &[STM],
};
pub(super) const OPTIMIZED: Theta =
    Theta { name: "optimized_theta", summary: "Theta with the weight of the line fitted", lines: &[OTM] };
pub(super) const DYNAMIC: Theta =
    Theta { name: "dynamic_theta", summary: "Theta whose line moves on with each value", lines: &[DSTM] };
pub(super) const DYNAMIC_OPTIMIZED: Theta = Theta {
    name: "dynamic_optimized_theta",
    summary: "Theta whose line moves on with each value, its weight fitted",
    lines: &[DOTM],
};
pub(super) const AUTO: Theta = Theta {
    name: "auto_theta",
    summary: "Theta whose line moves on, its weight 1/2 or fitted, by AICc",
    lines: &[DSTM, DOTM],
};

const ALPHA: Param = Param {
    name: "alpha",
    kind: Kind::Number { min: 0.0, max: 1.0 },
    default: Some("null"),
    meaning: "smoothing of the level; left out it is fitted, between 0.1 (10 / n if that is less) and 0.99",
};
const SEASON: Param = Param {
    name: "season",
    kind: Kind::Choice(|| FORMS.iter().map(|f| f.0).collect()),
    default: Some("\"auto\""),
    meaning: "form of the season, if the test finds one; auto is mul, or add where values or factors are not positive",
};
const PARAMS: &[Param] = &[
    ALPHA,
    Param {
        name: "theta",
        kind: Kind::Number { min: 1.0, max: f64::INFINITY },
        default: Some("null"),
        meaning: "curvature of the theta line; left out it is 2, or fitted by the optimised models",
    },
    SEASON,
];
const FORMS: [(&str, Option<Form>); 4] =
    [("auto", None), ("add", Some(Form::Additive)), ("mul", Some(Form::Multiplicative)), ("none", Some(Form::None))];

impl Model for Theta {
    fn name(&self) -> &'static str {
        self.name
    }

    fn summary(&self) -> &'static str {
        self.summary
    }

    fn source(&self) -> &'static str {
        "Fiorucci, Pellegrini, Louzada, Petropoulos & Koehler (2016), IJF 32; Hyndman & Billah (2003), IJF 19"
    }

    fn params(&self) -> &'static [Param] {
        PARAMS
    }

    fn simpler(&self) -> Option<&'static dyn Model> {
        Some(&Drift)
    }

    fn bind(&self, args: &Args, season_length: usize) -> Result<Arc<dyn Kernel>> {
        let given =
            |name| -> Result<Option<f64>> { Ok(if args.is_null(name)? { None } else { Some(args.number(name)?) }) };
        let season = args.text("season")?;
        Ok(Arc::new(Fitter {
            season_length,
            form: FORMS.iter().find(|f| f.0 == season).and_then(|f| f.1),
            alpha: given("alpha")?,
            w: given("theta")?.map(|theta| 1.0 - 1.0 / theta),
            variants: self.lines,
        }))
    }
}

/// Factors below this make a multiplicative season meaningless; statsforecast's limit.
const FACTOR_MIN: f64 = 0.01;

/// The parameters of a state, before the factors of the season.
const FIXED: usize = 8;

struct Fitter {
    season_length: usize,
    /// `None` where the series decides.
    form: Option<Form>,
    alpha: Option<f64>,
    w: Option<f64>,
    variants: &'static [Variant],
}

/// A fitted Theta model: what it reads from `State::parameters`.
struct Fitted<'a> {
    alpha: f64,
    w: f64,
    shift: f64,
    /// First value, of which all else is a distance.
    zero: f64,
    /// The line, if it does not move.
    line: Option<(f64, f64)>,
    form: Form,
    /// Parameters that count against the errors.
    free: f64,
    factors: &'a [f64],
}

impl<'a> Fitted<'a> {
    fn read(p: &'a [f64]) -> Self {
        Self {
            alpha: p[0],
            w: p[1],
            shift: p[2],
            zero: p[3],
            line: if p[4].is_nan() { None } else { Some((p[4], p[5])) },
            form: Form::from_code(p[6]),
            free: p[7],
            factors: &p[FIXED..],
        }
    }

    fn factor(&self, step: u64) -> f64 {
        if self.factors.is_empty() { 1.0 } else { self.factors[(step % self.factors.len() as u64) as usize] }
    }
}

/// Where a Theta model stands: what it keeps in `State::states`.
#[derive(Clone, Copy)]
struct Standing {
    smooth: Smooth,
    line: Line,
    /// Sum of squared errors of the adjusted series.
    sse: f64,
}

impl Standing {
    const LENGTH: usize = 9;

    fn read(s: &[f64]) -> Self {
        Self {
            smooth: Smooth { level: s[0], u: s[1], v: s[2] },
            line: Line { n: s[3], mean_t: s[4], mean: s[5], tt: s[6], ty: s[7] },
            sse: s[8],
        }
    }

    fn write(&self) -> [f64; Self::LENGTH] {
        let (s, l) = (self.smooth, self.line);
        [s.level, s.u, s.v, l.n, l.mean_t, l.mean, l.tt, l.ty, self.sse]
    }

    fn next(&self, x: &Fitted) -> f64 {
        self.smooth.next(x.shift, x.w, x.line.unwrap_or_else(|| self.line.coefficients()))
    }

    fn push(&mut self, x: &Fitted, step: u64, z: f64) {
        self.smooth.push(x.alpha, z);
        self.line.push((step + 1) as f64, z);
    }
}

impl Kernel for Fitter {
    fn observations_min(&self) -> usize {
        WARM_UP as usize + 1
    }

    fn estimate(&self, y: &[f64], buffers: &mut Buffers, state: &mut State) -> std::result::Result<(), Refusal> {
        state.parameters.resize(FIXED, 0.0);
        let form = self.season(y, buffers, &mut state.parameters)?;
        let factors = &state.parameters[FIXED..];
        let mut z = buffers.take(0);
        match factors.len() {
            0 => z.extend_from_slice(y),
            m => y.chunks(m).for_each(|cycle| z.extend(cycle.iter().zip(factors).map(|(v, f)| form.remove(*v, *f)))),
        }
        let zero = z[0];
        z.iter_mut().for_each(|v| *v -= zero);
        let n = observed_count(&z);
        let Fit { found, line, free, aicc } = self.choose(z, n, buffers);
        let (a, b) = line.unwrap_or((f64::NAN, 0.0));
        state.parameters[..FIXED].copy_from_slice(&[found.alpha, found.w, found.shift, zero, a, b, form.code(), free]);
        state.aicc = aicc;
        let start = Standing { smooth: Smooth::START, line: Line::default(), sse: 0.0 };
        state.states.extend_from_slice(&start.write());
        Ok(())
    }

    fn update(&self, y: &[f64], state: &mut State) {
        let x = Fitted::read(&state.parameters);
        let mut at = Standing::read(&state.states);
        for &v in y {
            let step = state.steps;
            state.steps += 1;
            if v.is_nan() {
                at.smooth.v += 1.0;
                continue;
            }
            let factor = x.factor(step);
            let z = x.form.remove(v, factor) - x.zero;
            if at.line.n >= WARM_UP as f64 {
                let e = z - at.next(&x);
                at.sse += e * e;
                let e = e * x.form.stretch(factor);
                state.errors += 1;
                state.sse += e * e;
            }
            at.push(&x, step, z);
        }
        let states = at.write();
        state.states.copy_from_slice(&states);
    }

    fn forecast(&self, state: &State, path: &mut Path) -> Spread {
        let x = Fitted::read(&state.parameters);
        let mut at = Standing::read(&state.states);
        let left = state.errors as f64 - x.free;
        let variance = at.sse / left.max(1.0);
        for (t, (mean, deviation)) in path.mean.iter_mut().zip(&mut path.deviation).enumerate() {
            let step = state.steps + t as u64;
            let (z, factor) = (at.next(&x), x.factor(step));
            *mean = x.form.restore(z + x.zero, factor);
            *deviation = (variance * (1.0 + x.alpha * x.alpha * t as f64)).sqrt() * x.form.stretch(factor);
            at.push(&x, step, z);
        }
        if left > 0.0 { Spread::Known } else { Spread::Unknown }
    }
}

impl Fitter {
    /// The form of the season and its factors, appended to `parameters`.
    fn season(
        &self,
        y: &[f64],
        buffers: &mut Buffers,
        parameters: &mut Vec<f64>,
    ) -> std::result::Result<Form, Refusal> {
        let m = self.season_length;
        if self.form == Some(Form::None) || m < 2 || y.len() < 2 * m || !is_seasonal(y, m, buffers) {
            return Ok(Form::None);
        }
        let mut factors = buffers.take(m);
        let is_positive = !y.iter().any(|v| *v <= 0.0);
        let mut form = self.form.unwrap_or(if is_positive { Form::Multiplicative } else { Form::Additive });
        let mut is_fit = form != Form::Multiplicative || is_positive;
        if is_fit {
            decompose(y, m, form, &mut factors, buffers);
            if form == Form::Multiplicative && factors.iter().any(|f| *f < FACTOR_MIN) {
                is_fit = self.form.is_none();
                form = Form::Additive;
                decompose(y, m, form, &mut factors, buffers);
            }
        }
        parameters.extend_from_slice(&factors);
        buffers.give(factors);
        if is_fit {
            Ok(form)
        } else {
            Err(Refusal::new(Status::Unfit, "a multiplicative season needs values and factors above 0: season=mul"))
        }
    }

    /// The variant with the least criterion.
    fn choose(&self, z: Vec<f64>, n: usize, buffers: &mut Buffers) -> Fit {
        let mut lines = Lines::new(z, self.variants[0].is_dynamic, buffers);
        let fit = |lines: &Lines, variant: &Variant| {
            let w = self.w.or(if variant.is_optimised { None } else { Some(CLASSIC) });
            let found = lines.search(self.alpha, w, true);
            let line = if variant.is_dynamic { None } else { Some(lines.last()) };
            // The start level; what was searched; the line, where it was drawn through values still to come.
            let fitted = [true, self.alpha.is_none(), w.is_none(), line.is_some(), line.is_some()];
            let free = fitted.into_iter().filter(|f| *f).count() as f64;
            Fit { found, line, free, aicc: aicc(found.sse, n as f64 - WARM_UP as f64, free + 1.0) }
        };
        let mut best = fit(&lines, &self.variants[0]);
        for pair in self.variants.windows(2) {
            if pair[1].is_dynamic != pair[0].is_dynamic {
                lines.draw(pair[1].is_dynamic);
            }
            let next = fit(&lines, &pair[1]);
            if next.aicc < best.aicc {
                best = next;
            }
        }
        lines.give(buffers);
        best
    }
}

/// What `estimate` chose.
struct Fit {
    found: Found,
    /// The line, unless it moves.
    line: Option<(f64, f64)>,
    /// Parameters that count against the errors.
    free: f64,
    aicc: f64,
}

/// Akaike's criterion, corrected for few observations, of normal errors; infinite where there are too few.
fn aicc(sse: f64, n: f64, k: f64) -> f64 {
    let left = n - k - 1.0;
    let correction = if left > 0.0 { 2.0 * k * (k + 1.0) / left } else { 1e6 };
    n * libm::log((sse / n).max(f64::MIN_POSITIVE)) + 2.0 * k + correction
}

#[cfg(test)]
mod tests;
