package function

import (
	faasflow "github.com/faas-flow/faas-flow/guest-sdk/go"
)

// Define provides the definition of the workflow
func Define(flow *faasflow.Workflow, context *faasflow.Context) (err error) {
	dag := flow.Dag()
	dag.Node("n1").Modify(func(data []byte) ([]byte, error) {
		return []byte(string(data) + " n1"), nil
	})
	dag.Node("n2").Apply("func1")
	dag.Node("n3").Apply("func2").Modify(func(data []byte) ([]byte, error) {
		return []byte(string(data) + " n3"), nil
	})
	dag.Node("n4", faasflow.Aggregator(func(data map[string][]byte) ([]byte, error) {
		return []byte("n2=" + string(data["n2"]) + ", n3=" + string(data["n3"])), nil
	})).Apply("fake-storage")

	dag.Edge("n1", "n2")
	dag.Edge("n1", "n3")
	dag.Edge("n2", "n4")
	dag.Edge("n3", "n4")
	return
}

// OverrideStateStore provides the override of the default StateStore
func OverrideStateStore() (faasflow.StateStore, error) {
	return nil, nil
}

// OverrideDataStore provides the override of the default DataStore
func OverrideDataStore() (faasflow.DataStore, error) {
	return nil, nil
}
