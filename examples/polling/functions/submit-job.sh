#!/bin/sh
# Begins a pretended job, which is named by what it reads.
printf '%s: 0 %% done\n' "$(cat)"
