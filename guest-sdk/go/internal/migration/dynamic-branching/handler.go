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
	conditionalDags := dag.ConditionalBranch("C",
		[]string{"c1", "c2"}, // possible conditions
		func(response []byte) []string {
			// for each returned condition the corresponding branch will execute
			return []string{"c1", "c2"}
		},
		faasflow.Aggregator(func(data map[string][]byte) ([]byte, error) {
			return []byte("c1=" + string(data["c1"]) + ", c2=" + string(data["c2"])), nil
		}),
	)

	conditionalDags["c2"].Node("n1").Apply("func1").Modify(func(data []byte) ([]byte, error) {
		return []byte(string(data) + " c2/n1"), nil
	})
	foreachDag := conditionalDags["c1"].ForEachBranch("F",
		func(data []byte) map[string][]byte {
			// for each returned key in the hashmap a new branch will be executed
			return map[string][]byte{"f1": data, "f2": data}
		},
		faasflow.Aggregator(func(data map[string][]byte) ([]byte, error) {
			return []byte("f1=" + string(data["f1"]) + ", f2=" + string(data["f2"])), nil
		}),
	)
	foreachDag.Node("n1").Modify(func(data []byte) ([]byte, error) {
		return []byte(string(data) + " F/n1"), nil
	})
	dag.Node("n2").Apply("fake-storage")
	dag.Edge("n1", "C")
	dag.Edge("C", "n2")
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
