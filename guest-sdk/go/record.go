package faasflow

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// recorded is a flow after its Define has run: its definition, and its functions by their handler ids.
type recorded struct {
	definition definition
	handlers   map[string]handler
	context    *Context
}

// handler is a function of the flow.
type handler struct {
	kind kind
	run  any
	// Whether several edges lead to its node, so that Context.NodeInput has something to say.
	joins bool
}

// kind is the name that the contract gives to a kind of handlers.
type kind string

const (
	kindModify      kind = "modify"
	kindAggregate   kind = "aggregate"
	kindCondition   kind = "condition"
	kindForEach     kind = "for-each"
	kindForward     kind = "forward"
	kindPrepare     kind = "prepare"
	kindReceive     kind = "receive"
	kindRecover     kind = "recover"
	kindFinally     kind = "finally"
	kindRecoverFrom kind = "recover-from"
	kindGather      kind = "gather"
	kindMoment      kind = "moment"
	kindAgain       kind = "again"
	kindSignalName  kind = "signal-name"
	kindKey         kind = "key"
)

const (
	idFailure = "(failure)"
	idFinally = "(finally)"
)

// record runs define, gives every function its id, and returns the definition together with the functions. A panic in
// define is an error, which says where it happened.
func record(define func(*Workflow, *Context) error, context *Context) (r *recorded, err error) {
	if define == nil {
		return nil, Reject("there is no function that defines the flow")
	}
	err = errGoexit
	protect(func() {
		defer func() {
			if panicked := recover(); panicked != nil {
				err = failureOfPanic(panicked)
			}
		}()
		w := &Workflow{dag: NewDag()}
		if err = define(w, context); err == nil {
			r = nameAll(w, context)
		}
	})
	return r, err
}

// nameAll gives every function its id.
func nameAll(w *Workflow, context *Context) *recorded {
	r := &recorded{handlers: map[string]handler{}, context: context}
	recorder := recorder{handlers: r.handlers}
	d := &r.definition
	d.Dag = recorder.dag("", w.dag)
	if w.onFailure != nil {
		d.OnFailure = recorder.name(idFailure, kindRecover, w.failureHandler())
	}
	if w.finally != nil {
		d.Finally = recorder.name(idFinally, kindFinally, w.finally)
	}
	d.DeadlineMs, d.OnExhausted = w.deadline, w.exhausted
	for _, s := range w.schedules {
		d.Schedules = append(d.Schedules, &scheduleModel{s.name, s.when, s.zone, s.missed, s.overlap, s.input})
	}
	for id := range r.handlers {
		d.Handlers = append(d.Handlers, id)
	}
	slices.Sort(d.Handlers)
	return r
}

// failureHandler drops the error of a failure handler that has returned the one that it got, beside its data.
func (w *Workflow) failureHandler() func(error) ([]byte, error) {
	return func(failure error) ([]byte, error) {
		data, err := w.onFailure(failure)
		if data != nil && err == failure {
			err = nil
		}
		return data, err
	}
}

type recorder struct {
	handlers map[string]handler
	// The dags around the current one, to find a dag that contains itself.
	enclosing []*Dag
	// Whether several edges lead to the node whose functions are being named.
	joins bool
}

func (r *recorder) name(id string, kind kind, run any) string {
	id = withinLimit(id)
	r.handlers[id] = handler{kind, run, r.joins}
	return id
}

// optional names a function if it is there.
func optional[F any](r *recorder, id string, kind kind, run func(F) ([]byte, error)) string {
	if run == nil {
		return ""
	}
	return r.name(id, kind, run)
}

func (r *recorder) dag(prefix string, d *Dag) *dagModel {
	if slices.Contains(r.enclosing, d) {
		text := "the dag of `%s` contains itself: make a new dag for each level"
		panic(placeless(fmt.Sprintf(text, strings.TrimRight(prefix, "/"))))
	}
	r.enclosing = append(r.enclosing, d)
	around := r.joins
	model := &dagModel{Nodes: []*nodeDefinition{}}
	edges := map[string]int{}
	for _, edge := range d.edges {
		edges[edge.to]++
	}
	for _, node := range d.nodes {
		r.joins = edges[node.id] > 1
		model.Nodes = append(model.Nodes, r.node(prefix, node))
	}
	r.joins = false
	for _, edge := range d.edges {
		e := &edgeDefinition{From: edge.from, To: edge.to}
		if edge.nothing {
			e.Carries = &carries{}
		} else if edge.forward != nil {
			e.Carries = &carries{r.name(prefix+edge.from+"->"+edge.to+"/forward", kindForward, edge.forward)}
		}
		model.Edges = append(model.Edges, e)
	}
	for _, in := range d.inputs {
		id := r.name(prefix+in.node+"/aggregate", kindAggregate, in.run)
		model.AggregateInputs = append(model.AggregateInputs, aggregateDefinition{in.node, id})
	}
	model.AggregateEnds = optional(r, prefix+"(end)/aggregate", kindAggregate, d.ends)
	for _, node := range d.recoverNodes {
		id := r.name(prefix+node.node+"/recover", kindRecoverFrom, node.run)
		model.RecoverNodes = append(model.RecoverNodes, recoverDefinition{node.node, id})
	}
	model.Recover = optional(r, prefix+"(recover)", kindRecoverFrom, d.recover)
	r.enclosing, r.joins = r.enclosing[:len(r.enclosing)-1], around
	return model
}

func (r *recorder) node(prefix string, n nodeModel) *nodeDefinition {
	node, path := &nodeDefinition{ID: n.id}, prefix+n.id
	switch {
	case n.node != nil:
		node.Operations = r.operations(path, n.node)
	case n.sub != nil:
		node.SubDag = r.dag(path+"/", n.sub)
	case n.repeat != nil:
		node.Repeat = r.repeat(path, n.repeat)
	case n.branches.choose != nil:
		node.Condition = r.branches(path, n.branches)
	default:
		node.ForEach = r.branches(path, n.branches)
	}
	return node
}

func (r *recorder) operations(path string, n *Node) *operationsDefinition {
	model := &operationsDefinition{List: []*operationDefinition{}, TimeoutMs: n.timeout, Limit: r.limit(path, n.limit)}
	if n.retry != nil {
		model.Retry = n.retry.model()
	}
	for i, o := range n.operations {
		step, path := &operationDefinition{Sleep: o.sleep}, path+"/"+strconv.Itoa(i)
		switch {
		case o.apply != nil:
			step.Apply = r.call(path, o.apply)
		case o.request != nil:
			step.Request = r.call(path, o.request)
		case o.modify != nil:
			step.Modify = r.name(path, kindModify, o.modify)
		case o.sleepUntil != nil:
			step.SleepUntil = r.name(path, kindMoment, o.sleepUntil)
		case o.waitFor != nil:
			step.WaitFor = r.wait(path, o.waitFor)
		}
		model.List = append(model.List, step)
	}
	return model
}

func (r *recorder) call(path string, c *callModel) *callDefinition {
	model := &callDefinition{
		Target:       c.target,
		Method:       c.method,
		Headers:      c.headers,
		Query:        c.query,
		RetryOn:      c.retryOn,
		TimeoutMs:    c.timeout,
		Asynchronous: c.async,
		Limit:        r.limit(path, c.limit),
	}
	if c.prepare != nil {
		model.Prepare = r.name(path+"/prepare", kindPrepare, c.prepare)
	}
	model.Receive = optional(r, path+"/receive", kindReceive, c.receive)
	model.Recover = optional(r, path+"/recover", kindRecover, c.recover)
	model.RecoverFrom = optional(r, path+"/recover-from", kindRecoverFrom, c.recoverFrom)
	if c.retry != nil {
		model.Retry = c.retry.model()
	}
	return model
}

func (r *recorder) wait(path string, w *waitModel) *waitDefinition {
	model := &waitDefinition{TimeoutMs: w.timeout}
	if w.named != nil {
		model.Signal.Handler = r.name(path, kindSignalName, w.named)
	} else {
		model.Signal.Named = &w.signal
	}
	model.RecoverFrom = optional(r, path+"/recover-from", kindRecoverFrom, w.recoverFrom)
	return model
}

func (r *recorder) limit(path string, l *Limit) *limitModel {
	if l == nil {
		return nil
	}
	model := &limitModel{Name: l.Name}
	if l.Concurrent != 0 {
		concurrent := count32(l.Concurrent)
		model.Concurrent = &concurrent
	}
	if l.PerSecond != 0 {
		rate := decimal64(l.PerSecond)
		model.PerSecond = &rate
	}
	if l.Key != nil {
		model.Key = r.name(path+"/limit-key", kindKey, l.Key)
	}
	return model
}

func (r *recorder) branches(path string, b *branchesModel) *branchesDefinition {
	model := &branchesDefinition{
		CarriesNothing: b.options.nothing,
		MaxParallel:    b.options.maxParallel,
		Tolerate:       b.options.tolerate,
	}
	if b.choose != nil {
		model.Handler = r.name(path+"/condition", kindCondition, b.choose)
	} else {
		model.Handler = r.name(path+"/for-each", kindForEach, b.split)
	}
	for _, key := range b.keys {
		dag := r.dag(path+"["+encode(key)+"]/", b.dags[key])
		model.Dags = append(model.Dags, &branchDefinition{key, dag})
	}
	model.Aggregator = optional(r, path+"/aggregate-branches", kindAggregate, b.options.aggregator)
	model.Gather = optional(r, path+"/gather", kindGather, b.options.gather)
	return model
}

func (r *recorder) repeat(path string, p *repeatModel) *repeatDefinition {
	model := &repeatDefinition{Handler: r.name(path+"/again", kindAgain, p.again), Most: 100}
	model.Dag = r.dag(path+"[]/", p.dag)
	if p.options.most != nil {
		model.Most = *p.options.most
	}
	if p.options.wait != nil {
		model.WaitMs = *p.options.wait
	}
	return model
}

// longestID is the most bytes that the contract allows in the id of a handler.
const longestID = 256

// withinLimit returns the id, if it is not too long; otherwise its beginning, a "~", which no path has, and a hash of all
// of it. So the id of a handler deep inside is valid too, and stays the same as long as the handler's place does.
func withinLimit(id string) string {
	if len(id) <= longestID {
		return id
	}
	hash := fnv.New64a()
	hash.Write([]byte(id))
	end := longestID - 17
	for !utf8.RuneStart(id[end]) {
		end--
	}
	return fmt.Sprintf("%s~%016x", id[:end], hash.Sum64())
}

// encode percent-encodes a branch key, as in the host's node paths.
func encode(key string) string {
	var text strings.Builder
	for i := range len(key) {
		switch c := key[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '.', c == '-':
			text.WriteByte(c)
		default:
			fmt.Fprintf(&text, "%%%02X", c)
		}
	}
	return text.String()
}
