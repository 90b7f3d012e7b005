//! The forms of the ETS family.  In: error, trend and season. Out: which of them make a model, and what it has to estimate.

/// How a component enters: not at all, added, multiplied; a trend may be damped instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::forecast) enum Error {
    Add,
    Mul,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::forecast) enum Trend {
    None,
    Add,
    Damped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::forecast) enum Season {
    None,
    Add,
    Mul,
}

/// One model of the family, ETS(error, trend, season).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::forecast) struct Form {
    pub(in crate::forecast) error: Error,
    pub(in crate::forecast) trend: Trend,
    pub(in crate::forecast) season: Season,
}

/// Smoothing parameters, in the order of [`super::search`]: alpha, beta, gamma, phi.
pub(in crate::forecast) type Smooth = [f64; 4];

impl Form {
    pub(in crate::forecast) const fn new(error: Error, trend: Trend, season: Season) -> Self {
        Self { error, trend, season }
    }

    /// Whether the variance of its forecasts is finite: an additive error under a multiplicative season divides by a
    /// season that may come near zero (Hyndman et al. 2008, 15.1; R and statsforecast refuse it too).
    pub(in crate::forecast) const fn is_admissible(self) -> bool {
        !matches!((self.error, self.season), (Error::Add, Season::Mul))
    }

    /// Whether values <= 0 have no likelihood under it.
    pub(in crate::forecast) const fn needs_positive(self) -> bool {
        matches!(self.error, Error::Mul) || matches!(self.season, Season::Mul)
    }

    pub(in crate::forecast) const fn has_trend(self) -> bool {
        !matches!(self.trend, Trend::None)
    }

    pub(in crate::forecast) const fn has_season(self) -> bool {
        !matches!(self.season, Season::None)
    }

    /// Which of alpha, beta, gamma, phi it has.
    pub(in crate::forecast) const fn uses(self) -> [bool; 4] {
        [true, self.has_trend(), self.has_season(), matches!(self.trend, Trend::Damped)]
    }

    /// Start states that count as estimated: the level, the trend, all seasons but one.
    pub(in crate::forecast) const fn free_states(self, season_length: usize) -> usize {
        1 + self.has_trend() as usize + if self.has_season() { season_length - 1 } else { 0 }
    }

    /// Fewest observations: two seasons to tell a season from a trend, and more than there is to estimate.
    pub(in crate::forecast) const fn observations_min(self, season_length: usize) -> usize {
        let [_, beta, gamma, phi] = self.uses();
        let smoothing = 1 + beta as usize + gamma as usize + phi as usize;
        let season = if self.has_season() { 2 * season_length + 2 + 2 * beta as usize + phi as usize } else { 0 };
        let count = smoothing + self.free_states(season_length) + 3;
        if season > count { season } else { count }
    }

    /// As kept in a state.
    pub(in crate::forecast) const fn code(self) -> f64 {
        (self.error as u8 as f64) + 2.0 * (self.trend as u8 as f64) + 6.0 * (self.season as u8 as f64)
    }

    /// From a state; what is no code is simple exponential smoothing.
    pub(in crate::forecast) fn from_code(code: f64) -> Self {
        FORMS.into_iter().find(|f| f.code() == code).unwrap_or(FORMS[0])
    }
}

/// Every admissible form; the trend is never multiplicative, because its forecasts explode.
pub(in crate::forecast) const FORMS: [Form; 15] = {
    use Trend::{Add, Damped, None};
    const fn f(error: Error, trend: Trend, season: Season) -> Form {
        Form::new(error, trend, season)
    }
    [
        f(Error::Add, None, Season::None),
        f(Error::Add, Add, Season::None),
        f(Error::Add, Damped, Season::None),
        f(Error::Add, None, Season::Add),
        f(Error::Add, Add, Season::Add),
        f(Error::Add, Damped, Season::Add),
        f(Error::Mul, None, Season::None),
        f(Error::Mul, Add, Season::None),
        f(Error::Mul, Damped, Season::None),
        f(Error::Mul, None, Season::Add),
        f(Error::Mul, Add, Season::Add),
        f(Error::Mul, Damped, Season::Add),
        f(Error::Mul, None, Season::Mul),
        f(Error::Mul, Add, Season::Mul),
        f(Error::Mul, Damped, Season::Mul),
    ]
};
