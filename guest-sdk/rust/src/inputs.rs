//! Named values, as aggregators take them.

use std::iter::FusedIterator;
use std::{slice, vec};

/// The values that an aggregator merges, each with a name.
///
/// The inputs of a node are named by the predecessor that sent them and come in the order in which the edges were
/// declared. The results of branches are named by the branch's key and come in the order in which the branches were
/// chosen or split. Neither order depends on which finished first.
///
/// ```
/// use faas_flow::{Inputs, Result};
///
/// fn report(inputs: Inputs) -> Result<Vec<u8>> {
///     let total = inputs.get("total").ok_or("node `total` sent nothing")?;
///     let names: Vec<&str> = inputs.names().collect();
///     Ok([total, b" from ", names.join(", ").as_bytes()].concat())
/// }
///
/// let inputs = Inputs::from_iter([("total", "7"), ("detail", "3+4")]);
/// assert_eq!(report(inputs)?, b"7 from total, detail");
/// # faas_flow::Result::<()>::Ok(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Inputs {
    entries: Vec<(String, Vec<u8>)>,
}

impl Inputs {
    /// No values; add some with [`Extend`], or collect an iterator of names and values instead.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value with this name, if there is one.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// Names and values, in order.
    pub fn iter(&self) -> Iter<'_> {
        Iter { entries: self.entries.iter() }
    }

    /// The names, in order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.iter().map(|(name, _)| name)
    }

    /// The values, in order.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.iter().map(|(_, value)| value)
    }

    /// All values joined into one, in order, with nothing between them.
    pub fn concat(&self) -> Vec<u8> {
        self.values().flatten().copied().collect()
    }

    /// The number of values.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(target_arch = "wasm32")]
impl From<Vec<(String, Vec<u8>)>> for Inputs {
    fn from(entries: Vec<(String, Vec<u8>)>) -> Self {
        Self { entries }
    }
}

impl<N: Into<String>, V: Into<Vec<u8>>> FromIterator<(N, V)> for Inputs {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(entries: I) -> Self {
        let mut inputs = Self::new();
        inputs.extend(entries);
        inputs
    }
}

impl<N: Into<String>, V: Into<Vec<u8>>> Extend<(N, V)> for Inputs {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, entries: I) {
        self.entries.extend(entries.into_iter().map(|(name, value)| (name.into(), value.into())));
    }
}

impl IntoIterator for Inputs {
    type Item = (String, Vec<u8>);
    type IntoIter = IntoIter;

    fn into_iter(self) -> IntoIter {
        IntoIter { entries: self.entries.into_iter() }
    }
}

impl<'a> IntoIterator for &'a Inputs {
    type Item = (&'a str, &'a [u8]);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Borrowed names and values of [`Inputs`], in order.
#[derive(Debug, Clone)]
#[must_use = "iterators do nothing unless consumed"]
pub struct Iter<'a> {
    entries: slice::Iter<'a, (String, Vec<u8>)>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.entries.next().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.entries.size_hint()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.entries.next_back().map(|(name, value)| (name.as_str(), value.as_slice()))
    }
}

impl ExactSizeIterator for Iter<'_> {}
impl FusedIterator for Iter<'_> {}

/// Owned names and values of [`Inputs`], in order.
#[derive(Debug, Clone)]
#[must_use = "iterators do nothing unless consumed"]
pub struct IntoIter {
    entries: vec::IntoIter<(String, Vec<u8>)>,
}

impl Iterator for IntoIter {
    type Item = (String, Vec<u8>);

    fn next(&mut self) -> Option<Self::Item> {
        self.entries.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.entries.size_hint()
    }
}

impl DoubleEndedIterator for IntoIter {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.entries.next_back()
    }
}

impl ExactSizeIterator for IntoIter {}
impl FusedIterator for IntoIter {}
