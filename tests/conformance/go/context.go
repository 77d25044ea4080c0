package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	faasflow "github.com/faas-flow/faas-flow/guest-sdk/go"
)

// contexts has each function of the context.
func contexts(name string, flow *faasflow.Workflow, context *faasflow.Context) bool {
	dag := flow.Dag()
	switch name {
	case "facts":
		dag.Node("n").Modify(func([]byte) ([]byte, error) {
			query, team := strings.Join(context.Query.All("a b"), ","), strings.Join(context.Header("x-team"), ",")
			return fmt.Appendf(nil, "%s %s %s %s query %s %d header %s %d", context.GetRequestId(), context.Name(),
				context.GetNode(), context.RunState(), query, len(context.Query.All("none")), team, len(context.Header("authorization"))), nil
		})
	case "facts-in-define":
		// The definition itself depends on the request.
		times, _ := strconv.Atoi(strings.Join(context.Header("x-times"), ""))
		dag.Node(context.Query.Get("id")).Sleep(time.Duration(times) * time.Second)
	case "values":
		values(dag, context)
	case "json":
		dag.Node("n").Modify(faasflow.JSON(func(numbers []int) (sum int, err error) {
			for _, number := range numbers {
				sum += number
			}
			return sum, nil
		}))
		dag.Node("m").Modify(func(data []byte) ([]byte, error) {
			return fmt.Appendf(nil, "%s as %s", data, context.ContentType()), nil
		})
		dag.Edge("n", "m")
	case "inputs":
		dag.Node("first")
		for _, side := range []string{"left", "right"} {
			dag.Node(side).Modify(func(data []byte) ([]byte, error) {
				return []byte(string(data) + side), context.SetContentType("text/" + side)
			})
			dag.Edge("first", side)
			dag.Edge(side, "last")
		}
		dag.Edge("first", "last")
		dag.Node("last").Modify(func(data []byte) ([]byte, error) {
			inputs, err := join(context.Inputs())
			return fmt.Appendf(nil, "%d bytes, %s, %s", len(data), inputs, strings.Join(context.ContentTypes(), ", ")), err
		})
	case "content-types":
		dag.Node("n").Modify(func([]byte) ([]byte, error) {
			got := context.ContentType()
			return []byte(got), context.SetContentType("text/html; charset=utf-8")
		})
		dag.Node("m", faasflow.Aggregator(func(inputs faasflow.Inputs) ([]byte, error) {
			types := strings.Join(context.ContentTypes(), ", ")
			merged := fmt.Appendf(nil, "%s|%s|%s", inputs.Join(""), context.ContentType(), types)
			return merged, context.SetContentType("text/csv")
		}))
		dag.Node("last").Modify(func(data []byte) ([]byte, error) { return fmt.Appendf(data, "|%s", context.ContentType()), nil })
		dag.Edge("n", "m")
		dag.Edge("m", "last")
	case "respond":
		dag.Node("n").Modify(func(data []byte) ([]byte, error) {
			return data, context.Respond(201, faasflow.Headers{{"Location", "/orders/7"}, {"X-Order", "7"}})
		})
	case "labels":
		dag.Node("n").Modify(func(data []byte) ([]byte, error) {
			for _, label := range [][2]string{{"order", "41"}, {"order", string(data)}, {"by/n", "ü"}} {
				if err := context.Label(label[0], label[1]); err != nil {
					return nil, err
				}
			}
			return data, nil
		})
	case "signal-url":
		dag.Node("n").Modify(func([]byte) ([]byte, error) {
			week, err := context.SignalURL("approval")
			if err != nil {
				return nil, err
			}
			hour, err := context.SignalURLFor("paid", time.Hour)
			return []byte(cut(week) + " " + cut(hour)), err
		})
	case "log":
		dag.Node("n").Modify(func(data []byte) ([]byte, error) {
			context.Debug("debug " + string(data))
			context.Info("info " + string(data))
			context.Warn("warn " + string(data))
			context.Error("error " + string(data))
			return data, nil
		})
	case "refused-content-type":
		dag.Node("n").Modify(func(data []byte) ([]byte, error) { return data, context.SetContentType("text") })
	case "refused-answer":
		dag.Node("n").Modify(func(data []byte) ([]byte, error) { return data, context.Respond(99, nil) })
	case "refused-label":
		dag.Node("n").Modify(func(data []byte) ([]byte, error) { return data, context.Label("no key", "") })
	case "refused-value":
		dag.Node("n").Modify(func(data []byte) ([]byte, error) { return data, context.Set("", []byte{}) })
	case "refused-signal":
		dag.Node("n").Modify(func([]byte) ([]byte, error) {
			url, err := context.SignalURL("no name")
			return []byte(url), err
		})
	default:
		return false
	}
	return true
}

func values(dag *faasflow.Dag, context *faasflow.Context) {
	dag.Node("set").Modify(func(data []byte) ([]byte, error) {
		for key, value := range map[string][]byte{"kept": data, "empty": {}, "dropped": data} {
			if err := context.Set(key, value); err != nil {
				return nil, err
			}
		}
		return context.GetBytes("kept"), nil
	})
	dag.Node("drop").Modify(func(data []byte) ([]byte, error) {
		if err := context.Del("dropped"); err != nil {
			return nil, err
		}
		return data, context.Del("never")
	})
	dag.Node("get").Modify(func([]byte) ([]byte, error) {
		var shown []string
		for _, key := range []string{"kept", "empty", "dropped", "never"} {
			value, isSet, err := faasflow.Get[[]byte](context, key)
			if err != nil {
				return nil, err
			}
			if isSet {
				shown = append(shown, "<"+string(value)+">")
			} else {
				shown = append(shown, "none")
			}
		}
		return []byte(strings.Join(shown, " ")), nil
	})
	dag.Edge("set", "drop")
	dag.Edge("drop", "get")
}

// cut is an address without what is signed in it.
func cut(url string) string {
	before, _, _ := strings.Cut(url, "?")
	return before
}
