#!/bin/sh
# Tells the name of a customer.
case $(cat) in
  c1) echo 'Ada & Sons' ;;
  c2) echo 'Babbage Ltd' ;;
  *) echo 'Somebody else' ;;
esac
