package main

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	faasflow "github.com/faas-flow/faas-flow/guest-sdk/go"
)

// data has what data may be: unicode, all bytes, nothing, much, and many.
func data(name string, flow *faasflow.Workflow, context *faasflow.Context) bool {
	dag := flow.Dag()
	switch name {
	case "unicode":
		dag.Node("n").Modify(add(" ü 😀 e\u0301 \ufffd")).Apply("echo").Modify(func(data []byte) ([]byte, error) {
			context.Info("logged: ü 😀")
			return nil, context.Set("ü 😀", data)
		})
		dag.Node("m").Modify(func([]byte) ([]byte, error) { return context.GetBytes("ü 😀"), nil })
		dag.Edge("n", "m")
	case "unicode-keys":
		for _, way := range dag.Condition("C", []string{"ü", "😀", "a/b %[]", "plain"}, itself) {
			way.Node("n").Modify(func(data []byte) ([]byte, error) { return fmt.Appendf(nil, "%s %s", data, context.GetNode()), nil })
		}
	case "unicode-items":
		node := func([]byte) ([]byte, error) { return []byte(context.GetNode()), nil }
		dag.ForEach("F", words, faasflow.Aggregator(join)).Node("n").Modify(node)
	case "long-ids":
		// The ids of functions would be longer than they may be.
		node, key := strings.Repeat("n", 64), strings.Repeat("ü", 64)
		ways := dag.Condition(node, []string{key}, always(key), faasflow.Aggregator(join))
		ways[key].Node(node).Apply("echo", faasflow.Receive(body)).Modify(add(" n"))
	case "binary", "empty":
		throughAll(dag, context)
	case "large":
		dag.Node("make").Modify(func(data []byte) ([]byte, error) { return bytes.Repeat(data, 16*1024*1024/max(len(data), 1)), nil })
		dag.Node("call").Apply("echo").Modify(add("!"))
		dag.Node("sum").Modify(digest)
		dag.Edge("make", "call")
		dag.Edge("call", "sum")
	case "thousand-items":
		thousand := func([]byte) (items []faasflow.Item, err error) {
			for n := range 1000 {
				items = append(items, item("k"+strconv.Itoa(n), []byte(strconv.Itoa(n))))
			}
			return items, nil
		}
		merged := func(results faasflow.Inputs) ([]byte, error) {
			all, _ := join(results)
			return digest(all)
		}
		dag.ForEach("F", thousand, faasflow.Aggregator(merged)).Node("n").Modify(add("!"))
	case "deep":
		for range 28 {
			inner := faasflow.NewDag()
			dag.SubDag("S", inner)
			dag = inner
		}
		dag.Node("n").Modify(func(data []byte) ([]byte, error) { return fmt.Appendf(nil, "%s %d", data, len(context.GetNode())), nil })
	case "long-chain":
		for n := range 100 {
			dag.Node("n" + strconv.Itoa(n)).Modify(add("."))
		}
		for n := range 99 {
			dag.Edge("n"+strconv.Itoa(n), "n"+strconv.Itoa(n+1))
		}
	default:
		return false
	}
	return true
}

// throughAll sends data through a call, a value, an item, an edge and an aggregator.
func throughAll(dag *faasflow.Dag, context *faasflow.Context) {
	dag.Node("call").Apply("echo", faasflow.Receive(body))
	dag.Node("set").Modify(func(data []byte) ([]byte, error) { return []byte("none"), context.Set("value", data) })
	one := func([]byte) ([]faasflow.Item, error) {
		return []faasflow.Item{item("only", context.GetBytes("value"))}, nil
	}
	whole := func(results faasflow.Inputs) ([]byte, error) { return results.Join(""), nil }
	dag.ForEach("F", one, faasflow.Aggregator(whole)).Node("n").Modify(func(data []byte) ([]byte, error) { return data, nil })
	dag.Node("forwarded").Modify(digest)
	dag.Edge("call", "set")
	dag.Edge("set", "F")
	dag.Edge("F", "forwarded", faasflow.Forwarder(func(data []byte) []byte {
		reversed := slices.Clone(data)
		slices.Reverse(reversed)
		return reversed
	}))
}

func body(response *faasflow.Response) ([]byte, error) { return response.Body, nil }

// digest is how many bytes there are, and the FNV-1a hash of about a thousand of them.
func digest(data []byte) ([]byte, error) {
	hash := uint32(0x811c9dc5)
	for at := 0; at < len(data); at += len(data)/1000 + 1 {
		hash = (hash ^ uint32(data[at])) * 0x01000193
	}
	return fmt.Appendf(nil, "%d %08x", len(data), hash), nil
}
