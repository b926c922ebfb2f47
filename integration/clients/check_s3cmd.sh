# s3cmd: it adds the header to uploads and copies only, not to parts and deletions.
. "$(dirname "$0")/common.sh"
cat > s3cfg <<TEXT
[default]
access_key = unused
secret_key = unused
host_base = ${ENDPOINT#https://}
host_bucket = ${ENDPOINT#https://}
ca_certs_file = $CA
ssl_client_cert_file = $CERT
ssl_client_key_file = $KEY
enable_multipart = False
TEXT
s3() { s3cmd -c s3cfg --no-progress --add-header=Fencing-Token:33 "$@"; }
s3 put small s3://fenced/s3cmd/small
s3 get --force s3://fenced/s3cmd/small back
same small back
s3 ls s3://fenced/s3cmd/ | grep small > /dev/null
takeover s3cmd
refused 34 s3 put small s3://fenced/s3cmd/small
refused oken s3 del s3://fenced/s3cmd/small
printf '\ndone\n'
