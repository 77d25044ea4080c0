package flowtest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	faasflow "github.com/faas-flow/faas-flow/guest-sdk/go"
)

// play runs a flow from the body of its request to its end.
func play(r *FlowRun, flow *Flow) *ended {
	var definition model
	if err := json.Unmarshal(flow.Definition(), &definition); err != nil {
		stop("the definition of the flow cannot be read: %v", err)
	}
	facts := *r.fake
	defer func() {
		r.fake.Node, r.fake.Inputs, r.fake.ContentType = facts.Node, facts.Inputs, facts.ContentType
		r.fake.ContentTypes, r.fake.RunState = facts.ContentTypes, facts.RunState
	}()
	e := &engine{run: r, flow: flow, fake: r.fake, deadline: millis(definition.DeadlineMs), taken: map[string]signal{}}
	e.signals = slices.Clone(r.signals)
	slices.SortStableFunc(e.signals, func(a, b signal) int { return cmp.Compare(a.at, b.at) })
	e.expectsSignals(definition.Dag)
	r.fake.RunState = faasflow.Running
	mediaType := or(facts.ContentType, octetStream)
	result, f := e.dag(definition.Dag, "", value{[]byte(r.input), mediaType, true})
	end := &ended{state: faasflow.Succeeded, result: result, took: e.now}
	switch {
	case f == nil:
		end.response = e.answer(200, result)
	case definition.OnExhausted == "pause" && f.retry:
		end.state, end.failed = faasflow.Paused, &f.failed
	default:
		end.state, end.response = faasflow.FailedRun, e.failed(definition.OnFailure, f)
		end.failed = &f.failed
	}
	if definition.Finally != "" && end.state != faasflow.Paused {
		r.fake.RunState = end.state
		e.finally(end.state)
	}
	end.calls, end.ran = e.calls, e.ran
	return end
}

// expectsSignals refuses a signal for which no node ever waits.
func (e *engine) expectsSignals(dag *dagModel) {
	names := map[string]bool{}
	if dag.awaited(names) {
		return
	}
	for _, sent := range e.signals {
		if names[sent.name] {
			continue
		}
		awaits := "it waits for none"
		if len(names) > 0 {
			awaits = "it waits for `" + strings.Join(slices.Sorted(maps.Keys(names)), "`, `") + "`"
		}
		stop("the test sends the signal `%s`, for which the flow never waits: %s", sent.name, awaits)
	}
}

// answer is what the caller of the run gets.
func (e *engine) answer(status int, body value) *faasflow.Response {
	response := &faasflow.Response{Status: status}
	if set := e.fake.Response; set != nil {
		response.Status = set.Status
		for _, header := range set.Headers {
			response.Headers.Add(strings.ToLower(header[0]), header[1])
		}
	}
	response.Headers.Add("content-type", body.mediaType)
	if response.Status != 204 && response.Status != 205 && response.Status != 304 {
		response.Body = body.data
	}
	return response
}

// failed ends a run that has failed with the answer for its caller, which the failure handler may give.
func (e *engine) failed(handler string, f *failing) *faasflow.Response {
	e.fake.RunState, e.fake.Response = faasflow.FailedRun, nil
	body := value{mediaType: "text/plain; charset=utf-8"}
	if handler != "" {
		text := f.text()
		answer, own := e.attempt("(failure)", 0, func() (value, *failing) {
			return e.data(nothing, func() (string, error) { return e.flow.Recover(handler, text) })
		})
		if own == nil {
			return e.answer(statusOf(f), answer)
		}
		f.failed.Message, f.status, f.spent = own.failed.Message, cmp.Or(own.status, f.status), ""
	}
	body.data = []byte(f.text() + "\n")
	return e.answer(statusOf(f), body)
}

// finally calls the finally handler, whose failure changes nothing.
func (e *engine) finally(state faasflow.RunState) {
	outcome := faasflow.StateFailure
	if state == faasflow.Succeeded {
		outcome = faasflow.StateSuccess
	}
	response := e.fake.Response
	_, f := e.attempt("(finally)", 0, func() (value, *failing) {
		return nothing, e.plain(nothing, func() error { return e.flow.Finally(outcome) })
	})
	e.fake.Response = response
	if f != nil {
		e.fake.Logs = append(e.fake.Logs, Log{faasflow.LevelError, fmt.Sprintf("the finally handler has failed: %s", f.failed.Message)})
	}
}

// statusOf is the status with which the caller of a run that has failed is answered.
func statusOf(f *failing) int {
	if f.status >= 400 && f.status <= 499 {
		return f.status
	}
	switch f.failed.Code {
	case "FF0207", "FF0208", "FF0250":
		return 502
	case "FF0206", "FF0209", "FF0210", "FF0253", "FF0270":
		return 504
	}
	return 500
}
