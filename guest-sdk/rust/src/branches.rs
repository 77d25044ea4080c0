use crate::dag::{Dag, Shared, aggregate, shared};
use crate::definition::Tolerate;
use crate::failed::Gathered;
use crate::failure::Result;
use crate::handler::{Aggregate, Choose, Gather, Split};
use crate::inputs::Inputs;
use std::fmt;
use std::rc::Rc;

pub(crate) enum Selects {
    Choose(Choose),
    Split(Split),
}

pub(crate) struct BranchesModel {
    pub selects: Selects,
    pub dags: Vec<(String, Dag)>,
    pub aggregator: Option<Aggregate>,
    pub carries_nothing: bool,
    pub max_parallel: Option<u32>,
    pub tolerate: Option<Tolerate>,
    pub gather: Option<Gather>,
}

impl BranchesModel {
    pub fn new(selects: Selects, dags: Vec<(String, Dag)>) -> Shared<Self> {
        let (aggregator, max_parallel, tolerate, gather) = (None, None, None, None);
        shared(Self { selects, dags, aggregator, carries_nothing: false, max_parallel, tolerate, gather })
    }

    fn dag(&mut self, key: &str) -> Dag {
        if let Some((_, dag)) = self.dags.iter().find(|(known, _)| known == key) {
            return dag.clone();
        }
        let dag = Dag::new();
        self.dags.push((key.into(), dag.clone()));
        dag
    }
}

/// The branches of a condition: one dag per key. Made by [`Dag::condition`].
///
/// Without an aggregator, a condition that chose exactly one branch yields the result of that branch, and a condition
/// that chose several yields nothing.
///
/// ```
/// use faas_flow::{Context, Result, Workflow};
///
/// fn define(workflow: &mut Workflow, _context: &Context) -> Result {
///     let size = workflow.dag().condition("size", ["small", "large"], |data: Vec<u8>| {
///         Ok([if data.len() < 1024 { "small" } else { "large" }])
///     });
///     size.branch("small").node("ship").apply("ship-parcel");
///     size.branch("large").node("ship").apply("ship-pallet");
///     Ok(())
/// }
/// # faas_flow::testing::Flow::new(define).unwrap();
/// ```
#[derive(Clone)]
pub struct Condition {
    pub(crate) model: Shared<BranchesModel>,
}

impl Condition {
    /// The dag of the branch with this key, the same one each time. A key that the condition did not list adds a
    /// branch. Keys have 1 to 128 bytes.
    #[must_use = "a branch without nodes is not valid"]
    pub fn branch(&self, key: &str) -> Dag {
        self.model.borrow_mut().dag(key)
    }

    /// Merges the results of the branches that ran, named by their keys, in the order in which they were chosen.
    pub fn aggregator<T: Into<Vec<u8>>>(&self, aggregator: impl Fn(Inputs) -> Result<T> + 'static) -> Self {
        self.model.borrow_mut().aggregator = Some(aggregate(aggregator));
        self.clone()
    }

    /// Makes the branches start with empty data, and drops their results.
    pub fn execution(&self) -> Self {
        self.model.borrow_mut().carries_nothing = true;
        self.clone()
    }

    /// Limits how many branches run at the same time, at least 1. By default they all do.
    pub fn max_parallel(&self, count: u32) -> Self {
        self.model.borrow_mut().max_parallel = Some(count);
        self.clone()
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let model = self.model.borrow();
        let keys: Vec<&str> = model.dags.iter().map(|(key, _)| key.as_str()).collect();
        f.debug_struct("Condition").field("branches", &keys).finish_non_exhaustive()
    }
}

/// The branches of a for-each: one dag, which runs once for each item. Made by [`Dag::for_each`].
///
/// Without an aggregator, a for-each yields nothing.
///
/// ```
/// use faas_flow::{Context, Inputs, Result, Workflow};
///
/// fn define(workflow: &mut Workflow, _context: &Context) -> Result {
///     let lines = workflow.dag().for_each("lines", |data: Vec<u8>| {
///         let text = String::from_utf8(data)?;
///         let lines = text.lines().enumerate();
///         Ok(lines.map(|(number, line)| (number.to_string(), line.to_owned())).collect::<Vec<_>>())
///     });
///     lines.dag().node("translate").apply("translate");
///     lines.max_parallel(4).aggregator(|results: Inputs| Ok(results.concat()));
///     Ok(())
/// }
/// # faas_flow::testing::Flow::new(define).unwrap();
/// ```
#[derive(Clone)]
pub struct ForEach {
    pub(crate) model: Shared<BranchesModel>,
}

impl ForEach {
    /// The dag that runs for each item, the same one each time.
    #[must_use = "a for-each whose dag has no nodes is not valid"]
    pub fn dag(&self) -> Dag {
        self.model.borrow_mut().dag("")
    }

    /// Merges the results of all items, named by their keys, in the order in which they were split. If there are no
    /// items, the aggregator is not called and the node's output is empty.
    pub fn aggregator<T: Into<Vec<u8>>>(&self, aggregator: impl Fn(Inputs) -> Result<T> + 'static) -> Self {
        self.model.borrow_mut().aggregator = Some(aggregate(aggregator));
        self.clone()
    }

    /// Makes the branches start with empty data, and drops their results.
    pub fn execution(&self) -> Self {
        self.model.borrow_mut().carries_nothing = true;
        self.clone()
    }

    /// Lets this number of items fail without failing the for-each. By default none may (fail-fast).
    ///
    /// An item that fails and is tolerated has no result: an [`ForEach::aggregator`] does not see it, and a closure of
    /// [`ForEach::gather`] sees its failure. The other items continue. If one more item fails, the for-each fails.
    ///
    /// ```
    /// use faas_flow::{Context, Gathered, Result, Workflow};
    ///
    /// fn define(workflow: &mut Workflow, _context: &Context) -> Result {
    ///     let orders = workflow.dag().for_each("orders", |data: Vec<u8>| Ok([("1", data)]));
    ///     orders.dag().node("ship").apply("ship");
    ///     orders.tolerate_share(0.05).gather(|items: Vec<Gathered>| {
    ///         let lines = items.into_iter().map(|item| match item.ended {
    ///             Ok(_) => format!("{}: shipped\n", item.key),
    ///             Err(failed) => format!("{}: {failed}\n", item.key),
    ///         });
    ///         Ok(lines.collect::<String>())
    ///     });
    ///     Ok(())
    /// }
    /// # faas_flow::testing::Flow::new(define).unwrap();
    /// ```
    pub fn tolerate(&self, items: u32) -> Self {
        self.model.borrow_mut().tolerate = Some(Tolerate::Items(items));
        self.clone()
    }

    /// Lets this share of the items fail, from 0.0 to 1.0, rounded down to whole items: `0.05` of 30 items are 1. See
    /// [`ForEach::tolerate`], which it replaces.
    pub fn tolerate_share(&self, share: f32) -> Self {
        self.model.borrow_mut().tolerate = Some(Tolerate::Share(share));
        self.clone()
    }

    /// Merges the results of all items as [`ForEach::aggregator`] does, and sees tolerated failures in their places. It
    /// takes the place of an aggregator.
    pub fn gather<T: Into<Vec<u8>>>(&self, gather: impl Fn(Vec<Gathered>) -> Result<T> + 'static) -> Self {
        self.model.borrow_mut().gather = Some(Rc::new(move |items| gather(items).map(Into::into)));
        self.clone()
    }

    /// Limits how many items are processed at the same time, at least 1. By default they all are.
    pub fn max_parallel(&self, count: u32) -> Self {
        self.model.borrow_mut().max_parallel = Some(count);
        self.clone()
    }
}

impl fmt::Debug for ForEach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForEach").finish_non_exhaustive()
    }
}
