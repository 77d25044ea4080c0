// Package faasflow lets you write flows in Go.
//
// A flow composes OpenFaaS functions into a graph: its nodes call functions, call URLs or run the flow's own code, and it
// branches, processes collections in parallel, and merges the results. With this package a flow is compiled to a WebAssembly
// module, which the faas-flow host runs on a laptop or as an OpenFaaS function. The names are those of the original
// faas-flow library for Go, so a handler that was written for it compiles once its import is changed.
//
// # A whole flow
//
// A flow is a function that describes a dag, together with the functions that the dag names:
//
//	package main
//
//	import (
//		"fmt"
//		"strings"
//		"time"
//
//		faasflow "github.com/faas-flow/faas-flow/guest-sdk/go"
//	)
//
//	func Define(flow *faasflow.Workflow, context *faasflow.Context) error {
//		dag := flow.Dag()
//		dag.Node("clean").Modify(func(data []byte) ([]byte, error) {
//			return []byte(strings.ToLower(strings.TrimSpace(string(data)))), nil
//		})
//		dag.Node("count").Apply("wc", faasflow.Backoff{Attempts: 3}, faasflow.Timeout(5*time.Second))
//		dag.Node("shout").Modify(func(data []byte) ([]byte, error) { return []byte(strings.ToUpper(string(data))), nil })
//		dag.Node("report", faasflow.Aggregator(report))
//		dag.Edge("clean", "count")
//		dag.Edge("clean", "shout")
//		dag.Edge("count", "report")
//		dag.Edge("shout", "report")
//		flow.Finally(func(state string) { context.Info("run " + context.GetRequestId() + " ended: " + state) })
//		return nil
//	}
//
//	func report(inputs faasflow.Inputs) ([]byte, error) {
//		return fmt.Appendf(nil, "%s! (%s words)", inputs.Get("shout"), inputs.Get("count")), nil
//	}
//
//	func init() { faasflow.Register(Define) }
//	func main() {}
//
// This makes the module, and "faas-flow run", "faas-flow serve" or an image runs it:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath -o flow.wasm .
//
// Package flowtest runs whole flows, and single functions of them, in tests, without WebAssembly.
//
// # How the builder works
//
// Nothing is checked while a flow is being described, except for arguments that are certainly wrong, such as a nil function.
// The host checks the whole definition when it loads the module, and reports every problem at once; "faas-flow check" does
// the same on the command line.
//
// Functions of a flow get and return bytes; [JSON] makes a modifier of a function on typed values. Any error that they
// return is final, unless it was made with [Retry]. A panic fails the call that it happened in, and the text of the failure
// says at which line. What cannot be caught stops the instance: [os.Exit], [log.Fatal], a deadlock, the fatal errors of the
// runtime, and too much memory.
//
// Functions run in a sandbox without files, network or clock, and must not rely on what an earlier call left in memory:
// the next node of the same run may be executed by another instance of the module, possibly on another machine. Keep
// values in the [Context] instead. Goroutines that are left over when a function returns do not continue until the next call.
//
// # Handler ids
//
// The host knows each function by an id, which follows from the function's position. Flows in other languages that choose
// the same ids have the same definition.
//
//   - Modify, SleepUntil or WaitForNamed, as operation 1 (the second) of node n2: n2/1
//   - Prepare, Receive, OnFailure, RecoverFrom, and the key of the limit, of the call that is operation 0 of n2:
//     n2/0/prepare, n2/0/receive, n2/0/recover, n2/0/recover-from, n2/0/limit-key
//   - RecoverFrom of the wait for a signal that is operation 0 of n2: n2/0/recover-from
//   - the aggregator of the inputs of a node of any kind, RecoverNode, and the key of the limit, of n4: n4/aggregate,
//     n4/recover, n4/limit-key
//   - the forwarder of the edge from n1 to n2: n1->n2/forward
//   - what chooses the branches of condition C, and the aggregator of their results: C/condition, C/aggregate-branches
//   - what splits the input of for-each F, the aggregator of the results, and what gathers them: F/for-each,
//     F/aggregate-branches, F/gather
//   - what says whether repeat R runs again: R/again
//   - the aggregator of a dag's ends, and RecoverFrom of a dag: (end)/aggregate, (recover)
//   - OnFailure and Finally of the flow: (failure), (finally)
//
// Inside a nested dag, the id starts with a prefix: S/ in sub-dag S, C[c1]/ in branch c1 of condition C, F[]/ in the dag of
// for-each F, R[]/ in the dag of repeat R. Prefixes add up: C[c1]/F[]/n1/0 is in a for-each in a branch. Branch keys are
// percent-encoded except for "A-Z a-z 0-9 _ . -".
package faasflow
