package main

import "unsafe"

// What the contract asks of a module, by hand: `wit-bindgen go` writes as much and more.

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]workflow.dag
func workflowDag(workflow int32) int32

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]workflow.handlers
func workflowHandlers(workflow int32, ids unsafe.Pointer, count uint32)

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]dag.node
func dagNode(dag int32, id unsafe.Pointer, length uint32) int32

//go:wasmimport faas-flow:flow/builder@0.2.0 [method]node.modify
func nodeModify(node int32, handler unsafe.Pointer, length uint32)

type text struct {
	start  unsafe.Pointer
	length uint32
}

func textOf(s string) text {
	return text{unsafe.Pointer(unsafe.StringData(s)), uint32(len(s))}
}

// Go's pointers are 8 bytes wide, those of the contract 4: structures are written by hand.
var answer [16]byte

// kept keeps what the host has allocated and not yet passed back.
var kept [][]byte

func word(at int, value uint32) {
	*(*uint32)(unsafe.Pointer(&answer[at])) = value
}

func answered(at int, text string) {
	kept = append(kept, []byte(text))
	data := kept[len(kept)-1]
	word(at, uint32(uintptr(unsafe.Pointer(unsafe.SliceData(data)))))
	word(at+4, uint32(len(data)))
}

//go:wasmexport cabi_realloc
func realloc(old unsafe.Pointer, oldSize, align, size uint32) unsafe.Pointer {
	block := make([]byte, size+1)
	copy(block, unsafe.Slice((*byte)(old), oldSize))
	kept = append(kept, block)
	return unsafe.Pointer(unsafe.SliceData(block))
}

//go:wasmexport faas-flow:flow/definition@0.2.0#define
func define(workflow int32) unsafe.Pointer {
	id := textOf("act")
	node := dagNode(workflowDag(workflow), id.start, id.length)
	nodeModify(node, id.start, id.length)
	ids := [2]uint32{uint32(uintptr(id.start)), id.length}
	workflowHandlers(workflow, unsafe.Pointer(&ids), 1)
	answer = [16]byte{}
	return unsafe.Pointer(&answer)
}

//go:wasmexport faas-flow:flow/handlers@0.2.0#modify
func modify(handler unsafe.Pointer, handlerLength uint32, data unsafe.Pointer, length uint32) unsafe.Pointer {
	body := unsafe.String((*byte)(data), length)
	result, err := act(body)
	kept = nil
	answer = [16]byte{}
	if err != nil {
		answer[0], answer[4] = 1, 1
		answered(8, err.Error())
	} else {
		answered(4, result)
	}
	return unsafe.Pointer(&answer)
}

func rejected() unsafe.Pointer {
	answer = [16]byte{1, 0, 0, 0, 1}
	answered(8, "there is no such handler")
	return unsafe.Pointer(&answer)
}

//go:wasmexport faas-flow:flow/handlers@0.2.0#aggregate
func aggregate(a unsafe.Pointer, b uint32, c unsafe.Pointer, d uint32) unsafe.Pointer {
	return rejected()
}

//go:wasmexport faas-flow:flow/handlers@0.2.0#condition
func condition(a unsafe.Pointer, b uint32, c unsafe.Pointer, d uint32) unsafe.Pointer {
	return rejected()
}

//go:wasmexport faas-flow:flow/handlers@0.2.0#for-each
func forEach(a unsafe.Pointer, b uint32, c unsafe.Pointer, d uint32) unsafe.Pointer {
	return rejected()
}

//go:wasmexport faas-flow:flow/handlers@0.2.0#forward
func forward(a unsafe.Pointer, b uint32, c unsafe.Pointer, d uint32) unsafe.Pointer {
	return rejected()
}

//go:wasmexport faas-flow:flow/handlers@0.2.0#prepare
func prepare(a unsafe.Pointer, b uint32, c unsafe.Pointer, d uint32, e unsafe.Pointer, f uint32, g unsafe.Pointer, h uint32, i unsafe.Pointer, j uint32) unsafe.Pointer {
	return rejected()
}

//go:wasmexport faas-flow:flow/handlers@0.2.0#receive
func receive(a unsafe.Pointer, b uint32, status uint32, c unsafe.Pointer, d uint32, e unsafe.Pointer, f uint32) unsafe.Pointer {
	return rejected()
}

//go:wasmexport faas-flow:flow/handlers@0.2.0#recover
func recoverFrom(a unsafe.Pointer, b uint32, c unsafe.Pointer, d uint32) unsafe.Pointer {
	return rejected()
}

//go:wasmexport faas-flow:flow/handlers@0.2.0#finally
func finally(a unsafe.Pointer, b uint32, outcome uint32) unsafe.Pointer { return rejected() }
