// Package bridge lets package flowtest do what package faasflow does not make public.
package bridge

// Record runs a function that defines a flow, as a module does, with a context that asks the host that it is given. The
// result calls the functions of the flow by their ids. Package faasflow sets it.
var Record func(define, host any) (any, error)

// Wake takes apart a faasflow.Wake: after how many milliseconds a node continues, or at which moment. Package faasflow sets it.
var Wake func(wake any) (after uint64, at string, isAt bool)
