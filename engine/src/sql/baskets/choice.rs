//! Which of the three plans of mining a call gets.  In: the call, the size of its input, memory. Out: a plan and why.

use super::size::Size;
use super::text::is_given;
use crate::functions::to_datafusion;
use crate::sql::call::Call;
use datafusion::common::{Result, plan_err};

/// How the work is spread over tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spread {
    /// Every segment in one task.
    Segment,
    /// All baskets to every task, items handed out.
    Broadcast,
    /// Prefixes of baskets to the tasks of their items (PFP).
    Prefix,
}

impl Spread {
    const ALL: [(&str, Self); 3] =
        [("segment", Self::Segment), ("broadcast", Self::Broadcast), ("prefix", Self::Prefix)];

    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, spread)| *spread == self).map_or("", |(name, _)| name)
    }

    /// Arguments that the plan has no place for.
    fn cannot(self) -> &'static [&'static str] {
        match self {
            Self::Segment => &[],
            Self::Broadcast => &["by"],
            Self::Prefix => &["by", "weight", "categories", "top_k", "max_basket_items"],
        }
    }

    /// Those of them that the call gives, and kinds of itemsets that are known only where all itemsets are.
    fn refuses(self, call: &Call) -> Vec<&'static str> {
        let mut refused: Vec<_> = self.cannot().iter().copied().filter(|name| is_given(call, name)).collect();
        if self == Self::Prefix && wants_a_kind(call) {
            refused.push(KIND);
        }
        refused
    }
}

/// The argument that asks for closed or maximal itemsets.
const KIND: &str = "itemsets";

/// Whether closed or maximal itemsets are asked for.
pub(super) fn wants_a_kind(call: &Call) -> bool {
    call.args.has(KIND) && call.args.text(KIND).is_ok_and(|kind| kind != "all")
}

/// Bytes that a row of the input takes while it is encoded in one task: codes of basket and item, held twice while rows go
/// to their baskets.
const ENCODED_BYTES_A_ROW: u64 = 16;

/// How many times the bytes of a compressed file its rows take while they are encoded, where nobody says how many there are.
const ENCODED_BYTES_A_FILE_BYTE: u64 = 4;

/// The share of memory that encoding may fill: the miner, and the sorts of other partitions, need the rest.
const MEMORY_SHARE: u64 = 2;

/// Chooses the plan. Errors: a plan that the call names and that cannot do what it asks.
pub(super) fn choose(call: &Call, size: Size, memory_bytes: usize) -> Result<(Spread, String)> {
    let asked = call.args.text("plan").map_err(to_datafusion)?;
    if let Some((name, spread)) = Spread::ALL.iter().find(|(name, _)| *name == asked) {
        let refused = spread.refuses(call);
        if refused.is_empty() {
            return Ok((*spread, format!("plan={name}: the call says so")));
        }
        let able = Spread::ALL.iter().filter(|(_, other)| other.refuses(call).is_empty()).map(|(name, _)| *name);
        let able: Vec<_> = std::iter::once("auto").chain(able).collect();
        return plan_err!(
            "{}: the plan cannot do what the call asks: plan={name}, it has no place for=[{}], possible=[{}]",
            call.signature.name,
            refused.join(", "),
            able.join(", ")
        );
    }
    let (spread, why) = by_size(call, size, memory_bytes);
    Ok((spread, format!("plan={}: {why}", spread.name())))
}

fn by_size(call: &Call, size: Size, memory_bytes: usize) -> (Spread, String) {
    if is_given(call, "by") {
        return (Spread::Segment, "by gives many problems, each mined whole in one task".into());
    }
    let (known, bytes) = match size {
        Size { rows: Some(rows), .. } => (format!("rows<={rows}"), rows.saturating_mul(ENCODED_BYTES_A_ROW)),
        Size { bytes: Some(bytes), .. } => {
            (format!("file_bytes<={bytes}"), bytes.saturating_mul(ENCODED_BYTES_A_FILE_BYTE))
        }
        _ => return (Spread::Broadcast, "the tables do not say how large the input is".into()),
    };
    let room = memory_bytes as u64 / MEMORY_SHARE;
    let sizes = format!("{known}, encoding_bytes<={bytes}, memory_bytes={memory_bytes}");
    if bytes <= room {
        return (Spread::Broadcast, format!("one task can encode all baskets in half of the memory, {sizes}"));
    }
    match Spread::Prefix.refuses(call) {
        refused if refused.is_empty() => {
            let why = "no task can encode all baskets in half of the memory; max_itemsets holds for each shard";
            (Spread::Prefix, format!("{why}, {sizes}"))
        }
        refused => (
            Spread::Broadcast,
            format!("the baskets may not fit in memory, but prefix has no place for [{}], {sizes}", refused.join(", ")),
        ),
    }
}
