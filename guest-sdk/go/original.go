package faasflow

import (
	"bytes"
	"fmt"
	"io"
	"net/url"
	"reflect"
	"slices"
	"strings"
)

// What handlers of the original library mention, and what has no meaning or another name here.

// StateStore is what OverrideStateStore of a handler of the original library returns. It is not used: the host has the
// store that its configuration names.
type StateStore any

// DataStore is what OverrideDataStore of a handler of the original library returns. It is not used: the host has the
// store that its configuration names.
type DataStore any

// RequestHandler is [Prepare] with the signature of the original library: the function gets an [*http.Request].
//
// R is http.Request. This package does not import net/http, which would make each module 2 MB larger.
func RequestHandler[R any](handler func(request *R)) Option {
	must(handler != nil, "RequestHandler needs a function, and got nil")
	mustBe[R]("RequestHandler", "Request")
	return Prepare(func(request *Request) error {
		address, err := url.Parse(request.URL)
		if err != nil {
			return Reject("the URL of the request is malformed: %w", err)
		}
		theirs := new(R)
		fields := reflect.ValueOf(theirs).Elem()
		fields.FieldByName("Method").SetString(request.Method)
		fields.FieldByName("URL").Set(reflect.ValueOf(address))
		fields.FieldByName("Host").SetString(address.Host)
		setHeader(fields, request.Headers)
		setBody(fields, request.Body)
		handler(theirs)
		request.Method = fields.FieldByName("Method").String()
		request.URL = fields.FieldByName("URL").Interface().(*url.URL).String()
		request.Headers = headers(fields)
		if body, _ := fields.FieldByName("Body").Interface().(io.Reader); body != nil {
			if request.Body, err = io.ReadAll(body); err != nil {
				return Reject("the body of the request cannot be read: %w", err)
			}
		} else {
			request.Body = nil
		}
		return nil
	})
}

// OnReponse is [Receive] with the name and the signature of the original library: the function gets an [*http.Response].
//
// R is http.Response: see [RequestHandler].
func OnReponse[R any](handler func(response *R) ([]byte, error)) Option {
	must(handler != nil, "OnReponse needs a function, and got nil")
	mustBe[R]("OnReponse", "Response")
	return Receive(func(response *Response) ([]byte, error) {
		theirs := new(R)
		fields := reflect.ValueOf(theirs).Elem()
		fields.FieldByName("StatusCode").SetInt(int64(response.Status))
		fields.FieldByName("Status").SetString(fmt.Sprint(response.Status))
		fields.FieldByName("Proto").SetString("HTTP/1.1")
		fields.FieldByName("ProtoMajor").SetInt(1)
		fields.FieldByName("ProtoMinor").SetInt(1)
		setHeader(fields, response.Headers)
		setBody(fields, response.Body)
		return handler(theirs)
	})
}

// mustBe refuses a type that is not that of net/http.
func mustBe[R any](option, name string) {
	t := reflect.TypeFor[R]()
	must(t.PkgPath() == "net/http" && t.Name() == name,
		"the function of %s takes an *http.%s, not a *%s: use Prepare or Receive for the types of this package", option, name, t)
}

func setHeader(message reflect.Value, headers Headers) {
	byName := map[string][]string{}
	for _, header := range headers {
		name := canonical(header[0])
		byName[name] = append(byName[name], header[1])
	}
	field := message.FieldByName("Header")
	field.Set(reflect.ValueOf(byName).Convert(field.Type()))
}

// headers returns the headers of a message, sorted by name, since a map has no order.
func headers(message reflect.Value) (headers Headers) {
	byName := message.FieldByName("Header").Convert(reflect.TypeFor[map[string][]string]()).Interface().(map[string][]string)
	for name, values := range byName {
		for _, value := range values {
			headers.Add(name, value)
		}
	}
	slices.SortStableFunc(headers, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	return headers
}

func setBody(message reflect.Value, body []byte) {
	message.FieldByName("Body").Set(reflect.ValueOf(io.NopCloser(bytes.NewReader(body))))
	message.FieldByName("ContentLength").SetInt(int64(len(body)))
}

// canonical is a name as net/http writes it: Content-Type.
func canonical(name string) string {
	bytes := []byte(strings.ToLower(name))
	for i, c := range bytes {
		if (i == 0 || bytes[i-1] == '-') && 'a' <= c && c <= 'z' {
			bytes[i] -= 'a' - 'A'
		}
	}
	return string(bytes)
}
