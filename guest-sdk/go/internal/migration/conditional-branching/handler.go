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
			return []string{"c1", "c2"}
		},
		faasflow.Aggregator(func(data map[string][]byte) ([]byte, error) {
			return []byte("[c1=" + string(data["c1"]) + ", c2=" + string(data["c2"]) + "]"), nil
		}),
	)

	c1 := conditionalDags["c1"]
	foreachDag := c1.ForEachBranch("F",
		func(data []byte) map[string][]byte {
			return map[string][]byte{"f1": data, "f2": data}
		},
		faasflow.Aggregator(func(data map[string][]byte) ([]byte, error) {
			return []byte("[f1=" + string(data["f1"]) + ", f2=" + string(data["f2"]) + "]"), nil
		}),
	)
	foreachDag.Node("n1").Modify(func(data []byte) ([]byte, error) {
		return []byte(string(data) + " F/n1"), nil
	})
	c1ConditionalDags := c1.ConditionalBranch("X",
		[]string{"x1", "x2", "x3"}, // possible conditions
		func(data []byte) []string {
			return []string{"x2", "x3"}
		},
		faasflow.Aggregator(func(data map[string][]byte) ([]byte, error) {
			return []byte("[x2=" + string(data["x2"]) + ", x3=" + string(data["x3"]) + "]"), nil
		}),
	)
	c1ConditionalDags["x1"].Node("n1").Modify(func(data []byte) ([]byte, error) {
		return []byte(string(data) + " x1/n1"), nil
	})
	c1ConditionalDags["x2"].Node("n1").Apply("func1")
	c1ConditionalDags["x2"].Node("n2").Modify(func(data []byte) ([]byte, error) {
		return []byte(string(data) + " x2/n2"), nil
	})
	c1ConditionalDags["x2"].Edge("n1", "n2")
	c1ConditionalDags["x3"].Node("n1").Apply("func1").Apply("func2")
	c1.Edge("F", "X")

	conditionalDags["c2"].Node("n1").Apply("func1").Modify(func(data []byte) ([]byte, error) {
		return []byte(string(data) + " c2/n1"), nil
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
