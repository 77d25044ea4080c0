//! Whether anybody still waits for a module: an operator may hang up while it is compiled.

use std::sync::{Arc, Weak};

/// Somebody who waits for a module. Dropping this ends the compilation.
#[derive(Debug)]
pub struct Waiting {
    _alive: Arc<()>,
}

/// Tells whether the [`Waiting`] with which it was made was dropped.
#[derive(Debug, Clone)]
pub struct Waited(Weak<()>);

/// A new pair of both.
pub fn waiting() -> (Waiting, Waited) {
    let alive = Arc::new(());
    let waited = Waited(Arc::downgrade(&alive));
    (Waiting { _alive: alive }, waited)
}

impl Waited {
    /// Whether nobody waits any more.
    pub fn is_over(&self) -> bool {
        self.0.strong_count() == 0
    }
}
