//! What the fuzz targets (`tests/fuzzing`) reach of this crate. Only they have the feature `fuzzing`.

use crate::compiler::answer;

/// Reads the answer of a compiler with at most so much code. Returns the answer as it would be written again, if it is one.
pub fn compiler_answer(bytes: &[u8], code_bytes: u64) -> Option<Vec<u8>> {
    let mut written = Vec::new();
    answer::read(bytes, code_bytes).ok()?.write(&mut written).ok()?;
    Some(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_with_which_fuzzing_begins_is_valid() {
        let answer = include_bytes!("../../../fuzz/seeds/compiler_answer/code");
        assert_eq!(compiler_answer(answer, 64).unwrap(), answer);
    }
}
