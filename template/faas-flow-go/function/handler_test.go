package function

import (
	"testing"

	"github.com/faas-flow/faas-flow/guest-sdk/go/flowtest"
)

// faas-cli build runs these tests.

func TestGreetsByName(t *testing.T) {
	if got := flowtest.Run(t, Define, "Adam\n").Result(); got != "Hello, Adam!" {
		t.Error(got)
	}
}

// Once the flow calls functions, say what they answer: Answers("translate", flowtest.Answer{Body: "Bonjour"}).
func TestAnEmptyNameIsRejected(t *testing.T) {
	if response := flowtest.Run(t, Define, " ").Response(); response.Status != 422 {
		t.Error(response)
	}
}
