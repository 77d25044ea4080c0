// A flow of one node, without an SDK: what the body says, the node does. It is built as any Go program is for WASI, and shows
// what Go's own library gets from the host.
package main

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

func main() {}

// began is set when the module initialises itself, before there is a run.
var began = time.Now()

func act(body string) (string, error) {
	what, rest, _ := strings.Cut(body, " ")
	switch what {
	case "now":
		return fmt.Sprint(time.Now().UnixMilli()), nil
	case "began":
		return began.UTC().Format(time.RFC3339Nano), nil
	case "sleep":
		start := time.Now()
		time.Sleep(90 * time.Minute)
		return fmt.Sprint(time.Since(start), " ", time.Now().Sub(start.Round(0))), nil
	case "random":
		return random(), nil
	case "print":
		fmt.Println(rest)
		fmt.Fprintln(os.Stderr, "to stderr: "+rest)
		return "printed", nil
	case "collect":
		// Go's garbage collector reads the clock.
		var kept [][]byte
		for i := range 200 {
			kept = append(kept, make([]byte, 1<<20)[:i])
			if i%20 == 0 {
				kept = nil
				runtime.GC()
			}
		}
		return fmt.Sprint(len(kept)), nil
	case "panic":
		return price(nil), nil
	case "exit":
		fmt.Fprintln(os.Stderr, "no more")
		os.Exit(3)
	case "read":
		_, err := os.ReadFile(rest)
		return "", err
	case "write":
		return "", os.WriteFile(rest, nil, 0o600)
	case "environment":
		return fmt.Sprint(len(os.Args), os.Environ()), nil
	}
	return body, nil
}

func random() string {
	var bytes [16]byte
	rand.Read(bytes[:])
	return hex.EncodeToString(bytes[:])
}

type order struct{ amount int }

//go:noinline
func price(of *order) string {
	return fmt.Sprint(of.amount)
}
