//! Codes for the values of a column.  In: arrays of one type, without nulls. Out: a number for each distinct value.
//!
//! Two open hash tables, one over whole numbers and one over bytes: a batch first looks up where its values would be, so
//! that the memory accesses of many rows overlap, and only then compares.

use crate::error::{Error, Result};
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, LargeStringArray, UInt64Array};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, UInt64Type};
use arrow::row::{RowConverter, SortField};
use std::sync::Arc;

/// The code of what is not there.
pub(super) const NONE: u32 = u32::MAX;

/// Distinct values of a column, numbered in the order in which they were first seen.
pub(super) struct Dictionary {
    kind: DataType,
    keys: Keys,
    /// Codes that a batch may have, before they are compared.
    guesses: Vec<u32>,
}

enum Keys {
    /// What fits in 64 bits.
    Words(Words),
    /// Strings.
    Texts(Bytes),
    /// Everything else, as bytes that compare alike.
    Rows(RowConverter, Bytes),
}

impl Dictionary {
    /// No values yet, of type `kind`. Errors: `Arrow` if such values cannot be compared.
    pub(super) fn new(kind: &DataType) -> Result<Self> {
        let keys = match kind {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Keys::Texts(Bytes::default()),
            DataType::Boolean | DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => {
                Keys::Words(Words::default())
            }
            kind if kind.is_integer() => Keys::Words(Words::default()),
            kind => Keys::Rows(RowConverter::new(vec![SortField::new(kind.clone())])?, Bytes::default()),
        };
        Ok(Self { kind: kind.clone(), keys, guesses: Vec::new() })
    }

    /// Number of distinct values.
    pub(super) fn len(&self) -> usize {
        match &self.keys {
            Keys::Words(words) => words.keys.len(),
            Keys::Texts(bytes) | Keys::Rows(_, bytes) => bytes.ends.len(),
        }
    }

    /// Appends the codes of `values` to `out`; new values get the next codes. Errors: `Limit` if codes run out.
    pub(super) fn codes(&mut self, values: &ArrayRef, out: &mut Vec<u32>) -> Result<()> {
        if self.len() + values.len() >= NONE as usize {
            return Err(Error::Limit(format!("too many distinct values: filter the input: values={}", self.len())));
        }
        let guesses = &mut self.guesses;
        match &mut self.keys {
            Keys::Words(keys) => keys.codes(words(values)?.values(), guesses, out),
            Keys::Texts(keys) => match values.data_type() {
                DataType::Utf8 => {
                    keys.codes(values.len(), |i| values.as_string::<i32>().value(i).as_bytes(), guesses, out)
                }
                DataType::LargeUtf8 => {
                    keys.codes(values.len(), |i| values.as_string::<i64>().value(i).as_bytes(), guesses, out)
                }
                _ => {
                    let views = values.as_string_view();
                    keys.codes(values.len(), |i| views.value(i).as_bytes(), guesses, out)
                }
            },
            Keys::Rows(converter, keys) => {
                let rows = converter.convert_columns(&[Arc::clone(values)])?;
                keys.codes(values.len(), |i| rows.row(i).data(), guesses, out)
            }
        }
        Ok(())
    }

    /// The codes of `values`, [`NONE`] for what is not there.
    pub(super) fn find(&self, values: &ArrayRef) -> Result<Vec<u32>> {
        Ok(match &self.keys {
            Keys::Words(keys) => words(values)?.values().iter().map(|&word| keys.find(word)).collect(),
            Keys::Texts(keys) => {
                let texts = cast(values, &DataType::LargeUtf8)?;
                let texts = texts.as_string::<i64>();
                (0..texts.len()).map(|i| keys.find(texts.value(i).as_bytes())).collect()
            }
            Keys::Rows(converter, keys) => {
                let rows = converter.convert_columns(&[Arc::clone(values)])?;
                rows.iter().map(|row| keys.find(row.data())).collect()
            }
        })
    }

    /// The values of `codes`, in their order.
    pub(super) fn values(&self, codes: &[u32]) -> Result<ArrayRef> {
        match &self.keys {
            Keys::Words(keys) => {
                let words: Vec<i64> = codes.iter().map(|&code| keys.keys[code as usize]).collect();
                from_words(words, &self.kind)
            }
            Keys::Texts(keys) => {
                let texts = keys.texts(codes)?;
                Ok(if self.kind == DataType::LargeUtf8 { texts } else { cast(&texts, &self.kind)? })
            }
            Keys::Rows(converter, keys) => {
                let parser = converter.parser();
                let rows = codes.iter().map(|&code| parser.parse(keys.get(code)));
                converter.convert_rows(rows)?.pop().ok_or_else(|| Error::Bug("a row without a column".into()))
            }
        }
    }

    /// Bytes held.
    pub(super) fn memory_bytes(&self) -> usize {
        let keys = match &self.keys {
            Keys::Words(words) => words.keys.capacity() * 8 + words.slots.memory_bytes(),
            Keys::Texts(bytes) | Keys::Rows(_, bytes) => bytes.memory_bytes(),
        };
        keys + self.guesses.capacity() * 4
    }
}

/// Whole numbers, dates, times and booleans as 64 bits.
fn words(values: &ArrayRef) -> Result<Int64Array> {
    Ok(match values.data_type() {
        DataType::UInt64 => {
            let bits = values.as_primitive::<UInt64Type>().values().inner().clone();
            Int64Array::new(ScalarBuffer::new(bits, 0, values.len()), None)
        }
        _ => cast(values, &DataType::Int64)?.as_primitive().clone(),
    })
}

fn from_words(words: Vec<i64>, kind: &DataType) -> Result<ArrayRef> {
    if *kind == DataType::UInt64 {
        return Ok(Arc::new(words.into_iter().map(|word| word as u64).collect::<UInt64Array>()));
    }
    let words: ArrayRef = Arc::new(Int64Array::from(words));
    let words = if *kind == DataType::Date32 { cast(&words, &DataType::Int32)? } else { words };
    Ok(cast(&words, kind)?)
}

/// Where codes are found by hash: each slot is empty or a code, the next free slot follows.
#[derive(Default)]
struct Slots(Vec<u32>);

impl Slots {
    /// Whether `more` further codes beside `len` fit with room to spare.
    fn fits(&self, len: usize, more: usize) -> bool {
        (len + more) * 4 <= self.0.len() * 3
    }

    /// Empty slots for `len` codes.
    fn sized(len: usize) -> Self {
        Self(vec![NONE; (len * 4 / 3 + 1).next_power_of_two().max(16)])
    }

    /// Where a hash begins.
    fn home(&self, hash: u64) -> usize {
        (hash >> 32) as usize & (self.0.len() - 1)
    }

    /// The code for which `same` holds, or the empty slot where it would be.
    fn probe(&self, hash: u64, same: impl Fn(u32) -> bool) -> Result<u32, usize> {
        let mut at = self.home(hash);
        loop {
            match self.0[at] {
                NONE => return Err(at),
                code if same(code) => return Ok(code),
                _ => at = (at + 1) & (self.0.len() - 1),
            }
        }
    }

    fn memory_bytes(&self) -> usize {
        self.0.capacity() * 4
    }
}

/// Two halves of a product mix every bit into the upper half of the hash.
fn mixed(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ 0x9e37_79b9_7f4a_7c15) * u128::from(b ^ 0xd1b5_4a32_d192_ed03);
    (product >> 64) as u64 ^ product as u64
}

fn hash_word(word: i64) -> u64 {
    mixed(word as u64, 0x2545_f491_4f6c_dd1d).wrapping_mul(0x9fb2_1c65_1e98_df25)
}

fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hash = bytes.len() as u64;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        hash = mixed(hash, u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mixed(hash, u64::from_le_bytes(last)).wrapping_mul(0x9fb2_1c65_1e98_df25)
}

#[derive(Default)]
struct Words {
    slots: Slots,
    /// By code.
    keys: Vec<i64>,
}

impl Words {
    fn codes(&mut self, words: &[i64], guesses: &mut Vec<u32>, out: &mut Vec<u32>) {
        if !self.slots.fits(self.keys.len(), words.len()) {
            self.slots = Slots::sized((self.keys.len() + words.len()).max(self.keys.len() * 2));
            for (code, &key) in self.keys.iter().enumerate() {
                if let Err(at) = self.slots.probe(hash_word(key), |_| false) {
                    self.slots.0[at] = code as u32;
                }
            }
        }
        guesses.clear();
        guesses.extend(words.iter().map(|&word| self.slots.0[self.slots.home(hash_word(word))]));
        let mut last = None;
        for (&word, &guess) in words.iter().zip(guesses.iter()) {
            let code = match last {
                Some((same, code)) if same == word => code,
                _ if self.keys.get(guess as usize) == Some(&word) => guess,
                _ => self.code(word),
            };
            last = Some((word, code));
            out.push(code);
        }
    }

    fn code(&mut self, word: i64) -> u32 {
        match self.slots.probe(hash_word(word), |code| self.keys[code as usize] == word) {
            Ok(code) => code,
            Err(at) => {
                let code = self.keys.len() as u32;
                self.slots.0[at] = code;
                self.keys.push(word);
                code
            }
        }
    }

    fn find(&self, word: i64) -> u32 {
        if self.keys.is_empty() {
            return NONE;
        }
        self.slots.probe(hash_word(word), |code| self.keys[code as usize] == word).unwrap_or(NONE)
    }
}

#[derive(Default)]
struct Bytes {
    slots: Slots,
    /// All values, one after the other.
    arena: Vec<u8>,
    /// Where each value ends in `arena`.
    ends: Vec<u64>,
    /// The hash of each value, so that growing reads no values and few are compared in vain.
    hashes: Vec<u64>,
}

impl Bytes {
    fn get(&self, code: u32) -> &[u8] {
        let code = code as usize;
        let start = if code == 0 { 0 } else { self.ends[code - 1] as usize };
        &self.arena[start..self.ends[code] as usize]
    }

    fn is(&self, code: u32, hash: u64, value: &[u8]) -> bool {
        self.hashes.get(code as usize) == Some(&hash) && self.get(code) == value
    }

    fn codes<'a>(&mut self, n: usize, value: impl Fn(usize) -> &'a [u8], guesses: &mut Vec<u32>, out: &mut Vec<u32>) {
        if !self.slots.fits(self.ends.len(), n) {
            self.slots = Slots::sized((self.ends.len() + n).max(self.ends.len() * 2));
            for (code, &hash) in self.hashes.iter().enumerate() {
                if let Err(at) = self.slots.probe(hash, |_| false) {
                    self.slots.0[at] = code as u32;
                }
            }
        }
        guesses.clear();
        guesses.extend((0..n).map(|i| self.slots.0[self.slots.home(hash_bytes(value(i)))]));
        let mut last: Option<(&[u8], u32)> = None;
        for (i, &guess) in guesses.iter().enumerate() {
            let bytes = value(i);
            let code = match last {
                Some((same, code)) if same == bytes => code,
                _ => {
                    let hash = hash_bytes(bytes);
                    if self.is(guess, hash, bytes) { guess } else { self.code(hash, bytes) }
                }
            };
            last = Some((bytes, code));
            out.push(code);
        }
    }

    fn code(&mut self, hash: u64, value: &[u8]) -> u32 {
        match self.slots.probe(hash, |code| self.is(code, hash, value)) {
            Ok(code) => code,
            Err(at) => {
                let code = self.ends.len() as u32;
                self.slots.0[at] = code;
                self.arena.extend_from_slice(value);
                self.ends.push(self.arena.len() as u64);
                self.hashes.push(hash);
                code
            }
        }
    }

    fn find(&self, value: &[u8]) -> u32 {
        if self.ends.is_empty() {
            return NONE;
        }
        let hash = hash_bytes(value);
        self.slots.probe(hash, |code| self.is(code, hash, value)).unwrap_or(NONE)
    }

    /// Texts of `codes`. Errors: `Arrow` if the bytes are no text, which texts always are.
    fn texts(&self, codes: &[u32]) -> Result<ArrayRef> {
        let mut values = Vec::with_capacity(codes.iter().map(|&code| self.get(code).len()).sum());
        codes.iter().for_each(|&code| values.extend_from_slice(self.get(code)));
        let offsets = OffsetBuffer::<i64>::from_lengths(codes.iter().map(|&code| self.get(code).len()));
        Ok(Arc::new(LargeStringArray::try_new(offsets, values.into(), None)?))
    }

    fn memory_bytes(&self) -> usize {
        self.arena.capacity() + (self.ends.capacity() + self.hashes.capacity()) * 8 + self.slots.memory_bytes()
    }
}
