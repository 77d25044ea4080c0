package main

import (
	"slices"
	"testing"

	"github.com/faas-flow/faas-flow/guest-sdk/go/flowtest"
)

func TestHandlersAreNamedByTheirPosition(t *testing.T) {
	expected := []string{
		"C/aggregate-branches",
		"C/condition",
		"C[c1]/F/aggregate-branches",
		"C[c1]/F/for-each",
		"C[c1]/F[]/n1/0",
		"C[c2]/n1/1",
		"n1/0",
	}
	if got := flowtest.New(t, Define).Handlers(); !slices.Equal(got, expected) {
		t.Errorf("%q", got)
	}
}

func TestBothBranchesAreChosen(t *testing.T) {
	keys, err := flowtest.New(t, Define).Condition("C/condition", "hi")
	if err != nil || !slices.Equal(keys, []string{"c1", "c2"}) {
		t.Error(keys, err)
	}
}

func TestEveryItemOfTheForEachIsACopyOfTheData(t *testing.T) {
	items, err := flowtest.New(t, Define).ForEach("C[c1]/F/for-each", "hi")
	if want := []flowtest.Input{{Key: "f1", Data: "hi"}, {Key: "f2", Data: "hi"}}; err != nil || !slices.Equal(items, want) {
		t.Error(items, err)
	}
}

func TestResultsAreJoinedByKey(t *testing.T) {
	flow := flowtest.New(t, Define)
	got, err := flow.Aggregate("C/aggregate-branches", flowtest.Input{Key: "c1", Data: "a"}, flowtest.Input{Key: "c2", Data: "b"})
	if err != nil || got != "c1=a, c2=b" {
		t.Error(got, err)
	}
}

// The result is that of the module, which the README of dynamic-branching shows.
func TestTheWholeFlowJoinsItemsAndBranches(t *testing.T) {
	echo := func(call *flowtest.Call) flowtest.Answer { return flowtest.Answer{Body: string(call.Body)} }
	run := flowtest.Run(t, Define, "hi").Function("func1", echo).Function("fake-storage", echo)
	if got := run.Result(); got != "c1=f1=hi n1 F/n1, f2=hi n1 F/n1, c2=hi n1 c2/n1" {
		t.Error(got)
	}
	want := []string{"n1", "C", "C[c1]/F", "C[c1]/F[f1]/n1", "C[c1]/F[f2]/n1", "C[c2]/n1", "n2"}
	if got := run.Ran(); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
