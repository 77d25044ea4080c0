package main

import (
	"time"

	faasflow "github.com/faas-flow/faas-flow/guest-sdk/go"
)

// constructs has what a definition consists of: nodes, edges, dags within dags, waits, limits and what belongs to the whole flow.
func constructs(name string, flow *faasflow.Workflow, context *faasflow.Context) bool {
	dag := flow.Dag()
	switch name {
	case "operations":
		dag.Node("n").Modify(add(" a")).Apply("echo").Modify(add(" b")).Modify(add(" c"))
	case "no-operations":
		dag.Node("n")
	case "node-aggregator":
		diamond(dag)
		dag.Node("last", faasflow.Aggregator(join)).Modify(add(" last"))
	case "input-aggregator":
		diamond(dag)
		inner := faasflow.NewDag()
		inner.Node("n").Modify(add(" n"))
		dag.SubDag("last", inner)
		dag.AggregateInputs("last", join)
	case "end-aggregator":
		twoEnds(dag)
		dag.AggregateEnds(join)
	case "two-ends":
		twoEnds(dag)
	case "execution-edge":
		dag.Node("a").Modify(add(" a"))
		dag.Node("b").Modify(add("b"))
		dag.Edge("a", "b", faasflow.Execution)
	case "forwarder":
		dag.Node("a").Modify(add(" a"))
		dag.Node("b").Modify(add(" b"))
		dag.Edge("a", "b", faasflow.Forwarder((func([]byte) ([]byte, error))(add(" forwarded"))))
	case "sub-dag":
		dag.SubDag("S", chain("a", "b"))
		dag.Node("after").Modify(add(" after"))
		dag.Edge("S", "after")
	case "nested-sub-dags":
		// The same dag at two places, one of which is inside another.
		same, outer := chain("a", "b"), faasflow.NewDag()
		outer.SubDag("inner", same)
		dag.SubDag("outer", outer)
		dag.SubDag("again", same)
		dag.Edge("outer", "again")
	case "append":
		more := chain("b", "c")
		dag.Node("a").Modify(add(" a"))
		dag.Append(more)
		dag.Edge("a", "b")
	case "set-dag":
		dag.Node("forgotten")
		flow.SetDag(chain("a", "b"))
	case "condition":
		way := dag.Condition("C", []string{"yes", "no"}, itself)
		way["yes"].Node("n").Modify(add(" taken"))
		way["no"].Node("n").Modify(add(" refused"))
		dag.Node("after").Modify(add(" after"))
		dag.Edge("C", "after")
	case "condition-of-several":
		ways := dag.Condition("C", []string{"a", "b", "c"}, always("c", "a"), faasflow.Aggregator(join), faasflow.MaxParallel(1))
		for _, way := range ways {
			way.Node("n").Modify(add(" way"))
		}
	case "condition-with-execution":
		ways := dag.Condition("C", []string{"a", "b"}, always("a", "b"), faasflow.Execution)
		ways["a"].Node("n").Apply("echo")
		ways["b"].Node("n").Modify(add("b")).Apply("echo")
	case "for-each":
		dag.ForEach("F", words, faasflow.Aggregator(join), faasflow.MaxParallel(2)).Node("n").Modify(add("!"))
	case "for-each-with-execution":
		dag.ForEach("F", words, faasflow.Execution).Node("n").Modify(add("item")).Apply("echo")
		dag.Node("after").Modify(add("after"))
		dag.Edge("F", "after")
	case "for-each-of-nothing":
		dag.ForEach("F", func([]byte) ([]faasflow.Item, error) { return nil, nil }, faasflow.Aggregator(join)).Node("n")
		dag.Node("after").Modify(add("after"))
		dag.Edge("F", "after")
	case "for-each-in-a-branch":
		way := dag.Condition("C", []string{"only"}, always("only"))
		items := way["only"].ForEach("F", words, faasflow.Aggregator(join))
		twice := func(data []byte) ([]faasflow.Item, error) {
			return []faasflow.Item{item("x", data), item("y", data)}, nil
		}
		items.ForEach("G", twice, faasflow.Aggregator(join)).Node("n").Modify(add("."))
	case "repeat":
		again := func(_ []byte, round int) (bool, error) { return round < 3, nil }
		dag.Repeat("R", again, faasflow.Most(5), faasflow.Wait(time.Minute)).Node("n").Modify(add("+"))
	case "repeat-too-often":
		again := func([]byte, int) (bool, error) { return true, nil }
		dag.Repeat("R", again, faasflow.Most(2)).Node("n").Apply("echo")
	case "sleep":
		dag.Node("n").Modify(add(" before")).Sleep(time.Hour).Modify(add(" after"))
	case "sleep-until":
		at := func(data []byte) (faasflow.Wake, error) { return faasflow.At(string(data)), nil }
		after := func([]byte) (faasflow.Wake, error) { return faasflow.After(1500 * time.Millisecond), nil }
		dag.Node("n").SleepUntil(at).Modify(add(" at"))
		dag.Node("m").SleepUntil(after).Modify(add(" after"))
		dag.Edge("n", "m")
	case "wait-for":
		dag.Node("n").Modify(add(" before")).WaitFor("approval").Modify(add(" after"))
	case "wait-for-named":
		named := func(item []byte) (string, error) { return "signed-by-" + string(item), nil }
		dag.ForEach("F", words, faasflow.Aggregator(join)).Node("n").WaitForNamed(named)
	case "wait-timeout":
		recover := func(f *faasflow.Failed) ([]byte, error) {
			return []byte(f.Kind.String() + " of " + string(f.Input)), nil
		}
		dag.Node("n").WaitFor("never", faasflow.Timeout(48*time.Hour), faasflow.RecoverFrom(recover))
	case "limits":
		key := func(data []byte) (string, error) { return string(data), nil }
		byData := faasflow.Limit{Name: "calls", Concurrent: 2, PerSecond: 2.5, Key: key}
		dag.Node("n").Limit(faasflow.Limit{Name: "nodes", Concurrent: 1}).Modify(add("n")).Apply("echo", byData)
		dag.Node("m").Limit(byData).Modify(add(" m"))
		dag.Edge("n", "m")
	case "schedules":
		dag.Node("n")
		nightly := flow.Schedule("nightly", "0 30 2 * * *").TimeZone("Europe/Berlin")
		nightly.Missed(faasflow.MissedOne).Overlap(faasflow.OverlapQueue).Input([]byte("{}"), "application/json")
		flow.Schedule("poll", "every 10m").Missed(faasflow.MissedAll).Overlap(faasflow.OverlapReplace).Input([]byte{0xff}, "")
		flow.Schedule("daily", "@daily").Missed(faasflow.MissedSkip).Overlap(faasflow.OverlapAllow)
	case "deadline":
		dag.Node("n").Sleep(time.Hour)
		flow.Deadline(90 * time.Second)
	case "on-exhausted":
		dag.Node("n").Apply("step")
		flow.OnExhausted(faasflow.Pause)
	case "on-failure":
		dag.Node("n").Modify(refuse)
		flow.OnFailure(func(failure error) ([]byte, error) {
			context.Info(context.RunState().String() + " with " + failure.Error())
			return []byte("sorry"), nil
		})
		flow.Finally(func(outcome string) { context.Info(outcome + ", " + context.RunState().String()) })
	case "finally":
		dag.Node("n").Modify(add("!"))
		flow.Finally(func(outcome string) {
			ended := "badly"
			if outcome == faasflow.StateSuccess {
				ended = "well"
			}
			context.Info("ended " + ended + ", " + context.RunState().String())
		})
	default:
		return false
	}
	return true
}

// diamond has a node before two others, which are before the node "last".
func diamond(dag *faasflow.Dag) {
	dag.Node("first").Modify(add("!"))
	for _, side := range []string{"left", "right"} {
		dag.Node(side).Modify(add(side))
		dag.Edge("first", side)
		dag.Edge(side, "last")
	}
}

// twoEnds has a node before two others, with which the dag ends.
func twoEnds(dag *faasflow.Dag) {
	dag.Node("first")
	for _, end := range []string{"b", "a"} {
		dag.Node(end).Modify(add(end))
		dag.Edge("first", end)
	}
}

// chain has two nodes, one after the other.
func chain(first, last string) *faasflow.Dag {
	dag := faasflow.NewDag()
	dag.Node(first).Modify(add(first))
	dag.Node(last).Modify(add(last))
	dag.Edge(first, last)
	return dag
}

// itself chooses the branch that the data names.
func itself(data []byte) ([]string, error) { return []string{string(data)}, nil }

// always chooses the same branches.
func always(keys ...string) func([]byte) ([]string, error) {
	return func([]byte) ([]string, error) { return keys, nil }
}
