package faasflow_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// blocks are the blocks of a document in a language, by the name of the file before them.
func blocks(t *testing.T, document string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(document)
	if os.IsNotExist(err) {
		t.Skip("the document is in the repository of faas-flow, and not in this module")
	}
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	before := ""
	for i, part := range strings.Split(string(text), "```") {
		if code, isGo := strings.CutPrefix(part, "go\n"); isGo && i%2 == 1 {
			before = strings.TrimSpace(before)
			// The first name in the paragraph before the block.
			if names := strings.Split(before[strings.LastIndex(before, "\n")+1:], "`"); len(names) >= 3 {
				files[names[1]] = code
			}
		}
		before = part
	}
	return files
}

func TestTheFlowsOfTheDocumentsCompileAndTheirTestsPass(t *testing.T) {
	if testing.Short() {
		t.Skip("this compiles")
	}
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range []string{"README.md", "../../docs/languages/go.md"} {
		t.Run(filepath.Base(document), func(t *testing.T) {
			files := blocks(t, document)
			if files["handler.go"] == "" || files["handler_test.go"] == "" {
				t.Fatal("the document has no handler.go or no handler_test.go")
			}
			files["go.mod"] = "module first\n\ngo 1.24\n\nrequire github.com/faas-flow/faas-flow/guest-sdk/go v0.0.0\n\n" +
				"replace github.com/faas-flow/faas-flow/guest-sdk/go => " + here + "\n"
			folder := t.TempDir()
			for name, text := range files {
				if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for _, arguments := range [][]string{{"vet", "."}, {"test", "."}} {
				command := exec.Command("go", arguments...)
				command.Dir = folder
				command.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
				if output, err := command.CombinedOutput(); err != nil {
					t.Errorf("go %s: %v\n%s", arguments[0], err, output)
				}
			}
		})
	}
}
