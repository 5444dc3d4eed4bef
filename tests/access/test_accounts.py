"""Who is let in: tokens, passwords, certificates; what wrong settings are told; and that no token is ever said."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import re
import secrets
import shutil
import socket
import ssl
import struct
import subprocess
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import adbc_driver_flightsql.dbapi as adbc
import psycopg
import pytest
from adbc_driver_flightsql import DatabaseOptions
from adbc_driver_manager import AdbcStatusCode

import lakes
from lakes import AUTHORIZATION, SETTINGS, TOKENS, Lake, basic, psql

PROTECTED = [
    "/api/sql?q=select+1",
    "/api/rest/neural/sessions?limit=1",
    "/api/rest/",
    "/api/graphql",
    "/api/stores",
    "/v1/ingest",
    "/v1/ingest/telemetry/device_health",
    "/v1/openapi.json",
    "/v1/tail/telemetry/device_health",
    "/metrics",
]


@pytest.mark.parametrize("table", ["neural/sessions", "telemetry/device_health"])
def test_code_of_the_site_says_who_asks(table: str, lake: Lake) -> None:
    clients = re.findall(r"^#+ ([^\n]+)\n\n```bash\n(.*?)^```", lake.ask(f"/{table}.md").text, re.MULTILINE | re.DOTALL)
    assert {"HTTP", "GraphQL", "REST", "psql"} <= {client for client, _ in clients}
    for account, is_known in [("owner", True), ("nobody", False)]:
        known = {"NEUROLAKE_ACCOUNT": account, "NEUROLAKE_TOKEN": lake.tokens.get(account, "wrong")}
        for client, code in clients:
            done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, timeout=60, env={**os.environ, **known})
            is_answered = done.returncode == 0 and "UNAUTHORIZED" not in done.stdout.upper()
            assert is_answered == is_known, (client, code, done)
            assert not is_known or done.stdout, client


def raw(lake: Lake, target: str, headers: list[tuple[str, str]] = [], method: str = "GET") -> lakes.Answer:
    """A request as it is written here: headers may come twice, the address isn't tidied."""
    place = urllib.parse.urlsplit(lake.http)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=60)
    with contextlib.closing(connection):
        connection.putrequest(method, target)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return lakes.Answer(answer.status, dict(answer.headers), answer.read())


@pytest.mark.parametrize("path", PROTECTED)
def test_rows_need_a_token(path: str, lake: Lake) -> None:
    refused = lake.ask(path)
    assert refused.status == 401
    assert "Bearer" in refused.headers["www-authenticate"] and "Basic" in refused.headers["www-authenticate"]
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"):
        assert raw(lake, path, method=method).status in (401, 405), method
    assert lake.ask(path, "owner").status in (200, 400, 405)


@pytest.mark.parametrize("path", ["/", "/catalog.json", "/health", "/ready", "/neural/sessions.html"])
def test_the_catalog_needs_none(path: str, lake: Lake) -> None:
    answer = lake.ask(path)
    assert answer.status in (200, 404) and (answer.status == 200 or "html" in path)


@pytest.mark.parametrize(
    "target",
    [
        "/%61pi/sql?q=select+1",
        "//api/sql?q=select+1",
        "/api//sql?q=select+1",
        "/API/sql?q=select+1",
        "/./api/sql?q=select+1",
        "/health/../api/sql?q=select+1",
        "/health/%2e%2e/api/sql?q=select+1",
        "/api%2fsql?q=select+1",
        "/api/sql/?q=select+1",
        "/api;x/sql?q=select+1",
        "http://localhost/api/sql?q=select+1",
        "/metrics/",
        "/%6detrics",
        "/v1%2fingest",
        "/catalog.json/../api/sql?q=select+1",
    ],
)
def test_no_address_leads_around_the_token(target: str, lake: Lake) -> None:
    answer = raw(lake, target)
    assert answer.status in (301, 307, 308, 400, 401, 404, 405), answer.text
    assert "select 1" not in answer.text.lower() and "Int64(1)" not in answer.text


def no_tokens() -> list[str]:
    token, other = TOKENS["owner"], TOKENS["rows"]
    return [
        "",
        "Bearer",
        "Bearer ",
        "Bearer  ",
        token,
        f"Token {token}",
        f"Bearer {token[:-1]}",
        f"Bearer {token}x",
        f"Bearer {token.upper()}",
        f"Bearer {token}, Bearer {token}",
        f"Bearer {token} {token}",
        f'Bearer "{token}"',
        f"Bearer {hashlib.sha256(token.encode()).hexdigest()}",
        "Basic",
        "Basic ",
        "Basic %%%",
        f"Basic {token}",
        basic("owner", ""),
        basic("", token),
        basic("rows", token),
        basic("owner", other),
        basic("OWNER", token),
        basic("owner ", token),
        basic("owner:", token),
        "Basic " + base64.b64encode(b"owner").decode(),
        "Basic " + base64.b64encode(b"\xff:" + token.encode()).decode(),
        f"Bearer {basic('owner', token)[6:]}",
        "Negotiate x",
    ]


def test_what_is_no_token(lake: Lake) -> None:
    token = TOKENS["owner"]
    target = "/api/sql?q=select+1"
    for value in no_tokens():
        answer = raw(lake, target, [("Authorization", value)])
        assert answer.status in (400, 401), value
        assert token not in answer.text
    for target in (f"/api/sql?q=select+1&token={token}", f"/api/sql?q=select+1&access_token={token}", f"/api/sql?q=select+1&authorization=Bearer+{token}"):
        assert raw(lake, target).status in (400, 401)
    for name in ("X-Authorization", "Proxy-Authorization", "X-Forwarded-User", "X-Remote-User", "Cookie"):
        assert raw(lake, "/api/sql?q=select+1", [(name, f"Bearer {token}")]).status == 401


def test_what_is_a_token(lake: Lake) -> None:
    token = TOKENS["owner"]
    for name, value in (
        ("Authorization", f"Bearer {token}"),
        ("authorization", f"bearer {token}"),
        ("AUTHORIZATION", f"BEARER  {token}"),
        ("Authorization", basic("owner", token)),
        ("authorization", basic("owner", token).replace("Basic", "basic")),
    ):
        assert raw(lake, "/api/sql?q=select+1", [(name, value)]).status == 200, value


def test_of_two_headers_the_second_one_gives_no_rights(lake: Lake) -> None:
    """A proxy that adds its own header in front must not be overruled by what the client sent, nor the other way round."""
    statement = "/api/sql?q=select+count(*)+as+n+from+neural.units"
    good, nobody, nothing = f"Bearer {TOKENS['owner']}", "Bearer nonsense", f"Bearer {TOKENS['nothing']}"
    assert raw(lake, statement, [("Authorization", nobody), ("Authorization", good)]).status in (400, 401)
    assert raw(lake, statement, [("Authorization", nothing), ("Authorization", good)]).status in (400, 401, 403)
    assert raw(lake, statement, [("Authorization", good), ("Authorization", nothing)]).status in (400, 401)


def counted(lake: Lake, **options: str) -> int:
    """What a connection of its own counts."""
    with adbc.connect(lake.flight, db_kwargs=options, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("select count(distinct implant_id) from neural.sessions")
        return cursor.fetchone()[0]


def test_of_two_headers_flight_sql_takes_none(lake: Lake) -> None:
    another = f"{DatabaseOptions.RPC_CALL_HEADER_PREFIX.value}authorization"
    for first, second in (("owner", "nothing"), ("nothing", "owner")):
        with pytest.raises(adbc.Error) as failed:
            counted(lake, **{AUTHORIZATION: f"Bearer {TOKENS[first]}", another: f"Bearer {TOKENS[second]}"})
        assert failed.value.status_code == AdbcStatusCode.UNAUTHENTICATED


def test_flight_sql_takes_the_same_tokens(lake: Lake) -> None:
    token = TOKENS["rows"]
    for options in (
        {AUTHORIZATION: f"Bearer {token}"},
        {AUTHORIZATION: f"BEARER  {token}"},
        {AUTHORIZATION: basic("rows", token)},
        {f"{DatabaseOptions.RPC_CALL_HEADER_PREFIX.value}authorization": f"Bearer {token}"},
        {"username": "rows", "password": token},
    ):
        assert counted(lake, **options) == 1, options.keys()
    for options in (
        {},
        *({AUTHORIZATION: value} for value in no_tokens()),
        *({"username": name, "password": password} for name, password in (("rows", TOKENS["owner"]), ("owner", "wrong"), ("nobody", token), ("ROWS", token), ("rows", ""))),
        *({f"{DatabaseOptions.RPC_CALL_HEADER_PREFIX.value}{name}": f"Bearer {token}"} for name in ("x-authorization", "proxy-authorization", "cookie")),
    ):
        with pytest.raises(adbc.Error) as error:
            counted(lake, **options)
        assert error.value.status_code == AdbcStatusCode.UNAUTHENTICATED, (options, error.value)
        assert not [name for name, token in TOKENS.items() if token in f"{error.value} {error.value.details}"]


def refused(lake: Lake, user: str, password: str) -> psycopg.OperationalError:
    with pytest.raises(psycopg.OperationalError) as error:
        psycopg.connect(**{**lake.pg("owner"), "user": user, "password": password})
    return error.value


def test_a_wrong_password_and_an_unknown_account_are_told_the_same(lake: Lake) -> None:
    messages = set()
    for user in ("rows", "owner", "nobody", "root", "postgres", "Owner", "owner ", "x" * 200, "ü"):
        for password in ("wrong", TOKENS["columns"], TOKENS["owner"].upper(), TOKENS["owner"] + " ", ""):
            if password:
                messages.add(str(refused(lake, user, password)).replace(user, "USER"))
    assert len(messages) == 1, messages


def test_a_wrong_password_is_told_as_postgresql_does(lake: Lake) -> None:
    done = psql(lake, "nobody", "-c", "select 1", password="wrong")
    assert done.returncode == 2 and 'password authentication failed for user "nobody"' in done.stderr
    # psycopg knows no code for a connection that failed; libpq shows it with this setting.
    with Scram(lake, "rows") as client:
        assert client.fail(token="wrong") == "28P01"


class Scram:
    """SCRAM-SHA-256 by RFC 5802, with room for mistakes."""

    def __init__(self, lake: Lake, user: str, **more: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", lake.pg_port), 20)
        self.stream = self.socket.makefile("rb")
        words = {"user": user, "database": lake.database, **more}
        body = b"".join(f"{name}\0{value}\0".encode() for name, value in words.items()) + b"\0"
        self.socket.sendall(struct.pack("!ii", len(body) + 8, 196608) + body)
        kind, found = self.read()
        assert kind == b"R" and struct.unpack("!i", found[:4])[0] == 10, found
        self.mechanisms = found[4:].decode().split("\0")[:-2]

    def __enter__(self) -> Scram:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def read(self) -> tuple[bytes, bytes]:
        kind = self.stream.read(1)
        if not kind:
            return b"", b""
        (length,) = struct.unpack("!i", self.stream.read(4))
        return kind, self.stream.read(length - 4)

    def send(self, kind: bytes, body: bytes) -> tuple[bytes, bytes]:
        self.socket.sendall(kind + struct.pack("!i", len(body) + 4) + body)
        return self.read()

    def first(self, text: str, mechanism: str = "SCRAM-SHA-256") -> tuple[bytes, bytes]:
        return self.send(b"p", mechanism.encode() + b"\0" + struct.pack("!i", len(text)) + text.encode())

    def begin(self) -> dict[str, str]:
        self.nonce = secrets.token_hex(12)
        kind, found = self.first(f"n,,n=,r={self.nonce}")
        assert kind == b"R", found
        self.server_first = found[4:].decode()
        return dict(pair.split("=", 1) for pair in self.server_first.split(","))

    def final(self, token: str, nonce: str | None = None, header: str = "n,,", proof: bytes | None = None) -> tuple[bytes, bytes]:
        known = self.begin()
        salted = hashlib.pbkdf2_hmac("sha256", token.encode(), base64.b64decode(known["s"]), int(known["i"]))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        without_proof = f"c={base64.b64encode(header.encode()).decode()},r={nonce or known['r']}"
        message = f"n=,r={self.nonce},{self.server_first},{without_proof}"
        signature = hmac.digest(hashlib.sha256(client_key).digest(), message.encode(), "sha256")
        made = bytes(a ^ b for a, b in zip(client_key, signature, strict=True)) if proof is None else proof
        return self.send(b"p", f"{without_proof},p={base64.b64encode(made).decode()}".encode())

    def fail(self, **more) -> str:
        kind, found = self.final(**more)
        assert kind == b"E", found
        fields = {part[:1]: part[1:].decode() for part in found.split(b"\0") if part}
        self.end()
        return fields[b"C"]

    def end(self) -> None:
        """Reads to the end of the connection, in which there is nothing but errors."""
        kinds = set()
        with contextlib.suppress(ConnectionError):
            while (kind := self.read()[0]) != b"":
                kinds.add(kind)
        # pgwire says that it is ready before it hangs up.
        assert kinds <= {b"E", b"Z"}, kinds


def test_what_an_unknown_account_is_asked_looks_like_any_other(lake: Lake) -> None:
    asked = {}
    for user in ("rows", "nobody", "nobody", "somebody"):
        with Scram(lake, user) as client:
            known = client.begin()
        asked.setdefault(user, []).append(known["s"])
        assert known["i"] == "4096" and len(base64.b64decode(known["s"])) == 16 and known["r"].startswith(client.nonce)
    assert len(set(asked["nobody"])) == 1 and len({salts[0] for salts in asked.values()}) == 3


def test_only_the_whole_proof_lets_in(lake: Lake) -> None:
    token = TOKENS["rows"]
    with Scram(lake, "rows") as client:
        kind, found = client.final(token)
        assert kind == b"R" and struct.unpack("!i", found[:4])[0] == 12
        assert client.read() == (b"R", struct.pack("!i", 0))
    for mistake in ({"token": token, "header": "y,,"}, {"token": token, "proof": b""}, {"token": token, "proof": b"x" * 32}, {"token": token, "proof": b"x" * 300}, {"token": ""}):
        with Scram(lake, "rows") as client:
            assert client.fail(**mistake)


@pytest.mark.parametrize(
    "text",
    ["", "n", "n,,", "n,,n=", "n,,n=,r=", "p=tls-server-end-point,,n=,r=abc", "p=nothing,,n=,r=abc", "x,,n=,r=abc", "n,a=owner,n=,r=abc", "n,,m=x,n=,r=abc", ",,,,,,,", "\0" * 20, "n" * 9000],
)
def test_nonsense_proves_nothing(text: str, lake: Lake) -> None:
    with Scram(lake, "owner") as client:
        kind, found = client.first(text)
        if kind == b"R":
            kind, found = client.send(b"p", b"c=biws,r=abc,p=AAAA")
        assert kind in (b"E", b""), found
    for mechanism in ("PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256-PLUS", "", "scram-sha-256"):
        with Scram(lake, "owner") as client:
            assert client.first("n,,n=,r=abcdef", mechanism)[0] in (b"E", b"")
    assert lake.sql("owner", "select 1").status == 200


@pytest.mark.parametrize(
    ("kind", "body"),
    [(b"Q", b"select notes from neural.sessions\0"), (b"P", b"\0select 1\0\0\0"), (b"B", b"\0\0\0\0\0\0\0\0"), (b"E", b"\0\0\0\0\0"), (b"D", b"S\0"), (b"p", b"planted\0"), (b"d", b"x"), (b"F", b"\0" * 12), (b"S", b"")],
)
def test_nothing_is_answered_before_the_proof(kind: bytes, body: bytes, lake: Lake) -> None:
    for begun in (False, True):
        with Scram(lake, "owner") as client:
            if begun:
                client.begin()
            answer, found = client.send(kind, body)
            assert answer in (b"E", b""), found
            # Nor after the error.
            with contextlib.suppress(ConnectionError):
                client.socket.sendall(b"Q" + struct.pack("!i", 38) + b"select notes from neural.sessions\0")
            client.end()


def test_the_nonce_is_the_one_that_was_given(lake: Lake) -> None:
    """RFC 5802, 5.1: the server verifies that the nonce of the last message is the one it sent."""
    with Scram(lake, "rows") as client:
        assert client.fail(token=TOKENS["rows"], nonce="replayed")


def test_another_name_in_the_proof_is_not_who_one_is(lake: Lake) -> None:
    """The name inside of SCRAM is not looked at, as in PostgreSQL: it is that of the connection."""
    with psycopg.connect(**lake.pg("rows")) as connection:
        assert connection.execute("select count(distinct implant_id) from neural.sessions").fetchone() == (1,)


def made(folder: Path, kind: str) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that vouches for itself, and its key."""
    folder.mkdir(exist_ok=True)
    certificate, key = folder / f"{kind}.crt", folder / f"{kind}.key"
    algorithm = {"rsa": ["rsa:2048"], "ecdsa": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "p384": ["ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-sha384"]}[kind]
    command = ["openssl", "req", "-x509", "-newkey", *algorithm, "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


def copied(lake: Lake, folder: Path) -> Path:
    """The data of a lake, for another server."""
    (folder / "data").mkdir(parents=True)
    for name in ("buckets", "copies", "made-up.json"):
        found = lake.folder / "data" / name
        (shutil.copytree if found.is_dir() else shutil.copy)(found, folder / "data" / name)
    return folder


@pytest.fixture(scope="module", params=["rsa", "ecdsa", "p384"])
def secure(request: pytest.FixtureRequest, lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lake, Path]]:
    folder = copied(lake, tmp_path_factory.mktemp("secure") / request.param)
    certificate, key = made(folder, request.param)
    with lakes.lake(folder, f'[pg]\ncertificate = "file:{certificate}"\nkey = "file:{key}"\n{SETTINGS}') as lake:
        yield lake, certificate
    assert "PRIVATE KEY" not in (folder / "log").read_text()


def test_clients_are_answered_over_tls_alone(secure: tuple[Lake, Path]) -> None:
    lake, certificate = secure
    for mode in ("disable", "allow"):
        done = psql(lake, "owner", "-At", "-c", "select 1", sslmode=mode)
        # `allow` tries without, is refused, and then does what it should have done at once.
        assert (done.returncode == 0) == (mode == "allow"), done.stderr
        assert mode == "allow" or "TLS" in done.stderr
    for mode in ("prefer", "require", "verify-ca", "verify-full"):
        for binding in ("disable", "prefer", "require"):
            more = {"sslmode": mode, "channel_binding": binding, "sslrootcert": str(certificate) if mode.startswith("verify") else "/nonexistent"}
            done = psql(lake, "rows", "-At", "-c", "select count(distinct implant_id) from neural.sessions", **more)
            assert (done.returncode, done.stdout) == (0, "1\n"), (more, done.stderr)
    done = psql(lake, "rows", "-c", "select 1", sslmode="verify-full", sslrootcert=str(certificate), host="localhost")
    assert done.returncode == 0, done.stderr
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(**{**lake.pg("owner"), "password": "wrong"}, sslmode="require")


def test_a_stranger_with_another_certificate_is_not_believed(secure: tuple[Lake, Path], tmp_path: Path) -> None:
    lake, _ = secure
    other, _ = made(tmp_path / "other", "rsa")
    done = psql(lake, "owner", "-c", "select 1", sslmode="verify-ca", sslrootcert=str(other))
    assert done.returncode == 2 and "certificate verify failed" in done.stderr


class OverTls(Scram):
    def __init__(self, lake: Lake, user: str) -> None:
        plain = socket.create_connection(("127.0.0.1", lake.pg_port), 20)
        plain.sendall(struct.pack("!ii", 8, 80877103))
        assert plain.recv(1) == b"S"
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.socket = context.wrap_socket(plain)
        self.certificate = self.socket.getpeercert(binary_form=True)
        self.stream = self.socket.makefile("rb")
        body = f"user\0{user}\0database\0{lake.database}\0\0".encode()
        self.socket.sendall(struct.pack("!ii", len(body) + 8, 196608) + body)
        kind, found = self.read()
        assert kind == b"R", found
        self.mechanisms = found[4:].decode().split("\0")[:-2]


def test_nobody_between_can_talk_a_client_out_of_binding(secure: tuple[Lake, Path]) -> None:
    """RFC 5802, 6: `y` says that the client would bind and was told that the server can't; this server can."""
    lake, _ = secure
    with OverTls(lake, "owner") as client:
        assert client.mechanisms == ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"] or client.mechanisms == ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]
        assert client.first("y,,n=,r=abcdefgh")[0] == b"E"
    for mechanism, text in (("SCRAM-SHA-256-PLUS", "n,,n=,r=abcdefgh"), ("SCRAM-SHA-256-PLUS", "y,,n=,r=abcdefgh"), ("SCRAM-SHA-256", "p=tls-server-end-point,,n=,r=abcdefgh"), ("SCRAM-SHA-256-PLUS", "p=tls-unique,,n=,r=abcdefgh")):
        with OverTls(lake, "owner") as client:
            assert client.first(text, mechanism)[0] == b"E", (mechanism, text)


def test_what_was_sent_before_tls_is_not_part_of_it(secure: tuple[Lake, Path]) -> None:
    """CVE-2021-23214: a startup message behind the wish for TLS, in the same packet."""
    lake, _ = secure
    body = f"user\0owner\0database\0{lake.database}\0\0".encode()
    with socket.create_connection(("127.0.0.1", lake.pg_port), 20) as client:
        client.sendall(struct.pack("!ii", 8, 80877103) + struct.pack("!ii", len(body) + 8, 196608) + body)
        client.settimeout(10)
        answer = b""
        with contextlib.suppress(OSError):
            while part := client.recv(1000):
                answer += part
        assert b"SCRAM" not in answer
    assert lake.sql("owner", "select 1").status == 200


ACCOUNT = '[accounts.owner]\ntoken = "env:OWNER_TOKEN"\nrole = "all"\n'


def role(text: str) -> str:
    return f'{ACCOUNT}[accounts.rows]\ntoken = "env:ROWS_TOKEN"\nrole = "some"\n[roles.some]\n{text}'


# What is wrong, and what the error has to name.
WRONG = {
    "unknown table": (role('tables = ["neural.sessionz"]'), ["neural.sessionz", "neural.sessions"]),
    "unknown database": (role('tables = ["neurl.*"]'), ["neurl", "neural"]),
    "no table at all": (role('tables = ["sessions"]'), ["sessions"]),
    "unknown authorized": (role('tables = []\nauthorized = ["neural.nothing"]'), ["neural.nothing", "authorized"]),
    "unknown ingest": (role('tables = []\ningest = ["neural.nothing"]'), ["neural.nothing", "ingest"]),
    "unknown column": (role('tables = ["*"]\ncolumns."neural.sessions" = ["session_idd"]'), ["session_idd", "session_id"]),
    "column in another case": (role('tables = ["*"]\ncolumns."neural.sessions" = ["SESSION_ID"]'), ["SESSION_ID"]),
    "columns of an unknown table": (role('tables = ["*"]\ncolumns."neural.nothing" = ["x"]'), ["neural.nothing", "columns"]),
    "columns of a database": (role('tables = ["*"]\ncolumns."neural.*" = ["x"]'), ["neural.*", "columns"]),
    "rows of an unknown table": (role('tables = ["*"]\nrows."neural.nothing" = "true"'), ["neural.nothing", "rows"]),
    "rows of a function": (role('tables = ["*"]\nrows."behavior.session_summaries" = "true"'), ["behavior.session_summaries"]),
    "a condition on no column": (role('tables = ["*"]\nrows."neural.sessions" = "implantid = 7"'), ["implantid", "neural.sessions", "rows"]),
    "a number as condition": (role('tables = ["*"]\nrows."neural.sessions" = "implant_id + 7"'), ["neural.sessions", "rows"]),
    "no SQL as condition": (role('tables = ["*"]\nrows."neural.sessions" = "implant_id = = 7"'), ["neural.sessions", "rows"]),
    "nothing as condition": (role('tables = ["*"]\nrows."neural.sessions" = ""'), ["neural.sessions", "rows"]),
    "two conditions": (role('tables = ["*"]\nrows."neural.sessions" = "true; select 1"'), ["neural.sessions", "rows"]),
    "a condition for a table that isn't shown": (role('tables = []\nrows."neural.sessions" = "implantid = 7"'), ["neural.sessions"]),
    "an aggregate as condition": (role('tables = ["*"]\nrows."neural.sessions" = "max(implant_id) = 7"'), ["neural.sessions", "rows"]),
    "another table in a condition": (role('tables = ["*"]\nrows."neural.sessions" = "implant_id in (select implant_id from neural.units)"'), ["neural.sessions", "rows"]),
    "pii is no number": (role('tables = ["*"]\npii = "perhaps"'), ["roles.some.pii"]),
    "unknown key of a role": (role('tables = ["*"]\ntable = ["x"]'), ["roles.some.table"]),
    "unknown key of an account": (ACCOUNT + 'roles = "all"\n', ["accounts.owner.roles"]),
    "unknown role": (ACCOUNT + '[accounts.rows]\ntoken = "env:ROWS_TOKEN"\nrole = "viewr"\n[roles.viewer]\ntables = []\n', ["viewr", "viewer"]),
    "no role": ('[accounts.owner]\ntoken = "env:OWNER_TOKEN"\n', ["accounts.owner.role"]),
    "no token": ('[accounts.owner]\nrole = "all"\n', ["accounts.owner.token"]),
    "a token that isn't set": ('[accounts.owner]\ntoken = "env:ABSENT_TOKEN"\nrole = "all"\n', ["ABSENT_TOKEN"]),
    "an empty token": ('[accounts.owner]\ntoken = "env:EMPTY_TOKEN"\nrole = "all"\n', ["accounts.owner.token"]),
    "a short token": ('[accounts.owner]\ntoken = "env:SHORT_TOKEN"\nrole = "all"\n', ["accounts.owner.token", "16"]),
    "a token of blanks": ('[accounts.owner]\ntoken = "env:BLANK_TOKEN"\nrole = "all"\n', ["accounts.owner.token"]),
    "a literal token": ('[accounts.owner]\ntoken = "planted-literal-0123456789"\nrole = "all"\n', ["accounts.owner.token", "env:"]),
    "the same token twice": (ACCOUNT + '[accounts.rows]\ntoken = "env:OWNER_TOKEN"\nrole = "some"\n[roles.some]\ntables = []\n', ["owner", "rows", "token"]),
    "a role of the name all": (ACCOUNT + "[roles.all]\ntables = []\n", ["all"]),
    "a name with a colon": ('[accounts."a:b"]\ntoken = "env:OWNER_TOKEN"\nrole = "all"\n', ["account"]),
    "an empty name": ('[accounts.""]\ntoken = "env:OWNER_TOKEN"\nrole = "all"\n', ["account"]),
    "a key without certificate": (f'[pg]\nkey = "env:OWNER_TOKEN"\n{ACCOUNT}', ["pg.certificate", "pg.key"]),
    "a certificate that is none": (f'[pg]\ncertificate = "env:OWNER_TOKEN"\nkey = "env:OWNER_TOKEN"\n{ACCOUNT}', ["pg.certificate"]),
    "a certificate file that isn't there": (f'[pg]\ncertificate = "file:/nonexistent.crt"\nkey = "env:OWNER_TOKEN"\n{ACCOUNT}', ["/nonexistent.crt"]),
    "a wrong condition of a role that nobody has": (ACCOUNT + '[roles.some]\ntables = ["neural.sessionz"]\n', ["neural.sessionz"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_are_told_before_anything_else(name: str, tmp_path: Path) -> None:
    settings, words = WRONG[name]
    empty = {"EMPTY_TOKEN": "", "SHORT_TOKEN": "planted-short", "BLANK_TOKEN": " " * 40}
    done = lakes.run(tmp_path / "lake", "up", "--data", "data", "--http", "127.0.0.1:0", "--pg", "127.0.0.1:0", settings=settings, **empty)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout == ""
    assert "error: " in done.stderr and not [word for word in words if word not in done.stderr], done.stderr
    assert "planted-" not in done.stderr
    data = tmp_path / "lake" / "data"
    assert not (data / "endpoints.json").exists() and not (data / "made-up.json").exists(), sorted(data.iterdir())


@pytest.mark.parametrize(("option", "other"), [("--http", "--pg"), ("--pg", "--http"), ("--flight", "--pg")])
def test_no_network_without_accounts(option: str, other: str, tmp_path: Path) -> None:
    for address in ("0.0.0.0:0", "[::]:0"):
        done = lakes.run(tmp_path / "lake", "up", "--data", "data", option, address, other, "127.0.0.1:0", settings="")
        assert done.returncode == 2 and "accounts" in done.stderr, done.stderr


def test_no_command_says_a_token(lake: Lake, tmp_path: Path) -> None:
    folder = copied(lake, tmp_path / "lake")
    said = []
    # An address where nothing answers.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{taken.getsockname()[1]}"
        (folder / "data" / "endpoints.json").write_text(json.dumps({"http": dead, "pid": 1}))
        for arguments in (
            ["config"],
            ["config", "--reference"],
            ["query", "select count(*) from telemetry.device_health"],
            ["simulate"],
            ["simulate", "--url", "http://127.0.0.1:1"],
            ["tables"],
            ["doctor"],
            ["--help"],
        ):
            try:
                # `simulate` goes on trying.
                done = lakes.run(folder, *arguments, "--data", "data", settings=SETTINGS, seconds=10)
                said.append((arguments, done.stdout + done.stderr))
            except subprocess.TimeoutExpired as late:
                said.append((arguments, f"{late.stdout} {late.stderr}"))
    for arguments, text in said:
        assert "planted-" not in text, (arguments, [line for line in text.splitlines() if "planted-" in line][:3])


def test_logs_name_the_account_and_never_the_token(lake: Lake) -> None:
    assert lake.sql("rows", "select 4711 as found").status == 200
    with psycopg.connect(**lake.pg("rows")) as connection:
        connection.execute("select 4712 as found")
    assert lake.flight_frame("rows", "select 4713 as found", by_name=True).item() == 4713
    lines = [line for line in lake.log.splitlines() if "rows" in line and ("account" in line or "role" in line)]
    assert lines
    assert not [name for name, token in TOKENS.items() if token in lake.log]
