use super::*;
use faas_flow_core::Code;
use proptest::prelude::*;

const NOW: Millis = 1_800_000_000_000;
const HOUR: Millis = 3_600_000;

fn keys(secret: &str) -> Keys {
    Keys::new(secret, None).unwrap()
}

fn signed() -> Signed<'static> {
    Signed { method: "POST", path: "/function/f/flow/r/forward", run: "r", body: b"{}" }
}

fn verify(keys: &Keys, signed: &Signed<'_>, signature: &str, time: Millis) -> Result<(), Code> {
    let checked = keys.verify(signed, Some(signature), Some(&time.to_string()), NOW, &Window::default());
    checked.map_err(|error| error.code())
}

#[test]
fn the_signature_is_the_documented_one() {
    // As Python's `hmac` computes it from the module's description.
    let signature = keys("sixteen bytes ok").sign(&signed(), NOW);
    assert_eq!(signature, "sha256=953bd582246714fc5953d8b360aa9433f3c7f62af975affe2f98fa845409c773");
}

#[test]
fn what_was_signed_is_accepted_within_its_time_only() {
    let keys = keys("sixteen bytes ok");
    let at = |time| verify(&keys, &signed(), &keys.sign(&signed(), time), time);
    for time in [NOW, NOW - HOUR, NOW + 60_000] {
        assert_eq!(at(time), Ok(()));
    }
    for time in [NOW - HOUR - 1, NOW + 60_001, 0, Millis::MAX] {
        assert_eq!(at(time), Err(Code::EVENT_TOO_OLD));
    }
}

#[test]
fn a_time_that_was_not_signed_does_not_make_an_event_younger() {
    let keys = keys("sixteen bytes ok");
    let old = keys.sign(&signed(), NOW - 2 * HOUR);
    assert_eq!(verify(&keys, &signed(), &old, NOW), Err(Code::BAD_SIGNATURE));
}

#[test]
fn while_the_secret_is_replaced_both_are_accepted() {
    let (old, new) = ("the old secret, long", "the new secret, long");
    let during = Keys::new(new, Some(old.into())).unwrap();
    for signer in [keys(old), keys(new), during.clone()] {
        assert_eq!(verify(&during, &signed(), &signer.sign(&signed(), NOW), NOW), Ok(()));
    }
    let by_new = during.sign(&signed(), NOW);
    assert_eq!(verify(&keys(new), &signed(), &by_new, NOW), Ok(()));
    assert_eq!(verify(&keys(old), &signed(), &by_new, NOW), Err(Code::BAD_SIGNATURE));
}

#[test]
fn an_event_without_signature_or_time_is_unsigned() {
    let keys = keys("sixteen bytes ok");
    let signature = keys.sign(&signed(), NOW);
    let time = NOW.to_string();
    for (signature, time) in [(None, None), (Some(&signature), None), (None, Some(&time))] {
        let checked =
            keys.verify(&signed(), signature.map(String::as_str), time.map(String::as_str), NOW, &Window::default());
        assert_eq!(checked.unwrap_err().code(), Code::UNSIGNED);
    }
}

#[test]
fn requests_are_signed_as_github_signs() {
    // GitHub's documented example.
    let keys = keys("It's a Secret to Everybody");
    let sha256 = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let body = b"Hello, World!";
    keys.verify_hub(body, Some(sha256), None).unwrap();
    let sha1 = "sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59";
    keys.verify_hub(body, None, Some(sha1)).unwrap();
    let code = |sha256, sha1| keys.verify_hub(body, sha256, sha1).unwrap_err().code();
    assert_eq!(code(None, None), Code::UNSIGNED);
    // The weaker signature does not stand in for a wrong one.
    assert_eq!(code(Some("sha256=00"), Some(sha1)), Code::BAD_SIGNATURE);
    assert_eq!(code(None, Some(sha256)), Code::BAD_SIGNATURE);
    assert_eq!(keys.verify_hub(b"Hello, world!", Some(sha256), None).unwrap_err().code(), Code::BAD_SIGNATURE);
}

#[test]
fn secrets_are_read_from_their_folder() {
    let folder = tempfile::TempDir::new().unwrap();
    let put = |name: &str, secret: &str| std::fs::write(folder.path().join(name), secret).unwrap();
    let read = || Keys::from_folder(folder.path());
    assert!(read().unwrap().is_none());
    put(FILES[1], "the old secret, long\n");
    assert_eq!(read().unwrap_err().code(), Code::BAD_SECRET);
    put(FILES[0], "the new secret, long\n");
    let both = read().unwrap().unwrap();
    let by_old = keys("the old secret, long").sign(&signed(), NOW);
    assert_eq!(verify(&both, &signed(), &by_old, NOW), Ok(()));
    assert!(!format!("{both:?}").contains("secret, long"));
    put(FILES[0], "fifteen bytes..\n");
    assert_eq!(read().unwrap_err().code(), Code::BAD_SECRET);
}

proptest! {
    #[test]
    fn whatever_is_changed_the_signature_fails(
        fields in prop::collection::vec("[ -~]{0,12}", 4),
        other in prop::collection::vec("[ -~]{0,12}", 4),
        moved in any::<i32>(),
    ) {
        let of = |fields: &[String]| -> [String; 4] { fields.to_vec().try_into().unwrap() };
        let ([method, path, run, body], other) = (of(&fields), of(&other));
        let time = NOW;
        let keys = keys("sixteen bytes ok");
        let right = Signed { method: &method, path: &path, run: &run, body: body.as_bytes() };
        let signature = keys.sign(&right, time);
        prop_assert_eq!(verify(&keys, &right, &signature, time), Ok(()));
        let changed = [
            (Signed { method: &other[0], ..right }, other[0] != method),
            (Signed { path: &other[1], ..right }, other[1] != path),
            (Signed { run: &other[2], ..right }, other[2] != run),
            (Signed { body: other[3].as_bytes(), ..right }, other[3] != body),
            // Nothing moves from one field to its neighbour.
            (Signed { method: &format!("{method}{path}"), path: "", ..right }, !path.is_empty()),
        ];
        for (signed, _) in changed.iter().filter(|(_, differs)| *differs) {
            prop_assert_eq!(verify(&keys, signed, &signature, time), Err(Code::BAD_SIGNATURE));
        }
        if moved != 0 {
            let other = time.saturating_add_signed(moved.into());
            prop_assert_eq!(verify(&keys, &right, &signature, other), Err(Code::BAD_SIGNATURE));
        }
    }

    #[test]
    fn a_changed_signature_fails_and_none_makes_it_panic(at in 0..71usize, to in any::<char>(), given in "\\PC*") {
        let keys = keys("sixteen bytes ok");
        let right = keys.sign(&signed(), NOW);
        let changed: String = right.chars().enumerate().map(|(i, c)| if i == at { to } else { c }).collect();
        for signature in [changed, given] {
            if signature != right {
                prop_assert_eq!(verify(&keys, &signed(), &signature, NOW), Err(Code::BAD_SIGNATURE));
            }
        }
    }

    #[test]
    fn another_secret_fails(one in "[ -~]{16,40}", other in "[ -~]{16,40}") {
        prop_assume!(one != other);
        let signature = keys(&one).sign(&signed(), NOW);
        prop_assert_eq!(verify(&keys(&other), &signed(), &signature, NOW), Err(Code::BAD_SIGNATURE));
    }
}
