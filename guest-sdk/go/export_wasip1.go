package faasflow

import (
	"errors"
	"unsafe"

	"github.com/faas-flow/faas-flow/guest-sdk/go/internal/abi"
)

// The functions that the host calls. Each gets a handler's id and its data as addresses and lengths, and returns the
// address of its result. An instance serves one run, so the functions recorded at its first call serve the later ones
// too: the context that they mention is that of the same run.

// instance is the flow of this instance, once it has been recorded.
var instance *recorded

// area is where results are written. The host reads one before it calls again.
var area [8]uint64

var errUnregistered = errors.New("the program has no flow: call faasflow.Register(Define) in an init function")

func recordInstance(host host) (*recorded, error) {
	if registered == nil {
		return nil, errUnregistered
	}
	return record(registered, newContext(host))
}

// flow is the recorded flow.
func flow() (*recorded, error) {
	if instance == nil {
		recorded, err := recordInstance(component{})
		if err != nil {
			return nil, err
		}
		instance = recorded
	}
	return instance, nil
}

// exportRecord records the flow without a run, for a tool that stores the initialised memory in the module. If Define
// reads the context or fails, the flow is recorded at the first call instead. The name is the one that Wizer looks for.
//
//go:wasmexport wizer-initialize
func exportRecord() {
	early := &buildTime{}
	recorded, err := recordInstance(early)
	if err != nil || early.isRead {
		return
	}
	recorded.context.host = component{}
	instance = recorded
}

//go:wasmexport faas-flow:flow/definition@0.2.0#define
func exportDefine(workflow int32) unsafe.Pointer {
	abi.Release()
	recorded, err := instance, error(nil)
	if recorded == nil {
		recorded, err = recordInstance(component{})
	}
	defer abi.DropWorkflow(workflow)
	if err != nil {
		return fail(unsafe.Offsetof(abi.TextResult{}.Text), abi.KeepText(err.Error()))
	}
	replay(workflow, &recorded.definition)
	return ok(payload, abi.List{})
}

// The places of what a result holds beside its first byte, which says whether it is an error.
const (
	payload     = unsafe.Offsetof(abi.ListResult{}.Err)
	wakePayload = unsafe.Offsetof(abi.WakeResult{}.Ok)
)

// ok writes a result with a value. Values are written one by one, and not as a part of a larger struct: copying a struct
// may leave out what lies between its fields, where another case of the same result has its value.
func ok[T any](offset uintptr, value T) unsafe.Pointer {
	area = [len(area)]uint64{}
	*(*T)(unsafe.Add(unsafe.Pointer(&area), offset)) = value
	return unsafe.Pointer(&area)
}

// fail writes a result with an error.
func fail[T any](offset uintptr, value T) unsafe.Pointer {
	result := ok(offset, value)
	*(*uint8)(result) = 1
	return result
}

// failed is an error as the host gets it.
func failed(err error) abi.Failure {
	failure := failureOf(err)
	text, which := failure.Error(), uint8(abi.CaseReject)
	if failure.retry {
		which = abi.CaseRetry
	}
	if failure.status != 0 {
		if err := (component{}).SetRejectStatus(uint16(clamp(failure.status, 1<<16-1))); err != nil {
			text += " (" + err.Error() + ")"
		}
	}
	return abi.Failure{Case: which, Text: abi.KeepText(text)}
}

// answer is a result that is a list or a text.
func answer(list abi.List, err error) unsafe.Pointer {
	if err != nil {
		return fail(payload, failed(err))
	}
	return ok(payload, list)
}

// with calls a function of the flow, and returns data. The arguments are in Go's hands by now.
func with(id string, run func(*recorded, string) ([]byte, error)) unsafe.Pointer {
	abi.Release()
	recorded, err := flow()
	var data []byte
	if err == nil {
		data, err = run(recorded, id)
	}
	return answer(abi.KeepBytes(data), err)
}

func idOf(address unsafe.Pointer, length uint32) string { return abi.ListAt(address, length).Text() }

func dataOf(address unsafe.Pointer, length uint32) []byte { return abi.ListAt(address, length).Bytes() }

//go:wasmexport faas-flow:flow/handlers@0.2.0#modify
func exportModify(id unsafe.Pointer, idLength uint32, data unsafe.Pointer, length uint32) unsafe.Pointer {
	input := dataOf(data, length)
	return with(idOf(id, idLength), func(r *recorded, id string) ([]byte, error) { return r.Modify(id, input) })
}

//go:wasmexport faas-flow:flow/handlers@0.2.0#aggregate
func exportAggregate(id unsafe.Pointer, idLength uint32, inputs unsafe.Pointer, count uint32) unsafe.Pointer {
	values := named(abi.ListAt(inputs, count))
	return with(idOf(id, idLength), func(r *recorded, id string) ([]byte, error) { return r.Aggregate(id, values) })
}

//go:wasmexport faas-flow:flow/handlers@0.2.0#condition
func exportCondition(id unsafe.Pointer, idLength uint32, data unsafe.Pointer, length uint32) unsafe.Pointer {
	name, input := idOf(id, idLength), dataOf(data, length)
	abi.Release()
	recorded, err := flow()
	var keys []string
	if err == nil {
		keys, err = recorded.Condition(name, input)
	}
	list := make([]abi.List, len(keys))
	for i, key := range keys {
		list[i] = abi.KeepText(key)
	}
	return answer(abi.KeepElements(list), err)
}

//go:wasmexport faas-flow:flow/handlers@0.2.0#for-each
func exportForEach(id unsafe.Pointer, idLength uint32, data unsafe.Pointer, length uint32) unsafe.Pointer {
	name, input := idOf(id, idLength), dataOf(data, length)
	abi.Release()
	recorded, err := flow()
	var items []Item
	if err == nil {
		items, err = recorded.ForEach(name, input)
	}
	list := make([]abi.Pair, len(items))
	for i, item := range items {
		list[i] = abi.Pair{First: abi.KeepText(item.Key), Second: abi.KeepBytes(item.Data)}
	}
	return answer(abi.KeepElements(list), err)
}

//go:wasmexport faas-flow:flow/handlers@0.2.0#forward
func exportForward(id unsafe.Pointer, idLength uint32, data unsafe.Pointer, length uint32) unsafe.Pointer {
	input := dataOf(data, length)
	return with(idOf(id, idLength), func(r *recorded, id string) ([]byte, error) { return r.Forward(id, input) })
}

//go:wasmexport faas-flow:flow/handlers@0.2.0#prepare
func exportPrepare(id unsafe.Pointer, idLength uint32, method unsafe.Pointer, methodLength uint32,
	url unsafe.Pointer, urlLength uint32, headers unsafe.Pointer, headersCount uint32,
	body unsafe.Pointer, bodyLength uint32) unsafe.Pointer {
	name := idOf(id, idLength)
	request := &Request{
		Method:  idOf(method, methodLength),
		URL:     idOf(url, urlLength),
		Headers: headersOf(abi.ListAt(headers, headersCount)),
		Body:    dataOf(body, bodyLength),
	}
	abi.Release()
	recorded, err := flow()
	if err == nil {
		err = recorded.Prepare(name, request)
	}
	if err != nil {
		return fail(payload, failed(err))
	}
	return ok(payload, abi.HttpRequest{
		Method:  abi.KeepText(request.Method),
		URL:     abi.KeepText(request.URL),
		Headers: abi.KeepElements(pairs(request.Headers)),
		Body:    abi.KeepBytes(request.Body),
	})
}

//go:wasmexport faas-flow:flow/handlers@0.2.0#receive
func exportReceive(id unsafe.Pointer, idLength uint32, status int32, headers unsafe.Pointer, headersCount uint32,
	body unsafe.Pointer, bodyLength uint32) unsafe.Pointer {
	response := &Response{
		Status:  int(status),
		Headers: headersOf(abi.ListAt(headers, headersCount)),
		Body:    dataOf(body, bodyLength),
	}
	return with(idOf(id, idLength), func(r *recorded, id string) ([]byte, error) { return r.Receive(id, response) })
}

//go:wasmexport faas-flow:flow/handlers@0.2.0#recover
func exportRecover(id unsafe.Pointer, idLength uint32, failure unsafe.Pointer, length uint32) unsafe.Pointer {
	cause := errors.New(idOf(failure, length))
	return with(idOf(id, idLength), func(r *recorded, id string) ([]byte, error) { return r.Recover(id, cause) })
}

//go:wasmexport faas-flow:flow/handlers@0.2.0#finally
func exportFinally(id unsafe.Pointer, idLength uint32, outcome int32) unsafe.Pointer {
	state := StateSuccess
	if outcome != 0 {
		state = StateFailure
	}
	return with(idOf(id, idLength), func(r *recorded, id string) ([]byte, error) { return nil, r.Finally(id, state) })
}

//go:wasmexport faas-flow:flow/recovery@0.2.0#recover-from
func exportRecoverFrom(arguments unsafe.Pointer) unsafe.Pointer {
	given := (*abi.RecoverFromArguments)(arguments)
	what := failedOf(&given.What)
	what.Input = given.Input.Bytes()
	if given.Body.IsSome != 0 {
		what.Body = given.Body.Value.Bytes()
	}
	return with(given.Handler.Text(), func(r *recorded, id string) ([]byte, error) { return r.RecoverFrom(id, what) })
}

//go:wasmexport faas-flow:flow/gathering@0.2.0#gather
func exportGather(id unsafe.Pointer, idLength uint32, items unsafe.Pointer, count uint32) unsafe.Pointer {
	list := abi.Elements[abi.Gathered](abi.ListAt(items, count))
	gathered := make([]Gathered, len(list))
	for i := range list {
		gathered[i].Key = list[i].Key.Text()
		if list[i].IsErr != 0 {
			gathered[i].Failed = failedOf(&list[i].Ended)
		} else {
			gathered[i].Data = (*abi.List)(unsafe.Pointer(&list[i].Ended)).Bytes()
		}
	}
	return with(idOf(id, idLength), func(r *recorded, id string) ([]byte, error) { return r.Gather(id, gathered) })
}

// failedOf reads a failure.
func failedOf(what *abi.Failed) *Failed {
	failed := &Failed{
		Code:    what.Code.Text(),
		Kind:    FailureKind(what.Kind),
		Message: what.Message.Text(),
		Path:    what.Path.Text(),
		Tries:   int(what.Tries),
	}
	if what.Status.IsSome != 0 {
		failed.Status = int(what.Status.Value)
	}
	return failed
}

//go:wasmexport faas-flow:flow/timing@0.2.0#moment
func exportMoment(id unsafe.Pointer, idLength uint32, data unsafe.Pointer, length uint32) unsafe.Pointer {
	name, input := idOf(id, idLength), dataOf(data, length)
	abi.Release()
	recorded, err := flow()
	var wake Wake
	if err == nil {
		wake, err = recorded.Moment(name, input)
	}
	if err != nil {
		return fail(wakePayload, failed(err))
	}
	result := ok(wakePayload, abi.Wake{Case: abi.CaseAfter, After: wake.after})
	if wake.isAt {
		written := (*abi.Wake)(unsafe.Add(result, wakePayload))
		written.Case = abi.CaseAt
		*(*abi.List)(unsafe.Pointer(&written.After)) = abi.KeepText(wake.at)
	}
	return result
}

//go:wasmexport faas-flow:flow/repeating@0.2.0#again
func exportAgain(id unsafe.Pointer, idLength uint32, data unsafe.Pointer, length uint32, round uint32) unsafe.Pointer {
	name, input := idOf(id, idLength), dataOf(data, length)
	abi.Release()
	recorded, err := flow()
	again := false
	if err == nil {
		again, err = recorded.Again(name, input, int(round))
	}
	if err != nil {
		return fail(payload, failed(err))
	}
	return ok(payload, again)
}

//go:wasmexport faas-flow:flow/signalling@0.2.0#signal-name
func exportSignalName(id unsafe.Pointer, idLength uint32, data unsafe.Pointer, length uint32) unsafe.Pointer {
	input := dataOf(data, length)
	return with(idOf(id, idLength), func(r *recorded, id string) ([]byte, error) {
		name, err := r.SignalName(id, input)
		return []byte(name), err
	})
}

//go:wasmexport faas-flow:flow/limiting@0.2.0#key
func exportKey(id unsafe.Pointer, idLength uint32, data unsafe.Pointer, length uint32) unsafe.Pointer {
	input := dataOf(data, length)
	return with(idOf(id, idLength), func(r *recorded, id string) ([]byte, error) {
		key, err := r.Key(id, input)
		return []byte(key), err
	})
}
