package faasflow

import "time"

// Node runs operations one after the other, each on the output of the one before. It is made by [Dag.Node].
type Node struct {
	dag        *Dag
	id         string
	operations []operation
	retry      *Backoff
	timeout    *uint64
	limit      *Limit
}

// Modifier turns data into other data.
type Modifier func(data []byte) ([]byte, error)

// operation is one step of a node: exactly one of its fields is set.
type operation struct {
	apply, request *callModel
	modify         Modifier
	sleep          *uint64
	sleepUntil     func([]byte) (Wake, error)
	waitFor        *waitModel
}

type callModel struct {
	target      string
	method      *string
	headers     [][2]string
	query       [][2]string
	prepare     func(*Request) error
	receive     func(*Response) ([]byte, error)
	recover     func(error) ([]byte, error)
	recoverFrom recoverFunc
	retry       *Backoff
	retryOn     []uint16
	timeout     *uint64
	async       bool
	limit       *Limit
}

type waitModel struct {
	signal      string
	named       func([]byte) (string, error)
	timeout     *uint64
	recoverFrom recoverFunc
}

// Apply adds a call of an OpenFaaS function. The name may be followed by a path: "func1" or "func1/path".
//
// The body of the request is the data that reached the operation. The output is the body of the response, provided that
// its status is from 200 to 299.
//
// If the function is a flow, the call begins a run of it, and waits for the end of that run without holding anything:
// its result is the response, and its failure that of the call. The same call, repeated, is the same run. It is stopped
// if this run ends without it. At most 16 runs may be nested in this way. For a function that takes longer than a request
// may, see [Asynchronous].
func (n *Node) Apply(function string, options ...Option) *Node {
	call := &callModel{target: function}
	for _, option := range options {
		option.applyToCall(call)
	}
	return n.add(operation{apply: call})
}

// Request adds a request to a URL, "http" or "https". Everything else is as for [Node.Apply].
func (n *Node) Request(url string, options ...Option) *Node {
	call := &callModel{target: url}
	for _, option := range options {
		option.applyToCall(call)
	}
	return n.add(operation{request: call})
}

// Modify adds a call of the flow's own code. [JSON] makes a modifier of a function on typed values.
func (n *Node) Modify(modifier Modifier) *Node {
	must(modifier != nil, "Modify of node %q needs a function, and got nil", n.id)
	return n.add(operation{modify: modifier})
}

// Sleep adds a sleep: the data is passed on unchanged after this time, in whole milliseconds, at most 366 days.
//
// A node that sleeps is stored, and nothing is held for it. Its [Node.Timeout] does not count the sleep; the deadline of
// the run does.
func (n *Node) Sleep(wait time.Duration) *Node { return n.add(operation{sleep: millis(wait)}) }

// SleepUntil adds a sleep until a moment that the function names for the data: one that it finds there ([At]), or a time
// from now ([After]). The flow's code itself has no clock. A moment in the past does not sleep. One that is malformed,
// or more than 366 days away, fails the node.
func (n *Node) SleepUntil(moment func(data []byte) (Wake, error)) *Node {
	must(moment != nil, "SleepUntil of node %q needs a function, and got nil", n.id)
	return n.add(operation{sleepUntil: moment})
}

// WaitFor adds a wait for a signal: a named message that is sent to the run, with POST /flow/ID/signal/NAME,
// "faas-flow signal", or an address from [Context.SignalURL]. The body of the signal is the output.
//
// Each signal is received by one node: the one that has waited for it the longest. One that is sent before a node waits for
// it is kept until one does. Nothing is held while the node waits. Its [Node.Timeout] does not count the wait; the
// deadline of the run does. If the node is tried again, it keeps the signal that it has.
//
// The name has 1 to 64 characters of "A-Z a-z 0-9 _ . -".
func (n *Node) WaitFor(signal string, options ...WaitOption) *Node {
	return n.wait(&waitModel{signal: signal}, options)
}

// WaitForNamed adds a wait as [Node.WaitFor] does, for the signal that the function names for the data, so that each
// item of a for-each can wait for a signal of its own. A malformed name fails the node.
func (n *Node) WaitForNamed(name func(data []byte) (string, error), options ...WaitOption) *Node {
	must(name != nil, "WaitForNamed of node %q needs a function, and got nil", n.id)
	return n.wait(&waitModel{named: name}, options)
}

func (n *Node) wait(model *waitModel, options []WaitOption) *Node {
	for _, option := range options {
		option.applyToWait(model)
	}
	return n.add(operation{waitFor: model})
}

// RecoverFrom catches the failure of the node when its retries are exhausted. What the function returns is the node's
// output. If it fails, so does the node. It is the same as [Dag.RecoverNode].
func (n *Node) RecoverFrom(handler func(failed *Failed) ([]byte, error)) *Node {
	n.dag.RecoverNode(n.id, handler)
	return n
}

// Retry sets the retry policy of the node. When an operation has failed and its own retries are exhausted, the node is
// tried again from its first operation. By default it is tried once.
func (n *Node) Retry(policy Backoff) *Node {
	n.retry = &policy
	return n
}

// Timeout limits the time that one try of the whole node may take, in whole milliseconds, at least 1.
func (n *Node) Timeout(limit time.Duration) *Node {
	n.timeout = millis(limit)
	return n
}

// Limit lets the node begin only with a permit of a limit over all runs. Each attempt holds one permit, from its first
// operation to its end, with all sleeps and answers that come later.
func (n *Node) Limit(limit Limit) *Node {
	n.limit = &limit
	return n
}

func (n *Node) add(o operation) *Node {
	n.operations = append(n.operations, o)
	return n
}

// Wake says when a sleeping node continues: see [Node.SleepUntil]. The zero value does not sleep.
type Wake struct {
	after uint64
	at    string
	isAt  bool
}

// After wakes a node after this time, in whole milliseconds. 0 does not sleep.
func After(wait time.Duration) Wake { return Wake{after: *millis(wait)} }

// At wakes a node at this moment, as RFC 3339 writes it: "2026-12-24T18:00:00+01:00". The host refuses any other form
// when the node is executed.
func At(moment string) Wake { return Wake{at: moment, isAt: true} }

// String is the moment as it was given, or the time from now, such as "1h0m0s".
func (w Wake) String() string {
	if w.isAt {
		return w.at
	}
	return (time.Duration(w.after) * time.Millisecond).String()
}
