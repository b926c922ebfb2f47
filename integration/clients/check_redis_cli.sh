#!/usr/bin/env bash
# redis-cli: on the server itself and through Palisade, it has to print the same.
# The environment has REDIS_PORT; CA, CERT, KEY and TOKEN where there is TLS, REDISCLI_AUTH where not.
set -euo pipefail
cd "$DIR"
options=(-h localhost -p "$REDIS_PORT")
[ -z "${CERT:-}" ] || options+=(--tls --cacert "$CA" --cert "$CERT" --key "$KEY" --user "token=$TOKEN" --pass x --no-auth-warning)
cli() { redis-cli "${options[@]}" "$@"; }

echo "ok one"
cli SET a 1
cli -3 HSET h f v
cli -3 HGETALL h
cli HGETALL h
cli -n 2 SET a 2
cli -n 2 GET a
cli GET a
cli -r 3 INCR n
cli LPOP a || true
cli NOSUCH x || true
printf 'a value' | cli -x SET from-input
cli GET from-input
cli --no-raw GET none
echo "ok script of commands"
cli --no-raw <<'COMMANDS'
MULTI
SET a 5
INCR a
EXEC
MULTI
SET a
EXEC
WATCH a
GET a
RPUSH l 1 2 3
LRANGE l 0 -1
BLPOP l 1
XADD x 1-1 f v
XRANGE x - +
SELECT 1
GET a
ZADD z 1.5 m
ZSCORE z m
CLIENT SETNAME mine
CLIENT GETNAME
PING
COMMANDS
echo "ok script of the server"
printf 'return {KEYS[1], ARGV[1], redis.call("GET", KEYS[1])}' > script.lua
cli --eval script.lua a , argument
echo "ok scan"
cli --scan --pattern 'a*'
cli --json HGETALL h
cli --bigkeys | grep 'Sampled'
echo "ok mass insertion"
for n in $(seq 1000); do printf '*3\r\n$3\r\nSET\r\n$%d\r\nm:%d\r\n$1\r\nx\r\n' $((${#n} + 2)) "$n"; done | cli --pipe
cli EXISTS m:1 m:500 m:1000
echo "ok subscribed"
timeout 1 redis-cli "${options[@]}" SUBSCRIBE news > heard || true
cat heard
cli FLUSHALL
echo "done"
