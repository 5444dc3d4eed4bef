"""Runs Python snippets against modules that record what they are asked for.

Reads a JSON list of cases from stdin, prints one line per snippet that asked for something else.
"""

import base64
import json
import math
import sys
import types
from datetime import date, datetime
from decimal import Decimal


def decode(value):
    if value == "null":
        return None
    ((kind, inner),) = value.items()
    return {
        "bool": lambda: inner,
        "int": lambda: inner,
        "float": lambda: float(inner),
        "string": lambda: inner,
        "binary": lambda: bytes.fromhex(inner),
        "date": lambda: date.fromisoformat(inner),
        "timestamp": lambda: datetime.fromisoformat(inner.replace("Z", "+00:00")),
        "decimal": lambda: Decimal(inner),
        "list": lambda: [decode(item) for item in inner],
    }[kind]()


def text_of(value):
    """What the neurolake client gets: it knows the types of columns."""
    if value == "null":
        return None
    ((kind, inner),) = value.items()
    if kind == "list":
        return [text_of(item) for item in inner]
    return inner if kind in ("date", "timestamp", "decimal") else decode(value)


def json_of(value):
    """What the ingestion door reads."""
    if value == "null":
        return None
    ((kind, inner),) = value.items()
    if kind == "list":
        return [json_of(item) for item in inner]
    if kind == "binary":
        return base64.b64encode(bytes.fromhex(inner)).decode()
    if kind == "float" and not math.isfinite(float(inner)):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(float(inner))]
    return text_of(value)


def misfit(value, kind, nullable, is_json):
    """Why the door would refuse the value, or nothing."""
    if value is None:
        return None if nullable else "a null"
    kind, inner = (kind, None) if isinstance(kind, str) else next(iter(kind.items()))
    is_ = lambda wanted: None if type(value) is wanted else f"{kind}: {value!r}"
    text = lambda read: is_(str) or (None if read(value) is not None else "unreadable")
    if kind == "list":
        return is_(list) or first(misfit(item, inner["item"], inner["nullable"], is_json) for item in value)
    if kind == "map":
        pairs = [{"key": k, "value": v} for k, v in value.items()] if inner["key"] == "string" else value
        columns = [{"name": name, "type": inner[name], "nullable": name == "value" and inner["nullable"]} for name in ("key", "value")]
        return first(misfit_row(pair, columns, is_json) for pair in pairs)
    if kind == "struct":
        return is_(dict) or misfit_row(value, inner["fields"], is_json)
    if kind == "blob":
        return is_(dict) or misfit_row(value, [{"name": n, "type": t, "nullable": False} for n, t in BLOB], is_json)
    if kind.startswith("int"):
        bits = int(kind[3:])
        return is_(int) or (None if -(2 ** (bits - 1)) <= value < 2 ** (bits - 1) else f"{kind}: {value}")
    if kind.startswith("uint"):
        return is_(int) or (None if 0 <= value < 2 ** int(kind[4:]) else f"{kind}: {value}")
    if kind.startswith("float"):
        return None if is_json and value in ("NaN", "Infinity", "-Infinity") else is_(float)
    if kind == "decimal":
        number = Decimal(value)
        digits = -number.as_tuple().exponent <= inner["scale"] and abs(number) < 10 ** (inner["precision"] - inner["scale"])
        return is_(str if is_json else Decimal) or (None if digits else f"{kind}: {value}")
    if kind == "binary":
        return text(lambda v: base64.b64decode(v, validate=True)) if is_json else is_(bytes)
    if kind == "date":
        return text(date.fromisoformat) if is_json else is_(date)
    if kind == "timestamp":
        at = datetime.fromisoformat(value.replace("Z", "+00:00")) if is_json else value
        return is_(str if is_json else datetime) or (None if at.tzinfo else "a time without a zone")
    return is_({"bool": bool, "string": str}[kind])


BLOB = [("uri", "string"), ("media_type", "string"), ("bytes", "int64")]


def misfit_row(row, columns, is_json):
    names = [column["name"] for column in columns]
    unknown = [name for name in row if name not in names]
    missing = [c["name"] for c in columns if not c["nullable"] and c["name"] not in row]
    if unknown or missing:
        return f"unknown {unknown}, missing {missing}"
    given = [column for column in columns if column["name"] in row]
    return first(misfit(row[column["name"]], column["type"], column["nullable"], is_json) for column in given)


def first(problems):
    return next(filter(None, problems), None)


def check_sent(case):
    is_json = case["client"] == "ingest-http"
    if is_json:
        row = json.loads(case["code"], parse_constant=lambda name: f"{name} is no JSON")
    else:
        sent.clear()
        exec(compile(case["code"], case["client"], "exec"), {})
        ((table, rows),) = sent
        (row,) = rows
        assert table == "db.t", table
    if "value" in case:
        value = case["value"]
        if isinstance(value, dict) and "list" in value and not case["is_list"]:
            value = next(item for item in value["list"] if item != "null")
        wanted = (json_of if is_json else decode)(value)
        assert row.keys() == {case["column"]} and same(row[case["column"]], wanted), (row, wanted)
    wrong = misfit_row(row, case["columns"], is_json)
    assert wrong is None, wrong


def same(a, b):
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a):
        return math.isnan(b)
    return type(a) is type(b) and a == b


class Literal:
    def __init__(self, value):
        self.value = value

    def cast(self, _type):
        return self


def plain(value):
    return value.value if isinstance(value, Literal) else value


class Column:
    def __init__(self, name):
        self.name = name.strip("`").replace("``", "`") if Column.backticks else name

    def __eq__(self, other):
        return Condition(self.name, "=", plain(other))

    def __invert__(self):
        return Condition(self.name, "=", False)

    def is_in(self, values):
        return Condition(self.name, "in", list(values))

    def isin(self, *values):
        return Condition(self.name, "in", [plain(value) for value in values])

    def is_null(self):
        return Condition(self.name, "is null", None)

    def is_nan(self):
        return Condition(self.name, "is nan", None)

    isNull = is_null


class Condition(tuple):
    def __new__(cls, *parts):
        return super().__new__(cls, parts)

    def __or__(self, other):
        name, operator, value = self
        if operator == "=":
            operator, value = "in", [value]
        more = other[2] if other[1] == "in" else [other[2]]
        return Condition(name, operator, value + more)


class Frame:
    def __init__(self):
        self.filters = []

    def filter(self, *conditions):
        for condition in conditions:
            if isinstance(condition, Column):
                condition = (condition.name, "=", True)
            self.filters.append(tuple(condition))
        return self

    def head(self, count):
        assert count == 10
        return self

    limit = head

    def collect(self):
        frames.append(self)

    show = collect


frames = []
sent = []


class Catalog:
    def db(self, name):
        assert name == "db"
        return self

    def ingest(self, table, rows):
        sent.append((table, rows))

    def table(self, name, filters=(), **keywords):
        assert name == "t"
        frame = Frame()
        for column, *rest in filters:
            frame.filters.append((column, *rest) if len(rest) == 2 else (column, rest[0], None))
        for column, value in keywords.items():
            frame.filters.append((column, "keyword", value))
        return frame


neurolake = types.ModuleType("neurolake")
neurolake.catalog = Catalog()

polars = types.ModuleType("polars")
polars.col = Column
polars.lit = lambda value, dtype=None: Literal(value)
polars.scan_delta = lambda uri: Frame()
polars.List = lambda item: None
for name in ("Int32", "String"):
    setattr(polars, name, None)


class Spark:
    def __getattr__(self, _name):
        return self

    def __call__(self, *_arguments):
        return self

    def load(self, _uri):
        return Frame()


functions = types.ModuleType("pyspark.sql.functions")
functions.col = Column
functions.lit = Literal
functions.array = lambda *items: Literal([plain(item) for item in items])
functions.isnan = lambda name: Column(name).is_nan()
pyspark_sql = types.ModuleType("pyspark.sql")
pyspark_sql.functions = functions
pyspark_sql.SparkSession = Spark()
sys.modules.update({
    "neurolake": neurolake,
    "polars": polars,
    "pyspark": types.ModuleType("pyspark"),
    "pyspark.sql": pyspark_sql,
    "pyspark.sql.functions": functions,
})


def expected(case):
    name, value = case["column"], case["value"]
    if case["client"] == "python":
        read, is_nan = text_of, False
    else:
        read, is_nan = decode, isinstance(value, dict) and math.isnan(float(value.get("float", 0)))
    if value == "null":
        return name, "is null", None
    if is_nan:
        return name, "is nan", None
    if isinstance(value, dict) and "list" in value and not case["is_list"]:
        return name, "in", read(value)
    return name, "=", read(value)


for case in json.load(sys.stdin):
    frames.clear()
    Column.backticks = case["client"] == "spark"
    try:
        if "columns" in case:
            check_sent(case)
            continue
        exec(compile(case["code"], case["client"], "exec"), {})
        ((found,),) = [frame.filters for frame in frames]
        wanted = expected(case)
        if found[1] == "keyword":
            found = (found[0], wanted[1], found[2])
        assert found[0] == wanted[0] and found[1] == wanted[1], (found, wanted)
        assert same(found[2], wanted[2]), (found, wanted)
    except Exception as error:
        print(f"{case['client']}: {error!r}\n{case['code']}\n")
