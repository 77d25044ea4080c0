package migration

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/faas-flow/faas-flow/guest-sdk/go/flowtest"
	async "github.com/faas-flow/faas-flow/guest-sdk/go/internal/migration/async-chain"
	orders "github.com/faas-flow/faas-flow/guest-sdk/go/internal/migration/orders"
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
