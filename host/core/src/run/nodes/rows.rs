//! The nodes of a run as a table of moderate length: the branches of a node that began many are counted, not listed, until
//! somebody asks for them.

use super::{Scopes, ShownNode};
use crate::run::documents::{Phase, Progress, Run, Scope};
use crate::{Millis, NodePath};
use std::borrow::Borrow;
use std::collections::HashMap;

/// A node that began more branches than this is wide: they are counted.
pub const WIDE: u32 = 20;

/// A row of the table: a node, and if it is wide, what has become of its branches.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The node.
    pub node: ShownNode<'a>,
    /// How its branches are, if it is wide.
    pub branches: Option<Tally>,
}

/// A page of the table.
#[derive(Debug, Clone)]
pub struct Rows<'a> {
    /// The rows of the page.
    pub rows: Vec<Row<'a>>,
    /// How many there are on all pages: nodes, or the branches of the node that was asked for.
    pub count: usize,
}

/// How many branches are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// A node of them has failed, and nobody has caught that.
    pub failed: u32,
    /// A node of them is executed.
    pub running: u32,
    /// A node of them is to be executed.
    pub ready: u32,
    /// They were cut off.
    pub cancelled: u32,
    /// All of their nodes have ended.
    pub done: u32,
    /// They have not begun.
    pub waiting: u32,
}

impl Tally {
    /// The states with the number of branches in each, in the order in which they are shown.
    pub fn each(&self) -> [(Progress, u32); 6] {
        [
            (Progress::Failed, self.failed),
            (Progress::Done, self.done),
            (Progress::Running, self.running),
            (Progress::Ready, self.ready),
            (Progress::Cancelled, self.cancelled),
            (Progress::Waiting, self.waiting),
        ]
    }

    /// How many branches there are.
    pub fn total(&self) -> u32 {
        self.each().iter().map(|(_, count)| count).sum()
    }

    fn add(&mut self, branch: Branch) {
        let count = match branch.progress() {
            Progress::Failed => &mut self.failed,
            Progress::Running | Progress::Branching => &mut self.running,
            Progress::Ready => &mut self.ready,
            Progress::Cancelled => &mut self.cancelled,
            Progress::Done => &mut self.done,
            Progress::Waiting => &mut self.waiting,
        };
        *count += 1;
    }
}

/// What is known of a branch: whether it has a node in a state.
#[derive(Debug, Clone, Copy, Default)]
struct Branch {
    has: u8,
}

impl Branch {
    /// Stands for a node that the end of the run has kept from beginning.
    const LEFT: u8 = 1 << 7;

    fn add(&mut self, node: ShownNode<'_>) {
        self.has |= match node.progress() {
            // A failure that was caught ends the branch well.
            Progress::Failed if node.is_caught() => 1 << Progress::Done as u8,
            Progress::Waiting if node.withdrawn().is_some() => 0,
            Progress::Waiting if node.run.phase != Phase::Flow => Self::LEFT,
            progress => 1 << progress as u8,
        };
    }

    fn has(self, progress: Progress) -> bool {
        self.has & (1 << progress as u8) != 0
    }

    /// The state of the branch as a whole.
    fn progress(self) -> Progress {
        let urgent = [
            Progress::Failed,
            Progress::Cancelled,
            Progress::Running,
            Progress::Ready,
            Progress::Branching,
            Progress::Done,
        ];
        let found = urgent.into_iter().find(|progress| self.has(*progress)).unwrap_or(Progress::Waiting);
        match found {
            // Between two nodes it goes on.
            Progress::Done if self.has(Progress::Waiting) => Progress::Running,
            Progress::Done if self.has & Self::LEFT != 0 => Progress::Cancelled,
            found => found,
        }
    }
}

/// Where a scope is shown.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// Nowhere.
    Outside,
    /// In the table, as a part of the branch with this number if branches were asked for.
    Open(usize),
    /// As a part of a branch that is counted: the group, and the branch in it.
    Counted(usize, usize),
}

impl<S: Borrow<Scope>> Scopes<S> {
    /// A page of the table of the run that has these scopes: of all its nodes, except those in the branches of wide nodes. With
    /// `within`, of the branches of that node instead: those that failed first, and each with its nodes.
    pub fn rows<'a>(&'a self, run: &'a Run, within: Option<&NodePath>, (offset, limit): (usize, usize)) -> Rows<'a> {
        let mut table = Table::new(self, within);
        for (at, slot, withdrawn) in self.shown() {
            let scope = slot.scope.borrow();
            let place = table.place(at, slot.above);
            for state in &scope.nodes {
                table.note(place, ShownNode { scope: Some(scope), state, run, withdrawn });
            }
            if let Place::Open(branch) = place {
                table.open.push((at, branch, withdrawn));
            }
        }
        table.page(run, (offset, limit))
    }
}

struct Table<'a, S> {
    scopes: &'a Scopes<S>,
    /// The slot and the position of the node whose branches are asked for; `Err` if the run has no such node.
    within: Option<Result<(usize, usize), ()>>,
    places: Vec<Place>,
    /// The branches that were asked for.
    branches: Vec<Branch>,
    /// The branches of wide nodes, by the node that began them.
    groups: HashMap<(usize, usize), usize>,
    counted: Vec<Vec<Branch>>,
    /// The scopes that are shown, each with its branch.
    open: Vec<(usize, usize, Option<Millis>)>,
}

impl<'a, S: Borrow<Scope>> Table<'a, S> {
    fn new(scopes: &'a Scopes<S>, within: Option<&NodePath>) -> Self {
        let position = |path: &NodePath| {
            let at = *scopes.by_path.get(&path.scope)?;
            let nodes = &scopes.slots.get(at)?.scope.borrow().nodes;
            Some((at, nodes.iter().position(|node| node.id == path.node)?))
        };
        Self {
            scopes,
            within: within.map(|path| position(path).ok_or(())),
            places: vec![Place::Outside; scopes.slots.len()],
            branches: Vec::new(),
            groups: HashMap::new(),
            counted: Vec::new(),
            open: Vec::new(),
        }
    }

    /// Where a scope is shown. The one above has been placed before.
    fn place(&mut self, at: usize, above: Option<(usize, usize)>) -> Place {
        let place = match (above, self.within) {
            (Some(above), Some(Ok(within))) if above == within => {
                self.branches.push(Branch::default());
                Place::Open(self.branches.len() - 1)
            }
            (None, None) => Place::Open(0),
            (None, Some(_)) => Place::Outside,
            (Some(above), _) => match self.places.get(above.0) {
                Some(Place::Open(_)) if self.is_wide(above) => {
                    let next = self.counted.len();
                    let group = *self.groups.entry(above).or_insert(next);
                    if group == next {
                        self.counted.push(Vec::new());
                    }
                    let branches = self.counted.get_mut(group);
                    let branch = branches.map_or(0, |branches| {
                        branches.push(Branch::default());
                        branches.len() - 1
                    });
                    Place::Counted(group, branch)
                }
                Some(place) => *place,
                None => Place::Outside,
            },
        };
        if let Some(known) = self.places.get_mut(at) {
            *known = place;
        }
        place
    }

    fn total(&self, (at, node): (usize, usize)) -> u32 {
        let node = self.scopes.slots.get(at).and_then(|slot| slot.scope.borrow().nodes.get(node));
        node.and_then(|node| node.branches.as_ref()).map_or(0, |branches| branches.total)
    }

    fn is_wide(&self, node: (usize, usize)) -> bool {
        self.total(node) > WIDE
    }

    fn note(&mut self, place: Place, node: ShownNode<'_>) {
        let branch = match place {
            Place::Outside => None,
            Place::Open(branch) => self.branches.get_mut(branch),
            Place::Counted(group, branch) => self.counted.get_mut(group).and_then(|branches| branches.get_mut(branch)),
        };
        if let Some(branch) = branch {
            branch.add(node);
        }
    }

    /// What has become of the branches of a node, if it is wide.
    fn tally(&self, node: (usize, usize)) -> Option<Tally> {
        if !self.is_wide(node) {
            return None;
        }
        let begun = self.groups.get(&node).and_then(|group| self.counted.get(*group)).map_or(&[][..], Vec::as_slice);
        let mut tally = Tally::default();
        for branch in begun {
            tally.add(*branch);
        }
        tally.waiting += self.total(node).saturating_sub(begun.len() as u32);
        Some(tally)
    }

    fn page(self, run: &'a Run, (offset, limit): (usize, usize)) -> Rows<'a> {
        let scopes = self.scopes;
        let rows = |(at, _, withdrawn): (usize, usize, Option<Millis>)| {
            let scope = scopes.slots.get(at).map(|slot| slot.scope.borrow());
            let nodes = scope.into_iter().flat_map(|scope| scope.nodes.iter().map(move |state| (scope, state)));
            nodes.enumerate().map(move |(position, (scope, state))| {
                ((at, position), ShownNode { scope: Some(scope), state, run, withdrawn })
            })
        };
        let row = |(place, node)| Row { node, branches: self.tally(place) };
        if self.within.is_none() {
            let count = self.open.iter().copied().flat_map(rows).count();
            let hooks = run.hooks.iter().map(|state| ShownNode { scope: None, state, run, withdrawn: None });
            let hooks = hooks.map(|node| Row { node, branches: None });
            let all = self.open.iter().copied().flat_map(rows).map(row).chain(hooks);
            return Rows { rows: all.skip(offset).take(limit).collect(), count: count + run.hooks.len() };
        }
        let mut order: Vec<usize> = (0..self.branches.len()).collect();
        let has_failed = |branch: &usize| self.branches.get(*branch).is_some_and(|one| one.has(Progress::Failed));
        order.sort_by_key(|branch| !has_failed(branch));
        let mut inside: HashMap<usize, Vec<(usize, usize, Option<Millis>)>> = HashMap::new();
        for one in &self.open {
            inside.entry(one.1).or_default().push(*one);
        }
        let page = order.iter().skip(offset).take(limit);
        let scopes = page.flat_map(|branch| inside.get(branch).into_iter().flatten().copied());
        Rows { rows: scopes.flat_map(rows).map(row).collect(), count: order.len() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{branching, run, scope, state};
    use super::*;

    /// A for-each of 30 items, of which 25 have begun: the fifth has failed, the others are done but for the last two.
    fn known() -> Scopes<Scope> {
        let item = |index: u32| {
            let nodes = match index {
                4 => vec![state("a", Progress::Done), state("b", Progress::Failed)],
                23 => vec![state("a", Progress::Running), state("b", Progress::Waiting)],
                24 => vec![state("a", Progress::Done), state("b", Progress::Waiting)],
                _ => vec![state("a", Progress::Done), state("b", Progress::Done)],
            };
            scope(&format!("F[{index}]"), index, 7, nodes)
        };
        let mut known = Scopes::default();
        known.put(scope("", 0, 0, vec![state("first", Progress::Done), branching("F", 30, 7)]));
        for index in 0..25 {
            known.put(item(index));
        }
        known.settle();
        known
    }

    fn shown(within: Option<&str>, page: (usize, usize)) -> (Vec<(String, Option<Tally>)>, usize) {
        let (scopes, run) = (known(), run());
        let within = within.map(|path| NodePath::parse(path).unwrap());
        let rows = scopes.rows(&run, within.as_ref(), page);
        (rows.rows.iter().map(|row| (row.node.path().to_string(), row.branches)).collect(), rows.count)
    }

    #[test]
    fn the_branches_of_a_wide_node_are_counted() {
        let tally = Tally { failed: 1, running: 2, done: 22, waiting: 5, ..Tally::default() };
        assert_eq!(tally.total(), 30);
        let expected = [("first", None), ("F", Some(tally)), ("on-end", None)];
        let expected: Vec<_> = expected.iter().map(|(path, tally)| ((*path).to_owned(), *tally)).collect();
        assert_eq!(shown(None, (0, 100)), (expected.clone(), 3));
        assert_eq!(shown(None, (1, 1)), (expected[1..2].to_vec(), 3));
    }

    #[test]
    fn its_branches_are_shown_page_by_page_and_those_that_failed_first() {
        let paths = |page| shown(Some("F"), page).0.into_iter().map(|(path, _)| path).collect::<Vec<_>>();
        assert_eq!(paths((0, 2)), ["F[4]/a", "F[4]/b", "F[0]/a", "F[0]/b"]);
        assert_eq!(paths((5, 1)), ["F[5]/a", "F[5]/b"]);
        assert_eq!(shown(Some("F"), (0, 100)).1, 25);
        assert_eq!(paths((25, 10)), [""; 0]);
        assert_eq!(shown(Some("G"), (0, 10)), (vec![], 0), "there is no such node");
        assert_eq!(shown(Some("first"), (0, 10)), (vec![], 0), "it has no branches");
    }

    #[test]
    fn narrow_nodes_are_shown_with_their_branches() {
        let mut scopes = Scopes::default();
        scopes.put(scope("", 0, 0, vec![branching("F", 2, 7)]));
        scopes.put(scope("F[a]", 0, 7, vec![state("x", Progress::Done)]));
        scopes.put(scope("F[b]", 1, 7, vec![state("x", Progress::Done)]));
        scopes.settle();
        let run = run();
        let rows = scopes.rows(&run, None, (0, 10)).rows;
        assert!(rows.iter().all(|row| row.branches.is_none()));
        let paths: Vec<String> = rows.iter().map(|row| row.node.path().to_string()).collect();
        assert_eq!(paths, ["F", "F[a]/x", "F[b]/x", "on-end"]);
    }
}
