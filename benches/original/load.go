package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	workers = 16
	warmUp  = 500 * time.Millisecond
	// A run without a callback by then is lost.
	patience = 5 * time.Second
)

func measure(flow, store string, size, clients int, length time.Duration) error {
	// That of the original keeps two per host, as Go does where nobody says otherwise.
	if transport, known := http.DefaultTransport.(*http.Transport); known {
		transport.MaxIdleConns, transport.MaxIdleConnsPerHost = 0, 256
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	gateway := &gateway{
		address: listener.Addr().String(),
		queue:   make(chan call, 1<<16),
		waiting: make([]chan []byte, clients),
	}
	for client := range gateway.waiting {
		gateway.waiting[client] = make(chan []byte, 16)
	}
	engine := exec.Command(os.Args[0], "--engine", gateway.address, "--flow", flow, "--store", store)
	engine.Env = append(os.Environ(), "GOMAXPROCS=2")
	engine.Stderr = os.Stderr
	said, err := engine.StdoutPipe()
	if err != nil {
		return err
	}
	if err := engine.Start(); err != nil {
		return err
	}
	defer func() { engine.Process.Kill(); engine.Wait() }()
	port, err := bufio.NewReader(said).ReadString('\n')
	if err != nil {
		return errors.New("the engine did not start")
	}
	gateway.engine = "127.0.0.1:" + strings.TrimSpace(port)
	for range workers {
		go gateway.work()
	}
	go http.Serve(listener, gateway)
	if err := reachable(gateway.engine); err != nil {
		return err
	}

	payload := bytes.Repeat([]byte("x"), size)
	wanted := payload
	if flow == "F3" || flow == "F4" {
		wanted = bytes.Repeat(payload, 10)
	}
	if _, err := gateway.load(payload, wanted, warmUp); err != nil {
		return err
	}
	before, err := cpu(engine.Process.Pid)
	if err != nil {
		return err
	}
	begun := time.Now()
	runs, err := gateway.load(payload, wanted, length)
	if err != nil {
		return err
	}
	elapsed := time.Since(begun)
	after, err := cpu(engine.Process.Pid)
	if err != nil {
		return err
	}
	if len(runs.took) == 0 {
		return errors.New("no run ended in time")
	}
	slices.Sort(runs.took)
	at := func(share float64) float64 {
		return float64(runs.took[int(share*float64(len(runs.took)-1))].Microseconds()) / 1000
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"runs_per_s":     float64(len(runs.took)) / elapsed.Seconds(),
		"p50_ms":         at(0.5),
		"p99_ms":         at(0.99),
		"cpu_ms_per_run": (after - before).Seconds() * 1000 / float64(len(runs.took)),
		"lost":           runs.lost,
	})
}

func reachable(address string) error {
	for until := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		connection, err := net.Dial("tcp", address)
		if err == nil {
			return connection.Close()
		}
		if time.Now().After(until) {
			return err
		}
	}
}

type runs struct {
	took []time.Duration
	lost int
}

// load has each client begin its next run as soon as it has the result of its last.
func (gateway *gateway) load(payload, wanted []byte, length time.Duration) (runs, error) {
	var all runs
	var failed error
	var lock sync.Mutex
	var clients sync.WaitGroup
	until := time.Now().Add(length)
	for client := range gateway.waiting {
		clients.Go(func() {
			for time.Now().Before(until) {
				took, err := gateway.run(client, payload, wanted)
				lock.Lock()
				switch {
				case err == errLost:
					all.lost++
				case err != nil:
					failed = err
				default:
					all.took = append(all.took, took)
				}
				stop := failed != nil
				lock.Unlock()
				if stop {
					return
				}
			}
		})
	}
	clients.Wait()
	return all, failed
}

var errLost = errors.New("the run is lost")

func (gateway *gateway) run(client int, payload, wanted []byte) (time.Duration, error) {
	begun := time.Now()
	callback := fmt.Sprintf("http://%s/callback/%d", gateway.address, client)
	if err := post("http://"+gateway.engine+"/", payload, callback, http.StatusOK); err != nil {
		return 0, err
	}
	select {
	case result := <-gateway.waiting[client]:
		if !bytes.Equal(result, wanted) {
			return 0, fmt.Errorf("a wrong result of %d bytes", len(result))
		}
		return time.Since(begun), nil
	case <-time.After(patience):
		return 0, errLost
	}
}

// gateway is what OpenFaaS would be.
type gateway struct {
	address string
	engine  string
	queue   chan call
	// The results of the run that each client waits for.
	waiting []chan []byte
}

type call struct {
	path     string
	callback string
	body     []byte
}

func (gateway *gateway) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		answer.WriteHeader(http.StatusBadRequest)
		return
	}
	if path, queued := strings.CutPrefix(request.URL.Path, "/async-function/flow"); queued {
		gateway.queue <- call{path, request.Header.Get("X-Faas-Flow-Callback-Url"), body}
		answer.WriteHeader(http.StatusAccepted)
	} else if client, isCallback := strings.CutPrefix(request.URL.Path, "/callback/"); isCallback {
		if client, err := strconv.Atoi(client); err == nil && client < len(gateway.waiting) {
			gateway.waiting[client] <- body
		}
	} else {
		answer.Write(body)
	}
}

func (gateway *gateway) work() {
	for call := range gateway.queue {
		// The queue does not look at what becomes of a call.
		if err := post("http://"+gateway.engine+call.path, call.body, call.callback, http.StatusOK); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}

// cpu is the processor time of a process.
func cpu(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// After the name, which is in brackets: the 12th and 13th are its own ticks, of which there are 100 in a second.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, errors.New("/proc has another form here")
	}
	var ticks int64
	for _, field := range fields[11:13] {
		some, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += some
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}
