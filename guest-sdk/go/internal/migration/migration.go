// Package migration has handlers of the original library, of which only the import has been changed: five flows as its
// examples have them, and the handler of docs/migration.md. Tests run them.
package migration
