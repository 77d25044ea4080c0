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
    let mut mac = keyed(secret);
    for field in [b"POST", target.as_bytes(), run.as_bytes(), &digest, time.as_bytes()] {
        mac.update(&(field.len() as u64).to_be_bytes());
        mac.update(field);
    }
    request.header("X-Faas-Flow-Signature", hexadecimal(mac)).header("X-Faas-Flow-Time", time)
}

/// The signature of a body as GitHub writes it: the value of `X-Hub-Signature-256`.
pub fn hub_signature(secret: &str, body: &str) -> String {
    hexadecimal(keyed(secret).chain_update(body))
}

fn keyed(secret: &str) -> Hmac<Sha256> {
    Hmac::new_from_slice(secret.as_bytes()).unwrap()
}

fn hexadecimal(mac: Hmac<Sha256>) -> String {
    format!("sha256={}", base16ct::lower::encode_string(&mac.finalize().into_bytes()))
}
