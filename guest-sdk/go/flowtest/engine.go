package flowtest

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"time"

	faasflow "github.com/faas-flow/faas-flow/guest-sdk/go"
)

// The rules by which a flow runs, as docs/concepts.md states them, for one node after the other.

// engine executes the nodes of one run.
type engine struct {
	run  *FlowRun
	flow *Flow
	fake *Fake
	// now is the virtual time of what is being executed, counted from the beginning of the run.
	now time.Duration
	// deadline is that of the run, or 0.
	deadline time.Duration
	signals  []signal
	// taken are the signals that nodes have taken, by path and operation. They keep them in further attempts.
	taken map[string]signal
	calls []*Call
	ran   []string
	// own is what applies while the flow's own code or an operation of a node is being executed.
	own own
}

// own is one attempt of a node, as far as it is not that of its branches.
type own struct {
	path   string
	before kept
	// input is what the present operation has got.
	input []byte
	// limit is the time limit of the attempt, and until its end. 0 is none.
	limit, until time.Duration
	// Whether it has got the body of the request, and whether it has seen what a call answered.
	ofRequest, hasCalled bool
}

// kept is what the code of a node changes, and what is dropped if it fails.
type kept struct {
	values   map[string][]byte
	labels   map[string]string
	response *faasflow.Response
}

// value is data and its media type.
type value struct {
	data      []byte
	mediaType string
	// Whether it is the body of the request, which nobody has changed on the way.
	isRequest bool
}

var nothing = value{mediaType: octetStream}

type named struct {
	name string
	value
}

// level is what fails: nobody further in catches it.
type level uint8

const (
	ofOperation level = iota
	ofNode
	ofRun
)

// failing is a failure on its way outwards.
type failing struct {
	failed faasflow.Failed
	level  level
	retry  bool
	// spent says which retry policy ran out, if one did.
	spent string
	// status is the one with which a function of the flow wants its caller to be answered, or 0.
	status     int
	retryAfter time.Duration
}

// text is what the host shows of a failure.
func (f *failing) text() string {
	text := f.failed.Error()
	if f.spent != "" {
		text += " (" + f.spent + ")"
	}
	return text
}

// last says that there is no further try.
func (f *failing) last(policy *backoffModel, whose, one, several string, tries int) {
	if policy == nil || !f.retry {
		return
	}
	unit := several
	if tries == 1 {
		unit = one
	}
	f.failed.Tries = tries
	f.spent = fmt.Sprintf("the retry policy of the %s ran out after %d %s", whose, tries, unit)
}

func fails(code string, kind faasflow.FailureKind, path, format string, arguments ...any) *failing {
	return &failing{failed: faasflow.Failed{Code: code, Kind: kind, Path: path, Tries: 1, Message: fmt.Sprintf(format, arguments...)}}
}

func (b *backoffModel) allows(f *failing, tries int) bool {
	return b != nil && f.retry && tries < b.Attempts
}

// delay is the wait after this number of failed tries.
func (b *backoffModel) delay(f *failing, tries int) time.Duration {
	ms := b.FirstDelayMs
	for range tries - 1 {
		ms = min(ms*b.Factor, b.MaxDelayMs)
	}
	return max(time.Duration(math.Round(min(ms, b.MaxDelayMs)))*time.Millisecond, f.retryAfter)
}

func (e *engine) dag(d *dagModel, scope string, input value) (value, *failing) {
	response := e.fake.Response
	output, f := e.nodes(d, scope, input)
	if f == nil || f.level == ofRun || d.Recover == "" {
		return output, f
	}
	e.withdraw(response)
	return e.caught(d.Recover, scope+"(recover)", f)
}

// withdraw drops the status and headers that what does not go on has set.
func (e *engine) withdraw(before *faasflow.Response) {
	if e.fake.Response != before {
		e.fake.Response = nil
	}
}

func (e *engine) nodes(d *dagModel, scope string, input value) (value, *failing) {
	incoming := d.incoming(scope)
	begun := e.now
	outputs, ended := map[string]value{}, map[string]time.Duration{}
	for range d.Nodes {
		var next *nodeModel
		var at time.Duration
		for _, node := range d.Nodes {
			begins, isReady := begun, true
			for _, edge := range incoming[node.ID] {
				end, isDone := ended[edge.From]
				isReady, begins = isReady && isDone, max(begins, end)
			}
			if _, isDone := ended[node.ID]; !isDone && isReady && (next == nil || begins < at) {
				next, at = node, begins
			}
		}
		if next == nil {
			stop("nodes of the flow wait for each other in %q; \"faas-flow check\" names them", scope)
		}
		e.now = at
		output, f := e.node(d, scope, next, func() (value, *failing) {
			return e.gather(incoming[next.ID], outputs, d.aggregatorOf(next.ID), input)
		})
		if f != nil {
			return nothing, f
		}
		outputs[next.ID], ended[next.ID] = output, e.now
	}
	for _, end := range ended {
		e.now = max(e.now, end)
	}
	ends := d.ends()
	if d.AggregateEnds != "" {
		var merged []named
		for _, id := range ends {
			merged = append(merged, named{id, outputs[id]})
		}
		return e.attempt(scope+"(end)", 0, func() (value, *failing) { return e.aggregate(d.AggregateEnds, merged) })
	}
	if len(ends) == 1 {
		return outputs[ends[0]], nil
	}
	return nothing, nil
}

func (e *engine) node(d *dagModel, scope string, n *nodeModel, gather func() (value, *failing)) (value, *failing) {
	path, response := scope+n.ID, e.fake.Response
	e.ran = append(e.ran, path)
	output, f := e.kind(path, n, gather)
	if n.Operations == nil || len(n.Operations.List) > 0 {
		output.isRequest = false
	}
	recover := d.recoverOf(n.ID)
	if f == nil || f.level == ofRun || recover == "" {
		return output, f
	}
	if n.Operations == nil {
		e.withdraw(response)
	}
	return e.caught(recover, path, f)
}

func (e *engine) kind(path string, n *nodeModel, gather func() (value, *failing)) (value, *failing) {
	switch {
	case n.Operations != nil:
		return e.operations(path, n.Operations, gather)
	case n.SubDag != nil:
		data, f := e.attempt(path, 0, gather)
		if f != nil {
			return nothing, f
		}
		return e.dag(n.SubDag, path+"/", data)
	case n.Condition != nil:
		return e.condition(path, n.Condition, gather)
	case n.ForEach != nil:
		return e.forEach(path, n.ForEach, gather)
	default:
		return e.repeat(path, n.Repeat, gather)
	}
}

// attempt executes the flow's own code, or operations, and drops what they have set if they fail.
func (e *engine) attempt(path string, limit time.Duration, run func() (value, *failing)) (value, *failing) {
	e.own = own{path: path, limit: limit}
	e.fake.Node, e.fake.Inputs, e.fake.ContentTypes = path, nil, []string{}
	e.commit()
	output, f := run()
	if f != nil {
		e.fake.values, e.fake.Labels, e.fake.Response = e.own.before.values, e.own.before.labels, e.own.before.response
	}
	return output, f
}

// commit keeps what the attempt has set by now, and restarts its time limit.
func (e *engine) commit() {
	e.own.before = kept{maps.Clone(e.fake.values), maps.Clone(e.fake.Labels), e.fake.Response}
	if e.own.limit > 0 {
		e.own.until = e.now + e.own.limit
	}
}

// gather is what a node gets: the outputs of those before it, as forwarders rewrite them and an aggregator merges them.
func (e *engine) gather(incoming []edgeModel, outputs map[string]value, aggregator string, input value) (value, *failing) {
	inputs := []named{{"", input}}
	if len(incoming) > 0 {
		inputs = nil
	}
	for _, edge := range incoming {
		forwarder, carriesNothing := edge.forwarded()
		output := outputs[edge.From]
		if carriesNothing {
			continue
		}
		if forwarder != "" {
			var f *failing
			if output, f = e.data(output, func() (string, error) { return e.flow.Forward(forwarder, string(output.data)) }); f != nil {
				return nothing, f
			}
		}
		inputs = append(inputs, named{edge.From, output})
	}
	e.fake.Inputs, e.fake.ContentTypes = nil, []string{}
	for _, input := range inputs {
		e.fake.Inputs = append(e.fake.Inputs, Input{input.name, string(input.data)})
		e.fake.ContentTypes = append(e.fake.ContentTypes, input.mediaType)
	}
	switch {
	case aggregator != "":
		return e.aggregate(aggregator, inputs)
	case len(inputs) == 1:
		e.own.ofRequest = inputs[0].isRequest
		return inputs[0].value, nil
	default:
		return nothing, nil
	}
}

func (e *engine) aggregate(id string, inputs []named) (value, *failing) {
	ofNode := e.fake.ContentTypes
	defer func() { e.fake.ContentTypes = ofNode }()
	e.fake.ContentTypes = []string{}
	merged := make([]Input, len(inputs))
	for i, input := range inputs {
		merged[i] = Input{input.name, string(input.data)}
		e.fake.ContentTypes = append(e.fake.ContentTypes, input.mediaType)
	}
	return e.data(nothing, func() (string, error) { return e.flow.Aggregate(id, merged...) })
}

// caught is what a function of the flow makes of the failure of a node or a dag.
func (e *engine) caught(id, path string, f *failing) (value, *failing) {
	return e.attempt(path, 0, func() (value, *failing) { return e.recoverFrom(id, f) })
}

func (e *engine) recoverFrom(id string, f *failing) (value, *failing) {
	failed := f.failed
	return e.data(nothing, func() (string, error) { return e.flow.RecoverFrom(id, &failed) })
}

// data calls a function of the flow that returns data.
func (e *engine) data(of value, call func() (string, error)) (value, *failing) {
	var data string
	f := e.plain(of, func() (err error) {
		data, err = call()
		return err
	})
	return value{data: []byte(data), mediaType: e.fake.ReturnedContentType}, f
}

// plain calls a function of the flow with data of this media type.
func (e *engine) plain(of value, call func() error) *failing {
	e.fake.ContentType = of.mediaType
	err := call()
	if err == nil {
		return nil
	}
	f := fails("FF0012", faasflow.Rejected, e.own.path, "%s", err.Error())
	f.failed.Input = of.data
	var failure *faasflow.Failure
	if errors.As(err, &failure) {
		f.status = failure.Status()
		if failure.IsRetry() {
			f.failed.Code, f.retry = "FF0013", true
		}
	}
	if e.own.ofRequest && !e.own.hasCalled && f.status == 0 && !f.retry {
		f.status = 422
	}
	return f
}

// pass lets time pass while a node is being executed.
func (e *engine) pass(wait time.Duration) *failing {
	until := e.now + wait
	isLate := e.own.until > 0 && until > e.own.until
	if isLate {
		until = e.own.until
	}
	if e.deadline > 0 && until > e.deadline {
		e.now = e.deadline
		const advice = "raise the deadline, or look in the history of the run for what was slow"
		f := fails("FF0210", faasflow.Other, "", "the run took longer than its deadline: %s", advice)
		f.level = ofRun
		return f
	}
	e.now = until
	if isLate {
		f := fails("FF0209", faasflow.TimedOut, e.own.path, "the node took longer than its timeout of %d ms", e.own.limit.Milliseconds())
		f.level, f.retry, f.failed.Input = ofNode, true, e.own.input
		return f
	}
	return nil
}

// suspend lets time pass while nothing is held: what the node has set is committed, and its time limit does not count.
func (e *engine) suspend(wait time.Duration) *failing {
	e.own.until = 0
	f := e.pass(wait)
	if f == nil {
		e.commit()
	}
	return f
}
