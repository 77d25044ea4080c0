package faasflow

import (
	"encoding/json"
	"time"
)

// Context has facts about the current run, values that last as long as the run, and the log. Define gets it and hands it
// on to the functions of the flow by mentioning it in them.
//
// # In Define
//
// Define may read the context, for example to add a query parameter of the request to a call. The host then asks for the
// definition at the start of every run and keeps it with the run. If Define does nothing with the context but log and
// mention it in functions, the host asks once per module, which is faster.
//
// While Define runs there is no current node: [Context.Node] and [Context.Inputs] are empty, and values cannot be
// changed.
type Context struct {
	// Query has the query parameters of the request that started the run.
	Query Parameters
	// State is [StateOngoing]. In the functions of [Workflow.OnFailure] and [Workflow.Finally] it is [StateSuccess] or
	// [StateFailure]. [Context.RunState] is more exact.
	State string
	// NodeInput is the inputs of a node to which more than one edge leads, by predecessor, in functions of that node other
	// than its aggregator. [Context.Inputs] has them in order, and for all nodes.
	NodeInput map[string][]byte

	host host
}

// host is what the host, or a test, answers. Package flowtest implements it as well.
type host interface {
	RequestID() string
	FlowName() string
	Node() string
	RunState() RunState
	Query(name string) []string
	Header(name string) []string
	Inputs() Inputs
	ContentType() string
	ContentTypes() []string
	SetContentType(mediaType string) error
	Respond(status uint16, headers [][2]string) error
	SetRejectStatus(status uint16) error
	Label(key, value string) error
	Get(key string) ([]byte, bool, error)
	Set(key string, value []byte) error
	Delete(key string) error
	// SignalURL gets the time in milliseconds after which the address expires, or nil.
	SignalURL(name string, valid *uint64) (string, error)
	Log(level Level, message string)
}

// current is the context of the function that is being called, for code that has not been given one.
var current host

func newContext(host host) *Context {
	context := &Context{State: StateOngoing, host: host}
	context.Query = Parameters{context}
	return context
}

// GetRequestId returns the id of the run, which is the X-Faas-Flow-Reqid of its request: 1 to 64 characters of
// "A-Z a-z 0-9 _ -".
func (c *Context) GetRequestId() string { return c.host.RequestID() }

// Name returns the name under which the flow is deployed.
func (c *Context) Name() string { return c.host.FlowName() }

// GetNode returns the path of the current node within the run: "C[c1]/F[f2]/n1" is the node n1 in the item f2 of the
// for-each F in the branch c1 of the condition C. Branch keys are percent-encoded.
func (c *Context) GetNode() string { return c.host.Node() }

// RunState returns the state of the run when the host called the current function: [Running] in a node, [FailedRun] in
// the failure handler, and in the function of [Workflow.Finally] the state in which the run ended.
func (c *Context) RunState() RunState { return c.host.RunState() }

// Header returns all values of a header of the request that started the run, in order. Upper and lower case are the same.
//
// Credentials such as Authorization and Cookie are not available unless the operator allows them (keep_headers). A value
// that is not UTF-8 is read as ISO-8859-1.
func (c *Context) Header(name string) []string { return c.host.Header(name) }

// Inputs returns the inputs of the current node, by predecessor in the order of the edges, before any aggregator.
func (c *Context) Inputs() Inputs { return c.host.Inputs() }

// ContentType returns the media type of the data that the current function got: "application/json", or
// "text/plain; charset=utf-8". In a function of [Prepare] it is that of the request, in a function of [Receive] that of
// the response.
//
// It is "application/octet-stream" if no media type was set for the data, and in functions that get several values or none:
// aggregators, and those for failures and for the end of the run.
func (c *Context) ContentType() string { return c.host.ContentType() }

// ContentTypes returns media types in the order of the values to which they belong: in an aggregator those of the values
// that it merges, in other functions those of [Context.Inputs].
func (c *Context) ContentTypes() []string { return c.host.ContentTypes() }

// SetContentType sets the media type of the data that the current function is about to return; of each item, in the
// function of a for-each. Without this call it is "application/octet-stream", or "application/json" in a modifier of
// [JSON]. Calls of functions and URLs send it as Content-Type, and so does the answer to the caller.
//
// The error is a [Reject] if the text is not a media type as RFC 9110 defines it, or has more than 255 bytes, and in Define.
func (c *Context) SetContentType(mediaType string) error {
	return rejected(c.host.SetContentType(mediaType))
}

// Respond sets the status and headers with which the caller of the run is answered. For the media type of the answer, use
// [Context.SetContentType].
//
// In a node they belong to the result of the run. If the node fails, they are dropped; if several nodes set them, those
// that were committed last count; and if the run fails, none do. In the failure handler they belong to what the handler
// returns.
//
// The error is a [Reject] if the status is not from 200 to 599 or is 202, if a header is malformed or not one that a flow
// may set, if there are more than 32 headers or 8,192 bytes of them, in Define, and in the function of
// [Workflow.Finally].
func (c *Context) Respond(status int, headers Headers) error {
	return rejected(c.host.Respond(uint16(clamp(status, 1<<16-1)), headers))
}

// SignalURL returns an address with which anyone who knows it can send one signal of this name to this run: it is
// signed, works once, needs no token, and expires after 7 days. A browser that opens it gets a page with which to approve
// or reject, and to comment; the signal's body is then {"decision":"approve","comment":"…"}.
//
// If a node asks several times, also when it is tried again, only one of the addresses that it gets can be used. Other nodes
// get other addresses.
//
// The error is a [Reject] if the name is malformed, in Define, and if the host does not know at which address it can be
// reached (its configuration key public_url).
func (c *Context) SignalURL(name string) (string, error) {
	url, err := c.host.SignalURL(name, nil)
	return url, rejected(err)
}

// SignalURLFor does what [Context.SignalURL] does, with another time after which the address expires: at most 366 days.
func (c *Context) SignalURLFor(name string, valid time.Duration) (string, error) {
	url, err := c.host.SignalURL(name, millis(valid))
	return url, rejected(err)
}

// Label gives the run a label, by which people find it in lists, or replaces the value of a label that it has. It is committed
// with the node's output, and dropped if the node fails.
//
// The error is a [Reject] if the key does not have 1 to 63 characters of "A-Z a-z 0-9 . _ / -" of which the first is a letter
// or digit, if the value has more than 128 bytes or control characters, if the run would have more than 16 labels, and in
// Define.
func (c *Context) Label(key, value string) error { return rejected(c.host.Label(key, value)) }

// Set sets a value for the rest of the run: bytes as they are, and anything else as JSON. The key has 1 to 256 bytes.
//
// The host commits the change in one step with the node's output. If the node fails, the change is dropped. A node sees
// its own changes at once, and those of other nodes after they have committed.
//
// The error is a [Reject] if the host refuses the key or the value, in Define, and if the value cannot be represented in
// JSON.
func (c *Context) Set(key string, value any) error {
	data, isBytes := value.([]byte)
	if !isBytes {
		var err error
		if data, err = json.Marshal(value); err != nil {
			return Reject("value %q cannot be set: %w", key, err)
		}
	}
	return rejected(c.host.Set(key, data))
}

// Get returns a value that some node of this run has set, as [encoding/json] reads it into an interface. The error is a
// [Reject] if there is none. The function [Get] reads a value into a type, and does not treat a missing one as an error.
func (c *Context) Get(key string) (any, error) {
	value, isSet, err := Get[any](c, key)
	if err == nil && !isSet {
		err = noValue(key)
	}
	return value, err
}

// GetInt returns a whole number that some node of this run has set. If there is none, the calling function fails. Use
// [Get] for a value that may be missing.
func (c *Context) GetInt(key string) int { return demand[int](c, key) }

// GetString returns a text that some node of this run has set. If there is none, the calling function fails.
func (c *Context) GetString(key string) string { return demand[string](c, key) }

// GetBool returns a boolean that some node of this run has set. If there is none, the calling function fails.
func (c *Context) GetBool(key string) bool { return demand[bool](c, key) }

// GetBytes returns the bytes of a value that some node of this run has set. If there is none, the calling function fails.
func (c *Context) GetBytes(key string) []byte { return demand[[]byte](c, key) }

// Del deletes a value. Deleting one that does not exist is not an error.
//
// The error is a [Reject] if the host refuses the key, and in Define.
func (c *Context) Del(key string) error { return rejected(c.host.Delete(key)) }

// Log writes a line to the host's log. The host adds the run and the node.
func (c *Context) Log(level Level, message string) { c.host.Log(level, message) }

// Trace logs at [LevelTrace].
func (c *Context) Trace(message string) { c.host.Log(LevelTrace, message) }

// Debug logs at [LevelDebug].
func (c *Context) Debug(message string) { c.host.Log(LevelDebug, message) }

// Info logs at [LevelInfo].
func (c *Context) Info(message string) { c.host.Log(LevelInfo, message) }

// Warn logs at [LevelWarn].
func (c *Context) Warn(message string) { c.host.Log(LevelWarn, message) }

// Error logs at [LevelError].
func (c *Context) Error(message string) { c.host.Log(LevelError, message) }

// Get reads a value that some node of this run has set, and says whether there is one: bytes as they are, and anything
// else as JSON.
//
//	orders, isSet, err := faasflow.Get[int](context, "orders")
//
// The error is one of [Retry] if the host cannot read the value now, and a [Reject] if the value is not JSON or does not
// fit the type.
func Get[T any](c *Context, key string) (value T, isSet bool, err error) {
	data, isSet, err := c.host.Get(key)
	if err != nil {
		return value, false, Retry("value %q cannot be read: %w", key, err)
	}
	if !isSet {
		return value, false, nil
	}
	if raw, isBytes := any(&value).(*[]byte); isBytes {
		*raw = data
		return value, true, nil
	}
	if err := json.Unmarshal(data, &value); err != nil {
		return value, false, Reject("value %q is not of the type %T: %w", key, value, err)
	}
	return value, true, nil
}

// demand reads a value that must be there.
func demand[T any](c *Context, key string) T {
	value, isSet, err := Get[T](c, key)
	if err == nil && !isSet {
		err = noValue(key)
	}
	if err != nil {
		panic(err)
	}
	return value
}

func noValue(key string) error { return Reject("no node of this run has set the value %q", key) }

// rejected makes a reject of what the host refuses.
func rejected(err error) error {
	if err == nil {
		return nil
	}
	return Reject("%w", err)
}

// Parameters are the query parameters of the request that started the run.
type Parameters struct{ context *Context }

// Get returns the first value of a parameter, decoded, or "".
func (p Parameters) Get(name string) string {
	if values := p.context.host.Query(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

// Has says whether there is a parameter of this name.
func (p Parameters) Has(name string) bool { return len(p.context.host.Query(name)) > 0 }

// All returns all values of a parameter, decoded, in order.
func (p Parameters) All(name string) []string { return p.context.host.Query(name) }

// RunState is the state of a run.
type RunState uint8

const (
	// Running means that nodes are running or waiting to run.
	Running RunState = iota
	// Paused means that nothing new starts until an operator resumes the run.
	Paused
	// Stopped means that an operator ended the run before it was done.
	Stopped
	// Succeeded means that the run ended with its result.
	Succeeded
	// FailedRun means that the run failed.
	FailedRun
)

// String is the name of the state, such as "running".
func (s RunState) String() string {
	return name(s, "running", "paused", "stopped", "succeeded", "failed")
}

// Level is the severity of a log line, from the least to the most important.
type Level uint8

const (
	// LevelTrace is fine-grained detail, useful to the author of the flow only.
	LevelTrace Level = iota
	// LevelDebug is detail that helps to find a fault.
	LevelDebug
	// LevelInfo is normal events that an operator may want to see.
	LevelInfo
	// LevelWarn is something that may become a problem.
	LevelWarn
	// LevelError is a problem.
	LevelError
)

// String is the name of the level, such as "info".
func (l Level) String() string { return name(l, "trace", "debug", "info", "warn", "error") }
