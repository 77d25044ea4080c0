// Greets by name. The smallest possible flow: one node with one modifier.
package main

import (
	"strings"
	"unicode/utf8"

	faasflow "github.com/faas-flow/faas-flow/guest-sdk/go"
)

// Define describes the flow.
func Define(flow *faasflow.Workflow, context *faasflow.Context) error {
	flow.Dag().Node("greet").Modify(greet)
	return nil
}

func greet(data []byte) ([]byte, error) {
	if !utf8.Valid(data) {
		return nil, faasflow.Reject("the name is not UTF-8")
	}
	name := strings.TrimSpace(string(data))
	if name == "" {
		return nil, faasflow.Reject("there is no name to greet: send one as the body")
	}
	return []byte("Hello, " + name + "!"), nil
}

func init() { faasflow.Register(Define) }

func main() {}
