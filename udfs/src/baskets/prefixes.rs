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

/// Splits a basket into the transactions that the shards need (PFP, step 3).
///
/// In: the distinct ranks of one basket, ascending; rank 0 is the most frequent item. Out: for each shard
/// (`rank mod shards`) with an item in the basket the longest prefix that ends in one of its items, the rarest first.
/// O(shards met x basket length) time and output. Errors: `Data` on null, negative or repeated ranks.
/// Source: Li, Wang, Zhang, Zhang, Chang, PFP: Parallel FP-Growth for Query Recommendation, RecSys 2008.
pub struct BasketPrefixes;

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
    ],
    tables: &[],
    params: &[SHARDS],
    output: &[
        Output { name: "shard", kind: "BIGINT", meaning: "rank mod shards of the prefix's last item" },
        Output { name: "kind", kind: "TINYINT", meaning: "1: the row carries a prefix" },
        Output {
            name: "prefix",
            kind: "INTEGER UNSIGNED[]",
            meaning: "ranks of the basket, ascending, up to the shard's last",
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
        let rank = input.schema.field(1);
        check_type(SIGNATURE.name, rank, rank.data_type().is_integer(), "integer")?;
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
            ends: Vec::new(),
            met: vec![0; self.shards],
            group: 0,
            out_shard: Vec::new(),
            out_offsets: vec![0],
            out_ranks: Vec::new(),
        })
    }
}

struct Worker {
    shards: usize,
    /// The basket.
    ranks: Vec<u32>,
    /// Lengths of its prefixes.
    ends: Vec<usize>,
    /// Per shard the last group that met it, so that nothing need be cleared.
    met: Vec<u64>,
    group: u64,
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
        Ok(())
    }

    fn finish(&mut self, context: &dyn GroupContext) -> Result<Outcome> {
        context.check_cancelled()?;
        self.group += 1;
        self.ends.clear();
        for (at, &rank) in self.ranks.iter().enumerate().rev() {
            let met = &mut self.met[rank as usize % self.shards];
            if *met != self.group {
                *met = self.group;
                self.ends.push(at + 1);
                if self.ends.len() == self.shards {
                    break;
                }
            }
        }
        let more: usize = self.ends.iter().sum();
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
        for &end in &self.ends {
            self.out_shard.push(i64::from(self.ranks[end - 1]) % self.shards as i64);
            self.out_ranks.extend_from_slice(&self.ranks[..end]);
            self.out_offsets.push(self.out_ranks.len() as i32);
        }
        self.ranks.clear();
        Ok(Outcome { rows: self.ends.len(), refused: false })
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
        let words = self.met.capacity() + self.ends.capacity() + self.out_shard.capacity();
        let halves = self.ranks.capacity() + self.out_offsets.capacity() + self.out_ranks.capacity();
        words * 8 + halves * 4
    }
}

/// A rank as the miner holds it. Errors: `Data`.
pub(super) fn to_rank(rank: i64) -> Result<u32> {
    u32::try_from(rank)
        .ok()
        .filter(|&r| r < u32::MAX - 1)
        .ok_or_else(|| Error::Data(format!("rank out of range: rank={rank}, allowed=0..{}", u32::MAX - 1)))
}
