package flowtest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	faasflow "github.com/faas-flow/faas-flow/guest-sdk/go"
	"github.com/faas-flow/faas-flow/guest-sdk/go/internal/bridge"
)

const (
	// callTimeout is the time limit of a try without one of its own.
	callTimeout = time.Minute
	// answerTimeout is that of an asynchronous call.
	answerTimeout = 24 * time.Hour
	// longestWait is how long a node may be held while it waits between two tries.
	longestWait  = 5 * time.Second
	longestSleep = 366 * 24 * time.Hour
)

func millis(ms uint64) time.Duration { return time.Duration(ms) * time.Millisecond }

// operations attempts a node as often as its retry policy allows.
func (e *engine) operations(path string, o *operationsModel, gather func() (value, *failing)) (value, *failing) {
	for attempt := 1; ; attempt++ {
		output, f := e.attempt(path, millis(o.TimeoutMs), func() (value, *failing) {
			data, f := gather()
			if f == nil && o.Limit != nil && o.Limit.Key != "" {
				f = e.limit(o.Limit.Key, data)
			}
			for index := range o.List {
				if f != nil {
					break
				}
				e.own.input = data.data
				data, f = e.operation(path, index, &o.List[index], data)
			}
			return data, f
		})
		if f == nil {
			return output, nil
		}
		if f.level == ofRun {
			return nothing, f
		}
		f.level = ofNode
		if !o.Retry.allows(f, attempt) {
			f.last(o.Retry, "node", "attempt", "attempts", attempt)
			return nothing, f
		}
		e.own.until = 0
		if late := e.pass(o.Retry.delay(f, attempt)); late != nil {
			return nothing, late
		}
	}
}

// limit asks for the key of a limit, which holds nothing up here.
func (e *engine) limit(id string, data value) *failing {
	f := e.plain(data, func() error {
		_, err := e.flow.Key(id, string(data.data))
		return err
	})
	if f != nil {
		f.level = ofNode
	}
	return f
}

func (e *engine) operation(path string, index int, o *operationModel, data value) (value, *failing) {
	switch {
	case o.Modify != "":
		return e.data(data, func() (string, error) { return e.flow.Modify(o.Modify, string(data.data)) })
	case o.Sleep != nil:
		return e.sleep(data, millis(*o.Sleep))
	case o.SleepUntil != "":
		return e.sleepUntil(path, o.SleepUntil, data)
	case o.WaitFor != nil:
		return e.waitFor(path, index, o.WaitFor, data)
	case o.Apply != nil:
		return e.call(callOf{path, index, o.Apply, false}, data)
	default:
		return e.call(callOf{path, index, o.Request, true}, data)
	}
}

func (e *engine) sleep(data value, wait time.Duration) (value, *failing) {
	if wait <= 0 {
		return data, nil
	}
	return data, e.suspend(wait)
}

func (e *engine) sleepUntil(path, id string, data value) (value, *failing) {
	var wake faasflow.Wake
	f := e.plain(data, func() (err error) {
		wake, err = e.flow.Moment(id, string(data.data))
		return err
	})
	if f != nil {
		return nothing, f
	}
	after, at, isAt := bridge.Wake(wake)
	wait := millis(min(after, uint64(longestSleep.Milliseconds())+1))
	if isAt {
		moment, err := time.Parse(time.RFC3339Nano, at)
		if err != nil {
			f = fails("FF0232", faasflow.Other, path, "`%s` is not a moment as RFC 3339 writes it, such as `2026-12-24T18:00:00+01:00`", at)
		}
		wait = moment.Sub(e.run.now.Add(e.now))
	}
	if f == nil && wait > longestSleep {
		f = fails("FF0232", faasflow.Other, path, "the node would sleep for %s, but at most %s (366 days) are possible", shown(wait), shown(longestSleep))
	}
	if f != nil {
		f.failed.Input = data.data
		return nothing, f
	}
	return e.sleep(data, wait)
}

func (e *engine) waitFor(path string, index int, w *waitModel, data value) (value, *failing) {
	name := w.Signal.Named
	if w.Signal.Handler != "" {
		f := e.plain(data, func() (err error) {
			name, err = e.flow.SignalName(w.Signal.Handler, string(data.data))
			return err
		})
		if f == nil && !signalName.MatchString(name) {
			f = fails("FF0275", faasflow.Other, path, "signal name `%s` is malformed: 1 to 64 characters out of A-Z a-z 0-9 _ . -", name)
			f.failed.Input = data.data
		}
		if f != nil {
			return nothing, f
		}
	}
	place := fmt.Sprintf("%s/%d", path, index)
	if sent, isTaken := e.taken[place]; isTaken {
		return value{data: []byte(sent.body), mediaType: octetStream}, nil
	}
	limit := millis(w.TimeoutMs)
	at := slices.IndexFunc(e.signals, func(sent signal) bool { return sent.name == name })
	if at >= 0 && (limit == 0 || e.signals[at].at <= e.now+limit) {
		sent := e.signals[at]
		e.signals = slices.Delete(e.signals, at, at+1)
		if f := e.suspend(max(sent.at-e.now, 0)); f != nil {
			return nothing, f
		}
		e.taken[place] = sent
		return value{data: []byte(sent.body), mediaType: octetStream}, nil
	}
	if limit == 0 && e.deadline == 0 {
		stop("node `%s` waits for the signal `%s`, without a timeout, and none comes: add .Signal(%q, …) to the run", path, name, name)
	}
	if f := e.suspend(cmp.Or(limit, e.deadline+1)); f != nil {
		return nothing, f
	}
	f := fails("FF0270", faasflow.TimedOut, path, "no signal `%s` came in %s: send it earlier, or give the wait a longer timeout", name, shown(limit))
	f.failed.Input = data.data
	if w.RecoverFrom == "" {
		return nothing, f
	}
	recovered, own := e.recoverFrom(w.RecoverFrom, f)
	if own != nil {
		own.failed.Input = data.data
	}
	return recovered, own
}

// callOf is a call among the operations of a node.
type callOf struct {
	path  string
	index int
	*callModel
	isURL bool
}

// call makes a call, with the tries that its policy allows.
func (e *engine) call(c callOf, data value) (value, *failing) {
	for try := 1; ; try++ {
		output, f := e.try(c, try, data)
		if f == nil || f.level > ofOperation {
			return output, f
		}
		f.failed.Input = data.data
		if c.Retry.allows(f, try) {
			wait, pass := c.Retry.delay(f, try), e.pass
			if wait > longestWait {
				pass = e.suspend
			}
			if late := pass(wait); late != nil {
				return nothing, late
			}
			continue
		}
		f.last(c.Retry, "call", "try", "tries", try)
		e.own.hasCalled = true
		recovered, own := e.recovered(c, f)
		if own != nil {
			own.failed.Input = data.data
		}
		return recovered, own
	}
}

// recovered is what the flow makes of a call that has failed.
func (e *engine) recovered(c callOf, f *failing) (value, *failing) {
	switch {
	case c.Recover != "":
		withoutPath := *f
		withoutPath.failed.Path = ""
		return e.data(nothing, func() (string, error) { return e.flow.Recover(c.Recover, withoutPath.text()) })
	case c.RecoverFrom != "":
		return e.recoverFrom(c.RecoverFrom, f)
	default:
		return nothing, f
	}
}

// try is one try of a call.
func (e *engine) try(c callOf, try int, data value) (value, *failing) {
	if c.Limit != nil && c.Limit.Key != "" {
		if f := e.limit(c.Limit.Key, data); f != nil {
			return nothing, f
		}
	}
	request := e.request(c, data)
	if c.Prepare != "" {
		of := value{data: request.Body, mediaType: mediaTypeOf(request.Headers)}
		if f := e.plain(of, func() error { return e.flow.Prepare(c.Prepare, &request) }); f != nil {
			return nothing, f
		}
	}
	call := &Call{Request: request, Function: subject(c.Target, request.URL, c.isURL), Node: c.path, Tries: try, At: e.now}
	answer := e.run.double(call)
	e.calls = append(e.calls, call)
	given := *call
	given.Headers, given.Body = slices.Clone(call.Headers), slices.Clone(call.Body)
	if c.Asynchronous {
		e.commit()
	}
	response, f := e.answered(c, answer(&given))
	e.own.hasCalled = true
	if f != nil {
		return nothing, f
	}
	of := value{data: response.Body, mediaType: mediaTypeOf(response.Headers)}
	switch {
	case c.Receive != "":
		return e.data(of, func() (string, error) { return e.flow.Receive(c.Receive, response) })
	case response.Status == 202 && !c.isURL:
		advice := "have it answer when it is done, and call it asynchronously if that takes long"
		return nothing, fails("FF0250", faasflow.Answered, c.path, "`%s` answered with status 202, so its result is not in the answer: %s", c.Target, advice)
	case response.Status >= 200 && response.Status <= 299:
		return of, nil
	}
	f = fails("FF0207", faasflow.Answered, c.path, "`%s` answered with status %d%s", c.Target, response.Status, quoted(response.Body))
	f.failed.Status, f.failed.Body = response.Status, response.Body
	f.retry = slices.Contains(c.RetryOn, response.Status)
	if len(c.RetryOn) == 0 {
		f.retry = response.Status == 408 || response.Status == 429 || response.Status >= 500
	}
	if f.retry {
		f.retryAfter = retryAfter(response.Headers, e.run.now.Add(e.now))
	}
	return nothing, f
}

// answered is the response that an answer is, once its time has passed.
func (e *engine) answered(c callOf, answer Answer) (*faasflow.Response, *failing) {
	limit, pass := cmp.Or(millis(c.TimeoutMs), callTimeout), e.pass
	if c.Asynchronous {
		limit, pass = cmp.Or(millis(c.TimeoutMs), answerTimeout), e.suspend
	}
	if answer.Delay > limit {
		if f := pass(limit); f != nil {
			return nil, f
		}
		f := fails("FF0206", faasflow.TimedOut, c.path, "`%s` did not answer within %d ms", c.Target, limit.Milliseconds())
		if c.Asynchronous {
			f = fails("FF0253", faasflow.TimedOut, c.path, "`%s` did not answer within %s", c.Target, shown(limit))
		}
		f.retry = true
		return nil, f
	}
	if f := pass(answer.Delay); f != nil {
		return nil, f
	}
	if answer.Err != nil {
		f := fails("FF0208", faasflow.Unreachable, c.path, "no answer from %s: %v", c.Target, answer.Err)
		f.retry = true
		return nil, f
	}
	response := &faasflow.Response{Status: cmp.Or(answer.Status, 200), Body: []byte(answer.Body)}
	for _, header := range answer.Headers {
		response.Headers.Add(strings.ToLower(header[0]), header[1])
	}
	return response, nil
}

// request is what a call sends before the flow's code changes it.
func (e *engine) request(c callOf, data value) faasflow.Request {
	address := c.Target
	if !c.isURL {
		address = "http://function/" + c.Target
	}
	if len(c.Query) > 0 {
		address, _, _ = strings.Cut(address, "#")
	}
	for _, parameter := range c.Query {
		mark := "?"
		if strings.Contains(address, "?") {
			mark = "&"
		}
		address += mark + escape(parameter[0]) + "=" + escape(parameter[1])
	}
	headers := slices.Clone(faasflow.Headers(c.Headers))
	if headers.Get("Content-Type") == "" && (len(data.data) > 0 || data.mediaType != octetStream) {
		headers.Add("Content-Type", data.mediaType)
	}
	id := asked{e.fake}.RequestID()
	headers.Add("X-Faas-Flow-Idempotency-Key", fmt.Sprintf("%s/%s/%d", id, c.path, c.index))
	headers.Add("X-Faas-Flow-Reqid", id)
	return faasflow.Request{Method: cmp.Or(c.Method, "POST"), URL: address, Headers: headers, Body: slices.Clone(data.data)}
}

// escape percent-encodes a name or value of a query parameter, as the host does.
func escape(text string) string {
	var escaped strings.Builder
	for _, c := range []byte(text) {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' {
			escaped.WriteByte(c)
		} else {
			fmt.Fprintf(&escaped, "%%%02X", c)
		}
	}
	return escaped.String()
}

// mediaTypeOf is what a message says that its body is.
func mediaTypeOf(headers faasflow.Headers) string {
	text := headers.Get("Content-Type")
	if len(text) > 255 || !mediaType.MatchString(text) {
		return octetStream
	}
	return text
}

// quoted is the beginning of a body, as messages have it.
func quoted(body []byte) string {
	text := []rune(strings.TrimSpace(strings.ToValidUTF8(string(body), "\uFFFD")))
	if len(text) == 0 {
		return ""
	}
	return ": " + string(text[:min(len(text), 500)])
}

// shown is a duration as the host shows it: "1.5 s", "2 min 3 s", "48 h".
func shown(d time.Duration) string {
	two := func(large int64, unit string, small int64, smaller string) string {
		if small == 0 {
			return fmt.Sprintf("%d %s", large, unit)
		}
		return fmt.Sprintf("%d %s %d %s", large, unit, small, smaller)
	}
	switch seconds := int64(d / time.Second); {
	case seconds == 0:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case seconds < 60:
		return fmt.Sprintf("%v s", float64(d.Milliseconds())/1000)
	case seconds < 3600:
		return two(seconds/60, "min", seconds%60, "s")
	default:
		return two(seconds/3600, "h", seconds%3600/60, "min")
	}
}
