//! Suggestions for misspelt names.

/// The known name that a misspelt one most resembles, if one is at most `tolerance` edits away: insertions, deletions,
/// replacements, or swaps of neighbours. Among equally near names it is the first in alphabetical order.
pub fn nearest<'a>(
    wrong: &str,
    known: impl IntoIterator<Item = &'a str>,
    tolerance: impl Fn(&str) -> usize,
) -> Option<&'a str> {
    let distances = known.into_iter().map(|name| (strsim::osa_distance(wrong, name), name));
    let (distance, name) = distances.min()?;
    (distance <= tolerance(name)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_within_the_tolerance() {
        let known = ["state_store", "store", "s3_url"];
        assert_eq!(nearest("state_stroe", known, |_| 1), Some("state_store"));
        assert_eq!(nearest("sotre", known, |_| 1), Some("store"));
        assert_eq!(nearest("sotre", known, |_| 0), None);
        assert_eq!(nearest("x", [], |_| 9), None);
    }

    #[test]
    fn among_equally_near_names_the_first_in_the_alphabet_is_found() {
        assert_eq!(nearest("bx", ["bb", "ba"], |_| 1), Some("ba"));
    }
}
