package function

import (
	"fmt"
	"strings"

	faasflow "github.com/faas-flow/faas-flow/guest-sdk/go"
)

func Define(flow *faasflow.Workflow, context *faasflow.Context) (err error) {
	dag := flow.Dag()
	dag.Node("read").Modify(func(data []byte) ([]byte, error) {
		context.Set("orders", strings.Count(string(data), "\n")+1)
		return data, nil
	})
	items := dag.ForEachBranch("each", func(data []byte) map[string][]byte {
		items := make(map[string][]byte)
		for i, line := range strings.Split(string(data), "\n") {
			items[fmt.Sprintf("%d", i)] = []byte(line)
		}
		return items
	}, faasflow.Aggregator(func(results map[string][]byte) ([]byte, error) {
		all := []byte{}
		for _, result := range results {
			all = append(append(all, result...), '\n')
		}
		return all, nil
	}))
	items.Node("price").Apply("price", faasflow.Header("X-Currency", "EUR"), faasflow.Query("tax", "19")).
		Modify(func(data []byte) ([]byte, error) { return []byte(strings.TrimSpace(string(data))), nil })

	branches := dag.ConditionalBranch("how", []string{"bulk", "single"}, func(data []byte) []string {
		if context.GetInt("orders") > 10 {
			return []string{"bulk"}
		}
		return []string{"single"}
	}, faasflow.Aggregator(func(results map[string][]byte) ([]byte, error) {
		for _, result := range results {
			return result, nil
		}
		return nil, nil
	}))
	branches["bulk"].Node("ship").Apply("ship-pallet")
	branches["single"].Node("ship").Apply("ship-parcel")

	dag.Node("notify").Request("http://hooks.example/orders", faasflow.OnFailure(func(err error) ([]byte, error) {
		return []byte("not notified"), nil
	}))
	dag.Edge("read", "each")
	dag.Edge("each", "how", faasflow.Forwarder(func(data []byte) []byte { return []byte(strings.ToUpper(string(data))) }))
	dag.Edge("how", "notify", faasflow.Execution)
	flow.OnFailure(func(err error) ([]byte, error) { return []byte("no order was taken"), err })
	flow.Finally(func(state string) { fmt.Println("ended:", state) })
	return nil
}

func OverrideStateStore() (faasflow.StateStore, error) { return nil, nil }
func OverrideDataStore() (faasflow.DataStore, error)   { return nil, nil }
