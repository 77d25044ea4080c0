#!/bin/sh
# Notes a payment in the file of its customer. Only Ada has one.
case $(cat) in
*'"customer":"Ada"'*) printf '\nnoted for Ada\n' ;;
*) printf 'Status: 404\n\n' ;;
esac
