#!/bin/sh
# Lines `delay,origin` in; one line `origin,flights` out: the airport that most of them left from, the first in the
# alphabet when several did.
LC_ALL=C
export LC_ALL
cut -d, -f2 | sort | uniq -c | sort -k1,1nr -k2,2 | awk 'NR == 1 { print $2 "," $1 }'
