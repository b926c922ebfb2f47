"""AWS CLI plugin (versions 1 and 2): sends the fencing token, and shows a client certificate.

It reads the environment: FENCING_TOKEN, PALISADE_CERT and PALISADE_KEY (PEM files).
"""

import os

try:
    from awscli.botocore.config import Config  # version 2
except ImportError:
    from botocore.config import Config  # version 1


def awscli_initialize(cli):
    cli.register("session-initialized", show_certificate)
    cli.register("before-sign.s3", add_token)


def show_certificate(session, **kwargs):
    certificate = os.environ.get("PALISADE_CERT")
    if certificate:
        config = Config(client_cert=(certificate, os.environ["PALISADE_KEY"]))
        before = session.get_default_client_config()
        session.set_default_client_config(before.merge(config) if before else config)


def add_token(request, **kwargs):
    token = os.environ.get("FENCING_TOKEN")
    if token:
        request.headers["Fencing-Token"] = token
