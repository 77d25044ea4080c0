// Package abi is the boundary between Go and the host: the functions of wit/flow.wit as WebAssembly sees them, written by
// hand after the canonical ABI of the component model. contract_test.go compares all of it with wit/flow.wit.
//
// Text and lists are passed as an address and a length. Results that are more than one number are written to memory, in
// the layouts of this file: each struct here is a type of the contract, with the same name and the same order of fields.
// Addresses have 32 bits in WebAssembly, whereas pointers of Go have 64, so that they are integers here.
package abi

import "structs"

type hostLayout = structs.HostLayout

// List is a list or a text: where it begins, and how many elements or bytes it has.
type List struct {
	_       hostLayout
	Address uint32
	Length  uint32
}

// Pair is a tuple of two lists or texts: a header, or a named value.
type Pair struct {
	_      hostLayout
	First  List
	Second List
}

// Failure is the variant "failure", with the number of its case.
type Failure struct {
	_    hostLayout
	Case uint8
	Text List
}

// The cases of the variant "failure".
const (
	CaseRetry  = 0
	CaseReject = 1
)

// OptionU16 is an option<u16>. IsSome is 1 if there is a value.
type OptionU16 struct {
	_      hostLayout
	IsSome uint8
	Value  uint16
}

// OptionList is an option<list<u8>>. IsSome is 1 if there is a value.
type OptionList struct {
	_      hostLayout
	IsSome uint8
	Value  List
}

// Failed is the record "failed".
type Failed struct {
	_       hostLayout
	Code    List
	Kind    uint8
	Status  OptionU16
	Message List
	Path    List
	Tries   uint32
}

// RecoverFromArguments are the parameters of "recover-from". They are more than WebAssembly takes as numbers, so the host
// writes them to memory.
type RecoverFromArguments struct {
	_       hostLayout
	Handler List
	What    Failed
	Input   List
	Body    OptionList
}

// HttpRequest is the record "http-request".
type HttpRequest struct {
	_       hostLayout
	Method  List
	URL     List
	Headers List
	Body    List
}

// Gathered is the record "gathered". Its result is a Failed if IsErr is 1, and otherwise a List at the same address.
type Gathered struct {
	_     hostLayout
	Key   List
	IsErr uint8
	Ended Failed
}

// Wake is the variant "wake", with the number of its case. At begins at the address of After.
type Wake struct {
	_     hostLayout
	Case  uint8
	After uint64
}

// The cases of the variant "wake".
const (
	CaseAfter = 0
	CaseAt    = 1
)

// The results of the functions that the flow exports. Ok and Err are at the same address; the struct has one of them.

// ListResult is a result<list, failure> or a result<string, failure>.
type ListResult struct {
	_     hostLayout
	IsErr uint8
	Err   Failure
}

// WakeResult is a result<wake, failure>.
type WakeResult struct {
	_     hostLayout
	IsErr uint8
	Ok    Wake
}

// The results of the functions that the flow imports.

// TextResult is a result<_, string> or a result<string, string>: the text of either case is at the same address.
type TextResult struct {
	_     hostLayout
	IsErr uint8
	Text  List
}

// GetResult is a result<option<list<u8>>, string>. The text of an error begins where Ok does.
type GetResult struct {
	_     hostLayout
	IsErr uint8
	Ok    OptionList
}
