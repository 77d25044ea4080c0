#!/bin/sh
# Charges the card of the first line of an order, and answers with the order. The card of Mallory is declined.
order=$(cat)
case $order in
Mallory*) printf 'Status: 402\n\nthe card of Mallory was declined\n' ;;
*) printf '\n%s\n' "$order" ;;
esac
