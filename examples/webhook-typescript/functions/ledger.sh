#!/bin/sh
# Books a payment under the key that it is sent with. The payment itself is in the body.
cat >/dev/null
printf 'booked %s\n' "$Http_X_Payment_Id"
