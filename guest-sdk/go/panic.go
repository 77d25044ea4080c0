package faasflow

import (
	"fmt"
	"runtime"
	"strings"
)

// misuse is a mistake in a call of this package, such as a function that is nil.
type misuse string

// placeless is a mistake that is found where the author's code is not being called.
type placeless string

// must panics with a text for the author if a condition does not hold. Define turns the panic into its error.
func must(holds bool, format string, arguments ...any) {
	if !holds {
		panic(misuse(fmt.Sprintf(format, arguments...)))
	}
}

// failureOfPanic makes an error of what a function of the flow has panicked with, with the file and the line. It has to
// be called by the deferred function that has recovered the panic.
func failureOfPanic(panicked any) error {
	where := whereabouts()
	switch value := panicked.(type) {
	case placeless:
		return Reject("%s", string(value))
	case misuse:
		return Reject("%s: %s", where, string(value))
	case *Failure:
		return &Failure{cause: fmt.Errorf("%s: %w", where, value.cause), retry: value.retry, status: value.status}
	default:
		return Reject("panic at %s: %v", where, value)
	}
}

// sdk is the beginning of the names of this package's functions.
const sdk = "github.com/faas-flow/faas-flow/guest-sdk/go."

// whereabouts says where the author's code panicked: the innermost line that is not of the runtime or of this package, and the
// line of the function of the flow that led there, if that is another one.
func whereabouts() string {
	var counters [64]uintptr
	frames := runtime.CallersFrames(counters[:runtime.Callers(3, counters[:])])
	var first, last runtime.Frame
	for {
		frame, more := frames.Next()
		isOurs := strings.HasPrefix(frame.Function, sdk)
		switch {
		case frame.Function == "" || strings.HasPrefix(frame.Function, "runtime."):
		case isOurs && first.Function != "":
			// What called the author's code.
			more = false
		case isOurs:
		case first.Function == "":
			first, last = frame, frame
		default:
			last = frame
		}
		if !more {
			break
		}
	}
	if first.Function == "" {
		return "an unknown line"
	}
	if first.Function == last.Function {
		return line(first)
	}
	return line(first) + ", called from " + line(last)
}

func line(frame runtime.Frame) string { return fmt.Sprintf("%s:%d", frame.File, frame.Line) }
