# The AWS CLI, version 1 from the Python environment, and version 2 where there is one.
. "$(dirname "$0")/common.sh"
export AWS_ACCESS_KEY_ID=unused AWS_SECRET_ACCESS_KEY=unused AWS_DEFAULT_REGION=us-east-1
export AWS_CA_BUNDLE=$CA PALISADE_CERT=$CERT PALISADE_KEY=$KEY
head -c 20000000 /dev/urandom > large
check() {
    local shard=$1
    aws() { "$program" --endpoint-url "$ENDPOINT" "$@"; }
    export FENCING_TOKEN=33
    aws s3 cp --no-progress small "s3://fenced/$shard/small"
    aws s3 cp --no-progress large "s3://fenced/$shard/large"
    aws s3 cp --no-progress "s3://fenced/$shard/large" back
    same large back
    aws s3 cp --no-progress "s3://fenced/$shard/small" "s3://fenced/$shard/copy"
    aws s3 ls "s3://fenced/$shard/" | grep copy > /dev/null
    aws s3 rm "s3://fenced/$shard/copy"
    takeover "$shard"
    refused 34 aws s3 cp --no-progress small "s3://fenced/$shard/small"
    refused 34 aws s3api put-object --bucket fenced --key "$shard/small" --body small
}
cat > aws1 <<TEXT
[plugins]
palisade_aws = palisade_aws
TEXT
program=$VENV/aws
AWS_CONFIG_FILE=$DIR/aws1 PYTHONPATH=$PLUGINS check aws1
cat > aws2 <<TEXT
[plugins]
cli_legacy_plugin_path = $PLUGINS
palisade_aws = palisade_aws
TEXT
for program in $(type -ap aws); do
    if [[ $("$program" --version 2>&1) == aws-cli/2* ]]; then
        AWS_CONFIG_FILE=$DIR/aws2 check aws2
        break
    fi
done
printf '\ndone\n'
