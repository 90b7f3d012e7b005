//! The sales of one item: season, trend, price, promotions, holidays, life and stock, then a random draw per day.
//! In: an item, the days, the seed. Out: one row per day between launch and end, appended to `Sales`.
//!
//! Expected demand is a product of factors: base x weekday x year x trend x holiday x promotion x life. Smooth and erratic
//! items draw it from a negative binomial with little or much overdispersion. Intermittent and lumpy items first draw
//! whether there is a demand (with probability 1 - exp(-expected)), then its size: 1 + Poisson or 1 + negative binomial.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, Float64Array, Int32Array, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::Result;
use super::calendar::Day;
use super::catalog::{DemandClass, Item, cents, department_count};
use super::random::{Purpose, Stream};

/// Relative demand by weekday, Monday first, of three kinds of departments: weekend shops, office weeks, even weeks.
const WEEKS: [[f64; 7]; 3] = [
    [0.82, 0.80, 0.86, 0.94, 1.14, 1.30, 1.14],
    [1.12, 1.10, 1.08, 1.06, 1.02, 0.80, 0.82],
    [0.96, 0.94, 0.96, 1.0, 1.06, 1.08, 1.0],
];

/// Days over which a new item finds its buyers, and a dying one loses them.
const RAMP_DAYS: f64 = 42.0;
const DECAY_DAYS: f64 = 90.0;

/// Rows of the `sales` table, column by column.
#[derive(Debug)]
pub(super) struct Sales {
    sku: StringBuilder,
    ds: Vec<i32>,
    qty: Vec<i32>,
    price: Vec<f64>,
    promo: Vec<bool>,
    in_stock: Vec<bool>,
}

impl Sales {
    /// Room for `rows` rows.
    pub(super) fn with_capacity(rows: usize) -> Self {
        Self {
            sku: StringBuilder::with_capacity(rows, rows * 11),
            ds: Vec::with_capacity(rows),
            qty: Vec::with_capacity(rows),
            price: Vec::with_capacity(rows),
            promo: Vec::with_capacity(rows),
            in_stock: Vec::with_capacity(rows),
        }
    }

    /// Columns: sku, ds, qty, price, promo, in_stock.
    pub(super) fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("sku", DataType::Utf8, false),
            Field::new("ds", DataType::Date32, false),
            Field::new("qty", DataType::Int32, false),
            Field::new("price", DataType::Float64, false),
            Field::new("promo", DataType::Boolean, false),
            Field::new("in_stock", DataType::Boolean, false),
        ]))
    }

    pub(super) fn len(&self) -> usize {
        self.ds.len()
    }

    /// The rows as a batch; the buffer is empty afterwards.
    pub(super) fn take(&mut self) -> Result<RecordBatch> {
        let rows = self.ds.capacity();
        let full = std::mem::replace(self, Self::with_capacity(rows));
        let mut sku = full.sku;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(sku.finish()),
            Arc::new(Date32Array::from(full.ds)),
            Arc::new(Int32Array::from(full.qty)),
            Arc::new(Float64Array::from(full.price)),
            Arc::new(BooleanArray::from(full.promo)),
            Arc::new(BooleanArray::from(full.in_stock)),
        ];
        Ok(RecordBatch::try_new(Self::schema(), columns)?)
    }
}

/// How one item sells: drawn once, the same for all its days.
#[derive(Debug)]
struct Pattern {
    base: f64,
    /// Shape of the negative binomial; small is wild.
    shape: f64,
    /// Mean of the demand above one, for items that sell now and then.
    size: f64,
    week: [f64; 7],
    year: (f64, f64),
    /// Growth per day, as a factor.
    growth: f64,
    event_sensitivity: f64,
    /// Share of campaign weeks, and demand per price ratio.
    promotion_share: f64,
    elasticity: f64,
    /// Mean days between stock-outs, and mean days they last.
    stock_out: (f64, f64),
}

impl Pattern {
    fn draw(item: &Item, skus: u64, days: usize, stream: &mut Stream) -> Self {
        // 1 for the most popular of the fast (slow) movers, 0 for the least.
        let popularity = 1.0 - item.rank as f64 / skus as f64;
        let spread = libm::exp(0.35 * stream.normal());
        let (base, shape, size) = match item.class {
            DemandClass::Smooth => (7.0 + 45.0 * libm::pow(popularity, 12.0) * spread, stream.between(15.0, 30.0), 0.0),
            DemandClass::Erratic => {
                (16.0 + 40.0 * libm::pow(popularity, 12.0) * spread, stream.between(0.95, 1.25), 0.0)
            }
            DemandClass::Intermittent => {
                (0.02 + 0.38 * popularity * stream.uniform(), 0.0, 2.2 * stream.uniform() * stream.uniform())
            }
            DemandClass::Lumpy => {
                (0.08 + 0.35 * popularity * stream.uniform(), stream.between(0.4, 0.6), stream.between(8.0, 25.0))
            }
        };
        let fast = matches!(item.class, DemandClass::Smooth | DemandClass::Erratic);
        let profile = &WEEKS[item.department % WEEKS.len()];
        let strength = stream.between(0.4, 1.1);
        let amplitude = stream.between(0.0, 0.28);
        let phase =
            std::f64::consts::TAU * (item.department as f64 / department_count() as f64 + stream.between(-0.06, 0.06));
        // Longer histories grow more slowly, or the ends would be worlds apart.
        let years = (days as f64 / 365.25).max(1.0);
        let yearly_growth = (0.12 * stream.normal()).clamp(-0.3, 0.3) / libm::sqrt(years);
        Self {
            base,
            shape,
            size,
            week: profile.map(|factor| 1.0 + strength * (factor - 1.0)),
            year: (amplitude * libm::cos(phase), amplitude * libm::sin(phase)),
            growth: libm::exp(yearly_growth / 365.25),
            event_sensitivity: stream.between(0.3, 1.2),
            promotion_share: if stream.chance(0.4) { 0.0 } else { stream.between(0.02, 0.10) },
            elasticity: stream.between(1.2, 2.4),
            stock_out: if fast { (260.0, 4.0) } else { (220.0, 7.0) },
        }
    }

    /// Expected demand of a day before trend and life.
    fn expected(&self, day: &Day, cut: f64) -> f64 {
        let (cosine, sine) = day.season;
        let year = 1.0 + self.year.0 * cosine + self.year.1 * sine;
        let event = (1.0 + self.event_sensitivity * (day.factor - 1.0)).max(0.05);
        let promotion = if cut > 0.0 { libm::pow(1.0 - cut, -self.elasticity) } else { 1.0 };
        self.base * self.week[day.weekday] * year * event * promotion
    }

    fn quantity(&self, class: DemandClass, expected: f64, stream: &mut Stream) -> i32 {
        match class {
            DemandClass::Smooth | DemandClass::Erratic => stream.negative_binomial(expected, self.shape),
            _ if !stream.chance(1.0 - libm::exp(-expected)) => 0,
            DemandClass::Intermittent => 1 + stream.poisson(self.size),
            DemandClass::Lumpy => 1 + stream.negative_binomial(self.size, self.shape),
        }
    }
}

/// Price cuts: campaigns of one or two weeks that begin on Mondays.
struct Promotions {
    stream: Stream,
    days_left: u32,
    cut: f64,
}

impl Promotions {
    /// The price cut of the next day, 0 outside campaigns.
    fn next(&mut self, pattern: &Pattern, weekday: usize) -> f64 {
        if self.days_left > 0 {
            self.days_left -= 1;
        }
        if self.days_left == 0 {
            self.cut = 0.0;
            if weekday == 0 && pattern.promotion_share > 0.0 && self.stream.chance(pattern.promotion_share) {
                self.days_left = if self.stream.chance(0.3) { 14 } else { 7 };
                self.cut = 0.1 + 0.05 * self.stream.below(5) as f64;
            }
        }
        self.cut
    }
}

/// Stock-outs: gaps and lengths are geometric.
struct Stock {
    stream: Stream,
    next_out: f64,
    next_in: f64,
}

impl Stock {
    fn new(mut stream: Stream, pattern: &Pattern) -> Self {
        let next_out = stream.exponential(pattern.stock_out.0);
        Self { next_in: next_out + 1.0 + stream.exponential(pattern.stock_out.1 - 1.0), next_out, stream }
    }

    fn is_in(&mut self, pattern: &Pattern, age: f64) -> bool {
        if age >= self.next_in {
            self.next_out = self.next_in + self.stream.exponential(pattern.stock_out.0);
            self.next_in = self.next_out + 1.0 + self.stream.exponential(pattern.stock_out.1 - 1.0);
        }
        age < self.next_out
    }
}

/// What becomes of the demands of a series, for its class.
#[derive(Default)]
struct Demands {
    count: u64,
    sum: f64,
    squares: f64,
}

impl Demands {
    fn add(&mut self, quantity: i32) {
        if quantity > 0 {
            self.count += 1;
            self.sum += f64::from(quantity);
            self.squares += f64::from(quantity) * f64::from(quantity);
        }
    }
}

/// Appends all rows of one item and says which class the drawn series turned out to be.
pub(super) fn append(sales: &mut Sales, item: &Item, sku: &str, skus: u64, seed: u64, days: &[Day]) -> DemandClass {
    let mut stream = Stream::of(seed, Purpose::Demand, item.number);
    let pattern = Pattern::draw(item, skus, days.len(), &mut stream);
    let mut promotions =
        Promotions { stream: Stream::of(seed, Purpose::Promotion, item.number), days_left: 0, cut: 0.0 };
    let mut stock = Stock::new(Stream::of(seed, Purpose::Stock, item.number), &pattern);
    let first = item.launch.max(0) as usize;
    let end = item.end.map_or(days.len(), |end| end as usize);
    let mut trend = 1.0;
    let mut demands = Demands::default();
    for (index, day) in days.iter().enumerate().take(end).skip(first) {
        let cut = promotions.next(&pattern, day.weekday);
        let in_stock = stock.is_in(&pattern, (index - first) as f64);
        let mut quantity = 0;
        if in_stock {
            let life = life(item, index);
            quantity = pattern.quantity(item.class, pattern.expected(day, cut) * trend * life, &mut stream);
        }
        trend *= pattern.growth;
        demands.add(quantity);
        sales.sku.append_value(sku);
        sales.ds.push(day.date32);
        sales.qty.push(quantity);
        sales.price.push(price(item.base_price, cut, index / 365));
        sales.promo.push(cut > 0.0);
        sales.in_stock.push(in_stock);
    }
    DemandClass::of((end - first) as u64, demands.count, demands.sum, demands.squares)
}

/// Share of its buyers that an item has on a day: new ones are still found, those of a dying item are being lost.
fn life(item: &Item, index: usize) -> f64 {
    let age = (index as i64 - item.launch) as f64;
    let found = ((age + 14.0) / RAMP_DAYS).min(1.0);
    let kept = item.end.map_or(1.0, |end| ((f64::from(end) - index as f64 + 10.0) / DECAY_DAYS).min(1.0));
    found * kept
}

/// Price of a day: 3 % up per year of the history, less the cut.
fn price(base: f64, cut: f64, year: usize) -> f64 {
    cents(base * (1.0 + 0.03 * year as f64) * (1.0 - cut))
}
