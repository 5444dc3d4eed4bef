"""Answers that come slowly, in pieces, or not to their end."""

import io
import re
import socket
import struct
import threading

import neurolake
import polars as pl
import pytest
from neurolake.server import Server, _message, read_arrow


def stream(frame):
    out = io.BytesIO()
    frame.write_ipc_stream(out)
    return out.getvalue()


def messages(data):
    file = io.BytesIO(data)
    return [data for _, data in iter(lambda: _message(file.read), None)]


FRAME = pl.DataFrame({"a": range(5000), "b": ["x" * (i % 7) for i in range(5000)], "c": [None, [1]] * 2500})


@pytest.mark.parametrize("most", [1, 7, 4096, 1 << 30])
def test_reads_pieces_of_any_size(most):
    data = io.BytesIO(stream(FRAME))
    found = pl.concat(list(read_arrow(lambda count: data.read(min(count, most)))))
    assert found.equals(FRAME)


def test_an_empty_answer_has_columns():
    data = io.BytesIO(stream(FRAME.clear()))
    assert [frame.schema for frame in read_arrow(data.read)] == [FRAME.schema]


def test_every_cut_is_an_error():
    whole = stream(FRAME.head(20))
    for end in range(0, len(whole) - 1, 11):
        cut = io.BytesIO(whole[:end])
        with pytest.raises(EOFError):
            list(read_arrow(cut.read))


class Raw:
    """Answers a request with given pieces, waiting for leave before each but the first."""

    def is_complete(self):
        head, end, body = self.request.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        return bool(end) and len(body) >= (int(length[1]) if length else 0)

    def __init__(self, *pieces, reset=False):
        self.leave = threading.Semaphore(0)
        self.request = b""
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"

        def serve():
            connection, _ = listener.accept()
            # All of it: closing with a part unread would reset the connection.
            while not self.is_complete():
                self.request += connection.recv(65536)
            for at, piece in enumerate(pieces):
                if at:
                    self.leave.acquire()
                connection.sendall(piece)
            if reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
            listener.close()

        threading.Thread(target=serve, daemon=True).start()


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.apache.arrow.stream\r\n"


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def test_rows_are_there_before_the_end():
    """The first batch is yielded while the server still holds back the second."""
    end = b"\xff\xff\xff\xff\0\0\0\0"
    one, two = stream(FRAME.head(10)), stream(FRAME[10:30])
    # Behind the schema, which is the same in both.
    schema = messages(one)[0]
    assert schema == messages(two)[0]
    second = two[len(schema) :]
    raw = Raw(HEAD + b"transfer-encoding: chunked\r\n\r\n" + chunk(one[: -len(end)]), chunk(second) + b"0\r\n\r\n")
    frames = Server(raw.url).query("select 1")
    assert next(frames).height == 10
    raw.leave.release()
    assert [frame.height for frame in frames] == [20]


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("head", [b"transfer-encoding: chunked\r\n\r\n", b"content-length: %d\r\n\r\n", b"connection: close\r\n\r\n"])
def test_a_short_body_is_an_error(head, reset):
    whole = stream(FRAME)
    body = whole[: len(whole) // 2]
    if b"chunked" in head:
        raw = Raw(HEAD + head + chunk(body), reset=reset)
    else:
        raw = Raw(HEAD + (head % len(whole) if b"%d" in head else head) + body, reset=reset)
    # A reset may overtake the head.
    with pytest.raises(neurolake.ServerError, match="broke off after 0 rows|Connection reset"):
        list(Server(raw.url).query("select 1"))


def test_a_complete_body_without_its_end_mark_is_an_error():
    body = stream(FRAME)[:-8]
    raw = Raw(HEAD + b"transfer-encoding: chunked\r\n\r\n" + chunk(body) + b"0\r\n\r\n")
    with pytest.raises(neurolake.ServerError, match="broke off after"):
        list(Server(raw.url).query("select 1"))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi", "answered with text/html"),
        (b"HTTP/1.1 500 Oops\r\ncontent-length: 2\r\n\r\nhi", r"the server refused \(500\): Oops"),
        (b'HTTP/1.1 413 Big\r\nconnection: close\r\n\r\n{"error": {"code": "too_much", "message": "too many", "hint": "limit"}}', "(?s)too many.*hint: limit"),
        (b"nonsense\r\n\r\n", "can't reach"),
        (HEAD + b"content-length: 9\r\n\r\nnot arrow", "it is no Arrow stream"),
    ],
)
def test_answers_that_are_no_rows(answer, words):
    raw = Raw(answer)
    with pytest.raises(neurolake.ServerError, match=words):
        list(Server(raw.url).query("select 1"))


def test_credentials_go_to_the_server_and_nowhere_else():
    raw = Raw(b"HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n")
    server = Server(raw.url.replace("://", "://ada:canary%40x@"))
    with pytest.raises(neurolake.ServerError) as raised:
        server.get("/health")
    assert b"authorization: basic ywrhomnhbmfyeub4" in raw.request.lower()
    assert "canary" not in str(raised.value) + repr(server) + server.url
