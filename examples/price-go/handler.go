// Prices one line of a basket: asks a function what the item costs, and takes off a tenth from ten of them on.
package main

import (
	"encoding/json"

	faasflow "github.com/faas-flow/faas-flow/guest-sdk/go"
)

type line struct {
	Item  string `json:"item"`
	Count int64  `json:"count"`
	Cents int64  `json:"cents"`
}

// Define describes the flow.
func Define(flow *faasflow.Workflow, context *faasflow.Context) error {
	flow.Dag().Node("price").Modify(func(data []byte) ([]byte, error) {
		if _, err := read(data); err != nil {
			return nil, err
		}
		return data, context.Set("line", data)
	}).Apply("stock").Modify(func(data []byte) ([]byte, error) {
		var found line
		if err := json.Unmarshal(data, &found); err != nil {
			return nil, faasflow.Reject("the stock does not answer with JSON: %v", err)
		}
		asked, err := read(context.GetBytes("line"))
		if err != nil {
			return nil, err
		}
		asked.Cents = found.Cents * asked.Count
		if asked.Count >= 10 {
			asked.Cents -= asked.Cents / 10
		}
		if err := context.SetContentType("application/json"); err != nil {
			return nil, err
		}
		return json.Marshal(asked)
	})
	return nil
}

func read(data []byte) (line, error) {
	var asked line
	if err := json.Unmarshal(data, &asked); err != nil || asked.Item == "" || asked.Count < 1 {
		return line{}, faasflow.Reject(`send an item and its count, such as {"item":"hats","count":3}`)
	}
	return asked, nil
}

func init() { faasflow.Register(Define) }

func main() {}
