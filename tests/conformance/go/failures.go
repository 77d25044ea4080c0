package main

import (
	"fmt"
	"time"

	faasflow "github.com/faas-flow/faas-flow/guest-sdk/go"
)

// kinds are the kinds of functions that fail in the case "each-kind".
var kinds = []string{
	"modify", "aggregate", "condition", "for-each", "forward", "prepare", "receive", "recover", "recover-from", "gather",
	"again", "moment", "signal-name", "key",
}

// failures has what becomes of a failure of the flow's own code.
func failures(name string, flow *faasflow.Workflow, context *faasflow.Context) bool {
	dag := flow.Dag()
	switch name {
	case "reject":
		dag.Node("n").Modify(refuse)
	case "reject-with-status":
		dag.Node("n").Modify(func([]byte) ([]byte, error) { return nil, faasflow.RejectWithStatus(404, "there is no such order") })
	case "retry-of-the-node":
		later := func(data []byte) ([]byte, error) { return nil, faasflow.Retry("not now: %s", data) }
		dag.Node("n").Modify(later).Retry(faasflow.Backoff{Attempts: 3, FirstDelay: 10 * time.Second})
	case "retry-without-a-policy":
		dag.Node("n").Modify(func([]byte) ([]byte, error) { return nil, faasflow.Retry("not now") })
	case "crash":
		dag.Node("n").Modify(crash)
	case "crash-that-is-caught":
		dag.Node("n").Modify(crash)
		dag.RecoverNode("n", func(f *faasflow.Failed) ([]byte, error) { return fmt.Appendf(nil, "%s at %s", f.Input, f.Path), nil })
		dag.Node("after").Modify(add(" after"))
		dag.Edge("n", "after")
	case "dropped-values":
		dag.Node("n").Modify(func([]byte) ([]byte, error) {
			if err := context.Set("set", []byte("by a node that fails")); err != nil {
				return nil, err
			}
			if err := context.Label("set", "by a node that fails"); err != nil {
				return nil, err
			}
			return nil, faasflow.Reject("too late")
		})
		dag.RecoverNode("n", shown)
		dag.Node("get").Modify(func(data []byte) ([]byte, error) {
			_, isSet, err := faasflow.Get[[]byte](context, "set")
			found := "not set"
			if isSet {
				found = "set"
			}
			return fmt.Appendf(data, "; %s", found), err
		})
		dag.Edge("n", "get")
	case "each-kind":
		branches := dag.Condition("kind", kinds, itself)
		for _, kind := range kinds {
			fails(kind, branches[kind])
		}
	default:
		return false
	}
	return true
}

func crash([]byte) ([]byte, error) { panic("on purpose") }

// fails adds a node of which the function of this kind fails.
func fails(kind string, dag *faasflow.Dag) {
	no := faasflow.Reject("%s fails", kind)
	data := func([]byte) ([]byte, error) { return nil, no }
	failed := func(*faasflow.Failed) ([]byte, error) { return nil, no }
	switch kind {
	case "modify":
		dag.Node("n").Modify(data)
	case "aggregate":
		dag.Node("n", faasflow.Aggregator(func(faasflow.Inputs) ([]byte, error) { return nil, no }))
	case "condition":
		dag.Condition("n", []string{"a"}, func([]byte) ([]string, error) { return nil, no })["a"].Node("n")
	case "for-each":
		dag.ForEach("n", func([]byte) ([]faasflow.Item, error) { return nil, no }).Node("n")
	case "forward":
		dag.Node("first")
		dag.Node("n")
		dag.Edge("first", "n", faasflow.Forwarder(data))
	case "prepare":
		dag.Node("n").Apply("echo", faasflow.Prepare(func(*faasflow.Request) error { return no }))
	case "receive":
		dag.Node("n").Apply("echo", faasflow.Receive(func(*faasflow.Response) ([]byte, error) { return nil, no }))
	case "recover":
		dag.Node("n").Apply("gone", faasflow.OnFailure(func(error) ([]byte, error) { return nil, no }))
	case "recover-from":
		dag.Node("n").Apply("gone", faasflow.RecoverFrom(failed))
	case "gather":
		one := func(data []byte) ([]faasflow.Item, error) { return []faasflow.Item{item("x", data)}, nil }
		gather := func([]faasflow.Gathered) ([]byte, error) { return nil, no }
		dag.ForEach("n", one, faasflow.Tolerate(1), faasflow.Gather(gather)).Node("n").Modify(refuse)
	case "again":
		dag.Repeat("n", func([]byte, int) (bool, error) { return false, no }).Node("n")
	case "moment":
		dag.Node("n").SleepUntil(func([]byte) (faasflow.Wake, error) { return faasflow.Wake{}, no })
	case "signal-name":
		dag.Node("n").WaitForNamed(func([]byte) (string, error) { return "", no })
	case "key":
		dag.Node("n").Limit(faasflow.Limit{Name: "l", Concurrent: 1, Key: func([]byte) (string, error) { return "", no }})
	}
}
