module original

go 1.26.0

require (
	github.com/faasflow/lib v1.0.0
	github.com/faasflow/runtime v0.2.2
	github.com/faasflow/sdk v1.0.0
	github.com/redis/go-redis/v9 v9.23.0
)

require (
	github.com/alexellis/hmac v0.0.0-20180624211220-5c52ab81c0de // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/julienschmidt/httprouter v1.3.0 // indirect
	github.com/rs/xid v1.2.1 // indirect
	go.uber.org/atomic v1.12.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
)
