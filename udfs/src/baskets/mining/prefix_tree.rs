//! A prefix tree (FP-tree) in plain arrays.  In: baskets of ranks, or a tree and one of its items. Out: the tree, and the
//! conditional tree of that item.
//!
//! Nodes lie item by item, so that an item's header list is a range, and a parent lies before its children. A conditional
//! tree takes two passes over the nodes above the item's own. Upwards, from rare to frequent items, each node hands its
//! weight to its parent, so that every node is met once however many paths share it. Downwards, each node of an item that
//! stays finds its copy by the copy of its parent alone, as all nodes of one item come in a row: equal paths merge without
//! a search.
//!
//! Source: the arrays follow Racz, nonordfp (FIMI'04).

use crate::baskets::transactions::Transactions;

/// No node, no item.
pub(super) const NONE: u32 = u32::MAX;
/// The node above all others.
const ROOT: u32 = 0;

/// A node. The root is its own parent and has no item.
#[derive(Debug, Clone, Copy)]
struct Node {
    parent: u32,
    item: u32,
    weight: u64,
}

/// What a projection leaves at a node.
#[derive(Debug, Clone, Copy)]
struct Mark {
    /// Weight that reached the node, 0 if none did.
    weight: u64,
    /// The next node of the same item that was reached.
    next: u32,
    /// The node's copy in the conditional tree or, if its item is left out, that of its nearest ancestor that has one.
    copy: u32,
}

const UNMARKED: Mark = Mark { weight: 0, next: NONE, copy: ROOT };

/// What a projection finds about an item.
#[derive(Debug, Clone, Copy)]
struct Reached {
    /// Nodes of the item that were reached, as a list through [`Mark::next`].
    first: u32,
    /// The item in the conditional tree.
    local: u32,
    /// Weight of the item in the conditional baskets.
    weight: u64,
}

const UNREACHED: Reached = Reached { first: NONE, local: NONE, weight: 0 };

/// A tree over items `0..labels.len()`, with the marks of the projection that is going on.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Rank of each item, ascending.
    pub(super) labels: Vec<u32>,
    /// Weight of each item.
    pub(super) weights: Vec<u64>,
    /// Where the nodes of each item start; one more entry than items.
    starts: Vec<u32>,
    nodes: Vec<Node>,
    marks: Vec<Mark>,
    reached: Vec<Reached>,
    /// One bit for each item that a projection reached.
    words: Vec<u64>,
    /// Per node of the tree being built: the last child, while its item's nodes are added.
    children: Vec<u32>,
}

impl Tree {
    /// Bytes of a tree of so many nodes and items.
    pub(super) fn bytes(nodes: usize, items: usize) -> usize {
        nodes * (size_of::<Node>() + size_of::<Mark>() + 4) + items * (size_of::<Reached>() + 17)
    }

    /// Bytes held.
    pub(super) fn memory_bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
            + self.marks.capacity() * size_of::<Mark>()
            + self.reached.capacity() * size_of::<Reached>()
            + (self.labels.capacity() + self.starts.capacity() + self.children.capacity()) * 4
            + (self.weights.capacity() + self.words.capacity()) * 8
    }

    /// Number of nodes, the root among them, that [`Tree::new`] makes of `rows`.
    pub(super) fn nodes_of(rows: Transactions<'_>) -> usize {
        let own = |i: usize| rows.row(i).len() - if i == 0 { 0 } else { shared(rows.row(i - 1), rows.row(i)) };
        1 + (0..rows.len()).map(own).sum::<usize>()
    }

    /// The tree of all rows.
    ///
    /// Rows share the nodes of the prefix that they have in common with the row before, which are all there are to share
    /// as the rows come in order.
    pub(super) fn new(rows: Transactions<'_>) -> Self {
        let mut tree = Self { labels: (0..rows.n_items as u32).collect(), ..Self::default() };
        tree.starts = vec![0; rows.n_items + 1];
        let mut before: &[u32] = &[];
        for i in 0..rows.len() {
            let row = rows.row(i);
            row[shared(before, row)..].iter().for_each(|&item| tree.starts[item as usize + 1] += 1);
            before = row;
        }
        tree.starts[0] = 1;
        (0..rows.n_items).for_each(|i| tree.starts[i + 1] += tree.starts[i]);
        tree.nodes = vec![Node { parent: ROOT, item: NONE, weight: 0 }; tree.starts[rows.n_items] as usize];
        tree.insert(rows);
        tree.finish();
        tree
    }

    /// Fills the nodes, whose ranges are known.
    fn insert(&mut self, rows: Transactions<'_>) {
        let mut free = self.starts.clone();
        let mut path: Vec<u32> = Vec::new();
        let mut before: &[u32] = &[];
        for i in 0..rows.len() {
            let row = rows.row(i);
            path.truncate(shared(before, row));
            for &item in &row[path.len()..] {
                let node = free[item as usize];
                free[item as usize] += 1;
                self.nodes[node as usize] = Node { parent: path.last().copied().unwrap_or(ROOT), item, weight: 0 };
                path.push(node);
            }
            if let Some(&last) = path.last() {
                self.nodes[last as usize].weight += rows.weights[i];
            }
            before = row;
        }
        for node in (1..self.nodes.len()).rev() {
            let Node { parent, weight, .. } = self.nodes[node];
            self.nodes[parent as usize].weight += weight;
        }
        self.weights = (0..rows.n_items).map(|item| self.nodes_at(item).iter().map(|n| n.weight).sum()).collect();
    }

    fn nodes_at(&self, item: usize) -> &[Node] {
        &self.nodes[self.starts[item] as usize..self.starts[item + 1] as usize]
    }

    /// Makes room for the marks of projections.
    fn finish(&mut self) {
        self.marks.clear();
        self.marks.resize(self.nodes.len(), UNMARKED);
        self.reached.clear();
        self.reached.resize(self.labels.len(), UNREACHED);
        self.words.clear();
        self.words.resize(self.labels.len().div_ceil(64), 0);
    }

    /// Whether the tree is a single path.
    pub(super) fn is_path(&self) -> bool {
        self.nodes.len() == self.labels.len() + 1
            && self.nodes.iter().enumerate().skip(1).all(|(i, node)| node.parent as usize == i - 1)
    }

    /// Marks everything above the nodes of `item`; the number of nodes met. [`Tree::release`] takes the marks back.
    pub(super) fn project(&mut self, item: usize) -> usize {
        let own = self.starts[item] as usize..self.starts[item + 1] as usize;
        let mut met = own.len();
        for node in own {
            let Node { parent, weight, .. } = self.nodes[node];
            self.reach(parent, weight);
        }
        for word in (0..item.div_ceil(64)).rev() {
            // Parents belong to lower items: later bits of this word at most.
            let mut below = u64::MAX;
            while self.words[word] & below != 0 {
                let bit = 63 - (self.words[word] & below).leading_zeros();
                below = (1 << bit) - 1;
                met += self.hand_up(word * 64 + bit as usize);
            }
        }
        met
    }

    fn hand_up(&mut self, item: usize) -> usize {
        let (mut node, mut weight, mut met) = (self.reached[item].first, 0, 0);
        while node != NONE {
            let mark = self.marks[node as usize];
            weight += mark.weight;
            met += 1;
            self.reach(self.nodes[node as usize].parent, mark.weight);
            node = mark.next;
        }
        self.reached[item].weight = weight;
        met
    }

    #[inline]
    fn reach(&mut self, node: u32, weight: u64) {
        if node == ROOT {
            return;
        }
        let mark = &mut self.marks[node as usize];
        if mark.weight == 0 {
            let item = self.nodes[node as usize].item as usize;
            let reached = &mut self.reached[item];
            mark.next = reached.first;
            reached.first = node;
            self.words[item / 64] |= 1 << (item % 64);
        }
        mark.weight += weight;
    }

    /// Items that the projection reached, ascending, with their weights.
    pub(super) fn reached(&self) -> impl Iterator<Item = (u32, u64)> {
        self.bits().map(|item| (item as u32, self.reached[item].weight))
    }

    /// Weight of an item in the conditional baskets.
    pub(super) fn weight_reached(&self, item: u32) -> u64 {
        self.reached[item as usize].weight
    }

    fn bits(&self) -> impl Iterator<Item = usize> {
        self.words.iter().enumerate().flat_map(|(word, &bits)| {
            let mut left = bits;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros() as usize;
                left &= left.wrapping_sub(1);
                (bit < 64).then_some(word * 64 + bit)
            })
        })
    }

    /// Takes the marks of the projection back.
    pub(super) fn release(&mut self) {
        for word in 0..self.words.len() {
            let mut left = std::mem::take(&mut self.words[word]);
            while left != 0 {
                let item = word * 64 + left.trailing_zeros() as usize;
                left &= left - 1;
                let mut node = std::mem::replace(&mut self.reached[item], UNREACHED).first;
                while node != NONE {
                    node = std::mem::replace(&mut self.marks[node as usize], UNMARKED).next;
                }
            }
        }
    }

    /// Makes `into` the conditional tree of the projection, over `items` alone, which are ascending and were reached.
    pub(super) fn condition(&mut self, items: &[u32], into: &mut Tree) {
        into.labels.clear();
        into.weights.clear();
        into.starts.clear();
        into.nodes.clear();
        into.nodes.push(Node { parent: ROOT, item: NONE, weight: 0 });
        into.children.clear();
        into.children.push(NONE);
        for (local, &item) in items.iter().enumerate() {
            self.reached[item as usize].local = local as u32;
            into.labels.push(self.labels[item as usize]);
            into.weights.push(self.reached[item as usize].weight);
        }
        for word in 0..self.words.len() {
            let mut left = self.words[word];
            while left != 0 {
                let item = word * 64 + left.trailing_zeros() as usize;
                left &= left - 1;
                self.copy_nodes(item, into);
            }
        }
        into.starts.push(into.nodes.len() as u32);
        into.finish();
    }

    fn copy_nodes(&mut self, item: usize, into: &mut Tree) {
        let Reached { mut first, local, .. } = self.reached[item];
        let start = into.nodes.len() as u32;
        if local != NONE {
            into.starts.push(start);
        }
        while first != NONE {
            let node = first as usize;
            let parent = self.marks[self.nodes[node].parent as usize].copy;
            let mark = &mut self.marks[node];
            first = mark.next;
            if local == NONE {
                mark.copy = parent;
                continue;
            }
            let known = into.children[parent as usize];
            // A child from before `start` belongs to another item.
            if known != NONE && known >= start {
                into.nodes[known as usize].weight += mark.weight;
                mark.copy = known;
            } else {
                let new = into.nodes.len() as u32;
                into.nodes.push(Node { parent, item: local, weight: mark.weight });
                into.children.push(NONE);
                into.children[parent as usize] = new;
                mark.copy = new;
            }
        }
    }
}

/// Length of the prefix that two rows share.
fn shared(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
