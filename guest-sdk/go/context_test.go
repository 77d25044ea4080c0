package faasflow_test

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	faasflow "github.com/faas-flow/faas-flow/guest-sdk/go"
	"github.com/faas-flow/faas-flow/guest-sdk/go/flowtest"
)

func TestAFakeRunAnswersAndRemembers(t *testing.T) {
	fake := &flowtest.Fake{
		Node:         "sync",
		Query:        map[string][]string{"a": {"1", "2"}},
		Header:       map[string][]string{"X-Limit": {"9"}},
		Inputs:       []flowtest.Input{{Key: "n1", Data: "in"}},
		ContentTypes: []string{"text/csv"},
	}
	fake.Set("old", "x").Set("raw", []byte{0xff})
	flow := flowtest.With(t, fake, func(flow *faasflow.Workflow, context *faasflow.Context) error {
		flow.SyncNode().Modify(func([]byte) ([]byte, error) {
			count, _, err := faasflow.Get[int](context, "count")
			if err != nil {
				return nil, err
			}
			for _, err := range []error{
				context.Set("count", count+1), context.Del("old"), context.SetContentType("text/plain"),
				context.Label("order", "7"), context.Respond(201, faasflow.Headers{{"Location", "/7"}}),
			} {
				if err != nil {
					return nil, err
				}
			}
			context.Warn("limit " + strings.Join(context.Header("x-limit"), ""))
			_, isSet, err := faasflow.Get[string](context, "old")
			url, urlErr := context.SignalURL("paid")
			if isSet || err != nil || urlErr != nil || !strings.Contains(url, "/flow/test/signal/paid?") {
				return nil, faasflow.Reject("%v %v %v %v", isSet, err, url, urlErr)
			}
			facts := []string{
				context.GetRequestId(), context.Name(), context.GetNode(), context.State, context.RunState().String(),
				context.Query.Get("a"), strings.Join(context.Query.All("a"), "+"), context.ContentType(),
				strings.Join(context.ContentTypes(), ","), string(context.Inputs().Get("n1")), string(context.GetBytes("raw")),
			}
			return []byte(strings.Join(facts, " ")), nil
		})
		return nil
	})
	flow.Modify("sync/0", "")
	got, err := flow.Modify("sync/0", "")
	if want := "test flow sync ongoing running 1 1+2 application/octet-stream text/csv in \xff"; err != nil || got != want {
		t.Errorf("got %q and %v", got, err)
	}
	if flow.Value("count") != "2" || flow.Value("old") != "" || flow.ReturnedContentType != "text/plain" ||
		!maps.Equal(flow.Labels, map[string]string{"order": "7"}) ||
		flow.Response.Status != 201 || flow.Response.Headers.Get("location") != "/7" ||
		!slices.Equal(flow.Logs[1:], []flowtest.Log{{Level: faasflow.LevelWarn, Message: "limit 9"}}) {
		t.Errorf("%+v", flow.Fake)
	}
}

func TestANodeWithSeveralPredecessorsFindsItsInputs(t *testing.T) {
	fake := &flowtest.Fake{Inputs: []flowtest.Input{{Key: "a", Data: "1"}, {Key: "b", Data: "2"}}}
	flow := flowtest.With(t, fake, func(flow *faasflow.Workflow, context *faasflow.Context) error {
		dag := flow.Dag()
		for _, id := range []string{"a", "b"} {
			dag.Node(id).Modify(func([]byte) ([]byte, error) { return context.NodeInput["a"], nil })
			dag.Edge(id, "sum")
		}
		dag.Node("sum").Modify(func([]byte) ([]byte, error) {
			return append(context.NodeInput["a"], context.NodeInput["b"]...), nil
		})
		return nil
	})
	if got, err := flow.Modify("sum/0", ""); err != nil || got != "12" {
		t.Error(got, err)
	}
	if got, err := flow.Modify("a/0", ""); err != nil || got != "" {
		t.Error(got, err)
	}
}

func TestTheStateIsThatOfTheRun(t *testing.T) {
	flow := flowtest.New(t, func(flow *faasflow.Workflow, context *faasflow.Context) error {
		flow.SyncNode().Modify(func([]byte) ([]byte, error) { return []byte(context.State), nil })
		flow.OnFailure(func(error) ([]byte, error) { return []byte(context.State), nil })
		flow.Finally(func(state string) { context.Info(state + context.State) })
		return nil
	})
	if got, err := flow.Recover("(failure)", "x"); err != nil || got != faasflow.StateFailure {
		t.Error(got, err)
	}
	if err := flow.Finally(faasflow.StateSuccess); err != nil || flow.Logs[0].Message != "successsuccess" {
		t.Error(flow.Logs, err)
	}
	if got, err := flow.Modify("sync/0", "x"); err != nil || got != faasflow.StateOngoing {
		t.Error(got, err)
	}
}

func TestHandlersOfTheOriginalLibraryGetTheTypesOfNetHTTP(t *testing.T) {
	flow := flowtest.New(t, func(flow *faasflow.Workflow, _ *faasflow.Context) error {
		flow.SyncNode().Apply("func1",
			faasflow.Header("method", "PUT"),
			faasflow.RequestHandler(func(request *http.Request) {
				body, _ := io.ReadAll(request.Body)
				request.Header.Set("X-Body", string(body))
				request.Header.Del("X-Old")
				query := request.URL.Query()
				query.Set("page", "2")
				request.URL.RawQuery = query.Encode()
				request.Body = io.NopCloser(strings.NewReader("changed"))
			}),
			faasflow.OnReponse(func(response *http.Response) ([]byte, error) {
				defer response.Body.Close()
				body, err := io.ReadAll(response.Body)
				return append([]byte(response.Header.Get("content-type")+": "), body...), err
			}),
			faasflow.OnFailure(func(err error) error { return err }))
		return nil
	})
	request := &faasflow.Request{Method: "PUT", URL: "http://gateway/function/func1?a=1", Body: []byte("data"),
		Headers: faasflow.Headers{{"x-old", "1"}, {"x-tag", "a"}, {"x-tag", "b"}}}
	err := flow.Prepare("sync/0/prepare", request)
	if err != nil || request.URL != "http://gateway/function/func1?a=1&page=2" || string(request.Body) != "changed" ||
		!slices.Equal(request.Headers, faasflow.Headers{{"X-Body", "data"}, {"X-Tag", "a"}, {"X-Tag", "b"}}) {
		t.Error(request, err)
	}
	response := &faasflow.Response{Status: 200, Headers: faasflow.Headers{{"content-type", "text/csv"}}, Body: []byte("1,2")}
	if got, err := flow.Receive("sync/0/receive", response); err != nil || got != "text/csv: 1,2" {
		t.Error(got, err)
	}
	if _, err := flow.Recover("sync/0/recover", "late"); err == nil || err.Error() != "late" {
		t.Error(err)
	}
	if !strings.Contains(string(flow.Definition()), `"method": "PUT"`) {
		t.Error(string(flow.Definition()))
	}
}
