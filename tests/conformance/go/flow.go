// The conformance flow in Go: the query parameter "case" selects a case. The flows in the other languages have the same
// cases, in files of the same names.
package main

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	faasflow "github.com/faas-flow/faas-flow/guest-sdk/go"
)

func init() { faasflow.Register(Define) }

func main() {}

// Define describes the case that the request selects.
func Define(flow *faasflow.Workflow, context *faasflow.Context) error {
	name := context.Query.Get("case")
	if name == "" {
		// The host asks for a definition without a request when it loads the module.
		flow.Dag().Node("n")
		return nil
	}
	for _, define := range []func(string, *faasflow.Workflow, *faasflow.Context) bool{constructs, calls, contexts, failures, data} {
		if define(name, flow, context) {
			return nil
		}
	}
	return faasflow.Reject("there is no case %q", name)
}

// add adds a text to the data.
func add(text string) faasflow.Modifier {
	return func(data []byte) ([]byte, error) { return slices.Concat(data, []byte(text)), nil }
}

// join makes "[a=1, b=2]".
func join(inputs faasflow.Inputs) ([]byte, error) {
	var parts [][]byte
	for _, input := range inputs {
		parts = append(parts, slices.Concat([]byte(input.Key), []byte("="), input.Data))
	}
	return slices.Concat([]byte("["), bytes.Join(parts, []byte(", ")), []byte("]")), nil
}

// words makes an item of each word, with the word as its key.
func words(data []byte) ([]faasflow.Item, error) {
	var items []faasflow.Item
	for _, word := range strings.Fields(string(data)) {
		items = append(items, item(word, []byte(word)))
	}
	return items, nil
}

func item(key string, data []byte) faasflow.Item { return faasflow.Item{Key: key, Data: data} }

// refuse rejects the data.
func refuse(data []byte) ([]byte, error) { return nil, faasflow.Reject("no %s", data) }

// picky rejects data that begins with "bad".
func picky(data []byte) ([]byte, error) {
	if bytes.HasPrefix(data, []byte("bad")) {
		return refuse(data)
	}
	return data, nil
}

// shown is all that is known of a failure.
func shown(f *faasflow.Failed) ([]byte, error) {
	status, body := "none", "none"
	if f.Status != 0 {
		status = strconv.Itoa(f.Status)
	}
	if f.Body != nil {
		body = string(f.Body)
	}
	return fmt.Appendf(nil, "%s %s at %s, tries %d, status %s, input %s, body %s: %s",
		f.Code, f.Kind, f.Path, f.Tries, status, f.Input, body, f.Message), nil
}
