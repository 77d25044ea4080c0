package faasflow

import "strings"

// Request is an HTTP request that the host is about to send, as a function of [Prepare] sees it.
type Request struct {
	// Method is in upper case: "POST".
	Method string
	// URL is absolute, with its query. When the request goes to an OpenFaaS function, the host decides where that function
	// is: it uses the query and the path after the function's name, and ignores scheme, host and port.
	URL string
	// Headers are in the order in which they are sent.
	Headers Headers
	// Body is the whole body.
	Body []byte
}

// Response is an HTTP response as it arrived, as a function of [Receive] sees it.
type Response struct {
	// Status is the status code, from 100 to 599.
	Status int
	// Headers are in the order of arrival. Their names are in lower case.
	Headers Headers
	// Body is the whole body.
	Body []byte
}

// Headers are the names and values of headers, in order. A name may occur more than once. In names, upper and lower case
// are the same.
type Headers [][2]string

// Get returns the value of the first header with this name, or "".
func (h Headers) Get(name string) string {
	for _, header := range h {
		if strings.EqualFold(header[0], name) {
			return header[1]
		}
	}
	return ""
}

// Values returns the values of all headers with this name, in order.
func (h Headers) Values(name string) []string {
	var values []string
	for _, header := range h {
		if strings.EqualFold(header[0], name) {
			values = append(values, header[1])
		}
	}
	return values
}

// Add adds a header, and keeps those with the same name.
func (h *Headers) Add(name, value string) { *h = append(*h, [2]string{name, value}) }

// Set adds a header in place of all those with the same name.
func (h *Headers) Set(name, value string) {
	h.Del(name)
	h.Add(name, value)
}

// Del removes all headers with this name.
func (h *Headers) Del(name string) {
	kept := Headers{}
	for _, header := range *h {
		if !strings.EqualFold(header[0], name) {
			kept = append(kept, header)
		}
	}
	*h = kept
}
