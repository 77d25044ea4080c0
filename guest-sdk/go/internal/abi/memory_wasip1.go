package abi

import "unsafe"

// kept holds what the host has allocated for a call that has not begun, or for a result that has not been taken, and
// what the flow hands to the host. Addresses are integers, which the garbage collector does not follow.
var kept [][]byte

// nothing is the address of what has no bytes.
var nothing uint64

// cabiRealloc allocates memory for the host.
//
//go:wasmexport cabi_realloc
func cabiRealloc(old unsafe.Pointer, oldSize, align, newSize uint32) unsafe.Pointer {
	if newSize == 0 {
		return unsafe.Pointer(&nothing)
	}
	// Go aligns allocations of 8 bytes or more as the contract's types need it: a size that is a multiple of an alignment
	// is aligned to it.
	memory := make([]byte, newSize)
	copy(memory, unsafe.Slice((*byte)(old), oldSize))
	kept = append(kept, memory)
	return unsafe.Pointer(&memory[0])
}

// Release forgets what the host has allocated so far, once it is in Go's hands, and what an earlier call has returned.
func Release() {
	clear(kept)
	kept = kept[:0]
}

// at is a pointer to an address of WebAssembly.
func at(address uint32) unsafe.Pointer { return unsafe.Add(unsafe.Pointer(nil), address) }

// Bytes is a list<u8> that the host has written.
func (l List) Bytes() []byte { return unsafe.Slice((*byte)(at(l.Address)), l.Length) }

// Text is a string that the host has written.
func (l List) Text() string { return unsafe.String((*byte)(at(l.Address)), l.Length) }

// Elements is a list that the host has written.
func Elements[T any](l List) []T { return unsafe.Slice((*T)(at(l.Address)), l.Length) }

// ListAt is a list of two parameters.
func ListAt(address unsafe.Pointer, length uint32) List {
	return List{Address: uint32(uintptr(address)), Length: length}
}

// Text hands bytes to a function that takes an address and a length.
func Text(data []byte) string { return unsafe.String(unsafe.SliceData(data), len(data)) }

// KeepBytes hands bytes to the host beyond the end of the current call.
func KeepBytes(data []byte) List {
	if len(data) == 0 {
		return List{}
	}
	kept = append(kept, data)
	return ListAt(unsafe.Pointer(unsafe.SliceData(data)), uint32(len(data)))
}

// KeepText hands a text to the host beyond the end of the current call.
func KeepText(text string) List { return KeepBytes(unsafe.Slice(unsafe.StringData(text), len(text))) }

// KeepElements hands a list to the host beyond the end of the current call.
func KeepElements[T any](elements []T) List {
	if len(elements) == 0 {
		return List{}
	}
	first := (*byte)(unsafe.Pointer(unsafe.SliceData(elements)))
	kept = append(kept, unsafe.Slice(first, len(elements)*int(unsafe.Sizeof(elements[0]))))
	return ListAt(unsafe.Pointer(first), uint32(len(elements)))
}
