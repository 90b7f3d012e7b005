//! Itemset mining and association rules over plain slices, and their group functions.
