# curl, over HTTP/1.1 and HTTP/2.
. "$(dirname "$0")/common.sh"
for version in --http1.1 --http2; do
    shard=curl$version
    a=(curl -sS --fail-with-body "$version" --cacert "$CA" --cert "$CERT" --key "$KEY")
    "${a[@]}" -H 'Fencing-Token: 33' -T small "$ENDPOINT/fenced/$shard/small"
    "${a[@]}" "$ENDPOINT/fenced/$shard/small" -o back
    same small back
    # What curl waits for before it sends: a stale upload is refused before it is sent.
    "${a[@]}" -H 'Fencing-Token: 33' -H 'Expect: 100-continue' -T small "$ENDPOINT/fenced/$shard/small"
    takeover "$shard"
    refused '<Code>' "${a[@]}" -H 'Fencing-Token: 33' -T small "$ENDPOINT/fenced/$shard/small"
    [ "$("${a[@]}" -o /dev/null -w '%{http_code}' -H 'Fencing-Token: 33' -T small "$ENDPOINT/fenced/$shard/small" || true)" = 412 ]
    if [ "$version" = --http1.1 ]; then
        sent=$("${a[@]}" -o /dev/null -w '%{size_upload}' -H 'Fencing-Token: 33' -H 'Expect: 100-continue' \
            --expect100-timeout 5 -T small "$ENDPOINT/fenced/$shard/small" || true)
        [ "$sent" = 0 ] || { echo "$sent bytes of a stale upload were sent"; exit 1; }
        echo "ok a stale upload is refused before it is sent"
    fi
done
printf '\ndone\n'
