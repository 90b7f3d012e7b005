//! Groups under a small pool: one too large is refused alone, small ones never are, and what cannot be refused fails.

use super::*;
use crate::functions::Functions;
use datafusion::arrow::array::{AsArray, Float64Array, Int64Array, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryConsumer, MemoryPool};
use lakecast_udfs::args::Args;
use lakecast_udfs::functions::{BoundFunction, GroupSchema, Outcome};
use std::sync::Arc;

const POOL: usize = 16 << 20;
const BATCH: usize = 8192;

fn forecast(schema: &SchemaRef) -> Arc<dyn BoundFunction> {
    let function = Functions::default().get("forecast").unwrap();
    let given = [("horizon".to_string(), 3.into())].into_iter().collect();
    let args = Args::check(function.signature(), given).unwrap();
    function.bind(&GroupSchema::new(Arc::clone(schema), 1, 1), &args).unwrap()
}

/// Rows of series of so many observations, in batches, ordered.
fn series(lengths: &[(&str, usize)]) -> (SchemaRef, Vec<RecordBatch>) {
    let rows: Vec<_> = lengths.iter().flat_map(|(id, n)| (0..*n as i64).map(move |t| (*id, t))).collect();
    let schema: SchemaRef = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Utf8, true),
        Field::new("t", DataType::Int64, true),
        Field::new("y", DataType::Float64, true),
    ]));
    let batch = |part: &[(&str, i64)]| {
        let ids: ArrayRef = Arc::new(StringArray::from_iter_values(part.iter().map(|r| r.0)));
        let times: ArrayRef = Arc::new(Int64Array::from_iter_values(part.iter().map(|r| r.1)));
        let values: ArrayRef = Arc::new(Float64Array::from_iter_values(part.iter().map(|r| (r.1 % 7) as f64)));
        RecordBatch::try_new(Arc::clone(&schema), vec![ids, times, values]).unwrap()
    };
    let batches = rows.chunks(BATCH).map(batch).collect();
    (schema, batches)
}

/// What comes out, and the most that was reserved between batches.
fn run(pool: &Arc<dyn MemoryPool>, lengths: &[(&str, usize)]) -> (Vec<RecordBatch>, usize, Tally) {
    let (schema, batches) = series(lengths);
    let bound = forecast(&schema);
    let mut fields = vec![schema.field(0).clone()];
    fields.extend(bound.output());
    let reservation = MemoryConsumer::new("groups").register(pool);
    let output: SchemaRef = Arc::new(Schema::new(fields));
    let mut groups =
        Groups::new("forecast", bound.worker(), output, 1, reservation, pool.memory_limit(), Cancel::default())
            .unwrap();
    let (mut out, mut most) = (vec![], 0);
    for batch in &batches {
        groups.push(batch).unwrap();
        if !groups.fits() {
            out.extend(groups.take().unwrap());
        }
        most = most.max(groups.context.reservation.size());
    }
    groups.end().unwrap();
    out.extend(groups.take().unwrap());
    let tally = groups.tally;
    (out, most, tally)
}

/// Rows as text, those of one series apart.
fn told(batches: &[RecordBatch], id: &str) -> (Vec<String>, Vec<String>) {
    let lines = batches.iter().flat_map(|b| {
        let ids = b.column(0).as_string::<i32>();
        let text = |row: usize| {
            let cells = b.columns().iter().map(|c| datafusion::arrow::util::display::array_value_to_string(c, row));
            cells.map(Result::unwrap).collect::<Vec<_>>().join(" ")
        };
        (0..b.num_rows()).map(|row| (ids.value(row) == id, text(row))).collect::<Vec<_>>()
    });
    let (of_id, others): (Vec<_>, Vec<_>) = lines.partition(|(is, _)| *is);
    (of_id.into_iter().map(|l| l.1).collect(), others.into_iter().map(|l| l.1).collect())
}

const SKEWED: &[(&str, usize)] = &[("a", 400), ("b", 900_000), ("c", 400), ("d", 20_000)];

#[test]
fn one_group_too_large_for_the_memory_is_refused_alone() {
    let small: Arc<dyn MemoryPool> = Arc::new(FairSpillPool::new(POOL));
    let large: Arc<dyn MemoryPool> = Arc::new(FairSpillPool::new(64 * POOL));
    let (good, _, all) = run(&large, SKEWED);
    let (refused, most, tally) = run(&small, SKEWED);
    assert_eq!((all.groups, all.refused, tally.groups, tally.refused), (4, 0, 4, 1));
    let ((big, others), (refused, kept)) = (told(&good, "b"), told(&refused, "b"));
    assert_eq!((big.len(), &others), (3, &kept));
    assert_eq!(refused.len(), 1);
    assert!(
        refused[0].contains("899999 too_large") && refused[0].contains("rows=900000, bytes=14400000"),
        "{refused:?}"
    );
    assert!(most <= POOL / GROUP_SHARE + GROUP_BYTES_FREE, "held {most} bytes");
    assert!(small.reserved() == 0 && large.reserved() == 0);
}

#[test]
fn a_group_of_usual_size_never_depends_on_who_else_holds_the_memory() {
    let pool: Arc<dyn MemoryPool> = Arc::new(FairSpillPool::new(POOL));
    let other = MemoryConsumer::new("sort").register(&pool);
    other.try_grow(POOL).unwrap();
    let (rows, _, tally) = run(&pool, SKEWED);
    assert_eq!((tally.groups, tally.refused), (4, 1));
    let alone: Arc<dyn MemoryPool> = Arc::new(FairSpillPool::new(POOL));
    assert_eq!(told(&rows, "b").1, told(&run(&alone, SKEWED).0, "b").1);
}

/// Holds what it is given and cannot do without.
struct Keeper(Vec<RecordBatch>);

impl GroupWorker for Keeper {
    fn push(&mut self, rows: &RecordBatch) -> lakecast_udfs::Result<()> {
        self.0.push(rows.clone());
        Ok(())
    }

    fn finish(&mut self, _: &dyn GroupContext) -> lakecast_udfs::Result<Outcome> {
        self.0.clear();
        Ok(Outcome { rows: 0, refused: false })
    }

    fn take(&mut self) -> lakecast_udfs::Result<Vec<ArrayRef>> {
        Ok(vec![])
    }

    fn memory_bytes(&self) -> usize {
        self.0.iter().map(RecordBatch::get_array_memory_size).sum()
    }
}

#[test]
fn rows_that_cannot_be_done_without_end_the_job_with_the_groups_name() {
    let pool: Arc<dyn MemoryPool> = Arc::new(FairSpillPool::new(POOL));
    let (schema, batches) = series(SKEWED);
    let keys: SchemaRef = Arc::new(Schema::new(vec![schema.field(0).clone()]));
    let reservation = MemoryConsumer::new("groups").register(&pool);
    let worker = Box::new(Keeper(vec![]));
    let mut groups =
        Groups::new("keeper", worker, keys, 1, reservation, pool.memory_limit(), Cancel::default()).unwrap();
    let mut all = batches.iter().map(|batch| {
        groups.push(batch)?;
        if groups.fits() { Ok(()) } else { groups.take().map(|_| ()) }
    });
    let error = all.find_map(Result::err).unwrap().to_string();
    assert!(error.contains("keeper: no memory is left for a group, key=[b], rows="), "{error}");
}
