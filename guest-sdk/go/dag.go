package faasflow

// Dag is nodes, and the edges between them.
//
// A dag has one start (a node without incoming edges) and no cycles. Its result is the output of its end (the node
// without outgoing edges). A dag with several ends yields nothing, unless [Dag.AggregateEnds] merges their outputs.
type Dag struct {
	nodes        []nodeModel
	edges        []edgeModel
	inputs       []inputsModel
	ends         aggregateFunc
	recoverNodes []recoverModel
	recover      recoverFunc
}

type (
	aggregateFunc = func(Inputs) ([]byte, error)
	recoverFunc   = func(*Failed) ([]byte, error)
)

// nodeModel is a node of any kind: exactly one of its pointers is set.
type nodeModel struct {
	id       string
	node     *Node
	sub      *Dag
	branches *branchesModel
	repeat   *repeatModel
}

type edgeModel struct {
	from, to string
	nothing  bool
	forward  Modifier
}

type inputsModel struct {
	node string
	run  aggregateFunc
}

type recoverModel struct {
	node string
	run  recoverFunc
}

// branchesModel is a condition, if it has choose, or a for-each, if it has split.
type branchesModel struct {
	choose  func([]byte) ([]string, error)
	split   func([]byte) ([]Item, error)
	keys    []string
	dags    map[string]*Dag
	options branchOptions
}

type repeatModel struct {
	again   func(data []byte, round int) (bool, error)
	dag     *Dag
	options branchOptions
}

// NewDag makes a dag without nodes, to become a sub-dag, a part of another dag, or the whole flow.
func NewDag() *Dag { return &Dag{} }

// Node adds a node that runs operations one after the other, each on the output of the one before. A node without
// operations passes its input on. If the dag has such a node with this id, that one is returned.
//
// Node ids, of this and all other kinds, are unique within their dag and have 1 to 64 characters of "A-Z a-z 0-9 _ . -".
//
// An [Aggregator] merges the inputs of the node. Without one, a node with one incoming data edge gets what that edge
// carries. A node with several gets empty data, and finds its inputs in [Context.Inputs].
func (d *Dag) Node(id string, options ...BranchOption) *Node {
	d.check("Node")
	node := d.existing(id)
	if node == nil {
		node = &Node{dag: d, id: id}
		d.nodes = append(d.nodes, nodeModel{id: id, node: node})
	}
	if o := collect(ofNode, options); o.aggregator != nil {
		d.AggregateInputs(id, o.aggregator)
	}
	return node
}

func (d *Dag) existing(id string) *Node {
	for _, model := range d.nodes {
		if model.id == id && model.node != nil {
			return model.node
		}
	}
	return nil
}

// SubDag adds a node that runs a whole dag. The start of that dag gets the node's input, and its result is the node's
// output.
func (d *Dag) SubDag(id string, dag *Dag) {
	d.check("SubDag")
	dag.check("SubDag")
	d.nodes = append(d.nodes, nodeModel{id: id, sub: dag})
}

// Append copies the nodes, edges, input aggregators and recover functions of nodes that another dag has now into this
// one. What is added to the other dag later is not copied.
func (d *Dag) Append(dag *Dag) {
	d.check("Append")
	dag.check("Append")
	d.nodes = append(d.nodes, dag.nodes...)
	d.edges = append(d.edges, dag.edges...)
	d.inputs = append(d.inputs, dag.inputs...)
	d.recoverNodes = append(d.recoverNodes, dag.recoverNodes...)
}

// Edge adds an edge: to runs after from, and gets its output, unless [Execution] or [Forwarder] says otherwise. The two
// nodes may be added before or after the edge.
func (d *Dag) Edge(from, to string, options ...BranchOption) {
	d.check("Edge")
	o := collect(ofEdge, options)
	d.edges = append(d.edges, edgeModel{from: from, to: to, nothing: o.nothing, forward: o.forward})
}

// ForEachBranch adds a node that runs one dag once for each item, and returns that dag. The function gets the node's
// input and splits it into items. There may be none.
//
// A map has no order, so its items run in the order of their keys: numbers by their value, before all other keys, which
// are ordered by their bytes. [Dag.ForEach] lets the function choose the order.
//
// Without an [Aggregator] or a function for [Gather], the node yields nothing. [Execution], [MaxParallel], [Tolerate]
// and [TolerateShare] apply as well.
func (d *Dag) ForEachBranch(id string, split func(data []byte) map[string][]byte, options ...BranchOption) *Dag {
	must(split != nil, "ForEachBranch of node %q needs a function, and got nil", id)
	return d.ForEach(id, func(data []byte) ([]Item, error) { return ordered(split(data)), nil }, options...)
}

// ForEach does what [Dag.ForEachBranch] does, with items in an order that the function chooses, and with an error. Each
// key has 1 to 128 bytes and is unique among the items.
func (d *Dag) ForEach(id string, split func(data []byte) ([]Item, error), options ...BranchOption) *Dag {
	d.check("ForEach")
	must(split != nil, "ForEach of node %q needs a function, and got nil", id)
	each := NewDag()
	model := &branchesModel{split: split, keys: []string{""}, dags: map[string]*Dag{"": each}}
	model.options = collect(ofForEach, options)
	d.nodes = append(d.nodes, nodeModel{id: id, branches: model})
	return each
}

// ConditionalBranch adds a node that runs some of its branches, and returns their dags by their keys. The function gets
// the node's input and returns the keys of the branches to run: at least one, each at most once.
//
// Without an [Aggregator], a condition that chose exactly one branch yields the result of that branch, and a condition
// that chose several yields nothing. [Execution] and [MaxParallel] apply as well.
func (d *Dag) ConditionalBranch(id string, keys []string, choose func(data []byte) []string, options ...BranchOption) map[string]*Dag {
	must(choose != nil, "ConditionalBranch of node %q needs a function, and got nil", id)
	return d.Condition(id, keys, func(data []byte) ([]string, error) { return choose(data), nil }, options...)
}

// Condition does what [Dag.ConditionalBranch] does, with a function that may fail.
func (d *Dag) Condition(id string, keys []string, choose func(data []byte) ([]string, error), options ...BranchOption) map[string]*Dag {
	d.check("Condition")
	must(choose != nil, "Condition of node %q needs a function, and got nil", id)
	model := &branchesModel{choose: choose, keys: keys, dags: make(map[string]*Dag, len(keys))}
	for _, key := range keys {
		model.dags[key] = NewDag()
	}
	model.options = collect(ofCondition, options)
	d.nodes = append(d.nodes, nodeModel{id: id, branches: model})
	return model.dags
}

// Repeat adds a node that runs a dag again on its own result while the function says so, and returns that dag.
//
// Each time that the dag runs is a round. The first one begins with the node's input, each further one with the result
// of the one before. After each round the function gets the result and the number of the round, from 1, and says whether
// there is another one. If there is none, the result is the node's output.
//
// There are at most 100 rounds, or as many as [Most] allows. If the function wants another one after the last, the node
// fails. [Wait] sets a wait between rounds.
func (d *Dag) Repeat(id string, again func(data []byte, round int) (bool, error), options ...BranchOption) *Dag {
	d.check("Repeat")
	must(again != nil, "Repeat of node %q needs a function, and got nil", id)
	model := &repeatModel{again: again, dag: NewDag(), options: collect(ofRepeat, options)}
	d.nodes = append(d.nodes, nodeModel{id: id, repeat: model})
	return model.dag
}

// AggregateInputs merges the inputs of a node of any kind, named by predecessor in the order of the edges. For a node
// that runs operations, [Dag.Node] takes an [Aggregator].
func (d *Dag) AggregateInputs(node string, aggregator func(inputs Inputs) ([]byte, error)) {
	d.check("AggregateInputs")
	must(aggregator != nil, "AggregateInputs of node %q needs a function, and got nil", node)
	d.inputs = append(d.inputs, inputsModel{node, aggregator})
}

// AggregateEnds merges the outputs of this dag's ends into its result, named by node id in the order in which the nodes
// were added.
func (d *Dag) AggregateEnds(aggregator func(outputs Inputs) ([]byte, error)) {
	d.check("AggregateEnds")
	must(aggregator != nil, "AggregateEnds needs a function, and got nil")
	d.ends = aggregator
}

// RecoverNode catches the failure of a node of any kind, or of what is inside it, after all its retries. What the
// function returns is the node's output. If it fails, so does the node. [Node.RecoverFrom] is the short form for nodes
// that run operations.
//
// What the node had begun is cancelled: calls in flight are cut off, and runs that were called are stopped.
func (d *Dag) RecoverNode(node string, handler func(failed *Failed) ([]byte, error)) {
	d.check("RecoverNode")
	must(handler != nil, "RecoverNode of node %q needs a function, and got nil", node)
	d.recoverNodes = append(d.recoverNodes, recoverModel{node, handler})
}

// RecoverFrom catches failures in this dag that were not caught further inside. The dag may be the outermost one, a sub-dag, a
// branch of a condition or that of a for-each. What the function returns is the result of the dag. If it fails, so
// does the dag.
func (d *Dag) RecoverFrom(handler func(failed *Failed) ([]byte, error)) {
	d.check("RecoverFrom")
	must(handler != nil, "RecoverFrom needs a function, and got nil")
	d.recover = handler
}

// check refuses a dag that is not there, such as a branch whose key is misspelt.
func (d *Dag) check(method string) {
	must(d != nil, "%s was called with a dag that is nil: ConditionalBranch returns dags only for the keys that it got", method)
}
