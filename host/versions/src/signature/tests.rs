use super::*;
use faas_flow_core::Code;
use std::fs;
use tempfile::TempDir;

struct Keys {
    folder: TempDir,
}

impl Keys {
    fn new(names: &[&str]) -> Self {
        let keys = Self { folder: TempDir::new().unwrap() };
        for name in names {
            PrivateKey::generate().unwrap().write(&keys.file(name, "key"), &keys.file(name, "pub")).unwrap();
        }
        keys
    }

    fn file(&self, name: &str, kind: &str) -> PathBuf {
        self.folder.path().join(name).with_extension(kind)
    }

    fn trusted(&self, names: &[&str]) -> Trusted {
        Trusted::read(&names.iter().map(|name| self.file(name, "pub")).collect::<Vec<_>>()).unwrap()
    }

    fn sign(&self, name: &str, statement: Statement<'_>) -> String {
        statement.sign(&PrivateKey::read(&self.file(name, "key")).unwrap()).unwrap().to_string()
    }
}

fn flow(name: &str) -> FlowName {
    FlowName::new(name).unwrap()
}

#[test]
fn a_signature_holds_for_one_module_one_flow_and_one_contract() {
    let keys = Keys::new(&["a"]);
    let trusted = keys.trusted(&["a"]);
    let (digest, greet) = (Digest::of(b"module"), flow("greet"));
    let line = keys.sign("a", Statement { digest: &digest, flow: &greet, wit: "0.1.0" });
    assert!(!line.contains('\n') && line.is_ascii(), "{line}");
    let check = |digest: &Digest, flow: &FlowName, wit: &str, line: &str| {
        trusted.check(digest, flow, wit, Some(line)).map_err(|error| error.code())
    };
    assert_eq!(check(&digest, &greet, "0.1.0", &line), Ok(()));
    assert_eq!(check(&digest, &greet, "0.1.0", &format!("{line}\n")), Ok(()));
    for (digest, flow, wit) in
        [(&Digest::of(b"other"), &greet, "0.1.0"), (&digest, &flow("greet-2"), "0.1.0"), (&digest, &greet, "0.1.1")]
    {
        assert_eq!(check(digest, flow, wit, &line), Err(Code::BAD_MODULE_SIGNATURE));
    }
}

#[test]
fn a_malformed_signature_is_refused() {
    let keys = Keys::new(&["a"]);
    let trusted = keys.trusted(&["a"]);
    let (digest, greet) = (Digest::of(b"module"), flow("greet"));
    let line = keys.sign("a", Statement { digest: &digest, flow: &greet, wit: "0.1.0" });
    let check = |line: Option<&str>| trusted.check(&digest, &greet, "0.1.0", line).map_err(|error| error.code());
    assert_eq!(check(None), Err(Code::MODULE_UNSIGNED));
    for bad in ["", "hello", "ed25519 x y", &line.replace("ed25519", "rsa"), &line.to_uppercase(), &format!("{line} x")]
    {
        assert_eq!(check(Some(bad)), Err(Code::BAD_MODULE_SIGNATURE), "{bad}");
    }
    for cut in 0..line.len() {
        assert_eq!(check(line.get(..cut)), Err(Code::BAD_MODULE_SIGNATURE), "cut to {cut}");
    }
    let flipped = line.replacen(line.chars().nth(30).unwrap(), "~", 1);
    assert_eq!(check(Some(&flipped)), Err(Code::BAD_MODULE_SIGNATURE));
}

#[test]
fn any_of_several_keys_will_do_and_no_other() {
    let keys = Keys::new(&["old", "new", "stranger"]);
    let (digest, greet) = (Digest::of(b"module"), flow("greet"));
    let statement = Statement { digest: &digest, flow: &greet, wit: "0.1.0" };
    let both = keys.trusted(&["old", "new"]);
    for name in ["old", "new"] {
        both.check(&digest, &greet, "0.1.0", Some(&keys.sign(name, statement))).unwrap();
    }
    let strange = keys.sign("stranger", statement);
    let refused = both.check(&digest, &greet, "0.1.0", Some(&strange)).unwrap_err();
    assert_eq!(refused.code(), Code::BAD_MODULE_SIGNATURE);
    assert!(refused.to_string().contains("not one of module_keys"), "{refused}");
    // One that says it was made with a trusted key is found out.
    let (stranger, old) = (keys.trusted(&["stranger"]).0[0].id().clone(), keys.trusted(&["old"]).0[0].id().clone());
    let forged = strange.replace(&stranger.to_string(), &old.to_string());
    assert_eq!(both.check(&digest, &greet, "0.1.0", Some(&forged)).unwrap_err().code(), Code::BAD_MODULE_SIGNATURE);
    // Both in one file, as a secret may have them.
    let together = keys.file("together", "pub");
    let text = ["old", "new"].map(|name| fs::read_to_string(keys.file(name, "pub")).unwrap()).concat();
    fs::write(&together, text).unwrap();
    let both = Trusted::read(&[together]).unwrap();
    both.check(&digest, &greet, "0.1.0", Some(&keys.sign("new", statement))).unwrap();
}

#[test]
fn without_keys_everything_passes() {
    let (digest, greet) = (Digest::of(b"module"), flow("greet"));
    for line in [None, Some("nonsense")] {
        Trusted::default().check(&digest, &greet, "0.1.0", line).unwrap();
    }
}

#[test]
fn an_unusable_key_file_is_explained() {
    let keys = Keys::new(&["a"]);
    let wrong = keys.file("wrong", "pub");
    let public = fs::read_to_string(keys.file("a", "pub")).unwrap();
    let private = fs::read_to_string(keys.file("a", "key")).unwrap();
    let raw = pem::encode(&pem::Pem::new("PUBLIC KEY", [7; 32]));
    for (text, says) in [
        ("", "contains no PEM key"),
        ("ssh-ed25519 AAAA", "contains no PEM key"),
        (&public.replace("PUBLIC KEY", "CERTIFICATE"), "`CERTIFICATE`"),
        (&private, "is a private key"),
        (&public.replace("MCow", "MCox"), "not an Ed25519 public key"),
        (&raw, "not an Ed25519 public key"),
        (&public.replace("MCow", "M~ow"), "damaged PEM"),
    ] {
        fs::write(&wrong, text).unwrap();
        let error = Trusted::read(std::slice::from_ref(&wrong)).unwrap_err();
        assert_eq!(error.code(), Code::BAD_MODULE_KEY);
        assert!(error.to_string().contains(says), "{text}: {error}");
    }
    for (text, says) in
        [(&*public, "is a public key"), ("", "contains no PEM key"), (&format!("{private}{private}"), "2 keys")]
    {
        fs::write(&wrong, text).unwrap();
        let error = PrivateKey::read(&wrong).err().unwrap();
        assert!(error.code() == Code::BAD_MODULE_KEY && error.to_string().contains(says), "{text}: {error}");
    }
    assert_eq!(Trusted::read(&[keys.file("gone", "pub")]).unwrap_err().code(), Code::BAD_MODULE_KEY);
}

#[test]
fn keys_and_signatures_are_read_however_their_files_were_written() {
    let keys = Keys::new(&["a"]);
    let (digest, greet) = (Digest::of(b"module"), flow("greet"));
    let files = [keys.file("a", "pub"), keys.file("a", "key")];
    let texts = files.each_ref().map(|file| fs::read_to_string(file).unwrap());
    for written in
        [|text: &str| text.trim_end().to_owned(), |text: &str| format!("\u{feff}{}", text.replace('\n', "\r\n"))]
    {
        for (file, text) in files.iter().zip(&texts) {
            fs::write(file, written(text)).unwrap();
        }
        let line = keys.sign("a", Statement { digest: &digest, flow: &greet, wit: "0.1.0" });
        let line = written(&format!("{line}\n"));
        keys.trusted(&["a"]).check(&digest, &greet, "0.1.0", Some(&line)).unwrap();
    }
}

#[test]
fn a_key_is_for_its_owner_alone_and_never_overwritten() {
    let keys = Keys::new(&["a"]);
    let (private, public) = (keys.file("a", "key"), keys.file("a", "pub"));
    assert!(!PrivateKey::is_exposed(&private) && PrivateKey::is_exposed(&public));
    let before = fs::read(&private).unwrap();
    let again = PrivateKey::generate().unwrap().write(&private, &public).unwrap_err();
    assert_eq!(again.code(), Code::BAD_MODULE_KEY);
    assert_eq!(fs::read(&private).unwrap(), before);
    // Where only the public one is there, no private one is left behind.
    let lone = keys.file("b", "key");
    assert!(PrivateKey::generate().unwrap().write(&lone, &public).is_err());
    assert!(!lone.exists());
}

#[test]
fn the_contracts_that_bytes_name_are_found_whatever_else_they_are() {
    let named = |bytes: &[u8]| named_contracts(bytes).into_iter().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(named(b""), [""; 0]);
    assert_eq!(named(b"\0asm faas-flow:flow/"), [""; 0]);
    assert_eq!(named(b"faas-flow:flow/definition"), [""; 0]);
    assert_eq!(named(b"faas-flow:flow/definition@"), [""; 0]);
    assert_eq!(named(b"faas-flow:flow/definition@0.1.0"), ["0.1.0"]);
    assert_eq!(named(b"\xfffaas-flow:flow/handlers@0.1.0#modify\0faas-flow:flow/types@0.2\xff"), ["0.1.0", "0.2"]);
    assert_eq!(named(b"faas-flow:flow/types@0.1.0 faas-flow:flow/types@0.1.0"), ["0.1.0"]);
    assert_eq!(named(&b"faas-flow:flow/".repeat(1000)), [""; 0]);
    let many: String = (0..1000).map(|at| format!("faas-flow:flow/types@{at}.")).collect();
    assert_eq!(named(many.as_bytes()).len(), MOST_NAMED);
}

#[test]
fn a_signature_holds_before_the_module_is_read_if_it_is_for_a_contract_that_the_bytes_name() {
    let keys = Keys::new(&["k"]);
    let trusted = keys.trusted(&["k"]);
    let flow = FlowName::new("greet").unwrap();
    let module = b"faas-flow:flow/types@0.2.0 faas-flow:flow/types@0.1.0";
    let digest = Digest::of(module);
    let signed = |wit| keys.sign("k", Statement { digest: &digest, flow: &flow, wit });
    let check = |bytes: &[u8], line: Option<&str>| trusted.check_unread(bytes, &Digest::of(bytes), &flow, line);
    assert!(check(module, Some(&signed("0.1.0"))).is_ok());
    assert!(check(module, Some(&signed("0.2.0"))).is_ok());
    assert!(matches!(check(module, Some(&signed("0.3.0"))), Err(Error::Invalid { .. })));
    assert!(matches!(check(module, None), Err(Error::Unsigned { .. })));
    assert!(matches!(check(b"no contract", Some(&signed("0.1.0"))), Err(Error::Invalid { .. })));
    assert!(Trusted::default().check_unread(module, &digest, &flow, None).is_ok());
}
