package faasflow_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	faasflow "github.com/faas-flow/faas-flow/guest-sdk/go"
	"github.com/faas-flow/faas-flow/guest-sdk/go/flowtest"
)

type defining = func(*faasflow.Workflow, *faasflow.Context) error

// only is a flow with one dag.
func only(describe func(dag *faasflow.Dag, context *faasflow.Context)) defining {
	return func(flow *faasflow.Workflow, context *faasflow.Context) error {
		describe(flow.Dag(), context)
		return nil
	}
}

// appending is a modifier that appends a text.
func appending(suffix string) faasflow.Modifier {
	return func(data []byte) ([]byte, error) { return []byte(string(data) + suffix), nil }
}

func text(body string) flowtest.Answer { return flowtest.Answer{Body: body} }

func status(status int, body string) flowtest.Answer {
	return flowtest.Answer{Status: status, Body: body}
}

func echo(call *flowtest.Call) flowtest.Answer { return text(string(call.Body)) }

// order is charged, its items are shipped one by one, and half of them may fail.
func order(flow *faasflow.Workflow, context *faasflow.Context) error {
	flow.Finally(func(state string) { context.Info(state) })
	dag := flow.Dag()
	declined := func(failed *faasflow.Failed) ([]byte, error) {
		if failed.Status == 402 {
			return []byte("declined"), nil
		}
		return nil, failed
	}
	dag.Node("charge").Apply("charge", faasflow.Backoff{Attempts: 3}, faasflow.RecoverFrom(declined))
	paid := dag.ConditionalBranch("paid", []string{"yes", "no"}, func(answer []byte) []string {
		if string(answer) == "declined" {
			return []string{"no"}
		}
		return []string{"yes"}
	})
	paid["no"].Node("tell").Modify(appending(", nothing was ordered"))
	report := func(items []faasflow.Gathered) ([]byte, error) {
		var lines []string
		for _, item := range items {
			line := item.Key + ": shipped"
			if item.Failed != nil {
				line = item.Key + ": " + item.Failed.Message
			}
			lines = append(lines, line)
		}
		return []byte(strings.Join(lines, ", ")), nil
	}
	items := paid["yes"].ForEach("items", func(answer []byte) (items []faasflow.Item, err error) {
		for _, item := range strings.Fields(string(answer)) {
			items = append(items, faasflow.Item{Key: item, Data: []byte(item)})
		}
		return items, nil
	}, faasflow.Tolerate(1), faasflow.Gather(report))
	items.Node("ship").Apply("ship")
	dag.Edge("charge", "paid")
	return nil
}

func TestFunctionsAnswerAndTheCallsAreKnown(t *testing.T) {
	run := flowtest.Run(t, order, "7").Answers("charge", text("tea milk")).Function("ship", echo)
	if got := run.Result(); got != "tea: shipped, milk: shipped" {
		t.Error(got)
	}
	var calls []string
	for _, call := range run.Calls() {
		calls = append(calls, fmt.Sprintf("%s: %s %s %s", call.Node, call.Method, call.Function, call.Body))
	}
	want := []string{
		"charge: POST charge 7", "paid[yes]/items[tea]/ship: POST ship tea", "paid[yes]/items[milk]/ship: POST ship milk",
	}
	if !slices.Equal(calls, want) {
		t.Errorf("%q", calls)
	}
	ran := []string{"charge", "paid", "paid[yes]/items", "paid[yes]/items[tea]/ship", "paid[yes]/items[milk]/ship"}
	if !slices.Equal(run.Ran(), ran) || run.State() != faasflow.Succeeded || run.Failure() != nil {
		t.Error(run.Ran(), run.State(), run.Failure())
	}
	if logs := run.Logs(); len(logs) != 1 || logs[0].Message != "success" {
		t.Error(logs)
	}
	if key := run.Calls()[1].Headers.Get("x-faas-flow-idempotency-key"); key != "test/paid[yes]/items[tea]/ship/0" {
		t.Error(key)
	}
}

func TestAStatusIsCaughtByTheCall(t *testing.T) {
	run := flowtest.Run(t, order, "").Answers("charge", status(402, ""))
	if got := run.Result(); got != "declined, nothing was ordered" || len(run.Calls()) != 1 {
		t.Error(got, run.Calls())
	}
}

func TestABusyFunctionIsCalledAgainAfterTheTimeForWhichItAsks(t *testing.T) {
	busy := flowtest.Answer{Status: 503, Headers: faasflow.Headers{{"Retry-After", "30"}}}
	run := flowtest.Run(t, order, "").Answers("charge", busy, flowtest.Answer{Err: errors.New("broken")}, text("tea")).Function("ship", echo)
	if got := run.Result(); got != "tea: shipped" || run.Took() != 30*time.Second+200*time.Millisecond {
		t.Error(got, run.Took())
	}
	for i, at := range []time.Duration{0, 30 * time.Second, 30*time.Second + 200*time.Millisecond} {
		if call := run.Calls()[i]; call.At != at || call.Tries != i+1 {
			t.Error(call.At, call.Tries)
		}
	}
}

func TestWhenTheTriesAreUsedUpTheRunFails(t *testing.T) {
	define := only(func(dag *faasflow.Dag, _ *faasflow.Context) {
		dag.Node("n").Apply("f", faasflow.Backoff{Attempts: 2}).Retry(faasflow.Backoff{Attempts: 2, FirstDelay: time.Minute})
	})
	run := flowtest.Run(t, define, "").Answers("f", status(500, "busy\n"))
	failed := run.Failure()
	if failed == nil || failed.Code != "FF0207" || failed.Path != "n" || failed.Tries != 2 || failed.Kind != faasflow.Answered {
		t.Fatal(failed)
	}
	const text = "FF0207 at n: `f` answered with status 500: busy (the retry policy of the node ran out after 2 attempts)\n"
	response := run.Response()
	if response.Status != 502 || string(response.Body) != text || len(run.Calls()) != 4 || run.State() != faasflow.FailedRun {
		t.Error(response.Status, string(response.Body), len(run.Calls()))
	}
	if run.Took() != 10*time.Second+200*time.Millisecond {
		t.Error(run.Took())
	}
}

func TestItemsMayFailAsOftenAsTolerated(t *testing.T) {
	milk := func(call *flowtest.Call) flowtest.Answer {
		if string(call.Body) == "milk" {
			return status(404, "sold out")
		}
		return text("")
	}
	run := flowtest.Run(t, order, "").Answers("charge", text("tea milk")).Function("ship", milk)
	if got := run.Result(); got != "tea: shipped, milk: `ship` answered with status 404: sold out" {
		t.Error(got)
	}
	run = flowtest.Run(t, order, "").Answers("charge", text("tea milk")).Answers("ship", status(404, ""))
	if failed := run.Failure(); failed == nil || failed.Path != "paid[yes]/items[milk]/ship" {
		t.Error(failed)
	}
	if logs := run.Logs(); len(logs) != 1 || logs[0].Message != "failure" {
		t.Error(logs)
	}
}

func TestJoinsForwardersAndDagsGiveNodesTheirData(t *testing.T) {
	define := only(func(dag *faasflow.Dag, _ *faasflow.Context) {
		inner := faasflow.NewDag()
		inner.Node("a").Modify(appending("a"))
		inner.Node("b").Modify(appending("b"))
		inner.Edge("a", "b")
		dag.Node("start")
		dag.SubDag("S", inner)
		dag.Node("alone").Modify(appending("!"))
		dag.Node("end", faasflow.Aggregator(func(inputs faasflow.Inputs) ([]byte, error) {
			return []byte(fmt.Sprintf("%s=%s,%s=%s", inputs[0].Key, inputs[0].Data, inputs[1].Key, inputs[1].Data)), nil
		}))
		dag.Edge("start", "S", faasflow.Forwarder(func(data []byte) []byte { return []byte(strings.ToUpper(string(data))) }))
		dag.Edge("start", "alone", faasflow.Execution)
		dag.Edge("S", "end")
		dag.Edge("alone", "end")
	})
	run := flowtest.Run(t, define, "x")
	if got := run.Result(); got != "S=Xab,alone=!" {
		t.Error(got)
	}
	if want := []string{"start", "S", "S/a", "S/b", "alone", "end"}; !slices.Equal(run.Ran(), want) {
		t.Error(run.Ran())
	}
}

func TestARepeatRunsUntilItsFunctionIsContent(t *testing.T) {
	define := only(func(dag *faasflow.Dag, context *faasflow.Context) {
		rounds := dag.Repeat("R", func(data []byte, _ int) (bool, error) { return len(data) < 3, nil }, faasflow.Most(3), faasflow.Wait(time.Hour))
		rounds.Node("n").Modify(func(data []byte) ([]byte, error) { return append(data, context.GetNode()[2]), nil })
	})
	run := flowtest.Run(t, define, "")
	if got := run.Result(); got != "123" || run.Took() != 2*time.Hour {
		t.Error(got, run.Took())
	}
	endless := only(func(dag *faasflow.Dag, _ *faasflow.Context) {
		dag.Repeat("R", func([]byte, int) (bool, error) { return true, nil }, faasflow.Most(2)).Node("n")
	})
	run = flowtest.Run(t, endless, "")
	if failed := run.Failure(); failed == nil || failed.Code != "FF0262" || len(run.Ran()) != 3 {
		t.Error(failed, run.Ran())
	}
}

func TestSleepsTakeVirtualTimeAndBranchesSleepAtTheSameTime(t *testing.T) {
	define := func(most int) defining {
		return only(func(dag *faasflow.Dag, _ *faasflow.Context) {
			items := dag.ForEach("F", func([]byte) ([]faasflow.Item, error) {
				return []faasflow.Item{{Key: "a", Data: []byte("1h")}, {Key: "b", Data: []byte("2h")}, {Key: "c", Data: []byte("3h")}}, nil
			}, faasflow.MaxParallel(most))
			items.Node("n").SleepUntil(func(data []byte) (faasflow.Wake, error) {
				wait, err := time.ParseDuration(string(data))
				return faasflow.After(wait), err
			})
		})
	}
	for most, took := range map[int]time.Duration{1: 6 * time.Hour, 2: 4 * time.Hour, 3: 3 * time.Hour} {
		if run := flowtest.Run(t, define(most), ""); run.Result() != "" || run.Took() != took {
			t.Error(most, run.Took())
		}
	}
	until := only(func(dag *faasflow.Dag, _ *faasflow.Context) {
		dag.Node("n").SleepUntil(func(data []byte) (faasflow.Wake, error) { return faasflow.At(string(data)), nil })
	})
	run := flowtest.Run(t, until, "2026-12-24T18:00:00+01:00").Now("2026-12-24T16:00:00Z")
	if run.Result(); run.Took() != time.Hour {
		t.Error(run.Took())
	}
	for _, moment := range []string{"soon", "2099-01-01T00:00:00Z"} {
		if failed := flowtest.Run(t, until, moment).Failure(); failed == nil || failed.Code != "FF0232" {
			t.Error(failed)
		}
	}
}

func TestAWaitGetsItsSignalOrTimesOut(t *testing.T) {
	define := only(func(dag *faasflow.Dag, _ *faasflow.Context) {
		late := func(failed *faasflow.Failed) ([]byte, error) { return []byte(failed.Message), nil }
		dag.Node("n").WaitFor("paid", faasflow.Timeout(time.Minute), faasflow.RecoverFrom(late))
	})
	run := flowtest.Run(t, define, "").SignalAfter(30*time.Second, "paid", "yes")
	if got := run.Result(); got != "yes" || run.Took() != 30*time.Second {
		t.Error(got, run.Took())
	}
	for _, run := range []*flowtest.FlowRun{flowtest.Run(t, define, ""), flowtest.Run(t, define, "").SignalAfter(time.Hour, "paid", "yes")} {
		want := "no signal `paid` came in 1 min: send it earlier, or give the wait a longer timeout"
		if got := run.Result(); got != want || run.Took() != time.Minute {
			t.Error(got, run.Took())
		}
	}
}

func TestTheAnswerOfACallOrTheBodyOfASignalNamesTheNextSignal(t *testing.T) {
	define := only(func(dag *faasflow.Dag, _ *faasflow.Context) {
		named := func(data []byte) (string, error) { return "signed-by-" + string(data), nil }
		late := func(failed *faasflow.Failed) ([]byte, error) {
			return []byte(string(failed.Input) + "; " + failed.Message), nil
		}
		dag.Node("n").Apply("author").
			WaitForNamed(named, faasflow.Timeout(time.Hour)).
			WaitForNamed(named, faasflow.Timeout(time.Second), faasflow.RecoverFrom(late))
	})
	author := func() *flowtest.FlowRun {
		return flowtest.Run(t, define, "").Answers("author", flowtest.Answer{Body: "ada"}).Signal("signed-by-ada", "bob")
	}
	if got := author().Signal("signed-by-bob", "done").Result(); got != "done" {
		t.Error(got)
	}
	if got := author().Result(); !strings.HasPrefix(got, "bob; no signal `signed-by-bob` came in 1 s") {
		t.Error(got)
	}
}

func TestItemsWaitForSignalsOfTheirOwn(t *testing.T) {
	define := only(func(dag *faasflow.Dag, _ *faasflow.Context) {
		join := faasflow.Aggregator(func(inputs faasflow.Inputs) ([]byte, error) { return inputs.Join(" "), nil })
		items := dag.ForEach("F", func([]byte) ([]faasflow.Item, error) {
			return []faasflow.Item{{Key: "a", Data: []byte("pay-a")}, {Key: "b", Data: []byte("pay-b")}}, nil
		}, join)
		items.Node("n").WaitForNamed(func(data []byte) (string, error) { return string(data), nil })
	})
	run := flowtest.Run(t, define, "").Signal("pay-b", "2").SignalAfter(time.Hour, "pay-a", "1")
	if got := run.Result(); got != "1 2" || run.Took() != time.Hour {
		t.Error(got, run.Took())
	}
}

func TestAnAnswerThatTakesTooLongTimesOut(t *testing.T) {
	define := only(func(dag *faasflow.Dag, _ *faasflow.Context) {
		dag.Node("n").Apply("f", faasflow.Timeout(time.Second), faasflow.Backoff{Attempts: 3, FirstDelay: time.Second, Factor: 1}).
			Timeout(2500 * time.Millisecond)
	})
	run := flowtest.Run(t, define, "").Answers("f", flowtest.Answer{Delay: time.Minute}, flowtest.Answer{Delay: 400 * time.Millisecond})
	if run.Result(); run.Took() != 2400*time.Millisecond {
		t.Error(run.Took())
	}
	run = flowtest.Run(t, define, "").Answers("f", flowtest.Answer{Delay: time.Minute})
	if failed := run.Failure(); failed.Code != "FF0209" || run.Took() != 2500*time.Millisecond || run.Response().Status != 504 {
		t.Error(failed, run.Took())
	}
	deadline := func(flow *faasflow.Workflow, _ *faasflow.Context) error {
		flow.Deadline(time.Hour)
		caught := func(*faasflow.Failed) ([]byte, error) { return nil, nil }
		flow.Dag().Node("n").Sleep(2 * time.Hour).RecoverFrom(caught)
		return nil
	}
	run = flowtest.Run(t, deadline, "")
	if failed := run.Failure(); failed == nil || failed.Code != "FF0210" || run.Took() != time.Hour {
		t.Error(failed, run.Took())
	}
}

func TestARequestHasTheMethodPathQueryAndHeadersOfTheFlow(t *testing.T) {
	define := only(func(dag *faasflow.Dag, _ *faasflow.Context) {
		prepare := faasflow.Prepare(func(request *faasflow.Request) error {
			request.Headers.Set("X-Try", "1")
			return nil
		})
		dag.Node("n").Apply("wc/lines", faasflow.Method("PUT"), faasflow.Query("a b", "1&2", "3"), faasflow.Header("X-Team", "blue"), prepare).
			Request("https://rates.example.com/v1/eur?day=1", faasflow.Method("GET"))
	})
	run := flowtest.Run(t, define, "x").Function("wc", echo).Answers("https://rates.example.com", text("1.1"))
	if got := run.Result(); got != "1.1" {
		t.Error(got)
	}
	call := run.Calls()[0]
	if call.Method != "PUT" || call.Function != "wc/lines" || call.Path() != "/lines" ||
		!slices.Equal(call.Query("a b"), []string{"1&2", "3"}) || call.Headers.Get("x-team") != "blue" || call.Headers.Get("x-try") != "1" {
		t.Errorf("%+v", call)
	}
	call = run.Calls()[1]
	if call.Function != "https://rates.example.com/v1/eur" || call.Path() != "/v1/eur" || !slices.Equal(call.Query("day"), []string{"1"}) {
		t.Errorf("%+v", call)
	}
}

func TestMediaTypesAndAnswersGoWithTheData(t *testing.T) {
	define := only(func(dag *faasflow.Dag, context *faasflow.Context) {
		dag.Node("n").Modify(faasflow.JSON(func(in map[string]int) (map[string]int, error) { return in, nil })).Apply("f").
			Modify(func(data []byte) ([]byte, error) {
				seen := context.ContentType()
				context.Respond(201, faasflow.Headers{{"Location", "/7"}})
				return []byte(seen), context.SetContentType("text/plain")
			})
	})
	csv := flowtest.Answer{Headers: faasflow.Headers{{"Content-Type", "text/csv"}}}
	run := flowtest.Run(t, define, "{}").Answers("f", csv)
	response := run.Response()
	if run.Result() != "text/csv" || response.Status != 201 || response.Headers.Get("location") != "/7" ||
		response.Headers.Get("content-type") != "text/plain" || run.Calls()[0].Headers.Get("content-type") != "application/json" {
		t.Errorf("%s %+v", run.Result(), response)
	}
}

func TestWhatAFailedAttemptHasSetIsDroppedAndWhatAnotherNodeHasSetIsSeen(t *testing.T) {
	define := func(flow *faasflow.Workflow, context *faasflow.Context) error {
		dag := flow.Dag()
		dag.Node("first").Modify(func([]byte) ([]byte, error) { return nil, errors.Join(context.Set("seen", 1), context.Label("a", "1")) })
		dag.Node("second").Modify(func([]byte) ([]byte, error) {
			seen := context.GetInt("seen")
			context.Set("seen", 2)
			context.Label("a", "2")
			context.Respond(500, nil)
			return nil, faasflow.Retry("it was %d", seen)
		}).Retry(faasflow.Backoff{Attempts: 2}).RecoverFrom(func(failed *faasflow.Failed) ([]byte, error) { return []byte(failed.Message), nil })
		dag.Edge("first", "second")
		return nil
	}
	run := flowtest.Run(t, define, "")
	if run.Result() != "it was 1" || run.Value("seen") != "1" || !maps.Equal(run.Labels(), map[string]string{"a": "1"}) || run.Response().Status != 200 {
		t.Error(run.Result(), run.Value("seen"), run.Labels(), run.Response())
	}
}

func TestDagsAndNodesWithBranchesCatchWhatFailsInside(t *testing.T) {
	define := only(func(dag *faasflow.Dag, _ *faasflow.Context) {
		inner, caught := faasflow.NewDag(), func(where string) func(*faasflow.Failed) ([]byte, error) {
			return func(failed *faasflow.Failed) ([]byte, error) {
				return []byte(where + " " + failed.Path + " " + string(failed.Input) + " " + string(failed.Body)), nil
			}
		}
		inner.Node("n").Modify(appending("2")).Apply("f")
		dag.SubDag("S", inner)
		dag.RecoverNode("S", caught("node"))
		choice := dag.ConditionalBranch("C", []string{"a"}, func([]byte) []string { return []string{"a"} })["a"]
		choice.Node("n").Apply("f")
		choice.RecoverFrom(caught("dag"))
		dag.Edge("S", "C")
	})
	run := flowtest.Run(t, define, "1").Answers("f", status(400, "no"))
	if got := run.Result(); got != "dag C[a]/n node S/n 12 no no" {
		t.Error(got)
	}
}

func TestARejectOfTheRequestIsTheCallersFault(t *testing.T) {
	refuse := func([]byte) ([]byte, error) { return nil, faasflow.Reject("no") }
	define := only(func(dag *faasflow.Dag, _ *faasflow.Context) {
		inner := faasflow.NewDag()
		inner.Node("n").Modify(refuse)
		dag.Node("pass")
		dag.SubDag("S", inner)
		dag.Edge("pass", "S")
	})
	if run := flowtest.Run(t, define, ""); run.Response().Status != 422 || run.Failure().Code != "FF0012" {
		t.Error(run.Response())
	}
	later := only(func(dag *faasflow.Dag, _ *faasflow.Context) {
		dag.Node("n").Modify(appending("")).Apply("f").Modify(refuse)
	})
	if run := flowtest.Run(t, later, "").Answers("f", text("")); run.Response().Status != 500 {
		t.Error(run.Response())
	}
	with := only(func(dag *faasflow.Dag, _ *faasflow.Context) {
		dag.Node("n").Apply("f").Modify(func([]byte) ([]byte, error) { return nil, faasflow.RejectWithStatus(409, "no") })
	})
	if run := flowtest.Run(t, with, "").Answers("f", text("")); run.Response().Status != 409 {
		t.Error(run.Response())
	}
}

func TestTheFailureHandlerGivesTheAnswer(t *testing.T) {
	var states []string
	define := func(flow *faasflow.Workflow, context *faasflow.Context) error {
		flow.OnFailure(func(failure error) ([]byte, error) {
			states = append(states, context.RunState().String()+" "+context.State)
			context.Respond(418, nil)
			return []byte("sorry: " + failure.Error()), nil
		})
		flow.Finally(func(state string) { states = append(states, context.RunState().String()+" "+state) })
		flow.SyncNode().Modify(func([]byte) ([]byte, error) { return nil, faasflow.Reject("no") })
		return nil
	}
	response := flowtest.Run(t, define, "").Response()
	if response.Status != 418 || string(response.Body) != "sorry: FF0012 at sync: no" {
		t.Error(response.Status, string(response.Body))
	}
	if !slices.Equal(states, []string{"failed failure", "failed failure"}) {
		t.Error(states)
	}
}

func TestARunMayPause(t *testing.T) {
	define := func(flow *faasflow.Workflow, _ *faasflow.Context) error {
		flow.OnExhausted(faasflow.Pause)
		flow.SyncNode().Apply("f")
		return nil
	}
	run := flowtest.Run(t, define, "").Answers("f", status(500, ""))
	if run.State() != faasflow.Paused || run.Failure().Code != "FF0207" || run.Response() != nil {
		t.Error(run.State(), run.Failure())
	}
	if run = flowtest.Run(t, define, "").Answers("f", status(400, "")); run.State() != faasflow.FailedRun {
		t.Error(run.State())
	}
}

func TestAConditionMustChooseBranchesThatExist(t *testing.T) {
	define := only(func(dag *faasflow.Dag, _ *faasflow.Context) {
		dag.ConditionalBranch("C", []string{"a"}, func(data []byte) []string { return strings.Fields(string(data)) })["a"].Node("n")
	})
	for data, code := range map[string]string{"": "FF0202", "b": "FF0201", "a a": "FF0203"} {
		if failed := flowtest.Run(t, define, data).Failure(); failed == nil || failed.Code != code {
			t.Error(data, failed)
		}
	}
}
