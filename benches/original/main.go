// The original faas-flow, measured: its own sdk, runtime and OpenFaaS library in a process of its own, and in this one what
// OpenFaaS would be (a gateway with a queue in memory and 16 workers, echo functions) and the load generator.
//
// It gets what it would have to be given anyway: a store object for each request (as shipped it shares one, and loses
// nearly everything at concurrency 16), counters that are created and compared atomically, no watchdog, no tracing, no log.
// A run is done when its callback has arrived with the right body.
//
// It prints one JSON object: runs_per_s, p50_ms, p99_ms, cpu_ms_per_run (of the engine alone), lost.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	flow := flag.String("flow", "F1", "F1 to F6")
	store := flag.String("store", "memory", "memory, or the HOST:PORT of a Redis")
	size := flag.Int("size", 64, "bytes of the payload")
	clients := flag.Int("clients", 16, "how many wait for a run at a time")
	seconds := flag.Float64("seconds", 3, "how long it is measured")
	engine := flag.String("engine", "", "be the engine, behind the gateway at this address")
	flag.Parse()

	var err error
	if *engine != "" {
		err = serve(*flow, *store, *engine)
	} else {
		err = measure(*flow, *store, *size, *clients, time.Duration(*seconds*float64(time.Second)))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
