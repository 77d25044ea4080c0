//! The HTTP messages that a flow's closures see.

/// An HTTP request that the host is about to send, as a [`Call::prepare`](crate::Call::prepare) closure sees it.
///
/// ```
/// use faas_flow::Request;
///
/// let request = Request::new("POST", "http://example.test/orders?dry-run=1")
///     .with_header("content-type", "application/json")
///     .with_body("{}");
/// assert_eq!(request.header("Content-Type"), Some("application/json"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Request {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// A request without headers, and with an empty body. Flows do not need this, but their tests do.
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self { method: method.into(), url: url.into(), headers: Vec::new(), body: Vec::new() }
    }

    /// The method, in upper case: `POST`.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The absolute URL, with its query.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Names and values of the headers, in order. A name may occur more than once.
    pub fn headers(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        pairs(&self.headers)
    }

    /// The value of the first header with this name. Upper and lower case are the same.
    pub fn header(&self, name: &str) -> Option<&str> {
        first(&self.headers, name)
    }

    /// The whole body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The whole body, without copying it.
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// Replaces the method.
    #[must_use]
    pub fn with_method(self, method: impl Into<String>) -> Self {
        Self { method: method.into(), ..self }
    }

    /// Replaces the URL. When the request goes to an OpenFaaS function, the host decides where that function is: it
    /// uses the query and the path after the function's name, and ignores scheme, host and port.
    #[must_use]
    pub fn with_url(self, url: impl Into<String>) -> Self {
        Self { url: url.into(), ..self }
    }

    /// Adds a header. Headers of the same name are kept: remove them with [`Request::without_header`] first to replace
    /// them.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Removes all headers with this name. Upper and lower case are the same.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Self {
        self.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self
    }

    /// Replaces the body.
    #[must_use]
    pub fn with_body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }
}

/// An HTTP response as it arrived, as a [`Call::receive`](crate::Call::receive) closure sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// A response without headers, and with an empty body. Flows do not need this, but their tests do.
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// The status code, from 100 to 599.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Names, in lower case, and values of the headers, in order of arrival. A name may occur more than once.
    pub fn headers(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        pairs(&self.headers)
    }

    /// The value of the first header with this name. Upper and lower case are the same.
    pub fn header(&self, name: &str) -> Option<&str> {
        first(&self.headers, name)
    }

    /// The whole body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The whole body, without copying it.
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// Adds a header, whose name becomes lower case.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let mut name = name.into();
        name.make_ascii_lowercase();
        self.headers.push((name, value.into()));
        self
    }

    /// Replaces the body.
    #[must_use]
    pub fn with_body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }
}

fn pairs(headers: &[(String, String)]) -> impl ExactSizeIterator<Item = (&str, &str)> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

fn first<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs(headers).find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}
