//! What the next night needs of a series, as bytes: the `fitted` column, read again through `state => TABLE(..)`.
//!
//! In: a portfolio and where its series stands. Out: some hundred bytes, the same on every host, and back.

use super::Choice;
use super::calendar::{Calendar, Clock};
use super::demand::Class;
use super::model::State;
use super::portfolio::{Member, Portfolio};
use super::predictive::{Shape, Support};
use super::scale;
use super::status::{Refusal, Status};
use std::collections::HashMap;
use std::sync::Arc;

/// Changes with the layout and with what the numbers of a model mean, so that bytes of another version are told from
/// broken ones.
const VERSION: u8 = 2;

/// Bits of the byte that says what is left out: a shape as the models expect, the weight of a single model, and values of
/// usual size.
const SHAPED: u8 = 1;
const SEVERAL: u8 = 2;
const SCALED_DOWN: u8 = 4;
const SCALED_UP: u8 = 8;

/// Bytes of the check sum at the end: the sum comes last, over everything else.
const CHECK: usize = 4;

/// A series between two nights.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    /// Hash of the arguments that the fit depends on.
    pub(super) arguments: u64,
    /// Class at the last fit.
    pub(super) class: Option<Class>,
    /// What kind of number the series holds.
    pub(super) support: Support,
    /// Stays with a fit and says when its turn comes to be made anew.
    pub(super) lot: u8,
    /// The calendar that the series lies on.
    pub(super) calendar: Calendar,
    /// The last step of the series on its calendar.
    pub(super) last: i64,
    /// The last value, which `fill => 'previous'` repeats.
    pub(super) last_value: f64,
    /// Shape of its errors in units of those that its models expect.
    pub(super) shape: Shape,
    /// Smoothed one-step error and smoothed size of it, for the tracking signal.
    pub(super) tracking: (f64, f64),
    /// The models.
    pub(super) portfolio: Portfolio,
}

/// Why a state is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unusable {
    /// Of other arguments.
    Arguments,
    /// Of another version.
    Version,
    /// No state at all.
    Broken,
}

impl Unusable {
    /// The refusal of a series that has nothing else.
    pub(super) fn refusal(self) -> Refusal {
        let what = match self {
            Self::Arguments => "state is of other arguments or types of columns",
            Self::Version => "state is of another version of lakecast",
            Self::Broken => "state is no state of lakecast",
        };
        let reason = format!("{what} and the input has no rows to fit anew from, add the history of the id");
        Refusal::new(Status::BadState, reason)
    }
}

impl Memory {
    /// Steps of the series so far.
    pub(super) fn steps(&self) -> u64 {
        self.portfolio.members.first().map_or(0, |m| m.state.steps)
    }

    /// Draws the lot that says when this fit's turn comes to be made anew, so that not all come in one night: from its
    /// errors, which differ where parameters at their bounds do not.
    pub(super) fn draw(&mut self) {
        let first = self.portfolio.members.first();
        let errors = first.map(|m| m.state.sse.to_bits() ^ m.state.errors);
        self.lot = (fnv(errors.unwrap_or(0).to_le_bytes()) >> 32) as u8;
    }

    /// Appends the bytes to `out`. Cost: O(states).
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let begin = out.len();
        out.push(VERSION);
        out.extend_from_slice(&self.arguments.to_le_bytes());
        out.push(self.class.map_or(u8::MAX, |c| c as u8));
        out.push(self.support as u8);
        out.push(self.lot);
        let portfolio = &self.portfolio;
        let single = portfolio.members.len() == 1 && portfolio.members[0].weight == 1.0;
        let flags = [
            (self.shape != Shape::NORMAL, SHAPED),
            (!single, SEVERAL),
            (portfolio.scale < 1.0, SCALED_DOWN),
            (portfolio.scale > 1.0, SCALED_UP),
        ];
        out.push(flags.iter().filter(|f| f.0).map(|f| f.1).sum());
        let (origin, code, units) = self.calendar.parts();
        number(out, f64::from_bits(origin as u64));
        out.push(code);
        whole(out, units as u64);
        whole(out, self.last as u64);
        number(out, self.last_value);
        if self.shape != Shape::NORMAL {
            let Shape { reach: [narrow, wide], variance, tilt } = self.shape;
            [narrow, wide, variance, tilt].iter().for_each(|v| number(out, *v));
        }
        number(out, self.tracking.0);
        number(out, self.tracking.1);
        if !single {
            whole(out, portfolio.members.len() as u64);
        }
        for m in &portfolio.members {
            whole(out, m.choice.text.len() as u64);
            out.extend_from_slice(m.choice.text.as_bytes());
            if !single {
                number(out, m.weight);
                number(out, m.season);
            }
            whole(out, m.state.steps);
            whole(out, m.state.errors);
            number(out, m.state.sse);
            numbers(out, &m.state.parameters);
            numbers(out, &m.state.states);
        }
        let check = check(&out[begin..]);
        out.extend_from_slice(&check);
    }

    /// Reads bytes that [`Memory::write`] wrote, into the memory that is there; what cannot be used leaves it undefined.
    /// `choices` holds the models met so far, by their text.
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        arguments: u64,
        clock: &Clock,
        season_length: usize,
        choices: &mut Choices,
    ) -> Result<(), Unusable> {
        let (body, sum) = bytes.split_last_chunk::<CHECK>().ok_or(Unusable::Broken)?;
        if check(body) != *sum {
            return Err(Unusable::Broken);
        }
        let mut rest = Bytes(body);
        if rest.byte().ok_or(Unusable::Broken)? != VERSION {
            return Err(Unusable::Version);
        }
        self.arguments = u64::from_le_bytes(rest.eight().ok_or(Unusable::Broken)?);
        if self.arguments != arguments {
            return Err(Unusable::Arguments);
        }
        self.fill(&mut rest, clock, season_length, choices).filter(|()| rest.0.is_empty()).ok_or(Unusable::Broken)
    }

    fn fill(&mut self, from: &mut Bytes, clock: &Clock, season_length: usize, choices: &mut Choices) -> Option<()> {
        let (class, support, lot, flags) = (from.byte()?, from.byte()?, from.byte()?, from.byte()?);
        self.lot = lot;
        self.class = Class::ALL.iter().copied().find(|c| *c as u8 == class);
        self.support = Support::ALL.into_iter().find(|s| *s as u8 == support)?;
        let origin = from.number()?.to_bits() as i64;
        self.calendar = Calendar::of_parts(clock, (origin, from.byte()?, from.whole()? as i64))?;
        // No calendar has more steps, and none less than one.
        self.last = i64::try_from(from.whole()?).ok().filter(|last| *last < i64::MAX / 4)?;
        self.last_value = from.number()?;
        self.shape = Shape::NORMAL;
        if flags & SHAPED != 0 {
            let reach = [from.number()?, from.number()?];
            self.shape = Shape { reach, variance: from.number()?, tilt: from.number()? };
        }
        self.tracking = (from.number()?, from.number()?);
        let unit = |size: f64| scale(size).map(|(down, _)| down);
        self.portfolio.scale = match flags & (SCALED_DOWN | SCALED_UP) {
            0 => 1.0,
            SCALED_DOWN => unit(f64::MAX)?,
            SCALED_UP => unit(f64::MIN_POSITIVE)?,
            _ => return None,
        };
        self.portfolio.season_length = season_length;
        let several = flags & SEVERAL != 0;
        let count = if several { usize::try_from(from.whole()?).ok()? } else { 1 };
        let members = &mut self.portfolio.members;
        members.truncate(count);
        for at in 0..count {
            let length = usize::try_from(from.whole()?).ok()?;
            let text = std::str::from_utf8(from.take(length)?).ok()?;
            if members.get(at).is_none_or(|m| m.choice.text != text) {
                let choice = choices.get(text, season_length)?;
                match members.get_mut(at) {
                    Some(member) => member.choice = choice,
                    None => members.push(Member { choice, weight: 1.0, season: 0.0, state: State::default() }),
                }
            }
            let member = members.get_mut(at)?;
            (member.weight, member.season) = if several { (from.number()?, from.number()?) } else { (1.0, 0.0) };
            let state = &mut member.state;
            state.clear();
            (state.steps, state.errors, state.sse) = (from.whole()?, from.whole()?, from.number()?);
            from.numbers(&mut state.parameters)?;
            from.numbers(&mut state.states)?;
        }
        (count > 0).then_some(())
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

const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// FNV-1a, 64 bits: the same on every host.
pub(super) fn fnv(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(FNV_BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME))
}

/// A check sum against torn and foreign bytes, eight at a time.
fn check(bytes: &[u8]) -> [u8; CHECK] {
    let (words, rest) = bytes.as_chunks::<8>();
    let mix = |hash: u64, word: u64| {
        let product = (hash ^ word).wrapping_mul(FNV_PRIME);
        product ^ (product >> 29)
    };
    let hash = words.iter().fold(FNV_BASIS, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let hash = rest.iter().fold(hash, |hash, byte| mix(hash, u64::from(*byte)));
    ((hash ^ (hash >> 32)) as u32).to_le_bytes()
}

fn number(out: &mut Vec<u8>, number: f64) {
    out.extend_from_slice(&number.to_le_bytes());
}

/// How many numbers, then eight by eight a byte that says which of them are small whole ones, and the numbers: windows of
/// counts and empty seasons take a byte each instead of eight.
fn numbers(out: &mut Vec<u8>, numbers: &[f64]) {
    whole(out, numbers.len() as u64);
    for eight in numbers.chunks(8) {
        let mask = out.len();
        out.push(0);
        for (bit, v) in eight.iter().enumerate() {
            let small = *v as i32;
            if f64::from(small).to_bits() == v.to_bits() && small.unsigned_abs() < 1 << 20 {
                out[mask] |= 1 << bit;
                whole(out, u64::from(small.unsigned_abs() << 1 | u32::from(small < 0)));
            } else {
                number(out, *v);
            }
        }
    }
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

    fn numbers(&mut self, out: &mut Vec<f64>) -> Option<()> {
        let mut left = usize::try_from(self.whole()?).ok()?;
        while left > 0 {
            let mask = self.byte()?;
            for bit in 0..left.min(8) {
                out.push(if mask & 1 << bit == 0 {
                    self.number()?
                } else {
                    let small = self.whole()?;
                    let size = f64::from((small >> 1) as u32);
                    if small & 1 == 1 { -size } else { size }
                });
            }
            left -= left.min(8);
        }
        Some(())
    }
}
