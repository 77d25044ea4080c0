package main

import (
	"testing"

	"github.com/faas-flow/faas-flow/guest-sdk/go/flowtest"
)

func TestTenAreCheaper(t *testing.T) {
	for asked, want := range map[string]string{
		`{"item":"hats","count":3}`:  `{"item":"hats","count":3,"cents":5850}`,
		`{"item":"hats","count":10}`: `{"item":"hats","count":10,"cents":17550}`,
	} {
		fake := &flowtest.Fake{}
		flow := flowtest.With(t, fake, Define)
		if _, err := flow.Modify("price/0", asked); err != nil {
			t.Fatal(err)
		}
		got, err := flow.Modify("price/2", `{"item":"hats","cents":1950}`)
		if err != nil || got != want || fake.ReturnedContentType != "application/json" {
			t.Error(got, err, fake.ReturnedContentType)
		}
	}
}

func TestALineWithoutACountIsRejected(t *testing.T) {
	flow := flowtest.New(t, Define)
	if got, err := flow.Modify("price/0", `{"item":"hats"}`); err == nil {
		t.Error(got)
	}
}
