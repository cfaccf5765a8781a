"""An S3 server on loopback whose reads fail on request; tests and benchmarks/scale.py use it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Faults:
    """Requests in between: answers some reads of objects with 500, and cuts others in the middle.

    Attributes:
        every: Each so many reads one fails; 0 for none.
    """

    def __init__(self, app) -> None:
        self._app, self._lock, self._count = app, threading.Lock(), 0
        self.every = 0
        self.made = {"500": 0, "cut": 0}

    def __call__(self, environ, start_response):
        if environ["REQUEST_METHOD"] != "GET" or "list-type" in environ["QUERY_STRING"] or not self.every:
            return self._app(environ, start_response)
        with self._lock:
            self._count += 1
            turn, fails = (self._count // self.every) % 2, self._count % self.every == 0
        if not fails:
            return self._app(environ, start_response)
        if turn:
            self.made["500"] += 1
            start_response("500 Internal Server Error", [("Content-Length", "0")])
            return [b""]
        self.made["cut"] += 1
        return self._cut(self._app(environ, start_response))

    @staticmethod
    def _cut(parts):
        data = b"".join(parts)
        yield data[: len(data) // 2]
        raise ConnectionError("cut on purpose")


class Store:
    """An S3 server on loopback."""

    def __init__(self, faults: Faults, endpoint: str, client) -> None:
        self.faults, self.endpoint, self.client = faults, endpoint, client

    def put(self, bucket: str, files: dict[str, bytes]) -> None:
        self.client.create_bucket(Bucket=bucket)
        for name, data in files.items():
            self.client.put_object(Bucket=bucket, Key=name, Body=data)


@contextmanager
def serving() -> Iterator[tuple[Store, dict[str, str]]]:
    """Serve an empty store; yield it with the environment that leads clients there."""
    import boto3
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, *_: object) -> None:
            pass

    faults = Faults(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, faults, threaded=True, request_handler=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    settings = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    try:
        yield Store(faults, endpoint, boto3.client("s3", endpoint_url=endpoint, **keys)), settings
    finally:
        server.shutdown()
