package faasflow

import (
	"errors"
	"fmt"
)

// Failure says why a function of the flow produced no value, and whether the host should try again. It is made by
// [Retry], [Reject] and [RejectWithStatus]. Any other error that a function returns is a reject with the error's text,
// since code that runs again on the same input fails again.
//
// The text appears in the run's history, in the logs and in the caller's answer, so write it for people.
type Failure struct {
	cause  error
	retry  bool
	status int
}

// Retry makes an error after which trying again may help: the host retries as often as the [Backoff] of the call or the
// node allows. The text is formatted as by [fmt.Errorf].
func Retry(format string, arguments ...any) error {
	return &Failure{cause: fmt.Errorf(format, arguments...), retry: true}
}

// Reject makes an error after which trying again cannot help, so the host does not. The text is formatted as by
// [fmt.Errorf].
func Reject(format string, arguments ...any) error {
	return &Failure{cause: fmt.Errorf(format, arguments...)}
}

// RejectWithStatus does what [Reject] does. If the run fails with this error, its caller is answered with the status,
// from 400 to 499.
//
// Without a status, the caller gets 422 if the function rejects the body of the request itself, that is, in the node that
// gets it, before the node has called anything; and otherwise 500.
func RejectWithStatus(status int, format string, arguments ...any) error {
	return &Failure{cause: fmt.Errorf(format, arguments...), status: status}
}

// Error is the text of the failure.
func (f *Failure) Error() string { return f.cause.Error() }

// Unwrap returns the errors that the text was made of with the verb %w, if any.
func (f *Failure) Unwrap() error { return f.cause }

// IsRetry says whether trying again may help.
func (f *Failure) IsRetry() bool { return f.retry }

// Status is the status of [RejectWithStatus], or 0.
func (f *Failure) Status() int { return f.status }

// failureOf is an error as the host gets it.
func failureOf(err error) *Failure {
	var failure *Failure
	if errors.As(err, &failure) {
		// The text is that of the whole error, of which the failure may be a part.
		return &Failure{cause: err, retry: failure.retry, status: failure.status}
	}
	return &Failure{cause: err}
}
