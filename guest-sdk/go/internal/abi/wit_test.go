package abi

import (
	"fmt"
	"regexp"
	"strings"
)

// What is needed of WIT and of the canonical ABI to compare this package with wit/flow.wit.

// witType is a type, such as list<u8>: its name and its arguments.
type witType struct {
	name      string
	arguments []*witType
}

// field is a field of a record, a case of a variant or a parameter of a function. The type of a case may be nil.
type field struct {
	name string
	of   *witType
}

// function is a function of an interface, or a method of a resource.
type function struct {
	name       string
	parameters []field
	result     *witType
}

// contract is what wit/flow.wit says.
type contract struct {
	version           string
	aliases           map[string]*witType
	records, variants map[string][]field
	enums             map[string]int
	// The functions and the names of the resources of each interface.
	functions map[string][]function
	resources map[string][]string
	// The interfaces that a flow exports.
	exports []string
}

type reader struct {
	tokens []string
	contract
}

var (
	comments    = regexp.MustCompile(`(?m)//.*$|@since\([^)]*\)`)
	tokens      = regexp.MustCompile(`->|[%\w:/.@-]+|[{}()<>,;=]`)
	packageLine = regexp.MustCompile(`package faas-flow:flow@([0-9.]+);`)
)

func parse(text string) contract {
	p := reader{contract: contract{
		aliases: map[string]*witType{}, records: map[string][]field{}, variants: map[string][]field{},
		enums: map[string]int{}, functions: map[string][]function{}, resources: map[string][]string{},
	}}
	text = comments.ReplaceAllString(text, "")
	p.version = packageLine.FindStringSubmatch(text)[1]
	// "name: type" is two tokens, and so is "interface/name" elsewhere, which this file does not have.
	p.tokens = tokens.FindAllString(strings.ReplaceAll(text, ": ", " : "), -1)
	for len(p.tokens) > 0 {
		switch token := p.next(); token {
		case "interface":
			name := p.next()
			p.body(name, "")
		case "export":
			p.exports = append(p.exports, p.next())
		}
	}
	return p.contract
}

func (p *reader) next() string {
	token := p.tokens[0]
	p.tokens = p.tokens[1:]
	return strings.TrimPrefix(token, "%")
}

func (p *reader) expect(want string) {
	if got := p.next(); got != want {
		panic(fmt.Sprintf("%q is not %q, before %q", got, want, p.tokens[:min(8, len(p.tokens))]))
	}
}

// body is what an interface has in its braces, or a resource of it.
func (p *reader) body(where, resource string) {
	p.expect("{")
	for p.tokens[0] != "}" {
		switch token := p.next(); token {
		case "use":
			for p.next() != ";" {
			}
		case "type":
			name := p.next()
			p.expect("=")
			p.aliases[name] = p.witType()
			p.expect(";")
		case "record":
			name := p.next()
			p.records[name] = p.fields("{", "}")
		case "variant":
			name := p.next()
			p.variants[name] = p.cases()
		case "enum":
			name := p.next()
			p.enums[name] = len(p.cases())
		case "resource":
			name := p.next()
			p.resources[where] = append(p.resources[where], name)
			p.body(where, name)
		default:
			p.expect(":")
			p.expect("func")
			f := function{name: token, parameters: p.fields("(", ")")}
			if resource != "" {
				f.name = "[method]" + resource + "." + token
				f.parameters = append([]field{{"self", &witType{name: "u32"}}}, f.parameters...)
			}
			if p.tokens[0] == "->" {
				p.next()
				f.result = p.witType()
			}
			p.expect(";")
			p.functions[where] = append(p.functions[where], f)
		}
	}
	p.next()
}

func (p *reader) fields(from, to string) (fields []field) {
	p.expect(from)
	for p.tokens[0] != to {
		name := p.next()
		p.expect(":")
		fields = append(fields, field{name, p.witType()})
		if p.tokens[0] == "," {
			p.next()
		}
	}
	p.next()
	return fields
}

func (p *reader) cases() (cases []field) {
	p.expect("{")
	for p.tokens[0] != "}" {
		one := field{name: p.next()}
		if p.tokens[0] == "(" {
			p.next()
			one.of = p.witType()
			p.expect(")")
		}
		if p.tokens[0] == "," {
			p.next()
		}
		cases = append(cases, one)
	}
	p.next()
	return cases
}

func (p *reader) witType() *witType {
	t := &witType{name: p.next()}
	if p.tokens[0] == "<" {
		p.next()
		for p.tokens[0] != ">" {
			t.arguments = append(t.arguments, p.witType())
			if p.tokens[0] == "," {
				p.next()
			}
		}
		p.next()
	}
	return t
}

// cases are the cases of a variant, and of what is one under another name. Nil if the type is not a variant.
func (c *contract) cases(t *witType) []field {
	switch t.name {
	case "option":
		return []field{{name: "none"}, {"some", t.arguments[0]}}
	case "result":
		cases := []field{{"ok", t.arguments[0]}, {"err", t.arguments[1]}}
		for i := range cases {
			if cases[i].of.name == "_" {
				cases[i].of = nil
			}
		}
		return cases
	}
	return c.variants[t.name]
}

// parts are the fields of a record or a tuple.
func (c *contract) parts(t *witType) (parts []field) {
	if t.name != "tuple" {
		return c.records[t.name]
	}
	for _, argument := range t.arguments {
		parts = append(parts, field{"", argument})
	}
	return parts
}

// flat are the numbers that WebAssembly passes for a type.
func (c *contract) flat(t *witType) []string {
	if alias := c.aliases[t.name]; alias != nil {
		return c.flat(alias)
	}
	if cases := c.cases(t); cases != nil {
		var payload []string
		for _, one := range cases {
			if one.of == nil {
				continue
			}
			for i, number := range c.flat(one.of) {
				switch {
				case i == len(payload):
					payload = append(payload, number)
				case payload[i] != number && payload[i] != "i64" && number != "i64":
					payload[i] = "i32"
				case payload[i] != number:
					payload[i] = "i64"
				}
			}
		}
		return append([]string{"i32"}, payload...)
	}
	if parts := c.parts(t); parts != nil {
		return c.flatAll(parts)
	}
	switch t.name {
	case "list", "string":
		return []string{"i32", "i32"}
	case "u64":
		return []string{"i64"}
	case "f32", "f64":
		return []string{t.name}
	}
	return []string{"i32"}
}

func (c *contract) flatAll(parts []field) (numbers []string) {
	for _, part := range parts {
		numbers = append(numbers, c.flat(part.of)...)
	}
	return numbers
}

// signature is a function as WebAssembly sees it: "(i32,i32)i32".
func (c *contract) signature(f function, isExport bool) string {
	parameters := c.flatAll(f.parameters)
	if len(parameters) > 16 {
		parameters = []string{"i32"}
	}
	var results []string
	if f.result != nil {
		results = c.flat(f.result)
	}
	if len(results) > 1 {
		if results = []string{"i32"}; !isExport {
			parameters, results = append(parameters, "i32"), nil
		}
	}
	return fmt.Sprintf("(%s)%s", strings.Join(parameters, ","), strings.Join(results, ","))
}

// layout is the size and the alignment of a type in memory, and where its fields begin: those of a record, or the number
// of the case and the value of the case of a variant.
func (c *contract) layout(t *witType) (size, align uintptr, offsets []uintptr) {
	if alias := c.aliases[t.name]; alias != nil {
		return c.layout(alias)
	}
	if cases := c.cases(t); cases != nil {
		align = 1
		for _, one := range cases {
			if one.of != nil {
				s, a, _ := c.layout(one.of)
				size, align = max(size, s), max(align, a)
			}
		}
		begins := up(1, align)
		return up(begins+size, align), align, []uintptr{0, begins}
	}
	if parts := c.parts(t); parts != nil {
		align = 1
		for _, part := range parts {
			s, a, _ := c.layout(part.of)
			size, align = up(size, a), max(align, a)
			offsets = append(offsets, size)
			size += s
		}
		return up(size, align), align, offsets
	}
	switch t.name {
	case "list", "string":
		return 8, 4, []uintptr{0, 4}
	case "u64", "f64":
		return 8, 8, nil
	case "u16":
		return 2, 2, nil
	case "bool", "u8":
		return 1, 1, nil
	}
	if c.enums[t.name] > 0 {
		return 1, 1, nil
	}
	return 4, 4, nil
}

func up(offset, align uintptr) uintptr { return (offset + align - 1) / align * align }
