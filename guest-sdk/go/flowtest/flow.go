// Package flowtest tests a flow without WebAssembly.
//
// [Run] runs a whole flow, with functions of the test in place of those that it calls. [New] calls the functions of the
// flow's own code one by one, by their handler ids. [Fake] is the run that they see.
//
//	func TestABusyChargeIsTriedAgain(t *testing.T) {
//		run := flowtest.Run(t, Define, "a hat").
//			Answers("charge", flowtest.Answer{Status: 503}, flowtest.Answer{Body: "paid"})
//		if got := run.Result(); got != "paid" || len(run.Calls()) != 2 {
//			t.Error(got, run.Calls())
//		}
//	}
//
//	func TestGreetsByName(t *testing.T) {
//		flow := flowtest.New(t, Define)
//		if got, err := flow.Modify("greet/0", "Ada"); got != "Hello, Ada!" {
//			t.Error(got, err)
//		}
//	}
//
// Functions that a test calls fail as they do in a module: a panic is an error, which says where it happened. Data is
// given and returned as text, which may have any bytes.
package flowtest

import (
	"errors"
	"testing"

	faasflow "github.com/faas-flow/faas-flow/guest-sdk/go"
	"github.com/faas-flow/faas-flow/guest-sdk/go/internal/bridge"
)

// Flow is a flow whose functions can be called by their handler ids. How ids are formed is described at package faasflow.
//
// Each method that calls a function returns what the function returns. It rejects an id that the flow does not have, or
// whose function is of another kind.
type Flow struct {
	// Fake is the run that the functions see.
	*Fake
	flow recorded
}

// recorded is what package faasflow has made of a flow.
type recorded interface {
	Definition() ([]byte, error)
	Handlers() []string
	Modify(id string, data []byte) ([]byte, error)
	Aggregate(id string, inputs faasflow.Inputs) ([]byte, error)
	Condition(id string, data []byte) ([]string, error)
	ForEach(id string, data []byte) ([]faasflow.Item, error)
	Forward(id string, data []byte) ([]byte, error)
	Prepare(id string, request *faasflow.Request) error
	Receive(id string, response *faasflow.Response) ([]byte, error)
	Recover(id string, failure error) ([]byte, error)
	Finally(id string, state string) error
	RecoverFrom(id string, failed *faasflow.Failed) ([]byte, error)
	Gather(id string, items []faasflow.Gathered) ([]byte, error)
	Moment(id string, data []byte) (faasflow.Wake, error)
	Again(id string, data []byte, round int) (bool, error)
	SignalName(id string, data []byte) (string, error)
	Key(id string, data []byte) (string, error)
}

// New runs a function that defines a flow, with a run of which nothing is known. The test fails at once if that fails.
func New(t testing.TB, define func(*faasflow.Workflow, *faasflow.Context) error) *Flow {
	t.Helper()
	return With(t, &Fake{}, define)
}

// With does what [New] does, with a run of which something is known.
func With(t testing.TB, fake *Fake, define func(*faasflow.Workflow, *faasflow.Context) error) *Flow {
	t.Helper()
	flow, err := Define(fake, define)
	if err != nil {
		t.Fatalf("the flow cannot be defined: %v", err)
	}
	return flow
}

// Define does what [With] does, and returns the error of the function that defines the flow.
func Define(fake *Fake, define func(*faasflow.Workflow, *faasflow.Context) error) (*Flow, error) {
	fake.defining = true
	flow, err := bridge.Record(define, asked{fake})
	fake.defining = false
	if err != nil {
		return nil, err
	}
	return &Flow{fake, flow.(recorded)}, nil
}

// Definition returns the definition in the JSON form that "faas-flow graph --format definition" prints.
func (f *Flow) Definition() []byte {
	definition, err := f.flow.Definition()
	if err != nil {
		// Everything in a definition can be represented in JSON, except for a factor or a rate that is no number.
		return []byte(err.Error())
	}
	return definition
}

// Handlers returns the ids of all functions, sorted.
func (f *Flow) Handlers() []string { return f.flow.Handlers() }

// Modify calls a modifier.
func (f *Flow) Modify(id, data string) (string, error) {
	f.begin()
	return text(f.flow.Modify(id, []byte(data)))
}

// Aggregate calls an aggregator.
func (f *Flow) Aggregate(id string, inputs ...Input) (string, error) {
	f.begin()
	return text(f.flow.Aggregate(id, items(inputs)))
}

// Condition calls the function that chooses the branches of a condition, and returns their keys.
func (f *Flow) Condition(id, data string) ([]string, error) {
	f.begin()
	return f.flow.Condition(id, []byte(data))
}

// ForEach calls the function that splits the input of a for-each, and returns the items in their order.
func (f *Flow) ForEach(id, data string) ([]Input, error) {
	f.begin()
	split, err := f.flow.ForEach(id, []byte(data))
	var inputs []Input
	for _, item := range split {
		inputs = append(inputs, Input{item.Key, string(item.Data)})
	}
	return inputs, err
}

// Forward calls the forwarder of an edge.
func (f *Flow) Forward(id, data string) (string, error) {
	f.begin()
	return text(f.flow.Forward(id, []byte(data)))
}

// Prepare calls the function that prepares the request of a call, which changes the request that it gets.
func (f *Flow) Prepare(id string, request *faasflow.Request) error {
	f.begin()
	return f.flow.Prepare(id, request)
}

// Receive calls the function that receives the response of a call.
func (f *Flow) Receive(id string, response *faasflow.Response) (string, error) {
	f.begin()
	return text(f.flow.Receive(id, response))
}

// Recover calls the function that recovers from the failure of a call, or the failure handler of the flow: "(failure)".
func (f *Flow) Recover(id, failure string) (string, error) {
	f.begin()
	return text(f.flow.Recover(id, errors.New(failure)))
}

// Finally calls the function of [faasflow.Workflow.Finally] with [faasflow.StateSuccess] or [faasflow.StateFailure].
func (f *Flow) Finally(state string) error {
	f.begin()
	return f.flow.Finally("(finally)", state)
}

// RecoverFrom calls the function that catches the failure of a call, a node or a dag.
func (f *Flow) RecoverFrom(id string, failed *faasflow.Failed) (string, error) {
	f.begin()
	return text(f.flow.RecoverFrom(id, failed))
}

// Gather calls the function that gathers the items of a for-each.
func (f *Flow) Gather(id string, items ...faasflow.Gathered) (string, error) {
	f.begin()
	return text(f.flow.Gather(id, items))
}

// Moment calls the function that names the moment until which a node sleeps.
func (f *Flow) Moment(id, data string) (faasflow.Wake, error) {
	f.begin()
	return f.flow.Moment(id, []byte(data))
}

// Again calls the function that says whether a repeat runs again, with the result of a round and its number, from 1.
func (f *Flow) Again(id, data string, round int) (bool, error) {
	f.begin()
	return f.flow.Again(id, []byte(data), round)
}

// SignalName calls the function that names the signal that a node waits for.
func (f *Flow) SignalName(id, data string) (string, error) {
	f.begin()
	return f.flow.SignalName(id, []byte(data))
}

// Key calls the function that names the key of a limit for the data of a call or a node.
func (f *Flow) Key(id, data string) (string, error) {
	f.begin()
	return f.flow.Key(id, []byte(data))
}

// Input is a value with a key, as aggregators get them and for-eaches make them.
type Input struct {
	// Key is the key of the item or of the branch, or the id of the node that sent the value.
	Key string
	// Data is the value.
	Data string
}

func text(data []byte, err error) (string, error) { return string(data), err }

func items(inputs []Input) faasflow.Inputs {
	list := make(faasflow.Inputs, len(inputs))
	for i, input := range inputs {
		list[i] = faasflow.Item{Key: input.Key, Data: []byte(input.Data)}
	}
	return list
}
