package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/faasflow/lib/openfaas"
	runtime "github.com/faasflow/runtime"
	controller "github.com/faasflow/runtime/controller/http"
	"github.com/faasflow/sdk"
	"github.com/faasflow/sdk/executor"
)

// serve is the flow's function, as the original's template makes it: its port goes to stdout, and nothing else.
func serve(flow, store, gateway string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	// The original listens by itself.
	listener.Close()
	fmt.Println(port)
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	os.Stdout = null
	log.SetOutput(io.Discard)
	stores, err := open(store)
	if err != nil {
		return err
	}
	return controller.StartServer(&engine{flow: flow, gateway: gateway, stores: stores}, port, time.Minute, time.Minute)
}

type engine struct {
	flow    string
	gateway string
	stores  stores
}

func (*engine) Init() error { return nil }

func (engine *engine) CreateExecutor(request *runtime.Request) (executor.Executor, error) {
	return &execution{engine: engine, callback: request.GetHeader("X-Faas-Flow-Callback-Url")}, nil
}

// execution is one request to the function.
type execution struct {
	engine   *engine
	callback string
	run      string
}

func (execution *execution) Configure(run string) { execution.run = run }
func (execution *execution) GetFlowName() string  { return execution.engine.flow }

func (execution *execution) GetFlowDefinition(pipeline *sdk.Pipeline, context *sdk.Context) error {
	return define(execution.engine.flow, openfaas.GetWorkflow(pipeline))
}

// Events are signed, as ours are.
func (*execution) ReqValidationEnabled() bool { return true }
func (*execution) GetValidationKey() (string, error) {
	return "a key of the benchmark's own, as long as ours", nil
}
func (*execution) ReqAuthEnabled() bool                       { return false }
func (*execution) GetReqAuthKey() (string, error)             { return "", nil }
func (*execution) MonitoringEnabled() bool                    { return false }
func (*execution) GetEventHandler() (sdk.EventHandler, error) { return nil, nil }
func (*execution) LoggingEnabled() bool                       { return false }
func (*execution) GetLogger() (sdk.Logger, error)             { return nil, nil }

func (execution *execution) GetStateStore() (sdk.StateStore, error) {
	return execution.engine.stores.state(), nil
}

func (execution *execution) GetDataStore() (sdk.DataStore, error) {
	return execution.engine.stores.data(), nil
}

func (execution *execution) GetExecutionOption(sdk.Operation) map[string]interface{} {
	return map[string]interface{}{"request-id": execution.run, "gateway": execution.engine.gateway}
}

func (execution *execution) HandleNextNode(state *executor.PartialState) error {
	body, err := state.Encode()
	if err != nil {
		return err
	}
	url := "http://" + execution.engine.gateway + "/async-function/flow/flow/" + execution.run + "/forward"
	return post(url, body, execution.callback, http.StatusAccepted)
}

func (execution *execution) HandleExecutionCompletion(result []byte) error {
	return post(execution.callback, result, "", http.StatusOK)
}

func post(url string, body []byte, callback string, wanted int) error {
	request, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if callback != "" {
		request.Header.Set("X-Faas-Flow-Callback-Url", callback)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != wanted {
		return fmt.Errorf("%s answers %d", url, response.StatusCode)
	}
	return nil
}

// define makes the flows that ours are measured with.
func define(flow string, workflow *openfaas.Workflow) error {
	same := func(data []byte) ([]byte, error) { return data, nil }
	join := openfaas.Aggregator(func(results map[string][]byte) ([]byte, error) {
		var joined []byte
		for _, result := range results {
			joined = append(joined, result...)
		}
		return joined, nil
	})
	dag := workflow.Dag()
	switch flow {
	case "F1":
		workflow.SyncNode().Modify(same)
	case "F2":
		for node := 1; node <= 10; node++ {
			dag.Node("n" + strconv.Itoa(node)).Modify(same)
			if node > 1 {
				dag.Edge("n"+strconv.Itoa(node-1), "n"+strconv.Itoa(node))
			}
		}
	case "F3":
		dag.Node("first").Modify(same)
		dag.Node("last", join).Modify(same)
		for node := 1; node <= 10; node++ {
			name := "n" + strconv.Itoa(node)
			dag.Node(name).Modify(same)
			dag.Edge("first", name)
			dag.Edge(name, "last")
		}
	case "F4":
		dag.Node("first").Modify(same)
		items := func(data []byte) map[string][]byte {
			items := make(map[string][]byte, 10)
			for item := 0; item < 10; item++ {
				items[strconv.Itoa(item)] = data
			}
			return items
		}
		dag.ForEachBranch("each", items, join).Node("item").Modify(same)
		dag.Node("last").Modify(same)
		dag.Edge("first", "each")
		dag.Edge("each", "last")
	case "F5":
		dag.Node("first").Modify(same)
		choose := func([]byte) []string { return []string{"a"} }
		branches := dag.ConditionalBranch("choose", []string{"a", "b"}, choose, join)
		branches["a"].Node("in-a").Modify(same)
		branches["b"].Node("in-b").Modify(same)
		dag.Node("last").Modify(same)
		dag.Edge("first", "choose")
		dag.Edge("choose", "last")
	case "F6":
		workflow.SyncNode().Apply("echo").Apply("echo")
	default:
		return fmt.Errorf("there is no flow %q", flow)
	}
	return nil
}
