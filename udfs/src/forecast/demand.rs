//! What kind of demand a series is: the class that chooses its models.
//!
//! In: the values of one series, NaN where missing. Out: a class and the figures behind it.

/// Mean interval between sales above which demand is intermittent. Source: Syntetos, Boylan & Croston (2005).
pub(super) const ADI_BORDER: f64 = 1.32;

/// Squared coefficient of variation of the sales above which demand is erratic or lumpy. Source: as [`ADI_BORDER`].
pub(super) const CV_SQUARED_BORDER: f64 = 0.49;

/// Observations below which a series counts as new.
pub(super) const NEW_BELOW: usize = 4;

/// Chance of a silence as long as the last one, below which a series counts as dead, were sales still as frequent.
const DEAD_CHANCE: f64 = 0.01;

/// Mean intervals between sales that the last silence of a dead series is longer than.
const DEAD_INTERVALS: f64 = 3.0;

/// The class of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Hardly any observation, or no sale yet.
    New,
    /// Less than two seasons, or too few values to tell anything else.
    Short,
    /// Sells nearly every step, in similar amounts.
    Smooth,
    /// Sells nearly every step, in very different amounts.
    Erratic,
    /// Sells now and then, in similar amounts.
    Intermittent,
    /// Sells now and then, in very different amounts.
    Lumpy,
    /// Sold once, and has been silent for far longer than its usual interval.
    Dead,
}

impl Class {
    /// Every class.
    pub const ALL: &[Self] =
        &[Self::New, Self::Short, Self::Smooth, Self::Erratic, Self::Intermittent, Self::Lumpy, Self::Dead];

    /// As in the `class` column.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// What it says about the series, for help.
    pub fn meaning(self) -> &'static str {
        self.row().1
    }

    /// Whether most steps are zero.
    pub fn is_intermittent(self) -> bool {
        matches!(self, Self::Intermittent | Self::Lumpy | Self::Dead)
    }

    fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::New => ("new", "hardly any observation, or no sale yet"),
            Self::Short => ("short", "less than two seasons, or too few values to tell more"),
            Self::Smooth => ("smooth", "sells nearly every step, in similar amounts"),
            Self::Erratic => ("erratic", "sells nearly every step, in very different amounts"),
            Self::Intermittent => ("intermittent", "sells now and then, in similar amounts"),
            Self::Lumpy => ("lumpy", "sells now and then, in very different amounts"),
            Self::Dead => ("dead", "sold once, and has been silent for far longer than its usual interval"),
        }
    }
}

/// The figures behind a class. Steps are counted from the first sale on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Demand {
    /// The class.
    pub class: Class,
    /// Observed steps from the first sale on.
    pub observed: usize,
    /// Steps with a value other than zero.
    pub sales: usize,
    /// Observed steps before the first sale.
    pub leading_zeros: usize,
    /// Observed steps since the last sale.
    pub silence: usize,
    /// Mean interval between sales in steps: observed steps per sale; infinite without a sale.
    pub adi: f64,
    /// Squared coefficient of variation of the sales; 0 with fewer than two.
    pub cv_squared: f64,
    /// Mean of the sales; 0 without one.
    pub sale_mean: f64,
}

/// Classifies a series.
///
/// `y`: values or NaN for missing ones; `season_length`: at least 1. O(n) time, no memory. A value other than zero is a
/// sale, so that series of returns and of temperatures have a class too. Source: Syntetos, Boylan & Croston (2005), On the
/// categorization of demand patterns, JORS 56; length and silence are ours.
pub fn classify(y: &[f64], season_length: usize) -> Demand {
    let (mut observed, mut sales, mut leading_zeros, mut silence) = (0_usize, 0_usize, 0_usize, 0_usize);
    let (mut mean, mut squares) = (0.0_f64, 0.0_f64);
    for &v in y.iter().filter(|v| !v.is_nan()) {
        if v == 0.0 && sales == 0 {
            leading_zeros += 1;
            continue;
        }
        observed += 1;
        if v == 0.0 {
            silence += 1;
            continue;
        }
        silence = 0;
        sales += 1;
        let before = mean;
        mean += (v - mean) / sales as f64;
        squares += (v - before) * (v - mean);
    }
    let adi = if sales > 0 { observed as f64 / sales as f64 } else { f64::INFINITY };
    let cv_squared = if sales > 1 && mean != 0.0 { squares / (sales - 1) as f64 / (mean * mean) } else { 0.0 };
    let class = if sales == 0 || observed < NEW_BELOW {
        Class::New
    } else if is_dead(silence, adi) {
        Class::Dead
    } else if observed < 2 * season_length.max(4) {
        Class::Short
    } else {
        match (adi > ADI_BORDER, cv_squared > CV_SQUARED_BORDER) {
            (false, false) => Class::Smooth,
            (false, true) => Class::Erratic,
            (true, false) => Class::Intermittent,
            (true, true) => Class::Lumpy,
        }
    };
    Demand { class, observed, sales, leading_zeros, silence, adi, cv_squared, sale_mean: mean }
}

/// Whether a silence is far longer than usual: longer than three mean intervals, and than all but one of a hundred gaps
/// between sales that come at random at the same rate.
fn is_dead(silence: usize, adi: f64) -> bool {
    if silence as f64 <= DEAD_INTERVALS * adi {
        return false;
    }
    // The chance of so many steps without a sale, (1 - 1 / adi)^silence, multiplied out: no logarithm is needed.
    let mut chance = 1.0;
    for _ in 0..silence {
        chance *= 1.0 - 1.0 / adi;
        if chance < DEAD_CHANCE {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(y: &[f64]) -> Class {
        classify(y, 7).class
    }

    #[test]
    fn a_series_of_each_kind_has_its_class() {
        let every = |n: usize, of: fn(usize) -> f64| (0..n).map(of).collect::<Vec<_>>();
        assert_eq!(class(&[]), Class::New);
        assert_eq!(class(&[0.0; 60]), Class::New);
        assert_eq!(class(&[0.0, 0.0, 1.0, 2.0, 1.0]), Class::New);
        assert_eq!(class(&every(10, |_| 3.0)), Class::Short);
        assert_eq!(class(&every(60, |t| 3.0 + (t % 2) as f64)), Class::Smooth);
        assert_eq!(class(&every(60, |t| if t % 5 == 0 { 50.0 } else { 3.0 })), Class::Erratic);
        assert_eq!(class(&every(60, |t| if t % 3 == 0 { 2.0 } else { 0.0 })), Class::Intermittent);
        assert_eq!(class(&every(60, |t| [2.0, 0.0, 0.0, 40.0, 0.0, 0.0, 1.0, 0.0][t % 8])), Class::Lumpy);
        assert_eq!(class(&every(90, |t| if t < 60 && t % 3 == 0 { 2.0 } else { 0.0 })), Class::Dead);
    }

    #[test]
    fn missing_steps_and_leading_zeros_count_in_no_interval() {
        let y = [0.0, 0.0, f64::NAN, 2.0, f64::NAN, 0.0, 4.0, 0.0, f64::NAN];
        let d = classify(&y, 1);
        assert_eq!((d.observed, d.sales, d.leading_zeros, d.silence), (4, 2, 2, 1));
        assert_eq!((d.adi, d.sale_mean), (2.0, 3.0));
        assert!((d.cv_squared - 2.0 / 9.0).abs() < 1e-15);
    }

    #[test]
    fn every_class_has_a_name_of_its_own() {
        let names: std::collections::HashSet<_> = Class::ALL.iter().map(|c| c.name()).collect();
        assert_eq!(names.len(), Class::ALL.len());
    }
}
