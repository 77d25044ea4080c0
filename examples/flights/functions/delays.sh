#!/bin/sh
# Lines `delay,origin` in; one line `flights,total,worst,late` out: how many, the sum and the maximum of their delays in
# minutes, and how many were 15 minutes late or more.
awk -F, '
    { total += $1; if (NR == 1 || $1 > worst) worst = $1; if ($1 >= 15) late++ }
    END { printf "%d,%d,%d,%d\n", NR, total, worst, late }
'
