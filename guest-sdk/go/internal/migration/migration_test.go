package migration

import (
	"os"
	"slices"
	"strings"
	"testing"

	faasflow "github.com/faas-flow/faas-flow/guest-sdk/go"
	"github.com/faas-flow/faas-flow/guest-sdk/go/flowtest"
	async "github.com/faas-flow/faas-flow/guest-sdk/go/internal/migration/async-chain"
	conditional "github.com/faas-flow/faas-flow/guest-sdk/go/internal/migration/conditional-branching"
	dynamic "github.com/faas-flow/faas-flow/guest-sdk/go/internal/migration/dynamic-branching"
	orders "github.com/faas-flow/faas-flow/guest-sdk/go/internal/migration/orders"
	parallel "github.com/faas-flow/faas-flow/guest-sdk/go/internal/migration/parallel-branching"
	sync "github.com/faas-flow/faas-flow/guest-sdk/go/internal/migration/sync-chain"
)

func TestTheHandlerOfTheGuideIsTheOneThatIsTested(t *testing.T) {
	guide, err := os.ReadFile("../../../../docs/migration.md")
	if os.IsNotExist(err) {
		t.Skip("the guide is in the repository of faas-flow, and not in this module")
	}
	_, block, found := strings.Cut(string(guide), "```go\n")
	handler, _, _ := strings.Cut(block, "```")
	ours, ourErr := os.ReadFile("orders/handler.go")
	if err != nil || ourErr != nil || !found {
		t.Fatal(err, ourErr)
	}
	handler = strings.Replace(handler, "github.com/faasflow/lib/openfaas", "github.com/faas-flow/faas-flow/guest-sdk/go", 1)
	if handler != string(ours) {
		t.Error("orders/handler.go is not the handler of docs/migration.md with another import")
	}
}

func TestTheHandlerOfTheGuideDoesWhatItSays(t *testing.T) {
	flow := flowtest.New(t, orders.Define)
	if got, err := flow.Modify("read/0", "a\nb"); err != nil || got != "a\nb" || flow.Value("orders") != "2" {
		t.Error(got, err)
	}
	for orders, want := range map[int]string{2: "single", 11: "bulk"} {
		flow.Set("orders", orders)
		if keys, err := flow.Condition("how/condition", ""); err != nil || !slices.Equal(keys, []string{want}) {
			t.Error(keys, err)
		}
	}
	if got, err := flow.Recover("(failure)", "late"); err != nil || got != "no order was taken" {
		t.Error(got, err)
	}
	if got, err := flow.Recover("notify/0/recover", "late"); err != nil || got != "not notified" {
		t.Error(got, err)
	}
}

func TestAFunctionOfFinallyMayHaveAnyBody(t *testing.T) {
	if err := flowtest.New(t, async.Define).Finally("success"); err != nil {
		t.Error(err)
	}
}

// The results are those that tests/e2e/tests/e2e/go.rs expects of the modules on the host.
func TestWholeFlowsGiveTheResultsOfTheHost(t *testing.T) {
	echo := func(call *flowtest.Call) flowtest.Answer { return flowtest.Answer{Body: string(call.Body)} }
	x := "[f1=hi n1 F/n1, f2=hi n1 F/n1]"
	for result, define := range map[string]func(*faasflow.Workflow, *faasflow.Context) error{
		`you said "hi"`:         sync.Define,
		"n2=hi n1, n3=hi n1 n3": parallel.Define,
		"c1=f1=hi n1 F/n1, f2=hi n1 F/n1, c2=hi n1 c2/n1":         dynamic.Define,
		"[c1=[x2=" + x + " x2/n2, x3=" + x + "], c2=hi n1 c2/n1]": conditional.Define,
	} {
		run := flowtest.Run(t, define, "hi")
		for _, name := range []string{"func1", "func2", "fake-storage"} {
			run.Function(name, echo)
		}
		if got := run.Result(); got != result {
			t.Errorf("%q, and not %q", got, result)
		}
	}
	chain := flowtest.Run(t, async.Define, "hi").Function("func1", echo).Function("func2", echo).Function("fake-storage", echo)
	if got := chain.Result(); got != `you said "hi"` {
		t.Error(got)
	}
	nobody := func(*flowtest.Call) flowtest.Answer { return flowtest.Answer{Err: os.ErrDeadlineExceeded} }
	order := flowtest.Run(t, orders.Define, "hat\nscarf").Function("price", echo).Function("ship-parcel", echo)
	if got := order.Function("http://hooks.example", nobody).Result(); got != "not notified" || order.Value("orders") != "2" {
		t.Error(got, order.Value("orders"))
	}
}
