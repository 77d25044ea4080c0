package faasflow

import (
	"bytes"
	"encoding/json"

	"github.com/faas-flow/faas-flow/guest-sdk/go/internal/bridge"
)

func init() {
	bridge.Record = func(define, asked any) (any, error) {
		return record(define.(func(*Workflow, *Context) error), newContext(asked.(host)))
	}
	bridge.Wake = func(wake any) (after uint64, at string, isAt bool) {
		w := wake.(Wake)
		return w.after, w.at, w.isAt
	}
}

// Definition is the definition in the JSON form that the host uses.
func (r *recorded) Definition() ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(r.definition)
	return text.Bytes(), err
}

// Handlers is the ids of all functions, sorted.
func (r *recorded) Handlers() []string { return r.definition.Handlers }
