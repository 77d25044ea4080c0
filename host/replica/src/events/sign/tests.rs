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
    // Python's `hmac` computes these from docs/http.md, which lists them.
    let page = include_str!("../../../../../docs/http.md");
    let keys = keys("sixteen bytes ok");
    let (event, callback) = (keys.sign(&signed(), NOW), keys.sign_callback(b"HELLO"));
    assert_eq!(event, "v2=8ef8fe480586cd5fd833210aae843e3925f4136fe298fb9c8f4827b86d5ef932");
    assert_eq!(callback, "sha256=63c8e07d993a66e37ec432fa9e981a429d858e6486e06fb2bb09f84b567c1546");
    assert_eq!(keys.verify_read(READ, Some(READ_SIGNATURE), Some(&NOW.to_string()), NOW).map_err(|e| e.code()), Ok(()));
    let sent = SignedSend { path: SEND, key: "", body: b"yes" };
    let checked = keys.verify_send(&sent, Some(SEND_SIGNATURE), Some(&NOW.to_string()), NOW);
    assert_eq!(checked.map_err(|error| error.code()), Ok(()));
    for documented in [&event, &callback, READ_SIGNATURE, SEND_SIGNATURE] {
        assert!(page.contains(documented), "docs/http.md lacks {documented}");
    }
}

const READ: &str = "/function/f/flow/r/result";
const READ_SIGNATURE: &str = "v2=f508be20764272611561f2f10f811526d1b2d49488501f0b35e049d7d78a679f";
const SEND: &str = "/function/f/flow/r/signal/ok";
const SEND_SIGNATURE: &str = "v2=4ccb05d494cd0e037fd69582857d9695168fd28d9ae3badf6b2c0aa28d240fa8";
/// The event of [`signed`], signed with the secret itself.
const OLD: &str = "sha256=953bd582246714fc5953d8b360aa9433f3c7f62af975affe2f98fa845409c773";

#[test]
fn a_signature_of_an_older_release_is_accepted_during_the_migration_only() {
    let keys = keys("sixteen bytes ok");
    assert_eq!(verify(&keys, &signed(), OLD, NOW), Err(Code::OLD_SIGNATURE));
    let migrating = keys.with(OldSignatures::Accept);
    assert_eq!(verify(&migrating, &signed(), OLD, NOW), Ok(()));
    assert_eq!(verify(&migrating, &signed(), OLD, NOW - 1), Err(Code::BAD_SIGNATURE));
    assert_eq!(verify(&migrating, &signed(), &migrating.sign(&signed(), NOW), NOW), Ok(()));
}

/// What an address, or a run, says of itself.
const SAID: &str = "f/r/n1/1800000000000";
const BODY: &[u8] = b"the body of a request or a callback";

/// What is signed for a purpose, or for `None`, of a new request: as bytes, so that the test can use other keys for it.
fn message(purpose: Option<Purpose>) -> Vec<u8> {
    match purpose {
        Some(Purpose::Event) => {
            let (signed, time) = (signed(), NOW.to_string());
            let body = Sha256::digest(signed.body);
            let fields =
                [signed.method.as_bytes(), signed.path.as_bytes(), signed.run.as_bytes(), &body, time.as_bytes()];
            fields.iter().flat_map(|field| [&(field.len() as u64).to_be_bytes()[..], field].concat()).collect()
        }
        Some(Purpose::Read) => format!("{READ}\n{NOW}").into_bytes(),
        Some(Purpose::Send) => {
            let digest = base16ct::lower::encode_string(&Sha256::digest(BODY));
            format!("POST\n{SEND}\n{NOW}\n\n{digest}").into_bytes()
        }
        Some(Purpose::Parent) => {
            let digest = Sha256::digest(BODY);
            let fields: [&[u8]; 3] = [SAID.as_bytes(), b"\n", &digest];
            fields.concat()
        }
        Some(Purpose::Answer | Purpose::Signal) => SAID.as_bytes().to_vec(),
        Some(Purpose::Callback | Purpose::Random) | None => BODY.to_vec(),
    }
}

#[test]
fn a_signature_for_one_purpose_passes_for_no_other() {
    let secret = Secret::new(b"sixteen bytes ok".to_vec());
    let keys = keys("sixteen bytes ok");
    let made = |signer: Option<Purpose>, message: &[u8]| {
        let mac: Hmac<Sha256> = match signer {
            Some(purpose) => secret.mac(purpose),
            None => keyed(&secret.raw),
        };
        hexadecimal(mac.chain_update(message))
    };
    let time = NOW.to_string();
    let passes = |verifier: Option<Purpose>, message: &[u8], digits: &str| {
        let (v2, sha256) = (format!("v2={digits}"), format!("sha256={digits}"));
        match verifier {
            Some(Purpose::Event) => {
                verify(&keys, &signed(), &v2, NOW).is_ok() || verify(&keys, &signed(), &sha256, NOW).is_ok()
            }
            Some(Purpose::Read) => keys.verify_read(READ, Some(&v2), Some(&time), NOW).is_ok(),
            Some(Purpose::Answer) => keys.verify_answer(SAID, Some(&v2)).is_ok(),
            Some(Purpose::Parent) => keys.verify_parent(SAID, BODY, Some(&v2)).is_ok(),
            Some(Purpose::Signal) => keys.verify_signal(SAID, Some(&v2)).is_ok(),
            Some(Purpose::Send) => {
                let sent = SignedSend { path: SEND, key: "", body: BODY };
                keys.verify_send(&sent, Some(&v2), Some(&time), NOW).is_ok()
            }
            Some(Purpose::Callback) => keys.sign_callback(message) == sha256,
            // Nothing is signed with this key, so nothing verifies with it.
            Some(Purpose::Random) => false,
            None => keys.verify_hub(message, Some(&sha256), None).is_ok(),
        }
    };
    let all = || Purpose::ALL.into_iter().map(Some).chain([None]);
    for signer in all() {
        for verifier in all() {
            let message = message(verifier);
            let signature = made(signer, &message);
            let right = signer == verifier && signer != Some(Purpose::Random);
            assert_eq!(passes(verifier, &message, &signature), right, "{signer:?} as {verifier:?}");
        }
    }
}

#[test]
fn a_request_for_a_result_is_signed_for_one_path_and_a_short_time() {
    let keys = Keys::new("the new secret, long", Some(b"sixteen bytes ok".to_vec())).unwrap();
    let time = NOW.to_string();
    let read =
        |path: &str, signature, time, now| keys.verify_read(path, signature, time, now).map_err(|error| error.code());
    for now in [NOW, NOW + 300_000, NOW - 60_000] {
        assert_eq!(read(READ, Some(READ_SIGNATURE), Some(&time), now), Ok(()));
    }
    for now in [NOW + 300_001, NOW - 60_001] {
        assert_eq!(read(READ, Some(READ_SIGNATURE), Some(&time), now), Err(Code::EVENT_TOO_OLD));
    }
    let later = (NOW + 1).to_string();
    for (path, time) in [("/function/f/flow/r/state", &time), ("/function/f/flow/r2/result", &time), (READ, &later)] {
        assert_eq!(read(path, Some(READ_SIGNATURE), Some(time), NOW), Err(Code::BAD_SIGNATURE));
    }
    for (signature, time) in [(None, None), (Some(READ_SIGNATURE), None), (None, Some(&*time))] {
        assert_eq!(read(READ, signature, time, NOW), Err(Code::READ_DENIED));
    }
}

#[test]
fn a_signal_is_signed_for_one_run_and_name_and_key_and_body_and_a_short_time() {
    let keys = keys("sixteen bytes ok");
    let time = NOW.to_string();
    let send = |path: &str, key: &str, body: &[u8], time: &str, now| {
        let checked = keys.verify_send(&SignedSend { path, key, body }, Some(SEND_SIGNATURE), Some(time), now);
        checked.map_err(|error| error.code())
    };
    assert_eq!(send(SEND, "", b"yes", &time, NOW), Ok(()));
    assert_eq!(send(SEND, "", b"yes", &time, NOW + 300_000), Ok(()));
    assert_eq!(send(SEND, "", b"yes", &time, NOW + 300_001), Err(Code::EVENT_TOO_OLD));
    for (path, key, body, time) in [
        ("/function/f/flow/r2/signal/ok", "", "yes", &*time),
        ("/function/f/flow/r/signal/no", "", "yes", &time),
        ("/function/g/flow/r/signal/ok", "", "yes", &time),
        (SEND, "1", "yes", &time),
        (SEND, "", "no", &time),
        (SEND, "", "yes", "1800000000001"),
    ] {
        assert_eq!(send(path, key, body.as_bytes(), time, NOW), Err(Code::BAD_SIGNATURE), "{path} {key} {body} {time}");
    }
    let unsigned = keys.verify_send(&SignedSend { path: SEND, key: "", body: b"yes" }, None, Some(&time), NOW);
    assert_eq!(unsigned.unwrap_err().code(), Code::UNSIGNED);
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
    for bad in
        ["fifteen bytes..\n", "", "\n", "of two lines, long\nenough\n", "with a \0, and long enough", "\u{feff}\r\n"]
    {
        put(FILES[0], bad);
        assert_eq!(read().unwrap_err().code(), Code::BAD_SECRET, "{bad:?}");
    }
    for good in ["the new secret, long", "\u{feff}the new secret, long\r\n", " the new secret, long\n\n"] {
        put(FILES[0], good);
        let by_new = keys("the new secret, long").sign(&signed(), NOW);
        assert_eq!(verify(&read().unwrap().unwrap(), &signed(), &by_new, NOW), Ok(()), "{good:?}");
    }
}

proptest! {
    #[test]
    fn any_change_makes_the_signature_fail(
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
    fn a_changed_signature_fails_and_none_makes_it_panic(at in 0..67usize, to in any::<char>(), given in "\\PC*") {
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
