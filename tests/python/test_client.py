"""The client as a person uses it: what is found, what is shown, and what is said when it goes wrong."""

import json
import subprocess
import sys
import warnings
from datetime import date, datetime, timezone
from decimal import Decimal

import neurolake
import polars as pl
import pytest
from neurolake import FilterError, NeurolakeError, NotDirectError, ServerError, UnknownNameError
from polars.testing import assert_frame_equal


def same(frame, expected):
    assert_frame_equal(frame.collect(), expected, check_row_order=False)


@pytest.mark.parametrize("name", ["everything", "hive", "directory", "plain"])
@pytest.mark.parametrize("direct", [True, False])
def test_every_layout_gives_the_declared_columns(lake, name, direct):
    table = neurolake.connect(lake.url, direct=direct).files[name]
    rows = table()
    assert type(rows) is pl.LazyFrame
    assert rows.collect_schema() == table.schema
    same(rows, lake.full.select(table.columns))
    same(table(part=7, day="2026-03-01"), lake.full.filter(part=7, day=date(2026, 3, 1)).select(table.columns))
    assert table(part=8, day="2026-03-01").collect().height == 0
    same(table(columns=["text", "id"], i16=7), lake.full.filter(i16=7).select("text", "id"))


def test_both_ways_to_a_table(lake, catalog):
    one = catalog.db("files").table("everything", part=7, filters=[("day", "=", "2026-03-01")])
    other = catalog.files.everything(part=7, day=date(2026, 3, 1))
    same(one, other.collect())
    same(catalog["files"]["everything"](part=7, day="2026-03-01"), other.collect())


def test_filters_of_every_form(lake, catalog):
    full, table = lake.full, catalog.files.plain
    for rows, expected in [
        (table(text=None), pl.col("text").is_null()),
        (table(i16=[1, 7]), pl.col("i16").is_in([1, 7])),
        (table(i16={1, 7}), pl.col("i16").is_in([1, 7])),
        (table(i16=[1, None]), (pl.col("i16") == 1) | pl.col("i16").is_null()),
        (table(f64=float("nan")), pl.col("f64").is_nan()),
        (table(f32=0.1), pl.col("f32") == pl.lit(0.1, dtype=pl.Float32)),
        (table(price="1.50"), pl.col("price") == Decimal("1.50")),
        (table(raw=b"ab"), pl.col("raw") == b"ab"),
        (table(numbers=[1, 2]), pl.col("numbers") == pl.lit([1, 2])),
        (table(filters="i16 > 5 and text is not null"), (pl.col("i16") > 5) & pl.col("text").is_not_null()),
        (table(filters=pl.col("i16") > 5), pl.col("i16") > 5),
        (table(filters=[pl.col("i16") > 5, ("text", "contains", "a"), "flag"]), (pl.col("i16") > 5) & pl.col("text").str.contains("a") & pl.col("flag")),
        (table(filters=("i16", ">", 5)), pl.col("i16") > 5),
        (table(filters={"i16": 7}), pl.col("i16") == 7),
        (table(filters=[[("i16", "=", 7)], [("i8", "=", 7), ("flag", "=", True)]]), (pl.col("i16") == 7) | ((pl.col("i8") == 7) & pl.col("flag"))),
        (table(filters=[("ts", ">=", "2026-03-01T01:00:00+01:00")]), pl.col("ts") >= datetime(2026, 3, 1, tzinfo=timezone.utc)),
        (table(filters=[("text", "NOT  IN", ["a", "b"])]), ~pl.col("text").is_in(["a", "b"])),
        (table(filters=[]), pl.lit(True)),
    ]:
        same(rows, full.filter(expected))
    remote = neurolake.connect(lake.url, direct=False).files.plain
    same(remote(filters=["i16 > 5 or i16 = 1", pl.col("flag"), ("text", "is not null")], columns=["id"]), full.filter((pl.col("i16") > 5) | (pl.col("i16") == 1), pl.col("flag"), pl.col("text").is_not_null()).select("id"))


def test_injections_are_data(lake, remote):
    evil = "' or 1=1 --"
    for rows in [remote.lab.animals(text=evil), remote.lab.animals(filters=[("text", "contains", evil)]), remote.lab.animals(text=[evil, "'; drop table x"]), remote.lab.animals().filter(pl.col("text") == evil)]:
        assert rows.collect().height == 0
    assert remote.lab.animals(text="'; drop table x; --").collect().height == lake.full.filter(text="'; drop table x; --").height > 0
    with pytest.raises(FilterError, match="expected int32, got '4595 or 1=1'"):
        remote.lab.animals(part="4595 or 1=1")
    for fragment in ["1=1) or (1=1", "true; drop table x", "true -- x", "'open", "(true", "", "true /* x"]:
        with pytest.raises(FilterError, match="no condition"):
            remote.lab.animals(filters=fragment)


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda c: c.db("fils"), UnknownNameError, "no database `fils` in catalog `lab`; did you mean `files`?"),
        (lambda c: c.fils, AttributeError, "did you mean `files`?"),
        (lambda c: c.db("files").table("everythin"), UnknownNameError, "no table `everythin` in database `files`; did you mean `everything`?"),
        (lambda c: c.db("files").table("zzz"), LookupError, "it has `directory`, `everything`"),
        (lambda c: c.files.everything(prt=7), UnknownNameError, "no column `prt` in table `files.everything`; did you mean `part`?"),
        (lambda c: c.files.everything(column=["id"]), UnknownNameError, "did you mean `columns=`?"),
        (lambda c: c.files.everything(columns=["idd"]), UnknownNameError, "did you mean `id`?"),
        (lambda c: c.files.everything(columns=["id", "id"]), FilterError, "twice"),
        (lambda c: c.files.everything(part="7"), FilterError, "table `files.everything`, column `part`: expected int32, got '7' (str)"),
        (lambda c: c.files.everything(part=7.5), FilterError, "expected int32, got 7.5 (float)"),
        (lambda c: c.files.everything(part=True), FilterError, "expected int32, got True (bool)"),
        (lambda c: c.files.everything(flag=1), FilterError, "expected bool, got 1 (int)"),
        (lambda c: c.files.everything(text=7), FilterError, "expected string, got 7 (int)"),
        (lambda c: c.files.everything(day="2026-13-01"), FilterError, 'expected date, such as "2026-03-01"'),
        (lambda c: c.files.everything(ts="yesterday"), FilterError, 'such as "2026-03-01T09:30:00Z", got \'yesterday\''),
        (lambda c: c.files.everything(price="a lot"), FilterError, "expected decimal(10, 2), got 'a lot'"),
        (lambda c: c.files.everything(image="x"), FilterError, "is a blob: only `is null`"),
        (lambda c: c.files.everything(filters=[("id", "=<", 1)]), FilterError, "no operator `=<`"),
        (lambda c: c.files.everything(filters=[("id", "not inn", [1])]), FilterError, "did you mean `not in`?"),
        (lambda c: c.files.everything(filters=[("id", "in", 1)]), FilterError, "expected a list of int64, got 1"),
        (lambda c: c.files.everything(filters=[("id", "<", None)]), FilterError, "use `is null` or `is not null`"),
        (lambda c: c.files.everything(filters=[("id", "<")]), FilterError, "needs a value"),
        (lambda c: c.files.everything(filters=[("words", "contains", "a")]), FilterError, "use `includes`"),
        (lambda c: c.files.everything(filters=[("text", "includes", "a")]), FilterError, "use `contains`"),
        (lambda c: c.files.everything(filters=[("id", "contains", "a")]), FilterError, "looks for a part of a text"),
        (lambda c: c.files.everything(filters=[7]), FilterError, "expected filters such as"),
        (lambda c: c.files.everything(version=-1), FilterError, "version=3"),
        (lambda c: c.files.everything(version=1, as_of="2026-01-01"), FilterError, "not both"),
        (lambda c: c.files.everything(as_of="soon"), FilterError, "expected a time"),
        (lambda c: c.files.plain(version=1), FilterError, "only Delta tables keep older versions"),
        (lambda c: c.files.old(was="x"), UnknownNameError, "it was renamed to `now`"),
        (lambda c: c.lab.summary(), FilterError, "needs the argument `since` (date), such as `since='2026-03-01'`"),
        (lambda c: c.lab.summary(since="2026-03-01", beloww=1), UnknownNameError, "did you mean `below`?"),
        (lambda c: c.lab.summary(since="2026-03-01", below="x"), FilterError, "column `below`: expected float64"),
        (lambda c: c.lab.summary(since="2026-03-01", filters=[("below", ">", 1)]), FilterError, "is an argument, which takes one value"),
        (lambda c: c.lab.summary(filters=[[("since", "=", "2026-03-01")], [("part", "=", 1)]]), FilterError, "one of several alternatives"),
        (lambda c: c.sql("select * from nowhere"), ServerError, "the server refused (400)"),
        (lambda c: c.files.everything(version=99), NeurolakeError, "can't open table `files.everything`"),
    ],
)
@pytest.mark.filterwarnings("ignore::neurolake.DeprecatedTableWarning")
def test_mistakes_are_explained(catalog, call, kind, words):
    with pytest.raises(kind) as raised:
        call(catalog)
    assert isinstance(raised.value, NeurolakeError)
    assert words in str(raised.value)
    assert raised.value.__cause__ is None and (raised.value.__context__ is None or raised.value.__suppress_context__)


def test_wrong_type_through_the_server_is_an_error_of_the_frame(catalog):
    with pytest.raises(Exception, match="refused") as raised:
        catalog.lab.animals(filters="no_such_column = 1").collect()
    assert "no_such_column" in str(raised.value)


def test_function_arguments(lake, catalog):
    found = catalog.lab.summary(since="2026-03-01", tasks=["it's", "webgrid"], below=0.5, part=7)
    assert found.collect().rows() == [(7, 20)]
    assert lake.log()[-1]["sql"] == (
        'select "part", "total" from "lab"."summary" where "since" = date \'2026-03-01\' and '
        "\"tasks\" in ('it''s', 'webgrid') and \"below\" = 0.5 and \"part\" = 7"
    )
    assert catalog.lab.summary(since=date(2026, 3, 1), below=None, tasks=None).collect().height == 2
    assert '"below"' not in lake.log()[-1]["sql"]


def test_columns_and_limits_reach_the_server(lake, catalog):
    assert catalog.lab.animals().select("i8").head(3).collect().height == 3
    assert lake.log()[-1]["sql"] == 'select "i8" from "lab"."animals" limit 3'
    catalog.lab.animals(columns=["i8", "text"], i16=7).collect()
    assert lake.log()[-1]["sql"] == 'select "i8", "text" from "lab"."animals" where "i16" = 7'
    assert catalog.lab.animals(i16=7).select(pl.len()).collect().item() == lake.full.filter(i16=7).height
    assert lake.log()[-1]["sql"].startswith('select "') and "," not in lake.log()[-1]["sql"]


def test_undeclared_columns_come_from_the_server(lake, catalog):
    view = catalog.lab.view
    assert view.columns == lake.full.columns
    same(view(part=7, columns=["id"]), lake.full.filter(part=7).select("id"))
    same(view().filter(pl.col("part") == 7).select("text"), lake.full.filter(part=7).select("text"))


def test_sql_aggregates_at_the_server(lake, catalog):
    found = catalog.sql("select part, count(*) as n from files.plain where text = $1 group by part order by part", ["it's"])
    expected = lake.full.filter(text="it's").group_by("part").agg(n=pl.len().cast(pl.Int64)).sort("part")
    assert_frame_equal(found, expected)
    assert catalog.files.sql("select 1 as one").item() == 1
    assert catalog.sql("select id from files.plain where false").height == 0


@pytest.mark.parametrize("direct", [True, False])
def test_time_travel(lake, direct):
    table = neurolake.connect(lake.url, direct=direct).files.everything
    half = lake.everything.head(lake.everything.height // 2)
    same(table(version=0), half)
    same(table(version=0, part=7), half.filter(part=7))
    if direct:
        same(table(as_of=datetime.now(timezone.utc)), lake.everything)
        same(table(as_of="2100-01-01"), lake.everything)
    else:
        with pytest.raises(Exception, match="everything@2026-03-01T00:00:00.000000Z"):
            table(as_of="2026-03-01T00:00:00Z").collect()


def test_old_tables_warn_once_and_keep_their_columns(lake):
    catalog = neurolake.connect(lake.url)
    with pytest.warns(neurolake.DeprecatedTableWarning, match="`files.old` is deprecated since 2025.7.1; use `files.everything`") as caught:
        rows = catalog.files.old()
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert rows.collect().rows() == [(1, None, "x")]
        assert catalog.files.old(id=1, now="x").collect().height == 1
        assert catalog.files.old.schema.names() == ["id", "since_two", "now"]


def test_a_notebook_shows_the_warning(lake):
    code = f"import neurolake; neurolake.connect({lake.url!r}).files.old()"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "DeprecatedTableWarning: table `files.old` is deprecated" in run.stderr


def test_what_is_shown(catalog):
    for shown, words in [
        (catalog, ["Lab", "9 tables in 2 databases", "files", "Behind the server."]),
        (catalog.files, ["6 tables", "everything", "Delta", "deprecated: Table old."]),
        (catalog.files.everything, ["'files.everything'", "partitions: part, day", "[uV] Docs of f32.", "decimal(10, 2)", 'catalog.db("files").table("everything", part=7, day="2026-03-01")']),
        (catalog.lab.summary, ["argument since: date, required", "argument tasks: list<string>", 'since="2026-03-01"']),
    ]:
        for word in words:
            assert word in repr(shown), (word, repr(shown))
        page = shown._repr_html_()
        assert "<script" not in page and "rgba(128,128,128" in page and "color:inherit" in page
    assert "Lab &lt;b&gt;lake&lt;/b&gt;" in catalog._repr_html_()
    assert {"files", "lab", "db", "sql"} <= set(dir(catalog))
    assert {"everything", "table"} <= set(dir(catalog.files))
    assert "text" in dir(catalog.files.everything.c)
    assert str(catalog.files.everything.c.text) == str(pl.col("text"))
    described = catalog.files.everything.describe()
    assert described.filter(column="price")["type"].to_list() == ["decimal(10, 2)"]
    assert not hasattr(catalog, "_repr_png_") and not hasattr(catalog.files, "_ipython_display_")


def test_nothing_is_touched_to_describe(lake, tmp_path):
    """A catalog whose files and server are gone still says everything."""
    content = json.loads((lake.folder / "catalog.json").read_text())
    (tmp_path / "catalog.json").write_text(json.dumps(content))
    catalog = neurolake.connect(tmp_path)
    assert catalog.files.everything.schema["ts"] == pl.Datetime("us", "UTC")
    assert catalog.lab.summary.describe().height == 2
    repr(catalog), repr(catalog.lab.animals), catalog.lab.animals._repr_html_()


def test_without_a_server(lake, tmp_path, monkeypatch):
    # In the repository itself a built program would be found and started.
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NEUROLAKE_BINARY", raising=False)
    content = json.loads((lake.folder / "catalog.json").read_text())
    for database in content["databases"]:
        for table in database["tables"]:
            uri = table["source"].get("uri", "")
            table["source"]["uri"] = uri.replace("s3://", f"{lake.folder}/files/") if uri else None
            if not uri:
                del table["source"]["uri"]
    (tmp_path / "catalog.json").write_text(json.dumps(content))
    catalog = neurolake.connect(tmp_path / "catalog.json")
    for name in ("everything", "hive", "directory", "plain"):
        table = catalog.files[name]
        same(table(), lake.full.select(table.columns))
        same(table(part=7), lake.full.filter(part=7).select(table.columns))
        same(table(day="2026-03-01", part=[3, 7]), lake.full.filter(pl.col("part") != 70, day=date(2026, 3, 1)).select(table.columns))
    with pytest.raises(ServerError, match=r"table `lab.animals` \(postgres\) needs a server, and none answers"):
        catalog.lab.animals()


def test_a_server_can_be_named(lake):
    catalog = neurolake.connect(lake.folder / "catalog.json", server=lake.url)
    same(catalog.lab.animals(part=7), lake.full.filter(part=7))
    same(catalog.files.everything(part=7), lake.everything.filter(part=7))


def test_closed_stores_are_read_through_the_server(lake, catalog):
    same(catalog.files.secret(part=7), lake.full.filter(part=7))
    assert '"files"."secret"' in lake.log()[-1]["sql"]


def test_blobs(lake, catalog):
    row = catalog.files.everything(filters=[("image", "is not null")]).head(1).collect().row(0, named=True)
    blob = catalog.files.everything.open_blob(row["image"])
    name = row["image"]["uri"].rpartition("/")[2]
    assert blob.bytes() == (lake.folder / "files/blobs/pictures" / name).read_bytes()
    assert (blob.media_type, blob.size) == ("image/png", 11)
    with catalog.open_blob(row["image"]["uri"]).open() as file:
        file.seek(8)
        assert file.read(1) in b"012"
    with pytest.raises(NeurolakeError, match="can't read s3://blobs/none.png: No such file"):
        catalog.open_blob("s3://blobs/none.png").bytes()
    with pytest.raises(NotDirectError, match="only the server may read"):
        catalog.open_blob("s3://vault/x.png", store="vault")
    with pytest.raises(NeurolakeError, match="expected a value of a blob column"):
        catalog.open_blob(7)


def test_blobs_of_an_object_store(lake, catalog):
    blob = catalog.open_blob("s3://blobs/pictures/1.png", store="s3")
    assert blob.bytes() == b"picture 1.."
    with blob.open() as file:
        assert file.seek(8) == 8 and file.read(1) == b"1"
        assert file.read() == b".."
    with pytest.raises(NeurolakeError, match="can't read s3://blobs/pictures/9.png"):
        catalog.open_blob("s3://blobs/pictures/9.png", store="s3").bytes()
    own = neurolake.connect(lake.url, storage_options={"aws_endpoint_url": lake.store.url, "aws_region": "us-east-1", "aws_skip_signature": "true", "aws_allow_http": "true"})
    assert own.open_blob("s3://blobs/pictures/2.png").bytes() == b"picture 2.."


def test_the_default_catalog(lake, monkeypatch, tmp_path):
    monkeypatch.setenv("NEUROLAKE_CATALOG", str(lake.folder / "catalog.json"))
    code = "from neurolake import catalog; print(catalog.databases)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "['files', 'lab']\n"
    monkeypatch.delenv("NEUROLAKE_CATALOG")
    below = tmp_path / "a" / "b"
    (tmp_path / ".neurolake").mkdir()
    below.mkdir(parents=True)
    (tmp_path / ".neurolake" / "endpoints.json").write_text(json.dumps({"http": lake.url}))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=below)
    assert run.stdout == "['files', 'lab']\n"


def test_catalogs_that_are_none(tmp_path):
    for content, words in [("{", "is no JSON"), ("{}", "is no catalog"), ('{"format_version": 99, "databases": []}', "pip install --upgrade neurolake")]:
        file = tmp_path / "catalog.json"
        file.write_text(content)
        with pytest.raises(neurolake.CatalogError, match=words):
            neurolake.connect(file)
    with pytest.raises(neurolake.CatalogError, match="No such file"):
        neurolake.connect(tmp_path / "none.json")
    with pytest.raises(ServerError, match="can't reach the server at http://127.0.0.1:1") as raised:
        neurolake.connect("http://user:canary-secret@127.0.0.1:1/catalog.json?token=canary-secret")
    assert "canary" not in str(raised.value)
