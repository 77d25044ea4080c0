#!/bin/sh
# Tells a chat what it reads. Nobody wants to hear of large sums.
message=$(cat)
case $message in
*00000.00*) printf 'Status: 503\n\nthe chat is closed\n' ;;
*) printf '\ntold: %s\n' "$message" ;;
esac
