"""Delta tables of this machine stay open between frames, and what others write is seen at once."""

import json
import shutil

import neurolake
import polars as pl
import pytest


def catalog_of(folder, database="a", name="numbers"):
    """The path of a catalog whose one table lies in the folder."""
    columns = [{"name": "n", "type": "int64", "nullable": True}, {"name": "later", "type": "string", "nullable": True}]
    location = {"file": "src/lib.rs", "line": 1}
    facts = {"name": name, "source": {"kind": "delta", "uri": str(folder)}, "columns": columns, "rust_path": "a::Numbers", "location": location}
    catalog = {"format_version": 1, "name": "a", "databases": [{"name": database, "location": location, "tables": [facts]}]}
    path = folder.parent / "catalog.json"
    path.write_text(json.dumps(catalog))
    return path


@pytest.fixture
def table(tmp_path):
    """A table of two rows, and its folder."""
    folder = tmp_path / "numbers"
    write(folder, [1, 2])
    return neurolake.connect(catalog_of(folder)).a.numbers, folder


def write(folder, values, **options):
    folder.mkdir(parents=True, exist_ok=True)
    pl.DataFrame({"n": values}, schema={"n": pl.Int64}).write_delta(folder, **options)


def found(frame):
    return sorted(frame.collect()["n"])


def logs_read(monkeypatch):
    """The paths of tables whose log is read."""
    import deltalake

    opened = []

    class Counting(deltalake.DeltaTable):
        def __init__(self, path, *arguments, **options):
            opened.append(path)
            super().__init__(path, *arguments, **options)

    monkeypatch.setattr(deltalake, "DeltaTable", Counting)
    return opened


def test_the_log_is_read_once(table, monkeypatch):
    rows, folder = table
    opened = logs_read(monkeypatch)
    for _ in range(3):
        assert found(rows()) == [1, 2]
        assert found(rows(n=2)) == [2]
    assert opened == [str(folder)]


def test_later_versions_are_seen_and_frames_keep_theirs(table):
    rows, folder = table
    before = rows()
    write(folder, [3], mode="append")
    after = rows()
    assert found(after) == [1, 2, 3]
    assert found(before) == [1, 2]
    pl.DataFrame({"n": [4], "later": ["x"]}).write_delta(folder, mode="append", delta_write_options={"schema_mode": "merge"})
    assert rows(n=4).collect().to_dicts() == [{"n": 4, "later": "x"}]
    assert found(before) == [1, 2]
    assert found(after) == [1, 2, 3]
    assert found(rows(version=0)) == [1, 2]


def test_a_table_that_was_made_again(table):
    rows, folder = table
    assert found(rows()) == [1, 2]
    shutil.rmtree(folder)
    with pytest.raises(neurolake.NeurolakeError, match="can't open table `a.numbers`"):
        rows()
    write(folder, [7, 8])
    assert found(rows()) == [7, 8]


def test_a_log_that_was_cleaned_up(table):
    rows, folder = table
    from deltalake import DeltaTable

    assert found(rows()) == [1, 2]
    write(folder, [3], mode="append")
    write(folder, [4], mode="append")
    DeltaTable(folder).create_checkpoint()
    for version in range(2):
        (folder / f"_delta_log/{version:020}.json").unlink()
    assert found(rows()) == [1, 2, 3, 4]
    write(folder, [5], mode="append")
    assert found(rows()) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("name", ["a space", "100%", "é", "a#b"])
def test_folders_that_polars_cannot_read(lake, tmp_path, name):
    folder = tmp_path / name / "table"
    write(folder, [1, 2])
    path = catalog_of(folder, "files", "everything")
    with pytest.raises(neurolake.NeurolakeError, match="special characters\nhint: .*neurolake up"):
        neurolake.connect(path).files.everything()
    schema = neurolake.connect(path, server=lake.url).files.everything().collect_schema()
    assert schema.names() == ["n", "later"]
    asked = len(lake.log())
    with pytest.raises(neurolake.ServerError):
        # That server knows of no such columns, but it is who was asked.
        neurolake.connect(path, server=lake.url).files.everything().collect()
    assert len(lake.log()) > asked
