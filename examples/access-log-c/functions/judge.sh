#!/bin/sh
# Judges what a client has done: more than half of its requests have failed, or not.
client=$(cat)
number() { printf '%s' "$client" | sed "s/.*\"$1\":\([0-9]*\).*/\1/"; }
if [ $(($(number failures) * 2)) -gt "$(number requests)" ]; then
  echo "$(number failures) of $(number requests) requests failed"
else
  echo ok
fi
