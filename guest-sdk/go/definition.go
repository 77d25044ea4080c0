package faasflow

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The definition of a flow as plain data: handler ids stand where the author put functions. Its JSON form is the one that
// the host uses. Optional fields are pointers where their zero value has a meaning.

type definition struct {
	Dag         *dagModel        `json:"dag"`
	Handlers    []string         `json:"handlers,omitempty"`
	OnFailure   string           `json:"on-failure,omitempty"`
	Finally     string           `json:"finally,omitempty"`
	DeadlineMs  *uint64          `json:"deadline-ms,omitempty"`
	OnExhausted Exhausted        `json:"on-exhausted,omitempty"`
	Schedules   []*scheduleModel `json:"schedules,omitempty"`
}

type scheduleModel struct {
	Name     string         `json:"name"`
	When     string         `json:"when"`
	TimeZone string         `json:"time-zone,omitempty"`
	Missed   Missed         `json:"missed"`
	Overlap  Overlap        `json:"overlap"`
	Input    *scheduleInput `json:"input,omitempty"`
}

type scheduleInput struct {
	Body      textOrBytes `json:"body"`
	MediaType string      `json:"media-type,omitempty"`
}

type dagModel struct {
	Nodes           []*nodeDefinition     `json:"nodes"`
	Edges           []*edgeDefinition     `json:"edges,omitempty"`
	AggregateInputs []aggregateDefinition `json:"aggregate-inputs,omitempty"`
	AggregateEnds   string                `json:"aggregate-ends,omitempty"`
	RecoverNodes    []recoverDefinition   `json:"recover-nodes,omitempty"`
	Recover         string                `json:"recover,omitempty"`
}

// nodeDefinition is a node of any kind: exactly one of its pointers is set.
type nodeDefinition struct {
	ID         string                `json:"id"`
	Operations *operationsDefinition `json:"operations,omitempty"`
	SubDag     *dagModel             `json:"sub-dag,omitempty"`
	Condition  *branchesDefinition   `json:"condition,omitempty"`
	ForEach    *branchesDefinition   `json:"for-each,omitempty"`
	Repeat     *repeatDefinition     `json:"repeat,omitempty"`
}

type edgeDefinition struct {
	From    string   `json:"from"`
	To      string   `json:"to"`
	Carries *carries `json:"carries,omitempty"`
}

// carries is what an edge carries if that is not the output: what a handler makes of it, or nothing.
type carries struct{ forwarded string }

type aggregateDefinition struct {
	Node       string `json:"node"`
	Aggregator string `json:"aggregator"`
}

type recoverDefinition struct {
	Node    string `json:"node"`
	Recover string `json:"recover"`
}

type operationsDefinition struct {
	List      []*operationDefinition `json:"list"`
	Retry     *backoffModel          `json:"retry,omitempty"`
	TimeoutMs *uint64                `json:"timeout-ms,omitempty"`
	Limit     *limitModel            `json:"limit,omitempty"`
}

// operationDefinition is one step of a node: exactly one of its fields is set.
type operationDefinition struct {
	Apply      *callDefinition `json:"apply,omitempty"`
	Request    *callDefinition `json:"request,omitempty"`
	Modify     string          `json:"modify,omitempty"`
	Sleep      *uint64         `json:"sleep,omitempty"`
	SleepUntil string          `json:"sleep-until,omitempty"`
	WaitFor    *waitDefinition `json:"wait-for,omitempty"`
}

type callDefinition struct {
	Target       string        `json:"target"`
	Method       *string       `json:"method,omitempty"`
	Headers      [][2]string   `json:"headers,omitempty"`
	Query        [][2]string   `json:"query,omitempty"`
	Prepare      string        `json:"prepare,omitempty"`
	Receive      string        `json:"receive,omitempty"`
	Recover      string        `json:"recover,omitempty"`
	RecoverFrom  string        `json:"recover-from,omitempty"`
	Retry        *backoffModel `json:"retry,omitempty"`
	RetryOn      []uint16      `json:"retry-on,omitempty"`
	TimeoutMs    *uint64       `json:"timeout-ms,omitempty"`
	Asynchronous bool          `json:"asynchronous,omitempty"`
	Limit        *limitModel   `json:"limit,omitempty"`
}

type waitDefinition struct {
	Signal      signalSource `json:"signal"`
	TimeoutMs   *uint64      `json:"timeout-ms,omitempty"`
	RecoverFrom string       `json:"recover-from,omitempty"`
}

// signalSource is the name of a signal, or the handler that names it.
type signalSource struct {
	Named   *string `json:"named,omitempty"`
	Handler string  `json:"handler,omitempty"`
}

type backoffModel struct {
	Attempts     uint32    `json:"attempts"`
	FirstDelayMs uint32    `json:"first-delay-ms"`
	Factor       decimal32 `json:"factor"`
	MaxDelayMs   uint32    `json:"max-delay-ms"`
}

type limitModel struct {
	Name       string     `json:"name"`
	Concurrent *uint32    `json:"concurrent,omitempty"`
	PerSecond  *decimal64 `json:"per-second,omitempty"`
	Key        string     `json:"key,omitempty"`
}

type branchesDefinition struct {
	Handler        string              `json:"handler"`
	Dags           []*branchDefinition `json:"dags"`
	Aggregator     string              `json:"aggregator,omitempty"`
	CarriesNothing bool                `json:"carries-nothing,omitempty"`
	MaxParallel    *uint32             `json:"max-parallel,omitempty"`
	Tolerate       *tolerateModel      `json:"tolerate,omitempty"`
	Gather         string              `json:"gather,omitempty"`
}

type branchDefinition struct {
	Key string    `json:"key"`
	Dag *dagModel `json:"dag"`
}

// tolerateModel is a number or a share of items that may fail: exactly one of its pointers is set.
type tolerateModel struct {
	Items *uint32    `json:"items,omitempty"`
	Share *decimal32 `json:"share,omitempty"`
}

type repeatDefinition struct {
	Handler string    `json:"handler"`
	Dag     *dagModel `json:"dag"`
	Most    uint32    `json:"most"`
	WaitMs  uint64    `json:"wait-ms,omitempty"`
}

// MarshalJSON writes the name that the definition uses.
func (e Exhausted) MarshalJSON() ([]byte, error) { return json.Marshal(name(e, "fail", "pause")) }

// MarshalJSON writes the name that the definition uses.
func (m Missed) MarshalJSON() ([]byte, error) { return json.Marshal(name(m, "skip", "one", "all")) }

// MarshalJSON writes the name that the definition uses.
func (o Overlap) MarshalJSON() ([]byte, error) {
	return json.Marshal(name(o, "skip", "allow", "queue", "replace"))
}

func (c *carries) MarshalJSON() ([]byte, error) {
	if c.forwarded == "" {
		return json.Marshal("nothing")
	}
	return json.Marshal(map[string]string{"forwarded": c.forwarded})
}

// decimal32 is written as a decimal number, also if it is a whole one: 2.0.
type decimal32 float32

// decimal64 is written as a decimal number, also if it is a whole one: 2.0.
type decimal64 float64

func (d decimal32) MarshalJSON() ([]byte, error) { return decimal(float64(d), 32) }

func (d decimal64) MarshalJSON() ([]byte, error) { return decimal(float64(d), 64) }

func decimal(value float64, bits int) ([]byte, error) {
	text := strconv.FormatFloat(value, 'g', -1, bits)
	if !strings.ContainsAny(text, ".eIN") {
		text += ".0"
	}
	return []byte(text), nil
}

// textOrBytes is written as a text if it is UTF-8, and otherwise as a list of numbers.
type textOrBytes []byte

func (b textOrBytes) MarshalJSON() ([]byte, error) {
	if utf8.Valid(b) {
		return json.Marshal(string(b))
	}
	numbers := make([]int, len(b))
	for i, n := range b {
		numbers[i] = int(n)
	}
	return json.Marshal(numbers)
}
