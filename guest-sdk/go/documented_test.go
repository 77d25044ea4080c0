package faasflow_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

func TestEveryPublicItemIsDocumented(t *testing.T) {
	for _, folder := range []string{".", "flowtest"} {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil || len(files) < 2 {
			t.Fatal(folder, files, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			set := token.NewFileSet()
			parsed, err := parser.ParseFile(set, file, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			undocumented := func(name *ast.Ident, documents ...*ast.CommentGroup) {
				for _, document := range documents {
					if document != nil {
						return
					}
				}
				if name.IsExported() {
					t.Errorf("%s: %s has no documentation", set.Position(name.Pos()), name.Name)
				}
			}
			for _, declaration := range parsed.Decls {
				switch d := declaration.(type) {
				case *ast.FuncDecl:
					if d.Recv == nil || isPublic(d.Recv.List[0].Type) {
						undocumented(d.Name, d.Doc)
					}
				case *ast.GenDecl:
					for _, spec := range d.Specs {
						checkSpec(spec, d.Doc, undocumented)
					}
				}
			}
		}
	}
}

// isPublic says whether a receiver is of a public type.
func isPublic(receiver ast.Expr) bool {
	if star, isPointer := receiver.(*ast.StarExpr); isPointer {
		receiver = star.X
	}
	name, isName := receiver.(*ast.Ident)
	return isName && name.IsExported()
}

func checkSpec(spec ast.Spec, document *ast.CommentGroup, undocumented func(*ast.Ident, ...*ast.CommentGroup)) {
	switch s := spec.(type) {
	case *ast.ValueSpec:
		for _, name := range s.Names {
			undocumented(name, document, s.Doc)
		}
	case *ast.TypeSpec:
		undocumented(s.Name, document, s.Doc)
		if fields, isStruct := s.Type.(*ast.StructType); isStruct && s.Name.IsExported() {
			for _, field := range fields.Fields.List {
				for _, name := range field.Names {
					undocumented(name, field.Doc)
				}
			}
		}
	}
}
