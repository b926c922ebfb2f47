# For the checks of command-line clients: sourced, not run.
set -euo pipefail
echo "work in $DIR"
cd "$DIR"
head -c 3000000 /dev/urandom > small
same() { cmp "$1" "$2" || { echo "$1 and $2 differ"; exit 1; }; }
# refused WORD COMMAND...: the command must fail and say the word.
refused() {
    local word=$1 said
    shift
    if said=$("$@" 2>&1); then
        echo "not refused: $*: $said"
        exit 1
    fi
    grep -q -- "$word" <<<"$said" || { echo "$word is not said by $*: $said"; exit 1; }
    echo "ok refused: $said"
}
# Leader B takes over: the shard's mark goes to 34.
takeover() {
    curl -sS --fail-with-body --cacert "$CA" --cert "$CERT_B" --key "$KEY_B" \
        -H 'Fencing-Token: 34' "$ENDPOINT/fenced/$1/small" -o /dev/null
}
