"""The GraphQL door of the demo lake, as `gql` sees it: the client reads the schema, checks it against the
rules of GraphQL, checks each document against it, and only then sends the document."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from gql import Client, GraphQLRequest, gql
from gql.dsl import DSLQuery, DSLSchema, DSLVariableDefinitions, dsl_gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.requests import RequestsHTTPTransport
from graphql import (
    GraphQLError,
    GraphQLList,
    GraphQLObjectType,
    GraphQLScalarType,
    assert_valid_schema,
    get_named_type,
)

READY_SECONDS = 180


@pytest.fixture(scope="session")
def address(tmp_path_factory):
    """Where the demo lake answers."""
    folder = tmp_path_factory.mktemp("lake")
    command = [os.environ["NEUROLAKE_BIN"], "up", "--data", str(folder / "data"), "--http", "127.0.0.1:0"]
    log = folder / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield ready(server, folder / "data" / "endpoints.json", log)
    finally:
        server.terminate()
        server.wait(30)


def ready(server: subprocess.Popen, endpoints: Path, log: Path) -> str:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and server.poll() is None:
        if endpoints.exists():
            address = json.loads(endpoints.read_text())["http"]
            try:
                urllib.request.urlopen(f"{address}/health", timeout=5).close()
                return address
            except OSError:
                pass
        time.sleep(0.1)
    raise AssertionError(f"the server is not ready:\n{log.read_text()[-4000:]}")


@pytest.fixture(scope="session")
def client(address):
    transport = RequestsHTTPTransport(url=f"{address}/api/graphql")
    client = Client(transport=transport, fetch_schema_from_transport=True)
    with client:
        assert client.schema
    return client


@pytest.fixture(scope="session")
def catalog(address):
    return json.loads(urllib.request.urlopen(f"{address}/catalog.json").read())


def sql(address: str, statement: str) -> list[dict]:
    query = urllib.parse.quote(statement)
    return json.loads(urllib.request.urlopen(f"{address}/api/sql?q={query}").read())


def tables(catalog: dict) -> dict[str, tuple[str, dict]]:
    """Tables by the names of their fields."""
    return {
        f"{database['name']}_{table['name']}": (f"{database['name']}.{table['name']}", table)
        for database in catalog["databases"]
        for table in database["tables"]
    }


def selection(of: GraphQLObjectType) -> str:
    """Every field of a type, down to single values."""
    fields = []
    for name, field in of.fields.items():
        inner = get_named_type(field.type)
        fields.append(f"{name} {{ {selection(inner)} }}" if isinstance(inner, GraphQLObjectType) else name)
    return " ".join(fields)


def calls(table: dict) -> tuple[str, str]:
    """Arguments of a function, in GraphQL and in SQL, from its example."""
    example = {name: plain(value) for name, value in table.get("example", [])}
    names = [argument["name"] for argument in table["source"].get("arguments", [])]
    given = {name: example[name] for name in names if example.get(name) is not None}
    if not given:
        return "", ""
    words = ", ".join(f"{name}: {json.dumps(value)}" for name, value in given.items())
    conditions = " and ".join(f"{name} in ({literals(value)})" for name, value in given.items())
    return f"args: {{{words}}}, ", f" where {conditions}"


def plain(value):
    """A value of the catalog, such as `{"int": 7}`, as JSON has it."""
    if value == "null":
        return None
    ((kind, inner),) = value.items()
    if kind == "list":
        return [plain(item) for item in inner]
    return float(inner) if kind == "float" else inner


def literals(value) -> str:
    values = value if isinstance(value, list) else [value]
    return ", ".join(f"'{value}'" if isinstance(value, str) else json.dumps(value) for value in values)


def test_the_schema_is_valid_and_says_what_the_catalog_says(client, catalog):
    assert_valid_schema(client.schema)
    root = client.schema.query_type
    known = tables(catalog)
    assert set(root.fields) == {name + end for name in known for end in ["", "_aggregate"]}
    for name, (_, table) in known.items():
        field = root.fields[name]
        row = get_named_type(field.type)
        assert (row.description or "") == table.get("docs", ""), name
        assert bool(field.deprecation_reason) == ("deprecated" in table), name
        for column in table.get("columns", []):
            assert column["name"] in row.fields, f"{name}.{column['name']}"
            description = row.fields[column["name"]].description or ""
            assert description.startswith(column.get("docs", "")), f"{name}.{column['name']}"


def test_every_column_of_every_table_has_the_value_of_sql(client, catalog, address):
    for name, (table, declared) in tables(catalog).items():
        row = get_named_type(client.schema.query_type.fields[name].type)
        arguments, condition = calls(declared)
        # Nothing else makes two answers come in the same order.
        keys = [
            column
            for column, field in row.fields.items()
            if isinstance(field.type, GraphQLScalarType) and field.type.name != "JSON"
        ]
        order = ", ".join(f"{{{key}: asc}}" for key in keys)
        query = f"{{ rows: {name}({arguments}order_by: [{order}], limit: 20) {{ {selection(row)} }} }}"
        found = client.execute(gql(query))["rows"]
        columns = ", ".join(f'"{column}"' for column in row.fields)
        order = ", ".join(f'"{key}" asc nulls last' for key in keys)
        expected = sql(address, f"select {columns} from {table}{condition} order by {order} limit 20")
        assert found, name
        assert comparable(found) == comparable(expected), name


def comparable(value):
    """A view may add up its floats in any order."""
    if isinstance(value, dict):
        return {name: comparable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [comparable(inner) for inner in value]
    return float(f"{value:.10g}") if isinstance(value, float) else value


def test_every_table_is_counted(client, catalog, address):
    fields, statements = [], []
    for name, (table, declared) in tables(catalog).items():
        arguments, condition = calls(declared)
        arguments = f"({arguments.rstrip(', ')})" if arguments else ""
        fields.append(f"{name}: {name}_aggregate{arguments} {{ aggregate {{ count }} }}")
        statements.append((name, f"select count(*) as n from {table}{condition}"))
    found = client.execute(gql("{ " + " ".join(fields) + " }"))
    for name, statement in statements:
        assert found[name]["aggregate"]["count"] == sql(address, statement)[0]["n"], name


def test_the_client_writes_documents_from_the_schema(client):
    schema = DSLSchema(client.schema)
    variables = DSLVariableDefinitions()
    field = schema.query_root.neural_spikes
    rows = field(where=variables.where, order_by=[{"ts": "desc"}], limit=3)
    query = DSLQuery(rows.select(schema.neural_spikes.ts, number=schema.neural_spikes.channel))
    query.variable_definitions = variables
    request = GraphQLRequest(
        dsl_gql(query), variable_values={"where": {"implant_id": {"_eq": 7}, "_not": {"channel": {"_lt": 3}}}}
    )
    found = client.execute(request)["neural_spikes"]
    assert len(found) == 3
    assert [row["ts"] for row in found] == sorted((row["ts"] for row in found), reverse=True)
    assert all(row["number"] >= 3 for row in found)


def test_the_client_finds_mistakes_before_the_server(client):
    for query in [
        "{ neural_spikes { channels } }",
        '{ neural_spikes(where: {channel: {_eq: "x"}}) { channel } }',
        "{ neural_spikes(order_by: {channel: up}) { channel } }",
        "mutation { neural_spikes { channel } }",
    ]:
        with pytest.raises(GraphQLError):
            client.execute(gql(query))


def test_the_server_finds_them_for_others(address):
    transport = RequestsHTTPTransport(url=f"{address}/api/graphql")
    with Client(transport=transport) as client, pytest.raises(TransportQueryError) as error:
        client.execute(gql("{ neural_spikes { chanel } }"))
    assert "did you mean `channel`?" in str(error.value.errors)


def test_a_database_has_a_schema_of_its_own(address):
    transport = RequestsHTTPTransport(url=f"{address}/api/graphql/neural")
    client = Client(transport=transport, fetch_schema_from_transport=True)
    with client:
        assert_valid_schema(client.schema)
    fields = client.schema.query_type.fields
    assert "neural_spikes" in fields and all(name.startswith("neural_") for name in fields)
    # A field that fails is null and leaves the others alone.
    assert {type(field.type) for field in fields.values()} == {GraphQLList, GraphQLObjectType}
