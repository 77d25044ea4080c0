package faasflow

import "fmt"

// Failed is a failure after all retries, as functions that catch failures see it: those of [RecoverFrom],
// [Node.RecoverFrom], [Dag.RecoverFrom], [Dag.RecoverNode] and [Gather].
type Failed struct {
	// Code is the error code, such as "FF0207".
	Code string
	// Kind is what kind of failure it is.
	Kind FailureKind
	// Status is the status of the response, from 100 to 599, if a call failed because of it, and otherwise 0.
	Status int
	// Message is the text of the failure, for people.
	Message string
	// Path is the path of the node that failed: "F[f2]/charge".
	Path string
	// Tries is how many tries of the call, or attempts of the node, there were. At least 1.
	Tries int
	// Input is the input of the failed operation, or of the failed node if none of its operations had begun. Empty
	// in a function of Gather.
	Input []byte
	// Body is that of the response, if a call failed because of its status, and otherwise nil.
	Body []byte
}

// Error reads as the host writes it: "FF0207 at charge: function charge answered with status 402". A function that
// catches failures may return the failure as its own error.
func (f *Failed) Error() string {
	if f.Path == "" {
		return fmt.Sprintf("%s: %s", f.Code, f.Message)
	}
	return fmt.Sprintf("%s at %s: %s", f.Code, f.Path, f.Message)
}

// FailureKind is what kind of failure it is.
type FailureKind uint8

const (
	// Rejected means that the flow's code has rejected its data, or asked for a retry when none was left.
	Rejected FailureKind = iota
	// Answered means that a call was answered with an error status, or with an answer that cannot be used.
	Answered
	// Unreachable means that a call could not be made: there was no connection, or no such function.
	Unreachable
	// TimedOut means that a call, a node or an answer took too long.
	TimedOut
	// Crashed means that the flow's code crashed or exceeded a limit.
	Crashed
	// Child means that a flow that was called did not succeed.
	Child
	// Other is anything else.
	Other
)

// String is the name of the kind, such as "timed-out".
func (k FailureKind) String() string {
	return name(k, "rejected", "answered", "unreachable", "timed-out", "crashed", "child", "other")
}

// Gathered is one item of a for-each and how it ended, as a function of [Gather] sees it.
type Gathered struct {
	// Key is the key of the item.
	Key string
	// Data is the result of the item, if it has one.
	Data []byte
	// Failed says why the item has no result, which the for-each tolerates. It is nil if the item has one.
	Failed *Failed
}

// name is the name of a value of an enumeration.
func name[T ~uint8](value T, names ...string) string {
	if int(value) < len(names) {
		return names[value]
	}
	return fmt.Sprint(uint8(value))
}
