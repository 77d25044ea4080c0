package faasflow_test

import (
	"fmt"
	"strings"
	"testing"

	faasflow "github.com/faas-flow/faas-flow/guest-sdk/go"
	"github.com/faas-flow/faas-flow/guest-sdk/go/flowtest"
)

// failingT notes how a test fails.
type failingT struct {
	testing.TB
	failure string
}

func (f *failingT) Helper() {}

func (f *failingT) Fatal(arguments ...any) {
	f.failure = fmt.Sprint(arguments...)
	panic(f)
}

func (f *failingT) Fatalf(format string, arguments ...any) {
	f.Fatal(fmt.Sprintf(format, arguments...))
}

// failure is how a test fails that does this.
func failure(t *testing.T, test func(t testing.TB)) (text string) {
	t.Helper()
	fake := &failingT{TB: t}
	defer func() {
		if recover() != any(fake) {
			t.Error("the test does not fail")
		}
		text = fake.failure
	}()
	test(fake)
	return ""
}

func TestAMistakeOfTheTestFailsItAndSaysWhatToDo(t *testing.T) {
	waits := only(func(dag *faasflow.Dag, _ *faasflow.Context) { dag.Node("n").WaitFor("paid") })
	cycle := only(func(dag *faasflow.Dag, _ *faasflow.Context) {
		dag.Node("a")
		dag.Node("b")
		dag.Node("c")
		dag.Edge("a", "b")
		dag.Edge("b", "c")
		dag.Edge("c", "b")
	})
	for want, test := range map[string]func(t testing.TB){
		"node `charge` calls `charge`, and the test does not say what that answers (it has answers for `ship`, `track`): add .Function(\"charge\", …)": func(t testing.TB) {
			flowtest.Run(t, order, "").Function("ship", echo).Function("track", echo).Result()
		},
		"node `n` waits for the signal `paid`, without a timeout, and none comes: add .Signal(\"paid\", …)": func(t testing.TB) {
			flowtest.Run(t, waits, "").Result()
		},
		"the test sends the signal `payed`, for which the flow never waits: it waits for `paid`": func(t testing.TB) {
			flowtest.Run(t, waits, "").Signal("payed", "").Result()
		},
		"the run has failed: FF0012 at charge: FF0207 at charge: `charge` answered with status 400: no": func(t testing.TB) {
			flowtest.Run(t, order, "7").Answers("charge", status(400, "no")).Result()
		},
		"the run has taken place": func(t testing.TB) {
			run := flowtest.Run(t, waits, "").Signal("paid", "")
			run.Result()
			run.Signal("paid", "")
		},
		"nodes of the flow wait for each other": func(t testing.TB) { flowtest.Run(t, cycle, "").Result() },
		"several starts, `a`, `b`": func(t testing.TB) {
			flowtest.Run(t, only(func(dag *faasflow.Dag, _ *faasflow.Context) { dag.Node("a"); dag.Node("b") }), "").Result()
		},
	} {
		if got := failure(t, test); !strings.Contains(got, want) {
			t.Errorf("%q lacks %q", got, want)
		}
	}
}
