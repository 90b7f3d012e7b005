//! `basket_prefixes`: group-dependent transactions.  In: one basket's ranks. Out: one prefix for each shard it touches.

use super::columns::{check_type, integers, list_of};
use super::signatures::SHARDS;
use crate::args::Args;
use crate::error::{Error, Result};
use crate::functions::{BoundFunction, GroupContext, GroupFunction, GroupSchema, GroupWorker, Outcome};
use crate::signature::{Class, Column, Output, Role, Signature};
use arrow::array::{ArrayRef, Int8Array, Int64Array, ListArray, RecordBatch, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field};
use std::sync::Arc;

/// Kind of a row that carries a prefix; rows of kind 0 carry the dictionary of items.
pub const PREFIX: i8 = 1;

/// Splits a basket into the transactions that the shards need (PFP, step 3), heavy items by their second-rarest item.
///
/// In: the distinct ranks of one basket, ascending, rank 0 is the most frequent item; into how many pieces the itemsets of
/// each rank are cut. Piece `k` of `n` of rank `r` is those whose second-highest rank is `k` modulo `n`, and `{r}` itself is of
/// piece 0; it belongs to shard [`shard_of`]. Out: for each shard that has a piece in the basket one transaction: the longest
/// prefix that one of its pieces needs, and after it the heavy ranks whose pieces need a shorter one; the shard of the rarest
/// item first. A rank that stands in a transaction without need changes no count, because no piece of the shard has it as
/// second or further item there. O(shards met x basket length + heavy ranks x basket length) time, the first of it output.
/// Errors: `Data` on null, negative or repeated ranks.
/// Source: Li, Wang, Zhang, Zhang, Chang, PFP: Parallel FP-Growth for Query Recommendation, RecSys 2008.
pub struct BasketPrefixes;

/// The shard of piece `piece` of a rank: pieces of one rank lie side by side, so that they never share a shard.
pub(super) fn shard_of(rank: u32, piece: u32, shards: usize) -> usize {
    (rank as usize + piece as usize) % shards
}

static SIGNATURE: Signature = Signature {
    name: "basket_prefixes",
    summary: "the transactions of a basket, one for each mining shard that has an item in it",
    columns: &[
        Column {
            name: "basket",
            role: Role::Key,
            class: Class::Exact,
            many: false,
            required: true,
            meaning: "identifier of the basket",
        },
        Column {
            name: "rank",
            role: Role::Order,
            class: Class::Exact,
            many: false,
            required: true,
            meaning: "position of the item in the list of frequent items, 0 for the most frequent; distinct in a basket",
        },
        Column {
            name: "pieces",
            role: Role::Value,
            class: Class::Exact,
            many: false,
            required: true,
            meaning: "into how many pieces the item's itemsets are cut by their second-rarest item, 1 to shards",
        },
    ],
    tables: &[],
    params: &[SHARDS],
    output: &[
        Output { name: "shard", kind: "BIGINT", meaning: "a shard with a piece of the prefix's last item" },
        Output { name: "kind", kind: "TINYINT", meaning: "1: the row carries a prefix" },
        Output {
            name: "prefix",
            kind: "INTEGER UNSIGNED[]",
            meaning: "ranks of the basket that the shard needs, ascending",
        },
    ],
};

impl GroupFunction for BasketPrefixes {
    fn signature(&self) -> &'static Signature {
        &SIGNATURE
    }

    fn is_public(&self) -> bool {
        false
    }

    fn bind(&self, input: &GroupSchema, args: &Args) -> Result<Arc<dyn BoundFunction>> {
        for at in [1, 2] {
            let field = input.schema.field(at);
            check_type(SIGNATURE.name, field, field.data_type().is_integer(), "integer")?;
        }
        Ok(Arc::new(Bound { shards: args.integer("shards")? as usize }))
    }
}

struct Bound {
    shards: usize,
}

impl BoundFunction for Bound {
    fn output(&self) -> Vec<Field> {
        vec![
            Field::new("shard", DataType::Int64, false),
            Field::new("kind", DataType::Int8, false),
            Field::new("prefix", list_of(DataType::UInt32), false),
        ]
    }

    fn worker(&self) -> Box<dyn GroupWorker> {
        Box::new(Worker {
            shards: self.shards,
            ranks: Vec::new(),
            pieces: Vec::new(),
            needs: Vec::new(),
            met: vec![(0, 0); self.shards],
            group: 0,
            seen: Vec::new(),
            out_shard: Vec::new(),
            out_offsets: vec![0],
            out_ranks: Vec::new(),
        })
    }
}

/// What a shard needs of the basket.
#[derive(Default)]
struct Need {
    shard: usize,
    /// Length of a prefix.
    prefix: usize,
    /// Positions of heavy ranks, the rarest first.
    heavy: Vec<usize>,
}

struct Worker {
    shards: usize,
    /// The basket.
    ranks: Vec<u32>,
    pieces: Vec<u32>,
    /// Needs of the shards met, in the order in which they were met.
    needs: Vec<Need>,
    /// Per shard the last group that met it, so that nothing need be cleared, and its place in `needs`.
    met: Vec<(u64, usize)>,
    group: u64,
    /// Residue classes met of a heavy rank.
    seen: Vec<bool>,
    out_shard: Vec<i64>,
    out_offsets: Vec<i32>,
    out_ranks: Vec<u32>,
}

impl GroupWorker for Worker {
    fn push(&mut self, rows: &RecordBatch) -> Result<()> {
        for &rank in integers(SIGNATURE.name, "rank", rows.column(1))?.values() {
            let rank = to_rank(rank)?;
            if self.ranks.last().is_some_and(|&last| last >= rank) {
                return Err(Error::Data(format!(
                    "{}: ranks of a basket must be distinct and ascending, add DISTINCT below: rank={rank}",
                    SIGNATURE.name
                )));
            }
            self.ranks.push(rank);
        }
        for &pieces in integers(SIGNATURE.name, "pieces", rows.column(2))?.values() {
            self.pieces.push(to_pieces(pieces, self.shards)?);
        }
        Ok(())
    }

    fn finish(&mut self, context: &dyn GroupContext) -> Result<Outcome> {
        context.check_cancelled()?;
        self.group += 1;
        self.needs.clear();
        for at in (0..self.ranks.len()).rev() {
            match self.pieces[at] {
                1 => {
                    let need = self.need(shard_of(self.ranks[at], 0, self.shards));
                    need.prefix = need.prefix.max(at + 1);
                }
                pieces => self.split(at, pieces),
            }
        }
        let length = |need: &Need| need.prefix + need.heavy.iter().filter(|&&at| at >= need.prefix).count();
        let more: usize = self.needs.iter().map(length).sum();
        if self.out_ranks.len() + more > i32::MAX as usize {
            return Err(Error::Limit(format!(
                "{}: a basket is too long to be split: use fewer shards, or leave such baskets out: items={}, shards={}",
                SIGNATURE.name,
                self.ranks.len(),
                self.shards
            )));
        }
        if self.out_ranks.len() + more > self.out_ranks.capacity() {
            context.reserve(self.memory_bytes() + 4 * more.max(self.out_ranks.len()))?;
        }
        for need in &self.needs {
            self.out_shard.push(need.shard as i64);
            self.out_ranks.extend_from_slice(&self.ranks[..need.prefix]);
            let beyond = need.heavy.iter().rev().filter(|&&at| at >= need.prefix);
            self.out_ranks.extend(beyond.map(|&at| self.ranks[at]));
            self.out_offsets.push(self.out_ranks.len() as i32);
        }
        let rows = self.needs.len();
        self.ranks.clear();
        self.pieces.clear();
        Ok(Outcome { rows, refused: false })
    }

    fn take(&mut self) -> Result<Vec<ArrayRef>> {
        let shard = Int64Array::from(std::mem::take(&mut self.out_shard));
        let kind = Int8Array::from(vec![PREFIX; shard.len()]);
        let ranks = Arc::new(UInt32Array::from(std::mem::take(&mut self.out_ranks)));
        let offsets = OffsetBuffer::new(std::mem::replace(&mut self.out_offsets, vec![0]).into());
        let field = Arc::new(Field::new_list_field(DataType::UInt32, true));
        let prefix = ListArray::try_new(field, offsets, ranks, None)?;
        Ok(vec![Arc::new(shard), Arc::new(kind), Arc::new(prefix)])
    }

    fn memory_bytes(&self) -> usize {
        let heavy: usize = self.needs.iter().map(|need| need.heavy.capacity()).sum();
        let words = 2 * self.met.capacity() + 5 * self.needs.capacity() + heavy + self.out_shard.capacity();
        let halves = self.ranks.capacity() + self.pieces.capacity() + self.out_offsets.capacity();
        words * 8 + (halves + self.out_ranks.capacity()) * 4
    }
}

impl Worker {
    fn need(&mut self, shard: usize) -> &mut Need {
        let (group, place) = &mut self.met[shard];
        if *group != self.group {
            (*group, *place) = (self.group, self.needs.len());
            self.needs.push(Need { shard, ..Need::default() });
        }
        &mut self.needs[*place]
    }

    /// What the pieces of the heavy rank at `at` need: the rank, and the prefix up to the last second item of the piece.
    fn split(&mut self, at: usize, pieces: u32) {
        let rank = self.ranks[at];
        self.seen.clear();
        self.seen.resize(pieces as usize, false);
        let mut left = pieces;
        for second in (0..at).rev() {
            let piece = self.ranks[second] % pieces;
            if !std::mem::replace(&mut self.seen[piece as usize], true) {
                let need = self.need(shard_of(rank, piece, self.shards));
                need.prefix = need.prefix.max(second + 1);
                need.heavy.push(at);
                left -= 1;
                if left == 0 {
                    return;
                }
            }
        }
        if !self.seen[0] {
            self.need(shard_of(rank, 0, self.shards)).heavy.push(at);
        }
    }
}

/// A number of pieces as the miner holds it. Errors: `Data`.
pub(super) fn to_pieces(pieces: i64, shards: usize) -> Result<u32> {
    u32::try_from(pieces)
        .ok()
        .filter(|&n| n >= 1 && n as usize <= shards)
        .ok_or_else(|| Error::Data(format!("pieces out of range: pieces={pieces}, allowed=1..={shards}")))
}

/// A rank as the miner holds it. Errors: `Data`.
pub(super) fn to_rank(rank: i64) -> Result<u32> {
    u32::try_from(rank)
        .ok()
        .filter(|&r| r < u32::MAX - 1)
        .ok_or_else(|| Error::Data(format!("rank out of range: rank={rank}, allowed=0..{}", u32::MAX - 1)))
}
