//! Signing in with OpenID Connect: the authorization code flow with PKCE.

use super::error::Error;
use crate::Rights;
use crate::access::UnknownRight;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use faas_flow_replica::network::{ChosenBy, Network};
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreIdToken, CoreJwsSigningAlgorithm as Signing, CoreProviderMetadata,
};
use openidconnect::{
    AsyncHttpClient, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet,
    EndpointSet, HttpRequest, HttpResponse, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope,
    TokenResponse,
};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

/// With these, a provider signs tokens so that only it can: not with a secret that the dashboard has, too.
const ALGORITHMS: [Signing; 9] = [
    Signing::RsaSsaPkcs1V15Sha256,
    Signing::RsaSsaPkcs1V15Sha384,
    Signing::RsaSsaPkcs1V15Sha512,
    Signing::RsaSsaPssSha256,
    Signing::RsaSsaPssSha384,
    Signing::RsaSsaPssSha512,
    Signing::EcdsaP256Sha256,
    Signing::EcdsaP384Sha384,
    Signing::EdDsa,
];

type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// The rights of those who have a claim with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    claim: String,
    value: String,
    rights: Rights,
}

impl Grant {
    /// Reads `groups=operators: see,control`.
    ///
    /// # Errors
    ///
    /// It does not have this form, or names an unknown right.
    pub fn parse(text: &str) -> Result<Self, GrantFlaw> {
        let (condition, rights) = text.rsplit_once(':').ok_or(GrantFlaw::Form)?;
        let (claim, value) = condition.split_once('=').ok_or(GrantFlaw::Form)?;
        let (claim, value) = (claim.trim().to_owned(), value.trim().to_owned());
        if claim.is_empty() || value.is_empty() {
            return Err(GrantFlaw::Form);
        }
        Ok(Self { claim, value, rights: Rights::parse(rights.trim())? })
    }

    /// Whether the claims fulfil it: the claim is the value, or a list that has it.
    fn is_for(&self, claims: &Value) -> bool {
        let text = |found: &Value| match found {
            Value::String(text) => Some(text.clone()),
            Value::Bool(_) | Value::Number(_) => Some(found.to_string()),
            _ => None,
        };
        let is = |found: &Value| text(found).is_some_and(|text| text == self.value);
        claims.get(&self.claim).is_some_and(|found| is(found) || found.as_array().is_some_and(|all| all.iter().any(is)))
    }
}

/// Why something does not grant rights.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantFlaw {
    /// It is not of the form.
    #[error("must be CLAIM=VALUE: RIGHTS, as in groups=operators: see,control")]
    Form,
    /// A right is unknown.
    #[error(transparent)]
    Right(#[from] UnknownRight),
}

/// What is known of a provider, and of this dashboard there.
#[derive(Clone)]
pub struct OidcSettings {
    /// The provider's address, as its tokens have it.
    pub issuer: IssuerUrl,
    /// The dashboard's name there.
    pub client_id: String,
    /// Its secret there.
    pub client_secret: String,
    /// The address of the dashboard for browsers, with a slash at its end.
    pub dashboard_url: Url,
    /// What is asked for besides `openid`, separated by spaces.
    pub scopes: String,
    /// The claim with the user's name.
    pub name_claim: String,
    /// Who may do what.
    pub grants: Vec<Grant>,
}

impl fmt::Debug for OidcSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcSettings").field("issuer", &self.issuer.as_str()).finish_non_exhaustive()
    }
}

/// What a sign-in begins with, which its end must fit.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Begun {
    pub state: CsrfToken,
    nonce: Nonce,
    verifier: PkceCodeVerifier,
    /// The page to which it leads.
    pub to: String,
}

/// Somebody who has signed in.
#[derive(Debug)]
pub(super) struct User {
    pub name: String,
    pub rights: Rights,
}

/// A provider.
pub(super) struct Provider {
    pub settings: OidcSettings,
    http: Http,
}

impl Provider {
    pub fn new(settings: OidcSettings, network: Arc<dyn Network>) -> Self {
        Self { settings, http: Http(network) }
    }

    /// Where the browser goes to sign in, and afterwards to this page.
    pub async fn begin(&self, to: String) -> Result<(Url, Begun), Error> {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let client = self.client().await?;
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let scopes = self.settings.scopes.split_whitespace().map(|scope| Scope::new(scope.to_owned()));
        let request = client.authorize_url(flow, CsrfToken::new_random, Nonce::new_random);
        let (url, state, nonce) = request.add_scopes(scopes).set_pkce_challenge(challenge).url();
        Ok((url, Begun { state, nonce, verifier, to }))
    }

    /// Who has signed in, by the code with which the provider has sent the browser back.
    pub async fn end(&self, begun: Begun, code: String) -> Result<User, Error> {
        let client = self.client().await?;
        let request = client.exchange_code(AuthorizationCode::new(code)).map_err(refused)?;
        let tokens = request.set_pkce_verifier(begun.verifier).request_async(&self.http).await.map_err(refused)?;
        let token = tokens.id_token().ok_or_else(|| Error::SignIn { why: "it sent no ID token".to_owned() })?;
        let verifier = client.id_token_verifier().set_allowed_algs(ALGORITHMS);
        token.claims(&verifier, &begun.nonce).map_err(refused)?;
        let claims = claims_of(token);
        let OidcSettings { name_claim, grants, .. } = &self.settings;
        let text = |name: &str| claims.get(name).and_then(Value::as_str).filter(|name| !name.is_empty());
        let name = [name_claim, "email", "preferred_username", "sub"].into_iter().find_map(text);
        let name: String = name.unwrap_or("somebody").chars().filter(|c| !c.is_control()).take(100).collect();
        let granted = grants.iter().filter(|grant| grant.is_for(&claims));
        let rights = granted.fold(Rights::NONE, |rights, grant| rights.and(grant.rights));
        Ok(User { name, rights })
    }

    /// What the provider says of itself is read anew each time, so that its keys are today's.
    async fn client(&self) -> Result<Client, Error> {
        let OidcSettings { issuer, client_id, client_secret, dashboard_url, .. } = &self.settings;
        let found = CoreProviderMetadata::discover_async(issuer.clone(), &self.http).await.map_err(refused)?;
        let (id, secret) = (ClientId::new(client_id.clone()), ClientSecret::new(client_secret.clone()));
        let redirect = RedirectUrl::new(format!("{dashboard_url}sign-in/callback")).map_err(refused)?;
        Ok(CoreClient::from_provider_metadata(found, id, Some(secret)).set_redirect_uri(redirect))
    }
}

/// How the library asks the provider: as the host makes all requests.
struct Http(Arc<dyn Network>);

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, io::Error>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

impl Http {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, io::Error> {
        let (head, body) = request.into_parts();
        let headers = head
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let request = faas_flow_guest::HttpRequest {
            method: head.method.to_string(),
            url: head.uri.to_string(),
            headers: headers.collect(),
            body: body.into(),
        };
        let answer = self.0.send(request, ChosenBy::Operator).await;
        let answer = answer.map_err(|failure| io::Error::other(failure.message))?;
        let mut response = axum::http::Response::builder().status(answer.status);
        for (name, value) in &answer.headers {
            response = response.header(name, value);
        }
        response.body(answer.body.to_vec()).map_err(io::Error::other)
    }
}

/// The claims of a token whose signature holds, with those that no specification names.
fn claims_of(token: &CoreIdToken) -> Value {
    let text = token.to_string();
    let claims = text.split('.').nth(1).and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok());
    claims.and_then(|claims| serde_json::from_slice(&claims).ok()).unwrap_or_default()
}

/// What the library says is wrong, with its reasons.
fn refused(error: impl StdError) -> Error {
    let mut why = error.to_string();
    let mut source = error.source();
    while let Some(reason) = source {
        why = format!("{why}: {reason}");
        source = reason.source();
    }
    Error::SignIn { why: why.escape_debug().take(500).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_grant_is_for_those_whose_claim_has_the_value() {
        let grant = Grant::parse("groups = ops: see,control").unwrap();
        for (claims, holds) in [
            (json!({ "groups": ["dev", "ops"] }), true),
            (json!({ "groups": "ops" }), true),
            (json!({ "groups": "opsx" }), false),
            (json!({ "groups": [["ops"]] }), false),
            (json!({ "group": "ops" }), false),
        ] {
            assert_eq!(grant.is_for(&claims), holds, "{claims}");
        }
        assert!(Grant::parse("email_verified=true: see").unwrap().is_for(&json!({ "email_verified": true })));
        assert!(Grant::parse("sub=https://x/y: see").unwrap().is_for(&json!({ "sub": "https://x/y" })));
        for bad in ["groups: see", "groups=ops", "=ops: see", "groups=: see", "groups=ops: sea", "groups=ops:"] {
            assert!(Grant::parse(bad).is_err(), "{bad}");
        }
    }
}
