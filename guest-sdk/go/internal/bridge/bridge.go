// Package bridge lets package flowtest record a flow as a module does, without making the means to do so public.
package bridge

// Record runs a function that defines a flow, with a context that asks the host that it is given. The result calls the
// functions of the flow by their ids. Package faasflow sets it.
var Record func(define, host any) (any, error)
