package faasflow

import (
	"math"
	"time"
)

// Backoff is a retry policy: how often to try, and how long to wait in between. As an [Option] it is that of a call:
//
//	dag.Node("count").Apply("wc", faasflow.Backoff{Attempts: 3})
//
// Before try n (the second and later ones) the host waits min(MaxDelay, FirstDelay × Factor^(n-2)), less a random share
// of up to one half, so that many runs that failed together are not tried again together.
//
// A call is tried again after connection errors, timeouts, and an error of [Retry] from one of its functions. Unless
// [Receive] handles the responses, it is also tried again after the statuses 408, 429 and 5xx, or after those of
// [RetryOn] instead.
//
// The host checks the ranges when it loads the flow, and reports values outside of them.
type Backoff struct {
	// Attempts is the number of tries, including the first: 1 to 100.
	Attempts int
	// FirstDelay is the wait before the second try, in whole milliseconds. 0 means 100 ms; less than a millisecond, such
	// as time.Nanosecond, means no wait.
	FirstDelay time.Duration
	// Factor is the factor by which each further wait is longer than the one before: 1 to 100. 0 means 2.
	Factor float64
	// MaxDelay is the longest wait, in whole milliseconds: up to one day. 0 means 10 s.
	MaxDelay time.Duration
}

func (b Backoff) applyToCall(call *callModel) { call.retry = &b }

func (b Backoff) model() *backoffModel {
	model := &backoffModel{Attempts: count32(b.Attempts), FirstDelayMs: 100, Factor: 2, MaxDelayMs: 10_000}
	if b.FirstDelay != 0 {
		model.FirstDelayMs = millis32(b.FirstDelay)
	}
	if b.Factor != 0 {
		model.Factor = decimal32(b.Factor)
	}
	if b.MaxDelay != 0 {
		model.MaxDelayMs = millis32(b.MaxDelay)
	}
	return model
}

func millis32(d time.Duration) uint32 { return uint32(min(*millis(d), math.MaxUint32)) }

// Limit is a limit over all runs: how many calls or nodes may be in flight at a time, and how many may begin in a
// second. As an [Option] it is that of a call, each of whose tries then needs a permit; see [Node.Limit] for a node. A
// call of a flow and an asynchronous call hold their permit until the answer comes.
//
//	// At most ten calls of the payment function a second, over all runs of the flow.
//	dag.Node("charge").Apply("payment", faasflow.Limit{Name: "payments", PerSecond: 10})
//
// The limit needs at least one of Concurrent and PerSecond. Its name belongs to the flow. If the operator defines a limit
// with this name, it counts over all flows, and the operator's figures replace those of the flow. Everything in a flow
// that names the same limit must give it the same figures.
//
// Permits are granted in the order in which they are asked for, and whatever waits for one holds nothing meanwhile.
type Limit struct {
	// Name has 1 to 64 characters of "A-Z a-z 0-9 _ . -".
	Name string
	// Concurrent limits how many calls or nodes are in flight at a time. 0 sets no such limit.
	Concurrent int
	// PerSecond limits how many calls or nodes begin in a second, from 0.001 to 1,000,000. 0 sets no such limit.
	PerSecond float64
	// Key names a key for the data of the call or the node, such as a tenant: at most 256 bytes. Each key has the whole
	// limit to itself. Without it, all data has the same key.
	Key func(data []byte) (string, error)
}

func (l Limit) applyToCall(call *callModel) { call.limit = &l }
