package faasflow

import "time"

// Workflow is the flow that Define describes: its outermost dag, and what applies to a run as a whole.
type Workflow struct {
	dag       *Dag
	onFailure func(error) ([]byte, error)
	finally   func(string)
	deadline  *uint64
	exhausted Exhausted
	schedules []*Schedule
}

// Dag returns the outermost dag, the same one each time. Its start gets the body of the request, and its result is
// that of the run.
func (w *Workflow) Dag() *Dag { return w.dag }

// SetDag replaces the outermost dag.
func (w *Workflow) SetDag(dag *Dag) {
	dag.check("SetDag")
	w.dag = dag
}

// SyncNode returns the only node of a flow that has just one, with the id "sync". The caller of such a flow gets its
// result as the answer to the request.
func (w *Workflow) SyncNode(options ...BranchOption) *Node { return w.dag.Node("sync", options...) }

// OnFailure sets the failure handler, which is called once when the run has failed. The run stays failed: the data that
// the handler returns replaces the text of the failure in the caller's answer. It may return the error that it got
// beside the data, as handlers of the original library do.
func (w *Workflow) OnFailure(handler func(failure error) ([]byte, error)) {
	must(handler != nil, "OnFailure needs a function, and got nil")
	w.onFailure = handler
}

// Finally sets the handler that is called once at the end of every run, after the one of OnFailure. It gets
// [StateSuccess] or [StateFailure]. If it panics, the outcome of the run does not change.
func (w *Workflow) Finally(handler func(state string)) {
	must(handler != nil, "Finally needs a function, and got nil")
	w.finally = handler
}

// Deadline limits the time from the start of a run to its end, in whole milliseconds, at least 1. A run that takes
// longer fails.
func (w *Workflow) Deadline(limit time.Duration) { w.deadline = millis(limit) }

// OnExhausted sets what happens when a node has failed and its retries are exhausted.
func (w *Workflow) OnExhausted(then Exhausted) { w.exhausted = then }

// Schedule adds a schedule, which begins exactly one run at each of its moments, however many replicas there are.
//
// The name has 1 to 32 characters of "A-Z a-z 0-9 _ -" and is unique within the flow. What follows is a cron expression
// of five fields, or of six, of which the first is the second ("0 30 2 * * *"); a name such as "@daily"; or an interval
// such as "every 10m".
func (w *Workflow) Schedule(name, when string) *Schedule {
	schedule := &Schedule{name: name, when: when}
	w.schedules = append(w.schedules, schedule)
	return schedule
}

// Schedule begins runs of the flow. It is made by [Workflow.Schedule].
//
// The request of a run that it has begun has two headers: X-Faas-Flow-Schedule with the name of the schedule, and
// X-Faas-Flow-Scheduled-At with the moment that the run is for, such as 2026-12-01T01:30:00Z.
type Schedule struct {
	name, when, zone string
	missed           Missed
	overlap          Overlap
	input            *scheduleInput
}

// TimeZone sets the time zone of a cron expression, by its name in the IANA database, such as "Europe/Berlin". By
// default it is UTC. An interval has no time zone.
func (s *Schedule) TimeZone(name string) *Schedule {
	s.zone = name
	return s
}

// Missed sets what happens with moments at which no replica was running.
func (s *Schedule) Missed(then Missed) *Schedule {
	s.missed = then
	return s
}

// Overlap sets what happens at a moment at which the previous run has not ended.
func (s *Schedule) Overlap(then Overlap) *Schedule {
	s.overlap = then
	return s
}

// Input sets the body of the request of each run, at most 64 KiB, and its media type, such as "application/json". An
// empty media type means "application/octet-stream". By default the body is empty.
func (s *Schedule) Input(body []byte, mediaType string) *Schedule {
	s.input = &scheduleInput{Body: body, MediaType: mediaType}
	return s
}

// Exhausted says what the host does when a node has failed and its retries are exhausted.
type Exhausted uint8

const (
	// Fail lets the run fail. This is the default.
	Fail Exhausted = iota
	// Pause pauses the run, so that an operator can fix the cause and resume it. A [Reject] still fails the run, since
	// trying again cannot help.
	Pause
)

// Missed says what happens with the moments of a [Schedule] at which no replica was running.
type Missed uint8

const (
	// MissedSkip begins nothing for them. This is the default.
	MissedSkip Missed = iota
	// MissedOne begins a run for the latest of them.
	MissedOne
	// MissedAll begins a run for each of the last thousand of them, the oldest first.
	MissedAll
)

// Overlap says what happens at a moment of a [Schedule] at which the previous run has not ended.
type Overlap uint8

const (
	// OverlapSkip begins no run for the moment. This is the default.
	OverlapSkip Overlap = iota
	// OverlapAllow begins another run beside it.
	OverlapAllow
	// OverlapQueue lets the moment wait until the previous run has ended. At most a hundred wait.
	OverlapQueue
	// OverlapReplace stops the previous run, and then begins the next one.
	OverlapReplace
)

// The states that [Workflow.Finally] gets and that [Context] has in its field State.
const (
	// StateSuccess is the state of a run that produced its result.
	StateSuccess = "success"
	// StateFailure is the state of a run that failed or was stopped.
	StateFailure = "failure"
	// StateOngoing is the state of a run that has not ended.
	StateOngoing = "ongoing"
)
