//! Signatures as docs/http.md describes them, written anew: a program that signed and checked something else would
//! agree with itself, but not with this.

use hmac::{Hmac, KeyInit, Mac};
use reqwest::RequestBuilder;
use sha2::{Digest, Sha256};
use std::time::{SystemTime, UNIX_EPOCH};

/// The time now, in milliseconds since the Unix epoch.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// The path that an event about a run is signed for, whatever a gateway adds to it.
pub fn target(flow: &str, run: &str) -> String {
    format!("/function/{flow}/flow/{run}/forward")
}

/// The body of an event: this run is to execute this node.
pub fn body(run: &str, path: &str) -> String {
    serde_json::json!({ "run": run, "path": path }).to_string()
}

/// Adds the signature of an event that is posted to `target`, signed at `time`.
pub fn signed(request: RequestBuilder, secret: &str, target: &str, run: &str, body: &str, time: u64) -> RequestBuilder {
    let time = time.to_string();
    let digest = Sha256::digest(body);
    let mut mac = keyed(derived(secret, "event").as_bytes());
    for field in [b"POST", target.as_bytes(), run.as_bytes(), &digest, time.as_bytes()] {
        mac.update(&(field.len() as u64).to_be_bytes());
        mac.update(field);
    }
    request.header("X-Faas-Flow-Signature", format!("v2={}", hexadecimal(mac))).header("X-Faas-Flow-Time", time)
}

/// Adds the signature of a request for a result or a state at `path`, signed at `time`.
pub fn signed_read(request: RequestBuilder, secret: &str, path: &str, time: u64) -> RequestBuilder {
    let mac = keyed(derived(secret, "read").as_bytes()).chain_update(format!("{path}\n{time}"));
    request.header("X-Faas-Flow-Signature", format!("v2={}", hexadecimal(mac))).header("X-Faas-Flow-Time", time)
}

/// Adds the signature of a request that sends a signal at `path` with this idempotency key and body, signed at `time`.
pub fn signed_send(
    request: RequestBuilder,
    secret: &str,
    (path, key, body): (&str, &str, &str),
    time: u64,
) -> RequestBuilder {
    let digest = base16ct::lower::encode_string(&Sha256::digest(body));
    let text = format!("POST\n{path}\n{time}\n{key}\n{digest}");
    let mac = keyed(derived(secret, "send").as_bytes()).chain_update(text);
    request.header("X-Faas-Flow-Signature", format!("v2={}", hexadecimal(mac))).header("X-Faas-Flow-Time", time)
}

/// The signature of a callback's body: the value of `X-Hub-Signature-256`.
pub fn callback_signature(secret: &str, body: &str) -> String {
    hub_signature(&derived(secret, "callback"), body)
}

/// The signature of a body as GitHub writes it: the value of `X-Hub-Signature-256`.
pub fn hub_signature(secret: &str, body: &str) -> String {
    format!("sha256={}", hexadecimal(keyed(secret.as_bytes()).chain_update(body)))
}

/// The key for a purpose: HKDF, whose output of 32 bytes takes one HMAC for each of its two steps.
fn derived(secret: &str, purpose: &str) -> String {
    let extracted = keyed(b"faas-flow 1").chain_update(secret).finalize().into_bytes();
    hexadecimal(keyed(&extracted).chain_update(purpose).chain_update([1]))
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).unwrap()
}

fn hexadecimal(mac: Hmac<Sha256>) -> String {
    base16ct::lower::encode_string(&mac.finalize().into_bytes())
}
