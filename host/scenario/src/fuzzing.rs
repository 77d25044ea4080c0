//! What the fuzz targets (`tests/fuzzing`) reach of scenario files. Only they have the feature `fuzzing`.

use crate::{Error, reading};
use std::path::Path;

/// Reads the text of a scenario file.
pub fn scenario(text: &str) -> Result<(), Error> {
    reading::form(Path::new("tests/flow.yaml"), text).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scenarios_with_which_fuzzing_begins_are_valid() {
        scenario(include_str!("../../../fuzz/seeds/scenario/order.yaml")).unwrap();
    }
}
