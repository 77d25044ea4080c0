#!/bin/sh
# Answers with what it gets of the request that a flow has sent.
env | grep -E '^Http_(Method|Path|Query|X_[A-Z][a-z]*)=' | sort
cat
