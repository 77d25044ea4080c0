package faasflow

// registered is the function that defines the flow of this program.
var registered func(*Workflow, *Context) error

// Register makes a module of a program: it names the function that defines the flow. Call it from an init function. A
// program has one flow; a later call replaces an earlier one.
//
//	func init() { faasflow.Register(Define) }
//	func main() {}
//
// In a module, main is not called. In other programs, such as tests, Register has no effect.
func Register(define func(flow *Workflow, context *Context) error) { registered = define }
