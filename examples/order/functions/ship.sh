#!/bin/sh
# Ships what it reads. There are no unicorns.
item=$(cat)
case $item in
unicorn) printf 'Status: 404\n\nsold out\n' ;;
*) printf '\nshipped %s' "$item" ;;
esac
