#!/bin/sh
# Answers every request on $PORT with the name of the pod that served it.
trap 'kill "$server"; exit 0' TERM INT
root=/tmp/www
mkdir -p "$root"
echo "hello from $(hostname) ($VERSION)" >"$root/index.html"
httpd -f -p "${PORT:-8080}" -h "$root" &
server=$!
wait "$server"
