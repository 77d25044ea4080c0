package function

import (
	"testing"

	"github.com/faas-flow/faas-flow/guest-sdk/go/flowtest"
)

// faas-cli build runs these tests.

func TestGreetsByName(t *testing.T) {
	flow := flowtest.New(t, Define)
	if got, err := flow.Modify("greet/0", "Adam\n"); err != nil || got != "Hello, Adam!" {
		t.Error(got, err)
	}
}

func TestAnEmptyNameIsRejected(t *testing.T) {
	if got, err := flowtest.New(t, Define).Modify("greet/0", " "); err == nil {
		t.Error(got)
	}
}
