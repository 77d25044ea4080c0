package faasflow

import (
	"errors"
	"runtime"
	"unsafe"

	"github.com/faas-flow/faas-flow/guest-sdk/go/internal/abi"
)

func init() {
	protect = func(run func()) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			run()
		}()
		<-done
	}
}

// component is the context that the host offers. Each method copies or takes what the host has written before anything
// else can be called.
type component struct{}

func text(ask func(*abi.List)) string {
	var result abi.List
	ask(&result)
	return result.Text()
}

func texts(ask func(*abi.List)) []string {
	var result abi.List
	ask(&result)
	list := make([]string, result.Length)
	for i, element := range abi.Elements[abi.List](result) {
		list[i] = element.Text()
	}
	return list
}

// done asks the host for something that has no result.
func done(ask func(*abi.TextResult)) error {
	var result abi.TextResult
	ask(&result)
	if result.IsErr == 0 {
		return nil
	}
	return errors.New(result.Text.Text())
}

func (component) RequestID() string { return text(abi.RequestID) }
func (component) FlowName() string  { return text(abi.FlowName) }
func (component) Node() string      { return text(abi.NodePath) }

func (component) RunState() RunState { return RunState(abi.State()) }

func (component) Query(name string) []string {
	return texts(func(result *abi.List) { abi.Query(name, result) })
}

func (component) Header(name string) []string {
	return texts(func(result *abi.List) { abi.Header(name, result) })
}

func (component) Inputs() Inputs {
	var result abi.List
	abi.Inputs(&result)
	return named(result)
}

func (component) ContentType() string    { return text(abi.ContentType) }
func (component) ContentTypes() []string { return texts(abi.ContentTypes) }

func (component) SetContentType(mediaType string) error {
	return done(func(result *abi.TextResult) { abi.SetContentType(mediaType, result) })
}

func (component) Respond(status uint16, headers [][2]string) error {
	list := pairs(headers)
	err := done(func(result *abi.TextResult) {
		abi.Respond(int32(status), unsafe.Pointer(unsafe.SliceData(list)), uint32(len(list)), result)
	})
	runtime.KeepAlive(headers)
	return err
}

func (component) SetRejectStatus(status uint16) error {
	return done(func(result *abi.TextResult) { abi.SetRejectStatus(int32(status), result) })
}

func (component) Label(key, value string) error {
	return done(func(result *abi.TextResult) { abi.Label(key, value, result) })
}

func (component) Get(key string) ([]byte, bool, error) {
	var result abi.GetResult
	abi.Get(key, &result)
	if result.IsErr != 0 {
		return nil, false, errors.New((*abi.List)(unsafe.Pointer(&result.Ok)).Text())
	}
	if result.Ok.IsSome == 0 {
		return nil, false, nil
	}
	return result.Ok.Value.Bytes(), true, nil
}

func (component) Set(key string, value []byte) error {
	return done(func(result *abi.TextResult) { abi.Set(key, abi.Text(value), result) })
}

func (component) Delete(key string) error {
	return done(func(result *abi.TextResult) { abi.Delete(key, result) })
}

func (component) SignalURL(name string, valid *uint64) (string, error) {
	var hasValid int32
	var ms uint64
	if valid != nil {
		hasValid, ms = 1, *valid
	}
	var result abi.TextResult
	abi.SignalURL(name, hasValid, ms, &result)
	if result.IsErr != 0 {
		return "", errors.New(result.Text.Text())
	}
	return result.Text.Text(), nil
}

func (component) Log(level Level, message string) { abi.Log(int32(level), message) }

// named reads a list of named values.
func named(list abi.List) Inputs {
	inputs := make(Inputs, list.Length)
	for i, pair := range abi.Elements[abi.Pair](list) {
		inputs[i] = Item{pair.First.Text(), pair.Second.Bytes()}
	}
	return inputs
}

// headersOf reads a list of headers.
func headersOf(list abi.List) Headers {
	headers := make(Headers, list.Length)
	for i, pair := range abi.Elements[abi.Pair](list) {
		headers[i] = [2]string{pair.First.Text(), pair.Second.Text()}
	}
	return headers
}

// pairs writes a list of headers, whose texts the caller keeps alive.
func pairs(headers [][2]string) []abi.Pair {
	list := make([]abi.Pair, len(headers))
	for i, header := range headers {
		list[i] = abi.Pair{First: abi.KeepText(header[0]), Second: abi.KeepText(header[1])}
	}
	return list
}
