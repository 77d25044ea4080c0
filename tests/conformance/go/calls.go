package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	faasflow "github.com/faas-flow/faas-flow/guest-sdk/go"
)

// calls has calls of functions and URLs: their options, what goes out and comes back, retries, and failures that are caught.
func calls(name string, flow *faasflow.Workflow, _ *faasflow.Context) bool {
	dag := flow.Dag()
	thrice := faasflow.Backoff{Attempts: 3, FirstDelay: 10 * time.Second, Factor: 1.5, MaxDelay: 12 * time.Second}
	switch name {
	case "call":
		dag.Node("n").Apply("step")
	case "call-options":
		dag.Node("n").Apply("env/deeper/path", faasflow.Method("PUT"), faasflow.Query("q", "a b&c", "2"),
			faasflow.Header("X-One", "1"), faasflow.Header("X-Two", "café"))
	case "request":
		dag.Node("n").Request("https://rates.example.com/today", faasflow.Method("PATCH"), faasflow.Timeout(30*time.Second))
	case "prepare":
		dag.Node("n").Apply("env", faasflow.Header("X-Gone", "1"), faasflow.Header("X-Kept", "2"), faasflow.Prepare(prepared))
	case "receive":
		dag.Node("n").Apply("step", faasflow.Receive(received), thrice)
	case "retry":
		dag.Node("n").Apply("step", thrice)
	case "retry-on":
		dag.Node("n").Apply("step", thrice, faasflow.RetryOn(404, 409))
	case "timeout":
		dag.Node("n").Apply("step", faasflow.Timeout(2*time.Second))
	case "asynchronous":
		dag.Node("n").Apply("train", faasflow.Asynchronous(), faasflow.Timeout(2*time.Hour)).Modify(add("!"))
	case "recover":
		dag.Node("n").Apply("step", faasflow.OnFailure(func(failure error) ([]byte, error) {
			return []byte("instead of: " + failure.Error()), nil
		}))
	case "recover-from":
		dag.Node("n").Apply("step", thrice, faasflow.RecoverFrom(shown))
	case "recover-from-unreachable":
		dag.Node("n").Apply("step", faasflow.RecoverFrom(shown))
	case "recover-otherwise":
		dag.Node("n").Apply("step", faasflow.RecoverFrom(func(*faasflow.Failed) ([]byte, error) {
			return nil, faasflow.Reject("even worse")
		}))
	case "node-retry":
		dag.Node("n").Modify(add(" once")).Apply("step").Retry(thrice).Timeout(time.Minute)
	case "node-timeout":
		dag.Node("n").Apply("step").Timeout(5 * time.Second)
	case "node-recover":
		dag.Node("n").Modify(refuse).RecoverFrom(shown)
	case "recover-node":
		dag.SubDag("S", failing())
		dag.RecoverNode("S", shown)
		dag.Node("after").Modify(add(" after"))
		dag.Edge("S", "after")
	case "recover-dag":
		inner := failing()
		inner.RecoverFrom(shown)
		dag.SubDag("S", inner)
	case "recover-flow":
		dag.Node("n").Modify(refuse)
		dag.RecoverFrom(shown)
	case "recover-branch-and-items":
		way := dag.Condition("C", []string{"a", "b"}, always("a", "b"), faasflow.Aggregator(join))
		way["a"].Node("n").Modify(refuse)
		way["a"].RecoverFrom(func(f *faasflow.Failed) ([]byte, error) { return []byte("caught at " + f.Path), nil })
		items := way["b"].ForEach("F", words, faasflow.Aggregator(join))
		items.Node("n").Modify(picky)
		items.RecoverFrom(func(f *faasflow.Failed) ([]byte, error) { return fmt.Appendf(nil, "instead of %s", f.Input), nil })
	case "tolerate":
		dag.ForEach("F", words, faasflow.Aggregator(join), faasflow.Tolerate(1)).Node("n").Modify(picky)
	case "tolerate-share":
		dag.ForEach("F", words, faasflow.TolerateShare(0.5), faasflow.Gather(gathered)).Node("n").Modify(picky)
	case "tolerate-too-many":
		dag.ForEach("F", words, faasflow.Tolerate(1), faasflow.Gather(gathered)).Node("n").Modify(picky)
		dag.RecoverNode("F", func(f *faasflow.Failed) ([]byte, error) { return fmt.Appendf(nil, "%s at %s", f.Kind, f.Path), nil })
	default:
		return false
	}
	return true
}

func failing() *faasflow.Dag {
	inner := faasflow.NewDag()
	inner.Node("a").Modify(add(" a"))
	inner.Node("b").Modify(refuse)
	inner.Edge("a", "b")
	return inner
}

func prepared(request *faasflow.Request) error {
	request.Body = slices.Concat(request.Body, []byte(request.Headers.Get("x-kept")+" prepared"))
	if request.Method == "POST" {
		request.Method = "PUT"
	}
	request.URL += "/further?q=1"
	request.Headers.Set("X-Added", "3")
	request.Headers.Del("x-gone")
	return nil
}

// received takes a response with the status 202 for one that is not the last.
func received(response *faasflow.Response) ([]byte, error) {
	if response.Status == 202 {
		return nil, faasflow.Retry("not yet")
	}
	answer := "none"
	if values := response.Headers.Values("X-Answer"); len(values) > 0 {
		answer = values[0]
	}
	return fmt.Appendf(nil, "%d %s: %s", response.Status, answer, response.Body), nil
}

func gathered(items []faasflow.Gathered) ([]byte, error) {
	var lines []string
	for _, item := range items {
		if f := item.Failed; f != nil {
			lines = append(lines, fmt.Sprintf("%s: %s %s", item.Key, f.Code, f.Message))
		} else {
			lines = append(lines, fmt.Sprintf("%s=%s", item.Key, item.Data))
		}
	}
	return []byte(strings.Join(lines, "; ")), nil
}
