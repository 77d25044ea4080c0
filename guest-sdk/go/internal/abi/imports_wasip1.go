package abi

import "unsafe"

// Strings are passed as an address and a length, and so are bytes: see [Text]. A resource is a number, its handle.

// DropWorkflow gives back a handle, as the other functions of this kind do.
//
//go:wasmimport faas-flow:flow/builder@0.2.0 [resource-drop]workflow
func DropWorkflow(handle int32)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]workflow.dag
func WorkflowDag(self int32) int32

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]workflow.handlers
func WorkflowHandlers(self int32, ids unsafe.Pointer, count uint32)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]workflow.on-failure
func WorkflowOnFailure(self int32, recover string)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]workflow.finally
func WorkflowFinally(self int32, finally string)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]workflow.deadline
func WorkflowDeadline(self int32, ms uint64)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]workflow.on-exhausted
func WorkflowOnExhausted(self int32, then int32)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]workflow.schedule
func WorkflowSchedule(self int32, name, when string) int32

//go:wasmimport faas-flow:flow/builder@0.2.0 [resource-drop]schedule
func DropSchedule(handle int32)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]schedule.time-zone
func ScheduleTimeZone(self int32, name string)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]schedule.missed
func ScheduleMissed(self int32, then int32)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]schedule.overlap
func ScheduleOverlap(self int32, then int32)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]schedule.input
func ScheduleInput(self int32, body, mediaType string)

//go:wasmimport faas-flow:flow/builder@0.2.0 [resource-drop]dag
func DropDag(handle int32)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]dag.node
func DagNode(self int32, id string) int32

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]dag.sub-dag
func DagSubDag(self int32, id string) int32

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]dag.condition
func DagCondition(self int32, id, choose string) int32

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]dag.for-each
func DagForEach(self int32, id, split string) int32

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]dag.repeat
func DagRepeat(self int32, id, again string, most uint32) int32

// DagEdge gets the case of what the edge carries, and the handler if it is [CaseForwarded].
//
//go:wasmimport faas-flow:flow/builder@0.2.0 [method]dag.edge
func DagEdge(self int32, from, to string, carries int32, forwarded string)

// The cases of the variant "carries".
const (
	CaseOutput    = 0
	CaseNothing   = 1
	CaseForwarded = 2
)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]dag.aggregate-inputs
func DagAggregateInputs(self int32, node, aggregator string)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]dag.aggregate-ends
func DagAggregateEnds(self int32, aggregator string)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]dag.recover-node
func DagRecoverNode(self int32, node, recover string)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]dag.recover
func DagRecover(self int32, recover string)

//go:wasmimport faas-flow:flow/builder@0.2.0 [resource-drop]node
func DropNode(handle int32)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]node.apply
func NodeApply(self int32, function string) int32

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]node.request
func NodeRequest(self int32, url string) int32

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]node.modify
func NodeModify(self int32, modifier string)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]node.sleep
func NodeSleep(self int32, ms uint64)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]node.sleep-until
func NodeSleepUntil(self int32, moment string)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]node.wait-for
func NodeWaitFor(self int32, signal string) int32

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]node.wait-for-named
func NodeWaitForNamed(self int32, name string) int32

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]node.retry
func NodeRetry(self int32, attempts, firstDelayMs uint32, factor float32, maxDelayMs uint32)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]node.timeout
func NodeTimeout(self int32, ms uint64)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]node.limit
func NodeLimit(self int32, name string) int32

//go:wasmimport faas-flow:flow/builder@0.2.0 [resource-drop]call
func DropCall(handle int32)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]call.method
func CallMethod(self int32, name string)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]call.header
func CallHeader(self int32, name, value string)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]call.query
func CallQuery(self int32, name, value string)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]call.prepare
func CallPrepare(self int32, prepare string)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]call.receive
func CallReceive(self int32, receive string)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]call.recover
func CallRecover(self int32, recover string)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]call.recover-from
func CallRecoverFrom(self int32, recover string)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]call.retry
func CallRetry(self int32, attempts, firstDelayMs uint32, factor float32, maxDelayMs uint32)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]call.retry-on
func CallRetryOn(self int32, statuses unsafe.Pointer, count uint32)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]call.timeout
func CallTimeout(self int32, ms uint64)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]call.asynchronous
func CallAsynchronous(self int32)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]call.limit
func CallLimit(self int32, name string) int32

//go:wasmimport faas-flow:flow/builder@0.2.0 [resource-drop]limit
func DropLimit(handle int32)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]limit.concurrent
func LimitConcurrent(self int32, count uint32)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]limit.per-second
func LimitPerSecond(self int32, rate float64)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]limit.key
func LimitKey(self int32, key string)

//go:wasmimport faas-flow:flow/builder@0.2.0 [resource-drop]signal-wait
func DropSignalWait(handle int32)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]signal-wait.timeout
func SignalWaitTimeout(self int32, ms uint64)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]signal-wait.recover-from
func SignalWaitRecoverFrom(self int32, recover string)

//go:wasmimport faas-flow:flow/builder@0.2.0 [resource-drop]repeated
func DropRepeated(handle int32)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]repeated.dag
func RepeatedDag(self int32) int32

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]repeated.wait
func RepeatedWait(self int32, ms uint64)

//go:wasmimport faas-flow:flow/builder@0.2.0 [resource-drop]branches
func DropBranches(handle int32)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]branches.branch
func BranchesBranch(self int32, key string) int32

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]branches.each
func BranchesEach(self int32) int32

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]branches.aggregate
func BranchesAggregate(self int32, aggregator string)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]branches.carries-nothing
func BranchesCarriesNothing(self int32)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]branches.max-parallel
func BranchesMaxParallel(self int32, count uint32)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]branches.tolerate
func BranchesTolerate(self int32, items uint32)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]branches.tolerate-share
func BranchesTolerateShare(self int32, share float32)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]branches.gather
func BranchesGather(self int32, gather string)

//go:wasmimport faas-flow:flow/context@0.2.0 request-id
func RequestID(result *List)

//go:wasmimport faas-flow:flow/context@0.2.0 flow-name
func FlowName(result *List)

//go:wasmimport faas-flow:flow/context@0.2.0 node
func NodePath(result *List)

//go:wasmimport faas-flow:flow/context@0.2.0 state
func State() int32

//go:wasmimport faas-flow:flow/context@0.2.0 query
func Query(name string, result *List)

//go:wasmimport faas-flow:flow/context@0.2.0 header
func Header(name string, result *List)

//go:wasmimport faas-flow:flow/context@0.2.0 inputs
func Inputs(result *List)

//go:wasmimport faas-flow:flow/context@0.2.0 content-type
func ContentType(result *List)

//go:wasmimport faas-flow:flow/context@0.2.0 content-types
func ContentTypes(result *List)

//go:wasmimport faas-flow:flow/context@0.2.0 set-content-type
func SetContentType(mediaType string, result *TextResult)

//go:wasmimport faas-flow:flow/context@0.2.0 respond
func Respond(status int32, headers unsafe.Pointer, count uint32, result *TextResult)

//go:wasmimport faas-flow:flow/context@0.2.0 set-reject-status
func SetRejectStatus(status int32, result *TextResult)

//go:wasmimport faas-flow:flow/context@0.2.0 label
func Label(key, value string, result *TextResult)

//go:wasmimport faas-flow:flow/context@0.2.0 get
func Get(key string, result *GetResult)

//go:wasmimport faas-flow:flow/context@0.2.0 set
func Set(key, value string, result *TextResult)

//go:wasmimport faas-flow:flow/context@0.2.0 delete
func Delete(key string, result *TextResult)

// SignalURL gets an option as a number that is 1 if there is a value, and the value.
//
//go:wasmimport faas-flow:flow/context@0.2.0 signal-url
func SignalURL(name string, hasValid int32, validMs uint64, result *TextResult)

//go:wasmimport faas-flow:flow/context@0.2.0 log
func Log(level int32, message string)
