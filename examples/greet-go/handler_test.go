package main

import (
	"testing"

	"github.com/faas-flow/faas-flow/guest-sdk/go/flowtest"
)

func TestGreetsByName(t *testing.T) {
	flow := flowtest.New(t, Define)
	if got, err := flow.Modify("greet/0", " Adam\n"); err != nil || got != "Hello, Adam!" {
		t.Error(got, err)
	}
}

func TestEmptyNamesAndInvalidUTF8AreRejected(t *testing.T) {
	flow := flowtest.New(t, Define)
	for _, bad := range []string{" ", "\xff"} {
		if got, err := flow.Modify("greet/0", bad); err == nil {
			t.Errorf("%q: %q", bad, got)
		}
	}
}
