"""CSV and Parquet files as arrays, compared with pandas; what is missing or no number is named by row and column."""

from __future__ import annotations

import io

import numpy as np
import pytest

from backlit import data
from backlit.base.errors import ArgumentError, DataError

from .damage import cuts, flips, survivors

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

FRAME = pd.DataFrame(
    {
        "length": [1.5, 2.5, 3.25, 4.0],
        "legs": [2, 4, 4, 0],
        "tame": [True, False, True, False],
        "colour": ["red", "blue", "red", "green"],
        "kind": ["bird", "cat", "cat", "fish"],
        "age": [3, 1, 3, 9],
    }
)


@pytest.fixture(params=["csv", "parquet"])
def table(request, tmp_path):
    """Reads a frame after a way through a file."""

    def through(frame, target, **options):
        path = tmp_path / f"a.{request.param}"
        if request.param == "csv":
            frame.to_csv(path, index=False)
            return data.read_csv(path, target, **options)
        frame.to_parquet(path)
        return data.read_parquet(path, target, **options)

    return through


def test_words_become_columns_or_codes(table):
    found = table(FRAME, "kind", words="one-hot")
    dummies = pd.get_dummies(FRAME.drop(columns="kind"), columns=["colour"], prefix_sep="=")
    assert set(found.columns) == set(dummies.columns)
    np.testing.assert_array_equal(found.x, dummies[list(found.columns)].to_numpy(np.float32))
    assert found.x.dtype == np.float32
    assert found.classes == ("bird", "cat", "fish")
    assert found.y.tolist() == [0, 1, 1, 2]
    codes = table(FRAME, "kind", words="codes")
    assert codes.columns == ("length", "legs", "tame", "colour", "age")
    np.testing.assert_array_equal(codes.x[:, 3], FRAME["colour"].astype("category").cat.codes)


def test_categories_of_pandas_are_words(tmp_path):
    FRAME.astype({"colour": "category", "kind": "category"}).to_parquet(tmp_path / "a.parquet")
    found = data.read_parquet(tmp_path / "a.parquet", "kind", words="codes")
    assert (found.y.tolist(), found.x[:, 3].tolist()) == ([0, 1, 1, 2], [2, 0, 2, 1])


def test_the_task_follows_from_the_target_or_is_told(table):
    rest = FRAME.drop(columns=["colour", "kind"])
    measured = table(rest, "length")
    assert (measured.classes, measured.y.dtype, measured.y.tolist()) == ((), np.float32, [1.5, 2.5, 3.25, 4.0])
    counted = table(rest, "age")
    assert (counted.classes, counted.y.tolist()) == (("1", "3", "9"), [1, 0, 1, 2])
    assert table(rest, "age", task="regression").y.tolist() == [3, 1, 3, 9]
    assert table(rest, "tame").classes == ("False", "True")
    with pytest.raises(DataError, match="'length' holds float64, which is measured"):
        table(rest, "length", task="classification")
    with pytest.raises(ArgumentError, match="row 1, column 'kind': expected a number, found 'bird'"):
        table(FRAME, "kind", words="codes", task="regression")


def test_what_is_missing_is_named_by_row_and_column(table):
    holed = FRAME.assign(length=[1.5, 2.0, None, 4.0], colour=["red", "blue", "red", None])
    with pytest.raises(DataError, match=r"row 3, column 'length': expected a value, found none \(1 more are missing\)"):
        table(holed, "kind", words="codes")


def test_words_among_numbers_are_named(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b,y\n1,2,0\n3,four,1\n")
    with pytest.raises(ArgumentError, match=r"row 2, column 'b': expected a number, found 'four'; give words="):
        data.read_csv(path, "y")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "lenght"}, "no column 'lenght'; there are length, .*Did you mean 'length'"),
        ({"target": "kind", "words": "hot"}, "words must be 'one-hot', 'codes' or None, got 'hot'"),
        ({"target": "kind", "task": "text"}, "task must be"),
    ],
)
def test_what_is_refused(table, options, message):
    with pytest.raises(ArgumentError, match=message):
        table(FRAME, **options)


def test_a_target_needs_inputs_and_dates_are_not_numbers(table):
    with pytest.raises(ArgumentError, match="'kind' is the only column"):
        table(FRAME[["kind"]], "kind")


def test_dates_are_refused(tmp_path):
    FRAME.assign(born=pd.to_datetime(["2020-01-01"] * 4)).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="column 'born' holds datetime64"):
        data.read_parquet(tmp_path / "a.parquet", "kind", words="codes")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "No columns"),
        ("a,b\n", "at row 1 expected values, found the end of the table"),
        ("a,b\n1,2\n3,4,5\n", "line 3, saw 3"),
        ("a,b\n0,2,3\n1,4,5\n", "Length of header or names does not match"),
        ("a,b\n1,2,3,4\n", "Length of header or names does not match"),
        ("a,b\n1,2,\n3,4\n5,6,7\n", "Expected 2 fields in line 4, saw 3|Length of header or names does not match"),
        ("a,b\n1,2\n1e39,4\n", "row 2, column 'a': expected a finite number within float32, found 1e\\+39"),
        ("a,b\n1,-inf\n3,4\n", "row 1, column 'b': expected a finite number within float32, found -inf"),
        ("a,b\n1,2\n3\n", "row 2, column 'b': expected a value, found none"),
        ('a,b\n1,"2\n', "EOF inside string"),
        ("a,b\n1,\xff\n", "utf-8"),
    ],
)
def test_malformed_csv(tmp_path, text, message):
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=message) as caught:
        data.read_csv(path, "b")
    assert str(path) in str(caught.value)


def test_repeated_names_and_other_separators(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a;b\n1;2\n3;4\n")
    assert data.read_csv(path, "b", sep=";").x.tolist() == [[1], [3]]
    path.write_text("a,a,c\n1,2,3\n")
    with pytest.raises(DataError, match="at the header expected a name of its own for each column, found 'a' twice"):
        data.read_csv(path, "c")


def test_damaged_parquet(tmp_path):
    file = io.BytesIO()
    FRAME.to_parquet(file)
    raw = file.getvalue()
    read = lambda path: data.read_parquet(path, "kind", words="codes")
    assert survivors(tmp_path / "a", cuts(raw, 41), read) == []
    survivors(tmp_path / "a", flips(raw, range(0, 4)), read)
    survivors(tmp_path / "a", flips(raw, range(len(raw) - 8, len(raw))), read)


@pytest.mark.parametrize("read", [data.read_csv, data.read_parquet])
def test_missing_files_are_named(tmp_path, read):
    with pytest.raises(DataError, match=r"nowhere: cannot be read \(No such file"):
        read(tmp_path / "nowhere", "y")
