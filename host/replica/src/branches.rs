//! The branches that a node begins: those that its condition chose, or one for each of its items.

use super::apart::in_turn;
use super::attempt::NodeAttempt;
use faas_flow_core::run::Outcome;
use faas_flow_core::{BranchKey, Code, Content, Failure, Payload};
use std::collections::HashSet;

/// A handler yielded branches that a node cannot begin.
#[derive(Debug, thiserror::Error)]
enum BadBranches {
    #[error("chose no branch: choose at least one; it may be an empty one")]
    NoneChosen,
    #[error("chose `{}`, but the branches are {}", .name.escape_debug(), .known.join(", "))]
    Unknown { name: String, known: Vec<String> },
    #[error("chose the branch `{0}` twice")]
    ChosenTwice(BranchKey),
    #[error("yielded {items} items, but may yield at most {limit} (max_items): group them")]
    TooMany { items: usize, limit: usize },
    #[error("yielded two items with the key `{0}`: make keys unique")]
    SameKey(BranchKey),
    #[error("yielded an item whose {0}")]
    BadKey(faas_flow_core::Malformed),
}

impl BadBranches {
    fn code(&self) -> Code {
        match self {
            BadBranches::NoneChosen => Code::NO_BRANCH_CHOSEN,
            BadBranches::Unknown { .. } => Code::UNKNOWN_BRANCH,
            BadBranches::ChosenTwice(_) | BadBranches::SameKey(_) => Code::DUPLICATE_KEY,
            BadBranches::TooMany { .. } => Code::TOO_MANY_ITEMS,
            BadBranches::BadKey(_) => Code::BAD_BRANCH_KEY,
        }
    }

    fn of(self, handler: &str) -> Failure {
        Failure::reject(self.code(), format!("handler `{handler}` {self}"))
    }
}

impl NodeAttempt<'_> {
    /// Begins the branches that a condition chose, each with the same data, or with none if `data` is `None`.
    pub(super) async fn choose(
        &mut self,
        handler: &str,
        keys: &[BranchKey],
        chosen: Vec<String>,
        data: Option<Content>,
    ) -> Result<Outcome, Failure> {
        let chosen = chosen_keys(keys, chosen).map_err(|bad| bad.of(handler))?;
        let input = match data {
            Some(data) => self.store("", data).await?,
            None => Payload::empty(),
        };
        Ok(Outcome::Branched(chosen.into_iter().map(|key| (Some(key), input.clone())).collect()))
    }

    /// Begins a branch for each item.
    pub(super) async fn split(&mut self, handler: &str, items: Vec<(String, Content)>) -> Result<Outcome, Failure> {
        let limit = self.live.services.settings.max_items;
        let items = items_by_key(items, limit).map_err(|bad| bad.of(handler))?;
        self.live.hold_branches(items.len())?;
        let mut branches = Vec::with_capacity(items.len());
        for (at, (key, data)) in items.into_iter().enumerate() {
            in_turn(at).await;
            let input = if data.bytes.is_empty() {
                Payload::empty().of_type(data.media_type)
            } else {
                self.store(key.as_str(), data).await?
            };
            branches.push((Some(key), input));
        }
        Ok(Outcome::Branched(branches))
    }
}

fn chosen_keys(keys: &[BranchKey], chosen: Vec<String>) -> Result<Vec<BranchKey>, BadBranches> {
    if chosen.is_empty() {
        return Err(BadBranches::NoneChosen);
    }
    let mut branches: Vec<BranchKey> = Vec::with_capacity(chosen.len());
    for name in chosen {
        let Some(key) = keys.iter().find(|key| key.as_str() == name) else {
            let known = keys.iter().map(|key| key.as_str().to_owned()).collect();
            return Err(BadBranches::Unknown { name, known });
        };
        if branches.contains(key) {
            return Err(BadBranches::ChosenTwice(key.clone()));
        }
        branches.push(key.clone());
    }
    Ok(branches)
}

fn items_by_key(items: Vec<(String, Content)>, limit: usize) -> Result<Vec<(BranchKey, Content)>, BadBranches> {
    if items.len() > limit {
        return Err(BadBranches::TooMany { items: items.len(), limit });
    }
    let mut seen = HashSet::with_capacity(items.len());
    let mut keyed = Vec::with_capacity(items.len());
    for (key, data) in items {
        let key = BranchKey::new(&key).map_err(BadBranches::BadKey)?;
        if !seen.insert(key.clone()) {
            return Err(BadBranches::SameKey(key));
        }
        keyed.push((key, data));
    }
    Ok(keyed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: &str) -> BranchKey {
        BranchKey::new(key).unwrap()
    }

    fn choose(chosen: &[&str]) -> Result<Vec<BranchKey>, Failure> {
        let chosen = chosen.iter().map(|&name| name.to_owned()).collect();
        chosen_keys(&[key("a"), key("b")], chosen).map_err(|bad| bad.of("C/condition"))
    }

    fn split(keys: &[&str]) -> Result<Vec<(BranchKey, Content)>, Failure> {
        let items = keys.iter().map(|&key| (key.to_owned(), Content::empty())).collect();
        items_by_key(items, 3).map_err(|bad| bad.of("F/for-each"))
    }

    #[test]
    fn a_condition_chooses_some_of_its_branches_each_once() {
        assert_eq!(choose(&["b", "a"]).unwrap(), [key("b"), key("a")]);
        assert_eq!(choose(&[]).unwrap_err().code, Code::NO_BRANCH_CHOSEN);
        assert_eq!(choose(&["a", "a"]).unwrap_err().code, Code::DUPLICATE_KEY);
        let unknown = choose(&["nowhere"]).unwrap_err();
        assert_eq!(unknown.code, Code::UNKNOWN_BRANCH);
        assert_eq!(unknown.message, "handler `C/condition` chose `nowhere`, but the branches are a, b");
        assert!(!unknown.retry);
    }

    /// EACH-1, EACH-5.
    #[test]
    fn items_have_keys_of_their_own_and_there_are_not_too_many() {
        let keys: Vec<BranchKey> = split(&["b", "a"]).unwrap().into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [key("b"), key("a")]);
        assert_eq!(split(&["a", "b", "c", "d"]).unwrap_err().code, Code::TOO_MANY_ITEMS);
        assert_eq!(split(&[""]).unwrap_err().code, Code::BAD_BRANCH_KEY);
        let same = split(&["a", "b", "a"]).unwrap_err();
        assert_eq!(same.code, Code::DUPLICATE_KEY);
        assert_eq!(same.message, "handler `F/for-each` yielded two items with the key `a`: make keys unique");
    }
}
