package faasflow

import "encoding/json"

// JSON makes a modifier of a function on typed values. Data that is not JSON of the type I is rejected, and what the
// function returns has the media type "application/json".
//
//	dag.Node("sum").Modify(faasflow.JSON(func(numbers []int) (int, error) { … }))
func JSON[I, O any](f func(I) (O, error)) Modifier {
	must(f != nil, "JSON needs a function, and got nil")
	return func(data []byte) ([]byte, error) {
		var in I
		if err := json.Unmarshal(data, &in); err != nil {
			return nil, Reject("the data is not JSON of the type %T: %w", in, err)
		}
		out, err := f(in)
		if err != nil {
			return nil, err
		}
		encoded, err := json.Marshal(out)
		if err != nil {
			return nil, Reject("the result cannot be represented in JSON: %w", err)
		}
		if current != nil {
			// The host knows this media type, so it does not refuse it.
			_ = current.SetContentType("application/json")
		}
		return encoded, nil
	}
}
