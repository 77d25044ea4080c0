package faasflow

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
)

// Item is data with a key: an item of a for-each, or a value that an aggregator merges.
type Item struct {
	// Key is the key of the item or of the branch, or the id of the node that sent the value.
	Key string
	// Data is the value.
	Data []byte
}

// Inputs are the values that an aggregator merges, in an order that has a meaning: that of the edges, or the one in which
// branches were chosen or split. It does not depend on which finished first.
type Inputs []Item

// Get returns the value with this key, or nil if there is none.
func (in Inputs) Get(key string) []byte {
	for _, item := range in {
		if item.Key == key {
			return item.Data
		}
	}
	return nil
}

// Map returns the values by their keys, without their order.
func (in Inputs) Map() map[string][]byte {
	values := make(map[string][]byte, len(in))
	for _, item := range in {
		values[item.Key] = item.Data
	}
	return values
}

// Join returns all values, in order, with the separator between them.
func (in Inputs) Join(separator string) []byte {
	values := make([][]byte, len(in))
	for i, item := range in {
		values[i] = item.Data
	}
	return bytes.Join(values, []byte(separator))
}

// ordered gives the values of a map an order: numbers by their value, then all other keys by their bytes.
func ordered(values map[string][]byte) []Item {
	items := make([]Item, 0, len(values))
	for key, data := range values {
		items = append(items, Item{key, data})
	}
	slices.SortFunc(items, func(a, b Item) int {
		switch isA, isB := isNumber(a.Key), isNumber(b.Key); {
		case isA && isB:
			// Without leading zeros, the longer number is the larger one.
			return cmp.Or(cmp.Compare(len(a.Key), len(b.Key)), strings.Compare(a.Key, b.Key))
		case isA:
			return -1
		case isB:
			return 1
		}
		return strings.Compare(a.Key, b.Key)
	})
	return items
}

// isNumber says whether a key is a decimal number without leading zeros.
func isNumber(key string) bool {
	if key == "" || key[0] == '0' && key != "0" {
		return false
	}
	for _, c := range key {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
