use crate::failure::Result;
use crate::inputs::Inputs;
use crate::values::{Level, State, millis};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt;
use std::time::Duration;

#[cfg(target_arch = "wasm32")]
use crate::export::Host;
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::Host;

/// Facts about the current run, values that last as long as the run, and the log.
///
/// A clone is the same context and costs next to nothing, so clone it into each closure that needs it:
///
/// ```
/// use faas_flow::{Context, Result, Workflow};
///
/// fn define(workflow: &mut Workflow, context: &Context) -> Result {
///     let dag = workflow.dag();
///     let values = context.clone();
///     dag.node("count").modify(move |data| {
///         values.set("lines", &data.split(|byte| *byte == b'\n').count())?;
///         Ok(data)
///     });
///     let values = context.clone();
///     dag.node("report").modify(move |_| {
///         let lines: usize = values.get("lines")?.unwrap_or_default();
///         Ok(format!("{lines} lines"))
///     });
///     dag.edge("count", "report");
///     Ok(())
/// }
/// # faas_flow::testing::Flow::new(define).unwrap();
/// ```
///
/// # In `define`
///
/// `define` may read the context, for example to add a query parameter of the request to a call. The host then asks for
/// the definition at the start of every run and keeps it with the run. If `define` does nothing with the context but
/// log and clone it, the host asks once per module, which is faster.
///
/// While `define` runs there is no current node: [`Context::node`] and [`Context::inputs`] are empty, and values cannot
/// be changed.
#[derive(Clone)]
pub struct Context {
    pub(crate) host: Host,
}

impl Context {
    /// The id of the run, which is the `X-Faas-Flow-Reqid` of its request: 1 to 64 characters of `A-Z a-z 0-9 _ -`.
    pub fn request_id(&self) -> String {
        self.host.request_id()
    }

    /// The name under which the flow is deployed.
    pub fn flow_name(&self) -> String {
        self.host.flow_name()
    }

    /// The path of the current node within the run: `C[c1]/F[f2]/n1` is the node `n1` in the item `f2` of the for-each
    /// `F` in the branch `c1` of the condition `C`. Branch keys are percent-encoded.
    pub fn node(&self) -> String {
        self.host.node()
    }

    /// The state of the run when the host called this closure: [`State::Running`] in a node, [`State::Failed`] in the
    /// failure handler, and in the finally handler the state in which the run ended.
    pub fn state(&self) -> State {
        self.host.state()
    }

    /// All values of a query parameter of the request that started the run, decoded, in order.
    pub fn query(&self, name: &str) -> Vec<String> {
        self.host.query(name)
    }

    /// All values of a header of the request that started the run, in order. Upper and lower case are the same.
    ///
    /// Credentials such as `Authorization` and `Cookie` are not available unless the operator allows them (`keep_headers`).
    /// A value that is not UTF-8 is read as ISO-8859-1.
    pub fn header(&self, name: &str) -> Vec<String> {
        self.host.header(name)
    }

    /// The inputs of the current node, by predecessor, before any aggregator.
    pub fn inputs(&self) -> Inputs {
        self.host.inputs()
    }

    /// The media type of the data that this closure got: `application/json`, or `text/plain; charset=utf-8`. In a
    /// [`prepare`](crate::Call::prepare) closure it is that of the request, in a [`receive`](crate::Call::receive)
    /// closure that of the response.
    ///
    /// It is `application/octet-stream` if no media type was set for the data, and in closures that get several values or
    /// none: aggregators, and those for failures and for the end of the run.
    pub fn content_type(&self) -> String {
        self.host.content_type()
    }

    /// Media types in the order of the values to which they belong: in an aggregator those of the values that it
    /// merges, in other closures those of [`Context::inputs`].
    pub fn content_types(&self) -> Vec<String> {
        self.host.content_types()
    }

    /// Sets the media type of the data that this closure is about to return; of each item, in the closure of a
    /// for-each. Without this call it is `application/octet-stream`, or `application/json` in
    /// [`Node::modify_json`](crate::Node::modify_json).
    ///
    /// Calls of functions and URLs send it as `Content-Type`, and so does the answer to the caller.
    ///
    /// ```
    /// use faas_flow::{Context, Result, Workflow, testing::{Fake, Flow}};
    ///
    /// fn define(workflow: &mut Workflow, context: &Context) -> Result {
    ///     let context = context.clone();
    ///     workflow.dag().node("page").modify(move |name| {
    ///         context.set_content_type("text/html; charset=utf-8")?;
    ///         Ok(format!("<h1>{}</h1>", String::from_utf8(name)?))
    ///     });
    ///     Ok(())
    /// }
    ///
    /// let fake = Fake::new();
    /// assert_eq!(Flow::with(&fake, define)?.modify("page/0", "Adam")?, b"<h1>Adam</h1>");
    /// assert_eq!(fake.returned_content_type(), "text/html; charset=utf-8");
    /// # faas_flow::Result::<()>::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Failure::Reject`](crate::Failure::Reject) if the text is not a media type as RFC 9110 defines it, or has more than
    /// 255 bytes, and in `define`.
    pub fn set_content_type(&self, media_type: impl AsRef<str>) -> Result {
        self.host.set_content_type(media_type.as_ref())
    }

    /// Sets the status and headers with which the caller of the run is answered.
    ///
    /// In a node they belong to the result of the run. If the node fails, they are dropped; if several nodes set them,
    /// those that were committed last count; and if the run fails, none do. In the failure handler they belong to what
    /// the handler returns. For the media type of the answer, use [`Context::set_content_type`].
    ///
    /// ```
    /// use faas_flow::{Context, Result, Workflow, testing::{Fake, Flow}};
    ///
    /// fn define(workflow: &mut Workflow, context: &Context) -> Result {
    ///     let context = context.clone();
    ///     workflow.sync_node().apply("store-order").modify(move |id| {
    ///         let location = format!("/orders/{}", String::from_utf8(id)?);
    ///         context.respond(201, &[("Location", &location)])?;
    ///         Ok("")
    ///     });
    ///     Ok(())
    /// }
    ///
    /// let fake = Fake::new();
    /// Flow::with(&fake, define)?.modify("sync/1", "7")?;
    /// let response = fake.response().ok_or("nothing was set")?;
    /// assert_eq!((response.status(), response.header("location")), (201, Some("/orders/7")));
    /// # faas_flow::Result::<()>::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Failure::Reject`](crate::Failure::Reject) if the status is not from 200 to 599 or is 202, if a header is
    /// malformed or not one that a flow may set, if there are more than 32 headers or 8,192 bytes of them, in `define`,
    /// and in the finally handler.
    pub fn respond(&self, status: u16, headers: &[(&str, &str)]) -> Result {
        let owned = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        self.host.respond(status, owned.collect())
    }

    /// An address with which anyone who knows it can send one signal of this name to this run: it is signed, works once,
    /// needs no token, and expires after 7 days. A browser that opens it gets a page with which to approve or reject, and to
    /// comment; the signal's body is then `{"decision":"approve","comment":"…"}`.
    ///
    /// If a node asks several times, also when it is tried again, only one of the addresses that it gets can be used. Other
    /// nodes get other addresses.
    ///
    /// ```
    /// use faas_flow::{Context, Result, Workflow, testing::{Fake, Flow}};
    ///
    /// fn define(workflow: &mut Workflow, context: &Context) -> Result {
    ///     let (dag, context) = (workflow.dag(), context.clone());
    ///     dag.node("ask").modify(move |_| context.signal_url("approval")).apply("send-mail");
    ///     dag.node("approval").wait_for("approval");
    ///     dag.edge("ask", "approval");
    ///     Ok(())
    /// }
    ///
    /// let url = String::from_utf8(Flow::new(define)?.modify("ask/0", "")?)?;
    /// assert!(url.contains("/signal/approval?"));
    /// # faas_flow::Result::<()>::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Failure::Reject`](crate::Failure::Reject) if the name is malformed, and in `define`. If the host does not know at which
    /// address it can be reached (its configuration key `public_url`), this does not return: the node fails with
    /// `FF0276`, which tells the operator what to do.
    pub fn signal_url(&self, name: &str) -> Result<String> {
        self.host.signal_url(name, None)
    }

    /// As [`Context::signal_url`], with another time after which the address expires: at most 366 days.
    ///
    /// # Errors
    ///
    /// As for [`Context::signal_url`], and if the time is too long.
    pub fn signal_url_for(&self, name: &str, valid: Duration) -> Result<String> {
        self.host.signal_url(name, Some(millis(valid)))
    }

    /// Gives the run a label, by which people find it in lists, or replaces the value of a label that it has. It is committed
    /// with the node's output, and dropped if the node fails.
    ///
    /// ```
    /// use faas_flow::{Context, Result, Workflow, testing::{Fake, Flow}};
    ///
    /// fn define(workflow: &mut Workflow, context: &Context) -> Result {
    ///     let context = context.clone();
    ///     workflow.sync_node().apply("store-order").modify(move |id| {
    ///         context.label("order", &String::from_utf8(id.clone())?)?;
    ///         Ok(id)
    ///     });
    ///     Ok(())
    /// }
    ///
    /// let fake = Fake::new();
    /// Flow::with(&fake, define)?.modify("sync/1", "42")?;
    /// assert_eq!(fake.labels(), [("order".to_owned(), "42".to_owned())]);
    /// # faas_flow::Result::<()>::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Failure::Reject`](crate::Failure::Reject) if the key does not have 1 to 63 characters of `A-Z a-z 0-9 . _ / -` of
    /// which the first is a letter or digit, if the value has more than 128 bytes or control characters, if the run would have
    /// more than 16 labels, and in `define`.
    pub fn label(&self, key: &str, value: &str) -> Result {
        self.host.label(key, value)
    }

    /// Reads a JSON value that some node of this run has set, or `None`.
    ///
    /// A node sees its own changes at once. It sees those of other nodes after they have committed.
    ///
    /// # Errors
    ///
    /// [`Failure::Retry`](crate::Failure::Retry) if the host cannot read the value now, and
    /// [`Failure::Reject`](crate::Failure::Reject) if the value is not JSON or does not fit the type.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        match self.get_bytes(key)? {
            Some(value) => Ok(Some(serde_json::from_slice(&value)?)),
            None => Ok(None),
        }
    }

    /// Sets a value, as JSON, for the rest of the run. See [`Context::set_bytes`].
    ///
    /// # Errors
    ///
    /// As for [`Context::set_bytes`]; also if the value cannot be represented in JSON.
    pub fn set<T: Serialize + ?Sized>(&self, key: &str, value: &T) -> Result {
        self.set_bytes(key, serde_json::to_vec(value)?)
    }

    /// Reads the bytes of a value that some node of this run has set, or `None`.
    ///
    /// # Errors
    ///
    /// [`Failure::Retry`](crate::Failure::Retry) if the host cannot read the value now.
    pub fn get_bytes(&self, key: &str) -> Result<Option<Vec<u8>>> {
        self.host.get(key)
    }

    /// Sets a value for the rest of the run. The key has 1 to 256 bytes.
    ///
    /// The host commits the change in one step with the node's output. If the node fails, the change is dropped.
    ///
    /// # Errors
    ///
    /// [`Failure::Reject`](crate::Failure::Reject) if the host refuses the key or the value, or in `define`.
    pub fn set_bytes(&self, key: &str, value: impl Into<Vec<u8>>) -> Result {
        self.host.set(key, value.into())
    }

    /// Deletes a value. Deleting one that does not exist is not an error.
    ///
    /// # Errors
    ///
    /// [`Failure::Reject`](crate::Failure::Reject) if the host refuses the key, or in `define`.
    pub fn delete(&self, key: &str) -> Result {
        self.host.delete(key)
    }

    #[doc(hidden)]
    #[deprecated(since = "0.1.0", note = "use `delete`")]
    #[allow(clippy::missing_errors_doc, reason = "the new name has them")]
    pub fn del(&self, key: &str) -> Result {
        self.delete(key)
    }

    /// Writes a line to the host's log. The host adds the run and the node.
    pub fn log(&self, level: Level, message: impl AsRef<str>) {
        self.host.log(level, message.as_ref());
    }

    /// Logs at [`Level::Trace`].
    pub fn trace(&self, message: impl AsRef<str>) {
        self.log(Level::Trace, message);
    }

    /// Logs at [`Level::Debug`].
    pub fn debug(&self, message: impl AsRef<str>) {
        self.log(Level::Debug, message);
    }

    /// Logs at [`Level::Info`].
    pub fn info(&self, message: impl AsRef<str>) {
        self.log(Level::Info, message);
    }

    /// Logs at [`Level::Warn`].
    pub fn warn(&self, message: impl AsRef<str>) {
        self.log(Level::Warn, message);
    }

    /// Logs at [`Level::Error`].
    pub fn error(&self, message: impl AsRef<str>) {
        self.log(Level::Error, message);
    }
}

// Shows no facts: printing a context in `define` must not count as reading it.
impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}
