#!/bin/sh
# Reads lines `delay,origin` and prints one line `flights,total,worst,late`: the number of flights, the sum and the maximum
# of their delays in minutes, and the number of flights that were at least 15 minutes late.
awk -F, '
    { total += $1; if (NR == 1 || $1 > worst) worst = $1; if ($1 >= 15) late++ }
    END { printf "%d,%d,%d,%d\n", NR, total, worst, late }
'
