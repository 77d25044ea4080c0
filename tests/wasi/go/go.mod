module wasi-flow

go 1.26
