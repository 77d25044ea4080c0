package flowtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode"

	faasflow "github.com/faas-flow/faas-flow/guest-sdk/go"
)

// Fake is a run in tests. It answers what a test has told it, and remembers what the flow has logged and set. The zero
// value is a run of which nothing is known.
type Fake struct {
	// RequestID is the id of the run. It is "test" if it is empty.
	RequestID string
	// FlowName is the name of the flow. It is "flow" if it is empty.
	FlowName string
	// Node is the path of the current node.
	Node string
	// RunState is the state of the run.
	RunState faasflow.RunState
	// Query has the query parameters of the request.
	Query map[string][]string
	// Header is the headers of the request. Upper and lower case are the same.
	Header map[string][]string
	// Inputs is the inputs of the current node.
	Inputs []Input
	// ContentType is the media type of the data that functions get. It is "application/octet-stream" if it is empty.
	ContentType string
	// ContentTypes is the media types of the values that aggregators get, in their order.
	ContentTypes []string

	// Logs is the lines that the flow has logged, in order.
	Logs []Log
	// ReturnedContentType is the media type of what the latest function returned.
	ReturnedContentType string
	// Response is the status and headers with which the caller of the run is answered, or nil if the flow has set none.
	Response *faasflow.Response
	// Labels is the labels that the flow has given the run.
	Labels map[string]string

	values   map[string][]byte
	defining bool
}

// Log is a line that the flow has logged.
type Log struct {
	// Level is the severity of the line.
	Level faasflow.Level
	// Message is the line.
	Message string
}

// Set sets a value of the run, as JSON, or as they are if it is bytes. It panics if the value cannot be represented in
// JSON.
func (f *Fake) Set(key string, value any) *Fake {
	data, isBytes := value.([]byte)
	if !isBytes {
		var err error
		if data, err = json.Marshal(value); err != nil {
			panic(err)
		}
	}
	f.store(key, data)
	return f
}

// Value returns a value that the flow, or the test, has set, as JSON or as bytes, or "" if there is none.
func (f *Fake) Value(key string) string { return string(f.values[key]) }

func (f *Fake) store(key string, data []byte) {
	if f.values == nil {
		f.values = map[string][]byte{}
	}
	f.values[key] = data
}

// begin forgets what the function before said of what it returned.
func (f *Fake) begin() { f.ReturnedContentType = octetStream }

const octetStream = "application/octet-stream"

// asked is the fake as the context of a flow asks it.
type asked struct{ *Fake }

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

func (a asked) RequestID() string           { return or(a.Fake.RequestID, "test") }
func (a asked) FlowName() string            { return or(a.Fake.FlowName, "flow") }
func (a asked) Node() string                { return a.Fake.Node }
func (a asked) RunState() faasflow.RunState { return a.Fake.RunState }
func (a asked) Query(name string) []string  { return a.Fake.Query[name] }

func (a asked) Header(name string) (values []string) {
	for header, list := range a.Fake.Header {
		if strings.EqualFold(header, name) {
			values = append(values, list...)
		}
	}
	return values
}

func (a asked) Inputs() faasflow.Inputs { return items(a.Fake.Inputs) }
func (a asked) ContentType() string     { return or(a.Fake.ContentType, octetStream) }

func (a asked) ContentTypes() []string {
	if a.Fake.ContentTypes != nil {
		return a.Fake.ContentTypes
	}
	types := make([]string, len(a.Fake.Inputs))
	for i := range types {
		types[i] = octetStream
	}
	return types
}

var mediaType = regexp.MustCompile(`^[!-.0-~]+/[!-.0-~]+ *(;[ -~]*)?$`)

func (a asked) SetContentType(text string) error {
	if a.defining {
		return errors.New("there is no data in Define that could have a media type")
	}
	if len(text) > 255 || !mediaType.MatchString(text) {
		return fmt.Errorf("%q is not a media type", text)
	}
	a.ReturnedContentType = text
	return nil
}

func (a asked) Respond(status uint16, headers [][2]string) error {
	if a.defining {
		return errors.New("there is no run in Define that could be answered")
	}
	if status < 200 || status > 599 || status == 202 {
		return fmt.Errorf("an answer cannot have the status %d", status)
	}
	a.Response = &faasflow.Response{Status: int(status), Headers: headers}
	return nil
}

func (a asked) SetRejectStatus(uint16) error { return nil }

var labelKey = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$`)

func (a asked) Label(key, value string) error {
	switch _, isKnown := a.Labels[key]; {
	case a.defining:
		return errors.New("there is no run in Define that could have a label")
	case !labelKey.MatchString(key):
		return fmt.Errorf("%q cannot be the key of a label", key)
	case len(value) > 128 || strings.ContainsFunc(value, unicode.IsControl):
		return fmt.Errorf("the value of the label %q is too long, or has control characters", key)
	case len(a.Labels) >= 16 && !isKnown:
		return errors.New("a run has at most 16 labels")
	}
	if a.Labels == nil {
		a.Fake.Labels = map[string]string{}
	}
	a.Labels[key] = value
	return nil
}

func (a asked) Get(key string) ([]byte, bool, error) {
	value, isSet := a.values[key]
	return value, isSet, nil
}

func (a asked) Set(key string, value []byte) error {
	if err := a.changeable(key); err != nil {
		return err
	}
	a.store(key, value)
	return nil
}

func (a asked) Delete(key string) error {
	if err := a.changeable(key); err != nil {
		return err
	}
	delete(a.values, key)
	return nil
}

// changeable refuses what the host refuses.
func (a asked) changeable(key string) error {
	if a.defining {
		return fmt.Errorf("value %q cannot be changed while the flow is being defined", key)
	}
	if len(key) < 1 || len(key) > 256 {
		return fmt.Errorf("value %q has a key of %d bytes, not 1 to 256", key, len(key))
	}
	return nil
}

var signalName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

func (a asked) SignalURL(name string, _ *uint64) (string, error) {
	if a.defining {
		return "", errors.New("there is no run in Define to which a signal could be sent")
	}
	if !signalName.MatchString(name) {
		return "", fmt.Errorf("%q is not the name of a signal", name)
	}
	path := url.PathEscape(a.FlowName()) + "/flow/" + a.RequestID() + "/signal/" + name
	return "https://example.org/function/" + path + "?signature=test", nil
}

func (a asked) Log(level faasflow.Level, message string) {
	a.Fake.Logs = append(a.Fake.Logs, Log{level, message})
}
