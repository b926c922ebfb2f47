# rclone: the header goes with every request.
. "$(dirname "$0")/common.sh"
head -c 30000000 /dev/urandom > large
cat > rclone.conf <<TEXT
[palisade]
type = s3
provider = Other
access_key_id = unused
secret_access_key = unused
endpoint = $ENDPOINT
force_path_style = true
no_check_bucket = true
TEXT
r() {
    rclone --config rclone.conf --ca-cert "$CA" --client-cert "$CERT" --client-key "$KEY" \
        --header 'Fencing-Token: 33' --retries 1 --low-level-retries 1 \
        --s3-upload-cutoff 8M --s3-chunk-size 8M "$@"
}
r copyto small palisade:fenced/rclone/small
r copyto large palisade:fenced/rclone/large
r copyto palisade:fenced/rclone/large back
same large back
r lsf palisade:fenced/rclone/ | grep large > /dev/null
r deletefile palisade:fenced/rclone/large
takeover rclone
head -c 1000000 /dev/urandom > late
# It looks first, by HEAD, whose answer has no body to show.
refused 412 r copyto late palisade:fenced/rclone/small
printf '\ndone\n'
