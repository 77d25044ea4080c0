package faasflow_test

import (
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"testing"

	faasflow "github.com/faas-flow/faas-flow/guest-sdk/go"
	"github.com/faas-flow/faas-flow/guest-sdk/go/flowtest"
)

type define = func(*faasflow.Workflow, *faasflow.Context) error

// next is the line behind the one that called it, as failures name lines.
func next() string {
	_, file, line, _ := runtime.Caller(1)
	return fmt.Sprintf("%s:%d", file, line+1)
}

func TestAPanicIsARejectThatSaysWhereItHappened(t *testing.T) {
	var empty []int
	var missing *faasflow.Failed
	var nothing map[string]int
	index := len(empty)
	var line string
	cases := map[string]struct {
		panics func()
		text   string
	}{
		"index": {func() {
			line = next()
			_ = empty[index]
		}, "panic at LINE: runtime error: index out of range [0] with length 0"},
		"nil map": {func() {
			line = next()
			nothing["a"] = 1
		}, "panic at LINE: assignment to entry in nil map"},
		"division": {func() {
			line = next()
			_ = 1 / index
		}, "panic at LINE: runtime error: integer divide by zero"},
		"nil pointer": {func() {
			line = next()
			_ = missing.Code
		}, "panic at LINE: runtime error: invalid memory address or nil pointer dereference"},
		"text": {func() {
			line = next()
			panic("no stock")
		}, "panic at LINE: no stock"},
		"error": {func() {
			line = next()
			panic(errors.New("no stock"))
		}, "panic at LINE: no stock"},
		"failure": {func() {
			line = next()
			panic(faasflow.Reject("no stock"))
		}, "LINE: no stock"},
	}
	for name, c := range cases {
		flow := flowtest.New(t, func(flow *faasflow.Workflow, _ *faasflow.Context) error {
			flow.SyncNode().Modify(func([]byte) ([]byte, error) { c.panics(); return nil, nil })
			return nil
		})
		_, err := flow.Modify("sync/0", "")
		if err == nil {
			t.Fatal(name, "did not fail")
		}
		// The function of the flow is named as well, since it is not the one that panicked.
		text := regexp.MustCompile(`, called from \S+failure_test.go:\d+`).ReplaceAllString(err.Error(), "")
		if want := strings.ReplaceAll(c.text, "LINE", line); text != want {
			t.Errorf("%s: %q is not %q", name, text, want)
		}
	}
}

func TestAPanicWithARetryIsARetry(t *testing.T) {
	flow := flowtest.New(t, func(flow *faasflow.Workflow, _ *faasflow.Context) error {
		flow.SyncNode().Modify(func([]byte) ([]byte, error) { panic(faasflow.Retry("later")) })
		return nil
	})
	_, err := flow.Modify("sync/0", "")
	var failure *faasflow.Failure
	if !errors.As(err, &failure) || !failure.IsRetry() || !strings.HasSuffix(err.Error(), ": later") {
		t.Error(err)
	}
}

func TestAMistakeInDefineSaysWhereItIs(t *testing.T) {
	var line string
	cases := map[string]struct {
		define define
		text   string
	}{
		"a branch that is not there": {func(flow *faasflow.Workflow, _ *faasflow.Context) error {
			branches := flow.Dag().ConditionalBranch("C", []string{"small"}, func([]byte) []string { return nil })
			line = next()
			branches["smal"].Node("n")
			return nil
		}, "LINE: Node was called with a dag that is nil: ConditionalBranch returns dags only for the keys that it got"},
		"no modifier": {func(flow *faasflow.Workflow, _ *faasflow.Context) error {
			line = next()
			flow.SyncNode().Modify(nil)
			return nil
		}, "LINE: Modify of node \"sync\" needs a function, and got nil"},
		"no forwarder": {func(flow *faasflow.Workflow, _ *faasflow.Context) error {
			var none func([]byte) []byte
			line = next()
			flow.Dag().Edge("a", "b", faasflow.Forwarder(none))
			return nil
		}, "LINE: Forwarder needs a function, and got nil"},
		"an option in a wrong place": {func(flow *faasflow.Workflow, _ *faasflow.Context) error {
			line = next()
			flow.Dag().Edge("a", "b", faasflow.MaxParallel(2))
			return nil
		}, "LINE: MaxParallel is no option of an edge"},
		"another panic": {func(flow *faasflow.Workflow, _ *faasflow.Context) error {
			var none []string
			line = next()
			flow.Dag().Node(none[len(none)])
			return nil
		}, "panic at LINE: runtime error: index out of range [0] with length 0"},
		"a dag in itself": {func(flow *faasflow.Workflow, _ *faasflow.Context) error {
			items := flow.Dag().ForEachBranch("F", func([]byte) map[string][]byte { return nil })
			items.SubDag("S", flow.Dag())
			return nil
		}, "the dag of `F[]/S` contains itself: make a new dag for each level"},
		"an error": {func(*faasflow.Workflow, *faasflow.Context) error { return errors.New("no tenant") }, "no tenant"},
		"no value": {func(_ *faasflow.Workflow, context *faasflow.Context) error {
			line = next()
			context.GetInt("orders")
			return nil
		}, "LINE: no node of this run has set the value \"orders\""},
		"a change of a value": {func(_ *faasflow.Workflow, context *faasflow.Context) error {
			return context.Set("orders", 1)
		}, "value \"orders\" cannot be changed while the flow is being defined"},
	}
	for name, c := range cases {
		_, err := flowtest.Define(&flowtest.Fake{}, c.define)
		if want := strings.ReplaceAll(c.text, "LINE", line); err == nil || err.Error() != want {
			t.Errorf("%s: %v is not %q", name, err, want)
		}
	}
}

func TestAWrappedFailureKeepsItsKindAndGetsTheWholeText(t *testing.T) {
	flow := flowtest.New(t, func(flow *faasflow.Workflow, _ *faasflow.Context) error {
		flow.SyncNode().Modify(func([]byte) ([]byte, error) {
			return nil, fmt.Errorf("order 7: %w", faasflow.RejectWithStatus(404, "there is no such order"))
		})
		return nil
	})
	_, err := flow.Modify("sync/0", "")
	var failure *faasflow.Failure
	if !errors.As(err, &failure) || failure.Status() != 404 || err.Error() != "order 7: there is no such order" {
		t.Error(err)
	}
}

func TestDataThatIsNotJSONOfTheTypeIsRejected(t *testing.T) {
	flow := flowtest.New(t, func(flow *faasflow.Workflow, _ *faasflow.Context) error {
		flow.SyncNode().Modify(faasflow.JSON(func(order struct{ Total int }) (any, error) { return func() {}, nil }))
		return nil
	})
	for data, want := range map[string]string{
		`{ "Total": "many" }`: "the data is not JSON of the type struct { Total int }: json: cannot unmarshal string into Go struct field .Total of type int",
		`{ "Total": 1 }`:      "the result cannot be represented in JSON: json: unsupported type: func()",
	} {
		if _, err := flow.Modify("sync/0", data); err == nil || err.Error() != want {
			t.Error(err)
		}
	}
}
