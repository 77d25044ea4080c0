package faasflow_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	faasflow "github.com/faas-flow/faas-flow/guest-sdk/go"
)

// everything is a flow that uses all of the builder. It is not a sensible flow.
func everything(flow *faasflow.Workflow, _ *faasflow.Context) error {
	dag := flow.Dag()
	dag.Node("n1").Retry(faasflow.Backoff{Attempts: 3}).Timeout(9 * time.Second).Apply("func1").Modify(same)
	dag.Node("n2").
		Apply("func2/path",
			faasflow.Method("PUT"),
			faasflow.Header("x-a", "1"),
			faasflow.Header("x-a", "2"),
			faasflow.Query("token", "a", "b"),
			faasflow.Timeout(50*time.Millisecond),
			faasflow.Backoff{Attempts: 2, FirstDelay: 5 * time.Millisecond, Factor: 1.5, MaxDelay: time.Second},
			faasflow.RetryOn(404, 503),
			faasflow.Prepare(func(request *faasflow.Request) error {
				request.Method = "PATCH"
				request.Headers.Set("X-Prepared", "yes")
				return nil
			}),
			faasflow.Receive(func(response *faasflow.Response) ([]byte, error) {
				return fmt.Appendf(nil, "%d %s", response.Status, response.Body), nil
			}),
			faasflow.OnFailure(func(failure error) ([]byte, error) { return []byte("recovered: " + failure.Error()), nil }),
		).
		Request("http://example.test/x").
		Modify(faasflow.JSON(func(numbers []int) (int, error) {
			sum := 0
			for _, n := range numbers {
				sum += n
			}
			return sum, nil
		}))
	dag.Edge("n1", "n2", faasflow.Forwarder(func(data []byte) []byte { return append([]byte("f:"), data...) }))
	dag.Edge("n1", "S", faasflow.Execution)

	sub := faasflow.NewDag()
	sub.Node("n1").Modify(same)
	sub.Node("n2")
	sub.Node("n3")
	sub.Edge("n1", "n2")
	sub.Edge("n1", "n3")
	sub.AggregateEnds(join)
	dag.SubDag("S", sub)
	dag.SubDag("S-again", sub)
	dag.Edge("n2", "S-again")

	branches := dag.ConditionalBranch("C", []string{"c1", "a/b"}, func([]byte) []string { return []string{"c1"} },
		faasflow.Aggregator(join))
	branches["c1"].Node("n1").Modify(same).RecoverFrom(func(failed *faasflow.Failed) ([]byte, error) { return failed.Input, nil })
	branches["c1"].RecoverFrom(func(failed *faasflow.Failed) ([]byte, error) { return []byte(failed.Error()), nil })
	branches["a/b"].Node("n1").Modify(same)
	dag.AggregateInputs("C", join)
	dag.Edge("S", "C")
	dag.Edge("S-again", "C")

	items := dag.ForEachBranch("F", func(data []byte) map[string][]byte { return map[string][]byte{"f1": data} },
		faasflow.Execution, faasflow.MaxParallel(4), faasflow.Tolerate(3), faasflow.TolerateShare(0.25),
		faasflow.Gather(func(items []faasflow.Gathered) ([]byte, error) {
			var parts []string
			for _, item := range items {
				parts = append(parts, fmt.Sprintf("%s: %s%v", item.Key, item.Data, item.Failed))
			}
			return []byte(strings.Join(parts, ", ")), nil
		}))
	items.Node("n1").Modify(same)
	items.Node("n2").Apply("func3", faasflow.RecoverFrom(func(failed *faasflow.Failed) ([]byte, error) {
		return []byte(failed.Code), nil
	}))
	items.Edge("n1", "n2")
	dag.RecoverNode("F", func(failed *faasflow.Failed) ([]byte, error) { return fmt.Append(nil, failed.Tries), nil })
	dag.Edge("C", "F")

	rounds := dag.Repeat("R", func(data []byte, round int) (bool, error) { return len(data) == 0 && round < 2, nil },
		faasflow.Most(3), faasflow.Wait(time.Second))
	rounds.Node("n1").Modify(same)
	dag.Edge("F", "R")

	limit := faasflow.Limit{Name: "jobs", Concurrent: 2, PerSecond: 1.5, Key: func(data []byte) (string, error) {
		return string(data), nil
	}}
	dag.Node("L").Apply("f", limit, faasflow.Asynchronous())
	dag.Node("M").Limit(limit)
	dag.Edge("R", "L")
	dag.Edge("L", "M")

	dag.Node("W").Sleep(2*time.Second).
		SleepUntil(func(data []byte) (faasflow.Wake, error) {
			if len(data) == 0 {
				return faasflow.After(5 * time.Millisecond), nil
			}
			return faasflow.At(string(data)), nil
		}).
		WaitFor("paid", faasflow.Timeout(time.Hour), faasflow.RecoverFrom(func(failed *faasflow.Failed) ([]byte, error) {
			return []byte(failed.Kind.String()), nil
		})).
		WaitForNamed(func(data []byte) (string, error) { return "signed-by-" + string(data), nil })
	dag.Edge("M", "W")

	more := faasflow.NewDag()
	more.Node("n4", faasflow.Aggregator(func(results map[string][]byte) ([]byte, error) {
		return slices.Concat(results["n2"], results["W"]), nil
	}))
	more.Edge("n2", "n4")
	more.Edge("W", "n4")
	dag.Append(more)

	flow.OnFailure(func(failure error) ([]byte, error) { return []byte("sorry"), failure })
	flow.Finally(func(string) {})
	flow.Deadline(time.Minute)
	flow.OnExhausted(faasflow.Pause)
	flow.Schedule("nightly", "0 30 2 * * *").TimeZone("Europe/Berlin").
		Missed(faasflow.MissedOne).Overlap(faasflow.OverlapReplace).Input([]byte("{}"), "application/json")
	flow.Schedule("poll", "every 10m").Input([]byte{0xff}, "")
	return nil
}

func same(data []byte) ([]byte, error) { return data, nil }

func join(results faasflow.Inputs) ([]byte, error) { return results.Join(""), nil }
