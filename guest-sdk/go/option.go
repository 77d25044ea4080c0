package faasflow

import (
	"slices"
	"time"
)

// Option is an option of a call: of [Node.Apply] and [Node.Request].
//
// Options are [Header], [Query], [Method], [Prepare], [Receive], [OnFailure], [RecoverFrom], [RetryOn], [Timeout] and
// [Asynchronous], a retry policy ([Backoff]), a [Limit], and the original library's [RequestHandler] and [OnReponse].
type Option interface{ applyToCall(*callModel) }

// WaitOption is an option of a wait for a signal: [Timeout] or [RecoverFrom]. See [Node.WaitFor].
type WaitOption interface{ applyToWait(*waitModel) }

// CallOrWaitOption is an option of a call or of a wait for a signal.
type CallOrWaitOption interface {
	Option
	WaitOption
}

type callOption func(*callModel)

func (o callOption) applyToCall(call *callModel) { o(call) }

type eitherOption struct {
	call func(*callModel)
	wait func(*waitModel)
}

func (o eitherOption) applyToCall(call *callModel) { o.call(call) }
func (o eitherOption) applyToWait(wait *waitModel) { o.wait(wait) }

// Header adds a header to the request. The same name may be added several times. As in the original library, the header
// "method" sets the HTTP method instead: see [Method].
func Header(name, value string) Option {
	if name == "method" {
		return Method(value)
	}
	return callOption(func(c *callModel) { c.headers = append(c.headers, [2]string{name, value}) })
}

// Query adds a query parameter to the URL, once for each value. The host percent-encodes name and value.
func Query(name string, values ...string) Option {
	return callOption(func(c *callModel) {
		for _, value := range values {
			c.query = append(c.query, [2]string{name, value})
		}
	})
}

// Method sets the HTTP method. It is POST otherwise.
func Method(name string) Option { return callOption(func(c *callModel) { c.method = &name }) }

// Prepare sets a function that sees each request before it is sent, and may change it. It runs before every try.
func Prepare(handler func(request *Request) error) Option {
	must(handler != nil, "Prepare needs a function, and got nil")
	return callOption(func(c *callModel) { c.prepare = handler })
}

// Receive sets a function that turns the response, whatever its status, into data.
//
// With it no status is a failure by itself, so none is retried. To retry, the function returns an error of [Retry], and
// the [Backoff] of the call applies. [RetryOn] has no effect.
func Receive(handler func(response *Response) ([]byte, error)) Option {
	must(handler != nil, "Receive needs a function, and got nil")
	return callOption(func(c *callModel) { c.receive = handler })
}

// FailureFunc is what [OnFailure] takes. The second form, that of the original library, continues with empty data if it
// returns nil.
type FailureFunc interface {
	func(failure error) ([]byte, error) | func(failure error) error
}

// OnFailure sets a function that gets the call's failure when its retries are exhausted, and turns it into data to
// continue with, or into another failure. [RecoverFrom] tells more about the failure.
func OnFailure[F FailureFunc](handler F) Option {
	var run func(error) ([]byte, error)
	switch f := any(handler).(type) {
	case func(error) ([]byte, error):
		run = f
	case func(error) error:
		if f != nil {
			run = func(failure error) ([]byte, error) { return nil, f(failure) }
		}
	}
	must(run != nil, "OnFailure needs a function, and got nil")
	return callOption(func(c *callModel) { c.recover = run })
}

// RecoverFrom sets a function that gets the failure of a call when its retries are exhausted, or of a wait for a signal
// if none comes in time, with the data of the operation and the body of the response. It turns the failure into data to
// continue with, or into another failure. For a call, it has no effect beside [OnFailure].
func RecoverFrom(handler func(failed *Failed) ([]byte, error)) CallOrWaitOption {
	must(handler != nil, "RecoverFrom needs a function, and got nil")
	return eitherOption{
		call: func(c *callModel) { c.recoverFrom = handler },
		wait: func(w *waitModel) { w.recoverFrom = handler },
	}
}

// RetryOn sets the response statuses, from 100 to 599, after which the [Backoff] of the call tries again. They replace
// the default of 408, 429 and 5xx.
func RetryOn(statuses ...int) Option {
	return callOption(func(c *callModel) {
		c.retryOn = nil
		for _, status := range statuses {
			c.retryOn = append(c.retryOn, uint16(clamp(status, 1<<16-1)))
		}
	})
}

// Timeout limits the time that one try of a call may take, in whole milliseconds, at least 1, or that a node waits for a
// signal, at most 366 days. By default a wait takes as long as the run may take; if no signal comes in time, it fails.
func Timeout(limit time.Duration) CallOrWaitOption {
	ms := millis(limit)
	return eitherOption{
		call: func(c *callModel) { c.timeout = ms },
		wait: func(w *waitModel) { w.timeout = ms },
	}
}

// Asynchronous calls the function through the queue of OpenFaaS, and waits for its answer without holding anything: the
// function may take hours, and the node continues when the answer comes. Only for functions, and for POST.
//
// All other settings of the call keep their meaning: the answer, whatever its status, is the response, and
// [Timeout] limits the time from the call to the answer.
func Asynchronous() Option { return callOption(func(c *callModel) { c.async = true }) }

// BranchOption is an option of a node, an edge or branches: of [Dag.Node], [Dag.Edge], [Dag.ForEachBranch],
// [Dag.ConditionalBranch], [Dag.Repeat] and their like. Each option says where it applies; anywhere else, it is refused
// when the flow is defined.
type BranchOption struct {
	name  string
	where []place
	apply func(*branchOptions)
}

// place is a method that takes options.
type place string

const (
	ofNode      place = "a node"
	ofEdge      place = "an edge"
	ofCondition place = "a condition"
	ofForEach   place = "a for-each"
	ofRepeat    place = "a repeat"
)

type branchOptions struct {
	aggregator  aggregateFunc
	gather      func([]Gathered) ([]byte, error)
	nothing     bool
	forward     Modifier
	maxParallel *uint32
	tolerate    *tolerateModel
	most        *uint32
	wait        *uint64
}

func collect(where place, options []BranchOption) (o branchOptions) {
	for _, option := range options {
		must(option.apply != nil, "an option of %s is empty", where)
		must(slices.Contains(option.where, where), "%s is no option of %s", option.name, where)
		option.apply(&o)
	}
	return o
}

// AggregatorFunc is what [Aggregator] takes. The first form, that of the original library, gets the values without their
// order.
type AggregatorFunc interface {
	func(results map[string][]byte) ([]byte, error) | func(results Inputs) ([]byte, error)
}

// Aggregator merges values into one: the inputs of a node, named by predecessor in the order of the edges; the results
// of the branches of a condition that ran, named by key in the order in which they were chosen; or the results of the
// items of a for-each, in the order in which they were split. If a for-each has no items, the function is not called and
// the node's output is empty.
func Aggregator[F AggregatorFunc](aggregator F) BranchOption {
	var run aggregateFunc
	switch f := any(aggregator).(type) {
	case func(Inputs) ([]byte, error):
		run = f
	case func(map[string][]byte) ([]byte, error):
		if f != nil {
			run = func(inputs Inputs) ([]byte, error) { return f(inputs.Map()) }
		}
	}
	must(run != nil, "Aggregator needs a function, and got nil")
	places := []place{ofNode, ofCondition, ofForEach}
	return BranchOption{"Aggregator", places, func(o *branchOptions) { o.aggregator = run }}
}

// Gather merges the results of all items of a for-each, as [Aggregator] does, and sees tolerated failures in their
// places. It takes the place of an aggregator.
func Gather(gather func(items []Gathered) ([]byte, error)) BranchOption {
	must(gather != nil, "Gather needs a function, and got nil")
	return BranchOption{"Gather", []place{ofForEach}, func(o *branchOptions) { o.gather = gather }}
}

// ForwarderFunc is what [Forwarder] takes.
type ForwarderFunc interface {
	func(data []byte) []byte | func(data []byte) ([]byte, error)
}

// Forwarder rewrites the data that an edge carries.
func Forwarder[F ForwarderFunc](forward F) BranchOption {
	var run Modifier
	switch f := any(forward).(type) {
	case func([]byte) ([]byte, error):
		run = f
	case func([]byte) []byte:
		if f != nil {
			run = func(data []byte) ([]byte, error) { return f(data), nil }
		}
	}
	must(run != nil, "Forwarder needs a function, and got nil")
	return BranchOption{"Forwarder", []place{ofEdge}, func(o *branchOptions) { o.forward = run }}
}

// Execution makes an edge carry nothing, so that it only orders its two nodes. For a condition or a for-each, the
// branches begin with empty data, and their results are dropped.
var Execution = InvokeEdge()

// ExecutionBranch is the same as [Execution]. Flows of the original library use it for branches.
var ExecutionBranch = Execution

// InvokeEdge returns [Execution].
func InvokeEdge() BranchOption {
	places := []place{ofEdge, ofCondition, ofForEach}
	return BranchOption{"Execution", places, func(o *branchOptions) { o.nothing = true }}
}

// MaxParallel limits how many branches of a condition, or items of a for-each, run at the same time, at least 1. By
// default all do.
func MaxParallel(count int) BranchOption {
	n := count32(count)
	places := []place{ofCondition, ofForEach}
	return BranchOption{"MaxParallel", places, func(o *branchOptions) { o.maxParallel = &n }}
}

// Tolerate lets this number of items of a for-each fail without failing it. By default none may (fail-fast).
//
// An item that fails and is tolerated has no result: an [Aggregator] does not see it, and the function of [Gather] sees
// its failure. The other items continue. If one more item fails, the for-each fails.
func Tolerate(items int) BranchOption {
	n := count32(items)
	return BranchOption{"Tolerate", []place{ofForEach}, func(o *branchOptions) { o.tolerate = &tolerateModel{Items: &n} }}
}

// TolerateShare lets this share of the items fail, from 0.0 to 1.0, rounded down to whole items: 0.05 of 30 items are 1.
// See [Tolerate], which it replaces.
func TolerateShare(share float64) BranchOption {
	s := decimal32(share)
	return BranchOption{"TolerateShare", []place{ofForEach}, func(o *branchOptions) { o.tolerate = &tolerateModel{Share: &s} }}
}

// Most limits how many rounds of a repeat there are, from 1 to 1,000. By default there are at most 100.
func Most(rounds int) BranchOption {
	n := count32(rounds)
	return BranchOption{"Most", []place{ofRepeat}, func(o *branchOptions) { o.most = &n }}
}

// Wait sets the wait between two rounds of a repeat, in whole milliseconds, at most 30 days. By default the next round
// begins at once. Nothing is held during the wait.
func Wait(wait time.Duration) BranchOption {
	ms := millis(wait)
	return BranchOption{"Wait", []place{ofRepeat}, func(o *branchOptions) { o.wait = ms }}
}

// millis is a duration as the contract expresses it.
func millis(d time.Duration) *uint64 {
	ms := uint64(max(d.Milliseconds(), 0))
	return &ms
}

// count32 is a number as the contract expresses it. What is out of range stays out of range, so that the host reports it.
func count32(n int) uint32 { return uint32(clamp(n, 1<<32-1)) }

func clamp(n int, most uint64) uint64 { return min(uint64(max(n, 0)), most) }
