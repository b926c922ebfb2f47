"""boto3 behind Palisade: a client whose requests all carry the fencing token."""

import boto3
from botocore.config import Config


def client(endpoint, ca, certificate, key, token):
    """An S3 client. `token()` is asked before each request is signed; None sends no token."""
    s3 = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        # Palisade holds the store's credentials; boto3 only wants to sign with something.
        aws_access_key_id="unused",
        aws_secret_access_key="unused",
        verify=ca,
        config=Config(client_cert=(certificate, key), s3={"addressing_style": "path"}),
    )

    def add_token(request, **kwargs):
        value = token()
        # A retried request is signed again, and must not bring two tokens.
        del request.headers["Fencing-Token"]
        if value is not None:
            request.headers["Fencing-Token"] = str(value)

    s3.meta.events.register("before-sign.s3", add_token)
    return s3
