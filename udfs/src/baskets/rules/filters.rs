//! Items that the sides of a rule must and must not hold.  In: names. Out: whether a rule is taken.

use super::options::{Names, RuleOptions};
use crate::error::Result;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use std::collections::HashSet;

/// The lists of both sides, by code of the items. Names that no item has match nothing.
pub(super) struct Filters {
    antecedent: Option<Lists>,
    consequent: Option<Lists>,
}

struct Lists {
    include: Option<Vec<bool>>,
    exclude: Vec<bool>,
}

impl Filters {
    pub(super) fn new(items: &ArrayRef, options: &RuleOptions) -> Result<Self> {
        Ok(Self { antecedent: lists(items, &options.antecedent)?, consequent: lists(items, &options.consequent)? })
    }

    /// Whether the rule between the items not in `consequent`, a mask of positions, and those in it is taken.
    pub(super) fn take(&self, items: &[u32], consequent: u64) -> bool {
        let side = |lists: &Option<Lists>, right: bool| match lists {
            None => true,
            Some(lists) => {
                let mut side = items.iter().enumerate().filter(|(at, _)| (consequent >> at & 1 == 1) == right);
                let mut included = lists.include.is_none();
                side.all(|(_, &code)| {
                    included |= lists.include.as_ref().is_some_and(|list| list[code as usize]);
                    !lists.exclude[code as usize]
                }) && included
            }
        };
        side(&self.antecedent, false) && side(&self.consequent, true)
    }
}

fn lists(items: &ArrayRef, names: &Names) -> Result<Option<Lists>> {
    if *names == Names::default() {
        return Ok(None);
    }
    let texts = cast(items, &DataType::Utf8)?;
    let texts = texts.as_string::<i32>();
    let flags = |list: &[String]| -> Vec<bool> {
        let list: HashSet<&str> = list.iter().map(String::as_str).collect();
        (0..texts.len()).map(|code| list.contains(texts.value(code))).collect()
    };
    let include = if names.include.is_empty() { None } else { Some(flags(&names.include)) };
    Ok(Some(Lists { include, exclude: flags(&names.exclude) }))
}
