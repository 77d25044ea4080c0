package flowtest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	faasflow "github.com/faas-flow/faas-flow/guest-sdk/go"
)

// branch is one dag that a node starts.
type branch struct {
	key   string
	dag   *dagModel
	input value
}

// result is how a branch ended.
type result struct {
	named
	failed *faasflow.Failed
}

func (e *engine) condition(path string, c *branchesModel, gather func() (value, *failing)) (value, *failing) {
	var branches []branch
	_, f := e.attempt(path, 0, func() (value, *failing) {
		data, f := gather()
		if f != nil {
			return nothing, f
		}
		var keys []string
		f = e.plain(data, func() (err error) {
			keys, err = e.flow.Condition(c.Handler, string(data.data))
			return err
		})
		if f == nil {
			branches, f = chosen(path, c, keys, data)
		}
		return nothing, f
	})
	if f != nil {
		return nothing, f
	}
	results, f := e.branches(path, c, branches, 0)
	if f != nil || c.Aggregator != "" || len(results) != 1 {
		return e.merge(path, c, results, f)
	}
	return results[0].value, nil
}

// chosen are the branches that a condition has chosen.
func chosen(path string, c *branchesModel, keys []string, data value) (branches []branch, f *failing) {
	wrong := func(code, format string, arguments ...any) *failing {
		f := fails(code, faasflow.Other, path, "handler `%s` %s", c.Handler, fmt.Sprintf(format, arguments...))
		f.failed.Input = data.data
		return f
	}
	if len(keys) == 0 {
		return nil, wrong("FF0202", "chose no branch: choose at least one; it may be an empty one")
	}
	var known []string
	for _, branch := range c.Dags {
		known = append(known, branch.Key)
	}
	for i, key := range keys {
		at := slices.Index(known, key)
		if at < 0 {
			return nil, wrong("FF0201", "chose `%s`, but the branches are %s", key, strings.Join(known, ", "))
		}
		if slices.Contains(keys[:i], key) {
			return nil, wrong("FF0203", "chose the branch `%s` twice", key)
		}
		branches = append(branches, branch{key, c.Dags[at].Dag, data})
	}
	return branches, nil
}

func (e *engine) forEach(path string, each *branchesModel, gather func() (value, *failing)) (value, *failing) {
	var branches []branch
	_, f := e.attempt(path, 0, func() (value, *failing) {
		data, f := gather()
		if f != nil {
			return nothing, f
		}
		var items []Input
		f = e.plain(data, func() (err error) {
			items, err = e.flow.ForEach(each.Handler, string(data.data))
			return err
		})
		known := map[string]bool{}
		for _, item := range items {
			switch {
			case f != nil:
			case len(item.Key) < 1 || len(item.Key) > 128:
				f = fails("FF0118", faasflow.Other, path, "handler `%s` yielded an item whose key has %d bytes, not 1 to 128", each.Handler, len(item.Key))
			case known[item.Key]:
				f = fails("FF0203", faasflow.Other, path, "handler `%s` yielded two items with the key `%s`: make keys unique", each.Handler, item.Key)
			}
			known[item.Key] = true
			input := value{data: []byte(item.Data), mediaType: e.fake.ReturnedContentType}
			branches = append(branches, branch{item.Key, each.Dags[0].Dag, input})
		}
		if f != nil {
			f.failed.Input = data.data
		}
		return nothing, f
	})
	if f != nil || len(branches) == 0 {
		return nothing, f
	}
	tolerated := each.Tolerate.Items
	if share := each.Tolerate.Share; share > 0 {
		tolerated = int(float64(len(branches))*share + 1e-6)
	}
	results, f := e.branches(path, each, branches, tolerated)
	return e.merge(path, each, results, f)
}

// branches executes branches one after the other. Their times are those at which they would run at the same time, as many as
// may.
func (e *engine) branches(path string, b *branchesModel, branches []branch, tolerated int) (results []result, f *failing) {
	latest := e.now
	begun := e.now
	var busy []time.Duration
	for _, branch := range branches {
		e.now = begun
		if b.MaxParallel > 0 && len(busy) >= b.MaxParallel {
			first := slices.Index(busy, slices.Min(busy))
			e.now = busy[first]
			busy = slices.Delete(busy, first, first+1)
		}
		input, response := branch.input, e.fake.Response
		if b.CarriesNothing {
			input = nothing
		}
		output, f := e.dag(branch.dag, path+"["+encode(branch.key)+"]/", input)
		if f != nil && (f.level == ofRun || tolerated == 0) {
			return nil, f
		}
		if b.CarriesNothing {
			output = nothing
		}
		ended := result{named: named{branch.key, output}}
		if f != nil {
			tolerated--
			e.withdraw(response)
			failed := f.failed
			failed.Input, failed.Body = nil, nil
			ended.failed = &failed
		}
		results = append(results, ended)
		busy = append(busy, e.now)
		latest = max(latest, e.now)
	}
	e.now = latest
	return results, nil
}

// merge merges the results of branches.
func (e *engine) merge(path string, b *branchesModel, results []result, f *failing) (value, *failing) {
	if f != nil {
		return nothing, f
	}
	return e.attempt(path, 0, func() (value, *failing) {
		if b.Gather != "" {
			var items []faasflow.Gathered
			for _, one := range results {
				item := faasflow.Gathered{Key: one.name, Failed: one.failed}
				if one.failed == nil {
					item.Data = one.data
				}
				items = append(items, item)
			}
			return e.data(nothing, func() (string, error) { return e.flow.Gather(b.Gather, items...) })
		}
		if b.Aggregator == "" {
			return nothing, nil
		}
		var merged []named
		for _, one := range results {
			if one.failed == nil {
				merged = append(merged, one.named)
			}
		}
		return e.aggregate(b.Aggregator, merged)
	})
}

func (e *engine) repeat(path string, r *repeatModel, gather func() (value, *failing)) (value, *failing) {
	data, f := e.attempt(path, 0, gather)
	for round := 1; f == nil; round++ {
		if data, f = e.dag(r.Dag, fmt.Sprintf("%s[%d]/", path, round), data); f != nil {
			break
		}
		again := false
		_, f = e.attempt(path, 0, func() (value, *failing) {
			f := e.plain(data, func() (err error) {
				again, err = e.flow.Again(r.Handler, string(data.data), round)
				return err
			})
			if f == nil && again && round >= r.Most {
				f = fails("FF0262", faasflow.Other, path,
					"`%s` wants another round after %d, but there may be no more: raise the limit, or end the repeat earlier", r.Handler, r.Most)
			}
			if f == nil && again {
				f = e.pass(time.Duration(r.WaitMs) * time.Millisecond)
			}
			return nothing, f
		})
		if f == nil && !again {
			return data, nil
		}
	}
	return nothing, f
}

// encode percent-encodes a branch key, as the paths of the host do.
func encode(key string) string {
	var text strings.Builder
	for _, c := range []byte(key) {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '.' || c == '-' {
			text.WriteByte(c)
		} else {
			fmt.Fprintf(&text, "%%%02X", c)
		}
	}
	return text.String()
}
