//! An empty flow.
