package flowtest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	faasflow "github.com/faas-flow/faas-flow/guest-sdk/go"
)

// FlowRun is one run of a whole flow, made by [Run].
//
// First say what the run finds: what functions answer, which signals come. The run takes place as soon as the test asks for
// what came of it, and only once.
//
//	run := flowtest.Run(t, Define, "7").
//		Function("charge", func(call *flowtest.Call) flowtest.Answer {
//			return flowtest.Answer{Body: "paid " + string(call.Body)}
//		}).
//		Answers("ship", flowtest.Answer{Status: 503}, flowtest.Answer{Body: "shipped"}).
//		SignalAfter(5*time.Hour, "approval", "yes")
//	if got := run.Result(); got != "shipped" {
//		t.Error(got)
//	}
//
// The rules are those of the host, with these simplifications. Nodes and branches are executed one after the other, and not
// at the same time: of those that are ready, the one that would begin the earliest. Time is virtual, and passes only by
// sleeps, by waits for signals, between tries and rounds, and by the delays of answers; waits between tries are as long as
// their policy allows. Limits over all runs hold nothing up, nothing begins by a schedule, and a flow that is called is a
// function like any other. To test those, use "faas-flow test".
type FlowRun struct {
	t       testing.TB
	fake    *Fake
	define  func(*faasflow.Workflow, *faasflow.Context) error
	input   string
	now     time.Time
	doubles map[string]func(*Call) Answer
	signals []signal
	ended   *ended
}

// signal is a signal that somebody sends to the run.
type signal struct {
	at   time.Duration
	name string
	body string
}

// ended is what came of a run.
type ended struct {
	state    faasflow.RunState
	result   value
	failed   *faasflow.Failed
	response *faasflow.Response
	calls    []*Call
	ran      []string
	took     time.Duration
}

// Run runs a whole flow, whose request has this body, with functions of the test in place of those that the flow calls.
func Run(t testing.TB, define func(*faasflow.Workflow, *faasflow.Context) error, input string) *FlowRun {
	t.Helper()
	return RunWith(t, &Fake{}, define, input)
}

// RunWith does what [Run] does. The fake says what else the request has, and which values are set before. Its ContentType is
// the media type of the request. Once the run has taken place, it also has what the flow has logged and set.
func RunWith(t testing.TB, fake *Fake, define func(*faasflow.Workflow, *faasflow.Context) error, input string) *FlowRun {
	t.Helper()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return &FlowRun{t: t, fake: fake, define: define, input: input, now: now, doubles: map[string]func(*Call) Answer{}}
}

// Function says what a function answers to a call: one such as "charge", which stands for all its paths, or "wc/lines" for
// what is below this path; or a URL, which stands for all below it. The longest name counts. A call for which there is no
// answer fails the test.
func (r *FlowRun) Function(name string, answer func(call *Call) Answer) *FlowRun {
	r.t.Helper()
	r.before("Function")
	if answer == nil {
		r.t.Fatalf("Function for `%s` needs a function, and got nil", name)
	}
	r.doubles[strings.TrimSuffix(name, "/")] = answer
	return r
}

// Answers says what a function answers: to each call the next one of these answers, and to all further calls the last one.
// Names are as for [FlowRun.Function].
func (r *FlowRun) Answers(name string, answers ...Answer) *FlowRun {
	r.t.Helper()
	if len(answers) == 0 {
		r.t.Fatalf("Answers for `%s` needs at least one answer", name)
	}
	next := 0
	return r.Function(name, func(*Call) Answer {
		answer := answers[next]
		next = min(next+1, len(answers)-1)
		return answer
	})
}

// Signal sends a signal to the run before it begins.
func (r *FlowRun) Signal(name, body string) *FlowRun {
	r.t.Helper()
	return r.SignalAfter(0, name, body)
}

// SignalAfter sends a signal to the run at a virtual time, counted from the beginning of the run.
func (r *FlowRun) SignalAfter(wait time.Duration, name, body string) *FlowRun {
	r.t.Helper()
	r.before("a signal")
	r.signals = append(r.signals, signal{wait, name, body})
	return r
}

// Now sets the moment at which the run begins, as RFC 3339 writes it. It is 2026-01-01T00:00:00Z otherwise.
func (r *FlowRun) Now(moment string) *FlowRun {
	r.t.Helper()
	r.before("Now")
	now, err := time.Parse(time.RFC3339Nano, moment)
	if err != nil {
		r.t.Fatalf("the run cannot begin at %q: write a moment such as 2026-12-24T18:00:00+01:00", moment)
	}
	r.now = now
	return r
}

// Result returns the result of the run. If the run does not succeed, the test fails at once, with the text of the failure.
func (r *FlowRun) Result() string {
	r.t.Helper()
	end := r.end()
	switch end.state {
	case faasflow.Succeeded:
	case faasflow.Paused:
		r.t.Fatalf("the run has paused, as its flow says for a node that has failed: %v%s", end.failed, called(end.calls))
	default:
		r.t.Fatalf("the run has failed: %s%s", end.response.Body, called(end.calls))
	}
	return string(end.result.data)
}

// State says how the run ended: [faasflow.Succeeded], [faasflow.FailedRun], or [faasflow.Paused] if a node has failed and
// its flow pauses then ([faasflow.Pause]).
func (r *FlowRun) State() faasflow.RunState {
	r.t.Helper()
	return r.end().state
}

// Failure returns what has failed, with its code, its path and its message, or nil if the run has succeeded.
func (r *FlowRun) Failure() *faasflow.Failed {
	r.t.Helper()
	return r.end().failed
}

// Response returns what the caller of the run is answered: the result, or the text of the failure, with the status and the
// headers that the flow has set, and the media type as Content-Type. It is nil if the run has paused.
func (r *FlowRun) Response() *faasflow.Response {
	r.t.Helper()
	return r.end().response
}

// Calls returns the calls of functions and URLs that the run has made, each try by itself, in the order in which they were
// made.
func (r *FlowRun) Calls() []*Call {
	r.t.Helper()
	return r.end().calls
}

// Ran returns the paths of the nodes that ran, such as "F[f2]/charge", in the order in which they began.
func (r *FlowRun) Ran() []string {
	r.t.Helper()
	return r.end().ran
}

// Took returns how much virtual time the run took.
func (r *FlowRun) Took() time.Duration {
	r.t.Helper()
	return r.end().took
}

// Logs returns the lines that the flow has logged, in order.
func (r *FlowRun) Logs() []Log {
	r.t.Helper()
	r.end()
	return r.fake.Logs
}

// Labels returns the labels that the flow has given the run.
func (r *FlowRun) Labels() map[string]string {
	r.t.Helper()
	r.end()
	return r.fake.Labels
}

// Value returns a value that the flow, or the test, has set, as JSON or as bytes, or "" if there is none.
func (r *FlowRun) Value(key string) string {
	r.t.Helper()
	r.end()
	return r.fake.Value(key)
}

// before refuses what has to be said before the run.
func (r *FlowRun) before(what string) {
	r.t.Helper()
	if r.ended != nil {
		r.t.Fatalf("the run has taken place: say %s before asking for what came of it", what)
	}
}

// mistake is a mistake in the test, or in the definition of the flow, with which there can be no run.
type mistake string

func (r *FlowRun) end() (end *ended) {
	r.t.Helper()
	if r.ended != nil {
		return r.ended
	}
	flow := With(r.t, r.fake, r.define)
	defer func() {
		r.t.Helper()
		if wrong, isMistake := r.recovered(recover()); isMistake {
			r.t.Fatal(wrong)
		}
		r.ended = end
	}()
	return play(r, flow)
}

// recovered tells a mistake from any other panic, which goes on.
func (r *FlowRun) recovered(panicked any) (string, bool) {
	if panicked == nil {
		return "", false
	}
	wrong, isMistake := panicked.(mistake)
	if !isMistake {
		panic(panicked)
	}
	return string(wrong), true
}

// stop ends a run that cannot go on.
func stop(format string, arguments ...any) {
	panic(mistake(fmt.Sprintf(format, arguments...)))
}

// called lists calls for a message.
func called(calls []*Call) string {
	if len(calls) == 0 {
		return ""
	}
	var text strings.Builder
	text.WriteString("\nthe calls that it made:")
	for _, call := range calls {
		fmt.Fprintf(&text, "\n  %v %s: %s %s %q", call.At, call.Node, call.Method, call.Function, call.Body)
	}
	return text.String()
}
