package flowtest

import (
	"encoding/json"
	"strings"
)

// The definition of a flow, as the host gets it.

type model struct {
	Dag         *dagModel `json:"dag"`
	OnFailure   string    `json:"on-failure"`
	Finally     string    `json:"finally"`
	DeadlineMs  uint64    `json:"deadline-ms"`
	OnExhausted string    `json:"on-exhausted"`
}

type dagModel struct {
	Nodes           []*nodeModel `json:"nodes"`
	Edges           []edgeModel  `json:"edges"`
	AggregateInputs []struct {
		Node       string `json:"node"`
		Aggregator string `json:"aggregator"`
	} `json:"aggregate-inputs"`
	AggregateEnds string `json:"aggregate-ends"`
	RecoverNodes  []struct {
		Node    string `json:"node"`
		Recover string `json:"recover"`
	} `json:"recover-nodes"`
	Recover string `json:"recover"`
}

type edgeModel struct {
	From    string          `json:"from"`
	To      string          `json:"to"`
	Carries json.RawMessage `json:"carries"`
}

// forwarded is the forwarder of an edge, if it has one, and whether the edge carries nothing.
func (e *edgeModel) forwarded() (forwarder string, nothing bool) {
	var carries struct {
		Forwarded string `json:"forwarded"`
	}
	if json.Unmarshal(e.Carries, &carries) == nil {
		return carries.Forwarded, false
	}
	return "", string(e.Carries) == `"nothing"`
}

type nodeModel struct {
	ID         string           `json:"id"`
	Operations *operationsModel `json:"operations"`
	SubDag     *dagModel        `json:"sub-dag"`
	Condition  *branchesModel   `json:"condition"`
	ForEach    *branchesModel   `json:"for-each"`
	Repeat     *repeatModel     `json:"repeat"`
}

type operationsModel struct {
	List      []operationModel `json:"list"`
	Retry     *backoffModel    `json:"retry"`
	TimeoutMs uint64           `json:"timeout-ms"`
	Limit     *limitModel      `json:"limit"`
}

type operationModel struct {
	Apply      *callModel `json:"apply"`
	Request    *callModel `json:"request"`
	Modify     string     `json:"modify"`
	Sleep      *uint64    `json:"sleep"`
	SleepUntil string     `json:"sleep-until"`
	WaitFor    *waitModel `json:"wait-for"`
}

type callModel struct {
	Target       string        `json:"target"`
	Method       string        `json:"method"`
	Headers      [][2]string   `json:"headers"`
	Query        [][2]string   `json:"query"`
	Prepare      string        `json:"prepare"`
	Receive      string        `json:"receive"`
	Recover      string        `json:"recover"`
	RecoverFrom  string        `json:"recover-from"`
	Retry        *backoffModel `json:"retry"`
	RetryOn      []int         `json:"retry-on"`
	TimeoutMs    uint64        `json:"timeout-ms"`
	Asynchronous bool          `json:"asynchronous"`
	Limit        *limitModel   `json:"limit"`
}

type waitModel struct {
	Signal struct {
		Named   string `json:"named"`
		Handler string `json:"handler"`
	} `json:"signal"`
	TimeoutMs   uint64 `json:"timeout-ms"`
	RecoverFrom string `json:"recover-from"`
}

type backoffModel struct {
	Attempts     int     `json:"attempts"`
	FirstDelayMs float64 `json:"first-delay-ms"`
	Factor       float64 `json:"factor"`
	MaxDelayMs   float64 `json:"max-delay-ms"`
}

type limitModel struct {
	Key string `json:"key"`
}

type branchesModel struct {
	Handler string `json:"handler"`
	Dags    []struct {
		Key string    `json:"key"`
		Dag *dagModel `json:"dag"`
	} `json:"dags"`
	Aggregator     string `json:"aggregator"`
	CarriesNothing bool   `json:"carries-nothing"`
	MaxParallel    int    `json:"max-parallel"`
	Tolerate       struct {
		Items int     `json:"items"`
		Share float64 `json:"share"`
	} `json:"tolerate"`
	Gather string `json:"gather"`
}

type repeatModel struct {
	Handler string    `json:"handler"`
	Dag     *dagModel `json:"dag"`
	Most    int       `json:"most"`
	WaitMs  uint64    `json:"wait-ms"`
}

func (d *dagModel) aggregatorOf(node string) string {
	for _, entry := range d.AggregateInputs {
		if entry.Node == node {
			return entry.Aggregator
		}
	}
	return ""
}

func (d *dagModel) recoverOf(node string) string {
	for _, entry := range d.RecoverNodes {
		if entry.Node == node {
			return entry.Recover
		}
	}
	return ""
}

// ends are the nodes without outgoing edges, in the order in which they were declared.
func (d *dagModel) ends() (ends []string) {
	goesOn := map[string]bool{}
	for _, edge := range d.Edges {
		goesOn[edge.From] = true
	}
	for _, node := range d.Nodes {
		if !goesOn[node.ID] {
			ends = append(ends, node.ID)
		}
	}
	return ends
}

// incoming are the edges that lead to each node. A dag that the host would not accept has no run.
func (d *dagModel) incoming(scope string) map[string][]edgeModel {
	const all = "\"faas-flow check\" reports all problems of the flow"
	incoming := map[string][]edgeModel{}
	where := "the flow"
	if scope != "" {
		where = "the dag of `" + strings.TrimSuffix(scope, "/") + "`"
	}
	for _, node := range d.Nodes {
		if _, isKnown := incoming[node.ID]; isKnown {
			stop("%s has two nodes `%s`; %s", where, node.ID, all)
		}
		incoming[node.ID] = nil
	}
	for _, edge := range d.Edges {
		for _, id := range []string{edge.From, edge.To} {
			if _, isKnown := incoming[id]; !isKnown {
				stop("%s has an edge from `%s` to `%s`, but no node `%s`; %s", where, edge.From, edge.To, id, all)
			}
		}
		incoming[edge.To] = append(incoming[edge.To], edge)
	}
	var starts []string
	for _, node := range d.Nodes {
		if len(incoming[node.ID]) == 0 {
			starts = append(starts, node.ID)
		}
	}
	switch {
	case len(d.Nodes) == 0:
		stop("%s has no nodes; %s", where, all)
	case len(starts) == 0:
		stop("the nodes of %s wait for each other; %s", where, all)
	case len(starts) > 1:
		stop("%s has several starts, `%s`: add edges, so that there is one; %s", where, strings.Join(starts, "`, `"), all)
	}
	return incoming
}

// awaited are the names of the signals for which the flow waits, and whether its functions choose others.
func (d *dagModel) awaited(names map[string]bool) (isOpen bool) {
	for _, node := range d.Nodes {
		var inner []*dagModel
		switch {
		case node.Operations != nil:
			for _, operation := range node.Operations.List {
				if wait := operation.WaitFor; wait != nil && wait.Signal.Handler != "" {
					isOpen = true
				} else if wait != nil {
					names[wait.Signal.Named] = true
				}
			}
		case node.SubDag != nil:
			inner = append(inner, node.SubDag)
		case node.Repeat != nil:
			inner = append(inner, node.Repeat.Dag)
		default:
			branches := node.ForEach
			if node.Condition != nil {
				branches = node.Condition
			}
			for _, branch := range branches.Dags {
				inner = append(inner, branch.Dag)
			}
		}
		for _, dag := range inner {
			isOpen = dag.awaited(names) || isOpen
		}
	}
	return isOpen
}
