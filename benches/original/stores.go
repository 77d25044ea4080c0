package main

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/faasflow/sdk"
	"github.com/redis/go-redis/v9"
)

// stores makes a store object for each request.
type stores interface {
	state() sdk.StateStore
	data() sdk.DataStore
}

var errMissing = errors.New("there is no such key")
var errChanged = errors.New("the key has another value")

func open(address string) (stores, error) {
	if address == "memory" {
		return &memory{runs: map[string]map[string]string{}}, nil
	}
	client := redis.NewClient(&redis.Options{Addr: address, PoolSize: 64})
	return &remote{client}, client.Ping(context.Background()).Err()
}

// memory has the values of all runs in this process.
type memory struct {
	lock sync.Mutex
	runs map[string]map[string]string
}

func (memory *memory) state() sdk.StateStore {
	return &memoryState{memoryRun{memory: memory, kind: "state/"}}
}
func (memory *memory) data() sdk.DataStore {
	return &memoryData{memoryRun{memory: memory, kind: "data/"}}
}

type memoryRun struct {
	memory *memory
	kind   string
	run    string
}

func (run *memoryRun) Configure(_ string, id string) { run.run = run.kind + id }
func (run *memoryRun) Init() error                   { return nil }

func (run *memoryRun) get(key string) (string, error) {
	run.memory.lock.Lock()
	defer run.memory.lock.Unlock()
	value, found := run.memory.runs[run.run][key]
	if !found {
		return "", errMissing
	}
	return value, nil
}

func (run *memoryRun) change(key string, change func(before string, found bool) (string, error)) error {
	run.memory.lock.Lock()
	defer run.memory.lock.Unlock()
	values := run.memory.runs[run.run]
	if values == nil {
		values = map[string]string{}
		run.memory.runs[run.run] = values
	}
	before, found := values[key]
	after, err := change(before, found)
	if err == nil {
		values[key] = after
	}
	return err
}

func (run *memoryRun) Cleanup() error {
	run.memory.lock.Lock()
	defer run.memory.lock.Unlock()
	delete(run.memory.runs, run.run)
	return nil
}

type memoryState struct{ memoryRun }

func (state *memoryState) Get(key string) (string, error) { return state.get(key) }

func (state *memoryState) Set(key string, value string) error {
	return state.change(key, func(_ string, found bool) (string, error) {
		if found && isCounter(key) {
			return "", errChanged
		}
		return value, nil
	})
}

func (state *memoryState) Update(key string, before string, after string) error {
	return state.change(key, func(current string, found bool) (string, error) {
		if !found || current != before {
			return "", errChanged
		}
		return after, nil
	})
}

type memoryData struct{ memoryRun }

func (data *memoryData) Get(key string) ([]byte, error) {
	value, err := data.get(key)
	return []byte(value), err
}

func (data *memoryData) Set(key string, value []byte) error {
	return data.change(key, func(string, bool) (string, error) { return string(value), nil })
}

func (data *memoryData) Del(key string) error {
	data.memory.lock.Lock()
	defer data.memory.lock.Unlock()
	delete(data.memory.runs[data.run], key)
	return nil
}

// isCounter tells the keys that several nodes change at a time: where one is created, it must not be there.
func isCounter(key string) bool {
	return key != "request-state" && !strings.HasSuffix(key, "-dynamic-branch-options")
}

// remote has a hash for each run.
type remote struct{ client *redis.Client }

func (remote *remote) state() sdk.StateStore {
	return &remoteState{remoteRun{client: remote.client, kind: "state/"}}
}
func (remote *remote) data() sdk.DataStore {
	return &remoteData{remoteRun{client: remote.client, kind: "data/"}}
}

type remoteRun struct {
	client *redis.Client
	kind   string
	run    string
}

func (run *remoteRun) Configure(_ string, id string) { run.run = run.kind + id }
func (run *remoteRun) Init() error                   { return nil }

func (run *remoteRun) Cleanup() error {
	return run.client.Del(context.Background(), run.run).Err()
}

type remoteState struct{ remoteRun }

func (state *remoteState) Get(key string) (string, error) {
	return state.client.HGet(context.Background(), state.run, key).Result()
}

func (state *remoteState) Set(key string, value string) error {
	if !isCounter(key) {
		return state.client.HSet(context.Background(), state.run, key, value).Err()
	}
	created, err := state.client.HSetNX(context.Background(), state.run, key, value).Result()
	if err == nil && !created {
		err = errChanged
	}
	return err
}

var update = redis.NewScript(`
if redis.call("HGET", KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call("HSET", KEYS[1], ARGV[1], ARGV[3])
return 1`)

func (state *remoteState) Update(key string, before string, after string) error {
	done, err := update.Run(context.Background(), state.client, []string{state.run}, key, before, after).Int()
	if err == nil && done == 0 {
		err = errChanged
	}
	return err
}

type remoteData struct{ remoteRun }

func (data *remoteData) Get(key string) ([]byte, error) {
	return data.client.HGet(context.Background(), data.run, key).Bytes()
}

func (data *remoteData) Set(key string, value []byte) error {
	return data.client.HSet(context.Background(), data.run, key, value).Err()
}

func (data *remoteData) Del(key string) error {
	return data.client.HDel(context.Background(), data.run, key).Err()
}
