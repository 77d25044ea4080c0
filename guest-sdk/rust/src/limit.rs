use crate::failure::Result;
use crate::handler::Key;
use std::fmt;
use std::rc::Rc;

/// A limit over all runs: how many calls or nodes may be in flight at a time, and how many may begin in a second.
///
/// ```
/// use faas_flow::{Dag, Limit};
///
/// let dag = Dag::new();
/// // At most ten calls of the payment function a second, over all runs of the flow.
/// dag.node("charge").apply("payment").limit(Limit::new("payments").per_second(10.0));
/// // At most two trainings at a time for each tenant.
/// let trainings = Limit::new("trainings").concurrent(2).key(|order| Ok(String::from_utf8_lossy(&order).into_owned()));
/// dag.node("train").apply("train-model").asynchronous().limit(trainings);
/// ```
///
/// The name belongs to the flow. If the operator defines a limit with this name, it counts over all flows, and the operator's
/// figures replace those of the flow. Everything in a flow that names the same limit must give it the same figures.
///
/// Permits are granted in the order in which they are asked for, and whatever waits for one holds nothing meanwhile. The host
/// checks the ranges below when it loads the flow.
#[derive(Clone)]
#[must_use = "a limit has no effect until a call or node gets it"]
pub struct Limit {
    pub(crate) name: String,
    pub(crate) concurrent: Option<u32>,
    pub(crate) per_second: Option<f64>,
    pub(crate) key: Option<Key>,
}

impl Limit {
    /// A limit with this name: 1 to 64 characters of `A-Z a-z 0-9 _ . -`. It needs at least one of [`Limit::concurrent`] and
    /// [`Limit::per_second`].
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), concurrent: None, per_second: None, key: None }
    }

    /// Limits how many calls or nodes are in flight at a time, at least 1.
    pub fn concurrent(self, count: u32) -> Self {
        Self { concurrent: Some(count), ..self }
    }

    /// Limits how many calls or nodes begin in a second, from 0.001 to 1,000,000.
    pub fn per_second(self, rate: f64) -> Self {
        Self { per_second: Some(rate), ..self }
    }

    /// Sets a closure that names a key for the data of the call or the node, such as a tenant: at most 256 bytes. Each key has
    /// the whole limit to itself.
    pub fn key<T: Into<String>>(self, key: impl Fn(Vec<u8>) -> Result<T> + 'static) -> Self {
        Self { key: Some(Rc::new(move |data| key(data).map(Into::into))), ..self }
    }
}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, concurrent, per_second, key } = self;
        f.debug_struct("Limit")
            .field("name", name)
            .field("concurrent", concurrent)
            .field("per_second", per_second)
            .field("has_key", &key.is_some())
            .finish()
    }
}
