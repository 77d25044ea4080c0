package function

import (
	"log"

	faasflow "github.com/faas-flow/faas-flow/guest-sdk/go"
)

// Define provides the definition of the workflow
func Define(flow *faasflow.Workflow, context *faasflow.Context) (err error) {
	dag := flow.Dag()
	dag.Node("n1").Apply("func1")
	dag.Node("n2").Apply("func2").
		Modify(func(data []byte) ([]byte, error) {
			return []byte("you said \"" + string(data) + "\""), nil
		})
	dag.Node("n3").Apply("fake-storage")
	dag.Edge("n1", "n2")
	dag.Edge("n2", "n3")
	flow.Finally(func(state string) {
		log.Printf("the chain ended: %s", state)
	})
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
