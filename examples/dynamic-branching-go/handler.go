// Branches that are chosen at run time: a condition, with a for-each in one of its branches.
package main

import (
	"slices"

	faasflow "github.com/faas-flow/faas-flow/guest-sdk/go"
)

// Define describes the flow.
func Define(flow *faasflow.Workflow, context *faasflow.Context) error {
	dag := flow.Dag()
	dag.Node("n1").Modify(appending(" n1"))

	branches := dag.ConditionalBranch("C", []string{"c1", "c2"}, func(data []byte) []string {
		return []string{"c1", "c2"}
	}, faasflow.Aggregator(join))
	items := branches["c1"].ForEachBranch("F", func(data []byte) map[string][]byte {
		return map[string][]byte{"f1": data, "f2": data}
	}, faasflow.Aggregator(join))
	items.Node("n1").Modify(appending(" F/n1"))
	branches["c2"].Node("n1").Apply("func1").Modify(appending(" c2/n1"))

	dag.Node("n2").Apply("fake-storage")
	dag.Edge("n1", "C")
	dag.Edge("C", "n2")
	return nil
}

func appending(suffix string) faasflow.Modifier {
	return func(data []byte) ([]byte, error) { return append(data, suffix...), nil }
}

// join joins results as "key=data, key=data", in their order.
func join(results faasflow.Inputs) ([]byte, error) {
	parts := slices.Clone(results)
	for i, part := range parts {
		parts[i].Data = slices.Concat([]byte(part.Key+"="), part.Data)
	}
	return parts.Join(", "), nil
}

func init() { faasflow.Register(Define) }

func main() {}
