#!/bin/sh
# Prints the mail that it gets, in the place of a mail server.
set -e
mail=$(cat)
printf "%s\n" "$mail" >&2
printf "sent"
