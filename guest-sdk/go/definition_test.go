package faasflow_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	faasflow "github.com/faas-flow/faas-flow/guest-sdk/go"
	"github.com/faas-flow/faas-flow/guest-sdk/go/flowtest"
)

func TestHandlersAreNamedByTheirPosition(t *testing.T) {
	expected := []string{
		"(failure)",
		"(finally)",
		"C/aggregate",
		"C/aggregate-branches",
		"C/condition",
		"C[a%2Fb]/n1/0",
		"C[c1]/(recover)",
		"C[c1]/n1/0",
		"C[c1]/n1/recover",
		"F/for-each",
		"F/gather",
		"F/recover",
		"F[]/n1/0",
		"F[]/n2/0/recover-from",
		"L/0/limit-key",
		"M/limit-key",
		"R/again",
		"R[]/n1/0",
		"S-again/(end)/aggregate",
		"S-again/n1/0",
		"S/(end)/aggregate",
		"S/n1/0",
		"W/1",
		"W/2/recover-from",
		"W/3",
		"n1->n2/forward",
		"n1/1",
		"n2/0/prepare",
		"n2/0/receive",
		"n2/0/recover",
		"n2/2",
		"n4/aggregate",
	}
	if got := flowtest.New(t, everything).Handlers(); !slices.Equal(got, expected) {
		t.Errorf("got %q", got)
	}
}

func TestEveryKindOfFunctionIsCalledByItsID(t *testing.T) {
	flow := flowtest.New(t, everything)
	text := func(want string) func(string, error) {
		return func(got string, err error) {
			t.Helper()
			if err != nil || got != want {
				t.Errorf("got %q and %v, not %q", got, err, want)
			}
		}
	}
	text("3")(flow.Modify("n2/2", "[1, 2]"))
	if flow.ReturnedContentType != "application/json" {
		t.Error("the media type is", flow.ReturnedContentType)
	}
	text("f:x")(flow.Forward("n1->n2/forward", "x"))
	request := &faasflow.Request{Method: "POST", URL: "http://example.test"}
	if err := flow.Prepare("n2/0/prepare", request); err != nil || request.Method != "PATCH" || request.Headers.Get("x-prepared") != "yes" {
		t.Error(request, err)
	}
	text("404 b")(flow.Receive("n2/0/receive", &faasflow.Response{Status: 404, Body: []byte("b")}))
	text("recovered: late")(flow.Recover("n2/0/recover", "late"))
	text("sorry")(flow.Recover("(failure)", "late"))
	if keys, err := flow.Condition("C/condition", ""); err != nil || !slices.Equal(keys, []string{"c1"}) {
		t.Error(keys, err)
	}
	if items, err := flow.ForEach("F/for-each", "d"); err != nil || !slices.Equal(items, []flowtest.Input{{Key: "f1", Data: "d"}}) {
		t.Error(items, err)
	}
	text("acme")(flow.Key("L/0/limit-key", "acme"))
	text("x")(flow.Key("M/limit-key", "x"))
	for round, want := range map[int]bool{1: true, 2: false} {
		if again, err := flow.Again("R/again", "", round); err != nil || again != want {
			t.Error(round, again, err)
		}
	}
	text("12")(flow.Aggregate("n4/aggregate", flowtest.Input{Key: "W", Data: "2"}, flowtest.Input{Key: "n2", Data: "1"}))
	text("12")(flow.Aggregate("C/aggregate", flowtest.Input{Key: "b", Data: "1"}, flowtest.Input{Key: "a", Data: "2"}))
	failed := &faasflow.Failed{Code: "FF0207", Kind: faasflow.Answered, Message: "busy", Path: "n1", Tries: 2, Input: []byte("in")}
	text("in")(flow.RecoverFrom("C[c1]/n1/recover", failed))
	text("FF0207 at n1: busy")(flow.RecoverFrom("C[c1]/(recover)", failed))
	text("FF0207")(flow.RecoverFrom("F[]/n2/0/recover-from", failed))
	text("2")(flow.RecoverFrom("F/recover", failed))
	text("answered")(flow.RecoverFrom("W/2/recover-from", failed))
	text("a: 1<nil>, b: FF0207 at n1: busy")(flow.Gather("F/gather",
		faasflow.Gathered{Key: "a", Data: []byte("1")}, faasflow.Gathered{Key: "b", Failed: failed}))
	if wake, err := flow.Moment("W/1", ""); err != nil || wake.String() != "5ms" {
		t.Error(wake, err)
	}
	if wake, err := flow.Moment("W/1", "2026-12-24T18:00:00Z"); err != nil || wake.String() != "2026-12-24T18:00:00Z" {
		t.Error(wake, err)
	}
	text("signed-by-Ada")(flow.SignalName("W/3", "Ada"))
	if err := flow.Finally(faasflow.StateSuccess); err != nil {
		t.Error(err)
	}
}

func TestTheDefinitionHasTheFormOfTheHost(t *testing.T) {
	var definition struct {
		Dag struct {
			Nodes []map[string]any
			Edges []any
		}
		Schedules any
	}
	if err := json.Unmarshal(flowtest.New(t, everything).Definition(), &definition); err != nil {
		t.Fatal(err)
	}
	same := func(got any, want string) {
		t.Helper()
		var wanted any
		if err := json.Unmarshal([]byte(want), &wanted); err != nil || !reflect.DeepEqual(got, wanted) {
			text, _ := json.Marshal(got)
			t.Errorf("got %s %v", text, err)
		}
	}
	same(definition.Dag.Nodes[0], `{ "id": "n1", "operations": {
		"list": [{ "apply": { "target": "func1" } }, { "modify": "n1/1" }],
		"retry": { "attempts": 3, "first-delay-ms": 100, "factor": 2, "max-delay-ms": 10000 },
		"timeout-ms": 9000
	} }`)
	same(definition.Dag.Edges[0], `{ "from": "n1", "to": "n2", "carries": { "forwarded": "n1->n2/forward" } }`)
	same(definition.Dag.Edges[1], `{ "from": "n1", "to": "S", "carries": "nothing" }`)
	same(definition.Dag.Edges[2], `{ "from": "n2", "to": "S-again" }`)
	same(definition.Schedules, `[
		{ "name": "nightly", "when": "0 30 2 * * *", "time-zone": "Europe/Berlin", "missed": "one", "overlap": "replace",
		  "input": { "body": "{}", "media-type": "application/json" } },
		{ "name": "poll", "when": "every 10m", "missed": "skip", "overlap": "skip", "input": { "body": [255] } }
	]`)
}

func TestAnIDThatWouldBeTooLongIsShortenedAndStaysUnique(t *testing.T) {
	key := strings.Repeat("ü", 64)
	flow := flowtest.New(t, func(flow *faasflow.Workflow, _ *faasflow.Context) error {
		same := func(data []byte) ([]byte, error) { return data, nil }
		branches := flow.Dag().ConditionalBranch("choice", []string{key}, func([]byte) []string { return nil })
		branches[key].Node("inner").Modify(same).Modify(same)
		return nil
	})
	// The id that the Rust SDK derives for the same place.
	encoded := strings.Repeat("%C3%BC", 64)
	ids := flow.Handlers()
	if len(ids) != 3 || len(ids[1]) != 256 || !strings.HasPrefix(ids[1], "choice["+encoded[:200]) || ids[1][239] != '~' {
		t.Errorf("%q", ids)
	}
}

func TestAnIDThatIsUnknownOrOfAnotherKindIsRejected(t *testing.T) {
	flow := flowtest.New(t, everything)
	_, err := flow.Modify("n9/0", "")
	if err == nil || err.Error() != "the flow has no handler `n9/0`" {
		t.Error(err)
	}
	_, err = flow.Forward("n1/1", "")
	if err == nil || err.Error() != "handler `n1/1` was called as `forward`, but its kind is `modify`" {
		t.Error(err)
	}
}

func TestItemsOfAMapRunInTheOrderOfTheirNumbersThenOfTheirKeys(t *testing.T) {
	flow := flowtest.New(t, func(flow *faasflow.Workflow, _ *faasflow.Context) error {
		flow.Dag().ForEachBranch("F", func([]byte) map[string][]byte {
			return map[string][]byte{"b": nil, "10": nil, "9": nil, "0": nil, "07": nil, "a": nil, "100": nil}
		}).Node("n")
		return nil
	})
	items, err := flow.ForEach("F/for-each", "")
	var keys []string
	for _, item := range items {
		keys = append(keys, item.Key)
	}
	if want := []string{"0", "9", "10", "100", "07", "a", "b"}; err != nil || !slices.Equal(keys, want) {
		t.Error(keys, err)
	}
}

func TestANodeThatIsNamedTwiceIsOneNode(t *testing.T) {
	flow := flowtest.New(t, func(flow *faasflow.Workflow, _ *faasflow.Context) error {
		flow.Dag().Node("n").Apply("a")
		flow.Dag().Node("n").Apply("b")
		return nil
	})
	if text := string(flow.Definition()); strings.Count(text, `"id"`) != 1 || strings.Count(text, `"apply"`) != 2 {
		t.Error(text)
	}
}
