"""The REST door of the demo lake against its own OpenAPI document, by tools that others made:
openapi-spec-validator, openapi-schema-validator and Schemathesis, which sends what fits a document
and what doesn't."""

import json
import os
import random
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

PROGRAM = Path(os.environ["NEUROLAKE_BIN"]).resolve()
SECONDS = int(os.environ.get("NEUROLAKE_TEST_SECONDS", "40"))
SEED = os.environ.get("NEUROLAKE_TEST_SEED") or str(random.randrange(1 << 32))


def get(address: str, **headers: str) -> tuple[int, dict[str, str], str]:
    request = urllib.request.Request(address, headers=headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=60) as answer:
            return answer.status, dict(answer.headers), answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, dict(refused.headers), refused.read().decode()


@pytest.fixture(scope="session")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    data = tmp_path_factory.mktemp("data")
    addresses = data / "endpoints.json"
    command = [str(PROGRAM), "up", "--data", str(data), "--http", "127.0.0.1:0"]
    with open(data.parent / "log", "w") as log:
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, cwd=data)
    try:
        for _ in range(1200):
            if addresses.exists():
                break
            assert server.poll() is None, (data.parent / "log").read_text()
            time.sleep(0.1)
        yield json.loads(addresses.read_text())["http"].rstrip("/")
        assert server.poll() is None, "the server ended by itself"
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture
def document(http: str) -> dict:
    status, headers, text = get(f"{http}/api/rest")
    assert (status, headers["content-type"]) == (200, "application/json")
    return json.loads(text)


@pytest.fixture(scope="session")
def catalog(http: str) -> dict:
    return json.loads(get(f"{http}/catalog.json")[2])


def tables(catalog: dict) -> Iterator[tuple[str, dict]]:
    for database in catalog["databases"]:
        for table in database["tables"]:
            if not table.get("hidden"):
                yield database["name"], table


def test_documents_are_openapi(http, document, catalog):
    OpenAPIV31SpecValidator(document).validate()
    for database in catalog["databases"]:
        status, _, text = get(f"{http}/api/rest/{database['name']}")
        assert status == 200
        part = json.loads(text)
        OpenAPIV31SpecValidator(part).validate()
        assert part["paths"].items() <= document["paths"].items()
    # The same as on the site.
    assert json.loads(get(f"{http}/openapi.json")[2]) == document


def test_every_table_and_column_is_described(document, catalog):
    addresses = {f"/api/rest/{database}/{table['name']}": table for database, table in tables(catalog)}
    assert len(addresses) > 30
    assert document["paths"].keys() == addresses.keys()
    for address, table in addresses.items():
        operation = document["paths"][address]["get"]
        references = {parameter["$ref"] for parameter in operation["parameters"] if "$ref" in parameter}
        # A column `offset` is filtered in `and`.
        reserved = {document["components"]["parameters"][reference.rpartition("/")[2]]["name"] for reference in references}
        named = {parameter["name"] for parameter in operation["parameters"] if "$ref" not in parameter}
        assert {column["name"] for column in table.get("columns", [])} <= named | reserved, address
        assert not named & reserved, address
        assert operation.get("deprecated", False) == ("deprecated" in table), address


def test_examples_have_rows_of_the_described_form(http, document):
    for address, item in document["paths"].items():
        example = item["get"]["x-example"]
        status, headers, text = get(http + example)
        assert status == 200, f"{example}: {text}"
        rows = json.loads(text)
        assert rows, f"{example} has no rows"
        assert headers["content-range"] == f"0-{len(rows) - 1}/*"
        schema = item["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        validator = OAS31Validator({**schema, "components": document["components"]})
        validator.validate(rows)
        name = schema["items"]["$ref"].removeprefix("#/components/schemas/")
        described = document["components"]["schemas"][name]["properties"]
        assert not described or set(rows[0]) <= set(described), address


def test_pages_of_a_table_are_the_table(http, catalog):
    with_key = [(database, table) for database, table in tables(catalog) if table.get("unique_by") and table["source"]["kind"] == "delta"]
    assert with_key
    for database, table in with_key[:5]:
        keys = ",".join(table["unique_by"])
        address = f"{http}/api/rest/{database}/{table['name']}?order={keys}&select={keys}&limit=97"
        rows, pages = [], 0
        while address and pages < 20:
            status, headers, text = get(address)
            assert status == 200, text
            rows += json.loads(text)
            pages += 1
            address = headers.get("link", "").partition("<")[2].partition(">")[0]
        sql = f"select {keys} from {database}.{table['name']} order by {keys} limit {len(rows)}"
        query = urllib.parse.urlencode({"q": sql})
        assert rows == json.loads(get(f"{http}/api/sql?{query}")[2])


def schemathesis(document: str, http: str, folder: Path, *arguments: str) -> Counter[int]:
    """Statuses of the answers to what Schemathesis made of a document."""
    report = folder / "report.har"
    command = [
        "schemathesis", "run", document, "--url", http, "--seed", SEED, "--max-time", str(SECONDS // 2), "--workers", "2",
        # A pattern can't say that a regular expression or a column of an order is right.
        "--checks", "all", "--exclude-checks", "positive_data_acceptance",
        "--generation-database", "none", "--no-shrink", "--warnings", "off", "--request-timeout", "30",
        "--report", "har", "--report-har-path", str(report), *arguments,
    ]  # fmt: skip
    print(f"NEUROLAKE_TEST_SEED={SEED}")
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env={**os.environ, "no_proxy": "127.0.0.1"})
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
    entries = json.loads(report.read_text())["log"]["entries"]
    return Counter(entry["response"]["status"] for entry in entries)


def test_no_request_surprises_the_door(http, tmp_path):
    statuses = schemathesis(f"{http}/api/rest", http, tmp_path, "--phases", "examples,coverage,fuzzing")
    print(statuses)
    assert statuses.keys() <= {200, 206, 400, 405, 406, 416}
    assert json.loads(get(f"{http}/ready")[2])["broken"] == []


def test_no_filter_surprises_the_engine(http, document, tmp_path):
    # Made-up names of columns would let few requests through.
    named = {f"#/components/parameters/{name}" for name in ["select", "order", "after", "and", "or"]}
    for item in document["paths"].values():
        parameters = item["get"]["parameters"]
        item["get"]["parameters"] = [parameter for parameter in parameters if parameter.get("$ref") not in named]
    description = tmp_path / "filters.json"
    description.write_text(json.dumps(document))
    statuses = schemathesis(str(description), http, tmp_path, "--mode", "positive", "--phases", "fuzzing")
    print(statuses)
    answered = statuses[200] + statuses[206]
    assert answered > 10 and answered > sum(statuses.values()) / 4, statuses
    assert json.loads(get(f"{http}/ready")[2])["broken"] == []
