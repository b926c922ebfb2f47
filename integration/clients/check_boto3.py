"""boto3 against a running Palisade: everything an SDK does, and how refusals look to it.

Environment: ENDPOINT, CA, CERT, KEY (leader-a), CERT_B, KEY_B (leader-b), SHARD.
"""

import hashlib
import io
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../docs/clients"))

import palisade_boto3
import urllib3
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

env = os.environ
BUCKET, SHARD = "fenced", env["SHARD"]
state = {"a": "33", "b": "34"}
credentials = env["CREDENTIALS"].split(":")
a = palisade_boto3.client(env["ENDPOINT"], env["CA"], env["CERT"], env["KEY"], lambda: state["a"], credentials)
b = palisade_boto3.client(env["ENDPOINT"], env["CA"], env["CERT_B"], env["KEY_B"], lambda: state["b"], credentials)
# What was answered; an attempt that found its pooled connection closed is none.
answered = []


def note(response_dict, **kwargs):
    if response_dict:
        answered.append(response_dict["status_code"])


a.meta.events.register("response-received.s3", note)


def key(name):
    return f"{SHARD}/{name}"


def step(name):
    print("ok", name, flush=True)


def refused(what, status, call, mentions=()):
    """The call must fail at the first attempt, with that status and a message for people."""
    answered.clear()
    try:
        call()
    except ClientError as error:
        got = error.response["ResponseMetadata"]["HTTPStatusCode"]
        code = error.response["Error"].get("Code", "")
        message = error.response["Error"].get("Message", "")
        assert got == status, f"{what}: {got}, not {status}: {error}"
        assert code and not code.isdigit(), f"{what}: no error code: {error}"
        for word in mentions:
            assert word in message, f"{what}: {word!r} is not in {message!r}"
        assert answered == [status], f"{what} was repeated: {answered}"
        step(f"{what}: {error}")
        return
    raise AssertionError(f"{what}: not refused")


# Small objects; the default checksum is a CRC32.
a.put_object(Bucket=BUCKET, Key=key("small"), Body=b"hello", Metadata={"colour": "blue"})
got = a.get_object(Bucket=BUCKET, Key=key("small"))
assert got["Body"].read() == b"hello" and got["Metadata"] == {"colour": "blue"}, got
step("put and get")

# A body that cannot be rewound is sent in chunks, with its checksum in a trailer.
for algorithm in ["CRC32", "SHA256"]:
    a.put_object(Bucket=BUCKET, Key=key("trailer"), Body=io.BytesIO(b"x" * 300_000), ChecksumAlgorithm=algorithm)
    assert len(a.get_object(Bucket=BUCKET, Key=key("trailer"))["Body"].read()) == 300_000
step("checksums in trailers")

# Names that are encoded on the way.
for odd in [key("a+b"), key("a b&c=ä~'()*.txt")]:
    a.put_object(Bucket=BUCKET, Key=odd, Body=odd.encode())
    assert a.get_object(Bucket=BUCKET, Key=odd)["Body"].read() == odd.encode()
# Only the last: s3s-fs lists a plus as it is, which boto3 reads as a space.
listed = [entry["Key"] for entry in a.list_objects_v2(Bucket=BUCKET, Prefix=f"{SHARD}/")["Contents"]]
assert odd in listed, listed
step("odd names")

# Multipart, well above 100 MiB.
size = int(env.get("MULTIPART_MIB", "112")) << 20
with tempfile.TemporaryFile() as file:
    block = hashlib.sha256(b"palisade").digest() * (1 << 15)
    digest = hashlib.sha256()
    for index in range(size >> 20):
        chunk = bytes([index % 251]) + block[1:]
        file.write(chunk)
        digest.update(chunk)
    file.seek(0)
    config = TransferConfig(multipart_threshold=8 << 20, multipart_chunksize=16 << 20, max_concurrency=4)
    a.upload_fileobj(file, BUCKET, key("large"), Config=config)
body = a.get_object(Bucket=BUCKET, Key=key("large"))["Body"]
back = hashlib.sha256()
length = 0
for chunk in body.iter_chunks(1 << 20):
    back.update(chunk)
    length += len(chunk)
assert length == size and back.digest() == digest.digest(), (length, size)
part = a.get_object(Bucket=BUCKET, Key=key("large"), Range="bytes=0-9")
assert part["ResponseMetadata"]["HTTPStatusCode"] == 206
step(f"multipart of {size >> 20} MiB")

a.copy_object(Bucket=BUCKET, Key=key("copy"), CopySource={"Bucket": BUCKET, "Key": key("small")})
assert a.get_object(Bucket=BUCKET, Key=key("copy"))["Body"].read() == b"hello"
step("copy")

# A presigned URL says where and what; the token and the certificate are still asked for.
url = a.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": key("presigned")})
pool = urllib3.PoolManager(ca_certs=env["CA"], cert_file=env["CERT"], key_file=env["KEY"])
assert pool.request("PUT", url, body=b"signed", headers={"Fencing-Token": "33"}).status == 200
answer = pool.request("PUT", url, body=b"signed", retries=False)
assert answer.status in (400, 403, 428), (answer.status, answer.data)
assert a.get_object(Bucket=BUCKET, Key=key("presigned"))["Body"].read() == b"signed"
step("presigned")

deleted = a.delete_objects(
    Bucket=BUCKET, Delete={"Objects": [{"Key": key("copy")}, {"Key": key("presigned")}]}
)
assert len(deleted["Deleted"]) == 2 and not deleted.get("Errors"), deleted
a.delete_object(Bucket=BUCKET, Key=key("trailer"))
step("delete and batch delete")

# Another leader holds another shard: a batch or a copy that touches it needs a token for it too.
other = f"{SHARD}-other/x"
b.put_object(Bucket=BUCKET, Key=other, Body=b"b")
refused(
    "a batch delete that touches another leader's shard",
    412,
    lambda: a.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key("small")}, {"Key": other}]}),
)
assert a.get_object(Bucket=BUCKET, Key=key("small"))["Body"].read() == b"hello", "half a batch was applied"

# Without and below the mark.
state["a"] = None
refused("a write without a token", int(env["STATUS_TOKEN_REQUIRED"]), lambda: a.put_object(Bucket=BUCKET, Key=key("small"), Body=b"x"))
assert a.get_object(Bucket=BUCKET, Key=key("small"))["Body"].read() == b"hello"
step("a read without a token")
b.get_object(Bucket=BUCKET, Key=key("small"))
state["a"] = "33"
refused("a stale write", 412, lambda: a.put_object(Bucket=BUCKET, Key=key("small"), Body=b"late"), ["34"])
refused("a stale read", 412, lambda: a.get_object(Bucket=BUCKET, Key=key("small")), ["34"])
refused(
    "a stale multipart upload",
    412,
    lambda: a.create_multipart_upload(Bucket=BUCKET, Key=key("late")),
)
state["a"] = "34"
refused("another's token", 412, lambda: a.put_object(Bucket=BUCKET, Key=key("small"), Body=b"x"))
assert b.get_object(Bucket=BUCKET, Key=key("small"))["Body"].read() == b"hello"
print("done")
