//! One model, or the weighted mean of several, on their way through a series.
//!
//! In: fitted members. Out: one path, moved on by further values in O(values).

use super::model::{Path, Spread, State};
use super::{Buffers, Choice};
use std::fmt::Write;
use std::sync::Arc;

/// A model of a portfolio: what was chosen, its share, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// The model.
    pub(super) choice: Arc<Choice>,
    /// Its share; the weights of a portfolio sum to 1.
    pub(super) weight: f64,
    /// Share of its season that the other members lack and borrow; 0 if each has its own or there is none.
    pub(super) season: f64,
    /// Where it stands.
    pub(super) state: State,
}

/// The models that forecast a series.
#[derive(Debug, Clone, Default)]
pub(super) struct Portfolio {
    /// At least one, the heaviest first.
    pub(super) members: Vec<Member>,
    /// Steps of a season, over which a borrowed season has mean zero.
    pub(super) season_length: usize,
    /// Power of two by which values are multiplied before a model sees them; 1 for values of usual size.
    pub(super) scale: f64,
}

impl Portfolio {
    /// As in the `model` column, into `out`: the name of one model, or weights and names of several.
    pub(super) fn text(&self, out: &mut String) {
        out.clear();
        if let [one] = self.members.as_slice() {
            return out.push_str(&one.choice.text);
        }
        for (i, m) in self.members.iter().enumerate() {
            out.push_str(if i == 0 { "" } else { " + " });
            hundredths(m.weight, out);
            out.push(' ');
            out.push_str(&m.choice.text);
        }
    }

    /// Moves every member on by further values; NaN is a step without observation.
    pub(super) fn update(&mut self, y: &[f64], buffers: &mut Buffers) {
        if self.scale == 1.0 {
            return self.members.iter_mut().for_each(|m| m.choice.kernel.update(y, &mut m.state));
        }
        let mut scaled = buffers.take(0);
        scaled.extend(y.iter().map(|v| v * self.scale));
        self.members.iter_mut().for_each(|m| m.choice.kernel.update(&scaled, &mut m.state));
        buffers.give(scaled);
    }

    /// The weighted mean of the members' paths into `path`; `member` is scratch.
    ///
    /// The deviation is the weighted mean of theirs: errors of forecasts of one series are all but perfectly correlated.
    /// A member without a spread leaves it to the others.
    pub(super) fn forecast(&self, path: &mut Path, member: &mut Path) -> Spread {
        if let [one] = self.members.as_slice() {
            let spread = one.choice.kernel.forecast(&one.state, path);
            self.unscale(path);
            return spread;
        }
        let horizon = path.mean.len();
        path.reset(horizon);
        let mut known = 0.0;
        for m in &self.members {
            member.reset(if m.season == 0.0 { horizon } else { horizon.max(self.season_length) });
            let spread = m.choice.kernel.forecast(&m.state, member);
            if m.season != 0.0 {
                let level = member.mean[..self.season_length].iter().sum::<f64>() / self.season_length as f64;
                path.mean.iter_mut().zip(&member.mean).for_each(|(sum, v)| *sum += m.season * (v - level));
            }
            path.mean.iter_mut().zip(&member.mean).for_each(|(sum, v)| *sum += m.weight * v);
            if spread == Spread::Known {
                known += m.weight;
                path.deviation.iter_mut().zip(&member.deviation).for_each(|(sum, v)| *sum += m.weight * v);
            }
        }
        self.unscale(path);
        if known == 0.0 {
            return Spread::Unknown;
        }
        path.deviation.iter_mut().for_each(|d| *d /= known);
        Spread::Known
    }

    fn unscale(&self, path: &mut Path) {
        if self.scale != 1.0 {
            path.mean.iter_mut().chain(&mut path.deviation).for_each(|v| *v /= self.scale);
        }
    }
}

/// As `{:.2}` writes a weight, without the machinery of formatting where no tie is near.
fn hundredths(weight: f64, out: &mut String) {
    let scaled = weight * 100.0;
    if !(0.0..=100.0).contains(&scaled) || (scaled.fract() - 0.5).abs() < 1e-6 {
        let _ = write!(out, "{weight:.2}");
        return;
    }
    let whole = scaled.round() as u8;
    out.push_str(if whole == 100 { "1." } else { "0." });
    out.push(char::from(b'0' + whole / 10 % 10));
    out.push(char::from(b'0' + whole % 10));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_written_as_by_the_formatter() {
        for k in 0..=20_000 {
            let weight = f64::from(k) / 20_000.0;
            let mut own = String::new();
            hundredths(weight, &mut own);
            assert_eq!(own, format!("{weight:.2}"));
        }
    }
}
