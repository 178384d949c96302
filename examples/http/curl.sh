#!/bin/sh
# Publishes two messages, receives what is there and acks it.
# SERVICE_URL: where `fairdispatch serve` is. API_KEY: a key with the scopes publish and consume.
set -eu

call() { # call PATH [options of curl]
    path=$1
    shift
    curl --silent --show-error --fail-with-body --retry 3 \
        --header "Authorization: Bearer $API_KEY" "$@" "$SERVICE_URL$path"
}

# One message. The key makes it safe to repeat the request.
call /v1/customers/acme/messages \
    --header 'Content-Type: application/json' --header 'Idempotency-Key: order-1' \
    --data '{"payload": "hello", "headers": {"kind": "greeting"}}'
echo

# Many messages, a line each.
printf '%s\n' '{"customer": "acme", "payload": "one"}' '{"customer": "umbrella", "payload": "two"}' |
    call /v1/messages --header 'Content-Type: application/x-ndjson' --data-binary @-

# What is there, or comes within 5 seconds.
received=$(call /v1/deliveries --header 'Content-Type: application/json' --data '{"max_messages": 10, "wait": 5}')
echo "$received"

# Here they would be processed. Then they are acked by their receipts.
receipts=$(echo "$received" | grep -o '"receipt":"[^"]*"' | cut -d: -f2 | paste -sd, -)
call /v1/deliveries/ack --header 'Content-Type: application/json' --data "{\"receipts\": [$receipts]}"
echo
