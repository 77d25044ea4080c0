package main

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/faas-flow/faas-flow/guest-sdk/go/flowtest"
)

// The other languages have the same definitions.
func TestEachCaseHasTheDefinitionThatWasRecorded(t *testing.T) {
	text, err := os.ReadFile("../definitions.json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded map[string]any
	if err := json.Unmarshal(text, &recorded); err != nil {
		t.Fatal(err)
	}
	for name, expected := range recorded {
		fake := &flowtest.Fake{
			Query:  map[string][]string{"case": {name}, "id": {"seven"}},
			Header: map[string][]string{"X-Times": {"90"}},
		}
		var found any
		if err := json.Unmarshal(flowtest.With(t, fake, Define).Definition(), &found); err != nil {
			t.Fatal(err)
		}
		one, _ := json.Marshal(expected)
		if other, _ := json.Marshal(found); !bytes.Equal(one, other) {
			t.Errorf("%s:\n- %s\n+ %s", name, one, other)
		}
	}
}
