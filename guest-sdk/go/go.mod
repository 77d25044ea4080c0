module github.com/faas-flow/faas-flow/guest-sdk/go

go 1.24
