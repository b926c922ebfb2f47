"""boto3 and signed chunks, in both addressing styles, whether Palisade signs or passes through.

Environment: ENDPOINT, CA, CERT_A, KEY_A, CERT_B, KEY_B, STYLE (path or virtual), CREDENTIALS.
"""

import hashlib
import hmac
import os
import socket
from urllib.parse import urlsplit

import boto3
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

env = os.environ
ENDPOINT, STYLE = env["ENDPOINT"], env["STYLE"]
ID, SECRET = env["CREDENTIALS"].split(":")
PORT = urlsplit(ENDPOINT).port

# Not every resolver knows that *.localhost is this machine.
resolve = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **more: resolve(
    "127.0.0.1" if str(host).endswith(".localhost") else host, *rest, **more
)

hosts = set()


def client(who, token):
    s3 = boto3.client(
        "s3",
        endpoint_url=ENDPOINT,
        region_name="us-east-1",
        aws_access_key_id=ID,
        aws_secret_access_key=SECRET,
        verify=env["CA"],
        config=Config(
            client_cert=(env[f"CERT_{who}"], env[f"KEY_{who}"]),
            s3={"addressing_style": STYLE},
            retries={"total_max_attempts": 1},
        ),
    )

    def add_token(request, **kwargs):
        del request.headers["Fencing-Token"]
        request.headers["Fencing-Token"] = str(token)

    s3.meta.events.register("before-sign.s3", add_token)
    s3.meta.events.register("before-send.s3", lambda request, **kwargs: hosts.add(urlsplit(request.url).hostname))
    return s3


a, b = client("A", 33), client("B", 34)


def refused(what, status, code, call):
    try:
        call()
    except ClientError as error:
        got = error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
        assert got == (status, code), f"{what}: {got}: {error}"
        print("ok", what, flush=True)
        return
    raise AssertionError(f"{what}: not refused")


def body(s3, bucket, key):
    return s3.get_object(Bucket=bucket, Key=key)["Body"].read()


# Two resources, both of A.
for shard in ["one", "two"]:
    a.put_object(Bucket="fenced", Key=f"{shard}/x", Body=shard.encode(), Metadata={"colour": "blue"})
assert body(a, "fenced", "one/x") == b"one"
expected = {"virtual": {"fenced.localhost"}, "path": {"localhost"}}[STYLE]
assert hosts == expected, hosts
print("ok addressing", hosts, flush=True)

# A copy and a batch over two resources, while both are A's.
source = {"Bucket": "fenced", "Key": "two/x"}
copied = a.copy_object(Bucket="fenced", Key="one/copy", CopySource=source)
named = copied["ResponseMetadata"]["HTTPHeaders"]["fencing-resource"]
assert named == "fenced/one, fenced/two", named
assert body(a, "fenced", "one/copy") == b"two"
for shard in ["one", "two"]:
    a.put_object(Bucket="fenced", Key=f"{shard}/gone", Body=b"x")
gone = [{"Key": f"{shard}/gone"} for shard in ["one", "two"]]
assert len(a.delete_objects(Bucket="fenced", Delete={"Objects": gone})["Deleted"]) == 2
for shard in ["one", "two"]:
    refused(f"{shard}/gone is gone", 404, "NoSuchKey", lambda: body(a, "fenced", f"{shard}/gone"))

# A multipart upload that A began, and a presigned URL that A made.
upload = a.create_multipart_upload(Bucket="fenced", Key="two/parts")["UploadId"]
etag = a.upload_part(Bucket="fenced", Key="two/parts", UploadId=upload, PartNumber=1, Body=b"part")["ETag"]
parts = {"Parts": [{"ETag": etag, "PartNumber": 1}]}
signed = {"put_object": {"Bucket": "fenced", "Key": "two/presigned"}, "get_object": {"Bucket": "fenced", "Key": "two/x"}}
signer = boto3.client(
    "s3",
    endpoint_url=ENDPOINT,
    region_name="us-east-1",
    aws_access_key_id=ID,
    aws_secret_access_key=SECRET,
    config=Config(s3={"addressing_style": STYLE}, signature_version="s3v4"),
)
urls = {name: signer.generate_presigned_url(name, Params=params) for name, params in signed.items()}


def pool(who):
    return urllib3.PoolManager(ca_certs=env["CA"], cert_file=env[f"CERT_{who}"], key_file=env[f"KEY_{who}"], retries=False)


def presigned(who, token, name):
    method = {"put_object": "PUT", "get_object": "GET"}[name]
    headers = {} if token is None else {"Fencing-Token": str(token)}
    content = b"presigned" if method == "PUT" else None
    return pool(who).request(method, urls[name], body=content, headers=headers)


assert presigned("A", 33, "put_object").status == 200
assert presigned("A", None, "get_object").data == b"two"
assert body(a, "fenced", "two/presigned") == b"presigned"
print("ok presigned", flush=True)


# An upload whose chunks are each signed (STREAMING-AWS4-HMAC-SHA256-PAYLOAD).
def chunked(who, token, key, chunks, spoil=False):
    host = f"fenced.localhost:{PORT}" if STYLE == "virtual" else f"localhost:{PORT}"
    path = f"/{key}" if STYLE == "virtual" else f"/fenced/{key}"
    length = sum(map(len, chunks))
    streaming = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    request = AWSRequest("PUT", f"https://{host}{path}", headers={
        "Host": host,
        "Content-Encoding": "aws-chunked",
        "Fencing-Token": str(token),
        "X-Amz-Content-SHA256": streaming,
        "X-Amz-Decoded-Content-Length": str(length),
    })

    class Streaming(SigV4Auth):
        def payload(self, request):
            return streaming

    auth = Streaming(Credentials(ID, SECRET), "s3", "us-east-1")
    auth.add_auth(request)
    when = request.context["timestamp"]
    scope = f"{when[:8]}/us-east-1/s3/aws4_request"
    key_ = f"AWS4{SECRET}".encode()
    for part in [when[:8], "us-east-1", "s3", "aws4_request"]:
        key_ = hmac.new(key_, part.encode(), hashlib.sha256).digest()
    before = request.headers["Authorization"].rsplit("Signature=", 1)[1]
    empty = hashlib.sha256(b"").hexdigest()
    wire = b""
    for chunk in [*chunks, b""]:
        text = "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", when, scope, before, empty, hashlib.sha256(chunk).hexdigest()])
        before = hmac.new(key_, text.encode(), hashlib.sha256).hexdigest()
        shown = "0" * 64 if spoil else before
        wire += f"{len(chunk):x};chunk-signature={shown}\r\n".encode() + chunk + b"\r\n"
    return pool(who).request("PUT", request.url, body=wire, headers=dict(request.headers))


chunks = [b"c" * 65_536, b"d" * 65_536, b"end"]
answer = chunked("A", 33, "two/chunked", chunks)
assert answer.status == 200, answer.data
assert body(a, "fenced", "two/chunked") == b"".join(chunks)
if ID != "unused":
    # It is the store that checks them; nobody does where Palisade signs.
    answer = chunked("A", 33, "two/spoiled", chunks, spoil=True)
    assert answer.status >= 400, (answer.status, answer.data)
print("ok signed chunks", flush=True)

# B takes the second resource over: whatever touches it is refused as a whole.
assert body(b, "fenced", "two/x") == b"two"
stale = "FencingTokenStale"
refused("a put", 412, stale, lambda: a.put_object(Bucket="fenced", Key="two/x", Body=b"late"))
refused("completing a multipart upload", 412, stale, lambda: a.complete_multipart_upload(
    Bucket="fenced", Key="two/parts", UploadId=upload, MultipartUpload=parts))
refused("another part", 412, stale, lambda: a.upload_part(
    Bucket="fenced", Key="two/parts", UploadId=upload, PartNumber=2, Body=b"late"))
refused("aborting it", 412, stale, lambda: a.abort_multipart_upload(Bucket="fenced", Key="two/parts", UploadId=upload))
refused("a copy from it", 412, stale, lambda: a.copy_object(Bucket="fenced", Key="one/late", CopySource=source))
refused("a copy to it", 412, stale, lambda: a.copy_object(
    Bucket="fenced", Key="two/late", CopySource={"Bucket": "fenced", "Key": "one/x"}))
both = [{"Key": "one/x"}, {"Key": "two/x"}]
refused("a batch over both", 412, stale, lambda: a.delete_objects(Bucket="fenced", Delete={"Objects": both}))
assert presigned("A", 33, "put_object").status == 412
assert chunked("A", 33, "two/chunked", [b"late"]).status == 412
assert body(a, "fenced", "one/x") == b"one", "half a batch was applied"
for key, content in [("two/x", b"two"), ("two/presigned", b"presigned"), ("two/chunked", b"".join(chunks))]:
    assert body(b, "fenced", key) == content, key
for key in ["two/parts", "one/late", "two/late", "two/spoiled"]:
    s3 = a if key.startswith("one") else b
    refused(f"{key} is not there", 404, "NoSuchKey", lambda: body(s3, "fenced", key))

# The new leader goes on where the old one was.
b.complete_multipart_upload(Bucket="fenced", Key="two/parts", UploadId=upload, MultipartUpload=parts)
assert body(b, "fenced", "two/parts") == b"part"
assert presigned("B", 34, "put_object").status == 200
print("done")
