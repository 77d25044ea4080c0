package faasflow

import (
	"runtime"
	"unsafe"

	"github.com/faas-flow/faas-flow/guest-sdk/go/internal/abi"
)

// replay tells the host's builder a recorded definition. The order of the calls is that of the definition.
func replay(workflow int32, d *definition) {
	ids := make([]abi.List, len(d.Handlers))
	for i, id := range d.Handlers {
		ids[i] = abi.KeepText(id)
	}
	abi.WorkflowHandlers(workflow, unsafe.Pointer(unsafe.SliceData(ids)), uint32(len(ids)))
	runtime.KeepAlive(ids)
	say(workflow, d.OnFailure, abi.WorkflowOnFailure)
	say(workflow, d.Finally, abi.WorkflowFinally)
	if d.DeadlineMs != nil {
		abi.WorkflowDeadline(workflow, *d.DeadlineMs)
	}
	if d.OnExhausted != Fail {
		abi.WorkflowOnExhausted(workflow, int32(d.OnExhausted))
	}
	for _, schedule := range d.Schedules {
		replaySchedule(abi.WorkflowSchedule(workflow, schedule.Name, schedule.When), schedule)
	}
	replayDag(abi.WorkflowDag(workflow), d.Dag)
}

// say hands on an id or another text, if there is one.
func say(self int32, text string, to func(int32, string)) {
	if text != "" {
		to(self, text)
	}
}

func replaySchedule(self int32, s *scheduleModel) {
	say(self, s.TimeZone, abi.ScheduleTimeZone)
	abi.ScheduleMissed(self, int32(s.Missed))
	abi.ScheduleOverlap(self, int32(s.Overlap))
	if s.Input != nil {
		abi.ScheduleInput(self, abi.Text(s.Input.Body), s.Input.MediaType)
	}
	abi.DropSchedule(self)
}

func replayDag(self int32, d *dagModel) {
	for _, node := range d.Nodes {
		replayNode(self, node)
	}
	for _, edge := range d.Edges {
		which, forwarded := int32(abi.CaseOutput), ""
		if edge.Carries != nil {
			which = abi.CaseNothing
			if forwarded = edge.Carries.forwarded; forwarded != "" {
				which = abi.CaseForwarded
			}
		}
		abi.DagEdge(self, edge.From, edge.To, which, forwarded)
	}
	for _, inputs := range d.AggregateInputs {
		abi.DagAggregateInputs(self, inputs.Node, inputs.Aggregator)
	}
	say(self, d.AggregateEnds, abi.DagAggregateEnds)
	for _, node := range d.RecoverNodes {
		abi.DagRecoverNode(self, node.Node, node.Recover)
	}
	say(self, d.Recover, abi.DagRecover)
	abi.DropDag(self)
}

func replayNode(dag int32, n *nodeDefinition) {
	switch {
	case n.Operations != nil:
		replayOperations(abi.DagNode(dag, n.ID), n.Operations)
	case n.SubDag != nil:
		replayDag(abi.DagSubDag(dag, n.ID), n.SubDag)
	case n.Condition != nil:
		self := abi.DagCondition(dag, n.ID, n.Condition.Handler)
		for _, branch := range n.Condition.Dags {
			replayDag(abi.BranchesBranch(self, branch.Key), branch.Dag)
		}
		replayBranches(self, n.Condition)
	case n.ForEach != nil:
		self := abi.DagForEach(dag, n.ID, n.ForEach.Handler)
		for _, branch := range n.ForEach.Dags {
			replayDag(abi.BranchesEach(self), branch.Dag)
		}
		replayBranches(self, n.ForEach)
	case n.Repeat != nil:
		self := abi.DagRepeat(dag, n.ID, n.Repeat.Handler, n.Repeat.Most)
		replayDag(abi.RepeatedDag(self), n.Repeat.Dag)
		if n.Repeat.WaitMs > 0 {
			abi.RepeatedWait(self, n.Repeat.WaitMs)
		}
		abi.DropRepeated(self)
	}
}

func replayBranches(self int32, b *branchesDefinition) {
	say(self, b.Aggregator, abi.BranchesAggregate)
	if b.CarriesNothing {
		abi.BranchesCarriesNothing(self)
	}
	if b.MaxParallel != nil {
		abi.BranchesMaxParallel(self, *b.MaxParallel)
	}
	if b.Tolerate != nil && b.Tolerate.Items != nil {
		abi.BranchesTolerate(self, *b.Tolerate.Items)
	}
	if b.Tolerate != nil && b.Tolerate.Share != nil {
		abi.BranchesTolerateShare(self, float32(*b.Tolerate.Share))
	}
	say(self, b.Gather, abi.BranchesGather)
	abi.DropBranches(self)
}

func replayOperations(self int32, o *operationsDefinition) {
	for _, step := range o.List {
		switch {
		case step.Apply != nil:
			replayCall(abi.NodeApply(self, step.Apply.Target), step.Apply)
		case step.Request != nil:
			replayCall(abi.NodeRequest(self, step.Request.Target), step.Request)
		case step.Modify != "":
			abi.NodeModify(self, step.Modify)
		case step.Sleep != nil:
			abi.NodeSleep(self, *step.Sleep)
		case step.SleepUntil != "":
			abi.NodeSleepUntil(self, step.SleepUntil)
		case step.WaitFor != nil:
			replayWait(self, step.WaitFor)
		}
	}
	if o.Retry != nil {
		abi.NodeRetry(self, o.Retry.Attempts, o.Retry.FirstDelayMs, float32(o.Retry.Factor), o.Retry.MaxDelayMs)
	}
	if o.TimeoutMs != nil {
		abi.NodeTimeout(self, *o.TimeoutMs)
	}
	if o.Limit != nil {
		replayLimit(abi.NodeLimit(self, o.Limit.Name), o.Limit)
	}
	abi.DropNode(self)
}

func replayWait(node int32, w *waitDefinition) {
	var self int32
	if w.Signal.Named != nil {
		self = abi.NodeWaitFor(node, *w.Signal.Named)
	} else {
		self = abi.NodeWaitForNamed(node, w.Signal.Handler)
	}
	if w.TimeoutMs != nil {
		abi.SignalWaitTimeout(self, *w.TimeoutMs)
	}
	say(self, w.RecoverFrom, abi.SignalWaitRecoverFrom)
	abi.DropSignalWait(self)
}

func replayCall(self int32, c *callDefinition) {
	if c.Method != nil {
		abi.CallMethod(self, *c.Method)
	}
	for _, header := range c.Headers {
		abi.CallHeader(self, header[0], header[1])
	}
	for _, parameter := range c.Query {
		abi.CallQuery(self, parameter[0], parameter[1])
	}
	say(self, c.Prepare, abi.CallPrepare)
	say(self, c.Receive, abi.CallReceive)
	say(self, c.Recover, abi.CallRecover)
	say(self, c.RecoverFrom, abi.CallRecoverFrom)
	if c.Retry != nil {
		abi.CallRetry(self, c.Retry.Attempts, c.Retry.FirstDelayMs, float32(c.Retry.Factor), c.Retry.MaxDelayMs)
	}
	if len(c.RetryOn) > 0 {
		abi.CallRetryOn(self, unsafe.Pointer(unsafe.SliceData(c.RetryOn)), uint32(len(c.RetryOn)))
	}
	if c.TimeoutMs != nil {
		abi.CallTimeout(self, *c.TimeoutMs)
	}
	if c.Asynchronous {
		abi.CallAsynchronous(self)
	}
	if c.Limit != nil {
		replayLimit(abi.CallLimit(self, c.Limit.Name), c.Limit)
	}
	abi.DropCall(self)
}

func replayLimit(self int32, l *limitModel) {
	if l.Concurrent != nil {
		abi.LimitConcurrent(self, *l.Concurrent)
	}
	if l.PerSecond != nil {
		abi.LimitPerSecond(self, float64(*l.PerSecond))
	}
	say(self, l.Key, abi.LimitKey)
	abi.DropLimit(self)
}
