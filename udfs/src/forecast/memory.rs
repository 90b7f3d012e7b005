//! What the next night needs of a series, as bytes: the `fitted` column, read again through `state => TABLE(..)`.
//!
//! In: a portfolio and where its series stands. Out: some hundred bytes, the same on every host, and back.

use super::demand::Class;
use super::model::State;
use super::portfolio::{Member, Portfolio};
use super::predictive::{Shape, Support};
use super::status::{Refusal, Status};
use super::Choice;
use std::collections::HashMap;
use std::sync::Arc;

/// Changes with the layout, so that bytes of another version are told from broken ones.
const VERSION: u8 = 1;

/// A series between two nights.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    /// Hash of the arguments that the fit depends on.
    pub(super) arguments: u64,
    /// Class at the last fit.
    pub(super) class: Option<Class>,
    /// What kind of number the series holds.
    pub(super) support: Support,
    /// Last time of the series, in the unit of its column.
    pub(super) last_time: i64,
    /// The time one step before it, which tells the step.
    pub(super) time_before: i64,
    /// The last value.
    pub(super) last_value: f64,
    /// Values moved on by since the last fit.
    pub(super) since_fit: u64,
    /// Shape of its errors in units of those that its models expect.
    pub(super) shape: Shape,
    /// Smoothed one-step error and smoothed size of it, for the tracking signal.
    pub(super) tracking: (f64, f64),
    /// The models.
    pub(super) portfolio: Portfolio,
}

impl Memory {
    /// Steps of the series so far.
    pub(super) fn steps(&self) -> u64 {
        self.portfolio.members.first().map_or(0, |m| m.state.steps)
    }

    /// A number that differs from series to series and stays with a fit, so that not all are fitted anew in one night.
    pub(super) fn salt(&self) -> u64 {
        let first = self.portfolio.members.first();
        let parameters = first.map_or(&[][..], |m| m.state.parameters.as_slice());
        let bits = parameters.iter().map(|v| v.to_bits()).chain(self.shape.reach.map(f64::to_bits));
        fnv(bits.flat_map(u64::to_le_bytes)) % 1024
    }

    /// Appends the bytes to `out`. Cost: O(states).
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.extend(self.arguments.to_le_bytes());
        out.push(self.class.map_or(u8::MAX, |c| c as u8));
        out.push(self.support as u8);
        out.extend(self.last_time.to_le_bytes());
        whole(out, self.last_time.wrapping_sub(self.time_before) as u64);
        out.extend(self.last_value.to_le_bytes());
        whole(out, self.since_fit);
        let [narrow, wide] = self.shape.reach;
        for v in [narrow, wide, self.shape.variance, self.shape.tilt, self.tracking.0, self.tracking.1, self.portfolio.scale] {
            out.extend(v.to_le_bytes());
        }
        whole(out, self.portfolio.members.len() as u64);
        for m in &self.portfolio.members {
            whole(out, m.choice.text.len() as u64);
            out.extend(m.choice.text.as_bytes());
            out.extend(m.weight.to_le_bytes());
            out.extend(m.season.to_le_bytes());
            whole(out, m.state.steps);
            whole(out, m.state.errors);
            out.extend(m.state.sse.to_le_bytes());
            for numbers in [&m.state.parameters, &m.state.states] {
                whole(out, numbers.len() as u64);
                numbers.iter().for_each(|v| out.extend(v.to_le_bytes()));
            }
        }
    }

    /// Reads bytes that [`Memory::write`] wrote. `choices` holds the models met so far, by their text.
    ///
    /// Errors: a [`Refusal`] `bad_state` for bytes of another version or that are none.
    pub(super) fn read(bytes: &[u8], season_length: usize, choices: &mut Choices) -> Result<Self, Refusal> {
        let broken = || Refusal::new(Status::BadState, "state is no state of lakecast, leave it out to fit anew");
        let mut rest = Bytes(bytes);
        if rest.byte().ok_or_else(broken)? != VERSION {
            let reason = format!("state is of another version of lakecast, leave it out to fit anew: needed={VERSION}");
            return Err(Refusal::new(Status::BadState, reason));
        }
        rest.memory(season_length, choices).filter(|_| rest.0.is_empty()).ok_or_else(broken)
    }
}

/// Models by their text, so that each is bound once.
#[derive(Debug, Default)]
pub(super) struct Choices(HashMap<String, Arc<Choice>>);

impl Choices {
    fn get(&mut self, text: &str, season_length: usize) -> Option<Arc<Choice>> {
        if let Some(known) = self.0.get(text) {
            return Some(Arc::clone(known));
        }
        let choice = Arc::new(Choice::parse(text, season_length).ok()?);
        self.0.insert(text.into(), Arc::clone(&choice));
        Some(choice)
    }
}

/// FNV-1a, 64 bits: the same on every host.
pub(super) fn fnv(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A whole number, seven bits a byte.
fn whole(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// What is left to read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(n)?;
        self.0 = tail;
        Some(head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }

    fn eight(&mut self) -> Option<[u8; 8]> {
        self.take(8)?.try_into().ok()
    }

    fn number(&mut self) -> Option<f64> {
        self.eight().map(f64::from_le_bytes)
    }

    fn whole(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn numbers(&mut self) -> Option<Vec<f64>> {
        let n = usize::try_from(self.whole()?).ok()?;
        let bytes = self.take(n.checked_mul(8)?)?;
        Some(bytes.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect())
    }

    fn memory(&mut self, season_length: usize, choices: &mut Choices) -> Option<Memory> {
        let arguments = u64::from_le_bytes(self.eight()?);
        let (class, support) = (self.byte()?, self.byte()?);
        let last_time = i64::from_le_bytes(self.eight()?);
        let time_before = last_time.wrapping_sub(self.whole()? as i64);
        let last_value = self.number()?;
        let since_fit = self.whole()?;
        let shape = Shape { reach: [self.number()?, self.number()?], variance: self.number()?, tilt: self.number()? };
        let (tracking, scale) = ((self.number()?, self.number()?), self.number()?);
        let mut members = vec![];
        for _ in 0..self.whole()? {
            let length = usize::try_from(self.whole()?).ok()?;
            let text = std::str::from_utf8(self.take(length)?).ok()?;
            let choice = choices.get(text, season_length)?;
            let (weight, season) = (self.number()?, self.number()?);
            let (steps, errors, sse) = (self.whole()?, self.whole()?, self.number()?);
            let state = State { parameters: self.numbers()?, states: self.numbers()?, steps, errors, sse, aicc: f64::NAN };
            members.push(Member { choice, weight, season, state });
        }
        let class = Class::ALL.iter().copied().find(|c| *c as u8 == class);
        let portfolio = Portfolio { members, season_length, scale };
        let support = [Support::Real, Support::NonNegative, Support::Count].into_iter().find(|s| *s as u8 == support)?;
        Some(Memory { arguments, class, support, last_time, time_before, last_value, since_fit, shape, tracking, portfolio })
    }
}
