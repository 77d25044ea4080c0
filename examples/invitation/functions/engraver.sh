#!/bin/sh
# Engraves what it reads, which takes its time.
sleep 2
printf '~ %s ~\n' "$(cat)"
