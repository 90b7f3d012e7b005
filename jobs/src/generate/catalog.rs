//! The items of the marketplace: every attribute of a SKU is a pure function of the options and its number.
//! In: options. Out: `Item` by number, number by popularity rank, and the `items` table.

use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Float64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use serde::{Deserialize, Serialize};

use super::calendar::date32;
use super::random::{Purpose, Stream};
use super::{GenerateOptions, Result};

/// A category, the noun in the names of its items, and their median price.
type Category = (&'static str, &'static str, f64);

/// Departments and their categories.
const DEPARTMENTS: &[(&str, [Category; 4])] = &[
    (
        "grocery",
        [("pasta", "Pasta", 2.2), ("coffee", "Coffee", 7.5), ("snacks", "Crisps", 2.8), ("drinks", "Juice", 3.1)],
    ),
    (
        "household",
        [
            ("cleaning", "Cleaner", 4.2),
            ("laundry", "Detergent", 9.0),
            ("paper", "Paper Roll", 5.5),
            ("candles", "Candle", 6.8),
        ],
    ),
    (
        "kitchen",
        [("cookware", "Pan", 34.0), ("cutlery", "Knife", 18.0), ("glassware", "Glass", 7.0), ("storage", "Jar", 6.0)],
    ),
    (
        "toys",
        [
            ("games", "Board Game", 24.0),
            ("puzzles", "Puzzle", 14.0),
            ("plush", "Plush Bear", 17.0),
            ("models", "Model Kit", 29.0),
        ],
    ),
    (
        "garden",
        [("seeds", "Seeds", 3.0), ("pots", "Flower Pot", 12.0), ("tools", "Spade", 26.0), ("lights", "Lantern", 19.0)],
    ),
    ("beauty", [("skin", "Cream", 15.0), ("hair", "Shampoo", 6.5), ("bath", "Soap", 4.0), ("scents", "Perfume", 42.0)]),
    (
        "electronics",
        [
            ("audio", "Headphones", 59.0),
            ("cables", "Cable", 9.0),
            ("lamps", "Desk Lamp", 32.0),
            ("power", "Charger", 21.0),
        ],
    ),
    (
        "books",
        [
            ("novels", "Novel", 11.0),
            ("children", "Picture Book", 9.5),
            ("cooking", "Cookbook", 22.0),
            ("travel", "Travel Guide", 16.0),
        ],
    ),
];

const MATERIALS: &[&str] =
    &["Oak", "Amber", "Slate", "Linen", "Copper", "Coral", "Ivory", "Jade", "Cobalt", "Maple", "Pearl", "Sage"];
const STYLES: &[&str] =
    &["Classic", "Nordic", "Rustic", "Modern", "Vintage", "Compact", "Family", "Travel", "Deluxe", "Everyday"];

/// Share of fast movers (smooth and erratic demand), and of smooth among them.
const FAST_SHARE: f64 = 0.13;
const SMOOTH_OF_FAST: f64 = 0.10 / 0.13;
/// Share of lumpy among the slow movers.
const LUMPY_OF_SLOW: f64 = 0.12 / 0.87;
/// Share of items launched within the history, and of those whose sale ends within it.
const NEW_SHARE: f64 = 0.12;
const DYING_SHARE: f64 = 0.06;
/// Histories shorter than this hold no launches and no ends.
const DAYS_FOR_A_LIFE: u32 = 56;

/// Demand class after Syntetos, Boylan and Croston (2005): ADI = periods per period with demand, CV2 = squared
/// coefficient of variation of the demand where there is any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DemandClass {
    /// Demand nearly every day, of a steady size: ADI < 1.32, CV2 < 0.49.
    Smooth,
    /// Demand nearly every day, of wild size: ADI < 1.32, CV2 >= 0.49.
    Erratic,
    /// Demand now and then, of a steady size: ADI >= 1.32, CV2 < 0.49.
    Intermittent,
    /// Demand now and then, of wild size: ADI >= 1.32, CV2 >= 0.49.
    Lumpy,
}

impl DemandClass {
    /// Cut-off of the average interval between demands.
    pub const ADI_CUTOFF: f64 = 1.32;
    /// Cut-off of the squared coefficient of variation.
    pub const CV2_CUTOFF: f64 = 0.49;

    /// The name as it stands in the `items` table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Smooth => "smooth",
            Self::Erratic => "erratic",
            Self::Intermittent => "intermittent",
            Self::Lumpy => "lumpy",
        }
    }

    /// The class of a series from its number of periods and its demands that are not zero (their count, sum and sum of
    /// squares). A series without demand counts as intermittent, as does any whose interval cannot be measured.
    pub fn of(periods: u64, demands: u64, sum: f64, sum_of_squares: f64) -> Self {
        if demands == 0 {
            return Self::Intermittent;
        }
        let n = demands as f64;
        let mean = sum / n;
        let cv2 = (sum_of_squares / n - mean * mean).max(0.0) / (mean * mean);
        match (periods as f64 / n < Self::ADI_CUTOFF, cv2 < Self::CV2_CUTOFF) {
            (true, true) => Self::Smooth,
            (true, false) => Self::Erratic,
            (false, true) => Self::Intermittent,
            (false, false) => Self::Lumpy,
        }
    }
}

/// One item.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// Number from 0; the SKU counts from 1.
    pub(super) number: u64,
    /// Popularity: 0 sells most.
    pub(super) rank: u64,
    material: usize,
    style: usize,
    pub(super) department: usize,
    pub(super) category: usize,
    pub(super) class: DemandClass,
    pub(super) base_price: f64,
    /// Day of the launch relative to the first day of the history; negative when it was sold before.
    pub(super) launch: i64,
    /// First day without sale, within the history.
    pub(super) end: Option<u32>,
}

impl Item {
    fn name(&self) -> String {
        let noun = DEPARTMENTS[self.department].1[self.category].1;
        format!("{} {} {noun} {}", STYLES[self.style], MATERIALS[self.material], self.number + 1)
    }

    /// True when the item is sold on every day of the history.
    pub(super) fn is_evergreen(&self) -> bool {
        self.launch <= 0 && self.end.is_none()
    }

    /// True when the item is sold on this day of the history.
    pub(super) fn is_sold_on(&self, day: u32) -> bool {
        self.launch <= i64::from(day) && self.end.is_none_or(|end| day < end)
    }
}

/// All items, none of them held in memory.
#[derive(Debug, Clone)]
pub(super) struct Catalog {
    seed: u64,
    skus: u64,
    days: u32,
    digits: usize,
    /// rank -> number is `(factor * rank + shift) mod skus`, which spreads the ranks evenly over the numbers.
    factor: u64,
    inverse: u64,
    shift: u64,
}

impl Catalog {
    pub(super) fn new(options: &GenerateOptions) -> Self {
        let skus = options.skus;
        let mut factor = ((skus as f64 * 0.618_033_988_749_895) as u64).max(1);
        while gcd(factor, skus) != 1 {
            factor += 1;
        }
        let shift = Stream::of(options.seed, Purpose::Ranks, 0).below(skus);
        let digits = skus.to_string().len().max(7);
        let inverse = inverse(factor % skus, skus);
        Self { seed: options.seed, skus, days: options.days, digits, factor, inverse, shift }
    }

    pub(super) fn len(&self) -> u64 {
        self.skus
    }

    /// The SKU of an item number: `SKU-0000001` for 0. More digits when the catalog needs them, so that text order is
    /// number order.
    pub(super) fn sku(&self, number: u64) -> String {
        format!("SKU-{:0digits$}", number + 1, digits = self.digits)
    }

    /// The item number that holds a popularity rank.
    pub(super) fn number_of_rank(&self, rank: u64) -> u64 {
        let skus = u128::from(self.skus);
        ((u128::from(self.factor) * u128::from(rank) + u128::from(self.shift)) % skus) as u64
    }

    fn rank_of_number(&self, number: u64) -> u64 {
        let skus = u128::from(self.skus);
        ((u128::from(number) + skus - u128::from(self.shift)) % skus * u128::from(self.inverse) % skus) as u64
    }

    /// The item that holds a popularity rank.
    pub(super) fn item_of_rank(&self, rank: u64) -> Item {
        self.item(self.number_of_rank(rank))
    }

    /// The item of a number in 0..skus.
    pub(super) fn item(&self, number: u64) -> Item {
        let mut stream = Stream::of(self.seed, Purpose::Item, number);
        let rank = self.rank_of_number(number);
        let fast = ((rank as f64 + 0.5) / self.skus as f64) < FAST_SHARE;
        let class = match fast {
            true if stream.chance(SMOOTH_OF_FAST) => DemandClass::Smooth,
            true => DemandClass::Erratic,
            false if stream.chance(LUMPY_OF_SLOW) => DemandClass::Lumpy,
            false => DemandClass::Intermittent,
        };
        let (launch, end) = self.life(rank, &mut stream);
        let department = stream.below(DEPARTMENTS.len() as u64) as usize;
        let category = stream.below(4) as usize;
        let median = DEPARTMENTS[department].1[category].2;
        let base_price = cents(median * libm::exp(0.45 * stream.normal())).max(0.25);
        let material = stream.below(MATERIALS.len() as u64) as usize;
        let style = stream.below(STYLES.len() as u64) as usize;
        Item { number, rank, material, style, department, category, class, base_price, launch, end }
    }

    /// Launch and end. The most popular item is always sold, so that every day has something to sell.
    fn life(&self, rank: u64, stream: &mut Stream) -> (i64, Option<u32>) {
        let days = f64::from(self.days);
        let years_before = stream.between(30.0, 1800.0);
        let (kind, at) = (stream.uniform(), stream.uniform());
        if rank == 0 || self.days < DAYS_FOR_A_LIFE || kind >= NEW_SHARE + DYING_SHARE {
            (-(years_before as i64), None)
        } else if kind < NEW_SHARE {
            ((days * (0.05 + 0.9 * at)) as i64, None)
        } else {
            (-(years_before as i64), Some((days * (0.25 + 0.7 * at)) as u32))
        }
    }

    /// Rows `numbers` of the `items` table: sku, name, department, category, base_price, launch_date, end_date, class.
    pub(super) fn table(&self, start: chrono::NaiveDate, numbers: std::ops::Range<u64>) -> Result<RecordBatch> {
        let first = i64::from(date32(start));
        let items: Vec<Item> = numbers.map(|number| self.item(number)).collect();
        let text =
            |of: &dyn Fn(&Item) -> String| Arc::new(StringArray::from_iter_values(items.iter().map(of))) as ArrayRef;
        let schema = Schema::new(vec![
            Field::new("sku", DataType::Utf8, false),
            Field::new("name", DataType::Utf8, false),
            Field::new("department", DataType::Utf8, false),
            Field::new("category", DataType::Utf8, false),
            Field::new("base_price", DataType::Float64, false),
            Field::new("launch_date", DataType::Date32, false),
            Field::new("end_date", DataType::Date32, true),
            Field::new("class", DataType::Utf8, false),
        ]);
        let columns: Vec<ArrayRef> = vec![
            text(&|item| self.sku(item.number)),
            text(&Item::name),
            text(&|item| DEPARTMENTS[item.department].0.to_owned()),
            text(&|item| DEPARTMENTS[item.department].1[item.category].0.to_owned()),
            Arc::new(Float64Array::from_iter_values(items.iter().map(|item| item.base_price))),
            Arc::new(Date32Array::from_iter_values(items.iter().map(|item| (first + item.launch) as i32))),
            Arc::new(Date32Array::from_iter(
                items.iter().map(|item| item.end.map(|end| (first + i64::from(end)) as i32)),
            )),
            text(&|item| item.class.name().to_owned()),
        ];
        Ok(RecordBatch::try_new(Arc::new(schema), columns)?)
    }
}

/// Rounded to whole cents.
pub(super) fn cents(price: f64) -> f64 {
    libm::round(price * 100.0) / 100.0
}

/// Departments there are.
pub(super) const fn department_count() -> usize {
    DEPARTMENTS.len()
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The inverse of `a` modulo `n` (coprime), by Euclid.
fn inverse(a: u64, n: u64) -> u64 {
    let (mut r, mut next_r) = (i128::from(n), i128::from(a));
    let (mut t, mut next_t) = (0i128, 1i128);
    while next_r != 0 {
        let quotient = r / next_r;
        (t, next_t) = (next_t, t - quotient * next_t);
        (r, next_r) = (next_r, r - quotient * next_r);
    }
    t.rem_euclid(i128::from(n)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog(skus: u64) -> Catalog {
        Catalog::new(&GenerateOptions { skus, ..GenerateOptions::new("unused", 400).unwrap() })
    }

    #[test]
    fn ranks_and_numbers_are_one_to_one() {
        for skus in [1, 2, 3, 10, 97, 1000] {
            let catalog = catalog(skus);
            let mut numbers: Vec<u64> = (0..skus).map(|rank| catalog.number_of_rank(rank)).collect();
            for (rank, number) in numbers.iter().enumerate() {
                assert_eq!(catalog.rank_of_number(*number), rank as u64, "skus={skus}");
            }
            numbers.sort_unstable();
            assert_eq!(numbers, (0..skus).collect::<Vec<_>>());
        }
    }

    #[test]
    fn skus_sort_as_text_like_their_numbers() {
        assert_eq!(catalog(10).sku(0), "SKU-0000001");
        let large = catalog(12_000_000);
        assert_eq!(large.sku(0), "SKU-00000001");
        assert!(large.sku(9_999_998) < large.sku(9_999_999));
    }

    #[test]
    fn a_class_follows_its_cut_offs() {
        assert_eq!(DemandClass::of(10, 10, 50.0, 260.0), DemandClass::Smooth);
        assert_eq!(DemandClass::of(10, 10, 50.0, 900.0), DemandClass::Erratic);
        assert_eq!(DemandClass::of(10, 2, 4.0, 8.0), DemandClass::Intermittent);
        assert_eq!(DemandClass::of(10, 2, 11.0, 101.0), DemandClass::Lumpy);
        assert_eq!(DemandClass::of(10, 0, 0.0, 0.0), DemandClass::Intermittent);
    }
}
