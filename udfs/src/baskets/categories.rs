//! Categories of items.  In: rows of item and category. Out: for each item all of its ancestors, near and far.
//!
//! Source: Srikant, Agrawal 1995, Mining generalized association rules: baskets hold the ancestors of their items too, and
//! no itemset holds an item with its own ancestor.

use super::columns::no_nulls;
use super::dictionary::{Dictionary, NONE};
use crate::error::{Error, Result};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::DataType;
use arrow::util::display::array_value_to_string;

/// A list of codes for each code, flat.
#[derive(Debug, Default, Clone)]
pub(super) struct Lists {
    codes: Vec<u32>,
    ends: Vec<u32>,
}

impl Lists {
    /// The list of `code`; empty for a code beyond the last.
    pub(super) fn of(&self, code: u32) -> &[u32] {
        let Some(&end) = self.ends.get(code as usize) else { return &[] };
        let start = if code == 0 { 0 } else { self.ends[code as usize - 1] };
        &self.codes[start as usize..end as usize]
    }

    /// Ends the list of the next code.
    fn close(&mut self) {
        self.ends.push(self.codes.len() as u32);
    }

    /// Bytes held.
    pub(super) fn memory_bytes(&self) -> usize {
        (self.codes.capacity() + self.ends.capacity()) * 4
    }
}

/// A table of categories, read once for all problems of a worker.
pub(super) struct Categories {
    /// Items and categories.
    nodes: Dictionary,
    /// Of each node, all of them.
    ancestors: Lists,
}

impl Categories {
    /// From rows of `item, category`, whose values become items of type `kind`.
    ///
    /// Errors: `Data` on nulls, on values that are no items, and on a category that belongs to itself.
    pub(super) fn read(function: &str, rows: &RecordBatch, kind: &DataType) -> Result<Self> {
        let column = |at: usize, name: &str| -> Result<ArrayRef> {
            let given = rows.columns().get(at).ok_or_else(|| Error::Bug(format!("categories lacks {name}")))?;
            no_nulls(function, &format!("{name} of categories"), given)?;
            let strict = CastOptions { safe: false, ..CastOptions::default() };
            cast_with_options(given, kind, &strict).map_err(|e| {
                Error::Data(format!(
                    "{function}: column {name} of categories must hold values of the item's type, because they become \
                     items: cast the items of the input and of categories to VARCHAR: type={kind}: {e}"
                ))
            })
        };
        let (items, categories) = (column(0, "item")?, column(1, "category")?);
        let mut nodes = Dictionary::new(kind)?;
        let (mut children, mut parents) = (Vec::new(), Vec::new());
        nodes.codes(&items, &mut children)?;
        nodes.codes(&categories, &mut parents)?;
        let mut edges: Vec<(u32, u32)> = children.into_iter().zip(parents).collect();
        edges.sort_unstable();
        edges.dedup();
        let ancestors = closure(&edges, nodes.len()).map_err(|node| cycle(function, &nodes, node))?;
        Ok(Self { nodes, ancestors })
    }

    /// Adds the ancestors of `items` to them, and gives for each item its ancestors among them.
    pub(super) fn of_items(&self, items: &mut Dictionary) -> Result<Lists> {
        let all: Vec<u32> = (0..items.len() as u32).collect();
        let mut needed = vec![false; self.nodes.len()];
        for node in self.nodes.find(&items.values(&all)?)? {
            self.ancestors.of(node).iter().for_each(|&a| needed[a as usize] = true);
        }
        let needed: Vec<u32> = (0..self.nodes.len() as u32).filter(|&node| needed[node as usize]).collect();
        let mut codes = Vec::with_capacity(needed.len());
        items.codes(&self.nodes.values(&needed)?, &mut codes)?;
        let mut code_of = vec![NONE; self.nodes.len()];
        needed.iter().zip(codes).for_each(|(&node, code)| code_of[node as usize] = code);
        let all: Vec<u32> = (0..items.len() as u32).collect();
        let mut lists = Lists::default();
        for node in self.nodes.find(&items.values(&all)?)? {
            lists.codes.extend(self.ancestors.of(node).iter().map(|&a| code_of[a as usize]));
            lists.close();
        }
        Ok(lists)
    }

    /// Bytes held.
    pub(super) fn memory_bytes(&self) -> usize {
        self.nodes.memory_bytes() + self.ancestors.memory_bytes()
    }
}

/// All ancestors of each node, or a node that is its own.
fn closure(edges: &[(u32, u32)], nodes: usize) -> Result<Lists, u32> {
    let parents = |node: u32| {
        let from = edges.partition_point(|&(child, _)| child < node);
        edges[from..].iter().take_while(move |&&(child, _)| child == node).map(|&(_, parent)| parent)
    };
    let mut up: Vec<Vec<u32>> = vec![Vec::new(); nodes];
    let mut open: Vec<u32> = vec![0; nodes];
    let mut children: Vec<(u32, u32)> = edges.iter().map(|&(child, parent)| (parent, child)).collect();
    children.sort_unstable();
    edges.iter().for_each(|&(child, _)| open[child as usize] += 1);
    let mut ready: Vec<u32> = (0..nodes as u32).filter(|&node| open[node as usize] == 0).collect();
    let mut done = 0;
    while let Some(node) = ready.pop() {
        done += 1;
        let mut all: Vec<u32> = parents(node).collect();
        parents(node).for_each(|parent| all.extend_from_slice(&up[parent as usize]));
        all.sort_unstable();
        all.dedup();
        up[node as usize] = all;
        let from = children.partition_point(|&(parent, _)| parent < node);
        for &(_, child) in children[from..].iter().take_while(|&&(parent, _)| parent == node) {
            open[child as usize] -= 1;
            if open[child as usize] == 0 {
                ready.push(child);
            }
        }
    }
    if done < nodes {
        // Upwards from a node that never got ready one comes to a cycle.
        let mut node = (0..nodes as u32).find(|&node| open[node as usize] > 0).unwrap_or_default();
        for _ in 0..nodes {
            node = parents(node).find(|&parent| open[parent as usize] > 0).unwrap_or(node);
        }
        return Err(node);
    }
    let mut lists = Lists::default();
    for all in up {
        lists.codes.extend_from_slice(&all);
        lists.close();
    }
    Ok(lists)
}

fn cycle(function: &str, nodes: &Dictionary, node: u32) -> Error {
    match nodes.values(&[node]).and_then(|value| Ok(array_value_to_string(&value, 0)?)) {
        Ok(name) => Error::Data(format!(
            "{function}: an item is its own ancestor in categories: mend the table, or put the level before names that \
             occur on several levels: item={name}"
        )),
        Err(e) => e,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::one_group::batch;
    use arrow::array::{AsArray, Int64Array, StringArray};
    use std::sync::Arc;

    fn read(rows: &[(&str, &str)]) -> Result<Categories> {
        let column = |of: fn(&(&str, &str)) -> String| -> ArrayRef {
            Arc::new(rows.iter().map(|row| Some(of(row))).collect::<StringArray>())
        };
        let rows = batch(vec![("item", column(|r| r.0.into())), ("category", column(|r| r.1.into()))]);
        Categories::read("f", &rows, &DataType::Utf8)
    }

    #[test]
    fn ancestors_of_any_depth_and_of_several_parents_join_the_items() {
        let tree =
            read(&[("milk", "dairy"), ("dairy", "food"), ("milk", "drink"), ("drink", "food"), ("pen", "paper")]);
        let mut items = Dictionary::new(&DataType::Utf8).unwrap();
        let own: ArrayRef = Arc::new(StringArray::from(vec!["nail", "milk", "dairy"]));
        items.codes(&own, &mut vec![]).unwrap();
        let lists = tree.unwrap().of_items(&mut items).unwrap();
        let text = |codes: &[u32]| {
            let values = items.values(codes).unwrap();
            let mut names: Vec<String> = values.as_string::<i32>().iter().flatten().map(Into::into).collect();
            names.sort();
            names.join(" ")
        };
        let all: Vec<u32> = (0..items.len() as u32).collect();
        assert_eq!(text(&all), "dairy drink food milk nail");
        assert_eq!((text(lists.of(0)).as_str(), text(lists.of(1)).as_str()), ("", "dairy drink food"));
        assert_eq!((text(lists.of(2)).as_str(), lists.of(99)), ("food", &[][..]));
    }

    #[test]
    fn a_cycle_a_null_and_a_value_of_another_type_are_refused() {
        for rows in [&[("x", "a"), ("a", "b"), ("b", "a")][..], &[("a", "a")][..]] {
            let error = read(rows).err().unwrap().to_string();
            assert!(error.contains("its own ancestor") && (error.ends_with("=a") || error.ends_with("=b")), "{error}");
        }
        let number: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
        let rows = batch(vec![("item", Arc::clone(&number)), ("category", number)]);
        let error = Categories::read("f", &rows, &DataType::Int64).err().unwrap().to_string();
        assert!(error.contains("null in column item of categories"), "{error}");
        let rows = batch(vec![
            ("item", Arc::new(StringArray::from(vec!["7"])) as ArrayRef),
            ("category", Arc::new(StringArray::from(vec!["dairy"]))),
        ]);
        let error = Categories::read("f", &rows, &DataType::Int64).err().unwrap().to_string();
        assert!(error.contains("column category of categories") && error.contains("VARCHAR"), "{error}");
    }
}
