package faasflow_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	faasflow "github.com/faas-flow/faas-flow/guest-sdk/go"
	"github.com/faas-flow/faas-flow/guest-sdk/go/flowtest"
)

// Every construct in one run. The flow is that of tests/fixture-python, for which the end-to-end tests expect the same of the
// host.

var result = strings.Join([]string{
	"call=answered",
	"wait=timed-out",
	"S=left=TIMED-OUTl,right=refused",
	"C=c=caught rejected at C[c]/n,a/b=C[a%2Fb]/n",
	"F=x:ok,y:rejected,z:ok",
	"refuse=x:ok,y:rejected,z:ok+++",
	"N=",
}, "|")

func refused([]byte) ([]byte, error) { return nil, faasflow.Reject("refused") }

func kind(failed *faasflow.Failed) ([]byte, error) { return []byte(failed.Kind.String()), nil }

func input(failed *faasflow.Failed) ([]byte, error) { return failed.Input, nil }

func joined(separator string) func(faasflow.Inputs) ([]byte, error) {
	return func(inputs faasflow.Inputs) ([]byte, error) {
		var parts []string
		for _, input := range inputs {
			parts = append(parts, input.Key+"="+string(input.Data))
		}
		return []byte(strings.Join(parts, separator)), nil
	}
}

func constructs(flow *faasflow.Workflow, context *faasflow.Context) error {
	dag := flow.Dag()
	limit := faasflow.Limit{Name: "calls", Concurrent: 5, PerSecond: 1000, Key: func(data []byte) (string, error) { return string(data), nil }}
	begin := faasflow.JSON(func(order map[string]int) (map[string]any, error) {
		context.Set("order", order["id"])
		context.Label("order", fmt.Sprint(order["id"]))
		return map[string]any{"id": order["id"], "path": context.GetNode()}, nil
	})
	prepare := faasflow.Prepare(func(request *faasflow.Request) error {
		request.Headers.Add("x-b", "2")
		request.Body = append(request.Body, '!')
		return nil
	})
	receive := faasflow.Receive(func(response *faasflow.Response) ([]byte, error) {
		return fmt.Appendf(nil, "%d:%s", response.Status, response.Body), nil
	})
	recovered := func(error) ([]byte, error) { return []byte("recovered"), nil }
	dag.Node("call").Retry(faasflow.Backoff{Attempts: 2}).Timeout(30*time.Second).
		Limit(faasflow.Limit{Name: "nodes", Concurrent: 3}).Modify(begin).
		Apply("echo", faasflow.Method("POST"), faasflow.Header("x-a", "1"), faasflow.Query("q", "a b"), faasflow.Timeout(10*time.Second),
			faasflow.Backoff{Attempts: 3, FirstDelay: 10 * time.Millisecond}, faasflow.RetryOn(503), limit, prepare, receive).
		Apply("missing", faasflow.OnFailure(recovered)).Apply("missing", faasflow.RecoverFrom(kind))

	short := faasflow.Timeout(10 * time.Millisecond)
	dag.Node("wait").Sleep(10*time.Millisecond).
		SleepUntil(func([]byte) (faasflow.Wake, error) { return faasflow.After(5 * time.Millisecond), nil }).
		WaitFor("never", short, faasflow.RecoverFrom(kind)).
		WaitForNamed(func(data []byte) (string, error) { return "never-" + string(data), nil }, short, faasflow.RecoverFrom(input))
	dag.Edge("call", "wait", faasflow.Forwarder(func(data []byte) []byte { return data[:2] }))

	inner := faasflow.NewDag()
	inner.Node("start").Modify(func(data []byte) ([]byte, error) { return bytes.ToUpper(data), nil })
	inner.Node("left").Modify(appending("l"))
	inner.Node("right").Modify(refused).RecoverFrom(func(failed *faasflow.Failed) ([]byte, error) { return []byte(failed.Message), nil })
	inner.Edge("start", "left")
	inner.Edge("start", "right")
	inner.AggregateEnds(joined(","))
	dag.SubDag("S", inner)
	dag.Edge("wait", "S")

	choice := dag.ConditionalBranch("C", []string{"a/b", "c"}, func([]byte) []string { return []string{"c", "a/b"} },
		faasflow.Aggregator(joined(",")), faasflow.MaxParallel(1))
	choice["a/b"].Node("n").Modify(func([]byte) ([]byte, error) { return []byte(context.GetNode()), nil })
	choice["c"].Node("n").Modify(refused)
	choice["c"].RecoverFrom(func(failed *faasflow.Failed) ([]byte, error) {
		return fmt.Appendf(nil, "caught %v at %s", failed.Kind, failed.Path), nil
	})
	dag.AggregateInputs("C", func(inputs faasflow.Inputs) ([]byte, error) { return inputs.Join(""), nil })
	dag.Edge("S", "C")

	gathered := faasflow.Gather(func(items []faasflow.Gathered) ([]byte, error) {
		var parts []string
		for _, item := range items {
			how := "ok"
			if item.Failed != nil {
				how = item.Failed.Kind.String()
			}
			parts = append(parts, item.Key+":"+how)
		}
		return []byte(strings.Join(parts, ",")), nil
	})
	items := dag.ForEachBranch("F", func([]byte) map[string][]byte {
		return map[string][]byte{"x": []byte("x"), "y": []byte("y"), "z": []byte("z")}
	}, faasflow.TolerateShare(0.4), gathered)
	items.Node("n").Modify(func(data []byte) ([]byte, error) {
		if string(data) == "y" {
			return refused(data)
		}
		return data, nil
	})
	dag.Edge("C", "F", faasflow.Execution)

	rounds := dag.Repeat("R", func(_ []byte, round int) (bool, error) { return round < 3, nil }, faasflow.Most(5), faasflow.Wait(10*time.Millisecond))
	rounds.Node("n").Modify(appending("+"))
	dag.Edge("F", "R")

	dag.Node("refuse").Modify(refused)
	dag.RecoverNode("refuse", input)
	dag.Edge("R", "refuse")

	only := func(data []byte) map[string][]byte { return map[string][]byte{"only": data} }
	dag.ForEachBranch("N", only, faasflow.Execution).Node("n")
	dag.Edge("refuse", "N")

	dag.Node("end", faasflow.Aggregator(func(inputs faasflow.Inputs) ([]byte, error) {
		if err := context.Respond(201, faasflow.Headers{{"X-Order", fmt.Sprint(context.GetInt("order"))}}); err != nil {
			return nil, err
		}
		return joined("|")(inputs)
	}))
	for _, last := range []string{"call", "wait", "S", "C", "F", "refuse", "N"} {
		dag.Edge(last, "end")
	}
	flow.Finally(func(state string) { context.Info("ended: " + state) })
	flow.OnFailure(func(failure error) ([]byte, error) { return []byte("sorry: " + failure.Error()), nil })
	flow.Deadline(5 * time.Minute)
	return nil
}

func TestEveryConstructMeansWhatItMeansOnTheHost(t *testing.T) {
	run := flowtest.Run(t, constructs, `{"id": 7}`).Function("echo", echo).Answers("missing", status(404, ""))
	if got := run.Result(); got != result {
		t.Errorf("%s\n%s", got, result)
	}
	if response := run.Response(); response.Status != 201 || response.Headers.Get("x-order") != "7" || run.Labels()["order"] != "7" {
		t.Error(response, run.Labels())
	}
	sent := run.Calls()[0]
	headers := faasflow.Headers{
		{"x-a", "1"}, {"Content-Type", "application/json"}, {"X-Faas-Flow-Idempotency-Key", "test/call/1"},
		{"X-Faas-Flow-Reqid", "test"}, {"x-b", "2"},
	}
	if sent.URL != "http://function/echo?q=a%20b" || string(sent.Body) != `{"id":7,"path":"call"}!` || !slices.Equal(sent.Headers, headers) {
		t.Errorf("%+v", sent)
	}
	// 10 ms and 5 ms of sleep, twice 10 ms for signals, and twice 10 ms between rounds.
	if logs := run.Logs(); run.Took() != 55*time.Millisecond || len(logs) != 1 || logs[0].Message != "ended: success" {
		t.Error(run.Took(), logs)
	}
}
