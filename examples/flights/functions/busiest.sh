#!/bin/sh
# Reads lines `delay,origin` and prints one line `origin,flights`: the airport with the most departures. If several have
# the same number, it is the first in alphabetical order.
LC_ALL=C
export LC_ALL
cut -d, -f2 | sort | uniq -c | sort -k1,1nr -k2,2 | awk 'NR == 1 { print $2 "," $1 }'
