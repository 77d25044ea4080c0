package function

import (
	faasflow "github.com/faas-flow/faas-flow/guest-sdk/go"
)

// Define provides the definition of the workflow
func Define(flow *faasflow.Workflow, context *faasflow.Context) (err error) {
	flow.SyncNode().Apply("func1").Apply("func2").
		Modify(func(data []byte) ([]byte, error) {
			return []byte("you said \"" + string(data) + "\""), nil
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
