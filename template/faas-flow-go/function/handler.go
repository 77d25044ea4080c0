// Package function is a flow with one node, which runs the flow's own code. Call functions with Apply, and connect nodes
// with Edge. The repository of faas-flow explains the concepts in docs/concepts.md, and Go in docs/languages/go.md.
package function

import (
	"strings"

	faasflow "github.com/faas-flow/faas-flow/guest-sdk/go"
)

// Define describes the flow.
func Define(flow *faasflow.Workflow, context *faasflow.Context) error {
	flow.Dag().Node("greet").Modify(greet)
	return nil
}

func greet(data []byte) ([]byte, error) {
	name := strings.TrimSpace(string(data))
	if name == "" {
		return nil, faasflow.Reject("there is no name to greet: send one as the body")
	}
	return []byte("Hello, " + name + "!"), nil
}
