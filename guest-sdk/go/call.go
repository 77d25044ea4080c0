package faasflow

// The functions of a flow, called by their ids. The component and package flowtest call them in the same way.

// call calls a function of the flow, if it is of that kind. A panic is a failure, which says where it happened.
func call[F, O any](r *recorded, id string, kind kind, run func(F) (O, error)) (out O, err error) {
	h, isKnown := r.handlers[id]
	if !isKnown {
		return out, Reject("the flow has no handler `%s`", id)
	}
	if h.kind != kind {
		return out, Reject("handler `%s` was called as `%s`, but its kind is `%s`", id, kind, h.kind)
	}
	context := r.context
	outer := current
	current = context.host
	if h.joins && kind != kindAggregate {
		context.NodeInput = context.host.Inputs().Map()
	}
	defer func() { current, context.NodeInput = outer, nil }()
	err = errGoexit
	protect(func() {
		defer func() {
			if panicked := recover(); panicked != nil {
				err = failureOfPanic(panicked)
			}
		}()
		out, err = run(h.run.(F))
	})
	return out, err
}

// errGoexit is what remains if a function of the flow neither returns nor panics.
var errGoexit = Reject("the function has ended its goroutine with runtime.Goexit instead of returning")

// protect runs a function. A component does so in a goroutine of its own, and survives the end of that. In a test, it is
// the goroutine of the test, which t.FailNow ends.
var protect = func(run func()) { run() }

func (r *recorded) Modify(id string, data []byte) ([]byte, error) {
	return call(r, id, kindModify, func(f Modifier) ([]byte, error) { return f(data) })
}

func (r *recorded) Aggregate(id string, inputs Inputs) ([]byte, error) {
	return call(r, id, kindAggregate, func(f aggregateFunc) ([]byte, error) { return f(inputs) })
}

func (r *recorded) Condition(id string, data []byte) ([]string, error) {
	return call(r, id, kindCondition, func(f func([]byte) ([]string, error)) ([]string, error) { return f(data) })
}

func (r *recorded) ForEach(id string, data []byte) ([]Item, error) {
	return call(r, id, kindForEach, func(f func([]byte) ([]Item, error)) ([]Item, error) { return f(data) })
}

func (r *recorded) Forward(id string, data []byte) ([]byte, error) {
	return call(r, id, kindForward, func(f Modifier) ([]byte, error) { return f(data) })
}

// Prepare changes the request that it gets.
func (r *recorded) Prepare(id string, request *Request) error {
	_, err := call(r, id, kindPrepare, func(f func(*Request) error) (struct{}, error) { return struct{}{}, f(request) })
	return err
}

func (r *recorded) Receive(id string, response *Response) ([]byte, error) {
	return call(r, id, kindReceive, func(f func(*Response) ([]byte, error)) ([]byte, error) { return f(response) })
}

func (r *recorded) Recover(id string, failure error) ([]byte, error) {
	if id == idFailure {
		r.context.State = StateFailure
		defer func() { r.context.State = StateOngoing }()
	}
	return call(r, id, kindRecover, func(f func(error) ([]byte, error)) ([]byte, error) { return f(failure) })
}

func (r *recorded) Finally(id string, state string) error {
	r.context.State = state
	defer func() { r.context.State = StateOngoing }()
	_, err := call(r, id, kindFinally, func(f func(string)) (struct{}, error) {
		f(state)
		return struct{}{}, nil
	})
	return err
}

func (r *recorded) RecoverFrom(id string, failed *Failed) ([]byte, error) {
	return call(r, id, kindRecoverFrom, func(f recoverFunc) ([]byte, error) { return f(failed) })
}

func (r *recorded) Gather(id string, items []Gathered) ([]byte, error) {
	return call(r, id, kindGather, func(f func([]Gathered) ([]byte, error)) ([]byte, error) { return f(items) })
}

func (r *recorded) Moment(id string, data []byte) (Wake, error) {
	return call(r, id, kindMoment, func(f func([]byte) (Wake, error)) (Wake, error) { return f(data) })
}

func (r *recorded) Again(id string, data []byte, round int) (bool, error) {
	return call(r, id, kindAgain, func(f func([]byte, int) (bool, error)) (bool, error) { return f(data, round) })
}

func (r *recorded) SignalName(id string, data []byte) (string, error) {
	return call(r, id, kindSignalName, func(f func([]byte) (string, error)) (string, error) { return f(data) })
}

func (r *recorded) Key(id string, data []byte) (string, error) {
	return call(r, id, kindKey, func(f func([]byte) (string, error)) (string, error) { return f(data) })
}
