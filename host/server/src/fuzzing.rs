//! What the fuzz targets (`tests/fuzzing`) reach of the configuration. Only they have the feature `fuzzing`.

use crate::config::{Defaults, Error, Values};
use std::path::Path;

/// Reads the text of a `flow.yml`, and each of its values by the format of its key.
pub fn configuration(text: &str) -> Result<(), Error> {
    Values::with_defaults(Defaults::Deployed)?.read_text(text, Path::new("flow.yml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_with_which_fuzzing_begins_is_valid() {
        configuration(include_str!("../../../fuzz/seeds/configuration/flow.yml")).unwrap();
    }
}
