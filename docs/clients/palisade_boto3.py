"""boto3 behind Palisade: a client whose requests all carry the fencing token."""

import boto3
from botocore.config import Config


def client(endpoint, ca, certificate, key, token, credentials=("unused", "unused")):
    """An S3 client. `token()` is asked before each request is signed; None sends no token.

    Palisade holds the store's credentials, and boto3 only wants to sign with something; where
    Palisade passes signatures through, `credentials` are the store's.
    """
    s3 = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=credentials[0],
        aws_secret_access_key=credentials[1],
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
