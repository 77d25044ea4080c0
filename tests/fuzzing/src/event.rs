//! Events and their signatures, as they come from the network: the signature, the time and the body, each on a line.

use faas_flow_replica::events::{Event, Keys, Signed, Window};

const NOW: u64 = 1_790_000_000_000;

/// Tries an input.
pub fn event(bytes: &[u8]) {
    let mut parts = bytes.splitn(3, |byte| *byte == b'\n');
    let (Some(signature), Some(time), Some(body)) = (parts.next(), parts.next(), parts.next()) else { return };
    let (Ok(signature), Ok(time)) = (str::from_utf8(signature), str::from_utf8(time)) else { return };
    if let Ok(event) = Event::parse(body) {
        assert_eq!(Event::parse(&event.encode()).ok(), Some(event), "an event reads back");
    }
    let Ok(keys) = Keys::new(*b"a secret of 16 B", None) else { return };
    let signed = Signed { method: "POST", path: "/function/greet/flow/r/forward", run: "r", body };
    let verified = keys.verify(&signed, Some(signature), Some(time), NOW, &Window::default());
    assert!(verified.is_err(), "nobody signs an event without the secret");
    assert!(keys.verify_hub(body, Some(signature), None).is_err(), "nobody signs a request without the secret");
    let read = keys.verify_read("/function/greet/flow/r/result", Some(signature), Some(time), NOW);
    assert!(read.is_err(), "nobody signs a request for a result without the secret");
    let right = keys.sign(&signed, NOW);
    let verified = keys.verify(&signed, Some(&right), Some(&NOW.to_string()), NOW, &Window::default());
    assert!(verified.is_ok(), "what was signed is accepted");
}
