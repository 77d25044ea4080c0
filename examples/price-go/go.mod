module price

go 1.24

require github.com/faas-flow/faas-flow/guest-sdk/go v0.0.0

replace github.com/faas-flow/faas-flow/guest-sdk/go => ../../guest-sdk/go
