use crate::dag::{Shared, aggregate, shared};
use crate::handler::{Aggregate, Choose, Split};
use crate::{Dag, Inputs, Result};
use std::marker::PhantomData;

/// The dags behind a [`Condition`] or a [`ForEach`].
///
/// Without an aggregator, a condition that chose exactly one branch yields that branch's result, and anything else
/// yields nothing.
pub struct Branches<By> {
    pub(crate) model: Shared<BranchesModel>,
    by: PhantomData<By>,
}

/// A condition's branches: one dag per key.
pub type Condition = Branches<ByKey>;
/// A for-each's branches: one dag for all items.
pub type ForEach = Branches<ByItem>;
/// Branches that are chosen by their keys.
pub enum ByKey {}
/// Branches that items make.
pub enum ByItem {}

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
}

impl<By> Branches<By> {
    fn with(selects: Selects, dags: Vec<(String, Dag)>) -> Self {
        let model =
            shared(BranchesModel { selects, dags, aggregator: None, carries_nothing: false, max_parallel: None });
        Self { model, by: PhantomData }
    }

    /// Merges the results of the branches that ran, by key, in the order in which they were chosen or split. A for-each
    /// over nothing aggregates nothing and goes on.
    pub fn aggregator<T: Into<Vec<u8>>>(&self, aggregator: impl Fn(Inputs) -> Result<T> + 'static) -> Self {
        self.model.borrow_mut().aggregator = Some(aggregate(aggregator));
        self.clone()
    }

    /// The branches start with empty data, and their results are dropped.
    pub fn execution(&self) -> Self {
        self.model.borrow_mut().carries_nothing = true;
        self.clone()
    }

    /// At most so many branches run at a time.
    pub fn max_parallel(&self, count: u32) -> Self {
        self.model.borrow_mut().max_parallel = Some(count);
        self.clone()
    }

    fn dag_of(&self, key: &str) -> Dag {
        let dags = &mut self.model.borrow_mut().dags;
        if let Some((_, dag)) = dags.iter().find(|(known, _)| known == key) {
            return dag.clone();
        }
        let dag = Dag::new();
        dags.push((key.into(), dag.clone()));
        dag
    }
}

impl Branches<ByKey> {
    pub(crate) fn new(choose: Choose, keys: impl Iterator<Item = String>) -> Self {
        Self::with(Selects::Choose(choose), keys.map(|key| (key, Dag::new())).collect())
    }

    /// The dag of one branch; a key that the condition did not list adds a branch.
    pub fn branch(&self, key: &str) -> Dag {
        self.dag_of(key)
    }
}

impl Branches<ByItem> {
    pub(crate) fn new(split: Split) -> Self {
        Self::with(Selects::Split(split), vec![(String::new(), Dag::new())])
    }

    /// The dag that runs for each item.
    pub fn dag(&self) -> Dag {
        self.dag_of("")
    }
}

impl<By> Clone for Branches<By> {
    fn clone(&self) -> Self {
        Self { model: self.model.clone(), by: PhantomData }
    }
}
