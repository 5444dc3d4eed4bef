"""What is running during the journeys: the platform, an S3, a browser, and what was copied in it."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import boto3
import botocore.config
import botocore.exceptions
import browsing
import notebooks
import processes
import pytest
from playwright.sync_api import BrowserContext


@dataclass
class Platform:
    """A running `neurolake up`."""

    http: str
    data: Path
    catalog: dict

    def tables(self) -> dict[str, dict]:
        """The tables that have a page, by name."""
        return {
            f"{database['name']}.{table['name']}": table
            for database in self.catalog["databases"]
            for table in database["tables"]
            if not table.get("hidden")
        }


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="journeys-"))
    yield folder
    if os.environ.get("JOURNEYS_KEEP"):
        print(f"\nkept {folder}", file=sys.stderr)
    else:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def platform(folder: Path) -> Iterator[Platform]:
    data = folder / "data"
    data.mkdir()
    addresses = data / "endpoints.json"
    command = [str(Path(os.environ["NEUROLAKE_BIN"]).resolve()), "up", "--data", str(data), "--http", "127.0.0.1:0"]
    environment = processes.bare_environment(folder / "home")
    with processes.running(command, folder / "platform.log", environment, addresses.exists):
        http = json.loads(addresses.read_text())["http"].rstrip("/")
        port = int(http.rpartition(":")[2])
        assert processes.accepts(port), f"nothing listens at {http}, which {addresses} names"
        catalog = json.loads(processes.get(f"{http}/catalog.json"))
        yield Platform(http, data, catalog)


@pytest.fixture(scope="session")
def context() -> Iterator[BrowserContext]:
    with browsing.browser_context() as context:
        yield context


@pytest.fixture(scope="session")
def copied(context: BrowserContext, platform: Platform, folder: Path) -> dict[str, dict[str, str]]:
    """Table -> client -> code."""
    copied = browsing.copy_all(context, f"{platform.http}/", sorted(platform.tables()))
    (folder / "copied.json").write_text(json.dumps(copied, indent=1))
    return copied


@pytest.fixture(scope="session")
def sends(context: BrowserContext, platform: Platform) -> dict[str, dict[str, str]]:
    """The same for code that sends events: of every table, so that none offers it by mistake."""
    copied = browsing.copy_all(context, f"{platform.http}/", sorted(platform.tables()), browsing.SEND)
    return {table: codes for table, codes in copied.items() if codes}


@pytest.fixture(scope="session")
def object_store(folder: Path, platform: Platform) -> Iterator[dict[str, str]]:
    """An S3 that holds the platform's buckets: the variables that a shell has which may read it."""
    port = processes.free_port()
    environment = processes.bare_environment(
        folder / "s3",
        GATEWAY_PORT=str(port),
        BIND_HOST="127.0.0.1",
        SERVICES="s3",
        LOG_LEVEL="WARNING",
        TMPDIR=str(folder / "s3"),
    )
    command = [str(Path(sys.executable).with_name("ministack"))]
    variables = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "journeys",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret",
        "AWS_EC2_METADATA_DISABLED": "true",
        # The object store of delta-rs and Sail refuses to send keys unencrypted, unless told to.
        "AWS_ALLOW_HTTP": "true",
    }
    with processes.running(command, folder / "s3.log", environment, lambda: processes.accepts(port)):
        client = boto3.client(
            "s3",
            endpoint_url=variables["AWS_ENDPOINT_URL"],
            region_name=variables["AWS_REGION"],
            aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
            config=botocore.config.Config(max_pool_connections=8),
        )
        buckets = sorted(path for path in (platform.data / "buckets").iterdir() if path.is_dir())
        files = [(bucket, file) for bucket in buckets for file in sorted(bucket.rglob("*")) if file.is_file()]
        for bucket in buckets:
            client.create_bucket(Bucket=bucket.name)
        refuses_to_overwrite(client, buckets[0].name)
        with ThreadPoolExecutor(8) as uploads:
            list(uploads.map(lambda at: client.upload_file(str(at[1]), at[0].name, str(at[1].relative_to(at[0]))), files))
        yield variables | {"JOURNEYS_BUCKETS": json.dumps([bucket.name for bucket in buckets])}


def refuses_to_overwrite(client, bucket: str) -> None:
    """A store without put-if-absent loses commits, so nothing that is proven on it holds."""
    client.put_object(Bucket=bucket, Key="probe", Body=b"first", IfNoneMatch="*")
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        client.put_object(Bucket=bucket, Key="probe", Body=b"second", IfNoneMatch="*")
    assert refused.value.response["Error"]["Code"] == "PreconditionFailed"
    assert client.get_object(Bucket=bucket, Key="probe")["Body"].read() == b"first"
    client.delete_object(Bucket=bucket, Key="probe")


@pytest.fixture(scope="session")
def user(folder: Path, platform: Platform) -> dict[str, str]:
    """The environment of somebody with a notebook who was told where the catalog is, and no more."""
    data = folder / "jupyter"
    data.mkdir()
    notebooks.install_kernel(Path(os.environ["JOURNEYS_KERNEL"]), data)
    # Also for the process that starts the kernel.
    os.environ["JUPYTER_DATA_DIR"] = str(data)
    return processes.bare_environment(folder / "user", NEUROLAKE_CATALOG=platform.http, JUPYTER_DATA_DIR=str(data))
