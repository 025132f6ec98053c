"""A stand-in for S3, SageMaker, its runtime and its logs on one local port; clients check every request themselves.

It stores objects, keeps each request for a look, and calls every job finished at the second question.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

ARN = "arn:aws:sagemaker:us-west-2:111122223333"


class Cloud:
    """What the service holds: objects by ``bucket/key``, requests by operation, and the log of every job."""

    def __init__(self) -> None:
        self.url = ""
        self.objects: dict[str, bytes] = {}
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.log: list[str] = []
        self.failure: str | None = None
        self.answer: tuple[int, str, bytes] = (200, "application/json", b"{}")
        self.invocations: list[tuple[str, str, bytes]] = []
        self.asked: dict[str, int] = {}

    def request(self, operation: str) -> dict[str, Any]:
        """The last request of that operation."""
        return next(body for name, body in reversed(self.requests) if name == operation)

    def operations(self) -> list[str]:
        """The operations in the order they were asked for, each question about a state once."""
        names = [name for name, _ in self.requests]
        return [name for position, name in enumerate(names) if position == 0 or names[position - 1] != name]

    def operate(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to an operation of a JSON service."""
        self.requests.append((name, body))
        subject = next((str(value) for key, value in body.items() if key.endswith("Name")), "")
        if name.startswith("Create"):
            kind = name.removeprefix("Create")
            return {f"{kind}Arn": f"{ARN}:{kind.lower()}/{subject}"}
        if name.startswith("Describe") and name != "DescribeLogStreams":
            self.asked[name] = self.asked.get(name, 0) + 1
            return self._described(name.removeprefix("Describe"), subject, over=self.asked[name] > 1)
        if name == "DescribeLogStreams":
            return {"logStreams": [{"logStreamName": body["logStreamNamePrefix"] + "algo-1-1"}]}
        if name == "GetLogEvents":
            start = int(body.get("nextToken", "f/0").removeprefix("f/"))
            events = [{"timestamp": 1_900_000_000_000 + n, "message": text} for n, text in enumerate(self.log)]
            return {"events": events[start:], "nextForwardToken": f"f/{len(events)}", "nextBackwardToken": "b/0"}
        return {}

    def _described(self, kind: str, name: str, *, over: bool) -> dict[str, Any]:
        ended = "Failed" if self.failure else "Completed"
        if kind == "TrainingJob":
            created = self.request("CreateTrainingJob")
            return created | {
                "TrainingJobArn": f"{ARN}:training-job/{name}",
                "TrainingJobStatus": ended if over else "InProgress",
                "SecondaryStatus": ended if over else "Training",
                "FailureReason": self.failure or "",
                "ModelArtifacts": {
                    "S3ModelArtifacts": f"{created['OutputDataConfig']['S3OutputPath']}/{name}/output/model.tar.gz"
                },
                "FinalMetricDataList": [
                    {"MetricName": "test:msd", "Value": 4.25, "Timestamp": 1_900_000_060.0},
                    {"MetricName": "train:msd", "Value": 9.0, "Timestamp": 1_900_000_060.0},
                ],
                "CreationTime": 1_900_000_000.0,
            }
        if kind == "Endpoint":
            return {"EndpointName": name, "EndpointStatus": "InService" if over else "Creating"}
        created = self.request("CreateTransformJob")
        if over:
            source = created["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"].removeprefix("s3://")
            target = created["TransformOutput"]["S3OutputPath"].removeprefix("s3://")
            for key in [key for key in self.objects if key.startswith(source)]:
                self.objects[f"{target}/{key.removeprefix(source)}.out"] = b"scored\n"
        return {"TransformJobName": name, "TransformJobStatus": "Completed" if over else "InProgress"}

    def listing(self, bucket: str, prefix: str) -> bytes:
        """The answer to ListObjectsV2."""
        keys = [key.partition("/")[2] for key in sorted(self.objects) if key.startswith(f"{bucket}/{prefix}")]
        entries = "".join(f"<Contents><Key>{escape(key)}</Key><Size>1</Size></Contents>" for key in keys)
        return f"<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>".encode()


@contextmanager
def running() -> Iterator[Cloud]:
    """A service that listens on this machine for the length of the block."""
    cloud = Cloud()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            bucket, _, key = unquote(parts.path).strip("/").partition("/")
            if not key:
                query = parse_qs(parts.query)
                self._send(200, cloud.listing(bucket, query.get("prefix", [""])[0]), "application/xml")
            elif f"{bucket}/{key}" in cloud.objects:
                self._send(200, cloud.objects[f"{bucket}/{key}"], "binary/octet-stream")
            else:
                self._send(404, b"<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>", "text/xml")

        do_HEAD = do_GET

        def do_PUT(self) -> None:
            cloud.objects[unquote(urlsplit(self.path).path).strip("/")] = self._plain()
            self._send(200, b"", "text/plain")

        def do_POST(self) -> None:
            target = self.headers.get("X-Amz-Target")
            body = self._plain()
            if target is None:
                cloud.invocations.append((self.headers["Content-Type"], self.headers["Accept"], body))
                self._send(*self._reply())
            else:
                answer = cloud.operate(target.rpartition(".")[2], json.loads(body))
                self._send(200, json.dumps(answer).encode(), "application/x-amz-json-1.1")

        def log_message(self, *_: object) -> None:
            pass

        def _reply(self) -> tuple[int, bytes, str]:
            status, kind, content = cloud.answer
            if status == 200:
                return status, content, kind
            error = {
                "Message": "Received client error",
                "OriginalMessage": content.decode(),
                "OriginalStatusCode": status,
            }
            return 424, json.dumps(error).encode(), "application/json"

        def _plain(self) -> bytes:
            """The body, without the framing that newer clients put around an upload."""
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if "aws-chunked" not in (self.headers.get("Content-Encoding") or ""):
                return raw
            parts, rest = [], raw
            while (size := int(rest.partition(b"\r\n")[0].partition(b";")[0], 16)) > 0:
                rest = rest.partition(b"\r\n")[2]
                parts.append(rest[:size])
                rest = rest[size + 2 :]
            return b"".join(parts)

        def _send(self, status: int, content: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", '"0"')
            self.send_header("Last-Modified", time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(0)))
            if status == 424:
                self.send_header("x-amzn-ErrorType", "ModelError")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        cloud.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield cloud
        server.shutdown()
