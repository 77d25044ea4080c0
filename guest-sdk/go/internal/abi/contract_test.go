package abi

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// root is the folder of the module.
const root = "../.."

func theContract(t *testing.T) contract {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "../../wit/flow.wit"))
	if os.IsNotExist(err) {
		t.Skip("the contract is in the repository of faas-flow, and not in this module")
	}
	if err != nil {
		t.Fatal(err)
	}
	return parse(string(text))
}

func TestEveryFunctionOfTheContractIsThereWithItsSignature(t *testing.T) {
	c := theContract(t)
	want := map[string]string{}
	for _, name := range []string{"builder", "context"} {
		prefix := "import faas-flow:flow/" + name + "@" + c.version + " "
		for _, f := range c.functions[name] {
			want[prefix+f.name] = c.signature(f, false)
		}
		for _, resource := range c.resources[name] {
			want[prefix+"[resource-drop]"+resource] = "(i32)"
		}
	}
	for _, name := range c.exports {
		for _, f := range c.functions[name] {
			want["export faas-flow:flow/"+name+"@"+c.version+"#"+f.name] = c.signature(f, true)
		}
	}
	if len(want) < 100 {
		t.Fatalf("the contract was not read: %d functions", len(want))
	}
	got := functionsOf(t, root, filepath.Join(root, "internal/abi"))
	// What the tools of WebAssembly look for besides.
	delete(got, "export cabi_realloc")
	delete(got, "export wizer-initialize")
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] != want[name] {
			t.Errorf("%s is %q, and not %q", name, got[name], want[name])
		}
		delete(got, name)
	}
	for name := range got {
		t.Errorf("%s is not in the contract", name)
	}
}

// functionsOf returns the functions that the files of a folder import and export, with their signatures.
func functionsOf(t *testing.T, folders ...string) map[string]string {
	t.Helper()
	functions := map[string]string{}
	for _, folder := range folders {
		files, err := filepath.Glob(filepath.Join(folder, "*_wasip1.go"))
		if err != nil || len(files) == 0 {
			t.Fatal(folder, err)
		}
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, declaration := range parsed.Decls {
				f, isFunction := declaration.(*ast.FuncDecl)
				if !isFunction || f.Doc == nil {
					continue
				}
				for _, comment := range f.Doc.List {
					if name, isImport := strings.CutPrefix(comment.Text, "//go:wasmimport "); isImport {
						functions["import "+name] = signatureOf(t, f)
					}
					if name, isExport := strings.CutPrefix(comment.Text, "//go:wasmexport "); isExport {
						functions["export "+name] = signatureOf(t, f)
					}
				}
			}
		}
	}
	return functions
}

func signatureOf(t *testing.T, f *ast.FuncDecl) string {
	numbers := func(list *ast.FieldList) string {
		var all []string
		if list != nil {
			for _, field := range list.List {
				for range max(len(field.Names), 1) {
					all = append(all, numberOf(t, field.Type))
				}
			}
		}
		return strings.Join(all, ",")
	}
	return "(" + numbers(f.Type.Params) + ")" + numbers(f.Type.Results)
}

func numberOf(t *testing.T, expression ast.Expr) string {
	switch e := expression.(type) {
	case *ast.StarExpr, *ast.SelectorExpr:
		return "i32"
	case *ast.Ident:
		switch e.Name {
		case "string":
			return "i32,i32"
		case "int32", "uint32":
			return "i32"
		case "int64", "uint64":
			return "i64"
		case "float32":
			return "f32"
		case "float64":
			return "f64"
		}
	}
	t.Fatalf("a parameter of a type that WebAssembly does not have: %v", expression)
	return ""
}

func TestEveryLayoutIsThatOfTheContract(t *testing.T) {
	c := theContract(t)
	of := func(name string, arguments ...*witType) *witType { return &witType{name, arguments} }
	u8s, text := of("list", of("u8")), of("string")
	c.records["recover-from-arguments"] = []field{{"handler", text}, {"what", of("failed")}, {"input", u8s}, {"body", of("option", u8s)}}
	for _, test := range []struct {
		layout any
		of     *witType
	}{
		{List{}, u8s},
		{Pair{}, of("tuple", text, u8s)},
		{Failure{}, of("failure")},
		{OptionU16{}, of("option", of("u16"))},
		{OptionList{}, of("option", u8s)},
		{Failed{}, of("failed")},
		{RecoverFromArguments{}, of("recover-from-arguments")},
		{HttpRequest{}, of("http-request")},
		{Wake{}, of("wake")},
		{ListResult{}, of("result", u8s, of("failure"))},
		{WakeResult{}, of("result", of("wake"), of("failure"))},
		{TextResult{}, of("result", of("_"), text)},
		{TextResult{}, of("result", text, text)},
		{GetResult{}, of("result", of("option", u8s), text)},
	} {
		layout := reflect.TypeOf(test.layout)
		size, align, offsets := c.layout(test.of)
		var got []uintptr
		for i := range layout.NumField() {
			if field := layout.Field(i); field.Name != "_" {
				got = append(got, field.Offset)
			}
		}
		if layout.Size() != size || uintptr(layout.Align()) != align || !slices.Equal(got, offsets) {
			t.Errorf("%s has %d bytes, alignment %d and fields at %v, and not %d, %d and %v",
				layout.Name(), layout.Size(), layout.Align(), got, size, align, offsets)
		}
	}
	// A result in a record: the struct has both as fields.
	size, _, offsets := c.layout(of("gathered"))
	_, _, inner := c.layout(c.records["gathered"][1].of)
	g := reflect.TypeOf(Gathered{})
	if g.Size() != size || g.Field(2).Offset != offsets[1] || g.Field(3).Offset != offsets[1]+inner[1] {
		t.Errorf("Gathered is not as in the contract: %d bytes, %v and %v", size, offsets, inner)
	}
	// All values of a result that is not an error have the same place.
	_, _, list := c.layout(of("result", u8s, of("failure")))
	for _, ok := range []*witType{of("http-request"), of("bool"), of("_")} {
		if _, _, offsets := c.layout(of("result", ok, of("failure"))); offsets[1] != list[1] {
			t.Errorf("the value of a result with %s is at %v", ok.name, offsets)
		}
	}
}

func TestEveryEnumerationHasAsManyValues(t *testing.T) {
	c := theContract(t)
	want := map[string]int{"failure-kind": 7, "outcome": 2, "exhausted": 2, "missed": 3, "overlap": 4, "level": 5, "run-state": 5}
	if !maps.Equal(c.enums, want) {
		t.Errorf("the enumerations of the contract are %v: package faasflow knows %v", c.enums, want)
	}
	variants := map[string]int{}
	for name, cases := range c.variants {
		variants[name] = len(cases)
	}
	if known := map[string]int{"failure": 2, "carries": 3, "wake": 2}; !maps.Equal(variants, known) {
		t.Errorf("the variants of the contract are %v: package faasflow knows %v", variants, known)
	}
}
