#!/bin/sh
# Fetches the pretended data of a day: three rows.
day=$(cat)
printf '%s,1\n%s,2\n%s,3\n' "$day" "$day" "$day"
