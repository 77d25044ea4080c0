package flowtest

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	faasflow "github.com/faas-flow/faas-flow/guest-sdk/go"
)

// Call is one try of a call that a run has made, as its function gets it.
type Call struct {
	// Request is what is sent, with the headers that the host adds: Content-Type, X-Faas-Flow-Reqid and
	// X-Faas-Flow-Idempotency-Key.
	faasflow.Request
	// Function is the function as it is called, "wc" or "wc/lines", or the URL without its query.
	Function string
	// Node is the path of the node that calls: "F[f2]/charge".
	Node string
	// Tries is how many tries of the call there were, with this one.
	Tries int
	// At is the virtual time of the call, counted from the beginning of the run.
	At time.Duration
}

// Path returns the path of the request, decoded: of a function, what follows its name, such as "/lines" or "".
func (c *Call) Path() string {
	path, _ := pathAndQuery(c.URL)
	if !strings.Contains(c.Function, "://") {
		path = tail(path)
	}
	if decoded, err := url.PathUnescape(path); err == nil {
		return decoded
	}
	return path
}

// Query returns all values of a query parameter of the request, decoded, in order.
func (c *Call) Query(name string) []string {
	_, query := pathAndQuery(c.URL)
	values, _ := url.ParseQuery(query)
	return values[name]
}

// Answer is what a function of a test answers. The zero value is an answer with status 200 and without a body.
type Answer struct {
	// Status is the status of the response. 0 means 200.
	Status int
	// Headers are those of the response.
	Headers faasflow.Headers
	// Body is that of the response.
	Body string
	// Delay is the virtual time that the answer takes. If it is longer than the timeout of the call, which is a minute unless
	// the flow says otherwise, the call fails.
	Delay time.Duration
	// Err is why there is no answer: the call fails as one that cannot be made.
	Err error
}

// subject is the name by which a call is answered: the function with the path of the request, or the URL without its query.
func subject(target, address string, isURL bool) string {
	path, _ := pathAndQuery(address)
	if isURL {
		address, _, _ = strings.Cut(address, "#")
		address, _, _ = strings.Cut(address, "?")
		return strings.TrimSuffix(address, "/")
	}
	name := target
	if at := strings.IndexAny(name, "/?#"); at >= 0 {
		name = name[:at]
	}
	return name + strings.TrimSuffix(tail(path), "/")
}

// pathAndQuery returns the path of an absolute URL, and its query.
func pathAndQuery(address string) (path, query string) {
	address, _, _ = strings.Cut(address, "#")
	if _, behind, isAbsolute := strings.Cut(address, "://"); isAbsolute {
		at := strings.IndexAny(behind, "/?")
		if at < 0 {
			return "", ""
		}
		address = behind[at:]
	}
	path, query, _ = strings.Cut(address, "?")
	return path, query
}

// tail is what follows the first segment of a path: "/lines" of "/wc/lines".
func tail(path string) string {
	path = strings.TrimPrefix(path, "/")
	if at := strings.IndexByte(path, '/'); at >= 0 {
		return path[at:]
	}
	return ""
}

// double finds what answers a call: the longest name that the call is at or below.
func (r *FlowRun) double(call *Call) func(*Call) Answer {
	for name := call.Function; name != ""; {
		if answer, isKnown := r.doubles[name]; isKnown {
			return answer
		}
		at := strings.LastIndexByte(name, '/')
		if at < 0 {
			break
		}
		name = name[:at]
	}
	knows := "it has answers for none"
	if len(r.doubles) > 0 {
		knows = "it has answers for `" + strings.Join(slices.Sorted(maps.Keys(r.doubles)), "`, `") + "`"
	}
	stop("node `%s` calls `%s`, and the test does not say what that answers (%s): add .Function(%q, …) or .Answers(%q, …) to the run",
		call.Node, call.Function, knows, call.Function, call.Function)
	return nil
}

// retryAfter is the wait that a response asks for: a day at most.
func retryAfter(headers faasflow.Headers, now time.Time) time.Duration {
	const most = 24 * time.Hour
	value := strings.TrimSpace(headers.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, most)
	}
	// The form of HTTP's dates.
	if until, err := time.Parse(time.RFC1123, value); err == nil {
		return min(max(until.Sub(now), 0), most)
	}
	return 0
}
